/* fsck of one log, and the scrub of one that is served: every byte is read, every rule of FORMAT.md
 * about batches and the files beside them is looked at. Works on files alone, so that a broken
 * folder can be looked at too, and in steps, so that it can go slowly. */
#include "store/plog_internal.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

/* One entries file, read whole, and the entry that the walk expects next. */
struct entries {
    uint8_t *p;
    uint32_t bytes, at, entry_bytes;
    bool whole; /* every batch must have its entry (sidecar), the file is known to be complete */
};

/* What the state, or else the folder, says about a segment. */
struct expect {
    int64_t base;
    uint64_t bytes;
    bool sealed, known; /* known: by the state */
    bool maybe;         /* the log start has passed it: may be gone */
    struct index_mark entries[SEGMENT_FILES];
};

struct expect_list {
    struct expect *seg;
    size_t count, cap;
};

struct plog_check {
    struct disk *disk;
    char *dir;
    plog_fault_fn *fault;
    void *arg;
    struct plog_check_result out;
    struct expect_list list;
    size_t next;              /* in the list */
    const struct expect *seg; /* that is being read; NULL: none */
    struct disk_file *log;
    struct segment_walk walk;
    struct entries file[SEGMENT_FILES];
    uint8_t *batch;
    uint32_t batch_cap;
    int64_t max_timestamp, first_append_ms;
};

static void fault(struct plog_check *c, enum segment_file which, uint64_t at, const char *what)
{
    char path[SEGMENT_PATH_MAX];
    segment_path(path, c->dir, c->seg->base, which, "");
    c->out.faults++;
    if (c->fault)
        c->fault(c->arg, path, at, what);
}

/* Reads at most `want` bytes (UINT64_MAX: all) of an entries file. */
static enum err read_entries(struct plog_check *c, enum segment_file which)
{
    static const uint32_t size_of[SEGMENT_FILES] = {0, INDEX_ENTRY_BYTES, TIMEINDEX_ENTRY_BYTES,
                                                    SIDECAR_ENTRY_BYTES};
    const struct index_mark *mark = &c->seg->entries[which];
    struct entries *e = &c->file[which];
    char path[SEGMENT_PATH_MAX];
    struct buf *buf;
    size_t n = 0;

    *e = (struct entries){.entry_bytes = size_of[which]};
    segment_path(path, c->dir, c->seg->base, which, "");
    enum err err = disk_read_file(c->disk, path, UINT32_MAX, &buf, &n);
    if (err == ERR_NOT_FOUND) {
        if (mark->bytes > 0 || (c->seg->known && c->seg->sealed && mark->crc != 0))
            fault(c, which, 0, "the file is missing");
        return ERR_OK;
    }
    if (err)
        return err;
    uint32_t use = (uint32_t)n;
    if (c->seg->known && !c->seg->sealed)
        use = mark->bytes < use ? mark->bytes : use;
    e->p = mem_alloc(use);
    memcpy(e->p, buf->data, use);
    e->bytes = use;
    buf_unref(buf);
    bool active_unknown =
        c->seg->known && !c->seg->sealed && c->seg->entries[SEGMENT_SIDECAR].bytes == 0;
    if (c->seg->known && !active_unknown) {
        if (crc32c(0, e->p, use) != mark->crc)
            fault(c, which, 0, "the file's CRC is not the one in the manifest");
        e->whole = true;
    }
    return ERR_OK;
}

static const uint8_t *next_entry(const struct entries *e)
{
    return e->bytes - e->at >= e->entry_bytes ? e->p + e->at : NULL;
}

static void check_sidecar(struct plog_check *c, const struct batch_head *head, uint32_t at,
                          const uint8_t *raw)
{
    struct entries *e = &c->file[SEGMENT_SIDECAR];
    if (at == 0) {
        e->at = SIDECAR_HEAD_BYTES;
        if (e->bytes >= SIDECAR_HEAD_BYTES &&
            segment_sidecar_head(e->p, &c->first_append_ms) != ERR_OK)
            fault(c, SEGMENT_SIDECAR, 0, "the file does not begin as a sidecar does");
    }
    const uint8_t *entry = e->bytes >= SIDECAR_HEAD_BYTES ? next_entry(e) : NULL;
    if (!entry) {
        if (e->whole)
            fault(c, SEGMENT_SIDECAR, e->at, "the entry of a batch is missing");
        e->whole = false; /* said once */
        return;
    }
    if ((uint32_t)index_field_get(entry, SIDECAR_POSITION) != at ||
        index_field_get(entry, SIDECAR_OFFSET) != head->base_offset - c->seg->base)
        fault(c, SEGMENT_SIDECAR, e->at, "the entry belongs to another batch");
    else if ((uint32_t)index_field_get(entry, SIDECAR_CRC) != segment_sidecar_crc(raw, entry))
        fault(c, SEGMENT_SIDECAR, e->at, "the CRC over the batch's head does not match");
    e->at += e->entry_bytes;
}

