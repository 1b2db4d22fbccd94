/* The embedded store as a whole, on a simulated machine: starts that are refused and why, failing
 * and full disks, intervals, retention, clean stops. What every store must do is in the contract
 * suite. */
#include "../../sim/store_world.h"

#include "base/mem.h"
#include "store/layout.h"
#include "store/manifest.h"

#include <stdio.h>
#include <string.h>

/* A process that was killed frees nothing: the leak checker is told so. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}

static struct store_world w;

static int setup(void **state)
{
    (void)state;
    world_make(&w, WORLD_SIM, 1, 21);
    return 0;
}

static int setup_two(void **state)
{
    (void)state;
    world_make(&w, WORLD_SIM, 2, 22);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_free(&w);
    return 0;
}

static void start(void)
{
    enum err err = world_start(&w);
    if (err)
        fail_msg("start: %s: %s", err_name(err), w.text.s);
}

static void refuse(enum err err, const char *why)
{
    assert_int_equal(world_start(&w), err);
    if (!strstr(w.text.s, why))
        fail_msg("refused with: %s", w.text.s);
    world_kill(&w);
}

static const struct store_log_id id0 = {.topic = {{1}}, .partition = 0};

static int64_t append_bytes(struct store_log *log, struct store_log_id id, size_t bytes)
{
    struct slice b = world_batch(1, 1, bytes, 1);
    int64_t at = world_append(&w, id, log, b, 1);
    slice_unref(b);
    return at;
}

static void wait_ms(uint64_t ms)
{
    sim_run_until(w.sim, sim_mono_us(w.sim) + ms * 1000);
}

/* --- starts --- */

static void test_incarnation(void **state)
{
    (void)state;
    start();
    assert_true(w.report.created);
    assert_int_equal(w.report.meta.incarnation, 1);
    struct uuid cluster = w.report.meta.cluster_id;
    assert_false(uuid_is_zero(cluster));
    assert_int_equal(world_stop(&w), ERR_OK);
    start();
    assert_false(w.report.created);
    assert_true(w.report.clean);
    assert_int_equal(w.report.meta.incarnation, 2);
    assert_true(uuid_eq(cluster, w.report.meta.cluster_id));
    struct store_log *log = world_log(&w, id0, &world_log_conf);
    assert_int_equal(append_bytes(log, id0, 10), 0);
    assert_int_equal(world_stat(&w, id0, log).leader_epoch, 2);
    struct slice got;
    assert_int_equal(world_read(&w, id0, log, 0, INT64_MAX, SIZE_MAX, &got, NULL), ERR_OK);
    struct batch_head head;
    assert_int_equal(batch_head_read(got.at, got.len, &head), ERR_OK);
    assert_int_equal(head.leader_epoch, 2);
    slice_unref(got);
    world_kill(&w);
    start();
    assert_false(w.report.clean);
    assert_int_equal(w.report.meta.incarnation, 3);
    assert_int_equal(w.report.batches, 1);
}

static void test_foreign_folder(void **state)
{
    (void)state;
    assert_int_equal(disk_mkdir(w.disk, w.dir), ERR_OK);
    assert_int_equal(disk_mkdir(w.disk, "/data/lost+found"), ERR_OK);
    start(); /* an empty volume */
    assert_int_equal(world_stop(&w), ERR_OK);
    assert_int_equal(disk_unlink(w.disk, "/data/meta"), ERR_OK);
    refuse(ERR_EXISTS, "choose an empty or a new folder");
}

static void test_newer_format(void **state)
{
    (void)state;
    start();
    assert_int_equal(world_stop(&w), ERR_OK);
    static const char newer[] = "weir.format=9\n";
    assert_int_equal(disk_replace_file(w.disk, w.dir, "meta", newer, sizeof(newer) - 1), ERR_OK);
    refuse(ERR_FORMAT_NEWER, "format 9");
}

static void test_locked(void **state)
{
    (void)state;
    struct store_world other = {0};
    struct embedded *e;
    struct store *stores[1];
    struct embedded_report report;
    struct err_text text;
    start();
    struct loop *loops[1];
    sim_loops(w.sim, 1, loops);
    (void)other;
    assert_int_equal(embedded_open(&w.conf, loops, 1, stores, &e, &report, &text), ERR_LOCKED);
    assert_non_null(strstr(text.s, "another process"));
    assert_int_equal(append_bytes(world_log(&w, id0, &world_log_conf), id0, 10), 0);
}

