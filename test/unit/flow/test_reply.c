/* Answers as events: which are taken, where they go, and what they inherit. */
#include "../check.h"

#include "base/mem.h"
#include "flow/reply.h"

#include <stdio.h>
#include <string.h>

#define MESSAGES_MAX 300

static struct arena arena;
static struct reply reply;
static struct subscription s;
static struct message messages[MESSAGES_MAX];
static struct slice batches[MESSAGES_MAX];
static uint32_t messages_n;
static struct topic topics[3] = {{.name = "out"}, {.name = "high"}, {.name = "__weir_ledger"}};
static unsigned lookups;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 16 << 20);
    reply = (struct reply){.n = 0};
    messages_n = 0;
    lookups = 0;
    s = (struct subscription){.topic_name = "payments", .name = "score"};
    s.topic.b[0] = 7;
    s.conf.reply_topic = STR_LIT("out");
    for (uint8_t i = 0; i < 3; i++)
        topics[i].id.b[0] = (uint8_t)(i + 1);
    topics[2].internal = true;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < messages_n; i++)
        slice_unref(batches[i]);
    reply_free(&reply);
    arena_free(&arena);
    return 0;
}

/* Event `i` of trace `trace` (0: none given), with a key. */
static void add(unsigned trace)
{
    struct batch_builder b;
    struct batch_head head;
    struct record_iter it;
    char parent[64], key[16];
    struct message *m = &messages[messages_n];
    snprintf(parent, sizeof parent, "00-%032x-00f067aa0ba902b7-01", trace);
    snprintf(key, sizeof key, "card-%u", messages_n);
    const struct record_header headers[] = {{STR_LIT("ce_correlationid"), STR_LIT("c-1")},
                                            {STR_LIT("ce_traceparent"), str_of(parent)},
                                            {STR_LIT("ce_tracestate"), STR_LIT("a=b")}};
    batch_begin(&b, 0);
    batch_add(&b, 1767225600000, str_of(key), STR_LIT("v"), headers, trace ? 3 : 1);
    struct slice batch = batch_end(&b);
    batches[messages_n] = batch;
    assert_int_equal(batch_head_read(batch.at, batch.len, &head), ERR_OK);
    record_iter_init(&it, &head, batch.at + BATCH_HEAD_BYTES, batch.len - BATCH_HEAD_BYTES);
    *m = (struct message){.deliveries = 1, .partition = 2, .offset = 40 + messages_n};
    assert_int_equal(record_iter_next(&it, &m->record), ERR_OK);
    messages_n++;
}

static const struct topic *find_topic(void *arg, struct str name)
{
    assert_ptr_equal(arg, topics);
    lookups++;
    for (unsigned i = 0; i < 3; i++) {
        if (str_is(name, topics[i].name))
            return &topics[i];
    }
    return NULL;
}

static void begin(void)
{
    reply_begin(&reply, &(struct reply_conf){.s = &s,
                                             .messages = messages,
                                             .messages_n = messages_n,
                                             .source = STR_LIT("/functions/score"),
                                             .arena = &arena,
                                             .topic = find_topic,
                                             .arg = topics});
}

static enum err answer_with(int status, const struct http_header *headers, size_t n,
                            const char *body)
{
    char *copy = mem_strdup(body);
    struct http_call call = {
        .status = status, .answer_headers = headers, .answer_headers_n = n, .answer = str_of(copy)};
    begin();
    enum err err = reply_read(&reply, &call);
    memset(copy, 'x', strlen(copy)); /* the answer is gone with its call */
    mem_free(copy);
    return err;
}

static enum err answer(const char *type, const char *body)
{
    const struct http_header h = {STR_LIT("content-type"), str_of(type)};
    return answer_with(200, &h, 1, body);
}

#define BATCH "application/cloudevents-batch+json; charset=utf-8"
#define ONE "application/cloudevents+json"

static const char *header_of(size_t i, const char *name)
{
    static char found[512];
    const struct publish_record *r = &reply.outputs[i].record;
    for (size_t k = 0; k < r->headers_n; k++) {
        if (!str_is(r->headers[k].key, name))
            continue;
        assert_true(str_copy(found, sizeof found, r->headers[k].value));
        return found;
    }
    return "(none)";
}

static void expect_key(size_t i, const char *key)
{
    struct str k = reply.outputs[i].record.key;
    assert_true(key ? str_is(k, key) : k.at == NULL);
}

static void expect_topic(size_t i, unsigned topic)
{
    assert_int_equal(reply.outputs[i].topic.b[0], topic + 1);
    assert_int_equal(reply.outputs[i].partition, -1);
    assert_null(reply.outputs[i].actor);
}

