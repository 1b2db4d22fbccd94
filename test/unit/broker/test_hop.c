/* Hops: what is noted and how it is written, which events, and that nothing waits for them. */
#include "../check.h"

#include "base/json.h"
#include "base/mem.h"
#include "broker/event.h"
#include "broker/hop.h"
#include "broker/records.h"
#include "rig.h"

#include <stdio.h>
#include <string.h>

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define PARENT "00-" TRACE "-b9c7c989f97918e1-01"

static struct rig r;
static struct uuid id;
static struct records_op got;

static void make(unsigned reactors, unsigned percent)
{
    rig_prepare(&r, reactors);
    r.conf.hops_percent = percent;
    rig_boot(&r);
    assert_int_equal(rig_create(&r, 0, "orders", 2), ERR_OK);
    id = rig_topic_id(&r, "orders");
}

static void settle(void)
{
    for (int i = 0; i < 3; i++) { /* the topic is made, then the batch goes */
        fake_advance(&r.world, HOP_FLUSH_MS);
        rig_run(&r);
    }
}

static struct hop hop_of(const char *traceparent)
{
    return (struct hop){.step = HOP_PUSH,
                        .topic = id,
                        .partition = 1,
                        .offset = 12,
                        .traceparent = str_of(traceparent)};
}

static void note(unsigned reactor, const struct hop *hop)
{
    if (hop_wanted(r.brokers[reactor]))
        hop_note(r.brokers[reactor], hop);
}

static struct hop_stat stat_of(unsigned reactor)
{
    struct hop_stat s;
    broker_hop_stat(r.brokers[reactor], &s);
    return s;
}

static void records_done(struct op *op)
{
    assert_int_equal(op->err, ERR_OK);
}

static void let_go(void)
{
    for (unsigned i = 0; i < got.n; i++)
        records_unref(got.batches[i]);
    got.n = 0;
}

/* The i-th hop of the reactor's partition; at NULL: there are not so many. */
static struct str hop_at(int32_t partition, int64_t i, struct str *key)
{
    let_go();
    got = (struct records_op){.op.done = records_done,
                              .actor = &rig_actor,
                              .topic = rig_topic_id(&r, HOP_TOPIC),
                              .partition = partition,
                              .offset = i,
                              .bytes_max = 0};
    broker_records(r.brokers[0], &got);
    rig_run(&r);
    if (got.n == 0)
        return (struct str){NULL, 0};
    struct record rec;
    records_get(got.batches[0], records_find(got.batches[0], i), &rec);
    if (key != NULL)
        *key = rec.key;
    assert_true(json_valid(rec.value));
    return rec.value;
}

static void check_hop(int64_t i, const char *wanted)
{
    struct str v = hop_at(0, i, NULL);
    char *text = mem_strndup(v.at, v.len);
    assert_string_equal(text, wanted);
    mem_free(text);
}

static void test_what_is_written(void **state)
{
    struct str key;
    (void)state;
    make(1, 100);
    struct publish_cause cause = {id, 0, 7, STR_LIT("s\"x"), 2};
    struct hop hop = hop_of(PARENT);
    note(0, &hop);
    hop.step = HOP_CALL;
    hop.subscription = STR_LIT("fraud");
    hop.attempt = 3;
    hop.end_us = env_mono_us(&r.world.envs[0].env) - 1250;
    hop.took_us = 1500;
    hop.waited_us = 31;
    hop.queued_us = 4;
    hop.by = STR_LIT("enrich/1");
    hop.outcome = STR_LIT("503");
    hop.settle = STR_LIT("release");
    hop.settled_us = 200;
    hop.id = STR_LIT("e-1");
    hop.correlation = STR_LIT("c");
    hop.cause = &cause;
    hop.traceparent = STR_LIT("not a trace");
    note(0, &hop);
    settle();
    check_hop(0, "{\"step\":\"push\",\"at\":1767225600000.000,\"topic\":\"orders\",\"partition\":1,"
                 "\"offset\":12,\"trace\":\"" TRACE "\",\"parent\":\"b9c7c989f97918e1\"}");
    check_hop(1, "{\"step\":\"call\",\"at\":1767225599998.750,\"took_us\":1500,"
                 "\"topic\":\"orders\",\"subscription\":\"fraud\",\"by\":\"enrich/1\","
                 "\"outcome\":\"503\",\"settle\":\"release\",\"settled_us\":200,"
                 "\"partition\":1,\"offset\":12,\"attempt\":3,\"waited_us\":31,\"queued_us\":4,"
                 "\"id\":\"e-1\",\"correlation\":\"c\",\"cause\":{\"topic\":\"orders\","
                 "\"partition\":0,\"offset\":7,\"subscription\":\"s\\\"x\",\"attempt\":2}}");
    hop_at(0, 0, &key);
    assert_true(str_is(key, TRACE));
    hop_at(0, 1, &key);
    assert_null(key.at);
    let_go();
    const struct topic *t = rig_topic(&r, 0, HOP_TOPIC);
    assert_int_equal(t->conf.retention_ms, 86400000);
    assert_int_equal(t->conf.flush, STORE_FLUSH_OS);
    assert_int_equal(stat_of(0).noted, 2);
    assert_int_equal(stat_of(0).batches, 1);
    rig_free(&r);
}

