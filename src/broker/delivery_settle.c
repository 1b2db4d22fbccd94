/* Settling.
 *
 * Items go to their partitions' ledgers, each part on its own: what is light (no dead letter) into
 * the turn's change there, together with what others settle in that turn. A reject whose message is
 * to become a dead letter, and settles with outputs, are gathered in a group (delivery_group.c):
 * those with outputs all in one, a partition's rejects in one of its own.
 */
#include "broker/access.h"
#include "broker/delivery_internal.h"

#include "base/assert.h"
#include "base/mem.h"

/* The items of one partition. */
struct settle_part {
    struct op op;
    struct settle_call *all;
    int32_t partition;
    struct settle_item **items;
    size_t n;
    struct delivery *d;
    struct delivery_call call;
    size_t light; /* items in the turn's change */
    uint64_t begin_us;
    unsigned left; /* what is waited for; counts the settling itself, too */
    enum err err;
};

/* Those of its items that become dead letters. */
struct burial {
    struct settle_part *part;
    struct delivery_group group;
    struct group_part buried;
};

struct settle_call {
    struct settle_op *op;
    struct broker *broker;
    struct settle_part *parts;
    size_t parts_n, left;
    struct settle_item **items; /* by partition */
    struct together *together;  /* NULL: each part on its own */
};

/* All parts, with outputs. */
struct together {
    struct settle_call *all;
    struct delivery_group group;
    struct group_part parts[];
};

/* ---- one item ---- */

enum err delivery_settle_item(struct delivery *d, struct ledger_change *c, struct settle_item *item)
{
    struct ledger_time now = delivery_now(d->all);
    struct ledger_ref ref = ledger_ref(d->ledger, &item->token);
    struct ledger_message m;
    delivery_stages_settling(d, item);
    if (item->properties_n > 0 && item->verb != SETTLE_REJECT)
        return ERR_REQUEST_INVALID; /* a message in the log is not changed */
    switch (item->verb) {
    case SETTLE_ACCEPT:
        return ledger_accept(c, ref);
    case SETTLE_REJECT:
        return ledger_reject(c, ref);
    case SETTLE_DEFER:
        return ledger_defer(c, ref);
    case SETTLE_RENEW:
        return ledger_renew(d->ledger, ref, 0, now, &item->locked_until_ms);
    case SETTLE_RELEASE:
        ledger_get(d->ledger, ref.offset, now, &m);
        item->dead_lettered = !item->uncounted && d->s->conf.attempts > 0 &&
                              (int64_t)m.deliveries >= d->s->conf.attempts;
        return ledger_release(c, ref, item->delay_ms, item->uncounted, now);
    }
    weir_unreachable();
}

static bool is_buried(const struct delivery *d, const struct settle_item *item)
{
    return item->verb == SETTLE_REJECT && d->s->conf.dead_letter.at != NULL;
}

/* ---- a part ---- */

static void part_less(struct settle_part *p, enum err err)
{
    if (p->err == ERR_OK)
        p->err = err;
    if (--p->left != 0)
        return;
    struct broker *b = p->d->all->broker;
    delivery_leave(p->d);
    op_finish(b, &p->op, p->err);
}

static void items_tell(const struct settle_part *p)
{
    uint64_t now_us = env_clock_us(p->d->all->broker->env);
    for (size_t i = 0; i < p->n; i++) {
        if (p->items[i]->err != ERR_OK || is_buried(p->d, p->items[i]))
            continue;
        delivery_stages_settled(p->d, p->items[i], p->begin_us, now_us);
        delivery_hop_settled(p->d, p->items[i], p->begin_us, now_us);
        if (p->items[i]->verb == SETTLE_REJECT) /* without a dead letter */
            delivery_hop_gone(p->d, false, lock_token_offset(&p->items[i]->token),
                              p->items[i]->reason);
    }
}

/* What was to be settled and could not be written is not settled. */
static void items_fail(struct settle_part *p, bool buried, enum err err)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->items[i]->err == ERR_OK && is_buried(p->d, p->items[i]) == buried &&
            p->items[i]->verb != SETTLE_RENEW)
            p->items[i]->err = err;
}

static void part_written(struct delivery_call *call, enum err err)
{
    struct settle_part *p = container_of(call, struct settle_part, call);
    if (err != ERR_OK)
        items_fail(p, false, err);
    else
        items_tell(p);
    part_less(p, err);
}

