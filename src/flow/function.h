/* function.h: functions: worker processes that are started when there is work, watched, and
 * stopped when there is none. What a call looks like is not this module's: it says which worker may
 * be called now.
 *
 *     function   the pool of one Function: 0..N workers, on the reactor of its name
 *     worker     one life of one process: STARTING -> READY -> (DRAINING) -> GONE
 *     user       who has events for it: a subscription's pusher; the HTTP door (broker/invoke.h)
 *     slot       one call: asked for, given with a worker's address, given back
 *
 *     function_take -> (a worker starts) -> ready(): call slot->url -> function_give(how it went)
 *
 * A slot that waits is what starts the first worker. How many workers there should be is decided by
 * scale.h of what waits (users tell: function_waits), of the target per worker and of the calls
 * under way; each decision is an event in the topic weir.functions, with its reason, like each
 * start, crash, kill and stop.
 *
 * With `partition` >= 0 a slot wants the worker that has that partition: partitions are spread over
 * the workers, and stay with theirs until it goes or the number of workers changes. A partition is
 * handed on only when no slot of it is out.
 *
 * A worker that crashes, answers no call in time, or passes a limit is ended, named in the event
 * and the log, and replaced after a back-off; slots that it held are told by lost(), beside
 * whatever becomes of the call itself. A function with `url` has no workers: its slots are given at
 * once, up to its concurrency; its breaker is the caller's business.
 *
 * One reactor.
 */
#pragma once

#include "broker/broker.h"
#include "broker/document.h"
#include "broker/http_client.h"

struct functions;
struct function;
struct loop;

struct functions_conf {
    struct broker *broker;
    struct loop *loop;
};

/* Embedded by who has events for a function. */
struct function_user {
    struct list link;          /* private */
    struct function *function; /* private; NULL: there is none of that name now */
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
     * ERR_TIMED_OUT, ERR_STORAGE...: no worker could be started; text says why. May come from
     * inside function_take. */
    void (*ready)(struct function_slot *slot, enum err err);
    /* Optional: the worker that is being called is gone. The call's own end follows or came. */
    void (*lost)(struct function_slot *slot);
    struct str correlation; /* of the call, for the worker's log lines; at NULL: none. Borrowed */
    /* out */
    const char *url; /* "http://127.0.0.1:41234" */
    unsigned worker; /* its number, unique in this life of weir */
    struct err_text text;
    struct function_worker *at; /* private */
};

struct functions *functions_make(const struct functions_conf *conf);
/* Once, when the broker is loaded. */
void functions_start(struct functions *f);
/* Workers get SIGTERM when their calls are over; `cut`: SIGKILL, now. */
void functions_stop(struct functions *f, bool cut);
bool functions_busy(const struct functions *f);
void functions_free(struct functions *f);
/* Whose reactor a function of the name lives on, of n. */
unsigned function_reactor(struct str name, unsigned n);

void function_join(struct functions *f, struct function_user *user);
void function_leave(struct function_user *user); /* it has no slots */
/* Its settings; NULL: there is no such function now. Valid until `changed`. */
const struct document *function_document(const struct function_user *user);
/* How many more slots should be asked for: what the workers can take, and at least one where there
 * are none yet. 0: not now (`changed` tells). */
uint32_t function_room(const struct function_user *user, uint32_t slots_out);
/* How many events wait, beside those in slots. */
void function_waits(struct function_user *user, uint64_t events);

void function_take(struct function_slot *slot);
/* Before ready(): it is not wanted any more; ready() does not come. */
void function_cancel(struct function_slot *slot);
/* The call is over. */
void function_give(struct function_slot *slot, enum function_result result, uint64_t took_us,
                   uint32_t events);

/* For /metrics and `weir get`: counted since the start, on the function's reactor. */
struct function_stat {
    const char *name;
    uint32_t workers, starting, wanted; /* now */
    uint32_t calls;                     /* under way */
    uint64_t waiting;
    uint64_t started, crashed, killed, stopped; /* workers */
    uint64_t done, timed_out, broken, events;   /* calls; events in them */
};
typedef void function_stat_fn(void *arg, const struct function_stat *stat);
void functions_each(const struct functions *f, function_stat_fn *each, void *arg);
