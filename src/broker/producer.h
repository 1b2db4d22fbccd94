/* producer.h: what a partition knows of idempotent producers, so that a batch that is sent again is
 * stored once and answered as the first time. Source: Kafka's ProducerStateManager and
 * ProducerAppendInfo (KIP-98, KIP-360, KIP-890 without transactions).
 *
 * Per producer id: its epoch and its last five batches (sequence range, offset), those under way
 * included. A batch is checked and entered when it is handed to the store; when that failed, it is
 * taken out again with those behind it, and the next one must be its retry.
 *
 * Rules, in this order: an older epoch is fenced; the same sequence range as one of the five is a
 * duplicate; a new epoch begins at sequence 0; else the sequence follows the last one (after
 * 0x7fffffff comes 0). A producer id that is not known may begin anywhere: its state may have
 * expired. It expires when nothing came from it for broker_conf.producer_expiration_ms, and the one
 * that was quiet for longest goes when PRODUCERS_MAX are known.
 *
 * Survives a restart: producers_snapshot goes into the store's checkpoints, producers_restore and
 * producers_replay bring it back.
 *
 * One per partition that has met an idempotent producer; on the partition's reactor.
 */
#pragma once

#include "base/batch.h"
#include "base/list.h"
#include "base/map.h"

#define PRODUCER_BATCHES 5
#define PRODUCERS_MAX 20000 /* per partition */

struct producers;

struct producers *producers_make(void);
/* NULL is allowed. */
void producers_free(struct producers *p);
size_t producers_count(const struct producers *p);

enum producer_verdict {
    PRODUCER_NEW,       /* entered as under way: producers_done follows */
    PRODUCER_DUPLICATE, /* stored before, at *offset */
    PRODUCER_WAIT,      /* the same batch is under way: *tag */
    PRODUCER_FENCED,    /* ERR_PRODUCER_EPOCH */
    PRODUCER_SEQUENCE,  /* ERR_SEQUENCE; *expected is the one that would be right */
};

struct producer_answer {
    int64_t offset;
    void *tag;
    int32_t expected;
    int16_t epoch; /* the one known */
};

/* The batch may be refused although nothing is wrong with it, for the producer to send it again: it
 * is not stored yet, and those behind it will be refused too, since they do not follow what is
 * known of the producer. p NULL is allowed. */
bool producers_may_refuse(const struct producers *p, const struct batch_head *head);

/* The head's producer id must not be -1. tag: remembered while the batch is under way. */
enum producer_verdict producers_check(struct producers *p, const struct batch_head *head,
                                      uint64_t now_ms, void *tag, struct producer_answer *out);
/* What became of a batch that was PRODUCER_NEW: stored at base_offset, or, if that is -1, not. */
void producers_done(struct producers *p, const struct batch_head *head, void *tag,
                    int64_t base_offset);
/* Forgets those that were quiet since before `since_ms` and have nothing under way. */
void producers_expire(struct producers *p, uint64_t since_ms);

/* What is stored, as bytes; the slice owns its buffer. end: the offset behind the last batch that
 * counts. */
struct slice producers_snapshot(const struct producers *p, int64_t end);
/* ERR_CORRUPT, ERR_FORMAT_NEWER: not such bytes; nothing is known then. */
enum err must_use producers_restore(struct producers *p, struct slice snapshot);
/* A batch of the log, in order; those below the snapshot's end are known already. */
void producers_replay(struct producers *p, const struct batch_head *head, uint64_t append_ms);
