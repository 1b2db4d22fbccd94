/* Event Grid's shape of a subscription, read into ours and shown again. */
#include "front/http/eventgrid_subscription.h"

#include "../../check.h"

#include <stdio.h>
#include <string.h>

#define HOOK                                                                                       \
    "\"endpointType\":\"WebHook\",\"properties\":{\"endpointUrl\":\"https://x.example/h?code=1\""
#define TO_QUEUE                                                                                   \
    "\"destination\":{\"endpointType\":\"ServiceBusQueue\",\"properties\":{\"resourceId\":"        \
    "\"/a/queues/orders\"}}"

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    if (!json)
        fail_msg("%s: %s", error.text, text);
    return json;
}

static enum err read_properties(enum eventgrid_tier tier, const char *text, json_t **spec,
                                struct err_text *why)
{
    json_t *properties = parse(text);
    enum err err = eventgrid_subscription_read(tier, properties, STR_LIT("t"), spec, why);
    json_decref(properties);
    return err;
}

static void expect_spec(enum eventgrid_tier tier, const char *text, const char *want)
{
    json_t *spec, *wanted = parse(want);
    struct err_text why = {""};
    if (read_properties(tier, text, &spec, &why))
        fail_msg("%s: %s", why.s, text);
    if (!json_equal(spec, wanted)) {
        char got[2048];
        got[json_dumpb(spec, got, sizeof got - 1, JSON_SORT_KEYS)] = 0;
        fail_msg("%s\n  became %s\n  not    %s", text, got, want);
    }
    json_decref(spec);
    json_decref(wanted);
}

static void test_webhook(void **state)
{
    (void)state;
    expect_spec(EVENTGRID_BASIC, "{\"destination\":{" HOOK "}}}",
                "{\"topic\":\"t\",\"deliver\":{\"url\":\"https://x.example/h?code=1\","
                "\"batch\":{\"events\":1,\"bytes\":65536},\"validation\":\"pending:\","
                "\"format\":\"eventgrid\"},\"retry\":{\"attempts\":30,\"backoff\":\"eventgrid\"},"
                "\"ttl\":\"86400s\",\"labels\":{\"azure:endpointType\":\"WebHook\"}}");
    expect_spec(
        EVENTGRID_BASIC,
        "{\"destination\":{" HOOK ",\"maxEventsPerBatch\":10,\"preferredBatchSizeInKilobytes\":2,"
        "\"deliveryAttributeMappings\":[{\"name\":\"a\",\"type\":\"Static\",\"properties\":{"
        "\"value\":\"v\",\"isSecret\":true}},{\"name\":\"b\",\"type\":\"Dynamic\",\"properties\":{"
        "\"sourceField\":\"data.x\"}}]}},\"eventDeliverySchema\":\"CloudEventSchemaV1_0\","
        "\"retryPolicy\":{\"maxDeliveryAttempts\":3,\"eventTimeToLiveInMinutes\":5},"
        "\"labels\":[\"red\"],\"expirationTimeUtc\":\"2027-01-01T00:00:00Z\","
        "\"filter\":{\"subjectBeginsWith\":\"x\"},\"deadLetterDestination\":{\"endpointType\":"
        "\"StorageBlob\",\"properties\":{\"resourceId\":\"/acc\",\"blobContainerName\":\"dead\"}}}",
        "{\"topic\":\"t\",\"deliver\":{\"url\":\"https://x.example/h?code=1\",\"batch\":{"
        "\"events\":10,\"bytes\":2048},\"validation\":\"pending:\",\"format\":"
        "\"cloudevents-batch\",\"properties\":[{\"name\":\"a\",\"value\":\"v\",\"secret\":true},"
        "{\"name\":\"b\",\"field\":\"data.x\"}]},\"retry\":{\"attempts\":3,\"backoff\":"
        "\"eventgrid\"},\"ttl\":\"300s\",\"expires\":\"2027-01-01T00:00:00Z\","
        "\"eventGridFilter\":{\"subjectBeginsWith\":\"x\"},\"deadLetter\":\"dead\",\"labels\":{"
        "\"azure:endpointType\":\"WebHook\",\"azure:label:red\":\"\","
        "\"azure:deadLetterResourceId\":\"/acc\"}}");
}

