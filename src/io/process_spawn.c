/* The start of a program, as vfork does it: the child runs on weir's own memory, on a stack of its
 * own, while the thread that started it waits; so the size of weir's memory does not matter, and
 * what failed in the child is read from where it wrote it. The child makes system calls and nothing
 * else: locks, the heap and the log are those of a process with other threads. Signals are blocked
 * on the way, since a handler that ran in the child would change weir's memory.
 *
 * Descriptors of other loops live on in the child until close_range: see epoll_unwatch.
 */
#include "io/process_internal.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SPAWN_STACK_BYTES ((size_t)64 << 10)
#define SPAWN_FIRST_FD 3
/* How many descriptors are closed one by one where the kernel has no close_range (before 5.9);
 * weir's own are closed by the exec in any case. */
#define SPAWN_CLOSE_MAX 65536
/* Between 0 and 1000: weir itself has 0, or what it was given. */
#define SPAWN_OOM_SCORE "500"

/* The sanitizers' books are those of the thread that waits: they are to see nothing of the child,
 * neither its code nor, since calls of the C library are watched too, what it calls. */
#define IN_CHILD __attribute__((no_sanitize("address", "thread", "undefined")))

/* The C library's own name of clone: ThreadSanitizer takes `clone` for a fork, and the memory of
 * the child for the child's own. */
int __clone(int (*fn)(void *arg), void *stack, int flags, void *arg, ...);

struct child {
    struct spawn *spawn;
    pid_t parent;
};

/* As the kernel has it, whose mask is one word. */
struct signal_default {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

IN_CHILD static void child_signals(void)
{
    const struct signal_default dflt = {0};
    for (int signo = 1; signo < NSIG; signo++)
        (void)syscall(SYS_rt_sigaction, signo, &dflt, NULL, sizeof dflt.mask);
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &dflt.mask, NULL, sizeof dflt.mask);
}

IN_CHILD static void child_close_rest(void)
{
    if (syscall(SYS_close_range, SPAWN_FIRST_FD, ~0U, 0) == 0)
        return;
    for (int fd = SPAWN_FIRST_FD; fd < SPAWN_CLOSE_MAX; fd++)
        (void)syscall(SYS_close, fd);
}

IN_CHILD static void child_oom_score(void)
{
    long fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY);
    if (fd < 0)
        return;
    (void)syscall(SYS_write, fd, SPAWN_OOM_SCORE, sizeof SPAWN_OOM_SCORE - 1);
    (void)syscall(SYS_close, fd);
}

IN_CHILD static bool child_limit(int which, uint64_t most)
{
    struct {
        uint64_t now, most;
    } r;
    if (syscall(SYS_prlimit64, 0, which, NULL, &r))
        return false;
    if (most < r.most)
        r.most = most;
    r.now = r.most;
    return syscall(SYS_prlimit64, 0, which, &r, NULL) == 0;
}

/* Whoever started it must not have died before the first line took effect. */
IN_CHILD static bool child_prepare(const struct child *c)
{
    const struct process_conf *conf = c->spawn->conf;
    if (syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) ||
        syscall(SYS_getppid) != c->parent || syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        syscall(SYS_setsid) < 0)
        return false;
    for (int i = 0; i < 3; i++) {
        if (syscall(SYS_dup3, c->spawn->fds[i], i, 0) < 0)
            return false;
    }
    child_close_rest();
    child_oom_score();
    return child_limit(RLIMIT_CORE, 0) &&
           child_limit(RLIMIT_NOFILE, conf->files_max ? conf->files_max : PROCESS_FILES_MAX);
}

IN_CHILD static int child_main(void *arg)
{
    struct child *c = arg;
    struct spawn *spawn = c->spawn;
    const struct process_conf *conf = spawn->conf;
    spawn->step = SPAWN_PREPARE;
    if (child_prepare(c)) {
        spawn->step = SPAWN_DIRECTORY;
        if (!conf->directory || syscall(SYS_chdir, conf->directory) == 0) {
            spawn->step = SPAWN_EXEC;
            child_signals();
            (void)syscall(SYS_execve, spawn->path, conf->argv, conf->env);
        }
    }
    spawn->error = errno ? errno : ECANCELED;
    (void)syscall(SYS_exit_group, 127);
    return 127;
}

int spawn_run(struct spawn *spawn)
{
    struct child child = {.spawn = spawn, .parent = getpid()};
    char *stack = mem_alloc(SPAWN_STACK_BYTES);
    sigset_t all, before;
    int status;
    spawn->error = 0;
    spawn->pid_fd = -1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int pid = __clone(child_main, stack + SPAWN_STACK_BYTES,
                      CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &child, &spawn->pid_fd);
    int number = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    mem_free(stack);
    if (pid < 0) {
        spawn->step = SPAWN_PREPARE;
        spawn->error = number;
        return -1;
    }
    if (!spawn->error)
        return pid;
    (void)waitpid(pid, &status, 0);
    if (spawn->pid_fd >= 0)
        close(spawn->pid_fd);
    return -1;
}
