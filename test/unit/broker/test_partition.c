/* Reading verbs and trimming, on one reactor and across two. */
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

static void check_read(struct rig *r, unsigned from, const struct uuid *id, int32_t partition,
                       int64_t offset, const char *values)
{
    enum err err;
    char *got = rig_read(r, from, id, partition, offset, &err);
    assert_int_equal(err, ERR_OK);
    assert_string_equal(got, values);
    mem_free(got);
}

static enum err read_err(struct rig *r, const struct uuid *id, int32_t partition, int64_t offset)
{
    enum err err;
    mem_free(rig_read(r, 0, id, partition, offset, &err));
    return err;
}

static void put(struct rig *r, const struct uuid *id, int32_t partition, unsigned n, int64_t ts)
{
    assert_int_equal(rig_produce(r, 0, id, partition, rig_batch(n, ts), NULL), ERR_OK);
}

static void test_produce_and_read(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 3; n++) {
        struct rig r;
        struct uuid id = topic(&r, n);
        for (int32_t p = 0; p < 4; p++) {
            int64_t offset;
            assert_int_equal(rig_produce(&r, 0, &id, p, rig_batch(2, 1), &offset), ERR_OK);
            assert_int_equal(offset, 0);
            assert_int_equal(rig_produce(&r, n - 1, &id, p, rig_batch(3, 1), &offset), ERR_OK);
            assert_int_equal(offset, 2);
            check_read(&r, 0, &id, p, 0, "v0 v1 v0 v1 v2 ");
            check_read(&r, n - 1, &id, p, 3, "v1 v2 "); /* the batch around it came whole */
            check_read(&r, 0, &id, p, 5, "");
        }
        rig_free(&r);
    }
}

static void done(struct op *op)
{
    (void)op;
}

static struct read_op read_op(const struct uuid *id, int64_t offset)
{
    return (struct read_op){
        .op.done = done,
        .actor = &rig_actor,
        .topic = *id,
        .offset = offset,
        .leader_epoch = -1,
        .last_fetched_epoch = -1,
        .bytes_max = 1 << 20,
    };
}

static void run_read(struct rig *r, struct read_op *op)
{
    broker_read(r->brokers[0], op);
    rig_run(r);
}

/* Nothing that is not durable is visible. */
static void test_visible_when_durable(void **state)
{
    struct rig r;
    struct uuid id = topic(&r, 1);
    (void)state;
    put(&r, &id, 0, 2, TS);
    fake_store_defer(r.stores[0], true);
    struct rig_produce *p = rig_produce_start(&r, 0, &id, 0, rig_batch(1, TS));
    struct read_op at_end = read_op(&id, 2), beyond = read_op(&id, 3);
    broker_read(r.brokers[0], &at_end); /* needs no store: answered at once */
    assert_int_equal(at_end.op.err, ERR_OK);
    assert_int_equal(at_end.high_watermark, 2);
    assert_int_equal(at_end.records.bytes, 0);
    broker_read(r.brokers[0], &beyond);
    assert_int_equal(beyond.op.err, ERR_OFFSET_RANGE);
    rig_run(&r);
    assert_true(p->done);
    assert_int_equal(rig_list(&r, 0, &id, 0, LIST_LATEST), 3);
    rig_produce_free(p);
    rig_free(&r);
}

static void test_read_marks(void **state)
{
    struct rig r;
    struct uuid id = topic(&r, 2);
    (void)state;
    put(&r, &id, 0, 3, TS);
    struct read_op op = read_op(&id, 0);
    run_read(&r, &op);
    assert_int_equal(op.high_watermark, 3);
    assert_int_equal(op.last_stable, 3);
    assert_int_equal(op.log_start, 0);
    assert_int_equal(op.epoch, 1);
    assert_int_equal(op.diverging_epoch, -1);
    assert_true(op.records.bytes > 0);
    chunkq_clear(&op.records);
    rig_free(&r);
}

