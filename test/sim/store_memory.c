/* The n-th allocation fails, for n = 1, 2, 3 ...: the process stops in order (mem.h), and the next
 * one finds everything that it had acknowledged. In real processes on a real folder: the one that
 * runs out of memory is a child, what it was told stands in memory that it shares.
 *
 *     test_store_memory [N]
 */
#include "store_world.h"

#include "base/mem.h"
#include "io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOGS 3
#define APPENDS 12
#define RUNS_MAX 400

/* What the child was told, by tag. */
static struct shared {
    bool acked[LOGS * APPENDS];
    int64_t offset[LOGS * APPENDS];
    bool finished;
} * shared;

static struct store_world w;

static struct slice batch_of(unsigned tag)
{
    return world_batch(tag, 1 + tag % 2, 200 + 100 * (tag % 7), 1);
}

static void checkpoint_done(void *arg, enum err err)
{
    (void)arg;
    (void)err;
    world_done(&w);
}

static void checkpoint_run(struct store_world *world, void *arg)
{
    (void)arg;
    embedded_checkpoint(world->embedded, checkpoint_done, NULL);
}

static int append_all(struct store_log *log[LOGS])
{
    for (unsigned tag = 0; tag < LOGS * APPENDS; tag++) {
        struct slice b = batch_of(tag);
        int64_t at = world_append(&w, world_id(1, tag % LOGS), log[tag % LOGS], b, 1);
        slice_unref(b);
        if (at < 0)
            return 1;
        shared->offset[tag] = at;
        shared->acked[tag] = true;
        if (tag == LOGS * APPENDS / 2)
            (void)world_call(&w, 0, checkpoint_run, NULL);
    }
    return 0;
}

/* The process whose memory ends. */
static int child(unsigned long n)
{
    struct store_log *log[LOGS];
    log_set_level((enum env_level)(ENV_ERROR + 1));
    if (!freopen("/dev/null", "w", stderr)) /* what it says at its end, every time */
        return 1;
    mem_fail_after(n, NULL);
    if (world_start(&w))
        return 1;
    for (unsigned k = 0; k < LOGS; k++)
        log[k] = world_log(&w, world_id(1, k), &world_log_conf);
    int status = append_all(log);
    (void)world_stop(&w);
    mem_fail_after(0, NULL);
    shared->finished = status == 0;
    return status;
}

static bool is_there(struct store_log *log, unsigned tag)
{
    struct slice want = batch_of(tag), got;
    bool same = world_read(&w, world_id(1, tag % LOGS), log, shared->offset[tag],
                           shared->offset[tag] + 1 + tag % 2, SIZE_MAX, &got, NULL) == ERR_OK;
    if (same) { /* all but base offset and leader epoch, which the store stamps */
        same = got.len == want.len && memcmp(got.at + 16, want.at + 16, want.len - 16) == 0;
        slice_unref(got);
    }
    slice_unref(want);
    return same;
}

/* The next process. */
static int verify(void)
{
    int lost = 0;
    log_set_level(ENV_ERROR);
    if (world_start(&w)) {
        fprintf(stderr, "start: %s\n", w.text.s);
        return 1;
    }
    for (unsigned k = 0; k < LOGS; k++) {
        struct store_log *log = world_log(&w, world_id(1, k), &world_log_conf);
        for (unsigned tag = k; tag < LOGS * APPENDS; tag += LOGS) {
            if (shared->acked[tag] && !is_there(log, tag)) {
                fprintf(stderr, "batch %u is lost\n", tag);
                lost = 1;
            }
        }
    }
    return world_stop(&w) || lost;
}

/* The child's status; -1: killed by a signal. */
static int in_child(int (*fn)(unsigned long n), unsigned long n)
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int r = fn(n);
        fflush(NULL);
        _exit(r);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static int verify_child(unsigned long n)
{
    (void)n;
    return verify();
}

static bool run(unsigned long n, bool *finished)
{
    memset(shared, 0, sizeof(*shared));
    world_make(&w, WORLD_REAL, 1, n);
    int how = in_child(child, n);
    bool good = how >= 0 && in_child(verify_child, n) == 0;
    if (!good)
        fprintf(stderr, "allocation %lu: %s\n", n, how < 0 ? "a crash" : "see above");
    *finished = shared->finished;
    world_free(&w);
    return good;
}

int main(int argc, char **argv)
{
    bool good = true, finished = false;
    unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1, runs = 0;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    /* every allocation of the start, then ever larger steps */
    for (; good && !finished && runs < RUNS_MAX; n += 1 + runs / 12, runs++) {
        good = run(n, &finished);
        if (argc > 1)
            break;
    }
    printf("1..1\n%s 1 - the n-th allocation fails, %lu runs, n up to %lu%s\n",
           good ? "ok" : "not ok", runs, n, finished ? ", then none was left" : "");
    return !good;
}
