/* delivery_internal.h: the broker's side of ledgers. Inside of broker/ only.
 *
 *     struct deliveries                 one a reactor
 *       shards: statelog                __weir_ledger, a partition a shard
 *       delivery                        one a subscription and partition, on the reactor of the
 *                                       partition: its ledger, and who waits for what of it
 *       receivers                       one a subscription, on the reactor of the topic's partition
 *                                       0: who waits for messages of any partition
 *
 * A message on its way to a receiver:
 *
 *     broker_acquire    at home -> receivers: which partition has something? (delivery_acquire.c)
 *     take              -> the partition's delivery: reads the log as far as it needs, tells the
 *                       ledger what is there, acquires, looks the payloads up (delivery_take.c)
 *     end of the turn   what all ledgers have to tell is written, a batch each (delivery.c)
 *     written           -> receivers -> home: done
 *
 * and back:
 *
 *     broker_settle     at home: items by partition (delivery_settle.c)
 *     settle_part       -> the partition's delivery: into the turn's change; durable -> home
 *
 * What must be there together with records of other topics (outputs, dead letters) goes another
 * way: delivery_group.c gathers changes of ledgers and outputs into one group of the store.
 *
 * What nobody touches is written whole and leaves memory, but for a stub (paged.h): delivery_get
 * gives it back.
 *
 * A delivery leaves when its subscription does: what waits in it is answered with ERR_NOT_FOUND,
 * and once nothing is under way its ledger's end is written and it is freed.
 */
#pragma once

#include "base/heap.h"
#include "broker/delivery.h"
#include "broker/ledger.h"
#include "broker/partition.h"
#include "broker/statelog.h"
#include "broker/subscription_internal.h"

#define DELIVERY_SWEEP_MS 60000           /* what was not touched between two is idle */
#define LEDGER_INCARNATION_MASK 0xffffffu /* the bits that count of it */

struct deliveries_shard {
    struct deliveries *all;
    struct statelog *log;
};

struct deliveries {
    struct broker *broker;
    struct map ledgers;   /* struct delivery by subscription and partition */
    struct map paged;     /* struct paged, likewise: those that are not among these */
    struct map receivers; /* struct receivers by subscription */
    struct deliveries_shard shards[BROKER_SHARDS];
    struct list dirty;      /* struct delivery: to be looked after at the end of the turn */
    struct env_timer turn;  /* fires then */
    struct heap due;        /* struct delivery by when its ledger, or its ttl, wants to be called */
    struct env_timer clock; /* for the first of them */
    struct subscription_watcher subscriptions;
    struct topic_watcher topics;
    uint32_t owners; /* given out by broker_owner */
    size_t straggler_bytes;
    struct list trimming; /* struct partition: up to its floor */
    struct env_timer trim;
    struct env_timer sweep; /* idle ledgers are paged out, or packed */
    uint32_t sweep_ms;
    bool sweep_more;   /* the last one left some for the next, soon */
    int64_t folded_ms; /* monotonic: when what is folded was written; 0: in a former life */
    bool open;         /* loaded, and set to the ends of the partitions */
    unsigned loading;
    enum err load_err;
    void (*loaded)(void *arg, enum err err);
    void *loaded_arg;
};

/* Something that reads the log for a delivery; one at a time. */
struct delivery_job {
    struct list link;
    void (*run)(struct delivery_job *job);
};

/* Something that waits until this turn's change is written. */
struct delivery_call {
    struct list link;
    void (*written)(struct delivery_call *call, enum err err);
};

/* When what is at [from, to) came. */
struct delivery_batch {
    int64_t from, to;
    int64_t append_ms;
    uint64_t visible_us; /* 0: not known */
};