/* What the events of a step have in common is said of each; also where the first ones are of no
 * interest, and where another step comes between. */
static void test_one_that_follows(void **state)
{
    (void)state;
    make(1, 100);
    struct hop hop = hop_of("00-" TRACE "-b9c7c989f97918e1-00"), other = hop_of(PARENT);
    hop.outcome = STR_LIT("200");
    note(0, &hop); /* not sampled */
    hop.follows = true;
    for (hop.offset = 13; hop.offset < 15; hop.offset++) {
        hop.traceparent = STR_LIT(PARENT);
        note(0, &hop);
    }
    note(0, &other);
    settle();
#define REST ",\"trace\":\"" TRACE "\",\"parent\":\"b9c7c989f97918e1\"}"
#define BEGIN "{\"step\":\"push\",\"at\":1767225600000.000,\"topic\":\"orders\","
    check_hop(0, BEGIN "\"outcome\":\"200\",\"partition\":1,\"offset\":13" REST);
    check_hop(1, BEGIN "\"outcome\":\"200\",\"partition\":1,\"offset\":14" REST);
    check_hop(2, BEGIN "\"partition\":1,\"offset\":12" REST);
    let_go();
    rig_free(&r);
}

static void test_long_texts(void **state)
{
    char much[HOP_TEXT_MAX + 2] = "", wanted[HOP_TEXT_MAX + 2] = "";
    (void)state;
    memset(much, 'x', HOP_TEXT_MAX + 1);
    memset(wanted, 'x', HOP_TEXT_MAX);
    make(1, 100);
    struct hop hop = hop_of(PARENT);
    hop.id = str_of(much);
    note(0, &hop);
    settle();
    struct str v = hop_at(0, 0, NULL);
    char *text = mem_strndup(v.at, v.len);
    assert_non_null(strstr(text, wanted));
    assert_null(strstr(text, much));
    mem_free(text);
    let_go();
    rig_free(&r);
}

static void published(struct op *op)
{
    assert_int_equal(op->err, ERR_OK);
}

/* Publishing notes by itself, on the reactor of the partition. */
static void test_publish(void **state)
{
    static const struct record_header h[] = {{STR_LIT("ce_id"), STR_LIT("e-1")},
                                             {STR_LIT("ce_traceparent"), STR_LIT(PARENT)},
                                             {STR_LIT("ce_correlationid"), STR_LIT("c")}};
    (void)state;
    make(2, 100);
    struct publish_op op = {.op.done = published, .topic = id, .partition = 1};
    op.record = (struct publish_record){.headers = h, .headers_n = 3, .timestamp = -1};
    op.cause = (struct publish_cause){id, 0, 3, {NULL, 0}, 0};
    broker_publish(r.brokers[0], &op);
    rig_run(&r);
    settle();
    unsigned owner = broker_reactor_of_shard(r.brokers[0], broker_shard_of_partition(&id, 1));
    struct str v = hop_at((int32_t)owner, 0, NULL);
    assert_true(
        str_eq(v, STR_LIT("{\"step\":\"publish\",\"at\":1767225600000.000,\"topic\":\"orders\","
                          "\"partition\":1,\"offset\":0,\"trace\":\"" TRACE
                          "\",\"parent\":\"b9c7c989f97918e1\","
                          "\"id\":\"e-1\",\"correlation\":\"c\",\"cause\":{\"topic\":"
                          "\"orders\",\"partition\":0,\"offset\":3}}")));
    let_go();
    rig_free(&r);
}

/* Of a record without a trace: the derived one, the same as of the event. */
static void test_of_record(void **state)
{
    struct event_place place = {"orders", {{7}}, 3, 9};
    struct hop hop = {.topic = place.topic, .partition = 3, .offset = 9};
    struct record_header plain[] = {{STR_LIT("correlationid"), STR_LIT("c")},
                                    {STR_LIT("message-id"), STR_LIT("m")},
                                    {STR_LIT("ce_id"), {NULL, 0}}};
    struct hop_text text;
    char wanted[EVENT_TRACEPARENT_BYTES + 1];
    (void)state;
    hop_of_headers(&hop, plain, 3, &text);
    event_trace_derive(&place, wanted);
    assert_true(str_is(hop.traceparent, wanted));
    assert_true(str_is(hop.id, "m") && str_is(hop.correlation, "c"));
}

