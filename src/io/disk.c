#include "io/disk.h"

#include "base/list.h"

#include <stdio.h>

#define DISK_PATH_MAX 4096

enum err disk_write(struct disk_file *f, const void *p, size_t n, uint64_t at)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)p, .iov_len = n};
    return disk_writev(f, &iov, 1, at);
}

/* The size was checked against max before the memory is taken. */
static enum err read_whole(struct disk_file *f, size_t size, struct buf **out, size_t *len)
{
    struct buf *b = buf_try(size);
    if (!b)
        return ERR_MEMORY;
    enum err e = disk_read(f, b->data, size, 0, len);
    if (e) {
        buf_unref(b);
        return e;
    }
    *out = b;
    return ERR_OK;
}

enum err disk_read_file(struct disk *d, const char *path, size_t max, struct buf **out, size_t *len)
{
    struct disk_file *f;
    enum err e = disk_open(d, path, DISK_READ, &f);
    if (e)
        return e;
    uint64_t size = 0;
    e = disk_size(f, &size);
    if (!e && size > max)
        e = ERR_MESSAGE_TOO_LARGE;
    if (!e)
        e = read_whole(f, (size_t)size, out, len);
    disk_close(f);
    return e;
}

static enum err write_synced(struct disk *d, const char *path, const void *p, size_t n)
{
    struct disk_file *f;
    enum err e = disk_open(d, path, DISK_WRITE | DISK_CREATE | DISK_TRUNC, &f);
    if (e)
        return e;
    e = disk_write(f, p, n, 0);
    if (!e)
        e = disk_sync(f);
    disk_close(f);
    return e;
}

enum err disk_replace_file(struct disk *d, const char *dir, const char *name, const void *p,
                           size_t n)
{
    char path[DISK_PATH_MAX], tmp[DISK_PATH_MAX];
    int len = snprintf(tmp, sizeof(tmp), "%s/%s.tmp", dir, name);
    if (len < 0 || (size_t)len >= sizeof(tmp))
        return ERR_REQUEST_INVALID;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    enum err e = write_synced(d, tmp, p, n);
    if (e)
        return e;
    e = disk_rename(d, tmp, path);
    return e ? e : disk_sync_dir(d, dir);
}

static enum err load_chunk(struct chunk *c)
{
    struct disk_file *f = container_of(c->file, struct disk_file, ref);
    size_t got = 0;
    struct buf *b = buf_try(c->len);
    if (!b)
        return ERR_MEMORY;
    enum err e = disk_read(f, b->data, c->len, c->at, &got);
    if (!e && got < c->len)
        e = ERR_CORRUPT;
    if (e) {
        buf_unref(b);
        return e;
    }
    disk_close(f);
    c->file = NULL;
    c->slice = (struct slice){b, b->data, c->len};
    return ERR_OK;
}

enum err disk_load_chunks(struct chunkq *q)
{
    enum err e = ERR_OK;
    for (struct chunk *c = q->head; c && !e; c = c->next) {
        if (c->file)
            e = load_chunk(c);
    }
    return e;
}
