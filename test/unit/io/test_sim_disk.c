#include "io/sim.h"

#include "base/mem.h"

#include "../check.h"

#include <stdio.h>
#include <string.h>

/* Power cuts are drawn: what must hold is looked at over this many seeds. */
#define SEEDS 1000u

static struct sim *sim;
static struct disk *disk;

static void world(uint64_t seed)
{
    sim = sim_make(&(struct sim_conf){.seed = seed, .disk_bytes = 8 << 20});
    disk = sim_disk(sim);
}

static struct disk_file *open_ok(const char *path, unsigned flags)
{
    struct disk_file *f = NULL;
    assert_int_equal(disk_open(disk, path, flags, &f), ERR_OK);
    return f;
}

static struct disk_file *create(const char *path)
{
    return open_ok(path, DISK_READ | DISK_WRITE | DISK_CREATE);
}

static void fill(struct disk_file *f, int byte, size_t n, uint64_t at)
{
    uint8_t *p = mem_alloc(n);
    memset(p, byte, n);
    assert_int_equal(disk_write(f, p, n, at), ERR_OK);
    mem_free(p);
}

/* Creates a file whose name and first n bytes are durable. */
static struct disk_file *create_durable(const char *path, int byte, size_t n)
{
    struct disk_file *f = create(path);
    if (n)
        fill(f, byte, n, 0);
    assert_int_equal(disk_sync(f), ERR_OK);
    assert_int_equal(disk_sync_dir(disk, "/"), ERR_OK);
    return f;
}

/* The whole file; *n: its size. */
static uint8_t *contents(const char *path, size_t *n)
{
    struct disk_file *f = open_ok(path, DISK_READ);
    uint64_t size;
    assert_int_equal(disk_size(f, &size), ERR_OK);
    uint8_t *p = mem_alloc((size_t)size + 1);
    assert_int_equal(disk_read(f, p, (size_t)size + 1, 0, n), ERR_OK);
    assert_int_equal(*n, size);
    disk_close(f);
    return p;
}

static bool exists(const char *path)
{
    struct disk_file *f;
    enum err e = disk_open(disk, path, DISK_READ, &f);
    if (!e)
        disk_close(f);
    return e == ERR_OK;
}

static size_t count_of(const uint8_t *p, size_t n, int byte)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        found += p[i] == byte;
    return found;
}

static void test_calls(void **state)
{
    (void)state;
    world(1);
    struct disk_file *f;
    assert_int_equal(disk_open(disk, "/none", DISK_READ, &f), ERR_NOT_FOUND);
    assert_int_equal(disk_open(disk, "/none/a", DISK_WRITE | DISK_CREATE, &f), ERR_NOT_FOUND);
    f = create("/a");
    fill(f, 'x', 5000, 4000);
    char got[16];
    size_t n;
    assert_int_equal(disk_read(f, got, 16, 3995, &n), ERR_OK);
    assert_int_equal(n, 16);
    assert_memory_equal(got, "\0\0\0\0\0xxxxxxxxxxx", 16);
    assert_int_equal(disk_read(f, got, 16, 8990, &n), ERR_OK);
    assert_int_equal(n, 10);
    assert_int_equal(disk_truncate(f, 4001), ERR_OK);
    assert_int_equal(disk_allocate(f, 0, 9000), ERR_OK);
    assert_int_equal(disk_read(f, got, 16, 3999, &n), ERR_OK);
    assert_memory_equal(got, "\0x\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    assert_int_equal(
        disk_open(disk, "/a", DISK_WRITE | DISK_CREATE | DISK_EXCL, &(struct disk_file *){0}),
        ERR_EXISTS);
    uint64_t size;
    struct disk_file *again = open_ok("a", DISK_WRITE | DISK_TRUNC);
    assert_int_equal(disk_size(f, &size), ERR_OK);
    assert_int_equal(size, 0);
    disk_close(again);
    disk_close(f);
    sim_free(sim);
}

static char listed[64];

static void list_entry(void *arg, const char *name, bool is_dir)
{
    (void)arg;
    size_t n = strlen(listed);
    snprintf(listed + n, sizeof(listed) - n, "%s%s", name, is_dir ? "/ " : " ");
}

