/* when.h: points in time and lengths of time as text. Pure; any thread.
 *
 * Unix time is in ms. A text that is not a time leaves the output alone.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define WHEN_TEXT_MAX 40 /* of what is written here, with its NUL */

/* RFC 3339, "2026-03-01T12:00:00.5+02:00", and as Kafka's tools take it: without a zone (UTC), or
 * with "+0200" -> Unix ms. Finer fractions are cut. False: something else, or no day of the
 * calendar. */
bool when_datetime(struct str s, int64_t *ms);
/* ISO 8601, "P1DT2H30M10.5S" or "P2W" or any part of it (not years and months, whose length
 * varies), or weir's own form, "2h", "1h30m", a bare number of ms -> ms. False: something else. */
bool when_duration(struct str s, int64_t *ms);

/* Unix ms with decimals or without, "1767225600000.125" -> us; finer ones are cut. False: something
 * else, or outside of 1970 to 2100. */
#define WHEN_MS_MAX INT64_C(4102444800000)
bool when_us_of_ms(struct str s, int64_t *us);

/* "2026-03-01T12:00:00Z", with ".500" where it is not 0. Years 1 to 9999, others are clamped.
 * Returns out. */
const char *when_put_datetime(int64_t ms, char out[WHEN_TEXT_MAX]);
/* "90s" as "90s", 7200000 as "2h": the largest unit that divides it. Returns out. */
const char *when_put_duration(int64_t ms, char out[WHEN_TEXT_MAX]);
