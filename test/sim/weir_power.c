/* weir_power: power cuts, kills and disk errors under a whole broker with clients at work.
 *
 *     weir_power [--cuts N] [--seconds N] [--from SEED] [--random] [--jobs N]
 *     weir_power --seed N [--trace]
 *
 * A seed is a story: a machine, topics, clients, and several lives of the broker, each ended by a
 * power cut (at a random moment, or inside of the n-th write, sync or rename), by kill -9, by a
 * disk that fails or is full, or in order; some starts are cut too. After each start all that the
 * broker shows is read and judged by the model (weir_model.h). At the end the clients finish what
 * they have begun, and all is read once more.
 *
 * Seeds run in child processes, a few each, since what a dead program had allocated is not freed.
 * --cuts: until so many power cuts were made (default 2000). --random: seeds nobody has run yet.
 * Prints TAP; a failure names its seed, and --seed N --trace tells the story of it.
 */
#include "weir_load.h"

#include "io/clock.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEEDS_PER_CHILD 4
#define JOBS_MAX 16
#define CHILD_SECONDS_MAX 300

struct counts {
    uint64_t seeds, cuts, kills, stops, failures, starts, acked, served, disk_calls;
};

/* ---- one seed ------------------------------------------------------------------------------- */

struct story {
    struct weir_sim w;
    struct load load;
    struct counts *counts;
    bool power_lost; /* since the last scan */
};

static void note_cut(struct story *s)
{
    s->counts->cuts++;
    s->power_lost = true;
}

static void no_faults(struct story *s)
{
    sim_disk_set_faults(s->w.sim, &(struct sim_disk_faults){0});
    sim_net_set_faults(s->w.sim, &(struct sim_net_faults){0});
}

static void conf_draw(struct weir_sim_conf *conf, uint64_t seed)
{
    struct rng r;
    rng_seed(&r, seed * 2 + 1);
    weir_sim_defaults(conf, seed);
    conf->reactors = 1 + (unsigned)rng_below(&r, 2);
    conf->helper_commits = rng_one_in(&r, 3);
    conf->sync_us = (uint32_t)(50 + rng_below(&r, 400));
    conf->journal_first_bytes = UINT64_C(4096) << rng_below(&r, 6);
    conf->journal_file_bytes = conf->journal_first_bytes << rng_below(&r, 4);
    conf->journal_bytes = UINT64_C(256 << 10) << rng_below(&r, 4);
    conf->checkpoint_ms = 2 + rng_below(&r, 200);
    conf->files_max = rng_one_in(&r, 3) ? 4 + rng_below(&r, 20) : 0;
    conf->broker.group_initial_delay_ms = (uint32_t)rng_below(&r, 20);
    conf->retention_ms = 10 + rng_below(&r, 200);
}

/* Starts until it serves. Some starts are cut, or meet a disk that fails. */
static void start(struct story *s, bool with_faults)
{
    struct weir_sim *w = &s->w;
    for (unsigned tries = 0;; tries++) {
        struct sim_disk_faults faults = {0};
        bool faulty = with_faults && tries < 4 && weir_sim_chance(w, 4);
        if (faulty && weir_sim_chance(w, 2))
            faults.cut_after = (uint32_t)weir_sim_draw(w, 1, 60);
        else if (faulty)
            faults.fail_any_after = (uint32_t)weir_sim_draw(w, 1, 200);
        sim_disk_set_faults(w->sim, &faults);
        s->counts->starts++;
        enum weir_start how = weir_sim_start(w);
        if (how == WEIR_SERVES)
            break;
        if (how == WEIR_WAS_CUT)
            note_cut(s);
        else if (!faulty)
            weir_sim_fail(w, "it does not start: %s: %s", err_name(w->err), w->text.s);
        else
            s->counts->failures++;
    }
    no_faults(s);
    if (!load_scan(&s->load, s->power_lost))
        weir_sim_fail(w, "it stopped by itself: %s", err_name(w->err));
    load_restarted(&s->load);
    if (s->power_lost)
        load_power_lost(&s->load);
    s->power_lost = false;
}

static void draw_net_faults(struct story *s)
{
    struct weir_sim *w = &s->w;
    struct sim_net_faults faults = {0};
    if (weir_sim_chance(w, 2))
        faults.delay_max_us = (uint32_t)weir_sim_draw(w, 1, 3000);
    if (weir_sim_chance(w, 3))
        faults.cut_one_in = (uint32_t)weir_sim_draw(w, 50, 1000);
    if (weir_sim_chance(w, 3))
        faults.short_one_in = (uint32_t)weir_sim_draw(w, 2, 20);
    sim_net_set_faults(w->sim, &faults);
}

enum end { END_CUT, END_CUT_INSIDE, END_KILL, END_DISK_FAILS, END_DISK_FULL, END_STOP };

static enum end draw_end(struct story *s)
{
    static const enum end ends[] = {END_CUT,        END_CUT,        END_CUT,        END_CUT,
                                    END_CUT,        END_CUT_INSIDE, END_CUT_INSIDE, END_CUT_INSIDE,
                                    END_CUT_INSIDE, END_KILL,       END_DISK_FAILS, END_DISK_FAILS,
                                    END_DISK_FULL,  END_STOP};
    return ends[weir_sim_draw(&s->w, 0, sizeof ends / sizeof ends[0] - 1)];
}