static void test_names(void **state)
{
    (void)state;
    world(1);
    assert_int_equal(disk_mkdir(disk, "/d"), ERR_OK);
    assert_int_equal(disk_mkdir(disk, "/d"), ERR_EXISTS);
    disk_close(create("/d/b"));
    disk_close(create("/d/a"));
    assert_int_equal(disk_mkdir(disk, "/d/sub"), ERR_OK);
    listed[0] = 0;
    assert_int_equal(disk_list(disk, "/d", list_entry, NULL), ERR_OK);
    assert_string_equal(listed, "a b sub/ ");
    assert_int_equal(disk_rmdir(disk, "/d"), ERR_EXISTS);
    assert_int_equal(disk_unlink(disk, "/d/sub"), ERR_IO);
    assert_int_equal(disk_rename(disk, "/d/a", "/d/b"), ERR_OK);
    assert_int_equal(disk_rename(disk, "/d/a", "/d/b"), ERR_NOT_FOUND);
    assert_int_equal(disk_rename(disk, "/d/b", "/b"), ERR_OK);
    assert_int_equal(disk_rename(disk, "/b", "/b"), ERR_OK);
    assert_int_equal(disk_rmdir(disk, "/d/sub"), ERR_OK);
    assert_int_equal(disk_rmdir(disk, "/d"), ERR_OK);
    assert_int_equal(disk_sync_dir(disk, "/d"), ERR_NOT_FOUND);
    assert_int_equal(disk_list(disk, "/d", list_entry, NULL), ERR_NOT_FOUND);
    listed[0] = 0;
    assert_int_equal(disk_list(disk, "/", list_entry, NULL), ERR_OK);
    assert_string_equal(listed, "b ");
    struct disk_file *lock, *second;
    assert_int_equal(disk_lock(disk, "/lock", &lock), ERR_OK);
    assert_int_equal(disk_lock(disk, "/lock", &second), ERR_LOCKED);
    disk_close(lock);
    assert_int_equal(disk_lock(disk, "/lock", &lock), ERR_OK);
    sim_power_cut(sim);
    assert_int_equal(disk_lock(disk, "/lock", &second), ERR_OK);
    disk_close(second);
    disk_close(lock);
    sim_free(sim);
}

/* A file that is open when its machine dies gives errors, and can be closed. */
static void test_dead_handles(void **state)
{
    (void)state;
    world(1);
    struct disk_file *f = create_durable("/a", 'x', 10);
    sim_power_cut(sim);
    size_t n;
    char c;
    assert_int_equal(disk_read(f, &c, 1, 0, &n), ERR_IO);
    assert_int_equal(disk_write(f, "x", 1, 0), ERR_IO);
    assert_int_equal(disk_sync(f), ERR_IO);
    disk_close(f);
    assert_true(exists("/a"));
    sim_free(sim);
}

static void test_synced_survives(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        world(seed);
        struct disk_file *f = create_durable("/a", 'x', 10000);
        fill(f, 'y', 3000, 10000);
        sim_power_cut(sim);
        disk_close(f);
        size_t n;
        uint8_t *p = contents("/a", &n);
        assert_true(n >= 10000 && n <= 13000);
        assert_int_equal(count_of(p, 10000, 'x'), 10000);
        mem_free(p);
        sim_free(sim);
    }
}

/* Each fate of an unsynced overwrite occurs; a sector is never of two minds. */
static void test_unsynced_is_lost_kept_or_torn(void **state)
{
    (void)state;
    unsigned lost = 0, kept = 0, torn = 0;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        world(seed);
        struct disk_file *f = create_durable("/a", 'x', 8192);
        fill(f, 'y', 6144, 1024);
        sim_power_cut(sim);
        disk_close(f);
        size_t n;
        uint8_t *p = contents("/a", &n);
        assert_int_equal(n, 8192);
        size_t changed = count_of(p, n, 'y');
        assert_int_equal(count_of(p, n, 'x'), n - changed);
        assert_int_equal(count_of(p, 1024, 'x') + count_of(p + 7168, 1024, 'x'), 2048);
        for (size_t at = 0; at < n; at += 512)
            assert_true(count_of(p + at, 512, 'y') % 512 == 0);
        lost += changed == 0;
        kept += changed == 6144;
        torn += changed > 0 && changed < 6144;
        mem_free(p);
        sim_free(sim);
    }
    assert_true(lost > SEEDS / 20 && kept > SEEDS / 20 && torn > SEEDS / 20);
}

