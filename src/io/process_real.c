/* Programs in the epoll loop: two pipes and a pidfd each.
 *
 * When the pidfd says that the leader has ended, it is a corpse still, so that its number, which is
 * the group's too, is nobody else's: the rest of the group is killed then, its output read to the
 * end, and only then the corpse is waited for.
 */
#include "io/epoll_internal.h"
#include "io/process_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_BYTES ((size_t)16 << 10)
#define TURN_BYTES ((size_t)64 << 10) /* read from one pipe in a turn */
#define REST_BYTES ((size_t)1 << 20)  /* read after the end */
#define LOOK_US UINT64_C(10000)       /* between looks where there is no pidfd (Linux < 5.4) */
/* Below those that the system gives to connections (32768 and up, unless somebody changed it): a
 * port of theirs may be taken at any time, and a connection to it may even meet itself. */
#define PORT_FIRST 20000u
#define PORTS 12000u
#define PATH_BYTES 4096
#define PATH_DEFAULT "/usr/local/bin:/usr/bin:/bin"

struct real_process {
    struct process p; /* first */
    struct epoll_loop *el;
    struct real_pipe {
        struct watch watch;
        struct real_process *of;
        int fd; /* -1: its end came */
        bool readable;
    } pipes[2];
    struct watch pid_watch;
    int pid_fd;
    bool look; /* whether it has ended */
    struct env_timer look_timer;
    struct list ready_link; /* in el->processes_ready */
};

static struct real_process *real_of(struct process *p)
{
    return (struct real_process *)p;
}

static void ready_add(struct real_process *r)
{
    if (!list_linked(&r->ready_link))
        list_push(&r->el->processes_ready, &r->ready_link);
}

/* ---- output ---------------------------------------------------------------------------------- */

static void pipe_ready(struct epoll_loop *el, struct watch *watch, uint32_t events)
{
    struct real_pipe *pipe = container_of(watch, struct real_pipe, watch);
    (void)el;
    (void)events;
    pipe->readable = true;
    ready_add(pipe->of);
}

static void pipe_end(struct real_process *r, struct real_pipe *pipe)
{
    epoll_unwatch(r->el, pipe->fd);
    close(pipe->fd);
    pipe->fd = -1;
    pipe->readable = false;
}

/* Up to `most` bytes; `all`: the limits of a second are over. */
static void pipe_read(struct real_process *r, unsigned i, size_t most, bool all)
{
    struct real_pipe *pipe = &r->pipes[i];
    char bytes[READ_BYTES];
    size_t got = 0;
    while (pipe->readable && got < most && (all || process_wants_output(&r->p))) {
        ssize_t n = read(pipe->fd, bytes, sizeof bytes);
        if (n > 0) {
            got += (size_t)n;
            process_feed(&r->p, (enum process_stream)i, bytes, (size_t)n);
        } else if (n < 0 && errno == EAGAIN) {
            pipe->readable = false;
        } else if (n == 0 || errno != EINTR) {
            pipe_end(r, pipe);
        }
    }
}

/* ---- the end --------------------------------------------------------------------------------- */

static void pid_ready(struct epoll_loop *el, struct watch *watch, uint32_t events)
{
    struct real_process *r = container_of(watch, struct real_process, pid_watch);
    (void)el;
    (void)events;
    r->look = true;
    ready_add(r);
}

static void look_again(struct env_timer *timer)
{
    struct real_process *r = container_of(timer, struct real_process, look_timer);
    r->look = true;
    ready_add(r);
}

static bool is_corpse(const struct real_process *r)
{
    siginfo_t info = {.si_pid = 0};
    int failed = waitid(P_PID, (id_t)r->p.id, &info, WEXITED | WNOHANG | WNOWAIT);
    return !failed && info.si_pid != 0;
}

