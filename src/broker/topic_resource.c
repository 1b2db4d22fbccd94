#include "broker/topic_resource.h"

#include "broker/access.h"
#include "broker/broker.h"
#include "broker/topic_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DAYS_7_MS (INT64_C(7) * 24 * 3600 * 1000)
#define YEARS_100_MS (INT64_C(36500) * 24 * 3600 * 1000)

/* ---- fields of their own, and the settings that they are ------------------------------------- */

#define AT(member) offsetof(struct topic_spec, member)

static const struct {
    const char *path, *key;
    size_t at;
} own[] = {
    {"retention.time", "retention.ms", AT(retention_ms)},
    {"retention.size", "retention.bytes", AT(retention_bytes)},
    {"duplicates.window", "weir.duplicates.window.ms", AT(duplicates_ms)},
};
#define OWN (sizeof(own) / sizeof(own[0]))

/* And those whose value is a text. */
static const struct {
    const char *path, *key, *right;
    size_t at;
} words[] = {
    {"flush", "weir.flush", "each, os, or a duration such as 10ms", AT(flush)},
    {"retention.until", "weir.retention.until", "limits or settled", AT(until)},
};
#define WORDS (sizeof(words) / sizeof(words[0]))

static int64_t *own_number(struct topic_spec *spec, size_t i)
{
    return (int64_t *)(void *)((char *)spec + own[i].at);
}

static struct str *own_word(struct topic_spec *spec, size_t i)
{
    return (struct str *)(void *)((char *)spec + words[i].at);
}

/* The path of the field that says what the setting says; NULL: none does. */
static const char *own_path(struct str key)
{
    for (size_t i = 0; i < OWN; i++) {
        if (str_is(key, own[i].key))
            return own[i].path;
    }
    for (size_t i = 0; i < WORDS; i++) {
        if (str_is(key, words[i].key))
            return words[i].path;
    }
    return str_is(key, "weir.queue") ? "queue" : NULL;
}

/* ---- checks --------------------------------------------------------------------------------- */

static enum err check_word(const struct spec_field *field, const void *value, struct err_text *text)
{
    size_t i = 0;
    while (strcmp(words[i].path, field->path) != 0)
        i++;
    struct topic_setting s = {str_of(words[i].key), *(const struct str *)value};
    struct topic_conf conf;
    topic_conf_default(&conf);
    if (topic_conf_set(&conf, s, NULL) == ERR_OK)
        return ERR_OK;
    return err_say(text, ERR_CONFIG_INVALID, "must be %s", words[i].right);
}

static enum err check_config(const struct spec_field *field, const void *value,
                             struct err_text *text)
{
    const struct spec_map *map = value;
    struct topic_conf conf;
    struct err_text why = {""};
    (void)field;
    topic_conf_default(&conf);
    for (size_t i = 0; i < map->n; i++) {
        const char *path = own_path(map->at[i].key);
        if (path != NULL && !str_is(map->at[i].value, "0")) /* which the field cannot say */
            return err_say(text, ERR_CONFIG_INVALID, "must not have %s: say it in the field %s",
                           map->at[i].key.at, path);
        struct topic_setting s = {map->at[i].key, map->at[i].value};
        if (topic_conf_set(&conf, s, &why) != ERR_OK)
            return err_say(text, ERR_CONFIG_INVALID, "is wrong: %s", why.s);
    }
    return ERR_OK;
}

static enum err check_limit(const struct spec_field *field, const void *value,
                            struct err_text *text)
{
    if (*(const int64_t *)value != 0)
        return ERR_OK;
    return err_say(text, ERR_CONFIG_INVALID, "must not be 0: if that is meant, say config: {%s: 0}",
                   field->type == SPEC_SIZE ? "retention.bytes" : "retention.ms");
}

static enum err check_key(const struct spec_field *field, const void *value, struct err_text *text)
{
    size_t len = ((const struct str *)value)->len;
    (void)field;
    if (len >= ACCESS_KEY_MIN && len <= ACCESS_KEY_MAX)
        return ERR_OK;
    return err_say(text, ERR_CONFIG_INVALID, "must have %d to %d characters", ACCESS_KEY_MIN,
                   ACCESS_KEY_MAX);
}

/* ---- the table ------------------------------------------------------------------------------ */

