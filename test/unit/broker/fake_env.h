/* fake_env.h: reactors without threads, for tests of broker/: mails and timers are delivered when
 * the test says so, time stands still until it is moved, random numbers come from a seed. */
#pragma once

#include "base/random.h"
#include "broker/env.h"

#define FAKE_REACTORS_MAX 4

struct fake_world;

struct fake_env {
    struct env env; /* first: what the broker sees */
    struct fake_world *world;
    struct heap timers;
    struct env_mail *head, **tail;
};

struct fake_world {
    unsigned n;
    struct fake_env envs[FAKE_REACTORS_MAX];
    struct rng rng;
    unsigned logged[ENV_ERROR + 1]; /* lines by level */
};

/* n reactors at 2026-01-01 with mono 1 s. */
void fake_world_make(struct fake_world *w, unsigned n);
/* Drops undelivered mail and armed timers. */
void fake_world_free(struct fake_world *w);
/* Delivers the oldest mail of reactor i; false: there is none. */
bool fake_deliver(struct fake_world *w, unsigned i);
/* Delivers mail, reactors in random order, until there is none. True if there was any. */
bool fake_deliver_all(struct fake_world *w);
/* Fires the timers that are due. True if there were any. */
bool fake_fire(struct fake_world *w);
/* Moves the time and fires what is due (without delivering mail). */
void fake_advance(struct fake_world *w, uint64_t ms);
