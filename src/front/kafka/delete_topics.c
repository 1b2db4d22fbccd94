/* delete_topics.c: DeleteTopics, by name or (KIP-516, version 6) by id. */
#include "front/kafka/conn.h"
#include "front/kafka/fan.h"
#include "front/kafka/verbs.h"

#include "base/assert.h"

struct delete
{
    struct topic_delete_op op;
    struct delete_all *all;
};

struct delete_all {
    struct fan fan;
    struct delete *deletes;
    int32_t n;
};

static void fill(const struct topic_delete_op *op, struct kafka_delete_topics_response_topic *out)
{
    out->name = op->name.at ? op->name : (struct str){0};
    out->topic_id = op->id;
    if (op->topic) {
        out->name = str_of(op->topic->name);
        out->topic_id = op->topic->id;
    }
    out->error_code = err_kafka(op->op.err);
    if (op->op.err)
        out->error_message = str_of(op->text.s[0] ? op->text.s : err_meaning(op->op.err));
}

static void answer(struct kafka_request *rq)
{
    struct delete_all *all = rq->state_of_verb;
    struct kafka_delete_topics_response out;
    wire_default(rq->api->response, &out);
    out.responses = arena_zalloc(&rq->arena, (size_t)all->n, sizeof *out.responses);
    out.responses_n = out.responses ? all->n : 0;
    for (int32_t i = 0; i < out.responses_n; i++)
        fill(&all->deletes[i].op, &out.responses[i]);
    kafka_respond(rq, &out);
    for (int32_t i = 0; i < all->n; i++) {
        if (all->deletes[i].op.topic)
            topic_unref(all->deletes[i].op.topic);
    }
}

static void deleted(struct op *op)
{
    struct delete *d = container_of(op, struct delete, op.op);
    fan_done(&d->all->fan);
}

void kafka_delete_topics_run(struct kafka_request *rq)
{
    const struct kafka_delete_topics_request *in = rq->in;
    bool by_id = rq->version >= 6;
    struct delete_all *all = arena_zalloc(&rq->arena, 1, sizeof *all);
    weir_assert(all);
    all->n = by_id ? in->topics_n : in->topic_names_n;
    all->deletes = arena_zalloc(&rq->arena, (size_t)all->n, sizeof *all->deletes);
    rq->state_of_verb = all;
    if (!all->deletes) {
        kafka_respond_close(rq, "a DeleteTopics of too many topics");
        return;
    }
    fan_begin(&all->fan, rq, answer);
    for (int32_t i = 0; i < all->n; i++) {
        struct delete *d = &all->deletes[i];
        d->all = all;
        d->op.op.done = deleted;
        d->op.actor = &rq->actor;
        d->op.name = by_id ? in->topics[i].name : in->topic_names[i];
        d->op.id = by_id ? in->topics[i].topic_id : (struct uuid){0};
        fan_add(&all->fan);
        broker_topic_delete(rq->conn->broker, &d->op);
    }
    fan_done(&all->fan);
}
