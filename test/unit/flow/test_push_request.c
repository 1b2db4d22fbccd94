/* What is posted, byte by byte, in each format. */
#include "../check.h"

#include "base/mem.h"
#include "flow/push_request.h"

#include <stdio.h>
#include <string.h>

#define MESSAGES_MAX 4

static struct arena arena;
static struct wr body;
static struct push_request request;
static struct err_text text;
static struct subscription s;
static struct message messages[MESSAGES_MAX];
static uint32_t messages_n;
static struct slice batches[MESSAGES_MAX];
static struct push_how how;
static const struct document *function;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    body = (struct wr){0};
    messages_n = 0;
    function = NULL;
    s = (struct subscription){.topic_name = "payments", .name = "Fraud-check"};
    s.conf.target = STR_LIT("https://host/hook?x=1");
    s.conf.batch_events_max = 10;
    s.conf.batch_bytes = 64 << 10;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < messages_n; i++)
        slice_unref(batches[i]);
    arena_free(&arena);
    wr_free(&body);
    return 0;
}

/* A message of one record in a batch of its own. */
static void add(struct str value, const struct record_header *headers, size_t n)
{
    struct batch_builder b;
    struct batch_head head;
    struct record_iter it;
    struct message *m = &messages[messages_n];
    batch_begin(&b, 0);
    batch_add(&b, 1767225600000, STR_LIT("key"), value, headers, n);
    struct slice batch = batch_end(&b);
    batches[messages_n++] = batch;
    assert_int_equal(batch_head_read(batch.at, batch.len, &head), ERR_OK);
    record_iter_init(&it, &head, batch.at + BATCH_HEAD_BYTES, batch.len - BATCH_HEAD_BYTES);
    *m = (struct message){.deliveries = 3, .partition = 1, .offset = 7};
    assert_int_equal(record_iter_next(&it, &m->record), ERR_OK);
}

#define H(name, value)                                                                             \
    {                                                                                              \
        STR_LIT(name), STR_LIT(value)                                                              \
    }

