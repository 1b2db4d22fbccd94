/* GET /topics/{topic} with Accept: text/event-stream: the topic as it grows, as server-sent events
 * (WHATWG HTML, 9.2), for EventSource in a browser and curl -N.
 *
 *     id: <cursor>            where to go on after this event: a client that comes back sends it as
 *     data: {"specversion":"1.0", ...}                                  Last-Event-ID by itself
 *
 * partition, offset, time and cursor as in read_topic.c, but it begins with what is latest unless
 * told otherwise. A comment is sent every TAIL_HEARTBEAT_MS, so that proxies keep the connection.
 * Where retention was faster than the reader, an event of type weir.gap says what is missing. A
 * client that reads slowly is not read for while TAIL_UNSENT_MAX bytes wait for it; one that reads
 * nothing is cut (HTTP_UNREAD_MS), and resumes where it was.
 */
#include "front/http/conn.h"
#include "front/http/events_out.h"
#include "front/http/start.h"
#include "front/http/topic_for.h"
#include "front/http/verbs.h"

#define TAIL_HEARTBEAT_MS 15000
#define TAIL_RETRY_MS 2000
#define TAIL_BYTES ((size_t)256 << 10) /* of one go: others have their turn behind it */
#define TAIL_UNSENT_MAX ((size_t)512 << 10)
#define TAIL_LOOK_MS 5
#define TAIL_IDS_MAX 16 /* partitions up to which every event has its id */

struct tail {
    struct reader *reader;
    struct start start;
    struct env_timer heartbeat;
    struct env_timer go;  /* for the next go: in a turn of its own, so that others have theirs */
    struct wr out;        /* of the present go */
    struct arena scratch; /* of one event */
    bool cancelled;
};

static struct env *env_of(const struct tail *tail)
{
    return broker_env(tail->reader->rq->broker);
}

static size_t unsent(const struct tail *tail)
{
    const struct pipe *pipe = tail->reader->rq->conn->pipe;
    return pipe ? pipe->unsent : 0;
}

static void send_out(struct tail *tail, struct slice text)
{
    struct chunkq q;
    chunkq_init(&q);
    chunkq_add_slice(&q, text);
    (void)http_stream_send(tail->reader->rq, &q); /* go_on looks at what is unsent */
}

static void heartbeat(struct env_timer *timer)
{
    struct tail *tail = container_of(timer, struct tail, heartbeat);
    env_timer_set(env_of(tail), &tail->heartbeat, TAIL_HEARTBEAT_MS * 1000ull);
    if (!unsent(tail))
        send_out(tail, (struct slice){NULL, (const uint8_t *)":\n\n", 3});
}

static void put_id(struct tail *tail)
{
    wr_text(&tail->out, "id: ");
    reader_write_places(tail->reader, &tail->out);
    wr_u8(&tail->out, '\n');
}

/* JSON has line ends between its tokens only, where a blank says the same; in a stream they would
 * end the field. */
static void join_lines(struct wr *w, size_t from)
{
    for (size_t i = from; i < w->len; i++) {
        if (w->buf->data[i] == '\n' || w->buf->data[i] == '\r')
            w->buf->data[i] = ' ';
    }
}

/* ---- the reader ----------------------------------------------------------------------------- */

static bool take_record(struct reader *r, const struct reader_part *part,
                        const struct record *record)
{
    struct tail *tail = r->rq->state;
    if (tail->out.len >= TAIL_BYTES)
        return false;
    wr_text(&tail->out, "data: ");
    size_t from = tail->out.len;
    events_out_json(r, part, record, &tail->scratch, &tail->out);
    join_lines(&tail->out, from);
    wr_u8(&tail->out, '\n');
    if (r->parts_n <= TAIL_IDS_MAX)
        put_id(tail);
    wr_u8(&tail->out, '\n');
    return true;
}

static void gap(struct reader *r, const struct reader_part *part, int64_t log_start)
{
    struct tail *tail = r->rq->state;
    wr_printf(&tail->out, "event: weir.gap\ndata: {\"partition\":%d,\"from\":%lld,\"to\":%lld}\n\n",
              part->place.partition, (long long)part->place.offset, (long long)log_start);
}

