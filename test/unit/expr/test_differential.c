/* Random expressions, printed and compiled, against the obvious evaluation of their trees; and sets
 * of them against one by one. */
#include "expect.h"

#include "tree.h"

#define ROUNDS 150000
#define TEXT_MAX 7000

static bool same(const struct tree_value *want, const struct expr_value *got)
{
    if (want->type != got->type)
        return false;
    switch (want->type) {
    case EXPR_BOOLEAN:
        return want->boolean == got->boolean;
    case EXPR_INTEGER:
        return want->integer == got->integer;
    case EXPR_DOUBLE:
        return want->number == got->number;
    default:
        return str_is(got->text, want->text);
    }
}

static struct expr *compile(const char *text)
{
    struct err_text why = {{0}};
    struct expr *e = NULL;
    if (expr_compile_cesql(str_of(text), &e, &why) != ERR_OK)
        fail_msg("%s: %s", text, why.s);
    return e;
}

static void test_random_expressions(void **state)
{
    (void)state;
    static struct tree_forest forest;
    static char text[TEXT_MAX];
    struct random r = {4242};
    size_t fine = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct event event;
        struct expr_value got;
        char scratch[EXPR_SCRATCH_BYTES];
        forest.n = 0;
        text[0] = '\0';
        tree_event(&event, &r);
        const struct tree *t = tree_random(&forest, &r, 1 + (unsigned)random_below(&r, 4));
        tree_print(t, random_below(&r, 2), text, sizeof(text));
        struct expr *e = compile(text);
        struct tree_value want = tree_eval(t, &event);
        enum expr_error error = expr_eval(e, &event.source, scratch, &got);
        if (error != want.error || !same(&want, &got))
            fail_msg("%s\n  error %s, not %s; types %d and %d", text, expr_error_name(error),
                     expr_error_name(want.error), got.type, want.type);
        bool matches = error == EXPR_OK && got.type == EXPR_BOOLEAN && got.boolean;
        assert_int_equal(expr_matches(e, &event.source), matches);
        fine += error == EXPR_OK;
        expr_free(e);
    }
    assert_in_range(fine, ROUNDS / 10, ROUNDS * 9 / 10);
}

#define SET_MAX 130

/* A guard in front of every second one, so that the table of the set is used. */
static void random_filter(struct tree_forest *forest, struct random *r, char *text)
{
    static const char *const guards[] = {"a0 = 'a' AND ", "a1 IN ('5', 'ab') AND ",
                                         "a0 = 'ab'",     "EXISTS a2 AND a2 = '5' AND ",
                                         "a3 = 'a' OR ",  "a4 IN (5, 'a') AND "};
    size_t guard = random_below(r, 2 * COUNT_OF(guards));
    forest->n = 0;
    text[0] = '\0';
    if (guard < COUNT_OF(guards))
        strncat(text, guards[guard], TEXT_MAX - 1);
    if (guard == 2)
        return;
    strncat(text, "(", TEXT_MAX - strlen(text) - 1);
    tree_print(tree_random(forest, r, 2), false, text, TEXT_MAX - 1);
    strncat(text, ")", TEXT_MAX - strlen(text) - 1);
}

static void test_random_sets(void **state)
{
    (void)state;
    static struct tree_forest forest;
    static char text[TEXT_MAX];
    struct random r = {99};
    size_t hits_n = 0;
    for (int round = 0; round < 300; round++) {
        struct expr *exprs[SET_MAX];
        uint64_t hits[SET_MAX / 64 + 1];
        size_t n = random_below(&r, SET_MAX + 1);
        for (size_t i = 0; i < n; i++) {
            random_filter(&forest, &r, text);
            exprs[i] = random_below(&r, 20) == 0 ? NULL : compile(text);
        }
        struct expr_set *set = expr_set_make((const struct expr *const *)exprs, n);
        for (int k = 0; k < 20; k++) {
            struct event event;
            tree_event(&event, &r);
            expr_set_match(set, &event.source, hits);
            for (size_t i = 0; i < n; i++) {
                bool want = exprs[i] == NULL || expr_matches(exprs[i], &event.source);
                assert_int_equal(hits[i / 64] >> (i % 64) & 1, want);
                hits_n += want;
            }
        }
        expr_set_free(set);
        for (size_t i = 0; i < n; i++)
            expr_free(exprs[i]);
    }
    assert_in_range(hits_n, 10000, 300000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_expressions),
        cmocka_unit_test(test_random_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
