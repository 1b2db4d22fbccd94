/* The operating system's files.
 *
 * An errno that has no meaning of its own to the callers (disk.h) becomes ERR_IO and is written to
 * the log where it happens, with the call and the path: "Permission denied" on the data folder must
 * not read as a broken disk.
 */
#include "io/disk.h"

#include "base/mem.h"
#include "io/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* iovecs handed to the kernel at once; IOV_MAX is 1024 on Linux. */
#define REAL_IOV_MAX 1024u
#define REAL_ZERO_BYTES 65536

static enum err real_errno(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        return ERR_DISK_FULL;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
    case ENOTEMPTY:
        return ERR_EXISTS;
    default:
        return ERR_IO;
    }
}

/* The error of the call that has just failed. path may be NULL. */
static enum err real_fail(const char *call, const char *path)
{
    int number = errno;
    enum err e = real_errno(number);
    if (e == ERR_IO) {
        char reason[128], what[PATH_MAX];
        log_event(ENV_WARN, "disk.error", "call=%s path=%s reason=%s", call,
                  log_quote(what, sizeof(what), path ? path : ""),
                  log_quote(reason, sizeof(reason), strerror(number)));
    }
    return e;
}

static void real_release(struct file_ref *ref)
{
    struct disk_file *f = (struct disk_file *)ref;
    close(f->fd);
    mem_free(f);
}

static struct disk_file *real_file_make(struct disk *d, int fd)
{
    struct disk_file *f = mem_zalloc(1, sizeof(*f));
    atomic_init(&f->ref.refs, 1);
    f->ref.release = real_release;
    f->disk = d;
    f->fd = fd;
    return f;
}

