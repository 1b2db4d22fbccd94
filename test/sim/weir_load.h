/* weir_load.h: clients at work on a simulated broker, and the model that watches them.
 *
 *     producers   idempotent ones (several batches in flight, sent again in order with the same
 *                 sequence after an error or a lost connection) and plain ones (sent once), over
 *                 one to three partitions each, in every version of Produce
 *     consumers   tail some partitions by long polls, with fetch sessions or without
 *     committers  commit ever larger offsets for groups without members
 *     members     of one consumer group, see weir_member.h
 *     admin       creates, grows and deletes topics, deletes records
 *
 * While paused nothing new is begun. Draining: producers finish what they have begun, and stop.
 */
#pragma once

#include "weir_client.h"
#include "weir_member.h"
#include "weir_model.h"

#define LOAD_PRODUCERS 6
#define LOAD_PRODUCER_STREAMS 3
#define LOAD_CONSUMERS 3
#define LOAD_COMMITTERS 2
#define LOAD_MEMBERS 4
#define LOAD_IN_FLIGHT 5

struct load;

/* A batch until it is acknowledged, or, of a plain producer, until its answer. */
struct load_batch {
    struct list link; /* in its lane, in order */
    struct load_lane *lane;
    uint32_t first, n;
    struct slice bytes;
    bool sent, dead;
};

/* A producer's way to one partition. */
struct load_lane {
    struct load_producer *producer;
    struct model_stream *stream; /* NULL: none yet */
    struct list batches;         /* struct load_batch */
    unsigned waiting;            /* sent ones */
    bool refused;                /* one failed: send all again when none is under way */
    int64_t acked_end;           /* on this connection */
};

struct load_producer {
    struct client client;
    struct load *load;
    char name[24];
    bool idempotent, asks_pid;
    int64_t pid;
    int16_t epoch;
    int16_t version, acks;
    uint32_t value_max, batch_max; /* records in a batch */
    struct load_lane lanes[LOAD_PRODUCER_STREAMS];
    struct env_timer timer;
    uint64_t pace_us;
};

struct load_position {
    struct model_partition *p;
    int64_t offset;
    bool in_session;
};

struct load_consumer {
    struct client client;
    struct load *load;
    char name[24];
    int16_t version;
    bool sessions;
    int32_t session_id, session_epoch;
    unsigned n;
    struct load_position at[MODEL_PARTITIONS * 2];
    struct env_timer timer;
};

struct load_committer {
    struct client client;
    struct load *load;
    char name[24];
    struct model_group *group;
    struct model_partition *p; /* of the commit under way */
    int64_t offset;
    struct env_timer timer;
};

struct load_admin {
    struct client client;
    struct load *load;
    struct model_topic *topic; /* that the request under way is about */
    struct model_partition *p;
    int32_t partitions;
    bool busy;
    struct env_timer timer;
    unsigned named; /* names given so far */
};

struct load {
    struct weir_sim *w;
    struct model model;
    bool paused, draining;
    bool disk_fails; /* reads may be answered with an error */
    unsigned producers_n, consumers_n, committers_n;
    uint64_t batches_left; /* to be made, of all producers */
    struct load_producer producers[LOAD_PRODUCERS];
    struct load_consumer consumers[LOAD_CONSUMERS];
    struct load_committer committers[LOAD_COMMITTERS];
    unsigned members_n;
    struct load_member members[LOAD_MEMBERS];
    struct member_group group;
    struct load_admin admin;
    struct client scanner;
};

/* Draws how many of each there are, and starts their clients. */
void load_make(struct load *l, struct weir_sim *w);
/* As load_make, but with one idempotent producer, one consumer, one committer, one member, and an
 * admin that does nothing by itself. */
void load_make_small(struct load *l, struct weir_sim *w);
void load_free(struct load *l);
/* A topic by the admin's own connection, waited for. */
void load_create(struct load *l, const char *name, int32_t partitions, bool lossy);
/* DeleteRecords of a part of some partition, waited for. */
void load_trim(struct load *l);
/* After a start: reads all that the broker shows and lets the model judge it. False: this life
 * ended on the way. */
bool load_scan(struct load *l, bool power_lost);
void load_resume(struct load *l);
/* Producers have nothing under way, and the group is in order. */
bool load_is_drained(const struct load *l);
/* Every stream of an idempotent producer to a topic that is there was acknowledged whole. */
void load_check_done(struct load *l);
/* The process is another one. */
void load_restarted(struct load *l);
/* The power was cut: what lossy topics had is open, so their streams end here. */
void load_power_lost(struct load *l);
