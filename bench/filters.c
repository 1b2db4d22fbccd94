/* filters.c: what filters cost: single ones, with and without data, and sets over one event.
 *
 * CPU time of this process; the best of ROUNDS rounds, because what else runs on the machine only
 * adds. The event has ten attributes, which its source finds by comparing names one by one, and a
 * JSON payload of 1 KB (and one of 64 KB). Prints one JSON object: nanoseconds an evaluation of a
 * filter, and nanoseconds an event for sets.
 */
#include "expr/expr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ROUNDS = 7,
    ROUND_NS = 40 * 1000 * 1000,
    SET_MAX = 1000,
};

static const char *const attributes[][2] = {
    {"specversion", "1.0"},
    {"id", "7d1c9a1e-4f6e-4a57-9d53-0e1b6c1f7a10"},
    {"source", "/shop/eu/checkout"},
    {"type", "payment.created"},
    {"subject", "orders/42"},
    {"time", "2024-05-01T10:11:12.345Z"},
    {"datacontenttype", "application/json"},
    {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
    {"partitionkey", "customer-4711"},
    {"region", "eu-central"},
};

struct event {
    struct expr_source source;
    struct str data;
};

static void attribute(const struct expr_source *source, struct str name, struct expr_value *out)
{
    (void)source;
    out->type = EXPR_MISSING;
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
        size_t n = strlen(attributes[i][0]);
        if (n == name.len && memcmp(attributes[i][0], name.at, n) == 0) {
            out->type = EXPR_STRING;
            out->text = (struct str){attributes[i][1], strlen(attributes[i][1])};
            return;
        }
    }
}

static struct str data(const struct expr_source *source)
{
    return ((const struct event *)source)->data;
}

/* A customer, an amount, and items until it has about so many bytes; the last member is `last`. */
static struct str payload(size_t bytes)
{
    char *p = malloc(bytes + 256);
    size_t n = 0, cap = bytes + 256;
    if (p == NULL)
        abort();
    n += (size_t)snprintf(p, cap,
                          "{\"amount\": 129.5, \"currency\": \"EUR\", \"customer\": {\"id\": "
                          "\"c-4711\", \"name\": \"Ann\", \"vip\": true}, \"items\": [");
    for (int i = 0; n + 120 < bytes; i++)
        n += (size_t)snprintf(
            p + n, cap - n,
            "%s{\"sku\": \"A-%05d\", \"quantity\": %d, \"price\": %d.99, \"title\": "
            "\"a thing that is sold\"}",
            i > 0 ? ", " : "", i, i % 5, i);
    n += (size_t)snprintf(p + n, cap - n, "], \"last\": 7}");
    return (struct str){p, n};
}

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct job {
    const struct expr *e; /* or a set */
    const struct expr_set *set;
    const struct expr_source *source;
    uint64_t hits[SET_MAX / 64 + 1];
    size_t matches;
};

static void once(struct job *j)
{
    if (j->set == NULL) {
        j->matches = expr_matches(j->e, j->source);
        return;
    }
    expr_set_match(j->set, j->source, j->hits);
    j->matches = 0;
    for (size_t i = 0; i < sizeof j->hits / sizeof j->hits[0]; i++)
        j->matches += (size_t)__builtin_popcountll(j->hits[i]);
}

static double measure(struct job *j)
{
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = 0, batch = 16;
        uint64_t start = cpu_ns(), now = start;
        while (now - start < ROUND_NS) {
            for (size_t i = 0; i < batch; i++)
                once(j);
            n += batch;
            batch = batch < 4096 ? batch * 2 : batch;
            now = cpu_ns();
        }
        double ns = (double)(now - start) / (double)n;
        best = ns < best ? ns : best;
    }
    return best;
}

static struct expr *compile(const char *text, bool eventgrid)
{
    struct expr *e = NULL;
    struct err_text why;
    struct str source = {text, strlen(text)};
    enum err err =
        eventgrid ? expr_compile_eventgrid(source, &e, &why) : expr_compile_cesql(source, &e, &why);
    if (err != ERR_OK) {
        fprintf(stderr, "filters: %s: %s\n", text, why.s);
        exit(1);
    }
    return e;
}

