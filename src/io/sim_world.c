/* Virtual time, and how a machine ends.
 *
 * All that happens is an event with a time: a loop's turn, a job, bytes that arrive. An event runs
 * at one instant, but what it does may take time (a sync): that is its cost, it moves the clock
 * that the event's own code sees and the times of what it causes, and keeps its loop busy. Other
 * loops go on meanwhile.
 *
 * A power cut inside a disk call leaves the program by longjmp to sim_try, the only place with a
 * setjmp. By then the machine is dead already: no frame of the program runs again.
 */
#include "io/sim_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#define SIM_START_MS UINT64_C(1767225600000) /* 2026-01-01 */
#define SIM_DISK_BYTES ((uint64_t)1 << 30)
#define SIM_SYNC_US 200
#define SIM_NET_DELAY_US 50
#define SIM_HASH_SEED 1

struct sim *sim_make(const struct sim_conf *conf)
{
    struct sim *sim = mem_zalloc(1, sizeof(*sim));
    sim->conf = *conf;
    if (!sim->conf.start_ms)
        sim->conf.start_ms = SIM_START_MS;
    if (!sim->conf.disk_bytes)
        sim->conf.disk_bytes = SIM_DISK_BYTES;
    if (!sim->conf.sync_us)
        sim->conf.sync_us = SIM_SYNC_US;
    if (!sim->conf.net_delay_us)
        sim->conf.net_delay_us = SIM_NET_DELAY_US;
    hash_seed(SIM_HASH_SEED);
    rng_seed(&sim->rng, conf->seed);
    sim->wall_ms = (int64_t)sim->conf.start_ms;
    heap_init(&sim->events);
    list_init(&sim->loops);
    list_init(&sim->programs);
    list_init(&sim->programs_known);
    sim->disk = sim_disk_make(sim);
    sim->net = sim_net_make(sim);
    return sim;
}

void sim_free(struct sim *sim)
{
    if (!sim)
        return;
    sim_loops_drop(sim, true);
    sim_programs_drop(sim, true);
    sim_programs_free(sim);
    sim_net_free(sim->net);
    sim_disk_free(sim->disk);
    heap_free(&sim->events);
    mem_free(sim);
}

struct rng *sim_rng(struct sim *sim)
{
    return &sim->rng;
}

struct disk *sim_disk(struct sim *sim)
{
    return sim_disk_face(sim->disk);
}

uint64_t sim_mono_us(const struct sim *sim)
{
    return sim_local_us(sim);
}

uint64_t sim_trace(const struct sim *sim)
{
    return sim->trace;
}

bool sim_in_program(const struct sim *sim)
{
    return sim->running ? sim->in_program : sim->cut_to != NULL;
}

bool sim_was_cut(const struct sim *sim)
{
    return sim->was_cut;
}

uint64_t sim_local_us(const struct sim *sim)
{
    return sim->now_us + sim->cost_us;
}

uint64_t sim_wall_at(const struct sim *sim, uint64_t mono_us)
{
    return (uint64_t)(sim->wall_ms + (int64_t)(mono_us / 1000));
}

void sim_wall_jump(struct sim *sim, int64_t ms)
{
    sim->wall_ms += ms;
}

void sim_spend(struct sim *sim, uint64_t us)
{
    if (sim->running)
        sim->cost_us += us;
    else
        sim->now_us += us;
}

uint64_t sim_draw_us(struct sim *sim, uint64_t mean_us)
{
    return mean_us / 2 + rng_below(&sim->rng, mean_us + 1);
}

