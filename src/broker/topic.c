#include "broker/topic.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/topic_internal.h"

#include <string.h>

#define TOPIC_MAGIC 0x746f7063u

struct uuid topic_state_id(enum topic_state state)
{
    struct uuid id = {{'w', 'e', 'i', 'r', '-', 's', 't', 'a', 't', 'e', 0, 0, 0, 0, 0, 0}};
    id.b[6] = 0; /* the version of a random id is 4 here */
    id.b[15] = (uint8_t)state;
    return id;
}

bool topic_id_is_state(const struct uuid *id)
{
    struct uuid pattern = topic_state_id((enum topic_state)id->b[15]);
    return uuid_eq(*id, pattern);
}

struct topic *topic_make(struct uuid id, struct str name, int32_t partitions)
{
    struct topic *t = mem_zalloc(1, sizeof(*t));
    bool whole = str_copy(t->name, sizeof(t->name), name);
    weir_assert(whole);
    atomic_init(&t->refs, 1);
    t->magic = TOPIC_MAGIC;
    t->id = id;
    t->partitions = partitions;
    t->internal = name.len >= 2 && name.at[0] == '_' && name.at[1] == '_';
    topic_conf_default(&t->conf);
    return t;
}

struct topic *topic_copy(const struct topic *t)
{
    weir_check(t, TOPIC_MAGIC);
    struct topic *copy = topic_make(t->id, str_of(t->name), t->partitions);
    copy->generation = t->generation;
    copy->internal = t->internal;
    copy->conf = t->conf;
    copy->created_ms = t->created_ms;
    return copy;
}

const struct topic *topic_ref(const struct topic *t)
{
    weir_check(t, TOPIC_MAGIC);
    atomic_fetch_add_explicit(&((struct topic *)t)->refs, 1, memory_order_relaxed);
    return t;
}

void topic_unref(const struct topic *t)
{
    if (t == NULL)
        return;
    weir_check(t, TOPIC_MAGIC);
    struct topic *own = (struct topic *)t;
    if (atomic_fetch_sub_explicit(&own->refs, 1, memory_order_acq_rel) != 1)
        return;
    own->magic = 0;
    mem_free(own);
}

static bool name_char_ok(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

enum err topic_name_check(struct str name, struct err_text *text)
{
    if (name.at == NULL || name.len == 0)
        return err_say(text, ERR_TOPIC_INVALID, "the topic name is empty: give 1 to %d characters",
                       TOPIC_NAME_MAX);
    if (name.len > TOPIC_NAME_MAX)
        return err_say(text, ERR_TOPIC_INVALID,
                       "the topic name has %zu characters: %d are the most", name.len,
                       TOPIC_NAME_MAX);
    if (str_is(name, ".") || str_is(name, ".."))
        return err_say(text, ERR_TOPIC_INVALID, "the topic name must not be \".\" or \"..\"");
    for (size_t i = 0; i < name.len; i++)
        if (!name_char_ok(name.at[i]))
            return err_say(text, ERR_TOPIC_INVALID,
                           "the topic name has a character that is not allowed (byte 0x%02x at "
                           "%zu): a-z A-Z 0-9 . _ - are",
                           (unsigned)(uint8_t)name.at[i], i);
    return ERR_OK;
}

/* Version 1 of the catalog's records. Settings are kept as text by key, so that a later program
 * with more keys reads them, and only those that were set, so that defaults may change. */
#define TOPIC_RECORD_VERSION 1

static void write_str(struct wr *w, const char *s)
{
    size_t n = strlen(s);
    wr_uvarint(w, (uint32_t)n);
    wr_bytes(w, s, n);
}

static void write_settings(struct wr *w, const struct topic_conf *conf)
{
    uint32_t n = 0;
    for (size_t i = 0; i < topic_conf_rows(); i++)
        n += topic_conf_is_set(conf, i);
    wr_uvarint(w, n);
    for (size_t i = 0; i < topic_conf_rows(); i++) {
        char value[TOPIC_CONF_VALUE_MAX];
        if (!topic_conf_is_set(conf, i))
            continue;
        write_str(w, topic_conf_row(i)->key);
        write_str(w, topic_conf_get(conf, i, value, sizeof(value)));
    }
}

void topic_encode(const struct topic *t, struct wr *w)
{
    wr_u8(w, TOPIC_RECORD_VERSION);
    write_str(w, t->name);
    wr_uvarint(w, (uint32_t)t->partitions);
    wr_uvarint(w, t->generation);
    wr_uvarlong(w, t->created_ms);
    write_settings(w, &t->conf);
}

static struct str read_str(struct rd *rd)
{
    uint32_t n = rd_uvarint(rd);
    const uint8_t *at = rd_bytes(rd, n);
    return (struct str){(const char *)at, at != NULL ? n : 0};
}

static enum err read_settings(struct rd *rd, struct topic_conf *conf, struct err_text *text)
{
    uint32_t n = rd_uvarint(rd);
    for (uint32_t i = 0; i < n && !rd->bad; i++) {
        struct topic_setting s = {.key = read_str(rd), .value = read_str(rd)};
        if (rd->bad)
            break;
        enum err err = topic_conf_set(conf, s, text);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

enum err topic_decode(struct uuid id, struct str value, struct topic **out, struct err_text *text)
{
    struct rd rd;
    rd_init(&rd, value.at, value.len);
    uint8_t version = rd_u8(&rd);
    if (version > TOPIC_RECORD_VERSION)
        return err_say(text, ERR_FORMAT_NEWER,
                       "the catalog holds a topic in format %u: %u is known", version,
                       TOPIC_RECORD_VERSION);
    struct str name = read_str(&rd);
    uint32_t partitions = rd_uvarint(&rd);
    uint32_t generation = rd_uvarint(&rd);
    uint64_t created = rd_uvarlong(&rd);
    if (rd.bad || version == 0 || topic_name_check(name, NULL) != ERR_OK || partitions == 0 ||
        partitions > INT32_MAX)
        return err_say(text, ERR_CORRUPT, "the catalog holds a record that is no topic");
    struct topic *t = topic_make(id, name, (int32_t)partitions);
    t->generation = generation;
    t->created_ms = created;
    enum err err = read_settings(&rd, &t->conf, text);
    if (err == ERR_OK && (rd.bad || rd_left(&rd) != 0))
        err = err_say(text, ERR_CORRUPT, "the catalog's record of topic %s is cut", t->name);
    if (err != ERR_OK) {
        topic_unref(t);
        return err;
    }
    *out = t;
    return ERR_OK;
}
