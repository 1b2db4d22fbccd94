#include "store/fsck.h"

#include "../../sim/store_world.h"

#include "base/mem.h"
#include "store/journal_format.h"
#include "store/layout.h"

#include <stdio.h>
#include <string.h>

/* A process that was killed frees nothing: the leak checker is told so. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}

static struct store_world w;
static struct fsck_totals totals;
static char lines[16384];
static const struct store_log_id id0 = {.topic = {{1}}, .partition = 0};

static int setup(void **state)
{
    (void)state;
    world_make(&w, WORLD_SIM, 1, 31);
    assert_int_equal(world_start(&w), ERR_OK);
    struct store_log *log = world_log(&w, id0, &world_log_conf);
    for (unsigned i = 0; i < 40; i++) {
        struct slice b = world_batch(i, 2, 1000, 1);
        assert_true(world_append(&w, id0, log, b, 1) >= 0);
        slice_unref(b);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_free(&w);
    return 0;
}

static void line(void *arg, bool fault, const char *text)
{
    (void)arg;
    size_t n = strlen(lines);
    snprintf(lines + n, sizeof(lines) - n, "%s %s\n", fault ? "fault" : "note", text);
}

static enum err check(void)
{
    struct err_text text = {""};
    lines[0] = '\0';
    enum err err = fsck_run(w.disk, w.dir, line, NULL, &totals, &text);
    if (err)
        snprintf(lines, sizeof(lines), "%s", text.s);
    return err;
}

static const char *segment_path(char out[256], const char *name)
{
    char log[LAYOUT_LOG_NAME_MAX];
    layout_log_name(log, &id0);
    snprintf(out, 256, "%s/logs/%s/%s", w.dir, log, name);
    return out;
}

static void test_clean(void **state)
{
    (void)state;
    assert_int_equal(world_stop(&w), ERR_OK);
    assert_int_equal(check(), ERR_OK);
    assert_string_equal(lines, "");
    assert_true(totals.clean);
    assert_int_equal(totals.logs, 1);
    assert_int_equal(totals.batches, 40);
    assert_int_equal(totals.faults, 0);
    assert_int_equal(totals.groups, 0);
    assert_int_equal(totals.incarnation, 1);
}

static void test_killed(void **state)
{
    (void)state;
    world_kill(&w);
    assert_int_equal(check(), ERR_OK);
    assert_false(totals.clean);
    assert_int_equal(totals.faults, 0);
    assert_int_equal(totals.groups, 41);
    assert_non_null(strstr(lines, "wait for the next start"));
    assert_int_equal(world_start(&w), ERR_OK); /* it changed nothing */
    assert_int_equal(world_stat(&w, id0, world_log(&w, id0, &world_log_conf)).end, 80);
}

static void test_rotten_batch(void **state)
{
    (void)state;
    char path[256];
    assert_int_equal(world_stop(&w), ERR_OK);
    segment_path(path, "00000000000000000000.log");
    assert_int_equal(sim_disk_corrupt(w.sim, path, 700), ERR_OK);
    assert_int_equal(check(), ERR_OK);
    assert_true(totals.faults >= 1);
    assert_non_null(strstr(lines, "00000000000000000000.log"));
}

static void test_rotten_index(void **state)
{
    (void)state;
    char path[256];
    assert_int_equal(world_stop(&w), ERR_OK);
    segment_path(path, "00000000000000000000.index");
    assert_int_equal(sim_disk_corrupt(w.sim, path, 3), ERR_OK);
    assert_int_equal(check(), ERR_OK);
    assert_true(totals.faults >= 1);
    assert_non_null(strstr(lines, ".index"));
}

static void test_segment_gone(void **state)
{
    (void)state;
    char path[256];
    assert_int_equal(world_stop(&w), ERR_OK);
    assert_int_equal(disk_unlink(w.disk, segment_path(path, "00000000000000000000.log")), ERR_OK);
    assert_int_equal(check(), ERR_OK);
    assert_true(totals.faults >= 1);
}

static void test_rotten_journal(void **state)
{
    (void)state;
    world_kill(&w);
    assert_int_equal(sim_disk_corrupt(w.sim, "/data/journal/00000000.wj", 3 * JOURNAL_BLOCK + 99),
                     ERR_OK);
    assert_int_equal(check(), ERR_OK);
    assert_int_equal(totals.faults, 1);
    assert_non_null(strstr(lines, "00000000.wj, byte 12288: group 3 is damaged or missing"));
}

static void test_rotten_manifest(void **state)
{
    (void)state;
    assert_int_equal(world_stop(&w), ERR_OK);
    assert_int_equal(sim_disk_corrupt(w.sim, "/data/manifest", 30), ERR_OK);
    assert_int_equal(check(), ERR_OK);
    assert_true(totals.faults >= 1);
    assert_non_null(strstr(lines, "manifest is damaged"));
    assert_int_equal(sim_disk_corrupt(w.sim, "/data/meta", 30), ERR_OK);
    assert_int_equal(check(), ERR_OK);
    assert_non_null(strstr(lines, "meta is damaged"));
}

static void test_refused(void **state)
{
    (void)state;
    assert_int_equal(check(), ERR_LOCKED);
    assert_non_null(strstr(lines, "stop it first"));
    assert_int_equal(world_stop(&w), ERR_OK);
    struct err_text text;
    assert_int_equal(disk_mkdir(w.disk, "/other"), ERR_OK);
    assert_int_equal(fsck_run(w.disk, "/other", line, NULL, &totals, &text), ERR_NOT_FOUND);
    assert_non_null(strstr(text.s, "no weir data folder"));
    assert_int_equal(fsck_run(w.disk, "/nowhere", line, NULL, &totals, &text), ERR_NOT_FOUND);
}

static void test_strange_folders(void **state)
{
    (void)state;
    assert_int_equal(world_stop(&w), ERR_OK);
    assert_int_equal(disk_mkdir(w.disk, "/data/logs/AAAAAAAAAAAAAAAAAAAAAA-3"), ERR_OK);
    assert_int_equal(disk_mkdir(w.disk, "/data/logs/notes"), ERR_OK);
    assert_int_equal(check(), ERR_OK);
    assert_int_equal(totals.faults, 0);
    assert_int_equal(totals.notes, 2);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_clean),           TEST(test_killed),       TEST(test_rotten_batch),
        TEST(test_rotten_index),    TEST(test_segment_gone), TEST(test_rotten_journal),
        TEST(test_rotten_manifest), TEST(test_refused),      TEST(test_strange_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