/* A sector holds all writes up to one of them; sectors apart may disagree about the order. */
static void test_order_is_kept_in_a_sector_only(void **state)
{
    (void)state;
    unsigned later_only = 0, middle = 0;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        world(seed);
        struct disk_file *f = create_durable("/a", '.', 1024);
        fill(f, '1', 100, 0);
        fill(f, '2', 100, 600);
        fill(f, '3', 100, 100);
        sim_power_cut(sim);
        disk_close(f);
        size_t n;
        uint8_t *p = contents("/a", &n);
        bool one = p[0] == '1', two = p[600] == '2', three = p[100] == '3';
        assert_true(one || !three);
        later_only += two && !one;
        middle += one && !three;
        mem_free(p);
        sim_free(sim);
    }
    assert_true(later_only > SEEDS / 50 && middle > SEEDS / 50);
}

/* Growth: size and bytes go separate ways; what is missing reads as zeros. */
static void test_growth(void **state)
{
    (void)state;
    unsigned unknown = 0, short_size = 0, zeros = 0, whole = 0;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        world(seed);
        struct disk_file *f = create_durable("/a", 0, 0);
        fill(f, 'a', 2048, 0);
        fill(f, 'b', 2048, 2048);
        sim_power_cut(sim);
        disk_close(f);
        size_t n;
        uint8_t *p = contents("/a", &n);
        size_t good = count_of(p, n < 2048 ? n : 2048, 'a');
        if (n > 2048)
            good += count_of(p + 2048, n - 2048, 'b');
        unknown += count_of(p, n, 0) + good != n;
        unknown += n != 0 && n != 2048 && n != 4096;
        short_size += n < 4096;
        zeros += good < n;
        whole += n == 4096 && good == n;
        mem_free(p);
        sim_free(sim);
    }
    assert_int_equal(unknown, 0);
    assert_true(short_size > SEEDS / 20 && zeros > SEEDS / 20 && whole > SEEDS / 20);
}

static void test_allocate_and_truncate(void **state)
{
    (void)state;
    unsigned grown = 0, cut = 0, stale = 0;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        world(seed);
        struct disk_file *f = create_durable("/a", 'x', 5000);
        assert_int_equal(disk_truncate(f, 1000), ERR_OK);
        assert_int_equal(disk_allocate(f, 0, 20000), ERR_OK);
        sim_power_cut(sim);
        disk_close(f);
        size_t n;
        uint8_t *p = contents("/a", &n);
        assert_true(n == 5000 || n == 1000 || n == 20000);
        assert_int_equal(count_of(p, 1000, 'x'), 1000);
        if (n == 5000)
            assert_int_equal(count_of(p, n, 'x'), 5000);
        else
            assert_int_equal(count_of(p + 1000, n - 1000, 0), n - 1000);
        grown += n == 20000;
        cut += n == 1000;
        stale += n == 5000;
        mem_free(p);
        sim_free(sim);
    }
    assert_true(grown > SEEDS / 20 && cut > SEEDS / 20 && stale > SEEDS / 20);
}

/* A new name is durable when its folder is synced, not when its file is. */
static void test_created_names(void **state)
{
    (void)state;
    unsigned there = 0, gone = 0;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        world(seed);
        struct disk_file *f = create("/a");
        fill(f, 'x', 100, 0);
        assert_int_equal(disk_sync(f), ERR_OK);
        sim_power_cut(sim);
        disk_close(f);
        if (exists("/a")) {
            size_t n;
            uint8_t *p = contents("/a", &n);
            assert_int_equal(n, 100);
            assert_int_equal(count_of(p, n, 'x'), 100);
            mem_free(p);
            there++;
        } else {
            gone++;
        }
        sim_free(sim);
    }
    assert_true(there > SEEDS / 20 && gone > SEEDS / 20);
}

