#include "expect.h"

#include <float.h>
#include <math.h>

static struct expr_value text(const char *s)
{
    return value_string(str_of(s));
}

static void test_read_numbers(void **state)
{
    (void)state;
    static const struct expect_case cases[] = {
        {"0", "0"},
        {"-0", "0"},
        {"12", "12"},
        {"-12", "-12"},
        {"9223372036854775807", "9223372036854775807"},
        {"9223372036854775808", "9.223372036854776e+18"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"1.5", "1.5"},
        {"-1.5", "-1.5"},
        {"-0.0", "-0"},
        {"0.1", "0.1"},
        {"123456.789", "123456.789"},
        {"1e3", "1000"},
        {"1E+3", "1000"},
        {"1e-3", "0.001"},
        {"1e999", "inf"},
        {"1.7976931348623157e308", "1.7976931348623157e+308"},
        {"5e-324", "4.94065645841247e-324"},
        {"0.1000000000000000055511151231257827", "0.1"},
        {"9007199254740993.0", "9007199254740992"},
        {"123456789012345678.5", "1.2345678901234568e+17"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct expr_value v;
        char got[SHOWN_MAX];
        assert_true(value_read_number(str_of(cases[i].expression), &v));
        expect_show(&v, EXPR_OK, got);
        assert_string_equal(got, cases[i].want);
    }
    static const char *const bad[] = {"",    "-",  "+1", "01",  "1.",  ".5",    "1e",  "1e+",
                                      "0x1", "1 ", " 1", "nan", "inf", "1.5.5", "--1", "1e5.5"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct expr_value v;
        if (value_read_number(str_of(bad[i]), &v))
            fail_msg("%s is no number", bad[i]);
    }
}

/* The quick way to read a decimal number and the C library's agree. */
static void test_short_decimals_are_exact(void **state)
{
    (void)state;
    uint64_t seed = 42;
    for (int i = 0; i < 200000; i++) {
        char s[40];
        struct expr_value v;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        snprintf(s, sizeof(s), "%s%llu.%0*llu", seed >> 63 ? "-" : "",
                 (unsigned long long)(seed >> 20 & 0xffffff), 1 + (int)(seed >> 50 & 7),
                 (unsigned long long)(seed >> 44 & 0xffff));
        assert_true(value_read_number(str_of(s), &v));
        if (v.number != strtod(s, NULL))
            fail_msg("%s reads as %.17g", s, v.number);
    }
}

static void test_int32(void **state)
{
    (void)state;
    int64_t v = 0;
    assert_true(value_read_int32(STR_LIT("-2147483648"), &v));
    assert_int_equal(v, INT32_MIN);
    assert_true(value_read_int32(STR_LIT("+2147483647"), &v));
    assert_int_equal(v, INT32_MAX);
    assert_false(value_read_int32(STR_LIT("2147483648"), &v));
    assert_false(value_read_int32(STR_LIT("-2147483649"), &v));
    assert_false(value_read_int32(STR_LIT("1.0"), &v));
}

static void test_compare(void **state)
{
    (void)state;
    const struct expr_value ordered[] = {
        value_double(-INFINITY),
        value_double(-1e300),
        value_integer(INT64_MIN),
        value_integer(-1),
        value_double(-0.5),
        value_integer(0),
        value_double(DBL_MIN),
        value_double(1.5),
        value_integer(2),
        value_integer(9007199254740991),
        value_double(9007199254740992.0), /* 2^53 */
        value_integer(9007199254740993),  /* no double is that */
        value_double(9007199254740994.0),
        value_integer(INT64_MAX),
        value_double(9223372036854775808.0), /* 2^63 */
        value_double(INFINITY),
    };
    int n = (int)COUNT_OF(ordered);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++)
            assert_int_equal(value_compare(&ordered[i], &ordered[j]), i < j ? -1 : i > j);
    }
    struct expr_value a = value_integer(4), b = value_double(4);
    assert_int_equal(value_compare(&a, &b), 0);
    assert_int_equal(value_compare(&b, &a), 0);
    a = value_integer(INT64_MIN);
    b = value_double(-9223372036854775808.0);
    assert_int_equal(value_compare(&a, &b), 0);
    b = value_double(NAN);
    assert_int_equal(value_compare(&a, &b), -1);
}

struct cast_case {
    struct expr_value v;
    enum expr_type to;
    const char *want;
};

