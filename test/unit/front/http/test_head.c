/* Heads: where they end, what they say, and what could be read in two ways. */
#include "front/http/head.h"

#include "front/http/http.h"

#include "../../check.h"

#include <stdio.h>
#include <string.h>

static struct arena arena;
static struct err_text text;

/* Parses a whole head. */
static int parse(const char *head, struct http_head *out)
{
    size_t n = strlen(head), line = 0, end;
    char *copy = arena_strndup(&arena, head, n);
    if (http_head_end(copy, n, &line, &end, &text))
        return -1;
    assert_int_equal(end, n);
    return http_head_parse(copy, n, &arena, out, &text);
}

static int status_of(const char *head)
{
    struct http_head h;
    return parse(head, &h);
}

#define H "Host: x\r\n"

static void the_end_is_found_at_every_split(void **state)
{
    static const char head[] = "GET / HTTP/1.1\r\nA: b\r\n\r\nGET /";
    (void)state;
    for (size_t first = 0; first < sizeof head; first++) {
        size_t line = 0, end;
        assert_int_equal(http_head_end(head, first, &line, &end, &text), ERR_OK);
        assert_int_equal(end, first >= 24 ? 24 : 0);
        if (end)
            continue;
        assert_int_equal(http_head_end(head, sizeof head - 1, &line, &end, &text), ERR_OK);
        assert_int_equal(end, 24);
    }
}

static void a_head_is_taken_apart(void **state)
{
    struct http_head h;
    (void)state;
    assert_int_equal(
        parse("POST /topics/a?x=1&y HTTP/1.1\r\nHOST: me:8080\r\nContent-Length: 12\r\n"
              "Content-Type:  text/plain  \r\nExpect: 100-Continue\r\n"
              "Accept-Encoding: br, gzip;q=0.5\r\nX-Empty:\r\n\r\n",
              &h),
        0);
    assert_int_equal(h.method, METHOD_POST);
    assert_true(str_is(h.path, "/topics/a") && str_is(h.query, "x=1&y"));
    assert_true(str_is(h.host, "me:8080"));
    assert_int_equal(h.length, 12);
    assert_true(h.expects_continue && h.wants_gzip && h.keep_alive && !h.http10 && !h.chunked);
    assert_int_equal(h.fields_n, 6);
    assert_true(
        str_is(http_fields_get(h.fields, h.fields_n, STR_LIT("content-type")), "text/plain"));
    struct str empty = http_fields_get(h.fields, h.fields_n, STR_LIT("x-empty"));
    assert_true(empty.at && empty.len == 0);
    assert_null(http_fields_get(h.fields, h.fields_n, STR_LIT("x-none")).at);
}

static void targets_have_forms(void **state)
{
    struct http_head h;
    (void)state;
    assert_int_equal(parse("GET http://other:1/p?q HTTP/1.1\r\n" H "\r\n", &h), 0);
    assert_true(str_is(h.host, "other:1") && str_is(h.path, "/p") && str_is(h.query, "q"));
    assert_int_equal(parse("GET http://other HTTP/1.1\r\n" H "\r\n", &h), 0);
    assert_true(str_is(h.path, "/"));
    assert_int_equal(parse("OPTIONS * HTTP/1.1\r\n" H "\r\n", &h), 0);
    assert_true(str_is(h.path, "*"));
    assert_int_equal(parse("GET /a?u=http://x HTTP/1.1\r\n" H "\r\n", &h), 0);
    assert_true(str_is(h.path, "/a"));
    assert_int_equal(status_of("GET * HTTP/1.1\r\n" H "\r\n"), 400);
    assert_int_equal(status_of("GET a HTTP/1.1\r\n" H "\r\n"), 400);
    assert_int_equal(status_of("GET /a#b HTTP/1.1\r\n" H "\r\n"), 400);
}

static void versions_decide_what_is_kept(void **state)
{
    struct http_head h;
    (void)state;
    assert_int_equal(parse("GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", &h), 0);
    assert_false(h.keep_alive);
    assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n", &h), 0);
    assert_true(h.http10 && !h.keep_alive);
    assert_int_equal(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &h), 0);
    assert_true(h.http10 && h.keep_alive);
    assert_int_equal(status_of("GET / HTTP/2.0\r\n" H "\r\n"), 505);
    assert_int_equal(status_of("GET / HTTP/1.2\r\n" H "\r\n"), 505);
    assert_int_equal(status_of("GET /\r\n" H "\r\n"), 505);
    assert_int_equal(status_of("PRI * HTTP/2.0\r\n\r\n"), 501);
}

