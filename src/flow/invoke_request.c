#include "flow/invoke_request.h"

#include "broker/event.h"
#include "broker/function_route.h"
#include "flow/ascii.h"
#include "flow/function_azure_http.h"

#include <string.h>

#define AZURE_AGENT "Azure-Functions-Host/" AZURE_HOST_VERSION

struct build {
    const struct invoke_request_conf *conf;
    const struct invoke_request *r;
    struct arena *arena;
    struct invoke_call *out;
    struct err_text *text;
    bool passed;          /* the request's own fields are among the call's */
    bool full, no_memory; /* sticky */
};

struct str invoke_request_field(const struct invoke_request *r, const char *name)
{
    for (size_t i = 0; i < r->headers_n; i++) {
        if (str_is(r->headers[i].name, name))
            return r->headers[i].value;
    }
    return (struct str){NULL, 0};
}

struct str invoke_request_correlation(const struct invoke_request *r)
{
    static const char *const names[] = {"ce-correlationid", "x-correlation-id", "x-request-id"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct str value = invoke_request_field(r, names[i]);
        if (value.len > 0)
            return value;
    }
    return (struct str){NULL, 0};
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
    if (c->headers_n == HTTP_CALL_HEADERS_MAX || name == NULL)
        b->full = true;
    else
        c->headers[c->headers_n++] = (struct http_header){str_of(name), kept(b, value)};
}

/* The request's own field, if it has one, else this. */
static void add_own_or(struct build *b, const char *name, struct str value)
{
    struct str own = invoke_request_field(b->r, name);
    if (own.at != NULL && b->passed)
        return; /* it is there */
    if (own.at != NULL || value.at != NULL)
        add(b, name, own.at != NULL ? own : value);
}

static void pass_fields(struct build *b, const char *but)
{
    b->passed = true;
    for (size_t i = 0; i < b->r->headers_n; i++) {
        if (!str_is(b->r->headers[i].name, but))
            add(b, kept(b, b->r->headers[i].name).at, b->r->headers[i].value);
    }
}

static void add_forwarded(struct build *b)
{
    add_own_or(b, "x-forwarded-for", str_of(b->r->peer));
    add_own_or(b, "x-forwarded-host", b->r->host);
    add_own_or(b, "x-forwarded-proto",
               ascii_begins(b->r->url, "https:") ? STR_LIT("https") : STR_LIT("http"));
}

static void pass_body(struct build *b)
{
    bool wanted = b->r->method[0] == 'P'; /* POST, PUT, PATCH: an empty one is told of, too */
    b->out->body = (struct str){(const char *)b->r->body.at, b->r->body.len};
    if (b->out->body.len == 0)
        b->out->body = wanted ? STR_LIT("") : (struct str){NULL, 0};
}

/* ---- the target ----------------------------------------------------------------------------- */

static struct str joined(struct build *b, struct str s, struct str t, const char *between)
{
    size_t n = s.len + strlen(between) + t.len;
    char *p = arena_alloc(b->arena, n + 1);
    b->no_memory |= p == NULL;
    if (p == NULL)
        return STR_LIT("");
    memcpy(p, s.at, s.len);
    memcpy(p + s.len, between, strlen(between));
    memcpy(p + n - t.len, t.at, t.len);
    p[n] = '\0';
    return (struct str){p, n};
}

static void put_url(struct build *b, struct str base, struct str query)
{
    const char *sign = memchr(base.at, '?', base.len) != NULL ? "&" : "?";
    struct str url = query.len > 0 ? joined(b, base, query, sign) : kept(b, base);
    b->out->url = (char *)url.at;
}

/* ---- protocols ------------------------------------------------------------------------------ */

static enum err build_events(struct build *b)
{
    int64_t protocol = b->conf->function->conf.function.protocol;
    struct str type = invoke_request_field(b->r, "content-type");
    if (strcmp(b->r->method, "POST") != 0) {
        (void)str_copy(b->conf->op->allow, INVOKE_ALLOW_MAX, STR_LIT("POST"));
        return err_say(b->text, ERR_METHOD, "this function is called by POST");
    }
    if (protocol == FUNCTION_CLOUDEVENTS_BATCH && !event_type_is_batch(type))
        return err_say(b->text, ERR_REQUEST_INVALID,
                       "this function takes batches: application/cloudevents-batch+json");
    if (protocol == FUNCTION_CLOUDEVENTS && event_type_is_batch(type))
        return err_say(b->text, ERR_REQUEST_INVALID,
                       "this function takes one event at a time, not a batch");
    put_url(b, b->conf->base, b->r->raw_query);
    pass_fields(b, "");
    add_own_or(b, "prefer", STR_LIT("reply"));
    pass_body(b);
    return ERR_OK;
}

