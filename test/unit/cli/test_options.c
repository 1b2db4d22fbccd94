/* Options: every kind from flag, environment and default; errors name the place and what is right.
 */
#include "cli/options.h"

#include "../check.h"

#include <stdlib.h>
#include <string.h>

enum { RED, GREEN, BLUE };

struct values {
    const char *text, *address;
    bool on;
    int64_t number, time_ms, bytes, colour;
    struct option_list list;
};

#define AT(member) offsetof(struct values, member)

static const char *const colours[] = {"red", "green", "blue", NULL};

static const struct option table[] = {
    {"text", "WEIR_TEST_TEXT", OPTION_TEXT, AT(text), "dflt", "TEXT", "some text", 0, 0, NULL,
     false},
    {"address", NULL, OPTION_HOST_PORT, AT(address), NULL, "HOST:PORT", "where", 0, 0, NULL, false},
    {"on", "WEIR_TEST_ON", OPTION_SWITCH, AT(on), "off", NULL, "a switch", 0, 0, NULL, false},
    {"number", "WEIR_TEST_NUMBER", OPTION_INT, AT(number), "7", "N", "a number", -5, 100, NULL,
     false},
    {"time", NULL, OPTION_DURATION, AT(time_ms), "3s", "TIME", "a time", 0, 10000, NULL, false},
    {"size", NULL, OPTION_SIZE, AT(bytes), "1KiB", "SIZE", "a size", 1, 1 << 20, NULL, false},
    {"colour", NULL, OPTION_CHOICE, AT(colour), "green", "COLOUR", "a colour", 0, 0, colours,
     false},
    {"list", NULL, OPTION_LIST, AT(list), NULL, "X", "several", 0, 0, NULL, false},
};

static const struct option_set set = {.usage = "test [options] [A [B]]",
                                      .about = "About it.",
                                      .example = "test --on a",
                                      .options = table,
                                      .n = sizeof table / sizeof table[0],
                                      .args = "one or two words",
                                      .args_min = 0,
                                      .args_max = 2};

static struct values v;
static const char *args[2];
static size_t args_n;
static bool help;
static struct err_text text;

static enum err parse_set(const struct option_set *s, const char *line)
{
    static char copy[1024];
    char *argv[64] = {"test"}, *at = copy;
    int argc = 1;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word; (word = strsep(&at, " ")) != NULL;) {
        if (*word)
            argv[argc++] = word;
    }
    v = (struct values){.number = -99};
    text.s[0] = 0;
    return options_parse(s, argc, argv, &v, args, &args_n, &help, &text);
}

static void good(const char *line)
{
    if (parse_set(&set, line))
        fail_msg("%s", text.s);
}

/* Refused, and the message has all of these. */
static void bad(const char *line, const char *a, const char *b, const char *c)
{
    const char *const parts[] = {a, b, c};
    assert_int_equal(parse_set(&set, line), ERR_REQUEST_INVALID);
    for (int i = 0; i < 3; i++) {
        if (parts[i] && !strstr(text.s, parts[i]))
            fail_msg("'%s' lacks '%s'", text.s, parts[i]);
    }
}

static int no_environment(void **state)
{
    (void)state;
    unsetenv("WEIR_TEST_TEXT");
    unsetenv("WEIR_TEST_ON");
    unsetenv("WEIR_TEST_NUMBER");
    return 0;
}

static void defaults_apply(void **state)
{
    (void)state;
    good("");
    assert_string_equal(v.text, "dflt");
    assert_null(v.address);
    assert_false(v.on);
    assert_int_equal(v.number, 7);
    assert_int_equal(v.time_ms, 3000);
    assert_int_equal(v.bytes, 1024);
    assert_int_equal(v.colour, GREEN);
    assert_int_equal(v.list.n, 0);
    assert_int_equal(args_n, 0);
}

static void flags_are_taken_in_both_forms(void **state)
{
    (void)state;
    good("--text a --address=[::1]:9092 --on --number -5 --time=500ms --size 64KiB --colour blue");
    assert_string_equal(v.text, "a");
    assert_string_equal(v.address, "[::1]:9092");
    assert_true(v.on);
    assert_int_equal(v.number, -5);
    assert_int_equal(v.time_ms, 500);
    assert_int_equal(v.bytes, 65536);
    assert_int_equal(v.colour, BLUE);
    good("--number=100 --text=a=b --text=--odd");
    assert_int_equal(v.number, 100);
    assert_string_equal(v.text, "--odd"); /* the last one counts */
}

static void switches_have_words(void **state)
{
    static const char *const yes[] = {"--on", "--on=on", "--on=true", "--on=yes", "--on=1"};
    static const char *const no[] = {"--on=off", "--on=false", "--on=no", "--on=0",
                                     "--on --on=off"};
    (void)state;
    for (int i = 0; i < 5; i++) {
        good(yes[i]);
        assert_true(v.on);
        good(no[i]);
        assert_false(v.on);
    }
    good("--on word"); /* the word is not its value */
    assert_true(v.on);
    assert_string_equal(args[0], "word");
    bad("--on=maybe", "--on", "'maybe'", "on or off");
}

static void lists_collect(void **state)
{
    (void)state;
    good("--list a --list=b word --list c");
    assert_int_equal(v.list.n, 3);
    assert_string_equal(v.list.at[1], "b");
    assert_string_equal(v.list.at[2], "c");
    char *argv[OPTION_LIST_MAX + 2] = {"test"};
    for (int i = 0; i <= OPTION_LIST_MAX; i++)
        argv[i + 1] = "--list=x";
    assert_int_equal(
        options_parse(&set, OPTION_LIST_MAX + 2, argv, &v, args, &args_n, &help, &text),
        ERR_REQUEST_INVALID);
    assert_non_null(strstr(text.s, "--list"));
}

