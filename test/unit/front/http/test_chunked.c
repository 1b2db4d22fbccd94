/* The chunked coding: what is right at every split, and what is refused. */
#include "front/http/chunked.h"

#include "../../check.h"

#include <stdio.h>
#include <string.h>

static enum err feed(const char *text, size_t n, size_t piece, size_t max, struct wr *out,
                     size_t *used, enum chunked_at *at)
{
    struct chunked c = {0};
    enum err err = ERR_OK;
    *used = 0;
    wr_init(out, 0);
    while (!err && *used < n && c.at != CHUNKED_DONE) {
        size_t k = n - *used < piece ? n - *used : piece, took;
        err = chunked_take(&c, (const uint8_t *)text + *used, k, max, out, &took);
        *used += took;
    }
    *at = c.at;
    return err;
}

static void right(const char *text, const char *data, size_t rest)
{
    size_t n = strlen(text), used;
    enum chunked_at at;
    struct wr out;
    for (size_t piece = 1; piece <= n; piece++) {
        assert_int_equal(feed(text, n, piece, 1000, &out, &used, &at), ERR_OK);
        assert_int_equal(at, CHUNKED_DONE);
        assert_int_equal(used, n - rest);
        assert_int_equal(out.len, strlen(data));
        if (out.len)
            assert_memory_equal(out.buf->data, data, out.len);
        wr_free(&out);
    }
}

static void wrong(const char *text, size_t n, enum err want)
{
    size_t used;
    enum chunked_at at;
    struct wr out;
    for (size_t piece = 1; piece <= n; piece++) {
        assert_int_equal(feed(text, n, piece, 1000, &out, &used, &at), want);
        wr_free(&out);
    }
}

static void chunks_are_joined(void **state)
{
    (void)state;
    right("0\r\n\r\n", "", 0);
    right("3\r\nabc\r\n0\r\n\r\n", "abc", 0);
    right("3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n", "abc0123456789", 0);
    right("a\r\n0123456789\r\n0\r\n\r\nGET / HTTP/1.1\r\n", "0123456789", 16);
    right("1;a=b\r\nx\r\n0;last\r\n\r\n", "x", 0);
    right("1\r\nx\r\n0\r\nX-Sum: 5\r\nOther: y\r\n\r\n", "x", 0);
}

#define WRONG(text, err) wrong(text, sizeof(text) - 1, err)

static void odd_syntax_is_refused(void **state)
{
    (void)state;
    WRONG("\r\n", ERR_FRAME);
    WRONG("3\nabc\r\n0\r\n\r\n", ERR_FRAME);
    WRONG("3\r\nabc\n0\r\n\r\n", ERR_FRAME);
    WRONG("3\r\nabcd\r\n0\r\n\r\n", ERR_FRAME);
    WRONG("3 \r\nabc\r\n0\r\n\r\n", ERR_FRAME);
    WRONG(" 3\r\nabc\r\n0\r\n\r\n", ERR_FRAME);
    WRONG("0x3\r\nabc\r\n0\r\n\r\n", ERR_FRAME);
    WRONG("-1\r\n", ERR_FRAME);
    WRONG("+3\r\nabc\r\n", ERR_FRAME);
    WRONG("3\r\rabc\r\n0\r\n\r\n", ERR_FRAME);
    WRONG("1;a\nb\r\nx\r\n0\r\n\r\n", ERR_FRAME);
    WRONG("1;a\0b\r\nx\r\n0\r\n\r\n", ERR_FRAME);
    WRONG("0\r\nA: b\n\r\n", ERR_FRAME);
    WRONG("0\r\n folded\r\n\r\n", ERR_FRAME);
    WRONG("0\r\n\rx", ERR_FRAME);
    WRONG("000000001\r\nx\r\n0\r\n\r\n", ERR_FRAME);
}

static void there_are_bounds(void **state)
{
    static char text[3000];
    (void)state;
    WRONG("3E9\r\n", ERR_OK); /* nothing of it is there yet */
    WRONG("3E9\r\nx", ERR_MESSAGE_TOO_LARGE);
    WRONG("FFFFFFFF\r\nx", ERR_MESSAGE_TOO_LARGE);
    snprintf(text, sizeof text, "1;%0*d\r\nx\r\n0\r\n\r\n", CHUNKED_LINE_MAX + 1, 0);
    wrong(text, strlen(text), ERR_FRAME);
    size_t n = (size_t)snprintf(text, sizeof text, "0\r\n");
    for (int i = 0; i <= CHUNKED_OVERHEAD_MAX / CHUNKED_LINE_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "A: b\r\n");
    wrong(text, n, ERR_FRAME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_joined),
        cmocka_unit_test(odd_syntax_is_refused),
        cmocka_unit_test(there_are_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
