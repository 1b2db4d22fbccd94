/* topic.h: topics: their names, ids, partitions and settings, and the verbs that change them.
 *
 * struct topic is immutable and reference-counted; a change makes a new one. The truth is the state
 * topic __weir_catalog (partition 0, on reactor 0), folded at start; each reactor holds its copy.
 *
 * Names: Kafka's rule: 1 to 249 characters of a-z A-Z 0-9 . _ -, not "." or ".."; names that differ
 * only in '.' and '_' collide (Kafka's metric names) and are refused. Names starting with "__" are
 * internal: shown, readable, not creatable by clients.
 *
 * Partition growth: clients look at a topic's partitions again only after metadata.max.age.ms (five
 * minutes by default). To be faster, every fetch (and each produce_op that allows it by `nudge`)
 * that comes in over a connection that was open before the growth is answered once with
 * ERR_NOT_LEADER, at which every client refreshes its metadata and retries: reads lose nothing by
 * that, and of the producers only idempotent ones are nudged, since they always retry (a producer
 * with retries=0 must never see it). `generation` counts the growths: a front remembers, per
 * connection and topic, the generation that it has shown in a Metadata answer. Groups subscribed to
 * the topic rebalance (group.h).
 */
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "base/uuid.h"
#include "broker/actor.h"
#include "broker/op.h"
#include "broker/store.h"

#include <stdatomic.h>

#define TOPIC_NAME_MAX 249
#define TOPIC_CONFIGS_MAX 64 /* settings in one request for one topic */

enum topic_time { TOPIC_CREATE_TIME, TOPIC_APPEND_TIME };

/* How durable an acknowledgement is, in two vocabularies. weir.flush = each | <duration> | os, or
 * Kafka's two keys; what was set last rules, and each is shown in terms of the other:
 *
 *     weir.flush  flush.messages  flush.ms
 *     each        1 (default)     maximum    durable before it is acknowledged: the default
 *     10ms        maximum         10         a power cut loses up to that
 *     os          maximum         maximum    a power cut loses what the page cache holds
 *
 * flush.messages between 1 and the maximum (Kafka: sync every N) promises more than an interval; it
 * gets `each`. Setting only flush.ms is asking for the interval. flush.ms = 0 is `each`.
 *
 * Every setting of a topic, in the unit of Kafka's key of the same name. A row of the table in
 * topic_conf.c per field: key, type, default, check, documentation, whether it acts. */
struct topic_conf {
    int64_t retention_ms, retention_bytes;
    int64_t segment_bytes, segment_ms;
    int64_t flush_messages, flush_ms; /* Kafka's terms for `flush` */
    int64_t max_message_bytes;
    int64_t file_delete_delay_ms, index_interval_bytes, segment_index_bytes, segment_jitter_ms;
    int64_t timestamp_before_max_ms, timestamp_after_max_ms;
    int64_t delete_retention_ms, min_compaction_lag_ms, max_compaction_lag_ms;
    double min_cleanable_dirty_ratio;
    enum topic_time timestamp_type;
    int64_t gzip_level, lz4_level,
        zstd_level; /* kept and shown; batches stay as producers sent them */
    bool preallocate, unclean_leader_election, compact;
    int64_t duplicates_window_ms; /* 0: duplicates are not looked for */
    bool queue;                   /* has a built-in subscription: subscription.h */
    bool until_settled;           /* what all subscriptions have settled is removed */
    enum store_flush flush;
    uint64_t set; /* bit per row of the table: set on the topic, not a default */
};

struct topic {
    atomic_uint refs;
    uint32_t magic;
    struct uuid id;
    char name[TOPIC_NAME_MAX + 1];
    int32_t partitions;
    uint32_t generation; /* raised by each growth */
    bool internal;
    struct topic_conf conf;
    uint64_t created_ms;
};

/* State topics have ids fixed in code, which no random id can equal (they are no UUIDs of version
 * 4): the store's logs of these need no catalog. */
