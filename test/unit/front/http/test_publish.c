/* POST /topics/{topic}: every mode, what is refused and why, and that nothing of a bad request is
 * kept. */
#include "http_rig.h"

#include "broker/publish.h"
#include "front/http/gzip.h"

#include "../../check.h"

#include <stdio.h>
#include <string.h>

static struct web web;

static int setup(void **state)
{
    (void)state;
    web_make(&web, 2, NULL);
    assert_int_equal(rig_create(&web.rig, 0, "orders", 1), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    web_free(&web);
    return 0;
}

/* fields: whole lines with CR LF. */
static const char *request(const char *target, const char *fields, const char *body, size_t n)
{
    size_t cap = strlen(target) + strlen(fields) + n + 200;
    char *text = arena_alloc(&web.arena, cap);
    int head =
        snprintf(text, cap, "POST %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n",
                 target, fields, n);
    memcpy(text + head, body, n);
    text[(size_t)head + n] = 0;
    return text;
}

static struct web_answer post_to(const char *target, const char *fields, const char *body)
{
    return web_ask(&web, request(target, fields, body, strlen(body)));
}

static struct web_answer post(const char *fields, const char *body)
{
    return post_to("/topics/orders", fields, body);
}

static struct web_answer get(const char *target, const char *fields)
{
    char text[1000];
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", target, fields);
    return web_ask(&web, text);
}

static int64_t end_of(const char *topic)
{
    struct uuid id = rig_topic_id(&web.rig, topic);
    return rig_list(&web.rig, 0, &id, 0, LIST_LATEST);
}

static void refused(struct web_answer a, int status, const char *why)
{
    if (a.status != status || !strstr(a.body, why))
        print_error("%d %s\n", a.status, a.body);
    assert_int_equal(a.status, status);
    assert_non_null(strstr(a.body, why));
}

#define CE "ce-specversion: 1.0\r\nce-id: 1\r\nce-type: t\r\nce-source: /s\r\n"
#define JSON "Content-Type: application/json\r\n"
#define STRUCTURED "Content-Type: application/cloudevents+json; charset=utf-8\r\n"
#define BATCH "Content-Type: application/cloudevents-batch+json\r\n"
#define EVENT(id) "{\"specversion\":\"1.0\",\"id\":\"" id "\",\"type\":\"t\",\"source\":\"/s\"}"

static void binary_mode(void **state)
{
    struct web_answer a =
        post(CE "ce-subject: a%20%C3%BC\r\nce-ext1: \"q \\\" %41\"\r\n" JSON, "{}");
    (void)state;
    assert_int_equal(a.status, 202);
    assert_int_equal(a.body_len, 0); /* Knative would take a body for an event in reply */
    assert_string_equal(web_field(&web, &a, "Weir-Partition"), "0");
    assert_string_equal(web_field(&web, &a, "Weir-Offset"), "0");
    a = get(web_field(&web, &a, "Location"), "");
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body, "{}");
    assert_string_equal(web_field(&web, &a, "Content-Type"), "application/json");
    assert_string_equal(web_field(&web, &a, "ce-id"), "1");
    assert_string_equal(web_field(&web, &a, "ce-source"), "/s");
    assert_string_equal(web_field(&web, &a, "ce-subject"), "a%20%C3%BC");
    assert_string_equal(web_field(&web, &a, "ce-ext1"), "q%20%22%20A");
    assert_non_null(web_field(&web, &a, "ce-traceparent"));
}

/* Bytes of UTF-8, and of ISO 8859-1, which Python's clients send. */
static void fields_may_be_unencoded(void **state)
{
    (void)state;
    assert_int_equal(post(CE "ce-subject: \xc3\xbc 100%\r\n", "").status, 202);
    assert_int_equal(post(CE "ce-subject: \xfc 100%\r\n", "").status, 202);
    for (int i = 0; i < 2; i++) {
        char target[100];
        snprintf(target, sizeof target, "/topics/orders/partitions/0/offsets/%d", i);
        struct web_answer a = get(target, "");
        assert_string_equal(web_field(&web, &a, "ce-subject"), "%C3%BC%20100%25");
    }
}

