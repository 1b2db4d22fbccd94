/* start.h: where a request wants to begin to read: partition, offset, time, cursor. Inside of
 * front/http only. */
#pragma once

#include "front/http/reader.h"

struct start {
    int32_t partition; /* -1: all */
    int64_t timestamp; /* LIST_EARLIEST, LIST_LATEST or a time; if there are no places */
    struct place *places;
    size_t places_n;
    uint32_t next;
    struct place one; /* of ?offset=N */
};

/* Reads them from the query; cursor is what ?cursor= or Last-Event-ID says (at NULL: nothing);
 * dflt: LIST_EARLIEST or LIST_LATEST, where nothing is said. */
enum err must_use start_read(struct http_request *rq, const struct topic *t, struct str cursor,
                             int64_t dflt, struct start *out, struct err_text *text);
void start_go(const struct start *start, struct reader *r);
