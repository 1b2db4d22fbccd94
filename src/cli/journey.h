/* journey.h: the journeys of events, put together from the hops that weir.hops holds (a JSON object
 * each, as broker/hop.h describes) and written as trees.
 *
 *     journey_seek   over all hops: which traces are meant by the id that was given
 *     journey_take   over all hops again: those of these traces are kept
 *     journey_rest   once more: those that name no trace, of events that were met
 *     journey_write  a waterfall a trace: events, what happened to each, what each caused
 *
 * Hops may come in any order; what is no hop is passed over. Nothing here talks to a broker.
 */
#pragma once

#include "base/cursor.h"
#include "base/str.h"

#include <stdbool.h>

#define JOURNEY_TRACES_MAX 1000
#define JOURNEY_HOPS_MAX 1000000

struct journey;

/* id: a trace id (32 hexadecimal digits) or whole traceparent; topic/partition/offset; else an
 * event's id or correlation id. Borrowed. */
struct journey *journey_make(struct str id);
void journey_free(struct journey *j);
void journey_seek(struct journey *j, struct str hop);
size_t journey_traces(const struct journey *j);
void journey_take(struct journey *j, struct str hop);
void journey_rest(struct journey *j, struct str hop);
size_t journey_hops(const struct journey *j);
/* More traces or hops than the limits: what is shown is not all. */
bool journey_cut(const struct journey *j);
/* Appends text of so many columns (waterfall.h). */
void journey_write(struct journey *j, unsigned width, struct wr *out);
/* The hops as they were stored, in the order of their times, a line each. */
void journey_write_json(struct journey *j, struct wr *out);
