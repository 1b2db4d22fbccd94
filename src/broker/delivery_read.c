#include "broker/stragglers.h"

#include "base/mem.h"

#include <string.h>

static struct delivery_read *read_of(struct op *op)
{
    return container_of(op, struct delivery_read, op.op);
}

/* Where a batch with this base offset is, or belongs. */
static size_t place(const struct delivery_read *r, int64_t base)
{
    size_t lo = 0, hi = r->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (records_head(r->at[mid])->base_offset < base)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void add(struct delivery_read *r, struct records *batch)
{
    int64_t base = records_head(batch)->base_offset;
    size_t at = place(r, base);
    if (at < r->n && records_head(r->at[at])->base_offset == base) {
        records_unref(batch);
        return;
    }
    if (r->n == r->cap) {
        r->cap = r->cap != 0 ? 2 * r->cap : 8;
        r->at = mem_realloc(r->at, r->cap * sizeof(struct records *));
    }
    memmove(&r->at[at + 1], &r->at[at], (r->n - at) * sizeof(struct records *));
    r->at[at] = batch;
    r->n++;
}

static void read_done(struct op *op)
{
    struct delivery_read *r = read_of(op);
    for (unsigned i = 0; i < r->op.n; i++)
        add(r, r->op.batches[i]);
    r->done(r, op->err);
}

/* The log has it no more, but there is a copy. */
static struct records *copy_of(const struct delivery_read *r, int64_t offset)
{
    const struct partition *p = r->d->at;
    return p != NULL && offset < p->log_start ? stragglers_read(r->d, offset) : NULL;
}

void delivery_read_start(struct delivery_read *r, int64_t offset, size_t bytes_max)
{
    struct records *copy = copy_of(r, offset);
    if (copy != NULL) {
        r->op = (struct records_op){.offset = offset, .next_offset = offset + 1};
        add(r, copy);
        r->done(r, ERR_OK);
        return;
    }
    r->op = (struct records_op){.op.done = read_done,
                                .topic = r->d->topic,
                                .partition = r->d->index,
                                .offset = offset,
                                .bytes_max = bytes_max,
                                .offsets_max = r->offsets_max};
    broker_records(r->d->all->broker, &r->op);
}

struct records *delivery_read_find(const struct delivery_read *r, int64_t offset,
                                   struct record *out)
{
    /* From the last batch that begins at or before it; copies may lie inside of a batch. */
    for (size_t at = place(r, offset + 1); at > 0; at--) {
        struct records *batch = r->at[at - 1];
        uint32_t i = records_find(batch, offset), n = records_count(batch);
        if (i < n)
            records_get(batch, i, out);
        if (i < n && out->offset == offset)
            return batch;
        if (n > 1)
            break;
    }
    return NULL;
}

void delivery_read_clear(struct delivery_read *r)
{
    for (size_t i = 0; i < r->n; i++)
        records_unref(r->at[i]);
    mem_free(r->at);
    r->at = NULL;
    r->n = r->cap = 0;
}
