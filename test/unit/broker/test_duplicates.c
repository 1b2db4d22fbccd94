/* Records that are published again: dropped within the window and answered as the first time, also
 * while the first one is under way, from groups, and after a restart. */
#include "../check.h"

#include "base/mem.h"
#include "broker/duplicates.h"
#include "rig.h"

#include <stdio.h>
#include <string.h>

#define WINDOW_MS 60000
#define TS 1767225600000

static struct rig r;
static struct uuid id;
static struct publish_op ops[16];
static struct record_header headers[16][2];
static unsigned answered;

static void make(unsigned reactors, int32_t partitions)
{
    struct topic_setting s = {STR_LIT("weir.duplicates.window.ms"), STR_LIT("60000")};
    rig_make(&r, reactors);
    assert_int_equal(rig_create_with(&r, "t", partitions, &s, 1), ERR_OK);
    id = rig_topic_id(&r, "t");
    answered = 0;
}

static void done(struct op *op)
{
    assert_ptr_equal(op->done, done);
    op->done = NULL;
    answered++;
}

/* source NULL: no CloudEvent, the id is the caller's. */
static void fill(unsigned i, const char *source, const char *message_id)
{
    ops[i] = (struct publish_op){.op.done = done,
                                 .actor = &rig_actor,
                                 .topic = id,
                                 .partition = -1,
                                 .record = {.value = STR_LIT("v"), .timestamp = -1}};
    if (source == NULL) {
        ops[i].message_id = str_of(message_id);
        headers[i][0] = (struct record_header){STR_LIT("message-id"), str_of(message_id)};
        ops[i].record.headers_n = 1;
    } else {
        headers[i][0] = (struct record_header){STR_LIT("ce_source"), str_of(source)};
        headers[i][1] = (struct record_header){STR_LIT("ce_id"), str_of(message_id)};
        ops[i].record.headers_n = 2;
    }
    ops[i].record.headers = headers[i];
}

static struct publish_op *start(unsigned i, unsigned from, const char *source, const char *mid)
{
    fill(i, source, mid);
    broker_publish(r.brokers[from], &ops[i]);
    return &ops[i];
}

static struct publish_op *publish(unsigned i, const char *source, const char *mid)
{
    start(i, r.n - 1, source, mid);
    rig_run(&r);
    assert_null(ops[i].op.done);
    assert_int_equal(ops[i].op.err, ERR_OK);
    return &ops[i];
}

static int64_t stored(void)
{
    int64_t n = 0;
    for (int32_t p = 0; p < rig_topic(&r, 0, "t")->partitions; p++)
        n += rig_list(&r, 0, &id, p, LIST_LATEST);
    return n;
}

static void check_copy(const struct publish_op *copy, const struct publish_op *first)
{
    assert_true(copy->duplicate && !first->duplicate);
    assert_int_equal(copy->op.err, ERR_OK);
    assert_int_equal(copy->partition_out, first->partition_out);
    assert_int_equal(copy->offset, first->offset);
    assert_int_equal(copy->append_ms, first->append_ms);
}

static void test_dropped(void **state)
{
    (void)state;
    for (unsigned reactors = 1; reactors <= 2; reactors++) {
        make(reactors, 3);
        publish(0, "/a", "1");
        assert_false(publish(1, "/b", "1")->duplicate); /* another source's */
        assert_false(publish(2, "/a", "2")->duplicate);
        assert_false(publish(3, NULL, "1")->duplicate);
        fake_advance(&r.world, 1000);
        check_copy(publish(4, "/a", "1"), &ops[0]);
        check_copy(publish(5, "/b", "1"), &ops[1]);
        check_copy(publish(6, NULL, "1"), &ops[3]);
        assert_int_equal(stored(), 4);
        rig_free(&r);
    }
}

static void test_window(void **state)
{
    (void)state;
    make(1, 1);
    publish(0, "/a", "1");
    fake_advance(&r.world, WINDOW_MS);
    check_copy(publish(1, "/a", "1"), &ops[0]); /* the copy does not renew it */
    fake_advance(&r.world, 1);
    assert_false(publish(2, "/a", "1")->duplicate);
    check_copy(publish(3, "/a", "1"), &ops[2]);
    assert_int_equal(rig_configure(&r, "t", "weir.duplicates.window.ms", "0"), ERR_OK);
    assert_false(publish(4, "/a", "1")->duplicate);
    assert_int_equal(rig_configure(&r, "t", "weir.duplicates.window.ms", "1000"), ERR_OK);
    assert_false(publish(5, "/a", "1")->duplicate); /* what was known before is forgotten */
    check_copy(publish(6, "/a", "1"), &ops[5]);
    rig_free(&r);
}

