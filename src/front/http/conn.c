#include "front/http/conn.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define CONN_MAGIC 0x68636f6eu

static size_t rx_unread(const struct http_conn *conn)
{
    return conn->rx_to - conn->rx_from;
}

static struct http_request *first_request(const struct http_conn *conn)
{
    return list_empty(&conn->requests)
               ? NULL
               : container_of(conn->requests.next, struct http_request, link);
}

static bool runs_beside(const struct http_request *rq)
{
    return rq->route && (rq->route->flags & HTTP_BESIDE);
}

static bool conn_full(const struct http_conn *conn)
{
    const struct http_request *first = first_request(conn);
    if (conn->output_full || !first)
        return conn->output_full;
    if (conn->requests_n >= (runs_beside(first) ? HTTP_PIPELINE_MAX : HTTP_AHEAD_MAX))
        return true;
    return !conn->reading && conn->request_bytes >= HTTP_PIPELINE_BYTES_MAX;
}

static void conn_send(struct http_conn *conn, struct chunkq *q)
{
    conn->queued += q->bytes;
    if (q->bytes && conn->step < HTTP_STEP_CLOSED && !pipe_send(conn->pipe, q))
        conn->output_full = true;
    chunkq_clear(q);
}

static void conn_close(struct http_conn *conn)
{
    if (conn->step == HTTP_STEP_CLOSED)
        return;
    conn->step = HTTP_STEP_CLOSED;
    pipe_close(conn->pipe);
}

void http_conn_cut(struct http_conn *conn)
{
    if (conn->step == HTTP_STEP_CLOSED)
        return;
    conn->step = HTTP_STEP_CLOSED;
    pipe_abort(conn->pipe, ERR_CLOSED);
}

static void conn_free(struct http_conn *conn)
{
    weir_assert(list_empty(&conn->requests));
    env_timer_stop(broker_env(conn->broker), &conn->timer);
    list_remove(&conn->link);
    conn->reactor->conns_n--;
    http_count(&conn->reactor->counters.connections, -1);
    buf_unref(conn->rx);
    conn->magic = 0;
    mem_free(conn);
}

static void watch(struct http_conn *conn);

/* ---- order ---------------------------------------------------------------------------------- */

/* What has not begun to run: nobody is to see its answer. */
static void drop_waiting(struct http_conn *conn)
{
    list_for_safe (l, &conn->requests) {
        struct http_request *rq = container_of(l, struct http_request, link);
        if (rq->run_state <= HTTP_QUEUED)
            http_request_free(rq);
    }
}

/* The answer after which the connection closes has left. */
static void last_answer(struct http_conn *conn)
{
    drop_waiting(conn);
    if (conn->step < HTTP_STEP_FINISH)
        conn->step = HTTP_STEP_FINISH;
}

/* Sends what is next in order; false: nothing was. */
static bool send_done(struct http_conn *conn)
{
    struct chunkq out;
    struct http_request *rq;
    bool moved = false;
    chunkq_init(&out);
    while ((rq = first_request(conn)) && rq->run_state >= HTTP_STREAMING) {
        bool keep = rq->keep_alive;
        chunkq_move(&out, &rq->out);
        if (rq->run_state == HTTP_STREAMING)
            break;
        http_request_free(rq);
        moved = true;
        if (!keep)
            last_answer(conn);
    }
    conn_send(conn, &out);
    return moved;
}

/* The next request that may start: the first of all, or one that runs beside all before it. */
static struct http_request *next_request(struct http_conn *conn)
{
    bool first = true;
    list_for (l, &conn->requests) {
        struct http_request *rq = container_of(l, struct http_request, link);
        if (rq->run_state == HTTP_QUEUED)
            return first || (runs_beside(rq) && !conn->creating) ? rq : NULL;
        if (!runs_beside(rq) || rq->run_state == HTTP_READING)
            return NULL;
        first = false;
    }
    return NULL;
}