static int real_open_fd(const char *path, int flags)
{
    int fd;
    do {
        fd = open(path, flags | O_CLOEXEC, 0640);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

/* What is only read may be a path that a user gave: a named pipe, too, must not hold the thread
 * until somebody writes to it. To a file O_NONBLOCK means nothing. */
static enum err real_open(struct disk *d, const char *path, unsigned flags, struct disk_file **out)
{
    int os = flags & DISK_WRITE ? (flags & DISK_READ ? O_RDWR : O_WRONLY) : O_RDONLY | O_NONBLOCK;
    if (flags & DISK_CREATE)
        os |= O_CREAT;
    if (flags & DISK_EXCL)
        os |= O_EXCL;
    if (flags & DISK_TRUNC)
        os |= O_TRUNC;
    int fd = real_open_fd(path, os);
    if (fd < 0)
        return real_fail("open", path);
    *out = real_file_make(d, fd);
    return ERR_OK;
}

static enum err real_read(struct disk_file *f, void *p, size_t n, uint64_t at, size_t *got)
{
    size_t done = 0;
    while (done < n) {
        ssize_t k = pread(f->fd, (char *)p + done, n - done, (off_t)(at + done));
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return real_fail("pread", NULL);
        if (k == 0)
            break;
        done += (size_t)k;
    }
    *got = done;
    return ERR_OK;
}

/* Where a gathered write goes on after a short one: element `i`, `skip` bytes into it. */
struct iov_place {
    const struct iovec *iov;
    unsigned count, i;
    size_t skip;
};

static void iov_advance(struct iov_place *w, size_t n)
{
    while (w->i < w->count && n >= w->iov[w->i].iov_len - w->skip) {
        n -= w->iov[w->i].iov_len - w->skip;
        w->skip = 0;
        w->i++;
    }
    w->skip += n;
}

/* One call to the kernel from w on; the rest of an element that was cut goes alone. */
static ssize_t iov_write(int fd, const struct iov_place *w, uint64_t at)
{
    if (w->skip) {
        const struct iovec *v = &w->iov[w->i];
        return pwrite(fd, (const char *)v->iov_base + w->skip, v->iov_len - w->skip, (off_t)at);
    }
    unsigned n = w->count - w->i;
    return pwritev(fd, w->iov + w->i, (int)(n < REAL_IOV_MAX ? n : REAL_IOV_MAX), (off_t)at);
}

static enum err real_writev(struct disk_file *f, const struct iovec *iov, unsigned count,
                            uint64_t at)
{
    struct iov_place w = {.iov = iov, .count = count};
    iov_advance(&w, 0);
    while (w.i < count) {
        ssize_t k = iov_write(f->fd, &w, at);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return real_fail("pwritev", NULL);
        at += (size_t)k;
        iov_advance(&w, (size_t)k);
    }
    return ERR_OK;
}

static enum err real_sync(struct disk_file *f)
{
    int r;
    do {
        r = fdatasync(f->fd);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? real_fail("fdatasync", NULL) : ERR_OK;
}

static enum err real_start_writeback(struct disk_file *f, uint64_t at, uint64_t n)
{
    if (sync_file_range(f->fd, (off_t)at, (off_t)n, SYNC_FILE_RANGE_WRITE) == 0)
        return ERR_OK;
    /* A hint that a file system does not know is no failure. */
    if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP || errno == ESPIPE)
        return ERR_OK;
    return real_fail("sync_file_range", NULL);
}

static enum err real_truncate(struct disk_file *f, uint64_t size)
{
    int r;
    do {
        r = ftruncate(f->fd, (off_t)size);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? real_fail("ftruncate", NULL) : ERR_OK;
}

static enum err real_size(struct disk_file *f, uint64_t *out)
{
    struct stat st;
    if (fstat(f->fd, &st) < 0)
        return real_fail("fstat", NULL);
    *out = (uint64_t)st.st_size;
    return ERR_OK;
}

/* Where fallocate is not there: zeros behind the present end, so that a later write cannot fail
 * for want of space. Holes before the end stay holes. */
static enum err real_write_zeros(struct disk_file *f, uint64_t end)
{
    static const char zeros[REAL_ZERO_BYTES];
    uint64_t at = 0;
    enum err e = real_size(f, &at);
    while (!e && at < end) {
        uint64_t n = end - at < sizeof(zeros) ? end - at : sizeof(zeros);
        e = disk_write(f, zeros, (size_t)n, at);
        at += n;
    }
    return e;
}

static enum err real_allocate(struct disk_file *f, uint64_t at, uint64_t n)
{
    if (n == 0)
        return ERR_OK;
    int r;
    do {
        r = fallocate(f->fd, 0, (off_t)at, (off_t)n);
    } while (r < 0 && errno == EINTR);
    if (r == 0)
        return ERR_OK;
    if (errno == EOPNOTSUPP || errno == ENOSYS)
        return real_write_zeros(f, at + n);
    return real_fail("fallocate", NULL);
}

static enum err real_rename(struct disk *d, const char *from, const char *to)
{
    (void)d;
    return rename(from, to) < 0 ? real_fail("rename", from) : ERR_OK;
}

static enum err real_unlink(struct disk *d, const char *path)
{
    (void)d;
    return unlink(path) < 0 ? real_fail("unlink", path) : ERR_OK;
}

static enum err real_mkdir(struct disk *d, const char *path)
{
    (void)d;
    return mkdir(path, 0750) < 0 ? real_fail("mkdir", path) : ERR_OK;
}

static enum err real_rmdir(struct disk *d, const char *path)
{
    (void)d;
    return rmdir(path) < 0 ? real_fail("rmdir", path) : ERR_OK;
}

/* Opens the folder (or file) only to sync something through its descriptor. */
static enum err real_sync_by_path(const char *path, int flags, int (*sync_fd)(int fd),
                                  const char *call)
{
    int fd = real_open_fd(path, O_RDONLY | flags);
    if (fd < 0)
        return real_fail("open", path);
    int r;
    do {
        r = sync_fd(fd);
    } while (r < 0 && errno == EINTR);
    enum err e = r < 0 ? real_fail(call, path) : ERR_OK;
    close(fd);
    return e;
}

static enum err real_sync_dir(struct disk *d, const char *path)
{
    (void)d;
    return real_sync_by_path(path, O_DIRECTORY, fsync, "fsync");
}

static enum err real_sync_all(struct disk *d, const char *path)
{
    (void)d;
    return real_sync_by_path(path, 0, syncfs, "syncfs");
}

static bool real_is_dir(DIR *dir, const struct dirent *entry)
{
    struct stat st;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static enum err real_list(struct disk *d, const char *path, disk_list_fn *fn, void *arg)
{
    (void)d;
    DIR *dir = opendir(path);
    if (!dir)
        return real_fail("opendir", path);
    struct dirent *entry;
    while (errno = 0, (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            fn(arg, entry->d_name, real_is_dir(dir, entry));
    }
    enum err e = errno ? real_fail("readdir", path) : ERR_OK;
    closedir(dir);
    return e;
}

static enum err real_lock(struct disk *d, const char *path, struct disk_file **out)
{
    int fd = real_open_fd(path, O_RDWR | O_CREAT);
    if (fd < 0)
        return real_fail("open", path);
    int r;
    do {
        r = flock(fd, LOCK_EX | LOCK_NB);
    } while (r < 0 && errno == EINTR);
    if (r < 0) {
        enum err e = errno == EWOULDBLOCK ? ERR_LOCKED : real_fail("flock", path);
        close(fd);
        return e;
    }
    *out = real_file_make(d, fd);
    return ERR_OK;
}

static enum err real_free_bytes(struct disk *d, const char *path, uint64_t *out)
{
    (void)d;
    struct statvfs st;
    if (statvfs(path, &st) < 0)
        return real_fail("statvfs", path);
    *out = (uint64_t)st.f_bavail * st.f_frsize;
    return ERR_OK;
}

static const struct disk_ops real_ops = {
    .open = real_open,
    .read = real_read,
    .writev = real_writev,
    .sync = real_sync,
    .start_writeback = real_start_writeback,
    .truncate = real_truncate,
    .allocate = real_allocate,
    .size = real_size,
    .rename = real_rename,
    .unlink = real_unlink,
    .mkdir = real_mkdir,
    .rmdir = real_rmdir,
    .sync_dir = real_sync_dir,
    .sync_all = real_sync_all,
    .list = real_list,
    .lock = real_lock,
    .free_bytes = real_free_bytes,
};

struct disk *disk_real(void)
{
    static struct disk real = {.ops = &real_ops};
    return &real;
}