static void set_disk_faults(struct story *s, enum end end)
{
    struct weir_sim *w = &s->w;
    struct sim_disk_faults faults = {0};
    uint32_t n = (uint32_t)weir_sim_draw(w, 1, weir_sim_chance(w, 2) ? 20 : 400);
    uint64_t what = weir_sim_draw(w, 0, 3);
    if (end == END_CUT_INSIDE)
        faults.cut_after = n;
    if (end == END_DISK_FULL)
        faults.full_after = n;
    if (end == END_DISK_FAILS && what == 0)
        faults.fail_write_after = n;
    if (end == END_DISK_FAILS && what == 1)
        faults.fail_sync_after = n;
    if (end == END_DISK_FAILS && what == 2)
        faults.fail_rename_after = 1 + n / 8;
    if (end == END_DISK_FAILS && what == 3)
        faults.fail_any_after = n;
    sim_disk_set_faults(w->sim, &faults);
}

/* Work for a while, then the end. */
static void live(struct story *s)
{
    struct weir_sim *w = &s->w;
    enum end end = draw_end(s);
    uint64_t us = weir_sim_draw(w, 1, weir_sim_chance(w, 3) ? 200000 : 30000);
    draw_net_faults(s);
    set_disk_faults(s, end);
    s->load.disk_fails = end == END_DISK_FAILS;
    s->load.batches_left = weir_sim_draw(w, 5, 150);
    load_resume(&s->load);
    bool alive = weir_sim_run(w, us);
    if (alive && end == END_DISK_FULL && weir_sim_chance(w, 2)) {
        sim_disk_set_faults(w->sim, &(struct sim_disk_faults){0}); /* somebody made room */
        alive = weir_sim_run(w, us);
    }
    s->load.paused = true;
    if (!alive && sim_was_cut(w->sim)) {
        note_cut(s);
    } else if (!alive) {
        s->counts->failures++;
        if (weir_sim_chance(w, 2)) { /* and the power with it */
            weir_sim_cut(w);
            note_cut(s);
        }
    } else if (end == END_KILL) {
        weir_sim_kill(w);
        s->counts->kills++;
    } else if (end == END_STOP) {
        if (weir_sim_stop(w))
            weir_sim_fail(w, "the stop fails: %s", err_name(w->err));
        s->counts->stops++;
    } else {
        weir_sim_cut(w);
        note_cut(s);
    }
}

/* What was begun comes to its end, on a machine without faults. */
static void finish(struct story *s)
{
    struct weir_sim *w = &s->w;
    struct load *l = &s->load;
    l->draining = true;
    load_resume(l);
    for (unsigned i = 0; i < 60 && !load_is_drained(l); i++)
        (void)weir_sim_run(w, 500 * WEIR_SIM_MS);
    if (!w->alive || !load_is_drained(l))
        weir_sim_fail(w, "the clients do not come to an end within 30 s");
    l->paused = true;
    if (!load_scan(l, false))
        weir_sim_fail(w, "it stopped by itself: %s", err_name(w->err));
    load_check_done(l);
}

static void run_seed(uint64_t seed, bool trace, struct counts *counts)
{
    static struct story story;
    struct weir_sim_conf conf;
    struct story *s = &story;
    memset(s, 0, sizeof *s);
    s->counts = counts;
    conf_draw(&conf, seed);
    conf.trace = trace;
    weir_sim_make(&s->w, &conf);
    load_make(&s->load, &s->w);
    start(s, false);
    for (uint64_t i = 0, n = weir_sim_draw(&s->w, 1, 3); i < n; i++) {
        char name[8];
        snprintf(name, sizeof name, "t%c", (char)('a' + i));
        load_create(&s->load, name, (int32_t)weir_sim_draw(&s->w, 1, 3), weir_sim_chance(&s->w, 5));
    }
    for (uint64_t lives = weir_sim_draw(&s->w, 2, 10); lives; lives--) {
        live(s);
        start(s, true);
    }
    finish(s);
    if (weir_sim_stop(&s->w))
        weir_sim_fail(&s->w, "the stop fails: %s", err_name(s->w.err));
    start(s, false);
    if (!s->w.report.clean)
        weir_sim_fail(&s->w, "a clean stop is not seen as one");
    counts->seeds++;
    counts->acked += s->load.model.acked;
    counts->served += s->load.model.served;
    counts->disk_calls += sim_disk_calls(s->w.sim);
    load_free(&s->load);
    weir_sim_free(&s->w);
}

/* ---- many ----------------------------------------------------------------------------------- */

/* Shared by the parent and one child. */
struct slot {
    volatile uint64_t seed; /* that it runs */
    struct counts counts;
    pid_t pid;
};

struct options {
    uint64_t cuts, seconds, from, seed, jobs;
    bool one, trace, random;
};

