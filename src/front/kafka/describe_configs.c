/* describe_configs.c: DescribeConfigs (KIP-133, 226, 569): every setting of a topic, with where its
 * value comes from, and the broker's own settings that act on clients. */
#include "front/kafka/conn.h"
#include "front/kafka/verbs.h"

#include "broker/access.h"

#include <inttypes.h>
#include <stdio.h>

#define RESOURCE_TOPIC 2
#define RESOURCE_BROKER 4

#define SOURCE_TOPIC 1
#define SOURCE_STATIC_BROKER 4
#define SOURCE_DEFAULT 5

#define VALUE_MAX 64

#define RESULT struct kafka_describe_configs_response_result
#define CONFIG struct kafka_describe_configs_response_result_config

/* Kafka's ConfigDef.Type ids. */
static int8_t type_id(enum topic_conf_type type)
{
    static const int8_t ids[] = {[CONF_BOOLEAN] = 1, [CONF_STRING] = 2, [CONF_INT] = 3,
                                 [CONF_LONG] = 5,    [CONF_DOUBLE] = 6, [CONF_LIST] = 7};
    return ids[type];
}

static bool key_asked(const struct kafka_describe_configs_request_resource *r, const char *key)
{
    if (r->configuration_keys_n < 0)
        return true;
    for (int32_t i = 0; i < r->configuration_keys_n; i++) {
        if (str_is(r->configuration_keys[i], key))
            return true;
    }
    return false;
}

/* The topic's own value, then the default that it hides. */
static void fill_synonyms(struct kafka_request *rq, const struct topic_conf *conf, size_t row,
                          CONFIG *out)
{
    const struct topic_conf_row *r = topic_conf_row(row);
    struct kafka_describe_configs_response_result_config_synonym *s = kafka_alloc(rq, 2, sizeof *s);
    struct topic_conf dflt;
    char value[VALUE_MAX];
    if (!s)
        return;
    topic_conf_default(&dflt);
    out->synonyms = s;
    if (topic_conf_is_set(conf, row)) {
        s[0].name = str_of(r->key);
        s[0].value = out->value;
        s[0].source = SOURCE_TOPIC;
        out->synonyms_n = 1;
    }
    if (r->server_key) {
        s[out->synonyms_n].name = str_of(r->server_key);
        s[out->synonyms_n].value =
            kafka_keep(rq, str_of(topic_conf_get(&dflt, row, value, sizeof value)));
        s[out->synonyms_n].source = SOURCE_DEFAULT;
        out->synonyms_n++;
    }
}

static void fill_row(struct kafka_request *rq, const struct topic_conf *conf, size_t row,
                     CONFIG *out)
{
    const struct kafka_describe_configs_request *in = rq->in;
    const struct topic_conf_row *r = topic_conf_row(row);
    char value[VALUE_MAX];
    bool set = topic_conf_is_set(conf, row);
    out->name = str_of(r->key);
    out->value = kafka_keep(rq, str_of(topic_conf_get(conf, row, value, sizeof value)));
    out->is_default = !set;
    out->config_source = set ? SOURCE_TOPIC : SOURCE_DEFAULT;
    out->config_type = type_id(r->type);
    if (in->include_synonyms)
        fill_synonyms(rq, conf, row, out);
    if (in->include_documentation)
        out->documentation = str_of(r->doc);
}

static void describe_topic(struct kafka_request *rq,
                           const struct kafka_describe_configs_request_resource *r, RESULT *out)
{
    struct broker *b = rq->conn->broker;
    const struct topic *t = broker_topic(b, r->resource_name);
    enum err err = access_check(b, &rq->actor, ACCESS_TOPIC, r->resource_name, ACCESS_ANY);
    if (!t || err) {
        err = err ? err : topic_name_check(r->resource_name, NULL);
        err = err ? err : ERR_TOPIC_UNKNOWN;
        out->error_code = err_kafka(err);
        out->error_message = str_of(err_meaning(err));
        return;
    }
    out->configs = kafka_alloc(rq, topic_conf_rows(), sizeof *out->configs);
    for (size_t i = 0; out->configs && i < topic_conf_rows(); i++) {
        if (key_asked(r, topic_conf_row(i)->key))
            fill_row(rq, &t->conf, i, &out->configs[out->configs_n++]);
    }
}

