#include "flow/breaker.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

#define SECOND_US ((uint64_t)1000000)
#define RETURN_STEPS 32 /* of breaker_room, over return_us */

const struct breaker_conf breaker_conf_default = {.window = BREAKER_BY_COUNT,
                                                  .window_size = 100,
                                                  .calls_min = 100,
                                                  .failure_rate = 50,
                                                  .slow_rate = 100,
                                                  .slow_us = 60 * SECOND_US,
                                                  .permitted = 10,
                                                  .open_us = 60 * SECOND_US};

static const char *const state_names[] = {
#define X(name, number) [number] = #name,
    BREAKER_STATES(X)
#undef X
};
#define STATES (sizeof state_names / sizeof state_names[0])

const char *breaker_state_name(enum breaker_state state)
{
    weir_assert(state < STATES);
    return state_names[state];
}

bool breaker_state_parse(const char *name, size_t n, enum breaker_state *out)
{
    for (size_t i = 0; i < STATES; i++) {
        if (strlen(state_names[i]) == n && !memcmp(state_names[i], name, n)) {
            *out = (enum breaker_state)i;
            return true;
        }
    }
    return false;
}

/* ---- the window ----------------------------------------------------------------------------- */

/* As resilience4j's configuration has it: for HALF_OPEN, too, no more than a count window holds. */
static uint32_t calls_min(const struct breaker_conf *conf)
{
    bool less = conf->window == BREAKER_BY_COUNT && conf->window_size < conf->calls_min;
    return less ? conf->window_size : conf->calls_min;
}

static void window_reset(struct breaker *b, enum breaker_window window, uint32_t size)
{
    weir_assert(size >= 1 && size <= BREAKER_WINDOW_MAX);
    mem_free(b->ring);
    b->window = window;
    b->size = size;
    b->calls_min = calls_min(b->conf);
    if (window == BREAKER_BY_COUNT && b->calls_min > size)
        b->calls_min = size;
    b->ring = mem_zalloc(size, sizeof *b->ring);
    b->total = (struct breaker_sums){0};
    b->rejected = 0;
    b->head = 0;
    b->head_second = b->now_us / SECOND_US;
}

static void sums_take(struct breaker_sums *from, const struct breaker_sums *what)
{
    from->calls -= what->calls;
    from->failed -= what->failed;
    from->slow -= what->slow;
    from->slow_failed -= what->slow_failed;
}

static struct breaker_sums *window_step(struct breaker *b)
{
    b->head = (b->head + 1) % b->size;
    struct breaker_sums *s = &b->ring[b->head];
    sums_take(&b->total, s);
    *s = (struct breaker_sums){0};
    return s;
}

/* The call's or second's own sums, after what has left the window is gone. */
static struct breaker_sums *window_slot(struct breaker *b)
{
    if (b->window == BREAKER_BY_COUNT)
        return window_step(b);
    uint64_t second = b->now_us / SECOND_US, steps = second - b->head_second;
    for (uint64_t i = 0; i < steps && i < b->size; i++)
        window_step(b);
    b->head_second = second;
    return &b->ring[b->head];
}

static void sums_add(struct breaker_sums *s, bool failed, bool slow)
{
    s->calls++;
    s->failed += failed;
    s->slow += slow;
    s->slow_failed += failed && slow;
}

static void window_record(struct breaker *b, bool failed, bool slow)
{
    sums_add(window_slot(b), failed, slow);
    sums_add(&b->total, failed, slow);
}

static float rate(const struct breaker *b, uint32_t part)
{
    if (b->total.calls == 0 || b->total.calls < b->calls_min)
        return -1;
    return (float)part * 100.0f / (float)b->total.calls;
}

float breaker_failure_rate(const struct breaker *b)
{
    return rate(b, b->total.failed);
}

float breaker_slow_rate(const struct breaker *b)
{
    return rate(b, b->total.slow);
}

/* ---- states --------------------------------------------------------------------------------- */

static void tell_time(struct breaker *b, uint64_t now_us)
{
    if (now_us > b->now_us)
        b->now_us = now_us;
}

/* OPEN keeps the window that opened it, so that the rates can be seen; it is not judged by it. */
static void enter(struct breaker *b, enum breaker_state state)
{
    b->state = state;
    b->since_us = b->now_us;
    b->returning = false;
    b->probing = false;
    if (state == BREAKER_OPEN) {
        b->retry_us = b->now_us + b->conf->open_us;
        b->attempts++;
    } else if (state == BREAKER_HALF_OPEN) {
        b->permits = b->conf->permitted;
        window_reset(b, BREAKER_BY_COUNT, b->conf->permitted);
    } else {
        b->attempts = state == BREAKER_FORCED_OPEN ? b->attempts : 0;
        window_reset(b, b->conf->window, b->conf->window_size);
    }
}

static void become(struct breaker *b, enum breaker_state state)
{
    enum breaker_state from = b->state;
    bool was_trial = from == BREAKER_HALF_OPEN;
    enter(b, state);
    b->returning = was_trial && state == BREAKER_CLOSED && b->conf->return_us > 0;
    if (b->conf->changed)
        b->conf->changed(b, from, state);
}

void breaker_init(struct breaker *b, const struct breaker_conf *conf, uint64_t now_us)
{
    *b = (struct breaker){.conf = conf, .now_us = now_us};
    enter(b, BREAKER_CLOSED);
}

void breaker_free(struct breaker *b)
{
    mem_free(b->ring);
    b->ring = NULL;
}

void breaker_force(struct breaker *b, enum breaker_state state, uint64_t now_us)
{
    tell_time(b, now_us);
    if (state != b->state)
        become(b, state);
}

