/* A file of options: what it may say, what counts before it, how what is wrong is named. */
#include "cli/options.h"

#include "../check.h"

#include <string.h>

struct place {
    struct str name, bind;
    int64_t port;
};

struct values {
    struct option_state *state;
    const char *config, *text, *address;
    bool on;
    int64_t number, time_ms;
    struct option_list list;
    struct spec_list places;
};

#define AT(member) offsetof(struct values, member)

static const struct option table[] = {
    {"config", "WEIR_TEST_CONFIG", OPTION_TEXT, AT(config), NULL, "FILE", "a file", 0, 0, NULL, 0},
    {"text", "WEIR_TEST_TEXT", OPTION_TEXT, AT(text), "dflt", "TEXT", "some text", 0, 0, NULL,
     OPTION_LIVE},
    {"address", NULL, OPTION_HOST_PORT, AT(address), NULL, "HOST:PORT", "where", 0, 0, NULL, 0},
    {"on", "WEIR_TEST_ON", OPTION_SWITCH, AT(on), "off", NULL, "a switch", 0, 0, NULL, 0},
    {"number", NULL, OPTION_INT, AT(number), "7", "N", "a number", -5, 100, NULL, 0},
    {"some-time", NULL, OPTION_DURATION, AT(time_ms), "3s", "TIME", "a time", 0, 10000, NULL, 0},
    {"list", NULL, OPTION_LIST, AT(list), NULL, "X", "several", 0, 0, NULL, 0},
};

#define PLACE(member) offsetof(struct place, member)
static const struct spec_field place_fields[] = {
    {.path = "name", .type = SPEC_TEXT, .offset = PLACE(name), .doc = "its name", .required = true},
    {.path = "at.bind", .type = SPEC_TEXT, .offset = PLACE(bind), .dflt = "here", .doc = "where"},
    {.path = "at.port",
     .type = SPEC_INT,
     .offset = PLACE(port),
     .min = 1,
     .max = 65535,
     .doc = "its port"},
};

static const struct spec_field file_fields[] = {
    {.path = "places",
     .type = SPEC_LIST,
     .offset = AT(places),
     .doc = "where",
     .fields = place_fields,
     .fields_n = 3,
     .element_bytes = sizeof(struct place)},
};

static const struct spec_kind file_kind = {.fields = file_fields, .n = 1};

static const struct option_set set = {.usage = "test [options]",
                                      .about = "About it.",
                                      .options = table,
                                      .n = sizeof table / sizeof table[0],
                                      .file_option = "config",
                                      .file_kind = &file_kind,
                                      .state = AT(state)};

