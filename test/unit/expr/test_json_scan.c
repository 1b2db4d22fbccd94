#include "expect.h"

#include "base/mem.h"
#include "expr/json_scan.h"
#include "random.h"

#include <jansson.h>

#define PATHS_MAX 8

/* A set of paths, and what a scan finds for them. */
struct rig {
    struct json_paths paths;
    struct arena arena;
    struct json_slot slots[PATHS_MAX];
    char room[4096];
};

static void rig_init(struct rig *r, const char *const *texts, size_t n)
{
    arena_init(&r->arena, 65536);
    json_paths_init(&r->paths, PATHS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct json_path path;
        const char *right;
        size_t at;
        uint16_t slot;
        assert_int_equal(json_path_parse(str_of(texts[i]), &r->arena, &path, &at, &right), ERR_OK);
        assert_true(json_paths_add(&r->paths, &path, &slot));
        assert_int_equal(slot, i);
    }
}

static void rig_free(struct rig *r)
{
    json_paths_free(&r->paths);
    arena_free(&r->arena);
}

static void rig_show(struct rig *r, size_t i, char out[SHOWN_MAX])
{
    struct scratch scratch = {r->room, 0, sizeof(r->room)};
    struct expr_value v;
    enum expr_error error = json_value(&r->slots[i], &scratch, &v);
    expect_show(&v, error, out);
}

static void check_one(const char *path, const char *document, const char *want)
{
    struct rig r;
    char got[SHOWN_MAX];
    rig_init(&r, &path, 1);
    bool valid = json_scan(str_of(document), &r.paths, r.slots);
    rig_show(&r, 0, got);
    if (strcmp(got, want) != 0)
        fail_msg("%s of %s is %s, not %s", path, document, got, want);
    assert_true(valid || strcmp(want, "missing") == 0);
    rig_free(&r);
}

static void test_finds(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"data.a", "{\"a\":1}", "1"},
        {"data.a", " { \"a\" :\t1\r\n} ", "1"},
        {"data.a", "{\"b\":2,\"a\":1,\"c\":3}", "1"},
        {"data.a", "{\"b\":{\"a\":2},\"a\":1}", "1"},
        {"data.a", "{\"aa\":2}", "missing"},
        {"data.a", "{\"a\":null}", "null"},
        {"data.a", "{\"a\":true}", "true"},
        {"data.a", "{\"a\":false}", "false"},
        {"data.a", "{\"a\":\"x\"}", "'x'"},
        {"data.a", "{\"a\":\"\"}", "''"},
        {"data.a", "{\"a\":[1, 2]}", "[1, 2]"},
        {"data.a", "{\"a\":{\"b\":[]} }", "{\"b\":[]}"},
        {"data.a.b", "{\"a\":{\"b\":1}}", "1"},
        {"data.a.b", "{\"a\":[{\"b\":1}]}", "missing"},
        {"data.a[0]", "{\"a\":{\"0\":1}}", "missing"},
        {"data['0']", "[1]", "missing"},
        {"data[1]", "[1,2,3]", "2"},
        {"data[3]", "[1,2,3]", "missing"},
        {"data[0][1][0]", "[[1,[2]]]", "2"},
        {"data[1].x", "[{\"x\":1},{\"x\":2}]", "2"},
        {"data['']", "{\"\":1}", "1"},
        {"data.a", "{\"\\u0061\":1}", "1"},
        {"data['\xe2\x82\xac']", "{\"\\u20ac\":1}", "1"},
        {"data['\xe2\x82\xac']", "{\"\xe2\x82\xac\":1}", "1"},
        {"data['a\"b']", "{\"a\\\"b\":1}", "1"},
        {"data.a", "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "'\"\\/\b\f\n\r\t'"},
        {"data.a", "{\"a\":\"\\u00e9\\uD83D\\ude00\"}", "'\xc3\xa9\xf0\x9f\x98\x80'"},
        {"data.a", "{\"a\":\"\\ud83d\"}", "'\xef\xbf\xbd'"},
        {"data.a", "{\"a\":\"\\ude00\\ud83dx\"}", "'\xef\xbf\xbd\xef\xbf\xbdx'"},
        {"data.a", "{\"a\":\"\\ud83d\\u0041\"}",
         "'\xef\xbf\xbd"
         "A'"},
        {"data.a", "{\"a\":-0.5e1}", "-5"},
        {"data.a", "{\"a\":123456789012345678901234567890}", "1.2345678901234568e+29"},
        /* Of members of one name the last counts, with all below it. */
        {"data.a", "{\"a\":1,\"a\":2}", "2"},
        {"data.a.b", "{\"a\":{\"b\":1},\"a\":{}}", "missing"},
        {"data.a.b", "{\"a\":{\"b\":1},\"a\":3}", "missing"},
        {"data.a.b", "{\"a\":3,\"a\":{\"b\":1}}", "1"},
        {"data.a", "{\"a\":1,\"\\u0061\":2}", "2"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        check_one(cases[i][0], cases[i][1], cases[i][2]);
}

static void test_many_paths_in_one_pass(void **state)
{
    (void)state;
    static const char *const paths[] = {"data.a",      "data.a.b", "data.a.b[1]",  "data.c",
                                        "data.a.b[0]", "data.x",   "data.a.b[1].d"};
    static const char *const want[] = {
        "{\"b\":[7,{\"d\":8}],\"b2\":1}", "[7,{\"d\":8}]", "{\"d\":8}", "'z'", "7", "missing", "8"};
    struct rig r;
    rig_init(&r, paths, COUNT_OF(paths));
    assert_true(json_scan(STR_LIT("{\"a\":{\"b\":[7,{\"d\":8}],\"b2\":1},\"c\":\"z\"}"), &r.paths,
                          r.slots));
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        char got[SHOWN_MAX];
        rig_show(&r, i, got);
        assert_string_equal(got, want[i]);
    }
    rig_free(&r);
}

