/* delete_topics.c: DeleteTopics, by name or (KIP-516, version 6) by id. */
#include "front/kafka/fan.h"
#include "front/kafka/verbs.h"

#define ROW struct kafka_delete_topics_response_topic

struct deletion {
    struct topic_delete_op op;
    struct delete_all *all;
    ROW *row;
};

struct delete_all {
    struct fan fan;
    struct kafka_delete_topics_response out;
};

static void answer(struct kafka_request *rq)
{
    kafka_respond(rq, &((struct delete_all *)rq->state_of_verb)->out);
}

static void fill(struct deletion *d)
{
    const struct topic_delete_op *op = &d->op;
    d->row->name = op->name;
    d->row->topic_id = op->id;
    if (op->topic) {
        d->row->name = kafka_keep(d->all->fan.rq, str_of(op->topic->name));
        d->row->topic_id = op->topic->id;
    }
    d->row->error_code = err_kafka(op->op.err);
    if (op->op.err)
        d->row->error_message = str_of(op->text.s[0] ? op->text.s : err_meaning(op->op.err));
}

static void deleted(struct op *op)
{
    struct deletion *d = container_of(op, struct deletion, op.op);
    fill(d);
    topic_unref(d->op.topic);
    fan_done(&d->all->fan);
}

static void submit(struct delete_all *all, struct deletion *d, int32_t i)
{
    struct kafka_request *rq = all->fan.rq;
    const struct kafka_delete_topics_request *in = rq->in;
    bool by_id = rq->version >= 6;
    d->all = all;
    d->row = &all->out.responses[i];
    d->op.op.done = deleted;
    d->op.actor = &rq->actor;
    d->op.name = by_id ? in->topics[i].name : in->topic_names[i];
    d->op.id = by_id ? in->topics[i].topic_id : (struct uuid){0};
    fan_add(&all->fan);
    broker_topic_delete(rq->conn->broker, &d->op);
}

void kafka_delete_topics_run(struct kafka_request *rq)
{
    const struct kafka_delete_topics_request *in = rq->in;
    int32_t n = rq->version >= 6 ? in->topics_n : in->topic_names_n;
    struct delete_all *all = kafka_alloc(rq, 1, sizeof *all);
    struct deletion *deletions = kafka_alloc(rq, (size_t)n, sizeof *deletions);
    ROW *rows = kafka_alloc(rq, (size_t)n, sizeof *rows);
    if (!all || !deletions || !rows) {
        kafka_respond_close(rq, "a DeleteTopics of too many topics");
        return;
    }
    rq->state_of_verb = all;
    wire_default(rq->api->response, &all->out);
    all->out.responses = rows;
    all->out.responses_n = n;
    fan_begin(&all->fan, rq, answer);
    for (int32_t i = 0; i < n; i++)
        submit(all, &deletions[i], i);
    fan_done(&all->fan);
}
