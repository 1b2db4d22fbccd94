/* What every implementation of the storage port must do, run on each of them: the embedded store on
 * real threads and disk and on simulated ones, with one reactor and with two, and the remote one.
 *
 * CASES=PATTERN in the environment runs those whose names match, "trim_real*" for example.
 */
#include "store_world.h"

#include "remote_store.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A process that was killed frees nothing: the leak checker is told so. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}

struct variant {
    const char *name;
    enum world_kind kind;
    unsigned reactors;
    enum commit_where where;
};

static struct store_world w;
static const struct variant *variant;

static int setup(void **state)
{
    variant = *state;
    world_make(&w, variant->kind, variant->reactors, 7);
    w.conf.where = variant->where;
    assert_int_equal(world_start(&w), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_free(&w);
    return 0;
}

static enum err restart(void)
{
    enum err err = world_stop(&w);
    return err ? err : world_start(&w);
}

/* Reads everything from `from` and compares with the batches, which follow each other. */
static void check_batches(struct store_log_id id, struct store_log *log, int64_t from,
                          const struct slice *batches, unsigned n)
{
    struct slice got;
    int64_t next;
    size_t at = 0;
    assert_int_equal(world_read(&w, id, log, from, INT64_MAX, SIZE_MAX, &got, &next), ERR_OK);
    for (unsigned i = 0; i < n; i++) {
        assert_true(at + batches[i].len <= got.len);
        assert_memory_equal(got.at + at, batches[i].at, batches[i].len);
        at += batches[i].len;
    }
    assert_int_equal(at, got.len);
    slice_unref(got);
}

static void test_append_read(void **state)
{
    (void)state;
    struct store_log_id id = world_id(1, 0);
    struct store_log *log = world_log(&w, id, &world_log_conf);
    struct slice batch[20];
    int64_t end = 0;
    for (unsigned i = 0; i < 20; i++) {
        batch[i] = world_batch(i, 1 + i % 3, 100 * i, 1000 + i);
        int64_t at = world_append(&w, id, log, batch[i], 5000);
        assert_true(at >= end); /* offsets grow, perhaps with gaps */
        end = at + 1 + i % 3;
    }
    check_batches(id, log, 0, batch, 20);
    struct store_log_stat stat = world_stat(&w, id, log);
    assert_int_equal(stat.end, end);
    assert_int_equal(stat.log_start, 0);
    for (unsigned i = 0; i < 20; i++)
        slice_unref(batch[i]);
}

static void test_read_bounds(void **state)
{
    (void)state;
    struct store_log_id id = world_id(1, 1);
    struct store_log *log = world_log(&w, id, &world_log_conf);
    struct slice a = world_batch(1, 4, 50, 1), b = world_batch(2, 4, 50, 1), got;
    int64_t at_a = world_append(&w, id, log, a, 1), at_b = world_append(&w, id, log, b, 1), next;
    assert_true(at_a >= 0 && at_b >= at_a + 4);
    /* in the middle of a batch: the batch that holds the offset */
    assert_int_equal(world_read(&w, id, log, at_a + 2, INT64_MAX, SIZE_MAX, &got, &next), ERR_OK);
    assert_int_equal(got.len, a.len + b.len);
    assert_int_equal(next, at_b + 4);
    slice_unref(got);
    /* at most so many bytes, but one batch at least */
    assert_int_equal(world_read(&w, id, log, at_a, INT64_MAX, 1, &got, &next), ERR_OK);
    assert_int_equal(got.len, a.len);
    assert_int_equal(next, at_a + 4);
    slice_unref(got);
    assert_int_equal(world_read(&w, id, log, at_a, INT64_MAX, a.len + 1, &got, &next), ERR_OK);
    assert_int_equal(got.len, a.len);
    slice_unref(got);
    /* nothing at or above the limit */
    assert_int_equal(world_read(&w, id, log, at_a, at_b + 1, SIZE_MAX, &got, &next), ERR_OK);
    assert_int_equal(got.len, a.len);
    slice_unref(got);
    /* at the end there is nothing, behind it an error */
    assert_int_equal(world_read(&w, id, log, at_b + 4, INT64_MAX, SIZE_MAX, &got, &next), ERR_OK);
    assert_int_equal(got.len, 0);
    slice_unref(got);
    assert_int_equal(world_read(&w, id, log, at_b + 5, INT64_MAX, SIZE_MAX, &got, &next),
                     ERR_OFFSET_RANGE);
    assert_int_equal(world_read(&w, id, log, -1, INT64_MAX, SIZE_MAX, &got, &next),
                     ERR_OFFSET_RANGE);
    slice_unref(a);
    slice_unref(b);
}

static void test_open_unknown(void **state)
{
    (void)state;
    struct store_open op = {0};
    struct store_log_id id = world_id(9, 0);
    assert_int_equal(world_open(&w, &op, id, &world_log_conf, false), ERR_NOT_FOUND);
    struct store_log *log = world_log(&w, id, &world_log_conf);
    assert_int_equal(world_open(&w, &op, id, &world_log_conf, true), ERR_EXISTS);
    world_close(&w, log, id);
    assert_int_equal(world_open(&w, &op, id, &world_log_conf, false), ERR_OK);
}

static void test_reopen(void **state)
{
    (void)state;
    struct store_log_id id[4];
    struct store_log *log[4];
    struct slice batch[4][10];
    for (unsigned k = 0; k < 4; k++) {
        id[k] = world_id(2, k);
        log[k] = world_log(&w, id[k], &world_log_conf);
    }
    for (unsigned i = 0; i < 10; i++) {
        for (unsigned k = 0; k < 4; k++) {
            batch[k][i] = world_batch(i * 4 + k, 3, 1000, 1);
            assert_true(world_append(&w, id[k], log[k], batch[k][i], 1) >= 0);
        }
        if (i % 3 == 2) {
            assert_int_equal(restart(), ERR_OK);
            for (unsigned k = 0; k < 4; k++) {
                struct store_open op = {0};
                assert_int_equal(world_open(&w, &op, id[k], &world_log_conf, false), ERR_OK);
                log[k] = op.log;
                check_batches(id[k], log[k], 0, batch[k], i + 1);
            }
        }
    }
    for (unsigned k = 0; k < 4; k++)
        for (unsigned i = 0; i < 10; i++)
            slice_unref(batch[k][i]);
}

/* A group over logs of all reactors comes from any of them. */
static void test_group(void **state)
{
    (void)state;
    struct store_log_id id[5];
    struct store_append append[5] = {{0}};
    for (unsigned k = 0; k < 5; k++) {
        id[k] = world_id(3, k);
        append[k].log = world_log(&w, id[k], &world_log_conf);
    }
    for (unsigned round = 0; round < 8; round++) {
        for (unsigned k = 0; k < 5; k++)
            append[k].batch = world_batch(round * 10 + k, 2, 200, 1);
        unsigned from = round % w.n, n = 2 + round % 4;
        assert_int_equal(world_group(&w, from, append, n), ERR_OK);
        for (unsigned k = 0; k < n; k++) {
            assert_true(append[k].base_offset >= 0);
            struct slice got;
            assert_int_equal(world_read(&w, id[k], append[k].log, append[k].base_offset, INT64_MAX,
                                        SIZE_MAX, &got, NULL),
                             ERR_OK);
            assert_int_equal(got.len, append[k].batch.len);
            assert_memory_equal(got.at, append[k].batch.at, got.len);
            slice_unref(got);
        }
        for (unsigned k = 0; k < 5; k++)
            slice_unref(append[k].batch);
    }
}

static void empty_done(struct store_group *group, enum err err)
{
    (void)group;
    assert_int_equal(err, ERR_OK);
    world_done(&w);
}

static void abort_run(struct store_world *world, void *arg)
{
    static struct store_group group;
    struct store_append *a = arg;
    store_begin(world->stores[0], &group);
    group.done = empty_done;
    store_append(world->stores[0], &group, a);
    store_abort(world->stores[0], &group);
    /* an empty group is done as well */
    store_begin(world->stores[0], &group);
    group.done = empty_done;
    store_commit(world->stores[0], &group);
}

static void test_abort(void **state)
{
    (void)state;
    struct store_log_id id = world_id(4, 0);
    struct store_append a = {.log = world_log(&w, id, &world_log_conf)};
    a.batch = world_batch(1, 1, 100, 1);
    assert_true(world_call(&w, 0, abort_run, &a));
    assert_int_equal(world_stat(&w, id, a.log).end, 0);
    slice_unref(a.batch);
}

static void test_find(void **state)
{
    (void)state;
    struct store_log_id id = world_id(5, 0);
    struct store_log *log = world_log(&w, id, &world_log_conf);
    int64_t base[10];
    for (unsigned i = 0; i < 10; i++) {
        struct slice b = world_batch(i, 3, 300, 1000 + 100 * i);
        base[i] = world_append(&w, id, log, b, 1);
        slice_unref(b);
    }
    struct store_find op = {.log = log, .what = STORE_FIND_TIME, .ts = 1301, .limit = INT64_MAX};
    assert_int_equal(world_find(&w, id, &op), ERR_OK);
    assert_int_equal(op.offset, base[3] + 1);
    assert_int_equal(op.timestamp, 1301);
    op.ts = 5000;
    assert_int_equal(world_find(&w, id, &op), ERR_OK);
    assert_int_equal(op.offset, -1);
    op.what = STORE_FIND_MAX_TIME;
    assert_int_equal(world_find(&w, id, &op), ERR_OK);
    assert_int_equal(op.offset, base[9] + 2);
    assert_int_equal(op.timestamp, 1902);
    int32_t epoch = world_stat(&w, id, log).leader_epoch;
    op.what = STORE_FIND_EPOCH;
    op.epoch = epoch;
    assert_int_equal(world_find(&w, id, &op), ERR_OK);
    assert_int_equal(op.found_epoch, epoch);
    assert_int_equal(op.offset, base[9] + 3);
}

static void test_trim(void **state)
{
    (void)state;
    struct store_log_id id = world_id(6, 1);
    struct store_log *log = world_log(&w, id, &world_log_conf);
    struct slice batch[40], got;
    int64_t base[40];
    for (unsigned i = 0; i < 40; i++) {
        batch[i] = world_batch(i, 2, 1000, 1);
        base[i] = world_append(&w, id, log, batch[i], 1);
    }
    assert_int_equal(world_trim(&w, id, log, base[25] + 1), ERR_OK);
    assert_int_equal(world_stat(&w, id, log).log_start, base[25] + 1);
    assert_int_equal(world_read(&w, id, log, base[25], INT64_MAX, SIZE_MAX, &got, NULL),
                     ERR_OFFSET_RANGE);
    check_batches(id, log, base[25] + 1, batch + 25, 15);
    assert_int_equal(world_trim(&w, id, log, base[10]), ERR_OK); /* lower: nothing happens */
    assert_int_equal(world_stat(&w, id, log).log_start, base[25] + 1);
    assert_int_equal(world_trim(&w, id, log, base[39] + 3), ERR_OFFSET_RANGE);
    assert_int_equal(restart(), ERR_OK);
    log = world_log(&w, id, &world_log_conf);
    assert_int_equal(world_stat(&w, id, log).log_start, base[25] + 1);
    check_batches(id, log, base[25] + 1, batch + 25, 15);
    /* to the very end: empty, and the next offset stays */
    assert_int_equal(world_trim(&w, id, log, base[39] + 2), ERR_OK);
    assert_int_equal(restart(), ERR_OK);
    log = world_log(&w, id, &world_log_conf);
    assert_int_equal(world_stat(&w, id, log).log_start, base[39] + 2);
    assert_int_equal(world_stat(&w, id, log).end, base[39] + 2);
    assert_true(world_append(&w, id, log, batch[0], 1) >= base[39] + 2);
    for (unsigned i = 0; i < 40; i++)
        slice_unref(batch[i]);
}

static void count_one(void *arg, const struct store_log_id *id)
{
    (void)id;
    ++*(unsigned *)arg;
}

static void each_run(struct store_world *world, void *arg)
{
    for (unsigned i = 0; i < world->n; i++)
        world->stores[i]->ops->each(world->stores[i], count_one, arg);
    world_done(world);
}

static void test_remove(void **state)
{
    (void)state;
    struct store_log_id id = world_id(7, 0), other = world_id(7, 1);
    struct store_log *log = world_log(&w, id, &world_log_conf);
    (void)world_log(&w, other, &world_log_conf);
    struct slice b = world_batch(1, 2, 1000, 1), c = world_batch(2, 1, 10, 1);
    assert_true(world_append(&w, id, log, b, 1) >= 0);
    unsigned logs = 0;
    assert_true(world_call(&w, 0, each_run, &logs));
    assert_int_equal(logs, 2);
    assert_int_equal(world_remove(&w, id, log), ERR_OK);
    struct store_open op = {0};
    assert_int_equal(world_open(&w, &op, id, &world_log_conf, false), ERR_NOT_FOUND);
    assert_int_equal(restart(), ERR_OK);
    assert_int_equal(world_open(&w, &op, id, &world_log_conf, false), ERR_NOT_FOUND);
    logs = 0;
    assert_true(world_call(&w, 0, each_run, &logs));
    assert_int_equal(logs, 1);
    /* the same id again is a new, empty log */
    log = world_log(&w, id, &world_log_conf);
    assert_int_equal(world_stat(&w, id, log).end, 0);
    assert_true(world_append(&w, id, log, c, 1) >= 0);
    assert_int_equal(world_remove(&w, id, log), ERR_OK);
    log = world_log(&w, id, &world_log_conf);
    assert_int_equal(world_stat(&w, id, log).end, 0);
    slice_unref(b);
    slice_unref(c);
}

/* Many appends on the way at once: done in order, with growing offsets. */
#define FLIGHT 200

static struct flight {
    struct store_group group;
    struct store_append append;
    unsigned n;
} flight[FLIGHT];
static unsigned landed;

static void flight_done(struct store_group *group, enum err err)
{
    struct flight *f = container_of(group, struct flight, group);
    assert_int_equal(err, ERR_OK);
    assert_int_equal(f->n, landed);
    if (landed > 0)
        assert_true(f->append.base_offset > flight[landed - 1].append.base_offset);
    if (++landed == FLIGHT)
        world_done(&w);
}

static void flight_run(struct store_world *world, void *arg)
{
    for (unsigned i = 0; i < FLIGHT; i++) {
        struct flight *f = &flight[i];
        f->n = i;
        f->append = (struct store_append){.log = arg, .batch = world_batch(i, 1, 2000, i)};
        f->group.done = flight_done;
        store_begin(world->stores[0], &f->group);
        store_append(world->stores[0], &f->group, &f->append);
        store_commit(world->stores[0], &f->group);
    }
}

static void test_order(void **state)
{
    (void)state;
    struct store_log_id id = world_id(8, 0);
    struct store_log *log = world_log(&w, id, &world_log_conf);
    landed = 0;
    assert_true(world_call(&w, 0, flight_run, log));
    struct slice batch[FLIGHT];
    for (unsigned i = 0; i < FLIGHT; i++)
        batch[i] = flight[i].append.batch;
    check_batches(id, log, 0, batch, FLIGHT);
    for (unsigned i = 0; i < FLIGHT; i++)
        slice_unref(batch[i]);
}

/* Whose append failed may append again while it is told: the log goes on as if nothing had been. */
static struct again {
    struct store_group group[2];
    struct store_append append[2];
    struct store *store;
    enum err first;
} again_at;

static void again_submit(unsigned i)
{
    struct again *a = &again_at;
    store_begin(a->store, &a->group[i]);
    store_append(a->store, &a->group[i], &a->append[i]);
    store_commit(a->store, &a->group[i]);
}

static void again_second(struct store_group *group, enum err err)
{
    (void)group;
    assert_int_equal(err, ERR_OK);
    world_done(&w);
}

static void again_first(struct store_group *group, enum err err)
{
    (void)group;
    again_at.first = err;
    again_submit(1);
}

static void again_run(struct store_world *world, void *arg)
{
    (void)arg;
    again_at.store = world->stores[0];
    if (world->kind == WORLD_SIM)
        sim_disk_set_faults(world->sim, &(struct sim_disk_faults){.fail_write_after = 1});
    again_submit(0);
}

static void test_append_when_told(void **state)
{
    (void)state;
    struct store_log_id id = world_id(13, 0);
    struct store_log *log = world_log(&w, id, &world_log_conf);
    struct slice batch[4];
    for (unsigned i = 0; i < 4; i++)
        batch[i] = world_batch(i, 1, 500, 1);
    int64_t before = world_append(&w, id, log, batch[0], 1);
    assert_true(before >= 0);
    memset(&again_at, 0, sizeof(again_at));
    for (unsigned i = 0; i < 2; i++)
        again_at.append[i] = (struct store_append){.log = log, .batch = batch[1 + i]};
    again_at.group[0].done = again_first;
    again_at.group[1].done = again_second;
    assert_true(world_call(&w, 0, again_run, NULL));
    bool failed = w.kind == WORLD_SIM;
    assert_int_equal(again_at.first, failed ? ERR_STORAGE : ERR_OK);
    assert_true(again_at.append[1].base_offset > before);
    assert_true(world_append(&w, id, log, batch[3], 1) > again_at.append[1].base_offset);
    assert_int_equal(restart(), ERR_OK);
    log = world_log(&w, id, &world_log_conf);
    if (failed)
        check_batches(id, log, 0, (struct slice[]){batch[0], batch[2], batch[3]}, 3);
    else
        check_batches(id, log, 0, batch, 4);
    for (unsigned i = 0; i < 4; i++)
        slice_unref(batch[i]);
}

static void test_flush_modes(void **state)
{
    (void)state;
    static const enum store_flush modes[] = {STORE_FLUSH_EACH, STORE_FLUSH_INTERVAL,
                                             STORE_FLUSH_OS};
    struct slice batch[3][5];
    for (unsigned m = 0; m < 3; m++) {
        struct store_log_conf conf = world_log_conf;
        conf.flush = modes[m];
        conf.flush_ms = 10;
        struct store_log_id id = world_id(10, m);
        struct store_log *log = world_log(&w, id, &conf);
        for (unsigned i = 0; i < 5; i++) {
            batch[m][i] = world_batch(i, 1, 100, 1);
            assert_true(world_append(&w, id, log, batch[m][i], 1) >= 0);
        }
        check_batches(id, log, 0, batch[m], 5);
    }
    assert_int_equal(restart(), ERR_OK);
    for (unsigned m = 0; m < 3; m++) {
        struct store_log_id id = world_id(10, m);
        check_batches(id, world_log(&w, id, &world_log_conf), 0, batch[m], 5);
        for (unsigned i = 0; i < 5; i++)
            slice_unref(batch[m][i]);
    }
}

/* Groups that are answered when written: visible at once, and there after the process was killed,
 * over several reactors too. */
static void relaxed_done(struct store_group *group, enum err err)
{
    (void)group;
    assert_int_equal(err, ERR_OK);
    world_done(&w);
}

static void relaxed_run(struct store_world *world, void *arg)
{
    static struct store_group group;
    struct store_append *append = arg;
    store_begin(world->stores[0], &group);
    group.done = relaxed_done;
    group.relaxed = true;
    for (unsigned k = 0; k < 3; k++)
        store_append(world->stores[0], &group, &append[k]);
    store_commit(world->stores[0], &group);
}

static void test_relaxed(void **state)
{
    (void)state;
    struct store_append append[3] = {{0}};
    struct slice batch[3][4];
    for (unsigned k = 0; k < 3; k++)
        append[k].log = world_log(&w, world_id(14, k), &world_log_conf);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned k = 0; k < 3; k++)
            append[k].batch = batch[k][i] = world_batch(i * 3 + k, 2, 200, 1);
        assert_true(world_call(&w, 0, relaxed_run, append));
        for (unsigned k = 0; k < 3; k++)
            check_batches(world_id(14, k), append[k].log, 0, batch[k], i + 1);
    }
    if (w.kind == WORLD_SIM) {
        world_kill(&w);
        assert_int_equal(world_start(&w), ERR_OK);
    } else {
        assert_int_equal(restart(), ERR_OK);
    }
    for (unsigned k = 0; k < 3; k++) {
        struct store_log_id id = world_id(14, k);
        check_batches(id, world_log(&w, id, &world_log_conf), 0, batch[k], 4);
        for (unsigned i = 0; i < 4; i++)
            slice_unref(batch[k][i]);
    }
}

