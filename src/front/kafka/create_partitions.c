/* create_partitions.c: CreatePartitions (KIP-195): more partitions for a topic; `count` is the new
 * total. */
#include "front/kafka/fan.h"
#include "front/kafka/verbs.h"

#define ROW struct kafka_create_partitions_response_result
#define ASKED struct kafka_create_partitions_request_topic

struct grow {
    struct topic_grow_op op;
    struct grow_all *all;
    ROW *row;
};

struct grow_all {
    struct fan fan;
    struct kafka_create_partitions_response out;
};

static void answer(struct kafka_request *rq)
{
    kafka_respond(rq, &((struct grow_all *)rq->state_of_verb)->out);
}

static void fill(const struct grow *g)
{
    enum err err = g->op.op.err;
    g->row->name = g->op.name;
    g->row->error_code = err_kafka(err);
    if (err)
        g->row->error_message = str_of(g->op.text.s[0] ? g->op.text.s : err_meaning(err));
}

static void grown(struct op *op)
{
    struct grow *g = container_of(op, struct grow, op.op);
    fill(g);
    fan_done(&g->all->fan);
}

/* Each new partition's replica list, where given, must be this broker. */
static enum err check_assignments(const ASKED *t, struct topic_grow_op *op)
{
    for (int32_t i = 0; i < t->assignments_n; i++) {
        const struct kafka_create_partitions_request_topic_assignment *a = &t->assignments[i];
        if (a->broker_ids_n != 1 || a->broker_ids[0] != BROKER_NODE_ID)
            return err_say(&op->text, ERR_ASSIGNMENT_INVALID,
                           "each partition has one replica, on broker %d", BROKER_NODE_ID);
    }
    return ERR_OK;
}

static void submit(struct grow_all *all, struct grow *g, const ASKED *asked)
{
    struct kafka_request *rq = all->fan.rq;
    const struct kafka_create_partitions_request *in = rq->in;
    g->all = all;
    g->op = (struct topic_grow_op){.op.done = grown,
                                   .actor = &rq->actor,
                                   .name = asked->name,
                                   .partitions = asked->count,
                                   .validate_only = in->validate_only};
    g->op.op.err = check_assignments(asked, &g->op);
    if (g->op.op.err) {
        fill(g);
        return;
    }
    fan_add(&all->fan);
    broker_topic_grow(rq->conn->broker, &g->op);
}

void kafka_create_partitions_run(struct kafka_request *rq)
{
    const struct kafka_create_partitions_request *in = rq->in;
    size_t n = (size_t)in->topics_n;
    struct grow_all *all = kafka_alloc(rq, 1, sizeof *all);
    struct grow *grows = kafka_alloc(rq, n, sizeof *grows);
    ROW *rows = kafka_alloc(rq, n, sizeof *rows);
    if (!all || !grows || !rows) {
        kafka_respond_close(rq, "a CreatePartitions of too many topics");
        return;
    }
    rq->state_of_verb = all;
    wire_default(rq->api->response, &all->out);
    all->out.results = rows;
    all->out.results_n = in->topics_n;
    fan_begin(&all->fan, rq, answer);
    for (size_t i = 0; i < n; i++) {
        grows[i].row = &rows[i];
        submit(all, &grows[i], &in->topics[i]);
    }
    fan_done(&all->fan);
}
