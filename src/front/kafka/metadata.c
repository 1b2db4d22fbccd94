/* metadata.c: Metadata: brokers, topics and partitions (KIP-516 topic ids, KIP-430 authorised
 * operations). Topics that are asked for by name and do not exist are created first where both the
 * client and the broker allow it; the answer then has them already. */
#include "front/kafka/conn.h"
#include "front/kafka/fan.h"
#include "front/kafka/verbs.h"

#include "broker/access.h"

#define OPERATIONS_NOT_ASKED INT32_MIN
/* Bits by Kafka's AclOperation: describe and its configs are anybody's who may do something. */
#define OPERATIONS_SEE 0x0500 /* describe, describe configs */
#define OPERATIONS_READ (1 << 3)
#define OPERATIONS_WRITE (1 << 4)
#define OPERATIONS_TOPIC_OWNER 0x08e0    /* create delete alter and alter configs */
#define OPERATIONS_CLUSTER 0x1fa0        /* create alter describe action configs idempotent write */
#define OPERATIONS_CLUSTER_OTHERS 0x1100 /* describe, idempotent write */

struct metadata_create {
    struct topic_create_op op;
    struct metadata *all;
};

struct metadata {
    struct fan fan;
    struct metadata_create *creates; /* one per topic asked for */
};

/* ---- answer --------------------------------------------------------------------------------- */

static void fill_partitions(struct kafka_request *rq, const struct topic *t,
                            struct kafka_metadata_response_topic *out)
{
    static int32_t self[1] = {BROKER_NODE_ID};
    size_t n = (size_t)t->partitions;
    out->partitions = kafka_alloc(rq, n, sizeof *out->partitions);
    if (!out->partitions)
        return;
    out->partitions_n = t->partitions;
    int32_t epoch = (int32_t)broker_conf(rq->conn->broker)->incarnation;
    for (int32_t i = 0; i < t->partitions; i++) {
        struct kafka_metadata_response_topic_partition *p = &out->partitions[i];
        p->partition_index = i;
        p->leader_id = BROKER_NODE_ID;
        p->leader_epoch = epoch;
        p->replica_nodes = p->isr_nodes = self;
        p->replica_nodes_n = p->isr_nodes_n = 1;
    }
}

static int32_t topic_operations(unsigned roles)
{
    int32_t bits = roles ? OPERATIONS_SEE : 0;
    bits |= roles & ACCESS_RECEIVER ? OPERATIONS_READ : 0;
    bits |= roles & ACCESS_SENDER ? OPERATIONS_WRITE : 0;
    bits |= roles & ACCESS_OWNER ? OPERATIONS_TOPIC_OWNER : 0;
    return bits;
}

static unsigned roles_on(struct kafka_request *rq, struct str topic)
{
    return access_roles(rq->conn->broker, &rq->actor, ACCESS_TOPIC, topic);
}

static void fill_topic(struct kafka_request *rq, const struct topic *t,
                       struct kafka_metadata_response_topic *out)
{
    const struct kafka_metadata_request *in = rq->in;
    out->name = str_of(t->name);
    out->topic_id = t->id;
    out->is_internal = t->internal;
    out->topic_authorized_operations = in->include_topic_authorized_operations
                                           ? topic_operations(roles_on(rq, out->name))
                                           : OPERATIONS_NOT_ASKED;
    fill_partitions(rq, t, out);
    kafka_topic_shown(rq->conn, t);
}

static enum err missing_error(struct kafka_request *rq, int32_t i,
                              const struct kafka_metadata_request_topic *asked)
{
    const struct metadata *m = rq->state_of_verb;
    if (!asked->name.at)
        return ERR_TOPIC_ID_UNKNOWN;
    if (!roles_on(rq, asked->name))
        return ERR_TOPIC_DENIED; /* whether it exists or not */
    enum err err = m->creates ? m->creates[i].op.op.err : ERR_OK;
    if (err == ERR_OK || err == ERR_TOPIC_EXISTS)
        err = topic_name_check(asked->name, NULL) ? ERR_TOPIC_INVALID : ERR_TOPIC_UNKNOWN;
    return err;
}

static void fill_asked(struct kafka_request *rq, int32_t i,
                       struct kafka_metadata_response_topic *out)
{
    const struct kafka_metadata_request *in = rq->in;
    const struct kafka_metadata_request_topic *asked = &in->topics[i];
    struct broker *b = rq->conn->broker;
    const struct topic *t =
        asked->name.at ? broker_topic(b, asked->name) : broker_topic_by_id(b, &asked->topic_id);
    if (t && roles_on(rq, str_of(t->name))) {
        fill_topic(rq, t, out);
        return;
    }
    out->error_code = err_kafka(missing_error(rq, i, asked));
    out->name = asked->name;
    out->topic_id = asked->topic_id;
    out->topic_authorized_operations = OPERATIONS_NOT_ASKED;
}

