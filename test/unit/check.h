/* check.h: what a unit test includes: cmocka with the headers that it wants before its own, and
 * check_aborts for assertions.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* How a child process that runs fn(arg) ends, as waitpid tells it; its stderr is dropped. */
static inline int check_child_status(void (*fn)(void *arg), void *arg)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        if (null >= 0)
            dup2(null, STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        fn(arg);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* fn(arg) must fail an assertion of the program. */
static inline void check_aborts(void (*fn)(void *arg), void *arg)
{
    int status = check_child_status(fn, arg);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
