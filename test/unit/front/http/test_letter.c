/* Dead letters: what their headers say, filters over them, and the records that they were. */
#include "front/http/letter.h"

#include "../../check.h"

#include <string.h>

static struct arena arena;
static struct slice batch;
static struct record record;

static const struct event_place place = {.topic_name = "orders.dead", .partition = 1, .offset = 7};

#define H(key, value)                                                                              \
    {                                                                                              \
        STR_LIT(key), STR_LIT(value)                                                               \
    }
static const struct record_header headers[] = {
    H("ce_specversion", "1.0"),
    H("ce_id", "i"),
    H("ce_source", "/s"),
    H("ce_type", "paid"),
    H("content-type", "application/json"),
    H("weir-dead-letter-reason", "max-deliveries"),
    H("weir-dead-letter-outcome", "500"),
    H("weir-dead-letter-topic", "orders"),
    H("weir-dead-letter-partition", "2"),
    H("weir-dead-letter-offset", "41"),
    H("weir-dead-letter-subscription", "billing"),
    H("weir-dead-letter-deliveries", "10"),
    H("weir-dead-letter-unheard-of", "x"),
};
#define HEADERS (sizeof headers / sizeof headers[0])

static int setup(void **state)
{
    struct batch_builder b;
    struct batch_head head;
    struct record_iter iter;
    (void)state;
    arena_init(&arena, 1 << 20);
    batch_begin(&b, 0);
    batch_add(&b, 1000, STR_LIT("k"), STR_LIT("{\"amount\": 5}"), headers, HEADERS);
    batch = batch_end(&b);
    if (batch_head_read(batch.at, batch.len, &head))
        return -1;
    record_iter_init(&iter, &head, batch.at + BATCH_HEAD_BYTES, batch.len - BATCH_HEAD_BYTES);
    return record_iter_next(&iter, &record) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    slice_unref(batch);
    arena_free(&arena);
    return 0;
}

static void test_headers(void **state)
{
    struct letter l;
    (void)state;
    letter_read(&record, &l);
    assert_true(str_is(l.reason, "max-deliveries"));
    assert_true(str_is(l.topic, "orders"));
    assert_true(str_is(l.subscription, "billing"));
    assert_true(str_is(l.offset, "41"));
    assert_null(l.description.at);
}

static bool matches(const char *filter)
{
    struct letter l;
    struct expr *e;
    struct err_text text;
    letter_read(&record, &l);
    if (expr_compile_cesql(str_of(filter), &e, &text))
        fail_msg("%s", text.s);
    bool yes = letter_matches(&l, &place, &arena, e);
    expr_free(e);
    return yes;
}

static void test_filters(void **state)
{
    struct letter l;
    (void)state;
    letter_read(&record, &l);
    assert_true(letter_matches(&l, &place, &arena, NULL));
    assert_true(matches("type = 'paid' AND deadletterreason = 'max-deliveries'"));
    assert_true(matches("deadlettertopic = 'orders' AND deadlettersubscription LIKE 'bill%'"));
    assert_true(matches("deadletteroutcome = '500' AND data.amount = 5"));
    assert_false(matches("deadletterreason = 'expired'"));
    assert_false(matches("data.amount > 5"));
}

static void test_json(void **state)
{
    struct letter l;
    (void)state;
    letter_read(&record, &l);
    json_t *json = letter_json(&l, &place, &arena);
    assert_int_equal(json_integer_value(json_object_get(json, "offset")), 7);
    assert_int_equal(json_integer_value(json_object_get(json, "topicOffset")), 41);
    assert_int_equal(json_integer_value(json_object_get(json, "deliveries")), 10);
    assert_null(json_object_get(json, "description"));
    json_t *event = json_object_get(json, "event");
    assert_string_equal(json_string_value(json_object_get(event, "type")), "paid");
    json_decref(json);
}

static void test_the_record_that_it_was(void **state)
{
    struct letter l;
    struct publish_record out;
    (void)state;
    letter_read(&record, &l);
    assert_int_equal(letter_record(&l, &arena, &out), ERR_OK);
    assert_true(str_is(out.key, "k") && str_is(out.value, "{\"amount\": 5}"));
    assert_int_equal(out.headers_n, 5);
    for (size_t i = 0; i < out.headers_n; i++)
        assert_true(str_eq(out.headers[i].key, headers[i].key));
    struct arena none;
    arena_init(&none, 16);
    assert_int_equal(letter_record(&l, &none, &out), ERR_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_the_record_that_it_was),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
