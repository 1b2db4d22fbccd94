/* loop_internal.h: what the two kinds of loop share; only for io/.
 *
 * struct loop is the first member of the epoll loop and of the simulated one. The public functions
 * of loop.h (loop.c) go through its table of operations; timers and hooks are the same code for
 * both, so that a program meets the same order of events in a simulation.
 */
#pragma once

#include "io/loop.h"

#include <stdatomic.h>

struct process;
struct process_conf;
struct process_measure;

struct loop_ops {
    void (*run)(struct loop *loop);
    void (*stop)(struct loop *loop);
    void (*job_start)(struct loop *loop, struct loop_job *job);
    void (*quiet)(struct loop *loop);
    enum err (*listen)(struct loop **loops, unsigned n, const struct listen_conf *conf,
                       struct listener **out, struct err_text *text);
    enum err (*connect)(struct loop *loop, const char *addr, const struct pipe_user_ops *user_ops,
                        void *user, struct pipe **out);
    enum err (*on_signal)(struct loop *loop, int signo, loop_signal_fn *fn, void *arg);
    /* process.h */
    enum err (*process_start)(struct loop *loop, const struct process_conf *conf,
                              struct process **out, struct err_text *text);
    enum err (*process_port)(struct loop *loop, uint16_t *port);
    void (*process_measure)(struct process_measure *m); /* fills m->at, on a thread for jobs */
};

struct loop {
    const struct loop_ops *ops;
    struct env env;
    struct heap timers;
    struct list hooks;
    struct list *hook_next; /* the hook after the one that runs now; NULL: none runs */
    atomic_size_t streams;  /* read by the loop that accepts */
    struct list processes;  /* struct process */
};

struct listener {
    void (*close)(struct listener *l);
    char addr[PIPE_ADDR_MAX];
};

void loop_init(struct loop *loop, const struct loop_ops *ops, const struct env_ops *env_ops,
               unsigned reactor, unsigned reactors);
void loop_deinit(struct loop *loop);

/* Fires what is due at env.mono_us; what these timers arm waits for the next turn. */
void loop_timers_run(struct loop *loop);
/* When the next timer is due, us; UINT64_MAX: none is armed. */
uint64_t loop_timers_next(const struct loop *loop);
void loop_hooks_run(struct loop *loop);

/* Rows of struct env_ops that both kinds use. */
void loop_env_timer_set(struct env *env, struct env_timer *timer, uint64_t delay_us);
void loop_env_timer_stop(struct env *env, struct env_timer *timer);
void loop_env_log(struct env *env, enum env_level level, const char *event, const char *text);

/* The loop with the fewest streams. */
struct loop *loop_least_loaded(struct loop **loops, unsigned n);

/* Chunks cost output budget: bytes in memory whole, bytes of file ranges a hundredth. */
size_t loop_output_weight(size_t memory_bytes, size_t file_bytes);
/* Above this weight pipe_send says false; drained() comes below half of it. */
static inline size_t loop_output_max(const struct pipe *p)
{
    return p->output_max ? p->output_max : LOOP_OUTPUT_MAX;
}
/* The bytes of q that are file ranges. */
size_t loop_file_bytes(const struct chunkq *q);
