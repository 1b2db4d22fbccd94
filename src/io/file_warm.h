/* file_warm.h: brings a range of a file into the page cache on a helper thread, so that the loop
 * never waits for the disk where it sends with sendfile. Only for io/.
 *
 * One struct file_warms a loop; FILE_WARMS_MAX of its ranges are read at once, the others wait, so
 * that other jobs find a thread. Thread: the loop's.
 */
#pragma once

#include "base/chunk.h"
#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILE_WARMS_MAX 2

struct loop;
struct file_warm;

struct file_warms {
    struct loop *loop;
    struct list all;     /* struct file_warm */
    struct list waiting; /* those without a job */
    unsigned running;
};

void file_warms_init(struct file_warms *warms, struct loop *loop);
/* No job runs any more; nobody is called. */
void file_warms_free(struct file_warms *warms);

/* Whether the range's last byte is in the page cache: what the kernel reads ahead is less than what
 * is sent at once, so a range of which only the beginning is there is cold. One that is there in
 * part, with its end, counts as warm. True also where the file system does not say. */
bool file_is_warm(int fd, uint64_t at, size_t n);
/* done is called when the range was read, or could not be; file: a real one, its own reference. */
struct file_warm *file_warm_start(struct file_warms *warms, struct file_ref *file, uint64_t at,
                                  size_t n, void (*done)(void *arg), void *arg);
/* done is not called. */
void file_warm_forget(struct file_warm *warm);
