#include "base/chunk.h"

#include "base/assert.h"
#include "base/mem.h"

struct file_ref *file_ref_get(struct file_ref *file)
{
    unsigned before = atomic_fetch_add_explicit(&file->refs, 1, memory_order_relaxed);
    weir_assert(before != 0);
    return file;
}

void file_ref_put(struct file_ref *file)
{
    if (file == NULL)
        return;
    unsigned before = atomic_fetch_sub_explicit(&file->refs, 1, memory_order_acq_rel);
    weir_assert(before != 0);
    if (before == 1)
        file->release(file);
}

void chunkq_init(struct chunkq *q)
{
    *q = (struct chunkq){NULL, NULL, 0};
}

static void chunkq_push(struct chunkq *q, struct chunk content)
{
    struct chunk *c = mem_alloc(sizeof(*c));
    *c = content;
    if (q->tail != NULL)
        q->tail->next = c;
    else
        q->head = c;
    q->tail = c;
    q->bytes += c->len;
}

void chunkq_add_slice(struct chunkq *q, struct slice s)
{
    if (s.len == 0) {
        slice_unref(s);
        return;
    }
    chunkq_push(q, (struct chunk){.slice = s, .len = s.len});
}

void chunkq_add_copy(struct chunkq *q, const void *p, size_t n)
{
    if (n != 0)
        chunkq_add_slice(q, slice_copy(p, n));
}

void chunkq_add_file(struct chunkq *q, struct file_ref *file, uint64_t at, size_t len)
{
    if (len == 0) {
        file_ref_put(file);
        return;
    }
    chunkq_push(q, (struct chunk){.file = file, .at = at, .len = len});
}

void chunkq_move(struct chunkq *q, struct chunkq *from)
{
    weir_assert(q != from);
    if (from->head == NULL)
        return;
    if (q->tail != NULL)
        q->tail->next = from->head;
    else
        q->head = from->head;
    q->tail = from->tail;
    q->bytes += from->bytes;
    chunkq_init(from);
}

static void chunk_free(struct chunk *c)
{
    slice_unref(c->slice);
    file_ref_put(c->file);
    mem_free(c);
}

static void chunkq_pop(struct chunkq *q)
{
    struct chunk *c = q->head;
    q->head = c->next;
    if (q->head == NULL)
        q->tail = NULL;
    q->bytes -= c->len;
    chunk_free(c);
}

static void chunk_advance(struct chunk *c, size_t n)
{
    c->len -= n;
    if (c->file != NULL)
        c->at += n;
    else
        c->slice = slice_sub(c->slice, n, c->len);
}

void chunkq_drop(struct chunkq *q, size_t n)
{
    weir_assert(n <= q->bytes);
    while (n != 0 && n >= q->head->len) {
        n -= q->head->len;
        chunkq_pop(q);
    }
    if (n != 0) {
        chunk_advance(q->head, n);
        q->bytes -= n;
    }
}

void chunkq_clear(struct chunkq *q)
{
    while (q->head != NULL)
        chunkq_pop(q);
}
