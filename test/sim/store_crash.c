/* Lives and deaths of a store on a simulated machine: random requests, then a power cut, a kill or
 * a stop, also while it recovers; what it holds afterwards is compared with what it had answered.
 *
 *     test_store_crash                 500 seeds
 *     test_store_crash FIRST [COUNT]   these seeds; a failing one is named
 */
#include "store_model.h"

#include "io/clock.h"
#include "io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEEDS 500
#define SEEDS_A_CHILD 25
#define LIVES 4
#define STEPS 120

struct totals {
    uint64_t cuts, lives, acked, refused;
};

static enum player_end end_choose(struct player *p)
{
    uint64_t what = rng_below(&p->rng, 8);
    return what == 0 ? PLAYER_STOP : what == 1 ? PLAYER_KILL : PLAYER_CUT;
}

static bool life(struct player *p)
{
    enum player_end how = end_choose(p);
    struct sim_disk_faults faults = {0};
    bool alive = true;
    /* half of the power cuts come in the middle of a disk call */
    if (how == PLAYER_CUT && rng_one_in(&p->rng, 2))
        faults.cut_after = 1 + (uint32_t)rng_below(&p->rng, 400);
    sim_disk_set_faults(p->w.sim, &faults);
    uint64_t steps = 1 + rng_below(&p->rng, STEPS);
    uint64_t pause_us = 1 + rng_below(&p->rng, 400);
    for (uint64_t i = 0; i < steps && alive; i++) {
        player_act(p);
        if (!rng_one_in(&p->rng, 4)) /* else more in the same turn */
            alive = player_wait(p, rng_one_in(&p->rng, 40) ? 30000 : rng_below(&p->rng, pause_us));
    }
    if (p->wrong)
        return false;
    if (!alive && p->w.failed) {
        p->wrong = "the store failed without a fault";
        return false;
    }
    if (sim_was_cut(p->w.sim))
        how = PLAYER_CUT;
    return player_end(p, how);
}

static bool seed_run(uint64_t seed, struct totals *totals)
{
    struct player p;
    player_make(&p, seed);
    bool good = player_start(&p, false);
    for (unsigned i = 0; i < LIVES && good; i++)
        good = life(&p) && player_start(&p, true);
    if (!good)
        fprintf(stderr, "seed %llu, life %llu: %s\n", (unsigned long long)seed,
                (unsigned long long)p.lives, p.wrong ? p.wrong : "?");
    totals->cuts += p.cuts;
    totals->lives += p.lives;
    totals->acked += p.acked;
    totals->refused += p.refused;
    return good;
}

/* In a child, since a life that was cut frees nothing. */
static bool seeds_run(uint64_t first, uint64_t count, struct totals *totals)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        log_set_level(ENV_ERROR);
        bool good = true;
        for (uint64_t i = 0; i < count && good; i++)
            good = seed_run(first + i, totals);
        fflush(NULL);
        _exit(good ? 0 : 1);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return false;
    if (WIFSIGNALED(status))
        fprintf(stderr, "seeds %llu to %llu: killed by signal %d\n", (unsigned long long)first,
                (unsigned long long)(first + count - 1), WTERMSIG(status));
    return status == 0;
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : argc > 1 ? 1 : SEEDS;
    struct totals *totals =
        mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t from = clock_mono_us();
    unsigned bad = 0, n = 0;
    if (totals == MAP_FAILED)
        return 1;
    printf("1..%llu\n", (unsigned long long)((count + SEEDS_A_CHILD - 1) / SEEDS_A_CHILD));
    for (uint64_t at = 0; at < count; at += SEEDS_A_CHILD) {
        uint64_t part = count - at < SEEDS_A_CHILD ? count - at : SEEDS_A_CHILD;
        bool good = seeds_run(first + at, part, totals);
        bad += !good;
        printf("%s %u - seeds %llu to %llu\n", good ? "ok" : "not ok", ++n,
               (unsigned long long)(first + at), (unsigned long long)(first + at + part - 1));
    }
    double s = (double)(clock_mono_us() - from) / 1e6;
    printf("# %llu lives, %llu power cuts, %llu groups acknowledged, %llu refused, %.1f s: %.0f "
           "cuts a second\n",
           (unsigned long long)totals->lives, (unsigned long long)totals->cuts,
           (unsigned long long)totals->acked, (unsigned long long)totals->refused, s,
           (double)totals->cuts / s);
    return bad > 0;
}
