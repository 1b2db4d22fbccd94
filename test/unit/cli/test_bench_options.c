#include "cli/bench_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct bench_options options;
static struct err_text text;

/* Parses arguments as `weir bench produce` would get them. */
static enum err parse(const char *a, const char *b, const char *c)
{
    char *argv[6] = {
        "bench", "produce", (char *)(uintptr_t)a, (char *)(uintptr_t)b, (char *)(uintptr_t)c, NULL};
    int argc = 2;
    while (argv[argc])
        argc++;
    memset(&text, 0, sizeof text);
    return bench_options_parse(&options, argc, argv, 2, &text);
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(parse(NULL, NULL, NULL), ERR_OK);
    assert_string_equal(options.bootstrap, "127.0.0.1:9092");
    assert_string_equal(options.acks, "all");
    assert_int_equal(options.size, 1024);
    assert_int_equal(options.linger_ms, 5);
    assert_int_equal(options.batch_bytes, 1048576);
    assert_int_equal(options.producers, 1);
    assert_int_equal(options.count, 0);
    assert_false(options.linger_given);
    assert_false(options.json);
}

static void test_values(void **state)
{
    (void)state;
    assert_int_equal(parse("--size", "100", "--json"), ERR_OK);
    assert_int_equal(options.size, 100);
    assert_true(options.json);
    assert_int_equal(parse("--size=200", "--topic", "orders"), ERR_OK);
    assert_int_equal(options.size, 200);
    assert_string_equal(options.topic, "orders");
    assert_int_equal(parse("--linger=0", NULL, NULL), ERR_OK);
    assert_int_equal(options.linger_ms, 0);
    assert_true(options.linger_given);
    assert_int_equal(parse("-X", "security.protocol=SSL", "--idempotent"), ERR_OK);
    assert_int_equal(options.extra_count, 1);
    assert_string_equal(options.extra[0], "security.protocol=SSL");
    assert_true(options.idempotent);
}

static void assert_refused(const char *a, const char *b, const char *says)
{
    assert_int_equal(parse(a, b, NULL), ERR_CONFIG_INVALID);
    if (!strstr(text.s, says))
        fail_msg("'%s' does not say '%s'", text.s, says);
}

static void test_refusals_name_the_option(void **state)
{
    (void)state;
    assert_refused("--sizes", "100", "--sizes");
    assert_refused("stray", NULL, "stray");
    assert_refused("--size", NULL, "--size needs a value");
    assert_refused("--size", "15", "--size takes a number from 16 to");
    assert_refused("--size", "100k", "'100k'");
    assert_refused("--size", "-5", "'-5'");
    assert_refused("--size", "", "''");
    assert_refused("--count", "99999999999999999999", "--count");
    assert_refused("--json=yes", NULL, "--json takes no value");
    assert_refused("--acks", "2", "--acks takes 0, 1 or all, not '2'");
    assert_refused("-X", "linger.ms", "-X takes NAME=VALUE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refusals_name_the_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
