/* Events: what attributes may be; records as events and back; what is derived; filters. */
#include "../check.h"

#include "base/mem.h"
#include "broker/event.h"

#include <stdio.h>
#include <string.h>

static struct arena arena;
static struct event e;
static struct err_text text;
static const uint8_t random24[24] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
                                     13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24};
static const struct event_place place = {"orders", {{1, 2, 3}}, 4, 56};

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    event_init(&e);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

#define assert_str(s, wanted)                                                                      \
    do {                                                                                           \
        struct str got_ = (s);                                                                     \
        assert_non_null(got_.at);                                                                  \
        assert_int_equal(got_.len, strlen(wanted));                                                \
        assert_memory_equal(got_.at, wanted, got_.len);                                            \
    } while (0)

static enum err set(const char *name, const char *value)
{
    return event_attribute_set(&e, str_of(name), str_of(value), &text);
}

static void test_names(void **state)
{
    static const char *const right[] = {"a", "0", "comexampleextension1", "dataref", "x2y"};
    static const char *const wrong[] = {"",       "data",        "Type", "my-ext",
                                        "my_ext", "data_base64", "a b",  "\xc3\xa9"};
    char longest[EVENT_NAME_BYTES_MAX + 2] = "";
    (void)state;
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
        assert_int_equal(set(right[i], "v"), ERR_OK);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(set(wrong[i], "v"), ERR_RECORD_INVALID);
    assert_int_equal(e.extensions_n, 5);
    memset(longest, 'x', EVENT_NAME_BYTES_MAX);
    assert_int_equal(set(longest, "v"), ERR_OK);
    longest[EVENT_NAME_BYTES_MAX] = 'x';
    assert_int_equal(set(longest, "v"), ERR_RECORD_INVALID);
    assert_int_equal(set("specversion", "1.0"), ERR_OK);
    assert_int_equal(set("specversion", "0.3"), ERR_RECORD_INVALID);
    assert_int_equal(e.extensions_n, 6);
}

