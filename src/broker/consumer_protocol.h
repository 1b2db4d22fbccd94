/* consumer_protocol.h: what consumers put into a group's metadata and assignments, as far as the
 * broker looks at it: the topics that a member subscribes to and the partitions that it has.
 *
 * The classic protocol lets the members agree on any format; those of protocol type "consumer" use
 * Kafka's ConsumerProtocolSubscription and ConsumerProtocolAssignment (version as int16, then
 * topics; all versions begin alike, and what follows is not of interest here). Bytes that are
 * something else are read as no topics. Pure.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define CONSUMER_PROTOCOL_TYPE "consumer"

/* The subscription names the topic. */
bool consumer_subscribed(struct str subscription, struct str topic);
/* The two subscriptions name the same topics, in any order. */
bool consumer_subscriptions_equal(struct str a, struct str b);
/* The assignment has a partition of the topic, `from` or above. */
bool consumer_assigned(struct str assignment, struct str topic, int32_t from);
