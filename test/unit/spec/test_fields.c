/* Tables of fields: a document into a struct and back, and what is refused. */
#include "kind.h"

static struct arena arena;
static struct thing thing;
static struct spec_documents docs;
static struct spec_place where;
static struct err_text wrong;

#define HEAD "apiVersion: weir/v1alpha1\nkind: Thing\nmetadata: {name: x}\n" /* 3 lines */

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static enum err read_thing(const char *spec)
{
    char text[2048];
    snprintf(text, sizeof text, HEAD "spec:\n%s", spec);
    if (spec_documents_yaml(str_of(text), "f", &docs, &where, &wrong))
        fail_msg("line %u: %s", where.line, wrong.s);
    spec_init(&thing_kind, &thing);
    enum err err = spec_read(&thing_kind, docs.at, &arena, &thing, &where, &wrong);
    spec_documents_free(&docs);
    return err;
}

static void read_good(const char *spec)
{
    if (read_thing(spec))
        fail_msg("%s: %s", where.path, wrong.s);
}

static void assert_written(bool secrets, const char *expected)
{
    json_t *json = spec_write(&thing_kind, &thing, secrets);
    char out[1024] = "";
    json_dumpb(json, out, sizeof out - 1, JSON_COMPACT);
    json_decref(json);
    assert_string_equal(out, expected);
}

static void test_defaults(void **state)
{
    (void)state;
    read_good("  title: t\n");
    assert_true(str_is(thing.title, "t"));
    assert_true(thing.on);
    assert_int_equal(thing.count, 7);
    assert_int_equal(thing.wait_ms, 30000);
    assert_int_equal(thing.limit_ms, -1);
    assert_int_equal(thing.bytes, 1024);
    assert_int_equal(thing.time_ms, -1);
    assert_int_equal(thing.colour, GREEN);
    assert_int_equal(thing.level, 0);
    assert_true(thing.share == SPEC_UNSET);
    assert_null(thing.password.at);
    assert_int_equal(thing.tags.n + thing.config.n + thing.extras.n, 0);
    assert_false(thing.present);
    assert_true(str_is(thing.derived, "t"));
    assert_written(true, "{\"title\":\"t\"}");
}

static void test_every_type(void **state)
{
    const struct extra *extra;
    (void)state;
    read_good("  title: \"t\"\n"
              "  password: s3cret\n"
              "  on: false\n"
              "  nested: {deep: {count: -5}, wait: PT1H}\n"
              "  limit: 1d\n"
              "  bytes: 10GiB\n"
              "  time: 2026-03-01T12:00:00Z\n"
              "  colour: blue\n"
              "  level: 123456789012\n"
              "  share: 1.5\n"
              "  tags: [a, b]\n"
              "  config: {max.message.bytes: 1000, x: true, y: text, r: 0.5}\n"
              "  extras:\n"
              "    - {name: n, value: v}\n"
              "    - {name: m, value: w, secret: true}\n"
              "  json: {b: [1, 2], a: null}\n"
              "  present: {}\n");
    assert_int_equal(thing.count, -5);
    assert_int_equal(thing.wait_ms, 3600000);
    assert_int_equal(thing.limit_ms, 86400000);
    assert_int_equal(thing.bytes, INT64_C(10) << 30);
    assert_int_equal(thing.time_ms, INT64_C(1772366400000));
    assert_int_equal(thing.colour, BLUE);
    assert_int_equal(thing.tags.n, 2);
    assert_true(str_is(thing.config.at[0].key, "max.message.bytes"));
    assert_true(str_is(thing.config.at[0].value, "1000"));
    assert_true(str_is(thing.config.at[1].value, "true"));
    assert_true(str_is(thing.config.at[3].value, "0.5"));
    extra = thing.extras.at;
    assert_int_equal(thing.extras.n, 2);
    assert_true(str_is(extra[1].name, "m") && extra[1].secret && !extra[0].secret);
    assert_true(str_is(thing.json, "{\"a\":null,\"b\":[1,2]}"));
    assert_true(thing.present);
    assert_written(false,
                   "{\"title\":\"t\",\"on\":false,\"nested\":{\"deep\":{\"count\":-5},\"wait\":"
                   "\"1h\"},\"limit\":\"1d\",\"bytes\":\"10GiB\",\"time\":\"2026-03-01T12:00:00Z\","
                   "\"colour\":\"blue\",\"level\":123456789012,\"share\":\"1.5\",\"tags\":[\"a\","
                   "\"b\"],\"config\":"
                   "{\"max.message.bytes\":\"1000\",\"x\":\"true\",\"y\":\"text\",\"r\":\"0.5\"},"
                   "\"extras\":[{\"name\":\"n\",\"value\":\"v\"},{\"name\":\"m\",\"secret\":true}],"
                   "\"json\":{\"a\":null,\"b\":[1,2]},\"present\":{}}");
}

