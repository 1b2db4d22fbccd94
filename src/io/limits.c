#include "io/limits.h"

#include <malloc.h>
#include <sys/resource.h>

uint64_t limits_raise_files(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r))
        return 0;
    if (r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r);
        (void)getrlimit(RLIMIT_NOFILE, &r);
    }
    return r.rlim_cur;
}

void limits_keep_heap(uint64_t keep_bytes)
{
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 30);
    (void)mallopt(M_TRIM_THRESHOLD, (int)keep_bytes);
    (void)mallopt(M_ARENA_MAX, 2);
}