struct delivery {
    struct map_node node;
    struct deliveries *all;
    struct deliveries_shard *shard; /* whose log is the ledger's */
    const struct subscription *s;   /* own reference; NULL: of one that is not there any more */
    struct uuid subscription, topic;
    int32_t index;        /* of the partition */
    struct partition *at; /* NULL: not open yet, or gone */
    struct list link;     /* in at->deliveries */
    struct ledger *ledger;
    struct stragglers *stragglers; /* copies of messages; NULL: none */
    bool folded;                   /* from records, at load */
    bool leaving;
    bool again;                   /* there is one like it, by now: made when this one has left */
    uint32_t pending;             /* writes, jobs and groups under way: it stays */
    struct ledger_change *change; /* settles of this turn; NULL: none yet */
    struct list told;             /* delivery_call: of this turn */
    struct list dirty;            /* in all->dirty */
    struct list jobs;             /* delivery_job that wait */
    struct delivery_job *job;     /* the one that runs */
    struct heap_node due;         /* in all->due */
    bool armed;                   /* its receivers want to know when there is more than armed_at */
    bool touched;                 /* since the last sweep */
    bool idle;                    /* was not, between that and the one before */
    bool news;                    /* of what is in the log */
    uint32_t armed_at;            /* messages available */
    uint64_t armed_holder;        /* to whom alone; 0: to everybody */
    uint32_t armed_inside;        /* and those that are ready in sessions */
    uint32_t acquired;            /* as its receivers were told */
    bool burying;                 /* delivery_dead.c */
    int64_t floor;                /* as its partition counts it */
    int64_t asked_ms;             /* monotonic: the last take; 0: none */
    int32_t dispatch_at;          /* its place in the partition's set of filters; -1: none */
    bool expiring;                /* delivery_expiry.c */
    int64_t expiry_ms;  /* monotonic: when to look at the oldest message again; INT64_MAX: never */
    int64_t expired_to; /* what lies below has had its time to live looked at */
    int64_t pressed_to; /* what lies below must go: the topic is too large */
    uint64_t dead_lettered, expired, dropped; /* since the start */
    struct stages *stages;                    /* NULL: nothing was counted yet */
    struct delivery_batch batch;              /* that was settled of */
};

/* ---- delivery.c: life, and the end of the turn ---- */

/* What deliveries are found by. */
struct delivery_key {
    struct uuid subscription;
    int32_t index;
};
uint64_t delivery_key_hash(const struct delivery_key *key);
/* NULL: it is paged out, or is not at all. */
struct delivery *delivery_find(struct deliveries *all, const struct uuid *subscription,
                               int32_t index);
/* With an empty ledger, in no partition yet. */
struct delivery *delivery_make(struct deliveries *all, const struct uuid *subscription,
                               int32_t index, struct deliveries_shard *shard);
/* Nothing of it may be under way. */
void delivery_free(struct delivery *d);
/* Joins its partition, if that is open. */
void delivery_attach(struct delivery *d);
/* Nothing of it is wanted any more. */
void delivery_end(struct delivery *d);

struct deliveries *deliveries_make(struct broker *b, void (*loaded)(void *arg, enum err err),
                                   void *arg);
void deliveries_free(struct deliveries *all);
/* All partitions are open: a ledger that is ahead of its log goes back to its end, and that is
 * written before anything is served. */
void deliveries_clamp(struct deliveries *all, void (*done)(void *arg, enum err err), void *arg);
/* The partition's end or start moved. */
void deliveries_end_moved(struct partition *p);
void deliveries_start_moved(struct partition *p);

/* For an op that runs on the partition's reactor. NULL: *err says why; with ERR_OK the delivery is
 * paged out, and the op runs again from its beginning when it is there, or cannot be: it may be
 * over by now. ERR_NOT_FOUND; ERR_COORDINATOR_LOADING; what reading it gives. */
struct delivery *delivery_get(struct broker *b, struct op *op, const struct uuid *subscription,
                              int32_t partition, enum err *err);
struct ledger_time delivery_now(const struct deliveries *all);
/* The ledger has changed, or may have: to be looked after at the end of the turn. */
void delivery_touch(struct delivery *d);
/* The change of this turn, for settles. */
struct ledger_change *delivery_change(struct delivery *d);
/* Told when all that the ledger has to tell by now is written: durable, if there are settles. */
void delivery_tell(struct delivery *d, struct delivery_call *call);
/* What a ledger has to tell, as a batch, and the entities that it is about (mem_free). */
struct statelog_entity **delivery_records(const struct ledger_take *take, int64_t now_ms,
                                          struct batch_builder *b);
/* Writes now what would be written at the end of the turn. */
void delivery_flush(struct delivery *d);
void delivery_enter(struct delivery *d);
void delivery_leave(struct delivery *d);
void delivery_job_start(struct delivery *d, struct delivery_job *job,
                        void (*run)(struct delivery_job *job));
void delivery_job_end(struct delivery *d, struct delivery_job *job);
/* About how many messages could be acquired now: those that wait, and what has not been looked at.
 * *holder: by whom alone (ORDER_PARTITION); 0: by everybody. */
uint32_t delivery_available(const struct delivery *d, uint64_t *holder);
uint32_t delivery_acquired(const struct delivery *d);
/* Receivers wait: tell them when there is more. */
void delivery_arm(struct delivery *d);

/* ---- delivery_read.c: the batches that a job has read ---- */

struct delivery_read {
    struct records_op op;
    struct delivery *d;
    void (*done)(struct delivery_read *r, enum err err);
    uint32_t offsets_max; /* of one read; 0: any number */
    struct records **at;  /* in order of their offsets; references */
    size_t n, cap;
};

/* Reads at `offset`, of what the log does not have any more the copy: what it finds joins the
 * batches. */
