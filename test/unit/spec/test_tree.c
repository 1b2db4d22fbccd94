/* Trees of YAML and JSON: values, lines, limits. */
#include "spec/tree.h"

#include "../check.h"

#include <stdio.h>
#include <string.h>

static struct spec_trees trees;
static struct err_text wrong;
static unsigned line;

static void yaml(const char *text)
{
    if (spec_trees_yaml(str_of(text), &trees, &line, &wrong))
        fail_msg("line %u: %s", line, wrong.s);
}

static void assert_json(json_t *json, const char *text)
{
    char out[512] = "";
    size_t n = json_dumpb(json, out, sizeof out - 1, JSON_COMPACT | JSON_ENCODE_ANY);
    assert_true(n < sizeof out);
    assert_string_equal(out, text);
}

/* One document, as JSON. */
static void assert_yaml(const char *text, const char *json)
{
    yaml(text);
    assert_int_equal(trees.n, 1);
    assert_json(trees.at[0].root, json);
    spec_trees_free(&trees);
}

static void test_scalars(void **state)
{
    (void)state;
    assert_yaml("[1, -7, +3, 007, 0x1f]", "[1,-7,3,7,\"0x1f\"]");
    assert_yaml("[1.5, .5, 1., 1e3, -2.5E-1]", "[1.5,0.5,1.0,1000.0,-0.25]");
    assert_yaml("[., 1e, e1, 1.2.3, 1_000, 12:30]",
                "[\".\",\"1e\",\"e1\",\"1.2.3\",\"1_000\",\"12:30\"]");
    assert_yaml("[true, True, FALSE, null, ~, NULL]", "[true,true,false,null,null,null]");
    assert_yaml("[no, on, yes, off, tRUE, .inf, 30s, 10GiB]",
                "[\"no\",\"on\",\"yes\",\"off\",\"tRUE\",\".inf\",\"30s\",\"10GiB\"]");
    assert_yaml("[\"1\", 'true', \"a\\nb\", !!str 12]", "[\"1\",\"true\",\"a\\nb\",\"12\"]");
    assert_yaml("a:\nb: |\n  x\n  y\n", "{\"a\":null,\"b\":\"x\\ny\\n\"}");
    assert_yaml("99999999999999999999", "\"99999999999999999999\"");
    assert_yaml("1: x\ntrue: y\n", "{\"1\":\"x\",\"true\":\"y\"}");
}

static void test_nesting_and_documents(void **state)
{
    (void)state;
    assert_yaml("a: {b: [1, {c: d}]}\ne:\n  - f: 1\n    g: 2\n  - []\n",
                "{\"a\":{\"b\":[1,{\"c\":\"d\"}]},\"e\":[{\"f\":1,\"g\":2},[]]}");
    yaml("# nothing\n---\na: 1\n---\n---\n# and nothing\n---\nb: 2\n...\n");
    assert_int_equal(trees.n, 2);
    assert_json(trees.at[0].root, "{\"a\":1}");
    assert_json(trees.at[1].root, "{\"b\":2}");
    assert_int_equal(trees.at[0].line, 3);
    assert_int_equal(trees.at[1].line, 8);
    spec_trees_free(&trees);
    yaml("");
    assert_int_equal(trees.n, 0);
    spec_trees_free(&trees);
}

static void assert_line(const char *path, unsigned expected)
{
    unsigned found = spec_lines_find(trees.at[0].lines, path);
    if (found != expected)
        fail_msg("%s: line %u, not %u", path, found, expected);
}

static void test_lines(void **state)
{
    (void)state;
    yaml("spec:\n"           /* 1 */
         "  retry:\n"        /* 2 */
         "    attempts: 3\n" /* 3 */
         "  list:\n"         /* 4 */
         "    - a: 1\n"      /* 5 */
         "      b: 2\n"      /* 6 */
         "    -\n"           /* 7 */
         "      c: 3\n"      /* 8 */
         "  config:\n"       /* 9 */
         "    x.y: 1\n"      /* 10 */
         "    x.y.z:\n"      /* 11 */
         "      5\n");
    assert_line("", 1);
    assert_line("spec.retry.attempts", 3);
    assert_line("spec.retry", 2);
    assert_line("spec.retry.unknown", 2);
    assert_line("spec.list[0].a", 5);
    assert_line("spec.list[0].b", 6);
    assert_line("spec.list[1].c", 8);
    assert_line("spec.list[2]", 4);
    assert_line("spec.list[x]", 4);
    assert_line("spec.config.x.y", 10);
    assert_line("unknown", 1);
    assert_int_equal(spec_lines_find(NULL, "spec"), 0);
    spec_trees_free(&trees);
}

static void assert_refused(enum err (*read)(struct str, struct spec_trees *, unsigned *,
                                            struct err_text *),
                           const char *text, unsigned at, const char *says)
{
    line = 99;
    assert_int_equal(read(str_of(text), &trees, &line, &wrong), ERR_CONFIG_INVALID);
    if (!strstr(wrong.s, says) || line != at)
        fail_msg("line %u: '%s' does not say '%s'", line, wrong.s, says);
    assert_null(trees.at);
    assert_int_equal(trees.n, 0);
}

