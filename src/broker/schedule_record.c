#include "broker/schedule.h"

#define RECORD_VERSION 1

static void write_str(struct wr *w, struct str s)
{
    wr_uvarint(w, s.at != NULL ? (uint32_t)s.len + 1 : 0);
    if (s.at != NULL)
        wr_bytes(w, s.at, s.len);
}

static struct str read_str(struct rd *rd)
{
    uint32_t n = rd_uvarint(rd);
    if (n == 0)
        return (struct str){NULL, 0};
    const uint8_t *at = rd_bytes(rd, n - 1);
    return (struct str){(const char *)at, at != NULL ? n - 1 : 0};
}

void schedule_record_write(struct wr *w, const struct schedule_record *r)
{
    wr_u8(w, RECORD_VERSION);
    wr_bytes(w, r->topic.b, sizeof(r->topic.b));
    wr_uvarint(w, (uint32_t)r->partition);
    wr_varlong(w, r->due_ms);
    wr_varlong(w, r->record.timestamp);
    write_str(w, r->message_id);
    write_str(w, r->record.key);
    write_str(w, r->record.value);
    wr_uvarint(w, (uint32_t)r->record.headers_n);
    for (size_t i = 0; i < r->record.headers_n; i++) {
        write_str(w, r->record.headers[i].key);
        write_str(w, r->record.headers[i].value);
    }
}

static bool read_headers(struct rd *rd, struct arena *memory, struct publish_record *out)
{
    uint32_t n = rd_uvarint(rd);
    if (rd->bad || n > PUBLISH_HEADERS_MAX)
        return false;
    struct record_header *headers = arena_zalloc(memory, n > 0 ? n : 1, sizeof(*headers));
    for (uint32_t i = 0; i < n && headers != NULL; i++)
        headers[i] = (struct record_header){.key = read_str(rd), .value = read_str(rd)};
    out->headers = headers;
    out->headers_n = n;
    return headers != NULL;
}

bool schedule_record_read(struct str value, struct arena *memory, struct schedule_record *out)
{
    struct rd rd;
    rd_init(&rd, value.at, value.len);
    uint8_t version = rd_u8(&rd);
    const uint8_t *topic = rd_bytes(&rd, sizeof(out->topic.b));
    if (topic == NULL || version != RECORD_VERSION)
        return false;
    *out = (struct schedule_record){0};
    for (size_t i = 0; i < sizeof(out->topic.b); i++)
        out->topic.b[i] = topic[i];
    uint32_t partition = rd_uvarint(&rd);
    out->due_ms = rd_varlong(&rd);
    out->record.timestamp = rd_varlong(&rd);
    out->message_id = read_str(&rd);
    out->record.key = read_str(&rd);
    out->record.value = read_str(&rd);
    out->partition = (int32_t)partition;
    return partition <= INT32_MAX && read_headers(&rd, memory, &out->record) && !rd.bad &&
           rd_left(&rd) == 0;
}
