/* env.h: what the broker asks of the world besides storage: time, timers, random, other reactors.
 *
 * A port: broker/ owns it, io/ implements it twice (the epoll loop and its simulated twin). One
 * struct env belongs to one reactor (loop thread); all calls are made on that reactor, except
 * env_post, which any thread may call on its own env to reach another.
 */
#pragma once

#include "base/heap.h"
#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct env;

/* Embedded by its owner. Zero-initialise, then env_timer_set. */
struct env_timer {
    struct heap_node node; /* key: due time on the monotonic clock, us */
    void (*fire)(struct env_timer *timer);
};

/* A message to a reactor: `run` is called there, in a later turn or later in this one. The embedder
 * keeps the memory valid until then and may free it in run. Mails from one reactor to another
 * arrive in the order in which they were posted. */
struct env_mail {
    struct env_mail *next;
    void (*run)(struct env_mail *mail, struct env *env);
};

enum env_level { ENV_DEBUG, ENV_INFO, ENV_WARN, ENV_ERROR };

struct env_ops {
    void (*timer_set)(struct env *env, struct env_timer *timer, uint64_t delay_us);
    void (*timer_stop)(struct env *env, struct env_timer *timer);
    void (*post)(struct env *env, unsigned reactor, struct env_mail *mail);
    void (*random)(struct env *env, void *p, size_t n);
    void (*log)(struct env *env, enum env_level level, const char *event, const char *text);
    uint64_t (*clock_us)(struct env *env); /* NULL: the turn's time will do */
};

struct env {
    const struct env_ops *ops;
    unsigned reactor;  /* this one, 0-based */
    unsigned reactors; /* how many there are */
    uint64_t now_ms;   /* wall clock, Unix ms, read once a turn */
    uint64_t mono_us;  /* monotonic clock, us, read once a turn: for leases and timers */
    uint64_t now_us;   /* beside now_ms: the us of its millisecond, 0..999 */
};

static inline uint64_t env_now_ms(const struct env *env)
{
    return env->now_ms;
}

static inline uint64_t env_mono_us(const struct env *env)
{
    return env->mono_us;
}

/* The monotonic clock, read now: for times that are told, such as how long a step took within a
 * turn. What is decided is decided by the turn's time. Some 30 ns. */
static inline uint64_t env_clock_us(struct env *env)
{
    return env->ops->clock_us != NULL ? env->ops->clock_us(env) : env->mono_us;
}

/* The wall clock at a time of the monotonic one that is not long ago, Unix us. */
static inline uint64_t env_wall_us(const struct env *env, uint64_t mono_us)
{
    return env->now_ms * 1000 + env->now_us + (mono_us - env->mono_us);
}

/* (Re)arms the timer to fire once, delay_us from this turn's time. */
static inline void env_timer_set(struct env *env, struct env_timer *timer, uint64_t delay_us)
{
    env->ops->timer_set(env, timer, delay_us);
}

/* Nothing if it is not armed. */
static inline void env_timer_stop(struct env *env, struct env_timer *timer)
{
    env->ops->timer_stop(env, timer);
}

static inline bool env_timer_armed(const struct env_timer *timer)
{
    return timer->node.index1 != 0;
}

/* Posting to the own reactor is allowed and never runs the mail inside this call. */
static inline void env_post(struct env *env, unsigned reactor, struct env_mail *mail)
{
    env->ops->post(env, reactor, mail);
}

/* Unpredictable bytes (reproducible ones in a simulation). */
static inline void env_random(struct env *env, void *p, size_t n)
{
    env->ops->random(env, p, n);
}

/* One line of the structured log: an event name in dotted words and "key=value ..." text. */
__attribute__((format(printf, 4, 5))) void env_log(struct env *env, enum env_level level,
                                                   const char *event, const char *fmt, ...);
