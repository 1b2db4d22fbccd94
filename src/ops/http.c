#include "ops/http.h"

#include "base/assert.h"
#include "base/list.h"
#include "base/mem.h"
#include "ops/metrics.h"

#include <http_parser.h>
#include <stdio.h>
#include <string.h>

#define TARGET_MAX 256
#define RX_BYTES 4096

struct ops_http {
    struct broker *broker;
    ops_extra_fn *extra;
    void *arg;
    bool ready;
    unsigned open;
};

struct ops_conn {
    struct ops_http *http;
    struct pipe *pipe; /* NULL: the client has gone */
    http_parser parser;
    char target[TARGET_MAX];
    size_t target_len;
    size_t head_bytes;
    /* READING: bytes are parsed. GATHERING: the metrics are on their way, the next request is
     * parsed after them. CLOSING: what comes is not looked at. */
    enum { READING, GATHERING, CLOSING } state;
    bool keep; /* the present request's keep-alive */
    uint8_t rx[RX_BYTES];
    size_t rx_from, rx_to;
};

/* ---- answers -------------------------------------------------------------------------------- */

static void send_answer(struct ops_conn *c, int status, const char *reason, const char *type,
                        struct slice body)
{
    char head[256];
    struct chunkq q;
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                     "Connection: %s\r\n\r\n",
                     status, reason, type, body.len, c->keep ? "keep-alive" : "close");
    chunkq_init(&q);
    chunkq_add_copy(&q, head, (size_t)n);
    if (c->parser.method == HTTP_HEAD)
        slice_unref(body);
    else
        chunkq_add_slice(&q, body);
    (void)pipe_send(c->pipe, &q);
    if (!c->keep) {
        c->state = CLOSING;
        pipe_close(c->pipe);
    }
}

static void send_text(struct ops_conn *c, int status, const char *reason, const char *text)
{
    send_answer(c, status, reason, "text/plain; charset=utf-8", slice_copy(text, strlen(text)));
}

static void conn_free(struct ops_conn *c)
{
    c->http->open--;
    mem_free(c);
}

static void parse(struct ops_conn *c);

static void metrics_ready(void *arg, struct slice page)
{
    struct ops_conn *c = arg;
    c->state = READING;
    if (!c->pipe) {
        slice_unref(page);
        conn_free(c);
        return;
    }
    send_answer(c, 200, "OK", "text/plain; version=0.0.4; charset=utf-8", page);
    parse(c);
}

static bool target_is(const struct ops_conn *c, const char *path)
{
    size_t n = strcspn(c->target, "?");
    return n == strlen(path) && !memcmp(c->target, path, n);
}

static void route(struct ops_conn *c)
{
    struct ops_http *http = c->http;
    if (c->parser.method != HTTP_GET && c->parser.method != HTTP_HEAD) {
        c->keep = false;
        send_text(c, 405, "Method Not Allowed", "only GET and HEAD are served here\n");
    } else if (target_is(c, "/healthz")) {
        send_text(c, 200, "OK", "ok\n");
    } else if (target_is(c, "/readyz")) {
        send_text(c, http->ready ? 200 : 503, http->ready ? "OK" : "Service Unavailable",
                  http->ready ? "ready\n" : "starting or stopping\n");
    } else if (target_is(c, "/metrics") && http->ready) {
        c->state = GATHERING;
        metrics_gather(http->broker, http->extra, http->arg, metrics_ready, c);
    } else if (target_is(c, "/metrics")) {
        send_text(c, 503, "Service Unavailable", "starting or stopping\n");
    } else {
        send_text(c, 404, "Not Found", "there are /healthz, /readyz and /metrics\n");
    }
}

/* ---- parser --------------------------------------------------------------------------------- */

static int on_url(http_parser *p, const char *at, size_t len)
{
    struct ops_conn *c = p->data;
    if (c->target_len + len >= TARGET_MAX)
        return 1;
    memcpy(c->target + c->target_len, at, len);
    c->target_len += len;
    c->target[c->target_len] = 0;
    return 0;
}