static void test_what_is_not_json_has_no_paths(void **state)
{
    (void)state;
    static const char *const documents[] = {
        "",
        " ",
        "x",
        "{\"a\":1",
        "{\"a\":1}}",
        "{\"a\":1} x",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":+1}",
        "{\"a\":-}",
        "{\"a\":1e}",
        "{\"a\":tru}",
        "{\"a\":nul",
        "{\"a\":True}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\u123\"}",
        "{\"a\":\"x",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\x01\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xc3\"}",
        "{\"a\":\"12345678\xff\"}",
        "{\"a\":1,\"b\":[1,]}",
        "{\"a\":1,\"b\":[1}",
        "[1]]",
        "{\"a\":1,\"b\":{\"c\"}}",
        "{,}",
        "[,]",
        "{\"a\":1,,\"b\":2}",
        "\"",
        "\"\\",
        "\"\\u",
        "{\"a\":'1'}",
        "{\"a\":NaN}",
        "{\"a\":1}/**/",
        "\xef\xbb\xbf{\"a\":1}",
    };
    for (size_t i = 0; i < COUNT_OF(documents); i++)
        check_one("data.a", documents[i], "missing");
}

static void test_limits(void **state)
{
    (void)state;
    char doc[4096];
    const char *path = "data.a";
    struct rig r;
    for (size_t depth = JSON_SCAN_DEPTH_MAX - 1; depth <= JSON_SCAN_DEPTH_MAX; depth++) {
        size_t n = (size_t)snprintf(doc, sizeof(doc), "{\"a\":");
        memset(doc + n, '[', depth);
        memset(doc + n + depth, ']', depth);
        memcpy(doc + n + 2 * depth, "}", 2);
        rig_init(&r, &path, 1);
        assert_int_equal(json_scan(str_of(doc), &r.paths, r.slots), depth < JSON_SCAN_DEPTH_MAX);
        assert_int_equal(r.slots[0].kind, depth < JSON_SCAN_DEPTH_MAX ? SLOT_ARRAY : SLOT_MISSING);
        rig_free(&r);
    }
    for (size_t digits = JSON_NUMBER_CHARS_MAX; digits <= JSON_NUMBER_CHARS_MAX + 1; digits++) {
        size_t n = (size_t)snprintf(doc, sizeof(doc), "{\"a\":");
        memset(doc + n, '9', digits);
        memcpy(doc + n + digits, "}", 2);
        rig_init(&r, &path, 1);
        assert_int_equal(json_scan(str_of(doc), &r.paths, r.slots),
                         digits <= JSON_NUMBER_CHARS_MAX);
        rig_free(&r);
    }
}