/* The target of a rename always exists, old or new; never neither. */
static void test_rename(void **state)
{
    (void)state;
    unsigned old = 0, new = 0;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        world(seed);
        disk_close(create_durable("/a", 'o', 10));
        assert_int_equal(disk_replace_file(disk, "/b", "none", "x", 1), ERR_NOT_FOUND);
        struct disk_file *f = create("/a.tmp");
        fill(f, 'n', 10, 0);
        assert_int_equal(disk_sync(f), ERR_OK);
        disk_close(f);
        assert_int_equal(disk_rename(disk, "/a.tmp", "/a"), ERR_OK);
        bool synced = seed % 2;
        if (synced)
            assert_int_equal(disk_sync_dir(disk, "/"), ERR_OK);
        sim_power_cut(sim);
        size_t n;
        uint8_t *p = contents("/a", &n);
        assert_int_equal(n, 10);
        assert_true(p[0] == 'n' || (!synced && p[0] == 'o'));
        if (!synced) {
            old += p[0] == 'o';
            new += p[0] == 'n';
        }
        if (p[0] == 'n')
            assert_false(exists("/a.tmp"));
        mem_free(p);
        sim_free(sim);
    }
    assert_true(old > SEEDS / 20 && new > SEEDS / 20);
}

static void test_unlink_and_folders(void **state)
{
    (void)state;
    unsigned back = 0, dirs_lost = 0, inner_lost = 0;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        world(seed);
        disk_close(create_durable("/a", 'x', 10));
        assert_int_equal(disk_unlink(disk, "/a"), ERR_OK);
        assert_int_equal(disk_mkdir(disk, "/d"), ERR_OK);
        disk_close(create("/d/f"));
        sim_power_cut(sim);
        back += exists("/a");
        bool dir = disk_sync_dir(disk, "/d") == ERR_OK;
        dirs_lost += !dir;
        inner_lost += dir && !exists("/d/f");
        sim_free(sim);
    }
    assert_true(back > SEEDS / 20 && dirs_lost > SEEDS / 20 && inner_lost > SEEDS / 20);
}

static void test_kill_keeps_what_was_written(void **state)
{
    (void)state;
    world(3);
    struct disk_file *f = create("/a");
    fill(f, 'x', 5000, 0);
    sim_kill(sim);
    disk_close(f);
    size_t n;
    uint8_t *p = contents("/a", &n);
    assert_int_equal(n, 5000);
    assert_int_equal(count_of(p, n, 'x'), 5000);
    mem_free(p);
    sim_free(sim);
    /* It is still not synced: a later power cut may take it. */
    unsigned lost = 0;
    for (unsigned seed = 0; seed < 100; seed++) {
        world(seed);
        disk_close(create("/a"));
        sim_kill(sim);
        sim_power_cut(sim);
        lost += !exists("/a");
        sim_free(sim);
    }
    assert_true(lost > 10 && lost < 90);
}

static void test_sync_all(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 100; seed++) {
        world(seed);
        assert_int_equal(disk_mkdir(disk, "/d"), ERR_OK);
        struct disk_file *f = create("/d/a");
        fill(f, 'x', 5000, 0);
        assert_int_equal(disk_sync_all(disk, "/d"), ERR_OK);
        sim_power_cut(sim);
        disk_close(f);
        size_t n;
        uint8_t *p = contents("/d/a", &n);
        assert_int_equal(n, 5000);
        assert_int_equal(count_of(p, n, 'x'), 5000);
        mem_free(p);
        sim_free(sim);
    }
}

static void test_disk_full(void **state)
{
    (void)state;
    world(1);
    uint64_t all, left;
    assert_int_equal(disk_free_bytes(disk, "/", &all), ERR_OK);
    assert_int_equal(all, 8 << 20);
    struct disk_file *f = create("/a"), *g = create("/b");
    fill(f, 'x', 6 << 20, 0);
    assert_int_equal(disk_allocate(g, 0, 3 << 20), ERR_DISK_FULL);
    assert_int_equal(disk_truncate(g, 0), ERR_OK);
    assert_int_equal(disk_sync(g), ERR_OK);
    uint8_t *p = mem_zalloc(1, 3 << 20);
    assert_int_equal(disk_write(g, p, 3 << 20, 0), ERR_DISK_FULL);
    mem_free(p);
    assert_int_equal(disk_free_bytes(disk, "/", &left), ERR_OK);
    assert_int_equal(left, 0);
    /* What is there can be overwritten. */
    fill(f, 'y', 1 << 20, 0);
    disk_close(g);
    assert_int_equal(disk_unlink(disk, "/b"), ERR_OK);
    assert_int_equal(disk_sync_dir(disk, "/"), ERR_OK);
    assert_int_equal(disk_free_bytes(disk, "/", &left), ERR_OK);
    assert_int_equal(left, 2 << 20);
    fill(f, 'x', 1 << 20, 6 << 20);
    disk_close(f);
    sim_free(sim);
}

