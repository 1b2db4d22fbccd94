/* xoshiro256** and splitmix64 as Blackman and Vigna describe them (Scrambled linear pseudorandom
 * number generators, 2018); rng_below is Lemire's unbiased multiplication (2019).
 */
#include "base/random.h"

#include "base/assert.h"

#include <string.h>

static uint64_t rotl(uint64_t v, unsigned bits)
{
    return v << bits | v >> (64 - bits);
}

void rng_seed(struct rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        r->s[i] = z ^ (z >> 31);
    }
}

uint64_t rng_next(struct rng *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    weir_assert(n >= 1);
    /* The low half of the product is below 2^64 mod n for exactly the draws that would make some
     * results likelier than others. */
    uint64_t excess = -n % n;
    for (;;) {
        unsigned __int128 product = (unsigned __int128)rng_next(r) * n;
        if ((uint64_t)product >= excess)
            return (uint64_t)(product >> 64);
    }
}

void rng_fill(struct rng *r, void *p, size_t n)
{
    uint8_t *at = p;
    while (n != 0) {
        uint64_t v = rng_next(r);
        size_t part = n < sizeof(v) ? n : sizeof(v);
        memcpy(at, &v, part);
        at += part;
        n -= part;
    }
}
