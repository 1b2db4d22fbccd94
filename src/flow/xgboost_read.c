/* Reads a model file: its members by tables, each at its place, in any order; then each tree, node
 * by node from its root, into the compiled form. */
#include "flow/xgboost_internal.h"

#include "base/json.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

#define NUMBER_CHARS_MAX 64
#define SHOWN 48 /* characters of what is quoted in errors */
#define ROOM_FIRST 1024u

struct reader {
    struct xgboost *m;
    struct err_text *text;
    enum err err;
    /* Seen in the file */
    bool trees_seen, base_seen;
    struct jr_value weights; /* dart; text.at NULL: none */
    /* Of one tree */
    int32_t *left, *right, *feature, *missing_left;
    float *value;
    int32_t *depth;       /* -1: not reached from the root yet */
    int32_t *order;       /* nodes in that of their depth */
    uint32_t room;        /* nodes that these have room for */
    int32_t feature_most; /* of all trees */
};

typedef bool member_fn(struct reader *r, struct jr *j);

struct member {
    const char *name;
    member_fn *read;
};

#define FAIL(r, ...) ((r)->err = err_say((r)->text, ERR_REQUEST_INVALID, __VA_ARGS__), false)
#define QUOTED(s) (int)((s).len < SHOWN ? (s).len : SHOWN), (s).at

static bool no_memory(struct reader *r)
{
    r->err = err_say(r->text, ERR_MEMORY, "there is no memory for this model");
    return false;
}

/* ---- values --------------------------------------------------------------------------------- */

/* XGBoost writes most numbers of its parameters as strings. */
static bool number_text(struct reader *r, struct jr *j, const char *what, struct str *out)
{
    struct jr_value v;
    if (!jr_value(j, &v))
        return false;
    if (v.type != JR_NUMBER && v.type != JR_STRING)
        return FAIL(r, "%s must be a number", what);
    *out = v.text;
    return true;
}

static bool to_float(struct reader *r, struct str s, const char *what, float *out)
{
    char copy[NUMBER_CHARS_MAX], *end;
    bool fits = str_copy(copy, sizeof(copy), s);
    float f = strtof(copy, &end);
    if (!fits || s.len == 0 || *end != '\0' || !isfinite(f))
        return FAIL(r, "%s must be a finite number: \"%.*s\"", what, QUOTED(s));
    *out = f;
    return true;
}

static bool to_count(struct reader *r, struct str s, const char *what, int64_t *out)
{
    if (str_to_i64(s, out) != ERR_OK || *out < 0)
        return FAIL(r, "%s must be a whole number from 0 on: \"%.*s\"", what, QUOTED(s));
    return true;
}

static bool read_count(struct reader *r, struct jr *j, const char *what, int64_t *out)
{
    struct str s;
    return number_text(r, j, what, &s) && to_count(r, s, what, out);
}

static bool skip(struct jr *j)
{
    struct jr_value v;
    return jr_value(j, &v);
}

/* Calls who reads a member, for each that is known. */
static bool read_object(struct reader *r, struct jr *j, const struct member *members)
{
    struct jr_value name;
    bool ok = jr_object(j);
    while (ok && jr_member(j, &name)) {
        const struct member *m = members;
        while (m->name != NULL && !str_is(name.text, m->name))
            m++;
        ok = m->name != NULL ? m->read(r, j) : skip(j);
    }
    return ok && j->bad == NULL;
}

/* ---- a tree: its arrays --------------------------------------------------------------------- */

static bool scratch(struct reader *r, uint32_t n)
{
    if (n <= r->room)
        return true;
    void **arrays[] = {(void **)&r->left,  (void **)&r->right, (void **)&r->feature,
                       (void **)&r->order, (void **)&r->value, (void **)&r->missing_left,
                       (void **)&r->depth};
    size_t cap = n < ROOM_FIRST ? ROOM_FIRST : n;
    r->room = 0;
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        mem_free(*arrays[i]);
        *arrays[i] = mem_try(cap * sizeof(int32_t));
        if (*arrays[i] == NULL)
            return no_memory(r);
    }
    r->room = (uint32_t)cap;
    return true;
}

/* Arrays of a tree that are read. */
#define TREE_ARRAYS(X)                                                                             \
    X(left_children, true)                                                                         \
    X(right_children, true)                                                                        \
    X(split_indices, true)                                                                         \
    X(split_conditions, true)                                                                      \
    X(default_left, true)                                                                          \
    X(split_type, false)                                                                           \
    X(categories_nodes, false)

enum tree_array {
#define X(name, needed) ARRAY_##name,
    TREE_ARRAYS(X)
#undef X
        ARRAYS
};

