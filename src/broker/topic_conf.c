/* The settings of a topic, as one table: every key that Apache Kafka 4.3 has for topics, and
 * weir.flush. A row says where the value is kept, what it may be, and, where weir does not have
 * what the key is about, the one value that is true and why others are refused.
 */
#include "broker/topic.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INT_MOST INT32_MAX
#define LONG_MOST INT64_MAX

enum row_kind {
    ROW_NUMBER, /* int64_t at `at`, min <= value <= max */
    ROW_BOOL,   /* bool at `at` */
    ROW_RATIO,  /* double at `at`, 0 to 1 */
    ROW_TIME,   /* enum topic_time */
    ROW_FLUSH,  /* weir.flush */
    ROW_UNTIL,  /* weir.retention.until */
    ROW_ONLY,   /* nothing is kept: `only` is the value, `why` the reason to refuse others */
};

struct row {
    struct topic_conf_row show;
    enum row_kind kind;
    size_t at;
    int64_t def, min, max;
    const char *only, *why;
};

#define AT(field) offsetof(struct topic_conf, field)
#define NUMBER(key, type, server, field, def, min, max, doc)                                       \
    {                                                                                              \
        {key, type, server, doc}, ROW_NUMBER, AT(field), def, min, max, NULL, NULL                 \
    }
#define INT(key, server, field, def, min, doc)                                                     \
    NUMBER(key, CONF_INT, server, field, def, min, INT_MOST, doc)
#define LONG(key, server, field, def, min, doc)                                                    \
    NUMBER(key, CONF_LONG, server, field, def, min, LONG_MOST, doc)
#define BOOL(key, server, field, doc)                                                              \
    {                                                                                              \
        {key, CONF_BOOLEAN, server, doc}, ROW_BOOL, AT(field), 0, 0, 1, NULL, NULL                 \
    }
#define ONLY(key, type, server, only, why, doc)                                                    \
    {                                                                                              \
        {key, type, server, doc}, ROW_ONLY, 0, 0, 0, 0, only, why                                  \
    }

#define NO_TIERS "this broker has no remote storage"
#define NO_REPLICAS "this broker is one node and does not replicate"