static void test_faults(void **state)
{
    (void)state;
    world(1);
    struct disk_file *f = create_durable("/a", 'x', 4096);
    sim_disk_set_faults(sim, &(struct sim_disk_faults){.fail_write_after = 2});
    assert_int_equal(disk_write(f, "1", 1, 0), ERR_OK);
    assert_int_equal(disk_write(f, "2", 1, 1), ERR_IO);
    assert_int_equal(disk_write(f, "3", 1, 2), ERR_OK);
    sim_disk_set_faults(sim, &(struct sim_disk_faults){.fail_rename_after = 1});
    assert_int_equal(disk_rename(disk, "/a", "/b"), ERR_IO);
    assert_int_equal(disk_rename(disk, "/a", "/b"), ERR_OK);
    sim_disk_set_faults(sim, &(struct sim_disk_faults){.fail_any_after = 3});
    uint64_t size;
    assert_int_equal(disk_size(f, &size), ERR_OK);
    assert_int_equal(disk_size(f, &size), ERR_OK);
    assert_int_equal(disk_size(f, &size), ERR_IO);
    assert_int_equal(disk_size(f, &size), ERR_OK);
    sim_disk_set_faults(sim, &(struct sim_disk_faults){.full_after = 2});
    fill(f, 'y', 1, 4096);
    uint8_t two[8192] = {0};
    assert_int_equal(disk_write(f, two, 8192, 4096), ERR_DISK_FULL);
    assert_int_equal(disk_write(f, two, 1, 0), ERR_OK);
    assert_int_equal(disk_write(f, two, 1, 20000), ERR_DISK_FULL);
    sim_disk_set_faults(sim, &(struct sim_disk_faults){.flip_one_in = 1});
    uint8_t got[16];
    size_t n;
    assert_int_equal(disk_read(f, got, 16, 1000, &n), ERR_OK);
    assert_int_equal(count_of(got, 16, 'x'), 15);
    sim_disk_set_faults(sim, &(struct sim_disk_faults){0});
    assert_int_equal(sim_disk_corrupt(sim, "/b", 1000), ERR_OK);
    assert_int_equal(sim_disk_corrupt(sim, "/none", 0), ERR_NOT_FOUND);
    assert_int_equal(sim_disk_corrupt(sim, "/b", 1 << 20), ERR_OFFSET_RANGE);
    assert_int_equal(disk_read(f, got, 16, 1000, &n), ERR_OK);
    assert_true(got[0] != 'x' && count_of(got, 16, 'x') == 15);
    disk_close(f);
    sim_free(sim);
}

/* Of the file alone, or of all. */
static enum err sync_how(struct disk_file *f, bool all)
{
    return all ? disk_sync_all(disk, "/") : disk_sync(f);
}

/* After a failed sync the bytes are readable, and a second sync that succeeds proves nothing. */
static void failed_sync_loses(bool all)
{
    unsigned lost = 0, kept = 0;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        world(seed);
        struct disk_file *f = create_durable("/a", 'x', 4096);
        fill(f, 'y', 512, 0);
        sim_disk_set_faults(sim, &(struct sim_disk_faults){.fail_sync_after = 1});
        assert_int_equal(sync_how(f, all), ERR_IO);
        size_t n;
        uint8_t c;
        assert_int_equal(disk_read(f, &c, 1, 0, &n), ERR_OK);
        assert_int_equal(c, 'y');
        assert_int_equal(sync_how(f, all), ERR_OK);
        sim_power_cut(sim);
        disk_close(f);
        uint8_t *p = contents("/a", &n);
        assert_int_equal(n, 4096);
        lost += p[0] == 'x';
        kept += p[0] == 'y';
        mem_free(p);
        sim_free(sim);
    }
    assert_int_equal(lost + kept, SEEDS);
    assert_true(lost > SEEDS / 20 && kept > SEEDS / 20);
}

