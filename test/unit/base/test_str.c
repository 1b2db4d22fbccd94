#include "base/str.h"

#include "../check.h"

#include <string.h>

static void test_compare_and_copy(void **state)
{
    (void)state;
    struct str null = {NULL, 0};
    assert_true(str_is(STR_LIT("abc"), "abc"));
    assert_false(str_is(STR_LIT("abc"), "abd"));
    assert_false(str_is(STR_LIT("abc"), "ab"));
    assert_true(str_eq(str_of(""), STR_LIT("")));
    assert_true(str_eq(null, str_of(NULL)));
    assert_false(str_eq(null, STR_LIT("")));
    char b[4];
    assert_true(str_copy(b, 4, STR_LIT("abc")));
    assert_string_equal(b, "abc");
    assert_false(str_copy(b, 4, STR_LIT("wxyz")));
    assert_string_equal(b, "wxy");
    assert_true(str_copy(b, 1, null));
    assert_string_equal(b, "");
    assert_false(str_copy(b, 0, STR_LIT("a")));
}

typedef enum err parse_fn(struct str s, int64_t *out);

struct number_case {
    const char *text;
    bool ok;
    int64_t value;
};

/* An error leaves the output alone. */
static void check_numbers(parse_fn *parse, const struct number_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int64_t v = 4711;
        enum err err = parse(str_of(cases[i].text), &v);
        if ((err == ERR_OK) != cases[i].ok || v != (cases[i].ok ? cases[i].value : 4711))
            fail_msg("\"%s\": %s, %lld", cases[i].text, err_name(err), (long long)v);
        assert_true(err == ERR_OK || err == ERR_CONFIG_INVALID);
    }
}

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static void test_i64(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        {"0", true, 0},
        {"-1", true, -1},
        {"+7", true, 7},
        {"007", true, 7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"92233720368547758070", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+", false, 0},
        {"--1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1.5", false, 0},
        {"0x10", false, 0},
        {"1e3", false, 0},
    };
    check_numbers(str_to_i64, cases, COUNT_OF(cases));
    int64_t v;
    assert_int_equal(str_to_i64((struct str){"1234", 2}, &v), ERR_OK);
    assert_int_equal(v, 12);
    assert_int_equal(str_to_i64((struct str){NULL, 0}, &v), ERR_CONFIG_INVALID);
}

static void test_durations(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        {"500ms", true, 500},
        {"30s", true, 30000},
        {"10m", true, 600000},
        {"2h", true, 7200000},
        {"7d", true, 604800000},
        {"1234", true, 1234},
        {"-1", true, -1},
        {"0s", true, 0},
        {"-1s", false, 0},
        {"+1s", false, 0},
        {"s", false, 0},
        {"1 s", false, 0},
        {"1.5s", false, 0},
        {"1S", false, 0},
        {"1w", false, 0},
        {"1sx", false, 0},
        {"1h30m", false, 0},
        {"", false, 0},
        {"106751991167d", true, 106751991167 * 86400000},
        {"106751991168d", false, 0},
        {"9223372036854775808ms", false, 0},
    };
    check_numbers(str_to_duration_ms, cases, COUNT_OF(cases));
}

static void test_sizes(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        {"512", true, 512},
        {"-1", true, -1},
        {"512B", true, 512},
        {"64KiB", true, 65536},
        {"10MiB", true, 10485760},
        {"1GiB", true, 1073741824},
        {"2TiB", true, 2199023255552},
        {"10KB", true, 10000},
        {"10MB", true, 10000000},
        {"3GB", true, 3000000000},
        {"1TB", true, 1000000000000},
        {"1K", false, 0},
        {"1kb", false, 0},
        {"-1KiB", false, 0},
        {"KiB", false, 0},
        {"1 KiB", false, 0},
        {"8388608TiB", false, 0},
        {"8388607TiB", true, 8388607ll << 40},
    };
    check_numbers(str_to_size, cases, COUNT_OF(cases));
}

struct host_case {
    const char *text;
    const char *host; /* NULL: refused */
    uint16_t port;
};