static const struct {
    const char *name;
    bool needed;
} tree_arrays[ARRAYS] = {
#define X(name, needed) {#name, needed},
    TREE_ARRAYS(X)
#undef X
};

/* An array of numbers holds no other comma than those between them. */
static uint32_t elements(struct str array)
{
    uint32_t n = 0;
    for (size_t i = 1; i + 1 < array.len; i++) {
        bool blank =
            array.at[i] == ' ' || array.at[i] == '\n' || array.at[i] == '\r' || array.at[i] == '\t';
        if (array.at[i] == ',' || (n == 0 && !blank))
            n++;
        if (n > XGBOOST_NODES_MAX)
            break;
    }
    return n;
}

/* A whole number of at most 31 bits; true and false are 1 and 0. */
static bool to_index(struct reader *r, const struct jr_value *v, const char *what, int32_t *out)
{
    int64_t n = v->type == JR_BOOLEAN && v->text.at[0] == 't';
    bool ok = v->type == JR_BOOLEAN || (v->type == JR_NUMBER && str_to_i64(v->text, &n) == ERR_OK);
    if (!ok || n < INT32_MIN || n > INT32_MAX)
        return FAIL(r, "tree %u: %s must hold whole numbers: \"%.*s\"", r->m->trees_n, what,
                    QUOTED(v->text));
    *out = (int32_t)n;
    return true;
}

static bool read_array(struct reader *r, struct str array, const char *what, uint32_t n,
                       int32_t *whole, float *real)
{
    struct jr j;
    struct jr_value v;
    uint32_t i = 0;
    bool ok = true;
    jr_init(&j, array);
    jr_array(&j);
    for (; ok && jr_element(&j); i++) {
        if (i == n || !jr_value(&j, &v))
            break;
        if (whole != NULL)
            ok = to_index(r, &v, what, &whole[i]);
        else
            ok = v.type == JR_NUMBER ? to_float(r, v.text, what, &real[i])
                                     : FAIL(r, "%s must hold numbers", what);
    }
    if (ok && (i != n || j.bad != NULL || j.at != j.end))
        return FAIL(r, "tree %u: %s does not have %u elements as left_children has", r->m->trees_n,
                    what, n);
    return ok;
}

/* Splits by category have sets beside the arrays; those of other nodes are empty. */
static bool refuse_categories(struct reader *r, const struct jr_value at[ARRAYS], uint32_t n)
{
    struct str types = at[ARRAY_split_type].text, nodes = at[ARRAY_categories_nodes].text;
    bool found = nodes.at != NULL && elements(nodes) > 0;
    if (!found && types.at != NULL && elements(types) > 0) {
        if (!read_array(r, types, "split_type", n, r->order, NULL))
            return false;
        for (uint32_t i = 0; i < n; i++)
            found |= r->order[i] != 0;
    }
    return !found || FAIL(r, "tree %u: splits by category, which is not supported", r->m->trees_n);
}

static bool read_arrays(struct reader *r, const struct jr_value at[ARRAYS], uint32_t n)
{
    return read_array(r, at[ARRAY_left_children].text, "left_children", n, r->left, NULL) &&
           read_array(r, at[ARRAY_right_children].text, "right_children", n, r->right, NULL) &&
           read_array(r, at[ARRAY_split_indices].text, "split_indices", n, r->feature, NULL) &&
           read_array(r, at[ARRAY_default_left].text, "default_left", n, r->missing_left, NULL) &&
           read_array(r, at[ARRAY_split_conditions].text, "split_conditions", n, NULL, r->value);
}

static bool read_leaf_size(struct reader *r, struct jr *j)
{
    int64_t n;
    return read_count(r, j, "size_leaf_vector", &n) &&
           (n <= 1 ||
            FAIL(r, "a leaf has %lld values; more than one output is not supported", (long long)n));
}

static bool check_tree_param(struct reader *r, struct str param)
{
    static const struct member members[] = {{"size_leaf_vector", read_leaf_size}, {NULL, NULL}};
    struct jr j;
    jr_init(&j, param);
    return read_object(r, &j, members) ||
           (r->err == ERR_OK && FAIL(r, "tree_param must be an object"));
}

/* ---- a tree: its nodes ---------------------------------------------------------------------- */

/* Room for n more; what is there moves. */
static bool grow(void **array, size_t size, uint32_t used, uint32_t cap)
{
    void *more = mem_try((size_t)cap * size);
    if (more == NULL)
        return false;
    if (used > 0)
        memcpy(more, *array, (size_t)used * size);
    mem_free(*array);
    *array = more;
    return true;
}

