#include "../sim_folder.h"

#include <stdio.h>
#include <string.h>

/* A program whose power is cut inside a call frees nothing. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static void check_file(const char *path, const char *want)
{
    struct buf *b = NULL;
    size_t n = 0;
    assert_int_equal(disk_read_file(disk, path, 1000, &b, &n), ERR_OK);
    assert_int_equal(n, strlen(want));
    assert_memory_equal(b->data, want, n);
    buf_unref(b);
}

static void test_read_file(void **state)
{
    (void)state;
    struct buf *b;
    size_t n;
    assert_int_equal(disk_read_file(disk, "/d/a", 10, &b, &n), ERR_NOT_FOUND);
    assert_int_equal(disk_replace_file(disk, "/d", "a", "0123456789", 10), ERR_OK);
    assert_int_equal(disk_read_file(disk, "/d/a", 9, &b, &n), ERR_MESSAGE_TOO_LARGE);
    assert_int_equal(disk_read_file(disk, "/d/a", 10, &b, &n), ERR_OK);
    assert_int_equal(n, 10);
    buf_unref(b);
    assert_int_equal(disk_replace_file(disk, "/d", "a", "", 0), ERR_OK);
    check_file("/d/a", "");
    sim_disk_set_faults(sim, &(struct sim_disk_faults){.fail_any_after = 3});
    assert_int_equal(disk_read_file(disk, "/d/a", 9, &b, &n), ERR_IO);
}

/* Any fault on the way leaves the old bytes or the new ones, and says so. */
static void test_replace_file_faults(void **state)
{
    (void)state;
    unsigned failed = 0;
    assert_int_equal(disk_replace_file(disk, "/d", "a", "old", 3), ERR_OK);
    for (uint32_t at = 1; at <= 5; at++) {
        sim_disk_set_faults(sim, &(struct sim_disk_faults){.fail_any_after = at});
        enum err e = disk_replace_file(disk, "/d", "a", "new", 3);
        sim_disk_set_faults(sim, &(struct sim_disk_faults){0});
        assert_int_equal(e, ERR_IO);
        failed++;
        check_file("/d/a", at == 5 ? "new" : "old");
    }
    assert_int_equal(failed, 5);
    assert_int_equal(disk_replace_file(disk, "/d", "a", "new", 3), ERR_OK);
}

static void replace(void *result)
{
    *(enum err *)result = disk_replace_file(disk, "/d", "a", "the new bytes", 13);
}

static void test_replace_file_power_cuts(void **state)
{
    (void)state;
    unsigned old = 0, new = 0;
    for (unsigned i = 0; i < 400; i++) {
        assert_int_equal(disk_replace_file(disk, "/d", "a", "the old bytes", 13), ERR_OK);
        sim_disk_set_faults(sim, &(struct sim_disk_faults){.cut_after = 1 + i % 4});
        enum err e = ERR_IO;
        assert_false(sim_try(sim, replace, &e));
        struct buf *b;
        size_t n;
        assert_int_equal(disk_read_file(disk, "/d/a", 13, &b, &n), ERR_OK);
        assert_int_equal(n, 13);
        bool is_new = memcmp(b->data, "the new bytes", 13) == 0;
        assert_true(is_new || memcmp(b->data, "the old bytes", 13) == 0);
        assert_true(!is_new || i % 4 >= 2);
        old += !is_new;
        new += is_new;
        buf_unref(b);
    }
    assert_true(old > 200 && new > 40);
    enum err e = ERR_IO;
    assert_true(sim_try(sim, replace, &e));
    assert_int_equal(e, ERR_OK);
    sim_power_cut(sim);
    check_file("/d/a", "the new bytes");
}

static void test_replace_file_long_name(void **state)
{
    (void)state;
    static char name[5000];
    memset(name, 'n', sizeof(name) - 1);
    assert_int_equal(disk_replace_file(disk, "/d", name, "x", 1), ERR_REQUEST_INVALID);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, sim_folder_make, sim_folder_free)
    const struct CMUnitTest tests[] = {
        T(test_read_file),
        T(test_replace_file_faults),
        T(test_replace_file_power_cuts),
        T(test_replace_file_long_name),
    };
    return cmocka_run_group_tests_name("io/disk", tests, NULL, NULL);
}