static void test_bytes_max(void **state)
{
    struct rig r;
    struct uuid id = topic(&r, 1);
    (void)state;
    put(&r, &id, 0, 3, TS);
    put(&r, &id, 0, 3, TS);
    struct read_op op = read_op(&id, 0);
    op.bytes_max = 1;
    run_read(&r, &op);
    assert_int_equal(op.records.bytes, 0);
    op = read_op(&id, 0);
    op.bytes_max = 1;
    op.min_one = true; /* KIP-74 */
    run_read(&r, &op);
    size_t one = op.records.bytes;
    assert_true(one > BATCH_HEAD_BYTES);
    chunkq_clear(&op.records);
    op = read_op(&id, 0);
    op.bytes_max = 0;
    run_read(&r, &op);
    assert_int_equal(op.op.err, ERR_OK);
    assert_int_equal(op.records.bytes, 0);
    op = read_op(&id, 0);
    op.bytes_max = 2 * one;
    run_read(&r, &op);
    assert_int_equal(op.records.bytes, 2 * one);
    chunkq_clear(&op.records);
    rig_free(&r);
}

static void test_ranges(void **state)
{
    struct rig r;
    struct uuid id = topic(&r, 2), none = {{9}};
    (void)state;
    put(&r, &id, 1, 5, TS);
    assert_int_equal(read_err(&r, &id, 1, -1), ERR_OFFSET_RANGE);
    assert_int_equal(read_err(&r, &id, 1, 6), ERR_OFFSET_RANGE);
    assert_int_equal(read_err(&r, &id, 1, 5), ERR_OK);
    assert_int_equal(read_err(&r, &id, 4, 0), ERR_TOPIC_UNKNOWN);
    assert_int_equal(read_err(&r, &none, 0, 0), ERR_TOPIC_UNKNOWN);
    fake_disk_fail(r.disk, FAKE_READ, 1, 1, ERR_IO);
    assert_int_equal(read_err(&r, &id, 1, 0), ERR_IO);
    rig_free(&r);
}

static void test_leader_epoch(void **state)
{
    struct rig r;
    struct uuid id = topic(&r, 2);
    (void)state;
    rig_restart(&r); /* epoch 2 */
    static const struct {
        int32_t epoch;
        enum err err;
    } cases[] = {
        {-1, ERR_OK}, {1, ERR_LEADER_EPOCH_FENCED}, {2, ERR_OK}, {3, ERR_LEADER_EPOCH_UNKNOWN}};
    for (size_t i = 0; i < 4; i++) {
        struct read_op read = read_op(&id, 0);
        read.leader_epoch = cases[i].epoch;
        run_read(&r, &read);
        assert_int_equal(read.op.err, cases[i].err);
        assert_int_equal(read.epoch, 2);
        struct list_op list = {
            .op.done = done, .topic = id, .timestamp = LIST_LATEST, .leader_epoch = cases[i].epoch};
        broker_list_offset(r.brokers[1], &list);
        rig_run(&r);
        assert_int_equal(list.op.err, cases[i].err);
        struct epoch_op ep = {.op.done = done, .topic = id, .current_epoch = cases[i].epoch};
        broker_epoch_end(r.brokers[1], &ep);
        rig_run(&r);
        assert_int_equal(ep.op.err, cases[i].err);
    }
    rig_free(&r);
}

/* Epochs 1, 2, 3 hold offsets 0-1, 2-4, 5; the broker is in epoch 4. */
static struct uuid three_epochs(struct rig *r)
{
    struct uuid id = topic(r, 2);
    put(r, &id, 0, 2, TS);
    rig_restart(r);
    put(r, &id, 0, 3, TS + 1);
    rig_restart(r);
    put(r, &id, 0, 1, TS + 2);
    rig_restart(r);
    return id;
}

