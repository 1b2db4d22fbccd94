/* breaker_log.h: the topic `weir.breakers`: every change of a circuit breaker as a CloudEvent, and
 * what is read back of it at a start.
 *
 *     type     weir.breaker.changed
 *     source   /breakers
 *     subject  the endpoint; it is the record's key, too
 *     data     {"endpoint", "from", "to", "failureRate", "slowCallRate", "calls", "attempts",
 *               "since", "retryAt"}      rates in per cent, -1: too few calls; times in Unix ms
 *
 * The last event of an endpoint is its state: they are kept for BREAKER_LOG_RETENTION_MS, and
 * written as event_log.h says (a breaker works without its log, it only begins anew after a
 * restart). One reactor; each writes its own endpoints' events and reads all, keeping its own.
 */
#pragma once

#include "broker/broker.h"
#include "flow/endpoint.h"

#define BREAKER_LOG_TOPIC "weir.breakers"
#define BREAKER_LOG_RETENTION_MS "2592000000" /* 30 days */

struct breaker_log;

struct breaker_log *breaker_log_make(struct broker *b);
/* Nothing is under way (breaker_log_busy). */
void breaker_log_free(struct breaker_log *log);
bool breaker_log_busy(const struct breaker_log *log);

/* Of this reactor's endpoints: calls endpoint_restore for each, then done, possibly from inside.
 * What cannot be read is left out, with a warning. Once. */
void breaker_log_load(struct breaker_log *log, struct endpoints *endpoints, void (*done)(void *arg),
                      void *arg);
/* Appends the change, later. */
void breaker_log_write(struct breaker_log *log, const struct endpoint *e, enum breaker_state from,
                       enum breaker_state to);
