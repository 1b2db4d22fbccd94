/* plog_world.h: a log under test beside a naive model of it.
 *
 * The model keeps every batch that was appended, as bytes, and answers by walking over all of them.
 * It also plays the journal: what was flushed since the last checkpoint is there to be replayed,
 * and log_start is durable as soon as it is set. pw_check compares all that can be asked.
 */
#pragma once

#include "base/random.h"
#include "io/sim.h"
#include "store/plog.h"

#include "../check.h"

struct pw_batch {
    struct slice bytes;
    struct batch_head head;
    int64_t append_ms;
    struct plog_place place;
    bool data_synced; /* by plog_sync_begin_data: may be replayed as a reference */
};

struct pw {
    struct sim *sim; /* NULL: the real disk */
    struct disk *disk;
    char dir[128]; /* the log's */
    char parent[64];
    struct store_log_conf conf;
    struct plog_files *files;
    struct plog *log;
    struct rng rng;
    struct pw_batch *batch;
    size_t count, cap;
    size_t flushed; /* batches that were flushed */
    size_t journal; /* the first that is behind the last checkpoint */
    int64_t next, log_start;
    int32_t epoch;
    int64_t now_ms;
    bool times_lost;          /* the sidecar was damaged: append times are not compared */
    struct plog_state *state; /* of the last checkpoint, a deep copy; NULL: none */
};

/* seed 0: the real disk, in a fresh folder. Segments of 16 KiB, an index entry every 512 bytes. */
void pw_make(struct pw *w, uint64_t seed);
/* Closes and frees all, removes the folder. */
void pw_free(struct pw *w);
/* What a crashed process leaves is never freed: forgets the log object only. */
void pw_open(struct pw *w);
enum err must_use pw_try_open(struct pw *w);
void pw_close(struct pw *w);
/* Frees the batches from n on. */
void pw_forget(struct pw *w, size_t n);

/* Appends a batch of so many records with values of so many bytes, timestamps around ts. Not yet
 * flushed. */
void pw_append(struct pw *w, int records, size_t value_bytes, int64_t ts);
void pw_flush(struct pw *w);
/* Appends n batches of one record each with increasing timestamps, and flushes. */
void pw_fill(struct pw *w, int n, size_t value_bytes);
/* A checkpoint: begin, run, end; the state is taken over. */
void pw_checkpoint(struct pw *w);
void pw_take_state(struct pw *w, const struct plog_state *state);
void pw_set_start(struct pw *w, int64_t log_start);
/* Closes, cuts the power if the disk is simulated, opens from the last state and replays. */
void pw_crash(struct pw *w);
/* The replay alone, onto an open log; *done counts, for a power cut inside of it. */
void pw_replay(struct pw *w);

/* One read compared with the model. */
void pw_check_read(struct pw *w, int64_t from, int64_t limit, size_t bytes_max, bool min_one);
void pw_check_time(struct pw *w, int64_t ts, int64_t limit);
void pw_check_max_time(struct pw *w, int64_t limit);
/* Everything: whole contents, each offset, scans, epochs, the files by plog_check. */
void pw_check(struct pw *w);
