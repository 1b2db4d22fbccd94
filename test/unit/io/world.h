/* world.h: one test, two worlds: the same code on real loops and on simulated ones.
 *
 *     static void test_x(enum world_kind kind) { world_make(kind, 2); ... world_run(); ... }
 *     int main(void) { ... WORLD_TEST(test_x) ... }
 *
 * world_run drives all loops until world_stop is called from inside one of them. In the real world
 * loop 0 runs on the caller's thread, each other on its own.
 */
#pragma once

#include "io/disk.h"
#include "io/loop.h"
#include "io/sim.h"

#include "../check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define WORLD_LOOPS_MAX 4

enum world_kind { WORLD_REAL, WORLD_SIM };

static struct world {
    enum world_kind kind;
    unsigned n;
    struct loop *loops[WORLD_LOOPS_MAX];
    pthread_t threads[WORLD_LOOPS_MAX];
    struct sim *sim;
    bool done;
    struct disk *disk;
    char dir[64]; /* an empty folder on the disk */
} world;

static inline void world_make_seeded(enum world_kind kind, unsigned n, uint64_t seed)
{
    world = (struct world){.kind = kind, .n = n};
    if (kind == WORLD_SIM) {
        world.sim = sim_make(&(struct sim_conf){.seed = seed});
        sim_loops(world.sim, n, world.loops);
        world.disk = sim_disk(world.sim);
        snprintf(world.dir, sizeof(world.dir), "/t");
        assert_int_equal(disk_mkdir(world.disk, world.dir), ERR_OK);
    } else {
        assert_int_equal(loop_set_make(n, world.loops), ERR_OK);
        world.disk = disk_real();
        snprintf(world.dir, sizeof(world.dir), "/tmp/weir-test-io-XXXXXX");
        assert_non_null(mkdtemp(world.dir));
    }
}

static inline void world_make(enum world_kind kind, unsigned n)
{
    world_make_seeded(kind, n, 1);
}

static inline void *world_thread(void *loop)
{
    loop_run(loop);
    return NULL;
}

static inline void world_run(void)
{
    if (world.kind == WORLD_SIM) {
        world.done = false;
        assert_true(sim_run_while_not(world.sim, &world.done, 3600 * UINT64_C(1000000)));
        return;
    }
    for (unsigned i = 1; i < world.n; i++)
        assert_int_equal(pthread_create(&world.threads[i], NULL, world_thread, world.loops[i]), 0);
    loop_run(world.loops[0]);
    for (unsigned i = 1; i < world.n; i++)
        assert_int_equal(pthread_join(world.threads[i], NULL), 0);
}

/* Any loop. */
static inline void world_stop(void)
{
    if (world.kind == WORLD_SIM) {
        world.done = true;
        return;
    }
    for (unsigned i = 0; i < world.n; i++)
        loop_stop(world.loops[i]);
}

static inline void world_remove(void *arg, const char *name, bool is_dir)
{
    (void)arg;
    (void)is_dir;
    char path[400];
    snprintf(path, sizeof(path), "%s/%s", world.dir, name);
    assert_int_equal(disk_unlink(world.disk, path), ERR_OK);
}

static inline void world_free(void)
{
    if (world.kind == WORLD_SIM) {
        sim_free(world.sim);
        return;
    }
    loop_set_free(world.n, world.loops);
    assert_int_equal(disk_list(world.disk, world.dir, world_remove, NULL), ERR_OK);
    assert_int_equal(disk_rmdir(world.disk, world.dir), ERR_OK);
}

static inline const char *world_path(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", world.dir, name);
    return path;
}

/* Both kinds of a test, with the kind as its initial state. */
#define WORLD_TEST(test)                                                                           \
    {#test "_real", test##_in, NULL, NULL, (void *)(uintptr_t)WORLD_REAL},                         \
    {                                                                                              \
#test "_sim", test##_in, NULL, NULL, (void *)(uintptr_t)WORLD_SIM                          \
    }

/* Defines the test; its body sees `kind`. */
#define WORLD_DEFINE(test)                                                                         \
    static void test(enum world_kind kind);                                                        \
    static void test##_in(void **state)                                                            \
    {                                                                                              \
        test((enum world_kind)(uintptr_t)*state);                                                  \
    }                                                                                              \
    static void test(enum world_kind kind)
