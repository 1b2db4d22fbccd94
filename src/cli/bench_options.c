#include "cli/bench_options.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_MAX (UINT64_C(1) << 50) /* 30 years at a million a second */

enum kind {
    TEXT,
    NUMBER,
    FLAG,
    EXTRA,
};

struct option {
    const char *name;
    enum kind kind;
    size_t at; /* where the value goes in struct bench_options */
    uint64_t min, max;
    const char *help;
};

#define AT(field) offsetof(struct bench_options, field)

static const struct option table[] = {
    {"--bootstrap", TEXT, AT(bootstrap), 0, 0, "HOST:PORT of the broker (127.0.0.1:9092)"},
    {"--topic", TEXT, AT(topic), 0, 0, "topic to write to and read from (bench)"},
    {"--partitions", NUMBER, AT(partitions), 1, 100000, "use that many (all that the topic has)"},
    {"--create", FLAG, AT(create), 0, 0, "create the topic with --partitions first"},
    {"--size", NUMBER, AT(size), BENCH_RECORD_MIN, BENCH_RECORD_MAX, "bytes of a record (1024)"},
    {"--count", NUMBER, AT(count), 1, COUNT_MAX, "how many records"},
    {"--seconds", NUMBER, AT(seconds), 1, 86400, "or for how long (5)"},
    {"--warmup", NUMBER, AT(warmup_s), 0, 3600, "latency, single: seconds that do not count (1)"},
    {"--rate", NUMBER, AT(rate), 1, 10000000, "latency: records a second (10000)"},
    {"--burst", NUMBER, AT(burst), 1, 100000, "latency: records due at the same instant (1)"},
    {"--acks", TEXT, AT(acks), 0, 0, "0, 1 or all (all)"},
    {"--linger", NUMBER, AT(linger_ms), 0, 900000, "ms (5; latency and single: 0)"},
    {"--batch", NUMBER, AT(batch_bytes), 1024, 100000000, "largest batch in bytes (1048576)"},
    {"--idempotent", FLAG, AT(idempotent), 0, 0, "produce with idempotence"},
    {"--producers", NUMBER, AT(producers), 1, 256, "produce: clients, each with a thread (1)"},
    {"--stick", NUMBER, AT(stick), 1, 100000, "produce: records in a row to a partition (100)"},
    {"--json", FLAG, AT(json), 0, 0, "print JSON"},
    {"--help", FLAG, AT(help), 0, 0, "print this"},
    {"-X", EXTRA, 0, 0, 0, "NAME=VALUE for librdkafka, as often as needed"},
};

enum { TABLE_COUNT = sizeof table / sizeof table[0] };

void bench_options_help(FILE *out)
{
    fputs("usage: weir bench produce|fetch|latency|single|all [options]\n\n", out);
    for (int i = 0; i < TABLE_COUNT; i++) {
        bool valued = table[i].kind == TEXT || table[i].kind == NUMBER;
        fprintf(out, "  %-13s%-3s %s\n", table[i].name, valued ? "V" : "", table[i].help);
    }
}

/* Finds "--name" or "--name=value"; *value is what follows the equals sign, else NULL. */
static const struct option *find(const char *arg, const char **value)
{
    for (int i = 0; i < TABLE_COUNT; i++) {
        size_t n = strlen(table[i].name);
        if (strncmp(arg, table[i].name, n) != 0 || (arg[n] && arg[n] != '='))
            continue;
        *value = arg[n] ? arg + n + 1 : NULL;
        return &table[i];
    }
    return NULL;
}

static enum err set_number(const struct option *opt, void *field, const char *value,
                           struct err_text *text)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(value, &end, 10);
    bool is_number = value[0] >= '0' && value[0] <= '9' && !*end && !errno;
    if (!is_number || n < opt->min || n > opt->max)
        return err_say(text, ERR_CONFIG_INVALID, "%s takes a number from %llu to %llu, not '%s'",
                       opt->name, (unsigned long long)opt->min, (unsigned long long)opt->max,
                       value);
    *(uint64_t *)field = n;
    return ERR_OK;
}

static enum err set_extra(struct bench_options *o, const char *value, struct err_text *text)
{
    if (!strchr(value, '='))
        return err_say(text, ERR_CONFIG_INVALID, "-X takes NAME=VALUE, not '%s'", value);
    if (o->extra_count == BENCH_EXTRA_MAX)
        return err_say(text, ERR_CONFIG_INVALID, "-X may be given %d times", BENCH_EXTRA_MAX);
    o->extra[o->extra_count++] = value;
    return ERR_OK;
}

static enum err set(struct bench_options *o, const struct option *opt, const char *value,
                    struct err_text *text)
{
    char *field = (char *)o + opt->at;
    switch (opt->kind) {
    case TEXT:
        *(const char **)(void *)field = value;
        return ERR_OK;
    case NUMBER:
        o->linger_given |= field == (char *)&o->linger_ms;
        return set_number(opt, field, value, text);
    case EXTRA:
        return set_extra(o, value, text);
    case FLAG:
        break;
    }
    if (value)
        return err_say(text, ERR_CONFIG_INVALID, "%s takes no value", opt->name);
    *(bool *)field = true;
    return ERR_OK;
}

enum err bench_options_parse(struct bench_options *o, int argc, char **argv, int from,
                             struct err_text *text)
{
    *o = (struct bench_options){.bootstrap = "127.0.0.1:9092",
                                .topic = "bench",
                                .acks = "all",
                                .producers = 1,
                                .size = 1024,
                                .seconds = 5,
                                .warmup_s = 1,
                                .rate = 10000,
                                .burst = 1,
                                .stick = 100,
                                .linger_ms = 5,
                                .batch_bytes = 1048576};
    for (int i = from; i < argc; i++) {
        const char *value;
        const struct option *opt = find(argv[i], &value);
        if (!opt)
            return err_say(text, ERR_CONFIG_INVALID, "no such option: '%s'", argv[i]);
        if (opt->kind != FLAG && !value && !(value = argv[++i]))
            return err_say(text, ERR_CONFIG_INVALID, "%s needs a value", opt->name);
        enum err err = set(o, opt, value, text);
        if (err)
            return err;
    }
    if (strcmp(o->acks, "all") && strcmp(o->acks, "-1") && strcmp(o->acks, "0") &&
        strcmp(o->acks, "1"))
        return err_say(text, ERR_CONFIG_INVALID, "--acks takes 0, 1 or all, not '%s'", o->acks);
    return ERR_OK;
}