/* The next topic that the caller may see. */
static const struct topic *next_topic(struct kafka_request *rq, const struct topic *t)
{
    do
        t = broker_topic_next(rq->conn->broker, t);
    while (t && !roles_on(rq, str_of(t->name)));
    return t;
}

static int32_t count_topics(struct kafka_request *rq)
{
    int32_t n = 0;
    for (const struct topic *t = next_topic(rq, NULL); t; t = next_topic(rq, t))
        n++;
    return n;
}

static bool wants_all(const struct kafka_request *rq)
{
    const struct kafka_metadata_request *in = rq->in;
    return in->topics_n < 0 || (rq->version == 0 && in->topics_n == 0);
}

static void fill_topics(struct kafka_request *rq, struct kafka_metadata_response *out)
{
    const struct kafka_metadata_request *in = rq->in;
    int32_t n = wants_all(rq) ? count_topics(rq) : in->topics_n;
    out->topics = kafka_alloc(rq, (size_t)n, sizeof *out->topics);
    if (!out->topics)
        return;
    out->topics_n = n;
    if (!wants_all(rq)) {
        for (int32_t i = 0; i < n; i++)
            fill_asked(rq, i, &out->topics[i]);
        return;
    }
    const struct topic *t = next_topic(rq, NULL);
    for (int32_t i = 0; i < n; i++, t = next_topic(rq, t))
        fill_topic(rq, t, &out->topics[i]);
}

int32_t kafka_cluster_operations(struct kafka_request *rq)
{
    bool owner =
        access_roles(rq->conn->broker, &rq->actor, ACCESS_CLUSTER, STR_LIT("")) & ACCESS_OWNER;
    return owner ? OPERATIONS_CLUSTER : OPERATIONS_CLUSTER_OTHERS;
}

static void answer(struct kafka_request *rq)
{
    const struct kafka_metadata_request *in = rq->in;
    struct kafka_metadata_response out;
    struct kafka_metadata_response_broker self = {.node_id = BROKER_NODE_ID};
    char cluster[UUID_TEXT_MAX];
    wire_default(rq->api->response, &out);
    kafka_advertised(rq->conn, &self.host, &self.port);
    out.brokers = &self;
    out.brokers_n = 1;
    uuid_format(broker_conf(rq->conn->broker)->cluster_id, cluster);
    out.cluster_id = str_of(cluster);
    out.controller_id = BROKER_NODE_ID;
    if (in->include_cluster_authorized_operations)
        out.cluster_authorized_operations = kafka_cluster_operations(rq);
    fill_topics(rq, &out);
    kafka_respond(rq, &out);
}

/* ---- creation ------------------------------------------------------------------------------- */

static void created(struct op *op)
{
    struct metadata_create *c = container_of(op, struct metadata_create, op.op);
    if (c->op.topic)
        topic_unref(c->op.topic);
    c->op.topic = NULL;
    fan_done(&c->all->fan);
}

static void create_missing(struct kafka_request *rq, struct metadata *m)
{
    const struct kafka_metadata_request *in = rq->in;
    struct broker *b = rq->conn->broker;
    m->creates = kafka_alloc(rq, (size_t)in->topics_n, sizeof *m->creates);
    if (!m->creates)
        return;
    for (int32_t i = 0; i < in->topics_n; i++) {
        struct metadata_create *c = &m->creates[i];
        struct str name = in->topics[i].name;
        if (!name.at || broker_topic(b, name) || !roles_on(rq, name))
            continue;
        c->all = m;
        c->op = (struct topic_create_op){.op.done = created,
                                         .actor = &rq->actor,
                                         .name = name,
                                         .partitions = -1,
                                         .replication = -1};
        fan_add(&m->fan);
        broker_topic_create(b, &c->op);
    }
}

void kafka_metadata_run(struct kafka_request *rq)
{
    const struct kafka_metadata_request *in = rq->in;
    struct metadata *m = kafka_alloc(rq, 1, sizeof *m);
    if (!m) {
        kafka_respond_close(rq, "a Metadata of too many topics");
        return;
    }
    rq->state_of_verb = m;
    fan_begin(&m->fan, rq, answer);
    bool allowed = in->allow_auto_topic_creation || rq->version < 4;
    if (allowed && in->topics_n > 0 && broker_conf(rq->conn->broker)->auto_create_topics)
        create_missing(rq, m);
    fan_done(&m->fan);
}
