/* GET /topics/{topic}: events out, as a batch, or (Accept: text/event-stream) as they come, which
 * is tail.c's.
 *
 *     partition=N                one; else all
 *     offset=earliest|latest|N   where to begin; a number only with partition=. earliest by default
 *     time=2026-01-31T12:00:00Z  at the first record of that time or later
 *     cursor=...                 where an answer has ended
 *     max=N                      events; READ_EVENTS_DEFAULT by default
 *     wait=30s                   for the first event, if there is none yet
 *
 * The answer is application/cloudevents-batch+json, [] if nothing came. Weir-Cursor says where it
 * ends, for every partition in one text, and Link (rel="next") is the request that goes on there.
 * It has at most READ_BYTES events' JSON, but always one event.
 */
#include "base/when.h"
#include "front/http/events_out.h"
#include "front/http/start.h"
#include "front/http/topic_for.h"
#include "front/http/uri.h"
#include "front/http/verbs.h"

#define READ_EVENTS_DEFAULT 100
#define READ_EVENTS_MAX 10000
#define READ_BYTES ((size_t)1 << 20)
#define READ_WAIT_MAX_MS 300000

struct reading {
    struct reader *reader;
    struct start start;
    int64_t max, wait_ms;
    struct wr body;
    struct arena scratch; /* of one event */
    uint64_t n;
};

/* ---- answer --------------------------------------------------------------------------------- */

static void put_cursor(struct http_request *rq, const struct reading *g)
{
    struct wr cursor, link;
    struct str wait = http_query(rq, "wait"), partition = http_query(rq, "partition");
    wr_init(&cursor, 64);
    wr_init(&link, 128);
    reader_write_places(g->reader, &cursor);
    http_header(rq, "Weir-Cursor", "%.*s", (int)cursor.len, (const char *)cursor.buf->data);
    wr_printf(&link, "</topics/%s?cursor=%.*s&max=%lld", g->reader->topic_name, (int)cursor.len,
              (const char *)cursor.buf->data, (long long)g->max);
    if (partition.at)
        wr_printf(&link, "&partition=%.*s", (int)partition.len, partition.at);
    if (wait.at) {
        wr_text(&link, "&wait=");
        uri_encode(&link, wait);
    }
    http_header(rq, "Link", "%.*s>; rel=\"next\"", (int)link.len, (const char *)link.buf->data);
    wr_free(&cursor);
    wr_free(&link);
}

static bool take_record(struct reader *r, const struct reader_part *part,
                        const struct record *record)
{
    struct reading *g = r->rq->state;
    if (g->n == (uint64_t)g->max || (g->n && g->body.len >= READ_BYTES))
        return false;
    wr_text(&g->body, g->n++ ? "," : "[");
    events_out_json(r, part, record, &g->scratch, &g->body);
    return true;
}

static void paused(struct reader *r, enum err err)
{
    struct http_request *rq = r->rq;
    struct reading *g = rq->state;
    arena_free(&g->scratch);
    if (err && g->n == 0) {
        wr_free(&g->body);
        http_answer_error(rq, err, &r->text);
        return;
    }
    wr_text(&g->body, g->n ? "]\n" : "[]\n");
    put_cursor(rq, g);
    http_answer_written(rq, 200, "application/cloudevents-batch+json", &g->body);
}

/* ---- request -------------------------------------------------------------------------------- */

static void started(struct reader *r, enum err err)
{
    struct reading *g = r->rq->state;
    if (err)
        paused(r, err);
    else
        reader_go(r, READ_BYTES, (uint32_t)g->wait_ms);
}

static void cancel(struct http_request *rq)
{
    reader_cancel(((struct reading *)rq->state)->reader);
}

static const struct reader_ops ops = {.started = started, .record = take_record, .paused = paused};

static enum err read_wait(struct http_request *rq, int64_t *out, struct err_text *text)
{
    struct str wait = http_query(rq, "wait");
    if (!wait.at || rq->method == METHOD_HEAD)
        return ERR_OK;
    if (!when_duration(wait, out) || *out < 0 || *out > READ_WAIT_MAX_MS)
        return err_say(text, ERR_REQUEST_INVALID,
                       "wait must be a time like 30s, of at most %d s, got \"%.*s\"",
                       READ_WAIT_MAX_MS / 1000, (int)(wait.len < 40 ? wait.len : 40), wait.at);
    return ERR_OK;
}

static enum err read_query(struct http_request *rq, struct reading *g, const struct topic **t,
                           struct err_text *text)
{
    static const char *const names[] = {"partition", "offset", "time", "cursor",
                                        "max",       "wait",   NULL};
    *g = (struct reading){.max = READ_EVENTS_DEFAULT};
    enum err err = http_query_only(rq, names, text);
    if (!err)
        err = http_query_int(rq, "max", 1, READ_EVENTS_MAX, &g->max, text);
    if (!err)
        err = read_wait(rq, &g->wait_ms, text);
    if (!err)
        err = http_topic(rq, rq->params[0], t, text);
    if (!err)
        err = start_read(rq, *t, http_query(rq, "cursor"), LIST_EARLIEST, &g->start, text);
    return err;
}

void http_read_topic(struct http_request *rq)
{
    struct err_text text = {""};
    const struct topic *t;
    if (http_accepts(rq, "text/event-stream") && rq->method != METHOD_HEAD) {
        http_tail(rq);
        return;
    }
    struct reading *g = http_alloc(rq, 1, sizeof *g);
    enum err err = g ? read_query(rq, g, &t, &text) : ERR_MEMORY;
    if (!err)
        err = reader_make(rq, t, g->start.partition, &ops, &g->reader, &text);
    if (err) {
        http_answer_error(rq, err, &text);
        return;
    }
    rq->state = g;
    rq->cancel = cancel;
    wr_init(&g->body, 1024);
    arena_init(&g->scratch, EVENTS_OUT_MEMORY);
    start_go(&g->start, g->reader);
}
