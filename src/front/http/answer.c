#include "base/assert.h"
#include "base/json.h"
#include "front/http/conn.h"
#include "front/http/gzip.h"

#include <http_parser.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define GZIP_BYTES_MIN ((size_t)1 << 10) /* below it the head weighs more than the gain */
#define INLINE_BODY_MAX ((size_t)4 << 10)
#define RETRY_AFTER_S 1

/* ---- the head ------------------------------------------------------------------------------- */

/* RFC 9110, 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT", written once a second. */
static const char *date(struct http_reactor *r, const struct env *env)
{
    uint64_t now = env_now_ms(env) / 1000;
    if (r->date_s == now && r->date[0])
        return r->date;
    time_t t = (time_t)now;
    struct tm tm;
    r->date_s = now;
    if (!gmtime_r(&t, &tm) || !strftime(r->date, sizeof r->date, "%a, %d %b %Y %H:%M:%S GMT", &tm))
        r->date[0] = 0;
    return r->date;
}

static const char *reason(int status)
{
    return http_status_str((enum http_status)status);
}

/* Without printf: these are of every answer. */
static void put_number(struct wr *w, size_t n)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + n % 10);
    while (n /= 10);
    wr_bytes(w, digits + at, sizeof digits - at);
}

static void put_field(struct wr *w, const char *name, const char *value)
{
    wr_text(w, name);
    wr_text(w, value);
    wr_text(w, "\r\n");
}

static void put_status(struct http_request *rq, struct wr *w, int status, const char *content_type)
{
    struct http_conn *conn = rq->conn;
    wr_text(w, "HTTP/1.1 ");
    put_number(w, (size_t)status);
    put_field(w, " ", reason(status));
    put_field(w, "Date: ", date(conn->reactor, broker_env(conn->broker)));
    if (content_type)
        put_field(w, "Content-Type: ", content_type);
    if (rq->answer_fields.len)
        wr_bytes(w, rq->answer_fields.buf->data, rq->answer_fields.len);
    if (!rq->keep_alive)
        wr_text(w, "Connection: close\r\n");
    else if (rq->http10)
        wr_text(w, "Connection: keep-alive\r\n");
}

/* RFC 9110, 6.4.1: these never have a body, nor a length. */
static bool has_no_body(int status)
{
    return status < 200 || status == 204 || status == 304;
}

void http_header(struct http_request *rq, const char *name, const char *fmt, ...)
{
    struct wr *w = &rq->answer_fields;
    size_t begin = w->len;
    va_list args;
    wr_text(w, name);
    wr_text(w, ": ");
    size_t value = w->len;
    va_start(args, fmt);
    wr_vprintf(w, fmt, args);
    va_end(args);
    for (size_t i = value; i < w->len; i++) {
        if (w->buf->data[i] < ' ' || w->buf->data[i] == 0x7f) {
            w->len = begin;
            return;
        }
    }
    wr_text(w, "\r\n");
}

/* ---- compression ---------------------------------------------------------------------------- */

static bool is_compressible(const char *type)
{
    return type && (!strncmp(type, "text/", 5) || strstr(type, "json") || strstr(type, "xml"));
}

static void compress(struct http_request *rq, const char *type, struct chunkq *body)
{
    if (!is_compressible(type) || body->bytes < GZIP_BYTES_MIN)
        return;
    http_header(rq, "Vary", "Accept-Encoding");
    if (!rq->wants_gzip)
        return;
    for (const struct chunk *c = body->head; c; c = c->next) {
        if (c->file)
            return;
    }
    struct slice packed = gzip_deflate(body);
    if (!packed.buf)
        return;
    chunkq_clear(body);
    chunkq_add_slice(body, packed);
    http_header(rq, "Content-Encoding", "gzip");
}

/* ---- whole answers -------------------------------------------------------------------------- */

static void finished(struct http_request *rq)
{
    struct http_counters *counters = &rq->conn->reactor->counters;
    rq->run_state = HTTP_DONE;
    http_count(&counters->requests, 1);
    if (rq->counted)
        http_count(&counters->running, -1);
    http_conn_run(rq->conn);
}

/* A small body stands behind its head in one buffer. */
static void put_body(struct http_request *rq, struct wr *head, struct chunkq *body)
{
    bool inl = body->bytes <= INLINE_BODY_MAX;
    for (const struct chunk *c = body->head; c; c = c->next)
        inl &= !c->file;
    for (const struct chunk *c = body->head; c && inl; c = c->next)
        wr_bytes(head, c->slice.at, c->len);
    chunkq_add_slice(&rq->out, wr_take(head));
    if (!inl)
        chunkq_move(&rq->out, body);
}

void http_answer_chunks(struct http_request *rq, int status, const char *content_type,
                        struct chunkq *body)
{
    struct wr w;
    weir_assert(rq->run_state == HTTP_RUNNING);
    compress(rq, content_type, body);
    wr_init(&w, 256 + rq->answer_fields.len + INLINE_BODY_MAX / 8);
    put_status(rq, &w, status, content_type);
    bool told = rq->method != METHOD_HEAD || body->bytes > 0; /* else nobody knows how long it is */
    if (!has_no_body(status) && told) {
        wr_text(&w, "Content-Length: ");
        put_number(&w, body->bytes);
        wr_text(&w, "\r\n");
    }
    wr_text(&w, "\r\n");
    if (rq->method == METHOD_HEAD || has_no_body(status))
        chunkq_clear(body);
    put_body(rq, &w, body);
    chunkq_clear(body);
    finished(rq);
}