static struct values v;
static struct err_text text;
static char path[] = "/tmp/weir-options-XXXXXX";

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_file(const char *content)
{
    int fd = open(path, O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
}

/* With --config and one flag more. */
static enum err parse(const char *flag)
{
    char *argv[] = {"test", "--config", path, (char *)(uintptr_t)flag, NULL};
    size_t args_n;
    bool help;
    v = (struct values){.number = -99};
    text.s[0] = 0;
    return options_parse(&set, flag ? 4 : 3, argv, &v, NULL, &args_n, &help, &text);
}

static void parse_good(const char *content, const char *flag)
{
    write_file(content);
    if (parse(flag))
        fail_msg("%s", text.s);
}

static void the_file_stands_in(void **state)
{
    (void)state;
    parse_good("text: hello\naddress: 127.0.0.1:9\non: true\nnumber: -3\nsome-time: PT2S\n"
               "list: [a, 5, true]\n",
               NULL);
    assert_string_equal(v.text, "hello");
    assert_string_equal(v.address, "127.0.0.1:9");
    assert_true(v.on);
    assert_int_equal(v.number, -3);
    assert_int_equal(v.time_ms, 2000);
    assert_int_equal(v.list.n, 3);
    assert_string_equal(v.list.at[1], "5");
    assert_string_equal(v.list.at[2], "true");
    assert_int_equal(options_source(&set, &v, "text"), OPTION_BY_FILE);
    options_free(&set, &v);
    assert_null(v.state);
}

static void words_of_switches_are_texts(void **state)
{
    (void)state;
    parse_good("on: on\nlist: one\ntext:\n", NULL);
    assert_true(v.on);
    assert_int_equal(v.list.n, 1);
    assert_string_equal(v.text, "dflt");
    options_free(&set, &v);
}

static void flag_then_environment_then_file(void **state)
{
    (void)state;
    setenv("WEIR_TEST_TEXT", "from env", 1);
    parse_good("text: from file\nnumber: 3\n", "--number=4");
    assert_string_equal(v.text, "from env");
    assert_int_equal(v.number, 4);
    assert_int_equal(options_source(&set, &v, "text"), OPTION_BY_ENV);
    assert_int_equal(options_source(&set, &v, "number"), OPTION_BY_FLAG);
    assert_int_equal(options_source(&set, &v, "address"), OPTION_BY_DEFAULT);
    options_free(&set, &v);
    unsetenv("WEIR_TEST_TEXT");
}

static void the_environment_names_the_file(void **state)
{
    char *argv[] = {"test", NULL};
    size_t args_n;
    bool help;
    (void)state;
    write_file("number: 9\n");
    setenv("WEIR_TEST_CONFIG", path, 1);
    assert_int_equal(options_parse(&set, 1, argv, &v, NULL, &args_n, &help, &text), ERR_OK);
    assert_int_equal(v.number, 9);
    options_free(&set, &v);
    unsetenv("WEIR_TEST_CONFIG");
    v = (struct values){0};
    assert_int_equal(options_parse(&set, 1, argv, &v, NULL, &args_n, &help, &text), ERR_OK);
    assert_int_equal(v.number, 7);
    options_free(&set, &v);
}

static void an_empty_file_is_one(void **state)
{
    (void)state;
    parse_good("# nothing yet\n", NULL);
    assert_int_equal(v.number, 7);
    assert_int_equal(v.places.n, 0);
    options_free(&set, &v);
}

static void lists_of_objects(void **state)
{
    (void)state;
    parse_good("number: 5\nplaces:\n  - name: a\n    at: {port: 80}\n  - {name: b}\n", NULL);
    const struct place *places = v.places.at;
    assert_int_equal(v.places.n, 2);
    assert_int_equal(places[0].port, 80);
    assert_true(str_is(places[1].name, "b"));
    assert_true(str_is(places[1].bind, "here"));
    assert_int_equal(v.number, 5);
    options_free(&set, &v);
}

static void bad(const char *content, unsigned line, const char *says)
{
    char place[64];
    write_file(content);
    assert_int_equal(parse(NULL), ERR_REQUEST_INVALID);
    snprintf(place, sizeof place, line ? "%s:%u: " : "%s: ", path, line);
    if (strncmp(text.s, place, strlen(place)) != 0 || !strstr(text.s, says))
        fail_msg("'%s' does not say '%s'", text.s, says);
    options_free(&set, &v);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    bad("number: 5\ntxet: x\n", 2, "txet: there is no such option; did you mean text?");
    bad("plaecs: []\n", 1, "did you mean places?");
    bad("config: other.yaml\n", 1, "config: there is no such option");
    bad("\nnumber: 101\n", 2, "number: '101' is not valid; give a whole number from -5 to 100");
    bad("on: maybe\n", 1, "on or off");
    bad("text: [a]\n", 1, "the value is empty");
    bad("places:\n  - nam: x\n", 2, "places[0].nam: there is no such field; did you mean name?");
    bad("places:\n  - name: x\n    at:\n      port: 0\n", 4, "places[0].at.port: must be");
    bad("- a\n", 0, "must be one object of options");
    bad("a: 1\n---\nb: 1\n", 0, "must be one object of options");
    bad("number: [\n", 2, "is not YAML");
}

static void a_missing_file_is_an_error(void **state)
{
    char *argv[] = {"test", "--config=/nonexistent/weir.yaml", NULL};
    size_t args_n;
    bool help;
    (void)state;
    assert_int_equal(options_parse(&set, 2, argv, &v, NULL, &args_n, &help, &text),
                     ERR_REQUEST_INVALID);
    assert_string_equal(text.s, "/nonexistent/weir.yaml: there is no such file");
    options_free(&set, &v);
}

static void values_are_compared(void **state)
{
    struct values other;
    (void)state;
    parse_good("text: a\nlist: [a, b]\n", NULL);
    other = v;
    other.text = "a";
    for (size_t i = 0; i < set.n; i++)
        assert_true(option_equal(&table[i], &v, &other));
    other.text = NULL;
    assert_false(option_equal(&table[1], &v, &other));
    other.list.n = 1;
    assert_false(option_equal(&table[6], &v, &other));
    other.number++;
    assert_false(option_equal(&table[4], &v, &other));
    options_free(&set, &v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_stands_in),
        cmocka_unit_test(words_of_switches_are_texts),
        cmocka_unit_test(flag_then_environment_then_file),
        cmocka_unit_test(the_environment_names_the_file),
        cmocka_unit_test(an_empty_file_is_one),
        cmocka_unit_test(lists_of_objects),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_missing_file_is_an_error),
        cmocka_unit_test(values_are_compared),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
