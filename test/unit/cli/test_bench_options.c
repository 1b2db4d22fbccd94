#include "cli/bench_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct bench_options options;
static struct err_text text;

/* Parses `bench produce` and up to two arguments more. */
static enum err parse(const char *a, const char *b)
{
    char *argv[5] = {"bench", "produce", (char *)(uintptr_t)a, (char *)(uintptr_t)b, NULL};
    int argc = 2 + (a != NULL) + (b != NULL);
    const char *verb;
    size_t n;
    bool help;
    memset(&options, 0, sizeof options);
    memset(&text, 0, sizeof text);
    enum err err = options_parse(&bench_option_set, argc, argv, &options, &verb, &n, &help, &text);
    return err ? err : bench_options_check(&options, &text);
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(parse(NULL, NULL), ERR_OK);
    assert_string_equal(options.bootstrap, "127.0.0.1:9092");
    assert_string_equal(bench_acks[options.acks], "all");
    assert_int_equal(options.size, 1024);
    assert_int_equal(options.linger_ms, BENCH_LINGER_AUTO);
    assert_int_equal(options.batch_bytes, 1048576);
    assert_int_equal(options.producers, 1);
    assert_int_equal(options.count, 0);
    assert_int_equal(options.seconds, 5);
    assert_int_equal(options.stick, 100);
    assert_false(options.json);
}

static void test_properties(void **state)
{
    (void)state;
    assert_int_equal(parse("--property", "security.protocol=SSL"), ERR_OK);
    assert_int_equal(options.properties.n, 1);
    assert_string_equal(options.properties.at[0], "security.protocol=SSL");
}

static void assert_refused(const char *a, const char *b, const char *says)
{
    assert_int_equal(parse(a, b), ERR_REQUEST_INVALID);
    if (!strstr(text.s, says))
        fail_msg("'%s' does not say '%s'", text.s, says);
}

static void test_refusals_name_the_option(void **state)
{
    (void)state;
    assert_refused("--size", "15", "--size");
    assert_refused("--size", "1048577", "--size");
    assert_refused("--seconds", "0", "--seconds");
    assert_refused("--acks", "2", "--acks");
    assert_refused("--property", "linger.ms", "--property: 'linger.ms'");
    assert_refused("--property", "=5", "--property: '=5'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_properties),
        cmocka_unit_test(test_refusals_name_the_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