static uint32_t more_room(uint32_t cap, uint32_t needed)
{
    uint32_t twice = cap < ROOM_FIRST ? ROOM_FIRST : cap * 2;
    return twice < needed ? needed : twice;
}

static bool reserve(struct reader *r, uint32_t n)
{
    struct xgboost *m = r->m;
    uint32_t used = m->nodes_cap > 0 ? m->nodes_n : 0; /* node 0 is not used, but there */
    if (m->nodes_n + n > m->nodes_cap) {
        uint32_t cap = more_room(m->nodes_cap, m->nodes_n + n);
        if (!grow((void **)&m->nodes, sizeof(*m->nodes), used, cap) ||
            !grow((void **)&m->leaves, sizeof(*m->leaves), used, cap))
            return no_memory(r);
        m->nodes_cap = cap;
    }
    if (m->trees_n == m->trees_cap) {
        uint32_t cap = more_room(m->trees_cap, m->trees_n + 1);
        if (!grow((void **)&m->trees, sizeof(*m->trees), m->trees_n, cap))
            return no_memory(r);
        m->trees_cap = cap;
    }
    return true;
}

static bool check_child(struct reader *r, int32_t of, int32_t child, uint32_t n)
{
    if (child < 0 || (uint32_t)child >= n)
        return FAIL(r, "tree %u: node %d has node %d of %u as a child", r->m->trees_n, of, child,
                    n);
    if (r->depth[child] >= 0)
        return FAIL(r, "tree %u: node %d has two parents", r->m->trees_n, child);
    r->depth[child] = r->depth[of] + 1;
    return true;
}

static bool check_split(struct reader *r, int32_t i, uint32_t n)
{
    if (!check_child(r, i, r->left[i], n) || !check_child(r, i, r->right[i], n))
        return false;
    if (r->feature[i] < 0 || (uint32_t)r->feature[i] >= XGBOOST_FEATURES_MAX)
        return FAIL(r, "tree %u: node %d splits feature %d; only %u are possible", r->m->trees_n, i,
                    r->feature[i], XGBOOST_FEATURES_MAX);
    if (r->feature[i] > r->feature_most)
        r->feature_most = r->feature[i];
    if ((uint32_t)r->depth[i] == XGBOOST_DEPTH_MAX)
        return FAIL(r, "tree %u: is deeper than %u", r->m->trees_n, XGBOOST_DEPTH_MAX);
    return true;
}

static bool place_leaf(struct reader *r, int32_t i, uint32_t self)
{
    r->m->nodes[self] =
        (struct xgboost_node){-INFINITY, (self - 1) | (uint32_t)1 << XGBOOST_RIGHT_BIT};
    r->m->leaves[self] = r->value[i];
    return r->right[i] == -1 ||
           FAIL(r, "tree %u: node %d has a right child, but no left one", r->m->trees_n, i);
}

/* Node i at `self`, its children from `child` on. */
static bool place_split(struct reader *r, int32_t i, uint32_t self, uint32_t child, uint32_t n)
{
    if (!check_split(r, i, n))
        return false;
    uint32_t missing_right = r->missing_left[i] == 0;
    r->m->nodes[self] =
        (struct xgboost_node){r->value[i], child | (uint32_t)r->feature[i] << XGBOOST_CHILD_BITS |
                                               missing_right << XGBOOST_RIGHT_BIT};
    r->m->leaves[self] = 0;
    return true;
}

/* What the root leads to; XGBoost leaves nodes that were pruned in its arrays. A node has one
 * parent, so there are no cycles, and never more than n. */
static bool place_nodes(struct reader *r, uint32_t n)
{
    struct xgboost *m = r->m;
    uint32_t end = 1;
    for (uint32_t i = 0; i < n; i++)
        r->depth[i] = -1;
    r->order[0] = 0;
    r->depth[0] = 0;
    for (uint32_t k = 0; k < end; k++) {
        int32_t i = r->order[k];
        uint32_t self = m->nodes_n + k;
        if (r->left[i] == -1) {
            if (!place_leaf(r, i, self))
                return false;
            continue;
        }
        if (!place_split(r, i, self, m->nodes_n + end, n))
            return false;
        r->order[end++] = r->left[i];
        r->order[end++] = r->right[i];
    }
    uint32_t depth = (uint32_t)r->depth[r->order[end - 1]];
    m->trees[m->trees_n++] = (struct xgboost_tree){m->nodes_n, depth, 1};
    m->nodes_n += end;
    m->depth = depth > m->depth ? depth : m->depth;
    return true;
}

