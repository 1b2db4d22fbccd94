/* process_internal.h: what real and simulated processes share; only for io/.
 *
 *      process.c          lines, limits, life
 *      process_real.c     pipes and ends in the epoll loop
 *      process_spawn.c    the start of a program
 *      process_usage.c    /proc
 *      sim_process.c      the simulated twin
 */
#pragma once

#include "io/loop_internal.h"
#include "io/process.h"

struct process_kind {
    void (*signal)(struct process *p, int signo);
    /* Reading may go on after process_wants_output had said no. */
    void (*resume)(struct process *p);
    void (*free)(struct process *p);
};

struct process_line {
    char *text; /* PROCESS_LINE_MAX bytes, taken with the first output */
    size_t len;
    bool over; /* the rest of the line is dropped */
};

struct process {
    const struct process_kind *kind;
    struct loop *loop;
    struct list link; /* in loop->processes */
    const struct process_ops *ops;
    void *user;
    int64_t id;
    uint64_t started_us;
    struct process_line line[2];
    /* Of the second that is counted. */
    struct env_timer second;
    size_t bytes;
    uint32_t lines_max, lines, dropped;
    struct process_usage usage;
};

void process_init(struct process *p, const struct process_kind *kind, struct loop *loop,
                  const struct process_conf *conf, int64_t id);
/* Output came. */
void process_feed(struct process *p, enum process_stream stream, const char *bytes, size_t n);
bool process_wants_output(const struct process *p);
/* Tells ended() and frees it. */
void process_finish(struct process *p, const struct process_end *end);
/* Without a call. */
void process_drop(struct process *p);

struct process_measured {
    int64_t id;
    struct process_usage usage;
};

/* On a thread for jobs: fills m->at, which is sorted by id. */
void process_measure_proc(struct process_measure *m);
/* NULL: none of this id. */
struct process_measured *process_measured_find(struct process_measure *m, int64_t id);

/* ---- the real ones ---- */

enum spawn_step { SPAWN_PREPARE, SPAWN_DIRECTORY, SPAWN_EXEC };

struct spawn {
    const struct process_conf *conf;
    const char *path; /* of the program */
    int fds[3];       /* to become 0, 1 and 2; none of these numbers */
    /* out */
    int pid_fd;           /* -1: the kernel has none */
    int error;            /* errno of the step that failed */
    enum spawn_step step; /* which that was */
};

/* The pid; -1: spawn->error, spawn->step. */
int spawn_run(struct spawn *spawn);
