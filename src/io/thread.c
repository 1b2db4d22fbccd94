#include "io/thread.h"

#include "base/mem.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

struct thread {
    pthread_t id;
    void (*fn)(void *arg);
    void *arg;
};

static void *thread_main(void *p)
{
    struct thread *t = p;
    t->fn(t->arg);
    return NULL;
}

enum err thread_start(const char *name, void (*fn)(void *arg), void *arg, struct thread **out)
{
    struct thread *t = mem_zalloc(1, sizeof *t);
    sigset_t all, before;
    t->fn = fn;
    t->arg = arg;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&t->id, NULL, thread_main, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        mem_free(t);
        return ERR_BUSY;
    }
    (void)pthread_setname_np(t->id, name);
    *out = t;
    return ERR_OK;
}

void thread_join(struct thread *t)
{
    pthread_join(t->id, NULL);
    mem_free(t);
}

unsigned thread_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set))
        return 1;
    int n = CPU_COUNT(&set);
    return n > 0 ? (unsigned)n : 1;
}