static void test_scratch_is_bounded(void **state)
{
    (void)state;
    char room[4];
    struct scratch scratch = {room, 0, sizeof(room)};
    struct expr_value v;
    struct json_slot slot = {SLOT_ESCAPED, STR_LIT("a\\n\\n")};
    assert_int_equal(json_value(&slot, &scratch, &v), EXPR_ERROR_GENERIC);
    slot.raw = STR_LIT("a\\nb");
    assert_int_equal(json_value(&slot, &scratch, &v), EXPR_OK);
    assert_true(str_is(v.text, "a\nb"));
    assert_int_equal(scratch.used, 3); /* what was not needed is given back */
}

static void test_elements(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"[]", ""},
        {"[ ]", ""},
        {"[1]", "1 "},
        {" [1]" + 1, "1 "},
        {"[1,\"a\", null ,true,[1,[2]],{\"k\":[\"]\"]}, -2.5 ]",
         "1 'a' null true [1,[2]] {\"k\":[\"]\"]} -2.5 "},
        {"[[],{},\"\\u0041\"]", "[] {} 'A' "},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char got[SHOWN_MAX] = "", room[64];
        struct json_slot slot;
        size_t at = 0;
        while (json_next_element(str_of(cases[i][0]), &at, &slot)) {
            struct scratch scratch = {room, 0, sizeof(room)};
            struct expr_value v;
            size_t n = strlen(got);
            assert_int_equal(json_value(&slot, &scratch, &v), EXPR_OK);
            expect_show(&v, EXPR_OK, got + n);
            strncat(got, " ", SHOWN_MAX - strlen(got) - 1);
        }
        assert_string_equal(got, cases[i][1]);
    }
}

/* ---- against jansson ------------------------------------------------------------------------ */

struct text {
    char s[2048];
    size_t n;
};

static void put(struct text *t, const char *s)
{
    size_t n = strlen(s);
    if (t->n + n < sizeof(t->s)) {
        memcpy(t->s + t->n, s, n + 1);
        t->n += n;
    }
}

static void put_scalar(struct text *t, struct random *r)
{
    static const char *const scalars[] = {
        "0",
        "-1",
        "17",
        "2.5",
        "-0.125",
        "1e3",
        "true",
        "false",
        "null",
        "\"\"",
        "\"a\"",
        "\"long enough for a word\"",
        "\"\\u00e9\\n\"",
        "\"\xe2\x82\xac\"",
        "\"\\\"\\\\\"",
        "123456789",
        "\"a b\"",
        "\"\\u0041\\/\"",
    };
    put(t, scalars[random_below(r, COUNT_OF(scalars))]);
}

static void put_blank(struct text *t, struct random *r)
{
    static const char *const blanks[] = {"", "", "", " ", "\n", "\t ", "\r\n"};
    put(t, blanks[random_below(r, COUNT_OF(blanks))]);
}

static void put_document(struct text *t, struct random *r, unsigned depth)
{
    static const char *const keys[] = {"\"a\"", "\"b\"", "\"c\"", "\"\\u0061\"", "\"d d\"", "\"\""};
    size_t kind = random_below(r, depth == 0 ? 2 : 6);
    put_blank(t, r);
    if (kind < 2 && depth < 4) {
        put(t, kind == 0 ? "{" : "[");
        for (size_t i = 0, n = random_below(r, 5); i < n; i++) {
            put(t, i > 0 ? "," : "");
            if (kind == 0) {
                put_blank(t, r);
                put(t, keys[random_below(r, COUNT_OF(keys))]);
                put_blank(t, r);
                put(t, ":");
            }
            put_document(t, r, depth + 1);
        }
        put(t, kind == 0 ? "}" : "]");
    } else {
        put_scalar(t, r);
    }
    put_blank(t, r);
}

