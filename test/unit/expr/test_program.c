/* What the compiler writes, as text, and what program_finish asserts. */
#include "expect.h"

#include "expr/guard.h"
#include "expr/program.h"

static const char *const names[] = {
#define X(name, takes, leaves, doc) #name,
    PROGRAM_OPS(X)
#undef X
};

/* "ATTRIBUTE.0 CONSTANT EQUAL AND>7 ...", without the numbers of constants, which say little. */
static void listing(const char *text, char out[SHOWN_MAX])
{
    struct err_text why = {{0}};
    struct expr *e = NULL;
    if (expr_compile_cesql(str_of(text), &e, &why) != ERR_OK)
        fail_msg("%s: %s", text, why.s);
    out[0] = '\0';
    for (size_t i = 0; i < e->ops_n; i++) {
        const struct op *op = &e->ops[i];
        size_t n = strlen(out);
        bool jump = op->code == OP_AND || op->code == OP_OR || op->code == OP_IN_STEP;
        bool plain = op->code >= OP_NOT && op->code <= OP_XOR;
        n += (size_t)snprintf(out + n, SHOWN_MAX - n, "%s%s", i > 0 ? " " : "", names[op->code]);
        if (jump)
            snprintf(out + n, SHOWN_MAX - n, ">%u", op->a);
        else if (op->code == OP_CALL || op->code == OP_IN_SET)
            snprintf(out + n, SHOWN_MAX - n, "/%u", op->b);
        else if (!plain && op->code != OP_CONSTANT && op->code != OP_IN_NONE)
            snprintf(out + n, SHOWN_MAX - n, ".%u", op->a);
    }
    expr_free(e);
}