/* What a proxy before us might read otherwise: RFC 9112, 11.2. */
static void smuggling_is_refused(void **state)
{
    static const char *const heads[] = {
        "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 4\r\n\r\n",
        "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
        "POST / HTTP/1.1\r\n" H "Content-Length: 3, 3\r\n\r\n",
        "POST / HTTP/1.1\r\n" H "Content-Length: +3\r\n\r\n",
        "POST / HTTP/1.1\r\n" H "Content-Length: -3\r\n\r\n",
        "POST / HTTP/1.1\r\n" H "Content-Length: 0x3\r\n\r\n",
        "POST / HTTP/1.1\r\n" H "Content-Length: 3 3\r\n\r\n",
        "POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n",
        "POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\n" H "Content-Length : 3\r\n\r\n",
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n",
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "A: b\rC: d\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "A: b\x01\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "A\x80: b\r\n\r\n",
        "GET / HTTP/1.1\r\n" H ": b\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "A B: c\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "Host: y\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "no colon\r\n\r\n",
        "GET  / HTTP/1.1\r\n" H "\r\n",
        "GET /a b HTTP/1.1\r\n" H "\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        int status = status_of(heads[i]);
        if (status != 400)
            print_error("%zu: %d for %s\n", i, status, heads[i]);
        assert_int_equal(status, 400);
    }
    assert_int_equal(status_of("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n"),
                     501);
    assert_int_equal(status_of("POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n"), 501);
    assert_int_equal(status_of("POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n"), 501);
    assert_int_equal(status_of("GET / HTTP/1.1 \r\n" H "\r\n"), 505);
    assert_int_equal(status_of("GET / HTTP/1.1\n" H "\n"), -1);
    assert_int_equal(status_of("GET / HTTP/1.1\r\n" H "A: b\n\r\n"), -1);
    assert_int_equal(status_of("GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n"), -1);
    assert_int_equal(status_of("GET / HTTP/1.1\r\n" H "A: b\r\n\tc\r\n\r\n"), -1);
}

static void expectations_are_met_or_refused(void **state)
{
    (void)state;
    assert_int_equal(status_of("GET / HTTP/1.1\r\n" H "Expect: 200-ok\r\n\r\n"), 417);
}

static void codings_are_told(void **state)
{
    struct http_head h;
    (void)state;
    assert_int_equal(parse("POST / HTTP/1.1\r\n" H "Content-Encoding: GZIP\r\n\r\n", &h), 0);
    assert_int_equal(h.coding, CODING_GZIP);
    assert_int_equal(parse("POST / HTTP/1.1\r\n" H "Content-Encoding: br\r\n\r\n", &h), 0);
    assert_int_equal(h.coding, CODING_UNKNOWN);
    assert_int_equal(parse("POST / HTTP/1.1\r\n" H "Content-Encoding: gzip, br\r\n\r\n", &h), 0);
    assert_int_equal(h.coding, CODING_UNKNOWN);
    assert_int_equal(parse("GET / HTTP/1.1\r\n" H "Accept-Encoding: gzip;q=0\r\n\r\n", &h), 0);
    assert_false(h.wants_gzip);
    assert_int_equal(parse("GET / HTTP/1.1\r\n" H "Accept-Encoding: deflate, GZIP\r\n\r\n", &h), 0);
    assert_true(h.wants_gzip);
    assert_int_equal(parse("GET / HTTP/1.1\r\n" H "Accept-Encoding: xgzip\r\n\r\n", &h), 0);
    assert_false(h.wants_gzip);
}

static void there_are_bounds(void **state)
{
    static char head[HTTP_HEAD_BYTES_MAX + 4096];
    struct http_head h;
    (void)state;
    snprintf(head, sizeof head, "GET /%0*d HTTP/1.1\r\n" H "\r\n", (int)HTTP_TARGET_BYTES_MAX - 1,
             0);
    assert_int_equal(parse(head, &h), 0);
    snprintf(head, sizeof head, "GET /%0*d HTTP/1.1\r\n" H "\r\n", (int)HTTP_TARGET_BYTES_MAX, 0);
    assert_int_equal(parse(head, &h), 414);
    size_t n = (size_t)snprintf(head, sizeof head, "GET / HTTP/1.1\r\n" H);
    for (int i = 1; i < HTTP_FIELDS_MAX; i++)
        n += (size_t)snprintf(head + n, sizeof head - n, "A%d: b\r\n", i);
    snprintf(head + n, sizeof head - n, "\r\n");
    assert_int_equal(parse(head, &h), 0);
    assert_int_equal(h.fields_n, HTTP_FIELDS_MAX);
    snprintf(head + n, sizeof head - n, "One: more\r\n\r\n");
    assert_int_equal(parse(head, &h), 431);
}

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 24);
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
        cmocka_unit_test(the_end_is_found_at_every_split),
        cmocka_unit_test(a_head_is_taken_apart),
        cmocka_unit_test(targets_have_forms),
        cmocka_unit_test(versions_decide_what_is_kept),
        cmocka_unit_test(smuggling_is_refused),
        cmocka_unit_test(expectations_are_met_or_refused),
        cmocka_unit_test(codings_are_told),
        cmocka_unit_test(there_are_bounds),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