static void test_no_id(void **state)
{
    (void)state;
    make(1, 2);
    for (unsigned i = 0; i < 2; i++) {
        fill(i, "/a", "");
        broker_publish(r.brokers[0], &ops[i]);
        rig_run(&r);
        assert_false(ops[i].duplicate);
    }
    assert_int_equal(stored(), 2);
    rig_free(&r);
}

/* Two copies in one turn: one is stored, and both are answered when it is. */
static void test_under_way(void **state)
{
    (void)state;
    for (unsigned reactors = 1; reactors <= 2; reactors++) {
        make(reactors, 1);
        rig_defer(&r, true);
        start(0, 0, "/a", "1");
        start(1, reactors - 1, "/a", "1");
        fake_deliver_all(&r.world);
        fake_fire(&r.world);
        start(2, 0, "/a", "1"); /* and when it is with the store */
        fake_deliver_all(&r.world);
        assert_int_equal(answered, 0);
        rig_run(&r);
        assert_int_equal(answered, 3);
        unsigned first = 0;
        while (ops[first].duplicate)
            first++;
        for (unsigned i = 0; i < 3; i++)
            if (i != first)
                check_copy(&ops[i], &ops[first]);
        assert_int_equal(stored(), 1);
        rig_free(&r);
    }
}

/* The first one fails: of those that wait one is the first then. */
static void test_first_fails(void **state)
{
    (void)state;
    make(1, 1);
    fake_disk_fail(r.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
    for (unsigned i = 0; i < 3; i++)
        start(i, 0, "/a", "1");
    rig_run(&r);
    assert_int_equal(answered, 3);
    assert_int_equal(ops[0].op.err, ERR_DISK_FULL);
    assert_int_equal(ops[1].op.err, ERR_OK);
    check_copy(&ops[2], &ops[1]);
    assert_int_equal(stored(), 1);
    check_copy(publish(3, "/a", "1"), &ops[1]);
    rig_free(&r);
}

static void test_restart(void **state)
{
    struct partition_stat stat;
    (void)state;
    make(2, 2);
    char mid[8][8];
    for (unsigned i = 0; i < 8; i++) {
        snprintf(mid[i], sizeof(mid[i]), "%u", i);
        publish(i, i % 2 ? "/a" : NULL, mid[i]);
        fake_advance(&r.world, 10000);
    }
    rig_restart(&r);
    uint64_t ids = 0;
    for (int32_t p = 0; p < 2; p++) {
        unsigned owner = broker_reactor_of_shard(r.brokers[0], broker_shard_of_partition(&id, p));
        assert_true(broker_partition_stat(r.brokers[owner], &id, p, &stat));
        ids += stat.ids;
    }
    assert_int_equal(ids, 6); /* 80 s ago was the first; the window is 60 s */
    for (unsigned i = 0; i < 8; i++) {
        publish(8 + i, i % 2 ? "/a" : NULL, mid[i]);
        if (i < 2)
            assert_false(ops[8 + i].duplicate);
        else
            check_copy(&ops[8 + i], &ops[i]);
    }
    assert_int_equal(stored(), 10);
    rig_free(&r);
}

/* Most of the log is older than the window, or nothing is, or all. */
static void test_restart_finds_the_window(void **state)
{
    char mid[16];
    struct partition_stat stat;
    (void)state;
    for (unsigned old = 0; old <= 12; old++) {
        make(1, 1);
        for (unsigned i = 0; i < 12; i++) {
            snprintf(mid, sizeof(mid), "%u", i);
            if (i == old)
                fake_advance(&r.world, WINDOW_MS + 1);
            publish(0, "/a", mid);
        }
        if (old == 12)
            fake_advance(&r.world, WINDOW_MS + 1);
        rig_restart(&r);
        assert_true(broker_partition_stat(r.brokers[0], &id, 0, &stat));
        assert_int_equal(stat.ids, 12 - old);
        rig_free(&r);
    }
}

/* The log starts amid a batch, holds a batch that cannot be read, and answers later. */
static void test_restart_odd_logs(void **state)
{
    (void)state;
    for (int broken = 0; broken < 2; broken++) {
        make(1, 1);
        struct store_log_id log = {id, 0};
        for (unsigned i = 0; i < 3; i++)
            start(i, 0, "/a", i == 0 ? "0" : i == 1 ? "1" : "2");
        rig_run(&r);
        publish(3, "/a", "3");
        publish(4, "/a", "4");
        fake_disk_retain(r.disk, &log, 1);
        if (broken)
            fake_disk_damage(r.disk, &log, 1, BATCH_HEAD_BYTES + 2);
        rig_restart(&r);
        check_copy(publish(5, "/a", "4"), &ops[4]);
        check_copy(publish(6, "/a", "2"), &ops[2]);
        assert_int_equal(publish(7, "/a", "3")->duplicate, !broken);
        rig_free(&r);
    }
}

static void test_killed_under_way(void **state)
{
    (void)state;
    make(1, 1);
    rig_defer(&r, true);
    start(0, 0, "/a", "1");
    fake_fire(&r.world);
    rig_kill(&r, 1); /* on disk, and nobody was told */
    rig_boot(&r);
    publish(1, "/a", "1");
    assert_true(ops[1].duplicate && ops[1].offset == 0);
    rig_free(&r);
}

/* Records of a Kafka batch are remembered. */
static void test_kafka_batch(void **state)
{
    struct batch_builder b;
    (void)state;
    make(1, 1);
    fill(0, "/a", "1");
    batch_begin(&b, 0);
    batch_add(&b, TS, (struct str){NULL, 0}, STR_LIT("x"), NULL, 0);
    batch_add(&b, TS, (struct str){NULL, 0}, STR_LIT("y"), headers[0], 2);
    assert_int_equal(rig_produce(&r, 0, &id, 0, batch_end(&b), NULL), ERR_OK);
    publish(0, "/a", "1");
    assert_true(ops[0].duplicate && ops[0].offset == 1);
    rig_free(&r);
}

/* ---- in groups ---- */

static struct publish_join join;
static struct store_group group;
static bool ready, ended;
static enum err ready_err;

static void join_ready(struct publish_join *j, enum err err)
{
    (void)j;
    ready = true;
    ready_err = err;
}

static void join_ended(struct publish_join *j)
{
    (void)j;
    ended = true;
}

static void group_done(struct store_group *g, enum err err)
{
    (void)g;
    publish_join_end(&join, err);
}

static enum err join_start(size_t n)
{
    ready = ended = false;
    join = (struct publish_join){
        .outputs = ops, .outputs_n = n, .ready = join_ready, .ended = join_ended};
    publish_join(r.brokers[0], &join);
    fake_deliver_all(&r.world);
    assert_true(ready);
    return ready_err;
}

static void join_commit(void)
{
    struct store *store = fake_store_port(r.stores[0]);
    group.done = group_done;
    store_begin(store, &group);
    publish_join_add(&join, store, &group);
    store_commit(store, &group);
    rig_run(&r);
    assert_true(ended);
}

static void test_join(void **state)
{
    (void)state;
    make(2, 2);
    publish(9, "/a", "stored");
    fill(0, "/a", "1");
    fill(1, "/a", "stored");
    fill(2, "/a", "1"); /* a copy in the same group */
    assert_int_equal(join_start(3), ERR_OK);
    assert_true(ops[1].duplicate && ops[1].offset == ops[9].offset);
    start(5, 1, "/a", "1"); /* waits for the group */
    fake_deliver_all(&r.world);
    assert_non_null(ops[5].op.done);
    join_commit();
    assert_null(ops[5].op.done);
    check_copy(&ops[2], &ops[0]);
    check_copy(&ops[5], &ops[0]);
    assert_int_equal(stored(), 2);
    assert_int_equal(join_start(3), ERR_OK); /* all of it again: nothing to add */
    assert_true(ops[0].duplicate && ops[1].duplicate && ops[2].duplicate);
    join_commit();
    assert_int_equal(stored(), 2);
    rig_free(&r);
}

static void test_join_meets_one_under_way(void **state)
{
    (void)state;
    make(1, 1);
    rig_defer(&r, true);
    start(5, 0, "/a", "2");
    fill(0, "/a", "1");
    fill(1, "/a", "2");
    assert_int_equal(join_start(2), ERR_BUSY);
    rig_run(&r);
    rig_defer(&r, false);
    assert_false(publish(6, "/a", "1")->duplicate); /* nothing of the group was remembered */
    rig_free(&r);
}

static void test_join_fails(void **state)
{
    (void)state;
    make(1, 1);
    fill(0, "/a", "1");
    fill(1, "/a", "1");
    assert_int_equal(join_start(2), ERR_OK);
    start(5, 0, "/a", "1");
    fake_disk_fail(r.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
    join_commit();
    assert_true(ops[0].op.err == ERR_DISK_FULL && ops[1].op.err == ERR_DISK_FULL);
    assert_true(ops[5].op.err == ERR_OK && !ops[5].duplicate); /* who waited is the first */
    assert_int_equal(stored(), 1);
    rig_free(&r);
}

/* ---- the memory by itself ---- */

static void test_ids(void **state)
{
    char long_id[1001] = "";
    struct str none = {NULL, 0};
    (void)state;
    memset(long_id, 'x', 1000);
    struct message_id ids[] = {
        {none, STR_LIT("1")},         {STR_LIT(""), STR_LIT("1")},   {STR_LIT("1"), STR_LIT("")},
        {STR_LIT("a"), STR_LIT("b")}, {STR_LIT("ab"), STR_LIT("")},  {none, STR_LIT("ab")},
        {none, {long_id, 1000}},      {none, {long_id, 999}},        {none, {long_id, 240}},
        {none, {long_id, 241}},       {{long_id, 240}, STR_LIT("")},
    };
    size_t n = sizeof(ids) / sizeof(ids[0]);
    for (size_t i = 0; i < n; i++) {
        struct duplicate_id a = duplicate_id_make(ids[i]), again = duplicate_id_make(ids[i]);
        assert_true(duplicate_id_given(&a));
        assert_memory_equal(&a, &again, sizeof(a));
        for (size_t k = 0; k < i; k++) {
            struct duplicate_id b = duplicate_id_make(ids[k]);
            if (i == 1 && k == 0) /* no source is as an empty one */
                continue;
            assert_true(a.h[0] != b.h[0] && a.h[1] != b.h[1]);
        }
    }
    struct duplicate_id nothing = duplicate_id_make((struct message_id){STR_LIT("a"), none});
    assert_false(duplicate_id_given(&nothing));
}

/* At the limit the oldest is forgotten; what is under way never is. */
static void test_limit(void **state)
{
    struct duplicates *d = duplicates_make();
    struct duplicate_found found;
    struct duplicate_id under_way = {{1, 1}};
    (void)state;
    assert_int_equal(duplicates_check(d, under_way, 0, &found, &found), DUPLICATE_NEW);
    for (uint64_t i = 0; i <= DUPLICATES_MAX; i++)
        duplicates_note(d, (struct duplicate_id){{i * 0x9e3779b97f4a7c15, 2}}, (int64_t)i, 5);
    assert_int_equal(duplicates_count(d), DUPLICATES_MAX + 1);
    assert_int_equal(duplicates_forgotten(d), 1);
    struct duplicate_id first = {{0, 2}}, second = {{0x9e3779b97f4a7c15, 2}};
    assert_int_equal(duplicates_check(d, second, 0, d, &found), DUPLICATE_STORED);
    assert_int_equal(found.offset, 1);
    assert_int_equal(duplicates_check(d, first, 0, d, &found), DUPLICATE_NEW);
    assert_int_equal(duplicates_check(d, under_way, 0, d, &found), DUPLICATE_UNDER_WAY);
    assert_ptr_equal(found.tag, &found);
    duplicates_done(d, first, -1, -1);
    duplicates_done(d, under_way, 9, 9);
    duplicates_expire(d, 6);
    assert_int_equal(duplicates_count(d), 1);
    duplicates_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dropped),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_no_id),
        cmocka_unit_test(test_under_way),
        cmocka_unit_test(test_first_fails),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_restart_finds_the_window),
        cmocka_unit_test(test_restart_odd_logs),
        cmocka_unit_test(test_killed_under_way),
        cmocka_unit_test(test_kafka_batch),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_join_meets_one_under_way),
        cmocka_unit_test(test_join_fails),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
