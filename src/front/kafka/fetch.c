/* fetch.c: Fetch (KIP-74 sizes, KIP-227 sessions, KIP-320 epochs, KIP-516 topic ids).
 *
 *     ENTER     the session, or a temporary one; its partitions are brought up to date
 *     READ      partition after partition, until the answer is full; errors are answers too
 *     WAIT      fewer than min_bytes and nothing wrong: a watch on every partition and a timer;
 *               what comes first leads back to READ, or to ANSWER when the time is over
 *     ANSWER    encoded by hand around the file ranges that the reads gave
 *
 * The request is decoded by the table; a partition's records never pass through memory here.
 */
#include "front/kafka/conn.h"
#include "front/kafka/fetch_session.h"
#include "front/kafka/verbs.h"

#define FETCH_BYTES_MAX ((size_t)64 << 20) /* in one answer, whatever the client asks */

struct fetch;

struct fetch_part {
    struct fetch *all;
    struct fetch_partition *want;
    struct read_op read;
    struct watch_op watch;
    enum err err;
    bool watching;
};

struct fetch {
    struct kafka_request *rq;
    struct fetch_sessions *sessions;
    struct fetch_session *session;
    struct fetch_part *parts;
    size_t parts_n, next; /* next: to be read */
    size_t bytes;         /* read so far */
    size_t bytes_max, bytes_min;
    bool committed; /* isolation level */
    bool failed;    /* a partition has an error to tell */
    bool timed_out; /* no more waiting: the time is over, the client gone, or the broker stops */
    bool woken;     /* a watch has fired */
    bool busy;      /* reads or watches are being begun or ended: what is done meanwhile is seen
                     * by who does that */
    size_t watches; /* not yet done */
    uint64_t until_us;
    struct env_timer timer;
};

static void fetch_round(struct fetch *f);
static void fetch_step(struct fetch *f);

static struct broker *broker_of(const struct fetch *f)
{
    return f->rq->conn->broker;
}

/* ---- answer --------------------------------------------------------------------------------- */

/* An incremental answer names only what has something to say. */
static bool part_is_shown(const struct fetch *f, const struct fetch_part *p)
{
    const struct fetch_partition *w = p->want;
#ifdef FAULT_session_full
    return true;
#endif
    return f->session->full || p->err || p->read.records.bytes || p->read.diverging_epoch >= 0 ||
           w->high_watermark_sent != p->read.high_watermark ||
           w->log_start_sent != p->read.log_start;
}

static bool same_topic(const struct fetch_part *a, const struct fetch_part *b)
{
    if (a->want->name.at && b->want->name.at)
        return str_eq(a->want->name, b->want->name);
    return !a->want->name.at && !b->want->name.at && uuid_eq(a->want->topic, b->want->topic);
}

/* Tag 0 of a partition: where the client's log and this one part (KIP-320). */
static void put_part_tags(const struct fetch_part *p, struct wr *w)
{
    bool diverging = !p->err && p->read.diverging_epoch >= 0;
    wr_uvarint(w, diverging);
    if (diverging) {
        wr_uvarint(w, 0);
        wr_uvarint(w, 4 + 8 + 1);
        wr_i32(w, p->read.diverging_epoch);
        wr_i64(w, p->read.diverging_end);
        wire_put_no_tags(w);
    }
}

static void put_part(struct fetch *f, struct fetch_part *p, struct wr *w)
{
    struct kafka_request *rq = f->rq;
    bool known = !p->err || p->err == ERR_OFFSET_RANGE;
    wr_i32(w, p->want->partition);
    wr_i16(w, err_kafka(p->err));
    wr_i64(w, known ? p->read.high_watermark : -1);
    wr_i64(w, known ? p->read.last_stable : -1);
    if (rq->version >= 5)
        wr_i64(w, known ? p->read.log_start : -1);
    wire_put_count(w, rq->flexible, f->committed ? 0 : -1); /* aborted transactions */
    if (rq->version >= 11)
        wr_i32(w, -1); /* preferred read replica */
    wire_put_count(w, rq->flexible, (int32_t)p->read.records.bytes);
    if (p->read.records.bytes) {
        chunkq_add_slice(&rq->out, wr_take(w));
        chunkq_move(&rq->out, &p->read.records);
        wr_init(w, 256);
    }
    if (rq->flexible)
        put_part_tags(p, w);
}

