/* log.h: the structured log: one line an event, logfmt, on stderr.
 *
 *     2026-11-20T19:05:23.123Z INFO serve.ready kafka=127.0.0.1:9092 data=./weir-data
 *
 * Level and sink are the only state; set them before threads start. A line is written by one write
 * call, so that lines of several threads do not mix. Values with blanks or quotes are quoted by the
 * caller with log_quote. Secrets are never passed here. Any thread.
 */
#pragma once

#include "broker/env.h"

#include <stdbool.h>
#include <stddef.h>

/* Lines below the level are dropped. Default ENV_INFO. */
void log_set_level(enum env_level level);
/* Takes whole lines instead of stderr (tests, simulations); NULL: stderr again. */
typedef void log_sink_fn(const char *line, size_t len);
void log_set_sink(log_sink_fn *sink);

void log_write(enum env_level level, const char *event, const char *text);
/* The same with a time of the caller's: a loop's own, which may be a simulated one. */
void log_write_at(uint64_t wall_ms, enum env_level level, const char *event, const char *text);
__attribute__((format(printf, 3, 4))) void log_event(enum env_level level, const char *event,
                                                     const char *fmt, ...);
/* "text" with quotes and control characters escaped, cut to cap. Returns out. */
const char *log_quote(char *out, size_t cap, const char *text);
