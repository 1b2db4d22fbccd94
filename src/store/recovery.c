#include "store/recovery.h"

#include "base/assert.h"
#include "base/mem.h"
#include "io/log.h"
#include "store/embedded_internal.h"
#include "store/journal_scan.h"

#include <inttypes.h>
#include <string.h>

/* What the chain says of one log, gathered before anything is replayed. */
struct note {
    struct map_node node;
    struct store_log_id id;
    struct store_log *log; /* NULL: it is gone at the chain's end */
    uint64_t born;         /* frames before this one are of a deleted namesake */
    bool known;            /* in the manifest or created in the chain */
    bool unborn;           /* has frames, though neither; a delete that follows explains them */
    bool deleted;          /* at least once */
    int64_t start;         /* log start at the end; -1: the chain does not move it */
    struct slice snapshot; /* that its last move carries; owned */
    int64_t snapshot_from;
    int64_t next_offset;
    int64_t keep_from; /* segments below it are gone, or go */
    struct plog_place synced;
    int64_t *base; /* segments that frames name, ascending */
    size_t bases, base_cap;
};

struct recovery {
    struct embedded *e;
    struct manifest_head manifest;
    struct journal_scan scan;
    struct map notes;
    size_t group; /* whose frames are being looked at */
    size_t references;
    struct embedded_report *report;
    struct err_text *text;
};

/* --- the manifest --- */

static struct store_reactor *reactor_for(struct embedded *e, const struct store_log_id *id)
{
    unsigned r = e->conf.reactor_of ? e->conf.reactor_of(e->conf.arg, id) : 0;
    weir_assert(r < e->reactors);
    return &e->reactor[r];
}

static void entry_add(void *arg, struct slice entry)
{
    struct recovery *rec = arg;
    struct store_log_id id;
    manifest_log_id(entry, &id);
    (void)reactor_log_add(reactor_for(rec->e, &id), &id, slice_ref(entry));
}

static void count_one(void *arg, const char *name, bool is_dir)
{
    (void)name;
    (void)is_dir;
    ++*(size_t *)arg;
}

static enum err folder_count(struct recovery *rec, const char *name, size_t *out)
{
    struct layout_path path;
    *out = 0;
    return disk_list(rec->e->disk, layout_in(&path, rec->e->dir, name), count_one, out);
}

/* Neither manifest nor journal is ever missing where there was one. */
static enum err manifest_load(struct recovery *rec)
{
    struct embedded *e = rec->e;
    size_t logs, files;
    enum err err = manifest_read(e->disk, e->dir, &rec->manifest, entry_add, rec, rec->text);
    if (err && err != ERR_NOT_FOUND)
        return err;
    bool found = !err;
    err = folder_count(rec, "logs", &logs);
    if (!err)
        err = folder_count(rec, "journal", &files);
    if (err)
        return err_say(rec->text, err, "listing %s: %s", e->dir, err_meaning(err));
    if (!found)
        rec->manifest = (struct manifest_head){.file = MANIFEST_NO_FILE};
    if (files == 0 && (found ? !rec->manifest.clean : logs > 0))
        return err_say(rec->text, ERR_CORRUPT,
                       "%s/journal is empty, though what was acknowledged last was there: restore "
                       "the data folder as a whole",
                       e->dir);
    return ERR_OK;
}

/* --- notes --- */

static bool note_eq(const struct map_node *node, const void *key)
{
    return layout_id_eq(&container_of(node, struct note, node)->id, key);
}

static struct note *note_find(struct recovery *rec, const struct store_log_id *id)
{
    struct map_node *n = map_find(&rec->notes, layout_id_hash(id), note_eq, id);
    return n ? container_of(n, struct note, node) : NULL;
}

static struct note *note_get(struct recovery *rec, const struct store_log_id *id)
{
    struct note *note = note_find(rec, id);
    if (note)
        return note;
    note = mem_zalloc(1, sizeof(*note));
    note->id = *id;
    note->start = -1;
    note->log = reactor_log(reactor_for(rec->e, id), id);
    note->known = note->log != NULL;
    map_insert(&rec->notes, &note->node, layout_id_hash(id));
    return note;
}

static void notes_free(struct recovery *rec)
{
    struct map_node *n;
    while ((n = map_next(&rec->notes, NULL))) {
        struct note *note = container_of(n, struct note, node);
        map_remove(&rec->notes, n);
        mem_free(note->base);
        slice_unref(note->snapshot);
        mem_free(note);
    }
    map_free(&rec->notes);
}

