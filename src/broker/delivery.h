/* delivery.h: the verbs of a ledger: receiving messages of a subscription and settling them.
 *
 *                  acquire                       settle: ACCEPT                 (gone for it)
 *   AVAILABLE ----------------> ACQUIRED ----------------------------------->  SETTLED
 *      ^  ^                        |  |                                           ^
 *      |  +-- RELEASE (a delay), --+  +-- REJECT, attempts or time used up -------+
 *      |      lock runs out           |                          (dead letter)    |
 *      |                              +-- DEFER --> DEFERRED -- receive deferred, accept
 *      +-- due -- SCHEDULED (a side topic, see publish.h)
 *
 * A settle is durable before it is answered. An acquired message leaves when the group that says so
 * is written, not synced: a power cut may take that back, kill -9 does not; delivery counts never
 * go down over kill -9, and lock tokens stay valid over a restart until their time is up.
 *
 * Verbs are ops: submitted on any reactor. Everything borrowed stays valid until done. A receiver
 * identifies itself by `owner`, a number that nobody had before, in this process or an earlier one
 * (broker_owner): what a connection holds is released when that goes (broker_release_all).
 */
#pragma once

#include "base/arena.h"
#include "base/batch.h"
#include "base/uuid.h"
#include "broker/actor.h"
#include "broker/lock_token.h"
#include "broker/op.h"
#include "broker/publish.h"
#include "broker/records.h"
#include "broker/stages.h"

enum message_state { MESSAGE_AVAILABLE, MESSAGE_ACQUIRED, MESSAGE_DEFERRED };

struct message {
    struct lock_token token; /* zero when peeked */
    enum message_state state;
    int32_t partition;
    int64_t offset;      /* in the topic; the sequence number of a queue */
    uint32_t deliveries; /* this one included */
    int64_t append_ms;
    int64_t locked_until_ms; /* wall clock */
    int64_t first_ms;        /* of its first delivery, wall clock */
    uint64_t acquired_us;    /* monotonic clock */
    uint64_t waited_us;   /* from when it was there to be read until then, to the us where that is
                                known, else of append_ms */
    struct record record; /* points into `records` */
    struct records *records; /* a reference for the receiver: message_drop */
};
void message_drop(struct message *m);

#define ACQUIRE_MESSAGES_MAX 5000

struct acquire_op {
    struct op op;
    const struct actor *actor;
    struct uuid subscription;
    int32_t partition; /* -1: any; receivers take turns over the partitions */
    uint64_t owner;
    uint32_t messages_max; /* 1..ACQUIRE_MESSAGES_MAX */
    size_t bytes_max;      /* of records; the first message comes whatever its size */
    uint32_t wait_ms;      /* for the first message; 0: do not wait */
    uint32_t lock_ms;      /* 0: the subscription's */
    bool settled; /* accepted with the acquisition, durable before it leaves: at most once */
    /* ORDER_KEY: whose session; at NULL: the next free one that has messages. A session that one
     * owner holds is ERR_SESSION_LOCKED for others. Asked for by name, it is looked for in the
     * partition of its id (publish_partition_of), unless `partition` says another one: who got it
     * as the next free one gives the partition of its messages. */
    struct str session;
    /* out */
    struct message *messages; /* valid until acquire_free; message_drop what is not wanted longer */
    uint32_t n;
    struct str session_out;
    int64_t session_locked_until_ms;
    struct err_text text;
    /* private */
    struct arena memory;
    void *at;
};
/* ERR_OK with n 0: nothing came in time. ERR_NOT_FOUND: no such subscription. */
void broker_acquire(struct broker *b, struct acquire_op *op);
/* From where it was submitted: done follows with what is there. */
void broker_acquire_cancel(struct broker *b, struct acquire_op *op);
void acquire_free(struct acquire_op *op);

enum settle_verb { SETTLE_ACCEPT, SETTLE_RELEASE, SETTLE_REJECT, SETTLE_DEFER, SETTLE_RENEW };
const char *settle_verb_text(enum settle_verb verb); /* "accept", ... */

struct settle_item {
    struct lock_token token;
    enum settle_verb verb;
    uint32_t delay_ms;              /* RELEASE: until it is available again */
    bool uncounted;                 /* RELEASE: this delivery does not count as an attempt */
    struct str reason, description; /* REJECT: into the dead letter */
    struct str outcome;             /* RELEASE, REJECT: the last delivery's, for dead letters */
    const struct record_header *properties; /* REJECT: changed in the dead letter. Not with others:
                                             * ERR_REQUEST_INVALID, the log's message stays */
    size_t properties_n;
    /* For metrics, of what weir brings somewhere itself: how long its call took, and since when the
     * message could be read (monotonic clock). 0: not known */
    uint64_t took_us, visible_us;
    bool burial; /* private: nobody had it */
    /* out */
    enum err err;            /* ERR_LOCK_LOST: not, or not any more, this acquisition's */
    int64_t locked_until_ms; /* RENEW */
    bool dead_lettered;      /* RELEASE: it was the last attempt */
};

