/* journal_scan.h: reads a journal back: which groups follow the manifest, and where the chain ends.
 *
 * The chain begins behind the manifest's sequence S and holds S+1, S+2, ... of one incarnation,
 * each whole: head and frame heads match the group's CRC, every payload its frame and its own CRC,
 * every reference the bytes in its segment. A group follows its predecessor in the same file, or
 * begins another one. What lies behind the chain's end is searched for the heads of later groups;
 * the highest durable sequence that one of them names is D (R2).
 *
 * Used by recovery and by fsck; reads only. Single thread.
 */
#pragma once

#include "io/disk.h"
#include "store/journal_format.h"
#include "store/manifest.h"

struct journal_scan_group {
    uint32_t file; /* its number */
    uint64_t at;
    struct journal_group_head head;
};

struct journal_scan_file {
    uint32_t number;
    uint64_t size;
    struct disk_file *file;
    bool begun; /* head is valid */
    bool blank; /* never begun: the first block is zeros */
    struct journal_file_head head;
};

struct journal_scan {
    struct disk *disk;
    const char *dir;
    struct journal_scan_file *files;
    size_t file_count, file_cap;
    struct journal_scan_group *groups; /* the chain */
    size_t count, cap;
    uint64_t last;      /* sequence of the chain's last group; S when it is empty */
    uint64_t durable;   /* D; 0: nobody names one */
    uint64_t later;     /* groups found behind the chain's end, whole heads */
    uint64_t cut_bytes; /* that these and the broken one take */
    /* Where the group that ends the chain should be, for messages. */
    uint32_t end_file;
    uint64_t end_at;
};

/* Finds the chain and D. ERR_IO, ERR_MEMORY; a broken journal is not an error here: compare last
 * with durable. */
enum err must_use journal_scan_make(struct journal_scan *scan, struct disk *disk, const char *dir,
                                    const struct manifest_head *from);
void journal_scan_free(struct journal_scan *scan);
/* Ends the chain before groups[count]. */
void journal_scan_cut(struct journal_scan *scan, size_t count);
/* The batch that a reference means lies in its segment, unchanged. ERR_NOT_FOUND: it does not. The
 * caller unrefs *out. */
enum err must_use journal_scan_refer(const struct journal_scan *scan,
                                     const struct journal_frame *frame, struct buf **out);
/* Reads a group of the chain whole; the caller unrefs *out. */
enum err must_use journal_scan_read(const struct journal_scan *scan,
                                    const struct journal_scan_group *group, struct buf **out);