void breaker_restore(struct breaker *b, enum breaker_state state, uint32_t attempts,
                     uint64_t since_us, uint64_t retry_us, uint64_t now_us)
{
    tell_time(b, now_us);
    enter(b, state);
    b->since_us = since_us < b->now_us ? since_us : b->now_us;
    b->attempts = attempts;
    uint64_t latest = b->now_us + b->conf->open_us;
    b->retry_us = retry_us < latest ? retry_us : latest;
}

static bool half_open_is_over(const struct breaker *b)
{
    return b->state == BREAKER_HALF_OPEN && b->conf->half_open_us > 0 &&
           b->now_us - b->since_us >= b->conf->half_open_us;
}

void breaker_tick(struct breaker *b, uint64_t now_us)
{
    tell_time(b, now_us);
    if (half_open_is_over(b))
        become(b, b->conf->half_open_closes ? BREAKER_CLOSED : BREAKER_OPEN);
}

/* ---- calls ---------------------------------------------------------------------------------- */

static bool take_permit(struct breaker *b)
{
    if (b->permits == 0)
        return false;
    b->permits--;
    return true;
}

bool breaker_acquire(struct breaker *b, uint64_t now_us)
{
    breaker_tick(b, now_us);
    if (b->state == BREAKER_OPEN && b->now_us > b->retry_us && !b->conf->probe)
        become(b, BREAKER_HALF_OPEN);
    bool yes = b->state == BREAKER_HALF_OPEN
                   ? take_permit(b)
                   : b->state != BREAKER_OPEN && b->state != BREAKER_FORCED_OPEN;
    b->rejected += !yes;
    return yes;
}

void breaker_release(struct breaker *b)
{
    if (b->state == BREAKER_HALF_OPEN)
        b->permits++;
}

static bool above(const struct breaker *b)
{
    return breaker_failure_rate(b) >= b->conf->failure_rate ||
           breaker_slow_rate(b) >= b->conf->slow_rate;
}

static void judge(struct breaker *b)
{
    if (breaker_failure_rate(b) < 0)
        return;
    if ((b->state == BREAKER_CLOSED || b->state == BREAKER_HALF_OPEN) && above(b))
        become(b, BREAKER_OPEN);
    else if (b->state == BREAKER_HALF_OPEN)
        become(b, BREAKER_CLOSED);
}

void breaker_record(struct breaker *b, bool failed, uint64_t took_us, uint64_t now_us)
{
    breaker_tick(b, now_us);
    if (b->state == BREAKER_DISABLED || b->state == BREAKER_FORCED_OPEN)
        return;
    window_record(b, failed, took_us > b->conf->slow_us);
    judge(b);
}

/* ---- for who makes the calls ---------------------------------------------------------------- */

/* The step of the return, 0 .. RETURN_STEPS. */
static uint64_t return_step(const struct breaker *b)
{
    uint64_t gone = b->now_us - b->since_us, all = b->conf->return_us;
    return gone >= all ? RETURN_STEPS : gone * RETURN_STEPS / all;
}

static uint32_t returned(struct breaker *b, uint32_t most)
{
    uint64_t step = return_step(b);
    if (step == RETURN_STEPS)
        b->returning = false;
    uint64_t share = (uint64_t)most * step / RETURN_STEPS;
    return share > 0 ? (uint32_t)share : 1;
}

/* How many may be under way, in the present state. */
static uint32_t allowed(struct breaker *b, uint32_t most, uint32_t under_way)
{
    switch (b->state) {
    case BREAKER_FORCED_OPEN:
        return 0;
    case BREAKER_OPEN:
        return b->now_us > b->retry_us && !b->conf->probe ? 1 : 0;
    case BREAKER_HALF_OPEN:
        return b->permits < most - under_way ? under_way + b->permits : most;
    case BREAKER_CLOSED:
        return b->returning ? returned(b, most) : most;
    case BREAKER_DISABLED:
    case BREAKER_METRICS_ONLY:
        break;
    }
    return most;
}

uint32_t breaker_room(struct breaker *b, uint32_t most, uint32_t under_way, uint64_t now_us)
{
    breaker_tick(b, now_us);
    if (under_way >= most)
        return 0;
    uint32_t n = allowed(b, most, under_way);
    return n > under_way ? n - under_way : 0;
}

bool breaker_probe_due(struct breaker *b, uint64_t now_us)
{
    tell_time(b, now_us);
    if (!b->conf->probe || b->state != BREAKER_OPEN || b->probing || b->now_us <= b->retry_us)
        return false;
    b->probing = true;
    return true;
}

void breaker_probed(struct breaker *b, bool answered, uint64_t now_us)
{
    tell_time(b, now_us);
    if (b->state != BREAKER_OPEN || !b->probing)
        return; /* somebody forced it meanwhile */
    b->probing = false;
    if (answered)
        become(b, BREAKER_HALF_OPEN);
    else
        b->retry_us = b->now_us + b->conf->open_us;
}

uint64_t breaker_next_us(const struct breaker *b)
{
    if (b->state == BREAKER_OPEN && !b->probing)
        return b->retry_us + 1;
    if (b->state == BREAKER_HALF_OPEN && b->conf->half_open_us > 0)
        return b->since_us + b->conf->half_open_us;
    if (b->state == BREAKER_CLOSED && b->returning) {
        uint64_t next = return_step(b) + 1;
        return b->since_us + (next * b->conf->return_us + RETURN_STEPS - 1) / RETURN_STEPS;
    }
    return UINT64_MAX;
}
