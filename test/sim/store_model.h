/* store_model.h: what a store was asked and what it answered, and whether what it holds after a
 * crash agrees with that.
 *
 * One player drives one simulated machine through several lives. Each batch carries a tag that no
 * other has, so that what is read back is recognised. After a crash:
 *
 *     every append that was acknowledged as durable is there, with its bytes, at its offset;
 *     offsets are dense, nothing is torn, doubled or invented;
 *     appends made on the log's own reactor are there in their order, without holes;
 *     a group is there in all of its logs or in none;
 *     an acknowledged log start is kept; a deleted log stays deleted, a created one is there.
 */
#pragma once

#include "store_world.h"

#include "base/random.h"

#define MODEL_LOGS 6

enum model_state {
    MODEL_PENDING, /* asked, not answered */
    MODEL_ACKED,   /* answered in this life */
    MODEL_KEPT,    /* seen after a start: durable since */
};

struct model_group;

struct model_batch {
    uint64_t tag;
    unsigned n;         /* records */
    struct slice bytes; /* as they were before the store stamped them */
    enum model_state state;
    bool local; /* committed on the log's own reactor */
    int64_t offset;
    uint64_t acked_us;
    struct model_group *group;
    bool found; /* scratch of a check */
};

struct model_log {
    struct store_log_id id;
    struct store_log_conf conf;
    unsigned index;
    unsigned generation;     /* counts creations */
    struct store_log *log;   /* open */
    bool creating, deleting; /* asked, not answered */
    bool exists;             /* its creation was answered, or it was there after a start */
    bool retained;           /* retention may move its start */
    int64_t start, start_asked;
    struct model_batch **batch;
    size_t count, cap;
    bool trimming;
    int64_t end; /* as end_moved told */
};

/* A group that is not yet settled by a start. */
struct model_group {
    struct store_group group;
    struct store_append append[4];
    struct model_log *log[4];
    unsigned generation[4];
    struct model_batch *batch[4];
    unsigned n;
    bool durable; /* acknowledged means durable */
    bool relaxed; /* answered when written */
    struct player *player;
    struct model_group *next;
};

struct player {
    struct store_world w;
    struct rng rng;
    uint64_t seed;
    struct model_log logs[MODEL_LOGS];
    struct model_group *groups; /* of this life */
    uint64_t next_tag, life;
    uint64_t acked, cuts, lives, refused;
    bool stopping;     /* what comes late is refused */
    const char *wrong; /* the first disagreement */
    char wrong_text[256];
};

void player_make(struct player *p, uint64_t seed);
void player_free(struct player *p);
/* Starts the store, perhaps cut off by power cuts on the way; opens what exists and checks it.
 * False: something is wrong. */
bool player_start(struct player *p, bool cuts);
/* One random request. */
void player_act(struct player *p);
/* Ends the life: the given way, and forgets what was not answered. */
enum player_end { PLAYER_CUT, PLAYER_KILL, PLAYER_STOP };
bool player_end(struct player *p, enum player_end how);
/* Lets virtual time pass; false when the life is over (cut, or the store failed). */
bool player_wait(struct player *p, uint64_t us);
