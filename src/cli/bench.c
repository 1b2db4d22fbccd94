/* `weir bench`: a load generator for any Kafka broker, over librdkafka. Here are the verbs and what
 * they print; bench_produce.c, bench_fetch.c and bench_latency.c measure.
 *
 * Latency is measured from the instant at which a record should have been sent, not from when the
 * generator came to it: a broker that stalls is charged with all that should have happened
 * meanwhile. Figures go to stdout; a record that failed makes the exit status 1.
 */
#include "cli/cli.h"

#include "base/mem.h"
#include "cli/bench_run.h"

#include <string.h>

struct bench {
    struct bench_options o;
    bool printed; /* something stands in the JSON object already */
    bool failed;
};

static void begin(struct bench *b, const char *verb)
{
    if (b->o.json)
        printf("%s\"%s\": ", b->printed ? ", " : "{", verb);
    b->printed = true;
}

static void print_failed(struct bench *b, uint64_t failed, uint64_t lost,
                         const struct err_text *text)
{
    if (!failed && !lost)
        return;
    b->failed = true;
    fprintf(stderr, "weir bench: %llu records failed, %llu did not come back; %s\n",
            (unsigned long long)failed, (unsigned long long)lost, text->s);
}

static void print_rate(struct bench *b, const char *verb, const struct bench_rate *r)
{
    double seconds = r->seconds > 0 ? r->seconds : 1e-6;
    double per_second = (double)r->records / seconds, mb = (double)r->bytes / seconds / 1e6;
    double cpu = r->records ? r->cpu_seconds * 1e6 / (double)r->records : 0;
    begin(b, verb);
    if (b->o.json)
        printf("{\"records\": %llu, \"failed\": %llu, \"bytes\": %llu, \"seconds\": %.6f, "
               "\"records_per_second\": %.0f, \"megabytes_per_second\": %.1f, "
               "\"client_cpu_seconds\": %.3f, \"client_cpu_seconds_per_million\": %.3f}",
               (unsigned long long)r->records, (unsigned long long)r->failed,
               (unsigned long long)r->bytes, r->seconds, per_second, mb, r->cpu_seconds, cpu);
    else
        printf("%-8s %12.0f records/s %9.1f MB/s   %llu records in %.2f s, client CPU %.2f s "
               "(%.2f s per million)\n",
               verb, per_second, mb, (unsigned long long)r->records, r->seconds, r->cpu_seconds,
               cpu);
}

static void print_delay(struct bench *b, const char *what, const struct bench_hist *h)
{
    static const struct {
        const char *name;
        double percent;
    } marks[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}, {"max", 100}};
    if (b->o.json)
        printf("\"%s_ms\": {\"count\": %llu, \"mean\": %.3f", what, (unsigned long long)h->count,
               bench_hist_mean_us(h) / 1e3);
    else
        printf("%8s %-12s", "", what);
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        printf(b->o.json ? ", \"%s\": %.3f" : "  %s %8.3f ms", marks[i].name,
               (double)bench_hist_percentile_us(h, marks[i].percent) / 1e3);
    printf(b->o.json ? "}" : "\n");
}

static void print_delays(struct bench *b, const char *verb, const struct bench_delays *d)
{
    double seconds = d->seconds > 0 ? d->seconds : 1e-6;
    begin(b, verb);
    if (b->o.json)
        printf("{\"records\": %llu, \"failed\": %llu, \"lost\": %llu, \"seconds\": %.6f, "
               "\"records_per_second\": %.0f, \"client_cpu_seconds\": %.3f, ",
               (unsigned long long)d->sent, (unsigned long long)d->failed,
               (unsigned long long)d->lost, d->seconds, (double)d->sent / seconds, d->cpu_seconds);
    else
        printf("%-8s %12.0f records/s   %llu records in %.2f s, client CPU %.2f s\n", verb,
               (double)d->sent / seconds, (unsigned long long)d->sent, d->seconds, d->cpu_seconds);
    print_delay(b, "acknowledged", &d->acknowledged);
    if (b->o.json)
        printf(", ");
    print_delay(b, "received", &d->received);
    if (b->o.json)
        printf("}");
}

static enum err do_produce(struct bench *b, struct err_text *text)
{
    struct bench_rate r;
    enum err err = bench_produce(&b->o, &r, text);
    if (err)
        return err;
    print_rate(b, "produce", &r);
    print_failed(b, r.failed, 0, text);
    return ERR_OK;
}

static enum err do_fetch(struct bench *b, struct err_text *text)
{
    struct bench_rate r;
    enum err err = bench_fetch(&b->o, &r, text);
    if (err)
        return err;
    print_rate(b, "fetch", &r);
    print_failed(b, r.failed, 0, text);
    return ERR_OK;
}

static enum err do_delays(struct bench *b, bool single, struct err_text *text)
{
    struct bench_delays *d = mem_alloc(sizeof *d);
    enum err err = bench_latency(&b->o, single, d, text);
    if (!err) {
        print_delays(b, single ? "single" : "latency", d);
        print_failed(b, d->failed, d->lost, text);
    }
    mem_free(d);
    return err;
}

static enum err do_latency(struct bench *b, struct err_text *text)
{
    return do_delays(b, false, text);
}

static enum err do_single(struct bench *b, struct err_text *text)
{
    return do_delays(b, true, text);
}

typedef enum err verb_fn(struct bench *b, struct err_text *text);

static const struct {
    const char *name;
    verb_fn *run;
} verbs[] = {
    {"produce", do_produce},
    {"fetch", do_fetch},
    {"latency", do_latency},
    {"single", do_single},
};

/* Runs the verb, or each of them for "all". False: there is no such verb. */
static bool run(struct bench *b, const char *name, enum err *err, struct err_text *text)
{
    bool all = !strcmp(name, "all"), found = false;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0] && !*err; i++) {
        if (!all && strcmp(name, verbs[i].name) != 0)
            continue;
        found = true;
        *err = verbs[i].run(b, text);
        if (!b->o.json)
            fflush(stdout);
    }
    return found;
}

int cli_bench(int argc, char **argv)
{
    struct bench b = {0};
    struct err_text text = {0};
    const char *verb;
    size_t n;
    int begun = options_begin(&bench_option_set, argc, argv, &b.o, &verb, &n);
    if (begun)
        return begun - 1;
    if (bench_options_check(&b.o, &text)) {
        fprintf(stderr, "%s\n", text.s);
        return 2;
    }
    enum err err = ERR_OK;
    if (!run(&b, verb, &err, &text)) {
        fprintf(stderr, "'%s' is not a measurement\nusage: %s\n", verb, bench_option_set.usage);
        return 2;
    }
    if (b.o.json && b.printed)
        printf("}\n");
    if (err)
        fprintf(stderr, "weir bench: %s\n", text.s[0] ? text.s : err_meaning(err));
    return err || b.failed ? 1 : 0;
}