/* ---- the broker's own ----------------------------------------------------------------------- */

struct broker_row {
    const char *key;
    enum topic_conf_type type;
    int64_t value;
    const char *doc;
};

#define BROKER_ROWS 6

static void broker_rows(const struct kafka_conn *conn, struct broker_row out[BROKER_ROWS])
{
    const struct broker_conf *c = broker_conf(conn->broker);
    struct broker_row rows[BROKER_ROWS] = {
        {"broker.id", CONF_INT, BROKER_NODE_ID, "The id of this broker."},
        {"auto.create.topics.enable", CONF_BOOLEAN, c->auto_create_topics,
         "Whether a Metadata request may create the topics that it names."},
        {"num.partitions", CONF_INT, c->default_partitions,
         "Partitions of a topic that is created without a number."},
        {"group.initial.rebalance.delay.ms", CONF_INT, c->group_initial_delay_ms,
         "How long an empty group waits for more members before its first assignment."},
        {"offsets.retention.minutes", CONF_INT, c->offsets_retention_ms / 60000,
         "How long the offsets of a group without members are kept."},
        {"socket.request.max.bytes", CONF_INT, (int64_t)conn->front->conf.frame_max,
         "The largest request that is read."},
    };
    for (size_t i = 0; i < BROKER_ROWS; i++)
        out[i] = rows[i];
}

static bool is_this_broker(struct str name)
{
    int64_t id;
    return name.len == 0 || (!str_to_i64(name, &id) && id == BROKER_NODE_ID);
}

static void describe_broker(struct kafka_request *rq,
                            const struct kafka_describe_configs_request_resource *r, RESULT *out)
{
    const struct kafka_describe_configs_request *in = rq->in;
    struct broker_row rows[BROKER_ROWS];
    if (access_check(rq->conn->broker, &rq->actor, ACCESS_CLUSTER, STR_LIT(""), ACCESS_OWNER)) {
        out->error_code = err_kafka(ERR_CLUSTER_DENIED);
        out->error_message = str_of(err_meaning(ERR_CLUSTER_DENIED));
        return;
    }
    if (!is_this_broker(r->resource_name)) {
        out->error_code = err_kafka(ERR_REQUEST_INVALID);
        out->error_message = str_of("there is one broker, of id 1");
        return;
    }
    broker_rows(rq->conn, rows);
    out->configs = kafka_alloc(rq, BROKER_ROWS, sizeof *out->configs);
    for (size_t i = 0; out->configs && i < BROKER_ROWS; i++) {
        char value[VALUE_MAX];
        if (!key_asked(r, rows[i].key))
            continue;
        CONFIG *c = &out->configs[out->configs_n++];
        if (rows[i].type == CONF_BOOLEAN)
            snprintf(value, sizeof value, "%s", rows[i].value ? "true" : "false");
        else
            snprintf(value, sizeof value, "%" PRId64, rows[i].value);
        c->name = str_of(rows[i].key);
        c->value = kafka_keep(rq, str_of(value));
        c->read_only = true;
        c->config_source = SOURCE_STATIC_BROKER;
        c->config_type = type_id(rows[i].type);
        if (in->include_documentation)
            c->documentation = str_of(rows[i].doc);
    }
}

static void describe(struct kafka_request *rq,
                     const struct kafka_describe_configs_request_resource *r, RESULT *out)
{
    out->resource_type = r->resource_type;
    out->resource_name = r->resource_name;
    if (r->resource_type == RESOURCE_TOPIC) {
        describe_topic(rq, r, out);
    } else if (r->resource_type == RESOURCE_BROKER) {
        describe_broker(rq, r, out);
    } else {
        out->error_code = err_kafka(ERR_REQUEST_INVALID);
        out->error_message = str_of("the resource type must be 2 (topic) or 4 (broker)");
    }
}

void kafka_describe_configs_run(struct kafka_request *rq)
{
    const struct kafka_describe_configs_request *in = rq->in;
    struct kafka_describe_configs_response out;
    wire_default(rq->api->response, &out);
    out.results = kafka_alloc(rq, (size_t)in->resources_n, sizeof *out.results);
    out.results_n = out.results ? in->resources_n : 0;
    for (int32_t i = 0; i < out.results_n; i++)
        describe(rq, &in->resources[i], &out.results[i]);
    kafka_respond(rq, &out);
}
