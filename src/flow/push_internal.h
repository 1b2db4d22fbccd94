/* push_internal.h: what push*.c share. Inside of flow/ only.
 *
 *     push       one reactor's subscriptions
 *     pusher     one subscription: asks its ledger for messages, has lanes deliver them
 *     stream     what of it is worked on apart: all, or with ordering: partition one partition
 *     fetch      one acquisition, and the messages that came of it, until the last is settled
 *     lane       one call at a time: build, call, settle; with sessions one call after the other
 */
#pragma once

#include "base/arena.h"
#include "base/list.h"
#include "broker/delivery.h"
#include "broker/subscription.h"
#include "flow/breaker_log.h"
#include "flow/endpoint.h"
#include "flow/function.h"
#include "flow/models.h"
#include "flow/push.h"
#include "flow/push_request.h"
#include "flow/push_time.h"
#include "flow/push_waits.h"
#include "flow/reply.h"
#include "flow/retry.h"

#define PUSH_LANE_BYTES_MAX ((size_t)16 << 20) /* of what a request is built in */

/* The owner of all that pushes acquire: the same in every life, so that a start finds, and gives
 * back, what the life before it held. broker_owner gives out no such number. */
#define PUSH_OWNER (UINT64_MAX - 1)

struct handshake;

struct push {
    struct broker *b;
    struct env *env;
    struct push_conf conf;
    struct endpoints *endpoints;
    struct breaker_log *log;
    struct models *models;
    struct subscription_watcher watcher;
    struct list pushers;
    uint32_t calls;
    struct env_timer ease;       /* there is room for answers again: all are pumped */
    bool started, stopping, cut; /* cut: nothing is waited for any more */
    struct push_stats stats;
    struct push *first;         /* reactor 0's */
    struct push_mirror *mirror; /* likewise */
};

struct push_fetch {
    struct acquire_op op;
    struct pusher *p;
    struct push_stream *stream;
    unsigned refs; /* the pusher's, and one a lane */
    uint32_t next; /* messages before it are with lanes */
    bool done, cancelled;
};

struct push_stream {
    struct push_fetch *fetch; /* waits for messages, or has some left */
    int32_t partition;        /* -1: any */
    uint32_t lanes;
    bool failed; /* what comes behind goes back, before anything is acquired again */
};

struct pusher {
    struct list link;
    struct push *push;
    const struct subscription *s;
    struct endpoint_user user;  /* of an address, a function's too */
    struct function_user fn;    /* name at NULL: not a function's */
    const struct document *doc; /* the function; NULL: there is none now */
    struct push_how how;        /* it is called, or the endpoint */
    uint32_t slots_out;         /* of the function, those that wait for a worker too */
    struct push_waits waits;
    uint64_t paused_us; /* nothing begins before */
    struct list lanes;
    uint32_t lanes_n;
    struct push_stream **streams;
    int32_t streams_n;
    struct handshake *handshake;
    struct release_op release; /* of what a former life held */
    bool releasing;
    struct env_timer again;
    uint64_t gap_us, next_us; /* the rate that the endpoint allowed; gap 0: any */
    struct model *model;      /* to a model; NULL: there is none now */
    uint32_t model_failures;  /* of its server, one after the other */
    bool leaving;             /* the subscription changed or went: nothing begins any more */
    /* Order counts, and one of former settings still leaves. Nothing begins before that has gone:
     * to the ledger both are the same owner, who may go on behind what he holds. */
    bool succeeds;
    bool again_after; /* it is left for its function's sake: then it begins anew */
    bool pumping, pump_more;
};

struct push_lane {
    struct list link;
    struct pusher *p;
    struct push_fetch *fetch;
    uint32_t from, n, end; /* [from, from + n) is being delivered; [from, end) is the lane's */
    struct push_stream *stream;
    bool calling, delivered;
    bool broken; /* its order is: something of it was not settled, and all that is left goes back */
    bool slot_waits, slot_out, worker_lost;
    struct arena arena; /* of one delivery */
    struct wr body;
    struct function_slot slot;
    struct http_client *http; /* who makes the call */
    struct http_call call;
    struct retry_attempt attempt; /* how it went */
    struct push_request request;
    struct reply reply;
    struct budget_share answer; /* what it holds of the answer until the settle is over */
    struct settle_op settle;
    struct push_time time;
    struct settle_item *items;
    struct publish_op *outputs; /* into a topic */
    struct push_scoring *scoring;
    bool one_by_one; /* into a topic, or a model's: a batch failed */
    unsigned tries;  /* of the settle */
    struct env_timer again;
    struct session_op session;
};

/* No call may begin now; whoever has no room for that reason is pumped when there is. */
static inline bool push_full(const struct push *push)
{
    return push->calls >= PUSH_CALLS_MAX ||
           (push->conf.answers && budget_tight(push->conf.answers));
}

static inline struct retry_policy push_policy(const struct subscription_conf *conf)
{
    return (struct retry_policy){(enum subscription_backoff)conf->backoff, conf->retry_first_ms,
                                 conf->retry_max_ms, conf->format == FORMAT_OTLP};
}