void delivery_read_start(struct delivery_read *r, int64_t offset, size_t bytes_max);
/* The record at the offset, in the batches read so far. NULL: not among them. */
struct records *delivery_read_find(const struct delivery_read *r, int64_t offset,
                                   struct record *out);
void delivery_read_clear(struct delivery_read *r);

/* ---- delivery_look.c: telling the ledger what is in the log ---- */

/* Tells it about the batch's records from ledger_next on, until `want` wait to be acquired. */
enum err must_use delivery_look(struct delivery *d, struct records *batch, uint32_t want);

/* Tells it that what is new of the batch is over: dead, or left out where nobody wants it. */
enum err must_use delivery_look_over(struct delivery *d, struct records *batch);

/* ---- delivery_dispatch.c ---- */

enum dispatch_answer { DISPATCH_UNKNOWN, DISPATCH_TAKES, DISPATCH_LEAVES };
/* Does the filter take the batch's i-th record? Unknown: ask the filter itself. */
enum dispatch_answer dispatch_ask(struct delivery *d, struct records *batch, uint32_t i);
/* The subscriptions are others, or one of them goes; NULL is allowed. */
void dispatch_drop(struct partition *p);

/* ---- delivery_take.c ---- */

enum take_what {
    TAKE_NEXT,     /* the next messages */
    TAKE_DEFERRED, /* those at `offsets`, all or none: ERR_NOT_FOUND */
    TAKE_PEEK,     /* those from `from` on, which stay as they are */
};

/* What receivers ask of one partition. */
struct take {
    struct op op;
    struct uuid subscription;
    int32_t partition;
    uint64_t owner;
    uint32_t max;
    size_t bytes_max;
    uint32_t lock_ms;
    bool settled;
    struct str session; /* sessions: at NULL: the next free one; to peek: any */
    enum take_what what;
    const int64_t *offsets; /* TAKE_DEFERRED: max of them */
    int64_t from;           /* TAKE_PEEK */
    /* out */
    struct message *messages; /* mem_alloc; the caller's */
    uint32_t n;
    size_t bytes;
    uint32_t left;          /* delivery_available, behind this; 1 if nobody knows */
    uint64_t holder;        /* likewise */
    uint32_t acquired;      /* of the ledger */
    struct str session_out; /* that is held now, mem_alloc; the caller's; at NULL: none */
    int64_t session_locked_until_ms;
    /* private */
    struct delivery *d;
    struct delivery_job job;
    struct delivery_call call;
    struct delivery_read read;
    struct ledger_taken *taken;
    uint32_t taken_n, looked_up;
    bool going, again;
    bool looked; /* at the log */
    bool locked; /* a session */
    uint64_t acquired_us;
    enum err err;
};
void take_start(struct broker *b, struct take *take);

/* ---- delivery_acquire.c: receivers ---- */

struct receivers;
void receivers_free(struct deliveries *all);
/* A partition of the subscription has something by now, or less is acquired. */
void receivers_tell(struct delivery *d, uint32_t available, uint64_t holder);
void receivers_subscription_changed(struct broker *b, const struct subscription *old,
                                    const struct subscription *now);

/* ---- delivery_floor.c ---- */

/* The log was opened: before the ledgers are known, nothing of it may go. */
void floor_open(struct partition *p);
/* What it needs of the log begins there. */
int64_t delivery_floor(const struct delivery *d);
/* The delivery's floor is another one, or it came to its partition. */
void floor_moved(struct delivery *d);
/* A delivery has left; NULL is allowed. */
void floor_left(struct partition *p);
/* All ledgers of this reactor are there. */
void floors_known(struct deliveries *all);
/* The store would like to remove what lies below `start`, but for the floor; full: because the log
 * is too large. */
void deliveries_pressed(struct partition *p, int64_t start, bool full);
void delivery_pressed(struct delivery *d, int64_t start, bool full);
void floors_init(struct deliveries *all);
void floors_free(struct deliveries *all);
/* May more be appended? ERR_THROTTLED: the topic waits for its subscriptions. */
enum err must_use floor_allows(const struct partition *p, struct err_text *text);

/* ---- delivery_expiry.c ---- */

/* Looks after what is too old, or too much. */
void delivery_expire(struct delivery *d);

/* ---- delivery_dead.c ---- */

/* A message that becomes a dead letter. */
struct dead_message {
    int64_t offset;
    uint32_t deliveries;
    int64_t first_ms, last_ms;               /* deliveries; Unix ms, 0: none */
    struct str reason, description, outcome; /* at NULL: none */
    const struct record_header *properties;  /* changed in the letter */
    size_t properties_n;
};