/* The manifest and the journal of different times. */
static void test_journal_gone(void **state)
{
    (void)state;
    start();
    struct store_log *log = world_log(&w, id0, &world_log_conf);
    assert_int_equal(append_bytes(log, id0, 10), 0);
    world_kill(&w);
    assert_int_equal(disk_unlink(w.disk, "/data/journal/00000000.wj"), ERR_OK);
    /* the log's folder is there, the journal that knows of it is not */
    refuse(ERR_CORRUPT, "journal is empty");
}

static void test_manifest_damaged(void **state)
{
    (void)state;
    start();
    assert_int_equal(world_stop(&w), ERR_OK);
    assert_int_equal(sim_disk_corrupt(w.sim, "/data/manifest", 20), ERR_OK);
    refuse(ERR_CORRUPT, "manifest is damaged");
}

/* A group in the middle is rotten: later ones say that it was acknowledged. */
static void test_acknowledged_lost(void **state)
{
    (void)state;
    start();
    struct store_log *log = world_log(&w, id0, &world_log_conf);
    for (unsigned i = 0; i < 5; i++)
        assert_true(append_bytes(log, id0, 10) >= 0);
    world_kill(&w);
    assert_int_equal(sim_disk_corrupt(w.sim, "/data/journal/00000000.wj", 2 * JOURNAL_BLOCK + 100),
                     ERR_OK);
    refuse(ERR_CORRUPT, "00000000.wj, byte 8192: group 2 is damaged or missing");
    refuse(ERR_CORRUPT, "byte 8192"); /* a refused start changes nothing */
}

/* The last group is rotten: nobody can tell it from a torn one; it is cut and reported. */
static void test_tail_cut(void **state)
{
    (void)state;
    start();
    struct store_log *log = world_log(&w, id0, &world_log_conf);
    for (unsigned i = 0; i < 3; i++)
        assert_true(append_bytes(log, id0, 10) >= 0);
    world_kill(&w);
    /* create, 3 appends: groups in blocks 1 to 4 */
    assert_int_equal(sim_disk_corrupt(w.sim, "/data/journal/00000000.wj", 4 * JOURNAL_BLOCK + 200),
                     ERR_OK);
    start();
    assert_int_equal(w.report.groups, 3);
    assert_int_equal(w.report.batches, 2);
    assert_int_equal(w.report.cut_bytes, JOURNAL_BLOCK);
    log = world_log(&w, id0, &world_log_conf);
    assert_int_equal(world_stat(&w, id0, log).end, 2);
    assert_int_equal(append_bytes(log, id0, 10), 2);
}

/* After a clean stop there is nothing to replay, and nothing may be. */
static void test_clean(void **state)
{
    (void)state;
    struct buf *manifest;
    size_t n;
    start();
    struct store_log *log = world_log(&w, id0, &world_log_conf);
    assert_int_equal(append_bytes(log, id0, 10), 0);
    assert_int_equal(world_stop(&w), ERR_OK);
    assert_int_equal(disk_read_file(w.disk, "/data/manifest", 1 << 20, &manifest, &n), ERR_OK);
    start();
    assert_true(w.report.clean);
    assert_int_equal(w.report.groups, 0);
    log = world_log(&w, id0, &world_log_conf);
    assert_int_equal(append_bytes(log, id0, 10), 1);
    struct meta meta = w.report.meta;
    world_kill(&w);
    /* the manifest and meta of the stop, restored over a newer journal */
    meta.incarnation--;
    assert_int_equal(disk_replace_file(w.disk, w.dir, "manifest", manifest->data, n), ERR_OK);
    assert_int_equal(meta_write(w.disk, w.dir, &meta), ERR_OK);
    buf_unref(manifest);
    refuse(ERR_CORRUPT, "after the clean stop");
}

