/* models.c: what a score costs: `models MODEL.json` scores random rows, of which one value in ten
 * is missing, one by one and in batches.
 *
 * CPU time of this process; the best of ROUNDS rounds, because what else runs on the machine only
 * adds. Prints one JSON object: nanoseconds a row.
 */
#include "flow/xgboost.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    ROUNDS = 7,
    ROUND_NS = 40 * 1000 * 1000,
    ROWS = 4096,
};

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct xgboost *load(const char *path, double *read_ms)
{
    FILE *f = fopen(path, "rb");
    char *text = malloc(XGBOOST_BYTES_MAX);
    struct xgboost *m = NULL;
    struct err_text why;
    if (f == NULL || text == NULL) {
        fprintf(stderr, "models: %s cannot be read\n", path);
        exit(1);
    }
    size_t n = fread(text, 1, XGBOOST_BYTES_MAX, f);
    fclose(f);
    uint64_t from = cpu_ns();
    if (xgboost_read((struct str){text, n}, &m, &why) != ERR_OK) {
        fprintf(stderr, "models: %s: %s\n", path, why.s);
        exit(1);
    }
    *read_ms = (double)(cpu_ns() - from) / 1e6;
    free(text);
    return m;
}

/* Amounts, counts and rates alike: anything from 0 to 300, one in ten missing. */
static float *random_rows(size_t n)
{
    float *rows = malloc(n * sizeof *rows);
    uint64_t x = 88172645463325252u;
    if (rows == NULL)
        abort();
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        float value = (float)(x >> 40) / (float)(1 << 24);
        rows[i] = x % 10 == 0 ? NAN : value * (x % 2 == 0 ? 300.0f : 3.0f);
    }
    return rows;
}

static double measure(const struct xgboost *m, const float *rows, size_t batch)
{
    static float scores[ROWS];
    size_t features = xgboost_about(m).features;
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = 0;
        uint64_t start = cpu_ns(), now = start;
        while (now - start < ROUND_NS) {
            for (size_t at = 0; at + batch <= ROWS; at += batch)
                xgboost_score(m, rows + at * features, batch, scores + at);
            n += ROWS / batch * batch;
            now = cpu_ns();
        }
        double ns = (double)(now - start) / (double)n;
        best = ns < best ? ns : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    static const size_t batches[] = {1, 8, 64, 500};
    double read_ms;
    if (argc != 2) {
        fprintf(stderr, "usage: models MODEL.json\n");
        return 2;
    }
    struct xgboost *m = load(argv[1], &read_ms);
    struct xgboost_about a = xgboost_about(m);
    float *rows = random_rows((size_t)ROWS * a.features);
    printf("{\"trees\": %u, \"nodes\": %u, \"depth\": %u, \"read_ms\": %.2f", a.trees, a.nodes,
           a.depth, read_ms);
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++)
        printf(", \"ns_by_%zu\": %.1f", batches[i], measure(m, rows, batches[i]));
    printf("}\n");
    free(rows);
    xgboost_free(m);
    return 0;
}