static void structured_mode(void **state)
{
    struct web_answer a =
        post(STRUCTURED, "{\"specversion\":\"1.0\",\"id\":\"x\",\"type\":\"t\",\"source\":\"/s\","
                         "\"data\":{\"n\":1.50}}");
    (void)state;
    assert_int_equal(a.status, 202);
    a = get("/topics/orders/partitions/0/offsets/0", "");
    assert_string_equal(a.body, "{\"n\":1.50}");
    a = get("/topics/orders/partitions/0/offsets/0", "Accept: application/cloudevents+json\r\n");
    assert_string_equal(web_field(&web, &a, "Content-Type"), "application/cloudevents+json");
    assert_non_null(strstr(a.body, "\"data\":{\"n\":1.50}"));
}

static void batch_mode(void **state)
{
    struct web_answer a = post(BATCH, "[" EVENT("a") "," EVENT("b") "," EVENT("c") "]");
    (void)state;
    assert_int_equal(a.status, 202);
    assert_string_equal(a.body, "{\"events\":[{\"partition\":0,\"offset\":0},{\"partition\":0,"
                                "\"offset\":1},{\"partition\":0,\"offset\":2}]}\n");
    a = get("/topics/orders", "");
    assert_non_null(strstr(a.body, "\"id\":\"c\""));
}

static void plain_bodies(void **state)
{
    struct web_answer a;
    (void)state;
    assert_int_equal(post("Content-Type: text/csv\r\n", "a,b").status, 202);
    a = get("/topics/orders/partitions/0/offsets/0", "");
    assert_string_equal(a.body, "a,b");
    assert_string_equal(web_field(&web, &a, "Content-Type"), "text/csv");
    assert_string_equal(web_field(&web, &a, "ce-type"), "weir.record");
    assert_string_equal(web_field(&web, &a, "ce-source"), "/topics/orders");
    assert_string_equal(web_field(&web, &a, "ce-time"), "2026-01-01T00:00:00Z");
    assert_int_equal(strlen(web_field(&web, &a, "ce-id")), 32);
    /* curl -d says this whatever the data is */
#define FORM "Content-Type: application/x-www-form-urlencoded\r\n"
    static const struct {
        const char *body, *type;
    } guessed[] = {{"{\"a\":1}", "application/json"},
                   {"hello", "text/plain"},
                   {"a=1&b=2", "application/x-www-form-urlencoded"},
                   {"\xff", "application/octet-stream"}};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(post(FORM "Idempotency-Key: k\r\n", guessed[i].body).status, 202);
        char target[100];
        snprintf(target, sizeof target, "/topics/orders/partitions/0/offsets/%zu", i + 1);
        a = get(target, "");
        assert_string_equal(web_field(&web, &a, "Content-Type"), guessed[i].type);
        assert_string_equal(web_field(&web, &a, "ce-id"), "k");
    }
    assert_int_equal(post("", "").status, 202);
    a = get("/topics/orders/partitions/0/offsets/5", "");
    assert_int_equal(a.body_len, 0);
    assert_null(web_field(&web, &a, "Content-Type"));
}

static void the_answer_may_be_json(void **state)
{
    struct web_answer a = post(CE "Accept: application/json\r\n", "");
    (void)state;
    assert_string_equal(a.body, "{\"events\":[{\"partition\":0,\"offset\":0}]}\n");
}

static void traces_are_carried(void **state)
{
#define PARENT "00-11111111111111111111111111111111-2222222222222222-01"
    (void)state;
    assert_int_equal(post("traceparent: " PARENT "\r\ntracestate: a=b\r\n", "x").status, 202);
    struct web_answer a = get("/topics/orders/partitions/0/offsets/0", "");
    assert_string_equal(web_field(&web, &a, "ce-traceparent"), PARENT);
    assert_string_equal(web_field(&web, &a, "ce-tracestate"), "a=b");
    /* An event's own goes before. */
    assert_int_equal(post(CE "ce-traceparent: " PARENT "\r\ntraceparent: x\r\n", "x").status, 202);
    a = get("/topics/orders/partitions/0/offsets/1", "");
    assert_string_equal(web_field(&web, &a, "ce-traceparent"), PARENT);
}

