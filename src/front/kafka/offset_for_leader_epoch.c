/* offset_for_leader_epoch.c: OffsetForLeaderEpoch (KIP-101, KIP-320): where a leader epoch ends. */
#include "front/kafka/conn.h"
#include "front/kafka/fan.h"
#include "front/kafka/partition_fan.h"
#include "front/kafka/verbs.h"

#include "base/assert.h"

struct epoch_part {
    struct epoch_op op;
    struct epoch_all *all;
};

struct epoch_all {
    struct fan fan;
    struct epoch_part *parts;
};

static void fill(const struct epoch_part *p,
                 struct kafka_offset_for_leader_epoch_response_topic_partition *out)
{
    enum err err = p->op.op.err;
    out->partition = p->op.partition;
    out->error_code = err_kafka(err);
    out->leader_epoch = err ? -1 : p->op.found_epoch;
    out->end_offset = err ? -1 : p->op.end_offset;
}

static void answer(struct kafka_request *rq)
{
    const struct kafka_offset_for_leader_epoch_request *in = rq->in;
    const struct epoch_part *next = ((struct epoch_all *)rq->state_of_verb)->parts;
    struct kafka_offset_for_leader_epoch_response out;
    wire_default(rq->api->response, &out);
    out.topics = arena_zalloc(&rq->arena, (size_t)in->topics_n, sizeof *out.topics);
    out.topics_n = out.topics ? in->topics_n : 0;
    for (int32_t i = 0; i < out.topics_n; i++) {
        struct kafka_offset_for_leader_epoch_response_topic *t = &out.topics[i];
        int32_t n = in->topics[i].partitions_n;
        t->topic = in->topics[i].topic;
        t->partitions = arena_zalloc(&rq->arena, (size_t)n, sizeof *t->partitions);
        t->partitions_n = t->partitions ? n : 0;
        for (int32_t k = 0; k < t->partitions_n; k++)
            fill(&next[k], &t->partitions[k]);
        next += n;
    }
    kafka_respond(rq, &out);
}

static void found(struct op *op)
{
    struct epoch_part *p = container_of(op, struct epoch_part, op.op);
    fan_done(&p->all->fan);
}

static void submit(struct kafka_request *rq, struct epoch_part *p, struct str name,
                   const struct kafka_offset_for_leader_epoch_request_topic_partition *in)
{
    p->op = (struct epoch_op){.op.done = found,
                              .actor = &rq->actor,
                              .partition = in->partition,
                              .current_epoch = in->current_leader_epoch,
                              .asked_epoch = in->leader_epoch};
    p->op.op.err = partition_find(rq->conn->broker, name, in->partition, &p->op.topic);
    if (p->op.op.err)
        return;
    fan_add(&p->all->fan);
    broker_epoch_end(rq->conn->broker, &p->op);
}

void kafka_offset_for_leader_epoch_run(struct kafka_request *rq)
{
    const struct kafka_offset_for_leader_epoch_request *in = rq->in;
    struct epoch_all *all = arena_zalloc(&rq->arena, 1, sizeof *all);
    weir_assert(all);
    size_t n = 0;
    for (int32_t i = 0; i < in->topics_n; i++)
        n += (size_t)in->topics[i].partitions_n;
    struct epoch_part *p = all->parts = arena_zalloc(&rq->arena, n, sizeof *p);
    rq->state_of_verb = all;
    if (!p) {
        kafka_respond_close(rq, "an OffsetForLeaderEpoch of too many partitions");
        return;
    }
    fan_begin(&all->fan, rq, answer);
    for (int32_t i = 0; i < in->topics_n; i++) {
        for (int32_t k = 0; k < in->topics[i].partitions_n; k++, p++) {
            p->all = all;
            submit(rq, p, in->topics[i].topic, &in->topics[i].partitions[k]);
        }
    }
    fan_done(&all->fan);
}
