/* The end of the embedded store while one of its jobs is still at work, on real threads and a real
 * disk: in order, and without a close. */
#include "store_world.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* How long a job is held up, unless the lock goes first. */
#define HOLD_MS 200

/* A disk on which the sync of a folder takes long, and which sees the lock go. */
static struct slow {
    struct disk disk;
    struct disk_ops ops;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    const char *at; /* in the path of folders whose sync takes long; NULL: none */
    bool inside;    /* a job syncs one */
    bool unlocked;  /* somebody else may have the folder now */
    bool late;      /* and the job was still at work in it */
    void (*release)(struct file_ref *ref);
} slow;

static struct store_world w;

static void hold(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += HOLD_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    slow.inside = true;
    pthread_cond_broadcast(&slow.cond);
    while (!slow.unlocked && pthread_cond_timedwait(&slow.cond, &slow.mutex, &until) != ETIMEDOUT) {
    }
    slow.inside = false;
}

static enum err slow_sync_dir(struct disk *d, const char *path)
{
    pthread_mutex_lock(&slow.mutex);
    if (slow.at && strstr(path, slow.at))
        hold();
    pthread_mutex_unlock(&slow.mutex);
    return disk_real()->ops->sync_dir(d, path);
}

static void lock_release(struct file_ref *ref)
{
    pthread_mutex_lock(&slow.mutex);
    slow.unlocked = true;
    slow.late = slow.late || slow.inside;
    pthread_cond_broadcast(&slow.cond);
    pthread_mutex_unlock(&slow.mutex);
    slow.release(ref);
}

static enum err slow_lock(struct disk *d, const char *path, struct disk_file **out)
{
    enum err err = disk_real()->ops->lock(d, path, out);
    if (err)
        return err;
    slow.release = (*out)->ref.release;
    (*out)->ref.release = lock_release;
    return ERR_OK;
}

static int setup(void **state)
{
    (void)state;
    memset(&slow, 0, sizeof(slow));
    pthread_mutex_init(&slow.mutex, NULL);
    pthread_cond_init(&slow.cond, NULL);
    slow.ops = *disk_real()->ops;
    slow.ops.sync_dir = slow_sync_dir;
    slow.ops.lock = slow_lock;
    slow.disk.ops = &slow.ops;
    world_make(&w, WORLD_REAL, 2, 3);
    w.conf.disk = &slow.disk;
    w.conf.where = COMMIT_HELPER;
    w.conf.reference_bytes = 8 << 10;
    assert_int_equal(world_start(&w), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_free(&w);
    return 0;
}

static void wait_until_inside(void)
{
    pthread_mutex_lock(&slow.mutex);
    while (!slow.inside)
        pthread_cond_wait(&slow.cond, &slow.mutex);
    pthread_mutex_unlock(&slow.mutex);
}

/* The first journal file has 64 KB and is half full after a few batches: then the next one is made
 * in advance. Nobody waits for it, not even the close; but the folder is not given up before. */
static void test_journal_growing(void **state)
{
    (void)state;
    struct store_log_id id = world_id(1, 1);
    struct store_log *log = world_log(&w, id, &world_log_conf);
    struct slice batch = world_batch(1, 2, 1000, 1);
    slow.at = "/journal";
    int64_t end = 0;
    for (unsigned i = 0; i < 12; i++)
        end = world_append(&w, id, log, batch, 1) + 2;
    wait_until_inside();
    assert_int_equal(world_stop(&w), ERR_OK);
    assert_true(slow.unlocked);
    assert_false(slow.late);

    slow.at = NULL;
    assert_int_equal(world_start(&w), ERR_OK);
    log = world_log(&w, id, &world_log_conf);
    assert_int_equal(world_stat(&w, id, log).end, end);
    assert_int_equal(world_append(&w, id, log, batch, 1), end);
    slice_unref(batch);
}

static void checkpoint_done(void *arg, enum err err)
{
    (void)err;
    world_done(arg);
}

static void checkpoint_run(struct store_world *world, void *arg)
{
    (void)arg;
    embedded_checkpoint(world->embedded, checkpoint_done, world);
}

/* One that is waited for by nobody. */
static void checkpoint_begin(struct store_world *world, void *arg)
{
    (void)arg;
    embedded_checkpoint(world->embedded, NULL, NULL);
    world_done(world);
}

/* As after a crash: what was acknowledged is there, and what was not is there whole, or not. */
static void leave_and_look(struct store_log_id id, int64_t acknowledged, int64_t at_most)
{
    world_leave(&w);
    assert_true(slow.unlocked);
    assert_false(slow.late);
    slow.at = NULL;
    assert_int_equal(world_start(&w), ERR_OK);
    int64_t end = world_stat(&w, id, world_log(&w, id, &world_log_conf)).end;
    assert_in_range(end, acknowledged, at_most);
}

static void test_checkpoint_without_a_close(void **state)
{
    (void)state;
    struct store_log_id id = world_id(1, 1);
    struct store_log *log = world_log(&w, id, &world_log_conf);
    struct slice batch = world_batch(1, 2, 1000, 1);
    int64_t end = world_append(&w, id, log, batch, 1) + 2;
    slow.at = "/logs";
    assert_true(world_call(&w, 0, checkpoint_begin, NULL));
    wait_until_inside();
    leave_and_look(id, end, end);
    slice_unref(batch);
}

static struct large {
    struct store_log *log;
    struct slice batch;
    struct store_group group;
    struct store_append append;
} large;

static void never(struct store_group *group, enum err err)
{
    (void)group;
    (void)err;
    assert_true(false);
}

static void large_begin(struct store_world *world, void *arg)
{
    (void)arg;
    store_begin(world->stores[1], &large.group);
    large.group.done = never;
    large.append = (struct store_append){.log = large.log, .batch = large.batch, .append_ms = 1};
    store_append(world->stores[1], &large.group, &large.append);
    store_commit(world->stores[1], &large.group);
    world_done(world);
}

/* It is not in the journal but by a reference, so its segment is synced by the group's own job. */
static void test_large_batch_without_a_close(void **state)
{
    (void)state;
    struct store_log_id id = world_id(1, 1);
    struct slice batch = world_batch(1, 2, 1000, 1);
    large.log = world_log(&w, id, &world_log_conf);
    large.batch = world_batch(2, 2, 7000, 1);
    int64_t end = world_append(&w, id, large.log, batch, 1) + 2;
    assert_true(world_call(&w, 0, checkpoint_run, NULL));
    end = world_append(&w, id, large.log, large.batch, 1) + 2; /* the next one rolls */
    slow.at = "/logs/";
    assert_true(world_call(&w, 1, large_begin, NULL));
    wait_until_inside();
    leave_and_look(id, end, end + 2);
    slice_unref(large.batch);
    slice_unref(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_journal_growing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_checkpoint_without_a_close, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_batch_without_a_close, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