static const struct row rows[] = {
    ONLY("cleanup.policy", CONF_LIST, "log.cleanup.policy", "delete",
         "compaction of topics is not there yet",
         "What happens to old data: delete removes whole segments by retention.ms and "
         "retention.bytes."),
    NUMBER(
        "compression.gzip.level", CONF_INT, "compression.gzip.level", gzip_level, -1, -1, 9,
        "The level at which the broker would compress with gzip. Kept and shown; batches stay as "
        "producers compressed them."),
    NUMBER("compression.lz4.level", CONF_INT, "compression.lz4.level", lz4_level, 9, 1, 17,
           "The level at which the broker would compress with lz4. Kept and shown; batches stay as "
           "producers compressed them."),
    ONLY("compression.type", CONF_STRING, "compression.type", "producer",
         "batches are stored as producers compressed them; the broker does not recompress",
         "The codec of stored batches: producer keeps the one that each producer chose."),
    NUMBER(
        "compression.zstd.level", CONF_INT, "compression.zstd.level", zstd_level, 3, -131072, 22,
        "The level at which the broker would compress with zstd. Kept and shown; batches stay as "
        "producers compressed them."),
    LONG("delete.retention.ms", "log.cleaner.delete.retention.ms", delete_retention_ms, 86400000, 0,
         "How long a compacted topic keeps the marks of deleted keys. Without effect while "
         "cleanup.policy is delete."),
    LONG("file.delete.delay.ms", "log.segment.delete.delay.ms", file_delete_delay_ms, 60000, 0,
         "How long the files of a removed segment stay on disk for those who still read them."),
    LONG("flush.messages", "log.flush.interval.messages", flush_messages, 1, 1,
         "After how many records the log is synced to disk. 1, the default here, acknowledges no "
         "record before it is on disk; so does every other number below the maximum. The maximum "
         "leaves it to flush.ms. See weir.flush."),
    LONG(
        "flush.ms", "log.flush.interval.ms", flush_ms, LONG_MOST, 0,
        "After how long the log is synced to disk: a power cut loses at most that much. Set alone, "
        "it replaces the sync before each acknowledgement. See weir.flush."),
    ONLY("follower.replication.throttled.replicas", CONF_LIST, NULL, "", NO_REPLICAS,
         "Replicas whose copying is slowed down on the follower's side: none."),
    INT("index.interval.bytes", "log.index.interval.bytes", index_interval_bytes, 4096, 0,
        "About how many bytes of batches lie between two entries of a segment's offset index."),
    ONLY("leader.replication.throttled.replicas", CONF_LIST, NULL, "", NO_REPLICAS,
         "Replicas whose copying is slowed down on the leader's side: none."),
    ONLY("local.retention.bytes", CONF_LONG, "log.local.retention.bytes", "-2", NO_TIERS,
         "How much of a partition stays on local disk beside remote storage: -2, as "
         "retention.bytes says."),
    ONLY("local.retention.ms", CONF_LONG, "log.local.retention.ms", "-2", NO_TIERS,
         "How long data stays on local disk beside remote storage: -2, as retention.ms says."),
    LONG("max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms", max_compaction_lag_ms,
         LONG_MOST, 1,
         "The longest time that a record of a compacted topic waits for compaction. Without effect "
         "while cleanup.policy is delete."),
    INT("max.message.bytes", "message.max.bytes", max_message_bytes, 1048588, 0,
        "The largest record batch that is accepted, as the producer compressed it, with its head."),
    LONG("message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms",
         timestamp_after_max_ms, 3600000, 0,
         "How far ahead of the broker's clock a record's timestamp may be (CreateTime only)."),
    LONG("message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms",
         timestamp_before_max_ms, LONG_MOST, 0,
         "How far behind the broker's clock a record's timestamp may be (CreateTime only)."),
    {{"message.timestamp.type", CONF_STRING, "log.message.timestamp.type",
      "CreateTime keeps the producer's timestamps; LogAppendTime replaces them by the time at "
      "which "
      "the batch was appended."},
     ROW_TIME,
     AT(timestamp_type),
     TOPIC_CREATE_TIME,
     0,
     0,
     NULL,
     NULL},
    {{"min.cleanable.dirty.ratio", CONF_DOUBLE, "log.cleaner.min.cleanable.ratio",
      "The share of uncompacted data from which a compacted topic is compacted. Without effect "
      "while cleanup.policy is delete."},
     ROW_RATIO,
     AT(min_cleanable_dirty_ratio),
     0,
     0,
     1,
     NULL,
     NULL},
    LONG("min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms", min_compaction_lag_ms, 0, 0,
         "How long a record of a compacted topic stays uncompacted at least. Without effect while "
         "cleanup.policy is delete."),
    ONLY("min.insync.replicas", CONF_INT, "min.insync.replicas", "1", NO_REPLICAS,
         "How many replicas must have a record before acks=all is answered: the one there is."),
    BOOL("preallocate", "log.preallocate", preallocate,
         "Whether segment files are given their full size at once. Kept and shown; the journal, "
         "which is always preallocated, makes it unnecessary."),
    ONLY("remote.log.copy.disable", CONF_BOOLEAN, NULL, "false", NO_TIERS,
         "Whether copying to remote storage is stopped."),
    ONLY("remote.log.delete.on.disable", CONF_BOOLEAN, NULL, "false", NO_TIERS,
         "Whether data in remote storage goes when remote storage is switched off."),
    ONLY("remote.storage.enable", CONF_BOOLEAN, NULL, "false", NO_TIERS,
         "Whether old segments move to remote storage."),
    LONG("retention.bytes", "log.retention.bytes", retention_bytes, -1, -1,
         "How large a partition may become before its oldest segments are removed; -1: no limit."),
    LONG("retention.ms", "log.retention.ms", retention_ms, 604800000, -1,
         "How old a segment's newest record becomes before the segment is removed; -1: no limit."),
    INT("segment.bytes", "log.segment.bytes", segment_bytes, 1073741824, 1048576,
        "How large a segment file becomes before the next one is begun. Retention removes whole "
        "segments."),
    INT("segment.index.bytes", "log.index.size.max.bytes", segment_index_bytes, 10485760, 4,
        "The size for which an index would be preallocated. Kept and shown; indexes grow as "
        "needed."),
    LONG("segment.jitter.ms", "log.roll.jitter.ms", segment_jitter_ms, 0, 0,
         "The most by which segment.ms would be shortened at random. Kept and shown; segments of "
         "different partitions are not synced one by one here, so there is no storm to avoid."),
    LONG("segment.ms", "log.roll.ms", segment_ms, 604800000, 1,
         "After how long a segment is followed by the next one even if it is not full."),
    BOOL("unclean.leader.election.enable", "unclean.leader.election.enable",
         unclean_leader_election,
         "Whether a replica that lacks data may become leader. Kept and shown; there is one "
         "replica."),
    NUMBER(
        "weir.duplicates.window.ms", CONF_LONG, NULL, duplicates_window_ms, 0, 0,
        INT64_C(7) * 24 * 3600 * 1000,
        "For how long a partition remembers message ids (the header message-id, or ce_source and "
        "ce_id): a single record that is published again within that time is dropped and "
        "answered with the first one's offset. 0: not at all."),
    {{"weir.flush", CONF_STRING, NULL,
      "When a record counts as stored: each (on disk before it is acknowledged), a duration such "
      "as "
      "10ms (a power cut loses at most that much), or os (whenever the system syncs). Also shown "
      "as flush.messages and flush.ms."},
     ROW_FLUSH,
     0,
     0,
     0,
     0,
     NULL,
     NULL},
    BOOL("weir.queue", NULL, queue,
         "Whether the topic is a queue: it has a built-in subscription of its own name, from which "
         "receivers take messages, keeps messages without a limit of time unless retention.ms is "
         "set, and removes them when they are settled unless weir.retention.until is set."),
    {{"weir.retention.until", CONF_STRING, NULL,
      "limits: messages stay until retention.ms or retention.bytes removes them. settled: they are "
      "also removed once all subscriptions have settled them, and a topic that is full of messages "
      "that are not takes no more."},
     ROW_UNTIL,
     0,
     0,
     0,
     0,
     NULL,
     NULL},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))
