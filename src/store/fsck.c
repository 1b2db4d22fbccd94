#include "store/fsck.h"

#include "base/map.h"
#include "base/mem.h"
#include "store/journal_scan.h"
#include "store/layout.h"
#include "store/manifest.h"
#include "store/meta.h"
#include "store/plog.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct fsck {
    struct disk *disk;
    const char *dir;
    fsck_line_fn *line;
    void *arg;
    struct fsck_totals *totals;
    struct slice *entries; /* of the manifest */
    size_t count, cap;
    enum err err; /* what ended it */
};

__attribute__((format(printf, 3, 4))) static void say(struct fsck *f, bool fault, const char *fmt,
                                                      ...)
{
    char line[LAYOUT_PATH_MAX + 256];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    f->totals->faults += fault;
    f->totals->notes += !fault;
    f->line(f->arg, fault, line);
}

static void entry_keep(void *arg, struct slice entry)
{
    struct fsck *f = arg;
    if (f->count == f->cap) {
        f->cap = f->cap ? f->cap * 2 : 64;
        f->entries = mem_realloc(f->entries, f->cap * sizeof(*f->entries));
    }
    f->entries[f->count++] = slice_ref(entry);
}

static void log_fault(void *arg, const char *file, uint64_t at, const char *what)
{
    say(arg, true, "%s, byte %" PRIu64 ": %s", file, at, what);
}

static void log_check(struct fsck *f, struct slice entry)
{
    struct manifest_log log;
    struct layout_path path;
    struct plog_check_result result = {0};
    if (manifest_log_decode(entry, &log)) {
        say(f, true, "%s/manifest: an entry that is none", f->dir);
        return;
    }
    enum err err =
        plog_check(f->disk, layout_log(&path, f->dir, &log.id), &log.state, log_fault, f, &result);
    if (err)
        say(f, true, "%s: %s", path.s, err_meaning(err));
    manifest_log_free(&log);
    f->totals->logs++;
    f->totals->batches += result.batches;
    f->totals->bytes += result.bytes;
}

static void journal_count(struct fsck *f, const struct journal_scan *scan)
{
    f->totals->groups = scan->count;
    f->totals->cut_bytes = scan->cut_bytes;
    for (size_t i = 0; i < scan->count; i++)
        f->totals->group_batches += scan->groups[i].head.frames;
    if (scan->durable > scan->last)
        say(f, true,
            "%s/journal/%08" PRIu32 ".wj, byte %" PRIu64 ": group %" PRIu64
            " is damaged or missing, but was acknowledged, as were all up to %" PRIu64,
            f->dir, scan->end_file, scan->end_at, scan->last + 1, scan->durable);
    else if (scan->cut_bytes > 0)
        say(f, false,
            "%s/journal: %" PRIu64 " bytes behind group %" PRIu64
            " were written and never acknowledged; the next start drops them",
            f->dir, scan->cut_bytes, scan->last);
    if (scan->count > 0)
        say(f, f->totals->clean, "%s/journal: %zu groups, %" PRIu64 " to %" PRIu64 ", %s", f->dir,
            scan->count, scan->groups[0].head.sequence, scan->last,
            f->totals->clean ? "though the last stop was clean" : "wait for the next start");
}

static void journal_check(struct fsck *f, const struct manifest_head *head)
{
    struct journal_scan scan;
    f->err = journal_scan_make(&scan, f->disk, f->dir, head);
    if (f->err)
        return;
    journal_count(f, &scan);
    journal_scan_free(&scan);
}

static bool known(const struct fsck *f, const struct store_log_id *id)
{
    for (size_t i = 0; i < f->count; i++) {
        struct store_log_id other;
        manifest_log_id(f->entries[i], &other);
        if (layout_id_eq(id, &other))
            return true;
    }
    return false;
}

static void folder_check(void *arg, const char *name, bool is_dir)
{
    struct fsck *f = arg;
    struct store_log_id id;
    if (!is_dir || !layout_log_parse(name, &id))
        say(f, false, "%s/logs/%s is not weir's", f->dir, name);
    else if (!known(f, &id))
        say(f, false, "%s/logs/%s is younger than the manifest, or was being deleted", f->dir,
            name);
}

static void manifest_check(struct fsck *f, struct err_text *text)
{
    struct manifest_head head = {.file = MANIFEST_NO_FILE};
    struct err_text what = {""};
    struct layout_path path;
    enum err err = manifest_read(f->disk, f->dir, &head, entry_keep, f, &what);
    if (err == ERR_NOT_FOUND)
        head = (struct manifest_head){.file = MANIFEST_NO_FILE};
    else if (err == ERR_CORRUPT)
        say(f, true, "%s", what.s);
    else if (err)
        f->err = err_say(text, err, "%s", what.s);
    if (f->err)
        return;
    f->totals->clean = head.clean && head.incarnation == f->totals->incarnation;
    for (size_t i = 0; i < f->count; i++)
        log_check(f, f->entries[i]);
    if (err != ERR_CORRUPT)
        journal_check(f, &head);
    if (!f->err)
        f->err = disk_list(f->disk, layout_in(&path, f->dir, "logs"), folder_check, f);
    if (f->err == ERR_NOT_FOUND) /* a first start that was cut off */
        f->err = ERR_OK;
    if (f->err)
        (void)err_say(text, f->err, "reading %s: %s", f->dir, err_meaning(f->err));
}

static enum err folder_lock(struct disk *disk, const char *dir, struct disk_file **lock,
                            struct err_text *text)
{
    struct layout_path path;
    enum err err = disk_lock(disk, layout_in(&path, dir, "lock"), lock);
    if (err == ERR_LOCKED)
        return err_say(text, err, "a process serves %s: stop it first", dir);
    return err ? err_say(text, err, "locking %s: %s", path.s, err_meaning(err)) : ERR_OK;
}

enum err fsck_run(struct disk *disk, const char *dir, fsck_line_fn *line, void *arg,
                  struct fsck_totals *totals, struct err_text *text)
{
    struct fsck f = {.disk = disk, .dir = dir, .line = line, .arg = arg, .totals = totals};
    struct disk_file *lock = NULL;
    struct meta meta;
    struct err_text what = {""};
    memset(totals, 0, sizeof(*totals));
    if (strlen(dir) > LAYOUT_DIR_MAX)
        return err_say(text, ERR_CONFIG_INVALID, "the folder's path has more than %d bytes",
                       LAYOUT_DIR_MAX);
    enum err err = meta_read(disk, dir, false, &meta, &what);
    if (err == ERR_NOT_FOUND)
        return err_say(text, err, "%s is no weir data folder: it has no file `meta`", dir);
    if (err && err != ERR_CORRUPT)
        return err_say(text, err, "%s", what.s);
    if (err)
        say(&f, true, "%s", what.s);
    else
        totals->incarnation = meta.incarnation;
    err = folder_lock(disk, dir, &lock, text);
    if (err)
        return err;
    manifest_check(&f, text);
    for (size_t i = 0; i < f.count; i++)
        slice_unref(f.entries[i]);
    mem_free(f.entries);
    disk_close(lock);
    return f.err;
}