/* What an owner learns when it opens a log again: every batch, or what its snapshot left out. */
struct owner {
    int64_t replayed, restored, ends;
    int64_t last_append_ms;
};

static void owner_end(void *user, int64_t end)
{
    struct owner *o = user;
    assert_true(end > o->ends);
    o->ends = end;
}

static struct slice owner_snapshot(void *user)
{
    struct owner *o = user;
    return slice_copy(&o->ends, sizeof(o->ends));
}

static const struct store_log_events owner_events = {.end_moved = owner_end,
                                                     .snapshot = owner_snapshot};

static void owner_restore(struct store_open *op, struct slice snapshot)
{
    struct owner *o = op->user;
    assert_int_equal(snapshot.len, sizeof(o->restored));
    memcpy(&o->restored, snapshot.at, sizeof(o->restored));
}

static void owner_replay(struct store_open *op, const struct batch_head *head, int64_t append_ms)
{
    struct owner *o = op->user;
    o->replayed += head->count;
    o->last_append_ms = append_ms;
}

static void test_owner(void **state)
{
    (void)state;
    struct store_log_id id = world_id(11, 0);
    struct owner o = {0};
    struct store_open op = {
        .events = &owner_events, .user = &o, .restore = owner_restore, .replay = owner_replay};
    assert_int_equal(world_open(&w, &op, id, &world_log_conf, true), ERR_OK);
    assert_int_equal(o.replayed, 0);
    int64_t end = 0;
    for (unsigned i = 0; i < 6; i++) {
        struct slice b = world_batch(i, 2, 100, 1);
        end = world_append(&w, id, op.log, b, 7000 + i) + 2;
        assert_int_equal(o.ends, end);
        slice_unref(b);
    }
    assert_int_equal(restart(), ERR_OK);
    struct owner again = {0};
    op = (struct store_open){
        .events = &owner_events, .user = &again, .restore = owner_restore, .replay = owner_replay};
    assert_int_equal(world_open(&w, &op, id, &world_log_conf, false), ERR_OK);
    assert_int_equal(op.end, end);
    if (again.restored) {
        assert_int_equal(again.restored, end); /* the snapshot was taken by the stop */
        assert_int_equal(again.replayed, 0);
    } else {
        assert_int_equal(again.replayed, 12);
        assert_int_equal(again.last_append_ms, 7005);
    }
    again.ends = 0;
}

