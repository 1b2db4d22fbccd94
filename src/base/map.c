/* The hash is SipHash-1-3 (Aumasson and Bernstein, 2012) under a key made from the process's seed:
 * who does not know the seed cannot choose keys that share a bucket.
 */
#include "base/map.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

#define MAP_CAP_FIRST 16

void map_init(struct map *m)
{
    *m = (struct map){NULL, 0, 0};
}

void map_free(struct map *m)
{
    mem_free(m->buckets);
    map_init(m);
}

static struct map_node **bucket_of(const struct map *m, uint64_t hash)
{
    return &m->buckets[hash & (m->cap - 1)];
}

struct map_node *map_find(const struct map *m, uint64_t hash, map_eq_fn *eq, const void *key)
{
    if (m->count == 0)
        return NULL;
    for (struct map_node *n = *bucket_of(m, hash); n != NULL; n = n->next) {
        if (n->hash == hash && eq(n, key))
            return n;
    }
    return NULL;
}

static void bucket_push(struct map *m, struct map_node *node)
{
    struct map_node **b = bucket_of(m, node->hash);
    node->next = *b;
    *b = node;
}

static void map_grow(struct map *m)
{
    struct map bigger = {.cap = m->cap != 0 ? m->cap * 2 : MAP_CAP_FIRST, .count = m->count};
    bigger.buckets = mem_zalloc(bigger.cap, sizeof(struct map_node *));
    for (size_t i = 0; i < m->cap; i++) {
        struct map_node *n = m->buckets[i];
        while (n != NULL) {
            struct map_node *next = n->next;
            bucket_push(&bigger, n);
            n = next;
        }
    }
    mem_free(m->buckets);
    *m = bigger;
}

void map_insert(struct map *m, struct map_node *node, uint64_t hash)
{
    if (m->count == m->cap)
        map_grow(m);
    node->hash = hash;
    bucket_push(m, node);
    m->count++;
}

void map_remove(struct map *m, struct map_node *node)
{
    weir_assert(m->count != 0);
    struct map_node **at = bucket_of(m, node->hash);
    while (*at != node) {
        weir_assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = node->next;
    node->next = NULL;
    m->count--;
}

struct map_node *map_next(const struct map *m, const struct map_node *prev)
{
    size_t i = 0;
    if (prev != NULL) {
        if (prev->next != NULL)
            return prev->next;
        i = (size_t)(prev->hash & (m->cap - 1)) + 1;
    }
    for (; i < m->cap; i++) {
        if (m->buckets[i] != NULL)
            return m->buckets[i];
    }
    return NULL;
}

static uint64_t hash_key[2] = {0x736565642d746573, 0x742d66697865642d};

/* One step of splitmix64: spreads a seed whose bits may be few. */
static uint64_t spread(uint64_t v)
{
    v += 0x9e3779b97f4a7c15;
    v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9;
    v = (v ^ (v >> 27)) * 0x94d049bb133111eb;
    return v ^ (v >> 31);
}

void hash_seed(uint64_t seed)
{
    hash_key[0] = spread(seed);
    hash_key[1] = spread(hash_key[0]);
}

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotl(uint64_t v, unsigned bits)
{
    return v << bits | v >> (64 - bits);
}

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotl(s->v1, 13) ^ s->v0;
    s->v3 = rotl(s->v3, 16) ^ s->v2;
    s->v0 = rotl(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotl(s->v1, 17) ^ s->v2;
    s->v3 = rotl(s->v3, 21) ^ s->v0;
    s->v2 = rotl(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

uint64_t hash_bytes(const void *p, size_t n)
{
    struct sip s = {hash_key[0] ^ 0x736f6d6570736575, hash_key[1] ^ 0x646f72616e646f6d,
                    hash_key[0] ^ 0x6c7967656e657261, hash_key[1] ^ 0x7465646279746573};
    const uint8_t *at = p;
    uint64_t word = 0;
    size_t left = n;
    for (; left >= 8; left -= 8, at += 8) {
        memcpy(&word, at, 8);
        sip_word(&s, word);
    }
    word = (uint64_t)n << 56;
    for (size_t i = 0; i < left; i++)
        word |= (uint64_t)at[i] << (8 * i);
    sip_word(&s, word);
    s.v2 ^= 0xff;
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t hash_u64(uint64_t v)
{
    return hash_bytes(&v, sizeof(v));
}
