/* manifest.h: <data>/manifest, what the last checkpoint made sure of.
 *
 * Everything that journal groups up to `sequence` hold is synced in the logs' own files; a start
 * trusts that and replays only what follows. Replaced as a whole, so that it is either the former
 * or the new one. Each log has one entry: what plog_open needs (struct plog_state) and the owner's
 * snapshot. Entries are kept encoded (a few hundred bytes a log), so that a checkpoint encodes
 * those of the logs that changed and copies the others.
 *
 * Any thread, on its own data.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "io/disk.h"
#include "store/plog.h"

#include <stdbool.h>
#include <stdint.h>

#define MANIFEST_NO_FILE UINT32_MAX
#define MANIFEST_BYTES_MAX ((size_t)2 << 30)

struct manifest_head {
    uint32_t incarnation; /* of the process that wrote it */
    bool clean;           /* the last thing that it did: the journal holds nothing newer */
    uint64_t sequence;    /* groups up to here are in the logs */
    uint32_t file;        /* where group sequence + 1 goes if it goes into the same journal file */
    uint64_t at;
    uint32_t logs;
};

struct manifest_log {
    struct store_log_id id;
    struct plog_state state;
    int64_t snapshot_from; /* batches from this offset on are not in the snapshot */
    struct slice snapshot; /* no reference of its own */
};

/* One log's entry; the caller owns the slice's reference. */
struct slice manifest_log_encode(const struct manifest_log *log);
/* The id alone, cheaply. */
void manifest_log_id(struct slice entry, struct store_log_id *out);
/* ERR_CORRUPT: not an entry. snapshot points into entry; the state's arrays are out's own until
 * manifest_log_free. */
enum err must_use manifest_log_decode(struct slice entry, struct manifest_log *out);
void manifest_log_free(struct manifest_log *log);

/* Durable when it returns. head->logs is the number of entries. */
enum err must_use manifest_write(struct disk *disk, const char *dir,
                                 const struct manifest_head *head, const struct slice *entries);

typedef void manifest_entry_fn(void *arg, struct slice entry);
/* Calls fn with each entry (without a reference: slice_ref keeps it). ERR_NOT_FOUND: there is no
 * manifest. ERR_CORRUPT: it is damaged (text says so), and fn was not called. */
enum err must_use manifest_read(struct disk *disk, const char *dir, struct manifest_head *head,
                                manifest_entry_fn *fn, void *arg, struct err_text *text);
