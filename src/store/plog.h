/* plog.h: one partition's log on disk: its segments, their indexes, and reads from them.
 *
 * A plog knows files, not promises: it writes through the page cache, says what is dirty, and can
 * put bytes back at their place. What is durable, visible or acknowledged is decided above it, by
 * the journal (journal.h) and the store (embedded.c). FORMAT.md describes the files:
 *
 *     <data>/logs/<topic id>-<partition>/
 *         00000000000000000000.log         batches, as Kafka's
 *         00000000000000000000.index       offset index, as Kafka's (8-byte entries)
 *         00000000000000000000.timeindex   time index, as Kafka's (12-byte entries)
 *         00000000000000000000.append      sidecar: append time and a CRC over the 21 head bytes
 *                                          that Kafka's CRC leaves out, one entry a batch
 *
 * Owner: the log's reactor. plog_sync_* may run on a helper thread while the reactor goes on
 * appending. A folder is made by the first append, so that an empty partition costs no files.
 *
 * Position: (segment base offset, byte position in the .log file).
 */
#pragma once

#include "base/batch.h"
#include "base/chunk.h"
#include "base/err.h"
#include "broker/store.h"
#include "io/disk.h"

struct plog;

/* The open files of one reactor's logs, at most `max` of them: the least recently used are closed
 * when more are wanted (those that chunks or sync jobs hold stay open for them). Free it after its
 * logs. */
struct plog_files;
struct plog_files *plog_files_make(unsigned max);
void plog_files_free(struct plog_files *files);

struct plog_place {
    int64_t segment; /* base offset of the segment */
    uint32_t at;     /* byte position in it */
};

/* What a checkpoint knows of a log, and what an open trusts: below `synced` the files hold what
 * they should; behind it everything is to be replayed or cut. */
struct plog_state {
    int64_t log_start;
    int64_t next_offset;      /* end at the checkpoint */
    struct plog_place synced; /* everything before it is on disk */
    int32_t epochs;           /* leader epochs below: count, each with its start offset */
    const struct plog_epoch {
        int32_t epoch;
        int64_t start;
    } * epoch;
    /* CRC-32C of each sealed segment's index, timeindex and sidecar, by segment, for R6 */
    int32_t sealed;
    const struct plog_sealed {
        int64_t segment;
        uint64_t log_bytes;
        uint32_t index_crc, timeindex_crc, append_crc;
        int64_t max_timestamp;
    } * seal;
    /* the same for the segment that is appended to: bytes of each that belong to what lies below
     * `synced`, and their CRCs; all 0 when there is none. To be kept in the manifest like the rest:
     * with zeros in place of them the log opens too, but rebuilds these files at their first use.
     */
    struct plog_entries {
        uint32_t index_bytes, timeindex_bytes, append_bytes;
        uint32_t index_crc, timeindex_crc, append_crc;
    } active;
};

/* What a log with this state has in its segments. */
void plog_state_size(const struct plog_state *state, uint64_t *bytes, uint32_t *segments);

/* Opens or, with state == NULL, starts a log in `dir` (not yet created). What state does not know
 * (behind synced) is not seen and stays only until plog_replay_end, or the first append, cuts it
 * off: replayed references find their bytes. state->log_start is the durable one, later trims from
 * the journal included: segments that lie whole below it may be gone already. Nothing is read but
 * file sizes; an index is checked when it is first needed and rebuilt from its segment when it does
 * not match. The arrays of state are copied. ERR_CORRUPT: a segment is missing or shorter than
 * state says (text says where). */
enum err must_use plog_open(struct disk *disk, const char *dir, const struct store_log_conf *conf,
                            const struct plog_state *state, struct plog **out,
                            struct err_text *text);
/* Nothing may be queued and no sync job under way. */
void plog_close(struct plog *log);
/* Closes it amid whatever is: jobs that nobody runs any more, and what was not written yet. As
 * after a crash, but for the memory. */
void plog_abandon(struct plog *log);
/* Lets the log's files count in `files` (of the same reactor), before anything else is done with
 * it. A log without keeps up to 16 files open. */
