/* Calls of custom handlers byte by byte, and what their answers become. */
#include "../check.h"

#include "base/mem.h"
#include "flow/function_azure.h"
#include "flow/push_request.h"

#include <stdio.h>
#include <string.h>

#define EVENTS_MAX 8

static struct arena arena;
static struct wr body;
static struct subscription s;
static struct message messages[2];
static struct slice batches[2];
static uint32_t messages_n;
static struct document doc;

static const struct record_header headers[] = {
    {STR_LIT("ce_specversion"), STR_LIT("1.0")},
    {STR_LIT("ce_id"), STR_LIT("A-1")},
    {STR_LIT("ce_source"), STR_LIT("/shop")},
    {STR_LIT("ce_type"), STR_LIT("paid")},
    {STR_LIT("ce_traceparent"), STR_LIT("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")},
    {STR_LIT("ce_correlationid"), STR_LIT("c-1")},
    {STR_LIT("content-type"), STR_LIT("application/json")}};

static void add(const char *value, size_t headers_n)
{
    struct batch_builder b;
    struct batch_head head;
    struct record_iter it;
    struct message *m = &messages[messages_n];
    batch_begin(&b, 0);
    batch_add(&b, 1767225600000, STR_LIT("card-7"), str_of(value), headers, headers_n);
    struct slice batch = batch_end(&b);
    batches[messages_n] = batch;
    assert_int_equal(batch_head_read(batch.at, batch.len, &head), ERR_OK);
    record_iter_init(&it, &head, batch.at + BATCH_HEAD_BYTES, batch.len - BATCH_HEAD_BYTES);
    *m = (struct message){.deliveries = 2,
                          .partition = 1,
                          .offset = 7 + messages_n,
                          .append_ms = 1767225600500,
                          .locked_until_ms = 1767225630000};
    assert_int_equal(record_iter_next(&it, &m->record), ERR_OK);
    messages_n++;
}

static void function_of(const char *spec)
{
    struct spec_place where = {0};
    struct err_text wrong = {""};
    json_t *json = json_loads(spec, 0, NULL);
    assert_non_null(json);
    struct spec_document read = spec_document_of(&function_kind, STR_LIT("enrich"), json);
    spec_init(&function_kind, &doc.conf.function);
    if (spec_read(&function_kind, &read, &arena, &doc.conf.function, &where, &wrong) != ERR_OK)
        fail_msg("%s", wrong.s);
    json_decref(json);
}

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    body = (struct wr){0};
    messages_n = 0;
    doc = (struct document){.name = "enrich"};
    s = (struct subscription){.topic_name = "payments", .name = "score"};
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

/* ---- requests ---- */

static const uint8_t random_bytes[AZURE_RANDOM_BYTES] = {0, 1,  2,  3,  4,  5,  6,  7,   8,
                                                         9, 10, 11, 12, 13, 14, 15, 255, 255};

static const char *written(void)
{
    const struct azure_request r = {.s = &s,
                                    .function = &doc,
                                    .messages = messages,
                                    .n = messages_n,
                                    .now_ms = 1767225601000,
                                    .random = random_bytes,
                                    .arena = &arena};
    body.len = 0;
    azure_request_write(&r, &body);
    assert_true(json_valid((struct str){(const char *)body.buf->data, body.len}));
    wr_u8(&body, 0);
    return (const char *)body.buf->data;
}

#define SYS(name)                                                                                  \
    "\"Metadata\":{\"sys\":{\"MethodName\":\"" name "\",\"UtcNow\":\"2026-01-01T00:00:01Z\","      \
    "\"RandGuid\":\"ffff0000-0000-4000-8000-000000000000\"},"
#define PLACE(offset) "{\"Topic\":\"payments\",\"Partition\":1,\"Offset\":" offset ",\"Attempt\":2}"
#define PROPERTIES                                                                                 \
    "{\"ce_specversion\":\"1.0\",\"ce_id\":\"A-1\",\"ce_source\":\"/shop\",\"ce_type\":\"paid\"}"