static void note_base(struct note *note, int64_t segment)
{
    if (note->bases > 0 && note->base[note->bases - 1] >= segment)
        return;
    if (note->bases == note->base_cap) {
        note->base_cap = note->base_cap ? note->base_cap * 2 : 8;
        note->base = mem_realloc(note->base, note->base_cap * sizeof(*note->base));
    }
    note->base[note->bases++] = segment;
}

static void note_delete(struct note *note, uint64_t ordinal)
{
    note->known = note->unborn = false;
    note->deleted = true;
    note->born = ordinal;
    note->start = -1;
    note->next_offset = 0;
    note->bases = 0;
    slice_unref(note->snapshot);
    note->snapshot = (struct slice){0};
}

/* ordinal: of the frame within the chain. */
typedef enum err frame_fn(struct recovery *rec, const struct journal_frame *frame,
                          const uint8_t *payload, uint64_t ordinal);

/* Calls fn for every frame of the chain, in order. */
static enum err frames_each(struct recovery *rec, frame_fn *fn)
{
    enum err err = ERR_OK;
    uint64_t ordinal = 0;
    for (size_t i = 0; i < rec->scan.count && !err; i++) {
        struct buf *group;
        rec->group = i;
        struct journal_walk walk;
        struct journal_frame frame;
        const uint8_t *payload;
        err = journal_scan_read(&rec->scan, &rec->scan.groups[i], &group);
        if (err)
            return err_say(rec->text, err, "reading the journal in %s: %s", rec->e->dir,
                           err_meaning(err));
        journal_walk_init(&walk, group->data, &rec->scan.groups[i].head);
        while (!err && journal_walk_next(&walk, &frame, &payload))
            err = fn(rec, &frame, payload, ordinal++);
        if (!err && walk.left > 0)
            err = err_say(rec->text, ERR_IO, "the journal in %s reads differently the second time",
                          rec->e->dir);
        buf_unref(group);
    }
    return err;
}

static void note_snapshot(struct note *note, const struct journal_frame *frame,
                          const uint8_t *payload)
{
    slice_unref(note->snapshot);
    note->snapshot = payload ? slice_copy(payload, frame->bytes) : (struct slice){0};
    note->snapshot_from = frame->next_offset;
}

static enum err note_one(struct recovery *rec, const struct journal_frame *frame,
                         const uint8_t *payload, uint64_t ordinal)
{
    struct note *note = note_get(rec, &frame->id);
    if (frame->kind == JOURNAL_CREATE) {
        note->known = true;
        return ERR_OK;
    }
    /* A manifest that was made while a delete was on its way to the journal lacks the log already.
     */
    note->unborn = note->unborn || !note->known;
    if (frame->kind == JOURNAL_DELETE) {
        note_delete(note, ordinal);
    } else if (frame->kind == JOURNAL_START) {
        note->start = frame->offset > note->start ? frame->offset : note->start;
        note_snapshot(note, frame, payload);
    } else {
        note_base(note, frame->place.segment);
        note->next_offset = frame->next_offset;
        rec->references += frame->kind == JOURNAL_REFERENCE;
    }
    return ERR_OK;
}

/* --- logs before the replay --- */

/* The state's segments as they may be on disk once the log starts at `start`: a segment is gone
 * when another one begins at or below the start, or when nothing is left at all. */
static void state_trim(struct note *note, struct plog_state *state)
{
    int64_t end = note->next_offset > state->next_offset ? note->next_offset : state->next_offset;
    if (note->start > state->log_start)
        state->log_start = note->start;
    int64_t keep = -1;
    for (int32_t i = 0; i < state->sealed; i++)
        keep = state->seal[i].segment <= state->log_start ? state->seal[i].segment : keep;
    if (state->synced.segment <= state->log_start)
        keep = state->synced.segment > keep ? state->synced.segment : keep;
    for (size_t i = 0; i < note->bases; i++)
        keep = note->base[i] <= state->log_start && note->base[i] > keep ? note->base[i] : keep;
    if (state->log_start >= end)
        keep = end;
    note->keep_from = keep;
    int32_t gone = 0;
    while (gone < state->sealed && state->seal[gone].segment < keep)
        gone++;
    if (gone > 0) /* there may be no array */
        state->seal += gone;
    state->sealed -= gone;
    if (state->synced.segment < keep) {
        state->synced = (struct plog_place){keep, 0};
        state->active = (struct plog_entries){0};
        state->next_offset = keep;
    }
}

