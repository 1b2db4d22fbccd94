/* fsck.h: verifies a data folder that no process serves: meta, manifest, journal, every batch of
 * every log with its indexes and sidecars. It reads only, and repairs nothing: a start does that.
 *
 * A finding is either a fault, something that a start would refuse or that lost what was
 * acknowledged, or a note: what an unclean end leaves behind and the next start puts in order.
 */
#pragma once

#include "base/err.h"
#include "io/disk.h"

#include <stdbool.h>
#include <stdint.h>

struct fsck_totals {
    uint32_t incarnation;
    bool clean; /* the last process ended in order */
    uint64_t logs;
    uint64_t batches, bytes; /* in the logs, below what the manifest covers */
    uint64_t groups;         /* in the journal, not yet in the manifest */
    uint64_t group_batches;
    uint64_t cut_bytes; /* behind the last whole group: never acknowledged */
    uint64_t faults, notes;
};

typedef void fsck_line_fn(void *arg, bool fault, const char *line);

/* ERR_OK: all was read, whatever was found. ERR_NOT_FOUND: no data folder; ERR_LOCKED: a process
 * serves it; ERR_FORMAT_NEWER; ERR_IO; with text. */
enum err must_use fsck_run(struct disk *disk, const char *dir, fsck_line_fn *line, void *arg,
                           struct fsck_totals *totals, struct err_text *text);
