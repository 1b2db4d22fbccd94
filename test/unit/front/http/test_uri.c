/* Percent-encoding and queries. */
#include "front/http/uri.h"

#include "../../check.h"

#include <string.h>

static struct arena arena;

static enum err decode(const char *raw, bool plus, const char **out)
{
    struct str s;
    enum err err = uri_decode(str_of(raw), plus, &arena, &s);
    *out = err ? NULL : arena_strndup(&arena, s.at, s.len);
    return err;
}

static void bytes_are_decoded(void **state)
{
    const char *s;
    (void)state;
    assert_int_equal(decode("a%20b%2Fc%2f%C3%BC", false, &s), ERR_OK);
    assert_string_equal(s, "a b/c/\xc3\xbc");
    assert_int_equal(decode("a+b", false, &s), ERR_OK);
    assert_string_equal(s, "a+b");
    assert_int_equal(decode("a+b%2B", true, &s), ERR_OK);
    assert_string_equal(s, "a b+");
    assert_int_equal(decode("", true, &s), ERR_OK);
    assert_string_equal(s, "");
    assert_int_equal(decode("%", false, &s), ERR_REQUEST_INVALID);
    assert_int_equal(decode("a%2", false, &s), ERR_REQUEST_INVALID);
    assert_int_equal(decode("%2g", false, &s), ERR_REQUEST_INVALID);
    assert_int_equal(decode("%00", false, &s), ERR_REQUEST_INVALID);
}

static void queries_are_split(void **state)
{
    const struct http_field *q;
    struct err_text text;
    size_t n;
    (void)state;
    assert_int_equal(uri_query(str_of("a=1&b=x%20y+z&c&=v&&d==e"), &arena, &q, &n, &text), ERR_OK);
    assert_int_equal(n, 5);
    assert_true(str_is(q[0].name, "a") && str_is(q[0].value, "1"));
    assert_true(str_is(q[1].name, "b") && str_is(q[1].value, "x y z"));
    assert_true(str_is(q[2].name, "c") && q[2].value.at && q[2].value.len == 0);
    assert_true(str_is(q[3].name, "") && str_is(q[3].value, "v"));
    assert_true(str_is(q[4].name, "d") && str_is(q[4].value, "=e"));
    assert_int_equal(uri_query((struct str){0}, &arena, &q, &n, &text), ERR_OK);
    assert_int_equal(n, 0);
    assert_int_equal(uri_query(str_of("a=%zz"), &arena, &q, &n, &text), ERR_REQUEST_INVALID);
    assert_non_null(strstr(text.s, "a=%zz"));
}

static void there_is_an_end_to_parameters(void **state)
{
    char raw[2 * HTTP_QUERY_MAX + 2];
    const struct http_field *q;
    struct err_text text;
    size_t n;
    (void)state;
    memset(raw, '&', sizeof raw);
    struct str most = {raw, HTTP_QUERY_MAX - 1}, more = {raw, HTTP_QUERY_MAX};
    assert_int_equal(uri_query(most, &arena, &q, &n, &text), ERR_OK);
    assert_int_equal(uri_query(more, &arena, &q, &n, &text), ERR_REQUEST_INVALID);
}

static void encoding_is_undone_by_decoding(void **state)
{
    char all[255];
    struct wr w;
    struct str back;
    (void)state;
    for (int i = 0; i < 255; i++)
        all[i] = (char)(i + 1);
    wr_init(&w, 0);
    uri_encode(&w, (struct str){all, sizeof all});
    assert_int_equal(uri_decode((struct str){(char *)w.buf->data, w.len}, true, &arena, &back),
                     ERR_OK);
    assert_int_equal(back.len, sizeof all);
    assert_memory_equal(back.at, all, sizeof all);
    wr_free(&w);
}

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_decoded),
        cmocka_unit_test(queries_are_split),
        cmocka_unit_test(there_is_an_end_to_parameters),
        cmocka_unit_test(encoding_is_undone_by_decoding),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
