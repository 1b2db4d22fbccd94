/* paged.h: a ledger that nobody has touched for a while is kept on disk alone. Inside of broker/
 * only.
 *
 *     delivery, ledger, its pages and sessions
 *        |   ^
 *        |   |  woken: the chunk is read, folded, given its past back; who waits goes on, in order
 *        v   |
 *     struct paged: what its partition, the clock and metrics must know, and where the chunk is
 *
 * Out: the sweep (delivery.c) finds it at rest (ledger.h), untouched since the last one, with
 * nothing due within PAGED_DUE_SWEEPS. All of it is written as one batch, its chunk (statelog.h).
 * When that is durable and nobody has touched it meanwhile, delivery and ledger are freed.
 *
 * In: by verbs of its messages, sessions and places (delivery_get: they run again when it is here);
 * by a record in its partition while receivers wait; by a log that loses, or wants to lose, what it
 * has not settled; by a change of its subscription; by the sweep when something is due soon. Not by
 * metrics, nor by a receiver that goes: it holds nothing here.
 *
 * A crash changes nothing: a chunk's records are those of any snapshot, and a start folds them like
 * all others. Then all ledgers are in memory until the sweep has found them at rest.
 *
 * Failures: one whose chunk cannot be written stays in memory. One whose chunk cannot be read stays
 * on disk: those who wait get the error (ERR_IO, ERR_CORRUPT, ERR_STORAGE), the next touch tries
 * again; what was to be done without anybody asking is tried again by the sweep.
 *
 * Not paged out, but packed: one with copies of messages (stragglers.h), with more than
 * PAGED_MESSAGES_MAX unsettled messages (which would be folded in one turn), or with more to write
 * than PAGED_BYTES_MAX.
 *
 * One reactor, the partition's.
 */
#pragma once

#include "broker/delivery_internal.h"

#define PAGED_DUE_SWEEPS 3
#define PAGED_SOON_SWEEPS 2 /* what is due within so many is loaded */
#define PAGED_MESSAGES_MAX 65536u
#define PAGED_BYTES_MAX ((size_t)1 << 20)

struct paged_load;

struct paged {
    struct map_node node;          /* in all->paged */
    struct list link;              /* in its partition's `paged` */
    struct statelog_entity entity; /* its chunk */
    const struct subscription *s;  /* own reference */
    struct paged_load *load;       /* it is being read; NULL: nobody wants it */
    int64_t floor;                 /* as its partition counts it */
    int64_t due_ms;                /* monotonic: when the ledger or its time to live wants to be
                                      called */
    int64_t out_ms;                /* monotonic: when the chunk was made */
    int32_t index;                 /* of the partition */
    bool armed;                    /* receivers may wait: a new record wakes it */
    bool leaving;                  /* its subscription has gone while it was read */
    bool again;                    /* and there is one like it, by now */
    uint16_t told_n;
    uint8_t told[]; /* paged_told, packed */
};

/* What else is to be known of it without waking it, and given back to it. Words of 64 bits, most of
 * which are 0. */
struct paged_told {
    uint64_t next, ready, delayed, deferred, sessions;
    uint64_t acquired;  /* as its receivers were told */
    uint64_t expiry_ms; /* 0: never */
    struct ledger_past past;
    uint64_t dead_lettered, expired, dropped;
    struct stages stages;
};
void paged_tell(const struct paged *p, struct paged_told *out);
/* Of memory. */
size_t paged_bytes(const struct paged *p);

/* NULL: it is in memory, or is not at all. */
struct paged *paged_find(struct deliveries *all, const struct uuid *subscription, int32_t index);
/* For a verb that needs the ledger. ERR_OK: it runs again, from its beginning, when that is there
 * or cannot be read; possibly from inside: it may be over afterwards. */
enum err must_use paged_wait(struct deliveries *all, struct paged *p, struct op *op);

/* Pages it out if it is at rest. False: it is not, or is too large. It may be gone afterwards. */
bool paged_out(struct delivery *d);
/* Loads what is due soon. */
void paged_sweep(struct deliveries *all);

/* The partition's end or start moved, or it is pressed (deliveries_pressed). */
void paged_end_moved(struct partition *at);
void paged_start_moved(struct partition *at);
void paged_pressed(struct partition *at, int64_t start, bool full);
/* The subscription is another one by now; NULL: it ends. */
void paged_change(struct deliveries *all, const struct subscription *old,
                  const struct subscription *now);
/* There is one like it again, which is made when it has left. */
void paged_again(struct paged *p);

void paged_free_all(struct deliveries *all);
