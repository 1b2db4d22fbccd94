/* function_internal.h: the parts of functions, seen from each other; only for flow/function*.c.
 *
 *      function.c             the set: functions by name, their users, their documents
 *      function_slot.c        calls: which worker gets which
 *      function_pool.c        how many workers there are; failures and back-off
 *      function_worker.c      one worker: the steps of its life
 *      function_watch.c       what workers print and use
 *      function_env.c         what a worker is told at its start
 *      function_probe.c       is it ready
 *      function_scale.c       how many there should be
 *      function_log.c         events
 *      function_documents.c   where documents come from
 *
 * What happens is noted, and acted upon by function_work, once, at the end of the turn
 * (function_wake): no call of a user comes from inside of one of its own, except slot->ready in
 * function_take.
 */
#pragma once

#include "base/arena.h"
#include "base/map.h"
#include "broker/function_status.h"
#include "flow/event_log.h"
#include "flow/function.h"
#include "flow/function_log.h"
#include "flow/function_scale.h"
#include "io/process.h"

#define FUNCTION_URL_MAX 32
#define FUNCTION_TAIL_LINES 8 /* of a worker's output, shown when it crashes */
#define FUNCTION_TAIL_BYTES 200
#define FUNCTION_CPU_SECONDS 10
#define FUNCTION_ENV_MAX 4200 /* characters of a variable of weir's own */

struct functions {
    struct functions_conf conf;
    struct env *env;
    struct event_log *log; /* NULL: none */
    struct map map;        /* struct function */
    struct document_watcher watcher;
    struct function_teller teller;
    struct env_timer tick; /* while there are workers */
    struct process_measure measure;
    bool measuring, stopping;
    unsigned workers;      /* that are not gone */
    unsigned probes;       /* whose last call is to come */
    unsigned workers_made; /* the last one's number */
};

/* A URL that calls use; replaced, it stays until the last of them is over. */
struct function_url {
    unsigned refs;
    char text[];
};

/* Of one number; it has slots out with one worker at a time. */
struct function_partition {
    struct function_worker *worker; /* NULL: nobody's */
    uint32_t out;
};

struct function {
    struct map_node node;
    struct functions *all;
    const struct document *document; /* NULL: there is none now */
    struct function_url *url;        /* NULL: it has workers */
    struct list users;
    struct list waiting; /* struct function_slot */
    struct list workers; /* struct function_worker, gone ones with slots that are out, too */
    struct function_partition *partitions;
    uint32_t partitions_cap, partitions_known; /* that some worker has */
    uint32_t generation;                       /* of what workers are started with */
    uint32_t size;                             /* workers that it should have */
    uint32_t waiting_n;
    struct function_scale scale;
    uint64_t retry_us; /* no start before */
    char last_error[ERR_TEXT_MAX];
    bool tell; /* users, that something changed */
    struct env_timer work, later;
    struct function_stat stat;
    char name[TOPIC_NAME_MAX + 1];
};

/* Its settings; only where there are some. */
static inline const struct function_conf *function_conf_of(const struct function *f)
{
    return &f->document->conf.function;
}

#define FUNCTION_WORKER_STEPS(S) S(starting) S(ready) S(draining) S(gone)
enum function_worker_step {
#define S(name) FUNCTION_WORKER_##name,
    FUNCTION_WORKER_STEPS(S)
#undef S
};

enum function_kill {
    FUNCTION_KILL_NONE,
    FUNCTION_KILL_TIME,
    FUNCTION_KILL_MEMORY,
    FUNCTION_KILL_CPU,
    FUNCTION_KILL_START,
    FUNCTION_KILL_FLOOD,
    FUNCTION_KILL_STOP, /* it was told to stop, and did not in time */
};

struct function_worker {
    struct list link; /* in f->workers */
    struct function *f;
    unsigned number;
    uint32_t generation;
    enum function_worker_step step;
    enum function_kill killed;
    bool asked; /* to stop, by a signal */
    struct process *process;
    struct function_probe *probe;
    uint16_t port;
    char url[FUNCTION_URL_MAX];
    struct list slots; /* that are out */
    uint32_t slots_n, partitions_n;
    uint64_t calls; /* begun */
    uint64_t started_us, ready_us;
    struct env_timer deadline; /* of the start, of the stop */
    /* function_watch.c */
    struct {
        uint64_t at_us, cpu_us;
    } cpu[FUNCTION_CPU_SECONDS + 1];
    unsigned cpu_n;
    unsigned flooded; /* seconds on end */
    uint64_t flooded_us, resident_bytes;
    unsigned tail_n; /* lines printed */
    char tail[FUNCTION_TAIL_LINES][FUNCTION_TAIL_BYTES];
};

/* ---- function.c ---- */

/* Does what is due, at the end of the turn; `tell`: users will hear that something changed. */
void function_wake(struct function *f, bool tell);
/* The document of the name is now this; NULL: there is none. */
void function_set_document(struct functions *all, struct str name, const struct document *d);
uint64_t function_now(const struct function *f);

/* ---- function_slot.c ---- */

/* Gives what waits to whom has room; ends what has waited in vain. When to look again. */
uint64_t function_slots_work(struct function *f);
/* The worker is gone: its slots are told. */
void function_slots_lost(struct function_worker *w);
/* What the worker had is nobody's now. */
void function_partitions_drop(struct function_worker *w);
void function_url_put(struct function_url *url);

/* ---- function_pool.c ---- */

/* Decides, starts and stops. When to look again. */
uint64_t function_pool_work(struct function *f);
/* A worker failed, or could not be started. Returns how long no other is started, us. */
uint64_t function_pool_failed(struct function *f, const struct function_worker *w,
                              const char *error);
/* Events that wait, as users told. */
uint64_t function_pool_waiting(const struct function *f);
uint32_t function_pool_count(const struct function *f, enum function_worker_step step);

/* ---- function_worker.c ---- */

/* False: it could not be started; function_pool_failed has been told. */
bool function_worker_start(struct function *f);
/* No more calls; it ends when the last one is over. */
void function_worker_drain(struct function_worker *w);
void function_worker_kill(struct function_worker *w, enum function_kill why);
/* A call is over: a draining worker may end, one that is gone is freed with the last. */
void function_worker_released(struct function_worker *w);
const char *function_worker_step_name(enum function_worker_step step);
const char *function_kill_name(enum function_kill why);

/* ---- function_watch.c ---- */

extern const struct process_ops function_watch_ops; /* user: the worker */
/* In function_worker.c. */
void function_worker_ended(struct function_worker *w, const struct process_end *end);
void function_watch_tick(struct env_timer *timer);
void function_watch_measured(struct process_measure *m);

/* ---- function_env.c ---- */

struct function_start {
    struct arena arena; /* of all texts */
    const char **argv, **env;
    size_t env_n;
    const char *directory;
};
void function_start_make(struct function_start *s, const struct function *f, unsigned worker,
                         uint16_t port);
void function_start_free(struct function_start *s);

/* ---- function_probe.c ---- */

struct function_probe;
/* done(arg), later: the port answers. Tries until then, or until dropped. */
struct function_probe *function_probe_start(struct function *f, uint16_t port,
                                            void (*done)(void *arg), void *arg);
void function_probe_drop(struct function_probe *p);

/* ---- function_documents.c ---- */

void function_documents_load(struct functions *f);
