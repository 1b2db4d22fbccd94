/* produce.c: Produce (KIP-98 batches). Decoded by hand: it is the hot path, and its batches are
 * handed to the broker as slices of the frame, in which the log writes their offsets.
 *
 * All batches of a request are submitted at once; the answer goes when the last one is done. The
 * broker makes no difference between acks=1 and acks=all: both wait for what the topic promises.
 * acks=0 has no answer; an error then closes the connection, as in Kafka.
 */
#include "front/kafka/produce_internal.h"
#include "front/kafka/verbs.h"

#include <string.h>

/* ---- request -------------------------------------------------------------------------------- */

static enum err read_part(struct produce *p, struct rd *r, struct produce_part *part)
{
    struct kafka_request *rq = p->rq;
    part->all = p;
    part->op.partition = rd_i32(r);
    struct str records = wire_get_bytes(r, rq->flexible);
    if (rq->flexible)
        wire_skip_tags(r);
    if (r->bad)
        return ERR_FRAME;
    part->op.batch = (struct slice){rq->frame.buf, (const uint8_t *)records.at, records.len};
    return ERR_OK;
}

static enum err read_topic(struct produce *p, struct rd *r, struct produce_topic *t)
{
    struct kafka_request *rq = p->rq;
    if (rq->version >= 13) {
        const uint8_t *id = rd_bytes(r, sizeof t->id.b);
        if (id)
            memcpy(t->id.b, id, sizeof t->id.b);
    } else {
        t->name = wire_get_str(r, rq->flexible);
        if (!t->name.at)
            return ERR_FRAME;
    }
    t->parts_n = wire_get_count(r, rq->flexible);
    if (r->bad || t->parts_n < 0 || t->parts_n > PRODUCE_PARTITIONS_MAX)
        return ERR_FRAME;
    t->parts = kafka_alloc(rq, (size_t)t->parts_n, sizeof *t->parts);
    if (!t->parts)
        return ERR_MEMORY;
    for (int32_t i = 0; i < t->parts_n; i++) {
        enum err err = read_part(p, r, &t->parts[i]);
        if (err)
            return err;
    }
    if (rq->flexible)
        wire_skip_tags(r);
    return r->bad ? ERR_FRAME : ERR_OK;
}

enum err kafka_produce_read(struct produce *p)
{
    struct kafka_request *rq = p->rq;
    struct rd *r = &rq->body;
    struct str transaction = {0};
    if (rq->version >= 3)
        transaction = wire_get_str(r, rq->flexible);
    p->acks = rd_i16(r);
    (void)rd_i32(r); /* timeout: the flush is not waited for by time */
    p->topics_n = wire_get_count(r, rq->flexible);
    if (r->bad || p->topics_n < 0)
        return ERR_FRAME;
    p->topics = kafka_alloc(rq, (size_t)p->topics_n, sizeof *p->topics);
    if (!p->topics)
        return ERR_MEMORY;
    for (int32_t i = 0; i < p->topics_n; i++) {
        enum err err = read_topic(p, r, &p->topics[i]);
        if (err)
            return err;
    }
    if (rq->flexible)
        wire_skip_tags(r);
    if (transaction.at)
        p->refuse = ERR_REQUEST_INVALID;
    if (p->acks < -1 || p->acks > 1)
        p->refuse = ERR_ACKS_INVALID;
    if (rq->version < 3)
        p->refuse = ERR_MESSAGE_FORMAT;
    return r->bad ? ERR_FRAME : ERR_OK;
}

/* ---- answer --------------------------------------------------------------------------------- */

/* The row of the table speaks of one record: where a whole batch is refused there is none. */
static void put_record_errors(const struct produce_part *part, bool flexible, struct wr *w)
{
    bool one = part->op.bad_record >= 0;
    wire_put_count(w, flexible, one);
    if (one) {
        wr_i32(w, part->op.bad_record);
        wire_put_str(w, flexible, str_of(part->op.text.s), true);
        if (flexible)
            wire_put_no_tags(w);
    }
}

static struct str error_text(const struct produce_part *part)
{
    if (!part->op.op.err)
        return (struct str){0};
    return str_of(part->op.text.s[0] ? part->op.text.s : err_meaning(part->op.op.err));
}

static void put_part(const struct kafka_request *rq, const struct produce_part *part, struct wr *w)
{
    enum err err = part->op.op.err;
    wr_i32(w, part->op.partition);
    wr_i16(w, err_kafka(err));
    wr_i64(w, err ? -1 : part->op.base_offset);
    if (rq->version >= 2)
        wr_i64(w, err ? -1 : part->op.append_ms);
    if (rq->version >= 5)
        wr_i64(w, err ? -1 : part->op.log_start);
    if (rq->version >= 8) {
        put_record_errors(part, rq->flexible, w);
        wire_put_str(w, rq->flexible, error_text(part), true);
    }
    if (rq->flexible)
        wire_put_no_tags(w);
}

