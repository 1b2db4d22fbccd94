#include "flow/invoke_request.h"

#include "broker/event.h"
#include "flow/ascii.h"

#include <string.h>

struct build {
    const struct invoke_request *r;
    struct arena *arena;
    struct invoke_call *out;
    bool full, no_memory; /* sticky */
};

static struct str field(const struct invoke_request *r, const char *name)
{
    for (size_t i = 0; i < r->headers_n; i++) {
        if (str_is(r->headers[i].name, name))
            return r->headers[i].value;
    }
    return (struct str){NULL, 0};
}

struct str invoke_request_correlation(const struct invoke_request *r)
{
    static const char *const names[] = {"ce-correlationid", "x-correlation-id", "x-request-id",
                                        "traceparent"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct str value = field(r, names[i]);
        if (value.len > 0)
            return value;
    }
    return r->traceparent;
}

/* ---- headers -------------------------------------------------------------------------------- */

/* What it points to ends with the request, which the call may outlive. */
static struct str kept(struct build *b, struct str s)
{
    struct str copy = {arena_strndup(b->arena, s.at ? s.at : "", s.len), s.len};
    b->no_memory |= copy.at == NULL;
    return copy;
}

static void add(struct build *b, const char *name, struct str value)
{
    struct invoke_call *c = b->out;
    if (c->headers_n == HTTP_CALL_HEADERS_MAX)
        b->full = true;
    else
        c->headers[c->headers_n++] = (struct http_header){str_of(name), kept(b, value)};
}

static void add_missing(struct build *b, const char *name, struct str value)
{
    if (value.at != NULL && field(b->r, name).at == NULL)
        add(b, name, value);
}

static void add_fields(struct build *b)
{
    for (size_t i = 0; i < b->r->headers_n; i++)
        add(b, kept(b, b->r->headers[i].name).at, b->r->headers[i].value);
}

/* "https://host:port/..." */
static void add_forwarded(struct build *b)
{
    struct str url = b->r->url;
    const char *at = memmem(url.at, url.len, "://", 3);
    if (at == NULL)
        return;
    struct str scheme = {url.at, (size_t)(at - url.at)}, host = {at + 3, 0};
    while (host.at + host.len < url.at + url.len && host.at[host.len] != '/')
        host.len++;
    add_missing(b, "x-forwarded-for", str_of(b->r->peer));
    add_missing(b, "x-forwarded-proto", scheme);
    add_missing(b, "x-forwarded-host", host);
}

/* ---- the target ----------------------------------------------------------------------------- */

static void put_url(struct build *b, struct str base, struct str query)
{
    bool more = query.len > 0, has = memchr(base.at, '?', base.len) != NULL;
    char *p = arena_alloc(b->arena, base.len + query.len + 2);
    b->out->url = p;
    b->no_memory |= p == NULL;
    if (p == NULL)
        return;
    memcpy(p, base.at, base.len);
    p += base.len;
    if (more)
        *p++ = has ? '&' : '?';
    if (more)
        memcpy(p, query.at, query.len);
    p[query.len] = '\0';
}

/* ---- protocols ------------------------------------------------------------------------------ */

static enum err allow_only(struct invoke_op *op, const char *methods)
{
    (void)str_copy(op->allow, sizeof op->allow, str_of(methods));
    return err_say(&op->text, ERR_METHOD, "this function is called by %s", methods);
}

static enum err build_events(struct invoke_op *op, const struct function_conf *f, struct str base,
                             struct build *b)
{
    struct str type = field(b->r, "content-type");
    if (strcmp(b->r->method, "POST") != 0)
        return allow_only(op, "POST");
    if (f->protocol == FUNCTION_CLOUDEVENTS_BATCH && !event_type_is_batch(type))
        return err_say(&op->text, ERR_REQUEST_INVALID,
                       "this function takes batches: application/cloudevents-batch+json");
    if (f->protocol == FUNCTION_CLOUDEVENTS && event_type_is_batch(type))
        return err_say(&op->text, ERR_REQUEST_INVALID,
                       "this function takes one event at a time, not a batch");
    put_url(b, base, b->r->raw_query);
    add_fields(b);
    add_missing(b, "prefer", STR_LIT("reply"));
    add_missing(b, "traceparent", b->r->traceparent);
    add_forwarded(b);
    b->out->body = (struct str){(const char *)b->r->body.at, b->r->body.len};
    return ERR_OK;
}

enum err invoke_request_build(struct invoke_op *op, const struct document *function,
                              struct str base, struct arena *arena, struct invoke_call *out)
{
    const struct function_conf *f = &function->conf.function;
    struct build b = {.r = &op->request, .arena = arena, .out = out};
    *out = (struct invoke_call){.method = op->request.method};
    if (f->protocol == FUNCTION_AZURE)
        return err_say(&op->text, ERR_REQUEST_INVALID,
                       "this function is called with events: publish one");
    enum err err = build_events(op, f, base, &b);
    if (err == ERR_OK && b.full)
        err = err_say(&op->text, ERR_REQUEST_INVALID, "more than %d header fields cannot be passed",
                      HTTP_CALL_HEADERS_MAX);
    return err == ERR_OK && b.no_memory ? ERR_MEMORY : err;
}
