/* Produce through the broker: idempotence under way and over restarts, refusals, failures. */
#include "../check.h"

#include "base/mem.h"
#include "rig.h"

#include <string.h>

#define TS 1767225600000

static struct uuid topic(struct rig *r, unsigned reactors)
{
    rig_make(r, reactors);
    assert_int_equal(rig_create(r, 0, "t", 4), ERR_OK);
    return rig_topic_id(r, "t");
}

static void test_duplicates(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 2; n++) {
        struct rig r;
        struct uuid id = topic(&r, n);
        for (int32_t i = 0; i < 6; i++) {
            int64_t offset;
            assert_int_equal(
                rig_produce(&r, 0, &id, 1, rig_batch_from(2, TS, 9, 0, 2 * i), &offset), ERR_OK);
            assert_int_equal(offset, 2 * i);
        }
        for (int round = 0; round < 3; round++) {
            for (int32_t i = 1; i < 6; i++) {
                int64_t offset;
                assert_int_equal(
                    rig_produce(&r, n - 1, &id, 1, rig_batch_from(2, TS, 9, 0, 2 * i), &offset),
                    ERR_OK);
                assert_int_equal(offset, 2 * i);
            }
            assert_int_equal(rig_produce(&r, 0, &id, 1, rig_batch_from(2, TS, 9, 0, 0), NULL),
                             ERR_SEQUENCE);
            assert_int_equal(rig_list(&r, 0, &id, 1, LIST_LATEST), 12);
            if (round == 0)
                fake_disk_checkpoint(r.disk); /* then from the snapshot */
            rig_restart(&r);
        }
        rig_free(&r);
    }
}

/* Half of the state from a snapshot, half from the batches behind it. */
static void test_snapshot_and_replay(void **state)
{
    struct rig r;
    struct uuid id = topic(&r, 1);
    (void)state;
    for (int32_t i = 0; i < 4; i++) {
        assert_int_equal(rig_produce(&r, 0, &id, 0, rig_batch_from(1, TS, 9, 0, i), NULL), ERR_OK);
        if (i == 1)
            fake_disk_checkpoint(r.disk);
    }
    rig_restart(&r);
    for (int32_t i = 0; i < 4; i++) {
        int64_t offset;
        assert_int_equal(rig_produce(&r, 0, &id, 0, rig_batch_from(1, TS, 9, 0, i), &offset),
                         ERR_OK);
        assert_int_equal(offset, i);
    }
    assert_int_equal(rig_produce(&r, 0, &id, 0, rig_batch_from(1, TS, 9, 0, 4), NULL), ERR_OK);
    rig_free(&r);
}

static void test_duplicate_under_way(void **state)
{
    struct rig r;
    struct uuid id = topic(&r, 2);
    struct rig_produce *p[4];
    (void)state;
    rig_defer(&r, true);
    for (unsigned i = 0; i < 4; i++) {
        p[i] = rig_produce_start(&r, i % 2, &id, 2, rig_batch_from(3, TS, 9, 0, 0));
        fake_deliver_all(&r.world);
        assert_false(p[i]->done);
    }
    assert_int_equal(fake_disk_under_way(r.disk), 1);
    rig_run(&r);
    for (unsigned i = 0; i < 4; i++) {
        assert_true(p[i]->done);
        assert_int_equal(p[i]->op.op.err, ERR_OK);
        assert_int_equal(p[i]->op.base_offset, 0);
        rig_produce_free(p[i]);
    }
    assert_int_equal(rig_list(&r, 0, &id, 2, LIST_LATEST), 3);
    rig_free(&r);
}

/* The first one fails: so do those that waited for it, and all may come again. */
static void test_failed_under_way(void **state)
{
    struct rig r;
    struct uuid id = topic(&r, 1);
    struct rig_produce *p[2];
    int64_t offset;
    (void)state;
    rig_defer(&r, true);
    fake_disk_fail(r.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
    for (unsigned i = 0; i < 2; i++)
        p[i] = rig_produce_start(&r, 0, &id, 2, rig_batch_from(3, TS, 9, 0, 0));
    rig_run(&r);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(p[i]->done);
        assert_int_equal(p[i]->op.op.err, ERR_DISK_FULL);
        assert_int_equal(p[i]->op.base_offset, -1);
        rig_produce_free(p[i]);
    }
    assert_int_equal(rig_produce(&r, 0, &id, 2, rig_batch_from(3, TS, 9, 0, 0), &offset), ERR_OK);
    assert_int_equal(offset, 0);
    rig_free(&r);
}