static void test_own_resources(void **state)
{
    static const struct {
        const char *type, *id, *field, *name;
    } rows[] = {
        {"ServiceBusQueue", "/x/namespaces/n/queues/q1", "queue", "q1"},
        {"servicebustopic", "/x/namespaces/n/Topics/t1", "topic", "t1"},
        {"EventHub", "/x/namespaces/n/eventhubs/h1", "topic", "h1"},
        {"AzureFunction", "/x/providers/Microsoft.Web/sites/app/functions/f1", "function", "f1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[512];
        json_t *spec;
        snprintf(
            text, sizeof text,
            "{\"deliveryWithResourceIdentity\":{\"identity\":{\"type\":\"SystemAssigned\"},"
            "\"destination\":{\"endpointType\":\"%s\",\"properties\":{\"resourceId\":\"%s\"}}}}",
            rows[i].type, rows[i].id);
        assert_int_equal(read_properties(EVENTGRID_BASIC, text, &spec, NULL), ERR_OK);
        const json_t *deliver = json_object_get(spec, "deliver");
        assert_string_equal(json_string_value(json_object_get(deliver, rows[i].field)),
                            rows[i].name);
        assert_null(json_object_get(deliver, "url"));
        json_decref(spec);
    }
}

static void test_function(void **state)
{
    (void)state;
    expect_spec(EVENTGRID_BASIC,
                "{\"destination\":{\"endpointType\":\"AzureFunction\",\"properties\":{"
                "\"resourceId\":\"/x/sites/app/functions/f\",\"maxEventsPerBatch\":20,"
                "\"preferredBatchSizeInKilobytes\":128}}}",
                "{\"topic\":\"t\",\"deliver\":{\"batch\":{\"events\":20,\"bytes\":131072},"
                "\"function\":\"f\",\"format\":\"eventgrid\"},\"retry\":{\"attempts\":30,"
                "\"backoff\":\"eventgrid\"},\"ttl\":\"86400s\",\"labels\":{"
                "\"azure:endpointType\":\"AzureFunction\","
                "\"azure:resourceId\":\"/x/sites/app/functions/f\"}}");
}

static void test_namespace(void **state)
{
    (void)state;
    expect_spec(EVENTGRID_NAMESPACE,
                "{\"deliveryConfiguration\":{\"deliveryMode\":\"Queue\",\"queue\":{"
                "\"receiveLockDurationInSeconds\":90,\"maxDeliveryCount\":4,\"eventTimeToLive\":"
                "\"PT2H\"}},\"filtersConfiguration\":{\"includedEventTypes\":[\"a\"],\"filters\":["
                "{\"operatorType\":\"IsNotNull\",\"key\":\"data.a\"}]}}",
                "{\"topic\":\"t\",\"deliver\":{\"format\":\"cloudevents-structured\"},"
                "\"lock\":\"90s\",\"retry\":{\"attempts\":4,\"backoff\":\"eventgrid-namespace\"},"
                "\"ttl\":\"PT2H\",\"eventGridFilter\":{\"includedEventTypes\":[\"a\"],"
                "\"advancedFilters\":[{\"operatorType\":\"IsNotNull\",\"key\":\"data.a\"}]}}");
    expect_spec(EVENTGRID_NAMESPACE, "{}",
                "{\"topic\":\"t\",\"deliver\":{\"format\":\"cloudevents-structured\"},"
                "\"lock\":\"60s\",\"retry\":{\"attempts\":10,\"backoff\":\"eventgrid-namespace\"},"
                "\"ttl\":\"P7D\"}");
}

static void test_refused(void **state)
{
    static const struct {
        enum eventgrid_tier tier;
        const char *text, *word;
    } rows[] = {
        {EVENTGRID_BASIC, "{}", "destination"},
        {EVENTGRID_BASIC, "{\"destination\":7}", "destination must be an object"},
        {EVENTGRID_BASIC, "{\"destination\":{}}", "endpointType"},
        {EVENTGRID_BASIC, "{\"destination\":{\"endpointType\":\"StorageQueue\",\"properties\":{}}}",
         "StorageQueue"},
        {EVENTGRID_BASIC,
         "{\"destination\":{\"endpointType\":\"AzureFunction\",\"properties\":{\"resourceId\":"
         "\"/sites/app/f\"}}}",
         "/functions/NAME"},
        {EVENTGRID_BASIC,
         "{\"destination\":{\"endpointType\":\"AzureFunction\",\"properties\":{\"resourceId\":"
         "\"/functions/f\",\"maxEventsPerBatch\":5001}}}",
         "1 and 5000"},
        {EVENTGRID_BASIC, "{\"destination\":{" HOOK ",\"maxEventsPerBatch\":0}}}", "1 and 5000"},
        {EVENTGRID_BASIC, "{\"destination\":{" HOOK ",\"colour\":0}}}", "colour"},
        {EVENTGRID_BASIC,
         "{\"destination\":{" HOOK ",\"deliveryAttributeMappings\":[{\"name\":\"aeg-x\","
         "\"type\":\"Static\",\"properties\":{\"value\":\"\"}}]}}}",
         "aeg-"},
        {EVENTGRID_BASIC,
         "{\"destination\":{" HOOK ",\"deliveryAttributeMappings\":[{\"name\":\"x\","
         "\"type\":\"Random\"}]}}}",
         "Static or Dynamic"},
        {EVENTGRID_BASIC, "{" TO_QUEUE ",\"labels\":[1]}", "labels"},
        {EVENTGRID_BASIC, "{" TO_QUEUE ",\"eventDeliverySchema\":\"Custom\"}", "Custom"},
        {EVENTGRID_BASIC, "{" TO_QUEUE ",\"retryPolicy\":{\"maxDeliveryAttempts\":31}}",
         "1 and 30"},
        {EVENTGRID_BASIC, "{" TO_QUEUE ",\"deadLetterDestination\":{\"endpointType\":\"Disk\"}}",
         "StorageBlob"},
        {EVENTGRID_NAMESPACE, "{\"destination\":{}}", "destination"},
        {EVENTGRID_NAMESPACE, "{\"deliveryConfiguration\":{\"deliveryMode\":\"Push\"}}", "Push"},
        {EVENTGRID_NAMESPACE,
         "{\"deliveryConfiguration\":{\"queue\":{\"receiveLockDurationInSeconds\":301}}}",
         "60 and 300"},
        {EVENTGRID_NAMESPACE,
         "{\"deliveryConfiguration\":{\"queue\":{\"eventTimeToLive\":\"P8D\"}}}", "PT1M and P7D"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *spec;
        struct err_text why = {""};
        enum err err = read_properties(rows[i].tier, rows[i].text, &spec, &why);
        if (err != ERR_CONFIG_INVALID || !strstr(why.s, rows[i].word))
            fail_msg("%s: %s: %s", rows[i].text, err_name(err), why.s);
    }
}

/* What is shown with its secrets reads as what it was. */
static void test_round_trip(void **state)
{
    static const struct {
        enum eventgrid_tier tier;
        const char *text;
    } rows[] = {
        {EVENTGRID_BASIC, "{\"destination\":{" HOOK "}}}"},
        {EVENTGRID_BASIC,
         "{\"destination\":{" HOOK ",\"maxEventsPerBatch\":9,\"deliveryAttributeMappings\":[{"
         "\"name\":\"a\",\"type\":\"Static\",\"properties\":{\"value\":\"v\",\"isSecret\":true}}]}}"
         ","
         "\"labels\":[\"x\",\"y\"],\"filter\":{\"includedEventTypes\":[\"q\"]}}"},
        {EVENTGRID_BASIC, "{" TO_QUEUE ",\"eventDeliverySchema\":\"CloudEventSchemaV1_0\"}"},
        {EVENTGRID_NAMESPACE,
         "{\"deliveryConfiguration\":{\"queue\":{\"eventTimeToLive\":\"PT90M\"}}}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *spec, *again;
        struct err_text why = {""};
        struct spec_place where;
        static struct subscription s;
        struct arena arena;
        arena_init(&arena, 1 << 20);
        assert_int_equal(read_properties(rows[i].tier, rows[i].text, &spec, &why), ERR_OK);
        struct spec_document doc = spec_document_of(&subscription_kind, STR_LIT("s"), spec);
        memset(&s, 0, sizeof s);
        spec_init(&subscription_kind, &s.conf);
        if (spec_read(&subscription_kind, &doc, &arena, &s.conf, &where, &why))
            fail_msg("%s: %s %s", rows[i].text, where.path, why.s);
        s.ttl_ms = s.conf.ttl_ms;
        json_t *shown = eventgrid_subscription_write(rows[i].tier, &s, "/t", true);
        enum err err = eventgrid_subscription_read(rows[i].tier, shown, STR_LIT("t"), &again, &why);
        if (err)
            fail_msg("%s: shown again: %s", rows[i].text, why.s);
        struct subscription_conf conf;
        struct spec_document doc_again = spec_document_of(&subscription_kind, STR_LIT("s"), again);
        spec_init(&subscription_kind, &conf);
        if (spec_read(&subscription_kind, &doc_again, &arena, &conf, &where, &why))
            fail_msg("%s: shown again: %s %s", rows[i].text, where.path, why.s);
        if (!spec_equal(&subscription_kind, &s.conf, &conf))
            fail_msg("%s: is another when it is shown and read", rows[i].text);
        json_decref(spec);
        json_decref(again);
        json_decref(shown);
        arena_free(&arena);
    }
}

/* A webhook's URL may hold a secret behind its '?', and a secret header's value is one. */
static void test_secrets_are_not_shown(void **state)
{
    struct delivery_property property = {
        .name = STR_LIT("a"), .value = STR_LIT("hush"), .secret = true};
    static struct subscription s;
    char shown[4096];
    (void)state;
    spec_init(&subscription_kind, &s.conf);
    s.conf.deliver = DELIVER_URL;
    s.conf.target = STR_LIT("https://x.example/h?code=hush");
    s.conf.properties = (struct spec_list){&property, 1};
    json_t *json = eventgrid_subscription_write(EVENTGRID_BASIC, &s, "/t", false);
    shown[json_dumpb(json, shown, sizeof shown - 1, 0)] = 0;
    assert_null(strstr(shown, "hush"));
    assert_non_null(strstr(shown, "https://x.example/h"));
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_webhook),
        cmocka_unit_test(test_own_resources),
        cmocka_unit_test(test_function),
        cmocka_unit_test(test_namespace),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_secrets_are_not_shown),
    };
    return cmocka_run_group_tests_name("front/http/eventgrid_subscription", tests, NULL, NULL);
}