/* Dead letters of one ledger: their records, for a group. */
struct dead_letters {
    struct delivery *d;
    struct dead_message *messages; /* freed with this */
    size_t n;
    void (*made)(struct dead_letters *l, enum err err);
    /* out */
    struct publish_op *ops; /* one a message that could be read */
    size_t ops_n;
    /* private */
    struct topic_create_op create;
    const struct topic *topic; /* own reference */
    struct delivery_job job;
    struct delivery_read read;
    struct arena memory;
    size_t at;
    bool going, again;
    enum err err;
};

/* Makes the topic if it is missing, reads the messages, writes their records. On the delivery's
 * reactor, where made is called, too. */
void dead_letters_make(struct dead_letters *l);
void dead_letters_free(struct dead_letters *l);
/* Starts to bury what is dead, if anything is. */
void delivery_bury(struct delivery *d);

/* ---- delivery_group.c ---- */

/* Settles of one ledger in a group. */
struct group_part {
    struct uuid subscription;
    int32_t partition;
    struct settle_item **items;
    size_t n;
    /* private, of the ledger's reactor */
    struct op op; /* in one step after the other */
    struct delivery_group *group;
    struct delivery *d; /* NULL: not prepared */
    struct ledger_change *change;
    struct ledger_take take;
    struct dead_letters letters;
    struct statelog_append append;
    struct statelog_entity **entities;
    uint64_t dropped; /* rejected without a dead letter */
    uint64_t begin_us;
    bool taken;  /* the ledger's records */
    bool joined; /* its append belongs to the group */
};

/* Changes of ledgers and outputs, all or nothing. Made by its caller, on the reactor of `broker`.
 * Rejects become dead letters where the subscription wants them. */
struct delivery_group {
    struct broker *broker;
    struct group_part *parts;
    size_t parts_n;
    struct publish_op *outputs;
    size_t outputs_n;
    bool lenient; /* items that cannot be settled are left out; else nothing is done at all */
    void (*done)(struct delivery_group *group, enum err err);
    struct err_text text;
    /* private */
    struct uuid topic;         /* of the subscription */
    struct group_part **order; /* parts by shard */
    size_t at;                 /* the one that is being prepared, or joined */
    struct publish_op *all;    /* outputs and dead letters */
    size_t all_n;
    struct publish_join join;
    struct store_group store;
    size_t left;
    enum err err;
};
/* Settles the parts' items, and writes all. */
void delivery_group_start(struct delivery_group *group);

/* ---- delivery_settle.c ---- */

/* What a settle does with one item: into the change. */
enum err must_use delivery_settle_item(struct delivery *d, struct ledger_change *c,
                                       struct settle_item *item);

/* ---- delivery_stages.c: for metrics ---- */

void delivery_stages_received(struct delivery *d, const struct message *m);
/* Before the ledger is told. */
void delivery_stages_settling(const struct delivery *d, struct settle_item *item);
/* The settle is durable, now; it began at begin_us. Monotonic. */
void delivery_stages_settled(struct delivery *d, const struct settle_item *item, uint64_t begin_us,
                             uint64_t now_us);

/* ---- delivery_hop.c: for weir.hops ---- */

void delivery_hop_received(const struct delivery *d, const struct message *m);
/* As above. */
void delivery_hop_settled(const struct delivery *d, const struct settle_item *item,
                          uint64_t begin_us, uint64_t now_us);
/* It is on its way to the dead letters. */
void delivery_hop_dead(const struct delivery *d, const struct dead_message *m,
                       const struct record *record);
/* It is given up: expired, or without a place for dead letters. */
void delivery_hop_gone(const struct delivery *d, bool expired, int64_t offset, struct str reason);

/* ---- delivery_each.c ---- */

/* Something done with the ledgers of a subscription: of one partition, or of all at once. */
struct each_part {
    struct op op;
    struct delivery_each *all;
    int32_t partition;
    struct broker *broker; /* the partition's reactor's */
    struct delivery *d;    /* NULL: paged out (each->paged) */
    struct delivery_call call;
    struct list_op list;
    struct records_op records;
    struct ledger_stat stat;
    int64_t oldest_ms;
    struct stages *stages;
    struct delivery_totals {
        uint64_t delivered, accepted, released, dead_lettered, expired, dropped, unseen;
    } totals;
};

struct paged;

struct delivery_each {
    struct broker *broker;
    struct uuid subscription;
    int32_t partition; /* -1: all */
    /* On the partition's reactor, with part->d, which stays until each_answer. */
    void (*run)(struct each_part *part);
    /* The same for one that is paged out; NULL: it is loaded. */
    void (*paged)(struct each_part *part, const struct paged *p);
    /* At home, with the first error. ERR_NOT_FOUND: no such subscription. */
    void (*done)(struct delivery_each *each, enum err err);
    /* private */
    struct uuid topic;
    struct each_part *parts;
    size_t n, left;
    enum err err;
};
void delivery_each_start(struct delivery_each *each);
void each_answer(struct each_part *part, enum err err);
