/* bench_options.h: what `weir bench` can be told, from one table that also makes its help.
 *
 * The strings point into argv.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
    BENCH_EXTRA_MAX = 32,  /* -X options */
    BENCH_RECORD_MIN = 16, /* bytes; a latency record carries two numbers */
    BENCH_RECORD_MAX = 1 << 20,
};

struct bench_options {
    const char *bootstrap, *topic, *acks;
    uint64_t partitions; /* 0: all that the topic has */
    uint64_t producers;
    uint64_t size;  /* bytes of a record's value */
    uint64_t count; /* records; 0: as many as fit in `seconds` */
    uint64_t seconds, warmup_s;
    uint64_t rate;  /* records a second */
    uint64_t burst; /* records that are due at the same instant */
    uint64_t stick; /* consecutive records for one partition */
    uint64_t linger_ms, batch_bytes;
    bool linger_given;
    bool idempotent, create, json, help;
    const char *extra[BENCH_EXTRA_MAX]; /* "name=value" */
    int extra_count;
};

/* Reads argv[from..]. ERR_CONFIG_INVALID with a text that names the option and what would be right.
 */
enum err bench_options_parse(struct bench_options *o, int argc, char **argv, int from,
                             struct err_text *text) must_use;
void bench_options_help(FILE *out);
