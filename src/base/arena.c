/* Blocks double in size from the first one, which has 8 KiB unless its owner says otherwise, to
 * 256 KiB; an allocation that is larger gets a block of its own size. Reset keeps the first block
 * only if it has the ordinary size, so that an idle owner holds one small block, whatever its
 * largest request was.
 */
#include "base/arena.h"

#include "base/mem.h"

#include <stdint.h>
#include <string.h>

#define ARENA_ALIGN 16u
#define ARENA_BLOCK_FIRST ((size_t)8 * 1024)
#define ARENA_BLOCK_MAX ((size_t)256 * 1024)

struct arena_block {
    struct arena_block *next;
    size_t cap, used;
    _Alignas(ARENA_ALIGN) uint8_t data[];
};

void arena_init(struct arena *a, size_t limit)
{
    arena_init_small(a, limit, ARENA_BLOCK_FIRST);
}

void arena_init_small(struct arena *a, size_t limit, size_t block)
{
    *a = (struct arena){.limit = limit, .block = block};
}

static size_t next_block_cap(const struct arena *a, size_t need)
{
    if (a->last == NULL)
        return need <= a->block ? a->block : need;
    size_t cap = a->last->cap < ARENA_BLOCK_MAX / 2 ? a->last->cap * 2 : ARENA_BLOCK_MAX;
    return need <= cap ? cap : need;
}

/* Appends a block with room for `need` bytes; NULL without memory. */
static struct arena_block *arena_grow(struct arena *a, size_t need)
{
    size_t cap = next_block_cap(a, need);
    if (cap > SIZE_MAX - sizeof(struct arena_block))
        return NULL;
    struct arena_block *b = mem_try(sizeof(*b) + cap);
    if (b == NULL)
        return NULL;
    b->next = NULL;
    b->cap = cap;
    b->used = 0;
    if (a->last != NULL)
        a->last->next = b;
    else
        a->first = b;
    a->last = b;
    return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size == 0)
        size = 1;
    if (size > SIZE_MAX - (ARENA_ALIGN - 1))
        return NULL;
    size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (size > a->limit - a->used)
        return NULL;
    struct arena_block *b = a->last;
    if (b == NULL || size > b->cap - b->used) {
        b = arena_grow(a, size);
        if (b == NULL)
            return NULL;
    }
    void *p = b->data + b->used;
    b->used += size;
    a->used += size;
    return p;
}

void *arena_zalloc(struct arena *a, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    void *p = arena_alloc(a, total);
    if (p != NULL)
        memset(p, 0, total);
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *copy = n < SIZE_MAX ? arena_alloc(a, n + 1) : NULL;
    if (copy == NULL)
        return NULL;
    if (n != 0)
        memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

void *arena_copy(struct arena *a, const void *p, size_t n)
{
    void *copy = arena_alloc(a, n);
    if (copy != NULL && n != 0)
        memcpy(copy, p, n);
    return copy;
}

static void free_blocks(struct arena_block *b)
{
    while (b != NULL) {
        struct arena_block *next = b->next;
        mem_free(b);
        b = next;
    }
}

void arena_free(struct arena *a)
{
    free_blocks(a->first);
    arena_init_small(a, a->limit, a->block);
}

void arena_reset(struct arena *a)
{
    a->used = 0;
    if (a->first == NULL)
        return;
    if (a->first->cap > a->block) {
        arena_free(a);
        return;
    }
    free_blocks(a->first->next);
    a->first->next = NULL;
    a->first->used = 0;
    a->last = a->first;
}
