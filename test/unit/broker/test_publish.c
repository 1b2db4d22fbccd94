/* Publishing: what becomes one batch, where it goes, what is refused, and publishing in a group of
 * the caller's own. */
#include "../check.h"

#include "base/mem.h"
#include "broker/publish.h"
#include "rig.h"

#include <stdio.h>
#include <string.h>

#define TS 1767225600000
#define MAX 300

static struct rig r;
static struct uuid id;
static struct publish_op ops[MAX];
static unsigned answered;

static void make(unsigned reactors, int32_t partitions)
{
    rig_make(&r, reactors);
    assert_int_equal(rig_create(&r, 0, "t", partitions), ERR_OK);
    id = rig_topic_id(&r, "t");
    answered = 0;
}

static void done(struct op *op)
{
    assert_ptr_equal(op->done, done);
    op->done = NULL;
    answered++;
}

static struct publish_op *publish(unsigned i, unsigned from, int32_t partition, const char *key,
                                  const char *value)
{
    struct publish_op *op = &ops[i];
    *op = (struct publish_op){.op.done = done,
                              .actor = &rig_actor,
                              .topic = id,
                              .partition = partition,
                              .record = {.key = key != NULL ? str_of(key) : (struct str){NULL, 0},
                                         .value = str_of(value),
                                         .timestamp = -1}};
    broker_publish(r.brokers[from], op);
    return op;
}

static size_t batches(int32_t partition)
{
    struct store_log_id log = {id, (uint32_t)partition};
    return fake_disk_batches(r.disk, &log);
}

static struct batch_head head_of(int32_t partition, size_t n)
{
    struct store_log_id log = {id, (uint32_t)partition};
    struct batch_head h;
    struct slice s = fake_disk_batch(r.disk, &log, n);
    assert_int_equal(batch_head_read(s.at, s.len, &h), ERR_OK);
    assert_true(batch_crc_ok(s.at, &h));
    return h;
}

static void check_values(int32_t partition, const char *wanted)
{
    enum err err;
    char *values = rig_read(&r, 0, &id, partition, 0, &err);
    assert_int_equal(err, ERR_OK);
    assert_string_equal(values, wanted);
    mem_free(values);
}

