/* sync_group.c: SyncGroup: the leader brings the assignments, everyone takes its own (KIP-559: the
 * protocol's type and name are told from version 5 on). */
#include "front/kafka/conn.h"
#include "front/kafka/verbs.h"

#include "broker/group.h"

#define PROTOCOL_SINCE 5

struct sync {
    struct group_sync_op op;
    struct kafka_request *rq;
};

static void respond(struct kafka_request *rq, const struct group_sync_op *op, enum err err)
{
    struct kafka_sync_group_response out;
    wire_default(rq->api->response, &out);
    out.error_code = err_kafka(err);
    if (!err) {
        out.protocol_type = op->protocol_type_out;
        out.protocol_name = op->protocol_out;
        out.assignment = op->assignment;
    }
    kafka_respond(rq, &out);
}

static void synced(struct op *op)
{
    struct sync *s = container_of(op, struct sync, op.op);
    respond(s->rq, &s->op, op->err);
}

static struct group_assignment *assignments(struct kafka_request *rq)
{
    const struct kafka_sync_group_request *in = rq->in;
    struct group_assignment *a = kafka_alloc(rq, (size_t)in->assignments_n, sizeof *a);
    for (int32_t i = 0; a && i < in->assignments_n; i++)
        a[i] =
            (struct group_assignment){in->assignments[i].member_id, in->assignments[i].assignment};
    return a;
}

void kafka_sync_group_run(struct kafka_request *rq)
{
    const struct kafka_sync_group_request *in = rq->in;
    struct sync *s = kafka_alloc(rq, 1, sizeof *s);
    struct group_assignment *a = assignments(rq);
    if (!s || !a) {
        kafka_respond_close(rq, "a SyncGroup of too many assignments");
        return;
    }
    if (rq->version >= PROTOCOL_SINCE && (!in->protocol_type.at || !in->protocol_name.at)) {
        respond(rq, NULL, ERR_GROUP_PROTOCOL);
        return;
    }
    s->rq = rq;
    s->op = (struct group_sync_op){.op.done = synced,
                                   .actor = &rq->actor,
                                   .group = in->group_id,
                                   .member_id = in->member_id,
                                   .instance_id = in->group_instance_id,
                                   .protocol_type = in->protocol_type,
                                   .protocol = in->protocol_name,
                                   .generation = in->generation_id,
                                   .assignments = a,
                                   .assignments_n = (size_t)in->assignments_n};
    broker_group_sync(rq->conn->broker, &s->op);
}