static void words_are_counted(void **state)
{
    (void)state;
    good("a --number 3 b");
    assert_int_equal(args_n, 2);
    assert_string_equal(args[0], "a");
    assert_string_equal(args[1], "b");
    bad("a b c", "'c'", "too many", NULL);
    good("-- --number");
    assert_int_equal(args_n, 1);
    assert_string_equal(args[0], "--number");
    good("-"); /* stands for standard input in many programs */
    assert_string_equal(args[0], "-");
    struct option_set needs = set;
    needs.args_min = 1;
    assert_int_equal(parse_set(&needs, "--on"), ERR_REQUEST_INVALID);
    assert_non_null(strstr(text.s, "one or two words"));
}

static void the_environment_stands_in(void **state)
{
    (void)state;
    setenv("WEIR_TEST_TEXT", "from env", 1);
    setenv("WEIR_TEST_ON", "yes", 1);
    setenv("WEIR_TEST_NUMBER", "12", 1);
    good("");
    assert_string_equal(v.text, "from env");
    assert_true(v.on);
    assert_int_equal(v.number, 12);
    good("--text flag --on=off --number 1");
    assert_string_equal(v.text, "flag");
    assert_false(v.on);
    assert_int_equal(v.number, 1);
    setenv("WEIR_TEST_NUMBER", "many", 1);
    bad("", "environment variable WEIR_TEST_NUMBER", "'many'", "from -5 to 100");
    good("--number 2"); /* what is not used is not looked at */
    setenv("WEIR_TEST_NUMBER", "", 1);
    good("");
    assert_int_equal(v.number, 7);
}

static void values_out_of_range_are_refused(void **state)
{
    (void)state;
    bad("--number 101", "--number", "'101'", "from -5 to 100");
    bad("--number -6", "--number", "'-6'", NULL);
    bad("--number 1x", "'1x'", "whole number", NULL);
    bad("--number 99999999999999999999", "--number", NULL, NULL);
    bad("--time 11s", "--time", "'11s'", "in ms");
    bad("--time soon", "'soon'", "such as 500ms", NULL);
    bad("--size 2MiB", "--size", "'2MiB'", "in bytes");
    bad("--size -1", "'-1'", NULL, NULL);
    bad("--colour pink", "--colour", "'pink'", "one of red green blue");
    bad("--address nowhere", "--address", "'nowhere'", "HOST:PORT");
    bad("--address a:99999", "'a:99999'", NULL, NULL);
    good("--address unix:/run/weir.sock");
    good("--address :0");
}

static void missing_values_are_told(void **state)
{
    (void)state;
    bad("--text", "--text", "a value is missing", "--text TEXT");
    bad("--text --on", "--text", "a value is missing", NULL);
    bad("--number --text a", "--number", "a value is missing", NULL);
    bad("--text=", "--text", "empty", NULL);
    bad("--on=", "--on", "empty", NULL);
}

static void required_ones_are_told(void **state)
{
    struct option rows[1] = {table[0]};
    struct option_set needs = {.usage = "x", .about = "x", .options = rows, .n = 1};
    (void)state;
    rows[0].dflt = NULL;
    rows[0].flags = OPTION_REQUIRED;
    assert_int_equal(parse_set(&needs, ""), ERR_REQUEST_INVALID);
    assert_non_null(strstr(text.s, "--text TEXT is missing: some text"));
    assert_int_equal(parse_set(&needs, "--text a"), ERR_OK);
    setenv("WEIR_TEST_TEXT", "b", 1);
    assert_int_equal(parse_set(&needs, ""), ERR_OK);
}

static void unknown_ones_are_told_with_the_nearest(void **state)
{
    (void)state;
    bad("--nmber 3", "--nmber", "did you mean --number?", NULL);
    bad("--color=red", "--color", "did you mean --colour?", NULL);
    bad("--text-file x", "--text-file", "see --help", NULL);
    bad("--zzzz", "--zzzz", "no such option", "see --help");
    assert_null(strstr(text.s, "did you mean"));
    bad("-n 3", "-n", "two dashes", NULL);
}

static void help_is_seen_before_errors(void **state)
{
    (void)state;
    good("--help");
    assert_true(help);
    good("--nonsense -h");
    assert_true(help);
    good("--number 3");
    assert_false(help);
    good("-- --help");
    assert_false(help);
}

static void the_help_says_it_all(void **state)
{
    char *page = NULL;
    size_t n;
    FILE *f = open_memstream(&page, &n);
    (void)state;
    options_help(&set, f);
    fclose(f);
    const char *const parts[] = {"usage: test [options] [A [B]]",
                                 "About it.",
                                 "arguments: one or two words",
                                 "--text TEXT",
                                 "some text [dflt] WEIR_TEST_TEXT",
                                 "(red, green, blue) [green]",
                                 "--on  ",
                                 "example:\n  test --on a"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (!strstr(page, parts[i]))
            fail_msg("no '%s' in:\n%s", parts[i], page);
    }
    for (size_t i = 0; i < set.n; i++) {
        char flag[64];
        snprintf(flag, sizeof flag, "  --%s", table[i].name);
        assert_non_null(strstr(page, flag));
    }
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup(t, no_environment)
        TEST(defaults_apply),
        TEST(flags_are_taken_in_both_forms),
        TEST(switches_have_words),
        TEST(lists_collect),
        TEST(words_are_counted),
        TEST(the_environment_stands_in),
        TEST(values_out_of_range_are_refused),
        TEST(missing_values_are_told),
        TEST(required_ones_are_told),
        TEST(unknown_ones_are_told_with_the_nearest),
        TEST(help_is_seen_before_errors),
        TEST(the_help_says_it_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