/* A producer pipelines five; the process dies with k of them on disk, none acknowledged; it sends
 * all again: each is there once, in order. */
static void test_killed_under_way(void **state)
{
    (void)state;
    for (unsigned kept = 0; kept <= 5; kept++) {
        struct rig r;
        struct uuid id = topic(&r, 2);
        struct rig_produce *p[5];
        rig_defer(&r, true);
        for (int32_t i = 0; i < 5; i++)
            p[i] = rig_produce_start(&r, 0, &id, 3, rig_batch_from(2, TS, 9, 0, 2 * i));
        fake_deliver_all(&r.world);
        rig_kill(&r, kept);
        for (int32_t i = 0; i < 5; i++) {
            assert_false(p[i]->done);
            rig_produce_free(p[i]);
        }
        rig_boot(&r);
        assert_int_equal(r.load_err, ERR_OK);
        assert_int_equal(rig_list(&r, 0, &id, 3, LIST_LATEST), 2 * kept);
        for (int32_t i = 0; i < 5; i++) {
            int64_t offset;
            assert_int_equal(
                rig_produce(&r, 1, &id, 3, rig_batch_from(2, TS, 9, 0, 2 * i), &offset), ERR_OK);
            assert_int_equal(offset, 2 * i);
        }
        assert_int_equal(rig_list(&r, 0, &id, 3, LIST_LATEST), 10);
        rig_free(&r);
    }
}

static void test_fenced(void **state)
{
    struct rig r;
    struct uuid id = topic(&r, 1);
    (void)state;
    assert_int_equal(rig_produce(&r, 0, &id, 0, rig_batch_from(1, TS, 9, 1, 0), NULL), ERR_OK);
    struct rig_produce *p = rig_produce_start(&r, 0, &id, 0, rig_batch_from(1, TS, 9, 0, 1));
    assert_true(p->done);
    assert_int_equal(p->op.op.err, ERR_PRODUCER_EPOCH);
    assert_non_null(strstr(p->op.text.s, "epoch 1"));
    rig_produce_free(p);
    assert_int_equal(rig_produce(&r, 0, &id, 0, rig_batch_from(1, TS, 9, 2, 1), NULL),
                     ERR_SEQUENCE);
    rig_free(&r);
}

static void test_expiry(void **state)
{
    struct rig r;
    (void)state;
    rig_prepare(&r, 2);
    r.conf.producer_expiration_ms = 60000;
    rig_boot(&r);
    assert_int_equal(rig_create(&r, 0, "t", 8), ERR_OK);
    struct uuid id = rig_topic_id(&r, "t");
    for (int32_t p = 0; p < 8; p++)
        assert_int_equal(rig_produce(&r, 0, &id, p, rig_batch_from(1, TS, 9, 0, 0), NULL), ERR_OK);
    fake_advance(&r.world, 599000);
    assert_int_equal(rig_produce(&r, 0, &id, 0, rig_batch_from(1, TS, 9, 0, 1), NULL), ERR_OK);
    fake_advance(&r.world, 1000); /* the sweep */
    assert_int_equal(rig_produce(&r, 0, &id, 0, rig_batch_from(1, TS, 9, 0, 9), NULL),
                     ERR_SEQUENCE);
    for (int32_t p = 1; p < 8; p++)
        assert_int_equal(rig_produce(&r, 0, &id, p, rig_batch_from(1, TS, 9, 0, 9), NULL), ERR_OK);
    rig_free(&r);
}

static void ignore(struct op *op)
{
    (void)op;
}

static void test_nudge(void **state)
{
    static const struct {
        int64_t producer;
        int32_t sequence;
        bool nudge;
        enum err err;
    } cases[] = {{-1, -1, true, ERR_OK},
                 {9, 0, true, ERR_OK}, /* not known here: what follows would not be refused */
                 {9, 0, true, ERR_OK}, /* stored already */
                 {9, 1, true, ERR_NOT_LEADER},
                 {9, 1, false, ERR_OK}};
    struct rig r;
    struct uuid id = topic(&r, 1);
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct slice batch = cases[i].producer < 0 ? rig_batch(1, TS)
                                                   : rig_batch_from(1, TS, 9, 0, cases[i].sequence);
        struct produce_op op = {.op.done = ignore,
                                .actor = &rig_actor,
                                .topic = id,
                                .batch = batch,
                                .nudge = cases[i].nudge};
        broker_produce(r.brokers[0], &op);
        rig_run(&r);
        assert_int_equal(op.op.err, cases[i].err);
        slice_unref(batch);
    }
    assert_int_equal(rig_list(&r, 0, &id, 0, LIST_LATEST), 3);
    rig_free(&r);
}

