/* histogram.h: times, counted in fixed buckets from 0.1 ms to a minute: what latencies are told by.
 * Zeroed memory is an empty one. One thread at a time. */
#pragma once

#include <stdint.h>

#define HISTOGRAM_BOUNDS 18

/* Upper bounds, us: a time that is equal to one counts in its bucket. */
extern const uint32_t histogram_bounds_us[HISTOGRAM_BOUNDS];

struct histogram {
    uint64_t n[HISTOGRAM_BOUNDS + 1]; /* the last: longer than all bounds */
    uint64_t sum_us;
};

void histogram_add(struct histogram *h, uint64_t us);
void histogram_merge(struct histogram *to, const struct histogram *from);
uint64_t histogram_count(const struct histogram *h);