static void test_strays(void **state)
{
    (void)state;
    start();
    struct store_log *log = world_log(&w, id0, &world_log_conf);
    assert_int_equal(append_bytes(log, id0, 10), 0);
    assert_int_equal(world_stop(&w), ERR_OK);
    /* a delete that was cut off left a folder; another one is not ours */
    assert_int_equal(disk_mkdir(w.disk, "/data/logs/AAAAAAAAAAAAAAAAAAAAAA-3"), ERR_OK);
    assert_int_equal(disk_mkdir(w.disk, "/data/logs/notes"), ERR_OK);
    start();
    assert_int_equal(disk_mkdir(w.disk, "/data/logs/AAAAAAAAAAAAAAAAAAAAAA-3"), ERR_OK);
    assert_int_equal(disk_mkdir(w.disk, "/data/logs/notes"), ERR_EXISTS);
    log = world_log(&w, id0, &world_log_conf);
    assert_int_equal(world_stat(&w, id0, log).end, 1);
}

/* --- disks --- */

static void test_disk_full(void **state)
{
    (void)state;
    start();
    struct store_log *log = world_log(&w, id0, &world_log_conf);
    assert_int_equal(append_bytes(log, id0, 1000), 0);
    sim_disk_set_faults(w.sim, &(struct sim_disk_faults){.full_after = 1});
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(append_bytes(log, id0, 10000), -1 - ERR_DISK_FULL);
    struct slice got;
    assert_int_equal(world_read(&w, id0, log, 0, INT64_MAX, SIZE_MAX, &got, NULL), ERR_OK);
    assert_true(got.len > 1000);
    slice_unref(got);
    wait_ms(200000); /* checkpoints find no room either, and harm nothing */
    assert_int_equal(w.failed, ERR_OK);
    sim_disk_set_faults(w.sim, &(struct sim_disk_faults){0});
    assert_int_equal(append_bytes(log, id0, 1000), 1); /* the same offset again */
    world_cut(&w);
    start();
    log = world_log(&w, id0, &world_log_conf);
    assert_int_equal(world_stat(&w, id0, log).end, 2);
}

/* A group over two logs, of which one cannot be written: neither has it. */
static void test_disk_full_group(void **state)
{
    (void)state;
    start();
    struct store_append a[2] = {{0}};
    struct store_log_id id[2] = {world_id(1, 0), world_id(1, 2)};
    for (unsigned i = 0; i < 2; i++) {
        a[i].log = world_log(&w, id[i], &world_log_conf);
        a[i].batch = world_batch(i, 1, 9000, 1);
    }
    assert_int_equal(world_group(&w, 0, a, 2), ERR_OK);
    sim_disk_set_faults(w.sim, &(struct sim_disk_faults){.full_after = 2});
    assert_int_equal(world_group(&w, 0, a, 2), ERR_DISK_FULL);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(world_stat(&w, id[i], a[i].log).end, 1);
        slice_unref(a[i].batch);
    }
}

static uint64_t room_left(void)
{
    uint64_t room;
    assert_int_equal(disk_free_bytes(w.disk, w.dir, &room), ERR_OK);
    return room;
}

/* Ordinary appends leave a reserve of the disk: deletes, checkpoints and the next start live on
 * it. */
static void test_disk_reserve(void **state)
{
    (void)state;
    struct store_log_conf vital_conf = world_log_conf;
    struct store_log_id id1 = world_id(1, 1);
    struct disk_file *fill;
    start();
    struct store_log *log = world_log(&w, id0, &world_log_conf);
    vital_conf.vital = true;
    struct store_log *vital = world_log(&w, id1, &vital_conf);
    assert_int_equal(disk_open(w.disk, "/fill", DISK_WRITE | DISK_CREATE, &fill), ERR_OK);
    assert_int_equal(disk_allocate(fill, 0, room_left() - w.conf.reserve_bytes - 40000), ERR_OK);
    int64_t n = 0;
    while (append_bytes(log, id0, 4000) >= 0)
        n++;
    assert_true(n >= 2 && n < 10);
    assert_true(room_left() >= w.conf.reserve_bytes);
    assert_int_equal(append_bytes(log, id0, 4000), -1 - ERR_DISK_FULL);
    assert_int_equal(append_bytes(vital, id1, 100), 0);
    wait_ms(200000); /* checkpoints */
    assert_int_equal(w.failed, ERR_OK);
    disk_close(fill);
    world_kill(&w);
    start();
    log = world_log(&w, id0, &world_log_conf);
    assert_int_equal(world_stat(&w, id0, log).end, n);
    assert_int_equal(append_bytes(log, id0, 4000), -1 - ERR_DISK_FULL);
    assert_int_equal(disk_open(w.disk, "/fill", DISK_WRITE, &fill), ERR_OK);
    assert_int_equal(disk_truncate(fill, 0), ERR_OK);
    assert_int_equal(disk_sync(fill), ERR_OK);
    disk_close(fill);
    assert_int_equal(append_bytes(log, id0, 4000), n);
}

