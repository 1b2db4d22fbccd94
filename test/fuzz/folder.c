#include "folder.h"

#include "fuzz.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- from and to a disk --------------------------------------------------------------------- */

struct listing {
    struct folder *f;
    const char *dir;
};

static void take_name(void *arg, const char *name, bool is_dir)
{
    struct listing *l = arg;
    weir_assert(l->f->n < FOLDER_FILES_MAX);
    struct folder_file *file = &l->f->files[l->f->n++];
    *file = (struct folder_file){.is_dir = is_dir};
    int n = snprintf(file->path, sizeof file->path, "%s/%s", l->dir, name);
    weir_assert(n > 0 && (size_t)n < sizeof file->path);
}

static void take_bytes(struct folder_file *file, struct disk *disk)
{
    struct buf *b;
    enum err err = disk_read_file(disk, file->path, FOLDER_FILE_BYTES_MAX, &b, &file->n);
    weir_assert(err == ERR_OK);
    file->p = mem_alloc(file->n);
    if (file->n)
        memcpy(file->p, b->data, file->n);
    buf_unref(b);
}

static int by_path(const void *a, const void *b)
{
    const struct folder_file *x = a, *y = b;
    return strcmp(x->path, y->path);
}

void folder_take(struct folder *f, struct disk *disk, const char *path)
{
    *f = (struct folder){.n = 1};
    f->files[0].is_dir = true;
    snprintf(f->files[0].path, sizeof f->files[0].path, "%s", path);
    for (size_t i = 0; i < f->n; i++) {
        if (!f->files[i].is_dir) {
            take_bytes(&f->files[i], disk);
            continue;
        }
        struct listing l = {f, f->files[i].path};
        enum err err = disk_list(disk, l.dir, take_name, &l);
        weir_assert(err == ERR_OK);
    }
    qsort(f->files, f->n, sizeof f->files[0], by_path);
}

void folder_copy(struct folder *to, const struct folder *from)
{
    *to = *from;
    for (size_t i = 0; i < to->n; i++) {
        to->files[i].p = mem_alloc(to->files[i].n);
        if (to->files[i].n)
            memcpy(to->files[i].p, from->files[i].p, to->files[i].n);
    }
}

void folder_free(struct folder *f)
{
    for (size_t i = 0; i < f->n; i++)
        mem_free(f->files[i].p);
    f->n = 0;
}

static void lay_file(const struct folder_file *file, struct disk *disk)
{
    struct disk_file *to;
    enum err err = disk_open(disk, file->path, DISK_READ | DISK_WRITE | DISK_CREATE, &to);
    weir_assert(err == ERR_OK);
    if (file->n)
        err = disk_write(to, file->p, file->n, 0);
    weir_assert(err == ERR_OK);
    disk_close(to);
}

void folder_lay(const struct folder *f, struct disk *disk)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct folder_file *file = &f->files[i];
        if (file->gone)
            continue;
        if (!file->is_dir) {
            lay_file(file, disk);
            continue;
        }
        enum err err = disk_mkdir(disk, file->path);
        weir_assert(err == ERR_OK);
    }
}

struct folder_file *folder_find(struct folder *f, const char *end)
{
    for (size_t i = 0; i < f->n; i++) {
        size_t n = strlen(f->files[i].path), k = strlen(end);
        if (n >= k && strcmp(f->files[i].path + n - k, end) == 0)
            return &f->files[i];
    }
    return NULL;
}

/* ---- changes -------------------------------------------------------------------------------- */

static void resize(struct folder_file *file, size_t n)
{
    file->p = mem_realloc(file->p, n);
    if (n > file->n)
        memset(file->p + file->n, 0, n - file->n);
    file->n = n;
}

static void put_between(struct folder_file *file, size_t at, const uint8_t *p, size_t n)
{
    size_t behind = file->n - at;
    if (file->n + n > FOLDER_FILE_BYTES_MAX)
        return;
    resize(file, file->n + n);
    memmove(file->p + at + n, file->p + at, behind);
    if (n)
        memcpy(file->p + at, p, n);
}

static void take_out(struct folder_file *file, size_t at, size_t n)
{
    n = n < file->n - at ? n : file->n - at;
    memmove(file->p + at, file->p + at + n, file->n - at - n);
    resize(file, file->n - n);
}

static void take_from(struct folder_file *to, const struct folder_file *from)
{
    if (to == from || to->is_dir)
        return;
    resize(to, from->n);
    if (from->n)
        memcpy(to->p, from->p, from->n);
}

static void overwrite(struct folder_file *file, size_t at, const uint8_t *p, size_t n)
{
    n = n < file->n - at ? n : file->n - at;
    if (n)
        memcpy(file->p + at, p, n);
}

static size_t file_number(const struct folder *f, uint8_t asked)
{
    return asked % f->n;
}

void folder_change(struct folder *f, struct rd *in)
{
    struct folder_file *file = &f->files[file_number(f, rd_u8(in))];
    uint8_t what = rd_u8(in);
    size_t at = (size_t)rd_u8(in) << 16;
    at |= rd_u16(in);
    uint8_t n = rd_u8(in);
    if (file->is_dir || in->bad)
        return;
    if (at > file->n)
        at = file->n - at % (file->n + 1);
    size_t given = n;
    const uint8_t *p = what % 8 < 2 ? fuzz_bytes(in, &given) : NULL;
    switch (what % 8) {
    case 0:
        overwrite(file, at, p, given);
        break;
    case 1:
        put_between(file, at, p, given);
        break;
    case 2:
        take_out(file, at, n);
        break;
    case 3:
        resize(file, at);
        break;
    case 4:
        file->gone = true;
        break;
    case 5:
        take_from(&f->files[file_number(f, n)], file);
        break;
    case 6:
        if (file->n + n <= FOLDER_FILE_BYTES_MAX)
            resize(file, file->n + n);
        break;
    default:
        if (file->n >= 4 && at <= file->n - 4)
            be32_put(file->p + at, be32_get(file->p + at) + (n < 128 ? n : n - 256u));
    }
}