/* What was written is read as the same. */
static void test_round_trip(void **state)
{
    struct thing again;
    (void)state;
    read_good("  title: t\n  password: s3cret\n  limit: 5s\n  nested: {wait: 90s}\n"
              "  extras: [{name: n, value: v, secret: true}]\n  json: 5\n  tags: [x]\n");
    json_t *json = spec_write(&thing_kind, &thing, true);
    struct spec_document doc = spec_document_of(&thing_kind, STR_LIT("x"), json);
    spec_init(&thing_kind, &again);
    assert_int_equal(spec_read(&thing_kind, &doc, &arena, &again, &where, &wrong), ERR_OK);
    assert_true(spec_equal(&thing_kind, &thing, &again));
    again.wait_ms++;
    assert_false(spec_equal(&thing_kind, &thing, &again));
    json_decref(json);
}

static void test_decimals(void **state)
{
    static const struct {
        const char *yaml;
        int64_t thousandths;
    } good[] = {{"1.5", 1500}, {"\"1.5\"", 1500}, {"2", 2000},  {"250m", 250}, {"-0.25", -250},
                {"0.1", 100},  {"64.5", 64500},   {"0.001", 1}, {"-2", -2000}, {"-1.999", -1999}};
    static const char *const bad[] = {"1.5555", "64.501", "-2.001", "\"1.\"", "\".5\"", "m",
                                      "1e3",    "x",      "true",   "9e99",   "1.5m"};
    char spec[64];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(spec, sizeof spec, "  title: t\n  share: %s\n", good[i].yaml);
        read_good(spec);
        assert_int_equal(thing.share, good[i].thousandths);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(spec, sizeof spec, "  title: t\n  share: %s\n", bad[i]);
        assert_int_equal(read_thing(spec), ERR_CONFIG_INVALID);
        assert_non_null(strstr(wrong.s, "a number of at most three decimals from -2 to 64.5"));
    }
}

static void test_given(void **state)
{
    (void)state;
    read_good("  title: t\n  nested: {deep: {count: 8}}\n");
    assert_string_equal(spec_given(&thing_kind, &thing, "nested")->path, "nested.deep.count");
    assert_string_equal(spec_given(&thing_kind, &thing, "nested.deep.count")->path,
                        "nested.deep.count");
    assert_null(spec_given(&thing_kind, &thing, "nested.wait"));
    assert_null(spec_given(&thing_kind, &thing, "nest"));
    assert_null(spec_given(&thing_kind, &thing, "tags"));
}

static void test_null_is_the_default(void **state)
{
    (void)state;
    read_good("  title: t\n  on:\n  nested:\n  extras: null\n  colour: ~\n  password:\n");
    assert_written(true, "{\"title\":\"t\"}");
}

