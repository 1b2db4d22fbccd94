/* Scores. Steps of several walks alternate, since each waits for the one before it: of eight rows
 * along one tree, or, for what is left, of one row along eight trees. */
#include "flow/xgboost_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <math.h>

#define LANES 8
#define EXP_MAX 88.7f      /* libxgboost's: e^x is a float */
#define SIGMOID_EPS 1e-16f /* likewise: no division by 0 */

const struct xgboost_objective xgboost_objectives[] = {
    {"binary:logistic", XGBOOST_LOGISTIC},
    {"reg:logistic", XGBOOST_LOGISTIC},
    {"binary:logitraw", XGBOOST_IDENTITY},
    {"reg:squarederror", XGBOOST_IDENTITY},
    {"reg:squaredlogerror", XGBOOST_IDENTITY},
    {"reg:absoluteerror", XGBOOST_IDENTITY},
    {"reg:pseudohubererror", XGBOOST_IDENTITY},
    {"count:poisson", XGBOOST_EXP},
    {"reg:gamma", XGBOOST_EXP},
    {"reg:tweedie", XGBOOST_EXP},
    {NULL, XGBOOST_IDENTITY},
};

float xgboost_margin(const struct xgboost_objective *o, float base_score)
{
    switch (o->link) {
    case XGBOOST_LOGISTIC:
        return -logf(1.0f / base_score - 1.0f);
    case XGBOOST_EXP:
        return logf(base_score);
    case XGBOOST_IDENTITY:
        break;
    }
    return base_score;
}

static float linked(enum xgboost_link link, float sum)
{
    switch (link) {
    case XGBOOST_LOGISTIC:
        return 1.0f / (expf(-sum < EXP_MAX ? -sum : EXP_MAX) + 1.0f + SIGMOID_EPS);
    case XGBOOST_EXP:
        return expf(sum);
    case XGBOOST_IDENTITY:
        break;
    }
    return sum;
}

/* at: roots in, leaves out. */
static void walk(const struct xgboost *m, uint32_t depth, const float *const rows[LANES],
                 uint32_t at[LANES])
{
    for (uint32_t step = 0; step < depth; step++) {
        for (unsigned i = 0; i < LANES; i++) {
            struct xgboost_node n = m->nodes[at[i]];
            float x = rows[i][n.bits >> XGBOOST_CHILD_BITS & XGBOOST_FEATURE_MASK];
            uint32_t missing = (uint32_t)(x != x) & n.bits >> XGBOOST_RIGHT_BIT;
            at[i] = (n.bits & XGBOOST_CHILD_MASK) + ((uint32_t)(x >= n.limit) | missing);
        }
    }
}

static void score_rows(const struct xgboost *m, const float *rows, float *scores)
{
    const float *row[LANES];
    float sum[LANES];
    for (unsigned i = 0; i < LANES; i++) {
        row[i] = rows + (size_t)i * m->features;
        sum[i] = m->margin;
    }
    for (uint32_t t = 0; t < m->trees_n; t++) {
        const struct xgboost_tree *tree = &m->trees[t];
        uint32_t at[LANES];
        for (unsigned i = 0; i < LANES; i++)
            at[i] = tree->root;
        walk(m, tree->depth, row, at);
        for (unsigned i = 0; i < LANES; i++)
            sum[i] += m->leaves[at[i]] * tree->weight;
    }
    for (unsigned i = 0; i < LANES; i++)
        scores[i] = linked(m->objective->link, sum[i]);
}

static float score_row(const struct xgboost *m, const float *row)
{
    const float *same[LANES] = {row, row, row, row, row, row, row, row};
    float sum = m->margin;
    for (uint32_t t = 0; t < m->trees_n; t += LANES) {
        uint32_t at[LANES], depth = 0, n = m->trees_n - t < LANES ? m->trees_n - t : LANES;
        for (uint32_t i = 0; i < LANES; i++) {
            const struct xgboost_tree *tree = &m->trees[t + (i < n ? i : 0)];
            at[i] = tree->root;
            depth = tree->depth > depth ? tree->depth : depth;
        }
        walk(m, depth, same, at);
        for (uint32_t i = 0; i < n; i++)
            sum += m->leaves[at[i]] * m->trees[t + i].weight;
    }
    return linked(m->objective->link, sum);
}

void xgboost_score(const struct xgboost *m, const float *rows, size_t n, float *scores)
{
    size_t i = 0;
    for (; n - i >= LANES; i += LANES)
        score_rows(m, rows + i * m->features, scores + i);
    for (; i < n; i++)
        scores[i] = score_row(m, rows + i * m->features);
}

struct xgboost_about xgboost_about(const struct xgboost *m)
{
    return (struct xgboost_about){.features = m->features,
                                  .trees = m->trees_n,
                                  .nodes = m->nodes_n - 1,
                                  .depth = m->depth,
                                  .objective = m->objective->name};
}

void xgboost_free(struct xgboost *m)
{
    if (m == NULL)
        return;
    mem_free(m->nodes);
    mem_free(m->leaves);
    mem_free(m->trees);
    mem_free(m);
}
