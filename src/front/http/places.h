/* places.h: where a reader of a topic stands, as a text to give back: the cursor of GET
 * /topics/{topic}, the id of a server-sent event. Inside of front/http only.
 *
 * Opaque to clients: base64url of a version, the topic's id (a topic that was deleted and made
 * again is another one) and an offset for each partition that is read. Pure.
 */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/str.h"
#include "base/uuid.h"

#define PLACES_MAX 500 /* partitions; their text stays below what a target may have */

struct place {
    int32_t partition;
    int64_t offset; /* the next to read */
};

/* Appends the text; at most PLACES_MAX places. next: the partition that a reader looks at first. */
void places_write(struct wr *w, const struct uuid *topic, const struct place *at, size_t n,
                  uint32_t next);
/* ERR_REQUEST_INVALID: not such a text, or one of another topic; why says so. */
enum err must_use places_read(struct str text, const struct uuid *topic, struct arena *arena,
                              struct place **at, size_t *n, uint32_t *next, struct err_text *why);
