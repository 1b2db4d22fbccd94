#include "front/http/events_out.h"

#include <inttypes.h>
#include <stdio.h>

void events_out_of(const struct record *record, const struct event_place *place,
                   struct arena *arena, char place_text[EVENTS_OUT_TEXT], struct event *out)
{
    event_of_record(record, place, arena, out);
    int n = snprintf(place_text, EVENTS_OUT_TEXT, "%" PRId32, place->partition);
    struct str partition = {place_text, (size_t)n};
    char *rest = place_text + n + 1;
    n = snprintf(rest, EVENTS_OUT_TEXT - (size_t)n - 1, "%" PRId64, place->offset);
    /* An event that has all the extensions that one may have goes without. */
    if (!event_extension_set(out, STR_LIT("weirpartition"), partition))
        (void)!event_extension_set(out, STR_LIT("weiroffset"), (struct str){rest, (size_t)n});
}

void events_out_json(const struct reader *r, const struct reader_part *part,
                     const struct record *record, struct arena *arena, struct wr *w)
{
    struct event_place place = {r->topic_name, r->topic, part->place.partition, record->offset};
    char text[EVENTS_OUT_TEXT];
    struct event e;
    arena_reset(arena);
    events_out_of(record, &place, arena, text, &e);
    event_write_json(&e, w);
}