static bool start_next(struct http_conn *conn)
{
    struct http_request *rq = conn->output_full ? NULL : next_request(conn);
    if (!rq)
        return false;
    rq->run_state = HTTP_RUNNING;
    rq->counted = !(rq->route->flags & HTTP_EARLY);
    if (rq->counted)
        http_count(&conn->reactor->counters.running, 1);
    rq->route->run(rq);
    return true;
}

bool http_conn_stream(struct http_request *rq)
{
    struct http_conn *conn = rq->conn;
    if (conn->step == HTTP_STEP_CLOSED)
        chunkq_clear(&rq->out);
    if (first_request(conn) == rq)
        conn_send(conn, &rq->out);
    if (!conn->running)
        watch(conn);
    return !conn->output_full;
}

/* ---- steps ---------------------------------------------------------------------------------- */

/* Each looks at the bytes in rx and says whether anything has changed by it. */

static void refuse_head(struct http_conn *conn, int status, const char *why)
{
    struct http_request *rq = http_request_make(conn);
    http_intake_refuse(conn, rq, status, "REQUEST_MALFORMED", why);
}

static bool drop_empty_line(struct http_conn *conn)
{
    const uint8_t *at = conn->rx->data + conn->rx_from;
    if (conn->line || rx_unread(conn) < 2 || at[0] != '\r' || at[1] != '\n' ||
        conn->empty_lines == HTTP_EMPTY_LINES_MAX)
        return false;
    conn->empty_lines++;
    conn->rx_from += 2;
    return true;
}

static void refuse_long_head(struct http_conn *conn)
{
    char why[80];
    snprintf(why, sizeof why, "the head has more than %zu bytes", HTTP_HEAD_BYTES_MAX);
    refuse_head(conn, conn->line ? 431 : 414, why);
}

static bool step_head(struct http_conn *conn)
{
    struct err_text text = {""};
    size_t end;
    if (conn_full(conn) || !rx_unread(conn))
        return false;
    if (drop_empty_line(conn))
        return true;
    const char *at = (const char *)conn->rx->data + conn->rx_from;
    enum err err = http_head_end(at, rx_unread(conn), &conn->line, &end, &text);
    if (err) {
        refuse_head(conn, 400, text.s);
        return true;
    }
    if ((end ? end : rx_unread(conn)) > HTTP_HEAD_BYTES_MAX) {
        refuse_long_head(conn);
        return true;
    }
    if (!end)
        return false;
    conn->empty_lines = 0;
    http_intake_head(conn, end);
    return true;
}

static bool take_length(struct http_conn *conn, struct http_request *rq)
{
    if (rx_unread(conn) < rq->length)
        return false;
    struct slice body = {conn->rx, conn->rx->data + conn->rx_from, rq->length};
    conn->rx_from += rq->length;
    http_intake_body(rq, slice_ref(body));
    return true;
}

static size_t reading_max(const struct http_request *rq)
{
    return rq->route->body_max ? rq->route->body_max : rq->conn->front->conf.body_max;
}

static bool take_chunks(struct http_conn *conn, struct http_request *rq)
{
    struct http_inflow *in = rq->inflow;
    size_t used;
    enum err err = chunked_take(&in->decoder, conn->rx->data + conn->rx_from, rx_unread(conn),
                                reading_max(rq), &in->body, &used);
    conn->rx_from += used;
    http_intake_hold(rq, in->body.len);
    if (err == ERR_MESSAGE_TOO_LARGE) {
        http_intake_refuse(conn, rq, 413, "BODY_TOO_LARGE", "the body is larger than may be sent");
    } else if (err) {
        http_intake_refuse(conn, rq, 400, "REQUEST_MALFORMED", "the chunks are not well formed");
    } else if (in->decoder.at == CHUNKED_DONE) {
        struct slice body = in->body.len ? wr_take(&in->body) : (struct slice){0};
        http_intake_body(rq, body);
    } else {
        return false;
    }
    return true;
}

static bool step_body(struct http_conn *conn)
{
    struct http_request *rq = conn->reading;
    if (!rx_unread(conn))
        return false;
    conn->continue_due = false; /* it sends without being asked to */
    return rq->chunked ? take_chunks(conn, rq) : take_length(conn, rq);
}

