/* Hops as traces: what each becomes, ids that find each other, and what is left out. */
#include "../check.h"

#include "base/json.h"
#include "base/mem.h"
#include "broker/event.h"
#include "broker/hop.h"
#include "flow/otlp.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define T "0af7651916cd43dd8448eb211c80319c"
#define P "b9c7c989f97918e1"
#define PLACE "\"topic\":\"orders\",\"partition\":1,\"offset\":12"
#define TRACED "\"trace\":\"" T "\",\"parent\":\"" P "\""

static char *text;

static const char *written(const char *const *hops, size_t n, const struct spec_map *labels)
{
    static const struct spec_map none = {NULL, 0};
    struct otlp o;
    struct arena arena;
    struct wr w;
    arena_init(&arena, 1 << 20);
    wr_init(&w, 256);
    otlp_begin(&o, labels != NULL ? labels : &none, &w);
    for (size_t i = 0; i < n; i++)
        otlp_add(&o, str_of(hops[i]), &arena);
    otlp_end(&o);
    mem_free(text);
    text = mem_strndup((const char *)w.buf->data, w.len);
    assert_true(json_valid(str_of(text)));
    wr_free(&w);
    arena_free(&arena);
    return text;
}

static const char *one(const char *hop)
{
    return written(&hop, 1, NULL);
}

static void check_has(const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("%s is not in %s", part, text);
}

static void check_span(const char *name, uint64_t id)
{
    char part[64];
    snprintf(part, sizeof part, "\"%s\":\"%016" PRIx64 "\"", name, id);
    check_has(part);
}

#define HEAD                                                                                       \
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":["                                          \
    "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"weir\"}}]},\"scopeSpans\":[{"          \
    "\"scope\":{\"name\":\"weir\",\"version\":\"" WEIR_VERSION "\"},\"spans\":["
#define TAIL "]}]}]}"

static void test_call(void **state)
{
    (void)state;
    one("{\"step\":\"call\",\"at\":1767225600000.125,\"took_us\":1200,\"waited_us\":310,"
        "\"queued_us\":40," PLACE ",\"subscription\":\"fraud\",\"attempt\":2,\"by\":\"enrich/3\","
        "\"outcome\":\"503\",\"settle\":\"release\",\"settled_us\":240," TRACED
        ",\"id\":\"e-1\",\"correlation\":\"c\\\"\"}");
    assert_string_equal(
        strstr(text, "\"parentSpanId\""),
        "\"parentSpanId\":\"" P "\",\"name\":\"call orders\",\"kind\":5,"
        "\"startTimeUnixNano\":\"1767225599998885000\",\"endTimeUnixNano\":\"1767225600000365000\","
        "\"attributes\":["
        "{\"key\":\"messaging.system\",\"value\":{\"stringValue\":\"weir\"}},"
        "{\"key\":\"messaging.operation.name\",\"value\":{\"stringValue\":\"call\"}},"
        "{\"key\":\"messaging.operation.type\",\"value\":{\"stringValue\":\"process\"}},"
        "{\"key\":\"messaging.destination.name\",\"value\":{\"stringValue\":\"orders\"}},"
        "{\"key\":\"messaging.destination.partition.id\",\"value\":{\"stringValue\":\"1\"}},"
        "{\"key\":\"messaging.destination.subscription.name\",\"value\":{\"stringValue\":\"fraud\"}"
        "},"
        "{\"key\":\"messaging.message.id\",\"value\":{\"stringValue\":\"e-1\"}},"
        "{\"key\":\"messaging.message.conversation_id\",\"value\":{\"stringValue\":\"c\\\"\"}},"
        "{\"key\":\"weir.offset\",\"value\":{\"intValue\":\"12\"}},"
        "{\"key\":\"weir.attempt\",\"value\":{\"intValue\":\"2\"}},"
        "{\"key\":\"weir.waited_seconds\",\"value\":{\"doubleValue\":0.000310}},"
        "{\"key\":\"weir.worker\",\"value\":{\"stringValue\":\"enrich/3\"}},"
        "{\"key\":\"weir.outcome\",\"value\":{\"stringValue\":\"503\"}},"
        "{\"key\":\"weir.settle\",\"value\":{\"stringValue\":\"release\"}},"
        "{\"key\":\"error.type\",\"value\":{\"stringValue\":\"503\"}}],"
        "\"events\":[{\"timeUnixNano\":\"1767225599998925000\",\"name\":\"called\"},"
        "{\"timeUnixNano\":\"1767225600000125000\",\"name\":\"answered\"}],"
        "\"status\":{\"code\":2,\"message\":\"503\"}}" TAIL);
    check_has(HEAD "{\"traceId\":\"" T "\",\"spanId\":");
    check_span("spanId", hop_span(STR_LIT("orders"), 1, 12, STR_LIT("fraud"), 2));
}

