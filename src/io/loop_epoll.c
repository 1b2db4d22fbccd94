/* The real loop: epoll, an eventfd to be woken by, a signalfd.
 *
 * Sleeping: before a turn waits, the loop says that it may be asleep and looks into its mailbox
 * once more; who posts puts the mail in first and then looks whether the loop may be asleep. One of
 * the two sees the other, so that no mail waits for nothing, and a loop that is awake costs its
 * posters no system call.
 */
#include "io/epoll_internal.h"

#include "base/assert.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/process_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define EPOLL_EVENTS 256

struct signal_handler {
    struct list link;
    int signo;
    loop_signal_fn *fn;
    void *arg;
};

/* ---- waking ---- */

bool epoll_watch(struct epoll_loop *el, int fd, uint32_t events, struct watch *watch)
{
    struct epoll_event ev = {.events = events, .data.ptr = watch};
    return epoll_ctl(el->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0;
}

void epoll_unwatch(struct epoll_loop *el, int fd)
{
    (void)epoll_ctl(el->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void wake_write(struct epoll_loop *el)
{
    const uint64_t one = 1;
    ssize_t ignored = write(el->wake_fd, &one, sizeof(one));
    (void)ignored;
}

void epoll_post(struct epoll_loop *el, struct env_mail *mail)
{
    mailbox_put(&el->mailbox, mail);
    if (atomic_load(&el->asleep) && atomic_exchange(&el->asleep, false))
        wake_write(el);
}

/* Edge-triggered: the counter is never read. */
static void wake_ready(struct epoll_loop *el, struct watch *watch, uint32_t events)
{
    (void)el;
    (void)watch;
    (void)events;
}

static void epoll_stop(struct loop *loop)
{
    struct epoll_loop *el = (struct epoll_loop *)loop;
    atomic_store(&el->stop, true);
    wake_write(el);
}

/* ---- signals ---- */

/* A handler may close what another event of this batch points to: it runs after the batch. */
static void signal_ready(struct epoll_loop *el, struct watch *watch, uint32_t events)
{
    (void)watch;
    (void)events;
    el->signalled = true;
}

static void signals_run(struct epoll_loop *el)
{
    struct signalfd_siginfo info;
    if (!el->signalled)
        return;
    el->signalled = false;
    while (read(el->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        list_for (it, &el->signals) {
            const struct signal_handler *h = container_of(it, struct signal_handler, link);
            if ((uint32_t)h->signo == info.ssi_signo)
                h->fn(h->arg, h->signo);
        }
    }
}

static enum err epoll_on_signal(struct loop *loop, int signo, loop_signal_fn *fn, void *arg)
{
    struct epoll_loop *el = (struct epoll_loop *)loop;
    sigset_t mask;
    sigemptyset(&mask);
    list_for (it, &el->signals)
        sigaddset(&mask, container_of(it, struct signal_handler, link)->signo);
    sigaddset(&mask, signo);
    int fd = signalfd(el->signal_fd, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return ERR_IO;
    bool first = el->signal_fd < 0;
    el->signal_fd = fd;
    el->signal.ready = signal_ready;
    if (first && !epoll_watch(el, fd, EPOLLIN, &el->signal))
        return ERR_IO;
    pthread_sigmask(SIG_BLOCK, &mask, NULL);
    struct signal_handler *h = mem_zalloc(1, sizeof(*h));
    *h = (struct signal_handler){.signo = signo, .fn = fn, .arg = arg};
    list_push(&el->signals, &h->link);
    return ERR_OK;
}

/* ---- the turn ---- */

static void clock_read(struct epoll_loop *el)
{
    el->loop.env.mono_us = clock_mono_us();
    uint64_t wall_us = clock_wall_us();
    el->loop.env.now_ms = wall_us / 1000;
    el->loop.env.now_us = wall_us % 1000;
}

/* How long the turn may wait, us; UINT64_MAX: until something happens. */
static uint64_t wait_us(struct epoll_loop *el)
{
    if (!mailbox_empty(&el->mailbox) || !list_empty(&el->readable) || !list_empty(&el->sending) ||
        !list_empty(&el->ending) || !list_empty(&el->processes_ready) ||
        atomic_load_explicit(&el->stop, memory_order_relaxed))
        return 0;
    uint64_t due = loop_timers_next(&el->loop);
    if (due == UINT64_MAX)
        return due;
    uint64_t now = clock_mono_us();
    return due > now ? due - now : 0;
}

/* Timers are exact to the microsecond where the kernel has epoll_pwait2 (5.11). */
static int wait_call(struct epoll_loop *el, struct epoll_event *events, uint64_t us)
{
    static atomic_bool no_pwait2;
    if (us == 0 || us == UINT64_MAX)
        return epoll_wait(el->epoll_fd, events, EPOLL_EVENTS, us == 0 ? 0 : -1);
    if (!atomic_load_explicit(&no_pwait2, memory_order_relaxed)) {
        struct timespec t = {.tv_sec = (time_t)(us / 1000000),
                             .tv_nsec = (long)(us % 1000000) * 1000};
        int n = epoll_pwait2(el->epoll_fd, events, EPOLL_EVENTS, &t, NULL);
        if (n >= 0 || errno != ENOSYS)
            return n;
        atomic_store_explicit(&no_pwait2, true, memory_order_relaxed);
    }
    uint64_t ms = (us + 999) / 1000;
    return epoll_wait(el->epoll_fd, events, EPOLL_EVENTS, ms > 60000 ? 60000 : (int)ms);
}

static void events_take(struct epoll_loop *el)
{
    struct epoll_event events[EPOLL_EVENTS];
    uint64_t us = wait_us(el);
    if (us) {
        atomic_store(&el->asleep, true);
        if (!mailbox_empty(&el->mailbox))
            us = 0;
    }
    int n = wait_call(el, events, us);
    atomic_store_explicit(&el->asleep, false, memory_order_relaxed);
    weir_assert(n >= 0 || errno == EINTR);
    clock_read(el);
    for (int i = 0; i < n; i++) {
        struct watch *watch = events[i].data.ptr;
        watch->ready(el, watch, events[i].events);
    }
}

static void mails_run(struct epoll_loop *el)
{
    struct env_mail *mail = mailbox_take(&el->mailbox);
    while (mail) {
        struct env_mail *next = mail->next;
        mail->run(mail, &el->loop.env);
        mail = next;
    }
}

static void epoll_run(struct loop *loop)
{
    struct epoll_loop *el = (struct epoll_loop *)loop;
    clock_read(el);
    do {
        events_take(el);
        streams_receive(el);
        processes_run(el);
        signals_run(el);
        mails_run(el);
        loop_timers_run(loop);
        loop_hooks_run(loop);
        streams_send(el);
        streams_close(el);
    } while (!atomic_load_explicit(&el->stop, memory_order_relaxed));
    atomic_store(&el->stop, false);
}

/* ---- env ---- */

static void epoll_env_post(struct env *env, unsigned reactor, struct env_mail *mail)
{
    struct epoll_loop *el = (struct epoll_loop *)loop_of(env);
    weir_assert(reactor < env->reactors && mail->run != NULL);
    epoll_post((struct epoll_loop *)el->set[reactor], mail);
}

static void epoll_random(struct env *env, void *p, size_t n)
{
    (void)env;
    size_t done = 0;
    while (done < n) {
        ssize_t k = getrandom((char *)p + done, n - done, 0);
        weir_assert(k > 0 || errno == EINTR);
        done += k > 0 ? (size_t)k : 0;
    }
}

static uint64_t epoll_clock_us(struct env *env)
{
    (void)env;
    return clock_mono_us();
}

static const struct env_ops epoll_env_ops = {
    .timer_set = loop_env_timer_set,
    .timer_stop = loop_env_timer_stop,
    .post = epoll_env_post,
    .random = epoll_random,
    .log = loop_env_log,
    .clock_us = epoll_clock_us,
};

static void epoll_job_start(struct loop *loop, struct loop_job *job)
{
    jobs_start(&((struct epoll_loop *)loop)->jobs, job);
}

static void mails_drop(struct epoll_loop *el)
{
    struct env_mail *mail = mailbox_take(&el->mailbox);
    while (mail) {
        struct env_mail *next = mail->next;
        stream_drop_handed(mail);
        mail = next;
    }
}

static void epoll_quiet(struct loop *loop)
{
    struct epoll_loop *el = (struct epoll_loop *)loop;
    jobs_end(&el->jobs);
    mails_drop(el);
}

static const struct loop_ops epoll_ops = {
    .run = epoll_run,
    .stop = epoll_stop,
    .job_start = epoll_job_start,
    .quiet = epoll_quiet,
    .listen = epoll_listen,
    .connect = epoll_connect,
    .on_signal = epoll_on_signal,
    .process_start = epoll_process_start,
    .process_port = epoll_process_port,
    .process_measure = process_measure_proc,
};

/* ---- sets ---- */

static void fd_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

static bool epoll_open(struct epoll_loop *el)
{
    el->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    el->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    el->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    el->wake.ready = wake_ready;
    return el->epoll_fd >= 0 && el->wake_fd >= 0 && el->reserve_fd >= 0 &&
           epoll_watch(el, el->wake_fd, EPOLLIN | EPOLLET, &el->wake);
}

static struct epoll_loop *epoll_make(unsigned reactor, unsigned reactors, struct loop **set)
{
    struct epoll_loop *el = mem_zalloc(1, sizeof(*el));
    loop_init(&el->loop, &epoll_ops, &epoll_env_ops, reactor, reactors);
    el->set = set;
    el->signal_fd = -1;
    mailbox_init(&el->mailbox);
    list_init(&el->streams);
    list_init(&el->readable);
    list_init(&el->sending);
    list_init(&el->ending);
    list_init(&el->listeners);
    list_init(&el->processes_ready);
    list_init(&el->signals);
    jobs_init(&el->jobs);
    file_warms_init(&el->warms, &el->loop);
    clock_read(el);
    return el;
}

static void epoll_free(struct epoll_loop *el)
{
    struct list *at;
    mails_drop(el); /* what the streams' ends posted */
    jobs_free(&el->jobs);
    file_warms_free(&el->warms);
    while ((at = list_pop(&el->signals)) != NULL)
        mem_free(container_of(at, struct signal_handler, link));
    fd_close(el->epoll_fd);
    fd_close(el->wake_fd);
    fd_close(el->signal_fd);
    fd_close(el->reserve_fd);
    loop_deinit(&el->loop);
    mem_free(el);
}

enum err loop_set_make(unsigned n, struct loop **loops)
{
    weir_assert(n > 0);
    /* A peer that is gone shows as an error of the call, not as the end of the process. */
    signal(SIGPIPE, SIG_IGN);
    /* Who started weir may have ignored it: then nobody learns how a program ended. */
    signal(SIGCHLD, SIG_DFL);
    struct loop **set = mem_alloc(n * sizeof(*set));
    bool ok = true;
    for (unsigned i = 0; i < n; i++) {
        struct epoll_loop *el = epoll_make(i, n, set);
        ok &= epoll_open(el);
        set[i] = loops[i] = &el->loop;
    }
    if (ok)
        return ERR_OK;
    loop_set_free(n, loops);
    return ERR_IO;
}

void loop_set_free(unsigned n, struct loop **loops)
{
    struct loop **set = ((struct epoll_loop *)loops[0])->set;
    /* No thread of any loop runs when the first stream is closed. */
    loop_set_quiet(n, loops);
    for (unsigned i = 0; i < n; i++)
        ((struct epoll_loop *)loops[i])->freeing = true;
    for (unsigned i = 0; i < n; i++) {
        processes_end_all((struct epoll_loop *)loops[i]);
        listeners_end_all((struct epoll_loop *)loops[i]);
        streams_end_all((struct epoll_loop *)loops[i]);
    }
    for (unsigned i = 0; i < n; i++)
        epoll_free((struct epoll_loop *)loops[i]);
    mem_free(set);
}