static bool compile_tree(struct reader *r, const struct jr_value at[ARRAYS])
{
    uint32_t trees = r->m->trees_n;
    for (unsigned i = 0; i < ARRAYS; i++) {
        bool there = at[i].text.at != NULL;
        if (tree_arrays[i].needed && !there)
            return FAIL(r, "tree %u: %s is missing", trees, tree_arrays[i].name);
        if (there && at[i].type != JR_ARRAY)
            return FAIL(r, "tree %u: %s must be an array", trees, tree_arrays[i].name);
    }
    uint32_t n = elements(at[ARRAY_left_children].text);
    if (n == 0)
        return FAIL(r, "tree %u: left_children is empty", trees);
    if (trees == XGBOOST_TREES_MAX || n > XGBOOST_NODES_MAX - r->m->nodes_n)
        return FAIL(r, "the model has more than %u trees or %u nodes", XGBOOST_TREES_MAX,
                    XGBOOST_NODES_MAX);
    if (!scratch(r, n) || !reserve(r, n) || !read_arrays(r, at, n) || !refuse_categories(r, at, n))
        return false;
    return place_nodes(r, n);
}

/* The arrays are found first: in a file they stand in any order. */
static bool read_tree(struct reader *r, struct jr *j)
{
    struct jr_value at[ARRAYS] = {{.text = {NULL, 0}}}, name, v;
    bool ok = jr_object(j);
    while (ok && jr_member(j, &name)) {
        ok = jr_value(j, &v);
        for (unsigned i = 0; ok && i < ARRAYS; i++) {
            if (str_is(name.text, tree_arrays[i].name))
                at[i] = v;
        }
        if (ok && str_is(name.text, "tree_param"))
            ok = check_tree_param(r, v.text);
    }
    return ok && j->bad == NULL && compile_tree(r, at);
}

/* ---- the model ------------------------------------------------------------------------------ */

static bool read_trees(struct reader *r, struct jr *j)
{
    if (r->trees_seen)
        return FAIL(r, "trees is there twice");
    r->trees_seen = true;
    bool ok = jr_array(j);
    while (ok && jr_element(j))
        ok = read_tree(r, j);
    return ok && j->bad == NULL;
}

/* The output that each tree adds to. */
static bool read_tree_info(struct reader *r, struct jr *j)
{
    struct jr_value v;
    bool ok = jr_array(j);
    while (ok && jr_element(j)) {
        ok = jr_value(j, &v);
        if (ok && !str_is(v.text, "0"))
            return FAIL(r,
                        "the model has more than one output (tree_info), which is not supported");
    }
    return ok && j->bad == NULL;
}

static bool read_model(struct reader *r, struct jr *j)
{
    static const struct member members[] = {
        {"trees", read_trees}, {"tree_info", read_tree_info}, {NULL, NULL}};
    return read_object(r, j, members);
}

static bool read_booster_name(struct reader *r, struct jr *j)
{
    struct jr_value v;
    if (!jr_value(j, &v))
        return false;
    return str_is(v.text, "gbtree") || str_is(v.text, "dart") ||
           FAIL(r, "the booster is %.*s; supported are gbtree and dart", QUOTED(v.text));
}

static bool read_weights(struct reader *r, struct jr *j)
{
    return jr_value(j, &r->weights) &&
           (r->weights.type == JR_ARRAY || FAIL(r, "weight_drop must be an array"));
}

static bool read_gbtree(struct reader *r, struct jr *j)
{
    static const struct member members[] = {
        {"model", read_model}, {"name", read_booster_name}, {NULL, NULL}};
    return read_object(r, j, members);
}

static bool read_booster(struct reader *r, struct jr *j)
{
    static const struct member members[] = {{"model", read_model},
                                            {"gbtree", read_gbtree},
                                            {"weight_drop", read_weights},
                                            {"name", read_booster_name},
                                            {NULL, NULL}};
    return read_object(r, j, members);
}

static bool read_objective_name(struct reader *r, struct jr *j)
{
    struct jr_value v;
    if (!jr_value(j, &v))
        return false;
    for (const struct xgboost_objective *o = xgboost_objectives; o->name != NULL; o++) {
        if (str_is(v.text, o->name))
            r->m->objective = o;
    }
    return r->m->objective != NULL ||
           FAIL(r, "the objective %.*s is not supported", QUOTED(v.text));
}

static bool read_objective(struct reader *r, struct jr *j)
{
    static const struct member members[] = {{"name", read_objective_name}, {NULL, NULL}};
    return read_object(r, j, members);
}