static void put_topic(const struct kafka_request *rq, const struct produce_topic *t, struct wr *w)
{
    if (rq->version >= 13)
        wr_bytes(w, t->id.b, sizeof t->id.b);
    else
        wire_put_str(w, rq->flexible, t->name, false);
    wire_put_count(w, rq->flexible, t->parts_n);
    for (int32_t i = 0; i < t->parts_n; i++)
        put_part(rq, &t->parts[i], w);
    if (rq->flexible)
        wire_put_no_tags(w);
}

static void answer(struct produce *p)
{
    struct kafka_request *rq = p->rq;
    if (p->acks == 0 && p->failed) {
        kafka_respond_close(rq, "a produce with acks=0 failed");
        return;
    }
    if (p->acks == 0) {
        kafka_respond_nothing(rq);
        return;
    }
    struct wr w;
    kafka_begin(rq, &w);
    wire_put_count(&w, rq->flexible, p->topics_n);
    for (int32_t i = 0; i < p->topics_n; i++)
        put_topic(rq, &p->topics[i], &w);
    if (rq->version >= 1)
        wr_i32(&w, 0); /* throttle time */
    if (rq->flexible)
        wire_put_no_tags(&w);
    chunkq_add_slice(&rq->out, wr_take(&w));
    kafka_respond_chunks(rq);
}

static void part_settled(struct produce *p, enum err err)
{
    p->failed |= err != ERR_OK;
    if (--p->waiting == 0)
        answer(p);
}

static void part_done(struct op *op)
{
    struct produce_part *part = container_of(op, struct produce_part, op.op);
    part_settled(part->all, op->err);
}

/* ---- submission ----------------------------------------------------------------------------- */

static enum err find_topic(struct produce *p, struct produce_topic *t, const struct topic **out)
{
    struct broker *b = p->rq->conn->broker;
    bool by_id = p->rq->version >= 13;
    *out = by_id ? broker_topic_by_id(b, &t->id) : broker_topic(b, t->name);
    if (*out)
        return ERR_OK;
    return by_id ? ERR_TOPIC_ID_UNKNOWN : kafka_topic_missing(p->rq, t->name);
}

static void submit_part(struct produce *p, const struct topic *topic, bool nudge,
                        struct produce_part *part)
{
    struct kafka_request *rq = p->rq;
    part->op.actor = &rq->actor;
    part->op.topic = topic->id;
    part->op.zstd_allowed = rq->version >= 7;
    part->op.nudge = nudge;
    part->op.op.done = part_done;
    p->waiting++;
    broker_produce(rq->conn->broker, &part->op);
}

static void submit_topic(struct produce *p, struct produce_topic *t)
{
    const struct topic *topic = NULL;
    enum err err = p->refuse ? p->refuse : find_topic(p, t, &topic);
    if (!err && topic->internal)
        err = ERR_TOPIC_INVALID;
    /* Only at a quiet moment: a refused batch with others on their way behind it would have them
     * refused too, by their sequence. */
    bool quiet = p->rq->conn->requests_n == 1;
    bool nudge = !err && quiet && kafka_nudge_due(p->rq->conn, topic);
    for (int32_t i = 0; i < t->parts_n; i++) {
        struct produce_part *part = &t->parts[i];
        part->op.bad_record = -1;
        enum err refuse = err;
        if (!refuse && (part->op.partition < 0 || part->op.partition >= topic->partitions))
            refuse = kafka_topic_missing(p->rq, str_of(topic->name));
        if (!refuse && part->op.batch.len == 0)
            refuse = err_say(&part->op.text, ERR_RECORD_INVALID, "there is no record batch");
        if (refuse) {
            part->op.op.err = refuse;
            p->failed = true;
        } else {
            submit_part(p, topic, nudge, part);
        }
    }
}

void kafka_produce_run(struct kafka_request *rq)
{
    struct produce *p = kafka_alloc(rq, 1, sizeof *p);
    if (p)
        p->rq = rq;
    if (!p || kafka_produce_read(p)) {
        kafka_respond_close(rq, "a Produce request that does not follow its definition");
        return;
    }
    rq->state_of_verb = p;
    p->waiting = 1;
    for (int32_t i = 0; i < p->topics_n; i++)
        submit_topic(p, &p->topics[i]);
    part_settled(p, ERR_OK);
}