/* Where the log's replay begins: below it the manifest answers for what is there. */
static enum err note_plan(struct recovery *rec, struct note *note)
{
    struct manifest_log known = {0};
    if (note->log && !note->deleted && note->log->entry.len > 0) {
        enum err err = manifest_log_decode(note->log->entry, &known);
        if (err)
            return err_say(rec->text, err,
                           "%s/manifest has a damaged entry: restore the data "
                           "folder from a backup",
                           rec->e->dir);
    }
    struct plog_state state = known.state;
    state_trim(note, &state);
    note->synced = state.synced;
    manifest_log_free(&known);
    return ERR_OK;
}

static void entry_snapshot(const struct note *note, struct manifest_log *entry)
{
    if (note->snapshot.len == 0 || note->snapshot_from < entry->snapshot_from)
        return;
    entry->snapshot = note->snapshot;
    entry->snapshot_from = note->snapshot_from;
}

static enum err entry_trim(struct note *note)
{
    struct manifest_log known;
    struct store_log *log = note->log;
    enum err err = manifest_log_decode(log->entry, &known);
    if (err)
        return err;
    struct manifest_log trimmed = known; /* the arrays stay known's */
    state_trim(note, &trimmed.state);
    entry_snapshot(note, &trimmed);
    struct slice entry = manifest_log_encode(&trimmed);
    manifest_log_free(&known);
    slice_unref(log->entry);
    log->entry = entry;
    return ERR_OK;
}

/* A log that the manifest does not know: it begins with what its frames say. */
static void note_trim_new(struct note *note)
{
    struct manifest_log fresh = {.id = note->id};
    if (note->start <= 0)
        return;
    state_trim(note, &fresh.state);
    entry_snapshot(note, &fresh);
    note->log->entry = manifest_log_encode(&fresh);
}

static const struct store_log_conf replay_conf = {.flush = STORE_FLUSH_EACH,
                                                  .segment_bytes = (int64_t)1 << 30,
                                                  .segment_ms = INT64_MAX,
                                                  .retention_ms = -1,
                                                  .retention_bytes = -1,
                                                  .index_interval_bytes = 4096};

static enum err log_prepare(struct recovery *rec, struct note *note)
{
    struct embedded *e = rec->e;
    struct layout_path path;
    char name[LAYOUT_LOG_NAME_MAX];
    enum err err = ERR_OK;
    layout_log_name(name, &note->id);
    if (note->unborn)
        return err_say(rec->text, ERR_CORRUPT,
                       "%s/journal has batches for the log %s, which nothing created", e->dir,
                       name);
    if (note->deleted) {
        err = plog_remove(e->disk, layout_log(&path, e->dir, &note->id));
        if (err && err != ERR_NOT_FOUND)
            return err_say(rec->text, err, "removing %s: %s", path.s, err_meaning(err));
        if (note->log)
            reactor_log_free(note->log);
        note->log = NULL;
    }
    if (!note->known)
        return ERR_OK;
    if (!note->log)
        note->log = reactor_log_add(reactor_for(e, &note->id), &note->id, (struct slice){0});
    note->log->conf = replay_conf;
    reactor_log_touch(note->log);
    err = ERR_OK;
    if (note->log->entry.len > 0)
        err = entry_trim(note);
    else
        note_trim_new(note);
    return err ? err : reactor_log_load(note->log, rec->text);
}

/* --- replay --- */

static bool place_below(struct plog_place a, struct plog_place b)
{
    return a.segment < b.segment || (a.segment == b.segment && a.at < b.at);
}

/* A batch that is still to be put in its place. */
static bool frame_due(const struct note *note, const struct journal_frame *frame, uint64_t ordinal)
{
    return (frame->kind == JOURNAL_PAYLOAD || frame->kind == JOURNAL_REFERENCE) && note->known &&
           ordinal >= note->born && frame->place.segment >= note->keep_from &&
           !place_below(frame->place, note->synced);
}

static enum err refer_one(struct recovery *rec, const struct journal_frame *frame,
                          const uint8_t *payload, uint64_t ordinal)
{
    struct buf *batch;
    (void)payload;
    if (frame->kind != JOURNAL_REFERENCE || !frame_due(note_find(rec, &frame->id), frame, ordinal))
        return ERR_OK;
    enum err err = journal_scan_refer(&rec->scan, frame, &batch);
    if (!err)
        buf_unref(batch);
    return err;
}

static enum err notes_make(struct recovery *rec);

/* The chain ends before the first group with a reference to what is not there (R3). Deletes and log
 * starts excuse the references that they leave without a batch; when a cut takes one of these away,
 * what it had excused is looked at again. */
