/* Opening a log and putting back what the journal holds.
 *
 * plog_open believes the state: it looks at names and sizes, nothing else, so that thousands of
 * logs open in milliseconds. From then until plog_replay_end the files may hold more than the log
 * knows: bytes behind `synced`, segments made after the checkpoint. They stay, because a replayed
 * reference looks for its batch in them; then they are cut off. */
#include "store/plog_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Is all that [base, end) holds below the log start? */
static bool is_below_start(const struct plog *log, int64_t end)
{
    return end <= log->log_start;
}

/* Has the log start passed all of the sealed segment i? */
static bool is_passed(const struct plog_state *state, int32_t i)
{
    int64_t end = i + 1 < state->sealed ? state->seal[i + 1].segment : state->synced.segment;
    return end <= state->log_start;
}

void plog_state_size(const struct plog_state *state, uint64_t *bytes, uint32_t *segments)
{
    *bytes = state->synced.at;
    *segments = state->synced.at > 0;
    for (int32_t i = 0; i < state->sealed; i++) {
        if (is_passed(state, i))
            continue;
        *bytes += state->seal[i].log_bytes;
        ++*segments;
    }
}

/* The segments that the state knows and the log start leaves. */
static void take_segments(struct plog *log, const struct plog_state *state)
{
    for (int32_t i = 0; i < state->sealed; i++) {
        const struct plog_sealed *s = &state->seal[i];
        if (is_passed(state, i))
            continue;
        struct segment *seg = plog_add_segment(log, s->segment);
        seg->bytes = seg->synced_bytes = (uint32_t)s->log_bytes;
        seg->max_timestamp = s->max_timestamp;
        seg->entries[SEGMENT_INDEX].crc = s->index_crc;
        seg->entries[SEGMENT_TIMEINDEX].crc = s->timeindex_crc;
        seg->entries[SEGMENT_SIDECAR].crc = s->append_crc;
        log->bytes += s->log_bytes;
    }
    if (state->synced.at == 0)
        return;
    const struct plog_entries *a = &state->active;
    struct segment *seg = plog_add_segment(log, state->synced.segment);
    seg->bytes = seg->synced_bytes = state->synced.at;
    seg->entries[SEGMENT_INDEX] = (struct index_mark){a->index_bytes, a->index_crc};
    seg->entries[SEGMENT_TIMEINDEX] = (struct index_mark){a->timeindex_bytes, a->timeindex_crc};
    seg->entries[SEGMENT_SIDECAR] = (struct index_mark){a->append_bytes, a->append_crc};
    log->bytes += seg->bytes;
    log->has_active = true;
}

static void take_state(struct plog *log, const struct plog_state *state)
{
    log->log_start = state->log_start;
    log->next_offset = log->written = state->next_offset;
    log->epochs = log->epochs_cap = state->epochs;
    if (state->epochs > 0) {
        size_t n = (size_t)state->epochs * sizeof *log->epoch;
        log->epoch = mem_alloc(n);
        memcpy(log->epoch, state->epoch, n);
        plog_epochs_trim(log, log->log_start);
    }
    take_segments(log, state);
}

static bool is_known(const struct plog *log, int64_t base)
{
    int64_t i = plog_segment_of(log, base);
    return i >= 0 && log->segs[i]->base == base;
}

static void look_at_name(void *arg, const char *name, bool is_dir)
{
    struct plog *log = arg;
    enum segment_file which;
    int64_t base;
    bool deleted;
    if (!is_dir && segment_name_parse(name, &base, &which, &deleted))
        log->strays |= deleted || !is_known(log, base);
}

/* A segment must be there with all that was synced, unless the log start has passed it. */
static enum err check_size(struct plog *log, uint32_t i, bool *gone, struct err_text *text)
{
    struct segment *seg = log->segs[i];
    char path[SEGMENT_PATH_MAX];
    struct disk_file *file;
    uint64_t size = 0;

    segment_path(path, log->dir, seg->base, SEGMENT_LOG, "");
    enum err err = disk_open(log->disk, path, DISK_READ, &file);
    if (!err) {
        err = disk_size(file, &size);
        disk_close(file);
    }
    if (err && err != ERR_NOT_FOUND)
        return err_say(text, err, "%s cannot be opened", path);
    log->strays |= size > seg->bytes;
    *gone = size < seg->bytes;
    if (!*gone || (i + 1 == log->count && is_below_start(log, log->next_offset)))
        return ERR_OK;
    return err_say(text, ERR_CORRUPT, "%s has %" PRIu64 " bytes, but %" PRIu32 " were synced", path,
                   size, seg->bytes);
}