void plog_use_files(struct plog *log, struct plog_files *files);
void plog_configure(struct plog *log, const struct store_log_conf *conf);

/* Appends the batch (already stamped with base offset and epoch) behind the last one: rolls the
 * segment if due, queues the bytes and gives their place. The bytes are written by plog_flush and
 * must stay until then. */
enum err must_use plog_append(struct plog *log, const struct batch_head *head, struct slice batch,
                              int64_t append_ms, struct plog_place *out);
/* Writes what is queued, one writev a segment. ERR_DISK_FULL, ERR_IO: nothing of what was queued
 * since the last flush counts; the log is as before (file tails are cut back). */
enum err must_use plog_flush(struct plog *log);
bool plog_dirty(const struct plog *log);
/* Nothing is queued, under way, or waits to be synced or unlinked: it may be closed and opened
 * again with the state of its last checkpoint. */
bool plog_idle(const struct plog *log);
/* plog_mark remembers the present end, before the first append of a turn; plog_undo returns to it:
 * what was appended since, flushed or not, is gone again (a group failed as a whole because another
 * of its logs met a full disk). */
void plog_mark(struct plog *log);
enum err must_use plog_undo(struct plog *log);

/* Recovery: puts a batch back at its place (creating the segment if need be) and goes on from
 * there: everything behind it is cut by plog_replay_end. Batches come in order. */
enum err must_use plog_replay(struct plog *log, struct plog_place place,
                              const struct batch_head *head, const void *batch, int64_t append_ms);
/* Recovery of a reference: the bytes are expected at the place already. Checks head, length and
 * CRC there (crc: the batch's own CRC field); ERR_CORRUPT if they are not the batch. The caller
 * leaves out references into segments that lie whole below the log start: they may be gone. */
enum err must_use plog_replay_ref(struct plog *log, struct plog_place place, uint32_t bytes,
                                  uint32_t crc, int64_t append_ms);
/* What lies whole below synced already is left as it is. A log_start behind the end (its batches
 * were promised nothing and are lost) becomes the end here. */
enum err must_use plog_replay_end(struct plog *log);

int64_t plog_start(const struct plog *log);
int64_t plog_next_offset(const struct plog *log);
/* Largest leader epoch and its start; -1 when there is none. A new epoch is recorded by the first
 * batch that carries it. */
int32_t plog_epoch(const struct plog *log);
/* STORE_FIND_EPOCH's rule: the largest known epoch <= asked, and where it ends. */
void plog_epoch_end(const struct plog *log, int32_t asked, int32_t *epoch, int64_t *end);

/* store_read's rule on the present files. Batches at or above `limit` are left out. File chunks. */
enum err must_use plog_read(struct plog *log, int64_t from, int64_t limit, size_t bytes_max,
                            bool min_one, struct chunkq *out, int64_t *next_offset);
/* When each of the first n batches in `loaded` was appended: what plog_read gave, with its bytes in
 * memory. -1: the sidecar does not know. */
enum err must_use plog_append_times(struct plog *log, const struct chunkq *loaded, int64_t *out,
                                    unsigned n);
/* store_find's rules for times. */
enum err must_use plog_find_time(struct plog *log, int64_t ts, int64_t limit, int64_t *offset,
                                 int64_t *timestamp, int32_t *epoch);
enum err must_use plog_find_max_time(struct plog *log, int64_t limit, int64_t *offset,
                                     int64_t *timestamp, int32_t *epoch);
/* Calls fn for every batch head from offset `from` on, with the sidecar's append time (-1: lost).
 * fn must not append to this log or trim it. */
enum err must_use plog_scan(struct plog *log, int64_t from,
                            void (*fn)(void *arg, const struct batch_head *head, int64_t append_ms),
                            void *arg);

/* Moves log_start and drops the segments that lie below it whole (renamed to .deleted; unlinked by
 * plog_reap after the delay). The caller makes the new log_start durable first. */