/* Another process took over: every call says so, and nothing that was acknowledged is lost by it.
 * The embedded store is not taken over: there the folder's lock keeps the other one out. */
static void test_fenced(void **state)
{
    (void)state;
    struct store_log_id id = world_id(12, 0);
    struct store_log *log = world_log(&w, id, &world_log_conf);
    struct slice batch[3], got;
    for (unsigned i = 0; i < 3; i++) {
        batch[i] = world_batch(i, 1, 100, 1);
        assert_true(world_append(&w, id, log, batch[i], 1) >= 0);
    }
    if (w.kind == WORLD_REMOTE) {
        remote_lose(w.remote);
        struct slice late = world_batch(9, 1, 100, 1);
        struct store_find find = {.log = log, .what = STORE_FIND_MAX_TIME, .limit = INT64_MAX};
        struct store_open op = {0};
        assert_int_equal(world_append(&w, id, log, late, 1), -1 - ERR_NOT_LEADER);
        assert_int_equal(world_read(&w, id, log, 0, INT64_MAX, SIZE_MAX, &got, NULL),
                         ERR_NOT_LEADER);
        assert_int_equal(world_find(&w, id, &find), ERR_NOT_LEADER);
        assert_int_equal(world_trim(&w, id, log, 1), ERR_NOT_LEADER);
        assert_int_equal(world_open(&w, &op, world_id(12, 2), &world_log_conf, true),
                         ERR_NOT_LEADER);
        slice_unref(late);
    }
    assert_int_equal(restart(), ERR_OK);
    log = world_log(&w, id, &world_log_conf);
    assert_int_equal(world_read(&w, id, log, 0, INT64_MAX, SIZE_MAX, &got, NULL), ERR_OK);
    size_t at = 0;
    for (unsigned i = 0; i < 3; i++) { /* behind them the late one, or not */
        assert_true(at + batch[i].len <= got.len);
        assert_memory_equal(got.at + at, batch[i].at, batch[i].len);
        at += batch[i].len;
        slice_unref(batch[i]);
    }
    slice_unref(got);
}

