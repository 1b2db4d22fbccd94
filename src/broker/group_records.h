/* group_records.h: the records of __consumer_offsets in Kafka's binary format.
 *
 *     key    version 0, 1: group, topic, partition          an offset (OffsetCommitKey)
 *            version 2:    group                            a group (GroupMetadataKey)
 *     value  OffsetCommitValue 0-4, of which 3 is written (1 for one that carries its own expiry);
 *            GroupMetadataValue 0-4, of which 3 is written
 *
 * Both begin with their version as int16; versions 4 are flexible (KIP-482). Source: the message
 * definitions of Kafka's group coordinator. Pure; strings are borrowed from the bytes that are
 * read.
 */
#pragma once

#include "base/cursor.h"
#include "base/str.h"
#include "base/uuid.h"

enum group_record { GROUP_RECORD_OFFSET, GROUP_RECORD_GROUP };

struct group_record_key {
    enum group_record what;
    struct str group, topic;
    int32_t partition;
};

/* False: another kind of record, or bytes that are none. */
bool group_record_key_read(struct str bytes, struct group_record_key *out);
void group_record_key_write(struct wr *w, const struct group_record_key *key);

struct group_record_offset {
    int64_t offset;
    int32_t leader_epoch; /* -1: not known */
    struct str metadata;
    int64_t commit_ms;
    int64_t expire_ms;    /* -1: by the broker's retention */
    struct uuid topic_id; /* zero: not told */
};

bool group_record_offset_read(struct str bytes, struct group_record_offset *out);
void group_record_offset_write(struct wr *w, const struct group_record_offset *value);

struct group_record_member {
    struct str id, instance_id /* at NULL: dynamic */, client_id, client_host;
    int32_t rebalance_ms, session_ms;
    struct str subscription, assignment;
};

struct group_record_group {
    struct str protocol_type;
    int32_t generation;
    struct str protocol, leader; /* at NULL: none */
    int64_t state_ms;            /* -1: not known */
    int32_t members_n;
};

/* Reads the head, then each member by group_record_member_read with the same reader and version. */
bool group_record_group_read(struct rd *r, int16_t *version, struct group_record_group *out);
bool group_record_member_read(struct rd *r, int16_t version, struct group_record_member *out);
/* The head; members_n members must follow. */
void group_record_group_write(struct wr *w, const struct group_record_group *value);
void group_record_member_write(struct wr *w, const struct group_record_member *member);
