#include "expect.h"

static struct expr *compile(const char *text)
{
    struct err_text why = {{0}};
    struct expr *e = NULL;
    enum err err = text[0] == '{' ? expr_compile_eventgrid(str_of(text), &e, &why)
                                  : expr_compile_cesql(str_of(text), &e, &why);
    if (err != ERR_OK)
        fail_msg("%s: %s", text, why.s);
    return e;
}

#define SET_MAX 400

/* A set of filters by their texts; NULL: a filter that is not there. */
struct rig {
    struct expr *exprs[SET_MAX];
    size_t n;
    struct expr_set *set;
    uint64_t hits[SET_MAX / 64 + 1];
};

static void rig_add(struct rig *r, const char *text)
{
    r->exprs[r->n++] = text != NULL ? compile(text) : NULL;
}

static void rig_free(struct rig *r)
{
    expr_set_free(r->set);
    for (size_t i = 0; i < r->n; i++)
        expr_free(r->exprs[i]);
}

/* "0 3 7": the filters that match; and the same as one by one. */
static const char *rig_match(struct rig *r, const struct event *e, char out[SHOWN_MAX])
{
    if (r->set == NULL)
        r->set = expr_set_make((const struct expr *const *)r->exprs, r->n);
    memset(r->hits, 0xff, sizeof(r->hits)); /* what stands there does not matter */
    expr_set_match(r->set, &e->source, r->hits);
    out[0] = '\0';
    for (size_t i = 0; i < r->n; i++) {
        bool hit = (r->hits[i / 64] >> (i % 64) & 1) != 0;
        assert_int_equal(hit, r->exprs[i] == NULL || expr_matches(r->exprs[i], &e->source));
        size_t n = strlen(out);
        if (hit)
            snprintf(out + n, SHOWN_MAX - n, "%s%zu", n > 0 ? " " : "", i);
    }
    for (size_t i = r->n; i < (r->n + 63) / 64 * 64; i++)
        assert_int_equal(r->hits[i / 64] >> (i % 64) & 1, 0);
    return out;
}

static void test_match(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "type = 'a'",
        "type = 'b'",
        "type = 'a' AND data.n > 4",
        NULL,
        "source LIKE '/x/%'",
        "type IN ('b', 'a', 'a')",
        "data.n = 5",
        "type = 'a' AND missing = 1",
        "{\"includedEventTypes\": [\"A\", \"z\"]}",
        "{\"includedEventTypes\": [\"B\"], \"subjectBeginsWith\": \"s\"}",
        "id = '1' AND type = 'b'",
        "data.n",
    };
    struct rig r = {.n = 0};
    struct event e;
    char got[SHOWN_MAX];
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        rig_add(&r, texts[i]);
    event_init(&e, "{\"n\":5}");
    assert_string_equal(rig_match(&r, &e, got), "3 6"); /* no attributes at all */
    event_set_text(&e, "type", "a");
    assert_string_equal(rig_match(&r, &e, got), "0 2 3 5 6 8");
    event_set_text(&e, "type", "b");
    event_set_text(&e, "source", "/x/y");
    event_set_text(&e, "subject", "S1");
    event_set_text(&e, "id", "1");
    assert_string_equal(rig_match(&r, &e, got), "1 3 4 5 6 9 10");
    event_set_text(&e, "type", "c");
    e.data = str_of("{}");
    assert_string_equal(rig_match(&r, &e, got), "3 4");
    event_set(&e, "type", (struct expr_value){.type = EXPR_NULL});
    assert_string_equal(rig_match(&r, &e, got), "3 4");
    rig_free(&r);
}

/* Attributes that are no texts are compared by casts, of which the table of texts knows nothing. */
static void test_attributes_that_are_no_texts(void **state)
{
    (void)state;
    struct rig r = {.n = 0};
    struct event e;
    char got[SHOWN_MAX];
    rig_add(&r, "x = '5'");
    rig_add(&r, "x = '05'");
    rig_add(&r, "x IN ('05', 'y')");
    rig_add(&r, "x = 'true'");
    rig_add(&r, "{\"advancedFilters\":[{\"operatorType\":\"StringIn\",\"key\":\"x\",\"values\":"
                "[\"5\"]}]}");
    event_init(&e, NULL);
    event_set(&e, "x", (struct expr_value){.type = EXPR_INTEGER, .integer = 5});
    assert_string_equal(rig_match(&r, &e, got), "0 2");
    event_set(&e, "x", (struct expr_value){.type = EXPR_BOOLEAN, .boolean = true});
    assert_string_equal(rig_match(&r, &e, got), "3");
    event_set_text(&e, "x", "5");
    assert_string_equal(rig_match(&r, &e, got), "0 4");
    rig_free(&r);
}

