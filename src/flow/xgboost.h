/* xgboost.h: a model that XGBoost has trained, read from its JSON file and scored in process.
 *
 *     file (save_model) --xgboost_read--> nodes, 12 bytes each --xgboost_score--> a float a row
 *
 * The score is that of libxgboost, bit for bit: float32 sums in the order of the trees, beginning
 * with the base score, and the objective's function of the sum. Values that are missing are NaN and
 * go to the side that the node names. All trees of the file count; XGBoost's Python class
 * XGBClassifier stops at its best_iteration, if it was trained with early stopping. Of a dart model
 * the sum is that of Booster.predict; its inplace_predict adds in another order.
 *
 * What is read: models as XGBoost 1.7, 2.x and 3.x write them, with booster gbtree or dart, one
 * output, numerical splits, and one of the objectives in xgboost_objectives. Anything else is
 * refused by name, as is a file whose trees are none: each index is checked, no node has two
 * parents, and nothing is deeper than XGBOOST_DEPTH_MAX.
 *
 * Pure: no system call, no clock. A model is immutable; any thread may score with it.
 */
#pragma once

#include "base/str.h"

#define XGBOOST_BYTES_MAX ((size_t)128 << 20) /* of a file */
#define XGBOOST_TREES_MAX 100000u
#define XGBOOST_NODES_MAX 4000000u /* of all trees */
#define XGBOOST_FEATURES_MAX 256u
#define XGBOOST_DEPTH_MAX 256u

struct xgboost;

struct xgboost_about {
    uint32_t features; /* values of a row */
    uint32_t trees, nodes, depth;
    const char *objective; /* "binary:logistic" */
};

/* ERR_REQUEST_INVALID: text says what is wrong, and where. ERR_MEMORY: there is none for it. While
 * it reads it takes at most about 24 bytes for each node of the largest tree beside the model
 * itself; the text stays the caller's, and is not needed afterwards. */
enum err must_use xgboost_read(struct str file, struct xgboost **out, struct err_text *text);
void xgboost_free(struct xgboost *m);
struct xgboost_about xgboost_about(const struct xgboost *m);

/* rows: n times `features` values, row after row; scores: n. */
void xgboost_score(const struct xgboost *m, const float *rows, size_t n, float *scores);
