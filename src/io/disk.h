/* disk.h: files. The real disk and the simulated one (sim.h) behind one table.
 *
 * All calls block and may be made on any thread; one file's calls are not made concurrently except
 * reads. Errors: ERR_DISK_FULL (ENOSPC, EDQUOT), ERR_NOT_FOUND, ERR_EXISTS, ERR_LOCKED, ERR_IO for
 * everything else. After a failed disk_sync the file's unsynced bytes are in an unknown state and a
 * second sync proves nothing: the caller never retries (the kernel may have dropped the pages).
 *
 * What is durable: the bytes and the size of a file after disk_sync of it; its name (after create,
 * rename, unlink) after disk_sync_dir of the folder that holds it.
 */
#pragma once

#include "base/chunk.h"
#include "base/err.h"

#include <stdbool.h>
#include <sys/uio.h>

struct disk;

/* An open file; ref first, so that chunks can carry it (the last file_ref_put closes it). */
struct disk_file {
    struct file_ref ref;
    struct disk *disk;
    int fd; /* the real disk's descriptor, for sendfile; -1 in a simulation */
};

enum disk_flags {
    DISK_READ = 1,
    DISK_WRITE = 2,
    DISK_CREATE = 4, /* if it does not exist */
    DISK_EXCL = 8,   /* with CREATE: ERR_EXISTS if it does */
    DISK_TRUNC = 16,
};

typedef void disk_list_fn(void *arg, const char *name, bool is_dir);

struct disk_ops {
    enum err (*open)(struct disk *d, const char *path, unsigned flags, struct disk_file **out);
    enum err (*read)(struct disk_file *f, void *p, size_t n, uint64_t at, size_t *got);
    enum err (*writev)(struct disk_file *f, const struct iovec *iov, unsigned count, uint64_t at);
    enum err (*sync)(struct disk_file *f);
    enum err (*start_writeback)(struct disk_file *f, uint64_t at, uint64_t n);
    enum err (*truncate)(struct disk_file *f, uint64_t size);
    enum err (*allocate)(struct disk_file *f, uint64_t at, uint64_t n);
    enum err (*size)(struct disk_file *f, uint64_t *out);
    enum err (*rename)(struct disk *d, const char *from, const char *to);
    enum err (*unlink)(struct disk *d, const char *path);
    enum err (*mkdir)(struct disk *d, const char *path);
    enum err (*rmdir)(struct disk *d, const char *path);
    enum err (*sync_dir)(struct disk *d, const char *path);
    enum err (*sync_all)(struct disk *d, const char *path);
    enum err (*list)(struct disk *d, const char *path, disk_list_fn *fn, void *arg);
    enum err (*lock)(struct disk *d, const char *path, struct disk_file **out);
    enum err (*free_bytes)(struct disk *d, const char *path, uint64_t *out);
};

struct disk {
    const struct disk_ops *ops;
};

/* The operating system's file system; a static object. */
struct disk *disk_real(void);

static inline enum err must_use disk_open(struct disk *d, const char *path, unsigned flags,
                                          struct disk_file **out)
{
    return d->ops->open(d, path, flags, out);
}

/* Closes when no chunk holds it any more. NULL is allowed. */
static inline void disk_close(struct disk_file *f)
{
    if (f)
        file_ref_put(&f->ref);
}

/* Up to n bytes; *got < n only at the end of the file. */
static inline enum err must_use disk_read(struct disk_file *f, void *p, size_t n, uint64_t at,
                                          size_t *got)
{
    return f->disk->ops->read(f, p, n, at, got);
}

/* All bytes or an error (short writes are continued inside). count is not limited by IOV_MAX. */
static inline enum err must_use disk_writev(struct disk_file *f, const struct iovec *iov,
                                            unsigned count, uint64_t at)
{
    return f->disk->ops->writev(f, iov, count, at);
}

enum err must_use disk_write(struct disk_file *f, const void *p, size_t n, uint64_t at);

/* fdatasync: bytes and size. */
static inline enum err must_use disk_sync(struct disk_file *f)
{
    return f->disk->ops->sync(f);
}

/* A hint: begin to write these bytes back (sync_file_range); promises nothing. */
static inline enum err must_use disk_start_writeback(struct disk_file *f, uint64_t at, uint64_t n)
{
    return f->disk->ops->start_writeback(f, at, n);
}

static inline enum err must_use disk_truncate(struct disk_file *f, uint64_t size)
{
    return f->disk->ops->truncate(f, size);
}

/* Reserves the range and extends the size to cover it; the new bytes read as zero. */
static inline enum err must_use disk_allocate(struct disk_file *f, uint64_t at, uint64_t n)
{
    return f->disk->ops->allocate(f, at, n);
}

static inline enum err must_use disk_size(struct disk_file *f, uint64_t *out)
{
    return f->disk->ops->size(f, out);
}

/* Replaces `to` atomically. */
static inline enum err must_use disk_rename(struct disk *d, const char *from, const char *to)
{
    return d->ops->rename(d, from, to);
}

static inline enum err must_use disk_unlink(struct disk *d, const char *path)
{
    return d->ops->unlink(d, path);
}

/* ERR_EXISTS if it is there. */
static inline enum err must_use disk_mkdir(struct disk *d, const char *path)
{
    return d->ops->mkdir(d, path);
}

static inline enum err must_use disk_rmdir(struct disk *d, const char *path)
{
    return d->ops->rmdir(d, path);
}

static inline enum err must_use disk_sync_dir(struct disk *d, const char *path)
{
    return d->ops->sync_dir(d, path);
}

/* syncfs of the file system that holds path. */
static inline enum err must_use disk_sync_all(struct disk *d, const char *path)
{
    return d->ops->sync_all(d, path);
}

/* Entries but "." and "..", in no order (a simulation: by name). */
static inline enum err must_use disk_list(struct disk *d, const char *path, disk_list_fn *fn,
                                          void *arg)
{
    return d->ops->list(d, path, fn, arg);
}

/* An exclusive lock for the life of the returned file; ERR_LOCKED if another holds it. */
static inline enum err must_use disk_lock(struct disk *d, const char *path, struct disk_file **out)
{
    return d->ops->lock(d, path, out);
}

static inline enum err must_use disk_free_bytes(struct disk *d, const char *path, uint64_t *out)
{
    return d->ops->free_bytes(d, path, out);
}

/* The whole file, at most max bytes (ERR_MESSAGE_TOO_LARGE beyond). The caller unrefs *out. */
enum err must_use disk_read_file(struct disk *d, const char *path, size_t max, struct buf **out,
                                 size_t *len);
/* Reads the file ranges of q into memory: q holds the same bytes in the same order, without files.
 * ERR_MEMORY, ERR_IO: q is unchanged in part. ERR_CORRUPT: a file is shorter than a range. */
enum err must_use disk_load_chunks(struct chunkq *q);
/* Durably replaces path: dir/path.tmp is written, synced, renamed, and dir synced. */
enum err must_use disk_replace_file(struct disk *d, const char *dir, const char *name,
                                    const void *p, size_t n);
