/* embedded_internal.h: what the parts of the embedded store share: embedded.c (the port's calls),
 * checkpoint.c, recovery.c, retention.c, scrub.c. Not for others.
 *
 * struct embedded is the process's, struct store_reactor one reactor's share of it, struct
 * store_log one log. A log is touched on its reactor only; the fields of struct embedded that
 * change belong to reactor 0.
 */
#pragma once

#include "base/map.h"
#include "store/checkpoint.h"
#include "store/embedded.h"
#include "store/layout.h"
#include "store/manifest.h"
#include "store/recovery.h"
#include "store/retention.h"
#include "store/scrub.h"

#define STORE_LOG_MAGIC 0x574c4f47u

struct store_log {
    uint32_t magic;
    struct map_node node;
    struct store_reactor *reactor;
    struct store_log_id id;
    struct store_log_conf conf;
    struct plog *plog;  /* NULL: not loaded; entry says how */
    struct slice entry; /* the manifest's, encoded; empty: it has none yet */
    int64_t start, end; /* what is visible */
    uint64_t bytes;     /* while it is not loaded */
    uint32_t segments;
    int64_t retain_from;                   /* what retention leaves alone; INT64_MAX: nothing */
    const struct store_log_events *events; /* NULL: no owner has it open */
    void *user;
    bool open;
    bool rooted;            /* its folder's name is durable */
    bool retiring;          /* retention moves its start */
    bool dead;              /* deleted; memory stays until no checkpoint uses it */
    bool moved;             /* end_moved is due */
    uint32_t idle_looks;    /* of retention since it was last needed */
    struct list turn_link;  /* appended to in this turn */
    struct list dirty_link; /* changed since the last checkpoint began */
    struct list moved_link;
    struct plog_sync *sync;     /* of the checkpoint that runs */
    struct store_open *waiting; /* an open that waits until the dead namesake is gone */
};

struct store_reactor {
    struct store store; /* first */
    struct embedded *e;
    struct loop *loop;
    unsigned index;
    struct loop_hook hook;
    struct map logs;
    struct plog_files *files; /* open files of the logs, bounded */
    struct list turn_logs;    /* store_log.turn_link */
    struct list turn_items;   /* commit_item.link */
    uint64_t turn_bytes;
    unsigned turn_trims;  /* items of the turn that move a log's start */
    enum err turn_err;    /* an append of this turn failed: all of its groups do */
    uint64_t hook_us;     /* when the hook last ran */
    struct env_mail kick; /* makes another turn */
    bool kicked;
    struct list dirty_logs;    /* store_log.dirty_link */
    struct list dead_logs;     /* store_log.dirty_link */
    struct commit_item *items; /* pools */
    struct commit_frame *frames;
    struct env_timer interval; /* for flush INTERVAL */
    struct checkpoint_part part;
    struct retention retention;
    struct scrub scrub;
};

struct embedded {
    struct embedded_conf conf;
    char *dir;
    struct disk *disk;
    struct disk_file *lock;
    struct meta meta;
    struct loop **loops;
    unsigned reactors;
    struct store_reactor *reactor; /* array */
    struct writer writer;
    struct checkpoint checkpoint;
    struct scrub_total scrub;
    bool writer_open, hooked;
    atomic_bool failed;
    atomic_uint burials; /* folders of deleted logs that are being removed */
    struct env_timer close_timer;
    unsigned close_rounds;
    atomic_bool closing;
    embedded_closed_fn *closed;
    void *closed_arg;
};

static inline struct store_reactor *reactor_of_store(struct store *s)
{
    return container_of(s, struct store_reactor, store);
}

static inline struct env *reactor_env(struct store_reactor *r)
{
    return loop_env(r->loop);
}

/* Reports once that the process must stop. Any reactor. */
void embedded_fail(struct embedded *e, enum err err, const char *what);

/* The log with this id, NULL if unknown. */
struct store_log *reactor_log(struct store_reactor *r, const struct store_log_id *id);
/* Adds a log, without a plog; entry: takes over the reference. */
struct store_log *reactor_log_add(struct store_reactor *r, const struct store_log_id *id,
                                  struct slice entry);
void reactor_log_free(struct store_log *log);
/* Start, end and size, without a look at the disk: what the manifest says of a log is true until
 * something is appended to it. So thousands of idle logs cost a start nothing. */
enum err must_use reactor_log_know(struct store_log *log, struct err_text *text);
/* Looks at its files if nobody did: with the entry, and conf of the log. Before its first append,
 * read or trim. */
enum err must_use reactor_log_load(struct store_log *log, struct err_text *text);
/* The same; what is wrong goes to the process's log, with file and place. A dead log stays as it
 * is. */
enum err must_use reactor_log_need(struct store_log *log);
/* Forgets what is in memory of a loaded log, unless it has changed since the last checkpoint. */
void reactor_log_unload(struct store_log *log);
/* Something to be written by the next checkpoint. */
void reactor_log_touch(struct store_log *log);

/* An empty item from the pool, given back after done was called. */
struct commit_item *reactor_item(struct store_reactor *r,
                                 void (*done)(struct commit_item *, enum err));
/* Adds a frame that carries no batch. */
void reactor_item_mark(struct commit_item *item, struct store_log *log, enum journal_kind kind,
                       int64_t offset);
/* Into this turn. */
void reactor_submit(struct store_reactor *r, struct commit_item *item);
void reactor_item_free(struct store_reactor *r, struct commit_item *item);
/* The next frame for the item: its own first, then from the pool. */
struct commit_frame *reactor_frame(struct store_reactor *r, struct commit_item *item);
/* The log's delete is durable: removes its folder when nothing uses it any more. */
void reactor_log_bury(struct store_log *log);
/* The same for those that waited for a checkpoint. */
void reactor_logs_bury(struct store_reactor *r);
/* Makes the log's manifest entry anew: this state, and its owner's snapshot now. */
void checkpoint_log_entry(struct store_log *log, const struct plog_state *state);
enum err must_use checkpoint_folder_sync(struct embedded *e);
/* The turn's end, and the completion of items (struct writer_ops). */
void reactor_turn_end(struct loop_hook *hook);
void reactor_complete(void *arg, unsigned reactor, struct list *items);
