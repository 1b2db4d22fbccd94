/* alter_configs.c: AlterConfigs (KIP-133), which gives a topic exactly the settings that it names,
 * and IncrementalAlterConfigs (KIP-339), which sets, deletes, appends to or subtracts from single
 * ones. Each resource is changed whole or not at all.
 */
#include "front/kafka/fan.h"
#include "front/kafka/verbs.h"

#include <stdio.h>
#include <string.h>

#define RESOURCE_TOPIC 2
#define RESOURCE_BROKER 4

enum alter_verb { ALTER_SET, ALTER_DELETE, ALTER_APPEND, ALTER_SUBTRACT };

#define INCREMENT struct kafka_incremental_alter_configs_request_resource

struct alter {
    struct topic_configure_op op;
    struct alter_all *all;
    /* Its row of the answer, of whichever of the two requests. */
    int16_t *error_code;
    struct str *error_message;
};

struct alter_all {
    struct fan fan;
    struct alter *alters;
    void *out; /* the answer's struct */
};

/* ---- one resource --------------------------------------------------------------------------- */

static void answer(struct kafka_request *rq)
{
    kafka_respond(rq, ((struct alter_all *)rq->state_of_verb)->out);
}

static void fill(const struct alter *a)
{
    enum err err = a->op.op.err;
    *a->error_code = err_kafka(err);
    if (err)
        *a->error_message = str_of(a->op.text.s[0] ? a->op.text.s : err_meaning(err));
}

static void altered(struct op *op)
{
    struct alter *a = container_of(op, struct alter, op.op);
    fill(a);
    fan_done(&a->all->fan);
}

static enum err check_resource(int8_t type, struct err_text *text)
{
    if (type == RESOURCE_TOPIC)
        return ERR_OK;
    if (type == RESOURCE_BROKER)
        return err_say(text, ERR_REQUEST_INVALID,
                       "the broker's own settings are options of `weir serve`");
    return err_say(text, ERR_REQUEST_INVALID, "the resource type must be 2 (topic), not %d", type);
}

static enum err check_count(int32_t n, struct err_text *text)
{
    if (n <= TOPIC_CONFIGS_MAX)
        return ERR_OK;
    return err_say(text, ERR_REQUEST_INVALID, "more than %d settings", TOPIC_CONFIGS_MAX);
}

static void submit(struct alter *a, enum err err)
{
    a->op.op.err = err;
    a->op.op.done = altered;
    a->op.actor = &a->all->fan.rq->actor;
    if (err) {
        fill(a);
        return;
    }
    fan_add(&a->all->fan);
    broker_topic_configure(a->all->fan.rq->conn->broker, &a->op);
}

/* Room for n resources; false: answered. */
static bool begin(struct kafka_request *rq, size_t n, void *out, void *rows)
{
    struct alter_all *all = kafka_alloc(rq, 1, sizeof *all);
    struct alter *alters = kafka_alloc(rq, n, sizeof *alters);
    if (!all || !alters || !out || !rows) {
        kafka_respond_close(rq, "settings of too many resources");
        return false;
    }
    rq->state_of_verb = all;
    all->out = out;
    all->alters = alters;
    for (size_t i = 0; i < n; i++)
        alters[i].all = all;
    wire_default(rq->api->response, out);
    fan_begin(&all->fan, rq, answer);
    return true;
}

/* ---- AlterConfigs --------------------------------------------------------------------------- */

static enum err take_whole(struct kafka_request *rq,
                           const struct kafka_alter_configs_request_resource *r, struct alter *a)
{
    enum err err = check_resource(r->resource_type, &a->op.text);
    if (!err)
        err = check_count(r->configs_n, &a->op.text);
    if (err)
        return err;
    struct topic_setting *settings = kafka_alloc(rq, (size_t)r->configs_n, sizeof *settings);
    if (!settings)
        return ERR_MEMORY;
    for (int32_t i = 0; i < r->configs_n; i++) {
        settings[i] = (struct topic_setting){r->configs[i].name, r->configs[i].value};
        if (!settings[i].value.at)
            return err_say(&a->op.text, ERR_REQUEST_INVALID, "the value of %.*s is null",
                           (int)(settings[i].key.len < 64 ? settings[i].key.len : 64),
                           settings[i].key.at);
    }
    a->op.name = r->resource_name;
    a->op.settings = settings;
    a->op.settings_n = (size_t)r->configs_n;
    a->op.replace = true;
    return ERR_OK;
}

void kafka_alter_configs_run(struct kafka_request *rq)
{
    const struct kafka_alter_configs_request *in = rq->in;
    size_t n = (size_t)in->resources_n;
    struct kafka_alter_configs_response *out = kafka_alloc(rq, 1, sizeof *out);
    struct kafka_alter_configs_response_response *rows = kafka_alloc(rq, n, sizeof *rows);
    if (!begin(rq, n, out, rows))
        return;
    struct alter_all *all = rq->state_of_verb;
    out->responses = rows;
    out->responses_n = in->resources_n;
    for (size_t i = 0; i < n; i++) {
        struct alter *a = &all->alters[i];
        rows[i].resource_type = in->resources[i].resource_type;
        rows[i].resource_name = in->resources[i].resource_name;
        a->error_code = &rows[i].error_code;
        a->error_message = &rows[i].error_message;
        a->op.validate_only = in->validate_only;
        submit(a, take_whole(rq, &in->resources[i], a));
    }
    fan_done(&all->fan);
}

/* ---- IncrementalAlterConfigs ---------------------------------------------------------------- */

