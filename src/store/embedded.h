/* embedded.h: the embedded log: the storage port on a folder of this machine.
 *
 * How a batch travels: store_commit stamps it and gives it an offset (plog_append); at the turn's
 * end the logs are written through the page cache (plog_flush), and what the turn gathered goes to
 * the journal writer (commit.h), whose sync makes it durable; then the logs' ends move and done is
 * called. A checkpoint (checkpoint.h) syncs the logs now and then and recycles the journal; a start
 * replays what the last checkpoint did not cover (recovery.h). FORMAT.md has the rules.
 *
 * Failures. A full disk: the turn's groups fail with ERR_DISK_FULL, nothing of them exists, what is
 * stored stays readable. A failed journal write or sync, or a failed sync of a segment: conf.failed
 * is called once, nothing is acknowledged from then on, and the process must stop; a restart
 * recovers. Every other error goes to the call that met it.
 *
 * Thread: open before the loops run; close on loop 0 while they run; free after they stopped.
 */
#pragma once

#include "broker/store.h"
#include "io/disk.h"
#include "io/loop.h"
#include "store/commit.h"
#include "store/meta.h"

struct embedded;

struct embedded_conf {
    const char *dir; /* made if it does not exist; its parent must */
    struct disk *disk;
    /* The reactor that owns a log's shard, below the number of loops. */
    unsigned (*reactor_of)(void *arg, const struct store_log_id *id);
    /* The store can promise nothing any more: stop the process in order. Any reactor, once. */
    void (*failed)(void *arg, enum err err, const char *what);
    void *arg;
    /* 0: the default. */
    uint64_t journal_first_bytes; /* 1 MiB */
    uint64_t journal_file_bytes;  /* 64 MiB */
    uint64_t journal_bytes;       /* 1 GiB: files made in advance, all together */
    uint64_t checkpoint_bytes;    /* a quarter of journal_bytes: groups since the last one */
    uint64_t checkpoint_ms;       /* 60,000: at least so often while something is written */
    uint64_t files_max;           /* 512: segment files kept open */
    uint64_t sync_files_max;      /* 64: above so many one syncfs is cheaper than a sync of each */
    uint64_t retention_ms;        /* 30,000: how often retention looks at the logs */
    uint64_t scrub_after_ms;      /* 600,000: when the first pass begins, if there is a rate */
    uint64_t unload_looks;        /* 10: a log that was unused for so many is unloaded */
    uint64_t reference_bytes;     /* 512 KiB: such batches need not be carried by the journal */
    uint64_t reserve_bytes;       /* 16 MiB of the disk that ordinary appends leave free */
    enum commit_where where;
};

/* What open found, for the log and for main. */
struct embedded_report {
    struct meta meta;   /* with this process's incarnation */
    bool created;       /* the folder was empty */
    bool clean;         /* the former process had ended in order */
    uint64_t logs;      /* known */
    uint64_t groups;    /* replayed from the journal */
    uint64_t batches;   /* of these groups */
    uint64_t cut_bytes; /* behind the last whole group: written, never acknowledged */
    uint64_t took_us;
};

/* loops: n of them, reactor 0 is the journal's. stores: n handles, filled. Raises the incarnation,
 * recovers, registers its hooks (first of all hooks, so that answers are released in the turn that
 * made them durable). Errors: ERR_LOCKED, ERR_FORMAT_NEWER, ERR_CORRUPT, ERR_EXISTS (a folder with
 * other things in it), ERR_DISK_FULL, ERR_IO; text says what and where, and nothing was lost by the
 * attempt. */
enum err must_use embedded_open(const struct embedded_conf *conf, struct loop **loops, unsigned n,
                                struct store **stores, struct embedded **out,
                                struct embedded_report *report, struct err_text *text);

/* Waits for what is under way, makes a checkpoint and marks the stop as clean; done is called on
 * reactor 0, possibly from inside. Appends after this call are not made any more. ERR_OK: the next
 * start replays nothing. */
typedef void embedded_closed_fn(void *arg, enum err err);
void embedded_close(struct embedded *e, embedded_closed_fn *done, void *arg);
/* Files and memory; after the loops stopped, amid whatever was under way (without a close: as after
 * a crash, minus the crash): nobody is told any more how that ended. Waits for jobs that run
 * (loop_set_quiet), and gives up the lock when none does. */
void embedded_free(struct embedded *e);

/* A checkpoint now; done is optional. On reactor 0. ERR_BUSY: one runs already. */
void embedded_checkpoint(struct embedded *e, embedded_closed_fn *done, void *arg);

/* How many bytes a second are read to find bit rot (scrub.h); 0, as it is at first: none. Any
 * thread. */
void embedded_set_scrub(struct embedded *e, uint64_t bytes_a_second);

struct embedded_stat {
    uint64_t groups, syncs; /* written by the journal */
    uint64_t journal_bytes; /* all files */
    uint64_t journal_used;  /* since the last checkpoint */
    uint64_t checkpoints;
    uint64_t commit_us; /* moving average of a write and sync */
    uint64_t scrub_passes, scrub_bytes, scrub_faults;
};
void embedded_stat(const struct embedded *e, struct embedded_stat *out);