static void part_buried(struct delivery_group *group, enum err err)
{
    struct burial *burial = container_of(group, struct burial, group);
    struct settle_part *p = burial->part;
    if (err != ERR_OK)
        items_fail(p, true, err);
    mem_free(burial->buried.items);
    mem_free(burial);
    part_less(p, err);
}

static void count(struct delivery *d, const struct settle_item *item)
{
    d->dropped += item->verb == SETTLE_REJECT && d->s->conf.dead_letter.at == NULL;
}

static void part_bury(struct settle_part *p, size_t n)
{
    struct burial *burial = mem_zalloc(1, sizeof(*burial));
    struct group_part *part = &burial->buried;
    burial->part = p;
    part->subscription = p->d->subscription;
    part->partition = p->partition;
    part->items = mem_zalloc(n, sizeof(struct settle_item *));
    for (size_t i = 0; i < p->n; i++)
        if (is_buried(p->d, p->items[i]))
            part->items[part->n++] = p->items[i];
    burial->group = (struct delivery_group){.broker = p->d->all->broker,
                                            .parts = part,
                                            .parts_n = 1,
                                            .lenient = true,
                                            .done = part_buried};
    p->left++;
    delivery_group_start(&burial->group);
}

/* Each item fails by itself. */
static void part_settle(struct settle_part *p)
{
    struct ledger_change *c = delivery_change(p->d);
    size_t buried = 0;
    for (size_t i = 0; i < p->n; i++) {
        struct settle_item *item = p->items[i];
        if (is_buried(p->d, item)) {
            buried++;
            continue;
        }
        item->err = delivery_settle_item(p->d, c, item);
        p->light += item->err == ERR_OK;
        if (item->err == ERR_OK)
            count(p->d, item);
    }
    if (p->light > 0) {
        p->left++;
        delivery_tell(p->d, &p->call);
    }
    if (buried > 0)
        part_bury(p, buried);
}

static void part_fail(struct broker *b, struct settle_part *p, enum err err)
{
    for (size_t i = 0; i < p->n; i++)
        p->items[i]->err = err == ERR_NOT_FOUND ? ERR_LOCK_LOST : err;
    op_finish(b, &p->op, err == ERR_NOT_FOUND ? ERR_OK : err);
}

static void part_run(struct broker *b, struct op *op)
{
    struct settle_part *p = container_of(op, struct settle_part, op);
    enum err err;
    struct delivery *d = delivery_get(b, op, &p->all->op->subscription, p->partition, &err);
    if (d == NULL) {
        if (err != ERR_OK)
            part_fail(b, p, err);
        return;
    }
    p->d = d;
    p->left = 1;
    p->begin_us = env_mono_us(b->env);
    p->call.written = part_written;
    delivery_enter(d);
    part_settle(p);
    part_less(p, ERR_OK);
}

/* ---- the whole ---- */

static void call_end(struct settle_call *c, enum err err)
{
    struct settle_op *op = c->op;
    struct broker *b = c->broker;
    mem_free(c->parts);
    mem_free(c->together);
    mem_free(c->items);
    mem_free(c);
    op->at = NULL;
    op_finish(b, &op->op, err);
}

static enum err first_error(const struct settle_op *op)
{
    for (size_t i = 0; i < op->items_n; i++)
        if (op->items[i].err != ERR_OK)
            return op->items[i].err;
    return ERR_OK;
}

/* With one item its error is the op's; with several they are looked at one by one, unless all
 * failed in the same way. */
static void call_less(struct settle_call *c)
{
    if (--c->left != 0)
        return;
    enum err err = first_error(c->op);
    for (size_t i = 0; i < c->op->items_n; i++)
        err = c->op->items[i].err == ERR_OK ? ERR_OK : err;
    call_end(c, err);
}

static void part_done(struct op *op)
{
    call_less(container_of(op, struct settle_part, op)->all);
}

static void group_done(struct delivery_group *group, enum err err)
{
    struct settle_call *c = container_of(group, struct together, group)->all;
    c->op->text = group->text;
    for (size_t i = 0; err != ERR_OK && i < c->op->items_n; i++)
        if (c->op->items[i].err == ERR_OK)
            c->op->items[i].err = err;
    call_end(c, err);
}