static const struct contract {
    const char *name;
    CMUnitTestFunction test;
} contract[] = {
    {"append_read", test_append_read},
    {"read_bounds", test_read_bounds},
    {"open_unknown", test_open_unknown},
    {"reopen", test_reopen},
    {"group", test_group},
    {"abort", test_abort},
    {"find", test_find},
    {"trim", test_trim},
    {"remove", test_remove},
    {"order", test_order},
    {"append_when_told", test_append_when_told},
    {"flush_modes", test_flush_modes},
    {"relaxed", test_relaxed},
    {"owner", test_owner},
    {"fenced", test_fenced},
};

static const struct variant variants[] = {
    {"real", WORLD_REAL, 1, COMMIT_AUTO},       {"real_helper", WORLD_REAL, 1, COMMIT_HELPER},
    {"real_2", WORLD_REAL, 2, COMMIT_AUTO},     {"real_2_helper", WORLD_REAL, 2, COMMIT_HELPER},
    {"sim", WORLD_SIM, 1, COMMIT_INLINE},       {"sim_helper", WORLD_SIM, 1, COMMIT_HELPER},
    {"sim_2", WORLD_SIM, 2, COMMIT_INLINE},     {"sim_3_helper", WORLD_SIM, 3, COMMIT_HELPER},
    {"remote", WORLD_REMOTE, 1, COMMIT_INLINE}, {"remote_2", WORLD_REMOTE, 2, COMMIT_INLINE},
};

int main(void)
{
    enum {
        VARIANTS = sizeof(variants) / sizeof(variants[0]),
        TESTS = sizeof(contract) / sizeof(contract[0])
    };
    static struct CMUnitTest tests[VARIANTS * TESTS];
    static char names[VARIANTS * TESTS][64];
    for (size_t n = 0; n < VARIANTS * TESTS; n++) {
        const struct variant *v = &variants[n / TESTS];
        const struct contract *c = &contract[n % TESTS];
        snprintf(names[n], sizeof(names[n]), "%s_%s", c->name, v->name);
        tests[n] = (struct CMUnitTest){names[n], c->test, setup, teardown, (void *)(uintptr_t)v};
    }
    if (getenv("CASES"))
        cmocka_set_test_filter(getenv("CASES"));
    return _cmocka_run_group_tests("store_contract", tests, VARIANTS * TESTS, NULL, NULL);
}
