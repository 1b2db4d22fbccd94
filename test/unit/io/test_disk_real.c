#include "io/disk.h"

#include "base/mem.h"
#include "io/log.h"

#include "../check.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static char dir[64];
static char logged[512];

static void keep_line(const char *line, size_t len)
{
    snprintf(logged, sizeof(logged), "%.*s", (int)len, line);
}

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/weir-test-disk-XXXXXX");
    assert_non_null(mkdtemp(dir));
    log_set_sink(keep_line);
    logged[0] = 0;
    return 0;
}

static void remove_entry(void *arg, const char *name, bool is_dir)
{
    (void)arg;
    char path[400];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (is_dir)
        assert_int_equal(disk_rmdir(disk_real(), path), ERR_OK);
    else
        assert_int_equal(disk_unlink(disk_real(), path), ERR_OK);
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(disk_list(disk_real(), dir, remove_entry, NULL), ERR_OK);
    assert_int_equal(disk_rmdir(disk_real(), dir), ERR_OK);
    log_set_sink(NULL);
    return 0;
}

static const char *in_dir(const char *name)
{
    static char paths[4][128];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, 128, "%s/%s", dir, name);
    return path;
}

static struct disk_file *open_ok(const char *name, unsigned flags)
{
    struct disk_file *f = NULL;
    assert_int_equal(disk_open(disk_real(), in_dir(name), flags, &f), ERR_OK);
    return f;
}

static void test_flags(void **state)
{
    (void)state;
    struct disk_file *f;
    assert_int_equal(disk_open(disk_real(), in_dir("a"), DISK_READ, &f), ERR_NOT_FOUND);
    f = open_ok("a", DISK_WRITE | DISK_CREATE | DISK_EXCL);
    assert_int_equal(disk_write(f, "hello", 5, 0), ERR_OK);
    disk_close(f);
    assert_int_equal(disk_open(disk_real(), in_dir("a"), DISK_WRITE | DISK_CREATE | DISK_EXCL, &f),
                     ERR_EXISTS);
    uint64_t size = 0;
    f = open_ok("a", DISK_READ | DISK_WRITE | DISK_CREATE);
    assert_int_equal(disk_size(f, &size), ERR_OK);
    assert_int_equal(size, 5);
    disk_close(f);
    f = open_ok("a", DISK_WRITE | DISK_TRUNC);
    assert_int_equal(disk_size(f, &size), ERR_OK);
    assert_int_equal(size, 0);
    disk_close(f);
    disk_close(NULL);
}

/* A pipe that nobody writes to is an empty file. */
static void test_named_pipe(void **state)
{
    struct buf *b;
    size_t n = 1;
    (void)state;
    assert_int_equal(mkfifo(in_dir("pipe"), 0600), 0);
    assert_int_equal(disk_read_file(disk_real(), in_dir("pipe"), 1000, &b, &n), ERR_OK);
    assert_int_equal(n, 0);
    buf_unref(b);
}

static void test_read_at_end(void **state)
{
    (void)state;
    struct disk_file *f = open_ok("a", DISK_READ | DISK_WRITE | DISK_CREATE);
    assert_int_equal(disk_write(f, "0123456789", 10, 5), ERR_OK);
    char got[32];
    size_t n = 99;
    assert_int_equal(disk_read(f, got, sizeof(got), 0, &n), ERR_OK);
    assert_int_equal(n, 15);
    assert_memory_equal(got,
                        "\0\0\0\0\0"
                        "0123456789",
                        15);
    assert_int_equal(disk_read(f, got, 4, 7, &n), ERR_OK);
    assert_int_equal(n, 4);
    assert_memory_equal(got, "2345", 4);
    assert_int_equal(disk_read(f, got, 4, 15, &n), ERR_OK);
    assert_int_equal(n, 0);
    disk_close(f);
}

/* More elements than the kernel takes in one call, some of them empty. */
static void test_writev_beyond_iov_max(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    struct iovec *iov = mem_alloc(COUNT * sizeof(*iov));
    uint8_t *bytes = mem_alloc(COUNT);
    size_t total = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        bytes[i] = (uint8_t)(i % 251);
        iov[i] = (struct iovec){.iov_base = bytes + i, .iov_len = i % 5 ? 1 : 0};
        total += iov[i].iov_len;
    }
    struct disk_file *f = open_ok("a", DISK_READ | DISK_WRITE | DISK_CREATE);
    assert_int_equal(disk_writev(f, iov, COUNT, 100), ERR_OK);
    assert_int_equal(disk_writev(f, iov, 0, 100), ERR_OK);
    uint8_t *back = mem_alloc(COUNT);
    size_t n;
    assert_int_equal(disk_read(f, back, COUNT, 100, &n), ERR_OK);
    assert_int_equal(n, total);
    for (unsigned i = 0, at = 0; i < COUNT; i++) {
        if (iov[i].iov_len)
            assert_int_equal(back[at++], bytes[i]);
    }
    disk_close(f);
    mem_free(iov);
    mem_free(bytes);
    mem_free(back);
}

static void test_sizes(void **state)
{
    (void)state;
    struct disk_file *f = open_ok("a", DISK_READ | DISK_WRITE | DISK_CREATE);
    uint64_t size;
    assert_int_equal(disk_write(f, "abcdef", 6, 0), ERR_OK);
    assert_int_equal(disk_allocate(f, 0, 100000), ERR_OK);
    assert_int_equal(disk_allocate(f, 0, 0), ERR_OK);
    assert_int_equal(disk_size(f, &size), ERR_OK);
    assert_int_equal(size, 100000);
    char got[8];
    size_t n;
    assert_int_equal(disk_read(f, got, 8, 0, &n), ERR_OK);
    assert_memory_equal(got, "abcdef\0\0", 8);
    assert_int_equal(disk_truncate(f, 3), ERR_OK);
    assert_int_equal(disk_truncate(f, 6), ERR_OK);
    assert_int_equal(disk_read(f, got, 8, 0, &n), ERR_OK);
    assert_int_equal(n, 6);
    assert_memory_equal(got, "abc\0\0\0", 6);
    assert_int_equal(disk_start_writeback(f, 0, 6), ERR_OK);
    assert_int_equal(disk_sync(f), ERR_OK);
    disk_close(f);
}

