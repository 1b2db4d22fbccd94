/* invoke.c: a request becomes a call of a function, and its answer the request's.
 *
 *     /functions/{name}    by the resource's name
 *     /api/...             by the route of an HTTP trigger (broker/function_route.h)
 *
 * What belongs to this connection, and not to what is asked, is not passed on: the fields that
 * frame a message or are for the next hop (RFC 9110, 7.6.1), and the password by which weir knew
 * the caller. A body that came compressed is passed on as it is without.
 */
#include "broker/invoke.h"

#include "broker/access.h"
#include "broker/event.h"
#include "broker/function_route.h"
#include "front/http/conn.h"
#include "front/http/head.h"
#include "front/http/uri.h"
#include "front/http/verbs.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct invoking {
    struct invoke_op op;
    struct http_request *rq;
    char traceparent[EVENT_TRACEPARENT_BYTES + 1];
};

static bool is_one_of(struct str name, const char *const *names)
{
    while (*names && !str_is(name, *names))
        names++;
    return *names != NULL;
}

/* ---- the request ---------------------------------------------------------------------------- */

static const char *method_name(enum method method)
{
    switch (method) {
    case METHOD_GET:
        return "GET";
    case METHOD_HEAD:
        return "HEAD";
    case METHOD_PUT:
        return "PUT";
    case METHOD_PATCH:
        return "PATCH";
    case METHOD_DELETE:
        return "DELETE";
    default:
        return "POST";
    }
}

/* Weir's own, which nobody else is to see. */
static bool is_credential(const struct http_request *rq, const struct http_field *f)
{
    return str_is(f->name, "authorization") && f->value.len > 6 &&
           strncasecmp(f->value.at, "Basic ", 6) == 0 &&
           strcmp(rq->actor.principal, ACCESS_ANONYMOUS) != 0;
}

static bool is_passed_on(const struct http_request *rq, const struct http_field *f)
{
    static const char *const ours[] = {"content-encoding", "host", "aeg-sas-key", "aeg-sas-token",
                                       NULL};
    return !invoke_is_hop(f->name, http_field(rq, "connection")) && !is_one_of(f->name, ours) &&
           !is_credential(rq, f);
}

static struct http_header *headers_of(struct http_request *rq, size_t *n)
{
    struct http_header *out = http_alloc(rq, rq->fields_n + 1, sizeof *out);
    *n = 0;
    for (size_t i = 0; out && i < rq->fields_n; i++) {
        if (is_passed_on(rq, &rq->fields[i]))
            out[(*n)++] = (struct http_header){rq->fields[i].name, rq->fields[i].value};
    }
    return out;
}

static struct http_header *query_of(struct http_request *rq)
{
    struct http_header *out = http_alloc(rq, rq->query_n + 1, sizeof *out);
    for (size_t i = 0; out && i < rq->query_n; i++)
        out[i] = (struct http_header){rq->query[i].name, rq->query[i].value};
    return out;
}

/* As the caller wrote it: with the host that he used. */
static struct str url_of(struct http_request *rq)
{
    struct str host = http_field(rq, "host");
    struct str target = {rq->path.at, rq->target.len - (size_t)(rq->path.at - rq->target.at)};
    size_t cap = host.len + target.len + sizeof "https://";
    char *text = http_alloc(rq, cap, 1);
    int n = text ? snprintf(text, cap, "%s://%.*s%.*s", rq->conn->listener->tls ? "https" : "http",
                            (int)host.len, host.at ? host.at : "", (int)target.len, target.at)
                 : 0;
    return (struct str){text, (size_t)n};
}

static struct str raw_query_of(const struct http_request *rq)
{
    const char *end = rq->target.at + rq->target.len, *at = rq->path.at + rq->path.len;
    if (at == end || *at != '?')
        return (struct str){NULL, 0};
    return (struct str){at + 1, (size_t)(end - at) - 1};
}

/* Fields and trace live as long as the request. ERR_MEMORY. */
static enum err fill(struct invoking *v)
{
    struct http_request *rq = v->rq;
    struct invoke_request *to = &v->op.request;
    event_trace_make(http_random(rq->conn->reactor, broker_env(rq->broker), 24), v->traceparent);
    *to = (struct invoke_request){.method = method_name(rq->method),
                                  .url = url_of(rq),
                                  .host = http_field(rq, "host"),
                                  .path = rq->path,
                                  .raw_query = raw_query_of(rq),
                                  .query = query_of(rq),
                                  .query_n = rq->query_n,
                                  .body = rq->body,
                                  .traceparent = str_of(v->traceparent),
                                  .peer = rq->conn->peer};
    to->headers = headers_of(rq, &to->headers_n);
    return to->url.at && to->query && to->headers ? ERR_OK : ERR_MEMORY;
}

/* ---- the answer ----------------------------------------------------------------------------- */

static void put_headers(struct http_request *rq, const struct invoke_answer *a, const char **type)
{
    for (size_t i = 0; i < a->headers_n; i++) {
        const struct http_header *h = &a->headers[i];
        if (str_is(h->name, "content-type") && !*type)
            *type = h->value.at;
        else
            http_header(rq, h->name.at, "%s", h->value.at);
        if (str_is(h->name, "content-encoding"))
            rq->wants_gzip = false; /* it is compressed already, or must not be */
    }
}