/* Fields that are not named keep what was there; null ones and groups do not. */
static void test_a_patch(void **state)
{
    json_t *json = json_pack("{s:{s:i}, s:n}", "nested", "wait", 5, "bytes");
    struct spec_document doc = spec_document_of(&thing_kind, STR_LIT("x"), json);
    (void)state;
    read_good("  title: t\n  nested: {deep: {count: 3}, wait: 1s}\n  bytes: 5\n  level: 4\n");
    assert_int_equal(spec_read(&thing_kind, &doc, &arena, &thing, &where, &wrong), ERR_OK);
    assert_int_equal(thing.count, 3);
    assert_int_equal(thing.wait_ms, 5);
    assert_int_equal(thing.bytes, 1024);
    assert_int_equal(thing.level, 4);
    json_decref(json);
}

static void refused(const char *spec, unsigned line, const char *path, const char *says)
{
    assert_int_equal(read_thing(spec), ERR_CONFIG_INVALID);
    if (where.line != line || strcmp(where.path, path) != 0)
        fail_msg("line %u %s: %s", where.line, where.path, wrong.s);
    if (!strstr(wrong.s, says))
        fail_msg("'%s' does not say '%s'", wrong.s, says);
}

static void test_unknown_fields(void **state)
{
    (void)state;
    refused("  title: t\n  colur: red\n", 6, "spec.colur", "did you mean colour?");
    refused("  nested:\n    deap: {}\n", 6, "spec.nested.deap", "did you mean deep?");
    refused("  nested:\n    deep:\n      cuont: 1\n", 7, "spec.nested.deep.cuont",
            "did you mean count?");
    refused("  wait: 3s\n", 5, "spec.wait", "did you mean nested.wait?");
    refused("  somethingElse: 3s\n", 5, "spec.somethingElse", "there is no such field");
    refused("  title: t\n  extras:\n    - name: a\n    - name: b\n      vlaue: c\n", 9,
            "spec.extras[1].vlaue", "did you mean value?");
    refused("  nested.wait: 3s\n", 5, "spec.nested.wait", "there is no such field");
}

static void test_wrong_values(void **state)
{
    (void)state;
    refused("  on: true\n", 4, "spec.title", "is missing: a title");
    refused("  title: 12\n", 5, "spec.title", "quotes");
    refused("  title: [a]\n", 5, "spec.title", "must be text");
    refused("  title: xa\n", 5, "spec.title", "must not begin with x");
    refused("  title: twenty-one-characters\n", 5, "spec.title", "at most 20 bytes");
    refused("  on: yes\n", 5, "spec.on", "true or false");
    refused("  nested: {deep: {count: 101}}\n", 5, "spec.nested.deep.count",
            "must be a whole number from -5 to 100; it is \"101\"");
    refused("  nested: {deep: {count: 1.5}}\n", 5, "spec.nested.deep.count", "whole number");
    refused("  nested: {deep: {count: \"5\"}}\n", 5, "spec.nested.deep.count", "whole number");
    refused("  nested: {wait: 25h}\n", 5, "spec.nested.wait",
            "must be a duration such as 30s or PT30S from 0ms to 1d; it is \"25h\"");
    refused("  nested: {wait: soon}\n", 5, "spec.nested.wait", "duration");
    refused("  nested: {wait: none}\n", 5, "spec.nested.wait", "duration");
    refused("  nested: 7\n", 5, "spec.nested", "must be an object");
    refused("  limit: -2\n", 5, "spec.limit", "or none");
    refused("  bytes: 10GB!\n", 5, "spec.bytes", "must be a size such as 64KiB or 10GiB");
    refused("  time: 2026-03-01\n", 5, "spec.time", "2026-03-01T12:00:00Z");
    refused("  time: 12345\n", 5, "spec.time", "2026-03-01T12:00:00Z");
    refused("  colour: bleu\n", 5, "spec.colour", "did you mean blue?");
    refused("  colour: transparent\n", 5, "spec.colour", "one of red, green, blue");
    refused("  tags: a\n", 5, "spec.tags", "a list of texts");
    refused("  tags: [a, 1]\n", 5, "spec.tags", "a list of texts");
    refused("  config: [a]\n", 5, "spec.config", "an object of texts");
    refused("  config: {a: [1]}\n", 5, "spec.config", "a is none");
    refused("  extras: {}\n", 5, "spec.extras", "a list of objects");
    refused("  title: t\n  extras: [{value: v}]\n", 6, "spec.extras[0].name", "is missing");
    refused("  extras: [7]\n", 5, "spec.extras[0]", "must be an object");
    refused("  present: {a: 1}\n", 5, "spec.present", "{}, or nothing");
    refused("  present: true\n", 5, "spec.present", "{}, or nothing");
}

