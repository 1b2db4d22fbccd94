/* loop.h: a reactor: one thread's event loop, its sockets, timers, mails and helper jobs.
 *
 * A turn of the loop, always in this order:
 *
 *     wait          epoll_wait until an event, a mail or the next timer
 *     clock         now_ms and mono_us are read, once
 *     receive       every readable stream: space() -> recv -> received(); listeners accept
 *     mail          what other reactors and finished jobs posted
 *     timers        those that are due, in order
 *     turn end      the hooks, in the order of their registration: this is where the store writes
 *                   and syncs what the turn gathered, and where answers are released (a hook may
 *                   cause further mail, which runs in the next turn without waiting)
 *     send          every stream with queued output: writev / sendfile until EAGAIN
 *     close         streams that ended: closed()
 *
 * So all requests that arrived together share one fsync, and all answers of a turn leave together.
 * Two implementations: loop_epoll.c, and the simulated twin in sim.h. Everything here is called on
 * the loop's own thread except where said otherwise.
 *
 * Limits: LOOP_OUTPUT_MAX unsent bytes per stream make pipe_send answer false; at four times that
 * the stream is aborted with ERR_BUSY (a reader that does not read must not fill our memory; bytes
 * of file ranges count a hundredth, since they cost no memory). One stream receives about 1 MB and
 * sends about 4 MB in a turn, then others have theirs. What pipe_close leaves to send has
 * LOOP_CLOSE_MAX_MS to leave; then the stream is aborted with ERR_TIMED_OUT.
 *
 * Streams end with ERR_OK (pipe_close), with what pipe_abort was given, or with ERR_CLOSED (the
 * peer or the network ended them, or a connection could not be made) or ERR_TIMED_OUT.
 */
#pragma once

#include "base/err.h"
#include "base/pipe.h"
#include "broker/env.h"

#define LOOP_OUTPUT_MAX ((size_t)16 << 20)
/* Threads for jobs, per loop; started when they are needed. A checkpoint, a group of the journal,
 * the making of one of its files, a scrub and cold reads do not wait for each other. */
#define LOOP_JOB_THREADS 6
#define LOOP_CLOSE_MAX_MS 10000

struct loop;

/* The loop's env, for broker/ and store/. */
struct env *loop_env(struct loop *loop);
/* The loop that an env belongs to. */
struct loop *loop_of(struct env *env);

/* n loops that can post to each other, as reactors 0..n-1. Call once, then loop_run each on its own
 * thread (loop 0 on the caller's). */
enum err must_use loop_set_make(unsigned n, struct loop **loops);
/* After all loops have left loop_run: waits for jobs that run, drops those that do not and all
 * mail. Nothing is posted or started from here on. Before anything is freed that jobs work on or
 * that mails are part of; may be called more than once. */
void loop_set_quiet(unsigned n, struct loop **loops);
/* The same, and then the rest: listeners are closed, streams that are open get
 * closed(ERR_CLOSED). */
void loop_set_free(unsigned n, struct loop **loops);
/* Runs turns until loop_stop. */
void loop_run(struct loop *loop);
/* Any thread, and signal-safe: the loop leaves loop_run after its present turn. */
void loop_stop(struct loop *loop);

/* Called at each turn's end, see above. Embedded by its owner, stays registered until removed. */
struct loop_hook {
    struct list link;
    void (*run)(struct loop_hook *hook);
};
void loop_hook_add(struct loop *loop, struct loop_hook *hook);
void loop_hook_remove(struct loop *loop, struct loop_hook *hook);

/* Blocking work for a helper thread: work() runs there, done() afterwards on the loop's thread.
 * Jobs of one loop may run concurrently and finish in any order. In a simulation work() runs on the
 * same thread at a virtual time of its own. */
struct loop_job {
    struct env_mail mail; /* private */
    struct loop *loop;    /* private */
    void (*work)(struct loop_job *job);
    void (*done)(struct loop_job *job);
};
void loop_job_start(struct loop *loop, struct loop_job *job);

/* Accepting. bind: "HOST:PORT" with port 0 for any free one, "[::1]:9092", "unix:PATH". Connections
 * go to the loop with the fewest streams; accept is called on that loop's thread with a fresh pipe,
 * sets pipe->user_ops and pipe->user and returns true, or false to drop the connection. */
struct listener;
typedef bool loop_accept_fn(void *arg, struct loop *loop, struct pipe *pipe);
struct listen_conf {
    const char *bind;
    loop_accept_fn *accept;
    void *arg;
};
/* ERR_EXISTS: the port is taken (text names it); ERR_REQUEST_INVALID: the address is not one. */
enum err must_use loop_listen(struct loop **loops, unsigned n, const struct listen_conf *conf,
                              struct listener **out, struct err_text *text);
/* The address it is bound to, with the real port. */
const char *listener_addr(const struct listener *l);
/* No more accepts, except one that another loop may be in at this moment: arg stays valid until
 * the loops have stopped. Established streams stay. */
void listener_close(struct listener *l);

/* Connects to a numeric address; the user's closed() tells of failure. */
enum err must_use loop_connect(struct loop *loop, const char *addr,
                               const struct pipe_user_ops *user_ops, void *user, struct pipe **out);
/* Streams that are open on this loop. */
size_t loop_streams(const struct loop *loop);

/* Signals, on loop 0: fn runs in a turn, not in a handler. Called before other threads start, since
 * a signal must be blocked in all of them. */
typedef void loop_signal_fn(void *arg, int signo);
enum err must_use loop_on_signal(struct loop *loop, int signo, loop_signal_fn *fn, void *arg);
