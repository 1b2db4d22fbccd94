#include "journal_world.h"

static int setup(void **state)
{
    (void)state;
    jw_make();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    jw_free();
    return 0;
}

static void test_first_file(void **state)
{
    (void)state;
    jw_open(1, 1);
    struct disk_file *f;
    uint64_t size;
    assert_int_equal(disk_open(jw.disk, "/d/journal/00000000.wj", DISK_READ, &f), ERR_OK);
    assert_int_equal(disk_size(f, &size), ERR_OK);
    assert_int_equal(size, 16 * JOURNAL_BLOCK);
    disk_close(f);
    struct journal_write w = jw_write(100, true);
    assert_true(w.begins_file);
    assert_int_equal(w.at, 0);
    assert_int_equal(w.sequence, 1);
    assert_int_equal(jw.journal.durable, 1);
    w = jw_write(5000, true);
    assert_false(w.begins_file);
    assert_int_equal(w.at, 2 * JOURNAL_BLOCK); /* behind the head and one block */
    w = jw_write(100, true);
    assert_int_equal(w.at, 4 * JOURNAL_BLOCK);
    assert_int_equal(w.sequence, 3);
}

/* Written is not durable; a sync of the last makes all before it so. */
static void test_durable(void **state)
{
    (void)state;
    jw_open(1, 1);
    (void)jw_write(100, true);
    (void)jw_write(100, false);
    (void)jw_write(100, false);
    assert_int_equal(jw.journal.durable, 1);
    assert_true(jw.journal.unsynced);
    struct journal_write w;
    journal_place(&jw.journal, 0, true, &w); /* a sync alone */
    assert_int_equal(w.bytes, 0);
    assert_int_equal(journal_run(&jw.journal, &w), ERR_OK);
    journal_ran(&jw.journal, &w);
    assert_int_equal(jw.journal.durable, 3);
    assert_false(jw.journal.unsynced);
    assert_int_equal(jw.journal.next, 4);
}

/* A file is left only after what is in it was synced. */
static void test_next_file(void **state)
{
    (void)state;
    jw_open(1, 1);
    jw_grow(0, true);
    assert_int_equal(jw.journal.total, 48 * JOURNAL_BLOCK);
    (void)jw_write(10 * JOURNAL_BLOCK, false);
    assert_int_equal(jw.journal.durable, 0);
    struct journal_write w = jw_write(10 * JOURNAL_BLOCK, false);
    assert_true(w.begins_file);
    assert_non_null(w.sync_first);
    assert_int_equal(jw.journal.durable, 1);
    w = jw_write(10 * JOURNAL_BLOCK, true);
    assert_false(w.begins_file);
    assert_int_equal(jw.journal.durable, 3);
}

static void test_room_and_recycling(void **state)
{
    (void)state;
    jw_open(1, 1);
    assert_true(journal_room(&jw.journal, 15 * JOURNAL_BLOCK));
    assert_false(journal_room(&jw.journal, 16 * JOURNAL_BLOCK));
    jw_grow(40 * JOURNAL_BLOCK, false); /* larger than files usually are */
    assert_true(journal_room(&jw.journal, 40 * JOURNAL_BLOCK));
    (void)jw_write(14 * JOURNAL_BLOCK, true);
    (void)jw_write(30 * JOURNAL_BLOCK, true);
    (void)jw_write(5 * JOURNAL_BLOCK, true);
    assert_false(journal_room(&jw.journal, 14 * JOURNAL_BLOCK));
    journal_recycle(&jw.journal, 0, true);
    assert_false(journal_room(&jw.journal, 14 * JOURNAL_BLOCK));
    journal_recycle(&jw.journal, 1, true); /* the first file's only group */
    assert_true(journal_room(&jw.journal, 14 * JOURNAL_BLOCK));
    assert_false(journal_room(&jw.journal, 30 * JOURNAL_BLOCK));
    journal_recycle(&jw.journal, 3, false); /* a group is being written: not the current one */
    assert_false(journal_room(&jw.journal, 30 * JOURNAL_BLOCK));
    journal_recycle(&jw.journal, 3, true);
    assert_true(journal_room(&jw.journal, 30 * JOURNAL_BLOCK));
    assert_int_equal(journal_used(&jw.journal), 0);
}

static void test_limits(void **state)
{
    (void)state;
    jw_open(1, 1);
    jw.journal.conf.total_bytes = 40 * JOURNAL_BLOCK;
    assert_false(journal_grow_start(&jw.journal, jw.loop, 0, true));
    jw_grow(30 * JOURNAL_BLOCK, false); /* a group waits: more than the limit */
    assert_true(jw.journal.total > jw.journal.conf.total_bytes);
    (void)jw_write(14 * JOURNAL_BLOCK, true);
    (void)jw_write(28 * JOURNAL_BLOCK, true);
    journal_recycle(&jw.journal, 2, true);
    assert_true(jw.journal.total <= jw.journal.conf.total_bytes);
    jw_close();
    jw_open(2, 3); /* what was dropped is gone from the disk too */
    assert_true(jw.journal.total <= 40 * JOURNAL_BLOCK);
}

/* However small the limit: a journal without a file would be refused at the next start. */
static void test_last_file_stays(void **state)
{
    (void)state;
    jw_open(1, 1);
    jw.journal.conf.total_bytes = JOURNAL_BLOCK;
    (void)jw_write(14 * JOURNAL_BLOCK, true);
    journal_recycle(&jw.journal, 1, true);
    assert_null(jw.journal.current);
    assert_int_equal(jw.journal.total, 16 * JOURNAL_BLOCK);
    assert_true(journal_room(&jw.journal, 14 * JOURNAL_BLOCK));
}

static void test_grow_full(void **state)
{
    (void)state;
    jw_open(1, 1);
    sim_disk_set_faults(jw.sim, &(struct sim_disk_faults){.full_after = 1});
    jw_grow(0, true);
    assert_int_equal(jw.journal.grow_err, ERR_DISK_FULL);
    assert_false(journal_grow_start(&jw.journal, jw.loop, 0, true)); /* not again and again */
    jw_grow(10 * JOURNAL_BLOCK, false); /* less, since a group needs it */
    assert_int_equal(jw.journal.grow_err, ERR_DISK_FULL);
    assert_false(journal_grow_start(&jw.journal, jw.loop, 10 * JOURNAL_BLOCK, false));
    (void)jw_write(14 * JOURNAL_BLOCK, true); /* what is there can be written */
}

static void test_sync_fails(void **state)
{
    (void)state;
    jw_open(1, 1);
    (void)jw_write(100, true);
    struct journal_write w;
    uint8_t block[JOURNAL_BLOCK] = {0};
    struct iovec iov = {block, sizeof(block)};
    journal_place(&jw.journal, JOURNAL_BLOCK, true, &w);
    w.iov = &iov;
    w.count = 1;
    sim_disk_set_faults(jw.sim, &(struct sim_disk_faults){.fail_sync_after = 1});
    assert_int_equal(journal_run(&jw.journal, &w), ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_durable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_next_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_room_and_recycling, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_last_file_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_grow_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sync_fails, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