static void test_values(void **state)
{
    static const struct {
        const char *name, *value;
        bool ok;
    } cases[] = {
        {"id", "1", true},
        {"id", "", false},
        {"id", "a\nb", false},
        {"id", "\x7f", false},
        {"id", "\xc2\x85", false},         /* U+0085, a control character */
        {"id", "\xef\xb7\x90", false},     /* U+FDD0, a noncharacter */
        {"id", "\xef\xbf\xbf", false},     /* U+FFFF */
        {"id", "\xf0\x9f\xbf\xbe", false}, /* U+1FFFE */
        {"id", "\xef\xbf\xbd", true},      /* U+FFFD */
        {"id", "\xff", false},
        {"id", "Euro \xe2\x82\xac \xf0\x9f\x98\x80", true},
        {"source", "/cloudevents/spec/pull/123", true},
        {"source", "1-555-123-4567", true},
        {"source", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", true},
        {"source", "https://h/a%20b?c=d#e", true},
        {"source", "my source", false},
        {"source", "/a%2", false},
        {"source", "/a%zz", false},
        {"source", "<x>", false},
        {"dataschema", "http://x/y", true},
        {"dataschema", "urn:x", true},
        {"dataschema", "#", false},
        {"dataschema", "/relative", false},
        {"dataschema", "1a:x", false},
        {"subject", "", false},
        {"subject", "mynewfile.jpg", true},
        {"time", "2018-04-05T17:31:00Z", true},
        {"time", "2018-04-05T17:31:00.123456789+02:00", true},
        {"time", "2018-04-05t17:31:00z", true},
        {"time", "2018-04-05T17:31:00", false},
        {"time", "2018-02-30T17:31:00Z", false},
        {"time", "2018-04-05", false},
        {"time", "yesterday", false},
        {"ext", "", true}, /* an extension may be empty */
        {"ext", "\x01", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum err err = set(cases[i].name, cases[i].value);
        if ((err == ERR_OK) != cases[i].ok)
            fail_msg("%s = \"%s\": %s", cases[i].name, cases[i].value, err_name(err));
        if (err != ERR_OK)
            assert_non_null(strstr(text.s, cases[i].name));
    }
    char *much = mem_alloc(EVENT_ATTRIBUTE_BYTES_MAX + 1);
    memset(much, 'x', EVENT_ATTRIBUTE_BYTES_MAX + 1);
    struct str value = {much, EVENT_ATTRIBUTE_BYTES_MAX};
    assert_int_equal(event_attribute_set(&e, STR_LIT("id"), value, &text), ERR_OK);
    value.len++;
    assert_int_equal(event_attribute_set(&e, STR_LIT("id"), value, &text), ERR_RECORD_INVALID);
    mem_free(much);
}

static void test_extensions(void **state)
{
    static char names[EVENT_EXTENSIONS_MAX + 1][8];
    (void)state;
    for (size_t i = 0; i <= EVENT_EXTENSIONS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "x%zu", i);
        assert_int_equal(event_extension_set(&e, str_of(names[i]), STR_LIT("v")),
                         i < EVENT_EXTENSIONS_MAX ? ERR_OK : ERR_MEMORY);
    }
    assert_int_equal(set("x3", "again"), ERR_OK);
    assert_str(event_extension(&e, STR_LIT("x3")), "again");
    assert_int_equal(set("another", "v"), ERR_RECORD_INVALID);
    assert_null(event_extension(&e, STR_LIT("another")).at);
    assert_int_equal(e.extensions_n, EVENT_EXTENSIONS_MAX);
}

static void test_types(void **state)
{
    (void)state;
    assert_true(event_type_is_json(STR_LIT("application/json")));
    assert_true(event_type_is_json(STR_LIT("Application/JSON ; charset=utf-8")));
    assert_true(event_type_is_json(STR_LIT("application/vnd.x+json;v=1")));
    assert_false(event_type_is_json(STR_LIT("application/jsonx")));
    assert_false(event_type_is_json(STR_LIT("text/plain; x=/json")));
    assert_false(event_type_is_json(STR_LIT("")));
    assert_true(event_type_is_structured(STR_LIT("application/CloudEvents+json; charset=UTF-8")));
    assert_true(event_type_is_structured(STR_LIT("application/cloudevents+avro")));
    assert_false(event_type_is_structured(STR_LIT("application/cloudevents-batch+json")));
    assert_true(event_type_is_batch(STR_LIT("application/cloudevents-batch+json")));
    assert_false(event_type_is_batch(STR_LIT("application/json")));
}

/* ---- records ---- */

/* One batch of one record, which stays until the next call. */
static struct record record_of(const struct publish_record *r, int64_t ts)
{
    static struct slice batch;
    struct batch_builder b;
    struct batch_head head;
    struct record_iter it;
    struct record out;
    slice_unref(batch);
    batch_begin(&b, 0);
    batch_add(&b, ts, r->key, r->value, r->headers, r->headers_n);
    batch = batch_end(&b);
    assert_int_equal(batch_head_read(batch.at, batch.len, &head), ERR_OK);
    record_iter_init(&it, &head, batch.at + BATCH_HEAD_BYTES, batch.len - BATCH_HEAD_BYTES);
    assert_int_equal(record_iter_next(&it, &out), ERR_OK);
    return out;
}

static void read_record(const struct publish_record *r, int64_t ts)
{
    struct record rec = record_of(r, ts);
    memset(&e, 0x5a, sizeof(e)); /* nothing of it may be trusted */
    event_of_record(&rec, &place, &arena, &e);
}

static struct str header_of(const struct publish_record *r, const char *key)
{
    for (size_t i = 0; i < r->headers_n; i++)
        if (str_is(r->headers[i].key, key))
            return r->headers[i].value;
    return (struct str){NULL, 0};
}

static void fill(void)
{
    assert_int_equal(set("id", "1234"), ERR_OK);
    assert_int_equal(set("source", "/mycontext/subcontext"), ERR_OK);
    assert_int_equal(set("type", "com.example.someevent"), ERR_OK);
}

static void test_there_and_back(void **state)
{
    struct publish_record r = {.timestamp = 5};
    struct event first;
    (void)state;
    fill();
    assert_int_equal(set("subject", "sub"), ERR_OK);
    assert_int_equal(set("time", "2018-04-05T03:56:24Z"), ERR_OK);
    assert_int_equal(set("dataschema", "http://s/1"), ERR_OK);
    assert_int_equal(set("datacontenttype", "application/avro"), ERR_OK);
    assert_int_equal(set("partitionkey", "k1"), ERR_OK);
    assert_int_equal(set("tracestate", "a=b"), ERR_OK);
    assert_int_equal(set("empty", ""), ERR_OK);
    e.data = (struct str){"\0\1\2", 3};
    assert_int_equal(event_to_record(&e, random24, &arena, &r, &text), ERR_OK);
    assert_str(r.key, "k1");
    assert_int_equal(r.value.len, 3);
    assert_int_equal(r.timestamp, -1);
    assert_str(header_of(&r, "ce_specversion"), "1.0");
    assert_str(header_of(&r, "ce_id"), "1234");
    assert_str(header_of(&r, "ce_source"), "/mycontext/subcontext");
    assert_str(header_of(&r, "ce_type"), "com.example.someevent");
    assert_str(header_of(&r, "ce_subject"), "sub");
    assert_str(header_of(&r, "ce_time"), "2018-04-05T03:56:24Z");
    assert_str(header_of(&r, "ce_dataschema"), "http://s/1");
    assert_str(header_of(&r, "content-type"), "application/avro");
    assert_str(header_of(&r, "ce_partitionkey"), "k1");
    assert_null(header_of(&r, "ce_datacontenttype").at);
    assert_str(header_of(&r, "ce_traceparent"),
               "00-0102030405060708090a0b0c0d0e0f11-ce3111f9f8aa99e5-01");
    first = e;
    read_record(&r, 1000);
    assert_str(e.id, "1234");
    assert_str(e.subject, "sub");
    assert_str(e.time, "2018-04-05T03:56:24Z");
    assert_str(e.dataschema, "http://s/1");
    assert_str(e.datacontenttype, "application/avro");
    assert_false(e.data_is_json);
    assert_int_equal(e.record_ms, 1000);
    assert_memory_equal(e.data.at, "\0\1\2", 3);
    assert_str(event_extension(&e, STR_LIT("tracestate")), "a=b");
    assert_int_equal(e.extensions_n, first.extensions_n); /* traceparent for the empty one */
    assert_null(event_extension(&e, STR_LIT("empty")).at);
}

static void test_key_and_data(void **state)
{
    struct publish_record r = {.key = STR_LIT("given")};
    (void)state;
    fill();
    assert_int_equal(set("partitionkey", "k1"), ERR_OK);
    assert_int_equal(set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b9c7c989f97918e1-01"),
                     ERR_OK);
    assert_int_equal(event_to_record(&e, random24, &arena, &r, &text), ERR_OK);
    assert_str(r.key, "given");
    assert_null(r.value.at); /* no data: a null value */
    size_t traces = 0;
    for (size_t i = 0; i < r.headers_n; i++)
        traces += str_is(r.headers[i].key, "ce_traceparent");
    assert_int_equal(traces, 1);
    read_record(&r, 1000);
    assert_null(e.data.at);
    assert_null(e.time.at); /* of a CloudEvent nothing is derived */
    assert_null(e.datacontenttype.at);
    assert_str(event_extension(&e, STR_LIT("partitionkey")), "k1");
    assert_str(event_extension(&e, STR_LIT("traceparent")),
               "00-0af7651916cd43dd8448eb211c80319c-b9c7c989f97918e1-01");
}

static void test_refused(void **state)
{
    static const char *const required[] = {"id", "source", "type"};
    struct publish_record r = {.timestamp = 0};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        event_init(&e);
        for (size_t k = 0; k < 3; k++)
            if (k != i)
                assert_int_equal(set(required[k], "v"), ERR_OK);
        assert_int_equal(event_to_record(&e, random24, &arena, &r, &text), ERR_RECORD_INVALID);
        assert_non_null(strstr(text.s, required[i]));
    }
    event_init(&e);
    fill();
    e.subject = STR_LIT("a\tb");
    assert_int_equal(event_to_record(&e, random24, &arena, &r, &text), ERR_RECORD_INVALID);
    e.subject = (struct str){NULL, 0};
    assert_int_equal(event_extension_set(&e, STR_LIT("Bad"), STR_LIT("v")), ERR_OK);
    assert_int_equal(event_to_record(&e, random24, &arena, &r, &text), ERR_RECORD_INVALID);
    e.extensions_n = 0;
    for (size_t limit = 0; limit < 2048; limit += 16) { /* memory is refused, not missed */
        struct arena small;
        arena_init(&small, limit);
        enum err err = event_to_record(&e, random24, &small, &r, &text);
        assert_true(err == ERR_OK || err == ERR_MEMORY);
        assert_true(limit > 0 || err == ERR_MEMORY);
        for (size_t i = 0; err == ERR_OK && i < r.headers_n; i++)
            assert_true(r.headers[i].key.at != NULL && r.headers[i].value.at != NULL);
        arena_free(&small);
    }
}

