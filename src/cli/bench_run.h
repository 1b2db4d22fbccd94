/* bench_run.h: the measurements of `weir bench`, and what they find.
 *
 * Each runs to its end and fills in the figures. Called from the main thread, which they share with
 * threads of their own. An error is one that prevents measuring; records that the broker refused
 * are counted as failed, with the first reason in `text`.
 */
#pragma once

#include "cli/bench_hist.h"
#include "cli/bench_options.h"

struct bench_rate {
    uint64_t records, bytes; /* acknowledged or received; bytes of their values */
    uint64_t failed;
    double seconds;
    double cpu_seconds; /* of this process */
};

struct bench_delays {
    uint64_t sent, failed;
    uint64_t lost; /* acknowledged, and not received within 10 s */
    double seconds, cpu_seconds;
    struct bench_hist acknowledged, received; /* since the instant at which each was due */
};

enum err bench_produce(const struct bench_options *o, struct bench_rate *out,
                       struct err_text *text) must_use;
enum err bench_fetch(const struct bench_options *o, struct bench_rate *out,
                     struct err_text *text) must_use;
/* `single`: one record at a time, each due when the one before it was acknowledged and received. */
enum err bench_latency(const struct bench_options *o, bool single, struct bench_delays *out,
                       struct err_text *text) must_use;