static void trigger(const char *type)
{
    char spec[256];
    snprintf(spec, sizeof spec,
             "{\"command\": [\"f\"], \"protocol\": \"azure\", \"azure\": {\"function\": \"Score\", "
             "\"trigger\": {\"name\": \"msg\", \"type\": \"%s\"}}}",
             type);
    function_of(spec);
}

static void an_event_grid_event_is_itself(void **state)
{
    (void)state;
    trigger("eventGridTrigger");
    add("{\"n\":1}", 7);
    assert_string_equal(
        written(),
        "{\"Data\":{\"msg\":{\"specversion\":\"1.0\",\"id\":\"A-1\",\"source\":\"/shop\","
        "\"type\":\"paid\",\"datacontenttype\":\"application/json\","
        "\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\","
        "\"correlationid\":\"c-1\",\"partitionkey\":\"card-7\",\"data\":{\"n\":1}}}," SYS(
            "Score") "\"data\":{\"n\":1},\"weir\":" PLACE("7") "}}");
    s.conf.format = FORMAT_EVENTGRID;
    assert_non_null(strstr(written(), "{\"Data\":{\"msg\":{\"id\":\"A-1\""));
    assert_non_null(strstr(written(), "\"eventType\":\"paid\""));
}

static void messages_have_the_hosts_metadata(void **state)
{
    (void)state;
    trigger("serviceBusTrigger");
    add("{\"n\":1}", 4);
    assert_string_equal(
        written(),
        "{\"Data\":{\"msg\":\"{\\\"n\\\":1}\"}," SYS(
            "Score") "\"MessageId\":\"A-1\",\"DeliveryCount\":2,\"SequenceNumber\":7,"
                     "\"EnqueuedTimeUtc\":\"2026-01-01T00:00:00.500Z\",\"ContentType\":null,"
                     "\"CorrelationId\":null,\"Subject\":null,\"SessionId\":\"card-7\","
                     "\"ApplicationProperties\":" PROPERTIES ",\"weir\":" PLACE("7") "}}");
    trigger("queueTrigger");
    assert_string_equal(written(), "{\"Data\":{\"msg\":\"{\\\"n\\\":1}\"}," SYS(
                                       "Score") "\"Id\":\"A-1\",\"DequeueCount\":2,"
                                                "\"InsertionTime\":\"2026-01-01T00:00:00.500Z\","
                                                "\"NextVisibleTime\":\"2026-01-01T00:00:30Z\","
                                                "\"QueueTrigger\":\"{\\\"n\\\":1}\","
                                                "\"weir\":" PLACE("7") "}}");
    trigger("eventHubTrigger");
    assert_string_equal(
        written(),
        "{\"Data\":{\"msg\":\"{\\\"n\\\":1}\"}," SYS(
            "Score") "\"Offset\":\"7\",\"SequenceNumber\":7,\"PartitionKey\":\"card-7\","
                     "\"EnqueuedTimeUtc\":\"2026-01-01T00:00:00.500Z\",\"Properties\":" PROPERTIES
                     ","
                     "\"PartitionContext\":{\"EventHubName\":\"payments\",\"ConsumerGroup\":"
                     "\"score\","
                     "\"PartitionId\":\"1\"},\"weir\":" PLACE("7") "}}");
}

static void kafkas_records_have_their_place(void **state)
{
    (void)state;
    trigger("kafkaTrigger");
    add("v", 1);
    assert_string_equal(
        written(),
        "{\"Data\":{\"msg\":\"v\"}," SYS(
            "Score") "\"Topic\":\"payments\",\"Partition\":1,\"Offset\":7,\"Key\":\"card-7\","
                     "\"Timestamp\":\"2026-01-01T00:00:00Z\","
                     "\"Headers\":[{\"Key\":\"ce_specversion\",\"Value\":\"1.0\"}],\"weir\":" PLACE(
                         "7") "}}");
}