static void test_checks_over_fields(void **state)
{
    (void)state;
    read_good("  title: t\n  nested: {deep: {count: 13}}\n");
    refused("  title: t\n  colour: red\n  nested:\n    deep:\n      count: 13\n", 9,
            "spec.nested.deep.count", "must not be 13");
}

static void test_secrets_are_not_said(void **state)
{
    (void)state;
    refused("  password: [s3cret]\n", 5, "spec.password", "must be text");
    assert_null(strstr(wrong.s, "s3cret"));
    read_good("  title: t\n  password: s3cret\n");
    assert_written(true, "{\"title\":\"t\",\"password\":\"s3cret\"}");
    assert_written(false, "{\"title\":\"t\"}");
}

static void test_lists_have_a_limit(void **state)
{
    json_t *list = json_array(), *json = json_pack("{s:s, s:o}", "title", "t", "tags", list);
    struct spec_document doc = spec_document_of(&thing_kind, STR_LIT("x"), json);
    (void)state;
    for (size_t i = 0; i < SPEC_LIST_MAX; i++)
        json_array_append_new(list, json_string("x"));
    spec_init(&thing_kind, &thing);
    assert_int_equal(spec_read(&thing_kind, &doc, &arena, &thing, &where, &wrong), ERR_OK);
    json_array_append_new(list, json_string("x"));
    assert_int_equal(spec_read(&thing_kind, &doc, &arena, &thing, &where, &wrong),
                     ERR_CONFIG_INVALID);
    assert_int_equal(where.line, 0);
    json_decref(json);
}

static void test_the_arena_is_the_limit(void **state)
{
    struct arena small;
    json_t *json = json_pack("{s:s, s:s}", "title", "t", "password", "a long one, too long for it");
    struct spec_document doc = spec_document_of(&thing_kind, STR_LIT("x"), json);
    (void)state;
    arena_init(&small, 40);
    spec_init(&thing_kind, &thing);
    assert_int_equal(spec_read(&thing_kind, &doc, &small, &thing, &where, &wrong), ERR_MEMORY);
    arena_free(&small);
    json_decref(json);
}

static void test_fixed_fields_and_changes(void **state)
{
    struct thing other;
    char out[512] = "";
    (void)state;
    read_good("  title: t\n  password: a\n");
    other = thing;
    assert_null(spec_fixed_change(&thing_kind, &thing, &other));
    other.count = 8;
    other.password = STR_LIT("b");
    assert_null(spec_fixed_change(&thing_kind, &thing, &other));
    json_t *changes = spec_changes(&thing_kind, &thing, &other);
    json_dumpb(changes, out, sizeof out - 1, JSON_COMPACT);
    json_decref(changes);
    assert_string_equal(out, "[{\"field\":\"password\",\"was\":\"(secret)\",\"now\":\"(secret)\"},"
                             "{\"field\":\"nested.deep.count\",\"was\":7,\"now\":8}]");
    other.colour = RED;
    assert_string_equal(spec_fixed_change(&thing_kind, &thing, &other)->path, "colour");
    changes = spec_changes(&thing_kind, NULL, &thing);
    assert_int_equal(json_array_size(changes), 2);
    json_decref(changes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_type, setup, teardown),
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_decimals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_given, setup, teardown),
        cmocka_unit_test_setup_teardown(test_null_is_the_default, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_patch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_checks_over_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_secrets_are_not_said, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lists_have_a_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_arena_is_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fixed_fields_and_changes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