#define EVENT(rest) "{\"specversion\":\"1.0\",\"type\":\"scored\"" rest "}"

/* ---- tests ---- */

static void test_an_event_in_binary_mode(void **state)
{
    const struct http_header headers[] = {{STR_LIT("content-type"), STR_LIT("application/json")},
                                          {STR_LIT("ce-specversion"), STR_LIT("1.0")},
                                          {STR_LIT("ce-id"), STR_LIT("a%20b")},
                                          {STR_LIT("ce-type"), STR_LIT("scored")},
                                          {STR_LIT("ce-source"), STR_LIT("/model")},
                                          {STR_LIT("ce-score"), STR_LIT("\"9\"")},
                                          {STR_LIT("date"), STR_LIT("today")}};
    (void)state;
    add(5);
    assert_int_equal(answer_with(200, headers, 7, "{\"score\":9}"), ERR_OK);
    assert_int_equal(reply.n, 1);
    expect_topic(0, 0);
    expect_key(0, "card-0");
    assert_true(str_is(reply.outputs[0].record.value, "{\"score\":9}"));
    assert_string_equal(header_of(0, "ce_id"), "a b");
    assert_string_equal(header_of(0, "ce_score"), "9");
    assert_string_equal(header_of(0, "ce_source"), "/model");
    assert_string_equal(header_of(0, "content-type"), "application/json");
    assert_string_equal(header_of(0, "date"), "(none)");
    assert_string_equal(header_of(0, "ce_traceparent"),
                        "00-00000000000000000000000000000005-00f067aa0ba902b7-01");
    assert_string_equal(header_of(0, "ce_tracestate"), "a=b");
    assert_string_equal(header_of(0, "ce_correlationid"), "c-1");
    const struct publish_cause *cause = &reply.outputs[0].cause;
    assert_true(uuid_eq(cause->topic, s.topic));
    assert_int_equal(cause->partition, 2);
    assert_int_equal(cause->offset, 40);
    assert_true(str_is(cause->subscription, "score"));
}

static void test_what_is_missing_is_filled_in(void **state)
{
    (void)state;
    add(0);
    assert_int_equal(answer(ONE, EVENT(",\"data\":{\"a\":1}")), ERR_OK);
    assert_int_equal(reply.n, 1);
    char id[64];
    snprintf(id, sizeof id, "%s", header_of(0, "ce_id"));
    assert_string_equal(id, "BwAAAAAAAAAAAAAAAAAAAA/2/40/0");
    assert_string_equal(header_of(0, "ce_source"), "/functions/score");
    /* Derived of its place, as wherever that record is read. */
    struct event_place place = {.topic = s.topic, .partition = 2, .offset = 40};
    char derived[EVENT_TRACEPARENT_BYTES + 1];
    event_trace_derive(&place, derived);
    assert_string_equal(header_of(0, "ce_traceparent"), derived);
    assert_int_equal(answer(ONE, EVENT("")), ERR_OK); /* at the next attempt */
    assert_string_equal(header_of(0, "ce_id"), id);
    assert_int_equal(answer(BATCH, "[" EVENT("") "," EVENT("") "]"), ERR_OK);
    assert_string_equal(header_of(1, "ce_id"), "BwAAAAAAAAAAAAAAAAAAAA/2/40/1");
    expect_key(1, "card-0");
}

static void test_what_it_says_itself_counts(void **state)
{
    (void)state;
    add(5);
    assert_int_equal(
        answer(ONE, EVENT(",\"id\":\"1\",\"source\":\"/s\",\"partitionkey\":\"me\","
                          "\"correlationid\":\"mine\",\"traceparent\":"
                          "\"00-000000000000000000000000000000aa-00f067aa0ba902b7-00\"")),
        ERR_OK);
    expect_key(0, "me");
    assert_string_equal(header_of(0, "ce_id"), "1");
    assert_string_equal(header_of(0, "ce_source"), "/s");
    assert_string_equal(header_of(0, "ce_correlationid"), "mine");
    assert_string_equal(header_of(0, "ce_traceparent"),
                        "00-000000000000000000000000000000aa-00f067aa0ba902b7-00");
    assert_string_equal(header_of(0, "ce_tracestate"), "(none)");
}

static void test_as_many_as_messages(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        add(10 + i);
    assert_int_equal(answer(BATCH, "[" EVENT("") "," EVENT("") "," EVENT("") "]"), ERR_OK);
    assert_int_equal(reply.n, 3);
    for (unsigned i = 0; i < 3; i++) {
        char key[16];
        snprintf(key, sizeof key, "card-%u", i);
        expect_key(i, key);
        assert_int_equal(reply.outputs[i].cause.offset, 40 + i);
    }
    assert_string_equal(header_of(2, "ce_traceparent"),
                        "00-0000000000000000000000000000000c-00f067aa0ba902b7-01");
    assert_string_equal(header_of(2, "ce_id"), "BwAAAAAAAAAAAAAAAAAAAA/2/42/0");
    assert_int_equal(lookups, 1);
}