/* From Kafka's own tests (UtilsTest.testMurmur2). */
static void test_murmur2(void **state)
{
    static const struct {
        const char *key;
        int32_t hash;
    } cases[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(publish_partition_of(str_of(cases[i].key), INT32_MAX),
                         cases[i].hash & INT32_MAX);
    assert_int_equal(publish_partition_of(str_of("21"), 7), (-973932308 & INT32_MAX) % 7);
    assert_in_range(publish_partition_of(STR_LIT(""), 3), 0, 2);
}

static void test_one_batch_a_turn(void **state)
{
    (void)state;
    for (unsigned reactors = 1; reactors <= 2; reactors++) {
        make(reactors, 1);
        for (unsigned i = 0; i < 6; i++) {
            char value[8];
            snprintf(value, sizeof(value), "%c", 'a' + (int)i % 3);
            publish(i, i / 3 % reactors, -1, NULL, mem_strdup(value));
        }
        assert_int_equal(answered, 0); /* not before the turn's end */
        rig_run(&r);
        assert_int_equal(answered, 6);
        assert_int_equal(batches(0), 1);
        for (unsigned i = 0; i < 6; i++) {
            assert_int_equal(ops[i].op.err, ERR_OK);
            assert_int_equal(ops[i].partition_out, 0);
            assert_int_equal(ops[i].append_ms, rig_env(&r, 0)->now_ms);
            assert_false(ops[i].duplicate || ops[i].scheduled);
            if (i % 3 != 0) /* a caller's order */
                assert_int_equal(ops[i].offset, ops[i - 1].offset + 1);
            mem_free((void *)(uintptr_t)ops[i].record.value.at);
        }
        check_values(0, "a b c a b c ");
        publish(0, 0, 0, NULL, "x");
        rig_run(&r);
        assert_int_equal(ops[0].offset, 6);
        assert_int_equal(batches(0), 2);
        rig_free(&r);
    }
}

static void test_what_a_record_holds(void **state)
{
    static const struct record_header headers[] = {{STR_LIT("ce_id"), STR_LIT("1")},
                                                   {STR_LIT("x"), {NULL, 0}}};
    struct record_iter it;
    struct record rec;
    struct record_header h;
    (void)state;
    make(1, 1);
    ops[0] = (struct publish_op){
        .op.done = done,
        .topic = id,
        .partition = 0,
        .record = {.key = STR_LIT("k"), .headers = headers, .headers_n = 2, .timestamp = TS - 5}};
    broker_publish(r.brokers[0], &ops[0]);
    publish(1, 0, 0, NULL, "");
    rig_run(&r);
    struct store_log_id log = {id, 0};
    struct slice s = fake_disk_batch(r.disk, &log, 0);
    struct batch_head head = head_of(0, 0);
    assert_int_equal(head.max_timestamp, rig_env(&r, 0)->now_ms);
    record_iter_init(&it, &head, s.at + BATCH_HEAD_BYTES, s.len - BATCH_HEAD_BYTES);
    assert_int_equal(record_iter_next(&it, &rec), ERR_OK);
    assert_true(str_is(rec.key, "k") && rec.value.at == NULL && rec.timestamp == TS - 5);
    assert_true(record_header_next(&rec, &h) && str_is(h.key, "ce_id") && str_is(h.value, "1"));
    assert_true(record_header_next(&rec, &h) && str_is(h.key, "x") && h.value.at == NULL);
    assert_false(record_header_next(&rec, &h));
    assert_int_equal(record_iter_next(&it, &rec), ERR_OK);
    assert_true(rec.key.at == NULL && rec.value.at != NULL && rec.value.len == 0);
    assert_int_equal(rec.timestamp, rig_env(&r, 0)->now_ms);
    rig_free(&r);
}

static void test_partitions(void **state)
{
    bool used[4] = {false};
    (void)state;
    make(2, 4);
    for (unsigned i = 0; i < 20; i++) { /* a key has its place, from everywhere */
        char key[8];
        snprintf(key, sizeof(key), "k%u", i % 5);
        publish(i, i % 2, -1, key, "v");
        assert_int_equal(ops[i].partition_out, publish_partition_of(str_of(key), 4));
        rig_run(&r);
    }
    publish(0, 0, 3, "k0", "v");
    rig_run(&r);
    assert_int_equal(ops[0].partition_out, 3);
    for (unsigned i = 0; i < 4; i++) { /* without: turn by turn */
        publish(0, 0, -1, NULL, "v");
        publish(1, 0, -1, NULL, "v");
        rig_run(&r);
        assert_int_equal(ops[0].partition_out, ops[1].partition_out);
        assert_int_equal(ops[0].offset + 1, ops[1].offset);
        used[ops[0].partition_out] = true;
        fake_advance(&r.world, 1);
    }
    for (unsigned i = 0; i < 4; i++)
        assert_true(used[i]);
    rig_free(&r);
}

/* 64 KiB a batch; without a key each is another partition's. */
static void test_full_batches(void **state)
{
    char value[1025] = "";
    (void)state;
    memset(value, 'x', sizeof(value) - 1);
    make(1, 2);
    for (unsigned i = 0; i < 200; i++)
        publish(i, 0, 0, NULL, value);
    rig_run(&r);
    assert_int_equal(answered, 200);
    assert_int_equal(batches(0), 4);
    for (size_t i = 0; i < 4; i++)
        assert_true(head_of(0, i).bytes <= PUBLISH_BATCH_BYTES);
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(ops[i].offset, i);
    fake_advance(&r.world, 1);
    for (unsigned i = 0; i < 100; i++)
        publish(i, 0, -1, NULL, value);
    rig_run(&r);
    assert_int_equal(batches(1), 1);
    assert_true(head_of(1, 0).bytes <= PUBLISH_BATCH_BYTES && head_of(1, 0).count > 30);
    assert_int_equal(rig_configure(&r, "t", "max.message.bytes", "5000"), ERR_OK);
    for (unsigned i = 0; i < 10; i++)
        publish(i, 0, 0, NULL, value);
    rig_run(&r);
    for (size_t i = 5; i < batches(0); i++)
        assert_true(head_of(0, i).bytes <= 5000);
    assert_int_equal(ops[9].op.err, ERR_OK);
    rig_free(&r);
}

/* The least max.message.bytes with which a record is taken is the size of its batch. */
static void test_too_large(void **state)
{
    char limit[16];
    (void)state;
    make(1, 1);
    publish(0, 0, 0, "key", "a value of some length");
    rig_run(&r);
    uint32_t bytes = head_of(0, 0).bytes;
    for (uint32_t less = 0; less <= 1; less++) {
        snprintf(limit, sizeof(limit), "%u", bytes - less);
        assert_int_equal(rig_configure(&r, "t", "max.message.bytes", limit), ERR_OK);
        publish(0, 0, 0, NULL, "v");
        publish(1, 0, 0, "key", "a value of some length");
        publish(2, 0, 0, NULL, "v");
        rig_run(&r);
        assert_int_equal(ops[0].op.err, ERR_OK);
        assert_int_equal(ops[1].op.err, less ? ERR_MESSAGE_TOO_LARGE : ERR_OK);
        assert_int_equal(ops[2].op.err, ERR_OK);
    }
    assert_non_null(strstr(ops[1].text.s, limit));
    rig_free(&r);
}

static void test_refused(void **state)
{
    static struct record_header many[PUBLISH_HEADERS_MAX + 1];
    (void)state;
    make(2, 2);
    for (size_t i = 0; i < PUBLISH_HEADERS_MAX + 1; i++)
        many[i].key = STR_LIT("h");
    for (size_t n = PUBLISH_HEADERS_MAX; n <= PUBLISH_HEADERS_MAX + 1; n++) {
        ops[0] = (struct publish_op){.op.done = done,
                                     .topic = id,
                                     .partition = 0,
                                     .record = {.headers = many, .headers_n = n, .timestamp = -1}};
        broker_publish(r.brokers[1], &ops[0]);
        rig_run(&r);
        assert_int_equal(ops[0].op.err, n > PUBLISH_HEADERS_MAX ? ERR_RECORD_INVALID : ERR_OK);
    }
    publish(0, 0, 2, NULL, "v");
    assert_int_equal(ops[0].op.err, ERR_TOPIC_UNKNOWN);
    publish(0, 0, -2, NULL, "v");
    assert_int_equal(ops[0].op.err, ERR_TOPIC_UNKNOWN);
    ops[0] = (struct publish_op){.op.done = done, .topic = id, .partition = 0};
    ops[0].record.timestamp = TS + (int64_t)2 * 3600 * 1000;
    broker_publish(r.brokers[1], &ops[0]);
    rig_run(&r);
    assert_int_equal(ops[0].op.err, ERR_TIMESTAMP_INVALID);
    struct uuid was = id;
    id = topic_state_id(TOPIC_STATE_OFFSETS);
    publish(0, 0, 0, NULL, "v");
    rig_run(&r);
    assert_int_equal(ops[0].op.err, ERR_TOPIC_INVALID);
    id = was;
    id.b[3] ^= 1;
    publish(0, 0, 0, NULL, "v");
    assert_int_equal(ops[0].op.err, ERR_TOPIC_UNKNOWN);
    rig_free(&r);
}

static void test_append_time(void **state)
{
    struct topic_setting s = {STR_LIT("message.timestamp.type"), STR_LIT("LogAppendTime")};
    (void)state;
    rig_make(&r, 1);
    assert_int_equal(rig_create_with(&r, "t", 1, &s, 1), ERR_OK);
    id = rig_topic_id(&r, "t");
    fake_advance(&r.world, 5000);
    ops[0] = (struct publish_op){.op.done = done, .topic = id, .partition = 0};
    ops[0].record.timestamp = 17; /* long ago: replaced */
    broker_publish(r.brokers[0], &ops[0]);
    publish(1, 0, 0, NULL, "v");
    rig_run(&r);
    assert_int_equal(ops[0].op.err, ERR_OK);
    struct batch_head h = head_of(0, 0);
    assert_int_equal(h.attributes, BATCH_APPEND_TIME);
    assert_int_equal(h.max_timestamp, rig_env(&r, 0)->now_ms);
    assert_int_equal(h.base_timestamp, rig_env(&r, 0)->now_ms);
    assert_int_equal(h.count, 2);
    rig_free(&r);
}

static void test_disk_full(void **state)
{
    (void)state;
    make(2, 1);
    fake_disk_fail(r.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
    for (unsigned i = 0; i < 3; i++)
        publish(i, i % 2, 0, NULL, "v");
    rig_run(&r);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(ops[i].op.err, ERR_DISK_FULL);
        assert_int_equal(ops[i].offset, -1);
    }
    publish(0, 0, 0, NULL, "w");
    rig_run(&r);
    assert_int_equal(ops[0].op.err, ERR_OK);
    assert_int_equal(ops[0].offset, 0);
    check_values(0, "w ");
    rig_free(&r);
}

static void test_topic_goes(void **state)
{
    (void)state;
    make(1, 1);
    rig_defer(&r, true);
    publish(0, 0, 0, NULL, "v"); /* open when the topic goes */
    struct topic_delete_op del = {.op.done = done, .name = STR_LIT("t")};
    broker_topic_delete(r.brokers[0], &del);
    while (del.op.done != NULL)
        assert_true(fake_deliver_all(&r.world) | fake_store_step(r.stores[0]));
    topic_unref(del.topic);
    assert_int_equal(answered, 1);
    rig_run(&r);
    assert_int_equal(ops[0].op.err, ERR_TOPIC_UNKNOWN);
    rig_defer(&r, false);
    assert_int_equal(fake_disk_has(r.disk, &(struct store_log_id){id, 0}), false);
    rig_free(&r);
}

/* Answers that publish, from inside of a batch that is sent because it is full. */
static void publish_more(struct op *op)
{
    unsigned i = (unsigned)(container_of(op, struct publish_op, op) - ops);
    answered++;
    op->done = NULL;
    if (i < 100)
        publish(i + 100, 0, 0, NULL, "more");
}

static void test_answers_publish(void **state)
{
    char value[1025] = "";
    (void)state;
    memset(value, 'x', sizeof(value) - 1);
    make(1, 1);
    for (unsigned i = 0; i < 100; i++) {
        ops[i] = (struct publish_op){.op.done = publish_more,
                                     .topic = id,
                                     .partition = 0,
                                     .record = {.value = str_of(value), .timestamp = -1}};
        broker_publish(r.brokers[0], &ops[i]);
    }
    rig_run(&r);
    assert_int_equal(answered, 200);
    assert_int_equal(rig_list(&r, 0, &id, 0, LIST_LATEST), 200);
    bool seen[200] = {false};
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(ops[i].op.err, ERR_OK);
        assert_false(seen[ops[i].offset]);
        seen[ops[i].offset] = true;
    }
    rig_free(&r);
}