void plog_set_start(struct plog *log, int64_t log_start, uint64_t now_ms);
/* Where retention (time by the segments' largest timestamps, size) would move log_start: whole
 * segments only, never the active one (which it rolls first when that alone is due). limit: the
 * durable end. */
int64_t plog_retention(struct plog *log, uint64_t now_ms, int64_t limit);
/* Where retention by size alone, or by time, would have the log start, of what lies below `limit`;
 * nothing is changed. */
int64_t plog_too_large(const struct plog *log, int64_t limit);
int64_t plog_too_old(struct plog *log, uint64_t now_ms, int64_t limit);
/* Unlinks what is due. now_ms UINT64_MAX: all. Returns the next due time, 0 when nothing waits. */
uint64_t plog_reap(struct plog *log, uint64_t now_ms);
/* Removes the folder with everything in it (after the delete is durable). */
enum err must_use plog_remove(struct disk *disk, const char *dir);

/* Checkpoint, step 1 (reactor): a job that names the files dirty now and the state they reach. The
 * state's arrays belong to the job. Nothing may be queued; what was appended before can no longer
 * be undone. One such job a log at a time. */
struct plog_sync;
struct plog_sync *plog_sync_begin(struct plog *log);
/* As plog_sync_begin, for the batches alone (the .log files and the names that lead to them): what
 * a journal group refers to without carrying it. It has no state and may run while a checkpoint's
 * job runs; steps 2 and 3 are the same. */
struct plog_sync *plog_sync_begin_data(struct plog *log);
/* Step 2 (any thread), two ways: plog_sync_run syncs segments, indexes, sidecars and the folder;
 * or plog_sync_write for every job, then one disk_sync_all for all of them. plog_sync_write brings
 * the index entries that were in memory only into their files (plog_sync_run begins with it).
 * ERR_IO: a sync failed. No later one proves anything, so each further run says the same: stop,
 * and let the next start write back from the journal what no checkpoint covers. ERR_DISK_FULL: no
 * room for the index entries: nothing is lost, end the job with ok false and try again later. */
enum err must_use plog_sync_write(struct plog_sync *sync);
enum err must_use plog_sync_run(struct plog_sync *sync);
/* The number of files that run would sync: of many over all logs, syncfs is cheaper. */
unsigned plog_sync_files(const struct plog_sync *sync);
const struct plog_state *plog_sync_state(const struct plog_sync *sync);
/* Step 3 (reactor): forget the job. ok: its files count as synced. */
void plog_sync_end(struct plog_sync *sync, bool ok);

/* Of the batches in its segments. */
uint64_t plog_bytes(const struct plog *log);
uint32_t plog_segments(const struct plog *log);

/* For fsck, no log open: verifies every batch of the log in `dir` (structure, CRC, offsets that
 * increase over all segments, the sidecar's CRC of its head) and that the indexes lead to where
 * they say. `fault` is called for each finding with the file, the byte position in it and a
 * sentence. Below state->synced a fault is corruption; behind it the journal decides, and nothing
 * is checked. state == NULL: all there is. ERR_OK: all was read, whatever was found. */
typedef void plog_fault_fn(void *arg, const char *file, uint64_t at, const char *what);
struct plog_check_result {
    uint64_t batches, bytes, faults;
    int64_t next_offset;
};
enum err must_use plog_check(struct disk *disk, const char *dir, const struct plog_state *state,
                             plog_fault_fn *fault, void *arg, struct plog_check_result *out);
/* The same in steps of about bytes_max, also while the log is open and appended to: below `synced`
 * nothing changes but by trims, so what is missing may be gone rightly. A begun check is to be
 * ended (out: NULL, or what was found) whatever begin and run return. Any thread, one at a time. */
struct plog_check;
enum err must_use plog_check_begin(struct disk *disk, const char *dir,
                                   const struct plog_state *state, plog_fault_fn *fault, void *arg,
                                   struct plog_check **out);
enum err must_use plog_check_run(struct plog_check *check, uint64_t bytes_max, uint64_t *bytes,
                                 bool *done);
void plog_check_end(struct plog_check *check, struct plog_check_result *out);