static void test_fewer_than_messages(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        add(10 + i);
    /* One says by its trace what it comes of, the other does not. */
    assert_int_equal(
        answer(
            BATCH,
            "[" EVENT(
                ",\"traceparent\":"
                "\"00-0000000000000000000000000000000c-1111111111111111-01\"") "," EVENT("") "]"),
        ERR_OK);
    assert_int_equal(reply.n, 2);
    expect_key(0, "card-2");
    assert_int_equal(reply.outputs[0].cause.offset, 42);
    assert_string_equal(header_of(0, "ce_traceparent"),
                        "00-0000000000000000000000000000000c-1111111111111111-01");
    expect_key(1, NULL);
    assert_true(uuid_eq(reply.outputs[1].cause.topic, (struct uuid){{0}}));
    assert_string_equal(header_of(1, "ce_traceparent"),
                        "00-0000000000000000000000000000000a-00f067aa0ba902b7-01");
    assert_string_equal(header_of(1, "ce_id"), "BwAAAAAAAAAAAAAAAAAAAA/2/40+1");
}

/* Several messages of one trace: the one at the reply's own place. */
/* A value inside of an event may be nested as deep as an array of such events may not. */
static void test_more_than_messages(void **state)
{
    char body[1024], deep[2 * JSON_DEPTH_MAX + 1];
    (void)state;
    memset(deep, '[', JSON_DEPTH_MAX);
    memset(deep + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    deep[2 * JSON_DEPTH_MAX] = '\0';
    add(1);
    add(2);
    snprintf(body, sizeof body, "[%s,%s,{\"specversion\":\"1.0\",\"type\":\"t\",\"data\":%s}]",
             EVENT(""), EVENT(""), deep);
    assert_int_equal(answer(BATCH, body), ERR_OK);
    assert_int_equal(reply.n, 3);
    for (size_t i = 0; i < reply.n; i++)
        expect_key(i, NULL);
}

static void test_messages_of_one_trace(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        add(10);
#define SAME EVENT(",\"traceparent\":\"00-0000000000000000000000000000000a-1111111111111111-01\"")
    assert_int_equal(answer(BATCH, "[" SAME "," SAME "," SAME "," SAME "]"), ERR_OK);
    expect_key(0, "card-0");
    expect_key(1, "card-1");
    expect_key(2, "card-2");
    expect_key(3, "card-0");
    assert_string_equal(header_of(3, "ce_id"), "BwAAAAAAAAAAAAAAAAAAAA/2/40/1");
}

static void test_a_large_batch(void **state)
{
    (void)state;
    struct wr w = {NULL, 0};
    for (unsigned i = 0; i < MESSAGES_MAX; i++)
        add(i % 2 ? i : 0);
    wr_u8(&w, '[');
    for (unsigned i = 0; i < MESSAGES_MAX; i++) {
        char text[200];
        int n = snprintf(text, sizeof text,
                         "%s" EVENT(",\"traceparent\":\"00-%032x-1111111111111111-01\""),
                         i ? "," : "", MESSAGES_MAX - 1 - i / 2 * 2);
        wr_bytes(&w, text, (size_t)n);
    }
    wr_bytes(&w, "]", 2);
    assert_int_equal(answer(BATCH, (const char *)w.buf->data), ERR_OK);
    assert_int_equal(reply.n, MESSAGES_MAX);
    expect_key(0, "card-299");
    expect_key(4, "card-295");
    wr_free(&w);
}

static void test_routes(void **state)
{
    (void)state;
    struct expr *high;
    assert_int_equal(expr_compile_cesql(STR_LIT("data.score > 5"), &high, NULL), ERR_OK);
    const struct expr *filters[] = {high};
    struct reply_route routes[] = {{STR_LIT("data.score > 5"), STR_LIT("high")}};
    s.routes = filters;
    s.conf.routes = (struct spec_list){.at = routes, .n = 1};
    add(5);
#define SCORE(n) EVENT(",\"data\":{\"score\":" n "}")
    assert_int_equal(answer(BATCH, "[" SCORE("7") "," SCORE("3") "," SCORE("9") "]"), ERR_OK);
    assert_int_equal(reply.n, 3);
    expect_topic(0, 1);
    expect_topic(1, 0);
    expect_topic(2, 1);
    assert_int_equal(lookups, 2);
    s.conf.reply_topic = (struct str){NULL, 0};
    assert_int_equal(answer(BATCH, "[" SCORE("3") "," SCORE("9") "]"), ERR_OK);
    assert_int_equal(reply.n, 1);
    assert_int_equal(reply.dropped, 1);
    expr_free(high);
}

static void test_topics_that_take_none(void **state)
{
    (void)state;
    add(5);
    s.conf.reply_topic = STR_LIT("nowhere");
    assert_int_equal(answer(ONE, EVENT("")), ERR_TOPIC_UNKNOWN);
    assert_non_null(strstr(reply.text.s, "nowhere"));
    s.conf.reply_topic = STR_LIT("__weir_ledger");
    assert_int_equal(answer(ONE, EVENT("")), ERR_POLICY);
}

static void test_what_is_no_reply(void **state)
{
    const struct http_header event = {STR_LIT("content-type"), STR_LIT(ONE)};
    const struct http_header text = {STR_LIT("content-type"), STR_LIT("text/plain")};
    static const int others[] = {202, 199, 301, 404, 500};
    (void)state;
    add(5);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(answer_with(others[i], &event, 1, EVENT("")), ERR_OK);
        assert_int_equal(reply.n, 0);
    }
    assert_int_equal(answer_with(200, &text, 1, "OK"), ERR_OK);
    assert_int_equal(answer_with(200, NULL, 0, ""), ERR_OK);
    assert_int_equal(answer(BATCH, "[]"), ERR_OK);
    assert_int_equal(reply.n + reply.dropped, 0);
}

