#include "expect.h"

#include "expr/json_path.h"

static void show(const struct json_path *p, char *out, size_t cap)
{
    out[0] = '\0';
    for (size_t i = 0; i < p->n; i++) {
        size_t n = strlen(out);
        const struct json_step *step = &p->steps[i];
        if (step->key.at != NULL)
            snprintf(out + n, cap - n, "/%.*s", (int)step->key.len, step->key.at);
        else
            snprintf(out + n, cap - n, "#%u", step->index);
    }
}

static void test_parse(void **state)
{
    (void)state;
    static const struct expect_case cases[] = {
        {"data.a", "/a"},
        {"data.a.b_c.$d.0", "/a/b_c/$d/0"},
        {"data[0]", "#0"},
        {"data[007]", "#7"},
        {"data[999999999].x[1]", "#999999999/x#1"},
        {"data['a b']", "/a b"},
        {"data[\"a'b\"]", "/a'b"},
        {"data['a\\'b\\\\c\\\"d\\e']", "/a'b\\c\"d\\e"},
        {"data['']", "/"},
        {"data['a]']['b'][2]", "/a]/b#2"},
        {"data.\xc3\xa9", "/\xc3\xa9"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct json_path path;
        struct arena arena;
        const char *right = NULL;
        size_t at = 0;
        char got[SHOWN_MAX];
        arena_init(&arena, 4096);
        struct str text = str_of(cases[i].expression);
        assert_int_equal(json_path_length(text), text.len);
        if (json_path_parse(text, &arena, &path, &at, &right) != ERR_OK)
            fail_msg("%s: at %zu give %s", cases[i].expression, at, right);
        show(&path, got, sizeof(got));
        assert_string_equal(got, cases[i].want);
        arena_free(&arena);
    }
}

static void test_refuse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t at;
    } cases[] = {
        {"data", 0},     {"dat", 0},
        {"tada.a", 0},   {"data.", 5},
        {"data..a", 5},  {"data.a.", 7},
        {"data[]", 5},   {"data[", 5},
        {"data[-1]", 5}, {"data[1000000000]", 5},
        {"data[1", 6},   {"data['a'", 8},
        {"data['a]", 5}, {"data['a'x]", 8},
        {"data[1]x", 7}, {"data['a\\']", 5},
        {"data[\"", 5},  {"data['\\", 5},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct json_path path;
        struct arena arena;
        const char *right = NULL;
        size_t at = 999;
        arena_init(&arena, 4096);
        if (json_path_parse(str_of(cases[i].text), &arena, &path, &at, &right) !=
                ERR_REQUEST_INVALID ||
            at != cases[i].at || right == NULL)
            fail_msg("%s: at %zu", cases[i].text, at);
        arena_free(&arena);
    }
}

static void test_steps_are_bounded(void **state)
{
    (void)state;
    char text[128] = "data";
    struct json_path path;
    struct arena arena;
    const char *right;
    size_t at;
    arena_init(&arena, 4096);
    for (size_t i = 0; i < JSON_PATH_STEPS_MAX; i++)
        memcpy(text + 4 + 2 * i, ".a", 3);
    assert_int_equal(json_path_parse(str_of(text), &arena, &path, &at, &right), ERR_OK);
    assert_int_equal(path.n, JSON_PATH_STEPS_MAX);
    memcpy(text + 4 + 2 * JSON_PATH_STEPS_MAX, ".a", 3);
    assert_int_equal(json_path_parse(str_of(text), &arena, &path, &at, &right),
                     ERR_REQUEST_INVALID);
    arena_free(&arena);
}

static void test_length_stops_at_what_is_no_path(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len;
    } cases[] = {
        {"data.a = 1", 6}, {"data.a-1", 6},  {"data[0]+1", 7},
        {"data.a)", 6},    {"data.a.b,", 8}, {"data['x y'] = 1", 11},
        {"data['x", 7},    {"data[", 5},     {"data['a\\']b'].c x", 15},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(json_path_length(str_of(cases[i].text)), cases[i].len);
}

static uint16_t add(struct json_paths *paths, struct arena *arena, const char *text, bool *ok)
{
    struct json_path path;
    const char *right;
    size_t at;
    uint16_t slot = JSON_NONE;
    assert_int_equal(json_path_parse(str_of(text), arena, &path, &at, &right), ERR_OK);
    *ok = json_paths_add(paths, &path, &slot);
    return slot;
}

static void test_set(void **state)
{
    (void)state;
    static const char *const texts[] = {"data.a", "data.a.b", "data.a[0]", "data[0]", "data.c.d.e"};
    struct json_paths paths;
    struct arena arena;
    bool ok;
    arena_init(&arena, 4096);
    json_paths_init(&paths, COUNT_OF(texts));
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        assert_int_equal(add(&paths, &arena, texts[i], &ok), i);
        assert_true(ok);
    }
    assert_int_equal(add(&paths, &arena, "data['a']['b']", &ok), 1); /* the same path */
    assert_true(ok);
    size_t nodes = paths.n;
    add(&paths, &arena, "data.c.d", &ok); /* a new slot, and there is no room */
    assert_false(ok);
    add(&paths, &arena, "data.z", &ok);
    assert_false(ok);
    assert_int_equal(paths.n, nodes);
    for (uint16_t slot = 0; slot < COUNT_OF(texts); slot++) {
        struct json_path path;
        char got[SHOWN_MAX], want[SHOWN_MAX];
        const char *right;
        size_t at;
        json_paths_get(&paths, slot, &path);
        show(&path, got, sizeof(got));
        assert_int_equal(json_path_parse(str_of(texts[slot]), &arena, &path, &at, &right), ERR_OK);
        show(&path, want, sizeof(want));
        assert_string_equal(got, want);
    }
    json_paths_free(&paths);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_refuse),
        cmocka_unit_test(test_steps_are_bounded),
        cmocka_unit_test(test_length_stops_at_what_is_no_path),
        cmocka_unit_test(test_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