static void test_failed_sync_loses(void **state)
{
    (void)state;
    failed_sync_loses(false);
    failed_sync_loses(true);
}

/* ---- power cuts inside calls ---- */

struct life {
    struct disk_file *f;
    unsigned synced; /* blocks whose sync returned */
    unsigned reached;
};

/* Appends blocks, each synced. */
static void run_life(void *arg)
{
    struct life *life = arg;
    life->f = create("/log");
    assert_int_equal(disk_sync_dir(disk, "/"), ERR_OK);
    for (unsigned i = 0; i < 10; i++) {
        uint8_t block[700]; /* not from the heap: a life that is cut frees nothing */
        memset(block, 'a' + (int)i, sizeof(block));
        assert_int_equal(disk_write(life->f, block, sizeof(block), (uint64_t)i * 700), ERR_OK);
        life->reached++;
        assert_int_equal(disk_sync(life->f), ERR_OK);
        life->synced++;
    }
    assert_int_equal(disk_rename(disk, "/log", "/log2"), ERR_OK);
    life->reached++;
}

static void check_life(const struct life *life)
{
    const char *path = exists("/log") ? "/log" : "/log2";
    if (!exists(path)) {
        assert_int_equal(life->synced, 0);
        return;
    }
    size_t n;
    uint8_t *p = contents(path, &n);
    assert_true(n >= (size_t)life->synced * 700);
    for (unsigned i = 0; i < life->synced; i++)
        assert_int_equal(count_of(p + (size_t)i * 700, 700, 'a' + (int)i), 700);
    mem_free(p);
}

static void test_cut_at_every_call(void **state)
{
    (void)state;
    world(0);
    struct life life = {0};
    assert_true(sim_try(sim, run_life, &life));
    uint64_t calls = sim_disk_calls(sim);
    assert_int_equal(calls, 22);
    disk_close(life.f);
    sim_free(sim);
    for (uint32_t at = 1; at <= calls; at++) {
        for (unsigned seed = 0; seed < 20; seed++) {
            world(seed);
            life = (struct life){0};
            sim_disk_set_faults(sim, &(struct sim_disk_faults){.cut_after = at});
            assert_false(sim_try(sim, run_life, &life));
            assert_true(sim_was_cut(sim));
            assert_int_equal(sim_disk_calls(sim), at);
            assert_int_equal(life.reached, (at - 1) / 2);
            check_life(&life);
            disk_close(life.f);
            sim_free(sim);
        }
    }
}

static uint64_t trace_of(uint64_t seed)
{
    world(seed);
    struct life life = {0};
    sim_disk_set_faults(sim, &(struct sim_disk_faults){.cut_after = 15});
    assert_false(sim_try(sim, run_life, &life));
    disk_close(life.f);
    life = (struct life){0};
    assert_true(sim_try(sim, run_life, &life));
    disk_close(life.f);
    uint64_t trace = sim_trace(sim) ^ sim_mono_us(sim);
    sim_free(sim);
    return trace;
}

static void test_determinism(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 100; seed++) {
        assert_true(trace_of(seed) == trace_of(seed));
        assert_true(trace_of(seed) != trace_of(seed + 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_dead_handles),
        cmocka_unit_test(test_synced_survives),
        cmocka_unit_test(test_unsynced_is_lost_kept_or_torn),
        cmocka_unit_test(test_order_is_kept_in_a_sector_only),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_allocate_and_truncate),
        cmocka_unit_test(test_created_names),
        cmocka_unit_test(test_rename),
        cmocka_unit_test(test_unlink_and_folders),
        cmocka_unit_test(test_kill_keeps_what_was_written),
        cmocka_unit_test(test_sync_all),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_failed_sync_loses),
        cmocka_unit_test(test_cut_at_every_call),
        cmocka_unit_test(test_determinism),
    };
    return cmocka_run_group_tests_name("io/sim_disk", tests, NULL, NULL);
}
