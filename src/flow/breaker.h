/* breaker.h: a circuit breaker: when enough of the last calls to an endpoint failed, or were slow,
 * the others are not made; after a while a few are, and decide.
 *
 *                         rates at or above a threshold
 *          +--> CLOSED ----------------------------------> OPEN <--+
 *          |      (records all)                  wait is over |    | rates at or above
 *          |                                                  v    |
 *          +--- rates below, window full ------------- HALF_OPEN --+
 *                                              (a fresh window of `permitted` calls)
 *
 *     DISABLED      permits all, records nothing        \
 *     FORCED_OPEN   permits none, records nothing        > only breaker_force goes there, and back
 *     METRICS_ONLY  permits all, records, never trips   /
 *
 * The rules are resilience4j's (CircuitBreakerMetrics, CircuitBreakerStateMachine; 2.3.0), and so
 * are the defaults and the numbers of the states; test/wire feeds the same calls to both. In words:
 *   - a call is slow if it took longer than slow_us; a rate counts all calls in the window
 *   - no rate before `calls_min` calls; a count window never asks for more than it holds
 *   - a time window sums the present second of the clock and those before it
 *   - who asks in OPEN later than the wait makes it HALF_OPEN; half_open_us ends HALF_OPEN
 *   - what was permitted before a change of state and ends after it counts in the present state
 *
 * Beyond those rules, for who makes the calls (flow/push):
 *   - breaker_room: after HALF_OPEN has become CLOSED, traffic returns over return_us
 *   - breaker_probe_due: with `probe`, OPEN asks for a call without a message when its wait is
 *     over, and a failure of that (breaker_probed) makes it wait again
 *
 * Pure: time comes in, in us, and never goes back (what does counts as the time before). One
 * thread. A change of state is told to conf.changed from inside of the call that caused it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers are those of resilience4j's metrics. */
#define BREAKER_STATES(X)                                                                          \
    X(CLOSED, 0)                                                                                   \
    X(OPEN, 1)                                                                                     \
    X(HALF_OPEN, 2)                                                                                \
    X(DISABLED, 3)                                                                                 \
    X(FORCED_OPEN, 4)                                                                              \
    X(METRICS_ONLY, 5)

enum breaker_state {
#define X(name, number) BREAKER_##name = number,
    BREAKER_STATES(X)
#undef X
};
/* "HALF_OPEN". */
const char *breaker_state_name(enum breaker_state state);
/* false: none of them. */
bool breaker_state_parse(const char *name, size_t n, enum breaker_state *out);

enum breaker_window { BREAKER_BY_COUNT, BREAKER_BY_TIME };

#define BREAKER_WINDOW_MAX 10000 /* calls or seconds */

struct breaker;

struct breaker_conf {
    enum breaker_window window;
    uint32_t window_size; /* calls, or seconds; 1..BREAKER_WINDOW_MAX */
    uint32_t calls_min;
    float failure_rate, slow_rate; /* per cent */
    uint64_t slow_us;
    uint32_t permitted;    /* calls in HALF_OPEN; 1..BREAKER_WINDOW_MAX */
    uint64_t open_us;      /* the wait in OPEN */
    uint64_t half_open_us; /* the longest time in HALF_OPEN; 0: no limit */
    bool half_open_closes; /* what it becomes then: CLOSED instead of OPEN */
    bool probe;            /* see above; off is resilience4j */
    uint64_t return_us;    /* see above; 0: all at once, as resilience4j */
    void (*changed)(struct breaker *b, enum breaker_state from, enum breaker_state to);
};
/* resilience4j's: by count, 100 calls of which at least 100, 50 % failed or 100 % slower than
 * 60 s; 10 permitted, 60 s open. */
extern const struct breaker_conf breaker_conf_default;

/* What a window holds, or one second or call of it. */
struct breaker_sums {
    uint32_t calls, failed, slow, slow_failed;
};

struct breaker {
    const struct breaker_conf *conf; /* the owner's */
    enum breaker_state state;
    uint64_t now_us;   /* the latest time that was told */
    uint64_t since_us; /* of the state */
    uint64_t retry_us; /* OPEN: permits after this */
    uint32_t permits;  /* HALF_OPEN: left */
    uint32_t attempts; /* how often it opened since it was last closed */
    bool returning;    /* CLOSED, out of HALF_OPEN: breaker_room counts */
    bool probing;      /* breaker_probe_due said so, breaker_probed is awaited */
    uint64_t rejected; /* calls that were not permitted since the window began */
    enum breaker_window window;
    uint32_t size, calls_min; /* of this state's window */
    struct breaker_sums total;
    struct breaker_sums *ring; /* size of them */
    uint32_t head;
    uint64_t head_second;
};

void breaker_init(struct breaker *b, const struct breaker_conf *conf, uint64_t now_us);
void breaker_free(struct breaker *b);

/* May a call be made? Each yes is followed by one of record and release. */
bool breaker_acquire(struct breaker *b, uint64_t now_us);
/* The call was not made after all. */
void breaker_release(struct breaker *b);
void breaker_record(struct breaker *b, bool failed, uint64_t took_us, uint64_t now_us);

/* Per cent, by the window of the present state; -1: too few calls. */
float breaker_failure_rate(const struct breaker *b);
float breaker_slow_rate(const struct breaker *b);

/* To any state, by hand. */
void breaker_force(struct breaker *b, enum breaker_state state, uint64_t now_us);
/* As after a restart: in this state since then, with an empty window; changed is not called.
 * CLOSED comes back without a return. */
void breaker_restore(struct breaker *b, enum breaker_state state, uint32_t attempts,
                     uint64_t since_us, uint64_t retry_us, uint64_t now_us);

/* How many more calls may begin now, if `under_way` are and `most` may be. Each is asked for by
 * breaker_acquire all the same. */
uint32_t breaker_room(struct breaker *b, uint32_t most, uint32_t under_way, uint64_t now_us);
/* Once for each wait in OPEN that is over, with conf->probe: call breaker_probed afterwards. */
bool breaker_probe_due(struct breaker *b, uint64_t now_us);
/* It answered: HALF_OPEN; else OPEN for another wait. */
void breaker_probed(struct breaker *b, bool answered, uint64_t now_us);
/* When something may change without a call: the end of a wait, of HALF_OPEN, the next step of the
 * return. UINT64_MAX: never. */
uint64_t breaker_next_us(const struct breaker *b);
/* Makes what time alone does (the end of HALF_OPEN). */
void breaker_tick(struct breaker *b, uint64_t now_us);
