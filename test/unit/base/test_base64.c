#include "base/base64.h"

#include "base/random.h"

#include "../check.h"

#include <string.h>

/* RFC 4648, section 10, and one with both special letters. */
static const struct {
    const char *bytes, *text;
} known[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "+/+/"},
};

static void known_values(void **state)
{
    char text[16], bytes[16];
    size_t n;
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        base64_encode(text, known[i].bytes, strlen(known[i].bytes));
        assert_string_equal(text, known[i].text);
        assert_int_equal(strlen(text), BASE64_LEN(strlen(known[i].bytes)));
        assert_true(base64_decode(str_of(text), bytes, sizeof bytes, &n));
        assert_int_equal(n, strlen(known[i].bytes));
        assert_memory_equal(bytes, known[i].bytes, n);
    }
}

static void what_is_not_base64_is_refused(void **state)
{
    static const char *const bad[] = {
        "Z",      "Zg",   "Zg=",  "Zg==Zg==", "Z===", "====", "Zh==",     "Zm9=",
        "Zg==\n", "Zm 9", "Zm-_", "Zm9v=",    "=Zm9", "Z=m9", "Zm9v====", "Zg=a"};
    char bytes[16];
    size_t n;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(base64_decode(str_of(bad[i]), bytes, sizeof bytes, &n));
}

static void room_is_respected(void **state)
{
    char bytes[4] = "abc";
    size_t n;
    (void)state;
    assert_true(base64_decode(STR_LIT("Zm9v"), bytes, 3, &n));
    assert_false(base64_decode(STR_LIT("Zm9v"), bytes, 2, &n));
    assert_true(base64_decode(STR_LIT("Zm8="), bytes, 2, &n));
    assert_false(base64_decode(STR_LIT("Zm9vZg=="), bytes, 3, &n));
}

static void there_and_back(void **state)
{
    struct rng rng;
    uint8_t in[100], out[100];
    char text[BASE64_LEN(100) + 1];
    (void)state;
    rng_seed(&rng, 5);
    for (size_t len = 0; len <= sizeof in; len++) {
        for (size_t i = 0; i < len; i++)
            in[i] = (uint8_t)rng_below(&rng, 256);
        size_t n;
        base64_encode(text, in, len);
        assert_true(base64_decode(str_of(text), out, sizeof out, &n));
        assert_int_equal(n, len);
        assert_memory_equal(in, out, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(what_is_not_base64_is_refused),
        cmocka_unit_test(room_is_respected),
        cmocka_unit_test(there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