/* pusher.c */
/* first: of this life. What a former one held is given back before anything is acquired. */
struct pusher *pusher_make(struct push *push, const struct subscription *s, bool first);
/* The subscription or its function changed or went; cut: calls are cancelled. */
void pusher_leave(struct pusher *p, bool cut);
/* push_stop. */
void pusher_stop(struct pusher *p, bool cut);
bool pusher_busy(const struct pusher *p);
/* Begins what may begin. */
void pusher_pump(struct pusher *p);
void pusher_free(struct pusher *p);
/* Is it a topic or queue of weir's own? */
static inline bool pusher_to_topic(const struct pusher *p)
{
    return p->s->conf.deliver == DELIVER_TOPIC;
}
static inline bool pusher_to_model(const struct pusher *p)
{
    return p->s->conf.deliver == DELIVER_MODEL;
}
static inline bool pusher_sessions(const struct pusher *p)
{
    return p->s->conf.order == ORDER_KEY;
}
/* Does a lane deliver all of its fetch, one call after the other? */
static inline bool pusher_chained(const struct pusher *p)
{
    return p->s->conf.order != ORDER_NONE;
}
/* Nothing begins for so long. */
void pusher_pause(struct pusher *p, uint64_t for_us);
void push_fetch_unref(struct push_fetch *f);

/* push_lane.c: delivers the messages [from, end) of the fetch, or gives them back. */
void push_lane_start(struct pusher *p, struct push_fetch *f, uint32_t from, uint32_t end);
void push_lane_return(struct pusher *p, struct push_fetch *f, uint32_t from, uint32_t end);
void push_lane_cancel(struct push_lane *lane);
/* The i-th of those that are being delivered. */
const struct message *push_lane_message(const struct push_lane *lane, uint32_t i);
/* Items for the first n messages of the lane's, with their tokens, each to be released uncounted.
 * The caller changes what it wants otherwise, and sends them off. */
struct settle_item *push_lane_items(struct push_lane *lane, uint32_t n);
void push_lane_settle(struct push_lane *lane);
/* The same settle once more, after a while. */
void push_lane_settle_again(struct push_lane *lane, uint64_t in_us);
/* All that is left of the lane becomes available again, as if it had not been acquired; and so does
 * what was acquired behind it, where order counts. */
void push_lane_release(struct push_lane *lane);
/* Will its time to live be over then? And what becomes of it. */
bool push_lane_expired(const struct push_lane *lane, const struct message *m, uint64_t in_ms);
void push_lane_expire(const struct push_lane *lane, struct settle_item *item);
void push_lane_free(struct push_lane *lane);

/* What becomes of a message whose delivery failed. */
struct push_verdict {
    enum delivery_outcome outcome;
    bool for_good; /* not tried again */
    uint32_t wait_ms;
    struct str why;
};
/* attempt: the message's own, from 1. */
typedef struct push_verdict push_verdict_fn(void *arg, const struct push_lane *lane,
                                            uint32_t attempt);
/* The delivery of the lane's n messages failed: each gets its verdict, and all that follows in
 * order goes back with them. */
void push_lane_fail(struct push_lane *lane, push_verdict_fn *verdict, void *arg);
/* The same verdict for all: weir itself could not store what comes of them. Tried again when the
 * schedule would ask a server again that is busy, or never. */
void push_lane_not_stored(struct push_lane *lane, enum delivery_outcome outcome, bool for_good,
                          struct str why);

/* push_call.c: by a call of an endpoint or a function. */
void push_call_begin(struct push_lane *lane);
void push_call_cancel(struct push_lane *lane);
/* lane->call is made, and, from its done, is over. */
void push_lane_call(struct push_lane *lane);
void push_lane_call_over(struct push_lane *lane);
void push_lane_count(struct push_lane *lane, enum delivery_outcome outcome);
/* The endpoint of the call, if it has one, learns how it went. */
void push_lane_tell_endpoint(const struct push_lane *lane, const struct retry_attempt *a,
                             enum delivery_outcome outcome);
/* How the call went; and for people, in the arena. */
struct retry_attempt push_lane_attempt(const struct push_lane *lane);
struct str push_lane_describe(struct push_lane *lane);
/* Settles as an attempt deserves that was no success: why is what dead letters say. */
void push_lane_judge(struct push_lane *lane, const struct retry_attempt *a, struct str why);

/* push_reply.c: what was answered (lane->reply), as outputs of the settle. */
void push_reply_begin(struct push_lane *lane);
/* All that the call was answered with; errors as reply_read. */
enum err must_use push_reply_take(struct push_lane *lane);
void push_reply_settled(struct push_lane *lane);
/* The settle with its outputs failed: what is done instead. */
void push_reply_failed(struct push_lane *lane, enum err err);

/* push.c */
/* There may be room for calls again. */
void push_pump(struct push *push);
/* Makes its pusher, if it is this reactor's. */
void push_begin(struct push *p, const struct subscription *s, bool first);

/* push_topic.c: into a topic of weir's own, by the settle itself. */
void push_topic_begin(struct push_lane *lane);
/* The settle with its outputs failed: what is done instead. */
void push_topic_failed(struct push_lane *lane, enum err err);

/* The same for all who have outputs. Where one event may be to blame, `again` is tried with one
 * after the other. */
void push_outputs_failed(struct push_lane *lane, enum err err, const char *why,
                         void (*again)(struct push_lane *lane));

/* push_model.c: to a model. */
void push_model_begin(struct push_lane *lane);
void push_model_failed(struct push_lane *lane, enum err err);
/* At most, at once; and how many more may begin now. */
uint32_t push_model_lanes(const struct pusher *p);
uint32_t push_model_room(const struct pusher *p);
void push_model_join(struct pusher *p);

/* push_mirror.c: reactor 0's copy of breakers. */
struct push_mirror *push_mirror_make(void);
void push_mirror_free(struct push_mirror *m);
void push_mirror_tell(struct push *p, const char *endpoint, enum breaker_state state);
