#include "store/journal_scan.h"

#include "journal_world.h"

static struct journal_scan scan;

static int setup(void **state)
{
    (void)state;
    jw_make();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    journal_scan_free(&scan);
    jw_free();
    return 0;
}

static void rescan(uint64_t sequence, uint32_t incarnation, uint32_t file, uint64_t at)
{
    struct manifest_head from = {
        .incarnation = incarnation, .sequence = sequence, .file = file, .at = at};
    journal_scan_free(&scan);
    assert_int_equal(journal_scan_make(&scan, jw.disk, "/d", &from), ERR_OK);
}

static void scan_all(void)
{
    rescan(0, 0, MANIFEST_NO_FILE, 0);
}

/* Flips a byte of file 0. */
static void damage(uint64_t at)
{
    assert_int_equal(sim_disk_corrupt(jw.sim, "/d/journal/00000000.wj", at), ERR_OK);
}

static void test_empty(void **state)
{
    (void)state;
    scan_all();
    assert_int_equal(scan.count, 0);
    jw_open(1, 1);
    scan_all();
    assert_int_equal(scan.count, 0);
    assert_int_equal(scan.last, 0);
    assert_int_equal(scan.durable, 0);
}

static void test_chain(void **state)
{
    (void)state;
    jw_open(1, 1);
    jw_grow(0, true);
    for (unsigned i = 0; i < 8; i++)
        (void)jw_write(3 * JOURNAL_BLOCK, true); /* over both files */
    scan_all();
    assert_int_equal(scan.count, 8);
    assert_int_equal(scan.last, 8);
    assert_int_equal(scan.cut_bytes, 0);
    assert_int_equal(scan.groups[0].at, JOURNAL_BLOCK);
    assert_int_equal(scan.groups[7].file, 1);
    struct buf *group;
    assert_int_equal(journal_scan_read(&scan, &scan.groups[5], &group), ERR_OK);
    struct journal_group_head head;
    assert_true(journal_group_head_get(group->data, &head));
    assert_int_equal(head.sequence, 6);
    buf_unref(group);
    /* from the middle, as behind a manifest: in the same file, and where the next one begins */
    rescan(2, 1, 0, scan.groups[2].at);
    assert_int_equal(scan.count, 6);
    assert_int_equal(scan.last, 8);
    uint64_t behind = scan.groups[0].at + scan.groups[0].head.bytes;
    rescan(3, 1, 0, behind);
    assert_int_equal(scan.count, 5);
}

/* The last group is torn: nobody was told of it. */
static void test_torn_tail(void **state)
{
    (void)state;
    jw_open(1, 1);
    (void)jw_write(100, true);
    struct journal_write w = jw_write(5000, true);
    damage(w.at + 4500);
    scan_all();
    assert_int_equal(scan.count, 1);
    assert_int_equal(scan.last, 1);
    assert_int_equal(scan.durable, 1); /* named by the torn group's head */
    assert_int_equal(scan.cut_bytes, w.bytes);
    assert_int_equal(scan.end_at, w.at);
    damage(w.at + 20); /* its head too: nothing tells that it was there */
    scan_all();
    assert_int_equal(scan.count, 1);
    assert_int_equal(scan.cut_bytes, 0);
}

/* A group below D is damaged: the later ones tell. */
static void test_lost(void **state)
{
    (void)state;
    jw_open(1, 1);
    struct journal_write first = jw_write(100, true), second = jw_write(100, true);
    (void)first;
    (void)jw_write(100, true);
    (void)jw_write(100, true);
    damage(second.at + 30);
    scan_all();
    assert_int_equal(scan.count, 1);
    assert_int_equal(scan.last, 1);
    assert_int_equal(scan.durable, 3); /* group 4 says so */
    assert_int_equal(scan.later, 2);
    assert_int_equal(scan.end_file, 0);
    assert_int_equal(scan.end_at, second.at);
}

/* The first group of a later file is damaged, and the file's head with it. */
static void test_lost_file_head(void **state)
{
    (void)state;
    jw_open(1, 1);
    jw_grow(0, true);
    (void)jw_write(14 * JOURNAL_BLOCK, true);
    (void)jw_write(100, true);
    (void)jw_write(100, true);
    assert_int_equal(sim_disk_corrupt(jw.sim, "/d/journal/00000001.wj", 20), ERR_OK);
    scan_all();
    assert_int_equal(scan.count, 1);
    assert_int_equal(scan.durable, 2);
}

/* Unsynced groups behind a damaged one are no proof of anything. */
static void test_unsynced_tail(void **state)
{
    (void)state;
    jw_open(1, 1);
    (void)jw_write(100, true);
    struct journal_write w = jw_write(100, false);
    (void)jw_write(100, false);
    damage(w.at + 30);
    scan_all();
    assert_int_equal(scan.last, 1);
    assert_int_equal(scan.durable, 1);
    assert_int_equal(scan.cut_bytes, JOURNAL_BLOCK);
}

/* What an earlier process left behind the present one's groups does not continue them, though its
 * sequences and places fit. */
static void test_stale(void **state)
{
    (void)state;
    jw_open(1, 1);
    for (unsigned i = 0; i < 5; i++)
        (void)jw_write(100, true);
    jw_close();
    jw_open(2, 1); /* as if nothing of it had counted */
    (void)jw_write(100, true);
    (void)jw_write(100, true);
    scan_all();
    assert_int_equal(scan.count, 2);
    assert_int_equal(scan.groups[0].head.incarnation, 2);
    assert_int_equal(scan.later, 0);
    assert_int_equal(scan.durable, 0);
    /* the same incarnation with another salt: bytes that somebody put into a payload */
    jw_close();
    jw_open(2, 1);
    jw.journal.conf.salt = 77;
    (void)jw_write(100, true);
    scan_all();
    assert_int_equal(scan.count, 1);
    assert_int_equal(scan.later, 0);
}

static void test_cut(void **state)
{
    (void)state;
    jw_open(1, 1);
    for (unsigned i = 0; i < 4; i++)
        (void)jw_write(100, true);
    scan_all();
    journal_scan_cut(&scan, 1);
    assert_int_equal(scan.count, 1);
    assert_int_equal(scan.last, 1);
    assert_int_equal(scan.durable, 3);
    assert_int_equal(scan.cut_bytes, 3 * JOURNAL_BLOCK);
}

/* Whatever is in the files, reading them ends, and the chain is whole. */
static void test_garbage(void **state)
{
    (void)state;
    jw_open(1, 1);
    for (unsigned i = 0; i < 6; i++)
        (void)jw_write(1 + 2000 * i, true);
    for (unsigned i = 0; i < 300; i++) {
        damage(rng_below(sim_rng(jw.sim), 16 * JOURNAL_BLOCK));
        scan_all();
        for (size_t k = 0; k < scan.count; k++)
            assert_int_equal(scan.groups[k].head.sequence, k + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_torn_tail, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost_file_head, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unsynced_tail, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stale, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