static void keys_and_partitions_are_chosen(void **state)
{
    (void)state;
    assert_int_equal(rig_create(&web.rig, 0, "six", 6), ERR_OK);
    struct web_answer a = post_to("/topics/six?partition=4", "", "x");
    assert_string_equal(web_field(&web, &a, "Weir-Partition"), "4");
    char want[12];
    snprintf(want, sizeof want, "%d", publish_partition_of(STR_LIT("customer 7"), 6));
    a = post_to("/topics/six?key=customer%207", "", "x");
    assert_string_equal(web_field(&web, &a, "Weir-Partition"), want);
    a = post_to("/topics/six", CE "ce-partitionkey: customer%207\r\n", "x");
    assert_string_equal(web_field(&web, &a, "Weir-Partition"), want);
    refused(post_to("/topics/six?partition=6", "", "x"), 404, "partitions 0 to 5");
    refused(post_to("/topics/six?partition=-1", "", "x"), 400, "from 0 to");
    refused(post_to("/topics/six?partion=1", "", "x"), 400, "there are key, partition");
}

static void topics_are_made_on_the_way(void **state)
{
    (void)state;
    assert_int_equal(post_to("/topics/new.one", "", "x").status, 202);
    assert_int_equal(end_of("new.one"), 1);
    refused(post_to("/topics/new_one", "", "x"), 400, "new.one");
    refused(post_to("/topics/a%20b", "", "x"), 400, "TOPIC_INVALID");
    refused(post_to("/topics/__weir_ledger", "", "x"), 403, "internal");
}

static void bad_events_are_refused(void **state)
{
    (void)state;
    refused(post("ce-id: 1\r\n", "x"), 400, "ce-specversion");
    refused(post("ce-specversion: 0.3\r\nce-id: 1\r\n", "x"), 400, "must be 1.0");
    refused(post("ce-specversion: 1.0\r\nce-id: 1\r\nce-type: t\r\n", "x"), 400, "source");
    refused(post(CE "ce-UPPER_x: 1\r\n", "x"), 400, "EVENT_INVALID");
    refused(post(CE "ce-time: yesterday\r\n", "x"), 400, "time");
    refused(post(STRUCTURED, "{"), 400, "EVENT_INVALID");
    refused(post(STRUCTURED, "[" EVENT("a") "]"), 400, "EVENT_INVALID");
    refused(post(STRUCTURED, ""), 400, "EVENT_INVALID");
    refused(post(BATCH, EVENT("a")), 400, "EVENT_INVALID");
    refused(post(BATCH, "[]"), 400, "no events");
    refused(post(BATCH, "[" EVENT("a") ",{\"id\":\"b\"}]"), 400, "event 1 of the batch");
    refused(post("Content-Type: application/cloudevents+avro\r\n", "x"), 415,
            "application/cloudevents+json");
    refused(post("Content-Type: application/cloudevents-batch+protobuf\r\n", "x"), 415, "format");
    refused(post("Content-Encoding: br\r\n", "x"), 415, "gzip");
    assert_int_equal(end_of("orders"), 0); /* nothing of all that */
}

/* One of many is larger than the topic takes: none of them is stored. */
static void too_large_is_refused_whole(void **state)
{
    static char body[70000];
    (void)state;
    assert_int_equal(rig_configure(&web.rig, "orders", "max.message.bytes", "50000"), ERR_OK);
    snprintf(
        body, sizeof body,
        "[" EVENT("a") ",{\"specversion\":\"1.0\",\"id\":\"b\",\"type\":\"t\",\"source\":\"/s\","
                       "\"data\":\"%060000d\"}," EVENT("c") "]",
        0);
    refused(post(BATCH, body), 413, "event 1 of 3");
    assert_int_equal(end_of("orders"), 0);
    memset(body, 'x', 60000);
    body[60000] = 0;
    refused(post("", body), 413, "MESSAGE_TOO_LARGE");
}