/* The journal fails: nothing is answered any more, the process is told once. */
static void test_journal_fails(void **state)
{
    (void)state;
    start();
    struct store_log *log = world_log(&w, id0, &world_log_conf);
    assert_int_equal(append_bytes(log, id0, 10), 0);
    sim_disk_set_faults(w.sim, &(struct sim_disk_faults){.fail_sync_after = 1});
    assert_int_equal(append_bytes(log, id0, 10), -1 - ERR_CLOSED);
    assert_int_equal(w.failed, ERR_IO);
    world_cut(&w);
    start();
    log = world_log(&w, id0, &world_log_conf);
    assert_true(world_stat(&w, id0, log).end >= 1);
}

/* --- modes --- */

static struct store_log *log_with(enum store_flush flush, uint32_t ms)
{
    struct store_log_conf conf = world_log_conf;
    conf.flush = flush;
    conf.flush_ms = ms;
    return world_log(&w, id0, &conf);
}

static uint64_t syncs(void)
{
    struct embedded_stat stat;
    embedded_stat(w.embedded, &stat);
    return stat.syncs;
}

static void test_interval(void **state)
{
    (void)state;
    w.conf.checkpoint_ms = 1000000;
    start();
    struct store_log *log = log_with(STORE_FLUSH_INTERVAL, 50);
    uint64_t before = syncs();
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(append_bytes(log, id0, 10), i); /* visible, not yet durable */
    assert_int_equal(world_stat(&w, id0, log).end, 10);
    assert_int_equal(syncs(), before);
    wait_ms(60);
    assert_int_equal(syncs(), before + 1); /* one for all of them */
    wait_ms(500);
    assert_int_equal(syncs(), before + 1); /* and none without need */
    world_cut(&w);
    start();
    assert_int_equal(world_stat(&w, id0, world_log(&w, id0, &world_log_conf)).end, 10);
}

static void relaxed_done(struct store_group *group, enum err err)
{
    (void)group;
    assert_int_equal(err, ERR_OK);
    world_done(&w);
}

static void relaxed_run(struct store_world *world, void *arg)
{
    static struct store_group group;
    store_begin(world->stores[0], &group);
    group.done = relaxed_done;
    group.relaxed = true;
    store_append(world->stores[0], &group, arg);
    store_commit(world->stores[0], &group);
}

/* A relaxed group, then nothing, then a power cut after so long: is it there? */
static bool relaxed_survives(uint64_t seed, uint64_t ms)
{
    teardown(NULL);
    world_make(&w, WORLD_SIM, 1, seed);
    w.conf.checkpoint_ms = 1000000;
    start();
    struct store_log *log = log_with(STORE_FLUSH_EACH, 0);
    assert_int_equal(append_bytes(log, id0, 10), 0);
    struct store_append a = {.log = log, .batch = world_batch(1, 1, 10, 1)};
    uint64_t before = syncs();
    assert_true(world_call(&w, 0, relaxed_run, &a));
    assert_int_equal(world_stat(&w, id0, log).end, 2); /* visible, not yet durable */
    assert_int_equal(syncs(), before);
    wait_ms(ms);
    world_cut(&w);
    start();
    slice_unref(a.batch);
    return world_stat(&w, id0, world_log(&w, id0, &world_log_conf)).end == 2;
}

#define RELAXED_SEEDS 30

/* What was answered when it was written is durable STORE_RELAXED_MS later, although nobody else
 * asks for a sync. Shortly before that it is the disk's choice. */
static void test_relaxed_bound(void **state)
{
    (void)state;
    unsigned sooner = 0;
    for (uint64_t seed = 1; seed <= RELAXED_SEEDS; seed++) {
        assert_true(relaxed_survives(seed, STORE_RELAXED_MS + 5));
        sooner += relaxed_survives(seed, STORE_RELAXED_MS - 10);
    }
    assert_true(sooner < RELAXED_SEEDS);
}