static enum err references_check(struct recovery *rec)
{
    enum err err = notes_make(rec);
    while (!err && rec->references > 0) {
        err = frames_each(rec, refer_one);
        if (err != ERR_NOT_FOUND)
            return err;
        journal_scan_cut(&rec->scan, rec->group);
        err = notes_make(rec);
    }
    return err;
}

static enum err replay_one(struct recovery *rec, const struct journal_frame *frame,
                           const uint8_t *payload, uint64_t ordinal)
{
    struct note *note = note_find(rec, &frame->id);
    weir_assert(note != NULL);
    if (!frame_due(note, frame, ordinal))
        return ERR_OK;
    rec->report->batches++;
    struct batch_head head;
    enum err err;
    if (frame->kind == JOURNAL_REFERENCE) {
        err = plog_replay_ref(note->log->plog, frame->place, frame->bytes, frame->batch_crc,
                              frame->append_ms);
    } else {
        err = batch_head_read(payload, frame->bytes, &head);
        if (!err)
            err = plog_replay(note->log->plog, frame->place, &head, payload, frame->append_ms);
    }
    if (!err)
        return ERR_OK;
    char name[LAYOUT_LOG_NAME_MAX];
    layout_log_name(name, &frame->id);
    return err_say(rec->text, err, "writing %s back, offset %" PRId64 ": %s", name, frame->offset,
                   err_meaning(err));
}

static enum err log_settle(struct recovery *rec, struct note *note)
{
    struct store_log *log = note->log;
    if (!log)
        return ERR_OK;
    enum err err = plog_replay_end(log->plog);
    if (err)
        return err_say(rec->text, err, "cutting a log in %s: %s", rec->e->dir, err_meaning(err));
    if (note->start > plog_start(log->plog))
        plog_set_start(log->plog, note->start, env_now_ms(reactor_env(log->reactor)));
    log->start = plog_start(log->plog);
    log->end = plog_next_offset(log->plog);
    return ERR_OK;
}

typedef enum err note_fn(struct recovery *rec, struct note *note);

static enum err notes_each(struct recovery *rec, note_fn *fn)
{
    enum err err = ERR_OK;
    for (struct map_node *n = map_next(&rec->notes, NULL); n && !err; n = map_next(&rec->notes, n))
        err = fn(rec, container_of(n, struct note, node));
    return err;
}

static enum err notes_make(struct recovery *rec)
{
    notes_free(rec);
    map_init(&rec->notes);
    rec->references = 0;
    enum err err = frames_each(rec, note_one);
    return err ? err : notes_each(rec, note_plan);
}

/* --- what was brought back becomes durable --- */

struct durable {
    struct plog_sync **syncs;
    struct slice *entries;
    unsigned count;
    uint32_t entry_count;
};

static enum err logs_sync(struct recovery *rec, struct durable *d)
{
    unsigned files = 0;
    enum err err = ERR_OK;
    for (unsigned i = 0; i < d->count; i++)
        files += plog_sync_files(d->syncs[i]);
    bool all = files > rec->e->conf.sync_files_max;
    for (unsigned i = 0; i < d->count && !err; i++)
        err = all ? plog_sync_write(d->syncs[i]) : plog_sync_run(d->syncs[i]);
    return !err && all ? disk_sync_all(rec->e->disk, rec->e->dir) : err;
}

static void durable_gather(struct recovery *rec, struct durable *d)
{
    size_t logs = 0;
    for (unsigned i = 0; i < rec->e->reactors; i++)
        logs += rec->e->reactor[i].logs.count;
    d->syncs = mem_zalloc(logs, sizeof(*d->syncs));
    d->entries = mem_zalloc(logs, sizeof(*d->entries));
    for (unsigned i = 0; i < rec->e->reactors; i++) {
        struct store_reactor *r = &rec->e->reactor[i];
        struct list *l;
        while ((l = list_pop(&r->dirty_logs))) {
            struct store_log *log = container_of(l, struct store_log, dirty_link);
            struct plog_sync *sync = plog_sync_begin(log->plog);
            checkpoint_log_entry(log, plog_sync_state(sync));
            d->syncs[d->count++] = sync;
        }
        for (struct map_node *n = map_next(&r->logs, NULL); n; n = map_next(&r->logs, n))
            d->entries[d->entry_count++] = container_of(n, struct store_log, node)->entry;
    }
}

