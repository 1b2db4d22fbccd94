#include "front/http/start.h"

#include "base/when.h"

static enum err read_offset(struct str value, struct start *out, struct err_text *text)
{
    int64_t n;
    if (str_is(value, "earliest") || str_is(value, "latest")) {
        out->timestamp = str_is(value, "earliest") ? LIST_EARLIEST : LIST_LATEST;
        return ERR_OK;
    }
    if (str_to_i64(value, &n) || n < 0)
        return err_say(text, ERR_REQUEST_INVALID,
                       "offset must be earliest, latest or a number, got \"%.*s\"",
                       (int)(value.len < 40 ? value.len : 40), value.at);
    if (out->partition < 0)
        return err_say(text, ERR_REQUEST_INVALID,
                       "an offset is one of a partition: say which, with partition=");
    out->one = (struct place){out->partition, n};
    out->places = &out->one;
    out->places_n = 1;
    return ERR_OK;
}

static enum err read_time(struct str value, struct start *out, struct err_text *text)
{
    if (when_datetime(value, &out->timestamp) && out->timestamp >= 0)
        return ERR_OK;
    return err_say(text, ERR_REQUEST_INVALID,
                   "time must be like 2026-01-31T23:59:59Z (RFC 3339), got \"%.*s\"",
                   (int)(value.len < 40 ? value.len : 40), value.at);
}

/* A cursor says which partitions: of one that was made for a single one it must be the same. */
static enum err read_cursor(struct http_request *rq, const struct topic *t, struct str cursor,
                            struct start *out, struct err_text *text)
{
    enum err err =
        places_read(cursor, &t->id, &rq->arena, &out->places, &out->places_n, &out->next, text);
    if (err)
        return err;
    if (out->partition >= 0 && (out->places_n != 1 || out->places->partition != out->partition))
        return err_say(text, ERR_REQUEST_INVALID, "the cursor is not of partition %d",
                       out->partition);
    return ERR_OK;
}

enum err start_read(struct http_request *rq, const struct topic *t, struct str cursor, int64_t dflt,
                    struct start *out, struct err_text *text)
{
    struct str offset = http_query(rq, "offset"), time = http_query(rq, "time");
    int64_t partition = -1;
    *out = (struct start){.timestamp = dflt};
    enum err err = http_query_int(rq, "partition", 0, INT32_MAX, &partition, text);
    if (err)
        return err;
    out->partition = (int32_t)partition;
    if (cursor.len)
        return read_cursor(rq, t, cursor, out, text);
    if (offset.at && time.at)
        return err_say(text, ERR_REQUEST_INVALID, "offset and time cannot both say where to begin");
    if (offset.at)
        return read_offset(offset, out, text);
    if (time.at)
        return read_time(time, out, text);
    return ERR_OK;
}

void start_go(const struct start *start, struct reader *r)
{
    if (start->places)
        reader_start_at(r, start->places, start->places_n, start->next);
    else
        reader_start(r, start->timestamp);
}
