/* join_group.c: JoinGroup (KIP-62, 345 static members, 394 member ids first, 814 skip_assignment).
 * Waits in the group until the join phase is over. */
#include "front/kafka/conn.h"
#include "front/kafka/verbs.h"

#include "broker/group.h"

#define MEMBER_ID_FIRST 4
#define SKIP_ASSIGNMENT_SINCE 9

struct join {
    struct group_join_op op;
    struct kafka_request *rq;
};

static struct str or_empty(struct str s)
{
    return s.at ? s : STR_LIT("");
}

static bool fill_members(struct kafka_request *rq, const struct group_join_op *op,
                         struct kafka_join_group_response *out)
{
    out->members = kafka_alloc(rq, op->members_n, sizeof *out->members);
    if (!out->members)
        return false;
    out->members_n = (int32_t)op->members_n;
    for (size_t i = 0; i < op->members_n; i++) {
        const struct group_member_view *m = &op->members[i];
        out->members[i] =
            (struct kafka_join_group_response_member){m->member_id, m->instance_id, m->metadata};
    }
    return true;
}

static void joined(struct op *op)
{
    struct join *j = container_of(op, struct join, op.op);
    struct kafka_request *rq = j->rq;
    struct kafka_join_group_response out;
    wire_default(rq->api->response, &out);
    out.error_code = err_kafka(op->err);
    out.member_id = or_empty(j->op.member_id_out);
    out.protocol_name = (struct str){0};
    if (!op->err) {
        out.generation_id = j->op.generation;
        out.protocol_type = j->op.protocol_type_out;
        out.protocol_name = j->op.protocol_out;
        out.leader = j->op.leader;
        out.skip_assignment = j->op.skip_assignment;
        if (!fill_members(rq, &j->op, &out)) {
            kafka_respond_close(rq, "a group of too many members");
            return;
        }
    }
    kafka_respond(rq, &out);
}

static struct group_protocol *protocols(struct kafka_request *rq)
{
    const struct kafka_join_group_request *in = rq->in;
    struct group_protocol *p = kafka_alloc(rq, (size_t)in->protocols_n, sizeof *p);
    for (int32_t i = 0; p && i < in->protocols_n; i++)
        p[i] = (struct group_protocol){in->protocols[i].name, or_empty(in->protocols[i].metadata)};
    return p;
}

void kafka_join_group_run(struct kafka_request *rq)
{
    const struct kafka_join_group_request *in = rq->in;
    struct join *j = kafka_alloc(rq, 1, sizeof *j);
    struct group_protocol *p = protocols(rq);
    if (!j || !p) {
        kafka_respond_close(rq, "a JoinGroup of too many protocols");
        return;
    }
    j->rq = rq;
    j->op = (struct group_join_op){.op.done = joined,
                                   .actor = &rq->actor,
                                   .group = in->group_id,
                                   .member_id = in->member_id,
                                   .instance_id = in->group_instance_id,
                                   .protocol_type = in->protocol_type,
                                   .reason = in->reason,
                                   .protocols = p,
                                   .protocols_n = (size_t)in->protocols_n,
                                   .session_timeout_ms = in->session_timeout_ms,
                                   .rebalance_timeout_ms = in->rebalance_timeout_ms,
                                   .member_id_required = rq->version >= MEMBER_ID_FIRST,
                                   .can_skip_assignment = rq->version >= SKIP_ASSIGNMENT_SINCE};
    broker_group_join(rq->conn->broker, &j->op);
}