static void test_epoch_end(void **state)
{
    static const struct {
        int32_t asked, epoch;
        int64_t end;
    } cases[] = {{1, 1, 2}, {2, 2, 5}, {3, 3, 6}, {4, 4, 6}, {5, -1, -1}, {0, 0, 0}, {-1, -1, -1}};
    struct rig r;
    struct uuid id = three_epochs(&r);
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct epoch_op op = {
            .op.done = done, .topic = id, .current_epoch = -1, .asked_epoch = cases[i].asked};
        broker_epoch_end(r.brokers[i % 2], &op);
        rig_run(&r);
        assert_int_equal(op.op.err, ERR_OK);
        assert_int_equal(op.found_epoch, cases[i].epoch);
        assert_int_equal(op.end_offset, cases[i].end);
    }
    rig_free(&r);
}

static void test_diverging(void **state)
{
    static const struct {
        int32_t last_epoch;
        int64_t offset;
        enum err err;
        int32_t diverging;
        int64_t end;
    } cases[] = {
        {1, 2, ERR_OK, -1, -1}, /* agrees: epoch 1 ended at 2 */
        {1, 3, ERR_OK, 1, 2},   /* has read beyond its end */
        {2, 5, ERR_OK, -1, -1},
        {2, 6, ERR_OK, 2, 5},
        {3, 6, ERR_OK, -1, -1},
        {4, 6, ERR_OK, -1, -1},
        {5, 6, ERR_OFFSET_RANGE, -1, -1},
        {0, 0, ERR_OFFSET_RANGE, -1, -1},
    };
    struct rig r;
    struct uuid id = three_epochs(&r);
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct read_op op = read_op(&id, cases[i].offset);
        op.last_fetched_epoch = cases[i].last_epoch;
        run_read(&r, &op);
        assert_int_equal(op.op.err, cases[i].err);
        assert_int_equal(op.diverging_epoch, cases[i].diverging);
        assert_int_equal(op.diverging_end, cases[i].end);
        if (cases[i].diverging >= 0)
            assert_int_equal(op.records.bytes, 0);
        chunkq_clear(&op.records);
    }
    rig_free(&r);
}

static struct list_op list(struct rig *r, const struct uuid *id, int64_t timestamp)
{
    struct list_op op = {.op.done = done, .topic = *id, .timestamp = timestamp, .leader_epoch = -1};
    broker_list_offset(r->brokers[0], &op);
    rig_run(r);
    return op;
}

static void check_list(struct rig *r, const struct uuid *id, int64_t timestamp, int64_t offset,
                       int64_t found, int32_t epoch)
{
    struct list_op op = list(r, id, timestamp);
    assert_int_equal(op.op.err, ERR_OK);
    assert_int_equal(op.offset, offset);
    assert_int_equal(op.found_timestamp, found);
    assert_int_equal(op.found_epoch, epoch);
}

static void test_list(void **state)
{
    struct rig r;
    struct uuid id = three_epochs(&r);
    (void)state;
    check_list(&r, &id, LIST_LATEST, 6, -1, 4);
    check_list(&r, &id, LIST_EARLIEST, 0, -1, 1);
    check_list(&r, &id, LIST_EARLIEST_LOCAL, 0, -1, 1);
    check_list(&r, &id, LIST_MAX_TIMESTAMP, 5, TS + 2, 3);
    check_list(&r, &id, LIST_LATEST_TIERED, -1, -1, -1);
    check_list(&r, &id, LIST_EARLIEST_PENDING_UPLOAD, -1, -1, -1);
    check_list(&r, &id, 0, 0, TS, 1);
    check_list(&r, &id, TS + 1, 2, TS + 1, 2);
    check_list(&r, &id, TS + 3, -1, -1, -1);
    assert_int_equal(list(&r, &id, -7).op.err, ERR_VERSION_UNSUPPORTED);
    fake_disk_fail(r.disk, FAKE_FIND, 1, 1, ERR_IO);
    assert_int_equal(list(&r, &id, TS).op.err, ERR_IO);
    rig_free(&r);
}