static enum err check_files(struct plog *log, struct err_text *text)
{
    bool gone = false;
    enum err err = disk_list(log->disk, log->dir, look_at_name, log);
    if (err && err != ERR_NOT_FOUND)
        return err_say(text, err, "%s cannot be listed", log->dir);
    log->made = err == ERR_OK;
    if (log->made && log->count == 0) /* as a process left it that never came to a checkpoint */
        log->parent_unsynced = true;
    log->names += log->strays || log->parent_unsynced;
    for (uint32_t i = 0; i < log->count; i++) {
        err = check_size(log, i, &gone, text);
        if (err)
            return err;
    }
    if (gone) { /* only the last can be */
        struct segment *seg = log->segs[--log->count];
        log->bytes -= seg->bytes;
        plog_free_segment(log, seg);
        log->has_active = false;
        log->strays = true;
    }
    return ERR_OK;
}

enum err plog_open(struct disk *disk, const char *dir, const struct store_log_conf *conf,
                   const struct plog_state *state, struct plog **out, struct err_text *text)
{
    struct plog *log = mem_zalloc(1, sizeof *log);
    log->magic = PLOG_MAGIC;
    list_init(&log->jobs);
    log->disk = disk;
    log->dir = mem_strdup(dir);
    log->conf = *conf;
    log->hint_offset = -1;
    log->replaying = true;
    if (state)
        take_state(log, state);
    enum err err = check_files(log, text);
    if (err) {
        plog_close(log);
        return err;
    }
    *out = log;
    return ERR_OK;
}

/* Where the next batch must lie; the segment is -1 when there is none to go on with. */
static struct plog_place end_place(const struct plog *log)
{
    struct segment *seg = log->has_active ? plog_last(log) : NULL;
    return seg ? (struct plog_place){seg->base, seg->bytes} : (struct plog_place){-1, 0};
}

enum replay_fit { FITS, IS_THERE, IS_TRIMMED, FITS_NOT };

static enum replay_fit replay_fit(const struct plog *log, struct plog_place place,
                                  const struct batch_head *head)
{
    struct plog_place end = end_place(log);
    struct segment *last = plog_last(log);
    if (batch_next_offset(head) <= log->next_offset)
        return IS_THERE;
    if (head->base_offset >= log->next_offset) {
        if (place.segment == end.segment && place.at == end.at)
            return FITS;
        if (place.at == 0 && place.segment == head->base_offset &&
            (!last || place.segment > last->base))
            return FITS;
    }
    return batch_next_offset(head) <= log->log_start ? IS_TRIMMED : FITS_NOT;
}

/* The segment of the place, as the active one. */
static enum err replay_segment(struct plog *log, struct plog_place place, struct segment_writer **w)
{
    enum err err = ERR_OK;
    if (place.at == 0 && log->has_active) {
        err = plog_roll(log);
        plog_finish_sealed(log);
    }
    return err ? err : plog_active(log, place.segment, w);
}

/* Written also where it reads back already: a failed sync may have left it in the page cache only,
 * and clean, so that no sync would bring it to the disk (R8). */
static enum err replay_write(struct disk_file *file, struct plog_place place, const uint8_t *batch,
                             uint32_t bytes)
{
#ifdef FAULT_replay_believes
    uint8_t *there = mem_alloc(bytes);
    size_t got = 0;
    bool same = disk_read(file, there, bytes, place.at, &got) == ERR_OK && got == bytes &&
                memcmp(there, batch, bytes) == 0;
    mem_free(there);
    if (same)
        return ERR_OK;
#endif
    return disk_write(file, batch, bytes, place.at);
}

static enum err replay_one(struct plog *log, struct plog_place place, const struct batch_head *head,
                           const uint8_t *batch, bool write, int64_t append_ms)
{
    struct segment_writer *w;
    struct disk_file *file;

    enum err err = plog_make_folder(log);
    if (!err)
        err = replay_segment(log, place, &w);
    if (!err)
        err = plog_file(log, w->seg, SEGMENT_LOG, DISK_CREATE, &file);
    if (!err && write)
        err = replay_write(file, place, batch, head->bytes);
    if (err)
        return err;
    plog_count_batch(log, w, head, batch, append_ms);
    w->seg->bytes = w->bytes;
    log->written = log->next_offset;
    log->strays = true;
    for (int i = SEGMENT_INDEX; i < SEGMENT_FILES && !err; i++)
        if (w->tail[i].len >= INDEX_TAIL_MAX)
            err = plog_write_tail(log, w, (enum segment_file)i);
    return err;
}

