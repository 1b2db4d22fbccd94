/* op.h: one call of a broker verb, wherever the thing it concerns lives.
 *
 * Everything belongs to one of BROKER_SHARDS shards, and a shard to one reactor. A verb that
 * concerns a partition or a group is a struct with an op as its first member: op_submit runs it at
 * once when the shard is this reactor's, else it travels there by mail, and its answer travels back
 * the same way. The caller cannot tell the two apart but by time: done is called exactly once, on
 * the reactor of submission, possibly from inside op_submit.
 *
 *     front (reactor A)                        owner (reactor B)
 *     op_submit(a, shard, op)   -- mail -->    op->run(b, op)
 *     op->done(op)              <-- mail --    op_finish(b, op, err)   now or later
 *
 * Who submits keeps the op and all that it borrows valid until done.
 */
#pragma once

#include "base/err.h"
#include "broker/env.h"

#include <stdbool.h>

#define BROKER_SHARDS 64

struct broker;

struct op {
    struct env_mail mail; /* private */
    struct broker *home;  /* private: where done is called */
    void (*run)(struct broker *owner, struct op *op);
    void (*done)(struct op *op);
    enum err err; /* in done */
};

/* op->run and op->done must be set. */
void op_submit(struct broker *b, unsigned shard, struct op *op);
/* The same, where what it concerns is on a reactor by another rule than its shard's. */
void op_submit_to(struct broker *b, unsigned owner, struct op *op);
/* By the verb, on the owner's reactor, exactly once. */
void op_finish(struct broker *owner, struct op *op, enum err err);

/* Taking an op back. The wish travels to the owner and back by its own mail, and an answer that it
 * brings about is posted before that mail returns, so it is home first: the caller is told when
 * both are back, and no mail is on its way in memory that he may free. */
struct op_cancel {
    /* On the owner's reactor: the op is answered now, or soon, if it is still there. */
    void (*take_out)(struct broker *owner, struct op_cancel *c);
    void (*tell)(struct op_cancel *c); /* the caller, at home */
    /* private */
    struct broker *home;
    bool under_way; /* to the owner or back */
    bool answered;  /* op.done has come */
    struct env_mail mail;
};
/* From where the op was submitted; nothing if it has been answered or cancelled before. */
void op_cancel(struct broker *b, struct op_cancel *c, unsigned owner);
/* In the op's done, which tells the caller if the wish is not under way: else its return does. */
void op_cancel_answered(struct op_cancel *c);

/* Ops that wait on their owner's reactor for something, in the order of arrival. */
struct op_queue {
    struct env_mail *first, **end;
};
void op_queue_init(struct op_queue *q);
void op_queue_push(struct op_queue *q, struct op *op);
/* NULL: none waits. */
struct op *op_queue_pop(struct op_queue *q);
/* Those that wait now run again; what they leave undecided waits on, in the order of arrival. q may
 * go meanwhile. */
void op_queue_run(struct op_queue *q, struct broker *owner);
