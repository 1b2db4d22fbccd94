#include "cli/topic_admin.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERROR_TOPIC_UNKNOWN 3
#define ERROR_TOPIC_EXISTS 36
#define RESOURCE_TOPIC 2
#define SOURCE_TOPIC 1

/* The broker's own words where it has some: they name the topic. */
static int failed(struct str name, int16_t code, struct str message)
{
    fprintf(stderr, "Error while executing topic command : ");
    if (message.at)
        fprintf(stderr, "%.*s\n", (int)message.len, message.at);
    else
        fprintf(stderr, "topic '%.*s': %s\n", (int)name.len, name.at ? name.at : "",
                admin_error(code));
    return 1;
}

static int failed_call(const struct err_text *text)
{
    fprintf(stderr, "%s\n", text->s);
    return 1;
}

/* ---- reading -------------------------------------------------------------------------------- */

static int by_name(const void *x, const void *y)
{
    const struct kafka_metadata_response_topic *a = x, *b = y;
    size_t n = a->name.len < b->name.len ? a->name.len : b->name.len;
    int c = memcmp(a->name.at, b->name.at, n);
    return c ? c : (a->name.len > b->name.len) - (a->name.len < b->name.len);
}

#define PATTERN_MAX 600

/* "a,b.*" -> "^(a|b.*)$". */
static int pattern_make(const char *name, regex_t *re)
{
    char pattern[PATTERN_MAX + 8], why[128];
    if (strlen(name) > PATTERN_MAX) {
        fprintf(stderr, "the topic's name has more than %d characters\n", PATTERN_MAX);
        return 1;
    }
    snprintf(pattern, sizeof pattern, "^(%s)$", name);
    for (char *p = pattern; *p; p++)
        *p = *p == ',' ? '|' : *p;
    int failed = regcomp(re, pattern, REG_EXTENDED | REG_NOSUB);
    if (!failed)
        return 0;
    regerror(failed, re, why, sizeof why);
    fprintf(stderr, "'%s' is neither a topic's name nor a regular expression: %s\n", name, why);
    return 1;
}

static bool whole_match(const regex_t *re, struct str name)
{
    char text[256];
    (void)str_copy(text, sizeof text, name);
    return regexec(re, text, 0, NULL, 0) == 0;
}

/* Moves those that are meant to the front; re is NULL where only the name itself will do. */
static void keep(const struct topic_filter *f, const regex_t *re,
                 struct kafka_metadata_response *out)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < out->topics_n; i++) {
        const struct kafka_metadata_response_topic *t = &out->topics[i];
        bool meant = !f->name || (re ? whole_match(re, t->name) : str_is(t->name, f->name));
        if (meant && !(f->exclude_internal && t->is_internal))
            out->topics[kept++] = *t;
    }
    out->topics_n = kept;
}

static bool has_name(const struct kafka_metadata_response *out, const char *name)
{
    for (int32_t i = 0; i < out->topics_n; i++) {
        if (str_is(out->topics[i].name, name))
            return true;
    }
    return false;
}

static int filter(const struct topic_filter *f, struct kafka_metadata_response *out)
{
    regex_t re;
    if (!f->name || f->exact || has_name(out, f->name)) {
        keep(f, NULL, out);
        return 0;
    }
    if (pattern_make(f->name, &re))
        return 1;
    keep(f, &re, out);
    regfree(&re);
    return 0;
}

/* All topics that the filter lets through, in name order. */
static int read_topics(struct admin *a, const struct topic_filter *f,
                       struct kafka_metadata_response *out)
{
    struct kafka_metadata_request in;
    struct err_text text = {""};
    wire_default(&kafka_metadata_request_table, &in);
    in.topics_n = -1;
    in.allow_auto_topic_creation = false;
    if (admin_call(a, &admin_metadata, &in, out, &text))
        return failed_call(&text);
    int status = filter(f, out);
    if (!status && out->topics_n)
        qsort(out->topics, (size_t)out->topics_n, sizeof *out->topics, by_name);
    return status;
}

/* Likewise; it is an error if there is none. */
static int read_some_topics(struct admin *a, const struct topic_filter *f,
                            struct kafka_metadata_response *out)
{
    int status = read_topics(a, f, out);
    if (status || out->topics_n || !f->name || f->may_be_none)
        return status;
    fprintf(stderr, "Error while executing topic command : Topic '%s' does not exist as expected\n",
            f->name);
    return 1;
}

int topic_admin_list(struct admin *a, const struct topic_filter *f)
{
    struct kafka_metadata_response out;
    int status = read_topics(a, f, &out);
    for (int32_t i = 0; !status && i < out.topics_n; i++)
        printf("%.*s\n", (int)out.topics[i].name.len, out.topics[i].name.at);
    return status;
}