/* Timestamps need not be in order: the first offset at or after. */
static void test_list_unordered(void **state)
{
    struct rig r;
    struct uuid id = topic(&r, 1);
    (void)state;
    put(&r, &id, 0, 1, TS + 10);
    put(&r, &id, 0, 1, TS + 5);
    put(&r, &id, 0, 1, TS + 20);
    put(&r, &id, 0, 1, TS + 20);
    check_list(&r, &id, TS + 1, 0, TS + 10, 1);
    check_list(&r, &id, TS + 11, 2, TS + 20, 1);
    check_list(&r, &id, LIST_MAX_TIMESTAMP, 2, TS + 20, 1);
    rig_free(&r);
}

static void test_list_empty(void **state)
{
    struct rig r;
    struct uuid id = topic(&r, 1), state_id = topic_state_id(TOPIC_STATE_OFFSETS);
    (void)state;
    const struct uuid *ids[] = {&id, &state_id};
    for (int i = 0; i < 2; i++) {
        check_list(&r, ids[i], LIST_LATEST, 0, -1, 1);
        check_list(&r, ids[i], LIST_EARLIEST, 0, -1, 1);
        check_list(&r, ids[i], LIST_MAX_TIMESTAMP, -1, -1, -1);
        check_list(&r, ids[i], TS, -1, -1, -1);
    }
    rig_free(&r);
}

static enum err trim(struct rig *r, const struct uuid *id, int64_t offset, int64_t *start)
{
    struct trim_op op = {.op.done = done, .actor = &rig_actor, .topic = *id, .offset = offset};
    broker_trim(r->brokers[r->n - 1], &op);
    rig_run(r);
    *start = op.log_start;
    return op.op.err;
}

static void test_trim(void **state)
{
    struct rig r;
    struct uuid id = topic(&r, 2), internal = topic_state_id(TOPIC_STATE_OFFSETS);
    int64_t start;
    (void)state;
    put(&r, &id, 0, 4, TS);
    put(&r, &id, 0, 4, TS);
    assert_int_equal(trim(&r, &id, 9, &start), ERR_OFFSET_RANGE);
    assert_int_equal(trim(&r, &id, -2, &start), ERR_OFFSET_RANGE);
    assert_int_equal(trim(&r, &id, 3, &start), ERR_OK);
    assert_int_equal(start, 3);
    assert_int_equal(trim(&r, &id, 2, &start), ERR_OK); /* nothing happens */
    assert_int_equal(start, 3);
    assert_int_equal(read_err(&r, &id, 0, 2), ERR_OFFSET_RANGE);
    check_read(&r, 0, &id, 0, 3, "v3 v0 v1 v2 v3 ");
    assert_int_equal(rig_list(&r, 0, &id, 0, LIST_EARLIEST), 3);
    rig_restart(&r);
    assert_int_equal(rig_list(&r, 0, &id, 0, LIST_EARLIEST), 3);
    fake_disk_fail(r.disk, FAKE_TRIM, 1, 1, ERR_DISK_FULL);
    assert_int_equal(trim(&r, &id, 5, &start), ERR_DISK_FULL);
    assert_int_equal(start, 3);
    assert_int_equal(trim(&r, &id, -1, &start), ERR_OK);
    assert_int_equal(start, 8);
    assert_int_equal(trim(&r, &internal, 0, &start), ERR_TOPIC_INVALID);
    rig_free(&r);
}

/* ---- watches ---- */

struct watcher {
    struct watch_op op;
    int done;
};

static void watched(struct op *op)
{
    container_of(op, struct watcher, op.op)->done++;
}

static void watch(struct rig *r, unsigned from, struct watcher *w, const struct uuid *id,
                  int64_t offset)
{
    *w = (struct watcher){.op = {.op.done = watched, .topic = *id, .offset = offset}};
    broker_watch(r->brokers[from], &w->op);
    rig_run(r);
}

