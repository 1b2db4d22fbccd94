/* random.h: seeded random numbers for tests; the same on every machine. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

static inline uint32_t random_next(struct random *r)
{
    r->state = r->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(r->state >> 33);
}

static inline size_t random_below(struct random *r, size_t n)
{
    return random_next(r) % n;
}
