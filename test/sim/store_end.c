/* The end of the embedded store while one of its jobs is still at work, on real threads and a real
 * disk. */
#include "store_world.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* How long a job is held up, unless the lock goes first. */
#define HOLD_MS 200

/* A disk on which the making of a journal file takes long, and which sees the lock go. */
static struct slow {
    struct disk disk;
    struct disk_ops ops;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool armed;
    bool inside;   /* a job makes a journal file */
    bool unlocked; /* somebody else may have the folder now */
    bool late;     /* and the job was still at work in it */
    void (*release)(struct file_ref *ref);
} slow;

static struct store_world w;

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n >= k && strcmp(s + n - k, end) == 0;
}

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
    if (slow.armed && ends_with(path, "/journal"))
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
    slow.armed = true;
    int64_t end = 0;
    for (unsigned i = 0; i < 12; i++)
        end = world_append(&w, id, log, batch, 1) + 2;
    wait_until_inside();
    assert_int_equal(world_stop(&w), ERR_OK);
    assert_true(slow.unlocked);
    assert_false(slow.late);

    slow.armed = false;
    assert_int_equal(world_start(&w), ERR_OK);
    log = world_log(&w, id, &world_log_conf);
    assert_int_equal(world_stat(&w, id, log).end, end);
    assert_int_equal(world_append(&w, id, log, batch, 1), end);
    slice_unref(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_journal_growing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
