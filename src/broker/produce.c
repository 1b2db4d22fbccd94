/* Produce: a batch on its way into a partition's log.
 *
 *     produce_run       on the owner: partition, batch (validate.h), producer (producer.h)
 *     store_append, store_commit
 *     log_end_moved     the high watermark moves, watches fire (partition.c)
 *     produce_stored    the answer, and that of duplicates which came meanwhile
 *
 * Everything a batch needs on the way is in its produce_op: nothing is allocated.
 */
#include "broker/access.h"
#include "broker/partition.h"
#include "broker/validate.h"

#include "base/assert.h"

#include <inttypes.h>

static struct produce_op *produce_of(struct op *op)
{
    return container_of(op, struct produce_op, op);
}

/* The same answer to those that sent the batch again while it was under way. */
static void answer_waiters(struct broker *b, struct list *waiters, enum err err,
                           const struct produce_op *first)
{
    struct list *it;
    int64_t base_offset = first->base_offset, append_ms = first->append_ms;
    int64_t log_start = first->log_start;
    while ((it = list_pop(waiters)) != NULL) {
        struct produce_op *op = container_of(it, struct produce_op, link);
        op->base_offset = base_offset;
        op->append_ms = append_ms;
        op->log_start = log_start;
        op_finish(b, &op->op, err);
    }
}

static void produce_stored(struct store_group *group, enum err err)
{
    struct produce_op *op = container_of(group, struct produce_op, group);
    struct partition *p = op->append.at;
    struct broker *b = p->broker;
    struct list waiters;
    op->base_offset = err == ERR_OK ? op->append.store.base_offset : -1;
    op->log_start = p->log_start;
    if (op->head.producer_id >= 0)
        producers_done(p->producers, &op->head, op, op->base_offset);
    if (err == ERR_OK && p->topic->conf.duplicates_window_ms > 0)
        duplicates_note_batch(p->duplicates, op->batch, op->append.store.append_ms);
    append_end(&op->append, err);
    list_init(&waiters);
    list_move(&waiters, &op->waiters);
    answer_waiters(b, &waiters, err, op);
    op_finish(b, &op->op, err);
}

/* ERR_OK: go on and append. Otherwise *answered tells whether the op was answered (or will be). */
static enum err check_producer(struct partition *p, struct produce_op *op, bool *answered)
{
    struct producer_answer known;
    enum producer_verdict verdict =
        producers_check(partition_producers(p), &op->head, env_now_ms(p->broker->env), op, &known);
    switch (verdict) {
    case PRODUCER_NEW:
        return ERR_OK;
    case PRODUCER_DUPLICATE:
        op->base_offset = known.offset;
        *answered = true;
        op_finish(p->broker, &op->op, ERR_OK);
        return ERR_SEQUENCE_DUPLICATE;
    case PRODUCER_WAIT:
        *answered = true;
        list_push(&((struct produce_op *)known.tag)->waiters, &op->link);
        return ERR_SEQUENCE_DUPLICATE;
    case PRODUCER_FENCED:
        return err_say(&op->text, ERR_PRODUCER_EPOCH,
                       "producer %" PRId64 " has epoch %d by now, not %d", op->head.producer_id,
                       known.epoch, op->head.producer_epoch);
    case PRODUCER_SEQUENCE:
        return err_say(&op->text, ERR_SEQUENCE,
                       "producer %" PRId64 " sent sequence %d, the next one is %d",
                       op->head.producer_id, op->head.base_sequence, known.expected);
    }
    weir_unreachable();
}

static enum err produce_check(struct partition *p, struct produce_op *op)
{
    struct validate v = {
        .conf = &p->topic->conf,
        .now_ms = env_now_ms(p->broker->env),
        .zstd_allowed = op->zstd_allowed,
        .text = &op->text,
    };
    enum err err = append_allowed(p, &op->text);
    if (err != ERR_OK)
        return err;
    if (op->built_here)
        return batch_head_read(op->batch.at, op->batch.len, &op->head);
    err = validate_batch(&v, op->batch);
    op->head = v.head;
    op->bad_record = v.bad_record;
    op->log_start = p->log_start;
    bool nudge = op->nudge && producers_may_refuse(p->producers, &op->head);
#ifdef FAULT_nudge_blindly
    nudge = op->nudge && op->head.producer_id >= 0;
#endif
    if (err == ERR_OK && nudge)
        err = err_say(&op->text, ERR_NOT_LEADER, "topic %s has more partitions by now: look again",
                      p->topic->name);
    return err;
}

static void produce_append(struct partition *p, struct produce_op *op)
{
    struct store *store = p->broker->store;
    uint64_t now_ms = env_now_ms(p->broker->env);
    op->append_ms = p->topic->conf.timestamp_type == TOPIC_APPEND_TIME ? (int64_t)now_ms : -1;
    append_begin(&op->append, p);
    append_set(&op->append, op->batch, op->head.count);
    op->group.done = produce_stored;
    store_begin(store, &op->group);
    store_append(store, &op->group, &op->append.store);
    store_commit(store, &op->group);
}

static void produce_run(struct broker *b, struct op *base)
{
    struct produce_op *op = produce_of(base);
    struct partition *p;
    bool answered = false;
    enum err err = partition_get(b, &op->topic, op->partition, &p);
    if (err == ERR_OK)
        err = produce_check(p, op);
    if (err == ERR_OK && op->head.producer_id >= 0)
        err = check_producer(p, op, &answered);
    if (err == ERR_OK)
        produce_append(p, op);
    else if (!answered)
        op_finish(b, base, err);
}

void broker_produce(struct broker *b, struct produce_op *op)
{
    op->base_offset = op->append_ms = op->log_start = -1;
    op->bad_record = -1;
    op->text.s[0] = '\0';
    list_init(&op->waiters);
    list_init(&op->link);
    op->op.run = produce_run;
    if (access_refuses_topic(b, &op->op, op->actor, &op->topic, ACCESS_SENDER))
        return;
    op_submit(b, broker_shard_of_partition(&op->topic, op->partition), &op->op);
}