static void test_os(void **state)
{
    (void)state;
    w.conf.checkpoint_ms = 1000000;
    start();
    struct store_log *log = log_with(STORE_FLUSH_OS, 0);
    uint64_t before = syncs();
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(append_bytes(log, id0, 10), i);
    wait_ms(1000);
    assert_int_equal(syncs(), before);
    world_kill(&w); /* the page cache survives the process */
    start();
    assert_int_equal(world_stat(&w, id0, world_log(&w, id0, &world_log_conf)).end, 10);
}

/* --- checkpoints --- */

static void checkpoint_done(void *arg, enum err err)
{
    *(enum err *)arg = err;
    world_done(&w);
}

static void checkpoint_run(struct store_world *world, void *arg)
{
    embedded_checkpoint(world->embedded, checkpoint_done, arg);
}

static enum err checkpoint(void)
{
    enum err err = ERR_CLOSED;
    (void)world_call(&w, 0, checkpoint_run, &err);
    return err;
}

static void test_checkpoint(void **state)
{
    (void)state;
    w.conf.reference_bytes = 5000;
    start();
    struct store_log *log = world_log(&w, id0, &world_log_conf);
    for (unsigned i = 0; i < 30; i++)
        assert_int_equal(append_bytes(log, id0, 3000), i);
    assert_int_equal(checkpoint(), ERR_OK);
    assert_int_equal(append_bytes(log, id0, 3000), 30);
    assert_int_equal(append_bytes(log, id0, 6000), 31); /* only referred to */
    world_cut(&w);
    start();
    assert_int_equal(w.report.batches, 2);
    log = world_log(&w, id0, &world_log_conf);
    assert_int_equal(world_stat(&w, id0, log).end, 32);
}

/* The journal stays small however much is written. */
static void test_journal_bounded(void **state)
{
    (void)state;
    struct embedded_stat stat;
    w.conf.journal_bytes = 512 << 10;
    w.conf.checkpoint_bytes = 128 << 10;
    start();
    struct store_log_conf conf = world_log_conf;
    conf.segment_bytes = 1 << 20;
    struct store_log *log = world_log(&w, id0, &conf);
    for (unsigned i = 0; i < 300; i++)
        assert_int_equal(append_bytes(log, id0, 20000), i);
    embedded_stat(w.embedded, &stat);
    assert_true(stat.checkpoints >= 20);
    assert_true(stat.journal_bytes <= 512 << 10);
}

/* A sync of a segment fails: its pages may be gone, so the process stops; the journal has all. */
static void test_segment_sync_fails(void **state)
{
    (void)state;
    start();
    struct store_log *log = world_log(&w, id0, &world_log_conf);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(append_bytes(log, id0, 3000), i);
    sim_disk_set_faults(w.sim, &(struct sim_disk_faults){.fail_sync_after = 1});
    assert_int_equal(checkpoint(), ERR_CLOSED);
    assert_int_equal(w.failed, ERR_IO);
    world_cut(&w);
    start();
    log = world_log(&w, id0, &world_log_conf);
    assert_int_equal(world_stat(&w, id0, log).end, 10);
    struct slice got;
    assert_int_equal(world_read(&w, id0, log, 0, INT64_MAX, SIZE_MAX, &got, NULL), ERR_OK);
    assert_true(got.len > 30000);
    slice_unref(got);
}

static void test_delete_during_checkpoint(void **state)
{
    (void)state;
    start();
    struct store_log_id id[2] = {world_id(1, 0), world_id(1, 1)};
    for (unsigned round = 0; round < 20; round++) {
        struct store_log *log[2];
        for (unsigned i = 0; i < 2; i++) {
            log[i] = world_log(&w, id[i], &world_log_conf);
            assert_int_equal(append_bytes(log[i], id[i], 5000), 0);
        }
        embedded_checkpoint(w.embedded, NULL, NULL);
        sim_run_until(w.sim, sim_mono_us(w.sim) + round * 20);
        for (unsigned i = 0; i < 2; i++)
            assert_int_equal(world_remove(&w, id[i], log[i]), ERR_OK);
    }
    wait_ms(1000);
    assert_int_equal(world_stop(&w), ERR_OK);
    start();
    assert_int_equal(w.report.logs, 0);
}