/* After an error the next answer tells the marks again, as Kafka does. */
static void note_sent(struct fetch *f, struct fetch_part *p)
{
    p->want->high_watermark_sent = p->err ? -1 : p->read.high_watermark;
    p->want->log_start_sent = p->err ? -1 : p->read.log_start;
    fetch_session_answered(f->session, p->want);
}

static size_t topic_end(const struct fetch *f, size_t from, int32_t *shown)
{
    size_t i = from;
    *shown = 0;
    for (; i < f->parts_n && same_topic(&f->parts[from], &f->parts[i]); i++)
        *shown += part_is_shown(f, &f->parts[i]);
    return i;
}

static int32_t topics_shown(const struct fetch *f)
{
    int32_t topics = 0, shown;
    for (size_t i = 0; i < f->parts_n;) {
        i = topic_end(f, i, &shown);
        topics += shown > 0;
    }
    return topics;
}

static void put_topic(struct fetch *f, size_t from, size_t to, int32_t shown, struct wr *w)
{
    struct kafka_request *rq = f->rq;
    const struct fetch_partition *first = f->parts[from].want;
    if (rq->version >= 13)
        wr_bytes(w, first->topic.b, sizeof first->topic.b);
    else
        wire_put_str(w, rq->flexible, first->name, false);
    wire_put_count(w, rq->flexible, shown);
    for (size_t i = from; i < to; i++) {
        if (!part_is_shown(f, &f->parts[i]))
            continue;
        put_part(f, &f->parts[i], w);
        note_sent(f, &f->parts[i]);
    }
    if (rq->flexible)
        wire_put_no_tags(w);
}

static void put_head(struct fetch *f, enum err err, int32_t session_id, struct wr *w)
{
    kafka_begin(f->rq, w);
    wr_i32(w, 0); /* throttle time */
    if (f->rq->version >= 7) {
        wr_i16(w, err_kafka(err));
        wr_i32(w, session_id);
    }
}

static void fetch_leave(struct fetch *f)
{
    env_timer_stop(broker_env(broker_of(f)), &f->timer);
    for (size_t i = 0; i < f->parts_n; i++)
        chunkq_clear(&f->parts[i].read.records);
    if (f->session)
        fetch_session_leave(f->sessions, f->session);
    f->session = NULL;
}

static void fetch_answer(struct fetch *f)
{
    struct kafka_request *rq = f->rq;
    struct wr w;
    put_head(f, ERR_OK, f->session->id, &w);
    wire_put_count(&w, rq->flexible, topics_shown(f));
    for (size_t from = 0; from < f->parts_n;) {
        int32_t shown;
        size_t to = topic_end(f, from, &shown);
        if (shown)
            put_topic(f, from, to, shown, &w);
        from = to;
    }
    if (rq->flexible)
        wire_put_no_tags(&w);
    chunkq_add_slice(&rq->out, wr_take(&w));
    fetch_leave(f);
    kafka_respond_chunks(rq);
}

static void answer_session_error(struct fetch *f, enum err err)
{
    struct wr w;
    put_head(f, err, 0, &w);
    wire_put_count(&w, f->rq->flexible, 0);
    if (f->rq->flexible)
        wire_put_no_tags(&w);
    chunkq_add_slice(&f->rq->out, wr_take(&w));
    kafka_respond_chunks(f->rq);
}

/* ---- waiting -------------------------------------------------------------------------------- */

static void count_wait(struct fetch *f, int change)
{
    kafka_count(&kafka_reactor_of(f->rq->conn)->counters.fetch_waits, change);
}

/* All watches have come home: read again, or answer with what is there. */
static void fetch_resume(struct fetch *f)
{
    env_timer_stop(broker_env(broker_of(f)), &f->timer);
    count_wait(f, -1);
    if (f->timed_out && !f->woken)
        fetch_answer(f);
    else
        fetch_round(f);
}

/* Those of this reactor end in here, the others later. */
static void cancel_watches(struct fetch *f)
{
    f->busy = true;
    for (size_t i = 0; i < f->parts_n; i++) {
        if (f->parts[i].watching)
            broker_watch_cancel(broker_of(f), &f->parts[i].watch);
    }
    f->busy = false;
}

