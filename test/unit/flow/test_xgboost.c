/* Models of three versions of XGBoost give the scores that it gave (xgboost/make.py), and files
 * that are no models, or none that can be scored, are refused with a reason. The folder is argv[1].
 */
#include "../check.h"

#include "base/mem.h"
#include "flow/xgboost.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ROWS_MAX 64
#define FILE_MAX 100000

static const char *folder;

static struct str load(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *text = mem_zalloc(1, FILE_MAX);
    size_t n = fread(text, 1, FILE_MAX - 1, f);
    fclose(f);
    return (struct str){text, n};
}

static struct xgboost *read_model(struct str text)
{
    struct xgboost *m = NULL;
    struct err_text why = {""};
    if (xgboost_read(text, &m, &why) != ERR_OK)
        fail_msg("%s", why.s);
    return m;
}

static struct xgboost *load_model(const char *name)
{
    struct str file = load(name);
    struct xgboost *m = read_model(file);
    mem_free((char *)file.at);
    return m;
}

/* ---- the scores ---- */

struct table {
    float rows[ROWS_MAX * 8], scores[ROWS_MAX];
    size_t n;
};

static void load_table(const char *name, size_t features, struct table *t)
{
    struct str file = load(name);
    const char *at = file.at;
    char *end;
    for (t->n = 0; *at && t->n < ROWS_MAX; t->n++) {
        for (size_t i = 0; i < features; i++, at = end)
            t->rows[t->n * features + i] = strtof(at, &end);
        t->scores[t->n] = strtof(at, &end);
        at = end + strspn(end, "\n");
    }
    mem_free((char *)file.at);
}

static void assert_same(const float *a, const float *b, size_t n)
{
    assert_memory_equal(a, b, n * sizeof *a);
}

static void scores_of_xgboost(void **state)
{
    (void)state;
    static const char *const models[] = {
        "logistic-1.7.6", "logitraw-1.7.6", "logistic-2.1.4", "dart-2.1.4", "logistic-3.2.0",
        "logitraw-3.2.0", "squared-3.2.0",  "poisson-3.2.0",  "dart-3.2.0",
    };
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        char name[64];
        struct table t;
        float got[ROWS_MAX];
        snprintf(name, sizeof name, "%s.json", models[i]);
        struct xgboost *m = load_model(name);
        assert_int_equal(xgboost_about(m).features, 4);
        assert_int_equal(xgboost_about(m).trees, 5);
        snprintf(name, sizeof name, "%s.rows", models[i]);
        load_table(name, 4, &t);
        assert_int_equal(t.n, 24);
        xgboost_score(m, t.rows, t.n, got);
        assert_same(got, t.scores, t.n);
        xgboost_free(m);
    }
}

/* However many rows are scored at once. */
static void any_number_of_rows(void **state)
{
    (void)state;
    struct table t;
    float got[ROWS_MAX];
    struct xgboost *m = load_model("logistic-3.2.0.json");
    load_table("logistic-3.2.0.rows", 4, &t);
    for (size_t n = 0; n <= t.n; n++) {
        memset(got, 0, sizeof got);
        xgboost_score(m, t.rows + (t.n - n) * 4, n, got);
        assert_same(got, t.scores + (t.n - n), n);
        assert_true(got[n] == 0);
    }
    xgboost_free(m);
}

/* ---- one tree, by hand ----
 *
 *        0: x1 < 0.5, missing left
 *       /  \
 *   1: 0.25 2: x0 < 2, missing right
 *             /  \
 *         3: -1  4: 4
 */
#define TREE                                                                                       \
    "{\"left_children\":[1,-1,3,-1,-1],\"right_children\":[2,-1,4,-1,-1],"                         \
    "\"split_indices\":[1,0,0,0,0],\"split_conditions\":[5E-1,2.5E-1,2,-1,4],"                     \
    "\"default_left\":[true,false,0,0,0],\"split_type\":[0,0,0,0,0],\"categories_nodes\":[]}"
#define MODEL                                                                                      \
    "{\"version\":[3,2,0],\"learner\":{\"gradient_booster\":{\"name\":\"gbtree\",\"model\":"       \
    "{\"tree_info\":[0],\"trees\":[" TREE "]}},\"objective\":{\"name\":\"reg:squarederror\"},"     \
    "\"learner_model_param\":{\"num_feature\":\"2\",\"num_class\":\"0\",\"num_target\":\"1\","     \
    "\"base_score\":\"[1E0]\"}}}"

