/* bench_hist.h: a histogram of durations with a bounded relative error.
 *
 * Values up to 255 us are counted exactly; above that each power of two is cut into 128 buckets, so
 * a reported value is at most 0.8 % above the recorded one. Of fixed size (about 34 KB), so that
 * recording takes no memory and a long run costs no more than a short one. One thread at a time.
 */
#pragma once

#include <stdint.h>

enum {
    BENCH_HIST_HALF = 128, /* buckets to a power of two */
    BENCH_HIST_BITS = 40,  /* longest: 2^40 us, 12 days; longer counts as that */
    BENCH_HIST_BUCKETS = (BENCH_HIST_BITS - 8) * BENCH_HIST_HALF + 2 * BENCH_HIST_HALF,
};

/* Zeroed: empty. */
struct bench_hist {
    uint64_t count, sum_us, max_us;
    uint64_t buckets[BENCH_HIST_BUCKETS];
};

void bench_hist_add(struct bench_hist *h, uint64_t us);

/* The least value that at least `percent` (0 to 100) of the recorded ones do not exceed; 0 when
 * nothing was recorded. */
uint64_t bench_hist_percentile_us(const struct bench_hist *h, double percent);

double bench_hist_mean_us(const struct bench_hist *h);
