/* plog_records.h: the records of one stored batch, decompressed.
 *
 * For the few reads that look into batches (by time). Any thread that may read the file.
 */
#pragma once

#include "base/batch.h"
#include "io/disk.h"

/* A batch that is larger when decompressed is not looked into. */
#define PLOG_RECORDS_BYTES_MAX (64u << 20)

struct plog_records {
    struct record_iter iter;
    struct buf *buf;
};

/* Reads the batch at `at` of a .log file. ERR_COMPRESSION: its records cannot be decompressed, or
 * would be too large. ERR_CORRUPT: fewer bytes than head says. Close it whatever is returned. */
enum err must_use plog_records_open(struct plog_records *r, struct disk_file *file, uint32_t at,
                                    const struct batch_head *head);
void plog_records_close(struct plog_records *r);
/* Raises *newest to the largest timestamp of the batch's records with offsets in [from, limit);
 * that of the whole batch when it cannot be looked into. */
enum err must_use plog_records_newest(struct disk_file *file, uint32_t at,
                                      const struct batch_head *head, int64_t from, int64_t limit,
                                      int64_t *newest);