static void watch_done(struct op *op)
{
    struct fetch_part *p = container_of(op, struct fetch_part, watch.op);
    struct fetch *f = p->all;
    bool first = op->err == ERR_OK && !f->woken;
    p->watching = false;
    f->watches--;
    f->woken |= first;
    if (f->busy)
        return;
    if (first)
        cancel_watches(f);
    if (f->watches == 0)
        fetch_resume(f);
}

static void fetch_timeout(struct env_timer *timer)
{
    struct fetch *f = container_of(timer, struct fetch, timer);
    f->timed_out = true;
    cancel_watches(f);
    if (f->watches == 0)
        fetch_resume(f);
}

/* In the middle of a read nothing is to be done: what comes after it looks at timed_out. */
static void fetch_cancel(struct kafka_request *rq)
{
    struct fetch *f = rq->state_of_verb;
    f->timed_out = true;
    if (f->watches)
        fetch_timeout(&f->timer);
}

static void watch_part(struct fetch *f, struct fetch_part *p)
{
    p->watch =
        (struct watch_op){.op.done = watch_done,
                          .topic = p->read.topic,
                          .partition = p->want->partition,
                          .offset = f->committed ? p->read.last_stable : p->read.high_watermark,
                          .committed = f->committed};
    p->watching = true;
    f->watches++;
    broker_watch(broker_of(f), &p->watch);
}

static void fetch_wait(struct fetch *f)
{
    struct env *env = broker_env(broker_of(f));
    count_wait(f, 1);
    f->woken = false;
    f->busy = true;
    for (size_t i = 0; i < f->parts_n && !f->woken; i++)
        watch_part(f, &f->parts[i]);
    f->busy = false;
    if (f->woken)
        cancel_watches(f);
    uint64_t now = env_mono_us(env);
    if (f->watches)
        env_timer_set(env, &f->timer, f->until_us > now ? f->until_us - now : 0);
    else
        fetch_resume(f);
}

/* ---- reading -------------------------------------------------------------------------------- */

static bool fetch_is_done(const struct fetch *f)
{
    return f->failed || f->bytes >= f->bytes_min || f->timed_out || f->parts_n == 0 ||
           f->until_us <= env_mono_us(broker_env(broker_of(f)));
}

static void read_settled(struct fetch *f, struct fetch_part *p, enum err err)
{
    p->err = err;
    f->failed |= err != ERR_OK || p->read.diverging_epoch >= 0;
    f->bytes += p->read.records.bytes;
    f->next++;
}

static void read_done(struct op *op)
{
    struct fetch_part *p = container_of(op, struct fetch_part, read.op);
    struct fetch *f = p->all;
    read_settled(f, p, op->err);
    if (!f->busy)
        fetch_step(f);
}

static enum err part_topic(struct fetch *f, struct fetch_part *p, const struct topic **out)
{
    struct broker *b = broker_of(f);
    const struct fetch_partition *w = p->want;
    *out = w->name.at ? broker_topic(b, w->name) : broker_topic_by_id(b, &w->topic);
    if (!*out)
        return w->name.at ? kafka_topic_missing(f->rq, w->name) : ERR_TOPIC_ID_UNKNOWN;
    if (w->partition < 0 || w->partition >= (*out)->partitions)
        return kafka_topic_missing(f->rq, str_of((*out)->name));
    return kafka_nudge_due(f->rq->conn, *out) ? ERR_NOT_LEADER : ERR_OK;
}

static void read_part(struct fetch *f, struct fetch_part *p)
{
    const struct topic *topic;
    const struct fetch_partition *w = p->want;
    chunkq_clear(&p->read.records);
    p->read = (struct read_op){.op.done = read_done,
                               .actor = &f->rq->actor,
                               .partition = w->partition,
                               .offset = w->offset,
                               .leader_epoch = w->leader_epoch,
                               .last_fetched_epoch = w->last_fetched_epoch,
                               .committed = f->committed,
                               .diverging_epoch = -1};
    enum err err = part_topic(f, p, &topic);
    if (err) {
        read_settled(f, p, err);
        return;
    }
    size_t left = f->bytes < f->bytes_max ? f->bytes_max - f->bytes : 0;
    size_t most = w->bytes_max > 0 ? (size_t)w->bytes_max : 0;
    p->read.topic = topic->id;
    p->read.bytes_max = most < left ? most : left;
    p->read.min_one = f->bytes == 0;
    broker_read(f->rq->conn->broker, &p->read);
}