static bool step_skip(struct http_conn *conn)
{
    size_t n = rx_unread(conn);
    n = n < conn->skip ? n : (size_t)conn->skip;
    conn->rx_from += n;
    conn->skip -= n;
    if (conn->skip)
        return false;
    conn->step = HTTP_STEP_HEAD;
    return true;
}

static bool step_finish(struct http_conn *conn)
{
    conn->rx_from = conn->rx_to;
    return false;
}

#define step_linger step_finish
#define step_closed step_finish

static const struct {
    const char *name;
    bool (*run)(struct http_conn *conn);
} steps[] = {
#define S(NAME, name) [HTTP_STEP_##NAME] = {#name, step_##name},
    HTTP_CONN_STEPS(S)
#undef S
};

const char *http_step_name(enum http_step step)
{
    return steps[step].name;
}

/* ---- time ----------------------------------------------------------------------------------- */

static uint64_t sent_so_far(const struct http_conn *conn)
{
    return conn->queued - conn->pipe->unsent;
}

static enum http_wait waits_for(const struct http_conn *conn)
{
    bool idle = list_empty(&conn->requests);
    if (!conn->pipe || conn->step == HTTP_STEP_CLOSED)
        return HTTP_WAIT_NOTHING;
    if (conn->step == HTTP_STEP_LINGER)
        return HTTP_WAIT_LINGER;
    bool asked = !conn->continue_due || first_request(conn) == conn->reading;
    if (conn->reading && asked && !conn_full(conn))
        return HTTP_WAIT_BODY;
    if (idle && (rx_unread(conn) || conn->skip) && !conn->output_full)
        return HTTP_WAIT_HEAD;
    if (conn->pipe->unsent)
        return HTTP_WAIT_UNREAD;
    return idle ? HTTP_WAIT_IDLE : HTTP_WAIT_NOTHING;
}

static uint64_t patience_ms(const struct http_conn *conn, enum http_wait wait)
{
    switch (wait) {
    case HTTP_WAIT_HEAD:
        return HTTP_HEAD_MS;
    case HTTP_WAIT_BODY:
        return HTTP_BODY_MS +
               (conn->reading->chunked ? reading_max(conn->reading) : conn->reading->length) *
                   1000 / HTTP_BODY_RATE;
    case HTTP_WAIT_UNREAD:
        return HTTP_UNREAD_MS;
    case HTTP_WAIT_LINGER:
        return HTTP_LINGER_MS;
    default:
        return HTTP_IDLE_MS;
    }
}

/* The timer is moved only to fire earlier: one that fires too early looks again. */
static void watch_until(struct http_conn *conn, uint64_t until_us)
{
    struct env *env = broker_env(conn->broker);
    conn->until_us = until_us;
    if (env_timer_armed(&conn->timer) && conn->armed_us <= until_us)
        return;
    conn->armed_us = until_us;
    env_timer_set(env, &conn->timer, until_us - env_mono_us(env));
}

static void watch(struct http_conn *conn)
{
    enum http_wait wait = waits_for(conn);
    if (wait == conn->wait)
        return;
    conn->wait = wait;
    if (wait == HTTP_WAIT_NOTHING)
        return;
    if (wait == HTTP_WAIT_UNREAD)
        conn->sent = sent_so_far(conn);
    watch_until(conn, env_mono_us(broker_env(conn->broker)) + patience_ms(conn, wait) * 1000);
}

static void too_late(struct http_conn *conn)
{
    switch (conn->wait) {
    case HTTP_WAIT_HEAD:
        refuse_head(conn, 408, "the head took too long");
        break;
    case HTTP_WAIT_BODY:
        http_intake_refuse(conn, conn->reading, 408, "REQUEST_TIMEOUT", "the body took too long");
        break;
    case HTTP_WAIT_UNREAD:
        if (sent_so_far(conn) == conn->sent && conn->pipe->unsent)
            http_conn_cut(conn);
        break;
    default:
        conn_close(conn);
        break;
    }
    conn->wait = HTTP_WAIT_NOTHING;
}

