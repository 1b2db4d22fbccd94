/* hop.h: what happens to events on their way, noted in the topic weir.hops, from which `weir trace`
 * tells an event's journey.
 *
 * A hop is one step of one event: published, handed to a receiver, pushed to an endpoint, settled,
 * dead-lettered. Who does such a step calls hop_note; it costs a few hundred ns, never waits and
 * never fails. Hops gather in each reactor and go into weir.hops by the batch, compressed, when
 * there are HOP_BATCH_BYTES of them or HOP_FLUSH_MS have passed. If they cannot (the disk is full,
 * it is slow, the topic cannot be made), what is above HOP_BUFFER_BYTES is dropped and counted: an
 * event is never slower for its hops.
 *
 * What they may cost is bounded: HOP_NOTES in each HOP_WINDOW_MS of a reactor, and HOP_LOOKS at
 * events to find out whether theirs are to be noted; about 3 % of a core together. When a window is
 * used up, fewer traces are noted in the next ones, half as many each time, and more again when
 * there is room: a busy broker tells some journeys whole rather than all of them in parts.
 *
 * The topic is made when the first hop is to be stored: retention 1 d, at most HOP_TOPIC_BYTES a
 * partition, weir.flush os: a power cut may lose the last of them. Its settings may be changed like
 * any topic's. broker_conf.hops_percent (`weir serve --hops`) says of how many events, by their
 * trace, all hops are noted (100 by default, 0: of none); an event whose traceparent says "not
 * sampled" is left out. Steps of records in weir.hops itself are not noted.
 *
 * A hop is a record: its key is the trace id, its value a JSON object. "at" is when the step ended,
 * Unix ms with three decimals:
 *
 *     {"step":"call","at":1767225600000.125,"took_us":1200,"topic":"orders",
 *      "subscription":"fraud-check","by":"enrich/3","outcome":"200","settle":"accept",
 *      "settled_us":240,"partition":0,"offset":12,"attempt":1,"waited_us":310,"queued_us":40,
 *      "trace":"0af7...319c","parent":"b9c7c989f97918e1","id":"1234","correlation":"...",
 *      "cause":{"topic":"raw","partition":1,"offset":7,"subscription":"s","attempt":1}}
 *
 * Every record that is published as a single one has a hop "publish" (not one of Kafka's batches:
 * when that was there is told by the waiting of those who got it), and every delivery has one,
 * which is noted when it is settled and has its stages one after the other:
 *
 *        visible        acquired     begun              at              settled
 *     ------|--- waited_us --|- queued_us -|--- took_us ---|- settled_us -|
 *
 * Of a receiver that pulls the two ends are hops of their own: "receive" (waited_us) and "settle"
 * (took_us).
 */
#pragma once

#include "base/batch.h"
#include "base/uuid.h"
#include "broker/env.h"
#include "broker/publish.h"

#include <stdatomic.h>

#define HOP_TOPIC "weir.hops"
#define HOP_TOPIC_BYTES "1073741824"
#define HOP_BATCH_BYTES ((size_t)64 << 10) /* before compression */
#define HOP_BUFFER_BYTES ((size_t)256 << 10)
#define HOP_FLUSH_MS 50
#define HOP_WINDOW_MS 100
#define HOP_NOTES 4096
#define HOP_LOOKS 16384
#define HOP_SHARE_ALL 128u /* of the traces, as the adaption counts them */
#define HOP_TEXT_MAX 256   /* of an id, a name or an outcome; more is cut */

struct broker;

/* clang-format off */
#define HOP_STEPS(X)                                                                               \
    X(PUBLISH,     "publish")     /* stored as a single record; took_us: from the verb on */       \
    X(RECEIVE,     "receive")     /* handed to a receiver that pulls */                            \
    X(PUSH,        "push")        /* one call of an endpoint; outcome: its status or error */      \
    X(CALL,        "call")        /* one call of a function; by: its worker */                     \
    X(SCORE,       "score")       /* a model's; by: what scored */                                 \
    X(FORWARD,     "forward")     /* into another topic, with the settle */                        \
    X(SETTLE,      "settle")      /* by a receiver; outcome: accept, release, reject, defer */     \
    X(DEAD_LETTER, "dead-letter") /* outcome: the reason */                                        \
    X(EXPIRE,      "expire")      /* its time to live is over */                                   \
    X(DROP,        "drop")        /* given up, and there is no dead letter topic */
