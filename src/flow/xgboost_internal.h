/* xgboost_internal.h: the compiled form of a model, which xgboost_read.c makes and xgboost.c walks.
 * Inside of flow/ only.
 *
 * The trees stand one after the other, each with its nodes by depth, so that the two children of a
 * node are neighbours and one index names both:
 *
 *     bits   0-21  the left child; the right one follows it
 *           22-29  the feature that is compared
 *              30  a missing value goes to the right
 *
 * A leaf leads to itself: its limit is below everything, and the node before it is its "left
 * child". So a walk of `depth` steps ends at the leaf wherever that is, without a branch. Node 0 is
 * not used.
 */
#pragma once

#include "flow/xgboost.h"

#define XGBOOST_CHILD_BITS 22
#define XGBOOST_CHILD_MASK (((uint32_t)1 << XGBOOST_CHILD_BITS) - 1)
#define XGBOOST_FEATURE_MASK 0xffu
#define XGBOOST_RIGHT_BIT 30
#define XGBOOST_OBJECTIVE_MAX 32

_Static_assert(XGBOOST_NODES_MAX < XGBOOST_CHILD_MASK, "a node's index must fit");
_Static_assert(XGBOOST_FEATURES_MAX - 1 <= XGBOOST_FEATURE_MASK, "a feature's must, too");

struct xgboost_node {
    float limit; /* what is less goes to the left */
    uint32_t bits;
};

struct xgboost_tree {
    uint32_t root, depth;
    float weight; /* dart: of its leaves; else 1 */
};

/* What becomes of the sum, and how the base score is part of it. */
enum xgboost_link { XGBOOST_IDENTITY, XGBOOST_LOGISTIC, XGBOOST_EXP };

struct xgboost_objective {
    const char *name;
    enum xgboost_link link;
};
/* Ended by a NULL name. */
extern const struct xgboost_objective xgboost_objectives[];

struct xgboost {
    struct xgboost_node *nodes;
    float *leaves; /* the value of each node that is a leaf */
    uint32_t nodes_n, nodes_cap;
    struct xgboost_tree *trees;
    uint32_t trees_n, trees_cap;
    uint32_t features, depth;
    const struct xgboost_objective *objective;
    float base_score;
    float margin; /* what the sum begins with */
};

/* base_score -> margin. */
float xgboost_margin(const struct xgboost_objective *o, float base_score);