_Static_assert(ROWS <= 64, "topic_conf.set has a bit for each");

/* Rows that the code below names. */
static size_t row_of(const char *key)
{
    for (size_t i = 0; i < ROWS; i++)
        if (strcmp(rows[i].show.key, key) == 0)
            return i;
    weir_unreachable();
}

static uint64_t bit_of(const char *key)
{
    return (uint64_t)1 << row_of(key);
}

size_t topic_conf_rows(void)
{
    return ROWS;
}

const struct topic_conf_row *topic_conf_row(size_t i)
{
    weir_assert(i < ROWS);
    return &rows[i].show;
}

static const void *field_of(const struct topic_conf *conf, const struct row *row)
{
    return (const char *)conf + row->at;
}

static int64_t number_get(const struct topic_conf *conf, const struct row *row)
{
    return *(const int64_t *)field_of(conf, row);
}

static void flush_show(const struct topic_conf *conf, char *out, size_t cap)
{
    if (conf->flush == STORE_FLUSH_INTERVAL)
        snprintf(out, cap, "%" PRId64 "ms", conf->flush_ms);
    else
        snprintf(out, cap, "%s", conf->flush == STORE_FLUSH_EACH ? "each" : "os");
}

const char *topic_conf_get(const struct topic_conf *conf, size_t i, char *out, size_t cap)
{
    weir_assert(i < ROWS);
    const struct row *row = &rows[i];
    switch (row->kind) {
    case ROW_NUMBER:
        snprintf(out, cap, "%" PRId64, number_get(conf, row));
        break;
    case ROW_BOOL:
        snprintf(out, cap, "%s", *(const bool *)field_of(conf, row) ? "true" : "false");
        break;
    case ROW_RATIO:
        snprintf(out, cap, "%.10g", *(const double *)field_of(conf, row));
        break;
    case ROW_TIME:
        snprintf(out, cap, "%s",
                 conf->timestamp_type == TOPIC_APPEND_TIME ? "LogAppendTime" : "CreateTime");
        break;
    case ROW_FLUSH:
        flush_show(conf, out, cap);
        break;
    case ROW_UNTIL:
        snprintf(out, cap, "%s", conf->until_settled ? "settled" : "limits");
        break;
    case ROW_ONLY:
        snprintf(out, cap, "%s", row->only);
        break;
    }
    return out;
}

bool topic_conf_is_set(const struct topic_conf *conf, size_t i)
{
    weir_assert(i < ROWS);
    return (conf->set >> i & 1) != 0;
}

static void row_default(struct topic_conf *conf, const struct row *row)
{
    void *at = (char *)conf + row->at;
    switch (row->kind) {
    case ROW_NUMBER:
        *(int64_t *)at = row->def;
        break;
    case ROW_BOOL:
        *(bool *)at = false;
        break;
    case ROW_RATIO:
        *(double *)at = 0.5;
        break;
    case ROW_TIME:
        conf->timestamp_type = TOPIC_CREATE_TIME;
        break;
    case ROW_UNTIL:
        conf->until_settled = false;
        break;
    case ROW_FLUSH:
    case ROW_ONLY:
        break;
    }
}

