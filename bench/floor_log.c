#include "floor_log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    GROUP_IOV_MAX = 1024, /* the kernel's limit for one pwritev */
};

void die(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

uint64_t log_start(struct log *l, struct log_part *p)
{
    while (p->first < p->count && p->entries[p->first].place + l->ring < l->place)
        p->first++;
    return p->first < p->count ? p->entries[p->first].offset : p->end;
}

size_t log_find(const struct log_part *p, uint64_t offset)
{
    size_t lo = p->first, hi = p->count;
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (p->entries[mid].offset <= offset)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

static void group_add(struct log *l, uint8_t *data, size_t bytes)
{
    if (l->iov_count == l->iov_cap) {
        l->iov_cap = l->iov_cap ? l->iov_cap * 2 : GROUP_IOV_MAX;
        l->iov = wire_alloc(l->iov, l->iov_cap * sizeof *l->iov);
        l->iov_at = wire_alloc(l->iov_at, l->iov_cap * sizeof *l->iov_at);
    }
    uint64_t left = l->ring - l->place % l->ring;
    if (bytes > left) /* a batch does not straddle the ring's end */
        l->place += left;
    l->iov[l->iov_count] = (struct iovec){data, bytes};
    l->iov_at[l->iov_count++] = l->place;
    l->place += bytes;
}

bool log_append(struct log *l, struct log_part *p, uint8_t *batch, size_t bytes, uint64_t *base)
{
    if (bytes < WIRE_BATCH_HEADER || bytes > l->ring)
        return false;
    uint64_t offset = htobe64(p->end);
    memcpy(batch, &offset, sizeof offset);
    if (p->count == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 16;
        p->entries = wire_alloc(p->entries, p->cap * sizeof *p->entries);
    }
    group_add(l, batch, bytes);
    p->entries[p->count++] = (struct log_entry){p->end, l->place - bytes, (uint32_t)bytes};
    *base = p->end;
    p->end += (uint64_t)wire_load32(batch + WIRE_BATCH_LAST_DELTA_AT) + 1;
    return true;
}

static void write_fully(int fd, struct iovec *iov, size_t count, uint64_t at)
{
    while (count) {
        int n = (int)(count < GROUP_IOV_MAX ? count : GROUP_IOV_MAX);
        ssize_t done = pwritev(fd, iov, n, (off_t)at);
        if (done < 0)
            die("pwritev");
        at += (uint64_t)done;
        for (; count && (size_t)done >= iov->iov_len; iov++, count--)
            done -= (ssize_t)iov->iov_len;
        if (count && done) {
            iov->iov_base = (uint8_t *)iov->iov_base + done;
            iov->iov_len -= (size_t)done;
        }
    }
}

/* One pwritev, but at the ring's end and beyond 1,024 batches. */
void log_commit(struct log *l)
{
    if (!l->iov_count)
        return;
    for (size_t from = 0, to; from < l->iov_count; from = to) {
        uint64_t at = l->iov_at[from], end = at;
        for (to = from; to < l->iov_count && l->iov_at[to] == end; to++) {
            end += l->iov[to].iov_len;
            if (end % l->ring == 0) {
                to++;
                break;
            }
        }
        write_fully(l->fd, l->iov + from, to - from, at % l->ring);
    }
    if (fdatasync(l->fd) < 0)
        die("fdatasync");
    l->iov_count = 0;
}

static void zero_fill(struct log *l, const char *path)
{
    struct stat st;
    l->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (l->fd < 0 || fstat(l->fd, &st) < 0)
        die(path);
    size_t step = 1 << 20;
    char *zeros = wire_alloc(NULL, step);
    memset(zeros, 0, step);
    for (uint64_t at = (uint64_t)st.st_size; at < l->ring; at += step) {
        size_t n = l->ring - at < step ? (size_t)(l->ring - at) : step;
        if (pwrite(l->fd, zeros, n, (off_t)at) != (ssize_t)n)
            die("zero-fill");
    }
    free(zeros);
    if (fsync(l->fd) < 0)
        die("fsync");
}

void log_open(struct log *l, const char *path, uint64_t ring, int part_count)
{
    *l = (struct log){.ring = ring, .part_count = part_count};
    l->parts = wire_alloc(NULL, (size_t)part_count * sizeof *l->parts);
    memset(l->parts, 0, (size_t)part_count * sizeof *l->parts);
    zero_fill(l, path);
}

struct log_part *log_part(struct log *l, int32_t index)
{
    return index >= 0 && index < l->part_count ? &l->parts[index] : NULL;
}
