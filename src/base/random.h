/* random.h: a small deterministic generator (xoshiro256**) for simulations and tests.
 *
 * No entropy of its own: the same seed gives the same numbers on every machine. Not for secrets.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);
/* Uniform in [0, n); n >= 1. */
uint64_t rng_below(struct rng *r, uint64_t n);
/* True once in n times on average. */
static inline int rng_one_in(struct rng *r, uint64_t n)
{
    return rng_below(r, n) == 0;
}
void rng_fill(struct rng *r, void *p, size_t n);
