/* create_partitions.c: CreatePartitions (KIP-195): more partitions for a topic; `count` is the new
 * total. */
#include "front/kafka/conn.h"
#include "front/kafka/fan.h"
#include "front/kafka/verbs.h"

#include "base/assert.h"

struct grow {
    struct topic_grow_op op;
    struct grow_all *all;
};

struct grow_all {
    struct fan fan;
    struct grow *grows;
};

static void answer(struct kafka_request *rq)
{
    const struct kafka_create_partitions_request *in = rq->in;
    struct grow_all *all = rq->state_of_verb;
    struct kafka_create_partitions_response out;
    wire_default(rq->api->response, &out);
    out.results = arena_zalloc(&rq->arena, (size_t)in->topics_n, sizeof *out.results);
    out.results_n = out.results ? in->topics_n : 0;
    for (int32_t i = 0; i < out.results_n; i++) {
        const struct topic_grow_op *op = &all->grows[i].op;
        enum err err = op->op.err;
        out.results[i].name = op->name;
        out.results[i].error_code = err_kafka(err);
        if (err)
            out.results[i].error_message = str_of(op->text.s[0] ? op->text.s : err_meaning(err));
    }
    kafka_respond(rq, &out);
}

static void grown(struct op *op)
{
    struct grow *g = container_of(op, struct grow, op.op);
    fan_done(&g->all->fan);
}

/* Each new partition's replica list, where given, must be this broker. */
static enum err check_assignments(const struct kafka_create_partitions_request_topic *t,
                                  struct topic_grow_op *op)
{
    for (int32_t i = 0; i < t->assignments_n; i++) {
        const struct kafka_create_partitions_request_topic_assignment *a = &t->assignments[i];
        if (a->broker_ids_n != 1 || a->broker_ids[0] != BROKER_NODE_ID)
            return err_say(&op->text, ERR_ASSIGNMENT_INVALID,
                           "each partition has one replica, on broker %d", BROKER_NODE_ID);
    }
    return ERR_OK;
}

void kafka_create_partitions_run(struct kafka_request *rq)
{
    const struct kafka_create_partitions_request *in = rq->in;
    struct grow_all *all = arena_zalloc(&rq->arena, 1, sizeof *all);
    weir_assert(all);
    all->grows = arena_zalloc(&rq->arena, (size_t)in->topics_n, sizeof *all->grows);
    rq->state_of_verb = all;
    if (!all->grows) {
        kafka_respond_close(rq, "a CreatePartitions of too many topics");
        return;
    }
    fan_begin(&all->fan, rq, answer);
    for (int32_t i = 0; i < in->topics_n; i++) {
        struct grow *g = &all->grows[i];
        g->all = all;
        g->op = (struct topic_grow_op){.op.done = grown,
                                       .actor = &rq->actor,
                                       .name = in->topics[i].name,
                                       .partitions = in->topics[i].count,
                                       .validate_only = in->validate_only};
        g->op.op.err = check_assignments(&in->topics[i], &g->op);
        if (g->op.op.err)
            continue;
        fan_add(&all->fan);
        broker_topic_grow(rq->conn->broker, &g->op);
    }
    fan_done(&all->fan);
}