static void test_derived(void **state)
{
    char topic[UUID_TEXT_MAX], wanted[80];
    struct publish_record r = {.key = STR_LIT("k"), .value = STR_LIT("{\"a\":1}")};
    (void)state;
    read_record(&r, 1767225600123);
    uuid_format(place.topic, topic);
    snprintf(wanted, sizeof(wanted), "%s/4/56", topic);
    assert_str(e.id, wanted);
    assert_str(e.source, "/topics/orders");
    assert_str(e.type, "weir.record");
    assert_str(e.time, "2026-01-01T00:00:00.123Z");
    assert_str(e.datacontenttype, "application/json");
    assert_true(e.data_is_json);
    assert_str(event_extension(&e, STR_LIT("partitionkey")), "k");
    char trace[EVENT_TRACEPARENT_BYTES + 1], again[EVENT_TRACEPARENT_BYTES + 1];
    event_trace_derive(&place, trace);
    assert_str(event_extension(&e, STR_LIT("traceparent")), trace);
    assert_int_equal(strlen(trace), EVENT_TRACEPARENT_BYTES);
    assert_true(event_trace_made((struct str){trace + 3, 32}, (struct str){trace + 36, 16}));
    assert_false(
        event_trace_made(STR_LIT("0af7651916cd43dd8448eb211c80319c"), STR_LIT("b9c7c989f97918e1")));
    assert_false(event_trace_made((struct str){trace + 3, 32}, STR_LIT("b9c7c989f97918e1")));
    assert_false(event_trace_made((struct str){trace + 3, 31}, (struct str){trace + 36, 16}));
    struct event_place next = place; /* every place has its own */
    next.offset++;
    event_trace_derive(&next, again);
    assert_string_not_equal(trace, again);
    next = place;
    next.partition++;
    event_trace_derive(&next, again);
    assert_string_not_equal(trace, again);
}

