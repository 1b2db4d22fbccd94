/* delete_records.c: DeleteRecords (KIP-107): moves a partition's log start, durably; -1: to the
 * high watermark. */
#include "front/kafka/fan.h"
#include "front/kafka/verbs.h"

#define ROW struct kafka_delete_records_response_topic_partition
#define ASKED struct kafka_delete_records_request_topic_partition

struct trim_part {
    struct trim_op op;
    struct trim_all *all;
    ROW *row;
};

struct trim_all {
    struct fan fan;
    struct kafka_delete_records_response out;
};

static void answer(struct kafka_request *rq)
{
    kafka_respond(rq, &((struct trim_all *)rq->state_of_verb)->out);
}

static void fill(const struct trim_part *p)
{
    p->row->error_code = err_kafka(p->op.op.err);
    p->row->low_watermark = p->op.op.err ? -1 : p->op.log_start;
}

static void trimmed(struct op *op)
{
    struct trim_part *p = container_of(op, struct trim_part, op.op);
    fill(p);
    fan_done(&p->all->fan);
}

static void submit(struct trim_all *all, struct trim_part *p, struct str topic, const ASKED *asked)
{
    struct kafka_request *rq = all->fan.rq;
    p->all = all;
    p->row->partition_index = asked->partition_index;
    p->op = (struct trim_op){.op.done = trimmed,
                             .actor = &rq->actor,
                             .partition = asked->partition_index,
                             .offset = asked->offset};
    p->op.op.err = fan_find_partition(&all->fan, topic, asked->partition_index, &p->op.topic);
    if (p->op.op.err) {
        fill(p);
        return;
    }
    fan_add(&all->fan);
    broker_trim(rq->conn->broker, &p->op);
}

static void trim_topic(struct trim_all *all, const struct kafka_delete_records_request_topic *t,
                       struct kafka_delete_records_response_topic *out)
{
    size_t n = (size_t)t->partitions_n;
    ROW *rows = kafka_alloc(all->fan.rq, n, sizeof *rows);
    struct trim_part *parts = kafka_alloc(all->fan.rq, n, sizeof *parts);
    if (!rows || !parts)
        return;
    out->name = t->name;
    out->partitions = rows;
    out->partitions_n = t->partitions_n;
    for (size_t i = 0; i < n; i++) {
        parts[i].row = &rows[i];
        submit(all, &parts[i], t->name, &t->partitions[i]);
    }
}

void kafka_delete_records_run(struct kafka_request *rq)
{
    const struct kafka_delete_records_request *in = rq->in;
    struct trim_all *all = kafka_alloc(rq, 1, sizeof *all);
    if (!all) {
        kafka_respond_close(rq, "a DeleteRecords of too many partitions");
        return;
    }
    rq->state_of_verb = all;
    wire_default(rq->api->response, &all->out);
    fan_begin(&all->fan, rq, answer);
    all->out.topics = kafka_alloc(rq, (size_t)in->topics_n, sizeof *all->out.topics);
    all->out.topics_n = all->out.topics ? in->topics_n : 0;
    for (int32_t i = 0; i < all->out.topics_n; i++)
        trim_topic(all, &in->topics[i], &all->out.topics[i]);
    fan_done(&all->fan);
}
