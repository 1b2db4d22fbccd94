#include "broker/paged.h"

#include "base/mem.h"

static struct each_part *part_of(struct op *op)
{
    return container_of(op, struct each_part, op);
}

static void each_less(struct delivery_each *each, enum err err)
{
    if (each->err == ERR_OK)
        each->err = err;
    if (--each->left != 0)
        return;
    struct each_part *parts = each->parts;
    each->done(each, each->err); /* may free it */
    mem_free(parts);
}

static void part_done(struct op *op)
{
    each_less(part_of(op)->all, op->err);
}

void each_answer(struct each_part *part, enum err err)
{
    if (part->d != NULL)
        delivery_leave(part->d);
    op_finish(part->broker, &part->op, err);
}

static void part_run(struct broker *b, struct op *op)
{
    struct each_part *part = part_of(op);
    struct delivery_each *all = part->all;
    const struct paged *p = NULL;
    enum err err;
    part->broker = b;
    if (all->paged != NULL && b->deliveries != NULL && b->deliveries->open)
        p = paged_find(b->deliveries, &all->subscription, part->partition);
    if (p != NULL) {
        all->paged(part, p);
        return;
    }
    struct delivery *d = delivery_get(b, op, &all->subscription, part->partition, &err);
    if (d == NULL) {
        if (err != ERR_OK)
            op_finish(b, op, err);
        return;
    }
    part->d = d;
    delivery_enter(d);
    all->run(part);
}

void delivery_each_start(struct delivery_each *each)
{
    struct broker *b = each->broker;
    const struct subscription *s = broker_subscription_by_id(b, &each->subscription);
    const struct topic *t = s != NULL ? topics_find_id(&b->topics, &s->topic) : NULL;
    int32_t from = each->partition >= 0 ? each->partition : 0;
    int32_t to = each->partition >= 0 ? from + 1 : t != NULL ? t->partitions : 0;
    each->err = ERR_OK;
    each->left = 1;
    each->n = t != NULL ? (size_t)(to - from) : 0;
    each->parts = mem_zalloc(each->n + 1, sizeof(*each->parts));
    for (size_t i = 0; i < each->n; i++) {
        struct each_part *part = &each->parts[i];
        part->op.run = part_run;
        part->op.done = part_done;
        part->all = each;
        part->partition = from + (int32_t)i;
        each->left++;
        op_submit(b, broker_shard_of_partition(&t->id, part->partition), &part->op);
    }
    each_less(each, t == NULL ? ERR_NOT_FOUND : ERR_OK);
}
