/* store_world.h: a store to test, whichever it is: the embedded one on real threads and a real
 * disk, or on simulated loops and a simulated disk, or the simulated remote one.
 *
 * The port is asynchronous; here each call waits. A call is made on the reactor that owns the log
 * (a mail there), and its done ends the wait.
 */
#pragma once

#include "broker/store.h"
#include "io/sim.h"
#include "store/embedded.h"

#include "../unit/check.h"

#include <pthread.h>
#include <stdbool.h>

#define WORLD_REACTORS_MAX 4

enum world_kind { WORLD_REAL, WORLD_SIM, WORLD_REMOTE };

struct remote;

struct store_world {
    enum world_kind kind;
    unsigned n;
    uint64_t seed;
    struct sim *sim;
    struct disk *disk;
    char dir[64];
    struct loop *loops[WORLD_REACTORS_MAX];
    struct store *stores[WORLD_REACTORS_MAX];
    struct embedded *embedded;
    struct remote *remote;
    struct embedded_conf conf; /* may be changed before world_start */
    struct embedded_report report;
    struct err_text text;
    enum err failed; /* what conf.failed was told */
    uint64_t failed_us;
    pthread_t threads[WORLD_REACTORS_MAX];
    bool running;
    /* the call that is waited for */
    bool done;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
};

/* An empty machine. world_start opens the store on it. */
void world_make(struct store_world *w, enum world_kind kind, unsigned reactors, uint64_t seed);
/* Stops what runs, and removes all. */
void world_free(struct store_world *w);
/* ERR_OK: it runs. */
enum err world_start(struct store_world *w);
/* Ends the process: in order; or by kill -9 and power cut, which only a simulation can do. */
enum err world_stop(struct store_world *w);
/* Ends it amid whatever is under way, and gives all back. */
void world_leave(struct store_world *w);
void world_kill(struct store_world *w);
void world_cut(struct store_world *w);

/* Runs fn(w, arg) on a reactor and waits until world_done was called. False: it never came (the
 * store failed, a simulation had nothing left to do). */
typedef void world_fn(struct store_world *w, void *arg);
bool world_call(struct store_world *w, unsigned reactor, world_fn *fn, void *arg);
void world_done(struct store_world *w);

/* Topic ids with a given shard: partition p of topic t belongs to reactor p % n. */
struct store_log_id world_id(unsigned topic, uint32_t partition);
extern const struct store_log_conf world_log_conf; /* EACH, small segments, no limits */

/* One record batch: n records of `bytes` bytes each, recognisable by `tag`. Owned by the caller. */
struct slice world_batch(uint64_t tag, unsigned n, size_t bytes, int64_t timestamp);

enum err world_open(struct store_world *w, struct store_open *op, struct store_log_id id,
                    const struct store_log_conf *conf, bool create);
/* The log, which must open. */
struct store_log *world_log(struct store_world *w, struct store_log_id id,
                            const struct store_log_conf *conf);
void world_close(struct store_world *w, struct store_log *log, struct store_log_id id);
/* One group from reactor `from`. appends: log and batch filled; base_offset given back. */
enum err world_group(struct store_world *w, unsigned from, struct store_append *appends,
                     unsigned n);
/* A group of one. -1 - err, or the offset. */
int64_t world_append(struct store_world *w, struct store_log_id id, struct store_log *log,
                     struct slice batch, int64_t append_ms);
/* The bytes, as one slice that the caller unrefs. */
enum err world_read(struct store_world *w, struct store_log_id id, struct store_log *log,
                    int64_t from, int64_t limit, size_t max, struct slice *out, int64_t *next);
enum err world_find(struct store_world *w, struct store_log_id id, struct store_find *op);
enum err world_trim(struct store_world *w, struct store_log_id id, struct store_log *log,
                    int64_t start);
enum err world_remove(struct store_world *w, struct store_log_id id, struct store_log *log);
struct store_log_stat world_stat(struct store_world *w, struct store_log_id id,
                                 struct store_log *log);
unsigned world_reactor(const struct store_world *w, struct store_log_id id);
/* The chunks' bytes. */
struct slice world_bytes(struct chunkq *q);