static void add_host(struct build *b)
{
    char id[AZURE_GUID_TEXT_MAX];
    add(b, "x-azure-functions-hostversion", STR_LIT(AZURE_HOST_VERSION));
    add(b, "x-azure-functions-invocationid", str_of(azure_guid(b->conf->random, id)));
}

static enum err build_azure(struct build *b)
{
    const struct azure_http_request r = {.request = b->r,
                                         .actor = b->conf->op->actor,
                                         .function = b->conf->function,
                                         .now_ms = b->conf->now_ms,
                                         .random = b->conf->random,
                                         .arena = b->arena};
    b->out->method = "POST";
    b->out->url = (char *)azure_url(b->conf->base, b->conf->function, b->arena).at;
    b->no_memory |= b->out->url == NULL;
    add(b, "content-type", STR_LIT("application/json; charset=utf-8"));
    add(b, "user-agent", STR_LIT(AZURE_AGENT));
    add_host(b);
    enum err err = azure_http_write(&r, b->conf->body);
    b->out->body = (struct str){(const char *)b->conf->body->buf->data, b->conf->body->len};
    return err;
}

/* The path that the handler has a route for: the default one for who calls by another. */
static struct str forward_path(struct build *b)
{
    const struct document *d = b->conf->function;
    struct str name = d->conf.function.azure_function, path = b->r->path;
    if (ascii_begins(path, "/api/"))
        return path;
    return joined(b, STR_LIT("/api/"), name.at ? name : str_of(d->name), "");
}

/* As Azure's host has it, which adds itself to the client's User-Agent. */
static enum err build_forward(struct build *b)
{
    struct str base = b->conf->base, path = forward_path(b);
    struct str agent = invoke_request_field(b->r, "user-agent");
    while (base.len > 0 && base.at[base.len - 1] == '/')
        base.len--;
    put_url(b, joined(b, base, path, ""), b->r->raw_query);
    add(b, "host", b->r->host);
    pass_fields(b, "user-agent");
    add(b, "user-agent",
        agent.len ? joined(b, agent, STR_LIT(AZURE_AGENT), " ") : STR_LIT(AZURE_AGENT));
    add_host(b);
    pass_body(b);
    return ERR_OK;
}

static enum err build_http(struct build *b)
{
    const struct function_conf *f = &b->conf->function->conf.function;
    struct invoke_op *op = b->conf->op;
    if (!function_takes_requests(f))
        return err_say(b->text, ERR_REQUEST_INVALID,
                       "this function's trigger is none of requests: it is called with events");
    if (!function_takes_method(f, op->request.method)) {
        function_methods_put(f, op->allow, sizeof op->allow);
        return err_say(b->text, ERR_METHOD, "this function is called by %s", op->allow);
    }
    return f->azure_forward_http ? build_forward(b) : build_azure(b);
}

enum err invoke_request_build(const struct invoke_request_conf *conf, struct invoke_call *out,
                              struct err_text *text)
{
    bool azure = conf->function->conf.function.protocol == FUNCTION_AZURE;
    struct build b = {
        .conf = conf, .r = &conf->op->request, .arena = conf->arena, .out = out, .text = text};
    *out = (struct invoke_call){.method = conf->op->request.method};
    enum err err = azure ? build_http(&b) : build_events(&b);
    if (err != ERR_OK)
        return err;
    add_own_or(&b, "traceparent", b.r->traceparent);
    add_forwarded(&b);
    if (b.full)
        return err_say(text, ERR_REQUEST_INVALID, "more than %d header fields cannot be passed on",
                       HTTP_CALL_HEADERS_MAX);
    return b.no_memory ? ERR_MEMORY : ERR_OK;
}
