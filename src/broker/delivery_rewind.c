/* "Redeliver all since 14:00": where that is in each partition, then its ledger starts again there.
 */
#include "broker/access.h"
#include "broker/stragglers.h"

#include "base/mem.h"

struct rewind_call {
    struct delivery_each each;
    struct rewind_op *op;
};

static void rewind_written(struct delivery_call *call, enum err err)
{
    each_answer(container_of(call, struct each_part, call), err);
}

static void rewind_to(struct each_part *part, int64_t to)
{
    struct delivery *d = part->d;
    if (d->at == NULL || d->leaving) {
        each_answer(part, ERR_NOT_FOUND);
        return;
    }
    if (to > d->at->end)
        to = d->at->end;
    delivery_flush(d); /* it has a change of its own */
    enum err err = ledger_rewind(delivery_change(d), to, false);
    if (err != ERR_OK) {
        each_answer(part, err);
        return;
    }
    d->news = true;
    part->call.written = rewind_written;
    delivery_tell(d, &part->call);
    delivery_flush(d);
}

/* Behind all records: from now on. Before all of them: what is kept elsewhere may be as young. */
static void rewind_found(struct op *op)
{
    struct each_part *part = container_of(op, struct each_part, list.op);
    const struct delivery *d = part->d;
    if (op->err != ERR_OK) {
        each_answer(part, op->err);
        return;
    }
    int64_t to = part->list.offset >= 0 ? part->list.offset : INT64_MAX;
    if (d->at != NULL && to <= d->at->log_start)
        to = stragglers_since(d, part->list.timestamp, to);
    rewind_to(part, to);
}

static void rewind_run(struct each_part *part)
{
    const struct rewind_op *op = container_of(part->all, struct rewind_call, each)->op;
    if (op->time_ms < 0) {
        rewind_to(part, op->offset == LIST_LATEST     ? INT64_MAX
                        : op->offset == LIST_EARLIEST ? 0
                                                      : op->offset);
        return;
    }
    part->list = (struct list_op){.op.done = rewind_found,
                                  .topic = part->d->topic,
                                  .partition = part->partition,
                                  .timestamp = op->time_ms,
                                  .leader_epoch = -1};
    broker_list_offset(part->d->all->broker, &part->list);
}

static void rewind_done(struct delivery_each *each, enum err err)
{
    struct rewind_call *c = container_of(each, struct rewind_call, each);
    struct rewind_op *op = c->op;
    struct broker *b = each->broker;
    mem_free(c);
    op_finish(b, &op->op, err);
}

void broker_rewind(struct broker *b, struct rewind_op *op)
{
    const struct subscription *s = broker_subscription_by_id(b, &op->subscription);
    op->op.home = b;
    if (s != NULL && access_refuses_topic(b, &op->op, op->actor, &s->topic, ACCESS_OWNER))
        return;
    if (op->time_ms < 0 && op->offset < LIST_EARLIEST) {
        op_finish(b, &op->op, ERR_REQUEST_INVALID);
        return;
    }
    struct rewind_call *c = mem_zalloc(1, sizeof(*c));
    c->op = op;
    c->each = (struct delivery_each){.broker = b,
                                     .subscription = op->subscription,
                                     .partition = op->partition,
                                     .run = rewind_run,
                                     .done = rewind_done};
    delivery_each_start(&c->each);
}