static void test_code(void **state)
{
    (void)state;
    static const struct expect_case cases[] = {
        {"a = 1", "ATTRIBUTE.0 CONSTANT EQUAL"},
        {"a = b", "ATTRIBUTE.0 ATTRIBUTE.1 EQUAL"},
        {"a = a", "ATTRIBUTE.0 ATTRIBUTE.0 EQUAL"},
        {"a AND b", "ATTRIBUTE.0 AND>4 ATTRIBUTE.1 BOOLEAN"},
        {"a = 1 AND b = 2", "ATTRIBUTE.0 CONSTANT EQUAL AND>7 ATTRIBUTE.1 CONSTANT EQUAL"},
        /* A chain is left at once from each of its members. */
        {"a AND b AND c", "ATTRIBUTE.0 AND>7 ATTRIBUTE.1 BOOLEAN AND>7 ATTRIBUTE.2 BOOLEAN"},
        {"a AND b OR c", "ATTRIBUTE.0 AND>4 ATTRIBUTE.1 BOOLEAN OR>7 ATTRIBUTE.2 BOOLEAN"},
        {"a AND (b AND c)", "ATTRIBUTE.0 AND>6 ATTRIBUTE.1 AND>6 ATTRIBUTE.2 BOOLEAN"},
        {"a IN (1, 2)", "ATTRIBUTE.0 IN_SET/2"},
        {"a NOT IN (1, b)", "ATTRIBUTE.0 CONSTANT IN_STEP>6 ATTRIBUTE.1 IN_STEP>6 IN_NONE NOT"},
        {"a NOT LIKE 'x'", "ATTRIBUTE.0 LIKE.0 NOT"},
        {"EXISTS a AND EXISTS data.b", "EXISTS_ATTRIBUTE.0 AND>3 EXISTS_DATA.0"},
        {"CONCAT(a, 'b', 'c')", "ATTRIBUTE.0 CONSTANT CONSTANT CALL/3"},
        {"data.a.b > 2", "DATA.0 CONSTANT GREATER"},
        {"-a - 1", "ATTRIBUTE.0 NEGATE CONSTANT SUBTRACT"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char got[SHOWN_MAX];
        listing(cases[i].expression, got);
        assert_string_equal(got, cases[i].want);
    }
}

static void test_constants_are_folded(void **state)
{
    (void)state;
    static const struct expect_case cases[] = {
        {"1 + 2 * 3 = 7", "CONSTANT"},
        {"-(2)", "CONSTANT"},
        {"NOT (1 = 2)", "CONSTANT"},
        {"'abc' LIKE 'a%'", "CONSTANT"},
        {"2 IN (1, 2)", "CONSTANT"},
        {"CONCAT('a', UPPER('b'), 1)", "CONSTANT"},
        {"EXISTS id", "CONSTANT"},
        {"FALSE AND a", "CONSTANT"},
        {"TRUE OR a", "CONSTANT"},
        {"'true' OR a", "CONSTANT"},
        {"0 AND (a OR b)", "CONSTANT"},
        {"TRUE AND a", "ATTRIBUTE.0 BOOLEAN"},
        {"FALSE OR a = 1", "ATTRIBUTE.0 CONSTANT EQUAL"},
        {"a AND TRUE", "ATTRIBUTE.0 AND>3 CONSTANT"},
        {"a + (1 + 1)", "ATTRIBUTE.0 CONSTANT ADD"},
        /* What fails is left for the evaluation, which may not come to it. */
        {"1 / 0", "CONSTANT CONSTANT DIVIDE"},
        {"INT('x')", "CONSTANT CALL/1"},
        {"'x' AND a", "CONSTANT BOOLEAN AND>5 ATTRIBUTE.0 BOOLEAN"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char got[SHOWN_MAX];
        listing(cases[i].expression, got);
        assert_string_equal(got, cases[i].want);
    }
}

/* ---- what a compiler must not write --------------------------------------------------------- */

static void finish(void *arg)
{
    const struct op *op = arg;
    struct expr *e = program_make();
    for (; op->code != OP_COUNT; op++)
        program_op(e, *op);
    program_constant(e, value_boolean(true));
    program_finish(e, EXPR_BOOLEAN);
    expr_free(e);
}

static void test_finish_asserts(void **state)
{
    (void)state;
    struct op end = {.code = OP_COUNT}, constant = {.code = OP_CONSTANT};
    struct op bad[][4] = {
        {end},                     /* nothing is left */
        {constant, constant, end}, /* too much is */
        {{.code = OP_NOT}, end},   /* nothing to take */
        {constant, {.code = OP_ADD}, end},
        {{.code = OP_CONSTANT, .a = 1}, end}, /* there is no such */
        {{.code = OP_ATTRIBUTE}, end},
        {{.code = OP_DATA}, end},
        {constant, {.code = OP_LIKE}, end},
        {constant, {.code = OP_TEST}, end},
        {constant, {.code = OP_IN_SET, .b = 2}, end},
        {constant, {.code = OP_AND, .a = 1}, constant, end},            /* not forward */
        {constant, {.code = OP_AND, .a = PROGRAM_OPEN}, constant, end}, /* nowhere */
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        check_aborts(finish, bad[i]);
    struct op good[] = {constant, {.code = OP_AND, .a = 3}, constant, end};
    finish(good);
}

/* ---- guards --------------------------------------------------------------------------------- */

static void guard_text(const struct expr *e, char out[SHOWN_MAX])
{
    struct guard g;
    snprintf(out, SHOWN_MAX, "none");
    if (!guard_find(e, &g))
        return;
    snprintf(out, SHOWN_MAX, "%.*s", (int)e->attributes[g.attribute].len,
             e->attributes[g.attribute].at);
    for (size_t i = 0; i < g.n; i++) {
        size_t n = strlen(out);
        snprintf(out + n, SHOWN_MAX - n, " %.*s", (int)g.texts[i].text.len, g.texts[i].text.at);
    }
    size_t n = strlen(out);
    snprintf(out + n, SHOWN_MAX - n, "%s%s", g.nocase ? " nocase" : "", g.whole ? " whole" : "");
}

static void test_guards(void **state)
{
    (void)state;
    static const struct expect_case cases[] = {
        {"a = 'x'", "a x whole"},
        {"a = 'x' AND b = 1", "a x"},
        {"b > 1 AND a = 'x'", "a x"},
        {"b > 1 AND c LIKE 'y%' AND a = 'x' AND d", "a x"},
        {"b > 1 AND (c AND a = 'x')", "a x"},
        {"(b OR c) AND a = 'x'", "a x"},
        {"a = 'x' AND (b OR c)", "a x"},
        {"a IN ('x', 'y')", "a x y whole"},
        {"a IN ('x', 'y') AND data.z", "a x y"},
        {"a IN (b, 'y') AND c = 'z'", "c z"},
        {"a = 'x' OR b = 'y'", "none"},
        {"(a = 'x' AND b) OR c", "none"},
        {"NOT (a = 'x')", "none"},
        {"a = 'x' XOR b", "none"},
        {"(a = 'x') = FALSE", "none"},
        {"a = 1", "none"},
        {"a IN ('x', 1)", "none"},
        {"a != 'x'", "none"},
        {"data.a = 'x'", "none"},
        {"b OR (c AND a = 'x')", "none"},
        {"TRUE", "none"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char got[SHOWN_MAX];
        struct expr *e = NULL;
        assert_int_equal(expr_compile_cesql(str_of(cases[i].expression), &e, NULL), ERR_OK);
        guard_text(e, got);
        if (strcmp(got, cases[i].want) != 0)
            fail_msg("%s: %s, not %s", cases[i].expression, got, cases[i].want);
        expr_free(e);
    }
    char got[SHOWN_MAX];
    struct expr *e = NULL;
    assert_int_equal(expr_compile_eventgrid(STR_LIT("{\"subjectBeginsWith\":\"x\","
                                                    "\"includedEventTypes\":[\"T\",\"u\"]}"),
                                            &e, NULL),
                     ERR_OK);
    guard_text(e, got);
    assert_string_equal(got, "type T u nocase");
    expr_free(e);
}

static void test_error_names(void **state)
{
    (void)state;
    assert_string_equal(expr_error_name(EXPR_OK), "none");
    assert_string_equal(expr_error_name(EXPR_ERROR_GENERIC), "generic");
    assert_string_equal(expr_error_name(EXPR_ERROR_MISSING_ATTRIBUTE), "missingAttribute");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_code),           cmocka_unit_test(test_constants_are_folded),
        cmocka_unit_test(test_finish_asserts), cmocka_unit_test(test_guards),
        cmocka_unit_test(test_error_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
