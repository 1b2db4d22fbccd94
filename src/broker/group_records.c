#include "broker/group_records.h"

#include "base/assert.h"

#include <string.h>

#define KEY_OFFSET 1
#define KEY_GROUP 2
#define VALUE_FLEXIBLE 4
#define OFFSET_VALUE 3
#define OFFSET_VALUE_EXPIRING 1 /* the only version with a place for it */
#define GROUP_VALUE 3
#define TAG_TOPIC_ID 0

/* ---- strings -----------------------------------------------------------------------------------
 */

static struct str get(struct rd *r, int64_t len)
{
    if (len < 0)
        return (struct str){NULL, 0};
    const uint8_t *p = rd_bytes(r, (size_t)len);
    return (struct str){(const char *)p, p != NULL ? (size_t)len : 0};
}

static struct str get_str(struct rd *r, bool flexible)
{
    return get(r, flexible ? (int64_t)rd_uvarint(r) - 1 : rd_i16(r));
}

static struct str get_bytes(struct rd *r, bool flexible)
{
    return get(r, flexible ? (int64_t)rd_uvarint(r) - 1 : rd_i32(r));
}

static void put_str(struct wr *w, struct str s, bool nullable)
{
    weir_assert(s.len <= INT16_MAX);
    wr_i16(w, s.at == NULL && nullable ? -1 : (int16_t)s.len);
    wr_bytes(w, s.at, s.len);
}

static void put_bytes(struct wr *w, struct str s)
{
    weir_assert(s.len <= INT32_MAX);
    wr_i32(w, (int32_t)s.len);
    wr_bytes(w, s.at, s.len);
}

static void skip_tags(struct rd *r)
{
    for (uint32_t n = rd_uvarint(r); n > 0 && !r->bad; n--) {
        (void)rd_uvarint(r);
        rd_skip(r, rd_uvarint(r));
    }
}

/* ---- keys --------------------------------------------------------------------------------------
 */

bool group_record_key_read(struct str bytes, struct group_record_key *out)
{
    struct rd r;
    rd_init(&r, bytes.at, bytes.len);
    int16_t version = rd_i16(&r);
    if (version < 0 || version > KEY_GROUP)
        return false;
    *out = (struct group_record_key){
        .what = version == KEY_GROUP ? GROUP_RECORD_GROUP : GROUP_RECORD_OFFSET,
        .group = get_str(&r, false),
    };
    if (out->what == GROUP_RECORD_OFFSET) {
        out->topic = get_str(&r, false);
        out->partition = rd_i32(&r);
    }
    return !r.bad && rd_left(&r) == 0;
}

void group_record_key_write(struct wr *w, const struct group_record_key *key)
{
    wr_i16(w, key->what == GROUP_RECORD_GROUP ? KEY_GROUP : KEY_OFFSET);
    put_str(w, key->group, false);
    if (key->what == GROUP_RECORD_OFFSET) {
        put_str(w, key->topic, false);
        wr_i32(w, key->partition);
    }
}

/* ---- offsets -----------------------------------------------------------------------------------
 */

/* The topic's id is the only tagged field. */
static void offset_tags_read(struct rd *r, struct group_record_offset *out)
{
    for (uint32_t n = rd_uvarint(r); n > 0 && !r->bad; n--) {
        uint32_t tag = rd_uvarint(r), len = rd_uvarint(r);
        const uint8_t *p = rd_bytes(r, len);
        if (p != NULL && tag == TAG_TOPIC_ID && len == sizeof(out->topic_id))
            memcpy(&out->topic_id, p, sizeof(out->topic_id));
    }
}

bool group_record_offset_read(struct str bytes, struct group_record_offset *out)
{
    struct rd r;
    rd_init(&r, bytes.at, bytes.len);
    int16_t version = rd_i16(&r);
    if (version < 0 || version > VALUE_FLEXIBLE)
        return false;
    *out = (struct group_record_offset){.leader_epoch = -1, .expire_ms = -1};
    out->offset = rd_i64(&r);
    if (version >= 3)
        out->leader_epoch = rd_i32(&r);
    out->metadata = get_str(&r, version >= VALUE_FLEXIBLE);
    out->commit_ms = rd_i64(&r);
    if (version == OFFSET_VALUE_EXPIRING)
        out->expire_ms = rd_i64(&r);
    if (version >= VALUE_FLEXIBLE)
        offset_tags_read(&r, out);
    return !r.bad && rd_left(&r) == 0;
}

void group_record_offset_write(struct wr *w, const struct group_record_offset *value)
{
    bool expiring = value->expire_ms >= 0;
    wr_i16(w, expiring ? OFFSET_VALUE_EXPIRING : OFFSET_VALUE);
    wr_i64(w, value->offset);
    if (!expiring)
        wr_i32(w, value->leader_epoch);
    put_str(w, value->metadata, false);
    wr_i64(w, value->commit_ms);
    if (expiring)
        wr_i64(w, value->expire_ms);
}

/* ---- groups ------------------------------------------------------------------------------------
 */

bool group_record_group_read(struct rd *r, int16_t *version, struct group_record_group *out)
{
    *version = rd_i16(r);
    bool flexible = *version >= VALUE_FLEXIBLE;
    if (*version < 0 || *version > VALUE_FLEXIBLE)
        return false;
    out->protocol_type = get_str(r, flexible);
    out->generation = rd_i32(r);
    out->protocol = get_str(r, flexible);
    out->leader = get_str(r, flexible);
    out->state_ms = *version >= 2 ? rd_i64(r) : -1;
    out->members_n = flexible ? (int32_t)rd_uvarint(r) - 1 : rd_i32(r);
    return !r->bad && out->members_n >= 0;
}

bool group_record_member_read(struct rd *r, int16_t version, struct group_record_member *out)
{
    bool flexible = version >= VALUE_FLEXIBLE;
    *out = (struct group_record_member){.rebalance_ms = -1};
    out->id = get_str(r, flexible);
    if (version >= 3)
        out->instance_id = get_str(r, flexible);
    out->client_id = get_str(r, flexible);
    out->client_host = get_str(r, flexible);
    if (version >= 1)
        out->rebalance_ms = rd_i32(r);
    out->session_ms = rd_i32(r);
    if (out->rebalance_ms < 0)
        out->rebalance_ms = out->session_ms;
    out->subscription = get_bytes(r, flexible);
    out->assignment = get_bytes(r, flexible);
    if (flexible)
        skip_tags(r);
    return !r->bad;
}

void group_record_group_write(struct wr *w, const struct group_record_group *value)
{
    wr_i16(w, GROUP_VALUE);
    put_str(w, value->protocol_type, false);
    wr_i32(w, value->generation);
    put_str(w, value->protocol, true);
    put_str(w, value->leader, true);
    wr_i64(w, value->state_ms);
    wr_i32(w, value->members_n);
}

void group_record_member_write(struct wr *w, const struct group_record_member *member)
{
    put_str(w, member->id, false);
    put_str(w, member->instance_id, true);
    put_str(w, member->client_id, false);
    put_str(w, member->client_host, false);
    wr_i32(w, member->rebalance_ms);
    wr_i32(w, member->session_ms);
    put_bytes(w, member->subscription);
    put_bytes(w, member->assignment);
}
