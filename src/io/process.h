/* process.h: programs that weir starts: what they print, how they end, what they use.
 *
 *     process_start -> line() ... line() -> ended()
 *
 * A process gets exactly the environment that it is given, /dev/null to read from, and no
 * descriptor of weir's but its output. It leads a session and a process group of its own: signals
 * go to the whole group, and what is left of the group when its leader ends is killed with it (who
 * leaves the group by setsid gets away; it loses its output). The leader dies with weir, even by
 * kill -9 (PR_SET_PDEATHSIG). It gains no rights (PR_SET_NO_NEW_PRIVS), dumps no core, and is
 * preferred to weir where the system runs out of memory (oom_score_adj).
 *
 * Output is cut into lines, without their ends. A line beyond PROCESS_LINE_MAX is cut, and its
 * rest dropped. Lines beyond `lines_max` a second are dropped and counted; beyond
 * PROCESS_OUTPUT_MAX bytes a second nothing is read until the second is over, so that who floods
 * waits in its own writes and costs nobody anything.
 *
 * Memory and CPU are watched, not limited, and summed over the session: process_measure reads them
 * (/proc; pages that processes share count for each), and whoever started the process acts on them.
 *
 * On the loop's own thread, which process_start holds until the program runs (about 1 ms). weir's
 * memory is not copied for it. A simulated twin is in sim.h.
 */
#pragma once

#include "base/err.h"
#include "base/list.h"
#include "base/str.h"
#include "io/loop.h"

#include <stdbool.h>
#include <stdint.h>

#define PROCESS_LINE_MAX 8192u
#define PROCESS_OUTPUT_MAX ((size_t)4 << 20)
#define PROCESS_FILES_MAX 1024u

struct process;

enum process_stream { PROCESS_OUT, PROCESS_ERR };

struct process_end {
    bool signalled;
    int status; /* the exit status, or the signal */
    uint64_t lived_us;
    uint64_t cpu_us, resident_max_bytes; /* of it and of the children that it waited for */
};

struct process_ops {
    /* cut: the line went on. */
    void (*line)(void *user, enum process_stream stream, struct str text, bool cut);
    /* Of the last second: lines that were dropped; held: reading had to stop. */
    void (*dropped)(void *user, uint32_t lines, bool held);
    /* The last call: nothing of the process, nor of its group, is left. */
    void (*ended)(void *user, const struct process_end *end);
};

/* All is borrowed for the call. */
struct process_conf {
    const char *const *argv; /* up to a NULL. Without a '/', argv[0] is looked for in env's PATH */
    const char *const *env;  /* "NAME=value", up to a NULL */
    const char *directory;   /* a relative argv[0] begins here; NULL: weir's own */
    uint32_t files_max;      /* open files; 0: PROCESS_FILES_MAX */
    uint32_t lines_max;      /* a second; 0: none is told */
    const struct process_ops *ops;
    void *user;
};

/* ERR_NOT_FOUND, ERR_CONFIG_INVALID (no program, no right to run it), ERR_BUSY (no more processes
 * or descriptors): text says what of what. No call is made to the ops then, nor from inside. */
enum err must_use process_start(struct loop *loop, const struct process_conf *conf,
                                struct process **out, struct err_text *text);
int64_t process_id(const struct process *p);
/* To the whole group. Nothing if it has ended. */
void process_signal(struct process *p, int signo);

struct process_usage {
    uint64_t measured_us;    /* the monotonic clock; 0: not yet */
    uint64_t resident_bytes; /* now */
    uint64_t cpu_us;         /* since the start; children that nobody waited for are lost */
    uint32_t processes;
};

/* As last measured; valid until ended(). */
const struct process_usage *process_usage(const struct process *p);

/* Measures all processes that the loop has; done follows, never from inside. Embedded by its
 * owner; one at a time. */
struct process_measure {
    void (*done)(struct process_measure *m);
    struct loop_job job;         /* private, as the rest */
    struct process_measured *at; /* by id */
    size_t n;
};
void process_measure(struct loop *loop, struct process_measure *m);

/* A port of 127.0.0.1 that nobody listens on at this moment, for a program that is to be started,
 * and that no other call was given lately: another process may still take it first, then try again.
 * ERR_BUSY: there is none. */
enum err must_use process_port(struct loop *loop, uint16_t *port);
