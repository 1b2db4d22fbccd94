#include "ops/http.h"

#include "base/assert.h"
#include "base/list.h"
#include "base/mem.h"
#include "ops/metrics.h"

#include <http_parser.h>
#include <stdio.h>
#include <string.h>

#define RX_BYTES 4096
#define PLAIN "text/plain; charset=utf-8"

struct ops_http {
    struct broker *broker;
    ops_extra_fn *extra;
    void *arg;
    bool ready, closed;
    struct list conns; /* the one that has been quiet for longest first */
    unsigned open;
};

/* READING: bytes are parsed. GATHERING: the metrics are on their way, the next request is parsed
 * after them. CLOSING: nothing more is looked at or sent. */
enum conn_state { READING, GATHERING, CLOSING };

/* What is wrong with a head that the parser is told to refuse. */
enum refusal { MALFORMED, TARGET_TOO_LONG, HAS_BODY, HEAD_TOO_LARGE };

struct ops_conn {
    struct list link;
    struct ops_http *http;
    struct pipe *pipe; /* NULL: the client has gone */
    http_parser parser;
    char target[OPS_HTTP_TARGET_MAX + 1];
    size_t target_len;
    size_t head_bytes; /* of the present request, so far */
    enum conn_state state;
    enum refusal refusal;
    bool parsing; /* parse is on the stack */
    bool ending;  /* the client has ended its direction, or the port is being closed */
    bool keep;    /* the present request's keep-alive */
    uint8_t rx[RX_BYTES];
    size_t rx_from, rx_to;
};

/* ---- answers -------------------------------------------------------------------------------- */

static void conn_close(struct ops_conn *c)
{
    c->state = CLOSING;
    if (c->pipe)
        pipe_close(c->pipe);
}

static void send_answer(struct ops_conn *c, int status, const char *reason, const char *headers,
                        struct slice body)
{
    char head[320];
    struct chunkq q;
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %d %s\r\n%sContent-Length: %zu\r\nConnection: %s\r\n\r\n", status,
                     reason, headers, body.len, c->keep ? "keep-alive" : "close");
    weir_assert(n > 0 && (size_t)n < sizeof head);
    chunkq_init(&q);
    chunkq_add_copy(&q, head, (size_t)n);
    if (c->parser.method == HTTP_HEAD)
        slice_unref(body);
    else
        chunkq_add_slice(&q, body);
    (void)pipe_send(c->pipe, &q);
    if (!c->keep)
        conn_close(c);
}

static void send_text(struct ops_conn *c, int status, const char *reason, const char *text)
{
    const char *headers = status == 405 ? "Allow: GET, HEAD\r\nContent-Type: " PLAIN "\r\n"
                                        : "Content-Type: " PLAIN "\r\n";
    send_answer(c, status, reason, headers, slice_copy(text, strlen(text)));
}

static void conn_free(struct ops_conn *c)
{
    list_remove(&c->link);
    c->http->open--;
    mem_free(c);
}

static void parse(struct ops_conn *c);

static void metrics_ready(void *arg, struct slice page)
{
    struct ops_conn *c = arg;
    if (!c->pipe) {
        slice_unref(page);
        conn_free(c);
        return;
    }
    c->state = READING;
    send_answer(c, 200, "OK", "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n", page);
    if (c->parsing)
        return;
    parse(c);
    if (c->ending && c->state == READING)
        conn_close(c);
    pipe_resume(c->pipe);
}

static bool target_is(const struct ops_conn *c, const char *path)
{
    size_t n = strcspn(c->target, "?");
    return n == strlen(path) && !memcmp(c->target, path, n);
}

static void route(struct ops_conn *c)
{
    struct ops_http *http = c->http;
    bool metrics = target_is(c, "/metrics");
    if (c->parser.method != HTTP_GET && c->parser.method != HTTP_HEAD) {
        c->keep = false;
        send_text(c, 405, "Method Not Allowed", "only GET and HEAD are served here\n");
    } else if (target_is(c, "/healthz")) {
        send_text(c, 200, "OK", "ok\n");
    } else if ((metrics || target_is(c, "/readyz")) && !http->ready) {
        send_text(c, 503, "Service Unavailable", "starting or stopping\n");
    } else if (target_is(c, "/readyz")) {
        send_text(c, 200, "OK", "ready\n");
    } else if (metrics) {
        c->state = GATHERING;
        metrics_gather(http->broker, http->extra, http->arg, metrics_ready, c);
    } else {
        send_text(c, 404, "Not Found", "there are /healthz, /readyz and /metrics\n");
    }
}