static void check_index(struct plog_check *c, const struct batch_head *head, uint32_t at)
{
    struct entries *e = &c->file[SEGMENT_INDEX];
    const uint8_t *entry = next_entry(e);
    if (!entry || index_field_get(entry, INDEX_POSITION) > at)
        return;
    if (index_field_get(entry, INDEX_POSITION) != at ||
        index_field_get(entry, INDEX_OFFSET) != batch_last_offset(head) - c->seg->base)
        fault(c, SEGMENT_INDEX, e->at, "the entry does not lead to the batch that it names");
    e->at += e->entry_bytes;
}

/* Entries name the batch that first had the largest timestamp; it comes before the entry's making,
 * so the comparison is with the batch itself. */
static void check_timeindex(struct plog_check *c, const struct batch_head *head)
{
    struct entries *e = &c->file[SEGMENT_TIMEINDEX];
    const uint8_t *entry = next_entry(e);
    int64_t last = batch_last_offset(head) - c->seg->base;
    bool grown = head->max_timestamp > c->max_timestamp;

    if (grown)
        c->max_timestamp = head->max_timestamp;
    if (!entry || index_field_get(entry, TIMEINDEX_OFFSET) > last)
        return;
    if (index_field_get(entry, TIMEINDEX_OFFSET) != last || !grown ||
        index_field_get(entry, TIMEINDEX_TIME) != head->max_timestamp)
        fault(c, SEGMENT_TIMEINDEX, e->at, "the entry does not lead to the batch with its time");
    e->at += e->entry_bytes;
}

/* The whole batch into c->batch. */
static enum err read_batch(struct plog_check *c, uint32_t at, uint32_t n)
{
    size_t got = 0;
    if (n > c->batch_cap) {
        mem_free(c->batch);
        c->batch_cap = 0;
        c->batch = mem_try(n);
        if (!c->batch)
            return ERR_MEMORY;
        c->batch_cap = n;
    }
    enum err err = disk_read(c->log, c->batch, n, at, &got);
    return err ? err : got == n ? ERR_OK : ERR_CORRUPT;
}

static enum err check_batch(struct plog_check *c, const struct batch_head *head, uint32_t at)
{
    enum err err = read_batch(c, at, head->bytes);
    if (err)
        return err;
    if (!batch_crc_ok(c->batch, head))
        fault(c, SEGMENT_LOG, at, "the batch's CRC does not match its bytes");
    if (head->base_offset < c->out.next_offset || head->base_offset < c->seg->base)
        fault(c, SEGMENT_LOG, at, "the batch's base offset does not follow the one before");
    check_sidecar(c, head, at, c->batch);
    check_index(c, head, at);
    check_timeindex(c, head);
    if (batch_next_offset(head) > c->out.next_offset)
        c->out.next_offset = batch_next_offset(head);
    c->out.batches++;
    c->out.bytes += head->bytes;
    return ERR_OK;
}

static void segment_end(struct plog_check *c)
{
    for (int i = SEGMENT_INDEX; i < SEGMENT_FILES; i++) {
        mem_free(c->file[i].p);
        c->file[i].p = NULL;
    }
    disk_close(c->log);
    c->log = NULL;
    c->seg = NULL;
}

/* The next batch, or the end of the segment. */
static enum err segment_step(struct plog_check *c)
{
    struct batch_head head;
    uint32_t at = 0;
    enum err err = segment_walk_next(&c->walk, &head, &at, NULL);
    if (!err)
        return check_batch(c, &head, at);
    if (err == ERR_CORRUPT) /* without its length the next one cannot be found */
        fault(c, SEGMENT_LOG, c->walk.at, "there is no whole batch here");
    for (int i = SEGMENT_INDEX; i < SEGMENT_FILES && err == ERR_NOT_FOUND; i++)
        if (c->file[i].at < c->file[i].bytes)
            fault(c, (enum segment_file)i, c->file[i].at, "entries without a batch");
    segment_end(c);
    return err == ERR_NOT_FOUND || err == ERR_CORRUPT ? ERR_OK : err;
}

static enum err open_segment(struct plog_check *c, uint32_t *end)
{
    char path[SEGMENT_PATH_MAX];
    uint64_t size = 0;

    segment_path(path, c->dir, c->seg->base, SEGMENT_LOG, "");
    enum err err = disk_open(c->disk, path, DISK_READ, &c->log);
    if (!err)
        err = disk_size(c->log, &size);
    if (err)
        return err;
    uint64_t use = c->seg->known ? c->seg->bytes : size;
    if (size < use)
        fault(c, SEGMENT_LOG, size, "the file is shorter than what was synced");
    if (c->seg->known && c->seg->sealed && size > use)
        fault(c, SEGMENT_LOG, use, "the file is longer than when it was sealed");
    use = size < use ? size : use;
    *end = use > SEGMENT_BYTES_MAX ? SEGMENT_BYTES_MAX : (uint32_t)use;
    return ERR_OK;
}

