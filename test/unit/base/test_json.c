/* JSON text: what is right and what is not, values as they stand in the source, strings decoded and
 * written, and the limit on nesting. */
#include "../check.h"

#include "base/json.h"
#include "base/mem.h"

#include <string.h>

static void test_valid(void **state)
{
    static const char *const right[] = {
        "null",
        " true ",
        "false",
        "0",
        "-0",
        "12",
        "1.50",
        "1e9",
        "-1.5E-3",
        "\"\"",
        "\"a\\n\"",
        "[]",
        "[ ]",
        "{}",
        "[1,[2,{\"a\":[]}],3]",
        "{\"a\":1,\"b\":{\"c\":null}}",
        "123456789012345678901234567890",
        "\"\\u00e9\\uD83D\\ude00\"",
        "\"\xc3\xa9\"",
        "\t\r\n[1]",
        "\"/\\/\"",
        "{\"\":\"\"}",
        "[[],{}]",
    };
    static const char *const wrong[] = {
        "",
        " ",
        "nul",
        "True",
        "01",
        "1.",
        ".5",
        "-",
        "+1",
        "1e",
        "0x1",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\x01\"",
        "\"\xc3\"",
        "\"\xed\xa0\x80\"",
        "[",
        "]",
        "[1",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\":1 \"b\":2}",
        "1 2",
        "[1]]",
        "{]",
        "[}",
        "nulll",
        "\"a\"b",
        "'a'",
        "[1,2}",
        "{\"a\":[1}",
        "tru",
        "-a",
        "\"\\\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
        if (!json_valid(str_of(right[i])))
            fail_msg("refused: %s", right[i]);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (json_valid(str_of(wrong[i])))
            fail_msg("taken: %s", wrong[i]);
    assert_false(json_valid((struct str){"1\0", 2}));
    assert_false(json_valid((struct str){"\"\\\0\"", 4}));
}

/* Every beginning of a right text that ends in a bracket is wrong, and is found out in place. */
static void test_cut(void **state)
{
    const char *text = "{\"a\":[1,-2.5e3,\"x\\u00e9\\\"\",{\"b\":true}],\"c\":null}";
    (void)state;
    assert_true(json_valid(str_of(text)));
    for (size_t n = 0; n < strlen(text); n++) {
        char *copy = mem_strndup(text, n);
        char *tight = mem_alloc(n);
        memcpy(tight, copy, n);
        assert_false(json_valid((struct str){tight, n}));
        mem_free(tight);
        mem_free(copy);
    }
}

static void test_walk(void **state)
{
    struct jr j;
    struct jr_value name, v;
    (void)state;
    jr_init(&j, str_of(" {\"a\" : 1.50 , \"b\":[true, \"x\"], \"c\":{ \"d\" : 2 } } "));
    assert_true(jr_object(&j));
    assert_true(jr_member(&j, &name) && str_is(name.text, "a"));
    assert_true(jr_value(&j, &v) && v.type == JR_NUMBER && str_is(v.text, "1.50"));
    assert_true(jr_member(&j, &name) && str_is(name.text, "b"));
    assert_true(jr_array(&j));
    assert_true(jr_element(&j) && jr_value(&j, &v) && v.type == JR_BOOLEAN);
    assert_true(jr_element(&j) && jr_value(&j, &v) && v.type == JR_STRING);
    assert_false(jr_element(&j));
    assert_true(jr_member(&j, &name) && str_is(name.text, "c"));
    assert_true(jr_value(&j, &v) && v.type == JR_OBJECT && str_is(v.text, "{ \"d\" : 2 }"));
    assert_false(jr_member(&j, &name));
    assert_true(jr_end(&j));
}

/* Empty containers inside of others do not take the comma behind them for their own. */
static void test_walk_empty(void **state)
{
    struct jr j;
    struct jr_value v;
    (void)state;
    jr_init(&j, STR_LIT("[[],{},[1]]"));
    assert_true(jr_array(&j));
    int n = 0;
    while (jr_element(&j)) {
        assert_true(jr_value(&j, &v));
        n++;
    }
    assert_int_equal(n, 3);
    assert_true(jr_end(&j));
}

static void test_errors_stay(void **state)
{
    struct jr j;
    struct jr_value v;
    (void)state;
    jr_init(&j, STR_LIT("[1, 2x]"));
    assert_true(jr_array(&j) && jr_element(&j) && jr_value(&j, &v) && jr_element(&j));
    assert_true(jr_value(&j, &v));
    assert_false(jr_element(&j));
    assert_int_equal(jr_place(&j), 5);
    assert_non_null(j.bad);
    const char *why = j.bad;
    assert_false(jr_value(&j, &v) || jr_element(&j) || jr_object(&j) || jr_end(&j));
    assert_ptr_equal(j.bad, why);
}

static void test_depth(void **state)
{
    char text[2 * (JSON_DEPTH_MAX + 1)];
    (void)state;
    for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(json_valid((struct str){text, 2 * depth}), depth == JSON_DEPTH_MAX);
    }
}

