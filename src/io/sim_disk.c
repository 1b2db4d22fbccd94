/* The calls of the simulated disk and their faults. What the disk holds is in sim_tree.c (names)
 * and sim_file.c (bytes).
 */
#include "io/sim_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct sim_handle {
    struct disk_file f; /* first */
    struct list link;
    struct sim_inode *inode; /* NULL: the machine that opened it is dead */
    bool holds_lock;
};

enum sim_call { CALL_WRITE, CALL_SYNC, CALL_RENAME, CALL_OTHER };

struct sim_disk {
    struct disk face; /* first */
    struct sim *sim;
    struct sim_tree tree;
    struct list handles;
    struct sim_space space;
    struct sim_disk_faults faults;
    uint64_t calls;
    bool cut_due; /* this call does not return */
};

/* ---- calls and faults ---- */

static struct sim_disk *disk_of(struct disk *face)
{
    return (struct sim_disk *)face;
}

static bool fault_due(uint32_t *counter)
{
    return *counter > 0 && --*counter == 0;
}

/* Counts a call and says whether it fails. A power cut that is due comes in call_end. */
static enum err call_begin(struct sim_disk *d, enum sim_call kind)
{
    struct sim_disk_faults *f = &d->faults;
    bool fails = fault_due(&f->fail_any_after);
    if (kind != CALL_OTHER) {
        d->calls++;
        d->cut_due = fault_due(&f->cut_after);
    }
    if (kind == CALL_WRITE) {
        fails |= fault_due(&f->fail_write_after);
        d->space.full |= fault_due(&f->full_after);
    }
    if (kind == CALL_SYNC)
        fails |= fault_due(&f->fail_sync_after);
    if (kind == CALL_RENAME)
        fails |= fault_due(&f->fail_rename_after);
    sim_trace_add(d->sim, 'D', kind, fails);
    return fails ? ERR_IO : ERR_OK;
}

static void call_end(struct sim_disk *d)
{
    if (d->cut_due) {
        d->cut_due = false;
        sim_cut(d->sim);
    }
}

/* NULL: the machine that opened the file is dead. */
static struct sim_inode *handle_inode(struct disk_file *f)
{
    return ((struct sim_handle *)f)->inode;
}

static enum err handle_begin(struct disk_file *f, enum sim_call kind)
{
    return handle_inode(f) ? call_begin(disk_of(f->disk), kind) : ERR_IO;
}

static void handle_detach(struct sim_handle *h)
{
    struct sim_disk *d = disk_of(h->f.disk);
    if (h->holds_lock)
        h->inode->locked = false;
    list_remove(&h->link);
    sim_inode_put(&d->tree, h->inode);
    h->inode = NULL;
}

static void handle_release(struct file_ref *ref)
{
    struct sim_handle *h = (struct sim_handle *)ref;
    if (h->inode) {
        struct sim_disk *d = disk_of(h->f.disk);
        handle_detach(h);
        sim_tree_reap(&d->tree);
    }
    mem_free(h);
}

static struct disk_file *handle_make(struct sim_disk *d, struct sim_inode *inode)
{
    struct sim_handle *h = mem_zalloc(1, sizeof(*h));
    atomic_init(&h->f.ref.refs, 1);
    h->f.ref.release = handle_release;
    h->f.disk = &d->face;
    h->f.fd = -1;
    h->inode = sim_inode_get(inode);
    list_push(&d->handles, &h->link);
    return &h->f;
}

/* ---- files ---- */

/* The inode to open; made if asked for. */
static enum err open_inode(struct sim_disk *d, const char *path, unsigned flags,
                           struct sim_inode **out)
{
    struct sim_inode *dir;
    struct sim_name last;
    enum err e = sim_tree_walk(&d->tree, path, &dir, &last);
    if (e)
        return e;
    if (last.len == 0)
        return ERR_IO;
    struct sim_dentry *entry = sim_entry_find(dir, last);
    if (entry && entry->now) {
        if (flags & DISK_CREATE && flags & DISK_EXCL)
            return ERR_EXISTS;
        *out = entry->now;
        return entry->now->is_dir ? ERR_IO : ERR_OK;
    }
    if (!(flags & DISK_CREATE))
        return ERR_NOT_FOUND;
    *out = sim_inode_make(&d->tree, false);
    sim_change_add(&d->tree, NULL, NULL, dir, entry ? entry : sim_entry_make(dir, last), *out);
    return ERR_OK;
}

static enum err sim_open(struct disk *face, const char *path, unsigned flags,
                         struct disk_file **out)
{
    struct sim_disk *d = disk_of(face);
    struct sim_inode *inode;
    enum err e = call_begin(d, CALL_OTHER);
    if (!e)
        e = open_inode(d, path, flags, &inode);
    if (e)
        return e;
    if (flags & DISK_TRUNC)
        sim_file_truncate(&inode->file, 0);
    *out = handle_make(d, inode);
    return ERR_OK;
}