static enum err segment_begin(struct plog_check *c, const struct expect *seg)
{
    uint32_t end = 0;
    c->seg = seg;
    c->max_timestamp = -1;
    enum err err = open_segment(c, &end);
    if (err == ERR_NOT_FOUND && !seg->maybe)
        fault(c, SEGMENT_LOG, 0, "the file is missing");
    for (int i = SEGMENT_INDEX; i < SEGMENT_FILES && !err; i++)
        err = read_entries(c, (enum segment_file)i);
    if (err)
        segment_end(c);
    else
        segment_walk_init(&c->walk, c->log, 0, end);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static struct expect *expect_add(struct expect_list *list)
{
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 8;
        list->seg = mem_realloc(list->seg, list->cap * sizeof *list->seg);
    }
    struct expect *e = &list->seg[list->count++];
    *e = (struct expect){0};
    return e;
}

static void expect_state(struct expect_list *list, const struct plog_state *state)
{
    for (int32_t i = 0; i < state->sealed; i++) {
        const struct plog_sealed *s = &state->seal[i];
        int64_t end = i + 1 < state->sealed ? state->seal[i + 1].segment : state->synced.segment;
        if (end <= state->log_start)
            continue; /* may be gone */
        struct expect *e = expect_add(list);
        *e = (struct expect){.base = s->segment, .bytes = s->log_bytes};
        e->known = e->sealed = true;
        e->entries[SEGMENT_INDEX].crc = s->index_crc;
        e->entries[SEGMENT_TIMEINDEX].crc = s->timeindex_crc;
        e->entries[SEGMENT_SIDECAR].crc = s->append_crc;
    }
    if (state->synced.at == 0)
        return;
    const struct plog_entries *a = &state->active;
    struct expect *e = expect_add(list);
    *e = (struct expect){.base = state->synced.segment, .bytes = state->synced.at, .known = true};
    e->maybe = state->next_offset <= state->log_start;
    e->entries[SEGMENT_INDEX] = (struct index_mark){a->index_bytes, a->index_crc};
    e->entries[SEGMENT_TIMEINDEX] = (struct index_mark){a->timeindex_bytes, a->timeindex_crc};
    e->entries[SEGMENT_SIDECAR] = (struct index_mark){a->append_bytes, a->append_crc};
}

static void expect_name(void *arg, const char *name, bool is_dir)
{
    enum segment_file which;
    int64_t base;
    bool deleted;
    if (is_dir || !segment_name_parse(name, &base, &which, &deleted) || deleted ||
        which != SEGMENT_LOG)
        return;
    expect_add(arg)->base = base;
}

static int expect_order(const void *a, const void *b)
{
    int64_t x = ((const struct expect *)a)->base, y = ((const struct expect *)b)->base;
    return (x > y) - (x < y);
}

enum err plog_check_begin(struct disk *disk, const char *dir, const struct plog_state *state,
                          plog_fault_fn *fault_fn, void *arg, struct plog_check **out)
{
    struct plog_check *c = mem_zalloc(1, sizeof(*c));
    enum err err = ERR_OK;
    c->disk = disk;
    c->dir = mem_strdup(dir);
    c->fault = fault_fn;
    c->arg = arg;
    *out = c;
    if (state)
        expect_state(&c->list, state);
    else
        err = disk_list(disk, dir, expect_name, &c->list);
    if (!state && c->list.count > 0)
        qsort(c->list.seg, c->list.count, sizeof *c->list.seg, expect_order);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err plog_check_run(struct plog_check *c, uint64_t bytes_max, uint64_t *bytes, bool *done)
{
    uint64_t from = c->out.bytes;
    enum err err = ERR_OK;
    while (!err && (c->seg || c->next < c->list.count) && c->out.bytes - from < bytes_max)
        err = c->seg ? segment_step(c) : segment_begin(c, &c->list.seg[c->next++]);
    *bytes = c->out.bytes - from;
    *done = !c->seg && c->next == c->list.count;
    return err;
}

void plog_check_end(struct plog_check *c, struct plog_check_result *out)
{
    if (c->seg)
        segment_end(c);
    if (out)
        *out = c->out;
    mem_free(c->batch);
    mem_free(c->list.seg);
    mem_free(c->dir);
    mem_free(c);
}

enum err plog_check(struct disk *disk, const char *dir, const struct plog_state *state,
                    plog_fault_fn *fault_fn, void *arg, struct plog_check_result *out)
{
    struct plog_check *c;
    uint64_t bytes;
    bool done;
    enum err err = plog_check_begin(disk, dir, state, fault_fn, arg, &c);
    if (!err)
        err = plog_check_run(c, UINT64_MAX, &bytes, &done);
    plog_check_end(c, out);
    return err;
}
