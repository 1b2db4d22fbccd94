/* events_out.h: records of a topic as CloudEvents for HTTP clients. Inside of front/http only.
 *
 * Beside what the record says, an event shown here has the extensions weirpartition and weiroffset:
 * where it stands. */
#pragma once

#include "broker/event.h"
#include "front/http/reader.h"

/* Of data_base64 in a record that holds one structured event. */
#define EVENTS_OUT_MEMORY ((size_t)64 << 20)

/* Appends the JSON format's object. The arena is reset first. */
void events_out_json(const struct reader *r, const struct reader_part *part,
                     const struct record *record, struct arena *arena, struct wr *w);
/* The event of a record, in an arena that is good for one event. place_text: where the extensions'
 * texts are. */
#define EVENTS_OUT_TEXT 48
void events_out_of(const struct record *record, const struct event_place *place,
                   struct arena *arena, char place_text[EVENTS_OUT_TEXT], struct event *out);
