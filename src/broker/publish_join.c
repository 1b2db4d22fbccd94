/* Publishing in a group of the caller's own.
 *
 *     publish_join       at home: outputs are sorted into parts, one a partition
 *     prepare_run        on each part's owner: records are checked and put into batches, which hold
 *                        the partition open
 *     part_prepared      at home: when all parts are there, ready(); if one failed, the others are
 *                        ended first
 *     publish_join_end   to each part's owner again
 *     part_ended         at home: when all parts are, ended()
 */
#include "broker/partition.h"

#include "base/assert.h"
#include "base/mem.h"

struct publish_part {
    struct op op;
    struct publish_join *join;
    struct uuid topic;
    int32_t partition;
    struct list ops;     /* publish_op that are not in a batch yet */
    struct list batches; /* publish_batch */
    bool prepared;
    enum err err; /* of the group, in the end */
    struct err_text text;
};

static struct publish_part *part_of(struct op *op)
{
    return container_of(op, struct publish_part, op);
}

/* ---- the end ---- */

static void part_batches_end(struct publish_part *part, enum err err)
{
    while (!list_empty(&part->batches))
        publish_batch_end(container_of(part->batches.next, struct publish_batch, link), err);
}

static void end_run(struct broker *b, struct op *op)
{
    struct publish_part *part = part_of(op);
    part_batches_end(part, part->err);
    op_finish(b, op, ERR_OK);
}

static void join_free(struct publish_join *join)
{
    mem_free(join->parts);
    join->parts = NULL;
    join->parts_n = 0;
}

static void end_less(struct publish_join *join)
{
    if (--join->left != 0)
        return;
    enum err err = join->err;
    join_free(join);
    if (err != ERR_OK)
        join->ready(join, err);
    else
        join->ended(join);
}

static void part_ended(struct op *op)
{
    end_less(part_of(op)->join);
}

static void parts_end(struct publish_join *join, enum err err)
{
    join->left = 1;
    for (size_t i = 0; i < join->parts_n; i++) {
        struct publish_part *part = &join->parts[i];
        if (!part->prepared)
            continue;
        join->left++;
        part->err = err;
        part->op.run = end_run;
        part->op.done = part_ended;
        op_submit(join->broker, broker_shard_of_partition(&part->topic, part->partition),
                  &part->op);
    }
    end_less(join);
}

void publish_join_end(struct publish_join *join, enum err err)
{
    weir_assert(join->err == ERR_OK);
    parts_end(join, err);
}

/* ---- the beginning ---- */

static void part_add(struct publish_part *part, struct partition *p, struct publish_op *op)
{
    struct list *last = part->batches.prev;
    struct publish_batch *batch =
        last != &part->batches ? container_of(last, struct publish_batch, link) : NULL;
    if (batch != NULL && publish_batch_add(batch, op))
        return;
    batch = publish_batch_make(p);
    list_push(&part->batches, &batch->link);
    bool fits = publish_batch_add(batch, op);
    weir_assert(fits);
}

static bool is_output(const struct publish_join *join, const struct publish_op *op)
{
    return op >= join->outputs && op < join->outputs + join->outputs_n;
}

/* A copy of another output of the same group is told with that one. */
static enum err part_take(struct publish_part *part, struct partition *p, struct publish_op *op)
{
    struct publish_op *first;
    enum err err = publish_check(p, op);
    if (err != ERR_OK)
        return err;
    switch (publish_ask(p, op, &first)) {
    case PUBLISH_NEW:
        part_add(part, p, op);
        break;
    case PUBLISH_KNOWN:
        op->op.err = ERR_OK;
        break;
    case PUBLISH_UNDER_WAY:
        if (!is_output(part->join, first))
            return err_say(&op->text, ERR_BUSY,
                           "a record with the same message id is being stored: try again");
        list_push(&first->waiters, &op->link);
        break;
    }
    return ERR_OK;
}

static enum err part_fill(struct publish_part *part, struct partition *p)
{
    struct list *it;
    while ((it = list_pop(&part->ops)) != NULL) {
        struct publish_op *op = container_of(it, struct publish_op, link);
        enum err err = part_take(part, p, op);
        if (err != ERR_OK) {
            part->text = op->text;
            return err;
        }
    }
    return ERR_OK;
}

static void prepare_run(struct broker *b, struct op *op)
{
    struct publish_part *part = part_of(op);
    struct partition *p;
    enum err err = partition_get(b, &part->topic, part->partition, &p);
    if (err == ERR_OK)
        err = part_fill(part, p);
    if (err != ERR_OK)
        part_batches_end(part, err);
    list_for (it, &part->batches)
        publish_batch_close(container_of(it, struct publish_batch, link));
    op_finish(b, op, err);
}

static void prepare_less(struct publish_join *join)
{
    if (--join->left != 0)
        return;
    if (join->err != ERR_OK)
        parts_end(join, join->err);
    else
        join->ready(join, ERR_OK);
}

static void part_prepared(struct op *op)
{
    struct publish_part *part = part_of(op);
    struct publish_join *join = part->join;
    part->prepared = op->err == ERR_OK;
    if (!part->prepared && join->err == ERR_OK) {
        join->err = op->err;
        join->text = part->text;
    }
    prepare_less(join);
}

static struct publish_part *part_get(struct publish_join *join, const struct publish_op *op)
{
    for (size_t i = 0; i < join->parts_n; i++) {
        struct publish_part *part = &join->parts[i];
        if (part->partition == op->partition_out && uuid_eq(part->topic, op->topic))
            return part;
    }
    struct publish_part *part = &join->parts[join->parts_n++];
    part->join = join;
    part->topic = op->topic;
    part->partition = op->partition_out;
    list_init(&part->ops);
    list_init(&part->batches);
    return part;
}

static enum err output_place(struct publish_join *join, struct publish_op *op)
{
    struct broker *b = join->broker;
    const struct topic *topic;
    enum err err = publish_begin(b, op, &topic);
    if (err == ERR_OK && op->due_ms > (int64_t)env_now_ms(b->env))
        err = err_say(&op->text, ERR_REQUEST_INVALID, "an output has no due time");
    if (err != ERR_OK) {
        join->text = op->text;
        return err;
    }
    op->joined = true;
    op->partition_out = publish_choose(topic, op);
    if (op->partition_out < 0) /* all of this group in one batch */
        op->partition_out = publish_by_turns(&b->publish, topic, 0);
    list_push(&part_get(join, op)->ops, &op->link);
    return ERR_OK;
}

void publish_join(struct broker *b, struct publish_join *join)
{
    join->broker = b;
    join->parts = mem_zalloc(join->outputs_n > 0 ? join->outputs_n : 1, sizeof(*join->parts));
    join->parts_n = 0;
    join->err = ERR_OK;
    join->text.s[0] = '\0';
    join->left = 1;
    for (size_t i = 0; i < join->outputs_n && join->err == ERR_OK; i++)
        join->err = output_place(join, &join->outputs[i]);
    size_t parts = join->err == ERR_OK ? join->parts_n : 0;
    for (size_t i = 0; i < parts; i++) {
        struct publish_part *part = &join->parts[i];
        join->left++;
        part->op.run = prepare_run;
        part->op.done = part_prepared;
        op_submit(b, broker_shard_of_partition(&part->topic, part->partition), &part->op);
    }
    prepare_less(join);
}

void publish_join_add(struct publish_join *join, struct store *store, struct store_group *group)
{
    for (size_t i = 0; i < join->parts_n; i++)
        list_for (it, &join->parts[i].batches)
            store_append(store, group, &container_of(it, struct publish_batch, link)->append.store);
}
