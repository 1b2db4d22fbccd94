/* Changes of several ledgers, records of other topics, and dead letters, in one group of the store.
 *
 *     prepare     part after part, on the ledgers' reactors: the items are settled in a change of
 *                 their own (in doubt: nobody else may have these messages), dead letters made
 *     outputs     at home: outputs and dead letters find their partitions (publish_join)
 *     join        part after part again: the ledger's records, ready for the group
 *     commit      at home
 *     end         on all reactors: the changes are done, or undone
 *
 * Joins go from part to part in the order of the state logs' partitions (statelog.h says why).
 * Whatever fails before the commit undoes all that was prepared.
 */
#include "broker/delivery_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdlib.h>

static struct group_part *part_of(struct op *op)
{
    return container_of(op, struct group_part, op);
}

static unsigned part_shard(const struct delivery_group *g, const struct group_part *p)
{
    return broker_shard_of_partition(&g->topic, p->partition);
}

static void part_step(struct group_part *p, void (*run)(struct broker *b, struct op *op),
                      void (*done)(struct op *op))
{
    p->op.run = run;
    p->op.done = done;
    op_submit(p->group->broker, part_shard(p->group, p), &p->op);
}

/* ---- the end ---- */

static void group_end(struct delivery_group *g)
{
    mem_free(g->order);
    mem_free(g->all);
    g->done(g, g->err);
}

static void end_less(struct delivery_group *g)
{
    if (--g->left == 0)
        group_end(g);
}

static void part_ended(struct op *op)
{
    end_less(part_of(op)->group);
}

/* From inside of statelog_joined. */
static void part_told(struct statelog_append *a, enum err err)
{
    struct group_part *p = container_of(a, struct group_part, append);
    ledger_done(p->change, err, delivery_now(p->d->all));
}

static void items_tell(const struct group_part *p)
{
    uint64_t now_us = env_clock_us(p->d->all->broker->env);
    for (size_t i = 0; i < p->n; i++) {
        if (p->items[i]->err != ERR_OK)
            continue;
        delivery_stages_settled(p->d, p->items[i], p->begin_us, now_us);
        delivery_hop_settled(p->d, p->items[i], p->begin_us, now_us);
    }
}

static void end_run(struct broker *b, struct op *op)
{
    struct group_part *p = part_of(op);
    struct delivery *d = p->d;
    enum err err = p->group->err;
    if (err == ERR_OK)
        items_tell(p);
    if (p->joined)
        statelog_joined(&p->append, err);
    else if (p->taken)
        ledger_done(p->change, err, delivery_now(d->all));
    else
        ledger_change_cancel(p->change);
    mem_free(p->entities);
    d->dead_lettered += err == ERR_OK ? p->letters.ops_n : 0;
    d->dropped += err == ERR_OK ? p->dropped : 0;
    dead_letters_free(&p->letters);
    delivery_touch(d);
    delivery_leave(d);
    op_finish(b, op, ERR_OK);
}

static void parts_end(struct delivery_group *g)
{
    g->left = 1;
    for (size_t i = 0; i < g->parts_n; i++) {
        if (g->parts[i].d == NULL)
            continue;
        g->left++;
        part_step(&g->parts[i], end_run, part_ended);
    }
    end_less(g);
}

/* Outputs come first: dead letters, which are among them, are the parts'. */
static void join_ended(struct publish_join *join)
{
    struct delivery_group *g = container_of(join, struct delivery_group, join);
    for (size_t i = 0; i < g->outputs_n; i++) { /* the caller's own */
        struct publish_op *from = &g->all[i], *to = &g->outputs[i];
        to->partition_out = from->partition_out;
        to->offset = from->offset;
        to->append_ms = from->append_ms;
        to->duplicate = from->duplicate;
        to->op.err = from->op.err;
    }
    parts_end(g);
}

