/* eventgrid_subscription.h: an Event Grid event subscription, as Azure's control plane writes it,
 * and the Subscription (spec/spec.h) that it is. Inside of front/http only; pure.
 *
 * Two shapes, told apart by where they stand:
 *
 *     ARM properties (topics, domains; 2022-06-15)       spec of a Subscription
 *     -------------------------------------------------  ------------------------------------------
 *     destination WebHook endpointUrl                    deliver.url
 *       maxEventsPerBatch, preferredBatchSizeInKilobytes deliver.batch.events, .bytes
 *       deliveryAttributeMappings                        deliver.properties
 *     destination ServiceBusQueue .../queues/Q           deliver.queue Q
 *     destination ServiceBusTopic .../topics/T           deliver.topic T
 *     destination EventHub .../eventhubs/H               deliver.topic H
 *     destination AzureFunction .../functions/F          deliver.function F
 *       maxEventsPerBatch, preferredBatchSizeInKilobytes deliver.batch.events, .bytes
 *     eventDeliverySchema                                deliver.format
 *     filter                                             eventGridFilter
 *     retryPolicy maxDeliveryAttempts, ...TimeToLive...  retry.attempts, ttl; backoff eventgrid
 *     deadLetterDestination blobContainerName            deadLetter, the topic of that name
 *     expirationTimeUtc, labels                          expires, labels
 *
 *     ARM properties (namespace topics; 2023-12-15-preview and later)
 *     deliveryConfiguration.queue receiveLockDuration... lock, retry.attempts, ttl, deadLetter
 *     deliveryConfiguration.push                         as above, backoff eventgrid-namespace
 *     filtersConfiguration                               eventGridFilter
 *
 * What only Azure's shape has (endpoint types, resource ids, identities) is kept in labels that
 * begin with "azure:", so that what was put comes back. What weir does not have (StorageQueue,
 * HybridConnection ... destinations) is refused by name.
 */
#pragma once

#include "broker/subscription.h"

#include <jansson.h>

/* Labels of the subscription. */
#define EVENTGRID_LABEL_PREFIX "azure:"
#define EVENTGRID_LABEL_ENDPOINT EVENTGRID_LABEL_PREFIX "endpointType"
#define EVENTGRID_LABEL_RESOURCE EVENTGRID_LABEL_PREFIX "resourceId"
#define EVENTGRID_LABEL_IDENTITY EVENTGRID_LABEL_PREFIX "identity"
#define EVENTGRID_LABEL_BLOB EVENTGRID_LABEL_PREFIX "deadLetterResourceId"
#define EVENTGRID_LABEL_WORD EVENTGRID_LABEL_PREFIX "label:"

/* The destinations that weir has itself: how a resource id of each ends, and where it stands in
 * the spec. */
struct eventgrid_resource {
    const char *endpoint, *segment, *field;
};
#define EVENTGRID_FUNCTION "AzureFunction"
#define EVENTGRID_RESOURCES 4
extern const struct eventgrid_resource eventgrid_resources[EVENTGRID_RESOURCES];

enum eventgrid_tier {
    EVENTGRID_BASIC,     /* custom topics and domains: pushed */
    EVENTGRID_NAMESPACE, /* namespace topics: pulled, or pushed with CloudEvents */
};

/* The spec of a Subscription to the topic, a new reference. ERR_CONFIG_INVALID: text says which
 * property is wrong and what would be right. */
enum err must_use eventgrid_subscription_read(enum eventgrid_tier tier, const json_t *properties,
                                              struct str topic, json_t **spec,
                                              struct err_text *text);
/* The properties of a subscription, a new reference. topic_id: the resource id of its topic.
 * secrets: what Azure never shows (secret values, a webhook's full URL) too, and nothing that it
 * only ever answers: what may be read again. */
json_t *eventgrid_subscription_write(enum eventgrid_tier tier, const struct subscription *s,
                                     const char *topic_id, bool secrets);
/* "Succeeded", "Creating" or "AwaitingManualAction": how far its endpoint's validation is. */
const char *eventgrid_subscription_state(const struct subscription *s);
/* The headers of its deliveries, as ARM's getDeliveryAttributes shows them; a new reference. */
json_t *eventgrid_subscription_attributes(const struct subscription *s, bool secrets);
