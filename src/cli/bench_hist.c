#include "cli/bench_hist.h"

static const uint64_t longest_us = (UINT64_C(1) << BENCH_HIST_BITS) - 1;

/* A value of b > 8 bits is shifted right until 8 are left: those, from 128 to 255, choose the
 * bucket within its power of two, the shift chooses the power.
 *
 *   bucket   0 .. 255 | 256 .. 383 | 384 .. 511 | ...
 *   shift       0     |     1      |     2      | ...
 */
static unsigned bucket_of(uint64_t us)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(us | 1);
    unsigned shift = bits > 8 ? bits - 8 : 0;
    return shift * BENCH_HIST_HALF + (unsigned)(us >> shift);
}

static uint64_t highest_of(unsigned bucket)
{
    if (bucket < 2 * BENCH_HIST_HALF)
        return bucket;
    unsigned shift = bucket / BENCH_HIST_HALF - 1;
    uint64_t top = bucket - shift * BENCH_HIST_HALF;
    return ((top + 1) << shift) - 1;
}

void bench_hist_add(struct bench_hist *h, uint64_t us)
{
    if (us > longest_us)
        us = longest_us;
    h->buckets[bucket_of(us)]++;
    h->count++;
    h->sum_us += us;
    if (us > h->max_us)
        h->max_us = us;
}

uint64_t bench_hist_percentile_us(const struct bench_hist *h, double percent)
{
    double wanted = percent / 100.0 * (double)h->count;
    uint64_t seen = 0;
    for (unsigned i = 0; i < BENCH_HIST_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen && (double)seen >= wanted)
            return highest_of(i) < h->max_us ? highest_of(i) : h->max_us;
    }
    return h->max_us;
}

double bench_hist_mean_us(const struct bench_hist *h)
{
    return h->count ? (double)h->sum_us / (double)h->count : 0;
}
