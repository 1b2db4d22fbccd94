/* serve_push.h: deliveries of all reactors: their HTTP clients and their pushes, wired together.
 *
 * Made and freed on reactor 0; started, and told to stop, everywhere by mail.
 */
#pragma once

#include "base/budget.h"
#include "base/cursor.h"
#include "broker/broker.h"
#include "serve_options.h"

#include <stdbool.h>

struct serve_functions;
struct serve_push;

/* private_allowed: what --egress-private means here. answers: as serve_functions_make was given
 * them. They and the options stay the caller's. */
struct serve_push *serve_push_make(const struct serve_options *o, bool private_allowed,
                                   struct budget *answers, struct serve_functions *functions,
                                   struct broker **brokers, struct env **envs, unsigned n);
/* Calls to everybody's addresses. */
struct http_client *serve_push_http(struct serve_push *sp, unsigned reactor);
/* When the broker is loaded. */
void serve_push_start(struct serve_push *sp);
/* On each reactor: begin no more deliveries; `cut`: end those that are under way. */
void serve_push_stop(struct serve_push *sp, unsigned reactor, bool cut);
/* Nothing is under way anywhere. Any thread, after all reactors were told to stop. */
bool serve_push_quiet(const struct serve_push *sp);
/* When quiet, and before the broker is freed: the loops do not turn any more. */
void serve_push_end(struct serve_push *sp);
/* After the loops are freed. */
void serve_push_free(struct serve_push *sp);
/* Its lines of the metrics page; on reactor 0. */
void serve_push_metrics(const struct serve_push *sp, struct wr *w);
