/* Cursors: what was written is read, and nothing else is. */
#include "front/http/places.h"

#include "base/mem.h"
#include "base/random.h"

#include "../../check.h"

#include <string.h>

static struct arena arena;
static const struct uuid topic = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static char *written(const struct place *at, size_t n, uint32_t next)
{
    struct wr w;
    wr_init(&w, 0);
    places_write(&w, &topic, at, n, next);
    char *text = arena_strndup(&arena, (char *)w.buf->data, w.len);
    wr_free(&w);
    return text;
}

static enum err read_back(const char *text, struct place **at, size_t *n, uint32_t *next)
{
    struct err_text why = {""};
    enum err err = places_read(str_of(text), &topic, &arena, at, n, next, &why);
    assert_true(!err == !why.s[0]);
    return err;
}

static void what_is_written_is_read(void **state)
{
    struct place in[PLACES_MAX], *out;
    struct rng rng;
    (void)state;
    rng_seed(&rng, 1);
    for (size_t n = 1; n <= PLACES_MAX; n += 1 + n / 3) {
        size_t got;
        uint32_t next;
        for (size_t i = 0; i < n; i++)
            in[i] = (struct place){(int32_t)(i * 3), (int64_t)(rng_next(&rng) >> (1 + i % 60))};
        char *text = written(in, n, 7);
        assert_int_equal(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789-_"),
                         strlen(text));
        assert_int_equal(read_back(text, &out, &got, &next), ERR_OK);
        assert_int_equal(got, n);
        assert_int_equal(next, 7);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(out[i].partition, in[i].partition);
            assert_int_equal(out[i].offset, in[i].offset);
        }
    }
}

static void the_longest_fits_into_a_target(void **state)
{
    struct place in[PLACES_MAX];
    (void)state;
    for (int i = 0; i < PLACES_MAX; i++)
        in[i] = (struct place){INT32_MAX - PLACES_MAX + i, INT64_MAX};
    assert_true(strlen(written(in, PLACES_MAX, 0)) > 7500); /* not a real one: 5 bytes each */
    for (int i = 0; i < PLACES_MAX; i++)
        in[i] = (struct place){i, INT64_MAX};
    assert_true(strlen(written(in, PLACES_MAX, PLACES_MAX)) < 7500);
}

static void others_are_refused(void **state)
{
    struct place in[3] = {{0, 5}, {1, 300}, {4, 7}}, *out;
    size_t n;
    uint32_t next;
    char *text = written(in, 3, 0);
    (void)state;
    assert_int_equal(read_back("", &out, &n, &next), ERR_REQUEST_INVALID);
    assert_int_equal(read_back("!", &out, &n, &next), ERR_REQUEST_INVALID);
    assert_int_equal(read_back("AAAA", &out, &n, &next), ERR_REQUEST_INVALID);
    for (size_t i = 0; i < strlen(text); i++) {
        char *cut = arena_strndup(&arena, text, i);
        enum err err = read_back(cut, &out, &n, &next);
        assert_true(err == ERR_REQUEST_INVALID || n < 3);
        cut = arena_strndup(&arena, text, strlen(text));
        cut[i] = cut[i] == 'A' ? 'B' : 'A';
        (void)!read_back(cut, &out, &n, &next); /* whatever it says, it ends */
    }
    struct uuid other = topic;
    struct err_text why;
    other.b[0]++;
    assert_int_equal(places_read(str_of(text), &other, &arena, &out, &n, &next, &why),
                     ERR_REQUEST_INVALID);
    assert_non_null(strstr(why.s, "another topic"));
    struct place twice[2] = {{1, 5}, {1, 6}};
    assert_int_equal(read_back(written(twice, 2, 0), &out, &n, &next), ERR_REQUEST_INVALID);
    assert_int_equal(read_back(written(in, 0, 0), &out, &n, &next), ERR_REQUEST_INVALID);
}

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 26);
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
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_longest_fits_into_a_target),
        cmocka_unit_test(others_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