enum topic_state {
    TOPIC_STATE_CATALOG = 1,
    TOPIC_STATE_OFFSETS = 2,
    TOPIC_STATE_ACCESS = 3,
    TOPIC_STATE_LEDGER = 4,
    TOPIC_STATE_SCHEDULED = 5,
};
#define TOPIC_CATALOG_NAME "__weir_catalog"
#define TOPIC_LEDGER_NAME "__weir_ledger"
#define TOPIC_SCHEDULED_NAME "__weir_scheduled"
#define TOPIC_OFFSETS_NAME "__consumer_offsets"
struct uuid topic_state_id(enum topic_state state);
bool topic_id_is_state(const struct uuid *id);

const struct topic *topic_ref(const struct topic *t);
void topic_unref(const struct topic *t);

/* ERR_TOPIC_INVALID with Kafka's reasons in text. */
enum err must_use topic_name_check(struct str name, struct err_text *text);

/* One key and value as clients give them; value.at NULL: the default. */
struct topic_setting {
    struct str key, value;
};

enum topic_conf_type { CONF_BOOLEAN, CONF_STRING, CONF_INT, CONF_LONG, CONF_DOUBLE, CONF_LIST };

/* A row of the table, as DescribeConfigs shows it. */
struct topic_conf_row {
    const char *key;
    enum topic_conf_type type;
    const char *server_key; /* the broker-wide synonym, NULL: none */
    const char *doc;
};
size_t topic_conf_rows(void);
const struct topic_conf_row *topic_conf_row(size_t i);
/* The value in text; returns out. */
const char *topic_conf_get(const struct topic_conf *conf, size_t row, char *out, size_t cap);
bool topic_conf_is_set(const struct topic_conf *conf, size_t row);
void topic_conf_default(struct topic_conf *conf);
/* ERR_CONFIG_INVALID: an unknown key (text names the nearest right one), a value out of range, or
 * one whose feature this broker does not have yet (compact, compression.type other than producer,
 * remote storage). Unknown keys are refused. */
enum err must_use topic_conf_set(struct topic_conf *conf, struct topic_setting s,
                                 struct err_text *text);
void topic_conf_store(const struct topic_conf *conf, struct store_log_conf *out);

/* ---- verbs, all run on reactor 0 ---- */

struct topic_create_op {
    struct op op;
    const struct actor *actor;
    struct str name;
    int32_t partitions;  /* -1: the default */
    int16_t replication; /* 1 or -1 */
    const struct topic_setting *settings;
    size_t settings_n;
    bool validate_only;
    /* out; ERR_TOPIC_EXISTS fills topic too */
    const struct topic *topic; /* a reference for the caller; NULL on errors and validate_only */
    struct topic_conf conf;    /* what it has or would have */
    int32_t partitions_out;
    struct err_text text;
};
/* Answered when it is durable, every partition's log is open and every reactor knows it. */
void broker_topic_create(struct broker *b, struct topic_create_op *op);

struct topic_delete_op {
    struct op op;
    const struct actor *actor;
    struct str name; /* at NULL: by id */
    struct uuid id;
    /* out */
    const struct topic *topic; /* what was deleted, a reference for the caller */
    struct err_text text;
};
/* Answered when the deletion is durable; the files go later. Groups' offsets for it are dropped. */
void broker_topic_delete(struct broker *b, struct topic_delete_op *op);

struct topic_grow_op { /* CreatePartitions */
    struct op op;
    const struct actor *actor;
    struct str name;
    int32_t partitions; /* the new total, larger than now */
    bool validate_only;
    /* out */
    struct err_text text;
};
void broker_topic_grow(struct broker *b, struct topic_grow_op *op);

/* Changes settings, and partitions with them: all of it or nothing. */
struct topic_configure_op {
    struct op op;
    const struct actor *actor;
    struct str name;
    const struct topic_setting *settings; /* value.at NULL: back to the default */
    size_t settings_n;
    bool replace;       /* settings that are not given go back to their defaults */
    int32_t partitions; /* the new total, not less than now; 0: as it is */
    bool validate_only;
    struct err_text text;
};
void broker_topic_configure(struct broker *b, struct topic_configure_op *op);

/* Told on every reactor after its copy changed: old NULL: created; now NULL: deleted. */
struct topic_watcher {
    struct list link;
    void (*changed)(struct topic_watcher *w, struct broker *b, const struct topic *old,
                    const struct topic *now);
};
void broker_topic_watch(struct broker *b, struct topic_watcher *w);
