/* heartbeat.c: Heartbeat: a member is alive, and hears whether it has to join again. */
#include "front/kafka/conn.h"
#include "front/kafka/verbs.h"

#include "broker/group.h"

struct heartbeat {
    struct group_heartbeat_op op;
    struct kafka_request *rq;
};

static void beaten(struct op *op)
{
    struct heartbeat *h = container_of(op, struct heartbeat, op.op);
    struct kafka_heartbeat_response out;
    wire_default(h->rq->api->response, &out);
    out.error_code = err_kafka(op->err);
    kafka_respond(h->rq, &out);
}

void kafka_heartbeat_run(struct kafka_request *rq)
{
    const struct kafka_heartbeat_request *in = rq->in;
    struct heartbeat *h = kafka_alloc(rq, 1, sizeof *h);
    if (!h) {
        kafka_respond_close(rq, "no memory for a Heartbeat");
        return;
    }
    h->rq = rq;
    h->op = (struct group_heartbeat_op){.op.done = beaten,
                                        .actor = &rq->actor,
                                        .group = in->group_id,
                                        .member_id = in->member_id,
                                        .instance_id = in->group_instance_id,
                                        .generation = in->generation_id};
    broker_group_heartbeat(rq->conn->broker, &h->op);
}