/* Reads on from f->next; read_done comes back here when a read took its time. */
static void fetch_step(struct fetch *f)
{
    f->busy = true;
    for (size_t before = f->parts_n; f->next < f->parts_n && f->next != before;) {
        before = f->next;
        read_part(f, &f->parts[f->next]);
    }
    f->busy = false;
    if (f->next < f->parts_n)
        return;
    if (fetch_is_done(f))
        fetch_answer(f);
    else
        fetch_wait(f);
}

static void fetch_round(struct fetch *f)
{
    f->next = 0;
    f->bytes = 0;
    f->failed = false;
    fetch_step(f);
}

/* ---- request -------------------------------------------------------------------------------- */

static enum err take_partition(struct fetch *f, const struct kafka_fetch_request_topic *t,
                               const struct kafka_fetch_request_topic_partition *in)
{
    struct str name = f->rq->version < 13 ? t->topic : (struct str){0};
    struct fetch_partition *w =
        fetch_session_put(f->sessions, f->session, name, &t->topic_id, in->partition);
    if (!w)
        return ERR_BUSY;
    w->offset = in->fetch_offset;
    w->leader_epoch = in->current_leader_epoch;
    w->last_fetched_epoch = in->last_fetched_epoch;
    w->bytes_max = in->partition_max_bytes;
    return ERR_OK;
}

static enum err take_request(struct fetch *f, const struct kafka_fetch_request *in)
{
    for (int32_t i = 0; i < in->topics_n; i++) {
        for (int32_t k = 0; k < in->topics[i].partitions_n; k++) {
            enum err err = take_partition(f, &in->topics[i], &in->topics[i].partitions[k]);
            if (err)
                return err;
        }
    }
    for (int32_t i = 0; i < in->forgotten_topics_data_n; i++) {
        const struct kafka_fetch_request_forgotten_topic *t = &in->forgotten_topics_data[i];
        struct str name = f->rq->version < 13 ? t->topic : (struct str){0};
        for (int32_t k = 0; k < t->partitions_n; k++)
            fetch_session_forget(f->sessions, f->session, name, &t->topic_id, t->partitions[k]);
    }
    return ERR_OK;
}

static enum err list_parts(struct fetch *f)
{
    f->parts = kafka_alloc(f->rq, f->session->count, sizeof *f->parts);
    if (!f->parts)
        return ERR_MEMORY;
    f->parts_n = f->session->count;
    size_t i = 0;
    list_for (l, &f->session->partitions) {
        f->parts[i].all = f;
        f->parts[i++].want = container_of(l, struct fetch_partition, link);
    }
    return ERR_OK;
}

static size_t clamp_bytes(int32_t asked)
{
    size_t n = asked > 0 ? (size_t)asked : 0;
    return n < FETCH_BYTES_MAX ? n : FETCH_BYTES_MAX;
}

void kafka_fetch_run(struct kafka_request *rq)
{
    const struct kafka_fetch_request *in = rq->in;
    struct fetch *f = kafka_alloc(rq, 1, sizeof *f);
    if (!f) {
        kafka_respond_close(rq, "a Fetch of too many partitions");
        return;
    }
    f->rq = rq;
    f->sessions = kafka_reactor_of(rq->conn)->sessions;
    f->committed = in->isolation_level == 1;
    f->bytes_max = clamp_bytes(in->max_bytes);
    size_t least = in->min_bytes > 0 ? (size_t)in->min_bytes : 0;
    f->bytes_min = least < f->bytes_max ? least : f->bytes_max;
    f->timer.fire = fetch_timeout;
    rq->state_of_verb = f;
    rq->cancel = fetch_cancel;
    uint64_t wait_us = in->max_wait_ms > 0 ? (uint64_t)in->max_wait_ms * 1000 : 0;
    f->until_us = env_mono_us(broker_env(rq->conn->broker)) + wait_us;

    int32_t epoch = rq->version >= 7 ? in->session_epoch : -1;
    enum err err =
        fetch_session_enter(f->sessions, in->session_id, epoch, rq->version >= 13, &f->session);
    if (err) {
        answer_session_error(f, err);
        return;
    }
    if (take_request(f, in) || list_parts(f)) {
        fetch_leave(f);
        kafka_respond_close(rq, "a Fetch of too many partitions");
        return;
    }
    fetch_round(f);
}