static void test_killed(void **state)
{
    (void)state;
    make(1, 1);
    publish(0, 0, 0, NULL, "open");
    rig_kill(&r, 0);
    rig_boot(&r);
    rig_defer(&r, true);
    publish(0, 0, 0, NULL, "sent");
    fake_fire(&r.world);
    rig_kill(&r, 1); /* it is on disk, and nobody was told */
    rig_boot(&r);
    assert_int_equal(answered, 0);
    check_values(0, "sent ");
    rig_free(&r);
}

/* ---- in a group of the caller's own ---- */

struct joining {
    struct publish_join join;
    struct store_group group;
    struct store_append own; /* as a ledger's record beside them */
    bool ready, ended;
    enum err err;
};

static void join_ready(struct publish_join *join, enum err err)
{
    struct joining *j = container_of(join, struct joining, join);
    assert_false(j->ready);
    j->ready = true;
    j->err = err;
}

static void join_ended(struct publish_join *join)
{
    struct joining *j = container_of(join, struct joining, join);
    assert_true(j->ready && !j->ended);
    j->ended = true;
}

static void output(unsigned i, int32_t partition, const char *key, const char *value)
{
    ops[i] = (struct publish_op){.actor = &rig_actor,
                                 .topic = id,
                                 .partition = partition,
                                 .record = {.value = str_of(value), .timestamp = -1}};
    if (key != NULL)
        ops[i].record.key = str_of(key);
}

