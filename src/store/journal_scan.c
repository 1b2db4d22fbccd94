#include "store/journal_scan.h"

#include "base/assert.h"
#include "base/mem.h"
#include "store/layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEARCH_BYTES ((size_t)256 << 10)

/* --- files --- */

static void file_add(void *arg, const char *name, bool is_dir)
{
    struct journal_scan *s = arg;
    uint32_t number;
    if (is_dir || !layout_journal_parse(name, &number))
        return;
    if (s->file_count == s->file_cap) {
        s->file_cap = s->file_cap ? s->file_cap * 2 : 16;
        s->files = mem_realloc(s->files, s->file_cap * sizeof(*s->files));
    }
    s->files[s->file_count++] = (struct journal_scan_file){.number = number};
}

static int file_compare(const void *a, const void *b)
{
    const struct journal_scan_file *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static bool all_zero(const uint8_t *p, size_t n)
{
    return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

static enum err file_open(struct journal_scan *s, struct journal_scan_file *f)
{
    struct layout_path path;
    uint8_t block[2 * JOURNAL_BLOCK];
    size_t got = 0;
    enum err err =
        disk_open(s->disk, layout_journal(&path, s->dir, f->number), DISK_READ, &f->file);
    if (!err)
        err = disk_size(f->file, &f->size);
    if (!err)
        err = disk_read(f->file, block, sizeof(block), 0, &got);
    if (err || got < sizeof(block)) {
        f->blank = true;
        return err;
    }
    /* The first group, too: a head that was lost must not hide the file's groups. */
    f->blank = all_zero(block, sizeof(block));
    f->begun = journal_file_head_get(block, &f->head) && f->head.number == f->number;
    return ERR_OK;
}

static enum err files_open(struct journal_scan *s)
{
    struct layout_path path;
    enum err err = disk_list(s->disk, layout_in(&path, s->dir, "journal"), file_add, s);
    if (s->file_count)
        qsort(s->files, s->file_count, sizeof(*s->files), file_compare);
    for (size_t i = 0; i < s->file_count && !err; i++)
        err = file_open(s, &s->files[i]);
    return err;
}

static const struct journal_scan_file *file_by_number(const struct journal_scan *s, uint32_t number)
{
    for (size_t i = 0; i < s->file_count; i++) {
        if (s->files[i].number == number)
            return &s->files[i];
    }
    return NULL;
}

/* --- one group --- */

/* What the chain's groups have in common. */
struct line {
    uint32_t incarnation;
    uint64_t salt;
    bool known;
};

static bool of_line(const struct line *line, const struct journal_group_head *head)
{
    if (line->known)
        return head->incarnation == line->incarnation && head->salt == line->salt;
    return head->incarnation >= line->incarnation;
}

/* Head and frame heads at this place, whole; ERR_NOT_FOUND: there is no such group. */
static enum err heads_read(const struct journal_scan_file *f, uint64_t at,
                           struct journal_group_head *head)
{
    uint8_t first[JOURNAL_GROUP_HEAD_BYTES];
    size_t got;
    if (at + JOURNAL_BLOCK > f->size)
        return ERR_NOT_FOUND;
    enum err err = disk_read(f->file, first, sizeof(first), at, &got);
    if (err)
        return err;
    if (got < sizeof(first) || !journal_group_head_get(first, head) || at + head->bytes > f->size)
        return ERR_NOT_FOUND;
    size_t n = (size_t)journal_heads_bytes(head->frames);
    uint8_t *heads = mem_try(n);
    if (!heads)
        return ERR_MEMORY;
    err = disk_read(f->file, heads, n, at, &got);
    if (!err &&
        (got < n || memcmp(heads, first, sizeof(first)) != 0 || !journal_group_crc_ok(heads, head)))
        err = ERR_NOT_FOUND;
    mem_free(heads);
    return err;
}

static enum err group_read(const struct journal_scan_file *f, uint64_t at, uint64_t bytes,
                           struct buf **out)
{
    size_t got;
    struct buf *b = buf_try((size_t)bytes);
    if (!b)
        return ERR_MEMORY;
    enum err err = disk_read(f->file, b->data, (size_t)bytes, at, &got);
    if (!err && got < bytes)
        err = ERR_IO;
    if (err)
        buf_unref(b);
    else
        *out = b;
    return err;
}

static enum err frames_check(const struct buf *group, const struct journal_group_head *head)
{
    struct journal_walk walk;
    struct journal_frame frame;
    const uint8_t *payload;
    journal_walk_init(&walk, group->data, head);
    while (journal_walk_next(&walk, &frame, &payload)) {
    }
    return walk.left > 0 ? ERR_NOT_FOUND : ERR_OK;
}

/* ERR_NOT_FOUND: no whole group `sequence` of this line is there. */
static enum err group_check(const struct journal_scan_file *f, uint64_t at, uint64_t sequence,
                            const struct line *line, struct journal_group_head *head)
{
    struct buf *group;
    enum err err = heads_read(f, at, head);
    if (err)
        return err;
    if (head->sequence != sequence || !of_line(line, head))
        return ERR_NOT_FOUND;
    err = group_read(f, at, head->bytes, &group);
    if (err)
        return err;
    err = frames_check(group, head);
    buf_unref(group);
    return err;
}

/* --- the chain --- */

static void chain_add(struct journal_scan *s, uint32_t file, uint64_t at,
                      const struct journal_group_head *head)
{
    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 64;
        s->groups = mem_realloc(s->groups, s->cap * sizeof(*s->groups));
    }
    s->groups[s->count++] = (struct journal_scan_group){file, at, *head};
    s->last = head->sequence;
}

/* The file that begins with this sequence, of the line, or of the latest incarnation. */
static const struct journal_scan_file *file_beginning(const struct journal_scan *s,
                                                      uint64_t sequence, const struct line *line)
{
    const struct journal_scan_file *best = NULL;
    for (size_t i = 0; i < s->file_count; i++) {
        const struct journal_scan_file *f = &s->files[i];
        struct journal_group_head as_group = {.incarnation = f->head.incarnation,
                                              .salt = f->head.salt};
        if (f->begun && f->head.first == sequence && of_line(line, &as_group) &&
            (!best || f->head.incarnation > best->head.incarnation))
            best = f;
    }
    return best;
}

/* Where a process that ran after the manifest's one began, if it did; else behind the manifest. */
static const struct journal_scan_file *chain_begin(const struct journal_scan *s,
                                                   const struct manifest_head *from,
                                                   struct line *line, uint64_t *at)
{
    const struct journal_scan_file *f = file_beginning(s, from->sequence + 1, line);
    if (f && f->head.incarnation > from->incarnation) {
        *line = (struct line){f->head.incarnation, f->head.salt, true};
        *at = JOURNAL_BLOCK;
        return f;
    }
    f = file_by_number(s, from->file);
    if (f && f->begun && f->head.incarnation == from->incarnation) {
        *line = (struct line){f->head.incarnation, f->head.salt, true};
        *at = from->at;
        return f;
    }
    f = file_beginning(s, from->sequence + 1, line);
    *at = JOURNAL_BLOCK;
    if (f)
        *line = (struct line){f->head.incarnation, f->head.salt, true};
    return f;
}

static enum err chain_walk(struct journal_scan *s, const struct journal_scan_file *f, uint64_t at,
                           struct line *line)
{
    while (f) {
        struct journal_group_head head;
        s->end_file = f->number;
        s->end_at = at;
        enum err err = group_check(f, at, s->last + 1, line, &head);
        if (err == ERR_NOT_FOUND) {
            f = at == JOURNAL_BLOCK ? NULL : file_beginning(s, s->last + 1, line);
            at = JOURNAL_BLOCK;
            continue;
        }
        if (err)
            return err;
        chain_add(s, f->number, at, &head);
        at += head.bytes;
    }
    return ERR_OK;
}

/* --- behind its end --- */

static void later_note(struct journal_scan *s, const struct journal_group_head *head)
{
    s->later++;
    s->cut_bytes += head->bytes;
    if (head->durable > s->durable)
        s->durable = head->durable;
}

/* A head at p, not yet checked, of a group behind the chain's end? */
static bool later_likely(const struct journal_scan *s, const uint8_t *p, const struct line *line)
{
    struct journal_group_head head;
    return journal_group_head_get(p, &head) && head.sequence > s->last && of_line(line, &head);
}

static enum err file_search(struct journal_scan *s, const struct journal_scan_file *f, uint64_t at,
                            const struct line *line, uint8_t *window)
{
    while (at < f->size) {
        size_t got;
        enum err err = disk_read(f->file, window, SEARCH_BYTES, at, &got);
        if (err)
            return err;
        for (size_t i = 0; i + JOURNAL_BLOCK <= got; i += JOURNAL_BLOCK) {
            struct journal_group_head head;
            if (!later_likely(s, window + i, line))
                continue;
            err = heads_read(f, at + i, &head);
            if (!err)
                later_note(s, &head);
            else if (err != ERR_NOT_FOUND)
                return err;
        }
        at += SEARCH_BYTES;
    }
    return ERR_OK;
}

/* Only what can hold groups of the line behind the chain's end: where it ends, and files begun
 * later. A damaged file head decides nothing, so that file is searched too. */
static enum err search(struct journal_scan *s, const struct manifest_head *from,
                       const struct line *line)
{
    const struct journal_scan_group *last = s->count > 0 ? &s->groups[s->count - 1] : NULL;
    uint32_t end_file = last ? last->file : from->file;
    uint64_t end_at = last ? last->at + last->head.bytes : from->at;
    uint8_t *window = mem_alloc(SEARCH_BYTES);
    enum err err = ERR_OK;
    for (size_t i = 0; i < s->file_count && !err; i++) {
        const struct journal_scan_file *f = &s->files[i];
        struct journal_group_head as_group = {.incarnation = f->head.incarnation,
                                              .salt = f->head.salt};
        if (f->blank)
            continue;
        if (f->number == end_file && f->begun && f->head.first <= s->last)
            err = file_search(s, f, end_at, line, window);
        else if (!f->begun || (f->head.first > s->last && of_line(line, &as_group)))
            err = file_search(s, f, JOURNAL_BLOCK, line, window);
    }
    mem_free(window);
    return err;
}

enum err journal_scan_make(struct journal_scan *scan, struct disk *disk, const char *dir,
                           const struct manifest_head *from)
{
    *scan = (struct journal_scan){.disk = disk, .dir = dir, .last = from->sequence};
    struct line line = {.incarnation = from->incarnation};
    uint64_t at = 0;
    enum err err = files_open(scan);
    if (!err) {
        const struct journal_scan_file *f = chain_begin(scan, from, &line, &at);
        err = chain_walk(scan, f, at, &line);
    }
    if (!err)
        err = search(scan, from, &line);
    if (err)
        journal_scan_free(scan);
    return err;
}

void journal_scan_free(struct journal_scan *scan)
{
    for (size_t i = 0; i < scan->file_count; i++)
        disk_close(scan->files[i].file);
    mem_free(scan->files);
    mem_free(scan->groups);
    scan->files = NULL;
    scan->groups = NULL;
    scan->file_count = scan->count = 0;
}

enum err journal_scan_read(const struct journal_scan *scan, const struct journal_scan_group *group,
                           struct buf **out)
{
    const struct journal_scan_file *f = file_by_number(scan, group->file);
    weir_assert(f != NULL);
    return group_read(f, group->at, group->head.bytes, out);
}

void journal_scan_cut(struct journal_scan *scan, size_t count)
{
    weir_assert(count < scan->count);
    scan->end_file = scan->groups[count].file;
    scan->end_at = scan->groups[count].at;
    scan->last = scan->groups[count].head.sequence - 1;
    for (size_t i = count; i < scan->count; i++) {
        const struct journal_group_head *head = &scan->groups[i].head;
        scan->later++;
        scan->cut_bytes += head->bytes;
        scan->durable = head->durable > scan->durable ? head->durable : scan->durable;
    }
    scan->count = count;
}

enum err journal_scan_refer(const struct journal_scan *scan, const struct journal_frame *frame,
                            struct buf **out)
{
    struct layout_path dir, path;
    struct disk_file *file;
    char name[32];
    size_t got;
    (void)snprintf(name, sizeof(name), "%020" PRId64 ".log", frame->place.segment);
    layout_in(&path, layout_log(&dir, scan->dir, &frame->id), name);
    enum err err = disk_open(scan->disk, path.s, DISK_READ, &file);
    if (err)
        return err;
    struct buf *batch = buf_try(frame->bytes);
    err = batch ? disk_read(file, batch->data, frame->bytes, frame->place.at, &got) : ERR_MEMORY;
    if (!err && (got < frame->bytes || !journal_frame_matches(frame, batch->data)))
        err = ERR_NOT_FOUND;
    disk_close(file);
    if (err)
        buf_unref(batch);
    else
        *out = batch;
    return err;
}
