/* thread.h: starting and joining the threads of further reactors. */
#pragma once

#include "base/err.h"

struct thread;

/* fn(arg) on a new thread with all signals blocked (loop 0 takes them). ERR_BUSY: no more threads.
 */
enum err must_use thread_start(const char *name, void (*fn)(void *arg), void *arg,
                               struct thread **out);
/* Waits for its end and frees it. */
void thread_join(struct thread *t);
/* CPUs that this process may use. */
unsigned thread_cpus(void);