void http_answer(struct http_request *rq, int status, const char *content_type, struct slice body)
{
    struct chunkq q;
    chunkq_init(&q);
    chunkq_add_slice(&q, body);
    http_answer_chunks(rq, status, content_type, &q);
}

void http_answer_written(struct http_request *rq, int status, const char *content_type,
                         struct wr *body)
{
    http_answer(rq, status, content_type, body->len ? wr_take(body) : (struct slice){0});
}

void http_answer_text(struct http_request *rq, int status, const char *text)
{
    struct slice body = {NULL, (const uint8_t *)text, strlen(text)};
    http_answer(rq, status, "text/plain; charset=utf-8",
                body.len ? slice_copy(text, body.len) : body);
}

void http_answer_empty(struct http_request *rq, int status)
{
    http_answer(rq, status, NULL, (struct slice){0});
}

static int dump_json(const char *p, size_t n, void *arg)
{
    wr_bytes(arg, p, n);
    return 0;
}

void http_answer_json(struct http_request *rq, int status, json_t *json)
{
    struct wr w;
    wr_init(&w, 256);
    int bad = json_dump_callback(json, dump_json, &w, JSON_COMPACT | JSON_ENCODE_ANY);
    weir_assert(!bad);
    json_decref(json);
    wr_u8(&w, '\n');
    http_answer_written(rq, status, "application/json", &w);
}

/* ---- errors --------------------------------------------------------------------------------- */

/* RFC 9457. */
static const char *put_problem(struct wr *w, int status, const char *code, const char *detail)
{
    wr_text(w, "{\"type\":\"about:blank\",\"title\":");
    json_write_string(w, str_of(reason(status)));
    wr_printf(w, ",\"status\":%d,\"code\":", status);
    json_write_string(w, str_of(code));
    wr_text(w, ",\"detail\":");
    json_write_string(w, str_of(detail));
    wr_text(w, "}\n");
    return "application/problem+json";
}

static void answer_problem(struct http_request *rq, int status, const char *code,
                           const char *detail)
{
    http_problem_fn *put = rq->route && rq->route->problem ? rq->route->problem : put_problem;
    struct wr w;
    wr_init(&w, 256);
    const char *type = put(&w, status, code, detail);
    http_answer_written(rq, status, type, &w);
}

void http_answer_error(struct http_request *rq, enum err err, const struct err_text *text)
{
    int status = err_http(err);
    if (status == 429 || status == 503)
        http_header(rq, "Retry-After", "%d", RETRY_AFTER_S);
    answer_problem(rq, status, err_name(err), text && text->s[0] ? text->s : err_meaning(err));
}

void http_answer_problem(struct http_request *rq, int status, const char *code, const char *fmt,
                         ...)
{
    char detail[2 * ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);
    answer_problem(rq, status, code, detail);
}

/* ---- answers that go on --------------------------------------------------------------------- */

void http_stream_begin(struct http_request *rq, int status, const char *content_type)
{
    struct wr w;
    weir_assert(rq->run_state == HTTP_RUNNING);
    rq->chunking = !rq->http10;
    rq->keep_alive &= rq->chunking;
    wr_init(&w, 256);
    put_status(rq, &w, status, content_type);
    if (rq->chunking)
        wr_text(&w, "Transfer-Encoding: chunked\r\n");
    wr_text(&w, "\r\n");
    chunkq_add_slice(&rq->out, wr_take(&w));
    rq->run_state = HTTP_STREAMING;
    http_count(&rq->conn->reactor->counters.streams, 1);
    (void)http_conn_stream(rq);
}

bool http_stream_send(struct http_request *rq, struct chunkq *q)
{
    char size[24];
    weir_assert(rq->run_state == HTTP_STREAMING);
    if (rq->method == METHOD_HEAD)
        chunkq_clear(q);
    if (q->bytes && rq->chunking) {
        int n = snprintf(size, sizeof size, "%zx\r\n", q->bytes);
        chunkq_add_copy(&rq->out, size, (size_t)n);
        chunkq_move(&rq->out, q);
        chunkq_add_slice(&rq->out, (struct slice){NULL, (const uint8_t *)"\r\n", 2});
    } else {
        chunkq_move(&rq->out, q);
    }
    return http_conn_stream(rq);
}

void http_stream_end(struct http_request *rq, bool whole)
{
    weir_assert(rq->run_state == HTTP_STREAMING);
    if (!whole)
        http_conn_cut(rq->conn);
    else if (rq->chunking && rq->method != METHOD_HEAD)
        chunkq_add_slice(&rq->out, (struct slice){NULL, (const uint8_t *)"0\r\n\r\n", 5});
    http_count(&rq->conn->reactor->counters.streams, -1);
    finished(rq);
}
