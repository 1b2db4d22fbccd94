/* map.h: intrusive chained hash map, and the hash it uses.
 *
 * The value embeds a struct map_node; the map allocates only its bucket array. Keys of hostile
 * origin cannot be made to collide: hash_bytes is seeded per process (hash_seed). One thread at a
 * time. Iteration order is unspecified but stable for one build, seed and history.
 */
#pragma once

#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_node {
    struct map_node *next;
    uint64_t hash;
};

struct map {
    struct map_node **buckets;
    size_t cap; /* power of two, 0 before the first insert */
    size_t count;
};

typedef bool map_eq_fn(const struct map_node *node, const void *key);

void map_init(struct map *m);
/* Frees the buckets, not the nodes. */
void map_free(struct map *m);
struct map_node *map_find(const struct map *m, uint64_t hash, map_eq_fn *eq, const void *key);
/* The caller has made sure that the key is not there. */
void map_insert(struct map *m, struct map_node *node, uint64_t hash);
/* The node must be in the map. */
void map_remove(struct map *m, struct map_node *node);
/* Visits every node: n = map_next(m, NULL) first, NULL at the end. The node just visited may be
 * removed if its successor was taken first. */
struct map_node *map_next(const struct map *m, const struct map_node *prev);

/* 64-bit hash of bytes, mixed with the process's seed. */
uint64_t hash_bytes(const void *p, size_t n);
uint64_t hash_u64(uint64_t v);
/* Set once, before the first map, from a random source; a simulation sets a fixed one. */
void hash_seed(uint64_t seed);
