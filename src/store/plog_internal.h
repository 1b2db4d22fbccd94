/* plog_internal.h: what the parts of a log share. Not for others.
 *
 *     plog.c          life of a log, append, flush, undo
 *     plog_files.c    open files
 *     plog_open.c     open, replay, cutting off what is not known
 *     plog_entries.c  a segment's indexes and sidecar: loading, checking, rebuilding, looking up
 *     plog_read.c     reads by offset, scans
 *     plog_find.c     reads by time
 *     plog_epochs.c   leader epochs
 *     plog_sync.c     checkpoint jobs
 *     plog_trim.c     log start, retention, deletion
 *     plog_check.c    fsck and scrub
 *
 * A log's segments stand in one array, by base offset. The last is appended to if has_active; then
 * its writer (segment_writer.h) is loaded at the first use and given back when the log is idle.
 * Writers form a chain from the newest: behind the active one wait those of segments that were
 * sealed but whose entries are not written yet, because the turn may still be undone or the disk
 * was full.
 */
#pragma once

#include "base/list.h"
#include "store/plog.h"
#include "store/plog_files.h"
#include "store/segment.h"
#include "store/segment_writer.h"

#define PLOG_MAGIC 0x574c4f31u
#define PLOG_OWN_FILES 16

struct plog_mark {
    uint32_t segments;
    bool has_active, loaded; /* loaded: writer was there */
    int64_t next_offset;
    int32_t epochs;
    uint64_t bytes;
    struct segment_writer_mark writer;
};

struct plog_marks {
    struct plog_mark flushed, turn;
};

struct plog_deleted {
    int64_t base;
    uint64_t due_ms;
};

struct plog {
    uint32_t magic;
    bool has_active;
    bool made;            /* the folder exists */
    bool parent_unsynced; /* and its name is not synced yet */
    bool replaying;       /* from open until plog_replay_end or the first append */
    bool strays;          /* there are files or bytes that are not known */
    bool dirty;
    bool marked;        /* plog_mark was called and not outdated since */
    bool checkpointing; /* a job with a state is under way */
    struct list jobs;   /* struct plog_sync under way, of both kinds */
    bool sync_failed;   /* what the files hold is not known any more, and no later sync tells */
    uint32_t names, names_synced; /* changes of the folder's names, and those that are synced */
    struct disk *disk;
    char *dir;
    struct store_log_conf conf;
    struct plog_files *files, *own_files;
    struct segment **segs;
    uint32_t count, cap;
    struct segment_writer *writers;
    struct plog_marks *marks; /* NULL: nothing to come back to */
    int64_t log_start, next_offset;
    int64_t written; /* next_offset without what is queued */
    uint64_t bytes;
    struct plog_epoch *epoch;
    int32_t epochs, epochs_cap;
    struct plog_deleted *deleted;
    uint32_t deleted_count, deleted_cap;
    /* Where the last read ended, so that the next one finds its place without an index. */
    int64_t hint_offset, hint_segment;
    uint32_t hint_at;
};

/* plog.c */
static inline struct segment *plog_last(const struct plog *log)
{
    return log->count > 0 ? log->segs[log->count - 1] : NULL;
}
/* The loaded writer of the segment, NULL if none is. */
struct segment_writer *plog_writer_of(const struct plog *log, const struct segment *seg);
/* Opens by need. flags: DISK_CREATE or 0. */
enum err must_use plog_file(struct plog *log, struct segment *seg, enum segment_file which,
                            unsigned flags, struct disk_file **out);
/* Makes the folder if need be. */
enum err must_use plog_make_folder(struct plog *log);
struct segment *plog_add_segment(struct plog *log, int64_t base);
/* Closes the files and frees it; the array is the caller's. */
void plog_free_segment(struct plog *log, struct segment *seg);
/* The segment that holds the offset: the last with base <= offset; -1: it lies before all. */
int64_t plog_segment_of(const struct plog *log, int64_t offset);
/* Offsets of segment i are below this. */
int64_t plog_segment_end(const struct plog *log, uint32_t i);
/* Ends the active segment; the next append makes a new one. */
enum err must_use plog_roll(struct plog *log);
/* The active segment for a batch with this offset, its writer loaded; made if there is none. */
enum err must_use plog_active(struct plog *log, int64_t base, struct segment_writer **out);
/* Counts the batch in the active segment, its totals and the epochs. */
void plog_count_batch(struct plog *log, struct segment_writer *w, const struct batch_head *head,
                      const uint8_t *raw, int64_t append_ms);
/* Writes the entries of sealed segments and gives their writers back; what fails stays. */
void plog_finish_sealed(struct plog *log);
/* The present state becomes what a failed flush or an undo returns to. */
void plog_retake_marks(struct plog *log);
/* What was appended before cannot be undone from here on. Nothing may be queued. */
void plog_settle(struct plog *log);

/* plog_entries.c */
enum err must_use plog_load_writer(struct plog *log);
/* Gives the active writer back if all it knows is in files. */
void plog_unload_writer(struct plog *log);
/* Makes sure that the entries files can be believed. */
enum err must_use plog_trust(struct plog *log, struct segment *seg);
/* which: SEGMENT_INDEX, SEGMENT_TIMEINDEX or SEGMENT_SIDECAR. The segment is trusted already. */
enum err must_use plog_view(struct plog *log, struct segment *seg, enum segment_file which,
                            struct index_view *out);
enum err must_use plog_write_tail(struct plog *log, struct segment_writer *w,
                                  enum segment_file which);
enum err must_use plog_write_tails(struct plog *log, struct segment_writer *w);
/* Largest timestamp in the segment, -1: none. */
enum err must_use plog_max_timestamp(struct plog *log, struct segment *seg, int64_t *out);
/* Position of the first batch whose last offset is >= offset; seg->bytes: there is none. */
enum err must_use plog_locate(struct plog *log, struct segment *seg, int64_t offset, uint32_t *at);
/* A batch start <= at, as near as the index knows. */
enum err must_use plog_floor_position(struct plog *log, struct segment *seg, uint32_t at,
                                      uint32_t *out);

/* plog_sync.c: jobs that nobody runs or ends any more. */
void plog_sync_abandon(struct plog *log);

/* plog_epochs.c */
void plog_epochs_note(struct plog *log, int32_t epoch, int64_t start);
void plog_epochs_trim(struct plog *log, int64_t log_start);

/* plog_trim.c: removes segments [0, n) from the log; their files go at due_ms, or now if it is 0.
 */
void plog_drop_segments(struct plog *log, uint32_t n, uint64_t due_ms);