/* --- retention --- */

static int64_t moved_to;

static void start_moved(void *user, int64_t log_start)
{
    (void)user;
    moved_to = log_start;
}

static const struct store_log_events retention_events = {.start_moved = start_moved};

static struct store_log *log_retained(int64_t bytes, int64_t ms)
{
    struct store_open op = {.events = &retention_events};
    struct store_log_conf conf = world_log_conf;
    conf.retention_bytes = bytes;
    conf.retention_ms = ms;
    moved_to = -1;
    assert_int_equal(world_open(&w, &op, id0, &conf, true), ERR_OK);
    return op.log;
}

static void test_retention_size(void **state)
{
    (void)state;
    w.conf.retention_ms = 1000;
    start();
    struct store_log *log = log_retained(40000, -1);
    for (unsigned i = 0; i < 60; i++)
        assert_int_equal(append_bytes(log, id0, 2000), i);
    wait_ms(3000);
    struct store_log_stat stat = world_stat(&w, id0, log);
    assert_true(stat.log_start > 0 && stat.bytes <= 40000 + 2 * 16384);
    assert_int_equal(moved_to, stat.log_start);
    world_cut(&w);
    start();
    log = world_log(&w, id0, &world_log_conf);
    assert_int_equal(world_stat(&w, id0, log).log_start, stat.log_start);
}

/* Nothing that its owner still wants goes, and the owner is told of what would. */
static int64_t pressed_to;

static void pressed(void *user, int64_t start, bool full)
{
    assert_true(full);
    (void)user;
    pressed_to = start;
}

static void test_retention_retained(void **state)
{
    (void)state;
    static const struct store_log_events events = {.start_moved = start_moved, .pressed = pressed};
    struct store_open op = {.events = &events};
    struct store_log_conf conf = world_log_conf;
    conf.retention_bytes = 40000;
    w.conf.retention_ms = 1000;
    start();
    assert_int_equal(world_open(&w, &op, id0, &conf, true), ERR_OK);
    store_retain(w.stores[0], op.log, 10);
    pressed_to = -1;
    for (unsigned i = 0; i < 60; i++)
        assert_int_equal(append_bytes(op.log, id0, 2000), i);
    wait_ms(3000);
    int64_t held = world_stat(&w, id0, op.log).log_start;
    assert_true(held <= 10);
    assert_true(pressed_to > 10);
    store_retain(w.stores[0], op.log, INT64_MAX);
    int64_t wanted = pressed_to;
    pressed_to = -1;
    wait_ms(3000);
    assert_int_equal(world_stat(&w, id0, op.log).log_start, wanted);
    assert_int_equal(pressed_to, -1);
}

/* A clock that jumps by more than an hour removes nothing; one that runs does. */
static void test_retention_clock(void **state)
{
    (void)state;
    w.conf.retention_ms = 60000;
    start();
    struct store_log *log = log_retained(-1, 7200000);
    uint64_t now = env_now_ms(loop_env(w.loops[0]));
    for (unsigned i = 0; i < 30; i++) {
        struct slice b = world_batch(1, 1, 2000, (int64_t)now);
        assert_int_equal(world_append(&w, id0, log, b, (int64_t)now), i);
        slice_unref(b);
    }
    sim_wall_jump(w.sim, 10 * 3600000);
    wait_ms(600000);
    assert_int_equal(world_stat(&w, id0, log).log_start, 0);
    sim_wall_jump(w.sim, -10 * 3600000);
    wait_ms(600000);
    assert_int_equal(world_stat(&w, id0, log).log_start, 0);
    wait_ms(8000000);
    assert_true(world_stat(&w, id0, log).log_start > 0);
}

/* --- groups over two reactors --- */

