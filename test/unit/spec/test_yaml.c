/* JSON written as YAML: how it looks, and that it is read as the same again. */
#include "spec/tree.h"

#include "../check.h"

#include <string.h>

static void assert_yaml(const char *json, const char *yaml)
{
    struct spec_trees trees;
    struct err_text wrong;
    unsigned line;
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    struct wr out;
    wr_init(&out, 0);
    assert_non_null(value);
    spec_put_yaml(value, &out);
    struct slice s = wr_take(&out);
    assert_string_equal((wr_init(&out, 0), wr_bytes(&out, s.at, s.len), wr_u8(&out, 0),
                         (const char *)out.buf->data),
                        yaml);
    if (spec_trees_yaml((struct str){(const char *)s.at, s.len}, &trees, &line, &wrong))
        fail_msg("line %u: %s", line, wrong.s);
    if (trees.n)
        assert_true(json_equal(trees.at[0].root, value));
    else
        assert_true(json_is_null(value));
    spec_trees_free(&trees);
    wr_free(&out);
    slice_unref(s);
    json_decref(value);
}

static void test_layout(void **state)
{
    (void)state;
    assert_yaml("{\"a\":1,\"b\":{\"c\":{\"d\":\"x\"},\"e\":[]},\"f\":{}}",
                "---\na: 1\nb:\n  c:\n    d: x\n  e: []\nf: {}\n");
    assert_yaml("{\"l\":[{\"a\":1,\"b\":2},{\"c\":{\"d\":3}},\"x\",[1,[2]]]}",
                "---\nl:\n  - a: 1\n    b: 2\n  - c:\n      d: 3\n  - x\n  - - 1\n    - - 2\n");
    assert_yaml("null", "---\nnull\n");
    assert_yaml("[]", "---\n[]\n");
}

static void test_texts(void **state)
{
    (void)state;
    assert_yaml("[\"30s\",\"10GiB\",\"7d\",\"a-b_c.d/e\"]",
                "---\n- 30s\n- 10GiB\n- 7d\n- a-b_c.d/e\n");
    assert_yaml("[\"1\",\"1e3\",\"0x1f\",\"1.5\",\"\",\"-\"]",
                "---\n- \"1\"\n- \"1e3\"\n- \"0x1f\"\n- \"1.5\"\n- \"\"\n- \"-\"\n");
    assert_yaml("[\"true\",\"No\",\"on\",\"null\",\"nullable\"]",
                "---\n- \"true\"\n- \"No\"\n- \"on\"\n- \"null\"\n- nullable\n");
    assert_yaml("[\"a b\",\"a: b\",\"#x\",\"a\\nb\\t\\u0001\",\"\xc3\xa9\",\"q\\\"\\\\\"]",
                "---\n- \"a b\"\n- \"a: b\"\n- \"#x\"\n- \"a\\nb\\t\\u0001\"\n- \"\xc3\xa9\"\n"
                "- \"q\\\"\\\\\"\n");
    assert_yaml("{\"true\":true,\"a b\":1.5,\"max.bytes\":null}",
                "---\n\"true\": true\n\"a b\": 1.5\nmax.bytes: null\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