static void test_watch_fires(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 2; n++) {
        struct rig r;
        struct uuid id = topic(&r, n);
        struct watcher w[3];
        watch(&r, 0, &w[0], &id, 0);
        watch(&r, n - 1, &w[1], &id, 0);
        watch(&r, n - 1, &w[2], &id, 2);
        assert_int_equal(w[0].done + w[1].done + w[2].done, 0);
        put(&r, &id, 0, 1, TS);
        assert_int_equal(w[0].done + w[1].done, 2);
        assert_int_equal(w[0].op.op.err, ERR_OK);
        put(&r, &id, 1, 5, TS); /* another partition */
        put(&r, &id, 0, 1, TS);
        assert_int_equal(w[2].done, 0);
        put(&r, &id, 0, 1, TS);
        assert_int_equal(w[2].done, 1);
        watch(&r, n - 1, &w[2], &id, 2); /* is so already */
        assert_int_equal(w[2].done, 1);
        rig_free(&r);
    }
}

/* A retention or trim, a growth, a deletion: whoever waits looks again. */
static void test_watch_other_reasons(void **state)
{
    struct rig r;
    struct uuid id = topic(&r, 2);
    struct watcher w;
    int64_t start;
    (void)state;
    put(&r, &id, 0, 4, TS);
    watch(&r, 1, &w, &id, 4);
    assert_int_equal(trim(&r, &id, 2, &start), ERR_OK);
    assert_int_equal(w.done, 1);

    watch(&r, 1, &w, &id, 4);
    fake_disk_retain(r.disk, &(struct store_log_id){id, 0}, 3);
    rig_run(&r);
    assert_int_equal(w.done, 1);
    assert_int_equal(rig_list(&r, 0, &id, 0, LIST_EARLIEST), 3);

    watch(&r, 0, &w, &id, 4);
    assert_int_equal(rig_configure(&r, "t", "retention.ms", "5"), ERR_OK);
    assert_int_equal(w.done, 0);
    assert_int_equal(rig_grow(&r, 0, "t", 5), ERR_OK);
    assert_int_equal(w.done, 1);

    watch(&r, 0, &w, &id, 4);
    assert_int_equal(rig_delete(&r, 1, "t"), ERR_OK);
    assert_int_equal(w.done, 1);
    assert_int_equal(w.op.op.err, ERR_OK);
    watch(&r, 0, &w, &id, 4); /* gone: look again, and see that */
    assert_int_equal(w.done, 1);
    rig_free(&r);
}

static void test_watch_cancel(void **state)
{
    (void)state;
    for (unsigned from = 0; from < 2; from++) {
        struct rig r;
        struct uuid id = topic(&r, 2);
        struct watcher w;
        watch(&r, from, &w, &id, 0);
        broker_watch_cancel(r.brokers[from], &w.op);
        broker_watch_cancel(r.brokers[from], &w.op); /* twice is once */
        rig_run(&r);
        assert_int_equal(w.done, 1);
        assert_int_equal(w.op.op.err, ERR_CLOSED);
        put(&r, &id, 0, 1, TS);
        assert_int_equal(w.done, 1);
        rig_free(&r);
    }
}

/* Every order of: the watch's arrival, the append, the cancellation, and the mails between. done
 * comes once, and after it no mail refers to the watch: its memory is poisoned then. */