static enum err make_durable(struct recovery *rec)
{
    struct embedded *e = rec->e;
    struct durable d = {0};
    durable_gather(rec, &d);
    enum err err = logs_sync(rec, &d);
    if (!err)
        err = checkpoint_folder_sync(e);
    for (unsigned i = 0; i < d.count; i++)
        plog_sync_end(d.syncs[i], err == ERR_OK);
    struct manifest_head head = {.incarnation = e->meta.incarnation,
                                 .sequence = rec->scan.last,
                                 .file = MANIFEST_NO_FILE,
                                 .logs = d.entry_count};
    if (!err)
        err = manifest_write(e->disk, e->dir, &head, d.entries);
    mem_free(d.syncs);
    mem_free(d.entries);
    if (err)
        return err_say(rec->text, err, "making what was recovered in %s durable: %s", e->dir,
                       err_meaning(err));
    return ERR_OK;
}

/* --- folders of logs that are gone --- */

struct strays {
    struct embedded *e;
    char (*names)[LAYOUT_LOG_NAME_MAX];
    size_t count, cap;
};

static void stray_add(void *arg, const char *name, bool is_dir)
{
    struct strays *s = arg;
    struct store_log_id id;
    if (!is_dir || !layout_log_parse(name, &id) || reactor_log(reactor_for(s->e, &id), &id))
        return;
    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 16;
        s->names = mem_realloc(s->names, s->cap * sizeof(*s->names));
    }
    layout_log_name(s->names[s->count++], &id);
}

/* A delete that was cut off, or a log whose creation was not acknowledged. What cannot be removed
 * now only takes space. */
static void strays_remove(struct embedded *e)
{
    struct strays s = {.e = e};
    struct layout_path logs, path;
    layout_in(&logs, e->dir, "logs");
    enum err err = disk_list(e->disk, logs.s, stray_add, &s);
    for (size_t i = 0; i < s.count; i++) {
        enum err one = plog_remove(e->disk, layout_in(&path, logs.s, s.names[i]));
        err = err ? err : one;
    }
    if (err)
        log_event(ENV_WARN, "store.strays", "path=%s error=%s", logs.s, err_name(err));
    mem_free(s.names);
}

/* --- all of it --- */

static enum err verdict(struct recovery *rec)
{
    const struct journal_scan *s = &rec->scan;
    bool clean = rec->report->clean;
    if (clean && (s->count > 0 || s->later > 0))
        return err_say(
            rec->text, ERR_CORRUPT,
            "%s/journal holds groups from after the clean stop: manifest and journal are "
            "not of one time; restore the data folder as a whole",
            rec->e->dir);
    if (s->durable <= s->last)
        return ERR_OK;
    return err_say(rec->text, ERR_CORRUPT,
                   "%s/journal/%08" PRIu32 ".wj, byte %" PRIu64 ": group %" PRIu64
                   " is damaged or missing, but was acknowledged, as were all up to %" PRIu64
                   ": restore the data folder from a backup",
                   rec->e->dir, s->end_file, s->end_at, s->last + 1, s->durable);
}

static enum err replay(struct recovery *rec)
{
    enum err err = notes_each(rec, log_prepare);
    if (!err)
        err = frames_each(rec, replay_one);
    if (!err)
        err = notes_each(rec, log_settle);
    return err;
}

static enum err recover(struct recovery *rec)
{
    struct embedded *e = rec->e;
    enum err err = manifest_load(rec);
    if (err)
        return err;
    rec->report->clean =
        rec->report->created ||
        (rec->manifest.clean && rec->manifest.incarnation + 1 == e->meta.incarnation);
    err = journal_scan_make(&rec->scan, e->disk, e->dir, &rec->manifest);
    if (err)
        return err_say(rec->text, err, "reading %s/journal: %s", e->dir, err_meaning(err));
    err = references_check(rec);
    rec->report->groups = rec->scan.count;
    rec->report->cut_bytes = rec->scan.cut_bytes;
    if (!err)
        err = verdict(rec);
    if (!err)
        err = replay(rec);
    if (!err)
        strays_remove(e);
    if (!err && rec->scan.count > 0)
        err = make_durable(rec);
    return err;
}

enum err recovery_run(struct embedded *e, struct embedded_report *report, uint64_t *next_sequence,
                      struct err_text *text)
{
    struct recovery rec = {.e = e, .report = report, .text = text};
    map_init(&rec.notes);
    enum err err = recover(&rec);
    *next_sequence = rec.scan.last + 1;
    notes_free(&rec);
    journal_scan_free(&rec.scan);
    return err;
}