static void test_casts(void **state)
{
    (void)state;
    const struct expr_value other = {.type = EXPR_OTHER, .text = STR_LIT("[1]")};
    const struct cast_case cases[] = {
        {value_boolean(true), EXPR_STRING, "'true'"},
        {value_boolean(false), EXPR_STRING, "'false'"},
        {value_boolean(true), EXPR_INTEGER, "1"},
        {value_boolean(false), EXPR_DOUBLE, "0"},
        {value_integer(-5), EXPR_STRING, "'-5'"},
        {value_integer(INT64_MIN), EXPR_STRING, "'-9223372036854775808'"},
        {value_integer(-5), EXPR_BOOLEAN, "true"},
        {value_integer(0), EXPR_BOOLEAN, "false"},
        {value_double(0.1), EXPR_STRING, "'0.1'"},
        {value_double(1e300), EXPR_STRING, "'1e+300'"},
        {value_double(0), EXPR_BOOLEAN, "false"},
        {value_double(0.1), EXPR_BOOLEAN, "true"},
        {value_double(1.5), EXPR_INTEGER, "1.5"},
        {text("TrUe"), EXPR_BOOLEAN, "true"},
        {text("FALSE"), EXPR_BOOLEAN, "false"},
        {text("yes"), EXPR_BOOLEAN, "false cast"},
        {text("1"), EXPR_BOOLEAN, "false cast"},
        {text("12"), EXPR_INTEGER, "12"},
        {text("1.5"), EXPR_INTEGER, "0 cast"},
        {text("1.5"), EXPR_DOUBLE, "1.5"},
        {text("+7"), EXPR_DOUBLE, "7"},
        {text("x"), EXPR_DOUBLE, "0 cast"},
        {other, EXPR_STRING, "'[1]'"},
        {other, EXPR_BOOLEAN, "false cast"},
        {other, EXPR_INTEGER, "0 cast"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char room[64], got[SHOWN_MAX];
        struct scratch scratch = {room, 0, sizeof(room)};
        struct expr_value v = cases[i].v;
        enum expr_error error = value_cast(&v, cases[i].to, &scratch);
        expect_show(&v, error, got);
        assert_string_equal(got, cases[i].want);
    }
}

static void test_whole(void **state)
{
    (void)state;
    struct expr_value v = value_double(-12.9);
    assert_int_equal(value_to_whole(&v, NULL), EXPR_OK);
    assert_int_equal(v.integer, -12);
    v = value_double(9223372036854775808.0);
    assert_int_equal(value_to_whole(&v, NULL), EXPR_ERROR_CAST);
    assert_int_equal(v.integer, 0);
    v = value_double(-9223372036854775808.0);
    assert_int_equal(value_to_whole(&v, NULL), EXPR_OK);
    assert_true(v.integer == INT64_MIN);
    v = value_double(NAN);
    assert_int_equal(value_to_whole(&v, NULL), EXPR_ERROR_CAST);
}

static void test_scratch_is_bounded(void **state)
{
    (void)state;
    char room[8];
    struct scratch scratch = {room, 0, sizeof(room)};
    struct expr_value v = value_integer(1234567);
    assert_int_equal(value_cast(&v, EXPR_STRING, &scratch), EXPR_OK);
    assert_int_equal(scratch.used, 7);
    v = value_integer(12);
    assert_int_equal(value_cast(&v, EXPR_STRING, &scratch), EXPR_ERROR_GENERIC);
    assert_int_equal(v.type, EXPR_STRING);
    assert_int_equal(v.text.len, 0);
    assert_non_null(scratch_take(&scratch, 1));
    assert_null(scratch_take(&scratch, 1));
}

static void test_equals_casts_to_the_right_type(void **state)
{
    (void)state;
    const struct {
        struct expr_value x, y;
        bool equal;
        enum expr_error error;
    } cases[] = {
        {value_boolean(true), text("true"), true, EXPR_OK},
        {value_boolean(true), text("TRUE"), false, EXPR_OK},
        {text("TRUE"), value_boolean(true), true, EXPR_OK},
        {text("05"), value_integer(5), true, EXPR_OK},
        {value_integer(5), text("05"), false, EXPR_OK},
        {text("x"), value_integer(5), false, EXPR_ERROR_CAST},
        {text("3000000000"), value_integer(3000000000), true, EXPR_OK},
        {text("3000000000"), value_integer(5), false, EXPR_ERROR_CAST},
        {text("0.5"), value_double(0.5), true, EXPR_OK},
        {value_integer(2), value_double(2), true, EXPR_OK},
        {text(""), text(""), true, EXPR_OK},
        {text("a"), text("b"), false, EXPR_OK},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char room[64];
        struct scratch scratch = {room, 0, sizeof(room)};
        struct expr_value x = cases[i].x;
        bool equal = !cases[i].equal;
        assert_int_equal(value_equals(&x, cases[i].y, &scratch, &equal), cases[i].error);
        if (equal != cases[i].equal)
            fail_msg("case %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_numbers),
        cmocka_unit_test(test_short_decimals_are_exact),
        cmocka_unit_test(test_int32),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_casts),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_scratch_is_bounded),
        cmocka_unit_test(test_equals_casts_to_the_right_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
