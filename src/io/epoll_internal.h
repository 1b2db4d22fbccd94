/* epoll_internal.h: the parts of the real loop, seen from each other; only for io/.
 *
 *      loop_epoll.c   the turn, mail, signals, sets of loops
 *      stream.c       one connected socket
 *      listener.c     accepting and connecting
 *      jobs.c         threads for blocking work
 *      file_warm.c    cold ranges of files, read before they are sent
 *      process_real.c programs that were started
 *
 * Descriptors are watched edge-triggered (listeners and signals excepted): a stream remembers that
 * it may be read or written until a call says that it would block, and epoll is not told again.
 */
#pragma once

#include "io/addr.h"
#include "io/file_warm.h"
#include "io/loop_internal.h"
#include "io/mailbox.h"

#include <pthread.h>
#include <stdatomic.h>

struct epoll_loop;

/* What epoll's event points to. */
struct watch {
    void (*ready)(struct epoll_loop *el, struct watch *watch, uint32_t events);
};

struct jobs {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct env_mail *first, **last; /* the mails of jobs that wait for a thread */
    unsigned threads, idle;
    bool stop;
    pthread_t ids[LOOP_JOB_THREADS];
};

struct epoll_loop {
    struct loop loop; /* first */
    struct loop **set;
    int epoll_fd, wake_fd, signal_fd;
    int reserve_fd; /* given up for a moment to refuse a connection when descriptors run out */
    struct watch wake, signal;
    struct mailbox mailbox;
    atomic_bool asleep; /* may wait in epoll: who posts must wake it */
    atomic_bool stop;
    bool complained; /* about a lack of descriptors */
    bool signalled;  /* handlers are to run in this turn */
    bool freeing;    /* no new streams */
    struct list streams;
    struct list readable; /* streams to receive from */
    struct list sending;  /* streams with output and a socket that may take it */
    struct list ending;   /* streams whose closed() follows */
    struct list listeners;
    struct list processes_ready; /* with output, or ended */
    struct list signals;         /* struct signal_handler */
    struct jobs jobs;
    struct file_warms warms;
};

/* False: the kernel has no room for one more. */
bool epoll_watch(struct epoll_loop *el, int fd, uint32_t events, struct watch *watch);
/* Before the close: a program that another loop starts at this moment holds a copy of the
 * descriptor, with which epoll would go on watching it for `watch`. */
void epoll_unwatch(struct epoll_loop *el, int fd);
/* Any thread. */
void epoll_post(struct epoll_loop *el, struct env_mail *mail);

/* ---- stream.c ---- */

struct acceptor;

/* A connected socket becomes a stream of the loop that it counts for already; its own thread calls
 * stream_start. from: as in listener.c; NULL: no address of the peer. */
struct stream *stream_make(struct epoll_loop *el, int fd);
void stream_set_addrs(struct stream *s, const struct addr *local, const struct addr *peer);
struct pipe *stream_pipe(struct stream *s);
/* Watches it. connecting: output waits until the connection stands. */
void stream_start(struct stream *s, bool connecting);
/* Ends it in the next close phase. */
void stream_end(struct stream *s, enum err why);
/* Closes the socket without a call to a user. */
void stream_drop(struct stream *s);
/* Posts the stream to its loop, where run(mail) is called. */
void stream_hand_over(struct stream *s, struct acceptor *acceptor);
/* Whether the mail is one of those: the stream is then dropped. For a loop that ends. */
bool stream_drop_handed(struct env_mail *mail);

/* The phases of a turn. */
void streams_receive(struct epoll_loop *el);
void streams_send(struct epoll_loop *el);
void streams_close(struct epoll_loop *el);
/* The loop ends: all are closed. */
void streams_end_all(struct epoll_loop *el);

/* ---- listener.c ---- */

/* Who takes the streams of a listener; shared with streams that are on their way to a loop. */
struct acceptor {
    atomic_uint refs;
    atomic_bool closed;
    loop_accept_fn *accept;
    void *arg;
};

void acceptor_put(struct acceptor *acceptor);
enum err epoll_listen(struct loop **loops, unsigned n, const struct listen_conf *conf,
                      struct listener **out, struct err_text *text);
enum err epoll_connect(struct loop *loop, const char *addr, const struct pipe_user_ops *user_ops,
                       void *user, struct pipe **out);
void listeners_end_all(struct epoll_loop *el);

/* ---- jobs.c ---- */

void jobs_init(struct jobs *jobs);
void jobs_start(struct jobs *jobs, struct loop_job *job);
/* Waits for those that run; the others are dropped. Nothing is started any more. */
void jobs_end(struct jobs *jobs);
/* Ended before. */
void jobs_free(struct jobs *jobs);

/* ---- process_real.c ---- */

enum err epoll_process_start(struct loop *loop, const struct process_conf *conf,
                             struct process **made, struct err_text *text);
enum err epoll_process_port(struct loop *loop, uint16_t *port);
/* The phase of a turn. */
void processes_run(struct epoll_loop *el);
/* The loop ends: all are killed. */
void processes_end_all(struct epoll_loop *el);