/* Cardinality "many": arrays, also of one; who they are of is in each. */
static void a_batch_is_arrays(void **state)
{
    (void)state;
    function_of("{\"command\": [\"f\"], \"protocol\": \"azure\", \"batch\": {\"events\": 2}, "
                "\"azure\": {\"trigger\": {\"type\": \"eventHubTrigger\"}}}");
    add("a", 0);
    assert_non_null(strstr(written(), "{\"Data\":{\"event\":[\"a\"]},"));
    add("b", 0);
    assert_string_equal(
        written(),
        "{\"Data\":{\"event\":[\"a\",\"b\"]}," SYS(
            "enrich") "\"OffsetArray\":[\"7\",\"8\"],\"SequenceNumberArray\":[7,8],"
                      "\"PartitionKeyArray\":[\"card-7\",\"card-7\"],\"EnqueuedTimeUtcArray\":"
                      "[\"2026-01-01T00:00:00.500Z\",\"2026-01-01T00:00:00.500Z\"],"
                      "\"PropertiesArray\":[{},{}],"
                      "\"PartitionContext\":{\"EventHubName\":\"payments\",\"ConsumerGroup\":"
                      "\"score\","
                      "\"PartitionId\":\"1\"},\"weirArray\":[" PLACE("7") "," PLACE("8") "]}}");
}

static const char *header(const struct push_request *r, const char *name)
{
    static char found[128];
    for (size_t i = 0; i < r->headers_n; i++) {
        if (str_is(r->headers[i].name, name) && str_copy(found, sizeof found, r->headers[i].value))
            return found;
    }
    return "(none)";
}

