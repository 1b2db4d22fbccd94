/* weir_fail: every step that can fail does, one after the other.
 *
 * A short life of a broker with a producer, a consumer, a committer and a member of a group is
 * played again and again. In each play one call fails in one phase: the n-th write, sync or rename,
 * any n-th disk call, the disk is full from the n-th write on, or the n-th allocation fails, for
 * n = 1, 2, 3 ... until the phase makes no more of them. Each play must end in an error to whoever
 * asked, or in the end of the process in order; after a restart all that was acknowledged is there,
 * and the clients come to the end of what they had begun.
 *
 * Each play runs in a child process. Prints TAP: a test is a phase with a kind of failure.
 *
 *     weir_fail [--thin N] [PHASE KIND NUMBER [--trace]]
 *
 * --thin: beyond the first 40 only every N-th number.
 */
#include "weir_load.h"

#include "base/mem.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum phase { START, CREATE, WORK, CHECKPOINT, TRIM, STOP, RECOVERY, PHASES };
enum kind { WRITE, SYNC, RENAME, ANY, FULL, MEMORY, KINDS };

static const char *const phase_names[] = {"start", "create", "work",    "checkpoint",
                                          "trim",  "stop",   "recovery"};
static const char *const kind_names[] = {"write", "sync", "rename", "any", "full", "memory"};

/* How a play ends, as an exit status. */
enum outcome { GOOD, BAD, NOT_REACHED = 3, NOT_OURS = WEIR_SIM_NOT_OURS };

struct play {
    struct weir_sim w;
    struct load load;
    enum phase phase;
    enum kind kind;
    uint32_t n;
    uint64_t calls; /* disk calls when the phase began */
    bool stopped;   /* the process ended by itself */
};

static struct play play;

/* ---- failing -------------------------------------------------------------------------------- */

/* The allocation that fails was one that may not: the process ends. */
static void no_memory(void)
{
    play.stopped = true;
    if (!sim_in_program(play.w.sim))
        _exit(NOT_OURS);
    sim_exit(play.w.sim);
}

static void arm(enum phase phase)
{
    struct sim_disk_faults faults = {0};
    if (phase != play.phase)
        return;
    play.calls = sim_disk_calls(play.w.sim);
    play.load.disk_fails = true;
    play.w.memory_fails = play.kind == MEMORY;
    faults.fail_write_after = play.kind == WRITE ? play.n : 0;
    faults.fail_sync_after = play.kind == SYNC ? play.n : 0;
    faults.fail_rename_after = play.kind == RENAME ? play.n : 0;
    faults.fail_any_after = play.kind == ANY ? play.n : 0;
    faults.full_after = play.kind == FULL ? play.n : 0;
    sim_disk_set_faults(play.w.sim, &faults);
    if (play.kind == MEMORY)
        mem_fail_after(play.n, no_memory);
}

/* Whether the countdown of allocations has ended. */
static bool memory_has_failed(void)
{
    bool waits = false;
    for (unsigned i = 0; i < 2000000 && !waits && !play.stopped; i++) {
        void *p = mem_try(1);
        waits = p == NULL;
        mem_free(p);
    }
    return !waits;
}

/* A stop makes no more disk calls than that. */
#define STOP_CALLS_MAX 200

/* The same of disk calls. A process that has ended by itself met it; after an ordinary stop there
 * is nothing left to ask. */
static bool any_has_failed(void)
{
    if (play.phase == STOP)
        return play.n < STOP_CALLS_MAX;
    enum err err = ERR_NOT_FOUND;
    for (unsigned i = 0; i < 10000 && play.w.alive && err == ERR_NOT_FOUND; i++)
        err = disk_unlink(sim_disk(play.w.sim), "/no-such-file");
    return err == ERR_NOT_FOUND;
}

static void disarm(enum phase phase)
{
    if (phase != play.phase)
        return;
    bool reached = play.kind == MEMORY ? memory_has_failed()
                   : play.kind == ANY  ? any_has_failed()
                                       : sim_disk_calls(play.w.sim) - play.calls >= play.n;
    mem_fail_after(0, NULL);
    if (!reached)
        _exit(NOT_REACHED);
    if (play.w.alive)
        sim_disk_set_faults(play.w.sim, &(struct sim_disk_faults){0});
}

/* ---- a life --------------------------------------------------------------------------------- */

static void phase_start(void)
{
    arm(START);
    (void)weir_sim_start(&play.w);
    disarm(START);
    if (!play.w.alive && weir_sim_start(&play.w) != WEIR_SERVES)
        weir_sim_fail(&play.w, "it does not start: %s: %s", err_name(play.w.err), play.w.text.s);
}

/* One phase of a life that may have ended before. */
static void run_phase(enum phase phase, void (*fn)(void))
{
    if (!play.w.alive)
        return;
    arm(phase);
    fn();
    disarm(phase);
}

static void create(void)
{
    load_create(&play.load, "ta", 2, false);
    if (play.w.alive)
        load_create(&play.load, "tb", 1, false);
}

static void work(void)
{
    play.load.batches_left = 12;
    load_resume(&play.load);
    (void)weir_sim_run(&play.w, 60 * WEIR_SIM_MS);
    play.load.paused = true;
}

static void checkpoint(void)
{
    (void)weir_sim_run(&play.w, 1200 * WEIR_SIM_MS);
}