static void check_string(const char *source, const char *wanted, size_t len)
{
    struct arena a;
    struct jr j;
    struct jr_value v;
    arena_init(&a, 4096);
    jr_init(&j, str_of(source));
    assert_true(jr_value(&j, &v) && jr_end(&j));
    struct str s = jr_string(&v, &a);
    assert_int_equal(s.len, len);
    assert_memory_equal(s.at, wanted, len);
    if (!v.escaped)
        assert_ptr_equal(s.at, source + 1);
    arena_free(&a);
}

static void test_strings(void **state)
{
    (void)state;
    check_string("\"plain\"", "plain", 5);
    check_string("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
    check_string("\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
                 10);
    check_string("\"\\u0000x\"", "\0x", 2);
}

/* Eight bytes are looked at together: each byte at each place, in strings of all lengths. */
static void test_each_byte_at_each_place(void **state)
{
    char text[32];
    struct wr w;
    (void)state;
    wr_init(&w, 0);
    for (size_t n = 1; n < 20; n++) {
        for (size_t at = 1; at <= n; at++) {
            for (unsigned c = 0; c < 256; c++) {
                bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
                memset(text, 'a', sizeof text);
                text[0] = text[n + 1] = '"';
                text[at] = (char)c;
                assert_int_equal(json_valid((struct str){text, n + 2}), plain);
                w.len = 0;
                json_write_string(&w, (struct str){text + 1, n});
                assert_int_equal(w.len == n + 2, plain);
                assert_true(json_valid((struct str){(char *)w.buf->data, w.len}));
            }
        }
    }
    wr_free(&w);
}

static void test_string_needs_room(void **state)
{
    struct arena a;
    struct jr j;
    struct jr_value v;
    (void)state;
    arena_init(&a, 0);
    jr_init(&j, STR_LIT("\"\\n\""));
    assert_true(jr_value(&j, &v));
    assert_null(jr_string(&v, &a).at);
    arena_free(&a);
}

static void check_written(struct str s, const char *wanted)
{
    struct wr w;
    wr_init(&w, 0);
    json_write_string(&w, s);
    assert_int_equal(w.len, strlen(wanted));
    assert_memory_equal(w.buf->data, wanted, w.len);
    assert_true(json_valid((struct str){(char *)w.buf->data, w.len}));
    wr_free(&w);
}

static void test_write(void **state)
{
    (void)state;
    check_written(STR_LIT(""), "\"\"");
    check_written(STR_LIT("a\"b\\c\n\x01\x1f/"), "\"a\\\"b\\\\c\\n\\u0001\\u001f/\"");
    check_written((struct str){"\0", 1}, "\"\\u0000\"");
    check_written(STR_LIT("\xc3\xa9\xf0\x9f\x98\x80"), "\"\xc3\xa9\xf0\x9f\x98\x80\"");
    check_written(STR_LIT("a\xff\xc3z\xc3\xa9\xe2\x82"),
                  "\"a\xef\xbf\xbd\xef\xbf\xbdz\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\"");
    struct wr w;
    wr_init(&w, 0);
    json_write_int(&w, INT64_MIN);
    assert_memory_equal(w.buf->data, "-9223372036854775808", 20);
    wr_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),       cmocka_unit_test(test_cut),
        cmocka_unit_test(test_walk),        cmocka_unit_test(test_walk_empty),
        cmocka_unit_test(test_errors_stay), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_strings),     cmocka_unit_test(test_string_needs_room),
        cmocka_unit_test(test_write),       cmocka_unit_test(test_each_byte_at_each_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