static int on_begin(http_parser *p)
{
    struct ops_conn *c = p->data;
    c->target_len = c->head_bytes = 0;
    c->target[0] = 0;
    return 0;
}

static int on_head(http_parser *p)
{
    struct ops_conn *c = p->data;
    bool body = p->content_length > 0 && p->content_length != UINT64_MAX;
    c->head_bytes = 0;
    return body || (p->flags & F_CHUNKED) ? 3 : 0; /* 3: an error */
}

/* Stops the parser behind each request: its answer comes first. */
static int on_complete(http_parser *p)
{
    struct ops_conn *c = p->data;
    c->keep = http_should_keep_alive(p) != 0;
    http_parser_pause(p, 1);
    return 0;
}

static const http_parser_settings parser_settings = {.on_message_begin = on_begin,
                                                     .on_url = on_url,
                                                     .on_headers_complete = on_head,
                                                     .on_message_complete = on_complete};

static void refuse(struct ops_conn *c)
{
    c->keep = false;
    c->parser.method = HTTP_GET;
    send_text(c, 400, "Bad Request", "not an HTTP/1.1 request that is served here\n");
}

static void parse(struct ops_conn *c)
{
    while (c->state == READING && c->rx_from < c->rx_to) {
        size_t used = http_parser_execute(&c->parser, &parser_settings,
                                          (const char *)c->rx + c->rx_from, c->rx_to - c->rx_from);
        enum http_errno e = HTTP_PARSER_ERRNO(&c->parser);
        c->rx_from += used;
        c->head_bytes += used;
        if ((e != HPE_OK && e != HPE_PAUSED) || c->head_bytes > OPS_HTTP_HEAD_MAX) {
            refuse(c);
        } else if (e == HPE_PAUSED) {
            http_parser_pause(&c->parser, 0);
            route(c);
        }
    }
    if (c->rx_from == c->rx_to || c->state == CLOSING)
        c->rx_from = c->rx_to = 0;
}

/* ---- pipe ----------------------------------------------------------------------------------- */

static void *conn_space(void *user, size_t *cap)
{
    struct ops_conn *c = user;
    *cap = RX_BYTES - c->rx_to;
    return *cap ? c->rx + c->rx_to : NULL;
}

static void conn_received(void *user, size_t n)
{
    struct ops_conn *c = user;
    if (n == 0) {
        pipe_close(c->pipe);
        return;
    }
    c->rx_to += n;
    parse(c);
    if (c->pipe)
        pipe_resume(c->pipe);
}

static void conn_closed(void *user, enum err why)
{
    struct ops_conn *c = user;
    (void)why;
    c->pipe = NULL;
    if (c->state != GATHERING)
        conn_free(c);
}

static const struct pipe_user_ops conn_ops = {
    .space = conn_space, .received = conn_received, .closed = conn_closed};

bool ops_http_accept(struct ops_http *http, struct pipe *pipe)
{
    if (http->open >= OPS_HTTP_CONNECTIONS_MAX)
        return false;
    struct ops_conn *c = mem_zalloc(1, sizeof *c);
    c->http = http;
    c->pipe = pipe;
    http_parser_init(&c->parser, HTTP_REQUEST);
    c->parser.data = c;
    pipe->user_ops = &conn_ops;
    pipe->user = c;
    http->open++;
    return true;
}

struct ops_http *ops_http_make(struct broker *broker, ops_extra_fn *extra, void *arg)
{
    struct ops_http *http = mem_zalloc(1, sizeof *http);
    *http = (struct ops_http){.broker = broker, .extra = extra, .arg = arg};
    return http;
}

void ops_http_free(struct ops_http *http)
{
    mem_free(http);
}

void ops_http_set_ready(struct ops_http *http, bool ready)
{
    http->ready = ready;
}
