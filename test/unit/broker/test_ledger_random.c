/* A ledger against a plain model of it: an array of messages, each as simple as can be.
 *
 * Random verbs, time that passes and clocks that jump, writes that fail, that land late or behind a
 * snapshot, power cuts and restarts. After every few steps all that the ledger tells of each offset
 * must be what the model says; after a power cut, what the log must have kept and may have lost:
 *
 *     - settled, and in the log: not unsettled again
 *     - not settled in the log: not lost
 *     - not taken by the filter: never given
 *     - after all was written: everything as it was
 *     - what was settled with a token before is not settled by it again
 *     - in an ordered one: nobody overtakes what may come back
 *
 * A run that fails is shrunk: steps are dropped as long as it still fails, and what is left is
 * printed. LEDGER_SEED=N runs that one, LEDGER_RUNS=N that many. */
#include "ledger_world.h"

#include "base/random.h"

#define STEPS 160

sigjmp_buf ledger_failed;

/* ---- steps ---- */

struct verb {
    const char *name;
    unsigned weight;
    void (*run)(struct world *w, const struct step *s);
};

static const struct verb verbs[] = {
    {"look", 16, do_look},
    {"acquire", 18, do_acquire},
    {"settle", 16, do_settle},
    {"settle_many", 4, do_settle_many},
    {"accept_any", 2, do_accept_any},
    {"finish", 3, do_finish},
    {"settle_badly", 3, do_settle_badly},
    {"renew", 3, do_renew},
    {"unacquire", 2, do_unacquire},
    {"release_owner", 2, do_release_owner},
    {"claim", 4, do_claim},
    {"deferred", 4, do_deferred},
    {"bury", 3, do_bury},
    {"time", 10, do_time},
    {"expire", 3, do_expire},
    {"trim", 1, do_trim},
    {"stragglers", 1, do_stragglers},
    {"peek", 1, do_peek},
    {"session", 6, do_session},
    {"take", 20, do_take},
    {"done", 16, do_done},
    {"rewind", 1, do_rewind},
    {"snapshot", 8, do_snapshot},
    {"pack", 2, do_pack},
    {"page", 4, do_page},
    {"shadow", 2, do_shadow},
    {"crash", 2, do_crash},
};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void steps_make(struct rng *rng, struct step *steps, size_t n)
{
    unsigned total = 0;
    for (size_t i = 0; i < VERBS; i++)
        total += verbs[i].weight;
    for (size_t i = 0; i < n; i++) {
        unsigned at = (unsigned)rng_below(rng, total);
        uint8_t verb = 0;
        while (at >= verbs[verb].weight)
            at -= verbs[verb++].weight;
        steps[i] = (struct step){verb, (uint32_t)rng_next(rng), (uint32_t)rng_next(rng),
                                 (uint32_t)rng_next(rng)};
    }
}

static void world_make(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof(*w));
    w->by_session = seed % 4 == 3;
    w->ordered = seed % 4 != 3 && seed % 3 == 1;
    w->conf = (struct ledger_conf){
        .subscription = {{1, 2, 3, (uint8_t)seed}},
        .partition = (int32_t)(seed % 7),
        .incarnation = 1,
        .lock_ms = seed % 4 == 2 ? 0 : LOCK_MS,
        .attempts = ATTEMPTS,
        .in_flight_max = seed % 3 == 0 ? 30 : 3000,
        .sessions = w->by_session,
        .ordered = w->ordered,
        .forget = ledger_log_forget,
        .user = &w->log,
    };
    w->now = (struct ledger_time){100000, 1767225600000};
    w->l = ledger_make(&w->conf, 0);
    for (int64_t o = 0; o < SPAN; o++)
        w->m[o].state = LEDGER_UNSEEN;
}

static void world_free(struct world *w)
{
    ledger_free(w->l);
    flights_forget(w);
    ledger_log_free(&w->log);
    for (size_t i = 0; i < w->events_n; i++)
        mem_free(w->events[i]);
    mem_free(w->events);
}

static void aborted(int signal_no)
{
    (void)signal_no;
    siglongjmp(ledger_failed, 2);
}

/* How many steps it took to fail; 0: it did not. What failed stays in *why. */
static size_t run(uint64_t seed, const struct step *steps, size_t n, unsigned every, char why[200])
{
    static struct world w;
    volatile size_t at = 0;
    world_make(&w, seed);
    int how = sigsetjmp(ledger_failed, 1);
    if (how != 0) { /* what it holds is lost with it */
        snprintf(why, 200, "%s", how == 2 ? "an assertion of the ledger" : w.why);
        return at < n ? at + 1 : n; /* or at the end */
    }
    for (; at < n; at++) {
        verbs[steps[at].verb].run(&w, &steps[at]);
        if (at % every == 0)
            compare(&w);
    }
    compare(&w);
    struct step none = {.a = 0};
    do_shadow(&w, &none);
    world_free(&w);
    return 0;
}

/* Drops what is not needed to fail. */
static size_t shrink(uint64_t seed, struct step *steps, size_t n, char why[200])
{
    struct step *less = mem_alloc(n * sizeof(*less));
    for (size_t chunk = n / 2; chunk > 0; chunk /= 2) {
        for (size_t from = 0; from + chunk <= n;) {
            memcpy(less, steps, from * sizeof(*less));
            memcpy(less + from, steps + from + chunk, (n - from - chunk) * sizeof(*less));
            size_t fails = run(seed, less, n - chunk, 1, why);
            if (fails == 0) {
                from += chunk;
                continue;
            }
            n = fails < n - chunk ? fails : n - chunk;
            memcpy(steps, less, n * sizeof(*less));
        }
    }
    mem_free(less);
    return n;
}

static bool one(uint64_t seed)
{
    struct step steps[STEPS];
    struct rng rng;
    char why[200];
    rng_seed(&rng, seed);
    steps_make(&rng, steps, STEPS);
    size_t n = run(seed, steps, STEPS, 16, why);
    if (n == 0)
        return true;
    int err = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
    dup2(null, STDERR_FILENO); /* assertions, many times */
    n = run(seed, steps, n, 1, why);
    n = shrink(seed, steps, n == 0 ? STEPS : n, why);
    run(seed, steps, n, 1, why);
    dup2(err, STDERR_FILENO);
    close(null);
    close(err);
    fprintf(stderr, "LEDGER_SEED=%llu, %zu steps: %s\n", (unsigned long long)seed, n, why);
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "    {%s, %u, %u, %u}\n", verbs[steps[i].verb].name, steps[i].a, steps[i].b,
                steps[i].c);
    return false;
}

static uint64_t env_number(const char *name, uint64_t otherwise)
{
    const char *s = getenv(name);
    return s != NULL ? strtoull(s, NULL, 10) : otherwise;
}

static void test_random(void **state)
{
    (void)state;
    struct sigaction on_abort = {.sa_handler = aborted}, before;
    sigaction(SIGABRT, &on_abort, &before);
    uint64_t first = env_number("LEDGER_SEED", 1), bad = 0;
    uint64_t runs = env_number("LEDGER_RUNS", getenv("LEDGER_SEED") != NULL ? 1 : 1500);
    for (uint64_t seed = first; seed < first + runs && bad < 3; seed++)
        bad += !one(seed);
    sigaction(SIGABRT, &before, NULL);
    assert_true(bad == 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_random),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
