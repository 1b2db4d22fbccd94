/* list_groups.c: ListGroups, with filters by state (KIP-518) and type (KIP-848), which do not mind
 * case. All groups here are of the classic type. */
#include "front/kafka/conn.h"
#include "front/kafka/verbs.h"

#include "broker/group.h"

#include <strings.h>

#define TYPE_CLASSIC "classic"

struct list_groups {
    struct group_list_op op;
    struct kafka_request *rq;
};

/* An empty filter lets everything through. */
static bool passes(const struct str *filter, int32_t n, const char *value)
{
    size_t len = str_of(value).len;
    for (int32_t i = 0; i < n; i++) {
        if (filter[i].len == len && strncasecmp(filter[i].at, value, len) == 0)
            return true;
    }
    return n <= 0;
}

static void listed(struct op *op)
{
    struct list_groups *l = container_of(op, struct list_groups, op.op);
    struct kafka_request *rq = l->rq;
    const struct kafka_list_groups_request *in = rq->in;
    struct kafka_list_groups_response out;
    wire_default(rq->api->response, &out);
    size_t n = op->err ? 0 : l->op.groups_n;
    out.groups = kafka_alloc(rq, n, sizeof *out.groups);
    bool type = passes(in->types_filter, in->types_filter_n, TYPE_CLASSIC);
    for (size_t i = 0; out.groups && type && i < n; i++) {
        const struct group_listing *g = &l->op.groups[i];
        if (!passes(in->states_filter, in->states_filter_n, g->state))
            continue;
        out.groups[out.groups_n++] =
            (struct kafka_list_groups_response_group){.group_id = g->group,
                                                      .protocol_type = g->protocol_type,
                                                      .group_state = str_of(g->state),
                                                      .group_type = STR_LIT(TYPE_CLASSIC)};
    }
    out.error_code = err_kafka(op->err);
    kafka_respond(rq, &out);
}

void kafka_list_groups_run(struct kafka_request *rq)
{
    struct list_groups *l = kafka_alloc(rq, 1, sizeof *l);
    if (!l) {
        kafka_respond_close(rq, "a ListGroups of too many filters");
        return;
    }
    l->rq = rq;
    l->op.op.done = listed;
    l->op.actor = &rq->actor;
    broker_group_list(rq->conn->broker, &l->op);
}