static void mutate(struct text *t, struct random *r)
{
    static const char bytes[] = "{}[]:,\"\\0123456789.eE+-tfnu \n\xc3\xa9\x01";
    if (t->n == 0)
        return;
    size_t at = random_below(r, t->n);
    switch (random_below(r, 4)) {
    case 0:
        t->s[at] = bytes[random_below(r, sizeof(bytes) - 1)];
        break;
    case 1:
        memmove(t->s + at, t->s + at + 1, t->n - at - 1);
        t->n--;
        break;
    case 2:
        t->n = at;
        break;
    default:
        if (t->n + 1 < sizeof(t->s)) {
            memmove(t->s + at + 1, t->s + at, t->n - at);
            t->s[at] = bytes[random_below(r, sizeof(bytes) - 1)];
            t->n++;
        }
        break;
    }
}

static const json_t *walk(const json_t *v, const struct json_path *path)
{
    for (size_t i = 0; i < path->n && v != NULL; i++) {
        const struct json_step *step = &path->steps[i];
        v = step->key.at != NULL ? json_object_getn(v, step->key.at, step->key.len)
                                 : json_array_get(v, step->index);
    }
    return v;
}

static bool same_value(const json_t *want, const struct expr_value *got)
{
    if (want == NULL)
        return got->type == EXPR_MISSING;
    if (json_is_null(want))
        return got->type == EXPR_NULL;
    if (json_is_boolean(want))
        return got->type == EXPR_BOOLEAN && got->boolean == json_is_true(want);
    if (json_is_integer(want))
        return got->type == EXPR_INTEGER && got->integer == json_integer_value(want);
    if (json_is_real(want))
        return got->type == EXPR_DOUBLE && got->number == json_real_value(want);
    if (json_is_string(want))
        return got->type == EXPR_STRING && got->text.len == json_string_length(want) &&
               memcmp(got->text.at, json_string_value(want), got->text.len) == 0;
    json_t *again = json_loadb(got->text.at, got->text.len, 0, NULL);
    bool same = got->type == EXPR_OTHER && json_equal(again, want) == 1;
    json_decref(again);
    return same;
}

/* What jansson refuses and RFC 8259 does not: numbers beyond a double, and halves of surrogate
 * pairs and NULs in strings. */
static bool is_jansson_alone(const json_error_t *error)
{
    return strstr(error->text, "too big") != NULL || strstr(error->text, "overflow") != NULL ||
           strstr(error->text, "\\u") != NULL || strstr(error->text, "NUL") != NULL;
}

static void test_agrees_with_jansson(void **state)
{
    (void)state;
    static const char *const paths[] = {"data.a",     "data.b.a",    "data[0]",   "data[1].a",
                                        "data.a.b.c", "data['d d']", "data.c[0]", "data['']"};
    struct random r = {2024};
    struct rig rig;
    size_t valid = 0;
    rig_init(&rig, paths, COUNT_OF(paths));
    for (int round = 0; round < 60000; round++) {
        struct text t = {.n = 0};
        json_error_t error;
        put_document(&t, &r, 0);
        for (size_t i = 0, n = random_below(&r, 3); i < n; i++)
            mutate(&t, &r);
        char *copy = mem_alloc(t.n + 1); /* of its own size, for AddressSanitizer */
        memcpy(copy, t.s, t.n);
        json_t *want = json_loadb(copy, t.n, JSON_DECODE_ANY, &error);
        bool got = json_scan((struct str){copy, t.n}, &rig.paths, rig.slots);
        if (got != (want != NULL) && !is_jansson_alone(&error))
            fail_msg("%.*s: %d, jansson: %s", (int)t.n, t.s, got, error.text);
        valid += got;
        for (size_t i = 0; want != NULL && i < COUNT_OF(paths); i++) {
            struct scratch scratch = {rig.room, 0, sizeof(rig.room)};
            struct json_path path;
            struct expr_value v;
            json_paths_get(&rig.paths, (uint16_t)i, &path);
            assert_int_equal(json_value(&rig.slots[i], &scratch, &v), EXPR_OK);
            if (!same_value(walk(want, &path), &v))
                fail_msg("%s of %.*s", paths[i], (int)t.n, t.s);
        }
        json_decref(want);
        mem_free(copy);
    }
    assert_in_range(valid, 20000, 55000);
    rig_free(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds),
        cmocka_unit_test(test_many_paths_in_one_pass),
        cmocka_unit_test(test_what_is_not_json_has_no_paths),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_scratch_is_bounded),
        cmocka_unit_test(test_elements),
        cmocka_unit_test(test_agrees_with_jansson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
