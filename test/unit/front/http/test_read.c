/* GET /topics/{topic} and one record: where it begins, how much it gives, cursors, waiting; and
 * server-sent events. */
#include "http_rig.h"

#include "../../check.h"

#include <stdio.h>
#include <string.h>

static struct web web;

static int setup(void **state)
{
    (void)state;
    web_make(&web, 2, NULL);
    assert_int_equal(rig_create(&web.rig, 0, "one", 1), ERR_OK);
    assert_int_equal(rig_create(&web.rig, 0, "three", 3), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_defer(&web.rig, false);
    web_free(&web);
    return 0;
}

static void produce(const char *topic, int32_t partition, unsigned n, int64_t ts)
{
    struct uuid id = rig_topic_id(&web.rig, topic);
    assert_int_equal(rig_produce(&web.rig, 0, &id, partition, rig_batch(n, ts), NULL), ERR_OK);
}

static void trim_done(struct op *op)
{
    (void)op;
}

static void trim(const char *topic, int64_t offset)
{
    struct trim_op op = {.op.done = trim_done,
                         .actor = &rig_actor,
                         .topic = rig_topic_id(&web.rig, topic),
                         .offset = offset};
    broker_trim(web.rig.brokers[0], &op);
    rig_run(&web.rig);
    assert_int_equal(op.op.err, ERR_OK);
}

static const char *get_text(const char *target, const char *fields)
{
    size_t n = strlen(target) + strlen(fields) + 100;
    char *text = arena_alloc(&web.arena, n);
    snprintf(text, n, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", target, fields);
    return text;
}

static struct web_answer get(const char *target)
{
    return web_ask(&web, get_text(target, ""));
}

/* "partition/offset partition/offset ..." of the events in a text. */
static const char *places(const char *body)
{
    char *out = arena_alloc(&web.arena, 4000);
    size_t n = 0;
    out[0] = 0;
    for (const char *p = body; (p = strstr(p, "\"weirpartition\":\"")); p++) {
        int partition, offset;
        assert_int_equal(
            sscanf(p, "\"weirpartition\":\"%d\",\"weiroffset\":\"%d\"", &partition, &offset), 2);
        n += (size_t)snprintf(out + n, 4000 - n, "%s%d/%d", n ? " " : "", partition, offset);
    }
    return out;
}

static void read_is(const char *target, const char *want)
{
    struct web_answer a = get(target);
    if (a.status != 200)
        print_error("%s: %s\n", target, a.body);
    assert_int_equal(a.status, 200);
    assert_string_equal(web_field(&web, &a, "Content-Type"), "application/cloudevents-batch+json");
    assert_string_equal(places(a.body), want);
}

static void refused(const char *target, int status, const char *why)
{
    struct web_answer a = get(target);
    if (a.status != status || !strstr(a.body, why))
        print_error("%s: %d %s\n", target, a.status, a.body);
    assert_int_equal(a.status, status);
    assert_non_null(strstr(a.body, why));
}

static void places_are_offsets_and_times(void **state)
{
    (void)state;
    produce("one", 0, 3, 1000000);
    produce("one", 0, 2, 2000000);
    read_is("/topics/one", "0/0 0/1 0/2 0/3 0/4");
    read_is("/topics/one?offset=earliest&max=2", "0/0 0/1");
    read_is("/topics/one?offset=latest", "");
    read_is("/topics/one?partition=0&offset=2", "0/2 0/3 0/4");
    read_is("/topics/one?partition=0&offset=5", "");
    read_is("/topics/one?time=1970-01-01T00:30:00Z", "0/3 0/4");
    read_is("/topics/one?time=1970-01-01T01:30:00%2B01:00", "0/3 0/4");
    read_is("/topics/one?time=2030-01-01T00:00:00Z", "");
    assert_string_equal(get("/topics/one?offset=latest").body, "[]\n");
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    produce("one", 0, 3, 1000);
    refused("/topics/none", 404, "no topic \\\"none\\\"");
    refused("/topics/one?partition=1", 404, "partitions 0 to 0");
    refused("/topics/one?offset=3", 400, "partition=");
    refused("/topics/one?partition=0&offset=4", 416, "offsets 0 to 2");
    refused("/topics/one?partition=0&offset=x", 400, "earliest, latest or a number");
    refused("/topics/one?time=noon", 400, "RFC 3339");
    refused("/topics/one?time=2026-01-01T00:00:00Z&offset=latest", 400, "both");
    refused("/topics/one?max=0", 400, "from 1 to");
    refused("/topics/one?wait=1y", 400, "30s");
    refused("/topics/one?wait=301s", 400, "300 s");
    refused("/topics/one?ofset=1", 400, "there are partition, offset");
    refused("/topics/one?cursor=abc", 400, "cursor");
}

/* Pages of two, by the links alone, give everything once; then what is new. */
static void cursors_go_on(void **state)
{
    char all[200] = "";
    struct web_answer a = {0};
    const char *target = "/topics/three?max=2";
    (void)state;
    produce("three", 0, 3, 1000);
    produce("three", 1, 1, 1000);
    produce("three", 2, 2, 1000);
    for (int i = 0; i < 4; i++) {
        a = get(target);
        assert_int_equal(a.status, 200);
        const char *got = places(a.body), *link = web_field(&web, &a, "Link");
        if (*got)
            snprintf(all + strlen(all), sizeof all - strlen(all), "%s ", got);
        assert_non_null(strstr(link, ">; rel=\"next\""));
        target = arena_strndup(&web.arena, link + 1, strcspn(link, ">") - 1);
    }
    assert_string_equal(all, "0/0 0/1 0/2 1/0 2/0 2/1 ");
    produce("three", 1, 1, 1000);
    assert_string_equal(places(get(target).body), "1/1");
    char by_hand[200];
    snprintf(by_hand, sizeof by_hand, "/topics/three?cursor=%s",
             web_field(&web, &a, "Weir-Cursor"));
    assert_string_equal(places(get(by_hand).body), "1/1");
    /* The topic grows: what comes there is read from its beginning. */
    assert_int_equal(rig_grow(&web.rig, 0, "three", 5), ERR_OK);
    produce("three", 4, 1, 1000);
    assert_string_equal(places(get(by_hand).body), "1/1 4/0");
    /* Of another topic. */
    snprintf(by_hand, sizeof by_hand, "/topics/one?cursor=%s", web_field(&web, &a, "Weir-Cursor"));
    refused(by_hand, 400, "another topic");
    assert_int_equal(rig_delete(&web.rig, 0, "three"), ERR_OK);
    assert_int_equal(rig_create(&web.rig, 0, "three", 3), ERR_OK);
    refused(target, 400, "deleted");
}

static void an_answer_has_a_size(void **state)
{
    struct uuid id = rig_topic_id(&web.rig, "one");
    static char value[300000];
    (void)state;
    memset(value, 'v', sizeof value);
    for (int i = 0; i < 6; i++) {
        struct batch_builder b;
        batch_begin(&b, 0);
        batch_add(&b, 1000, (struct str){0}, (struct str){value, sizeof value}, NULL, 0);
        assert_int_equal(rig_produce(&web.rig, 0, &id, 0, batch_end(&b), NULL), ERR_OK);
    }
    read_is("/topics/one", "0/0 0/1 0/2 0/3");
}

static void a_reader_may_wait(void **state)
{
    struct web_client *c = web_open(&web, 0);
    struct web_answer a;
    (void)state;
    web_say(c, get_text("/topics/three?offset=latest&wait=30s", ""));
    assert_false(web_answer(c, false, &a));
    produce("three", 2, 1, 1000);
    web_run(&web);
    assert_true(web_answer(c, false, &a));
    assert_string_equal(places(a.body), "2/0");
    const char *link = web_field(&web, &a, "Link");
    assert_non_null(strstr(link, "&wait=30s"));
    web_say(c, get_text("/topics/three?offset=latest&wait=30s", ""));
    fake_advance(&web.rig.world, 29999);
    web_run(&web);
    assert_false(web_answer(c, false, &a));
    fake_advance(&web.rig.world, 1);
    web_run(&web);
    assert_true(web_answer(c, false, &a));
    assert_string_equal(a.body, "[]\n");
    /* HEAD does not wait. */
    web_say(c, "HEAD /topics/three?offset=latest&wait=30s HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(web_answer(c, true, &a));
    assert_int_equal(a.status, 200);
}

static void who_waits_may_go_and_the_broker_may_stop(void **state)
{
    struct web_client *c = web_open(&web, 0), *d = web_open(&web, 1), *e = web_open(&web, 0);
    struct web_answer a;
    (void)state;
    web_say(c, get_text("/topics/three?offset=latest&wait=30s", ""));
    web_say(d, get_text("/topics/three?offset=latest&wait=30s", ""));
    web_say(e, get_text("/topics/three?offset=latest&wait=30s", ""));
    web_break(c);
    assert_int_equal(web_stats(&web).running, 2);
    assert_int_equal(rig_delete(&web.rig, 0, "three"), ERR_OK);
    web_run(&web);
    assert_true(web_answer(e, false, &a));
    assert_int_equal(a.status, 404);
    assert_true(web_answer(d, false, &a));
    d = web_open(&web, 1);
    web_say(d, get_text("/topics/one?offset=latest&wait=30s", ""));
    http_front_stop(web.http, 1, HTTP_DRAIN);
    web_run(&web);
    assert_true(web_answer(d, false, &a));
    assert_string_equal(a.body, "[]\n");
    assert_true(d->gone);
    assert_int_equal(web_stats(&web).running, 0);
}

static void what_retention_took_is_told(void **state)
{
    (void)state;
    produce("one", 0, 3, 1000);
    struct web_answer a = get("/topics/one?max=1");
    char target[200];
    snprintf(target, sizeof target, "/topics/one?cursor=%s", web_field(&web, &a, "Weir-Cursor"));
    trim("one", 2);
    refused(target, 416, "offset=earliest");
    read_is("/topics/one", "0/2");
    refused("/topics/one/partitions/0/offsets/1", 404, "it has 2 to 2");
}

static void one_record_is_read(void **state)
{
    struct web_answer a;
    (void)state;
    produce("one", 0, 3, 1000);
    a = get("/topics/one/partitions/0/offsets/1");
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body, "v1");
    assert_string_equal(web_field(&web, &a, "Weir-Offset"), "1");
    assert_string_equal(web_field(&web, &a, "ce-specversion"), "1.0");
    assert_string_equal(web_field(&web, &a, "ce-type"), "weir.record");
    assert_string_equal(web_field(&web, &a, "ce-source"), "/topics/one");
    refused("/topics/one/partitions/0/offsets/3", 404, "it has 0 to 2");
    refused("/topics/one/partitions/1/offsets/0", 404, "partitions 0 to 0");
    refused("/topics/one/partitions/x/offsets/0", 400, "partition");
    refused("/topics/one/partitions/0/offsets/-1", 400, "offset");
    refused("/topics/none/partitions/0/offsets/0", 404, "no topic");
}

/* ---- server-sent events --------------------------------------------------------------------- */

#define SSE "Accept: text/event-stream\r\n"

static struct web_client *tail(const char *target, const char *fields)
{
    struct web_client *c = web_open(&web, 0);
    char all[400];
    snprintf(all, sizeof all, SSE "%s", fields);
    web_say(c, get_text(target, all));
    return c;
}

static const char *text_of(struct web_client *c)
{
    return arena_strndup(&web.arena, (char *)c->got.buf->data, c->got.len);
}

/* The events' places of all that a client got, and the last id. */
static const char *tailed(struct web_client *c)
{
    return places(text_of(c));
}

static const char *last_id(struct web_client *c)
{
    const char *last = NULL, *text = text_of(c);
    for (const char *p = text; (p = strstr(p, "\nid: ")); p++)
        last = p + 5;
    assert_non_null(last);
    return arena_strndup(&web.arena, last, strcspn(last, "\n"));
}

/* Timers of a microsecond stand between one go and the next. */
static void turn(void)
{
    for (int i = 0; i < 3; i++) {
        fake_advance(&web.rig.world, 1);
        web_run(&web);
    }
}

static void a_tail_follows(void **state)
{
    struct web_client *c = tail("/topics/three", ""), *d;
    (void)state;
    assert_non_null(strstr(text_of(c), "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(text_of(c), "Content-Type: text/event-stream\r\n"));
    assert_non_null(strstr(text_of(c), "Transfer-Encoding: chunked\r\n"));
    assert_int_equal(web_stats(&web).streams, 1);
    assert_string_equal(tailed(c), "");
    produce("three", 1, 2, 1000);
    turn();
    assert_string_equal(tailed(c), "1/0 1/1");
    produce("three", 0, 1, 1000);
    turn();
    assert_string_equal(tailed(c), "1/0 1/1 0/0");
    char field[200];
    snprintf(field, sizeof field, "Last-Event-ID: %s\r\n", last_id(c));
    web_break(c);
    assert_int_equal(web_stats(&web).streams, 0);
    produce("three", 2, 1, 1000);
    d = tail("/topics/three", field);
    turn();
    assert_string_equal(tailed(d), "2/0");
    d = tail("/topics/three?offset=earliest", "");
    turn();
    assert_string_equal(tailed(d), "0/0 1/0 1/1 2/0");
    d = tail("/topics/three?partition=1&offset=1", "");
    turn();
    assert_string_equal(tailed(d), "1/1");
}

/* Data with line ends in it stays one field of the stream, and the same JSON. */
static void a_tail_has_a_line_an_event(void **state)
{
    struct web_client *c = tail("/topics/one", "");
    struct web_answer a = web_ask(&web, "POST /topics/one HTTP/1.1\r\nHost: localhost\r\n"
                                        "Content-Type: application/json\r\nContent-Length: 21\r\n"
                                        "\r\n{\"a\":\r\n\n1,\n\"b\":\"x\\n\"}");
    (void)state;
    assert_int_equal(a.status, 202);
    turn();
    const char *data = strstr(text_of(c), "data: {");
    assert_non_null(data);
    size_t line = strcspn(data, "\r\n");
    assert_non_null(memmem(data, line, "\"data\":{\"a\":   1, \"b\":\"x\\n\"}}", 28));
    assert_int_equal(strncmp(data + line, "\nid: ", 5), 0);
}

static void a_tail_beats(void **state)
{
    struct web_client *c = tail("/topics/one", "");
    size_t n = c->got.len;
    (void)state;
    fake_advance(&web.rig.world, 14000);
    web_run(&web);
    assert_int_equal(c->got.len, n);
    fake_advance(&web.rig.world, 1000);
    web_run(&web);
    assert_string_equal(text_of(c) + n, "3\r\n:\n\n\r\n");
}

static void a_tail_ends_with_its_topic_and_with_the_broker(void **state)
{
    struct web_client *c = tail("/topics/one", ""), *d = tail("/topics/three", "");
    (void)state;
    assert_int_equal(rig_delete(&web.rig, 0, "one"), ERR_OK);
    turn();
    assert_non_null(strstr(text_of(c), "event: weir.error\ndata: TOPIC_UNKNOWN\n"));
    assert_non_null(strstr(text_of(c), "\r\n0\r\n\r\n"));
    assert_false(c->closing);
    http_front_stop(web.http, 0, HTTP_DRAIN);
    web_run(&web);
    assert_non_null(strstr(text_of(d), "\r\n0\r\n\r\n"));
    assert_true(d->gone);
    struct web_answer a = web_ask(&web, get_text("/topics/three", SSE));
    assert_int_equal(a.status, 503);
}

static void a_tail_grows_with_its_topic(void **state)
{
    struct web_client *c = tail("/topics/one", "");
    (void)state;
    assert_int_equal(rig_grow(&web.rig, 0, "one", 2), ERR_OK);
    produce("one", 1, 1, 1000);
    turn();
    assert_string_equal(tailed(c), "1/0");
}

static void a_gap_is_told(void **state)
{
    struct web_client *c;
    (void)state;
    produce("one", 0, 3, 1000);
    struct web_answer a = get("/topics/one?max=1");
    trim("one", 2);
    char target[200];
    snprintf(target, sizeof target, "/topics/one?cursor=%s", web_field(&web, &a, "Weir-Cursor"));
    c = tail(target, "");
    turn();
    assert_non_null(
        strstr(text_of(c), "event: weir.gap\ndata: {\"partition\":0,\"from\":1,\"to\":2}\n\n"));
    assert_string_equal(tailed(c), "0/2");
}

/* Nothing more is read for a client that reads slowly, until it has read. */
static void a_slow_tail_is_held_back(void **state)
{
    struct uuid id = rig_topic_id(&web.rig, "one");
    static char value[100000];
    struct web_client *c = tail("/topics/one", "");
    (void)state;
    memset(value, 'v', sizeof value);
    c->output_max = (size_t)1 << 30; /* from here on, what is sent is not taken */
    for (int i = 0; i < 30; i++) {
        struct batch_builder b;
        batch_begin(&b, 0);
        batch_add(&b, 1000, (struct str){0}, (struct str){value, sizeof value}, NULL, 0);
        assert_int_equal(rig_produce(&web.rig, 0, &id, 0, batch_end(&b), NULL), ERR_OK);
        turn();
    }
    size_t held = c->got.len;
    assert_true(held < 1200000);
    c->taken = c->got.len;
    c->pipe.unsent = 0;
    for (int i = 0; i < 20; i++) {
        fake_advance(&web.rig.world, 10);
        web_run(&web);
    }
    assert_true(c->got.len > held && c->got.len < held + 1200000);
    for (int i = 0; i < 2; i++) {
        assert_false(c->aborted);
        fake_advance(&web.rig.world, HTTP_UNREAD_MS);
        web_run(&web);
    }
    assert_true(c->aborted);
    assert_int_equal(web_stats(&web).streams, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
        TEST(places_are_offsets_and_times),
        TEST(what_cannot_be_is_refused),
        TEST(cursors_go_on),
        TEST(an_answer_has_a_size),
        TEST(a_reader_may_wait),
        TEST(who_waits_may_go_and_the_broker_may_stop),
        TEST(what_retention_took_is_told),
        TEST(one_record_is_read),
        TEST(a_tail_follows),
        TEST(a_tail_has_a_line_an_event),
        TEST(a_tail_beats),
        TEST(a_tail_ends_with_its_topic_and_with_the_broker),
        TEST(a_tail_grows_with_its_topic),
        TEST(a_gap_is_told),
        TEST(a_slow_tail_is_held_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
