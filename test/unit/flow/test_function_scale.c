/* How many workers, as tables: what is seen -> what is decided. */
#include "../check.h"

#include "flow/function_scale.h"

#include <string.h>

#define S UINT64_C(1000000)

static const struct function_scale_conf conf = {
    .min = 0, .max = 8, .target = 100, .concurrency = 1, .idle_us = 30 * S};

/* ---- one decision ---- */

struct row {
    uint64_t waiting;
    uint32_t calls, size, ready;
    uint32_t need, decided;
    const char *reason;
};

static void check_rows(const struct function_scale_conf *c, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct row *r = &rows[i];
        struct function_scale s = {0};
        const struct function_scale_seen seen = {.now_us = S,
                                                 .waiting = r->waiting,
                                                 .calls = r->calls,
                                                 .size = r->size,
                                                 .ready = r->ready};
        struct function_scale_answer a = function_scale(&s, c, &seen);
        if (a.need != r->need || a.size != r->decided ||
            strcmp(function_scale_reason(a.reason), r->reason) != 0)
            fail_msg("row %zu: need %u, size %u, %s", i, a.need, a.size,
                     function_scale_reason(a.reason));
    }
}

static void test_need(void **state)
{
    static const struct row rows[] = {
        /* waiting calls size ready  need size */
        {0, 0, 0, 0, 0, 0, "none"},      {0, 1, 0, 0, 1, 1, "calls"},
        {1, 0, 0, 0, 1, 1, "waiting"},   {100, 1, 0, 0, 1, 1, "calls"},
        {101, 0, 0, 0, 2, 2, "waiting"}, {400, 0, 0, 0, 4, 4, "waiting"},
        {100, 1, 1, 1, 1, 1, "none"},    {101, 1, 1, 1, 2, 2, "waiting"},
        {0, 3, 1, 1, 3, 3, "calls"},     {0, 1, 1, 0, 1, 1, "none"},
    };
    (void)state;
    check_rows(&conf, rows, sizeof rows / sizeof *rows);
}

static void test_steps_up(void **state)
{
    static const struct row rows[] = {
        {100000, 0, 0, 0, 8, 4, "waiting"}, /* four at first */
        {100000, 0, 4, 0, 8, 4, "none"},    /* that are starting */
        {100000, 0, 4, 1, 8, 5, "waiting"}, /* one more for each that is ready */
        {100000, 4, 4, 4, 8, 8, "waiting"},  {100000, 8, 8, 8, 8, 8, "none"},
        {UINT64_MAX, 8, 8, 8, 8, 8, "none"},
    };
    (void)state;
    check_rows(&conf, rows, sizeof rows / sizeof *rows);
}

static void test_doubles(void **state)
{
    struct function_scale_conf many = conf;
    static const struct row rows[] = {
        {100000, 8, 8, 8, 200, 16, "waiting"},
        {100000, 16, 16, 16, 200, 32, "waiting"},
        {100000, 16, 20, 16, 200, 32, "waiting"},
        {100000, 128, 128, 128, 200, 200, "waiting"},
    };
    (void)state;
    many.max = 200;
    check_rows(&many, rows, sizeof rows / sizeof *rows);
}

static void test_bounds(void **state)
{
    struct function_scale_conf c = conf;
    static const struct row rows[] = {
        {0, 0, 0, 0, 2, 2, "minimum"},
        {0, 1, 2, 2, 2, 2, "none"},
        {0, 0, 6, 6, 2, 3, "maximum"},
        {900, 0, 3, 3, 3, 3, "none"},
    };
    (void)state;
    c.min = 2;
    c.max = 3;
    check_rows(&c, rows, sizeof rows / sizeof *rows);
}

static void test_concurrency(void **state)
{
    struct function_scale_conf c = conf;
    static const struct row rows[] = {
        {0, 10, 0, 0, 1, 1, "calls"},
        {0, 11, 1, 1, 2, 2, "calls"},
        {0, UINT32_MAX, 1, 1, 8, 5, "calls"},
    };
    (void)state;
    c.concurrency = 10;
    check_rows(&c, rows, sizeof rows / sizeof *rows);
}

/* ---- in time ---- */

struct moment {
    uint64_t at_us, waiting;
    uint32_t size; /* afterwards */
};

/* All workers are ready at once. */
static void check_moments(const struct function_scale_conf *c, uint32_t size,
                          const struct moment *m, size_t n)
{
    struct function_scale s = {0};
    for (size_t i = 0; i < n; i++) {
        const struct function_scale_seen seen = {
            .now_us = m[i].at_us, .waiting = m[i].waiting, .size = size, .ready = size};
        size = function_scale(&s, c, &seen).size;
        if (size != m[i].size)
            fail_msg("moment %zu: size %u", i, size);
    }
}

static void test_down_one_by_one(void **state)
{
    static const struct moment m[] = {
        {10 * S, 0, 4}, {39 * S, 0, 4}, {40 * S - 1, 0, 4}, {40 * S, 0, 3}, {40 * S + 1, 0, 3},
        {41 * S, 0, 2}, {42 * S, 0, 1}, {43 * S, 0, 0},     {99 * S, 0, 0},
    };
    (void)state;
    check_moments(&conf, 4, m, sizeof m / sizeof *m);
}

static void test_need_comes_back(void **state)
{
    static const struct moment m[] = {
        {10 * S, 0, 2},   {39 * S, 200, 2}, /* needed again: the wait begins anew */
        {45 * S, 100, 2}, {74 * S, 100, 2}, {75 * S, 100, 1}, {76 * S, 101, 2},
        {77 * S, 0, 2},   {106 * S, 0, 2},  {107 * S, 0, 1},  {108 * S, 0, 0},
    };
    (void)state;
    check_moments(&conf, 2, m, sizeof m / sizeof *m);
}

/* However what waits swings, a worker is started at most once, and stopped at most once, within
 * the time that it takes to be idle. */
static void test_no_flapping(void **state)
{
    struct function_scale s = {0};
    uint32_t size = 1;
    unsigned downs = 0;
    (void)state;
    for (uint64_t at = S; at < 3000 * S; at += S / 2) {
        const struct function_scale_seen seen = {
            .now_us = at, .waiting = at / (7 * S) % 2 ? 800 : 50, .size = size, .ready = size};
        uint32_t now = function_scale(&s, &conf, &seen).size;
        downs += now < size;
        size = now;
    }
    assert_int_equal(downs, 0);
    assert_int_equal(size, 8);
}

/* Who asks at look_us, and only then, misses nothing. */
static void test_when_to_look(void **state)
{
    struct function_scale s = {0};
    struct function_scale_seen seen = {.now_us = S, .size = 3, .ready = 3};
    unsigned looks = 0;
    (void)state;
    while (seen.size > 0) {
        struct function_scale_answer a = function_scale(&s, &conf, &seen);
        seen.size = seen.ready = a.size;
        if (a.size == 0)
            break;
        assert_true(a.look_us != UINT64_MAX && a.look_us > seen.now_us);
        seen.now_us = a.look_us;
        looks++;
    }
    assert_int_equal(looks, 3);
    assert_int_equal(seen.now_us, 33 * S);
    seen.size = seen.ready = 0;
    assert_true(function_scale(&s, &conf, &seen).look_us == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_need),
        cmocka_unit_test(test_steps_up),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_concurrency),
        cmocka_unit_test(test_down_one_by_one),
        cmocka_unit_test(test_need_comes_back),
        cmocka_unit_test(test_no_flapping),
        cmocka_unit_test(test_when_to_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