static const struct record_header json_event[] = {
    H("ce_specversion", "1.0"),
    H("ce_id", "A-1"),
    H("ce_source", "/shop"),
    H("ce_type", "paid"),
    H("ce_subject", "cup \"\xc3\xa9\" 100%"),
    H("ce_time", "2026-01-01T00:00:00Z"),
    H("ce_level", "7"),
    H("ce_traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    H("ce_tracestate", "a=b"),
    H("content-type", "application/json")};
#define JSON_EVENT json_event, sizeof json_event / sizeof json_event[0]

static const char *header(const char *name)
{
    static char found[8192];
    for (size_t i = 0; i < request.headers_n; i++) {
        if (!str_is(request.headers[i].name, name))
            continue;
        assert_true(str_copy(found, sizeof found, request.headers[i].value));
        return found;
    }
    return NULL;
}

static enum err build(const char *origin)
{
    push_how_of(&s, function, &how);
    const struct push_request_conf conf = {.s = &s,
                                           .how = &how,
                                           .url = s.conf.target,
                                           .origin = origin,
                                           .arena = &arena,
                                           .body = &body};
    return push_request_build(&conf, messages, messages_n, &request, &text);
}

static uint32_t take(const struct message *from, uint32_t n)
{
    push_how_of(&s, function, &how);
    return push_request_take(&how, from, n);
}

/* Is the text in the body? */
static bool body_has(const char *part)
{
    return memmem(request.body.at, request.body.len, part, strlen(part)) != NULL;
}

static void check_body(const char *expected)
{
    char got[16384];
    assert_true(str_copy(got, sizeof got, request.body));
    assert_string_equal(got, expected);
}

static void binary(void **state)
{
    (void)state;
    add(STR_LIT("{\"a\":1}"), JSON_EVENT);
    assert_int_equal(build(NULL), ERR_OK);
    assert_string_equal(request.url, "https://host/hook?x=1");
    assert_string_equal(header("ce-specversion"), "1.0");
    assert_string_equal(header("ce-id"), "A-1");
    assert_string_equal(header("ce-source"), "/shop");
    assert_string_equal(header("ce-type"), "paid");
    assert_string_equal(header("ce-subject"), "cup%20%22%C3%A9%22%20100%25");
    assert_string_equal(header("ce-time"), "2026-01-01T00:00:00Z");
    assert_string_equal(header("ce-level"), "7");
    assert_string_equal(header("Content-Type"), "application/json");
    assert_string_equal(header("traceparent"),
                        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_string_equal(header("tracestate"), "a=b");
    assert_string_equal(header("weir-subscription"), "Fraud-check");
    assert_string_equal(header("weir-delivery"), "3");
    assert_null(header("aeg-event-type"));
    assert_null(header("Origin"));
    check_body("{\"a\":1}");
}

static void plain_record_is_an_event(void **state)
{
    (void)state;
    add(STR_LIT("plain"), NULL, 0);
    assert_int_equal(build("weir.example"), ERR_OK);
    assert_string_equal(header("ce-type"), "weir.record");
    assert_string_equal(header("ce-source"), "/topics/payments");
    assert_non_null(strstr(header("ce-id"), "/1/7"));
    assert_string_equal(header("Origin"), "weir.example");
    check_body("plain");
}

static void no_value_is_an_empty_body(void **state)
{
    (void)state;
    add((struct str){NULL, 0}, NULL, 0);
    assert_int_equal(build(NULL), ERR_OK);
    assert_non_null(request.body.at);
    assert_int_equal(request.body.len, 0);
}

static void structured(void **state)
{
    (void)state;
    add(STR_LIT("{\"a\":1}"), JSON_EVENT);
    s.conf.format = FORMAT_CE_STRUCTURED;
    assert_int_equal(build(NULL), ERR_OK);
    assert_string_equal(header("Content-Type"), "application/cloudevents+json; charset=utf-8");
    assert_null(header("ce-id"));
    assert_true(body_has("\"id\":\"A-1\""));
    assert_true(body_has("\"data\":{\"a\":1}"));
    assert_int_equal(request.body.at[0], '{');
}

static void batch(void **state)
{
    (void)state;
    add(STR_LIT("{\"a\":1}"), JSON_EVENT);
    add(STR_LIT("{\"a\":2}"), JSON_EVENT);
    s.conf.format = FORMAT_CE_BATCH;
    assert_int_equal(build(NULL), ERR_OK);
    assert_string_equal(header("Content-Type"),
                        "application/cloudevents-batch+json; charset=utf-8");
    assert_null(header("traceparent")); /* of which one? */
    assert_int_equal(request.body.at[0], '[');
    assert_int_equal(request.body.at[request.body.len - 1], ']');
    assert_true(json_valid(request.body));
}

static void event_grid(void **state)
{
    (void)state;
    add(STR_LIT("{\"a\":1}"), JSON_EVENT);
    s.conf.format = FORMAT_EVENTGRID;
    assert_int_equal(build(NULL), ERR_OK);
    assert_string_equal(header("Content-Type"), "application/json; charset=utf-8");
    assert_string_equal(header("aeg-event-type"), "Notification");
    assert_string_equal(header("aeg-subscription-name"), "FRAUD-CHECK");
    assert_string_equal(header("aeg-delivery-count"), "2");
    assert_string_equal(header("aeg-metadata-version"), "1");
    assert_null(header("weir-delivery"));
    assert_true(json_valid(request.body));
    assert_int_equal(request.body.at[0], '[');
    assert_true(body_has("\"eventType\":\"paid\""));
}

static void cloudevents_as_event_grid_does(void **state)
{
    (void)state;
    add(STR_LIT("{}"), JSON_EVENT);
    s.conf.format = FORMAT_CE_STRUCTURED;
    s.conf.backoff = BACKOFF_EVENTGRID;
    assert_int_equal(build(NULL), ERR_OK);
    assert_string_equal(header("aeg-event-type"), "Notification");
    assert_string_equal(header("Content-Type"), "application/cloudevents+json; charset=utf-8");
}

static void properties(void **state)
{
    (void)state;
    static char long_value[PUSH_PROPERTY_BYTES_MAX + 1];
    memset(long_value, 'x', sizeof long_value);
    struct delivery_property p[] = {
        {.name = STR_LIT("Authorization"), .value = STR_LIT("Bearer s3cret"), .secret = true},
        {.name = STR_LIT("X-Subject"), .source_field = STR_LIT("subject")},
        {.name = STR_LIT("X-Level"), .source_field = STR_LIT("level")},
        {.name = STR_LIT("X-Type"), .source_field = STR_LIT("eventType")},
        {.name = STR_LIT("X-Data"), .source_field = STR_LIT("data.a.b")},
        {.name = STR_LIT("X-Missing"), .source_field = STR_LIT("data.a.c")},
        {.name = STR_LIT("X-Long"), .value = {long_value, sizeof long_value}},
        {.name = STR_LIT("X-Break"), .source_field = STR_LIT("data.text")},
        {.name = STR_LIT("aeg-event-type"), .value = STR_LIT("mine")},
        {.name = STR_LIT("Content-Length"), .value = STR_LIT("5")},
        {.name = STR_LIT("CE-Id"), .value = STR_LIT("5")},
    };
    s.conf.properties = (struct spec_list){p, sizeof p / sizeof p[0]};
    add(STR_LIT("{\"a\":{\"b\":12.50},\"text\":\"x\\r\\ny\"}"), JSON_EVENT);
    assert_int_equal(build(NULL), ERR_OK);
    assert_string_equal(header("Authorization"), "Bearer s3cret");
    assert_string_equal(header("X-Subject"), "cup \"\xc3\xa9\" 100%");
    assert_string_equal(header("X-Level"), "7");
    assert_string_equal(header("X-Type"), "paid");
    assert_string_equal(header("X-Data"), "12.50");
    assert_null(header("X-Missing"));
    assert_null(header("X-Long"));
    assert_string_equal(header("X-Break"), "x  y");
    assert_null(header("aeg-event-type"));
    assert_null(header("Content-Length"));
    assert_null(header("CE-Id"));
}

static struct str field(const char *data, const char *name)
{
    struct event e;
    event_init(&e);
    e.id = STR_LIT("1");
    e.source = STR_LIT("/s");
    e.data = str_of(data);
    e.data_is_json = true;
    assert_int_equal(event_extension_set(&e, STR_LIT("dataversion"), STR_LIT("2")), ERR_OK);
    return push_field(&e, str_of(name), &arena);
}

static void fields(void **state)
{
    (void)state;
    assert_true(str_is(field("{}", "id"), "1"));
    assert_true(str_is(field("{}", "ID"), "1"));
    assert_true(str_is(field("{}", "topic"), "/s"));
    assert_true(str_is(field("{}", "dataVersion"), "2"));
    assert_true(str_is(field("{}", "specversion"), "1.0"));
    assert_null(field("{}", "nothing").at);
    assert_null(field("{}", "data.x").at);
    assert_null(field("", "data.x").at);
    assert_null(field("[1]", "data.x").at);
    assert_null(field("{\"x\":null}", "data.x").at);
    assert_null(field("{\"x\":1}", "data.x.y").at);
    assert_null(field("{\"x\":", "data.x").at);
    assert_true(str_is(field("{\"x\":true}", "data.x"), "true"));
    assert_true(str_is(field("{\"x\":\"\\u0041\"}", "data.x"), "A"));
    assert_true(str_is(field("{\"x\":{\"y\":[1,2]}}", "data.x.y"), "[1,2]"));
    assert_true(str_is(field("{\"x\":1,\"x\":2}", "data.x"), "2"));
}

static void more_attributes_than_headers(void **state)
{
    (void)state;
    char names[EVENT_EXTENSIONS_MAX][16];
    struct record_header headers[EVENT_EXTENSIONS_MAX + 4];
    struct delivery_property p[HTTP_CALL_HEADERS_MAX];
    size_t n = 0;
    headers[n++] = (struct record_header)H("ce_specversion", "1.0");
    headers[n++] = (struct record_header)H("ce_id", "1");
    headers[n++] = (struct record_header)H("ce_source", "s");
    headers[n++] = (struct record_header)H("ce_type", "t");
    for (int i = 0; i < EVENT_EXTENSIONS_MAX - 1; i++) {
        snprintf(names[i], sizeof names[i], "ce_x%d", i);
        headers[n++] = (struct record_header){str_of(names[i]), STR_LIT("v")};
    }
    add(STR_LIT("v"), headers, n);
    assert_int_equal(build(NULL), ERR_OK);
    for (int i = 0; i < HTTP_CALL_HEADERS_MAX; i++)
        p[i] = (struct delivery_property){.name = STR_LIT("X"), .value = STR_LIT("v")};
    s.conf.properties = (struct spec_list){p, HTTP_CALL_HEADERS_MAX};
    assert_int_equal(build(NULL), ERR_RECORD_INVALID);
}

static void out_of_memory_is_told(void **state)
{
    (void)state;
    add(STR_LIT("{\"a\":1}"), JSON_EVENT);
    for (size_t limit = 0; limit < 400; limit += 16) {
        arena_free(&arena);
        arena_init(&arena, limit);
        enum err err = build(NULL);
        assert_true(err == ERR_OK || err == ERR_MEMORY);
    }
}

static void taken_by_format_and_size(void **state)
{
    (void)state;
    static char large[4096];
    add((struct str){large, 1000}, NULL, 0);
    add((struct str){large, 1000}, NULL, 0);
    add((struct str){large, 4096}, NULL, 0);
    add((struct str){large, 10}, NULL, 0);
    s.conf.batch_events_max = 3;
    s.conf.format = FORMAT_CE_BINARY;
    assert_int_equal(take(messages, 4), 1);
    s.conf.format = FORMAT_EVENTGRID;
    assert_int_equal(take(messages, 4), 3);
    assert_int_equal(take(messages, 2), 2);
    s.conf.batch_bytes = 3000;
    assert_int_equal(take(messages, 4), 2);
    assert_int_equal(take(messages + 2, 2), 1); /* alone, though larger */
}

static struct document enrich = {.kind = DOCUMENT_FUNCTION, .name = "enrich"};

/* A function's own protocol and batches count, and each event says where it stands. */
static void a_function(void **state)
{
    (void)state;
    spec_init(&function_kind, &enrich.conf.function);
    function = &enrich;
    add(STR_LIT("{\"a\":1}"), JSON_EVENT);
    add(STR_LIT("2"), NULL, 0);
    messages[0].deliveries = 1;
    messages[1].deliveries = 1;
    assert_int_equal(take(messages, 2), 1);
    messages_n = 1;
    assert_int_equal(build(NULL), ERR_OK);
    assert_string_equal(header("ce-weirtopic"), "payments");
    assert_string_equal(header("ce-weirpartition"), "1");
    assert_string_equal(header("ce-weiroffset"), "7");
    assert_string_equal(header("ce-weirattempt"), "1");
    assert_null(header("Prefer"));
    messages_n = 2;
    enrich.conf.function.protocol = FUNCTION_CLOUDEVENTS_BATCH;
    assert_int_equal(take(messages, 2), 2);
    s.conf.reply_topic = STR_LIT("out");
    body.len = 0;
    assert_int_equal(build(NULL), ERR_OK);
    assert_true(body_has("\"weirpartition\":\"1\",\"weiroffset\":\"7\",\"weirattempt\":\"1\""));
    assert_string_equal(header("Prefer"), "reply");
    assert_int_equal(how.timeout_ms, 30000);
}

/* What failed before goes alone, and nothing with it. */
static void a_function_again(void **state)
{
    (void)state;
    spec_init(&function_kind, &enrich.conf.function);
    enrich.conf.function.protocol = FUNCTION_CLOUDEVENTS_BATCH;
    function = &enrich;
    for (unsigned i = 0; i < 4; i++) {
        add(STR_LIT("1"), NULL, 0);
        messages[i].deliveries = i == 2 ? 2 : 1;
    }
    assert_int_equal(take(messages, 4), 2);
    assert_int_equal(take(messages + 2, 2), 1);
    assert_int_equal(take(messages + 3, 1), 1);
    function = NULL; /* an endpoint's batches are settled as one */
    s.conf.format = FORMAT_CE_BATCH;
    assert_int_equal(take(messages, 4), 4);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(binary),
        TEST(plain_record_is_an_event),
        TEST(no_value_is_an_empty_body),
        TEST(structured),
        TEST(batch),
        TEST(event_grid),
        TEST(cloudevents_as_event_grid_does),
        TEST(properties),
        TEST(fields),
        TEST(more_attributes_than_headers),
        TEST(out_of_memory_is_told),
        TEST(taken_by_format_and_size),
        TEST(a_function),
        TEST(a_function_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