#define SETTLE_ITEMS_MAX 5000

/* op.err: ERR_OK unless no item could be settled (then the first item's); ERR_NOT_FOUND: no such
 * subscription. With outputs: of the whole. */
struct settle_op {
    struct op op;
    const struct actor *actor;
    struct uuid subscription;
    struct settle_item *items;
    size_t items_n;
    /* Appended in one atomic group with the settles, wherever their partitions are: nothing of it
     * exists without them, nor they without it. If any item fails, nothing is done at all. */
    struct publish_op *outputs; /* linked by nothing: an array; their op.done is not called */
    size_t outputs_n;
    struct err_text text;
    void *at; /* private */
};
void broker_settle(struct broker *b, struct settle_op *op);

/* Everything that the owner holds of the subscription (or of all: a zero id) becomes available
 * again, uncounted if nothing of it was looked at. */
struct release_op {
    struct op op; /* no actor: nobody but a receiver's own front knows its owner's number */
    struct uuid subscription;
    uint64_t owner;
    bool uncounted;
    void *at; /* private */
};
void broker_release_all(struct broker *b, struct release_op *op);
/* A number for a new receiver. */
uint64_t broker_owner(struct broker *b);

/* Looks without acquiring: messages from `from` on that are not settled, in offset order. Scheduled
 * ones are not among them before they are due. */
#define PEEK_BYTES_MAX ((size_t)8 << 20) /* of records, of a partition */
struct peek_op {
    struct op op;
    const struct actor *actor;
    struct uuid subscription;
    int32_t partition; /* -1: all, one after the other */
    int64_t from;
    uint32_t messages_max;
    struct str session; /* at NULL: any */
    /* out */
    struct message *messages;
    uint32_t n;
    void *at; /* private */
};
void broker_peek(struct broker *b, struct peek_op *op);
void peek_free(struct peek_op *op);

/* Acquires deferred messages by their place. ERR_NOT_FOUND: one of them is not deferred; of other
 * partitions some may be acquired then, and are there in `messages`. */
struct deferred_op {
    struct op op;
    const struct actor *actor;
    struct uuid subscription;
    uint64_t owner;
    const int64_t *offsets;
    const int32_t *partitions; /* NULL: all 0 */
    uint32_t offsets_n;
    bool settled;
    /* out */
    struct message *messages;
    uint32_t n;
    void *at; /* private */
};
void broker_receive_deferred(struct broker *b, struct deferred_op *op);
void deferred_free(struct deferred_op *op);

/* A scheduled record that is not due yet. ERR_NOT_FOUND: it is gone, or was never there. */
struct cancel_op {
    struct op op;
    const struct actor *actor;
    struct uuid topic;
    int64_t sequence;
    void *at; /* private */
};
void broker_cancel(struct broker *b, struct cancel_op *op);

/* Sessions of an ORDER_KEY subscription. */
enum session_verb { SESSION_RENEW, SESSION_RELEASE, SESSION_GET_STATE, SESSION_SET_STATE };
#define SESSION_STATE_MAX ((size_t)256 << 10)

struct session_op {
    struct op op;
    const struct actor *actor;
    struct uuid subscription;
    struct str session;
    uint64_t owner; /* ERR_SESSION_LOCKED: somebody else's; ERR_LOCK_LOST: not held any more */
    enum session_verb verb;
    struct str state; /* SET; at NULL: none */
    /* out */
    struct slice state_out; /* GET: the caller's reference */
    int64_t locked_until_ms;
    void *at; /* private */
};
void broker_session(struct broker *b, struct session_op *op);

/* "Redeliver all since 14:00": the subscription starts again from a time or offset in each
 * partition; what is acquired now loses its lock. */
struct rewind_op {
    struct op op;
    const struct actor *actor;
    struct uuid subscription;
    int32_t partition; /* -1: all */
    int64_t time_ms;   /* -1: by offset */
    int64_t offset;    /* -1: LIST_LATEST, -2: LIST_EARLIEST */
    void *at;          /* private */
};
void broker_rewind(struct broker *b, struct rewind_op *op);

/* What metrics, scalers and describe calls show. Over all partitions. */
struct ledger_stat_op {
    struct op op;
    const struct actor *actor;
    struct uuid subscription;
    bool oldest;           /* oldest_ms is wanted: that is read from the log */
    struct stages *stages; /* NULL: not wanted. What was counted is added */
    /* out. ready counts offsets between what was looked at and the log's end as messages, which a
     * filter may yet take from it */
    uint64_t ready, acquired, deferred, delayed, sessions;
    uint64_t delivered_total, accepted_total, released_total, dead_lettered_total, expired_total,
        dropped_total;
    int64_t oldest_ms; /* append time of the oldest unsettled message; -1: none */
    uint64_t bytes;    /* of memory that its ledgers hold */
    void *at;          /* private */
};
void broker_ledger_stat(struct broker *b, struct ledger_stat_op *op);
