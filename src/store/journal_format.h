/* journal_format.h: the bytes of a journal file. FORMAT.md has the drawing and the reasoning.
 *
 *     file   = file head (one block) group*
 *     group  = group head, frame heads, payloads, zeros up to the next block
 *
 * All integers are big-endian. A block is 4096 bytes, so that no write touches a page, or a
 * device's sector, that holds what an earlier sync made durable. The CRC in a group's head covers
 * the rest of the head and all frame heads; a frame's head_crc covers the 21 bytes of its batch
 * that Kafka's own CRC leaves out, Kafka's CRC the others.
 *
 * Pure functions; any thread.
 */
#pragma once

#include "base/err.h"
#include "broker/store.h"
#include "store/plog.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_BLOCK 4096u
#define JOURNAL_FILE_HEAD_BYTES 40u
#define JOURNAL_GROUP_HEAD_BYTES 64u
#define JOURNAL_FRAME_BYTES 80u
/* A group is never larger: what a loop turn may gather is bounded far below. */
#define JOURNAL_GROUP_BYTES_MAX ((uint64_t)1 << 30)

/* The first block of a file that was begun; written together with its first group. */
struct journal_file_head {
    uint32_t number;      /* the file's own, as in its name */
    uint32_t incarnation; /* of the process that began it */
    uint64_t salt;        /* drawn at random by each process, in each of its groups too */
    uint64_t first;       /* sequence of the first group */
};

struct journal_group_head {
    uint32_t incarnation;
    uint32_t frames;
    uint64_t sequence;
    uint64_t durable; /* highest sequence known durable when this was written (R2) */
    uint64_t bytes;   /* on disk: heads, payloads and the zeros behind them */
    uint64_t salt;
};

enum journal_kind {
    JOURNAL_PAYLOAD = 1,   /* a batch, carried in the group */
    JOURNAL_REFERENCE = 2, /* a batch that lies, synced, in its segment */
    JOURNAL_START = 3,     /* offset: the log's new start; may carry the owner's snapshot */
    JOURNAL_CREATE = 4,
    JOURNAL_DELETE = 5,
};

struct journal_frame {
    enum journal_kind kind;
    struct store_log_id id;
    struct plog_place place; /* batches: where they lie in the log */
    int64_t offset;          /* base offset, or the log's new start */
    int64_t next_offset;     /* behind the batch; START: what the snapshot knows ends here */
    int64_t append_ms;
    uint32_t bytes;     /* of the batch or snapshot */
    uint32_t head_crc;  /* CRC-32C of the batch's bytes 0..20 */
    uint32_t batch_crc; /* the batch's own CRC field; START: CRC-32C of the snapshot */
};

void journal_file_head_put(void *p, const struct journal_file_head *head);
/* False: not a file head, or a damaged one. */
bool journal_file_head_get(const void *p, struct journal_file_head *out);

void journal_frame_put(void *p, const struct journal_frame *frame);
/* False: a kind or length that no frame has. */
bool journal_frame_get(const void *p, struct journal_frame *out);

/* p: the 64 bytes of the head, with the frame heads behind it already in place. */
void journal_group_head_put(void *p, const struct journal_group_head *head);
/* The head's plain fields; false: no head's magic, or sizes that cannot be. Not yet the CRC. */
bool journal_group_head_get(const void *p, struct journal_group_head *out);
/* Head and frame heads, all at p, match the CRC. */
bool journal_group_crc_ok(const void *p, const struct journal_group_head *head);

static inline uint64_t journal_heads_bytes(uint32_t frames)
{
    return JOURNAL_GROUP_HEAD_BYTES + (uint64_t)frames * JOURNAL_FRAME_BYTES;
}

static inline uint64_t journal_pad(uint64_t bytes)
{
    return (bytes + JOURNAL_BLOCK - 1) & ~(uint64_t)(JOURNAL_BLOCK - 1);
}

/* The payload bytes that follow the heads for this frame. */
static inline uint32_t journal_frame_payload(const struct journal_frame *frame)
{
    return frame->kind == JOURNAL_REFERENCE ? 0 : frame->bytes;
}

/* A valid group's frames and payloads, walked in order over bytes in memory. */
struct journal_walk {
    const uint8_t *heads, *payload, *end;
    uint32_t left;
};

void journal_walk_init(struct journal_walk *walk, const void *group,
                       const struct journal_group_head *head);
/* False at the end, or with walk->left > 0 at a frame that is damaged. payload: the bytes of the
 * batch or snapshot, inside of the group, checked against the frame's CRCs; NULL: there are
 * none. */
bool journal_walk_next(struct journal_walk *walk, struct journal_frame *frame,
                       const uint8_t **payload);

/* The batch's bytes, all there, are the ones that the frame was made for. */
bool journal_frame_matches(const struct journal_frame *frame, const void *batch);
