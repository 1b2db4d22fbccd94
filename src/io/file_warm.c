#include "io/file_warm.h"

#include "base/mem.h"
#include "io/disk.h"
#include "io/loop.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#define READ_BYTES ((size_t)128 << 10) /* at once */

struct file_warm {
    struct loop_job job;
    struct list link, wait_link;
    struct file_warms *of;
    struct file_ref *file;
    uint64_t at;
    size_t n;
    void (*done)(void *arg); /* NULL: forgotten */
    void *arg;
};

bool file_is_warm(int fd, uint64_t at, size_t n)
{
    char byte;
    const struct iovec iov = {&byte, 1};
    return preadv2(fd, &iov, 1, (off_t)(at + n - 1), RWF_NOWAIT) >= 0 || errno != EAGAIN;
}

static void warm_free(struct file_warm *w)
{
    list_remove(&w->link);
    list_remove(&w->wait_link);
    file_ref_put(w->file);
    mem_free(w);
}

static void warm_work(struct loop_job *job)
{
    const struct file_warm *w = container_of(job, struct file_warm, job);
    int fd = ((struct disk_file *)w->file)->fd;
    uint8_t *waste = mem_alloc(READ_BYTES);
    for (size_t done = 0; done < w->n; done += READ_BYTES) {
        size_t left = w->n - done;
        if (pread(fd, waste, left < READ_BYTES ? left : READ_BYTES, (off_t)(w->at + done)) <= 0)
            break; /* whoever sends it meets the same, and says so */
    }
    mem_free(waste);
}

static void next_start(struct file_warms *warms);

static void warm_done(struct loop_job *job)
{
    struct file_warm *w = container_of(job, struct file_warm, job);
    struct file_warms *warms = w->of;
    warms->running--;
    if (w->done)
        w->done(w->arg);
    warm_free(w);
    next_start(warms);
}

static void next_start(struct file_warms *warms)
{
    struct list *at;
    while (warms->running < FILE_WARMS_MAX && (at = list_pop(&warms->waiting))) {
        struct file_warm *w = container_of(at, struct file_warm, wait_link);
        w->job.work = warm_work;
        w->job.done = warm_done;
        warms->running++;
        loop_job_start(warms->loop, &w->job);
    }
}

struct file_warm *file_warm_start(struct file_warms *warms, struct file_ref *file, uint64_t at,
                                  size_t n, void (*done)(void *arg), void *arg)
{
    struct file_warm *w = mem_zalloc(1, sizeof(*w));
    w->of = warms;
    w->file = file_ref_get(file);
    w->at = at;
    w->n = n;
    w->done = done;
    w->arg = arg;
    list_push(&warms->all, &w->link);
    list_push(&warms->waiting, &w->wait_link);
    next_start(warms);
    return w;
}

void file_warm_forget(struct file_warm *w)
{
    w->done = NULL;
    if (list_linked(&w->wait_link))
        warm_free(w);
}

void file_warms_init(struct file_warms *warms, struct loop *loop)
{
    *warms = (struct file_warms){.loop = loop};
    list_init(&warms->all);
    list_init(&warms->waiting);
}

void file_warms_free(struct file_warms *warms)
{
    while (!list_empty(&warms->all))
        warm_free(container_of(warms->all.next, struct file_warm, link));
}