static void test_refused(void **state)
{
    struct rig r;
    struct uuid id = topic(&r, 2), none = {{1}};
    struct uuid internal = topic_state_id(TOPIC_STATE_OFFSETS);
    (void)state;
    assert_int_equal(rig_produce(&r, 0, &id, 4, rig_batch(1, TS), NULL), ERR_TOPIC_UNKNOWN);
    assert_int_equal(rig_produce(&r, 0, &id, -1, rig_batch(1, TS), NULL), ERR_TOPIC_UNKNOWN);
    assert_int_equal(rig_produce(&r, 1, &none, 0, rig_batch(1, TS), NULL), ERR_TOPIC_UNKNOWN);
    assert_int_equal(rig_produce(&r, 1, &internal, 0, rig_batch(1, TS), NULL), ERR_TOPIC_INVALID);
    struct slice batch = rig_batch(3, TS);
    ((uint8_t *)batch.at)[70] ^= 1;
    assert_int_equal(rig_produce(&r, 1, &id, 0, batch, NULL), ERR_CORRUPT);
    struct rig_produce *p = rig_produce_start(&r, 0, &id, 0, rig_batch(3, TS + 48 * 3600 * 1000));
    rig_run(&r);
    assert_int_equal(p->op.op.err, ERR_TIMESTAMP_INVALID);
    assert_int_equal(p->op.bad_record, 0);
    rig_produce_free(p);
    rig_free(&r);
}

static void test_append_time(void **state)
{
    struct rig r;
    struct uuid id = topic(&r, 1);
    (void)state;
    assert_int_equal(rig_configure(&r, "t", "message.timestamp.type", "LogAppendTime"), ERR_OK);
    fake_advance(&r.world, 5);
    struct rig_produce *p = rig_produce_start(&r, 0, &id, 0, rig_batch(3, 1));
    rig_run(&r);
    assert_int_equal(p->op.op.err, ERR_OK);
    assert_int_equal(p->op.append_ms, rig_env(&r, 0)->now_ms);
    rig_produce_free(p);
    assert_int_equal(rig_list(&r, 0, &id, 0, (int64_t)rig_env(&r, 0)->now_ms), 0);
    assert_int_equal(rig_configure(&r, "t", "message.timestamp.type", NULL), ERR_OK);
    p = rig_produce_start(&r, 0, &id, 0, rig_batch(3, 1));
    rig_run(&r);
    assert_int_equal(p->op.append_ms, -1);
    assert_int_equal(p->op.log_start, 0);
    rig_produce_free(p);
    rig_free(&r);
}

static void test_stat(void **state)
{
    struct rig r;
    struct uuid id = topic(&r, 2);
    struct partition_stat st;
    (void)state;
    struct slice batch = rig_batch_from(3, TS, 9, 0, 0);
    uint64_t bytes = batch.len;
    assert_int_equal(rig_produce(&r, 0, &id, 1, batch, NULL), ERR_OK);
    unsigned owner = broker_reactor_of_shard(r.brokers[0], broker_shard_of_partition(&id, 1));
    assert_false(broker_partition_stat(r.brokers[1 - owner], &id, 1, &st));
    assert_true(broker_partition_stat(r.brokers[owner], &id, 1, &st));
    assert_int_equal(st.high_watermark, 3);
    assert_int_equal(st.log_start, 0);
    assert_int_equal(st.leader_epoch, 1);
    assert_int_equal(st.bytes, bytes);
    assert_int_equal(st.records_in, 3);
    assert_int_equal(st.bytes_in, bytes);
    assert_int_equal(st.producers, 1);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_snapshot_and_replay),
        cmocka_unit_test(test_duplicate_under_way),
        cmocka_unit_test(test_failed_under_way),
        cmocka_unit_test(test_killed_under_way),
        cmocka_unit_test(test_fenced),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_nudge),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_append_time),
        cmocka_unit_test(test_stat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
