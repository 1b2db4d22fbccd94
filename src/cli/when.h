/* when.h: points in time and lengths of time as Kafka's tools take them. Pure; any
 * thread. Unix time is in ms; a text that is not a time leaves the output alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* "2026-03-01T12:00:00", with ".123" if wanted, then nothing or "Z" (UTC), or "+02:00", "+0200" ->
 * Unix ms. False: something else. */
bool when_datetime(const char *s, int64_t *ms);
/* ISO 8601 as Kafka takes it, "P1DT2H30M10.5S" or any part of it; or weir's own form, "2h" -> ms.
 * False: something else. */
bool when_duration(const char *s, int64_t *ms);