static void a_call_has_the_hosts_headers(void **state)
{
    (void)state;
    struct push_how how;
    struct push_request r;
    struct err_text text = {""};
    trigger("queueTrigger");
    add("v", 7);
    s.conf.reply_topic = STR_LIT("out");
    push_how_of(&s, &doc, &how);
    assert_int_equal(how.events_max, 1);
    const struct push_request_conf conf = {.s = &s,
                                           .how = &how,
                                           .url = STR_LIT("http://127.0.0.1:41234/"),
                                           .arena = &arena,
                                           .body = &body,
                                           .random = random_bytes};
    assert_int_equal(push_request_build(&conf, messages, 1, &r, &text), ERR_OK);
    assert_string_equal(r.url, "http://127.0.0.1:41234/Score");
    assert_string_equal(header(&r, "Content-Type"), "application/json; charset=utf-8");
    assert_string_equal(header(&r, "User-Agent"), "Azure-Functions-Host/4.0.0");
    assert_string_equal(header(&r, "X-Azure-Functions-HostVersion"), "4.0.0");
    assert_string_equal(header(&r, "X-Azure-Functions-InvocationId"),
                        "00010203-0405-4607-8809-0a0b0c0d0e0f");
    assert_string_equal(header(&r, "Prefer"), "(none)");
    assert_string_equal(header(&r, "traceparent"),
                        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
}

/* ---- answers ---- */

static struct azure_answer answer;
static char said[4096];

static enum err note_event(void *arg, struct event *e, struct str topic)
{
    (void)arg;
    size_t n = strlen(said);
    if (str_is(topic, "missing"))
        return ERR_TOPIC_UNKNOWN;
    snprintf(said + n, sizeof said - n, "%.*s: %.*s %.*s %.*s\n", topic.at ? (int)topic.len : 1,
             topic.at ? topic.at : "-", (int)e->type.len, e->type.at, (int)e->datacontenttype.len,
             e->datacontenttype.at ? e->datacontenttype.at : "", (int)e->data.len, e->data.at);
    return ERR_OK;
}

static void note_line(void *arg, struct str text)
{
    (void)arg;
    size_t n = strlen(said);
    snprintf(said + n, sizeof said - n, "log %.*s\n", (int)text.len, text.at);
}

static enum err read_answer(const char *text)
{
    said[0] = '\0';
    answer = (struct azure_answer){.conf = &doc.conf.function,
                                   .arena = &arena,
                                   .source = STR_LIT("/functions/enrich"),
                                   .event = note_event,
                                   .line = note_line};
    return azure_answer_read(&answer, str_of(text));
}

static void outputs(void)
{
    function_of("{\"command\": [\"f\"], \"protocol\": \"azure\", \"limits\": {\"output\": 2}, "
                "\"azure\": {\"outputs\": [{\"name\": \"out\", \"topic\": \"t\"}, "
                "{\"name\": \"none\", \"topic\": \"missing\"}, "
                "{\"name\": \"$return\", \"topic\": \"back\"}]}}");
}

static void outputs_are_events(void **state)
{
    (void)state;
    outputs();
    assert_int_equal(
        read_answer("{\"Outputs\":{\"out\":[\"a\\n\",{\"n\":1.50},null,7,\"[1]\"],\"x\":1},"
                    "\"Logs\":[\"l1\",\"l2\",\"l3\"],\"ReturnValue\":\"{\\\"r\\\":1}\"}"),
        ERR_OK);
    assert_string_equal(said, "t: weir.output text/plain a\n\n"
                              "t: weir.output application/json {\"n\":1.50}\n"
                              "t: weir.output application/json 7\n"
                              "t: weir.output application/json [1]\n"
                              "log l1\nlog l2\n"
                              "back: weir.output application/json {\"r\":1}\n");
    assert_int_equal(answer.dropped, 1);
    assert_int_equal(answer.lines_dropped, 1);
}

static void events_are_taken_as_such(void **state)
{
    (void)state;
    outputs();
    assert_int_equal(
        read_answer("{\"outputs\":{\"out\":[{\"specversion\":\"1.0\",\"type\":\"scored\","
                    "\"data\":{\"s\":1}},{\"id\":\"1\",\"subject\":\"s\",\"eventType\":\"made\","
                    "\"eventTime\":\"2026-01-01T00:00:00Z\",\"dataVersion\":\"1\","
                    "\"data\":{\"m\":2}}]}}"),
        ERR_OK);
    assert_non_null(strstr(said, "t: scored "));
    assert_non_null(strstr(said, " {\"s\":1}\n"));
    assert_non_null(strstr(said, "t: made application/json {\"m\":2}\n"));
    assert_int_equal(read_answer("{\"Outputs\":{\"out\":{\"specversion\":\"9\"}}}"),
                     ERR_RECORD_INVALID);
    assert_true(answer.text.s[0] != '\0');
}

static void an_answer_may_be_empty(void **state)
{
    (void)state;
    function_of("{\"command\": [\"f\"], \"protocol\": \"azure\"}");
    assert_int_equal(read_answer("{}"), ERR_OK);
    assert_int_equal(read_answer("{\"Outputs\":null,\"Logs\":null,\"ReturnValue\":null}"), ERR_OK);
    assert_string_equal(said, "");
    assert_int_equal(read_answer("{\"ReturnValue\":{\"a\":1}}"), ERR_OK);
    assert_string_equal(said, "-: weir.output application/json {\"a\":1}\n");
}

static void what_is_no_answer_fails(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",   "ok", "[]", "{\"Logs\":[\"a\"]",   "{\"Logs\":[]}x",
        "\"", "1",  "{",  "{\"Logs\":\"line\"}", "{\"Outputs\":[1]}"};
    outputs();
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(read_answer(wrong[i]), ERR_RECORD_INVALID);
        assert_non_null(strstr(answer.text.s, "the handler's answer is none: "));
        assert_string_equal(said, "");
    }
    assert_int_equal(read_answer("{\"Outputs\":{\"none\":1}}"), ERR_TOPIC_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_event_grid_event_is_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_have_the_hosts_metadata, setup, teardown),
        cmocka_unit_test_setup_teardown(kafkas_records_have_their_place, setup, teardown),
        cmocka_unit_test_setup_teardown(a_batch_is_arrays, setup, teardown),
        cmocka_unit_test_setup_teardown(a_call_has_the_hosts_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(outputs_are_events, setup, teardown),
        cmocka_unit_test_setup_teardown(events_are_taken_as_such, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_may_be_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_answer_fails, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
