/* outcome.h: how a delivery to an endpoint ended, in the words that Event Grid uses for it
 * (`lastDeliveryOutcome` of a dead letter), and what each of them says about the endpoint.
 *
 * Pure; any thread. Source: Event Grid's delivery and retry documentation, "Delivery outcomes";
 * Knative's data-plane contract for the codes that a CloudEvents endpoint answers with.
 */
#pragma once

#include "base/str.h"
#include "broker/http_client.h"

#include <stdbool.h>
#include <stdint.h>

/* name, text, how long Event Grid leaves an endpoint alone that fails so (ms), and whether it is
 * the endpoint that fails (counts for its circuit breaker) or what it was sent. */
#define DELIVERY_OUTCOMES(X)                                                                       \
    X(DELIVERED, "Delivered", 0, false)                                                            \
    X(BAD_REQUEST, "BadRequest", 10000, false)                                                     \
    X(UNAUTHORIZED, "Unauthorized", 300000, true)                                                  \
    X(FORBIDDEN, "Forbidden", 300000, true)                                                        \
    X(NOT_FOUND, "NotFound", 300000, true)                                                         \
    X(DISABLED, "Disabled", 300000, true)                                                          \
    X(FULL, "Full", 300000, true)                                                                  \
    X(TIMED_OUT, "TimedOut", 10000, true)                                                          \
    X(BUSY, "Busy", 10000, true)                                                                   \
    X(PAYLOAD_TOO_LARGE, "PayloadTooLarge", 10000, false)                                          \
    X(SOCKET_ERROR, "SocketError", 30000, true)                                                    \
    X(RESOLUTION_ERROR, "ResolutionError", 300000, true)                                           \
    X(ABORTED, "Aborted", 10000, true)                                                             \
    X(CANCELED, "Canceled", 0, false)

enum delivery_outcome {
#define X(name, text, probation_ms, endpoints) OUTCOME_##name,
    DELIVERY_OUTCOMES(X)
#undef X
        OUTCOME_COUNT
};

/* "NotFound". */
const char *outcome_text(enum delivery_outcome outcome);
uint32_t outcome_probation_ms(enum delivery_outcome outcome);
bool outcome_is_endpoints(enum delivery_outcome outcome);

/* Of a call that has ended. status counts with HTTP_ANSWERED only; a status that is no success is
 * never DELIVERED, one that is may still be refused by the contract (see retry.h). */
enum delivery_outcome outcome_of_call(enum http_outcome http, int status);

/* Of an append into a topic of weir's own that failed so. */
enum delivery_outcome outcome_of_append(enum err err);

/* The value of a Retry-After header (RFC 9110 10.2.3: seconds or an HTTP date) as ms from now; -1:
 * it is neither. At most RETRY_AFTER_MAX_MS. */
#define RETRY_AFTER_MAX_MS ((int64_t)3600 * 1000)
int64_t outcome_retry_after_ms(struct str value, uint64_t now_ms);