static void test_derived_types(void **state)
{
    static const struct {
        const char *value, *type;
    } cases[] = {
        {"[1,2]", "application/json"},
        {"{}", "application/json"},
        {"{no}", "text/plain; charset=utf-8"},
        {"hello", "text/plain; charset=utf-8"},
        {"12", "text/plain; charset=utf-8"},
        {"two\nlines\t", "text/plain; charset=utf-8"},
        {"\x01", NULL},
        {"\xff", NULL},
    };
    struct record_header h = {STR_LIT("Content-Type"), STR_LIT("text/csv")};
    struct publish_record r = {.headers = &h};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        r.value = str_of(cases[i].value);
        r.headers_n = 0;
        read_record(&r, -1);
        if (cases[i].type == NULL)
            assert_null(e.datacontenttype.at);
        else
            assert_str(e.datacontenttype, cases[i].type);
        assert_null(e.time.at); /* no timestamp, no time */
        r.headers_n = 1;
        read_record(&r, -1);
        assert_str(e.datacontenttype, "text/csv");
    }
    r = (struct publish_record){.timestamp = 0};
    read_record(&r, 0);
    assert_null(e.data.at);
    assert_null(e.datacontenttype.at);
}

/* Headers that are no attributes, or not right, do no harm. */
static void test_odd_headers(void **state)
{
    const struct record_header h[] = {
        {STR_LIT("ce_id"), {NULL, 0}},
        {STR_LIT("ce_source"), STR_LIT("\xff")},
        {STR_LIT("ce_"), STR_LIT("x")},
        {STR_LIT("ce_Bad"), STR_LIT("x")},
        {STR_LIT("ce_data"), STR_LIT("x")},
        {STR_LIT("ce_datacontenttype"), STR_LIT("x/y")},
        {STR_LIT("ce_type"), STR_LIT("first")},
        {STR_LIT("ce_type"), STR_LIT("last")},
        {STR_LIT("traceparent"),
         STR_LIT("00-0af7651916cd43dd8448eb211c80319c-b9c7c989f97918e1-00")},
        {STR_LIT("correlationid"), STR_LIT("c")},
        {STR_LIT("other"), STR_LIT("o")},
    };
    struct publish_record r = {.headers = h, .headers_n = sizeof(h) / sizeof(h[0])};
    (void)state;
    read_record(&r, 0);
    assert_str(e.source, "/topics/orders");
    assert_str(e.type, "last");
    assert_null(e.datacontenttype.at);
    assert_int_equal(e.extensions_n, 2);
    assert_str(event_extension(&e, STR_LIT("traceparent")),
               "00-0af7651916cd43dd8448eb211c80319c-b9c7c989f97918e1-00");
    assert_str(event_extension(&e, STR_LIT("correlationid")), "c");
}

