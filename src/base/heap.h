/* heap.h: intrusive binary min-heap by a 64-bit key: timers by due time.
 *
 * Nodes with equal keys come out in the order in which they went in, so that a simulation is
 * reproducible. O(log n) insert, removal and change; the array grows by doubling.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    uint64_t key;
    uint64_t seq;  /* tie-break, given by the heap */
    size_t index1; /* place in the array + 1; 0: not in a heap */
};

struct heap {
    struct heap_node **nodes;
    size_t count, cap;
    uint64_t next_seq;
};

void heap_init(struct heap *h);
void heap_free(struct heap *h);
void heap_insert(struct heap *h, struct heap_node *n, uint64_t key);
/* Nothing if the node is in no heap. */
void heap_remove(struct heap *h, struct heap_node *n);
/* The node with the least key, not removed; NULL when empty. */
struct heap_node *heap_min(const struct heap *h);