static void trim(void)
{
    load_trim(&play.load);
    if (play.w.alive)
        (void)weir_sim_run(&play.w, 1200 * WEIR_SIM_MS);
}

static void stop(void)
{
    enum err err = weir_sim_stop(&play.w);
    if (err && play.phase != STOP)
        weir_sim_fail(&play.w, "the stop fails: %s", err_name(err));
}

/* A restart that has something to replay. */
static void phase_recovery(void)
{
    if (play.w.alive)
        weir_sim_kill(&play.w);
    arm(RECOVERY);
    (void)weir_sim_start(&play.w);
    disarm(RECOVERY);
}

/* It starts, and everything is there. */
static void restart(void)
{
    struct weir_sim *w = &play.w;
    if (weir_sim_start(w) != WEIR_SERVES)
        weir_sim_fail(w, "it does not start again: %s: %s", err_name(w->err), w->text.s);
    play.load.disk_fails = play.w.memory_fails = false;
    if (!load_scan(&play.load, false))
        weir_sim_fail(w, "it stopped by itself: %s", err_name(w->err));
}

/* Whatever happened: everything is there, it stays when the power goes (every other time), since
 * what the page cache holds after a failed sync need not be on the disk; and the clients come to
 * their end. */
static void judge(void)
{
    struct weir_sim *w = &play.w;
    if (w->alive)
        weir_sim_kill(w);
    restart();
    if (play.n % 2 == 1) {
        weir_sim_cut(w);
        restart();
    }
    load_restarted(&play.load);
    play.load.draining = true;
    load_resume(&play.load);
    for (unsigned i = 0; i < 60 && !load_is_drained(&play.load); i++)
        (void)weir_sim_run(w, 500 * WEIR_SIM_MS);
    if (!w->alive || !load_is_drained(&play.load))
        weir_sim_fail(w, "the clients do not come to an end within 30 s");
    play.load.paused = true;
    if (!load_scan(&play.load, false))
        weir_sim_fail(w, "it stopped by itself: %s", err_name(w->err));
    load_check_done(&play.load);
    if (weir_sim_stop(w))
        weir_sim_fail(w, "the stop fails: %s", err_name(w->err));
}

static void run_play(enum phase phase, enum kind kind, uint32_t n, bool trace)
{
    struct weir_sim_conf conf;
    weir_sim_defaults(&conf, 7);
    conf.reactors = 2;
    conf.trace = trace;
    conf.checkpoint_ms = 1000;
    conf.retention_ms = 500;
    conf.broker.group_initial_delay_ms = 5;
    play.phase = phase;
    play.kind = kind;
    play.n = n;
    weir_sim_make(&play.w, &conf);
    load_make_small(&play.load, &play.w);
    phase_start();
    run_phase(CREATE, create);
    run_phase(WORK, work);
    run_phase(CHECKPOINT, checkpoint);
    if (play.w.alive) /* the journal holds something again */
        work();
    if (phase == RECOVERY)
        phase_recovery();
    run_phase(TRIM, trim);
    run_phase(STOP, stop);
    judge();
}

/* ---- all of them ---------------------------------------------------------------------------- */

static enum outcome play_in_child(enum phase phase, enum kind kind, uint32_t n)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        run_play(phase, kind, n, false);
        _exit(GOOD);
    }
    (void)waitpid(pid, &status, 0);
    if (WIFSIGNALED(status))
        printf("# signal %d\n", WTERMSIG(status));
    return WIFEXITED(status) ? (enum outcome)WEXITSTATUS(status) : BAD;
}

static bool run_kind(enum phase phase, enum kind kind, uint32_t thin, unsigned number)
{
    uint32_t plays = 0, last = 0;
    bool good = true;
    for (uint32_t n = 1; good; n += n < 40 ? 1 : thin) {
        enum outcome outcome = play_in_child(phase, kind, n);
        if (outcome == NOT_REACHED)
            break;
        if (outcome != GOOD && outcome != NOT_OURS) {
            printf("# weir_fail %s %s %" PRIu32 " --trace\n", phase_names[phase], kind_names[kind],
                   n);
            good = false;
        }
        plays += outcome == GOOD;
        last = n;
    }
    printf("%sok %u - %s, %s: %" PRIu32 " plays, up to the %" PRIu32 "th\n", good ? "" : "not ",
           number, phase_names[phase], kind_names[kind], plays, last);
    return good;
}

static unsigned find(const char *const *names, unsigned n, const char *name)
{
    for (unsigned i = 0; i < n; i++) {
        if (!strcmp(names[i], name))
            return i;
    }
    fprintf(stderr, "weir_fail: what is %s?\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    uint32_t thin = 1;
    bool good = true;
    unsigned number = 0;
    if (argc == 3 && !strcmp(argv[1], "--thin")) {
        thin = (uint32_t)strtoul(argv[2], NULL, 10);
    } else if (argc >= 4) {
        run_play((enum phase)find(phase_names, PHASES, argv[1]),
                 (enum kind)find(kind_names, KINDS, argv[2]), (uint32_t)strtoul(argv[3], NULL, 10),
                 argc > 4);
        printf("good\n");
        fflush(stdout);
        _exit(0);
    }
    for (unsigned phase = 0; phase < PHASES; phase++) {
        for (unsigned kind = 0; kind < KINDS; kind++)
            good &= run_kind((enum phase)phase, (enum kind)kind, thin ? thin : 1, ++number);
    }
    printf("1..%u\n", number);
    return good ? 0 : 1;
}