enum err plog_replay(struct plog *log, struct plog_place place, const struct batch_head *head,
                     const void *batch, int64_t append_ms)
{
    weir_check(log, PLOG_MAGIC);
    weir_assert(log->replaying);
    switch (replay_fit(log, place, head)) {
    case IS_THERE:
        return ERR_OK;
    case IS_TRIMMED:
        plog_epochs_note(log, head->leader_epoch, head->base_offset);
        log->next_offset = log->written = batch_next_offset(head);
        return ERR_OK;
    case FITS:
        return replay_one(log, place, head, batch, true, append_ms);
    case FITS_NOT:
        break;
    }
    return ERR_CORRUPT;
}

/* The batch at the place. The caller frees *out. */
static enum err read_ref(struct plog *log, struct plog_place place, uint32_t bytes, uint8_t **out)
{
    char path[SEGMENT_PATH_MAX];
    struct disk_file *file;
    size_t got = 0;

    segment_path(path, log->dir, place.segment, SEGMENT_LOG, "");
    *out = mem_try(bytes);
    if (!*out)
        return ERR_MEMORY;
    enum err err = disk_open(log->disk, path, DISK_READ, &file);
    if (err)
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    err = disk_read(file, *out, bytes, place.at, &got);
    disk_close(file);
    return err ? err : got == bytes ? ERR_OK : ERR_CORRUPT;
}

enum err plog_replay_ref(struct plog *log, struct plog_place place, uint32_t bytes, uint32_t crc,
                         int64_t append_ms)
{
    struct batch_head head;
    uint8_t *batch;

    weir_check(log, PLOG_MAGIC);
    weir_assert(log->replaying);
    struct plog_place end = end_place(log);
    if (place.segment < end.segment || (place.segment == end.segment && place.at < end.at))
        return ERR_OK; /* below synced */
    enum err err = read_ref(log, place, bytes, &batch);
    if (!err && (batch_head_read(batch, bytes, &head) != ERR_OK || head.bytes != bytes ||
                 head.crc != crc || !batch_crc_ok(batch, &head)))
        err = ERR_CORRUPT;
    if (!err && replay_fit(log, place, &head) != FITS)
        err = replay_fit(log, place, &head) == FITS_NOT ? ERR_CORRUPT : ERR_OK;
    else if (!err)
        err = replay_one(log, place, &head, batch, false, append_ms);
    mem_free(batch);
    return err;
}

/* Names of files that no segment accounts for. */
struct stray_list {
    struct plog *log;
    char **name;
    size_t count, cap;
};

static void note_stray(void *arg, const char *name, bool is_dir)
{
    struct stray_list *list = arg;
    enum segment_file which;
    int64_t base;
    bool deleted;
    if (is_dir || !segment_name_parse(name, &base, &which, &deleted) ||
        (!deleted && is_known(list->log, base)))
        return;
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 8;
        list->name = mem_realloc(list->name, list->cap * sizeof *list->name);
    }
    list->name[list->count++] = mem_strdup(name);
}

static enum err remove_strays(struct plog *log)
{
    struct stray_list list = {.log = log};
    char path[SEGMENT_PATH_MAX];
    enum err err = disk_list(log->disk, log->dir, note_stray, &list);

    if (err == ERR_NOT_FOUND)
        err = ERR_OK;
    for (size_t i = 0; i < list.count; i++) {
        snprintf(path, sizeof path, "%s/%s", log->dir, list.name[i]);
        if (!err)
            err = disk_unlink(log->disk, path);
        mem_free(list.name[i]);
    }
    log->names += list.count > 0;
    mem_free(list.name);
    return err;
}

static enum err cut_segments(struct plog *log)
{
    enum err err = ERR_OK;
    for (uint32_t i = 0; i < log->count && !err; i++) {
        struct disk_file *file;
        uint64_t size = 0;
        err = plog_file(log, log->segs[i], SEGMENT_LOG, 0, &file);
        if (!err)
            err = disk_size(file, &size);
        if (!err && size > log->segs[i]->bytes)
            err = disk_truncate(file, log->segs[i]->bytes);
    }
    return err;
}

enum err plog_replay_end(struct plog *log)
{
    weir_check(log, PLOG_MAGIC);
    if (!log->replaying)
        return ERR_OK;
    if (log->log_start > log->next_offset) {
        plog_drop_segments(log, log->count, 0);
        log->next_offset = log->written = log->log_start;
    }
    uint32_t below = 0;
    while (below + 1 < log->count && is_below_start(log, log->segs[below + 1]->base))
        below++;
    plog_drop_segments(log, below, 0);
    plog_epochs_trim(log, log->log_start);
    enum err err = ERR_OK;
    if (log->strays) {
        err = remove_strays(log);
        if (!err)
            err = cut_segments(log);
    }
    if (err)
        return err;
    log->strays = log->replaying = false;
    plog_retake_marks(log);
    return ERR_OK;
}