static const struct topic_conf_row *find_row(struct str key, size_t *at)
{
    for (*at = 0; *at < topic_conf_rows(); (*at)++) {
        if (str_is(key, topic_conf_row(*at)->key))
            return topic_conf_row(*at);
    }
    return NULL;
}

/* The word from `from` on, up to a comma, without blanks around it; *from moves behind the comma.
 */
static struct str next_word(struct str list, size_t *from)
{
    size_t begin = *from, end = begin;
    while (end < list.len && list.at[end] != ',')
        end++;
    *from = end + 1;
    while (begin < end && list.at[begin] == ' ')
        begin++;
    while (end > begin && list.at[end - 1] == ' ')
        end--;
    return (struct str){list.at + begin, end - begin};
}

static bool has_word(struct str list, struct str word)
{
    for (size_t from = 0; from < list.len;) {
        if (str_eq(next_word(list, &from), word))
            return true;
    }
    return false;
}

static void add_word(char *out, size_t cap, struct str word)
{
    size_t used = strlen(out);
    if (word.len && !has_word((struct str){out, used}, word))
        snprintf(out + used, cap - used, "%s%.*s", used ? "," : "", (int)word.len, word.at);
}

/* The list `now` with the words of `given`, or without them. */
static void change_list(struct str now, struct str given, bool add, char *out, size_t cap)
{
    out[0] = '\0';
    for (size_t from = 0; from < now.len;) {
        struct str word = next_word(now, &from);
        if (add || !has_word(given, word))
            add_word(out, cap, word);
    }
    for (size_t from = 0; add && from < given.len;)
        add_word(out, cap, next_word(given, &from));
}

/* APPEND and SUBTRACT: what the setting then is. */
static enum err take_list(struct kafka_request *rq, struct str topic, enum alter_verb verb,
                          struct topic_setting *s, struct err_text *text)
{
    size_t at;
    const struct topic *t = broker_topic(rq->conn->broker, topic);
    const struct topic_conf_row *row = find_row(s->key, &at);
    char now[256], then[512];
    if (!row || !t)
        return ERR_OK; /* the verb says so */
    if (row->type != CONF_LIST)
        return err_say(text, ERR_CONFIG_INVALID, "%s is no list: it can be set or deleted",
                       row->key);
    topic_conf_get(&t->conf, at, now, sizeof now);
    change_list(str_of(now), s->value, verb == ALTER_APPEND, then, sizeof then);
    s->value = kafka_keep(rq, str_of(then));
    return s->value.at ? ERR_OK : ERR_MEMORY;
}

static enum err take_one(struct kafka_request *rq, const INCREMENT *r, int32_t i,
                         struct topic_setting *s, struct err_text *text)
{
    int8_t verb = r->configs[i].config_operation;
    int shown = (int)(r->configs[i].name.len < 64 ? r->configs[i].name.len : 64);
    *s = (struct topic_setting){r->configs[i].name, r->configs[i].value};
    if (verb < ALTER_SET || verb > ALTER_SUBTRACT)
        return err_say(text, ERR_REQUEST_INVALID, "operation %d of %.*s is not known", verb, shown,
                       s->key.at);
    for (int32_t j = 0; j < i; j++) {
        if (str_eq(r->configs[j].name, s->key))
            return err_say(text, ERR_REQUEST_INVALID, "%.*s is named twice", shown, s->key.at);
    }
    if (verb == ALTER_DELETE) {
        s->value = (struct str){NULL, 0};
        return ERR_OK;
    }
    if (!s->value.at)
        return err_say(text, ERR_REQUEST_INVALID, "the value of %.*s is null", shown, s->key.at);
    return verb == ALTER_SET ? ERR_OK
                             : take_list(rq, r->resource_name, (enum alter_verb)verb, s, text);
}

static enum err take_increment(struct kafka_request *rq, const INCREMENT *r, struct alter *a)
{
    enum err err = check_resource(r->resource_type, &a->op.text);
    if (!err)
        err = check_count(r->configs_n, &a->op.text);
    if (err)
        return err;
    struct topic_setting *settings = kafka_alloc(rq, (size_t)r->configs_n, sizeof *settings);
    if (!settings)
        return ERR_MEMORY;
    for (int32_t i = 0; i < r->configs_n && !err; i++)
        err = take_one(rq, r, i, &settings[i], &a->op.text);
    a->op.name = r->resource_name;
    a->op.settings = settings;
    a->op.settings_n = (size_t)r->configs_n;
    return err;
}

void kafka_incremental_alter_configs_run(struct kafka_request *rq)
{
    const struct kafka_incremental_alter_configs_request *in = rq->in;
    size_t n = (size_t)in->resources_n;
    struct kafka_incremental_alter_configs_response *out = kafka_alloc(rq, 1, sizeof *out);
    struct kafka_incremental_alter_configs_response_response *rows =
        kafka_alloc(rq, n, sizeof *rows);
    if (!begin(rq, n, out, rows))
        return;
    struct alter_all *all = rq->state_of_verb;
    out->responses = rows;
    out->responses_n = in->resources_n;
    for (size_t i = 0; i < n; i++) {
        struct alter *a = &all->alters[i];
        rows[i].resource_type = in->resources[i].resource_type;
        rows[i].resource_name = in->resources[i].resource_name;
        a->error_code = &rows[i].error_code;
        a->error_message = &rows[i].error_message;
        a->op.validate_only = in->validate_only;
        submit(a, take_increment(rq, &in->resources[i], a));
    }
    fan_done(&all->fan);
}
