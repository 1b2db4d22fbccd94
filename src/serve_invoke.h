/* serve_invoke.h: functions called by requests, of all reactors, wired to their pools and to the
 * HTTP clients.
 *
 * Made and freed on reactor 0; cut everywhere by mail. What it calls with is freed after it, and
 * requests end before.
 */
#pragma once

#include "broker/broker.h"
#include "serve_functions.h"
#include "serve_push.h"

#include <stdbool.h>

struct serve_invoke;

/* answers: as serve_functions_make was given them. */
struct serve_invoke *serve_invoke_make(struct serve_functions *functions, struct serve_push *push,
                                       struct budget *answers, struct broker **brokers, unsigned n);
/* On each reactor: calls under way end by themselves; `cut`: now. */
void serve_invoke_stop(struct serve_invoke *si, unsigned reactor, bool cut);
/* No call is left. Any thread, after all reactors were told to stop. */
bool serve_invoke_quiet(const struct serve_invoke *si);
/* When quiet: the loops do not turn any more. */
void serve_invoke_free(struct serve_invoke *si);