/* Items of one partition stand together afterwards, in their order. Returns how many partitions
 * there are: few, so each is looked for in all items. */
static size_t sort_items(struct settle_call *c)
{
    struct settle_op *op = c->op;
    size_t n = 0, parts = 0;
    c->items = mem_zalloc(op->items_n > 0 ? op->items_n : 1, sizeof(struct settle_item *));
    for (size_t i = 0; i < op->items_n; i++)
        op->items[i].err = ERR_COUNT; /* not placed yet */
    for (size_t i = 0; i < op->items_n; i++) {
        if (op->items[i].err != ERR_COUNT)
            continue;
        int32_t partition = lock_token_partition(&op->items[i].token);
        parts++;
        for (size_t k = i; k < op->items_n; k++) {
            struct settle_item *item = &op->items[k];
            if (item->err != ERR_COUNT || lock_token_partition(&item->token) != partition)
                continue;
            item->err = ERR_OK;
            item->dead_lettered = false;
            item->locked_until_ms = 0;
            c->items[n++] = item;
        }
    }
    return parts;
}

static void start_parts(struct settle_call *c, const struct subscription *s, size_t parts)
{
    size_t at = 0;
    c->parts = mem_zalloc(parts > 0 ? parts : 1, sizeof(*c->parts));
    c->parts_n = parts;
    c->left = parts + 1;
    for (size_t i = 0; i < parts; i++) {
        struct settle_part *p = &c->parts[i];
        p->op.run = part_run;
        p->op.done = part_done;
        p->all = c;
        p->partition = lock_token_partition(&c->items[at]->token);
        p->items = &c->items[at];
        while (at < c->op->items_n && lock_token_partition(&c->items[at]->token) == p->partition) {
            at++;
            p->n++;
        }
    }
    for (size_t i = 0; i < parts; i++)
        op_submit(c->broker, broker_shard_of_partition(&s->topic, c->parts[i].partition),
                  &c->parts[i].op);
    call_less(c);
}

static void start_group(struct settle_call *c, size_t parts)
{
    size_t at = 0;
    struct together *t = mem_zalloc(1, sizeof(*t) + parts * sizeof(t->parts[0]));
    c->together = t;
    t->all = c;
    for (size_t i = 0; i < parts; i++) {
        struct group_part *p = &t->parts[i];
        p->subscription = c->op->subscription;
        p->partition = lock_token_partition(&c->items[at]->token);
        p->items = &c->items[at];
        for (; at < c->op->items_n && lock_token_partition(&c->items[at]->token) == p->partition;
             at++)
            p->n++;
    }
    t->group = (struct delivery_group){.broker = c->broker,
                                       .parts = t->parts,
                                       .parts_n = parts,
                                       .outputs = c->op->outputs,
                                       .outputs_n = c->op->outputs_n,
                                       .done = group_done};
    delivery_group_start(&t->group);
}

static void settle_fail(struct broker *b, struct settle_op *op, enum err err)
{
    op->op.home = b;
    for (size_t i = 0; i < op->items_n; i++)
        op->items[i].err = err == ERR_NOT_FOUND ? ERR_LOCK_LOST : err;
    op_finish(b, &op->op, err);
}

void broker_settle(struct broker *b, struct settle_op *op)
{
    const struct subscription *s = broker_subscription_by_id(b, &op->subscription);
    op->at = NULL;
    op->text.s[0] = '\0';
    if (op->items_n > SETTLE_ITEMS_MAX) {
        settle_fail(b, op,
                    err_say(&op->text, ERR_REQUEST_INVALID, "%zu items: %d are the most",
                            op->items_n, SETTLE_ITEMS_MAX));
        return;
    }
    if (b->deliveries == NULL || !b->deliveries->open || s == NULL) {
        settle_fail(b, op, s == NULL && b->loaded ? ERR_NOT_FOUND : ERR_COORDINATOR_LOADING);
        return;
    }
    if (access_refuses_topic(b, &op->op, op->actor, &s->topic, ACCESS_RECEIVER))
        return;
    struct settle_call *c = mem_zalloc(1, sizeof(*c));
    c->op = op;
    c->broker = b;
    op->op.home = b;
    size_t parts = sort_items(c);
    if (op->outputs_n > 0)
        start_group(c, parts);
    else
        start_parts(c, s, parts);
}
