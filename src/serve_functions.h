/* serve_functions.h: functions of all reactors, with the HTTP client that calls their workers,
 * wired together.
 *
 * Made and freed on reactor 0; started, and told to stop, everywhere by mail. Deliveries and the
 * door for invocations use them: they end first.
 */
#pragma once

#include "base/cursor.h"
#include "broker/broker.h"
#include "flow/function.h"
#include "serve_options.h"
#include "serve_push.h"

#include <stdbool.h>

struct serve_functions;

/* weir_http: what workers are told of weir's own address; NULL: nothing. Stays the caller's. */
/* answers: each reactor's budget, the caller's, freed later. */
struct serve_functions *serve_functions_make(const char *weir_http, struct budget *answers,
                                             struct broker **brokers, struct loop **loops,
                                             unsigned n);
struct functions *serve_functions_at(struct serve_functions *sf, unsigned reactor);
/* Calls to this machine's addresses. */
struct http_client *serve_functions_http(struct serve_functions *sf, unsigned reactor);
/* When the broker is loaded. */
void serve_functions_start(struct serve_functions *sf);
/* On each reactor: workers end when their calls are over; `cut`: now. */
void serve_functions_stop(struct serve_functions *sf, unsigned reactor, bool cut);
/* No worker is left. Any thread, after all reactors were told to stop. */
bool serve_functions_quiet(const struct serve_functions *sf);
/* When quiet, before the broker is freed, after deliveries: the loops do not turn any more. */
void serve_functions_free(struct serve_functions *sf);

/* What the metrics page shows, gathered reactor by reactor. Zero-initialise. */
struct serve_function_stats {
    struct serve_function_stat *at;
    size_t n, cap;
};
/* Adds those of the reactor, on it. */
void serve_functions_gather(const struct serve_functions *sf, unsigned reactor,
                            struct serve_function_stats *stats);
void serve_functions_metrics(const struct serve_function_stats *stats, struct wr *w);
void serve_function_stats_free(struct serve_function_stats *stats);