static void timer_fired(struct env_timer *timer)
{
    struct http_conn *conn = container_of(timer, struct http_conn, timer);
    weir_check(conn, CONN_MAGIC);
    if (conn->wait == HTTP_WAIT_NOTHING || !conn->pipe)
        return;
    if (env_mono_us(broker_env(conn->broker)) < conn->until_us) {
        watch_until(conn, conn->until_us);
        return;
    }
    conn->running = true; /* what is answered here leaves below */
    too_late(conn);
    conn->running = false;
    http_conn_run(conn);
}

/* ---- the one place that moves a connection on ------------------------------------------------ */

static void send_continue(struct http_conn *conn)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct chunkq q;
    if (!conn->continue_due || first_request(conn) != conn->reading || !conn->pipe)
        return;
    conn->continue_due = false;
    chunkq_init(&q);
    chunkq_add_slice(&q, (struct slice){NULL, (const uint8_t *)text, sizeof text - 1});
    conn_send(conn, &q);
}

static void resume_reading(struct http_conn *conn)
{
    bool wanted = conn->step >= HTTP_STEP_FINISH || !conn_full(conn);
    if (!conn->reading_stopped || !wanted || conn->step == HTTP_STEP_CLOSED)
        return;
    conn->reading_stopped = false;
    pipe_resume(conn->pipe);
}

/* Nothing moves by itself any more: what follows from that. May free the connection. */
static void conn_settle(struct http_conn *conn)
{
    bool idle = list_empty(&conn->requests);
    if (idle && !conn->pipe) {
        conn_free(conn);
        return;
    }
    if (idle && conn->step == HTTP_STEP_FINISH && conn->linger_due && !conn->ended)
        conn->step = HTTP_STEP_LINGER;
    else if (idle && (conn->step == HTTP_STEP_FINISH || conn->ended))
        conn_close(conn);
    if (idle && conn->rx && !rx_unread(conn)) {
        buf_unref(conn->rx);
        conn->rx = NULL;
        conn->rx_from = conn->rx_to = 0;
    }
    send_continue(conn);
    resume_reading(conn);
    watch(conn);
}

void http_conn_run(struct http_conn *conn)
{
    if (conn->running)
        return;
    conn->running = true;
    for (bool moved = true; moved;) {
        moved = send_done(conn);
        moved |= steps[conn->step].run(conn);
        moved |= start_next(conn);
    }
    conn->running = false;
    conn_settle(conn);
}

/* Answers that come from inside of a cancel wait for http_conn_run: the list stays whole while it
 * is walked. */
void http_conn_cancel(struct http_conn *conn)
{
    weir_assert(!conn->running);
    conn->running = true;
    list_for_safe (l, &conn->requests) {
        struct http_request *rq = container_of(l, struct http_request, link);
        bool runs = rq->run_state == HTTP_RUNNING || rq->run_state == HTTP_STREAMING;
        if (runs && rq->cancel)
            rq->cancel(rq);
    }
    conn->running = false;
}

void http_conn_finish(struct http_conn *conn)
{
    if (conn->reading)
        http_request_free(conn->reading);
    if (conn->step < HTTP_STEP_FINISH)
        conn->step = HTTP_STEP_FINISH;
    list_for (l, &conn->requests)
        container_of(l, struct http_request, link)->keep_alive &= l->next != &conn->requests;
}

void http_conn_linger_no_more(struct http_conn *conn)
{
    conn->linger_due = false;
    if (conn->step == HTTP_STEP_LINGER)
        conn->step = HTTP_STEP_FINISH;
}

/* ---- pipe ----------------------------------------------------------------------------------- */

/* Room for `need` unread bytes from rx_from on, and for one byte at least behind what is there. A
 * buffer that nobody else holds is used again; else a fresh one takes the unread bytes. */
