/* Waterfalls: columns, bars and numbers, wide and narrow. */
#include "../check.h"

#include "base/mem.h"
#include "cli/waterfall.h"

#include <string.h>

static const struct waterfall_row rows[] = {
    {.indent = 0, .label = STR_LIT("orders/0/12  id 1234")},
    {.indent = 1,
     .label = STR_LIT("publish"),
     .timed = true,
     .start_us = 5000,
     .stage_us = {0, 0, 900, 0}},
    {.indent = 1,
     .label = STR_LIT("call \xc3\xa4 200"),
     .timed = true,
     .start_us = 5900,
     .stage_us = {1100, 2000, 4000, 2000}},
    {.indent = 1,
     .label = STR_LIT("something that is longer than its column"),
     .timed = true,
     .start_us = 14999,
     .stage_us = {0, 0, 0, 1}},
    {.indent = 2, .label = STR_LIT("drop \x1b[2J"), .timed = true, .start_us = 15000},
};

static char *drawn(const struct waterfall_row *at, size_t n, unsigned width)
{
    struct wr w;
    wr_init(&w, 64);
    waterfall_write(at, n, width, &w);
    char *text = mem_strndup((const char *)w.buf->data, w.len);
    wr_free(&w);
    return text;
}

static void check_drawn(size_t n, unsigned width, const char *wanted)
{
    char *text = drawn(rows, n, width);
    assert_string_equal(text, wanted);
    mem_free(text);
}

static void test_wide(void **state)
{
    (void)state;
    check_drawn(5, 90,
                "                                 start   wait .  queue -   took = settle :  0     "
                "10.00 ms\n"
                "orders/0/12  id 1234\n"
                " publish                         0.000                      0.900           =\n"
                " call \xc3\xa4 200                      0.900    1.100    2.000    4.000    2.000 "
                "  .---======:::\n"
                " something that is longer than its column\n"
                "                                 9.999                               0.001        "
                "       :\n"
                "  drop ?[2J                      10.00                                            "
                "       *\n");
}

static void test_narrow(void **state)
{
    (void)state;
    check_drawn(5, 60,
                "                              start     took  0     10.00 ms\n"
                "orders/0/12  id 1234\n"
                " publish                      0.000    0.900  =\n"
                " call \xc3\xa4 200                   0.900    9.100   .---======:::\n"
                " something that is longer than its column\n"
                "                              9.999    0.001               :\n"
                "  drop ?[2J                   10.00                        *\n"
                ". wait  - queue  = took  : settle\n");
}

/* Whatever the terminal says. */
static void test_widths(void **state)
{
    (void)state;
    for (unsigned width = 0; width <= 2 * WATERFALL_WIDTH_MAX; width++) {
        char *text = drawn(rows, 4, width);
        unsigned most = width < WATERFALL_WIDTH_MIN ? WATERFALL_WIDTH_MIN : width;
        most = most > WATERFALL_WIDTH_MAX ? WATERFALL_WIDTH_MAX : most;
        char *rest = text, *line;
        while ((line = strtok_r(rest, "\n", &rest)) != NULL)
            assert_true(strlen(line) <= most + 1); /* one letter has two bytes */
        mem_free(text);
    }
}

static void test_nothing_timed(void **state)
{
    (void)state;
    char *text = drawn(rows, 1, 90);
    assert_non_null(strstr(text, "orders/0/12  id 1234\n"));
    mem_free(text);
    text = drawn(NULL, 0, 90);
    assert_non_null(strstr(text, "start"));
    mem_free(text);
}

/* What is shorter than a column is seen, and so is what ends with everything. */
static void test_ends(void **state)
{
    const struct waterfall_row ends[] = {
        {.timed = true, .start_us = 0, .stage_us = {0, 0, 1000000000, 0}},
        {.timed = true, .start_us = 999999999, .stage_us = {0, 0, 0, 1}},
        {.timed = true, .start_us = 1000000000},
    };
    (void)state;
    char *text = drawn(ends, 3, 90);
    char *last = strrchr(text, '*');
    assert_non_null(strstr(text, ":\n"));
    assert_non_null(last);
    assert_string_equal(last, "*\n");
    assert_non_null(strstr(text, "==========================\n"));
    mem_free(text);
}

static void test_spans(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } spans[] = {{0, "0.000"},
                 {1, "0.001"},
                 {9999, "9.999"},
                 {10000, "10.00"},
                 {123456, "123.5"},
                 {1000000, "1.00s"},
                 {99990000, "99.99s"},
                 {600000000, "600s"},
                 {INT64_C(86400000000), "86400s"},
                 {INT64_C(360000000000), "100h"}};
    (void)state;
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        char text[16];
        waterfall_span(spans[i].us, text);
        assert_string_equal(text, spans[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wide),   cmocka_unit_test(test_narrow),
        cmocka_unit_test(test_widths), cmocka_unit_test(test_nothing_timed),
        cmocka_unit_test(test_ends),   cmocka_unit_test(test_spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
