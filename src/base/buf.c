#include "base/buf.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

#define BUF_MAGIC 0x62756630u

static struct buf *buf_setup(struct buf *b, size_t cap)
{
    atomic_init(&b->refs, 1);
    b->magic = BUF_MAGIC;
    b->cap = cap;
    return b;
}

struct buf *buf_make(size_t cap)
{
    weir_assert(cap <= SIZE_MAX - sizeof(struct buf));
    return buf_setup(mem_alloc(sizeof(struct buf) + cap), cap);
}

struct buf *buf_try(size_t cap)
{
    if (cap > SIZE_MAX - sizeof(struct buf))
        return NULL;
    struct buf *b = mem_try(sizeof(struct buf) + cap);
    return b != NULL ? buf_setup(b, cap) : NULL;
}

struct buf *buf_resize(struct buf *b, size_t cap)
{
    weir_check(b, BUF_MAGIC);
    weir_assert(atomic_load_explicit(&b->refs, memory_order_relaxed) == 1);
    weir_assert(cap <= SIZE_MAX - sizeof(struct buf));
    b = mem_realloc(b, sizeof(struct buf) + cap);
    b->cap = cap;
    return b;
}

/* A new reference is made from an existing one, so nothing needs to be ordered with it. */
struct buf *buf_ref(struct buf *b)
{
    weir_check(b, BUF_MAGIC);
    unsigned before = atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    weir_assert(before != 0 && before < UINT32_MAX);
    return b;
}

/* Acquire and release: what other threads did with the bytes comes before they are freed. */
void buf_unref(struct buf *b)
{
    if (b == NULL)
        return;
    weir_check(b, BUF_MAGIC);
    unsigned before = atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel);
    weir_assert(before != 0);
    if (before == 1) {
        b->magic = 0;
        mem_free(b);
    }
}

struct buf *buf_copy(const void *p, size_t n)
{
    struct buf *b = buf_make(n);
    if (n != 0)
        memcpy(b->data, p, n);
    return b;
}

struct slice slice_ref(struct slice s)
{
    if (s.buf != NULL)
        buf_ref(s.buf);
    return s;
}

void slice_unref(struct slice s)
{
    buf_unref(s.buf);
}

struct slice slice_sub(struct slice s, size_t from, size_t n)
{
    weir_assert(from <= s.len && n <= s.len - from);
    return (struct slice){s.buf, from != 0 ? s.at + from : s.at, n};
}

struct slice slice_copy(const void *p, size_t n)
{
    struct buf *b = buf_copy(p, n);
    return (struct slice){b, b->data, n};
}
