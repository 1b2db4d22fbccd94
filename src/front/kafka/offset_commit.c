/* offset_commit.c: OffsetCommit: topics by name, from version 10 on by id (KIP-848 follow-up). What
 * is wrong with one partition is told of that one; what is wrong with the group or the member of
 * all the others. */
#include "front/kafka/conn.h"
#include "front/kafka/verbs.h"

#include "broker/broker.h"
#include "broker/group.h"

#define TOPIC_ID_SINCE 10
#define GROUP_UNKNOWN_SINCE 9

struct commit {
    struct group_commit_op op;
    struct kafka_request *rq;
};

/* ---- answer --------------------------------------------------------------------------------- */

static int16_t code(const struct commit *c, const struct group_offset *o)
{
    enum err err = o->err ? o->err : c->op.op.err;
    if (err == ERR_GROUP_UNKNOWN && c->rq->version < GROUP_UNKNOWN_SINCE)
        err = ERR_GENERATION;
    return err_kafka(err);
}

static bool fill_topic(struct commit *c, const struct kafka_offset_commit_request_topic *in,
                       const struct group_offset *o, struct kafka_offset_commit_response_topic *out)
{
    out->name = in->name;
    out->topic_id = in->topic_id;
    out->partitions = kafka_alloc(c->rq, (size_t)in->partitions_n, sizeof *out->partitions);
    if (!out->partitions)
        return false;
    out->partitions_n = in->partitions_n;
    for (int32_t i = 0; i < in->partitions_n; i++) {
        out->partitions[i].partition_index = o[i].partition;
        out->partitions[i].error_code = code(c, &o[i]);
    }
    return true;
}

static bool fill(struct commit *c, struct kafka_offset_commit_response *out)
{
    const struct kafka_offset_commit_request *in = c->rq->in;
    const struct group_offset *next = c->op.offsets;
    out->topics = kafka_alloc(c->rq, (size_t)in->topics_n, sizeof *out->topics);
    if (!out->topics)
        return false;
    out->topics_n = in->topics_n;
    for (int32_t i = 0; i < in->topics_n; i++) {
        if (!fill_topic(c, &in->topics[i], next, &out->topics[i]))
            return false;
        next += in->topics[i].partitions_n;
    }
    return true;
}

static void committed(struct op *op)
{
    struct commit *c = container_of(op, struct commit, op.op);
    struct kafka_offset_commit_response out;
    wire_default(c->rq->api->response, &out);
    if (fill(c, &out))
        kafka_respond(c->rq, &out);
    else
        kafka_respond_close(c->rq, "an OffsetCommit of too many partitions");
}

/* ---- request -------------------------------------------------------------------------------- */

static enum err find_name(struct kafka_request *rq,
                          const struct kafka_offset_commit_request_topic *t, struct str *out)
{
    *out = t->name;
    return rq->version < TOPIC_ID_SINCE ? ERR_OK : kafka_topic_name(rq, &t->topic_id, out);
}

static void take_topic(struct kafka_request *rq, const struct kafka_offset_commit_request_topic *t,
                       struct group_offset *o)
{
    struct str name;
    enum err err = find_name(rq, t, &name);
    for (int32_t i = 0; i < t->partitions_n; i++) {
        const struct kafka_offset_commit_request_topic_partition *p = &t->partitions[i];
        o[i] = (struct group_offset){.topic = name,
                                     .partition = p->partition_index,
                                     .offset = p->committed_offset,
                                     .leader_epoch = p->committed_leader_epoch,
                                     .metadata = p->committed_metadata,
                                     .commit_ms = p->commit_timestamp,
                                     .err = err};
    }
}

static size_t count(const struct kafka_offset_commit_request *in)
{
    size_t n = 0;
    for (int32_t i = 0; i < in->topics_n; i++)
        n += (size_t)in->topics[i].partitions_n;
    return n;
}

void kafka_offset_commit_run(struct kafka_request *rq)
{
    const struct kafka_offset_commit_request *in = rq->in;
    size_t n = count(in);
    struct commit *c = kafka_alloc(rq, 1, sizeof *c);
    struct group_offset *o = kafka_alloc(rq, n, sizeof *o);
    if (!c || !o) {
        kafka_respond_close(rq, "an OffsetCommit of too many partitions");
        return;
    }
    c->rq = rq;
    c->op = (struct group_commit_op){.op.done = committed,
                                     .actor = &rq->actor,
                                     .group = in->group_id,
                                     .member_id = in->member_id,
                                     .instance_id = in->group_instance_id,
                                     .generation = in->generation_id_or_member_epoch,
                                     .retention_ms = in->retention_time_ms,
                                     .offsets = o,
                                     .offsets_n = n};
    for (int32_t i = 0; i < in->topics_n; i++) {
        take_topic(rq, &in->topics[i], o);
        o += in->topics[i].partitions_n;
    }
    broker_group_commit(rq->conn->broker, &c->op);
}