static bool rx_reserve(struct http_conn *conn, size_t need)
{
    size_t unread = rx_unread(conn);
    if (conn->rx && !unread && atomic_load_explicit(&conn->rx->refs, memory_order_acquire) == 1)
        conn->rx_from = conn->rx_to = 0;
    if (conn->rx && conn->rx->cap - conn->rx_from >= need && conn->rx->cap > conn->rx_to)
        return true;
    need = need > unread ? need : unread;
    struct buf *fresh = buf_try(need + conn->rx_bytes);
    if (!fresh)
        return false;
    if (unread)
        memcpy(fresh->data, conn->rx->data + conn->rx_from, unread);
    buf_unref(conn->rx);
    conn->rx = fresh;
    conn->rx_from = 0;
    conn->rx_to = unread;
    return true;
}

static void *conn_space(void *user, size_t *cap)
{
    struct http_conn *conn = user;
    weir_check(conn, CONN_MAGIC);
    if (conn->step >= HTTP_STEP_FINISH) {
        *cap = HTTP_WASTE_BYTES;
        return conn->reactor->waste;
    }
    bool body = conn->reading && !conn->reading->chunked;
    if (conn_full(conn)) {
        conn->reading_stopped = true;
        return NULL;
    }
    if (!rx_reserve(conn, body ? conn->reading->length : 0)) {
        http_conn_cut(conn); /* no memory even for this */
        return NULL;
    }
    *cap = conn->rx->cap - conn->rx_to;
    return conn->rx->data + conn->rx_to;
}

/* The client sends nothing more. What it asked before is answered, but not waited for. */
static void conn_ended(struct http_conn *conn)
{
    conn->ended = true;
    http_conn_finish(conn);
    http_conn_cancel(conn);
    http_conn_run(conn);
}

static void conn_received(void *user, size_t n)
{
    struct http_conn *conn = user;
    weir_check(conn, CONN_MAGIC);
    if (n == 0) {
        conn_ended(conn);
    } else if (conn->step >= HTTP_STEP_FINISH) {
        conn->lingered += n;
        if (conn->lingered > HTTP_LINGER_BYTES_MAX)
            http_conn_cut(conn);
    } else {
        conn->rx_to += n;
        if (conn->rx_to == conn->rx->cap && conn->rx_bytes < HTTP_RX_BYTES_MAX)
            conn->rx_bytes *= 2;
        http_conn_run(conn);
    }
}

static void conn_drained(void *user)
{
    struct http_conn *conn = user;
    weir_check(conn, CONN_MAGIC);
    struct http_request *rq = first_request(conn);
    conn->output_full = false;
    conn->running = true;
    if (rq && rq->run_state == HTTP_STREAMING && rq->drained)
        rq->drained(rq);
    conn->running = false;
    http_conn_run(conn);
}

static void conn_closed(void *user, enum err why)
{
    struct http_conn *conn = user;
    weir_check(conn, CONN_MAGIC);
    (void)why;
    conn->pipe = NULL;
    conn->step = HTTP_STEP_CLOSED;
    conn->output_full = false;
    drop_waiting(conn);
    http_conn_cancel(conn);
    http_conn_run(conn);
}

static const struct pipe_user_ops conn_ops = {
    .space = conn_space, .received = conn_received, .drained = conn_drained, .closed = conn_closed};

static bool is_loopback(const char *local)
{
    return !strncmp(local, "127.", 4) || !strncmp(local, "[::1]", 5);
}

bool http_conn_open(struct http_front *front, unsigned reactor, struct pipe *pipe,
                    const struct http_listener *listener)
{
    struct http_reactor *r = &front->reactors[reactor];
    struct http_conn *conn = mem_zalloc(1, sizeof *conn);
    conn->magic = CONN_MAGIC;
    conn->front = front;
    conn->reactor = r;
    conn->broker = front->brokers[reactor];
    conn->listener = listener;
    conn->pipe = pipe;
    conn->rx_bytes = HTTP_RX_BYTES_MIN;
    conn->timer.fire = timer_fired;
    conn->loopback = is_loopback(pipe->local);
    list_init(&conn->requests);
    snprintf(conn->peer, sizeof conn->peer, "%s", pipe->peer);
    list_push(&r->conns, &conn->link);
    r->conns_n++;
    http_count(&r->counters.connections, 1);
    pipe->user_ops = &conn_ops;
    pipe->user = conn;
    watch(conn);
    return true;
}