static void test_sampling(void **state)
{
    (void)state;
    make(1, 0);
    struct hop hop = hop_of(PARENT);
    note(0, &hop);
    assert_int_equal(stat_of(0).noted, 0);
    rig_free(&r);
    make(1, 100);
    hop = hop_of("00-" TRACE "-b9c7c989f97918e1-00"); /* its own wish */
    note(0, &hop);
    hop = hop_of("00-" TRACE "-b9c7c989f97918e1-0a");
    note(0, &hop);
    assert_int_equal(stat_of(0).noted, 0);
    hop = hop_of("00-" TRACE "-b9c7c989f97918e1-0b");
    note(0, &hop);
    assert_int_equal(stat_of(0).noted, 1);
    rig_free(&r);
    make(2, 30);
    unsigned noted = 0;
    for (unsigned i = 0; i < 1000; i++) {
        char parent[EVENT_TRACEPARENT_BYTES + 1];
        struct event_place place = {"t", {{1}}, 0, i};
        event_trace_derive(&place, parent);
        hop = hop_of(parent);
        for (unsigned k = 0; k < 2; k++)
            note(k, &hop); /* all of a trace or none, everywhere */
        assert_int_equal(stat_of(0).noted, stat_of(1).noted);
        noted = (unsigned)stat_of(0).noted;
    }
    assert_in_range(noted, 200, 400);
    rig_free(&r);
}

/* Steps of hops themselves are not noted. */
static void test_own_topic(void **state)
{
    (void)state;
    make(1, 100);
    struct hop hop = hop_of(PARENT);
    note(0, &hop);
    settle();
    hop.topic = rig_topic_id(&r, HOP_TOPIC);
    note(0, &hop);
    assert_int_equal(stat_of(0).noted, 1);
    rig_free(&r);
}

static void note_many(unsigned n)
{
    struct hop hop = hop_of(PARENT);
    for (unsigned i = 0; i < n; i++)
        note(0, &hop);
}

static void test_full_batches(void **state)
{
    (void)state;
    make(1, 100);
    note_many(1);
    settle();
    note_many(2000); /* goes without the timer when there is a batch of them */
    rig_run(&r);
    assert_true(stat_of(0).batches > 2);
    settle();
    assert_int_equal(stat_of(0).dropped, 0);
    assert_non_null(hop_at(0, 2000, NULL).at);
    assert_null(hop_at(0, 2001, NULL).at);
    let_go();
    rig_free(&r);
}

/* A store that does not answer: what is too much is dropped, and the rest arrives later. */
static void test_back_pressure(void **state)
{
    (void)state;
    make(1, 100);
    note_many(1);
    settle();
    rig_defer(&r, true);
    for (int i = 0; i < 4; i++) {
        fake_advance(&r.world, HOP_WINDOW_MS);
        note_many(2500);
    }
    struct hop_stat s = stat_of(0);
    assert_int_equal(s.noted + s.dropped, 10001);
    assert_true(s.dropped > 5000 && s.skipped == 0);
    rig_defer(&r, false);
    settle();
    assert_non_null(hop_at(0, (int64_t)s.noted - 1, NULL).at);
    assert_null(hop_at(0, (int64_t)s.noted, NULL).at);
    let_go();
    rig_free(&r);
}

/* Hops of n events, each of its own trace. */
static void note_traces(unsigned n)
{
    char parent[EVENT_TRACEPARENT_BYTES + 1];
    for (unsigned i = 0; i < n; i++) {
        struct event_place place = {"t", {{2}}, 0, i};
        event_trace_derive(&place, parent);
        struct hop hop = hop_of(parent);
        note(0, &hop);
    }
}

/* More than a window takes: fewer traces the next time, until what is noted fits; and all again
 * when it is quiet. */
static void test_windows(void **state)
{
    (void)state;
    make(1, 100);
    uint64_t noted = 0, last = 0;
    for (int i = 0; i < 6; i++) {
        fake_advance(&r.world, HOP_WINDOW_MS);
        rig_run(&r);
        noted = stat_of(0).noted;
        note_traces(10000);
        last = stat_of(0).noted - noted;
        assert_true(last <= HOP_NOTES);
    }
    assert_in_range(last, 2000, 3000); /* a quarter of them, to their end */
    assert_true(stat_of(0).skipped > 30000);
    assert_int_equal(stat_of(0).dropped, 0);
    for (int i = 0; i < 8; i++) {
        fake_advance(&r.world, HOP_WINDOW_MS);
        rig_run(&r);
        noted = stat_of(0).noted;
        note_traces(100);
    }
    assert_int_equal(stat_of(0).noted - noted, 100);
    rig_free(&r);
}

