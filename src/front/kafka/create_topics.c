/* create_topics.c: CreateTopics (KIP-4, KIP-195 validate_only, KIP-525 configs in the answer). */
#include "front/kafka/conn.h"
#include "front/kafka/fan.h"
#include "front/kafka/verbs.h"

#include "base/assert.h"

#define SOURCE_TOPIC 1
#define SOURCE_DEFAULT 5
#define VALUE_MAX 64

struct create {
    struct topic_create_op op;
    struct create_all *all;
};

struct create_all {
    struct fan fan;
    struct create *creates;
};

/* ---- answer --------------------------------------------------------------------------------- */

static void fill_configs(struct kafka_request *rq, const struct topic_conf *conf,
                         struct kafka_create_topics_response_topic *out)
{
    size_t n = topic_conf_rows();
    out->configs = arena_zalloc(&rq->arena, n, sizeof *out->configs);
    if (!out->configs)
        return;
    out->configs_n = (int32_t)n;
    for (size_t i = 0; i < n; i++) {
        char value[VALUE_MAX];
        struct kafka_create_topics_response_topic_config *c = &out->configs[i];
        const char *v = topic_conf_get(conf, i, value, sizeof value);
        char *kept = arena_strndup(&rq->arena, v, str_of(v).len);
        c->name = str_of(topic_conf_row(i)->key);
        c->value = kept ? str_of(kept) : (struct str){0};
        c->config_source = topic_conf_is_set(conf, i) ? SOURCE_TOPIC : SOURCE_DEFAULT;
    }
}

static void fill_topic(struct kafka_request *rq, const struct topic_create_op *op,
                       struct kafka_create_topics_response_topic *out)
{
    out->name = op->name;
    out->error_code = err_kafka(op->op.err);
    out->num_partitions = out->replication_factor = -1;
    out->configs_n = -1;
    if (op->op.err) {
        out->error_message = str_of(op->text.s[0] ? op->text.s : err_meaning(op->op.err));
        return;
    }
    out->topic_id = op->topic ? op->topic->id : (struct uuid){0};
    out->num_partitions = op->partitions_out;
    out->replication_factor = 1;
    fill_configs(rq, &op->conf, out);
}

static void answer(struct kafka_request *rq)
{
    const struct kafka_create_topics_request *in = rq->in;
    struct create_all *all = rq->state_of_verb;
    struct kafka_create_topics_response out;
    wire_default(rq->api->response, &out);
    out.topics = arena_zalloc(&rq->arena, (size_t)in->topics_n, sizeof *out.topics);
    out.topics_n = out.topics ? in->topics_n : 0;
    for (int32_t i = 0; i < out.topics_n; i++)
        fill_topic(rq, &all->creates[i].op, &out.topics[i]);
    kafka_respond(rq, &out);
    for (int32_t i = 0; i < in->topics_n; i++) {
        if (all->creates[i].op.topic)
            topic_unref(all->creates[i].op.topic);
    }
}

static void created(struct op *op)
{
    struct create *c = container_of(op, struct create, op.op);
    fan_done(&c->all->fan);
}

/* ---- request -------------------------------------------------------------------------------- */

/* A manual assignment says the number of partitions; each must be of this one broker. */
static enum err take_assignments(const struct kafka_create_topics_request_topic *t,
                                 struct topic_create_op *op)
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

static enum err take_topic(struct kafka_request *rq, struct create *c,
                           const struct kafka_create_topics_request_topic *t)
{
    const struct kafka_create_topics_request *in = rq->in;
    struct topic_create_op *op = &c->op;
    *op = (struct topic_create_op){.op.done = created,
                                   .actor = &rq->actor,
                                   .name = t->name,
                                   .partitions = t->num_partitions,
                                   .replication = t->replication_factor,
                                   .validate_only = in->validate_only};
    if (t->configs_n > TOPIC_CONFIGS_MAX)
        return err_say(&op->text, ERR_CONFIG_INVALID, "more than %d settings", TOPIC_CONFIGS_MAX);
    struct topic_setting *s = arena_zalloc(&rq->arena, (size_t)t->configs_n, sizeof *s);
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
    return take_assignments(t, op);
}

static bool named_twice(const struct kafka_create_topics_request *in, int32_t i)
{
    for (int32_t k = 0; k < in->topics_n; k++) {
        if (k != i && str_eq(in->topics[k].name, in->topics[i].name))
            return true;
    }
    return false;
}

void kafka_create_topics_run(struct kafka_request *rq)
{
    const struct kafka_create_topics_request *in = rq->in;
    struct create_all *all = arena_zalloc(&rq->arena, 1, sizeof *all);
    weir_assert(all);
    all->creates = arena_zalloc(&rq->arena, (size_t)in->topics_n, sizeof *all->creates);
    rq->state_of_verb = all;
    if (!all->creates) {
        kafka_respond_close(rq, "a CreateTopics of too many topics");
        return;
    }
    fan_begin(&all->fan, rq, answer);
    for (int32_t i = 0; i < in->topics_n; i++) {
        struct create *c = &all->creates[i];
        c->all = all;
        c->op.op.err = take_topic(rq, c, &in->topics[i]);
        if (!c->op.op.err && named_twice(in, i))
            c->op.op.err = err_say(&c->op.text, ERR_REQUEST_INVALID, "the topic is named twice");
        if (c->op.op.err)
            continue;
        fan_add(&all->fan);
        broker_topic_create(rq->conn->broker, &c->op);
    }
    fan_done(&all->fan);
}