static bool read_num_feature(struct reader *r, struct jr *j)
{
    int64_t n;
    if (!read_count(r, j, "num_feature", &n))
        return false;
    if (n < 1 || n > XGBOOST_FEATURES_MAX)
        return FAIL(r, "the model has %lld features; 1 to %u are possible", (long long)n,
                    XGBOOST_FEATURES_MAX);
    r->m->features = (uint32_t)n;
    return true;
}

static bool read_num_class(struct reader *r, struct jr *j)
{
    int64_t n;
    return read_count(r, j, "num_class", &n) &&
           (n <= 1 || FAIL(r, "the model has %lld classes; more than one output is not supported",
                           (long long)n));
}

static bool read_num_target(struct reader *r, struct jr *j)
{
    int64_t n;
    return read_count(r, j, "num_target", &n) &&
           (n <= 1 || FAIL(r, "the model has %lld targets; more than one output is not supported",
                           (long long)n));
}

/* "5E-1", and since 3.1 "[5E-1]": one for each output. */
static bool read_base_score(struct reader *r, struct jr *j)
{
    struct str s;
    if (!number_text(r, j, "base_score", &s))
        return false;
    if (s.len >= 2 && s.at[0] == '[' && s.at[s.len - 1] == ']')
        s = (struct str){s.at + 1, s.len - 2};
    r->base_seen = true;
    return to_float(r, s, "base_score", &r->m->base_score);
}

static bool read_params(struct reader *r, struct jr *j)
{
    static const struct member members[] = {{"num_feature", read_num_feature},
                                            {"num_class", read_num_class},
                                            {"num_target", read_num_target},
                                            {"base_score", read_base_score},
                                            {NULL, NULL}};
    return read_object(r, j, members);
}

static bool read_learner(struct reader *r, struct jr *j)
{
    static const struct member members[] = {{"gradient_booster", read_booster},
                                            {"learner_model_param", read_params},
                                            {"objective", read_objective},
                                            {NULL, NULL}};
    return read_object(r, j, members);
}

/* ---- all together --------------------------------------------------------------------------- */

static bool apply_weights(struct reader *r)
{
    struct xgboost *m = r->m;
    uint32_t n = m->trees_n;
    if (r->weights.text.at == NULL || n == 0)
        return true;
    if (!scratch(r, n) || !read_array(r, r->weights.text, "weight_drop", n, NULL, r->value))
        return false;
    for (uint32_t i = 0; i < n; i++)
        m->trees[i].weight = r->value[i];
    return true;
}

static bool complete(struct reader *r)
{
    struct xgboost *m = r->m;
    if (!r->trees_seen)
        return FAIL(r, "learner.gradient_booster.model.trees is missing");
    if (m->features == 0)
        return FAIL(r, "learner.learner_model_param.num_feature is missing");
    if (m->objective == NULL)
        return FAIL(r, "learner.objective.name is missing");
    if (!r->base_seen)
        return FAIL(r, "learner.learner_model_param.base_score is missing");
    if (r->feature_most >= (int32_t)m->features)
        return FAIL(r, "a tree splits feature %d, but num_feature is %u", r->feature_most,
                    m->features);
    if (!apply_weights(r))
        return false;
    m->margin = xgboost_margin(m->objective, m->base_score);
    return isfinite(m->margin) ||
           FAIL(r, "base_score %g does not go with %s", (double)m->base_score, m->objective->name);
}

static bool read_file(struct reader *r, struct str file)
{
    static const struct member members[] = {{"learner", read_learner}, {NULL, NULL}};
    struct jr j;
    jr_init(&j, file);
    if (read_object(r, &j, members) && jr_end(&j))
        return complete(r);
    return r->err != ERR_OK ||
           FAIL(r, "it is no JSON: byte %zu: %s", jr_place(&j), j.bad != NULL ? j.bad : "");
}

static void reader_free(struct reader *r)
{
    mem_free(r->left);
    mem_free(r->right);
    mem_free(r->feature);
    mem_free(r->missing_left);
    mem_free(r->order);
    mem_free(r->value);
    mem_free(r->depth);
}

enum err xgboost_read(struct str file, struct xgboost **out, struct err_text *text)
{
    struct reader r = {.m = mem_zalloc(1, sizeof(*r.m)), .text = text, .feature_most = -1};
    *out = NULL;
    r.m->nodes_n = 1;
    if (file.len > XGBOOST_BYTES_MAX)
        (void)FAIL(&r, "the file is larger than %zu bytes", XGBOOST_BYTES_MAX);
    else
        (void)read_file(&r, file);
    reader_free(&r);
    if (r.err == ERR_OK)
        *out = r.m;
    else
        xgboost_free(r.m);
    return r.err;
}
