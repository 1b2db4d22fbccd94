/* A subscription's properties as Azure's control plane shows them, with what was not said when it
 * was made. */
#include "front/http/eventgrid_subscription.h"

#include "base/assert.h"
#include "base/when.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MINUTE_MS INT64_C(60000)
#define DAY_MS (24 * 60 * MINUTE_MS)

static json_t *new_section(json_t *in, const char *name)
{
    json_t *made = json_object();
    json_object_set_new(in, name, made);
    return made;
}

/* NULL: null, which is what Azure shows. */
static void put_text_or_null(json_t *in, const char *name, const char *text)
{
    json_object_set_new(in, name, text ? json_string(text) : json_null());
}

static void put_int(json_t *in, const char *name, int64_t n)
{
    json_object_set_new(in, name, json_integer(n));
}

static json_t *text_of(struct str s)
{
    return s.at ? json_stringn(s.at, s.len) : json_null();
}

static struct str label_of(const struct subscription *s, const char *name)
{
    for (size_t i = 0; i < s->conf.labels.n; i++) {
        if (str_is(s->conf.labels.at[i].key, name))
            return s->conf.labels.at[i].value;
    }
    return (struct str){NULL, 0};
}

static json_t *write_property(const struct delivery_property *p, bool secrets)
{
    json_t *out = json_object(), *properties = new_section(out, "properties");
    json_object_set_new(out, "name", text_of(p->name));
    put_text_or_null(out, "type", p->source_field.at ? "Dynamic" : "Static");
    if (p->source_field.at) {
        json_object_set_new(properties, "sourceField", text_of(p->source_field));
        return out;
    }
    json_object_set_new(properties, "value",
                        p->secret && !secrets ? json_null() : text_of(p->value));
    json_object_set_new(properties, "isSecret", json_boolean(p->secret));
    return out;
}

json_t *eventgrid_subscription_attributes(const struct subscription *s, bool secrets)
{
    const struct delivery_property *properties = s->conf.properties.at;
    json_t *out = json_array();
    for (size_t i = 0; i < s->conf.properties.n; i++)
        json_array_append_new(out, write_property(&properties[i], secrets));
    return out;
}

static void write_batch(const struct subscription *s, json_t *p)
{
    int64_t events = s->conf.batch_events_max, bytes = s->conf.batch_bytes;
    put_int(p, "maxEventsPerBatch", events != 0 ? events : SUBSCRIPTION_BATCH_EVENTS);
    put_int(p, "preferredBatchSizeInKilobytes",
            (bytes != 0 ? bytes : SUBSCRIPTION_BATCH_BYTES) / 1024);
}

static void write_webhook(const struct subscription *s, json_t *p, bool secrets)
{
    struct str url = s->conf.target;
    const char *query = memchr(url.at, '?', url.len);
    size_t base = query ? (size_t)(query - url.at) : url.len;
    /* As Azure: what stands behind '?' may be a secret; getFullUrl tells it. */
    json_object_set_new(p, "endpointUrl", secrets ? text_of(url) : json_null());
    json_object_set_new(p, "endpointBaseUrl", json_stringn(url.at, base));
    write_batch(s, p);
}

static const char *endpoint_type(const struct subscription *s)
{
    if (s->conf.deliver == DELIVER_URL)
        return "WebHook";
    if (s->conf.deliver == DELIVER_FUNCTION)
        return EVENTGRID_FUNCTION;
    struct str kept = label_of(s, EVENTGRID_LABEL_ENDPOINT);
    for (size_t i = 0; i < EVENTGRID_RESOURCES; i++) {
        if (kept.at && kept.len == strlen(eventgrid_resources[i].endpoint) &&
            !strncasecmp(kept.at, eventgrid_resources[i].endpoint, kept.len))
            return eventgrid_resources[i].endpoint;
    }
    return s->conf.to_queue.at ? "ServiceBusQueue" : "ServiceBusTopic";
}

static json_t *write_destination(const struct subscription *s, bool secrets)
{
    json_t *out = json_object(), *p = new_section(out, "properties");
    put_text_or_null(out, "endpointType", endpoint_type(s));
    if (s->conf.deliver == DELIVER_URL)
        write_webhook(s, p, secrets);
    else
        json_object_set_new(p, "resourceId", text_of(label_of(s, EVENTGRID_LABEL_RESOURCE)));
    if (s->conf.deliver == DELIVER_FUNCTION)
        write_batch(s, p);
    json_object_set_new(p, "deliveryAttributeMappings",
                        eventgrid_subscription_attributes(s, secrets));
    return out;
}

static json_t *write_dead_letter(const struct subscription *s)
{
    if (!s->conf.dead_letter.at)
        return json_null();
    json_t *out = json_object(), *p = new_section(out, "properties");
    put_text_or_null(out, "endpointType", "StorageBlob");
    json_object_set_new(p, "blobContainerName", text_of(s->conf.dead_letter));
    json_object_set_new(p, "resourceId", text_of(label_of(s, EVENTGRID_LABEL_BLOB)));
    return out;
}

static json_t *write_labels(const struct subscription *s)
{
    const size_t prefix = sizeof EVENTGRID_LABEL_WORD - 1;
    json_t *out = json_array();
    for (size_t i = 0; i < s->conf.labels.n; i++) {
        struct str key = s->conf.labels.at[i].key;
        if (key.len > prefix && !memcmp(key.at, EVENTGRID_LABEL_WORD, prefix))
            json_array_append_new(out, json_stringn(key.at + prefix, key.len - prefix));
    }
    return out;
}

