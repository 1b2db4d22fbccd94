#include "store/journal_format.h"

#include "base/crc32c.h"
#include "base/cursor.h"

#include <string.h>

#define FILE_MAGIC 0x574a4631u  /* "WJF1" */
#define GROUP_MAGIC 0x574a4731u /* "WJG1" */
#define CRC_FROM 8              /* magic and CRC come first in both heads */

void journal_file_head_put(void *p, const struct journal_file_head *head)
{
    uint8_t *b = p;
    memset(b, 0, JOURNAL_FILE_HEAD_BYTES);
    be32_put(b, FILE_MAGIC);
    be32_put(b + 8, head->number);
    be32_put(b + 12, head->incarnation);
    be64_put(b + 16, head->salt);
    be64_put(b + 24, head->first);
    be32_put(b + 4, crc32c(0, b + CRC_FROM, JOURNAL_FILE_HEAD_BYTES - CRC_FROM));
}

bool journal_file_head_get(const void *p, struct journal_file_head *out)
{
    const uint8_t *b = p;
    if (be32_get(b) != FILE_MAGIC ||
        be32_get(b + 4) != crc32c(0, b + CRC_FROM, JOURNAL_FILE_HEAD_BYTES - CRC_FROM))
        return false;
    out->number = be32_get(b + 8);
    out->incarnation = be32_get(b + 12);
    out->salt = be64_get(b + 16);
    out->first = be64_get(b + 24);
    return true;
}

void journal_frame_put(void *p, const struct journal_frame *frame)
{
    uint8_t *b = p;
    memset(b, 0, JOURNAL_FRAME_BYTES);
    b[0] = (uint8_t)frame->kind;
    be32_put(b + 4, frame->bytes);
    memcpy(b + 8, frame->id.topic.b, 16);
    be32_put(b + 24, frame->id.partition);
    be32_put(b + 28, frame->place.at);
    be64_put(b + 32, (uint64_t)frame->place.segment);
    be64_put(b + 40, (uint64_t)frame->offset);
    be64_put(b + 48, (uint64_t)frame->next_offset);
    be64_put(b + 56, (uint64_t)frame->append_ms);
    be32_put(b + 64, frame->head_crc);
    be32_put(b + 68, frame->batch_crc);
}

bool journal_frame_get(const void *p, struct journal_frame *out)
{
    const uint8_t *b = p;
    out->kind = (enum journal_kind)b[0];
    out->bytes = be32_get(b + 4);
    memcpy(out->id.topic.b, b + 8, 16);
    out->id.partition = be32_get(b + 24);
    out->place.at = be32_get(b + 28);
    out->place.segment = (int64_t)be64_get(b + 32);
    out->offset = (int64_t)be64_get(b + 40);
    out->next_offset = (int64_t)be64_get(b + 48);
    out->append_ms = (int64_t)be64_get(b + 56);
    out->head_crc = be32_get(b + 64);
    out->batch_crc = be32_get(b + 68);
    bool batch = out->kind == JOURNAL_PAYLOAD || out->kind == JOURNAL_REFERENCE;
    if (batch)
        return out->bytes >= BATCH_HEAD_BYTES && out->place.segment >= 0 && out->offset >= 0 &&
               out->next_offset > out->offset;
    return out->kind >= JOURNAL_START && out->kind <= JOURNAL_DELETE && out->offset >= 0 &&
           (out->bytes == 0 || out->kind == JOURNAL_START);
}

static uint32_t heads_crc(const uint8_t *b, uint32_t frames)
{
    return crc32c(0, b + CRC_FROM, journal_heads_bytes(frames) - CRC_FROM);
}

void journal_group_head_put(void *p, const struct journal_group_head *head)
{
    uint8_t *b = p;
    memset(b, 0, JOURNAL_GROUP_HEAD_BYTES);
    be32_put(b, GROUP_MAGIC);
    be32_put(b + 8, head->incarnation);
    be32_put(b + 12, head->frames);
    be64_put(b + 16, head->sequence);
    be64_put(b + 24, head->durable);
    be64_put(b + 32, head->bytes);
    be64_put(b + 40, head->salt);
    be32_put(b + 4, heads_crc(b, head->frames));
}

bool journal_group_head_get(const void *p, struct journal_group_head *out)
{
    const uint8_t *b = p;
    out->incarnation = be32_get(b + 8);
    out->frames = be32_get(b + 12);
    out->sequence = be64_get(b + 16);
    out->durable = be64_get(b + 24);
    out->bytes = be64_get(b + 32);
    out->salt = be64_get(b + 40);
    return be32_get(b) == GROUP_MAGIC && out->frames > 0 && out->durable < out->sequence &&
           out->bytes <= JOURNAL_GROUP_BYTES_MAX && out->bytes % JOURNAL_BLOCK == 0 &&
           journal_heads_bytes(out->frames) <= out->bytes;
}

bool journal_group_crc_ok(const void *p, const struct journal_group_head *head)
{
#ifdef FAULT_no_frame_crc
    (void)p;
    (void)head;
    return true;
#else
    return be32_get((const uint8_t *)p + 4) == heads_crc(p, head->frames);
#endif
}

void journal_walk_init(struct journal_walk *walk, const void *group,
                       const struct journal_group_head *head)
{
    const uint8_t *b = group;
    walk->heads = b + JOURNAL_GROUP_HEAD_BYTES;
    walk->payload = b + journal_heads_bytes(head->frames);
    walk->end = b + head->bytes;
    walk->left = head->frames;
}

static bool payload_ok(const struct journal_frame *frame, const uint8_t *payload)
{
    if (frame->kind == JOURNAL_PAYLOAD)
        return journal_frame_matches(frame, payload);
    return crc32c(0, payload, frame->bytes) == frame->batch_crc;
}

bool journal_walk_next(struct journal_walk *walk, struct journal_frame *frame,
                       const uint8_t **payload)
{
    *payload = NULL;
    if (walk->left == 0 || !journal_frame_get(walk->heads, frame))
        return false;
    uint32_t bytes = journal_frame_payload(frame);
    if (bytes > 0) {
        if (bytes > (uint64_t)(walk->end - walk->payload) || !payload_ok(frame, walk->payload))
            return false;
        *payload = walk->payload;
        walk->payload += bytes;
    }
    walk->heads += JOURNAL_FRAME_BYTES;
    walk->left--;
    return true;
}

bool journal_frame_matches(const struct journal_frame *frame, const void *batch)
{
#ifdef FAULT_no_frame_crc
    (void)frame;
    (void)batch;
    return true;
#else
    struct batch_head head;
    return crc32c(0, batch, BATCH_CRC_FROM) == frame->head_crc &&
           batch_head_read(batch, frame->bytes, &head) == ERR_OK && head.bytes == frame->bytes &&
           head.crc == frame->batch_crc && batch_crc_ok(batch, &head);
#endif
}