static void group_stored(struct store_group *store, enum err err)
{
    struct delivery_group *g = container_of(store, struct delivery_group, store);
    g->err = err;
    publish_join_end(&g->join, err);
}

/* ---- join ---- */

static void group_commit(struct delivery_group *g)
{
    struct store *store = g->broker->store;
    store_begin(store, &g->store);
    g->store.done = group_stored;
    publish_join_add(&g->join, store, &g->store);
#ifndef FAULT_settle_apart
    for (size_t i = 0; i < g->parts_n; i++)
        if (g->parts[i].joined)
            store_append(store, &g->store, &g->parts[i].append.append);
#endif
    if (g->store.head == NULL)
        group_stored(&g->store, ERR_OK);
    else
        store_commit(store, &g->store);
}

static void part_ready(struct statelog_append *a, enum err err)
{
    struct group_part *p = container_of(a, struct group_part, append);
    p->joined = err == ERR_OK;
    op_finish(p->d->all->broker, &p->op, err);
}

static void join_run(struct broker *b, struct op *op)
{
    struct group_part *p = part_of(op);
    struct ledger_time now = delivery_now(b->deliveries);
    struct batch_builder batch;
    p->taken = true;
    if (!ledger_take(p->change, true, now, &p->take) || p->take.n == 0) {
        op_finish(b, op, ERR_OK);
        return;
    }
    p->entities = delivery_records(&p->take, now.wall_ms, &batch);
    p->append.done = part_told;
    statelog_join(p->d->shard->log, &p->append, &batch, p->entities, p->take.n, part_ready);
}

static void join_next(struct delivery_group *g);

static void part_joined(struct op *op)
{
    struct delivery_group *g = part_of(op)->group;
    if (op->err != ERR_OK) {
        g->err = op->err;
        publish_join_end(&g->join, op->err);
        return;
    }
    g->at++;
    join_next(g);
}

static void join_next(struct delivery_group *g)
{
    if (g->at == g->parts_n)
        group_commit(g);
    else
        part_step(g->order[g->at], join_run, part_joined);
}

/* ---- outputs ---- */

static void outputs_ready(struct publish_join *join, enum err err)
{
    struct delivery_group *g = container_of(join, struct delivery_group, join);
    if (err != ERR_OK) {
        g->err = err;
        g->text = join->text;
        parts_end(g);
        return;
    }
    g->at = 0;
    join_next(g);
}

static void outputs_start(struct delivery_group *g)
{
    size_t n = g->outputs_n;
    for (size_t i = 0; i < g->parts_n; i++)
        n += g->parts[i].letters.ops_n;
    g->all = mem_zalloc(n > 0 ? n : 1, sizeof(*g->all));
    for (size_t i = 0; i < g->outputs_n; i++)
        g->all[g->all_n++] = g->outputs[i];
    for (size_t i = 0; i < g->parts_n; i++)
        for (size_t k = 0; k < g->parts[i].letters.ops_n; k++)
            g->all[g->all_n++] = g->parts[i].letters.ops[k];
    g->join = (struct publish_join){
        .outputs = g->all, .outputs_n = g->all_n, .ready = outputs_ready, .ended = join_ended};
    publish_join(g->broker, &g->join);
}

/* ---- prepare ---- */

static void part_letter(struct group_part *p, const struct settle_item *item)
{
    struct delivery *d = p->d;
    struct ledger_time now = delivery_now(d->all);
    struct ledger_message m;
    int64_t offset = lock_token_offset(&item->token);
    ledger_get(d->ledger, offset, now, &m);
    p->letters.messages[p->letters.n++] = (struct dead_message){
        .offset = offset,
        .deliveries = m.deliveries,
        .first_ms = m.first_ms,
        .last_ms = now.wall_ms - m.idle_ms,
        .reason = item->reason.at != NULL ? item->reason : STR_LIT("rejected"),
        .description = item->description,
        .outcome = item->outcome,
        .properties = item->properties,
        .properties_n = item->properties_n,
    };
}