static void child_start(struct slot *slot, uint64_t seed)
{
    fflush(stdout);
    slot->seed = seed;
    pid_t pid = fork();
    if (pid != 0) {
        slot->pid = pid;
        return;
    }
    alarm(CHILD_SECONDS_MAX);
    for (unsigned i = 0; i < SEEDS_PER_CHILD; i++) {
        slot->seed = seed + i;
        run_seed(seed + i, false, &slot->counts);
    }
    _exit(0);
}

/* Waits for one child; false: it failed. */
static bool child_end(struct slot *slots, uint64_t jobs)
{
    int status;
    pid_t pid = wait(&status);
    for (uint64_t i = 0; i < jobs; i++) {
        if (slots[i].pid != pid)
            continue;
        slots[i].pid = 0;
        if (status == 0)
            return true;
        printf("# seed %" PRIu64 " fails (%s %d): weir_power --seed %" PRIu64 " --trace\n",
               slots[i].seed, WIFSIGNALED(status) ? "signal" : "status",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), slots[i].seed);
        return false;
    }
    return true;
}

static void counts_add(struct counts *sum, const struct counts *c)
{
    sum->seeds += c->seeds;
    sum->cuts += c->cuts;
    sum->kills += c->kills;
    sum->stops += c->stops;
    sum->failures += c->failures;
    sum->starts += c->starts;
    sum->acked += c->acked;
    sum->served += c->served;
    sum->disk_calls += c->disk_calls;
}

static struct counts counts_sum(const struct slot *slots, uint64_t jobs)
{
    struct counts sum = {0};
    for (uint64_t i = 0; i < jobs; i++)
        counts_add(&sum, &slots[i].counts);
    return sum;
}

static bool more_wanted(const struct options *o, const struct counts *sum, uint64_t started_us)
{
    if (o->seconds)
        return clock_mono_us() - started_us < o->seconds * 1000000;
    return sum->cuts < o->cuts;
}

static int run_many(const struct options *o)
{
    struct slot *slots = mmap(NULL, JOBS_MAX * sizeof *slots, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t started = clock_mono_us(), seed = o->from, running = 0;
    bool good = true;
    struct counts sum = {0};
    do {
        for (uint64_t i = 0; i < o->jobs && good && more_wanted(o, &sum, started); i++) {
            if (slots[i].pid)
                continue;
            child_start(&slots[i], seed);
            seed += SEEDS_PER_CHILD;
            running++;
        }
        if (running) {
            good &= child_end(slots, o->jobs);
            running--;
        }
        sum = counts_sum(slots, o->jobs);
    } while (running || (good && more_wanted(o, &sum, started)));
    double seconds = (double)(clock_mono_us() - started) / 1e6;
    printf("%sok 1 - %" PRIu64 " power cuts, %" PRIu64 " kills, %" PRIu64 " stops, %" PRIu64
           " failing disks: nothing acknowledged is lost\n",
           good ? "" : "not ", sum.cuts, sum.kills, sum.stops, sum.failures);
    printf("# %" PRIu64 " seeds from %" PRIu64 ", %" PRIu64 " starts, %" PRIu64
           " records acknowledged, %" PRIu64 " served, %" PRIu64
           " disk calls, %.1f s, %.0f cuts/s\n"
           "1..1\n",
           sum.seeds, o->from, sum.starts, sum.acked, sum.served, sum.disk_calls, seconds,
           (double)sum.cuts / seconds);
    return good ? 0 : 1;
}

static uint64_t number(const char *s)
{
    int64_t n;
    if (!s || str_to_i64(str_of(s), &n) || n < 0) {
        fprintf(stderr, "weir_power: a number is wanted, not %s\n", s ? s : "nothing");
        exit(2);
    }
    return (uint64_t)n;
}

int main(int argc, char **argv)
{
    struct options o = {.cuts = 2000, .from = 1, .jobs = 1};
    struct counts counts = {0};
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(argv[i], "--trace")) {
            o.trace = true;
        } else if (!strcmp(argv[i], "--random")) {
            o.from = clock_wall_ms() % 1000000 * 100000;
        } else if (!strcmp(argv[i], "--seed")) {
            o.one = true;
            o.seed = number(next);
            i++;
        } else {
            uint64_t *to = !strcmp(argv[i], "--cuts")      ? &o.cuts
                           : !strcmp(argv[i], "--seconds") ? &o.seconds
                           : !strcmp(argv[i], "--from")    ? &o.from
                           : !strcmp(argv[i], "--jobs")    ? &o.jobs
                                                           : NULL;
            if (!to) {
                fprintf(stderr, "weir_power: no option %s\n", argv[i]);
                return 2;
            }
            *to = number(next);
            i++;
        }
    }
    if (o.jobs < 1 || o.jobs > JOBS_MAX)
        o.jobs = 1;
    if (!o.one)
        return run_many(&o);
    run_seed(o.seed, o.trace, &counts);
    printf("seed %" PRIu64 " is good: %" PRIu64 " cuts, %" PRIu64 " records acknowledged\n", o.seed,
           counts.cuts, counts.acked);
    fflush(stdout);
    _exit(0); /* what the dead lives had allocated is not freed */
}