void sim_trace_add(struct sim *sim, uint64_t what, uint64_t a, uint64_t b)
{
    const uint64_t words[] = {what, a, b};
    for (unsigned i = 0; i < 3; i++) {
        sim->trace = (sim->trace ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
        sim->trace ^= sim->trace >> 29;
    }
}

void sim_schedule(struct sim *sim, struct sim_event *event, uint64_t at_us)
{
    weir_assert(at_us < UINT64_MAX >> 8 && event->run != NULL);
    heap_insert(&sim->events, &event->node, at_us << 8 | rng_below(&sim->rng, 256));
}

void sim_cancel(struct sim *sim, struct sim_event *event)
{
    heap_remove(&sim->events, &event->node);
}

/* The time of the next event; UINT64_MAX: there is none. */
static uint64_t sim_next_us(const struct sim *sim)
{
    const struct heap_node *node = heap_min(&sim->events);
    return node ? node->key >> 8 : UINT64_MAX;
}

static void sim_run_next(struct sim *sim)
{
    struct heap_node *node = heap_min(&sim->events);
    struct sim_event *event = container_of(node, struct sim_event, node);
    heap_remove(&sim->events, node);
    /* A direct call (sim_spend) may have moved the clock past the event. */
    if (node->key >> 8 > sim->now_us)
        sim->now_us = node->key >> 8;
    sim->cost_us = 0;
    sim->running = true;
    sim->in_program = false;
    event->run(sim, event);
    sim->running = false;
    sim->cost_us = 0;
}

bool sim_try(struct sim *sim, void (*fn)(void *arg), void *arg)
{
    jmp_buf here, *const outer = sim->cut_to;
    sim->was_cut = false;
    sim->cut_to = &here;
    if (_setjmp(here) == 0)
        fn(arg);
    sim->cut_to = outer;
    return !sim->was_cut;
}

/* What the machine's end has in common. */
static void sim_die(struct sim *sim, uint64_t how)
{
    sim_trace_add(sim, how, sim_local_us(sim), 0);
    sim->now_us = sim_local_us(sim);
    sim->cost_us = 0;
    sim->running = false;
    sim_loops_drop(sim, false);
    sim_programs_drop(sim, false);
}

static void sim_die_of_power(struct sim *sim)
{
    sim_die(sim, 'P');
    sim_disk_cut(sim->disk);
}

void sim_cut(struct sim *sim)
{
    weir_assert(sim->cut_to != NULL);
    sim_die_of_power(sim);
    sim->was_cut = true;
    _longjmp(*sim->cut_to, 1);
}

void sim_exit(struct sim *sim)
{
    weir_assert(sim->cut_to != NULL);
    sim_die(sim, 'X');
    sim_disk_kill(sim->disk);
    sim->was_cut = true;
    _longjmp(*sim->cut_to, 1);
}

void sim_power_cut(struct sim *sim)
{
    weir_assert(!sim->running);
    sim_die_of_power(sim);
}

void sim_kill(struct sim *sim)
{
    weir_assert(!sim->running);
    sim_die(sim, 'K');
    sim_disk_kill(sim->disk);
}

/* Runs events until one of the bounds is met. */
struct sim_drive {
    struct sim *sim;
    uint64_t until_us;
    uint64_t events;  /* at most this many */
    const bool *flag; /* NULL: none */
};

static void sim_drive(void *arg)
{
    struct sim_drive *d = arg;
    while (d->events > 0 && !(d->flag && *d->flag) && sim_next_us(d->sim) <= d->until_us) {
        d->events--;
        sim_run_next(d->sim);
    }
}

void sim_run_until(struct sim *sim, uint64_t until_us)
{
    struct sim_drive d = {.sim = sim, .until_us = until_us, .events = UINT64_MAX};
    if (sim_try(sim, sim_drive, &d) && sim->now_us < until_us)
        sim->now_us = until_us;
}

bool sim_run_while_not(struct sim *sim, const bool *flag, uint64_t limit_us)
{
    uint64_t until = sim->now_us + limit_us;
    if (until < limit_us)
        until = UINT64_MAX - 1;
    struct sim_drive d = {.sim = sim, .until_us = until, .events = UINT64_MAX, .flag = flag};
    return sim_try(sim, sim_drive, &d) && *flag;
}

bool sim_step(struct sim *sim)
{
    if (sim_next_us(sim) == UINT64_MAX)
        return false;
    struct sim_drive d = {.sim = sim, .until_us = UINT64_MAX, .events = 1};
    return sim_try(sim, sim_drive, &d);
}
