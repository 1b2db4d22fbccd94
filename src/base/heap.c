#include "base/heap.h"

#include "base/assert.h"
#include "base/mem.h"

#define HEAP_CAP_FIRST 16

void heap_init(struct heap *h)
{
    *h = (struct heap){NULL, 0, 0, 0};
}

void heap_free(struct heap *h)
{
    mem_free(h->nodes);
    heap_init(h);
}

static bool comes_before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->seq < b->seq;
}

static void place(struct heap *h, size_t i, struct heap_node *n)
{
    h->nodes[i] = n;
    n->index1 = i + 1;
}

/* Moves n, which belongs at the free place i or above, to where its parent comes before it. */
static void sift_up(struct heap *h, size_t i, struct heap_node *n)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (comes_before(h->nodes[parent], n))
            break;
        place(h, i, h->nodes[parent]);
        i = parent;
    }
    place(h, i, n);
}

/* Moves n, which belongs at the free place i or below, to where it comes before its children. */
static void sift_down(struct heap *h, size_t i, struct heap_node *n)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && comes_before(h->nodes[child + 1], h->nodes[child]))
            child++;
        if (comes_before(n, h->nodes[child]))
            break;
        place(h, i, h->nodes[child]);
        i = child;
    }
    place(h, i, n);
}

void heap_insert(struct heap *h, struct heap_node *n, uint64_t key)
{
    weir_assert(n->index1 == 0);
    if (h->count == h->cap) {
        h->cap = h->cap != 0 ? h->cap * 2 : HEAP_CAP_FIRST;
        h->nodes = mem_realloc(h->nodes, h->cap * sizeof(*h->nodes));
    }
    n->key = key;
    n->seq = h->next_seq++;
    sift_up(h, h->count++, n);
}

void heap_remove(struct heap *h, struct heap_node *n)
{
    if (n->index1 == 0)
        return;
    size_t i = n->index1 - 1;
    weir_assert(i < h->count && h->nodes[i] == n);
    n->index1 = 0;
    struct heap_node *last = h->nodes[--h->count];
    if (last == n)
        return;
    if (i > 0 && comes_before(last, h->nodes[(i - 1) / 2]))
        sift_up(h, i, last);
    else
        sift_down(h, i, last);
}

struct heap_node *heap_min(const struct heap *h)
{
    return h->count != 0 ? h->nodes[0] : NULL;
}
