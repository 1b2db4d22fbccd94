/* delete_records.c: DeleteRecords (KIP-107): moves a partition's log start, durably; -1: to the
 * high watermark. */
#include "front/kafka/conn.h"
#include "front/kafka/fan.h"
#include "front/kafka/partition_fan.h"
#include "front/kafka/verbs.h"

#include "base/assert.h"

struct trim_part {
    struct trim_op op;
    struct trim_all *all;
};

struct trim_all {
    struct fan fan;
    struct trim_part *parts;
};

static void fill(const struct trim_part *p,
                 struct kafka_delete_records_response_topic_partition *out)
{
    out->partition_index = p->op.partition;
    out->error_code = err_kafka(p->op.op.err);
    out->low_watermark = p->op.op.err ? -1 : p->op.log_start;
}

static void answer(struct kafka_request *rq)
{
    const struct kafka_delete_records_request *in = rq->in;
    const struct trim_part *next = ((struct trim_all *)rq->state_of_verb)->parts;
    struct kafka_delete_records_response out;
    wire_default(rq->api->response, &out);
    out.topics = arena_zalloc(&rq->arena, (size_t)in->topics_n, sizeof *out.topics);
    out.topics_n = out.topics ? in->topics_n : 0;
    for (int32_t i = 0; i < out.topics_n; i++) {
        struct kafka_delete_records_response_topic *t = &out.topics[i];
        int32_t n = in->topics[i].partitions_n;
        t->name = in->topics[i].name;
        t->partitions = arena_zalloc(&rq->arena, (size_t)n, sizeof *t->partitions);
        t->partitions_n = t->partitions ? n : 0;
        for (int32_t k = 0; k < t->partitions_n; k++)
            fill(&next[k], &t->partitions[k]);
        next += n;
    }
    kafka_respond(rq, &out);
}

static void trimmed(struct op *op)
{
    struct trim_part *p = container_of(op, struct trim_part, op.op);
    fan_done(&p->all->fan);
}

static void submit(struct kafka_request *rq, struct trim_part *p, struct str name,
                   const struct kafka_delete_records_request_topic_partition *in)
{
    struct broker *b = rq->conn->broker;
    p->op = (struct trim_op){.op.done = trimmed,
                             .actor = &rq->actor,
                             .partition = in->partition_index,
                             .offset = in->offset};
    p->op.op.err = partition_find(b, name, in->partition_index, &p->op.topic);
    if (!p->op.op.err && broker_topic(b, name)->internal)
        p->op.op.err = ERR_POLICY;
    if (p->op.op.err)
        return;
    fan_add(&p->all->fan);
    broker_trim(b, &p->op);
}

void kafka_delete_records_run(struct kafka_request *rq)
{
    const struct kafka_delete_records_request *in = rq->in;
    struct trim_all *all = arena_zalloc(&rq->arena, 1, sizeof *all);
    weir_assert(all);
    size_t n = 0;
    for (int32_t i = 0; i < in->topics_n; i++)
        n += (size_t)in->topics[i].partitions_n;
    struct trim_part *p = all->parts = arena_zalloc(&rq->arena, n, sizeof *p);
    rq->state_of_verb = all;
    if (!p) {
        kafka_respond_close(rq, "a DeleteRecords of too many partitions");
        return;
    }
    fan_begin(&all->fan, rq, answer);
    for (int32_t i = 0; i < in->topics_n; i++) {
        for (int32_t k = 0; k < in->topics[i].partitions_n; k++, p++) {
            p->all = all;
            submit(rq, p, in->topics[i].name, &in->topics[i].partitions[k]);
        }
    }
    fan_done(&all->fan);
}