static void test_watch_races(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct rig r;
        struct uuid id = topic(&r, 2);
        struct rng rng;
        unsigned owner = broker_reactor_of_shard(r.brokers[0], broker_shard_of_partition(&id, 0));
        unsigned from = 1 - owner;
        struct watcher *w = mem_zalloc(1, sizeof(*w));
        struct rig_produce *p = NULL;
        bool cancelled = false, freed = false;
        rng_seed(&rng, seed);
        *w = (struct watcher){.op = {.op.done = watched, .topic = id}};
        broker_watch(r.brokers[from], &w->op);
        while (!freed || p == NULL || !p->done) {
            switch (rng_below(&rng, 4)) {
            case 0:
                if (p == NULL)
                    p = rig_produce_start(&r, owner, &id, 0, rig_batch(1, TS));
                break;
            case 1:
                if (!cancelled && !freed)
                    broker_watch_cancel(r.brokers[from], &w->op);
                cancelled = true;
                break;
            default:
                fake_deliver(&r.world, (unsigned)rng_below(&rng, 2));
            }
            if (!freed && w->done > 0) {
                assert_int_equal(w->done, 1);
                mem_free(w);
                freed = true;
            }
        }
        rig_run(&r);
        rig_produce_free(p);
        rig_free(&r);
    }
}

/* One that is told may cancel another that is about to be told. */
static struct watcher *victim;
static struct broker *victim_broker;

static void watched_and_cancels(struct op *op)
{
    container_of(op, struct watcher, op.op)->done++;
    broker_watch_cancel(victim_broker, &victim->op);
}

static void test_watch_cancel_inside(void **state)
{
    struct rig r;
    struct uuid id = topic(&r, 1);
    struct watcher first, second;
    (void)state;
    victim = &second;
    victim_broker = r.brokers[0];
    first = (struct watcher){.op = {.op.done = watched_and_cancels, .topic = id}};
    broker_watch(r.brokers[0], &first.op);
    watch(&r, 0, &second, &id, 0);
    put(&r, &id, 0, 1, TS);
    assert_int_equal(first.done, 1);
    assert_int_equal(second.done, 1);
    assert_int_equal(second.op.op.err, ERR_CLOSED);
    rig_free(&r);
}

/* ---- leaving ---- */

/* What is under way when the topic is deleted is answered; then the log goes. */
static void test_delete_under_way(void **state)
{
    struct rig r;
    struct uuid id = topic(&r, 1);
    struct store_log_id log = {id, 0};
    struct read_op read = read_op(&id, 0);
    struct topic_delete_op del = {.op.done = done, .name = STR_LIT("t")};
    (void)state;
    put(&r, &id, 0, 1, TS);
    rig_defer(&r, true);
    broker_topic_delete(r.brokers[0], &del);
    struct rig_produce *p = rig_produce_start(&r, 0, &id, 0, rig_batch(1, TS));
    broker_read(r.brokers[0], &read);
    assert_true(fake_store_step(r.stores[0])); /* the catalog's record */
    assert_int_equal(del.op.err, ERR_OK);
    assert_non_null(del.topic);
    assert_true(fake_disk_has(r.disk, &log));
    assert_int_equal(rig_produce(&r, 0, &id, 0, rig_batch(1, TS), NULL), ERR_TOPIC_UNKNOWN);
    rig_run(&r);
    assert_true(p->done);
    assert_int_equal(p->op.op.err, ERR_OK);
    assert_int_equal(read.op.err, ERR_OK);
    assert_false(fake_disk_has(r.disk, &log));
    chunkq_clear(&read.records);
    rig_produce_free(p);
    topic_unref(del.topic);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_produce_and_read),
        cmocka_unit_test(test_visible_when_durable),
        cmocka_unit_test(test_read_marks),
        cmocka_unit_test(test_bytes_max),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_leader_epoch),
        cmocka_unit_test(test_epoch_end),
        cmocka_unit_test(test_diverging),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_list_unordered),
        cmocka_unit_test(test_list_empty),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_watch_fires),
        cmocka_unit_test(test_watch_other_reasons),
        cmocka_unit_test(test_watch_cancel),
        cmocka_unit_test(test_watch_races),
        cmocka_unit_test(test_watch_cancel_inside),
        cmocka_unit_test(test_delete_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