/* An open file outlives disk_close while a chunk refers to it. */
static void test_shared_file(void **state)
{
    (void)state;
    struct disk_file *f = open_ok("a", DISK_READ | DISK_WRITE | DISK_CREATE);
    file_ref_get(&f->ref);
    disk_close(f);
    assert_int_equal(disk_write(f, "x", 1, 0), ERR_OK);
    int fd = f->fd;
    assert_int_not_equal(fcntl(fd, F_GETFD), -1);
    file_ref_put(&f->ref);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

struct seen {
    unsigned files, dirs;
};

static void count_entry(void *arg, const char *name, bool is_dir)
{
    struct seen *seen = arg;
    assert_true(strcmp(name, "b") == 0 || strcmp(name, "c") == 0);
    seen->files += !is_dir;
    seen->dirs += is_dir;
}

static void test_names(void **state)
{
    (void)state;
    struct disk *d = disk_real();
    disk_close(open_ok("a", DISK_WRITE | DISK_CREATE));
    disk_close(open_ok("b", DISK_WRITE | DISK_CREATE));
    assert_int_equal(disk_rename(d, in_dir("a"), in_dir("b")), ERR_OK);
    assert_int_equal(disk_rename(d, in_dir("a"), in_dir("b")), ERR_NOT_FOUND);
    assert_int_equal(disk_mkdir(d, in_dir("c")), ERR_OK);
    assert_int_equal(disk_mkdir(d, in_dir("c")), ERR_EXISTS);
    disk_close(open_ok("c/x", DISK_WRITE | DISK_CREATE));
    assert_int_equal(disk_rmdir(d, in_dir("c")), ERR_EXISTS);
    assert_int_equal(disk_unlink(d, in_dir("c/x")), ERR_OK);
    struct seen seen = {0};
    assert_int_equal(disk_list(d, dir, count_entry, &seen), ERR_OK);
    assert_int_equal(seen.files, 1);
    assert_int_equal(seen.dirs, 1);
    assert_int_equal(disk_list(d, in_dir("none"), count_entry, &seen), ERR_NOT_FOUND);
    assert_int_equal(disk_unlink(d, in_dir("none")), ERR_NOT_FOUND);
    assert_int_equal(disk_rmdir(d, in_dir("none")), ERR_NOT_FOUND);
}

static void test_syncs_and_space(void **state)
{
    (void)state;
    struct disk *d = disk_real();
    assert_int_equal(disk_sync_dir(d, dir), ERR_OK);
    assert_int_equal(disk_sync_all(d, dir), ERR_OK);
    assert_int_equal(disk_sync_dir(d, in_dir("none")), ERR_NOT_FOUND);
    assert_int_equal(disk_sync_all(d, in_dir("none")), ERR_NOT_FOUND);
    uint64_t n = 0;
    assert_int_equal(disk_free_bytes(d, dir, &n), ERR_OK);
    assert_true(n > 0);
    assert_int_equal(disk_free_bytes(d, in_dir("none"), &n), ERR_NOT_FOUND);
}

static void child_locks(void *arg)
{
    struct disk_file *f;
    enum err e = disk_lock(disk_real(), arg, &f);
    _exit(e == ERR_LOCKED ? 7 : e == ERR_OK ? 8 : 9);
}

static void test_lock(void **state)
{
    (void)state;
    struct disk_file *f, *second;
    assert_int_equal(disk_lock(disk_real(), in_dir("lock"), &f), ERR_OK);
    assert_int_equal(disk_lock(disk_real(), in_dir("lock"), &second), ERR_LOCKED);
    char path[128];
    snprintf(path, sizeof(path), "%s", in_dir("lock"));
    assert_int_equal(WEXITSTATUS(check_child_status(child_locks, path)), 7);
    disk_close(f);
    assert_int_equal(WEXITSTATUS(check_child_status(child_locks, path)), 8);
}

/* What has no code of its own is ERR_IO, and the log says what it was. */
static void test_other_errors_are_logged(void **state)
{
    (void)state;
    struct disk_file *f = open_ok("a", DISK_READ | DISK_CREATE);
    assert_int_equal(disk_write(f, "x", 1, 0), ERR_IO);
    assert_non_null(strstr(logged, "disk.error call=pwritev"));
    assert_non_null(strstr(logged, "Bad file descriptor"));
    disk_close(f);
    assert_int_equal(disk_open(disk_real(), dir, DISK_WRITE, &f), ERR_IO);
    assert_non_null(strstr(logged, "call=open"));
    assert_non_null(strstr(logged, "Is a directory"));
}

/* A disk that is always full. */
static void test_disk_full(void **state)
{
    (void)state;
    struct disk_file *f;
    if (disk_open(disk_real(), "/dev/full", DISK_WRITE, &f))
        skip();
    assert_int_equal(disk_write(f, "x", 1, 0), ERR_DISK_FULL);
    disk_close(f);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_flags),           T(test_read_at_end), T(test_writev_beyond_iov_max),
        T(test_sizes),           T(test_shared_file), T(test_names),
        T(test_syncs_and_space), T(test_lock),        T(test_other_errors_are_logged),
        T(test_disk_full),       T(test_named_pipe),
    };
    return cmocka_run_group_tests_name("io/disk_real", tests, NULL, NULL);
}