static void test_spread_no_room(void **state)
{
    (void)state;
    start();
    struct store_append a[2] = {{0}};
    struct store_log_id id[2] = {world_id(1, 0), world_id(1, 1)};
    for (unsigned i = 0; i < 2; i++) {
        a[i].log = world_log(&w, id[i], &world_log_conf);
        a[i].batch = world_batch(i, 1, 9000, 1);
    }
    uint64_t room;
    struct disk_file *f;
    assert_int_equal(disk_free_bytes(w.disk, w.dir, &room), ERR_OK);
    assert_int_equal(disk_open(w.disk, "/fill", DISK_WRITE | DISK_CREATE, &f), ERR_OK);
    assert_int_equal(disk_allocate(f, 0, room - (1 << 20)), ERR_OK);
    assert_int_equal(world_group(&w, 0, a, 2), ERR_DISK_FULL);
    assert_int_equal(append_bytes(a[0].log, id[0], 100), 0); /* one reactor's own goes on */
    assert_int_equal(disk_truncate(f, 0), ERR_OK);
    assert_int_equal(disk_sync(f), ERR_OK);
    disk_close(f);
    assert_int_equal(world_group(&w, 0, a, 2), ERR_OK);
    assert_int_equal(a[0].base_offset, 1);
    assert_int_equal(a[1].base_offset, 0);
    slice_unref(a[0].batch);
    slice_unref(a[1].batch);
}

/* A part that cannot be written though there seemed to be room: the process stops, and no part of
 * the group is there afterwards. */
static void test_spread_part_fails(void **state)
{
    (void)state;
    start();
    struct store_append a[2] = {{0}};
    struct store_log_id id[2] = {world_id(1, 0), world_id(1, 1)};
    for (unsigned i = 0; i < 2; i++) {
        a[i].log = world_log(&w, id[i], &world_log_conf);
        assert_int_equal(append_bytes(a[i].log, id[i], 10), 0);
        a[i].batch = world_batch(i, 1, 9000, 1);
    }
    sim_disk_set_faults(w.sim, &(struct sim_disk_faults){.full_after = 2});
    assert_int_equal(world_group(&w, 0, a, 2), ERR_CLOSED);
    assert_int_equal(w.failed, ERR_DISK_FULL);
    world_kill(&w);
    start();
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(world_stat(&w, id[i], world_log(&w, id[i], &world_log_conf)).end, 1);
        slice_unref(a[i].batch);
    }
}

/* --- logs that are not loaded --- */

/* What a start does not look at is found by who wants it, and concerns nobody else. */
static void test_damaged_log(void **state)
{
    (void)state;
    const struct store_log_id id[2] = {id0, {.topic = {{1}}, .partition = 1}};
    struct store_log *log[2];
    struct layout_path folder, path;
    start();
    for (unsigned i = 0; i < 2; i++) {
        log[i] = world_log(&w, id[i], &world_log_conf);
        assert_int_equal(append_bytes(log[i], id[i], 10), 0);
    }
    assert_int_equal(world_stop(&w), ERR_OK);
    layout_in(&path, layout_log(&folder, w.dir, &id0), "00000000000000000000.log");
    assert_int_equal(disk_unlink(w.disk, path.s), ERR_OK);
    start();
    for (unsigned i = 0; i < 2; i++) {
        log[i] = world_log(&w, id[i], &world_log_conf);
        assert_int_equal(world_stat(&w, id[i], log[i]).end, 1);
        assert_true(world_stat(&w, id[i], log[i]).bytes > 10);
    }
    struct slice got;
    assert_int_equal(world_read(&w, id0, log[0], 0, INT64_MAX, SIZE_MAX, &got, NULL), ERR_CORRUPT);
    assert_int_equal(append_bytes(log[0], id0, 10), -1 - ERR_STORAGE);
    assert_int_equal(world_trim(&w, id0, log[0], 1), ERR_STORAGE);
    assert_int_equal(append_bytes(log[1], id[1], 10), 1);
}

/* Retention looks at logs that nobody has used since the start, and unloads those that nobody uses
 * any more; they go on as before. */
static void test_idle_log(void **state)
{
    (void)state;
    w.conf.retention_ms = 1000;
    w.conf.unload_looks = 2;
    start();
    struct store_log *log = log_retained(1000000, -1);
    for (unsigned i = 0; i < 60; i++)
        assert_int_equal(append_bytes(log, id0, 2000), i);
    assert_int_equal(world_stop(&w), ERR_OK);
    start();
    log = log_retained(40000, -1);
    struct store_log_stat before = world_stat(&w, id0, log);
    assert_int_equal(before.end, 60);
    wait_ms(10000);
    struct store_log_stat stat = world_stat(&w, id0, log);
    assert_true(stat.log_start > 0 && stat.bytes <= 40000 + 2 * 16384);
    assert_true(stat.segments > 0 && stat.segments < before.segments);
    assert_int_equal(moved_to, stat.log_start);
    struct slice got;
    int64_t next;
    assert_int_equal(world_read(&w, id0, log, stat.log_start, INT64_MAX, SIZE_MAX, &got, &next),
                     ERR_OK);
    assert_int_equal(next, 60);
    slice_unref(got);
    assert_int_equal(append_bytes(log, id0, 10), 60);
}

