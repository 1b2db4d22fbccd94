/* journal.h: the journal's files: where the next group goes, writing it, syncing, recycling.
 *
 * Files are zero-filled when they are made, so that a sync in the path of an acknowledgement
 * changes no metadata, and are used again and again: a file whose groups the manifest covers
 * becomes a spare. One small file at first; a larger spare is made in the background whenever the
 * current file is half full and none is left. One group is written at a time: place, run, ran.
 *
 * Owner: the writer's reactor (commit.c), except journal_run, which may run on a helper thread
 * between place and ran. Limits: struct journal_conf.
 *
 * Errors: a failed journal_run is the end of the process's promises: the caller stops in order and
 * never calls it again (the kernel may have dropped what it could not write).
 */
#pragma once

#include "base/list.h"
#include "io/disk.h"
#include "io/loop.h"
#include "store/journal_format.h"

struct journal_conf {
    struct disk *disk;
    const char *dir;        /* the data folder */
    uint64_t first_bytes;   /* size of the first file */
    uint64_t file_bytes;    /* files do not grow beyond this, unless one group needs it */
    uint64_t total_bytes;   /* of all files; more only while a group that waits has no other room */
    uint64_t reserve_bytes; /* of the disk that files made in advance leave alone */
    uint32_t incarnation;
    uint64_t salt;
    uint64_t next_sequence;
};

struct journal_file {
    struct list link;
    struct disk_file *file;
    uint32_t number;
    uint64_t size;
    uint64_t last; /* sequence of its last group */
};

struct journal_grow {
    struct loop_job job;
    uint64_t size, least;
    bool in_advance;
    struct journal_file *file;
    enum err err;
};

struct journal {
    struct journal_conf conf;
    struct journal_file *current; /* NULL: the next group begins one */
    uint64_t at;                  /* in current: where the next group goes */
    struct list spare, full;
    uint64_t total; /* bytes of all files */
    uint64_t next, durable;
    bool unsynced; /* current holds groups that no sync covers yet */
    uint32_t next_number;
    bool growing;
    struct journal_grow grow;
    enum err grow_err; /* how the last attempt ended */
    bool declined;     /* a file in advance would take the disk's reserve: not before a recycling */
    void (*grown)(struct journal *j);
    uint8_t file_head[JOURNAL_BLOCK];
};

/* What is to be written: filled by place, but for iov. */
struct journal_write {
    struct disk_file *file;
    struct disk_file *sync_first; /* the former file, if a part of it is unsynced; else NULL */
    uint64_t at;
    uint64_t bytes; /* of the group, 0: only a sync */
    uint64_t sequence;
    bool begins_file; /* iov[0] must be the file's head */
    bool sync;
    struct iovec *iov;
    unsigned count;
};

/* All files found become spares: what they hold is covered by the manifest. Makes the first file if
 * there is none. */
enum err must_use journal_open(struct journal *j, const struct journal_conf *conf);
void journal_close(struct journal *j);

/* A group of so many bytes (padded) has a place without a new file. */
bool journal_room(const struct journal *j, uint64_t bytes);
/* Bytes that groups take up, which a checkpoint would free. */
uint64_t journal_used(const struct journal *j);
/* Makes a spare on a helper thread, large enough for a group of `need` bytes; grown is called
 * afterwards. in_advance: within total_bytes only; else a group waits for it. False: one is being
 * made already, the limit is reached, or the last attempt failed for a size that is no larger. */
bool journal_grow_start(struct journal *j, struct loop *loop, uint64_t need, bool in_advance);

/* Gives the next group its place and sequence; journal_room has said yes. bytes 0: only a sync. */
void journal_place(struct journal *j, uint64_t bytes, bool sync, struct journal_write *out);
/* Any thread. */
enum err must_use journal_run(struct journal *j, const struct journal_write *w);
void journal_ran(struct journal *j, const struct journal_write *w);

/* Groups up to `sequence` are durable in their logs and in a manifest. idle: no group is being
 * written. */
void journal_recycle(struct journal *j, uint64_t sequence, bool idle);