static void join_start(struct joining *j, unsigned from, size_t n)
{
    *j = (struct joining){
        .join = {.outputs = ops, .outputs_n = n, .ready = join_ready, .ended = join_ended}};
    publish_join(r.brokers[from], &j->join);
    rig_run(&r);
    assert_true(j->ready);
}

static void group_done(struct store_group *group, enum err err)
{
    struct joining *j = container_of(group, struct joining, group);
    publish_join_end(&j->join, err);
}

static void join_commit(struct joining *j, unsigned from)
{
    struct store *store = fake_store_port(r.stores[from]);
    j->group.done = group_done;
    store_begin(store, &j->group);
    publish_join_add(&j->join, store, &j->group);
    store_commit(store, &j->group);
    rig_run(&r);
    assert_true(j->ended);
}

static void test_join(void **state)
{
    (void)state;
    for (unsigned reactors = 1; reactors <= 3; reactors++) {
        struct joining j;
        make(reactors, 3);
        publish(5, 0, 1, NULL, "before");
        rig_run(&r);
        output(0, 1, NULL, "a");
        output(1, 2, NULL, "b");
        output(2, 1, NULL, "c");
        output(3, -1, "k", "d");
        join_start(&j, reactors - 1, 4);
        assert_int_equal(j.err, ERR_OK);
        publish(5, 0, 1, NULL, "between"); /* its batch may go first */
        rig_run(&r);
        assert_int_equal(batches(2), 0);
        join_commit(&j, reactors - 1);
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(ops[i].op.err, ERR_OK);
        assert_int_equal(ops[0].offset, 2);
        assert_int_equal(ops[2].offset, 3);
        assert_int_equal(ops[3].partition_out, publish_partition_of(STR_LIT("k"), 3));
        assert_int_equal(ops[0].append_ms, rig_env(&r, 0)->now_ms);
        struct partition_stat stat;
        unsigned owner = broker_reactor_of_shard(r.brokers[0], broker_shard_of_partition(&id, 1));
        assert_true(broker_partition_stat(r.brokers[owner], &id, 1, &stat));
        assert_int_equal(stat.high_watermark, rig_list(&r, 0, &id, 1, LIST_LATEST));
        assert_int_equal(stat.records_in, stat.high_watermark);
        rig_free(&r);
    }
}

