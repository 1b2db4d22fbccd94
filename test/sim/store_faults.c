/* The n-th write, sync, rename or call of any kind fails, for n = 1, 2, 3 ... until none is left to
 * fail; the disk is full from the n-th write on. Whatever happens, what was acknowledged as durable
 * is there after the process ended and the power went; a start that met the fault says so and does
 * no harm; a store that met it either goes on or stops in order. With every second seed it is a
 * start with much to replay that meets it.
 *
 * The power goes at once, or later (half of the numbers): then another process finds all bytes in
 * the page cache first, also those that a failed sync has lost, and no sync of its own would write
 * them unless it writes them again.
 *
 *     test_store_faults                 all kinds
 *     test_store_faults KIND N [SEED]   one of them
 */
#include "store_model.h"

#include "io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEPS 200
#define SEED 11
#define N_A_CHILD 40

static const struct kind {
    const char *name;
    size_t field; /* offset in struct sim_disk_faults */
} kinds[] = {
    {"write", offsetof(struct sim_disk_faults, fail_write_after)},
    {"sync", offsetof(struct sim_disk_faults, fail_sync_after)},
    {"rename", offsetof(struct sim_disk_faults, fail_rename_after)},
    {"any", offsetof(struct sim_disk_faults, fail_any_after)},
    {"full", offsetof(struct sim_disk_faults, full_after)},
};

static void fault_set(struct player *p, const struct kind *kind, uint32_t n)
{
    struct sim_disk_faults faults = {0};
    memcpy((char *)&faults + kind->field, &n, sizeof(n));
    sim_disk_set_faults(p->w.sim, &faults);
}

static bool act(struct player *p, unsigned steps)
{
    bool alive = true;
    for (unsigned i = 0; i < steps && alive; i++) {
        player_act(p);
        if (!rng_one_in(&p->rng, 3))
            alive = player_wait(p, rng_one_in(&p->rng, 20) ? 30000 : rng_below(&p->rng, 300));
    }
    return alive;
}

/* Ends soon after the fault: what a checkpoint would make good shows. */
static void act_short(struct player *p, uint64_t until_calls)
{
    for (unsigned i = 0; i < STEPS && sim_disk_calls(p->w.sim) < until_calls; i++)
        (void)act(p, 1);
    (void)act(p, 2);
    (void)player_wait(p, 1000);
}

/* A full disk has room again: appends must be accepted as before. */
static bool go_on(struct player *p)
{
    sim_disk_set_faults(p->w.sim, &(struct sim_disk_faults){0});
    (void)player_wait(p, 1000000);
    uint64_t acked = p->acked;
    for (unsigned i = 0; i < 10; i++)
        (void)act(p, 20);
    if (player_wait(p, 1000000) && p->acked == acked)
        p->wrong = "nothing is accepted any more, though the disk has room again";
    return !p->wrong;
}

/* What the former life acknowledged is there, and stays when the power goes. */
static bool restart(struct player *p, bool by_kill)
{
    if (by_kill && !(player_end(p, PLAYER_KILL) && player_start(p, false)))
        return false;
    return player_end(p, PLAYER_CUT) && player_start(p, false);
}

/* A start under the fault: *err. False: it says what is not so. */
static bool start(struct player *p, const struct kind *kind, uint32_t n, enum err *err)
{
    fault_set(p, kind, n);
    *err = world_start(&p->w);
    if (*err == ERR_CORRUPT || *err == ERR_FORMAT_NEWER)
        p->wrong = "the start takes a failing disk for a damaged one";
    return !p->wrong;
}

/* The fault is met by the start of a process that finds much to replay. */
static bool run_recovery(struct player *p, const struct kind *kind, uint32_t n, bool *hit)
{
    enum err err;
    if (!player_start(p, false) || !act(p, STEPS) || !player_end(p, PLAYER_KILL))
        return false;
    uint64_t before = sim_disk_calls(p->w.sim);
    if (!start(p, kind, n, &err))
        return false;
    *hit = err || n <= sim_disk_calls(p->w.sim) - before;
    return restart(p, n % 2 == 1);
}

/* False: something is wrong. *hit: the fault was met (or could not be told). */
static bool run(struct player *p, const struct kind *kind, uint32_t n, bool *hit)
{
    enum err err;
    uint64_t before = sim_disk_calls(p->w.sim);
    if (!start(p, kind, n, &err))
        return false;
    *hit = true;
    if (err) {
        world_cut(&p->w);
        return player_start(p, false);
    }
    bool brief = n % 2 == 1;
    if (brief) {
        act_short(p, before + n);
    } else {
        (void)act(p, STEPS);
        (void)player_wait(p, 100000);
    }
    *hit = brief || p->w.failed || n <= sim_disk_calls(p->w.sim) - before;
    if (!brief && !p->wrong && !p->w.failed && !go_on(p))
        return false;
    return !p->wrong && restart(p, n / 2 % 2 == 1);
}

static bool one(const struct kind *kind, uint32_t n, uint64_t seed, bool *hit)
{
    struct player p;
    player_make(&p, seed);
    rng_seed(&p.rng, seed * 100003 + n); /* another life for every n, in the same world */
    bool good = seed % 2 == SEED % 2 ? run(&p, kind, n, hit) : run_recovery(&p, kind, n, hit);
    if (!good)
        fprintf(stderr, "%s %u %llu: %s\n", kind->name, n, (unsigned long long)seed,
                p.wrong ? p.wrong : "?");
    return good;
}

enum outcome { GOOD, BAD, LAST };

/* n, n + 1, ... in a child, since a life that was cut frees nothing. */
static enum outcome some(const struct kind *kind, uint32_t n, uint32_t count, uint64_t seed)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        bool hit = true, good = true;
        log_set_level((enum env_level)(ENV_ERROR + 1));
        for (uint32_t i = 0; i < count && good && hit; i++)
            good = one(kind, n + i, seed, &hit);
        fflush(NULL);
        _exit(!good ? BAD : hit ? GOOD : LAST);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
        fprintf(stderr, "%s %u..%u: a crash\n", kind->name, n, n + count - 1);
        return BAD;
    }
    return (enum outcome)WEXITSTATUS(status);
}

static enum outcome all(const struct kind *kind, uint64_t seed, uint32_t *n)
{
    enum outcome outcome = GOOD;
    for (*n = 1; outcome == GOOD && *n < 20000; *n += N_A_CHILD)
        outcome = some(kind, *n, N_A_CHILD, seed);
    return outcome;
}

int main(int argc, char **argv)
{
    enum { KINDS = sizeof(kinds) / sizeof(kinds[0]), SEEDS = 6 };
    unsigned bad = 0, test = 0;
    if (argc == 1)
        printf("1..%d\n", KINDS * SEEDS);
    for (unsigned k = 0; k < KINDS; k++) {
        if (argc > 2 && strcmp(argv[1], kinds[k].name) == 0)
            return some(&kinds[k], (uint32_t)strtoul(argv[2], NULL, 10), 1,
                        argc > 3 ? strtoull(argv[3], NULL, 10) : SEED) == BAD;
        for (uint64_t seed = SEED; seed < SEED + SEEDS && argc == 1; seed++) {
            uint32_t n;
            bool good = all(&kinds[k], seed, &n) == LAST;
            bad += !good;
            printf("%s %u - the n-th %s fails, n up to %u, seed %llu\n", good ? "ok" : "not ok",
                   ++test, kinds[k].name, n, (unsigned long long)seed);
        }
    }
    return bad > 0;
}
