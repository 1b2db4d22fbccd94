/* Threads run, end and are joined; signals stay with the first one. */
#include "io/interrupt.h"
#include "io/thread.h"

#include "../check.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

static void add(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void they_run_and_are_joined(void **state)
{
    struct thread *t[8];
    atomic_int n = 0;
    (void)state;
    for (int i = 0; i < 8; i++)
        assert_int_equal(thread_start("test-thread", add, &n, &t[i]), ERR_OK);
    for (int i = 0; i < 8; i++)
        thread_join(t[i]);
    assert_int_equal(n, 8);
}

struct seen {
    sigset_t blocked;
    char name[32];
};

static void look(void *arg)
{
    struct seen *seen = arg;
    pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
    pthread_getname_np(pthread_self(), seen->name, sizeof seen->name);
}

/* All are blocked there, and here as before. The name is set from outside, so it may come late. */
static void signals_are_not_theirs(void **state)
{
    struct thread *t;
    struct seen seen;
    sigset_t before, after;
    (void)state;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(thread_start("test-thread", look, &seen, &t), ERR_OK);
    thread_join(t);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int signo = 1; signo < 32; signo++) {
        if (signo != SIGKILL && signo != SIGSTOP)
            assert_true(sigismember(&seen.blocked, signo));
        assert_int_equal(sigismember(&before, signo), sigismember(&after, signo));
    }
}

static void cpus_are_those_of_this_process(void **state)
{
    cpu_set_t all, one;
    (void)state;
    assert_true(thread_cpus() >= 1);
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++) {
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    }
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(thread_cpus(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    assert_int_equal(thread_cpus(), CPU_COUNT(&all));
}

/* ---- interrupts ----------------------------------------------------------------------------- */

static void interrupt_once(void *arg)
{
    interrupt_catch();
    if (interrupt_came())
        _exit(1);
    raise(*(int *)arg);
    if (!interrupt_came())
        _exit(2);
}

static void interrupt_twice(void *arg)
{
    interrupt_once(arg);
    raise(*(int *)arg);
}

static void interrupts_are_told_and_the_second_ends(void **state)
{
    int signals[] = {SIGINT, SIGTERM};
    (void)state;
    for (int i = 0; i < 2; i++) {
        int status = check_child_status(interrupt_once, &signals[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        status = check_child_status(interrupt_twice, &signals[i]);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_run_and_are_joined),
        cmocka_unit_test(signals_are_not_theirs),
        cmocka_unit_test(cpus_are_those_of_this_process),
        cmocka_unit_test(interrupts_are_told_and_the_second_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