/* "segment.bytes=1073741824,..." of what is set on the topic itself. */
static void print_configs(struct admin *a, struct str topic)
{
    struct kafka_describe_configs_request_resource r = {
        .resource_type = RESOURCE_TOPIC, .resource_name = topic, .configuration_keys_n = -1};
    struct kafka_describe_configs_request in = {.resources = &r, .resources_n = 1};
    struct kafka_describe_configs_response out;
    struct err_text text = {""};
    if (admin_call(a, &admin_describe_configs, &in, &out, &text) || out.results_n != 1)
        return;
    const char *comma = "";
    for (int32_t i = 0; i < out.results[0].configs_n; i++) {
        const struct kafka_describe_configs_response_result_config *c = &out.results[0].configs[i];
        if (c->config_source != SOURCE_TOPIC)
            continue;
        printf("%s%.*s=%.*s", comma, (int)c->name.len, c->name.at, (int)c->value.len, c->value.at);
        comma = ",";
    }
}

static void print_ids(const int32_t *ids, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        printf("%s%d", i ? "," : "", ids[i]);
}

/* The ids of topics came with version 10 of Metadata, which the describe call uses. */
static const struct admin_call metadata_with_ids = {3, 12, true, &kafka_metadata_request_table,
                                                    &kafka_metadata_response_table};

static struct uuid topic_id(struct admin *a, struct str name)
{
    struct kafka_metadata_request_topic t = {.name = name};
    struct kafka_metadata_request in;
    struct kafka_metadata_response out;
    struct err_text text = {""};
    wire_default(&kafka_metadata_request_table, &in);
    in.topics = &t;
    in.topics_n = 1;
    in.allow_auto_topic_creation = false;
    if (admin_call(a, &metadata_with_ids, &in, &out, &text) || out.topics_n != 1)
        return (struct uuid){0};
    return out.topics[0].topic_id;
}

static void describe(struct admin *a, const struct kafka_metadata_response_topic *t)
{
    char id[UUID_TEXT_MAX];
    uuid_format(topic_id(a, t->name), id);
    int32_t replicas = t->partitions_n ? t->partitions[0].replica_nodes_n : 0;
    printf("Topic: %.*s\tTopicId: %s\tPartitionCount: %d\tReplicationFactor: %d\tConfigs: ",
           (int)t->name.len, t->name.at, id, t->partitions_n, replicas);
    print_configs(a, t->name);
    printf("\n");
    for (int32_t i = 0; i < t->partitions_n; i++) {
        const struct kafka_metadata_response_topic_partition *p = &t->partitions[i];
        printf("\tTopic: %.*s\tPartition: %d\tLeader: %d\tReplicas: ", (int)t->name.len, t->name.at,
               p->partition_index, p->leader_id);
        print_ids(p->replica_nodes, p->replica_nodes_n);
        printf("\tIsr: ");
        print_ids(p->isr_nodes, p->isr_nodes_n);
        printf("\tElr: N/A\tLastKnownElr: N/A\n");
    }
}

int topic_admin_describe(struct admin *a, const struct topic_filter *f)
{
    struct kafka_metadata_response out;
    int status = read_some_topics(a, f, &out);
    if (status)
        return status;
    for (int32_t i = 0; i < out.topics_n; i++)
        describe(a, &out.topics[i]);
    return 0;
}

/* ---- changing ------------------------------------------------------------------------------- */

static int split_configs(const struct option_list *configs,
                         struct kafka_create_topics_request_topic_config *out)
{
    for (size_t i = 0; i < configs->n; i++) {
        const char *equals = strchr(configs->at[i], '=');
        if (!equals) {
            fprintf(stderr, "--config: '%s' is not KEY=VALUE, such as retention.ms=86400000\n",
                    configs->at[i]);
            return 2;
        }
        out[i].name = (struct str){configs->at[i], (size_t)(equals - configs->at[i])};
        out[i].value = str_of(equals + 1);
    }
    return 0;
}