static void end(struct tail *tail, bool whole)
{
    env_timer_stop(env_of(tail), &tail->heartbeat);
    env_timer_stop(env_of(tail), &tail->go);
    wr_free(&tail->out);
    arena_free(&tail->scratch);
    http_stream_end(tail->reader->rq, whole);
}

static void go_on(struct env_timer *timer)
{
    struct tail *tail = container_of(timer, struct tail, go);
    if (unsent(tail) > TAIL_UNSENT_MAX)
        env_timer_set(env_of(tail), &tail->go, TAIL_LOOK_MS * 1000);
    else
        reader_go(tail->reader, TAIL_BYTES, READER_FOREVER);
}

static void paused(struct reader *r, enum err err)
{
    struct tail *tail = r->rq->state;
    if (r->told && r->parts_n > TAIL_IDS_MAX) {
        put_id(tail); /* an id alone is kept by the client, and no event */
        wr_u8(&tail->out, '\n');
    }
    if (err && !tail->cancelled)
        wr_printf(&tail->out, "event: weir.error\ndata: %s\n\n", err_name(err));
    if (tail->out.len)
        send_out(tail, wr_take(&tail->out));
    if (err || tail->cancelled)
        end(tail, true);
    else
        env_timer_set(env_of(tail), &tail->go, 1); /* us: the next turn */
}

/* The client has gone or the broker stops. What is under way comes to paused. */
static void cancel(struct http_request *rq)
{
    struct tail *tail = rq->state;
    bool between = rq->run_state == HTTP_STREAMING && !tail->reader->going;
    tail->cancelled = true;
    reader_cancel(tail->reader);
    if (between)
        end(tail, true);
}

static void started(struct reader *r, enum err err)
{
    struct http_request *rq = r->rq;
    struct tail *tail = rq->state;
    if (err) {
        arena_free(&tail->scratch);
        http_answer_error(rq, err, &r->text);
        return;
    }
    http_header(rq, "Cache-Control", "no-store");
    http_header(rq, "X-Accel-Buffering", "no"); /* nginx: pass it on as it comes */
    http_stream_begin(rq, 200, "text/event-stream");
    wr_printf(&tail->out, "retry: %d\n\n", TAIL_RETRY_MS);
    send_out(tail, wr_take(&tail->out));
    tail->go.fire = go_on;
    tail->heartbeat.fire = heartbeat;
    env_timer_set(env_of(tail), &tail->heartbeat, TAIL_HEARTBEAT_MS * 1000ull);
    reader_go(r, TAIL_BYTES, READER_FOREVER);
}

/* ---- request -------------------------------------------------------------------------------- */

static const struct reader_ops ops = {
    .started = started, .record = take_record, .gap = gap, .paused = paused};

static enum err read_query(struct http_request *rq, struct tail *tail, const struct topic **t,
                           struct err_text *text)
{
    static const char *const names[] = {"partition", "offset", "time", "cursor", NULL};
    struct str cursor = http_field(rq, "last-event-id");
    enum err err = http_query_only(rq, names, text);
    if (!err)
        err = http_topic(rq, rq->params[0], t, text);
    if (!cursor.len)
        cursor = http_query(rq, "cursor");
    if (!err)
        err = start_read(rq, *t, cursor, LIST_LATEST, &tail->start, text);
    return err;
}

void http_tail(struct http_request *rq)
{
    struct err_text text = {""};
    const struct topic *t;
    struct tail *tail = http_alloc(rq, 1, sizeof *tail);
    enum err err = tail ? read_query(rq, tail, &t, &text) : ERR_MEMORY;
    if (!err)
        err = reader_make(rq, t, tail->start.partition, &ops, &tail->reader, &text);
    if (err) {
        http_answer_error(rq, err, &text);
        return;
    }
    rq->state = tail;
    rq->cancel = cancel;
    arena_init(&tail->scratch, EVENTS_OUT_MEMORY);
    start_go(&tail->start, tail->reader);
}