static const struct spec_field fields[] = {
    {.path = "partitions",
     .type = SPEC_INT,
     .offset = AT(partitions),
     .min = 1,
     .max = BROKER_PARTITIONS_MAX,
     .doc = "How many. It can grow later, not shrink. If not said: the broker's default for a new "
            "topic, as many as there are for one that exists."},
    {.path = "retention.time",
     .type = SPEC_DURATION,
     .offset = AT(retention_ms),
     .check = check_limit,
     .min = -1,
     .max = YEARS_100_MS,
     .doc = "How old records become before they are removed (retention.ms). If not said: 7 days, "
            "none for a queue."},
    {.path = "retention.size",
     .type = SPEC_SIZE,
     .offset = AT(retention_bytes),
     .check = check_limit,
     .min = -1,
     .max = INT64_MAX,
     .doc = "How large a partition becomes before its oldest records are removed "
            "(retention.bytes). If not said: none."},
    {.path = "retention.until",
     .type = SPEC_TEXT,
     .offset = AT(until),
     .check = check_word,
     .doc = "limits: records go by time and size alone. settled: also once all subscriptions have "
            "settled them (weir.retention.until). If not said: limits, settled for a queue."},
    {.path = "flush",
     .type = SPEC_TEXT,
     .offset = AT(flush),
     .check = check_word,
     .doc = "When a record counts as stored (weir.flush): each (on disk before it is "
            "acknowledged), a duration such as 10ms (a power cut loses at most that much), or os. "
            "If not said: each."},
    {.path = "duplicates.window",
     .type = SPEC_DURATION,
     .offset = AT(duplicates_ms),
     .min = 0,
     .max = DAYS_7_MS,
     .doc = "A record whose message id was published within that time before is dropped, and "
            "answered as the first one was (weir.duplicates.window.ms). If not said: none is."},
    {.path = "queue",
     .type = SPEC_PRESENT,
     .offset = AT(queue),
     .doc = "Makes it a queue: with a subscription of its own name, from which receivers take "
            "messages."},
    {.path = "keys.primary",
     .type = SPEC_TEXT,
     .offset = AT(keys[0]),
     .secret = true,
     .check = check_key,
     .doc = "An access key, with which a client may send and receive. If keys is not said: as it "
            "is."},
    {.path = "keys.secondary",
     .type = SPEC_TEXT,
     .offset = AT(keys[1]),
     .secret = true,
     .check = check_key,
     .doc = "A second one, so that one can be replaced while clients use the other."},
    {.path = "config",
     .type = SPEC_MAP,
     .offset = AT(config),
     .check = check_config,
     .doc = "Other settings, by the names that Kafka gives them."},
};

const struct spec_kind topic_kind = {
    .name = "Topic",
    .plural = "topics",
    .doc = "A durable log of records in partitions; with `queue`, a queue.",
    .fields = fields,
    .n = sizeof(fields) / sizeof(fields[0]),
    .bytes = sizeof(struct topic_spec),
};

/* ---- to and from settings ------------------------------------------------------------------- */

static enum err keep(struct arena *arena, const char *s, struct str *out)
{
    *out = (struct str){arena_strndup(arena, s, strlen(s)), strlen(s)};
    return out->at != NULL ? ERR_OK : ERR_MEMORY;
}

static enum err add_config(struct topic_spec *spec, struct arena *arena, const char *key,
                           const char *value)
{
    struct spec_pair *pair = &spec->config.at[spec->config.n++];
    pair->key = str_of(key);
    return keep(arena, value, &pair->value);
}

static enum err take_setting(struct topic_spec *spec, struct arena *arena, const char *key,
                             const char *value)
{
    int64_t n;
    for (size_t i = 0; i < OWN; i++) {
        /* 0 means not said: a limit of 0 is told in Kafka's words. */
        if (strcmp(key, own[i].key) != 0 || str_to_i64(str_of(value), &n) != ERR_OK || n == 0)
            continue;
        *own_number(spec, i) = n;
        return ERR_OK;
    }
    for (size_t i = 0; i < WORDS; i++) {
        if (strcmp(key, words[i].key) == 0)
            return keep(arena, value, own_word(spec, i));
    }
    if (strcmp(key, "weir.queue") == 0) {
        spec->queue = strcmp(value, "true") == 0;
        return ERR_OK;
    }
    return add_config(spec, arena, key, value);
}

enum err topic_spec_of(const struct topic *t, struct arena *arena, struct topic_spec *out)
{
    char value[TOPIC_CONF_VALUE_MAX];
    spec_init(&topic_kind, out);
    out->partitions = t->partitions;
    out->config.at = arena_zalloc(arena, topic_conf_rows(), sizeof(*out->config.at));
    enum err err = out->config.at != NULL ? ERR_OK : ERR_MEMORY;
    for (size_t i = 0; i < topic_conf_rows() && err == ERR_OK; i++) {
        if (topic_conf_is_set(&t->conf, i))
            err = take_setting(out, arena, topic_conf_row(i)->key,
                               topic_conf_get(&t->conf, i, value, sizeof(value)));
    }
    return err;
}

static struct topic_setting number_setting(const char *key, int64_t n, struct arena *arena)
{
    char value[TOPIC_CONF_VALUE_MAX];
    int len = snprintf(value, sizeof(value), "%" PRId64, n);
    return (struct topic_setting){str_of(key),
                                  {arena_strndup(arena, value, (size_t)len), (size_t)len}};
}

const struct topic_setting *topic_spec_settings(const struct topic_spec *spec, struct arena *arena,
                                                size_t *n)
{
    struct topic_spec copy = *spec;
    struct topic_setting *out =
        arena_zalloc(arena, OWN + WORDS + 1 + spec->config.n, sizeof(struct topic_setting));
    *n = 0;
    for (size_t i = 0; out != NULL && i < OWN; i++) {
        int64_t number = *own_number(&copy, i);
        if (number == 0)
            continue;
        out[*n] = number_setting(own[i].key, number, arena);
        if (out[(*n)++].value.at == NULL)
            return NULL;
    }
    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < WORDS; i++) {
        if (own_word(&copy, i)->at != NULL)
            out[(*n)++] = (struct topic_setting){str_of(words[i].key), *own_word(&copy, i)};
    }
    if (spec->queue)
        out[(*n)++] = (struct topic_setting){STR_LIT("weir.queue"), STR_LIT("true")};
    for (size_t i = 0; i < spec->config.n; i++)
        out[(*n)++] = (struct topic_setting){spec->config.at[i].key, spec->config.at[i].value};
    return out;
}