static void answer(struct invoking *v)
{
    struct invoke_answer a = v->op.answer; /* v goes with the request */
    const char *type = NULL;
    put_headers(v->rq, &a, &type);
    http_answer(v->rq, a.status, type, a.body);
    arena_free(&a.memory);
}

#define RETRY_S_MAX 3600u

static void refuse(struct invoking *v, enum err err)
{
    struct http_request *rq = v->rq;
    const struct err_text *text = &v->op.text;
    uint32_t s = v->op.retry_ms / 1000 + 1;
    if (err == ERR_METHOD)
        http_header(rq, "Allow", "%s", v->op.allow);
    if (v->op.retry_ms == 0) {
        http_answer_error(rq, err, text);
        return;
    }
    http_header(rq, "Retry-After", "%u", s < RETRY_S_MAX ? s : RETRY_S_MAX);
    http_answer_problem(rq, err_http(err), err_name(err), "%s",
                        text->s[0] ? text->s : err_meaning(err));
}

static void done(struct op *op)
{
    struct invoking *v = container_of(op, struct invoking, op.op);
    v->rq->cancel = NULL;
    if (op->err == ERR_OK) {
        answer(v);
        return;
    }
    invoke_free(&v->op);
    refuse(v, op->err);
}

/* Who has gone is not called for. One who still waits while weir stops gets what comes until his
 * connection is cut. */
static void cancel(struct http_request *rq)
{
    struct invoking *v = rq->state;
    if (!rq->conn->pipe || rq->conn->ended)
        broker_invoke_cancel(rq->broker, &v->op);
}

/* Function and parameters stay for as long as the request. */
static void invoke(struct http_request *rq, struct str function, const struct http_header *params,
                   size_t params_n)
{
    struct invoking *v = http_alloc(rq, 1, sizeof *v);
    if (!v) {
        http_answer_error(rq, ERR_MEMORY, NULL);
        return;
    }
    v->rq = rq;
    v->op.op.done = done;
    v->op.actor = &rq->actor;
    v->op.function = function;
    enum err err = fill(v);
    if (err) {
        http_answer_error(rq, err, NULL);
        return;
    }
    v->op.request.params = params;
    v->op.request.params_n = params_n;
    rq->state = v;
    rq->cancel = cancel;
    broker_invoke(rq->broker, &v->op);
}

void http_invoke(struct http_request *rq)
{
    invoke(rq, rq->params[0], NULL, 0);
}

/* ---- by a route ----------------------------------------------------------------------------- */

#define PATH_SEGMENTS_MAX 64 /* more than any template has: the rest of a path may be long */

struct path {
    struct str at[PATH_SEGMENTS_MAX];
    size_t n;
};

/* Decoded, behind each other. ERR_NOT_FOUND: no function has such a path. */
static enum err split_path(struct http_request *rq, struct str raw, struct path *out)
{
    char *to = http_alloc(rq, raw.len + 1, 1);
    if (!to)
        return ERR_MEMORY;
    while (raw.len > 0) {
        const char *slash = memchr(raw.at, '/', raw.len);
        struct str s = {raw.at, slash ? (size_t)(slash - raw.at) : raw.len}, plain;
        enum err err = uri_decode(s, false, &rq->arena, &plain);
        if (err || out->n == PATH_SEGMENTS_MAX)
            return err ? err : ERR_NOT_FOUND;
        memcpy(to, plain.at, plain.len);
        out->at[out->n++] = (struct str){to, plain.len};
        to[plain.len] = '/';
        to += plain.len + 1;
        size_t cut = s.len + (slash != NULL);
        raw = (struct str){raw.at + cut, raw.len - cut};
    }
    return ERR_OK;
}

/* The function may be gone before the answer: what is of it is copied. */
static struct http_header *keep_params(struct http_request *rq, const struct function_match *m)
{
    struct http_header *out = http_alloc(rq, m->params_n + 1, sizeof *out);
    for (size_t i = 0; out && i < m->params_n; i++) {
        const char *name = http_text(rq, m->params[i].name);
        if (!name)
            return NULL;
        out[i] = (struct http_header){str_of(name), m->params[i].value};
    }
    return out;
}

static enum err find(struct http_request *rq, struct function_match *m, char *allow)
{
    struct str raw = rq->path;
    struct path path = {.n = 0};
    raw = (struct str){raw.at + strlen("/api/"), raw.len - strlen("/api/")};
    enum err err = split_path(rq, raw, &path);
    return err ? err
               : function_route_find(rq->broker, path.at, path.n, method_name(rq->method), m,
                                     allow);
}

void http_invoke_route(struct http_request *rq)
{
    struct function_match m = {.params_n = 0};
    char allow[INVOKE_ALLOW_MAX] = "";
    enum err err = find(rq, &m, allow);
    const char *name = err ? NULL : http_text(rq, str_of(m.function->name));
    struct http_header *params = err ? NULL : keep_params(rq, &m);
    if (!err && (!name || !params))
        err = ERR_MEMORY;
    if (!err) {
        invoke(rq, str_of(name), params, m.params_n);
        return;
    }
    struct err_text text = {""};
    if (err == ERR_METHOD)
        http_header(rq, "Allow", "%s", allow);
    if (err == ERR_NOT_FOUND)
        err_say(&text, err, "no function with an HTTP trigger has this route");
    http_answer_error(rq, err, &text);
}