static void gzip_bodies_are_unpacked(void **state)
{
    struct chunkq q;
    char body[2000];
    memset(body, 'z', sizeof body);
    (void)state;
    chunkq_init(&q);
    chunkq_add_copy(&q, body, sizeof body);
    struct slice packed = gzip_deflate(&q);
    chunkq_clear(&q);
    struct web_client *c = web_open(&web, 0);
    char head[200];
    int n = snprintf(head, sizeof head,
                     "POST /topics/orders HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     packed.len);
    struct web_answer a;
    for (int round = 0; round < 2; round++) {
        web_push(c, head, (size_t)n);
        web_push(c, packed.at, packed.len);
        web_run(&web);
        assert_true(web_answer(c, false, &a));
        assert_int_equal(a.status, 202);
    }
    slice_unref(packed);
    a = get("/topics/orders/partitions/0/offsets/1", "");
    assert_int_equal(a.body_len, sizeof body);
    assert_memory_equal(a.body, body, sizeof body);
    refused(post("Content-Encoding: gzip\r\n", "no gzip"), 400, "is no gzip");
}

static void chunked_bodies_are_joined(void **state)
{
    struct web_answer a = web_ask(&web, "POST /topics/orders HTTP/1.1\r\nHost: localhost\r\n"
                                        "Transfer-Encoding: chunked\r\n\r\n"
                                        "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n");
    (void)state;
    assert_int_equal(a.status, 202);
    a = get("/topics/orders/partitions/0/offsets/0", "");
    assert_string_equal(a.body, "abcde");
}

static void a_client_may_be_told_to_continue(void **state)
{
    struct web_client *c = web_open(&web, 0);
    struct web_answer a;
    (void)state;
    web_say(c, "POST /topics/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
               "Expect: 100-continue\r\n\r\n");
    assert_true(web_answer(c, false, &a));
    assert_int_equal(a.status, 100);
    web_say(c, "hello");
    assert_true(web_answer(c, false, &a));
    assert_int_equal(a.status, 202);
    /* Told of what is wrong before it sends. */
    web_say(c, "POST /topics/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000000\r\n"
               "Expect: 100-continue\r\n\r\n");
    assert_true(web_answer(c, false, &a));
    assert_int_equal(a.status, 413);
    assert_true(a.close);
}

/* Pipelined publishing runs side by side, in order, and shares its commits. */
static void pipelined_events_keep_their_order(void **state)
{
    struct web_client *c = web_open(&web, 0);
    struct web_answer a;
    (void)state;
    rig_defer(&web.rig, true);
    for (int i = 0; i < 50; i++) {
        const char *text = request("/topics/orders", "", "x", 1);
        assert_int_equal(web_push(c, text, strlen(text)), strlen(text));
    }
    assert_int_equal(web_stats(&web).running, 50);
    assert_false(web_answer(c, false, &a));
    rig_defer(&web.rig, false);
    web_run(&web);
    for (int i = 0; i < 50; i++) {
        char want[12];
        snprintf(want, sizeof want, "%d", i);
        assert_true(web_answer(c, false, &a));
        assert_int_equal(a.status, 202);
        assert_string_equal(web_field(&web, &a, "Weir-Offset"), want);
    }
}

/* Also while the first of them makes the topic. */
static void order_is_kept_while_a_topic_is_made(void **state)
{
    struct web_client *c = web_open(&web, 1);
    struct web_answer a;
    (void)state;
    rig_defer(&web.rig, true);
    for (int i = 0; i < 20; i++) {
        char body[12];
        snprintf(body, sizeof body, "%d", i);
        const char *text = request("/topics/born", "", body, strlen(body));
        assert_int_equal(web_push(c, text, strlen(text)), strlen(text));
    }
    while (fake_deliver_all(&web.rig.world))
        ;
    rig_defer(&web.rig, false);
    web_run(&web);
    for (int i = 0; i < 20; i++) {
        char want[12];
        snprintf(want, sizeof want, "%d", i);
        assert_true(web_answer(c, false, &a));
        assert_int_equal(a.status, 202);
        assert_string_equal(web_field(&web, &a, "Weir-Offset"), want);
    }
}

static void nothing_is_answered_before_it_is_durable(void **state)
{
    struct web_client *c = web_open(&web, 0);
    const char *text = request("/topics/orders", "", "x", 1);
    struct web_answer a;
    (void)state;
    rig_defer(&web.rig, true);
    (void)web_push(c, text, strlen(text));
    while (fake_deliver_all(&web.rig.world))
        ;
    assert_false(web_answer(c, false, &a));
    rig_defer(&web.rig, false);
    web_run(&web);
    assert_true(web_answer(c, false, &a) && a.status == 202);
}

static void the_client_may_go_before_the_answer(void **state)
{
    struct web_client *c = web_open(&web, 0);
    const char *text = request("/topics/orders", "", "x", 1);
    (void)state;
    rig_defer(&web.rig, true);
    for (int i = 0; i < 3; i++)
        (void)web_push(c, text, strlen(text));
    c->closing = c->gone = true;
    c->pipe.user_ops->closed(c->pipe.user, ERR_CLOSED);
    assert_int_equal(web_stats(&web).running, 3);
    rig_defer(&web.rig, false);
    web_run(&web);
    assert_int_equal(web_stats(&web).connections, 0);
    assert_int_equal(end_of("orders"), 3);
}

/* What a reactor may hold of bodies is bounded, over all its connections. */
static void bodies_have_a_common_bound(void **state)
{
    struct web_client *c[3];
    struct web_answer a;
    (void)state;
    web.http->conf.bodies_max = 1000;
    for (int i = 0; i < 3; i++) {
        c[i] = web_open(&web, 0);
        web_say(c[i],
                "POST /topics/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 400\r\n\r\n");
    }
    assert_false(web_answer(c[0], false, &a));
    assert_true(web_answer(c[2], false, &a));
    assert_int_equal(a.status, 503);
    assert_string_equal(web_field(&web, &a, "Retry-After"), "1");
    web_break(c[0]);
    web_break(c[1]);
    assert_int_equal(web.http->reactors[0].held, 0);
    assert_int_equal(post("", "x").status, 202);
}

static void a_body_must_come_in_time(void **state)
{
    struct web_client *c = web_open(&web, 0);
    struct web_answer a;
    (void)state;
    web_say(c,
            "POST /topics/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8192\r\n\r\nabc");
    fake_advance(&web.rig.world, HTTP_BODY_MS);
    web_run(&web);
    assert_false(web_answer(c, false, &a));
    fake_advance(&web.rig.world, 1000);
    web_run(&web);
    assert_true(web_answer(c, false, &a));
    assert_int_equal(a.status, 408);
}

/* A body that is not read, since a request before it takes its time, cannot be late. */
static void a_body_that_is_not_read_is_not_late(void **state)
{
    struct web_client *c = web_open(&web, 0);
    struct web_answer a;
    (void)state;
    web_say(c, "GET /topics/orders?offset=latest&wait=300s HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for (int i = 0; i < HTTP_AHEAD_MAX - 2; i++)
        web_say(c, request("/topics/orders", "", "x", 1));
    const char *text = request("/topics/orders", "", "hello", 5);
    (void)web_push(c, text, strlen(text) - 5);
    assert_int_equal(web_push(c, "hello", 5), 0);
    assert_true(c->paused);
    fake_advance(&web.rig.world, 200000);
    web_run(&web);
    assert_false(web_answer(c, false, &a));
    fake_advance(&web.rig.world, 100000);
    web_run(&web);
    assert_true(web_answer(c, false, &a));
    assert_int_equal(a.status, 200);
    assert_int_equal(web_push(c, "hello", 5), 5);
    web_run(&web);
    for (int i = 0; i < HTTP_AHEAD_MAX - 1; i++) {
        assert_true(web_answer(c, false, &a));
        assert_int_equal(a.status, 202);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
        TEST(binary_mode),
        TEST(fields_may_be_unencoded),
        TEST(structured_mode),
        TEST(batch_mode),
        TEST(plain_bodies),
        TEST(the_answer_may_be_json),
        TEST(traces_are_carried),
        TEST(keys_and_partitions_are_chosen),
        TEST(topics_are_made_on_the_way),
        TEST(bad_events_are_refused),
        TEST(too_large_is_refused_whole),
        TEST(gzip_bodies_are_unpacked),
        TEST(chunked_bodies_are_joined),
        TEST(a_client_may_be_told_to_continue),
        TEST(pipelined_events_keep_their_order),
        TEST(order_is_kept_while_a_topic_is_made),
        TEST(nothing_is_answered_before_it_is_durable),
        TEST(the_client_may_go_before_the_answer),
        TEST(bodies_have_a_common_bound),
        TEST(a_body_must_come_in_time),
        TEST(a_body_that_is_not_read_is_not_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