/* The three faces of `flush`: see topic.h. Which of Kafka's two keys were set decides. */
static void flush_derive(struct topic_conf *conf)
{
    bool messages_set = (conf->set & bit_of("flush.messages")) != 0;
    bool ms_set = (conf->set & bit_of("flush.ms")) != 0;
    if ((conf->set & bit_of("weir.flush")) != 0)
        return;
    if (!messages_set)
        conf->flush_messages = ms_set && conf->flush_ms < LONG_MOST ? LONG_MOST : 1;
    if (conf->flush_messages < LONG_MOST || conf->flush_ms == 0)
        conf->flush = STORE_FLUSH_EACH;
    else
        conf->flush = conf->flush_ms < LONG_MOST ? STORE_FLUSH_INTERVAL : STORE_FLUSH_OS;
}

/* A queue keeps what nobody took; of anything else the default is a matter of time. */
static void queue_derive(struct topic_conf *conf)
{
    size_t i = row_of("retention.ms");
    if (!topic_conf_is_set(conf, i))
        conf->retention_ms = conf->queue ? -1 : rows[i].def;
    if (!topic_conf_is_set(conf, row_of("weir.retention.until")))
        conf->until_settled = conf->queue;
}

void topic_conf_default(struct topic_conf *conf)
{
    memset(conf, 0, sizeof(*conf));
    for (size_t i = 0; i < ROWS; i++)
        row_default(conf, &rows[i]);
    flush_derive(conf);
}

static enum err refuse(struct err_text *text, const struct row *row, struct str value,
                       const char *right)
{
    return err_say(text, ERR_CONFIG_INVALID, "%s must be %s, got \"%.*s\"", row->show.key, right,
                   (int)(value.len < 64 ? value.len : 64), value.at);
}

static enum err number_set(struct topic_conf *conf, const struct row *row, struct str value,
                           struct err_text *text)
{
    int64_t n;
    char right[96];
    if (str_to_i64(value, &n) != ERR_OK || n < row->min || n > row->max) {
        if (row->max == LONG_MOST)
            snprintf(right, sizeof(right), "a whole number >= %" PRId64, row->min);
        else
            snprintf(right, sizeof(right), "a whole number from %" PRId64 " to %" PRId64, row->min,
                     row->max);
        return refuse(text, row, value, right);
    }
    *(int64_t *)((char *)conf + row->at) = n;
    return ERR_OK;
}

static bool str_is_nocase(struct str s, const char *word)
{
    return strlen(word) == s.len && strncasecmp(s.at, word, s.len) == 0;
}

static enum err bool_set(struct topic_conf *conf, const struct row *row, struct str value,
                         struct err_text *text)
{
    bool yes = str_is_nocase(value, "true");
    if (!yes && !str_is_nocase(value, "false"))
        return refuse(text, row, value, "true or false");
    *(bool *)((char *)conf + row->at) = yes;
    return ERR_OK;
}

static enum err ratio_set(struct topic_conf *conf, const struct row *row, struct str value,
                          struct err_text *text)
{
    char copy[32], *end = copy;
    double n = -1;
    if (value.len > 0 && str_copy(copy, sizeof(copy), value))
        n = strtod(copy, &end);
    if (end == copy || *end != '\0' || !(n >= 0 && n <= 1))
        return refuse(text, row, value, "a number from 0 to 1");
    *(double *)((char *)conf + row->at) = n;
    return ERR_OK;
}

static enum err time_set(struct topic_conf *conf, const struct row *row, struct str value,
                         struct err_text *text)
{
    if (str_is(value, "CreateTime"))
        conf->timestamp_type = TOPIC_CREATE_TIME;
    else if (str_is(value, "LogAppendTime"))
        conf->timestamp_type = TOPIC_APPEND_TIME;
    else
        return refuse(text, row, value, "CreateTime or LogAppendTime");
    return ERR_OK;
}

static enum err flush_set(struct topic_conf *conf, const struct row *row, struct str value,
                          struct err_text *text)
{
    int64_t ms = 0;
    conf->flush_messages = conf->flush_ms = LONG_MOST;
    if (str_is(value, "each")) {
        conf->flush = STORE_FLUSH_EACH;
        conf->flush_messages = 1;
    } else if (str_is(value, "os")) {
        conf->flush = STORE_FLUSH_OS;
    } else if (str_to_duration_ms(value, &ms) == ERR_OK && ms > 0) {
        conf->flush = STORE_FLUSH_INTERVAL;
        conf->flush_ms = ms;
    } else {
        return refuse(text, row, value, "each, os, or a duration such as 10ms");
    }
    return ERR_OK;
}