static enum err sim_read(struct disk_file *f, void *p, size_t n, uint64_t at, size_t *got)
{
    struct sim_disk *d = disk_of(f->disk);
    enum err e = handle_begin(f, CALL_OTHER);
    if (e)
        return e;
    *got = sim_file_read(&handle_inode(f)->file, p, n, at);
    if (*got && d->faults.flip_one_in && rng_one_in(&d->sim->rng, d->faults.flip_one_in)) {
        uint64_t bit = rng_below(&d->sim->rng, (uint64_t)*got * 8);
        ((uint8_t *)p)[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    return ERR_OK;
}

size_t sim_disk_peek(struct disk_file *f, void *p, size_t n, uint64_t at)
{
    struct sim_inode *inode = handle_inode(f);
    return inode ? sim_file_read(&inode->file, p, n, at) : 0;
}

/* Writes at most `limit` bytes of the vector; returns how many found room. */
static uint64_t write_some(struct sim_inode *inode, const struct iovec *iov, unsigned count,
                           uint64_t at, uint64_t limit)
{
    uint64_t done = 0;
    for (unsigned i = 0; i < count && done < limit; i++) {
        size_t n = iov[i].iov_len;
        if (n > limit - done)
            n = (size_t)(limit - done);
        size_t k = sim_file_write(&inode->file, iov[i].iov_base, n, at + done);
        done += k;
        if (k < n)
            break;
    }
    return done;
}

static enum err sim_writev(struct disk_file *f, const struct iovec *iov, unsigned count,
                           uint64_t at)
{
    struct sim_disk *d = disk_of(f->disk);
    struct sim_inode *inode = handle_inode(f);
    uint64_t total = 0;
    for (unsigned i = 0; i < count; i++)
        total += iov[i].iov_len;
    if (!inode)
        return ERR_IO;
    enum err e = call_begin(d, CALL_WRITE);
    /* A write that fails may have written a part. */
    uint64_t limit = e ? rng_below(&d->sim->rng, total + 1) : total;
    uint64_t done = write_some(inode, iov, count, at, limit);
    if (!e && done < total)
        e = ERR_DISK_FULL;
    sim_trace_add(d->sim, inode->id, at, done);
    call_end(d);
    return e;
}

static enum err sim_sync(struct disk_file *f)
{
    struct sim_disk *d = disk_of(f->disk);
    struct sim_inode *inode = handle_inode(f);
    if (!inode)
        return ERR_IO;
    enum err e = call_begin(d, CALL_SYNC);
    call_end(d);
    sim_spend(d->sim, sim_draw_us(d->sim, d->sim->conf.sync_us));
    sim_trace_add(d->sim, inode->id, inode->file.size, inode->file.write_count);
    if (e)
        sim_file_sync_failed(&inode->file, &d->sim->rng);
    else
        sim_file_sync(&inode->file);
    return e;
}

static enum err sim_start_writeback(struct disk_file *f, uint64_t at, uint64_t n)
{
    (void)at;
    (void)n;
    return handle_begin(f, CALL_OTHER);
}

static enum err sim_truncate(struct disk_file *f, uint64_t size)
{
    enum err e = handle_begin(f, CALL_OTHER);
    if (!e)
        sim_file_truncate(&handle_inode(f)->file, size);
    return e;
}

static enum err sim_allocate(struct disk_file *f, uint64_t at, uint64_t n)
{
    enum err e = handle_begin(f, CALL_OTHER);
    if (e)
        return e;
    return sim_file_allocate(&handle_inode(f)->file, at, n) ? ERR_OK : ERR_DISK_FULL;
}

static enum err sim_size(struct disk_file *f, uint64_t *out)
{
    enum err e = handle_begin(f, CALL_OTHER);
    if (!e)
        *out = handle_inode(f)->file.size;
    return e;
}

/* ---- names ---- */

static bool dir_is_empty(const struct sim_inode *dir)
{
    for (struct map_node *n = map_next(&dir->entries, NULL); n; n = map_next(&dir->entries, n)) {
        if (container_of(n, struct sim_dentry, node)->now)
            return false;
    }
    return true;
}

/* May `inode` take the place of `there`? */
static enum err rename_check(const struct sim_inode *inode, const struct sim_inode *there)
{
    if (!there)
        return ERR_OK;
    if (there->is_dir != inode->is_dir)
        return ERR_IO;
    return there->is_dir && !dir_is_empty(there) ? ERR_EXISTS : ERR_OK;
}

static enum err rename_names(struct sim_disk *d, const char *from_path, const char *to_path)
{
    struct sim_inode *from_dir, *to_dir;
    struct sim_name from_name, to_name;
    enum err e = sim_tree_walk(&d->tree, from_path, &from_dir, &from_name);
    if (!e)
        e = sim_tree_walk(&d->tree, to_path, &to_dir, &to_name);
    if (e)
        return e;
    if (from_name.len == 0 || to_name.len == 0)
        return ERR_IO;
    struct sim_dentry *from = sim_entry_find(from_dir, from_name),
                      *to = sim_entry_find(to_dir, to_name);
    if (!from || !from->now)
        return ERR_NOT_FOUND;
    struct sim_inode *inode = from->now;
    e = rename_check(inode, to ? to->now : NULL);
    if (e || from == to)
        return e;
    sim_change_add(&d->tree, from_dir, from, to_dir, to ? to : sim_entry_make(to_dir, to_name),
                   inode);
    return ERR_OK;
}

static enum err sim_rename(struct disk *face, const char *from_path, const char *to_path)
{
    struct sim_disk *d = disk_of(face);
    enum err e = call_begin(d, CALL_RENAME);
    if (!e)
        e = rename_names(d, from_path, to_path);
    call_end(d);
    sim_tree_reap(&d->tree);
    return e;
}

/* Removes a name: of a file, or of an empty folder. */
static enum err name_remove(struct sim_disk *d, const char *path, bool is_dir)
{
    struct sim_inode *dir;
    struct sim_name last;
    enum err e = call_begin(d, CALL_OTHER);
    if (!e)
        e = sim_tree_walk(&d->tree, path, &dir, &last);
    if (e)
        return e;
    struct sim_dentry *entry = last.len ? sim_entry_find(dir, last) : NULL;
    if (!entry || !entry->now)
        return last.len ? ERR_NOT_FOUND : ERR_IO;
    if (entry->now->is_dir != is_dir)
        return ERR_IO;
    if (is_dir && !dir_is_empty(entry->now))
        return ERR_EXISTS;
    sim_change_add(&d->tree, dir, entry, NULL, NULL, entry->now);
    sim_tree_reap(&d->tree);
    return ERR_OK;
}

static enum err sim_unlink(struct disk *face, const char *path)
{
    return name_remove(disk_of(face), path, false);
}

static enum err sim_rmdir(struct disk *face, const char *path)
{
    return name_remove(disk_of(face), path, true);
}

static enum err sim_mkdir(struct disk *face, const char *path)
{
    struct sim_disk *d = disk_of(face);
    struct sim_inode *dir;
    struct sim_name last;
    enum err e = call_begin(d, CALL_OTHER);
    if (!e)
        e = sim_tree_walk(&d->tree, path, &dir, &last);
    if (e)
        return e;
    struct sim_dentry *entry = last.len ? sim_entry_find(dir, last) : NULL;
    if (last.len == 0 || (entry && entry->now))
        return ERR_EXISTS;
    sim_change_add(&d->tree, NULL, NULL, dir, entry ? entry : sim_entry_make(dir, last),
                   sim_inode_make(&d->tree, true));
    return ERR_OK;
}

static enum err sim_sync_dir(struct disk *face, const char *path)
{
    struct sim_disk *d = disk_of(face);
    struct sim_inode *dir;
    enum err e = call_begin(d, CALL_SYNC);
    call_end(d);
    sim_spend(d->sim, sim_draw_us(d->sim, d->sim->conf.sync_us));
    if (!e)
        e = sim_tree_find_dir(&d->tree, path, &dir);
    if (!e)
        sim_tree_sync(&d->tree, dir);
    return e;
}

static enum err sim_sync_all(struct disk *face, const char *path)
{
    struct sim_disk *d = disk_of(face);
    struct sim_inode *there;
    enum err e = call_begin(d, CALL_SYNC);
    call_end(d);
    sim_spend(d->sim, sim_draw_us(d->sim, 4 * (uint64_t)d->sim->conf.sync_us));
    if (sim_tree_find(&d->tree, path, &there))
        return ERR_NOT_FOUND;
    if (!e)
        sim_tree_sync(&d->tree, NULL);
    list_for (it, &d->tree.inodes) {
        struct sim_file *file = &container_of(it, struct sim_inode, link)->file;
        if (e)
            sim_file_sync_failed(file, &d->sim->rng);
        else
            sim_file_sync(file);
    }
    return e;
}

struct sim_listed {
    char *name;
    bool is_dir;
};

static int listed_cmp(const void *a, const void *b)
{
    return strcmp(((const struct sim_listed *)a)->name, ((const struct sim_listed *)b)->name);
}

static enum err sim_list(struct disk *face, const char *path, disk_list_fn *fn, void *arg)
{
    struct sim_disk *d = disk_of(face);
    struct sim_inode *dir;
    enum err e = call_begin(d, CALL_OTHER);
    if (!e)
        e = sim_tree_find_dir(&d->tree, path, &dir);
    if (e)
        return e;
    /* Copied first: fn may change the folder. */
    struct sim_listed *names = mem_alloc(dir->entries.count * sizeof(*names));
    size_t count = 0;
    for (struct map_node *n = map_next(&dir->entries, NULL); n; n = map_next(&dir->entries, n)) {
        const struct sim_dentry *entry = container_of(n, struct sim_dentry, node);
        if (entry->now)
            names[count++] = (struct sim_listed){mem_strdup(entry->name), entry->now->is_dir};
    }
    if (count > 1)
        qsort(names, count, sizeof(*names), listed_cmp);
    for (size_t i = 0; i < count; i++) {
        fn(arg, names[i].name, names[i].is_dir);
        mem_free(names[i].name);
    }
    mem_free(names);
    return ERR_OK;
}

static enum err sim_lock(struct disk *face, const char *path, struct disk_file **out)
{
    struct sim_disk *d = disk_of(face);
    struct sim_inode *inode;
    enum err e = call_begin(d, CALL_OTHER);
    if (!e)
        e = open_inode(d, path, DISK_READ | DISK_WRITE | DISK_CREATE, &inode);
    if (e)
        return e;
    if (inode->locked)
        return ERR_LOCKED;
    *out = handle_make(d, inode);
    inode->locked = true;
    ((struct sim_handle *)*out)->holds_lock = true;
    return ERR_OK;
}

static enum err sim_free_bytes(struct disk *face, const char *path, uint64_t *out)
{
    struct sim_disk *d = disk_of(face);
    struct sim_inode *there;
    enum err e = call_begin(d, CALL_OTHER);
    if (!e)
        e = sim_tree_find(&d->tree, path, &there);
    if (!e)
        *out = d->space.full ? 0 : (d->space.total - d->space.used) * SIM_PAGE;
    return e;
}

/* ---- the end of a life ---- */

void sim_disk_kill(struct sim_disk *d)
{
    list_for_safe (it, &d->handles)
        handle_detach(container_of(it, struct sim_handle, link));
    sim_tree_reap(&d->tree);
    d->faults = (struct sim_disk_faults){0};
    d->space.full = false;
    d->cut_due = false;
}

void sim_disk_cut(struct sim_disk *d)
{
    sim_disk_kill(d);
    sim_tree_cut(&d->tree, &d->sim->rng);
}

/* ---- for tests ---- */

void sim_disk_set_faults(struct sim *sim, const struct sim_disk_faults *faults)
{
    sim->disk->faults = *faults;
    sim->disk->space.full = false;
}

uint64_t sim_disk_calls(const struct sim *sim)
{
    return sim->disk->calls;
}

enum err sim_disk_corrupt(struct sim *sim, const char *path, uint64_t at)
{
    struct sim_inode *inode;
    enum err e = sim_tree_find(&sim->disk->tree, path, &inode);
    if (e)
        return e;
    if (inode->is_dir || at >= inode->file.size)
        return ERR_OFFSET_RANGE;
    sim_file_flip(&inode->file, at, (unsigned)rng_below(&sim->rng, 8));
    return ERR_OK;
}

static const struct disk_ops sim_ops = {
    .open = sim_open,
    .read = sim_read,
    .writev = sim_writev,
    .sync = sim_sync,
    .start_writeback = sim_start_writeback,
    .truncate = sim_truncate,
    .allocate = sim_allocate,
    .size = sim_size,
    .rename = sim_rename,
    .unlink = sim_unlink,
    .mkdir = sim_mkdir,
    .rmdir = sim_rmdir,
    .sync_dir = sim_sync_dir,
    .sync_all = sim_sync_all,
    .list = sim_list,
    .lock = sim_lock,
    .free_bytes = sim_free_bytes,
};

struct sim_disk *sim_disk_make(struct sim *sim)
{
    struct sim_disk *d = mem_zalloc(1, sizeof(*d));
    d->face.ops = &sim_ops;
    d->sim = sim;
    d->space.total = sim->conf.disk_bytes / SIM_PAGE;
    list_init(&d->handles);
    sim_tree_init(&d->tree, &d->space);
    return d;
}

struct disk *sim_disk_face(struct sim_disk *d)
{
    return &d->face;
}

void sim_disk_free(struct sim_disk *d)
{
    sim_disk_kill(d);
    sim_tree_free(&d->tree);
    mem_free(d);
}
