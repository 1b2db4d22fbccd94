/* letter.h: a dead letter: what its headers say (docs/delivery.md), as what a filter looks at, as
 * JSON, and as the record that it was. Pure; strings point into the record. Inside of front/http.
 */
#pragma once

#include "broker/delivery.h"
#include "broker/event.h"
#include "broker/publish.h"
#include "expr/expr.h"

#include <jansson.h>

#define LETTER_PREFIX "weir-dead-letter-"

struct letter {
    const struct record *record;
    struct str reason, description, outcome;
    struct str topic, subscription; /* where it was to be delivered */
    struct str partition, offset, deliveries, first, last;
};
void letter_read(const struct record *record, struct letter *out);

/* Does the filter take it? Beside the event's attributes there are deadletterreason,
 * deadletteroutcome, deadlettertopic and deadlettersubscription. filter NULL: yes. */
bool letter_matches(const struct letter *letter, const struct event_place *place,
                    struct arena *arena, const struct expr *filter);
/* A new reference. */
json_t *letter_json(const struct letter *letter, const struct event_place *place,
                    struct arena *arena);
/* The record without what made it a letter: the headers are the arena's. ERR_MEMORY;
 * ERR_RECORD_INVALID: it has more headers than can be published. */
enum err must_use letter_record(const struct letter *letter, struct arena *arena,
                                struct publish_record *out);