static void test_what_yaml_may_not(void **state)
{
    (void)state;
    assert_refused(spec_trees_yaml, "a: 1\nb: &x [1]\n", 2, "anchors and aliases");
    assert_refused(spec_trees_yaml, "a: &x 1\n", 1, "&x");
    assert_refused(spec_trees_yaml, "\na: *x\n", 2, "*x: anchors");
    assert_refused(spec_trees_yaml, "a: 1\nb: 2\na: 3\n", 3, "the key a comes twice");
    assert_refused(spec_trees_yaml, "? [1]\n: 2\n", 1, "keys are text");
    assert_refused(spec_trees_yaml, "a: !thing 1\n", 1, "tags are not supported");
    assert_refused(spec_trees_yaml, "a: !!map {b: c}\n", 1, "tags are not supported");
    assert_refused(spec_trees_yaml, "a: 1\n b: 2\n", 2, "is not YAML");
    assert_refused(spec_trees_yaml, "a: [1\n", 2, "is not YAML");
    assert_refused(spec_trees_yaml, "a: \"x\\0y\"\n", 1, "NUL");
    assert_refused(spec_trees_yaml, "a: \xff\n", 1, "is not YAML");
    assert_refused(spec_trees_yaml, "a: 1\n---\nb: *c\n", 3, "*c");
}

static void test_what_json_may_not(void **state)
{
    (void)state;
    assert_refused(spec_trees_json, "{\n\"a\": 1,\n\"a\": 2}", 3, "is not JSON");
    assert_refused(spec_trees_json, "{", 1, "is not JSON");
    assert_refused(spec_trees_json, "", 1, "is not JSON");
    assert_refused(spec_trees_json, "\"\\u0000\"", 1, "is not JSON");
}

/* n containers inside of each other. */
static char *nested(size_t n)
{
    static char text[400];
    memset(text, '[', n);
    memset(text + n, ']', n);
    text[2 * n] = '\0';
    return text;
}

static void test_depth(void **state)
{
    (void)state;
    yaml(nested(SPEC_DEPTH_MAX));
    spec_trees_free(&trees);
    assert_refused(spec_trees_yaml, nested(SPEC_DEPTH_MAX + 1), 1, "inside of more than 16");
    assert_refused(spec_trees_json, nested(SPEC_DEPTH_MAX + 1), 0, "inside of more than 16");
    assert_int_equal(spec_trees_json(str_of(nested(SPEC_DEPTH_MAX)), &trees, &line, &wrong), 0);
    spec_trees_free(&trees);
    const char *brackets = "[\"[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[[[[[[\", 1]";
    assert_int_equal(spec_trees_json(str_of(brackets), &trees, &line, &wrong), 0);
    spec_trees_free(&trees);
}

static void test_number_of_values(void **state)
{
    size_t n = SPEC_VALUES_MAX * 3;
    char *text = malloc(2 * n + 2);
    (void)state;
    for (size_t i = 0; i < n; i++)
        memcpy(text + 2 * i, ",1", 2);
    text[0] = '[';
    memcpy(text + 2 * n, "]", 2);
    assert_refused(spec_trees_json, text, 0, "values");
    assert_refused(spec_trees_yaml, text, 1, "values");
    free(text);
}

static void test_size(void **state)
{
    size_t n = 4 * SPEC_DOCUMENT_BYTES_MAX;
    char *text = malloc(n + 2);
    (void)state;
    memset(text, ' ', n + 1);
    text[n + 1] = '\0';
    assert_refused(spec_trees_yaml, text, 0, "larger");
    assert_refused(spec_trees_json, text, 0, "larger");
    memset(text, 'x', SPEC_DOCUMENT_BYTES_MAX + 1);
    text[SPEC_DOCUMENT_BYTES_MAX + 1] = '\0';
    assert_refused(spec_trees_yaml, text, 2, "bytes");
    free(text);
}

static void test_number_of_documents(void **state)
{
    static const char one[] = "---\nx\n";
    const size_t len = sizeof one - 1;
    char *text = malloc(len * (SPEC_DOCUMENTS_MAX + 1) + 1);
    (void)state;
    for (size_t i = 0; i <= SPEC_DOCUMENTS_MAX; i++)
        memcpy(text + i * len, one, len + 1);
    text[len * SPEC_DOCUMENTS_MAX] = '\0';
    yaml(text);
    assert_int_equal(trees.n, SPEC_DOCUMENTS_MAX);
    spec_trees_free(&trees);
    memcpy(text + len * SPEC_DOCUMENTS_MAX, one, len + 1);
    assert_refused(spec_trees_yaml, text, 2 * SPEC_DOCUMENTS_MAX + 3, "documents");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_nesting_and_documents),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_what_yaml_may_not),
        cmocka_unit_test(test_what_json_may_not),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_number_of_values),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_number_of_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