static void test_host_port(void **state)
{
    (void)state;
    static const struct host_case cases[] = {
        {"127.0.0.1:9092", "127.0.0.1", 9092},
        {"localhost:0", "localhost", 0},
        {":9092", "", 9092},
        {"[::1]:65535", "::1", 65535},
        {"[fe80::1%eth0]:1", "fe80::1%eth0", 1},
        {"localhost", NULL, 0},
        {"localhost:", NULL, 0},
        {"localhost:65536", NULL, 0},
        {"localhost:-1", NULL, 0},
        {"localhost:+1", NULL, 0},
        {"localhost:90x", NULL, 0},
        {"::1:9092", NULL, 0},
        {"[::1]", NULL, 0},
        {"[::1]9092", NULL, 0},
        {"[::1:9092", NULL, 0},
        {"[]:9092", NULL, 0},
        {"[a]]:9092", NULL, 0},
        {"a b:9092", NULL, 0},
        {"", NULL, 0},
        {":", NULL, 0},
        {"1234567890123456:1", NULL, 0}, /* longer than the buffer */
        {"123456789012345:1", "123456789012345", 1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char host[16] = "kept";
        uint16_t port = 4711;
        enum err err = str_to_host_port(str_of(cases[i].text), host, sizeof(host), &port);
        bool ok = cases[i].host != NULL;
        if ((err == ERR_OK) != ok || strcmp(host, ok ? cases[i].host : "kept") != 0 ||
            port != (ok ? cases[i].port : 4711))
            fail_msg("\"%s\": %s, \"%s\", %u", cases[i].text, err_name(err), host, port);
    }
}

static void test_distance(void **state)
{
    (void)state;
    assert_int_equal(str_distance(STR_LIT(""), STR_LIT("")), 0);
    assert_int_equal(str_distance(STR_LIT("abc"), STR_LIT("")), 3);
    assert_int_equal(str_distance(STR_LIT("kitten"), STR_LIT("sitting")), 3);
    assert_int_equal(str_distance(STR_LIT("sitting"), STR_LIT("kitten")), 3);
    assert_int_equal(str_distance(STR_LIT("topic"), STR_LIT("topics")), 1);
    char a[200], b[200];
    memset(a, 'a', sizeof(a));
    memset(b, 'b', sizeof(b));
    assert_int_equal(str_distance((struct str){a, 200}, (struct str){b, 200}), 64);
}

struct utf8_case {
    const char *bytes;
    size_t n;
    bool valid;
};

static const struct utf8_case utf8_cases[] = {
    {"", 0, true},
    {"plain ascii of more than eight bytes", 36, true},
    {"\x00", 1, true},
    {"\x7f", 1, true},
    {"\x80", 1, false}, /* a continuation alone */
    {"\xbf", 1, false},
    {"\xc0\x80", 2, false}, /* overlong */
    {"\xc1\xbf", 2, false},
    {"\xc2\x80", 2, true}, /* U+0080 */
    {"\xdf\xbf", 2, true},
    {"\xc2", 1, false},
    {"\xc2\x7f", 2, false},
    {"\xc2\xc0", 2, false},
    {"\xe0\x9f\xbf", 3, false}, /* overlong */
    {"\xe0\xa0\x80", 3, true},  /* U+0800 */
    {"\xe2\x82\xac", 3, true},
    {"\xe2\x82", 2, false},
    {"\xe2\x82\x41", 3, false},
    {"\xed\x9f\xbf", 3, true},  /* U+D7FF */
    {"\xed\xa0\x80", 3, false}, /* surrogate */
    {"\xed\xbf\xbf", 3, false},
    {"\xee\x80\x80", 3, true}, /* U+E000 */
    {"\xef\xbf\xbf", 3, true},
    {"\xf0\x8f\xbf\xbf", 4, false}, /* overlong */
    {"\xf0\x90\x80\x80", 4, true},  /* U+10000 */
    {"\xf0\x9f\x98\x80", 4, true},
    {"\xf0\x9f\x98", 3, false},
    {"\xf0\x9f\x98\xc0", 4, false},
    {"\xf0\x9f\x18\x80", 4, false},
    {"\xf4\x8f\xbf\xbf", 4, true},  /* U+10FFFF */
    {"\xf4\x90\x80\x80", 4, false}, /* beyond */
    {"\xf5\x80\x80\x80", 4, false},
    {"\xff", 1, false},
    {"1234567\xff", 8, false},
    {"12345678\xff", 9, false},
    {"1234567\xc3\xa9xyz", 12, true},
};

static void test_utf8_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(utf8_cases); i++) {
        const struct utf8_case *c = &utf8_cases[i];
        if (utf8_valid(c->bytes, c->n) != c->valid)
            fail_msg("case %zu", i);
    }
    assert_true(utf8_valid(NULL, 0));
}

/* Every code point in its one form is valid, except the surrogates. */
static void test_utf8_all_code_points(void **state)
{
    (void)state;
    for (uint32_t c = 0x800; c < 0x110000; c++) {
        uint8_t b[4] = {(uint8_t)(0xf0 | c >> 18), (uint8_t)(0x80 | (c >> 12 & 63)),
                        (uint8_t)(0x80 | (c >> 6 & 63)), (uint8_t)(0x80 | (c & 63))};
        bool three = c < 0x10000;
        if (three)
            b[1] = (uint8_t)(0xe0 | c >> 12);
        bool surrogate = c >= 0xd800 && c <= 0xdfff;
        if (utf8_valid(three ? b + 1 : b, three ? 3 : 4) == surrogate)
            fail_msg("U+%04X", c);
    }
}

static void assert_nearest(const char *given, const char *best)
{
    static const char *const words[] = {"partitions", "retention", "retry", "flush", "id"};
    struct str_nearest n;
    str_nearest_init(&n, str_of(given));
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        str_nearest_offer(&n, str_of(words[i]));
    assert_true(str_eq(n.best, str_of(best)));
}

static void test_nearest(void **state)
{
    (void)state;
    assert_nearest("partition", "partitions");
    assert_nearest("retyr", "retry");
    assert_nearest("flsh", "flush");
    assert_nearest("retantiom", "retention");
    assert_nearest("compression", NULL);
    assert_nearest("xx", NULL);
    assert_nearest("ix", "id");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare_and_copy), cmocka_unit_test(test_i64),
        cmocka_unit_test(test_durations),        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_host_port),        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_utf8_table),       cmocka_unit_test(test_utf8_all_code_points),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
