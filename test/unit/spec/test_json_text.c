/* Numbers with a fraction take as many digits as they need, in text that is else jansson's. */
#include "spec/json_text.h"

#include "../check.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static void assert_text(const char *json, size_t flags, const char *want)
{
    size_t len;
    json_t *tree = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(tree);
    char *text = json_text(tree, flags | JSON_ENCODE_ANY, &len);
    assert_string_equal(text, want);
    assert_int_equal(len, strlen(want));
    json_decref(tree);
    mem_free(text);
}

static void test_digits(void **state)
{
    (void)state;
    static const char *const same[] = {"57.16",
                                       "0.1",
                                       "-0.3",
                                       "1.0",
                                       "0.0",
                                       "-0.0",
                                       "100.0",
                                       "123456789.25",
                                       "1e300",
                                       "1.5e-7",
                                       "-2e-10",

                                       "12",
                                       "-9223372036854775808",
                                       "0.1234567890123456",
                                       "0.30000000000000004",
                                       "1.7976931348623157e308"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        assert_text(same[i], 0, same[i]);
    assert_text("57.159999999999997", 0, "57.16");
    assert_text("9007199254740993.0", 0, "9007199254740992.0");
    assert_text("1e22", 0, "1e22");
}

/* Whatever the digits: the same number comes back, and C's own printing has no fewer. */
static void test_any(void **state)
{
    (void)state;
    uint64_t bits = 88172645463325252;
    for (unsigned i = 0; i < 20000; i++) {
        double number;
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        memcpy(&number, &bits, sizeof number);
        json_t *real = json_real(i % 2 == 0 ? number : (double)(bits % 1000000) / 100);
        if (real == NULL) /* not finite */
            continue;
        char *text = json_text(real, JSON_ENCODE_ANY, NULL), shortest[32] = "";
        for (int digits = 15; strtod(shortest, NULL) != json_real_value(real); digits++)
            snprintf(shortest, sizeof shortest, "%.*g", digits, json_real_value(real));
        assert_true(strtod(text, NULL) == json_real_value(real));
        assert_true(strlen(text) <= strlen(shortest) + strlen(".0"));
        mem_free(text);
        json_decref(real);
    }
}

static void test_strings(void **state)
{
    (void)state;
    assert_text("\"57.159999999999997\"", 0, "\"57.159999999999997\"");
    assert_text("\"\\\"1.10000000000000001\\\\\"", 0, "\"\\\"1.10000000000000001\\\\\"");
    assert_text("{\"1.10000000000000001\": [1.1, -1.1, \"1.1\", true, null, 1]}", JSON_COMPACT,
                "{\"1.10000000000000001\":[1.1,-1.1,\"1.1\",true,null,1]}");
    assert_text("{\"a\": [57.16, 3]}", JSON_INDENT(2), "{\n  \"a\": [\n    57.16,\n    3\n  ]\n}");
}

static void test_none(void **state)
{
    (void)state;
    size_t len = 1;
    assert_null(json_text(NULL, JSON_ENCODE_ANY, &len));
    assert_int_equal(len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digits),
        cmocka_unit_test(test_any),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
