/* segment.h: one segment of a log: its files' names, what is known of it, a walk over its batches.
 *
 * A segment is named by its base offset. It is sealed (never changes again) or the last one of its
 * log, to which a struct segment_writer (segment_writer.h) appends. The log's reactor owns it.
 */
#pragma once

#include "base/batch.h"
#include "store/index.h"
#include "store/plog_files.h"

/* A position in a .log file must fit Kafka's index entries. */
#define SEGMENT_BYTES_MAX INT32_MAX

#define SEGMENT_PATH_MAX 4096

enum segment_file { SEGMENT_LOG, SEGMENT_INDEX, SEGMENT_TIMEINDEX, SEGMENT_SIDECAR };
#define SEGMENT_FILES 4

struct segment {
    int64_t base;
    uint32_t bytes;        /* of whole batches in the .log file */
    uint32_t synced_bytes; /* of these, that a sync has covered */
    int64_t max_timestamp; /* -1: none known */
    /* Bytes of the entries files that belong to the batches, and their CRCs: of a sealed segment,
     * and of the last one while no writer is loaded. 0 bytes with a CRC: as long as the file. */
    struct index_mark entries[SEGMENT_FILES]; /* SEGMENT_LOG: not used */
    struct plog_fd *fd[SEGMENT_FILES];
    bool trusted;          /* its indexes were written here, or compared with their CRCs */
    bool max_known;        /* max_timestamp holds for the last segment without a writer too */
    bool entries_unsynced; /* its entries files changed since the last checkpoint's begin */
};

/* "dir/00000000000000000042.index"; suffix is "" or ".deleted". */
void segment_path(char out[SEGMENT_PATH_MAX], const char *dir, int64_t base,
                  enum segment_file which, const char *suffix);
/* False: not a segment's file. *deleted: the name ends in ".deleted". */
bool segment_name_parse(const char *name, int64_t *base, enum segment_file *which, bool *deleted);

/* Walks the batches of a .log file from a position on. The window makes one read serve several
 * small batches. */
struct segment_walk {
    struct disk_file *file;
    uint32_t at, end; /* the next batch; bytes that count */
    uint32_t window_at, window_len;
    uint32_t want; /* how much the next read takes */
    uint8_t window[8192];
};

void segment_walk_init(struct segment_walk *w, struct disk_file *file, uint32_t at, uint32_t end);
/* The next batch's head, its position and, if raw is not NULL, its first 61 bytes (valid until the
 * next call). ERR_NOT_FOUND: the end. ERR_CORRUPT: no batch there, or one that passes the end. */
enum err must_use segment_walk_next(struct segment_walk *w, struct batch_head *head, uint32_t *at,
                                    const uint8_t **raw);