/* clang-format on */

enum hop_step {
#define X(name, text) HOP_##name,
    HOP_STEPS(X)
#undef X
};

/* Texts at NULL and numbers that are 0: not known, or none. */
struct hop {
    enum hop_step step;
    struct uuid topic; /* where the event is */
    int32_t partition;
    int64_t offset;
    struct str subscription;
    uint32_t attempt;
    uint64_t end_us;                           /* monotonic clock; 0: now */
    uint64_t took_us;                          /* of the step itself */
    uint64_t waited_us, queued_us, settled_us; /* before and after it, see above */
    struct str by, outcome;
    struct str settle;                       /* how it was settled: a verb */
    struct str traceparent, id, correlation; /* of the event */
    const struct publish_cause *cause;       /* NULL: nothing in weir */
    /* Of the same step as the one noted just before: all the same but for partition, offset,
     * attempt, waited_us, queued_us and what is of the event. */
    bool follows;
};

/* Of the record: traceparent (derived if it has none), id and correlation; topic, partition and
 * offset must be set. The strings point into the record or text. */
struct hop_text {
    char traceparent[64];
};
void hop_of_record(struct hop *hop, const struct record *record, struct hop_text *text);
/* The same of headers that are on their way in. */
void hop_of_headers(struct hop *hop, const struct record_header *headers, size_t n,
                    struct hop_text *text);

/* Ids of spans, never 0, the same whenever and wherever they are asked for. Of the event that is
 * stored there; of a delivery of it (by the subscription, with its attempt). */
uint64_t hop_span(struct str topic, int32_t partition, int64_t offset, struct str subscription,
                  uint32_t attempt);

/* On the reactor of b, before a hop is put together: is it worth it? A few ns. */
bool hop_wanted(struct broker *b);
void hop_note(struct broker *b, const struct hop *hop);
/* A hop of which only the place is known: what the event says of itself is looked for in the
 * batches that the reactor has decoded (records.h); without that it is noted by its place alone. On
 * the partition's reactor. */
void hop_note_place(struct broker *b, struct hop *hop);

/* Since the start. Any thread. */
struct hop_stat {
    uint64_t noted, batches;
    uint64_t dropped; /* they could not be stored, or not soon enough */
    uint64_t skipped; /* the window was used up, or only a share of the traces was noted */
};
void broker_hop_stat(const struct broker *b, struct hop_stat *out);
/* Of all reactors. */
void broker_hop_totals(const struct broker *b, struct hop_stat *out);

/* Before a stop, on the reactor: what is noted goes out at once from here on, and once: what the
 * store does not take any more is dropped, and nobody warned. */
void broker_hops_stop(struct broker *b);
/* Some of any reactor are not in the topic yet: the store must not be closed. Any thread. */
bool broker_hops_busy(const struct broker *b);

/* ---- inside of broker/ ---- */

struct hops {
    struct broker *broker;
    bool filling; /* the builder is begun */
    struct batch_builder builder;
    struct env_timer flush;
    struct hop_flight *flight; /* a batch on its way, or the topic's creation; NULL: neither */
    uint64_t retry_us;         /* after a failure: not before */
    bool stopping;
    struct wr line;        /* scratch for one hop */
    size_t shared;         /* bytes of it that hold for a hop that follows, too; 0: none */
    uint64_t window_us;    /* when the present window began */
    unsigned notes, looks; /* left in it */
    unsigned share;        /* of HOP_SHARE_ALL */
    /* Written by the reactor alone, read by others: struct hop_stat; and whether any are here. */
    atomic_ullong noted, batches, dropped, skipped;
    atomic_bool busy;
};
void hops_init(struct hops *h, struct broker *b);
void hops_free(struct hops *h);