/* What the headers of a dead letter say is told under Event Grid's names. */
static void test_dead_letter(void **state)
{
    const struct record_header h[] = {
        {STR_LIT("ce_id"), STR_LIT("1")},
        {STR_LIT("weir-dead-letter-reason"), STR_LIT("max-deliveries")},
        {STR_LIT("weir-dead-letter-deliveries"), STR_LIT("3")},
        {STR_LIT("weir-dead-letter-outcome"), STR_LIT("Busy")},
        {STR_LIT("weir-dead-letter-last-delivery"), STR_LIT("1767225600000")},
        {STR_LIT("weir-dead-letter-timestamp"), STR_LIT("soon")},
    };
    struct publish_record r = {.headers = h, .headers_n = sizeof(h) / sizeof(h[0])};
    struct wr out;
    (void)state;
    read_record(&r, 0);
    assert_str(event_extension(&e, STR_LIT("deadletterreason")), "max-deliveries");
    assert_str(event_extension(&e, STR_LIT("deliveryattempts")), "3");
    assert_str(event_extension(&e, STR_LIT("lastdeliveryoutcome")), "Busy");
    assert_str(event_extension(&e, STR_LIT("lastdeliveryattempttime")), "2026-01-01T00:00:00Z");
    assert_null(event_extension(&e, STR_LIT("publishtime")).at);
    wr_init(&out, 64);
    event_write_eventgrid(&e, (struct str){NULL, 0}, &out);
    wr_u8(&out, 0);
    assert_non_null(strstr((const char *)out.buf->data,
                           ",\"deadLetterReason\":\"MaxDeliveryAttemptsExceeded\","
                           "\"deliveryAttempts\":3,\"lastDeliveryOutcome\":\"Busy\","
                           "\"lastDeliveryAttemptTime\":\"2026-01-01T00:00:00Z\"}"));
    wr_free(&out);
}

static void test_structured(void **state)
{
    struct record_header h[] = {
        {STR_LIT("content-type"), STR_LIT("application/cloudevents+json; charset=UTF-8")},
        {STR_LIT("ce_id"), STR_LIT("not this one")}};
    struct publish_record r = {
        .headers = h,
        .headers_n = 2,
        .value = STR_LIT("{\"specversion\":\"1.0\",\"id\":\"7\",\"source\":\"/s\",\"type\":\"t\","
                         "\"datacontenttype\":\"application/xml\",\"data\":\"<a/>\"}")};
    (void)state;
    read_record(&r, 9);
    assert_str(e.id, "7");
    assert_str(e.datacontenttype, "application/xml");
    assert_str(e.data, "<a/>");
    assert_int_equal(e.record_ms, 9);
    assert_non_null(event_extension(&e, STR_LIT("traceparent")).at);
    r.value = STR_LIT("{\"specversion\":\"1.0\",\"id\":7}"); /* no event: data, with its headers */
    read_record(&r, 9);
    assert_str(e.id, "not this one");
    assert_str(e.source, "/topics/orders");
    assert_int_equal(e.data.len, r.value.len);
    h[0].value = STR_LIT("application/cloudevents+avro"); /* a format that is not known */
    read_record(&r, 9);
    assert_str(e.datacontenttype, "application/cloudevents+avro");
    r.value = (struct str){NULL, 0};
    h[0].value = STR_LIT("application/cloudevents+json");
    read_record(&r, 9);
    assert_null(e.data.at);
}

/* ---- as what a filter looks at ---- */

static void check_attribute(const struct event_source *s, const char *name, const char *wanted)
{
    struct expr_value v;
    s->source.attribute(&s->source, str_of(name), &v);
    assert_int_equal(v.type, wanted != NULL ? EXPR_STRING : EXPR_MISSING);
    if (wanted != NULL)
        assert_str(v.text, wanted);
}

static void test_source(void **state)
{
    struct event_source s;
    (void)state;
    fill();
    assert_int_equal(set("ext", "x"), ERR_OK);
    e.data = STR_LIT("{}");
    event_source_init(&s, &e);
    check_attribute(&s, "id", "1234");
    check_attribute(&s, "type", "com.example.someevent");
    check_attribute(&s, "specversion", "1.0");
    check_attribute(&s, "ext", "x");
    check_attribute(&s, "subject", NULL);
    check_attribute(&s, "nothing", NULL);
    assert_str(s.source.data(&s.source), "{}"); /* it may be JSON */
    assert_int_equal(set("datacontenttype", "application/json"), ERR_OK);
    assert_str(s.source.data(&s.source), "{}");
    assert_int_equal(set("datacontenttype", "text/plain"), ERR_OK);
    assert_null(s.source.data(&s.source).at);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_names),       TEST(test_values),         TEST(test_extensions),
        TEST(test_types),       TEST(test_there_and_back), TEST(test_key_and_data),
        TEST(test_refused),     TEST(test_derived),        TEST(test_derived_types),
        TEST(test_odd_headers), TEST(test_dead_letter),    TEST(test_structured),
        TEST(test_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
