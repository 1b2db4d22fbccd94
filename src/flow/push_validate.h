/* push_validate.h: the endpoint says first that it wants deliveries: a handshake, so that nobody
 * can point weir at somebody else.
 *
 * A subscription's `validation` is where it stands:
 *
 *     not set             none is asked for: weir delivers
 *     pending:<code>      the handshake is under way, or waits for the endpoint's owner
 *     done, done:<n>      weir delivers; at most n calls a minute
 *     failed              weir does not deliver; a change to pending:<code> begins anew
 *
 * Event Grid's (format eventgrid): an event of the type
 * Microsoft.EventGrid.SubscriptionValidationEvent is posted, with a code and a URL. The endpoint
 * answers 200 (no other code) with {"validationResponse": "<code>"}; or 200 without it, and then
 * its owner has HANDSHAKE_MANUAL_MS to GET the URL (whoever serves it sets `done`).
 *
 * CloudEvents' (all other formats; HTTP 1.1 Web Hooks 4): an OPTIONS request with
 * WebHook-Request-Origin. The endpoint consents by the header WebHook-Allowed-Origin, which names
 * that origin or *, and says how often by WebHook-Allowed-Rate; the status says nothing.
 *
 * HANDSHAKE_TRIES with HANDSHAKE_AGAIN_MS between them, then `failed`. The outcome is written to
 * the subscription, if it is still the one that was asked about.
 */
#pragma once

#include "broker/subscription.h"

#define HANDSHAKE_TIMEOUT_MS 30000
#define HANDSHAKE_AGAIN_MS 5000
#define HANDSHAKE_TRIES 3
#define HANDSHAKE_MANUAL_MS (10 * 60 * 1000)
#define HANDSHAKE_RATE_MAX 1000000

enum push_validation { PUSH_VALID, PUSH_PENDING, PUSH_INVALID };

enum push_validation push_validation_of(const struct subscription *s);
/* The least time between two calls, by the rate of `done:<n>`; 0: none. */
uint64_t push_validation_gap_us(const struct subscription *s);

struct pusher;
struct handshake;

/* Of a pending subscription. It sets p->handshake to NULL and pumps p when it is over. */
struct handshake *handshake_start(struct pusher *p);
/* Ends it, soon, without an outcome. */
void handshake_stop(struct handshake *h);