static const struct {
    const char *name, *text;
    bool large, eventgrid;
} singles[] = {
    {"type", "type = 'payment.created'", false, false},
    {"type_and_source_like", "type = 'payment.created' AND source LIKE '/shop/%'", false, false},
    {"type_in_8", "type IN ('a', 'b', 'c', 'd', 'e', 'f', 'g', 'payment.created')", false, false},
    {"like_contains", "source LIKE '%check%'", false, false},
    {"functions", "LOWER(LEFT(subject, 6)) = 'orders'", false, false},
    {"arithmetic", "LENGTH(subject) * 2 + 1 > 5 AND INT('7') = 7", false, false},
    {"not_taken_data", "type = 'other' AND data.amount > 100", false, false},
    {"one_path_1kb", "data.amount > 100", false, false},
    {"three_paths_1kb", "data.amount > 100 AND data.customer.vip AND data.items[2].sku = 'A-00002'",
     false, false},
    {"last_path_1kb", "data.last = 7", false, false},
    {"last_path_64kb", "data.last = 7", true, false},
    {"eventgrid_subject", "{\"subjectBeginsWith\": \"ORDERS/\"}", false, true},
    {"eventgrid_types_and_data",
     "{\"includedEventTypes\": [\"Payment.Created\"], \"advancedFilters\": [{\"operatorType\": "
     "\"NumberGreaterThan\", \"key\": \"data.amount\", \"value\": 100}]}",
     false, true},
};

/* Filter i of n of a mixed set: eight in ten are equalities of the type, which 100 types share. */
static void mixed(char *out, size_t cap, int i)
{
    if (i % 10 < 7)
        snprintf(out, cap, "type = 'kind.%d'", i % 100);
    else if (i % 10 == 7)
        snprintf(out, cap, "type = 'payment.created' AND data.amount > %d", i);
    else if (i % 10 == 8)
        snprintf(out, cap, "source LIKE '/shop/%d/%%'", i);
    else
        snprintf(out, cap, "data.customer.id = 'c-%d' OR data.items[%d].quantity > 3", i, i % 8);
}

static void print_sets(const struct expr_source *source)
{
    static const int sizes[] = {1, 100, 1000};
    static const char *const kinds[] = {"equalities", "mixed"};
    struct expr *exprs[SET_MAX];
    for (size_t kind = 0; kind < 2; kind++) {
        for (size_t s = 0; s < 3; s++) {
            for (int i = 0; i < sizes[s]; i++) {
                char text[128];
                snprintf(text, sizeof text, "type = 'payment.%s%d'", i == 0 ? "created" : "x", i);
                if (kind == 1)
                    mixed(text, sizeof text, i + 7);
                exprs[i] = compile(i == 0 ? "type = 'payment.created'" : text, false);
            }
            struct expr_set *set =
                expr_set_make((const struct expr *const *)exprs, (size_t)sizes[s]);
            struct job j = {.set = set, .source = source};
            double ns = measure(&j);
            printf(", \"set_%s_%d\": {\"ns\": %.0f, \"matches\": %zu}", kinds[kind], sizes[s], ns,
                   j.matches);
            expr_set_free(set);
            for (int i = 0; i < sizes[s]; i++)
                expr_free(exprs[i]);
        }
    }
}

int main(void)
{
    struct event event = {{attribute, data}, payload(1024)},
                 large = {{attribute, data}, payload(65536)};
    printf("{\"payload_bytes\": %zu", event.data.len);
    for (size_t i = 0; i < sizeof singles / sizeof singles[0]; i++) {
        struct expr *e = compile(singles[i].text, singles[i].eventgrid);
        struct job j = {.e = e, .source = singles[i].large ? &large.source : &event.source};
        double ns = measure(&j);
        printf(", \"%s\": {\"ns\": %.1f, \"matches\": %zu}", singles[i].name, ns, j.matches);
        expr_free(e);
    }
    print_sets(&event.source);
    printf("}\n");
    free((char *)event.data.at);
    free((char *)large.data.at);
    return 0;
}