static uint64_t time_us(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

static void end_of(const struct real_process *r, struct process_end *end)
{
    struct rusage used;
    int status = 0;
    pid_t got;
    memset(&used, 0, sizeof used);
    do {
        got = wait4((pid_t)r->p.id, &status, 0, &used);
    } while (got < 0 && errno == EINTR);
    *end =
        (struct process_end){.signalled = WIFSIGNALED(status),
                             .status = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                             .lived_us = env_mono_us(&r->el->loop.env) - r->p.started_us,
                             .cpu_us = time_us(used.ru_utime) + time_us(used.ru_stime),
                             .resident_max_bytes = (uint64_t)used.ru_maxrss << 10};
}

/* Its leader is a corpse, or has been killed. */
static void bury(struct real_process *r)
{
    struct process_end end;
#ifndef FAULT_group_outlives
    (void)kill(-(pid_t)r->p.id, SIGKILL);
#endif
    for (unsigned i = 0; i < 2; i++) {
        r->pipes[i].readable = r->pipes[i].fd >= 0;
        pipe_read(r, i, REST_BYTES, true);
    }
    end_of(r, &end);
    process_finish(&r->p, &end);
}

static void process_turn(struct real_process *r)
{
    for (unsigned i = 0; i < 2; i++)
        pipe_read(r, i, TURN_BYTES, false);
    if (r->look && is_corpse(r)) {
        bury(r);
        return;
    }
    if (r->look && r->pid_fd < 0)
        env_timer_set(&r->el->loop.env, &r->look_timer, LOOK_US);
    r->look = false;
    if (process_wants_output(&r->p) && (r->pipes[0].readable || r->pipes[1].readable))
        ready_add(r);
}

void processes_run(struct epoll_loop *el)
{
    struct list now, *at;
    list_init(&now);
    list_move(&now, &el->processes_ready);
    while ((at = list_pop(&now)) != NULL)
        process_turn(container_of(at, struct real_process, ready_link));
}

void processes_end_all(struct epoll_loop *el)
{
    while (!list_empty(&el->loop.processes)) {
        struct process *p = container_of(el->loop.processes.next, struct process, link);
        bury(real_of(p));
    }
}

/* ---- kind ------------------------------------------------------------------------------------ */

static void real_signal(struct process *p, int signo)
{
    (void)kill(-(pid_t)p->id, signo);
}

static void real_resume(struct process *p)
{
    ready_add(real_of(p));
}

static void real_free(struct process *p)
{
    struct real_process *r = real_of(p);
    env_timer_stop(&r->el->loop.env, &r->look_timer);
    list_remove(&r->ready_link);
    for (unsigned i = 0; i < 2; i++) {
        if (r->pipes[i].fd >= 0)
            pipe_end(r, &r->pipes[i]);
    }
    if (r->pid_fd >= 0) {
        epoll_unwatch(r->el, r->pid_fd);
        close(r->pid_fd);
    }
    mem_free(r);
}

static const struct process_kind real_kind = {
    .signal = real_signal, .resume = real_resume, .free = real_free};

/* ---- starting -------------------------------------------------------------------------------- */

/* A descriptor that a dup2 to 0, 1 or 2 does not hit. */
static int high(int fd)
{
    if (fd < 0 || fd > 2)
        return fd;
    int up = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    close(fd);
    return up;
}

static bool pipe_open(int ends[2])
{
    ends[0] = ends[1] = -1;
    if (pipe2(ends, O_CLOEXEC))
        return false;
    ends[0] = high(ends[0]);
    ends[1] = high(ends[1]);
    return ends[0] >= 0 && ends[1] >= 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
}

/* Where a program without a '/' in its name is; false: nowhere. */
static bool path_find(const struct process_conf *conf, char *path, size_t cap)
{
    const char *at = PATH_DEFAULT;
    for (const char *const *e = conf->env; *e; e++) {
        if (strncmp(*e, "PATH=", 5) == 0)
            at = *e + 5;
    }
    while (*at) {
        size_t n = strcspn(at, ":");
        struct stat st;
        int len = snprintf(path, cap, "%.*s/%s", (int)n, at, conf->argv[0]);
        if (n > 0 && len > 0 && (size_t)len < cap && stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
            access(path, X_OK) == 0)
            return true;
        at += n + (at[n] == ':');
    }
    return false;
}

static enum err spawn_fail(const struct spawn *s, struct err_text *text)
{
    const char *name = s->conf->argv[0];
    enum err err = s->error == ENOENT || s->error == ENOTDIR ? ERR_NOT_FOUND : ERR_CONFIG_INVALID;
    if (s->error == EAGAIN || s->error == ENOMEM || s->error == EMFILE || s->error == ENFILE)
        err = ERR_BUSY;
    if (s->step == SPAWN_DIRECTORY)
        return err_say(text, err, "cannot run %s: its working directory %s: %s", name,
                       s->conf->directory, strerror(s->error));
    if (s->step == SPAWN_EXEC && s->error == ENOENT)
        return err_say(text, err,
                       "cannot run %s: there is no such file, or not the interpreter "
                       "that its first line names",
                       s->path);
    return err_say(text, err, "cannot run %s: %s", s->path, strerror(s->error));
}

static enum err real_make(struct epoll_loop *el, const struct process_conf *conf,
                          const struct spawn *s, int pid, const int out[2], struct process **made)
{
    struct real_process *r = mem_zalloc(1, sizeof *r);
    bool ok = true;
    process_init(&r->p, &real_kind, &el->loop, conf, pid);
    r->el = el;
    list_init(&r->ready_link);
    r->pid_fd = s->pid_fd;
    r->pid_watch.ready = pid_ready;
    r->look_timer.fire = look_again;
    for (unsigned i = 0; i < 2; i++) {
        r->pipes[i] = (struct real_pipe){.watch.ready = pipe_ready, .of = r, .fd = out[i]};
        ok = ok && epoll_watch(el, out[i], EPOLLIN | EPOLLET, &r->pipes[i].watch);
    }
    if (r->pid_fd >= 0)
        ok = ok && epoll_watch(el, r->pid_fd, EPOLLIN | EPOLLET, &r->pid_watch);
    else
        env_timer_set(&el->loop.env, &r->look_timer, LOOK_US);
    if (ok) {
        *made = &r->p;
        return ERR_OK;
    }
    struct process_end end;
    (void)kill(-(pid_t)pid, SIGKILL);
    end_of(r, &end);
    process_drop(&r->p);
    return ERR_BUSY;
}

static void fd_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

static enum err start_path(struct epoll_loop *el, const struct process_conf *conf, const char *path,
                           struct process **made, struct err_text *text)
{
    struct spawn s = {.conf = conf, .path = path};
    int out[2][2] = {{-1, -1}, {-1, -1}};
    enum err err = err_say(text, ERR_BUSY, "cannot run %s: no more descriptors", path);
    s.fds[0] = high(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (s.fds[0] >= 0 && pipe_open(out[0]) && pipe_open(out[1])) {
        s.fds[1] = out[0][1];
        s.fds[2] = out[1][1];
        int pid = spawn_run(&s);
        err = pid < 0 ? spawn_fail(&s, text)
                      : real_make(el, conf, &s, pid, (int[2]){out[0][0], out[1][0]}, made);
        if (pid >= 0) /* they are the process's, or closed with it */
            out[0][0] = out[1][0] = -1;
    }
    fd_close(s.fds[0]);
    for (unsigned i = 0; i < 2; i++) {
        fd_close(out[i][0]);
        fd_close(out[i][1]);
    }
    return err;
}

enum err epoll_process_start(struct loop *loop, const struct process_conf *conf,
                             struct process **made, struct err_text *text)
{
    char path[PATH_BYTES];
    struct epoll_loop *el = (struct epoll_loop *)loop;
    if (el->freeing)
        return err_say(text, ERR_CLOSED, "weir is stopping");
    if (strchr(conf->argv[0], '/'))
        return start_path(el, conf, conf->argv[0], made, text);
    if (!path_find(conf, path, sizeof path))
        return err_say(text, ERR_NOT_FOUND,
                       "cannot run %s: no folder of PATH has such a program; a path begins with / "
                       "or ./",
                       conf->argv[0]);
    return start_path(el, conf, path, made, text);
}

/* ---- ports ----------------------------------------------------------------------------------- */

static bool port_is_free(unsigned port)
{
    const struct sockaddr_in addr = {.sin_family = AF_INET,
                                     .sin_port = htons((uint16_t)port),
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_free = fd >= 0 && bind(fd, (const struct sockaddr *)&addr, sizeof addr) == 0;
    fd_close(fd);
    return is_free;
}

/* One after the other, from a place of chance: no two of this process are the same until all have
 * had their turn, and those of two weirs on one machine differ mostly. */
enum err epoll_process_port(struct loop *loop, uint16_t *port)
{
    static atomic_uint next;
    unsigned none = 0, first = 0;
    env_random(&loop->env, &first, sizeof first);
    (void)atomic_compare_exchange_strong(&next, &none, first % PORTS + PORTS);
    for (unsigned i = 0; i < PORTS; i++) {
        *port = (uint16_t)(PORT_FIRST + atomic_fetch_add(&next, 1) % PORTS);
        if (port_is_free(*port))
            return ERR_OK;
    }
    return ERR_BUSY;
}
