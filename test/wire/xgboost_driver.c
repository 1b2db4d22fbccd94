/* weir's scorer on its own: `xgboost_driver MODEL [ROWS]` reads rows of float32 from stdin and
 * writes their scores as float32 to stdout, ROWS (default: 500) of them in one call. A model that
 * is refused: why on stderr, exit status 1. */
#include "flow/xgboost.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct str load(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *at = mem_alloc(XGBOOST_BYTES_MAX + 1);
    if (f == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    size_t n = fread(at, 1, XGBOOST_BYTES_MAX + 1, f);
    fclose(f);
    return (struct str){at, n};
}

static int score(const struct xgboost *m, size_t rows_max)
{
    size_t features = xgboost_about(m).features, n;
    float *rows = mem_alloc(rows_max * features * sizeof(float));
    float *scores = mem_alloc(rows_max * sizeof(float));
    bool ok = true;
    while (ok && (n = fread(rows, features * sizeof(float), rows_max, stdin)) > 0) {
        xgboost_score(m, rows, n, scores);
        ok = fwrite(scores, sizeof(float), n, stdout) == n;
    }
    mem_free(rows);
    mem_free(scores);
    return ok ? 0 : 2;
}

int main(int argc, char **argv)
{
    long rows = argc > 2 ? strtol(argv[2], NULL, 10) : 500;
    if (argc < 2 || rows < 1) {
        fprintf(stderr, "usage: xgboost_driver MODEL [ROWS]\n");
        return 2;
    }
    struct err_text why = {""};
    struct xgboost *m;
    struct str file = load(argv[1]);
    if (xgboost_read(file, &m, &why) != ERR_OK) {
        fprintf(stderr, "%s\n", why.s);
        return 1;
    }
    int rc = score(m, (size_t)rows);
    xgboost_free(m);
    mem_free((char *)file.at);
    return rc;
}