/* The effect's parent is the delivery that it comes of, by the ids alone. */
static void test_cause(void **state)
{
    (void)state;
    one("{\"step\":\"publish\",\"at\":1767225600000.125,\"took_us\":5," PLACE "," TRACED
        ",\"cause\":{\"topic\":\"raw\",\"partition\":3,\"offset\":7,\"subscription\":\"s\","
        "\"attempt\":4}}");
    check_span("spanId", hop_span(STR_LIT("orders"), 1, 12, (struct str){NULL, 0}, 0));
    check_span("parentSpanId", hop_span(STR_LIT("raw"), 3, 7, STR_LIT("s"), 4));
    check_has("\"name\":\"publish orders\",\"kind\":4,");
    assert_null(strstr(text, "status"));
}

/* Whose traceparent weir has made is the root; others are below what they say. */
static void test_roots(void **state)
{
    char hop[400], made[EVENT_TRACEPARENT_BYTES + 1];
    struct event_place place = {"orders", {{7}}, 1, 12};
    (void)state;
    event_trace_derive(&place, made);
    snprintf(hop, sizeof hop,
             "{\"step\":\"publish\",\"at\":1767225600000.125," PLACE
             ",\"trace\":\"%.32s\",\"parent\":\"%.16s\"}",
             made + 3, made + 36);
    one(hop);
    assert_null(strstr(text, "parentSpanId"));
    assert_memory_equal(strstr(text, "\"spanId\":\"") + 10, made + 36, 16);
    one("{\"step\":\"publish\",\"at\":1767225600000.125," PLACE "," TRACED "}");
    check_has("\"parentSpanId\":\"" P "\"");
}

static void test_ends(void **state)
{
    (void)state;
    one("{\"step\":\"dead-letter\",\"at\":1767225600000.125," PLACE
        ",\"outcome\":\"max-deliveries\"," TRACED "}");
    check_has("\"name\":\"dead-letter orders\",\"kind\":1,");
    check_has("\"status\":{\"code\":2,\"message\":\"max-deliveries\"}");
    one("{\"step\":\"expire\",\"at\":1767225600000.125," PLACE "," TRACED "}");
    check_has("\"status\":{\"code\":2}");
    check_has("{\"key\":\"error.type\",\"value\":{\"stringValue\":\"expire\"}}");
}

static void test_labels(void **state)
{
    struct spec_pair pairs[] = {{STR_LIT("service.name"), STR_LIT("shop")},
                                {STR_LIT("deployment.environment.name"), STR_LIT("test")}};
    const struct spec_map labels = {pairs, 2};
    (void)state;
    written(NULL, 0, &labels);
    check_has("[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"shop\"}},"
              "{\"key\":\"deployment.environment.name\",\"value\":{\"stringValue\":\"test\"}}]");
    assert_null(strstr(text, "\"weir\"}}]"));
}

/* A key is whole, however long: cut within a character it would be no UTF-8, and a collector would
 * refuse all of the request. */
static void test_long_label(void **state)
{
    static char key[601], wanted[700];
    struct spec_pair pair = {{key, 600}, STR_LIT("v")};
    const struct spec_map labels = {&pair, 1};
    (void)state;
    for (size_t i = 0; i < 600; i += 3)
        memcpy(key + i, "\xe2\x82\xac", 3);
    snprintf(wanted, sizeof wanted, "{\"key\":\"%s\",\"value\":{\"stringValue\":\"v\"}}", key);
    written(NULL, 0, &labels);
    check_has(wanted);
}

/* Anybody may write to weir.hops. */
static void test_left_out(void **state)
{
    static const char *const hops[] = {
        "",
        "no hop",
        "[]",
        "{}",
        "{\"step\":\"publish\"}",
        "{\"step\":\"publish\",\"at\":1767225600000," PLACE "}",
        "{\"step\":\"publish\",\"at\":1767225600000," PLACE ",\"trace\":\"0AF7\"}",
        "{\"step\":\"publish\",\"at\":1767225600000," PLACE
        ",\"trace\":\"00000000000000000000000000000000\"}",
        "{\"step\":\"publish\",\"at\":-5," PLACE "," TRACED "}",
        "{\"step\":\"publish\",\"at\":99999999999999999," PLACE "," TRACED "}",
        "{\"step\":\"else\",\"at\":1767225600000," PLACE "," TRACED "}",
        "{\"step\":\"publish\",\"at\":1767225600000," PLACE "," TRACED ",\"cause\":{\"x\"}}",
        "{\"step\":\"publish\",\"at\":1767225600000," PLACE "," TRACED,
    };
    (void)state;
    written(hops, sizeof hops / sizeof hops[0], NULL);
    assert_string_equal(text, HEAD TAIL);
    one("{\"step\":\"publish\",\"at\":1767225600000," PLACE ",\"trace\":\"" T
        "\",\"parent\":\"x\",\"took_us\":-1,\"queued_us\":9223372036854775807}");
    assert_null(strstr(text, "parentSpanId"));
    check_has("\"startTimeUnixNano\":\"1767225600000000000\"");
}

static int free_text(void **state)
{
    (void)state;
    mem_free(text);
    text = NULL;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_call, free_text),
        cmocka_unit_test_teardown(test_cause, free_text),
        cmocka_unit_test_teardown(test_roots, free_text),
        cmocka_unit_test_teardown(test_ends, free_text),
        cmocka_unit_test_teardown(test_labels, free_text),
        cmocka_unit_test_teardown(test_long_label, free_text),
        cmocka_unit_test_teardown(test_left_out, free_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
