/* leave_group.c: LeaveGroup: one member, or (version 3 and later, KIP-345) several with an error
 * each. */
#include "front/kafka/conn.h"
#include "front/kafka/verbs.h"

#include "broker/group.h"

#define BATCH_SINCE 3

struct leave {
    struct group_leave_op op;
    struct kafka_request *rq;
};

static bool fill_members(struct kafka_request *rq, const struct group_leave_op *op,
                         struct kafka_leave_group_response *out)
{
    out->members = kafka_alloc(rq, op->leavers_n, sizeof *out->members);
    if (!out->members)
        return false;
    out->members_n = (int32_t)op->leavers_n;
    for (size_t i = 0; i < op->leavers_n; i++) {
        const struct group_leaver *l = &op->leavers[i];
        out->members[i] = (struct kafka_leave_group_response_member){l->member_id, l->instance_id,
                                                                     err_kafka(l->err)};
    }
    return true;
}

static void left(struct op *op)
{
    struct leave *l = container_of(op, struct leave, op.op);
    struct kafka_request *rq = l->rq;
    struct kafka_leave_group_response out;
    wire_default(rq->api->response, &out);
    enum err err = op->err;
    if (!err && rq->version < BATCH_SINCE)
        err = l->op.leavers[0].err;
    out.error_code = err_kafka(err);
    if (!err && rq->version >= BATCH_SINCE && !fill_members(rq, &l->op, &out)) {
        kafka_respond_close(rq, "a LeaveGroup of too many members");
        return;
    }
    kafka_respond(rq, &out);
}

static struct group_leaver *leavers(struct kafka_request *rq, size_t *n)
{
    const struct kafka_leave_group_request *in = rq->in;
    bool batch = rq->version >= BATCH_SINCE;
    *n = batch ? (size_t)in->members_n : 1;
    struct group_leaver *l = kafka_alloc(rq, *n, sizeof *l);
    if (l && !batch)
        l[0].member_id = in->member_id;
    for (size_t i = 0; l && batch && i < *n; i++)
        l[i] = (struct group_leaver){.member_id = in->members[i].member_id,
                                     .instance_id = in->members[i].group_instance_id,
                                     .reason = in->members[i].reason};
    return l;
}

void kafka_leave_group_run(struct kafka_request *rq)
{
    const struct kafka_leave_group_request *in = rq->in;
    struct leave *l = kafka_alloc(rq, 1, sizeof *l);
    size_t n;
    struct group_leaver *who = leavers(rq, &n);
    if (!l || !who) {
        kafka_respond_close(rq, "a LeaveGroup of too many members");
        return;
    }
    l->rq = rq;
    l->op = (struct group_leave_op){.op.done = left,
                                    .actor = &rq->actor,
                                    .group = in->group_id,
                                    .leavers = who,
                                    .leavers_n = n};
    broker_group_leave(rq->conn->broker, &l->op);
}
