#include "broker/spread.h"

#include "base/mem.h"
#include "broker/broker_internal.h"

static struct spread_part *part_of(struct op *op)
{
    return container_of(op, struct spread_part, op);
}

static void part_run(struct broker *b, struct op *op)
{
    struct spread_part *part = part_of(op);
    part->spread->step(b, part);
}

static void part_done(struct op *op)
{
    struct spread *s = part_of(op)->spread;
    struct broker *home = op->home;
    if (s->err == ERR_OK)
        s->err = op->err;
    if (--s->left != 0)
        return;
    mem_free(s->parts);
    s->parts = NULL;
    s->done(s, home, s->err);
}

/* Shard i belongs to reactor i as long as there are not more reactors than shards. `left` counts
 * the loop itself too, so that answers given at once cannot end the spread under it. */
void spread_start(struct broker *b, struct spread *s)
{
    unsigned n = b->set->n;
    s->parts = mem_zalloc(n + 1, sizeof(*s->parts));
    s->left = n + 1;
    s->err = ERR_OK;
    for (unsigned i = 0; i <= n; i++) {
        s->parts[i].spread = s;
        s->parts[i].op.run = part_run;
        s->parts[i].op.done = part_done;
    }
    for (unsigned i = 0; i < n; i++)
        op_submit(b, i, &s->parts[i].op);
    s->parts[n].op.home = b;
    op_finish(b, &s->parts[n].op, ERR_OK);
}

void spread_answer(struct broker *b, struct spread_part *part, enum err err)
{
    op_finish(b, &part->op, err);
}
