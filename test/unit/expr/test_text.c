#include "expect.h"

#include "expr/text.h"

/* Every code point is read as itself from its own bytes. */
static void test_all_characters(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x110000; c++) {
        char bytes[4];
        size_t i = 0;
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        size_t n = text_put(bytes, c);
        if (!utf8_valid(bytes, n) || text_next((struct str){bytes, n}, &i) != c || i != n)
            fail_msg("U+%04X", c);
    }
}

static void test_stray_bytes_stay(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\xff", "\x80", "\xc3", "\xe2\x82", "\xed\xa0\x80", "a\xf4\x90\x80\x80z", "\xc3\xa9\xc3"};
    for (size_t k = 0; k < COUNT_OF(texts); k++) {
        struct str s = str_of(texts[k]);
        char back[16];
        size_t n = 0;
        for (size_t i = 0; i < s.len;)
            n += text_put(back + n, text_next(s, &i));
        assert_int_equal(n, s.len);
        assert_memory_equal(back, s.at, n);
    }
    assert_int_equal(text_length(STR_LIT("a\xff\xc3\xa9\xc3")), 4);
}

static void test_length_and_bytes(void **state)
{
    (void)state;
    struct str s = STR_LIT("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z");
    assert_int_equal(text_length(s), 5);
    assert_int_equal(text_bytes(s, 0), 0);
    assert_int_equal(text_bytes(s, 2), 3);
    assert_int_equal(text_bytes(s, 4), 10);
    assert_int_equal(text_bytes(s, 5), 11);
    assert_int_equal(text_bytes(s, 99), 11);
    assert_int_equal(text_length(STR_LIT("")), 0);
}

static void test_trim(void **state)
{
    (void)state;
    static const struct expect_case cases[] = {
        {"  a b  ", "a b"},
        {"\t\r\n\v\f", ""},
        {"", ""},
        {"\xc2\xa0\xe3\x80\x80x\xe2\x80\x83", "x"}, /* no-break, ideographic, em space */
        {"\xe2\x80\x8bx", "\xe2\x80\x8bx"},         /* zero width space is not White_Space */
        {"\x01x\x01", "\x01x\x01"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str got = text_trim(str_of(cases[i].expression));
        assert_true(str_is(got, cases[i].want));
    }
}

/* All of Unicode's White_Space, and nothing else. */
static void test_white_space(void **state)
{
    (void)state;
    static const uint32_t spaces[] = {
        0x09,   0x0a,   0x0b,   0x0c,   0x0d,   0x20,   0x85,   0xa0,   0x1680,
        0x2000, 0x2001, 0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008,
        0x2009, 0x200a, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000,
    };
    size_t k = 0;
    for (uint32_t c = 0; c < 0x110000; c++) {
        char bytes[4];
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        bool space = k < COUNT_OF(spaces) && spaces[k] == c;
        k += space;
        size_t n = text_put(bytes, c);
        if ((text_trim((struct str){bytes, n}).len == 0) != space)
            fail_msg("U+%04X", c);
    }
    assert_int_equal(k, COUNT_OF(spaces));
}

static void test_case(void **state)
{
    (void)state;
    static const struct {
        uint32_t lower, upper;
    } pairs[] = {
        {'a', 'A'},       {'z', 'Z'},     {0xe9, 0xc9},     {0xff, 0x178},    {0x101, 0x100},
        {0x3b1, 0x391},   {0x44f, 0x42f}, {0x451, 0x401},   {0x1e01, 0x1e00}, {0x10428, 0x10400},
        {0xff41, 0xff21}, {0x17e, 0x17d}, {0x24d0, 0x24b6}, {0x2c65, 0x23a},
    };
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        assert_int_equal(text_upper(pairs[i].lower), pairs[i].upper);
        assert_int_equal(text_lower(pairs[i].upper), pairs[i].lower);
        assert_int_equal(text_upper(pairs[i].upper), pairs[i].upper);
        assert_int_equal(text_lower(pairs[i].lower), pairs[i].lower);
    }
    static const uint32_t none[] = {'1',    '_',  0xdf,     0x100000,
                                    0x4e2d, 0xd7, 0x10ffff, TEXT_STRAY + 0xe9};
    for (size_t i = 0; i < COUNT_OF(none); i++) {
        assert_int_equal(text_upper(none[i]), none[i]);
        assert_int_equal(text_lower(none[i]), none[i]);
    }
    assert_int_equal(text_upper(0x3c2), 0x3a3); /* the final sigma has the same capital */
    assert_int_equal(text_lower(0x3a3), 0x3c3);
}

static void test_without_case(void **state)
{
    (void)state;
    struct str s = STR_LIT("\xc3\x89tude No. 5");
    size_t used = 0;
    assert_true(text_equals_nocase(s, STR_LIT("\xc3\xa9TUDE nO. 5")));
    assert_false(text_equals_nocase(s, STR_LIT("\xc3\xa9tude no. 55")));
    assert_false(text_equals_nocase(s, STR_LIT("\xc3\xa9tude")));
    assert_true(text_begins_nocase(s, STR_LIT("\xc3\xa9T"), &used));
    assert_int_equal(used, 3);
    assert_true(text_begins_nocase(s, STR_LIT(""), &used));
    assert_true(text_ends_nocase(s, STR_LIT("NO. 5")));
    assert_true(text_ends_nocase(s, STR_LIT("")));
    assert_false(text_ends_nocase(s, STR_LIT("NO. 6")));
    assert_false(text_ends_nocase(STR_LIT("5"), STR_LIT("No. 5")));
    assert_true(text_contains_nocase(s, STR_LIT("TUDE")));
    assert_true(text_contains_nocase(s, STR_LIT("5")));
    assert_true(text_contains_nocase(STR_LIT(""), STR_LIT("")));
    assert_false(text_contains_nocase(s, STR_LIT("tudes")));
    assert_false(text_contains_nocase(STR_LIT(""), STR_LIT("a")));
    /* U+023A has two bytes, its small letter three. */
    assert_true(text_ends_nocase(STR_LIT("x\xc8\xba"), STR_LIT("\xe2\xb1\xa5")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_characters),   cmocka_unit_test(test_stray_bytes_stay),
        cmocka_unit_test(test_length_and_bytes), cmocka_unit_test(test_trim),
        cmocka_unit_test(test_white_space),      cmocka_unit_test(test_case),
        cmocka_unit_test(test_without_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