int topic_admin_create(struct admin *a, const char *name, int64_t partitions, int64_t replication,
                       const struct option_list *configs, bool if_not_exists)
{
    struct kafka_create_topics_request_topic_config rows[OPTION_LIST_MAX];
    struct kafka_create_topics_request_topic t = {.name = str_of(name),
                                                  .num_partitions = (int32_t)partitions,
                                                  .replication_factor = (int16_t)replication,
                                                  .configs = rows,
                                                  .configs_n = (int32_t)configs->n};
    struct kafka_create_topics_request in = {
        .topics = &t, .topics_n = 1, .timeout_ms = ADMIN_TIMEOUT_MS};
    struct kafka_create_topics_response out;
    struct err_text text = {""};
    int status = split_configs(configs, rows);
    if (status)
        return status;
    if (admin_call(a, &admin_create_topics, &in, &out, &text))
        return failed_call(&text);
    if (out.topics_n != 1)
        return failed(t.name, -1, (struct str){0});
    if (if_not_exists && out.topics[0].error_code == ERROR_TOPIC_EXISTS)
        return 0;
    if (out.topics[0].error_code)
        return failed(t.name, out.topics[0].error_code, out.topics[0].error_message);
    printf("Created topic %s.\n", name);
    return 0;
}

#define OPERATION_SET 0
#define OPERATION_DELETE 1

int topic_admin_alter(struct admin *a, const char *name, const struct option_list *set,
                      const struct option_list *unset)
{
    struct kafka_create_topics_request_topic_config given[OPTION_LIST_MAX];
    struct kafka_incremental_alter_configs_request_resource_config rows[2 * OPTION_LIST_MAX];
    struct kafka_incremental_alter_configs_request_resource r = {
        .resource_type = RESOURCE_TOPIC, .resource_name = str_of(name), .configs = rows};
    struct kafka_incremental_alter_configs_request in = {.resources = &r, .resources_n = 1};
    struct kafka_incremental_alter_configs_response out;
    struct err_text text = {""};
    int status = split_configs(set, given);
    if (status)
        return status;
    memset(rows, 0, sizeof rows);
    for (size_t i = 0; i < set->n; i++) {
        rows[r.configs_n].name = given[i].name;
        rows[r.configs_n].config_operation = OPERATION_SET;
        rows[r.configs_n++].value = given[i].value;
    }
    for (size_t i = 0; i < unset->n; i++) {
        rows[r.configs_n].name = str_of(unset->at[i]);
        rows[r.configs_n++].config_operation = OPERATION_DELETE;
    }
    if (admin_call(a, &admin_incremental_alter_configs, &in, &out, &text))
        return failed_call(&text);
    if (out.responses_n != 1)
        return failed(r.resource_name, -1, (struct str){0});
    if (out.responses[0].error_code)
        return failed(r.resource_name, out.responses[0].error_code, out.responses[0].error_message);
    printf("Altered topic %s.\n", name);
    return 0;
}

/* One request for all of them: none is deleted before all are known to be there. */
int topic_admin_delete(struct admin *a, const struct topic_filter *f)
{
    struct kafka_metadata_response topics;
    struct kafka_delete_topics_request in = {.timeout_ms = ADMIN_TIMEOUT_MS};
    struct kafka_delete_topics_response out;
    struct err_text text = {""};
    int status = read_some_topics(a, f, &topics);
    if (status || !topics.topics_n)
        return status;
    in.topic_names = arena_zalloc(admin_arena(a), (size_t)topics.topics_n, sizeof(struct str));
    in.topic_names_n = in.topic_names ? topics.topics_n : 0;
    for (int32_t i = 0; i < in.topic_names_n; i++)
        in.topic_names[i] = topics.topics[i].name;
    if (admin_call(a, &admin_delete_topics, &in, &out, &text))
        return failed_call(&text);
    for (int32_t i = 0; i < out.responses_n; i++) {
        int16_t code = out.responses[i].error_code;
        if (code && !(f->may_be_none && code == ERROR_TOPIC_UNKNOWN))
            status = failed(out.responses[i].name, code, (struct str){0});
    }
    return status;
}

static int grow(struct admin *a, struct str name, int64_t partitions)
{
    struct kafka_create_partitions_request_topic t = {
        .name = name, .count = (int32_t)partitions, .assignments_n = -1};
    struct kafka_create_partitions_request in = {
        .topics = &t, .topics_n = 1, .timeout_ms = ADMIN_TIMEOUT_MS};
    struct kafka_create_partitions_response out;
    struct err_text text = {""};
    if (admin_call(a, &admin_create_partitions, &in, &out, &text))
        return failed_call(&text);
    if (out.results_n == 1 && !out.results[0].error_code)
        return 0;
    return failed(name, out.results_n ? out.results[0].error_code : -1,
                  out.results_n ? out.results[0].error_message : (struct str){0});
}

int topic_admin_grow(struct admin *a, const struct topic_filter *f, int64_t partitions)
{
    struct kafka_metadata_response topics;
    int status = read_some_topics(a, f, &topics);
    for (int32_t i = 0; !status && i < topics.topics_n; i++)
        status = grow(a, topics.topics[i].name, partitions);
    return status;
}
