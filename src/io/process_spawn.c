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

/* The sanitizers' books are those of the thread that waits. */
#define IN_CHILD __attribute__((no_sanitize("address", "thread", "undefined")))

struct child {
    struct spawn *spawn;
    pid_t parent;
};

IN_CHILD static void child_signals(void)
{
    const struct sigaction dflt = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int signo = 1; signo < NSIG; signo++)
        (void)sigaction(signo, &dflt, NULL); /* KILL, STOP and libc's own refuse */
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

IN_CHILD static void child_close_rest(void)
{
    if (syscall(SYS_close_range, SPAWN_FIRST_FD, ~0U, 0) == 0)
        return;
    for (int fd = SPAWN_FIRST_FD; fd < SPAWN_CLOSE_MAX; fd++)
        (void)close(fd);
}

IN_CHILD static void child_oom_score(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY);
    if (fd < 0)
        return;
    ssize_t ignored = write(fd, SPAWN_OOM_SCORE, sizeof SPAWN_OOM_SCORE - 1);
    (void)ignored;
    (void)close(fd);
}

IN_CHILD static bool child_limit(int which, rlim_t most)
{
    struct rlimit r;
    if (getrlimit((__rlimit_resource_t)which, &r))
        return false;
    if (r.rlim_max == RLIM_INFINITY || most < r.rlim_max)
        r.rlim_max = most;
    r.rlim_cur = r.rlim_max;
    return setrlimit((__rlimit_resource_t)which, &r) == 0;
}

IN_CHILD static bool child_prepare(const struct child *c)
{
    const struct process_conf *conf = c->spawn->conf;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != c->parent ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || setsid() < 0)
        return false;
    for (int i = 0; i < 3; i++) {
        if (dup2(c->spawn->fds[i], i) < 0)
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
        if (!conf->directory || chdir(conf->directory) == 0) {
            spawn->step = SPAWN_EXEC;
            child_signals();
            execve(spawn->path, (char *const *)(uintptr_t)conf->argv,
                   (char *const *)(uintptr_t)conf->env);
        }
    }
    spawn->error = errno ? errno : ECANCELED;
    _exit(127);
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
    int pid = clone(child_main, stack + SPAWN_STACK_BYTES,
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