static enum err until_set(struct topic_conf *conf, const struct row *row, struct str value,
                          struct err_text *text)
{
    if (!str_is(value, "settled") && !str_is(value, "limits"))
        return refuse(text, row, value, "limits or settled");
    conf->until_settled = str_is(value, "settled");
    return ERR_OK;
}

static enum err only_set(const struct row *row, struct str value, struct err_text *text)
{
    if (str_is(value, row->only))
        return ERR_OK;
    return err_say(text, ERR_CONFIG_INVALID, "%s must be \"%s\", got \"%.*s\": %s", row->show.key,
                   row->only, (int)(value.len < 64 ? value.len : 64), value.at, row->why);
}

static enum err row_set(struct topic_conf *conf, const struct row *row, struct str value,
                        struct err_text *text)
{
    switch (row->kind) {
    case ROW_NUMBER:
        return number_set(conf, row, value, text);
    case ROW_BOOL:
        return bool_set(conf, row, value, text);
    case ROW_RATIO:
        return ratio_set(conf, row, value, text);
    case ROW_TIME:
        return time_set(conf, row, value, text);
    case ROW_FLUSH:
        return flush_set(conf, row, value, text);
    case ROW_UNTIL:
        return until_set(conf, row, value, text);
    case ROW_ONLY:
        return only_set(row, value, text);
    }
    weir_unreachable();
}

static enum err unknown_key(struct str key, struct err_text *text)
{
    size_t best = 0;
    unsigned least = UINT32_MAX;
    for (size_t i = 0; i < ROWS; i++) {
        unsigned d = str_distance(key, str_of(rows[i].show.key));
        if (d < least) {
            least = d;
            best = i;
        }
    }
    return err_say(text, ERR_CONFIG_INVALID,
                   "unknown topic setting \"%.*s\"; the nearest that exists is %s",
                   (int)(key.len < 64 ? key.len : 64), key.at, rows[best].show.key);
}

/* weir.flush and Kafka's two keys say the same: whichever was set last is the one that counts. */
static void flush_claim(struct topic_conf *conf, const struct row *row, bool value_given)
{
    bool weir = row->kind == ROW_FLUSH;
    bool kafka = row->at == AT(flush_messages) || row->at == AT(flush_ms);
    uint64_t pair = bit_of("flush.messages") | bit_of("flush.ms");
    if (!weir && !(kafka && row->kind == ROW_NUMBER))
        return;
    if (weir && value_given)
        conf->set &= ~pair;
    else if (kafka && value_given)
        conf->set &= ~bit_of("weir.flush");
    if ((conf->set & bit_of("weir.flush")) != 0)
        return;
    if ((conf->set & bit_of("flush.ms")) == 0)
        conf->flush_ms = LONG_MOST;
    flush_derive(conf);
}

enum err topic_conf_set(struct topic_conf *conf, struct topic_setting s, struct err_text *text)
{
    size_t i = 0;
    while (i < ROWS && !str_is(s.key, rows[i].show.key))
        i++;
    if (i == ROWS)
        return unknown_key(s.key, text);
    const struct row *row = &rows[i];
    struct topic_conf now = *conf;
    if (s.value.at != NULL) {
        enum err err = row_set(&now, row, s.value, text);
        if (err != ERR_OK)
            return err;
        now.set |= (uint64_t)1 << i;
    } else if (topic_conf_is_set(conf, i)) {
        row_default(&now, row);
        now.set &= ~((uint64_t)1 << i);
    }
    flush_claim(&now, row, s.value.at != NULL);
    queue_derive(&now);
    *conf = now;
    return ERR_OK;
}

static uint32_t clamp_u32(int64_t n)
{
    return n < 0 ? 0 : n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

void topic_conf_store(const struct topic_conf *conf, struct store_log_conf *out)
{
    *out = (struct store_log_conf){
        .flush = conf->flush,
        .flush_ms = clamp_u32(conf->flush == STORE_FLUSH_INTERVAL ? conf->flush_ms : 0),
        .segment_bytes = conf->segment_bytes,
        .segment_ms = conf->segment_ms,
        .retention_ms = conf->retention_ms,
        .retention_bytes = conf->retention_bytes,
        .delete_delay_ms = conf->file_delete_delay_ms,
        .index_interval_bytes = clamp_u32(conf->index_interval_bytes),
    };
}
