/* offset_for_leader_epoch.c: OffsetForLeaderEpoch (KIP-101, KIP-320): where a leader epoch ends. */
#include "front/kafka/fan.h"
#include "front/kafka/verbs.h"

#define ROW struct kafka_offset_for_leader_epoch_response_topic_partition
#define ASKED struct kafka_offset_for_leader_epoch_request_topic_partition

struct epoch_part {
    struct epoch_op op;
    struct epoch_all *all;
    ROW *row;
};

struct epoch_all {
    struct fan fan;
    struct kafka_offset_for_leader_epoch_response out;
};

static void answer(struct kafka_request *rq)
{
    kafka_respond(rq, &((struct epoch_all *)rq->state_of_verb)->out);
}

static void fill(const struct epoch_part *p)
{
    enum err err = p->op.op.err;
    p->row->error_code = err_kafka(err);
    p->row->leader_epoch = err ? -1 : p->op.found_epoch;
    p->row->end_offset = err ? -1 : p->op.end_offset;
}

static void found(struct op *op)
{
    struct epoch_part *p = container_of(op, struct epoch_part, op.op);
    fill(p);
    fan_done(&p->all->fan);
}

static void submit(struct epoch_all *all, struct epoch_part *p, struct str topic,
                   const ASKED *asked)
{
    struct kafka_request *rq = all->fan.rq;
    p->all = all;
    p->row->partition = asked->partition;
    p->op = (struct epoch_op){.op.done = found,
                              .actor = &rq->actor,
                              .partition = asked->partition,
                              .current_epoch = asked->current_leader_epoch,
                              .asked_epoch = asked->leader_epoch};
    p->op.op.err = fan_find_partition(&all->fan, topic, asked->partition, &p->op.topic);
    if (p->op.op.err) {
        fill(p);
        return;
    }
    fan_add(&all->fan);
    broker_epoch_end(rq->conn->broker, &p->op);
}

static void ask_topic(struct epoch_all *all,
                      const struct kafka_offset_for_leader_epoch_request_topic *t,
                      struct kafka_offset_for_leader_epoch_response_topic *out)
{
    size_t n = (size_t)t->partitions_n;
    ROW *rows = kafka_alloc(all->fan.rq, n, sizeof *rows);
    struct epoch_part *parts = kafka_alloc(all->fan.rq, n, sizeof *parts);
    if (!rows || !parts)
        return;
    out->topic = t->topic;
    out->partitions = rows;
    out->partitions_n = t->partitions_n;
    for (size_t i = 0; i < n; i++) {
        parts[i].row = &rows[i];
        submit(all, &parts[i], t->topic, &t->partitions[i]);
    }
}

void kafka_offset_for_leader_epoch_run(struct kafka_request *rq)
{
    const struct kafka_offset_for_leader_epoch_request *in = rq->in;
    struct epoch_all *all = kafka_alloc(rq, 1, sizeof *all);
    if (!all) {
        kafka_respond_close(rq, "an OffsetForLeaderEpoch of too many partitions");
        return;
    }
    rq->state_of_verb = all;
    wire_default(rq->api->response, &all->out);
    fan_begin(&all->fan, rq, answer);
    all->out.topics = kafka_alloc(rq, (size_t)in->topics_n, sizeof *all->out.topics);
    all->out.topics_n = all->out.topics ? in->topics_n : 0;
    for (int32_t i = 0; i < all->out.topics_n; i++)
        ask_topic(all, &in->topics[i], &all->out.topics[i]);
    fan_done(&all->fan);
}