static float score_one(const struct xgboost *m, float x0, float x1)
{
    float row[2] = {x0, x1}, score;
    xgboost_score(m, row, 1, &score);
    return score;
}

static void sides(void **state)
{
    (void)state;
    struct xgboost *m = read_model(STR_LIT(MODEL));
    struct xgboost_about about = xgboost_about(m);
    assert_int_equal(about.nodes, 5);
    assert_int_equal(about.depth, 2);
    assert_string_equal(about.objective, "reg:squarederror");
    assert_true(score_one(m, 0, 0.49f) == 1.25f);
    assert_true(score_one(m, 0, NAN) == 1.25f);
    assert_true(score_one(m, 1.99f, 0.5f) == 0.0f);
    assert_true(score_one(m, 2, 0.5f) == 5.0f);
    assert_true(score_one(m, NAN, INFINITY) == 5.0f);
    assert_true(score_one(m, -INFINITY, 1) == 0.0f);
    xgboost_free(m);
}

/* ---- what is refused ---- */

/* The model with `from` replaced. */
static struct str changed(const char *from, const char *to, char *out, size_t cap)
{
    const char *model = MODEL, *at = strstr(model, from);
    assert_non_null(at);
    int n = snprintf(out, cap, "%.*s%s%s", (int)(at - model), model, to, at + strlen(from));
    assert_true(n > 0 && (size_t)n < cap);
    return (struct str){out, (size_t)n};
}

static void assert_refused(struct str text, const char *why)
{
    struct xgboost *m = NULL;
    struct err_text said = {""};
    assert_int_equal(xgboost_read(text, &m, &said), ERR_REQUEST_INVALID);
    assert_null(m);
    if (!strstr(said.s, why))
        fail_msg("\"%s\" does not say \"%s\"", said.s, why);
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *why;
    } cases[] = {
        {"[1,-1,3,", "[1,-1,9,", "tree 0: node 2 has node 9 of 5 as a child"},
        {"[1,-1,3,", "[1,-1,-3,", "node 2 has node -3 of 5"},
        {"[1,-1,3,", "[1,-1,2,", "node 2 has two parents"},
        {"[1,-1,3,", "[1,-1,0,", "node 0 has two parents"},
        {"[1,-1,3,", "[2,-1,3,", "node 2 has two parents"},
        {"[2,-1,4,", "[2,-1,3,", "node 3 has two parents"},
        {"[2,-1,4,", "[2,0,4,", "node 1 has a right child, but no left one"},
        {"[2,-1,4,-1,-1]", "[2,-1,4,-1]", "right_children does not have 5 elements"},
        {"[2,-1,4,-1,-1]", "[2,-1,4,-1,-1,-1]", "right_children does not have 5 elements"},
        {"[2,-1,4,-1,-1]", "7", "right_children must be an array"},
        {"[2,-1,4,-1,-1]", "[2,-1,4.5,-1,-1]", "must hold whole numbers: \"4.5\""},
        {"[2,-1,4,-1,-1]", "[2,-1,99999999999,-1,-1]", "must hold whole numbers"},
        {"\"right_children\"", "\"right\"", "right_children is missing"},
        {"[1,-1,3,-1,-1]", "[ ]", "left_children is empty"},
        {"[5E-1,2.5E-1", "[5E99,2.5E-1", "split_conditions must be a finite number"},
        {"[5E-1,2.5E-1", "[5E-1,null", "split_conditions must hold numbers"},
        {"\"split_indices\":[1,", "\"split_indices\":[2,",
         "splits feature 2, but num_feature is 2"},
        {"\"split_indices\":[1,", "\"split_indices\":[-1,", "splits feature -1"},
        {"\"split_indices\":[1,", "\"split_indices\":[256,", "only 256 are possible"},
        {"\"split_type\":[0,", "\"split_type\":[1,", "splits by category"},
        {"\"categories_nodes\":[]", "\"categories_nodes\":[0]", "splits by category"},
        {"\"num_feature\":\"2\"", "\"num_feature\":\"257\"", "1 to 256 are possible"},
        {"\"num_feature\":\"2\"", "\"num_feature\":\"two\"", "num_feature must be a whole number"},
        {"\"num_feature\":\"2\"", "\"n\":\"2\"", "num_feature is missing"},
        {"\"num_class\":\"0\"", "\"num_class\":\"3\"", "has 3 classes"},
        {"\"num_target\":\"1\"", "\"num_target\":\"2\"", "has 2 targets"},
        {"\"tree_info\":[0]", "\"tree_info\":[1]", "more than one output"},
        {"\"base_score\":\"[1E0]\"", "\"base_score\":\"[1E0,2E0]\"", "base_score must be a finite"},
        {"\"base_score\":\"[1E0]\"", "\"base_score\":true", "base_score must be a number"},
        {"\"base_score\"", "\"base\"", "base_score is missing"},
        {"reg:squarederror", "binary:logistic", "base_score 1 does not go with binary:logistic"},
        {"reg:squarederror", "rank:ndcg", "the objective rank:ndcg is not supported"},
        {"gbtree", "gblinear", "the booster is gblinear"},
        {"\"trees\"", "\"tree\"", "trees is missing"},
        {"\"tree_info\":[0]", "\"trees\":[]", "trees is there twice"},
        {"[2,-1,4,-1,-1]", "[2,-1,4,-1,-1", "it is no JSON: byte "},
        {"\"1\",", "\"1\"", "it is no JSON: byte "},
    };
    char text[4096];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_refused(changed(cases[i].from, cases[i].to, text, sizeof text), cases[i].why);
    assert_refused(STR_LIT(""), "it is no JSON");
    assert_refused(STR_LIT("{}"), "trees is missing");
    assert_refused(STR_LIT(MODEL "x"), "something follows");
}

