/* Threads for blocking work. They are started when the first jobs come, LOOP_JOB_THREADS at most
 * for each loop, and stay. A job waits in the queue as its mail, which later carries it home.
 */
#include "io/epoll_internal.h"

#include "base/assert.h"
#include "io/log.h"

#include <signal.h>

static void job_done(struct env_mail *mail, struct env *env)
{
    struct loop_job *job = container_of(mail, struct loop_job, mail);
    weir_assert(loop_of(env) == job->loop);
    job->done(job);
}

static void job_run(struct loop_job *job)
{
    struct epoll_loop *el = (struct epoll_loop *)job->loop;
    job->work(job);
    epoll_post(el, &job->mail);
}

/* The next job; NULL: the loop ends. */
static struct loop_job *jobs_next(struct jobs *jobs)
{
    pthread_mutex_lock(&jobs->mutex);
    jobs->idle++;
    while (!jobs->stop && !jobs->first)
        pthread_cond_wait(&jobs->work, &jobs->mutex);
    jobs->idle--;
    struct env_mail *mail = jobs->stop ? NULL : jobs->first;
    if (mail) {
        jobs->first = mail->next;
        if (!jobs->first)
            jobs->last = &jobs->first;
    }
    pthread_mutex_unlock(&jobs->mutex);
    return mail ? container_of(mail, struct loop_job, mail) : NULL;
}

static void *jobs_thread(void *arg)
{
    struct loop_job *job;
    while ((job = jobs_next(arg)) != NULL)
        job_run(job);
    return NULL;
}

/* Signals are the loops' business. */
static bool thread_start(struct jobs *jobs)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&jobs->ids[jobs->threads], NULL, jobs_thread, jobs);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0)
        return false;
    jobs->threads++;
    return true;
}

void jobs_start(struct jobs *jobs, struct loop_job *job)
{
    job->mail.run = job_done;
    job->mail.next = NULL;
    pthread_mutex_lock(&jobs->mutex);
    weir_assert(!jobs->stop);
    bool waits = jobs->first != NULL;
    if ((waits || jobs->idle == 0) && jobs->threads < LOOP_JOB_THREADS)
        thread_start(jobs);
    bool alone = jobs->threads == 0;
    if (!alone) {
        *jobs->last = &job->mail;
        jobs->last = &job->mail.next;
        pthread_cond_signal(&jobs->work);
    }
    pthread_mutex_unlock(&jobs->mutex);
    if (alone) {
        log_event(ENV_WARN, "loop.no_thread", "effect=\"a job blocks its loop\"");
        job_run(job);
    }
}

void jobs_init(struct jobs *jobs)
{
    *jobs = (struct jobs){0};
    jobs->last = &jobs->first;
    pthread_mutex_init(&jobs->mutex, NULL);
    pthread_cond_init(&jobs->work, NULL);
}

void jobs_end(struct jobs *jobs)
{
    pthread_mutex_lock(&jobs->mutex);
    jobs->stop = true;
    pthread_cond_broadcast(&jobs->work);
    pthread_mutex_unlock(&jobs->mutex);
    for (unsigned i = 0; i < jobs->threads; i++)
        pthread_join(jobs->ids[i], NULL);
    jobs->threads = 0;
}

void jobs_free(struct jobs *jobs)
{
    weir_assert(jobs->threads == 0);
    pthread_cond_destroy(&jobs->work);
    pthread_mutex_destroy(&jobs->mutex);
}