static json_t *write_filter(const struct subscription *s)
{
    struct str kept = s->conf.eventgrid;
    json_t *filter = kept.at ? json_loadb(kept.at, kept.len, 0, NULL) : json_object();
    weir_assert(filter);
    return filter;
}

static json_t *write_time(int64_t ms)
{
    char text[WHEN_TEXT_MAX];
    return ms < 0 ? json_null() : json_string(when_put_datetime(ms, text));
}

static json_t *write_format(const struct subscription *s)
{
    return json_string(s->conf.format == FORMAT_EVENTGRID ? "EventGridSchema"
                                                          : "CloudEventSchemaV1_0");
}

/* Around the destination, where an identity was given with it. */
static void write_delivery(const struct subscription *s, json_t *out, bool secrets)
{
    struct str identity = label_of(s, EVENTGRID_LABEL_IDENTITY);
    if (!identity.at) {
        json_object_set_new(out, "destination", write_destination(s, secrets));
        return;
    }
    json_t *with = new_section(out, "deliveryWithResourceIdentity");
    json_object_set_new(with, "identity",
                        json_loadb(identity.at, identity.len, JSON_DECODE_ANY, NULL));
    json_object_set_new(with, "destination", write_destination(s, secrets));
}

static json_t *write_basic(const struct subscription *s, const char *topic_id, bool secrets)
{
    json_t *out = json_object(), *retry = new_section(out, "retryPolicy");
    put_text_or_null(out, "topic", topic_id);
    put_text_or_null(out, "provisioningState", eventgrid_subscription_state(s));
    write_delivery(s, out, secrets);
    json_object_set_new(out, "filter", write_filter(s));
    json_object_set_new(out, "labels", write_labels(s));
    json_object_set_new(out, "eventDeliverySchema", write_format(s));
    put_int(retry, "maxDeliveryAttempts", s->conf.attempts);
    put_int(retry, "eventTimeToLiveInMinutes", s->ttl_ms < 0 ? -1 : s->ttl_ms / MINUTE_MS);
    json_object_set_new(out, "deadLetterDestination", write_dead_letter(s));
    json_object_set_new(out, "expirationTimeUtc", write_time(s->conf.expires_ms));
    return out;
}

static void put_iso(json_t *in, const char *name, int64_t ms)
{
    char text[32];
    if (ms >= DAY_MS && ms % DAY_MS == 0)
        snprintf(text, sizeof text, "P%" PRId64 "D", ms / DAY_MS);
    else
        snprintf(text, sizeof text, "PT%" PRId64 "M", ms / MINUTE_MS);
    json_object_set_new(in, name, ms < 0 ? json_null() : json_string(text));
}

static void write_mode(const struct subscription *s, json_t *mode)
{
    put_int(mode, "maxDeliveryCount", s->conf.attempts);
    put_iso(mode, "eventTimeToLive", s->ttl_ms);
    if (!s->conf.dead_letter.at)
        return;
    json_t *with = new_section(mode, "deadLetterDestinationWithResourceIdentity");
    json_object_set_new(with, "deadLetterDestination", write_dead_letter(s));
}

static json_t *write_namespace(const struct subscription *s, bool secrets)
{
    json_t *out = json_object(), *delivery = new_section(out, "deliveryConfiguration");
    bool pull = s->conf.deliver == DELIVER_PULL;
    json_t *mode = new_section(delivery, pull ? "queue" : "push");
    put_text_or_null(delivery, "deliveryMode", pull ? "Queue" : "Push");
    if (pull)
        put_int(mode, "receiveLockDurationInSeconds", s->conf.lock_ms / 1000);
    else
        write_delivery(s, mode, secrets);
    write_mode(s, mode);
    json_t *kept = write_filter(s), *filters = new_section(out, "filtersConfiguration");
    if (json_object_get(kept, "includedEventTypes"))
        json_object_set(filters, "includedEventTypes", json_object_get(kept, "includedEventTypes"));
    if (json_object_get(kept, "advancedFilters"))
        json_object_set(filters, "filters", json_object_get(kept, "advancedFilters"));
    json_decref(kept);
    put_text_or_null(out, "eventDeliverySchema", "CloudEventSchemaV1_0");
    put_text_or_null(out, "provisioningState", eventgrid_subscription_state(s));
    json_object_set_new(out, "expirationTimeUtc", write_time(s->conf.expires_ms));
    return out;
}

json_t *eventgrid_subscription_write(enum eventgrid_tier tier, const struct subscription *s,
                                     const char *topic_id, bool secrets)
{
    return tier == EVENTGRID_BASIC ? write_basic(s, topic_id, secrets)
                                   : write_namespace(s, secrets);
}

const char *eventgrid_subscription_state(const struct subscription *s)
{
    struct str v = s->conf.validation;
    if (!v.at || str_is(v, "done") || s->conf.deliver != DELIVER_URL)
        return "Succeeded";
    if (str_is(v, "failed"))
        return "Failed";
    return v.len > 7 && !memcmp(v.at, "manual:", 7) ? "AwaitingManualAction" : "Creating";
}
