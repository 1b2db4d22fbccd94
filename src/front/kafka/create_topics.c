/* create_topics.c: CreateTopics (KIP-4, KIP-195 validate_only, KIP-525 configs in the answer). */
#include "front/kafka/fan.h"
#include "front/kafka/verbs.h"

#define SOURCE_TOPIC 1
#define SOURCE_DEFAULT 5
#define VALUE_MAX 64

#define ROW struct kafka_create_topics_response_topic
#define ASKED struct kafka_create_topics_request_topic

struct create {
    struct topic_create_op op;
    struct create_all *all;
    ROW *row;
    struct map_node by_name;
    bool twice; /* the request has another of this name */
};

struct create_all {
    struct fan fan;
    struct kafka_create_topics_response out;
    struct create *creates;
};

/* ---- answer --------------------------------------------------------------------------------- */

static void answer(struct kafka_request *rq)
{
    kafka_respond(rq, &((struct create_all *)rq->state_of_verb)->out);
}

static void fill_configs(struct kafka_request *rq, const struct topic_conf *conf, ROW *row)
{
    size_t n = topic_conf_rows();
    row->configs = kafka_alloc(rq, n, sizeof *row->configs);
    row->configs_n = row->configs ? (int32_t)n : 0;
    for (size_t i = 0; i < (size_t)row->configs_n; i++) {
        char value[VALUE_MAX];
        struct kafka_create_topics_response_topic_config *c = &row->configs[i];
        c->name = str_of(topic_conf_row(i)->key);
        c->value = kafka_keep(rq, str_of(topic_conf_get(conf, i, value, sizeof value)));
        c->config_source = topic_conf_is_set(conf, i) ? SOURCE_TOPIC : SOURCE_DEFAULT;
    }
}

static void fill(struct create *c)
{
    const struct topic_create_op *op = &c->op;
    ROW *row = c->row;
    row->error_code = err_kafka(op->op.err);
    row->num_partitions = row->replication_factor = -1;
    row->configs_n = -1;
    if (op->op.err) {
        row->error_message = str_of(op->text.s[0] ? op->text.s : err_meaning(op->op.err));
        return;
    }
    row->topic_id = op->topic ? op->topic->id : (struct uuid){0};
    row->num_partitions = op->partitions_out;
    row->replication_factor = 1;
    fill_configs(c->all->fan.rq, &op->conf, row);
}

static void created(struct op *op)
{
    struct create *c = container_of(op, struct create, op.op);
    fill(c);
    topic_unref(c->op.topic);
    fan_done(&c->all->fan);
}

/* ---- request -------------------------------------------------------------------------------- */

/* A manual assignment says the number of partitions; each must be of this one broker. */
static enum err take_assignments(const ASKED *t, struct topic_create_op *op)
{
    if (t->assignments_n == 0)
        return ERR_OK;
    if (t->num_partitions != -1 || t->replication_factor != -1)
        return err_say(&op->text, ERR_REQUEST_INVALID,
                       "with a replica assignment, partitions and replication factor must be -1");
    for (int32_t i = 0; i < t->assignments_n; i++) {
        const struct kafka_create_topics_request_topic_assignment *a = &t->assignments[i];
        if (a->partition_index < 0 || a->partition_index >= t->assignments_n)
            return err_say(&op->text, ERR_ASSIGNMENT_INVALID,
                           "partitions must be 0 to %d without a gap", t->assignments_n - 1);
        if (a->broker_ids_n != 1 || a->broker_ids[0] != BROKER_NODE_ID)
            return err_say(&op->text, ERR_ASSIGNMENT_INVALID,
                           "each partition has one replica, on broker %d", BROKER_NODE_ID);
    }
    op->partitions = t->assignments_n;
    return ERR_OK;
}

static enum err take_settings(struct kafka_request *rq, const ASKED *t, struct topic_create_op *op)
{
    if (t->configs_n > TOPIC_CONFIGS_MAX)
        return err_say(&op->text, ERR_CONFIG_INVALID, "more than %d settings", TOPIC_CONFIGS_MAX);
    struct topic_setting *s = kafka_alloc(rq, (size_t)t->configs_n, sizeof *s);
    if (!s)
        return ERR_MEMORY;
    for (int32_t i = 0; i < t->configs_n; i++) {
        s[i] = (struct topic_setting){t->configs[i].name, t->configs[i].value};
        if (!s[i].value.at)
            return err_say(&op->text, ERR_CONFIG_INVALID, "the value of %.*s is null",
                           (int)s[i].key.len, s[i].key.at);
    }
    op->settings = s;
    op->settings_n = (size_t)t->configs_n;
    return ERR_OK;
}

static void submit(struct create *c, const ASKED *asked)
{
    struct kafka_request *rq = c->all->fan.rq;
    const struct kafka_create_topics_request *in = rq->in;
    struct topic_create_op *op = &c->op;
    op->op.done = created;
    op->actor = &rq->actor;
    op->partitions = asked->num_partitions;
    op->replication = asked->replication_factor;
    op->validate_only = in->validate_only;
    op->op.err = take_settings(rq, asked, op);
    if (!op->op.err)
        op->op.err = take_assignments(asked, op);
    if (!op->op.err && c->twice)
        op->op.err = err_say(&op->text, ERR_REQUEST_INVALID, "the topic is named twice");
    if (op->op.err) {
        fill(c);
        return;
    }
    fan_add(&c->all->fan);
    broker_topic_create(rq->conn->broker, op);
}

static bool name_eq(const struct map_node *node, const void *key)
{
    const struct create *c = container_of_const(node, struct create, by_name);
    return str_eq(c->op.name, *(const struct str *)key);
}

/* Kafka refuses each of several topics of one name. */
static void mark_twice(struct create *creates, int32_t n)
{
    struct map names;
    map_init(&names);
    for (int32_t i = 0; i < n; i++) {
        struct str name = creates[i].op.name;
        uint64_t hash = hash_bytes(name.at, name.len);
        struct map_node *other = map_find(&names, hash, name_eq, &name);
        if (other)
            creates[i].twice = container_of(other, struct create, by_name)->twice = true;
        else
            map_insert(&names, &creates[i].by_name, hash);
    }
    map_free(&names);
}

static struct create_all *make_all(struct kafka_request *rq)
{
    const struct kafka_create_topics_request *in = rq->in;
    size_t n = (size_t)in->topics_n;
    struct create_all *all = kafka_alloc(rq, 1, sizeof *all);
    struct create *creates = kafka_alloc(rq, n, sizeof *creates);
    ROW *rows = kafka_alloc(rq, n, sizeof *rows);
    if (!all || !creates || !rows)
        return NULL;
    wire_default(rq->api->response, &all->out);
    all->out.topics = rows;
    all->out.topics_n = in->topics_n;
    all->creates = creates;
    for (size_t i = 0; i < n; i++) {
        creates[i].all = all;
        creates[i].row = &rows[i];
        creates[i].op.name = rows[i].name = in->topics[i].name;
    }
    mark_twice(creates, in->topics_n);
    return all;
}

void kafka_create_topics_run(struct kafka_request *rq)
{
    const struct kafka_create_topics_request *in = rq->in;
    struct create_all *all = make_all(rq);
    if (!all) {
        kafka_respond_close(rq, "a CreateTopics of too many topics");
        return;
    }
    rq->state_of_verb = all;
    fan_begin(&all->fan, rq, answer);
    for (int32_t i = 0; i < in->topics_n; i++)
        submit(&all->creates[i], &in->topics[i]);
    fan_done(&all->fan);
}
