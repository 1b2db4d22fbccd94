/* Model files of XGBoost. The input is the file; what is read as a model scores any row, rows at
 * once and one by one alike, and without reading beyond what is its own. */
#include "fuzz.h"

#include "flow/xgboost.h"

#include <math.h>

#define ROWS 11

static void check_scores(const struct xgboost *m)
{
    struct xgboost_about about = xgboost_about(m);
    weir_assert(about.features >= 1 && about.features <= XGBOOST_FEATURES_MAX);
    weir_assert(about.depth <= XGBOOST_DEPTH_MAX && about.nodes >= about.trees);
    static float rows[ROWS * XGBOOST_FEATURES_MAX];
    static const float values[] = {0, NAN, 1, -1, 0.5f, 1e30f, -1e30f, INFINITY, -INFINITY};
    float all[ROWS], one;
    for (size_t i = 0; i < (size_t)ROWS * about.features; i++)
        rows[i] = values[(i * 7 + i / about.features) % 9];
    xgboost_score(m, rows, ROWS, all);
    for (size_t i = 0; i < ROWS; i++) {
        xgboost_score(m, rows + i * about.features, 1, &one);
        weir_assert(memcmp(&one, &all[i], sizeof one) == 0 || (isnan(one) && isnan(all[i])));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xgboost *m;
    struct err_text why = {""};
    enum err err = xgboost_read((struct str){(const char *)data, size}, &m, &why);
    weir_assert((err == ERR_OK) == (m != NULL) && (err == ERR_OK) == (why.s[0] == '\0'));
    if (err == ERR_OK)
        check_scores(m);
    xgboost_free(m);
    return 0;
}