static void test_asks_once(void **state)
{
    (void)state;
    struct rig r = {.n = 0};
    struct event e;
    for (int i = 0; i < 300; i++) {
        char text[128];
        snprintf(text, sizeof(text),
                 i % 3 == 0 ? "type = 't%d'" : "data.n%d = 1 OR type LIKE '%%%d'", i % 50, i);
        rig_add(&r, text);
    }
    r.set = expr_set_make((const struct expr *const *)r.exprs, r.n);
    event_init(&e, "{\"n7\":1}");
    event_set_text(&e, "type", "t3");
    expr_set_match(r.set, &e.source, r.hits);
    assert_int_equal(e.asked, 1);
    assert_int_equal(e.data_asked, 1);
    rig_free(&r);
    /* And not for the payload where no filter comes to it. */
    struct rig q = {.n = 0};
    rig_add(&q, "type = 'x' AND data.n7 = 1");
    q.set = expr_set_make((const struct expr *const *)q.exprs, q.n);
    event_init(&e, "{\"n7\":1}");
    event_set_text(&e, "type", "t3");
    expr_set_match(q.set, &e.source, q.hits);
    assert_int_equal(e.data_asked, 0);
    rig_free(&q);
}

/* Beyond 256 names of attributes or paths a filter is run alone, and comes to the same. */
static void test_more_names_than_a_set_has_room_for(void **state)
{
    (void)state;
    struct rig r = {.n = 0};
    struct event e;
    char got[SHOWN_MAX];
    for (int i = 0; i < 290; i++) {
        char text[128];
        snprintf(text, sizeof(text), "a%d = 'x'", i);
        rig_add(&r, text);
    }
    for (int i = 0; i < 100; i++) {
        char text[128];
        snprintf(text, sizeof(text), "data.p%d = 1 AND data.q%d = 1 AND data.r%d = 1", i, i, i);
        rig_add(&r, text);
    }
    event_init(&e, "{\"p95\":1,\"q95\":1,\"r95\":1,\"p2\":1,\"q2\":1,\"r2\":1,\"p3\":1}");
    event_set_text(&e, "a4", "x");
    event_set_text(&e, "a270", "x");
    event_set_text(&e, "a280", "y");
    assert_string_equal(rig_match(&r, &e, got), "4 270 292 385");
    rig_free(&r);
}

static void test_empty(void **state)
{
    (void)state;
    struct event e;
    uint64_t hits = 7;
    event_init(&e, NULL);
    struct expr_set *set = expr_set_make(NULL, 0);
    expr_set_match(set, &e.source, &hits);
    assert_int_equal(hits, 7);
    expr_set_free(set);
    expr_set_free(NULL);
}

/* A text with escapes takes room in each filter's own scratch, as if it were alone. */
static void test_scratch_is_each_filters_own(void **state)
{
    (void)state;
    static char document[8000];
    struct rig r = {.n = 0};
    struct event e;
    char got[SHOWN_MAX];
    memset(document, 'x', sizeof(document) - 1);
    memcpy(document, "{\"s\":\"\\n", 8);
    memcpy(document + sizeof(document) - 3, "\"}", 2);
    for (int i = 0; i < 10; i++)
        rig_add(&r, "LENGTH(data.s) > 7000");
    event_init(&e, document);
    assert_string_equal(rig_match(&r, &e, got), "0 1 2 3 4 5 6 7 8 9");
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match),     cmocka_unit_test(test_attributes_that_are_no_texts),
        cmocka_unit_test(test_asks_once), cmocka_unit_test(test_more_names_than_a_set_has_room_for),
        cmocka_unit_test(test_empty),     cmocka_unit_test(test_scratch_is_each_filters_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
