#include "io/log.h"

#include "../check.h"

#include <stdio.h>
#include <string.h>

static char line[4096];
static unsigned lines;

static void keep(const char *s, size_t n)
{
    assert_true(n < sizeof(line));
    memcpy(line, s, n);
    line[n] = 0;
    lines++;
}

static int setup(void **state)
{
    (void)state;
    line[0] = 0;
    lines = 0;
    log_set_sink(keep);
    log_set_level(ENV_INFO);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_set_sink(NULL);
    log_set_level(ENV_INFO);
    return 0;
}

static void test_format(void **state)
{
    (void)state;
    log_write_at(UINT64_C(1795201523123), ENV_INFO, "serve.ready", "kafka=127.0.0.1:9092");
    assert_string_equal(line, "2026-11-20T19:05:23.123Z INFO serve.ready kafka=127.0.0.1:9092\n");
    log_write_at(0, ENV_ERROR, "x", "");
    assert_string_equal(line, "1970-01-01T00:00:00.000Z ERROR x\n");
    log_event(ENV_WARN, "a.b", "n=%d s=%s", 5, "t");
    assert_string_equal(line + 24, " WARN a.b n=5 s=t\n");
}

static void test_levels(void **state)
{
    (void)state;
    log_write(ENV_DEBUG, "x", "");
    log_event(ENV_DEBUG, "x", "%d", 1);
    assert_int_equal(lines, 0);
    log_set_level(ENV_DEBUG);
    log_write(ENV_DEBUG, "x", "");
    assert_int_equal(lines, 1);
    log_set_level(ENV_ERROR);
    log_write(ENV_WARN, "x", "");
    log_write(ENV_ERROR, "x", "");
    assert_int_equal(lines, 2);
}

/* A text cannot forge a second line; one that is too long is cut, not dropped. */
static void test_one_line(void **state)
{
    (void)state;
    log_write(ENV_INFO, "x", "a\nb\rc");
    assert_string_equal(line + 24, " INFO x a b c\n");
    char text[3000];
    memset(text, 't', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    log_write(ENV_INFO, "x", text);
    size_t n = strlen(line);
    assert_true(n > 1000 && n < 2100);
    assert_int_equal(line[n - 1], '\n');
    assert_int_equal(line[n - 2], 't');
}

static void test_quote(void **state)
{
    (void)state;
    char out[64], tiny[8];
    assert_string_equal(log_quote(out, sizeof(out), "plain text"), "\"plain text\"");
    assert_string_equal(log_quote(out, sizeof(out), "a\"b\\c\nd\te\x01"),
                        "\"a\\\"b\\\\c\\nd\\te\\x01\"");
    assert_string_equal(log_quote(tiny, sizeof(tiny), "123456789"), "\"12345\"");
    assert_string_equal(log_quote(tiny, sizeof(tiny), "1234\n6789"), "\"1234\"");
    assert_string_equal(log_quote(tiny, 2, "x"), "");
    assert_string_equal(log_quote(tiny, 3, "x"), "\"\"");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_format),
        T(test_levels),
        T(test_one_line),
        T(test_quote),
    };
    return cmocka_run_group_tests_name("io/log", tests, NULL, NULL);
}