static enum err part_settle(struct group_part *p)
{
    bool letters = p->d->s->conf.dead_letter.at != NULL;
    p->letters.messages = mem_zalloc(p->n > 0 ? p->n : 1, sizeof(*p->letters.messages));
    for (size_t i = 0; i < p->n; i++) {
        struct settle_item *item = p->items[i];
        item->err = delivery_settle_item(p->d, p->change, item);
        if (item->err != ERR_OK && !p->group->lenient)
            return item->err;
        if (item->err != ERR_OK || item->verb != SETTLE_REJECT)
            continue;
        p->dropped += !letters;
        if (letters)
            part_letter(p, item);
        else
            delivery_hop_gone(p->d, false, lock_token_offset(&item->token), item->reason);
    }
    return ERR_OK;
}

static void part_undo(struct group_part *p)
{
    struct delivery *d = p->d;
    ledger_change_cancel(p->change);
    p->change = NULL;
    p->d = NULL;
    dead_letters_free(&p->letters);
    delivery_touch(d);
    delivery_leave(d);
}

static void letters_made(struct dead_letters *l, enum err err)
{
    struct group_part *p = container_of(l, struct group_part, letters);
    struct broker *b = p->d->all->broker;
    if (err != ERR_OK)
        part_undo(p);
    op_finish(b, &p->op, err);
}

static void prepare_run(struct broker *b, struct op *op)
{
    struct group_part *p = part_of(op);
    enum err err;
    struct delivery *d = delivery_get(b, op, &p->subscription, p->partition, &err);
    if (d == NULL) {
        if (err != ERR_OK)
            op_finish(b, op, err == ERR_NOT_FOUND ? ERR_LOCK_LOST : err);
        return;
    }
    p->d = d;
    p->begin_us = env_mono_us(b->env);
    delivery_enter(d);
    p->change = ledger_change_make(d->ledger);
    err = part_settle(p);
    if (err != ERR_OK) {
        part_undo(p);
        op_finish(b, op, err);
        return;
    }
    p->letters.d = d;
    p->letters.made = letters_made;
    dead_letters_make(&p->letters);
}

static void prepare_next(struct delivery_group *g);

static void part_prepared(struct op *op)
{
    struct group_part *p = part_of(op);
    struct delivery_group *g = p->group;
    if (op->err != ERR_OK) {
        for (size_t i = 0; i < p->n; i++)
            if (p->items[i]->err == ERR_OK)
                p->items[i]->err = op->err;
        g->err = op->err;
        parts_end(g);
        return;
    }
    g->at++;
    prepare_next(g);
}

static void prepare_next(struct delivery_group *g)
{
    if (g->at == g->parts_n)
        outputs_start(g);
    else
        part_step(g->order[g->at], prepare_run, part_prepared);
}

static int by_shard(const void *a, const void *b)
{
    const struct group_part *const *x = a, *const *y = b;
    unsigned sx = part_shard((*x)->group, *x), sy = part_shard((*y)->group, *y);
    return sx != sy ? (sx < sy ? -1 : 1)
                    : ((*x)->partition > (*y)->partition) - ((*x)->partition < (*y)->partition);
}

void delivery_group_start(struct delivery_group *g)
{
    const struct subscription *s =
        g->parts_n > 0 ? broker_subscription_by_id(g->broker, &g->parts[0].subscription) : NULL;
    g->topic = s != NULL ? s->topic : (struct uuid){0};
    g->order = mem_zalloc(g->parts_n > 0 ? g->parts_n : 1, sizeof(struct group_part *));
    g->at = 0;
    g->err = ERR_OK;
    for (size_t i = 0; i < g->parts_n; i++) {
        g->parts[i].group = g;
        g->order[i] = &g->parts[i];
    }
    qsort(g->order, g->parts_n, sizeof(struct group_part *), by_shard);
    prepare_next(g);
}
