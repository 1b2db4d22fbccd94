/* function.h: functions: worker processes that are started when there is work, watched, and
 * stopped when there is none. What a call looks like is not this module's: it says which worker may
 * be called now.
 *
 *     function   the pool of one Function: 0..N workers, on the reactor of its name
 *     worker     one life of one process: STARTING -> READY -> (DRAINING) -> GONE
 *     user       who has events for it: a subscription's pusher
 *     slot       one call: asked for, given with a worker's address, given back
 *
 *     function_take -> (a worker starts) -> ready(): call slot->url -> function_give(how it went)
 *
 * A slot that waits is what starts the first worker. How many workers there should be is decided by
 * function_scale.h of what waits (users tell: function_waits), of the target per worker and of the
 * calls under way; each decision is an event in the topic weir.functions, with its reason, like
 * each start, crash, kill and stop (function_log.h).
 *
 * With `partition` >= 0 a slot wants the worker that has that partition: partitions are spread
 * evenly over the workers, and stay with theirs until it goes, or until it has more than its share
 * of them because there are more workers now. A partition is handed on only when no slot of it is
 * out: a worker's last call of a partition is over before the next one's first begins. Numbers are
 * partitions of any topic: those of the same number are with the same worker.
 *
 * A worker that crashes, answers no call in time, or passes a limit is ended, named in the event
 * and the log, and replaced after a back-off (doubled while failures follow each other within
 * FUNCTION_GOOD_US); slots that it held are told by lost(), beside whatever becomes of the call
 * itself. While no worker can be had, slots wait start_ms, then end with ERR_TIMED_OUT and the
 * reason. A change of the command or its environment starts new workers before the old ones go; a
 * change of anything else is taken over as it is.
 *
 * A function with `url` has no workers: its slots are given at once, up to workers.concurrency; its
 * breaker is the caller's business.
 *
 * Limits: what a worker prints, and how much memory and CPU it uses, see io/process.h; those that
 * flood (reading had to stop for FUNCTION_FLOOD_SECONDS on end) are ended.
 *
 * One reactor.
 */
#pragma once

#include "base/histogram.h"
#include "broker/broker.h"
#include "broker/document.h"
#include "broker/http_client.h"
#include "broker/invoke.h"

struct functions;
struct function;
struct loop;

#define FUNCTION_GOOD_US ((uint64_t)10000000)
#define FUNCTION_FLOOD_SECONDS 5u
#define FUNCTION_FAILING 5u /* failures in a row after which it is said to be failing */

struct functions_conf {
    struct broker *broker; /* NULL: no events are written (tests) */
    struct loop *loop;
    bool commands;            /* whether commands are run at all: `weir serve --commands` */
    struct http_client *http; /* for workers that must answer before they are ready (azure) */
    const char *weir_http;    /* WEIR_HTTP: "http://127.0.0.1:8080"; NULL: not given. Borrowed */
};

/* Embedded by who has events for a function. */
struct function_user {
    struct list link;          /* private */
    struct function *function; /* private */
    struct str name;           /* of the function; the user's */
    uint64_t waiting;          /* events that wait, as last told */
    /* There may be room now that was not, the document changed, came or went. Not from inside of a
     * call of this module by the same user. */
    void (*changed)(struct function_user *user);
};

enum function_result {
    FUNCTION_DONE,      /* it answered, whatever it answered */
    FUNCTION_TIMED_OUT, /* the call's time was up: the worker is ended */
    FUNCTION_BROKEN,    /* the connection broke, or could not be made */
    FUNCTION_UNCALLED,  /* the slot was not used */
};

struct function_slot {
    struct list link; /* private */
    struct function_user *user;
    int32_t partition; /* -1: any worker */
    /* ERR_OK: url and worker are set, until function_give. ERR_NOT_FOUND: the function is gone;
     * ERR_TIMED_OUT: no worker could be had, text says why; ERR_CLOSED: weir stops. After an error
     * there is nothing to give. May come from inside function_take. */
    void (*ready)(struct function_slot *slot, enum err err);
    /* Optional: the worker that is being called is gone. The call's own end follows or came. */
    void (*lost)(struct function_slot *slot);
    struct str correlation; /* of the call, for the worker's log lines; at NULL: none. Borrowed */
    /* out */
    const char *url; /* "http://127.0.0.1:41234" */
    unsigned worker; /* its number, unique on its reactor in this life of weir; 0: a url */
    struct err_text text;
    /* private */
    struct function_worker *at;
    struct function_url *at_url;
    uint64_t since_us;
    bool out;
};

struct functions *functions_make(const struct functions_conf *conf);
/* Once, when the broker is loaded. */
void functions_start(struct functions *f);
/* Workers get SIGTERM when their calls are over; `cut`: SIGKILL, now. */
void functions_stop(struct functions *f, bool cut);
bool functions_busy(const struct functions *f);
void functions_free(struct functions *f);

void function_join(struct functions *f, struct function_user *user);
void function_leave(struct function_user *user); /* it has no slots */
/* Its settings; NULL: there is no such function now. Valid until `changed`. */
const struct document *function_document(const struct function_user *user);
/* How many more slots should be asked for: what workers that are ready can take, and one for each
 * user that has none (slots_out: it has, waiting ones counted). 0: not now (`changed` tells). */
uint32_t function_room(const struct function_user *user, uint32_t slots_out);
/* How long no worker is started because FUNCTION_FAILING failed in a row, where none is ready: who
 * asks for a slot waits for so long at least. 0: not so. us. */
uint64_t function_pause_us(const struct function_user *user);
/* How many events wait, beside those in slots. */
void function_waits(struct function_user *user, uint64_t events);

void function_take(struct function_slot *slot);
/* Before ready(): it is not wanted any more; ready() does not come. */
void function_cancel(struct function_slot *slot);
/* So many outputs of a call had nowhere to go. */
void function_dropped(struct function_user *user, uint64_t outputs);
/* The call is over. */
void function_give(struct function_slot *slot, enum function_result result, uint64_t took_us,
                   uint32_t events);

/* For /metrics and `weir get`: counted since the start, on the function's reactor. */
struct function_stat {
    const char *name;
    uint32_t starting, ready, draining;         /* workers, now */
    uint32_t wanted;                            /* by what waits and is under way */
    uint32_t calls;                             /* under way */
    uint64_t waiting;                           /* events, as users told */
    uint32_t failures;                          /* in a row, now */
    uint64_t started, crashed, killed, stopped; /* workers */
    uint64_t done, timed_out, broken, events;   /* calls; events in those that were done */
    uint64_t dropped;                           /* outputs for which there is no topic */
    struct histogram took;                      /* of all calls that were made */
};
typedef void function_stat_fn(void *arg, const struct function_stat *stat);
void functions_each(const struct functions *f, function_stat_fn *each, void *arg);