/* The connection cannot be kept: where the next request begins is not known. */
static void refuse(struct ops_conn *c)
{
    c->keep = false;
    c->parser.method = HTTP_GET; /* the answer may have a body */
    switch (c->refusal) {
    case MALFORMED:
        send_text(c, 400, "Bad Request", "not an HTTP/1.1 request that is served here\n");
        break;
    case TARGET_TOO_LONG:
        send_text(c, 414, "URI Too Long", "there are /healthz, /readyz and /metrics\n");
        break;
    case HAS_BODY:
        send_text(c, 413, "Content Too Large", "a body is not taken here\n");
        break;
    case HEAD_TOO_LARGE:
        send_text(c, 431, "Request Header Fields Too Large", "16 KiB of head are the most\n");
        break;
    }
}

/* ---- parser --------------------------------------------------------------------------------- */

static int on_begin(http_parser *p)
{
    struct ops_conn *c = p->data;
    c->target_len = c->head_bytes = 0;
    c->target[0] = 0;
    c->refusal = MALFORMED;
    return 0;
}

static int on_url(http_parser *p, const char *at, size_t len)
{
    struct ops_conn *c = p->data;
    if (len > OPS_HTTP_TARGET_MAX - c->target_len) {
        c->refusal = TARGET_TOO_LONG;
        return 1;
    }
    memcpy(c->target + c->target_len, at, len);
    c->target_len += len;
    c->target[c->target_len] = 0;
    return 0;
}

/* Other methods are answered with what is wrong with them rather than with their body. */
static int on_head(http_parser *p)
{
    struct ops_conn *c = p->data;
    bool served = p->method == HTTP_GET || p->method == HTTP_HEAD;
    bool body = p->content_length > 0 && p->content_length != UINT64_MAX;
    if (p->http_major != 1)
        return 3; /* an error: parse no further */
    if (!body && !(p->flags & F_CHUNKED))
        return 0;
    c->refusal = HAS_BODY;
    if (!served)
        route(c);
    return 3;
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

/* Parses up to the end of one request, or of what is there. */
static void parse_some(struct ops_conn *c)
{
    size_t used = http_parser_execute(&c->parser, &parser_settings,
                                      (const char *)c->rx + c->rx_from, c->rx_to - c->rx_from);
    enum http_errno e = HTTP_PARSER_ERRNO(&c->parser);
    c->rx_from += used;
    c->head_bytes += used;
    if (c->state == CLOSING)
        return;
    bool wrong = e != HPE_OK && e != HPE_PAUSED;
    if (!wrong && c->head_bytes > OPS_HTTP_HEAD_MAX)
        c->refusal = HEAD_TOO_LARGE;
    if (wrong || c->refusal == HEAD_TOO_LARGE) {
        refuse(c);
    } else if (e == HPE_PAUSED) {
        http_parser_pause(&c->parser, 0);
        route(c);
    }
}

static void parse(struct ops_conn *c)
{
    c->parsing = true;
    while (c->state == READING && c->rx_from < c->rx_to)
        parse_some(c);
    c->parsing = false;
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

static void conn_end(struct ops_conn *c)
{
    c->ending = true;
    if (c->state == READING)
        conn_close(c);
}

static void conn_received(void *user, size_t n)
{
    struct ops_conn *c = user;
    if (n == 0) {
        conn_end(c);
        return;
    }
    list_remove(&c->link);
    list_push(&c->http->conns, &c->link);
    c->rx_to += n;
    parse(c);
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

/* ---- the port ------------------------------------------------------------------------------- */

static void close_quiet_one(struct ops_http *http)
{
    list_for (l, &http->conns) {
        struct ops_conn *c = container_of(l, struct ops_conn, link);
        if (c->state != READING)
            continue;
        conn_close(c);
        return;
    }
}

bool ops_http_accept(struct ops_http *http, struct pipe *pipe)
{
    if (http->closed || http->open >= 2 * OPS_HTTP_CONNECTIONS_MAX)
        return false;
    if (http->open >= OPS_HTTP_CONNECTIONS_MAX)
        close_quiet_one(http);
    struct ops_conn *c = mem_zalloc(1, sizeof *c);
    c->http = http;
    c->pipe = pipe;
    http_parser_init(&c->parser, HTTP_REQUEST);
    c->parser.data = c;
    pipe->user_ops = &conn_ops;
    pipe->user = c;
    list_push(&http->conns, &c->link);
    http->open++;
    return true;
}

void ops_http_close(struct ops_http *http)
{
    http->closed = true;
    list_for_safe (l, &http->conns)
        conn_end(container_of(l, struct ops_conn, link));
}

unsigned ops_http_open(const struct ops_http *http)
{
    return http->open;
}

struct ops_http *ops_http_make(struct broker *broker, ops_extra_fn *extra, void *arg)
{
    struct ops_http *http = mem_zalloc(1, sizeof *http);
    *http = (struct ops_http){.broker = broker, .extra = extra, .arg = arg};
    list_init(&http->conns);
    return http;
}

void ops_http_free(struct ops_http *http)
{
    weir_assert(http->open == 0);
    mem_free(http);
}

void ops_http_set_ready(struct ops_http *http, bool ready)
{
    http->ready = ready;
}