static void refusals_of_real_models(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"classes-3.2.0.json", "more than one output"},
        {"categories-3.2.0.json", "splits by category"},
        {"linear-3.2.0.json", "gblinear"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str file = load(cases[i][0]);
        assert_refused(file, cases[i][1]);
        mem_free((char *)file.at);
    }
}

/* Every beginning of a model is one that is not there in full. */
static void cut_anywhere(void **state)
{
    (void)state;
    static const char model[] = MODEL;
    for (size_t n = 0; n < sizeof model - 1; n++) {
        char *exact = mem_alloc(n); /* of its own, for AddressSanitizer */
        memcpy(exact, model, n);
        assert_refused((struct str){exact, n}, "");
        mem_free(exact);
    }
}

/* A chain of n splits, each the right child of the one before. */
static struct str chain(unsigned n, char *out, size_t cap)
{
    static const char *const names[] = {"left_children", "right_children", "split_indices",
                                        "split_conditions", "default_left"};
    char tree[FILE_MAX / 2];
    size_t len = 0;
    for (unsigned a = 0; a < 5; a++) {
        len +=
            (size_t)snprintf(tree + len, sizeof tree - len, "%s\"%s\":[", a ? "," : "{", names[a]);
        for (unsigned i = 0; i <= 2 * n; i++) {
            bool split = i % 2 == 0 && i < 2 * n;
            int value = a == 0 ? (split ? (int)i + 1 : -1) : a == 1 ? (split ? (int)i + 2 : -1) : 0;
            len += (size_t)snprintf(tree + len, sizeof tree - len, "%s%d", i ? "," : "", value);
        }
        len += (size_t)snprintf(tree + len, sizeof tree - len, "]");
    }
    snprintf(tree + len, sizeof tree - len, "}");
    return changed(TREE, tree, out, cap);
}

static void depth(void **state)
{
    (void)state;
    char *text = mem_alloc(FILE_MAX);
    struct xgboost *m = read_model(chain(XGBOOST_DEPTH_MAX, text, FILE_MAX));
    assert_int_equal(xgboost_about(m).depth, XGBOOST_DEPTH_MAX);
    assert_true(score_one(m, 1, 1) == 1.0f);
    xgboost_free(m);
    assert_refused(chain(XGBOOST_DEPTH_MAX + 1, text, FILE_MAX), "deeper than 256");
    mem_free(text);
}

int main(int argc, char **argv)
{
    folder = argc > 1 ? argv[1] : ".";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_of_xgboost),
        cmocka_unit_test(any_number_of_rows),
        cmocka_unit_test(sides),
        cmocka_unit_test(refusals),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(refusals_of_real_models),
        cmocka_unit_test(depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
