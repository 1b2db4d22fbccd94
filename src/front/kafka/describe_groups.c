/* describe_groups.c: DescribeGroups. A group that does not exist is "Dead", which is an error from
 * version 6 on (KIP-1043). */
#include "front/kafka/conn.h"
#include "front/kafka/fan.h"
#include "front/kafka/verbs.h"

#include "broker/access.h"
#include "broker/group.h"

#include <stdio.h>
#include <string.h>

#define UNKNOWN_IS_ERROR 6
#define OPERATIONS_NOT_ASKED INT32_MIN
#define OPERATIONS_SEE 0x0500 /* describe, describe configs */
#define OPERATIONS_READ (1 << 3)
#define OPERATIONS_GROUP_OWNER 0x0840 /* delete, alter configs */
#define TEXT_MAX 128

struct describe {
    struct group_describe_op op;
    struct describe_all *all;
    struct kafka_describe_groups_response_group out;
};

struct describe_all {
    struct fan fan;
    struct describe *groups;
    int32_t n;
};

static void answer(struct kafka_request *rq)
{
    const struct describe_all *all = rq->state_of_verb;
    struct kafka_describe_groups_response out;
    wire_default(rq->api->response, &out);
    out.groups = kafka_alloc(rq, (size_t)all->n, sizeof *out.groups);
    out.groups_n = out.groups ? all->n : 0;
    for (int32_t i = 0; i < out.groups_n; i++)
        out.groups[i] = all->groups[i].out;
    kafka_respond(rq, &out);
}

/* False: no room; *out is null then. */
static bool keep(struct kafka_request *rq, struct str s, struct str *out)
{
    *out = (struct str){0};
    if (!s.at)
        return true;
    const char *copy = arena_strndup(&rq->arena, s.at, s.len);
    if (copy)
        *out = (struct str){copy, s.len};
    return copy != NULL;
}

static bool fill_member(struct kafka_request *rq, const struct group_member_desc *m,
                        struct kafka_describe_groups_response_group_member *out)
{
    return keep(rq, m->member_id, &out->member_id) &&
           keep(rq, m->instance_id, &out->group_instance_id) &&
           keep(rq, m->client_id, &out->client_id) && keep(rq, m->client_host, &out->client_host) &&
           keep(rq, m->metadata, &out->member_metadata) &&
           keep(rq, m->assignment, &out->member_assignment);
}

static bool fill(struct kafka_request *rq, struct describe *d)
{
    struct kafka_describe_groups_response_group *out = &d->out;
    out->members = kafka_alloc(rq, d->op.members_n, sizeof *out->members);
    if (!out->members || !keep(rq, d->op.protocol_type, &out->protocol_type) ||
        !keep(rq, d->op.protocol, &out->protocol_data))
        return false;
    for (size_t i = 0; i < d->op.members_n; i++) {
        if (!fill_member(rq, &d->op.members[i], &out->members[i]))
            return false;
    }
    out->members_n = (int32_t)d->op.members_n;
    return true;
}

static struct str unknown_text(struct kafka_request *rq, struct str group)
{
    char text[TEXT_MAX];
    int n = snprintf(text, sizeof text, "Group %.*s not found.",
                     group.len < TEXT_MAX / 2 ? (int)group.len : TEXT_MAX / 2, group.at);
    struct str out;
    (void)keep(rq, (struct str){text, (size_t)n}, &out);
    return out;
}

/* The outputs live until this returns. */
static void described(struct op *op)
{
    struct describe *d = container_of(op, struct describe, op.op);
    struct kafka_request *rq = d->all->fan.rq;
    enum err err = op->err;
    d->out.group_state = str_of(d->op.state ? d->op.state : "");
    if (!err && !fill(rq, d))
        err = ERR_MEMORY;
    if (err == ERR_GROUP_UNKNOWN && rq->version < UNKNOWN_IS_ERROR)
        err = ERR_OK;
    if (err == ERR_GROUP_UNKNOWN)
        d->out.error_message = unknown_text(rq, d->op.group);
    else if (err)
        d->out.group_state = STR_LIT("");
    if (err)
        d->out.authorized_operations = OPERATIONS_NOT_ASKED;
    d->out.error_code = err_kafka(err);
    fan_done(&d->all->fan);
}

/* KIP-430, as bits of Kafka's AclOperation. */
static int32_t operations(struct kafka_request *rq, struct str group)
{
    unsigned roles = access_roles(rq->conn->broker, &rq->actor, ACCESS_GROUP, group);
    int32_t bits = roles ? OPERATIONS_SEE : 0;
    bits |= roles & ACCESS_RECEIVER ? OPERATIONS_READ : 0;
    bits |= roles & ACCESS_OWNER ? OPERATIONS_GROUP_OWNER : 0;
    return bits;
}

void kafka_describe_groups_run(struct kafka_request *rq)
{
    const struct kafka_describe_groups_request *in = rq->in;
    struct describe_all *all = kafka_alloc(rq, 1, sizeof *all);
    struct describe *groups = kafka_alloc(rq, (size_t)in->groups_n, sizeof *groups);
    if (!all || !groups) {
        kafka_respond_close(rq, "a DescribeGroups of too many groups");
        return;
    }
    all->n = in->groups_n;
    all->groups = groups;
    rq->state_of_verb = all;
    fan_begin(&all->fan, rq, answer);
    for (int32_t i = 0; i < all->n; i++) {
        struct describe *d = &all->groups[i];
        wire_default(&kafka_describe_groups_response_group_table, &d->out);
        d->all = all;
        d->out.group_id = in->groups[i];
        if (in->include_authorized_operations)
            d->out.authorized_operations = operations(rq, in->groups[i]);
        d->op = (struct group_describe_op){
            .op.done = described, .actor = &rq->actor, .group = in->groups[i]};
        fan_add(&all->fan);
        broker_group_describe(rq->conn->broker, &d->op);
    }
    fan_done(&all->fan);
}