/* More for one partition than a batch takes. */
static void test_join_many(void **state)
{
    char value[1025] = "";
    struct joining j;
    (void)state;
    memset(value, 'x', sizeof(value) - 1);
    make(2, 1);
    for (unsigned i = 0; i < 150; i++)
        output(i, 0, NULL, value);
    join_start(&j, 1, 150);
    join_commit(&j, 1);
    for (unsigned i = 0; i < 150; i++)
        assert_int_equal(ops[i].offset, i);
    assert_int_equal(batches(0), 3);
    join_start(&j, 0, 0); /* none at all */
    assert_int_equal(j.err, ERR_OK);
    join_commit(&j, 0);
    rig_free(&r);
}

static void test_join_fails(void **state)
{
    struct joining j;
    (void)state;
    make(2, 2);
    assert_int_equal(rig_configure(&r, "t", "max.message.bytes", "100"), ERR_OK);
    for (unsigned bad = 0; bad < 3; bad++) { /* wherever it stands */
        for (unsigned i = 0; i < 3; i++)
            output(i, (int32_t)i % 2, NULL, "v");
        ops[bad].record.value = STR_LIT("a value that is too long for the topic's new limit");
        join_start(&j, 0, 3);
        assert_int_equal(j.err, ERR_MESSAGE_TOO_LARGE);
        assert_non_null(strstr(j.join.text.s, "max.message.bytes"));
    }
    output(0, 0, NULL, "v");
    output(1, 7, NULL, "v");
    join_start(&j, 1, 2);
    assert_int_equal(j.err, ERR_TOPIC_UNKNOWN);
    output(0, 0, NULL, "v");
    ops[0].due_ms = INT64_MAX;
    join_start(&j, 1, 1);
    assert_int_equal(j.err, ERR_REQUEST_INVALID);
    assert_int_equal(batches(0), 0);
    assert_int_equal(rig_delete(&r, 0, "t"), ERR_OK); /* nothing holds it */
    assert_false(fake_disk_has(r.disk, &(struct store_log_id){id, 0}));
    rig_free(&r);
}

static void test_join_group_fails(void **state)
{
    struct joining j;
    (void)state;
    make(2, 2);
    output(0, 0, NULL, "v");
    output(1, 1, NULL, "v");
    join_start(&j, 0, 2);
    fake_disk_fail(r.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
    join_commit(&j, 0);
    assert_true(ops[0].op.err == ERR_DISK_FULL && ops[1].op.err == ERR_DISK_FULL);
    assert_int_equal(ops[0].offset, -1);
    join_start(&j, 0, 2);
    publish_join_end(&j.join, ERR_BUSY); /* the caller thought better of it */
    rig_run(&r);
    assert_true(j.ended);
    assert_int_equal(ops[1].op.err, ERR_BUSY);
    assert_int_equal(batches(0) + batches(1), 0);
    assert_int_equal(rig_delete(&r, 0, "t"), ERR_OK);
    assert_false(fake_disk_has(r.disk, &(struct store_log_id){id, 0}));
    rig_free(&r);
}

/* The topic goes while the group is in the making: the log stays until it is over. */
static void test_join_topic_goes(void **state)
{
    struct joining j;
    (void)state;
    make(1, 1);
    output(0, 0, NULL, "v");
    join_start(&j, 0, 1);
    assert_int_equal(rig_delete(&r, 0, "t"), ERR_OK);
    assert_true(fake_disk_has(r.disk, &(struct store_log_id){id, 0}));
    join_commit(&j, 0);
    assert_false(fake_disk_has(r.disk, &(struct store_log_id){id, 0}));
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_murmur2),
        cmocka_unit_test(test_one_batch_a_turn),
        cmocka_unit_test(test_what_a_record_holds),
        cmocka_unit_test(test_partitions),
        cmocka_unit_test(test_full_batches),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_append_time),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_topic_goes),
        cmocka_unit_test(test_answers_publish),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_join_many),
        cmocka_unit_test(test_join_fails),
        cmocka_unit_test(test_join_group_fails),
        cmocka_unit_test(test_join_topic_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