static void test_replies_that_are_none(void **state)
{
    static const struct {
        const char *type, *body, *why;
    } bad[] = {{ONE, "", "JSON"},
               {ONE, "{}", "specversion"},
               {ONE, "{\"specversion\":\"1.0\"}", "type"},
               {ONE, EVENT("") "x", "JSON"},
               {ONE, "[" EVENT("") "]", "object"},
               {BATCH, EVENT(""), "array"},
               {BATCH, "[" EVENT("") ",{}]", "specversion"},
               {BATCH, "[" EVENT("") ",", "JSON"},
               {ONE, EVENT(",\"time\":\"noon\""), "time"},
               {ONE, EVENT(",\"id\":\"\""), "id"},
               {"application/cloudevents+avro", "x", "format"}};
    const struct http_header lonely = {STR_LIT("ce-id"), STR_LIT("1")};
    (void)state;
    add(5);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(answer(bad[i].type, bad[i].body), ERR_RECORD_INVALID);
        if (strstr(reply.text.s, bad[i].why) == NULL)
            fail_msg("%s: %s", bad[i].body, reply.text.s);
    }
    assert_int_equal(answer_with(200, &lonely, 1, ""), ERR_RECORD_INVALID);
    assert_non_null(strstr(reply.text.s, "ce-specversion"));
}

static void test_an_answer_that_is_not_all_there(void **state)
{
    const struct http_header h = {STR_LIT("content-type"), STR_LIT(ONE)};
    struct http_call call = {.status = 200,
                             .answer_headers = &h,
                             .answer_headers_n = 1,
                             .answer = STR_LIT(EVENT("")),
                             .answer_cut = true};
    (void)state;
    add(5);
    begin();
    assert_int_equal(reply_read(&reply, &call), ERR_MESSAGE_TOO_LARGE);
}

static void test_memory_is_bounded(void **state)
{
    (void)state;
    add(5);
    arena_free(&arena);
    arena_init(&arena, 300);
    assert_int_equal(answer(ONE, EVENT("")), ERR_MEMORY);
    arena_free(&arena);
    arena_init(&arena, 16 << 20);
    struct wr w = {NULL, 0};
    wr_u8(&w, '[');
    for (unsigned i = 0; i <= REPLY_EVENTS_MAX; i++) {
        if (i > 0)
            wr_u8(&w, ',');
        wr_bytes(&w, EVENT(""), strlen(EVENT("")));
    }
    wr_bytes(&w, "]", 2);
    assert_int_equal(answer(BATCH, (const char *)w.buf->data), ERR_MESSAGE_TOO_LARGE);
    wr_free(&w);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_an_event_in_binary_mode),
        TEST(test_what_is_missing_is_filled_in),
        TEST(test_what_it_says_itself_counts),
        TEST(test_as_many_as_messages),
        TEST(test_fewer_than_messages),
        TEST(test_more_than_messages),
        TEST(test_messages_of_one_trace),
        TEST(test_a_large_batch),
        TEST(test_routes),
        TEST(test_topics_that_take_none),
        TEST(test_what_is_no_reply),
        TEST(test_replies_that_are_none),
        TEST(test_an_answer_that_is_not_all_there),
        TEST(test_memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
