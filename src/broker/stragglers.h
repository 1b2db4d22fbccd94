/* stragglers.h: messages that a subscription still owes when all around them is settled. Inside of
 * broker/ only.
 *
 * One deferred message must not keep a log of a million settled ones from being removed. When
 * retention would remove more than the floor lets it, and only a few messages hold the floor there,
 * they are copied: each is a record in __weir_ledger beside the ledger's own, with its offset, its
 * append time and the record itself. When the copies are durable the floor passes the messages.
 *
 *     log        . . . . s . . . . . . s . . . . . . . . |  s straggler, . settled
 *     floor              ^ before                        ^ after
 *     ledger             s             s                    entries as before, at the same offsets
 *     __weir_ledger      copy          copy
 *
 * The ledger goes on as if nothing had happened: its entries keep offset, state, count, lock and
 * first delivery, so tokens stay good, and a dead letter says where the message was. Only who reads
 * a message (delivery_read.c) gets the copy when the log does not have it any more. Nothing else
 * needs to be written with the copies: that a message has one is all that there is to know.
 *
 * A copy goes when its message is settled, by a tombstone that nobody waits for: a copy without an
 * unsettled message is dropped whenever it is found. DeleteRecords takes copies along.
 *
 * When: a log is pressed by size or time (store.h), or, where it is kept until all is settled, the
 * sweep finds a gap of STRAGGLERS_GAP offsets. Few means: STRAGGLERS_MAX a ledger at most, and no
 * more than one of STRAGGLERS_FEWER offsets: else it is a backlog, which stays where it is and is
 * subject to its time to live and the size of its topic.
 *
 * Limits: STRAGGLER_BYTES_MAX a record, STRAGGLERS_BYTES_MAX of memory a reactor: copies are kept
 * there, since the state log writes them again when their turn comes. What does not fit stays in
 * its log, and holds it, until it is settled or its time is up.
 *
 * One reactor, the partition's.
 */
#pragma once

#include "broker/delivery_internal.h"

#define STRAGGLERS_MAX 256u
#define STRAGGLERS_FEWER 4
#define STRAGGLERS_GAP LEDGER_PAGE
#define STRAGGLER_BYTES_MAX ((size_t)1 << 20)
#define STRAGGLERS_BYTES_MAX ((size_t)64 << 20)

struct straggler {
    struct ledger_entity entity; /* LEDGER_ENTITY_OWNERS; only its state log's part is used */
    struct delivery *d;
    int64_t offset;
    struct slice value; /* of its record in the state log */
    bool stored;        /* durable */
    bool leaving;       /* its tombstone is under way */
};

struct stragglers {
    struct straggler **at; /* by offset */
    uint32_t n, cap;
    bool moving; /* copies are being made */
    bool stuck;  /* the last ones could not all be made: not again before the next sweep */
};

/* The copy of the message at `offset`, durable; NULL: there is none. */
const struct straggler *stragglers_find(const struct delivery *d, int64_t offset);
/* The same as a batch of one record at its offset: a reference for the caller. NULL: none. */
struct records *stragglers_read(const struct delivery *d, int64_t offset);
/* The lowest offset of one that is not older than time_ms; `otherwise` if there is none below it.
 */
int64_t stragglers_since(const struct delivery *d, int64_t time_ms, int64_t otherwise);

/* Who holds the log below `target` is few: copied, or being copied. False: it is a backlog, or
 * nothing can be done. */
bool stragglers_move(struct delivery *d, int64_t target);
/* Now and then: looks for a gap where a log is kept until all is settled. */
void stragglers_sweep(struct delivery *d);
/* The ledger has changed: drops copies of what is settled, tells the ledger what is kept. */
void stragglers_look_after(struct delivery *d);
/* What lay below the partition's new start was deleted: copies of it, too, are not kept any more.
 * Before deliveries_start_moved. */
void stragglers_deleted(struct partition *p);

/* At load. NULL: nobody's. ERR_CORRUPT. */
enum err must_use stragglers_apply(struct delivery *d, int64_t offset, struct str value,
                                   struct statelog_entity **entity);
/* The ledger is whole. */
void stragglers_loaded(struct delivery *d);
void stragglers_snapshot(const struct straggler *s, struct batch_builder *out);
/* forget: of one that ends while its state log goes on. */
void stragglers_free(struct delivery *d, bool forget);

/* ---- for stragglers_move.c ---- */

/* The set goes, if there is nothing in it, nor to be remembered. */
void stragglers_forget(struct delivery *d);

/* Takes over the reference. Not stored yet. */
struct straggler *straggler_add(struct delivery *d, int64_t offset, struct slice value);
void straggler_drop(struct straggler *s);
/* Its record in the state log; value.at NULL: its tombstone. */
void straggler_put(const struct straggler *s, bool tombstone, struct batch_builder *out);
/* A message as a copy's value. len 0: too large. */
struct slice straggler_value(const struct record *record, int64_t append_ms);
/* The batch of one record in a copy's value. ERR_CORRUPT. */
enum err must_use straggler_decode(struct str value, int64_t offset, struct records **out);
