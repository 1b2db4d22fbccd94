#include "expect.h"

#include "expr/functions.h"

static void test_results(void **state)
{
    (void)state;
    static const struct expect_case cases[] = {
        {"LENGTH('\xc3\xa9t\xc3\xa9')", "3"},
        {"LENGTH(12)", "2"},
        {"UPPER('\xc3\xa9t\xc3\xa9 \xd1\x8f')", "'\xc3\x89T\xc3\x89 \xd0\xaf'"},
        {"LOWER('\xc3\x89T\xc3\x89')", "'\xc3\xa9t\xc3\xa9'"},
        {"UPPER(TRUE)", "'TRUE'"},
        {"TRIM('\xc2\xa0 a ')", "'a'"},
        {"TRIM(5)", "'5'"},
        {"LEFT('\xc3\xa9t\xc3\xa9', 2)", "'\xc3\xa9t'"},
        {"RIGHT('\xc3\xa9t\xc3\xa9', 2)", "'t\xc3\xa9'"},
        {"LEFT('abc', 0)", "''"},
        {"RIGHT('abc', 0)", "''"},
        {"LEFT('abc', 3)", "'abc'"},
        {"LEFT(123, '2')", "'12'"},
        {"LEFT('abc', 'x')", "'' cast"},
        {"LEFT('abc', -1)", "'abc' functionEvaluation"},
        {"RIGHT('abc', -1)", "'abc' functionEvaluation"},
        {"SUBSTRING('\xc3\xa9t\xc3\xa9', 2)", "'t\xc3\xa9'"},
        {"SUBSTRING('abc', -3)", "'abc'"},
        {"SUBSTRING('abc', 3)", "'c'"},
        {"SUBSTRING('abc', 4)", "'' functionEvaluation"},
        {"SUBSTRING('abc', -4)", "'' functionEvaluation"},
        {"SUBSTRING('abc', 2, 0)", "''"},
        {"SUBSTRING('abc', 2, 99)", "'bc'"},
        {"SUBSTRING('abc', 2, -1)", "'' functionEvaluation"},
        {"SUBSTRING('', 0)", "''"},
        {"SUBSTRING('', 1)", "'' functionEvaluation"},
        {"SUBSTRING('abc', -2147483648)", "'' functionEvaluation"},
        {"CONCAT()", "''"},
        {"CONCAT('', '')", "''"},
        {"CONCAT(1, TRUE, 'x', -5)", "'1truex-5'"},
        {"CONCAT_WS(', ', 'a', 'b', 'c')", "'a, b, c'"},
        {"CONCAT_WS(',')", "''"},
        {"CONCAT_WS('', 'a', 'b')", "'ab'"},
        {"ABS(-5)", "5"},
        {"ABS('-5')", "5"},
        {"ABS(TRUE)", "1"},
        {"ABS(-2147483648)", "2147483647 math"},
        {"ABS('x')", "0 cast"},
        {"INT(' 1')", "0 cast"},
        {"INT('1.0')", "0 cast"},
        {"INT(1.9)", "1"},
        {"INT(-1.9)", "-1"},
        {"BOOL('tRUE')", "true"},
        {"BOOL('')", "false cast"},
        {"BOOL(0.5)", "true"},
        {"STRING(-0.5)", "'-0.5'"},
        {"IS_INT('5')", "true"},
        {"IS_INT('x')", "false"},
        {"IS_INT(TRUE)", "true"},
        {"is_bool('false')", "true"},
        {"IS_BOOL('0')", "false"},
        {"IS_BOOL(7)", "true"},
        {"IS_INT(missing)", "false missingAttribute"},
        {"CONCAT(CONCAT('a', 'b'), CONCAT('c', 'd'))", "'abcd'"},
        {"UPPER(CONCAT(LEFT('abc', 2), TRIM(' z ')))", "'ABZ'"},
    };
    struct event e;
    event_init(&e, NULL);
    expect_cases(cases, COUNT_OF(cases), &e);
}

static void test_find(void **state)
{
    (void)state;
    const struct function *near;
    size_t f = 99;
    assert_true(function_find(STR_LIT("substring"), 3, &f, &near));
    assert_string_equal(function_at(f)->name, "SUBSTRING");
    assert_false(function_find(STR_LIT("SUBSTRING"), 4, &f, &near));
    assert_string_equal(near->name, "SUBSTRING");
    assert_false(function_find(STR_LIT("Upperr"), 1, &f, &near));
    assert_string_equal(near->name, "UPPER");
    assert_false(function_find(STR_LIT("nothing_of_the_kind"), 1, &f, &near));
    assert_null(near);
    assert_false(
        function_find(STR_LIT("a_name_that_is_longer_than_any_function_could_be"), 1, &f, &near));
    assert_null(near);
}

/* Each function with arguments of each type, missing room included: a value of its type comes. */
static void test_every_function_leaves_its_type(void **state)
{
    (void)state;
    const struct expr_value values[] = {
        value_boolean(true),
        value_integer(-3),
        value_integer(INT64_MIN),
        value_double(1e300),
        value_string(STR_LIT("")),
        value_string(STR_LIT("ab\xff\xc3")),
        {.type = EXPR_OTHER, .text = STR_LIT("[1]")},
    };
    for (size_t f = 0; f < function_count(); f++) {
        const struct function *fn = function_at(f);
        for (size_t i = 0; i < 2 * COUNT_OF(values) * COUNT_OF(values); i++) {
            char room[8];
            struct scratch scratch = {room, 0, i % 2 == 0 ? sizeof(room) : 0};
            struct expr_value out, args[3];
            for (size_t k = 0; k < 3; k++)
                args[k] = values[(k == 0 ? i / 2 : i / 2 / COUNT_OF(values)) % COUNT_OF(values)];
            size_t n = fn->args > 0 ? fn->args : 2;
            function_call(fn, args, n, i % 3 == 0, &scratch, &out);
            bool fits =
                out.type == fn->out || (out.type == EXPR_DOUBLE && strcmp(fn->name, "ABS") == 0);
            if (!fits)
                fail_msg("%s", fn->name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_every_function_leaves_its_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