/* --- scrub --- */

static struct embedded_stat stat_now(void)
{
    struct embedded_stat st;
    embedded_stat(w.embedded, &st);
    return st;
}

/* All that a checkpoint covers is read, slowly, once a day; a bit that has changed is found. */
static void test_scrub(void **state)
{
    (void)state;
    struct layout_path folder, path;
    w.conf.scrub_after_ms = 1000;
    w.conf.checkpoint_ms = 100;
    start();
    struct store_log *log = world_log(&w, id0, &world_log_conf);
    for (unsigned i = 0; i < 60; i++)
        assert_int_equal(append_bytes(log, id0, 2000), i);
    uint64_t bytes = world_stat(&w, id0, log).bytes;
    wait_ms(10000);
    assert_int_equal(stat_now().scrub_bytes, 0); /* no rate */
    embedded_set_scrub(w.embedded, bytes / 10);
    wait_ms(35000);
    assert_int_equal(stat_now().scrub_bytes, bytes);
    assert_int_equal(stat_now().scrub_faults, 0);
    assert_int_equal(append_bytes(log, id0, 2000), 60);
    layout_in(&path, layout_log(&folder, w.dir, &id0), "00000000000000000000.log");
    assert_int_equal(sim_disk_corrupt(w.sim, path.s, 1000), ERR_OK);
    wait_ms(60000);
    assert_int_equal(stat_now().scrub_passes, 1);
    assert_int_equal(stat_now().scrub_faults, 0); /* it was read before */
    wait_ms(86400000);
    assert_int_equal(stat_now().scrub_faults, 1);
    assert_int_equal(stat_now().scrub_passes, 2);
}

/* What was trimmed or deleted while it was read is no fault. */
static void test_scrub_gone(void **state)
{
    (void)state;
    w.conf.scrub_after_ms = 1000;
    w.conf.checkpoint_ms = 100;
    start();
    struct store_log *log = world_log(&w, id0, &world_log_conf);
    for (unsigned i = 0; i < 60; i++)
        assert_int_equal(append_bytes(log, id0, 60000), i);
    embedded_set_scrub(w.embedded, 1 << 20);
    wait_ms(1500); /* in the first segments */
    assert_true(stat_now().scrub_bytes > 0 && stat_now().scrub_passes == 0);
    assert_int_equal(world_trim(&w, id0, log, 60), ERR_OK);
    wait_ms(90000);
    assert_int_equal(stat_now().scrub_passes, 1);
    assert_int_equal(stat_now().scrub_faults, 0);
}

#define ONE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define TWO(test) cmocka_unit_test_setup_teardown(test, setup_two, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(test_incarnation),
        ONE(test_foreign_folder),
        ONE(test_newer_format),
        ONE(test_locked),
        ONE(test_journal_gone),
        ONE(test_manifest_damaged),
        ONE(test_acknowledged_lost),
        ONE(test_tail_cut),
        ONE(test_clean),
        ONE(test_strays),
        ONE(test_disk_full),
        ONE(test_disk_full_group),
        ONE(test_disk_reserve),
        ONE(test_journal_fails),
        ONE(test_interval),
        ONE(test_relaxed_bound),
        ONE(test_os),
        ONE(test_checkpoint),
        ONE(test_journal_bounded),
        ONE(test_segment_sync_fails),
        TWO(test_delete_during_checkpoint),
        ONE(test_retention_size),
        ONE(test_retention_retained),
        ONE(test_retention_clock),
        ONE(test_damaged_log),
        ONE(test_idle_log),
        ONE(test_scrub),
        ONE(test_scrub_gone),
        TWO(test_spread_no_room),
        TWO(test_spread_part_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
