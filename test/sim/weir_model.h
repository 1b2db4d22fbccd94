/* weir_model.h: what must be true of a broker, by what it has answered so far.
 *
 * The model is told of every batch before it is sent, of every answer, and of every record that a
 * reader was given; each of these is checked against all that was known before, and weir_sim_fail
 * is called at the first contradiction:
 *
 *   - an acknowledged record is at its offset, with its value, in every later life;
 *   - a record that was served stays (a topic that flushes by time or never: but for a power cut,
 *     which may take a tail of it, in order);
 *   - no record is there twice (producers that may not repeat do not, and idempotent ones must not
 *     show it), none that was refused is there, none that was never sent;
 *   - the records of an idempotent producer stand in the order in which it sent them, and so do
 *     those of others that were acknowledged on one connection;
 *   - what DeleteRecords answered stays deleted, and nothing more is;
 *   - topics that were created are there, with their ids and at least their partitions; those that
 *     were deleted stay away;
 *   - committed offsets never go back, nor beyond what was asked for.
 *
 * A stream is the records of one producer to one partition: record n of stream s has the id
 * s << 32 | n, from which its key and value follow.
 */
#pragma once

#include "weir_sim.h"

#define MODEL_TOPICS 12 /* ever, deleted ones too */
#define MODEL_PARTITIONS 6
#define MODEL_STREAMS 512
#define MODEL_GROUPS 4

enum model_fate { MODEL_ASKED, MODEL_THERE, MODEL_LEAVING, MODEL_GONE };

struct model_partition {
    struct model_topic *topic;
    int32_t index;
    uint64_t *ids; /* by offset, below end; 0: not known */
    int64_t cap;
    int64_t end;       /* behind the last record that is known to be there */
    int64_t start_min; /* log start, as acknowledged */
    int64_t start_max; /* and as asked for */
};

struct model_topic {
    char name[32];
    bool id_known;
    struct uuid id;
    enum model_fate fate;
    bool lossy;             /* flush by time or never */
    int32_t partitions;     /* acknowledged */
    int32_t partitions_max; /* asked for */
    struct model_partition p[MODEL_PARTITIONS];
};

enum model_sent { MODEL_SENT = 1, MODEL_ACKED = 2, MODEL_REFUSED = 4, MODEL_SEEN = 8 };

struct model_stream {
    uint32_t number;
    struct model_partition *p;
    bool ordered; /* of an idempotent producer, which has: */
    int64_t pid;
    uint32_t value_max;
    uint32_t n, cap; /* records sent at least once */
    struct model_entry {
        int64_t offset; /* -1: not known */
        uint8_t flags;
    } * at;
};

struct model_commit { /* of one group and partition */
    int64_t acked, asked;
};

struct model_group {
    char name[32];
    struct model_commit at[MODEL_TOPICS][MODEL_PARTITIONS];
};

struct model {
    struct weir_sim *w;
    unsigned topics_n, streams_n, groups_n;
    struct model_topic topics[MODEL_TOPICS];
    struct model_stream *streams; /* MODEL_STREAMS, from 1 on */
    struct model_group groups[MODEL_GROUPS];
    uint64_t acked, served; /* records, for the report */
};

void model_init(struct model *m, struct weir_sim *w);
void model_free(struct model *m);

/* ---- topics ---- */

/* Before CreateTopics is sent. */
struct model_topic *model_topic_ask(struct model *m, const char *name, int32_t partitions,
                                    bool lossy);
/* It was answered, or seen in Metadata. */
void model_topic_there(struct model *m, struct model_topic *t, const struct uuid *id,
                       int32_t partitions);
/* The newest topic of this name that may be there; NULL: none. */
struct model_topic *model_topic_find(struct model *m, struct str name);
/* A whole list of topics was read while nothing changed: what must be there is, and the rest is
 * settled by it. found(arg, topic name): its id and partitions, false: not there. */
typedef bool model_find_fn(void *arg, const char *name, struct uuid *id, int32_t *partitions);
void model_topics_settle(struct model *m, model_find_fn *found, void *arg);

/* ---- records ---- */

/* pid -1: of a producer that is not idempotent. NULL: there are MODEL_STREAMS of them, or this pid
 * has one for the partition already, where its sequence goes on. Values have 8 to 8 + value_max
 * bytes. */
struct model_stream *model_stream_make(struct model *m, struct model_partition *p, int64_t pid,
                                       uint32_t value_max);
/* Adds n records to the stream; the first one's number. Told before they are sent. */
uint32_t model_send(struct model *m, struct model_stream *s, uint32_t n);
void model_acked(struct model *m, struct model_stream *s, uint32_t first, uint32_t n,
                 int64_t base_offset);
/* The answer was an error that promises that nothing was stored. */
void model_refused(struct model *m, struct model_stream *s, uint32_t first, uint32_t n);
/* A reader was given this record. */
void model_seen(struct model *m, struct model_partition *p, int64_t offset, struct str key,
                struct str value);
/* One batch of n records of the stream. */
struct slice model_batch(const struct model_stream *s, uint32_t first, uint32_t n, int16_t epoch,
                         int64_t timestamp);

/* ---- what is there, read whole at a quiet moment ---- */

void model_trim_asked(struct model_partition *p, int64_t start);
void model_trimmed(struct model *m, struct model_partition *p, int64_t start);
/* Before the records are read: [start, end) is what the partition shows. power_lost: the power was
 * cut since the last scan. */
void model_scan(struct model *m, struct model_partition *p, int64_t start, int64_t end,
                bool power_lost);
/* After: every known record in it was seen. seen_n: how many. */
void model_scanned(struct model *m, struct model_partition *p, int64_t start, int64_t end,
                   uint64_t seen_n);
/* At the end of all: every record of the stream was acknowledged. */
void model_stream_done(struct model *m, const struct model_stream *s);

/* ---- committed offsets ---- */

struct model_group *model_group_make(struct model *m, const char *name);
struct model_commit *model_commit_of(struct model *m, struct model_group *g,
                                     const struct model_partition *p);
/* OffsetFetch said so; -1: none. */
void model_fetched(struct model *m, const struct model_group *g, const struct model_partition *p,
                   struct model_commit *c, int64_t offset);