/* What an event says of itself is found where its batch is decoded; else its place must do. */
static void test_of_place(void **state)
{
    static const struct record_header h[] = {{STR_LIT("ce_id"), STR_LIT("e-1")},
                                             {STR_LIT("ce_traceparent"), STR_LIT(PARENT)}};
    struct batch_builder b;
    (void)state;
    make(1, 100);
    batch_begin(&b, 0);
    batch_add(&b, 1767225600000, (struct str){NULL, 0}, STR_LIT("x"), NULL, 0);
    batch_add(&b, 1767225600000, (struct str){NULL, 0}, STR_LIT("y"), h, 2);
    assert_int_equal(rig_produce(&r, 0, &id, 1, batch_end(&b), NULL), ERR_OK);
    for (int decoded = 0; decoded < 2; decoded++) {
        struct hop hop = {.step = HOP_SETTLE, .topic = id, .partition = 1, .offset = 1};
        hop_note_place(r.brokers[0], &hop);
        let_go();
        got = (struct records_op){.op.done = records_done, .topic = id, .partition = 1};
        broker_records(r.brokers[0], &got);
        rig_run(&r);
    }
    struct hop gone = {.step = HOP_SETTLE, .topic = {{9}}, .partition = 1, .offset = 1};
    hop_note_place(r.brokers[0], &gone);
    settle();
    check_hop(0, "{\"step\":\"settle\",\"at\":1767225600000.000,\"topic\":\"orders\","
                 "\"partition\":1,\"offset\":1}");
    check_hop(1, "{\"step\":\"settle\",\"at\":1767225600000.000,\"topic\":\"orders\","
                 "\"partition\":1,\"offset\":1,\"trace\":\"" TRACE
                 "\",\"parent\":\"b9c7c989f97918e1\",\"id\":\"e-1\"}");
    let_go();
    rig_free(&r);
}

static void test_disk_full(void **state)
{
    (void)state;
    make(1, 100);
    note_many(1);
    fake_disk_fail(r.disk, FAKE_OPEN, 1, 1, ERR_DISK_FULL); /* the topic is not made */
    settle();
    assert_null(rig_topic(&r, 0, HOP_TOPIC));
    fake_advance(&r.world, 1000);
    settle();
    assert_non_null(hop_at(0, 0, NULL).at);
    fake_disk_fail(r.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
    note_many(3);
    settle();
    assert_int_equal(stat_of(0).dropped, 3);
    note_many(1);
    settle();
    assert_null(hop_at(0, 1, NULL).at); /* not yet again */
    fake_advance(&r.world, 1000);
    settle();
    assert_non_null(hop_at(0, 1, NULL).at);
    let_go();
    rig_free(&r);
}

/* All that was noted is stored before the stop, without a wait; what comes behind it is dropped. */
static void test_stop(void **state)
{
    (void)state;
    make(2, 100);
    assert_false(broker_hops_busy(r.brokers[0]));
    note_many(3);
    assert_true(broker_hops_busy(r.brokers[1]));
    broker_hops_stop(r.brokers[0]);
    broker_hops_stop(r.brokers[1]);
    rig_run(&r); /* the topic is made */
    fake_advance(&r.world, 0);
    rig_run(&r);
    assert_false(broker_hops_busy(r.brokers[0]));
    assert_non_null(hop_at(0, 2, NULL).at);
    let_go();
    fake_disk_fail(r.disk, FAKE_COMMIT, 1, 1, ERR_CLOSED);
    note_many(1);
    fake_advance(&r.world, 0);
    rig_run(&r);
    assert_false(broker_hops_busy(r.brokers[0]));
    assert_int_equal(stat_of(0).dropped, 1);
    rig_free(&r);
}

static void test_topic_deleted(void **state)
{
    (void)state;
    make(1, 100);
    note_many(1);
    settle();
    assert_int_equal(rig_delete(&r, 0, HOP_TOPIC), ERR_OK);
    note_many(2);
    settle();
    assert_non_null(hop_at(0, 1, NULL).at);
    let_go();
    note_many(1); /* in the buffer when the broker ends */
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written),
        cmocka_unit_test(test_one_that_follows),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_publish),
        cmocka_unit_test(test_of_record),
        cmocka_unit_test(test_sampling),
        cmocka_unit_test(test_own_topic),
        cmocka_unit_test(test_full_batches),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_of_place),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_topic_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
