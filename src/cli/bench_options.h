/* bench_options.h: what `weir bench` can be told.
 *
 * Read by cli/options.h, so every number is checked against the limits in the table there. The
 * strings point into argv or the table.
 */
#pragma once

#include "cli/options.h"

enum {
    BENCH_RECORD_MIN = 16, /* bytes: a latency record carries two numbers */
    BENCH_RECORD_MAX = 1 << 20,
    BENCH_LINGER_AUTO = -1, /* 5 ms; latency and single: 0 */
};

struct bench_options {
    const char *bootstrap, *topic;
    int64_t acks;       /* index into "all", "1", "0" */
    int64_t partitions; /* 0: all that the topic has */
    int64_t producers;
    int64_t size;  /* bytes of a record's value */
    int64_t count; /* records; 0: as many as fit in `seconds` */
    int64_t seconds, warmup_s;
    int64_t rate;  /* records a second */
    int64_t burst; /* records that are due at the same instant */
    int64_t stick; /* consecutive records for one partition */
    int64_t linger_ms, batch_bytes;
    bool idempotent, create, json;
    struct option_list properties; /* "name=value", for librdkafka */
};

extern const char *const bench_acks[]; /* as librdkafka calls them; NULL-terminated */
extern const struct option_set bench_option_set;

/* What the table cannot say. ERR_REQUEST_INVALID with a text that names the option. */
enum err must_use bench_options_check(const struct bench_options *o, struct err_text *text);
