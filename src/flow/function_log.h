/* function_log.h: the topic `weir.functions`: what became of functions and their workers, as
 * CloudEvents; each is a line of the log, too (function.scaled, function.worker_started, ...).
 *
 *     type     weir.function. scaled | failing | recovered
 *              weir.function.worker. started | ready | stopped | crashed | killed
 *     source   /functions
 *     subject  the function; it is the record's key, too
 *     data     {"function": ..., then by type:
 *       scaled     "from", "to", "reason": minimum | maximum | waiting | calls | idle,
 *                  "waiting", "calls", "target"
 *       failing    "failures" in a row, "error": the last one's
 *       recovered  "failures"
 *       started    "worker", "pid", "port"
 *       ready      "worker", "tookUs": since the start
 *       stopped    "worker", "livedMs", "cpuMs", "memoryMax": bytes, "calls"
 *       crashed    the same, "status" or "signal", "output": its last lines, "failures", "retryMs"
 *       killed     the same, "reason": time | memory | cpu | start | flood
 *                  a worker that could not be started at all: crashed, with "error"
 *
 * Written as event_log.h says. One reactor.
 */
#pragma once

#include "base/str.h"
#include "broker/env.h"

#include <stdbool.h>
#include <stdint.h>

#define FUNCTION_LOG_TOPIC "weir.functions"
#define FUNCTION_LOG_RETENTION_MS "604800000" /* 7 days */

struct function;
struct function_worker;
struct function_scale_answer;
struct function_scale_seen;
struct process_end;

void function_log_scaled(const struct function *f, uint32_t from,
                         const struct function_scale_answer *a,
                         const struct function_scale_seen *seen);
void function_log_failing(const struct function *f, bool failing);
void function_log_started(const struct function_worker *w);
void function_log_ready(const struct function_worker *w);
/* meant: it was asked to stop. */
void function_log_ended(const struct function_worker *w, const struct process_end *end, bool meant,
                        uint64_t retry_us);
/* It could not be run at all. */
void function_log_unstarted(const struct function *f, const char *error, uint64_t retry_us);
/* A line of a handler's Logs, in the log alone: what it was about is said as key=value. */
void function_log_said(struct env *env, const char *function, unsigned worker, const char *key,
                       struct str value, struct str text);
