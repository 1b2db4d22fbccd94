/* delete_groups.c: DeleteGroups: groups without members, with their offsets. */
#include "front/kafka/conn.h"
#include "front/kafka/fan.h"
#include "front/kafka/verbs.h"

#include "broker/group.h"

struct delete_group {
    struct group_delete_op op;
    struct delete_all *all;
};

struct delete_all {
    struct fan fan;
    struct delete_group *groups;
};

static void answer(struct kafka_request *rq)
{
    const struct kafka_delete_groups_request *in = rq->in;
    const struct delete_all *all = rq->state_of_verb;
    struct kafka_delete_groups_response out;
    wire_default(rq->api->response, &out);
    out.results = kafka_alloc(rq, (size_t)in->groups_names_n, sizeof *out.results);
    out.results_n = out.results ? in->groups_names_n : 0;
    for (int32_t i = 0; i < out.results_n; i++) {
        out.results[i].group_id = in->groups_names[i];
        out.results[i].error_code = err_kafka(all->groups[i].op.op.err);
    }
    kafka_respond(rq, &out);
}

static void deleted(struct op *op)
{
    struct delete_group *d = container_of(op, struct delete_group, op.op);
    fan_done(&d->all->fan);
}

void kafka_delete_groups_run(struct kafka_request *rq)
{
    const struct kafka_delete_groups_request *in = rq->in;
    struct delete_all *all = kafka_alloc(rq, 1, sizeof *all);
    struct delete_group *groups = kafka_alloc(rq, (size_t)in->groups_names_n, sizeof *groups);
    if (!all || !groups) {
        kafka_respond_close(rq, "a DeleteGroups of too many groups");
        return;
    }
    all->groups = groups;
    rq->state_of_verb = all;
    fan_begin(&all->fan, rq, answer);
    for (int32_t i = 0; i < in->groups_names_n; i++) {
        struct delete_group *d = &all->groups[i];
        d->all = all;
        d->op.op.done = deleted;
        d->op.actor = &rq->actor;
        d->op.group = in->groups_names[i];
        fan_add(&all->fan);
        broker_group_delete(rq->conn->broker, &d->op);
    }
    fan_done(&all->fan);
}
