/* publish_internal.h: one reactor's records on their way into batches. Inside of broker/ only.
 *
 *     broker.publish.open: publish_batch -- one a partition that is being published to in this turn
 *     broker.publish.sent: publish_batch -- those that the store has
 *
 * A batch is closed when it is full, or by the timer that fires at the end of the turn.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "broker/append.h"
#include "broker/env.h"
#include "broker/publish.h"
#include "broker/topic.h"

struct publish_batch {
    struct append append;
    struct store_group group;
    struct batch_builder builder;
    struct list link; /* in publish.open or sent, or in its publish_part */
    struct list ops;  /* publish_op, in the order of their records */
    bool stamped;     /* LogAppendTime */
    int64_t append_ms;
};

/* Where the next records without a key go. */
struct publish_turn {
    struct map_node node;
    struct uuid topic;
    int32_t partition;
    uint64_t turn_us; /* of the last record */
    size_t bytes;     /* in this turn */
};

struct publish {
    struct broker *broker;
    struct list open, sent;
    struct env_timer flush;
    struct map turns; /* publish_turn by topic */
    struct topic_watcher watcher;
};

void publish_init(struct publish *pub, struct broker *b);
/* What is under way is not answered any more. */
void publish_free(struct publish *pub);

/* ---- publish_batch.c ---- */

struct publish_batch *publish_batch_make(struct partition *p);
void publish_batch_free(struct publish_batch *batch);
/* On the partition's reactor: may this record be appended? */
enum err must_use publish_check(struct partition *p, struct publish_op *op);
/* Has it been, or is it being? PUBLISH_KNOWN: the outputs are those of the first one; else, if it
 * is a record whose id counts, the partition remembers it as under way until its batch ends. */
enum publish_known { PUBLISH_NEW, PUBLISH_KNOWN, PUBLISH_UNDER_WAY };
enum publish_known publish_ask(struct partition *p, struct publish_op *op,
                               struct publish_op **first);
/* False: it is full; a batch that holds nothing takes every record that publish_check let pass. */
bool publish_batch_add(struct publish_batch *batch, struct publish_op *op);
/* No more records: its append is ready for a group. */
void publish_batch_close(struct publish_batch *batch);
/* What became of the group, for one record after the other, and for the copies that waited for it.
 * The batch is freed. */
void publish_batch_end(struct publish_batch *batch, enum err err);
/* The op's end: of an output it is only noted. */
void publish_answer(struct broker *b, struct publish_op *op, enum err err);
/* publish.c: from the beginning, on the owner. */
void publish_again(struct broker *b, struct publish_op *op);
/* The partition that the record goes to; -1: not chosen by what the op says, but by turns. */
int32_t publish_choose(const struct topic *topic, const struct publish_op *op);
/* By turns; bytes: about what the record takes. */
int32_t publish_by_turns(struct publish *pub, const struct topic *topic, size_t bytes);
/* Fills in the outputs that every op begins with, and finds its topic: on the reactor that the op
 * is submitted on. */
enum err must_use publish_begin(struct broker *b, struct publish_op *op,
                                const struct topic **topic);
