/* Reading goes property by property with a sticky error: read on, look once at the end. A property
 * that is not known is refused by name, for a setting that is taken and ignored would be a lie;
 * those that Azure only ever answers (provisioningState, topic) are passed over. */
#include "front/http/eventgrid_subscription.h"

#include "base/mem.h"
#include "base/when.h"
#include "spec/json_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LABEL_JSON_MAX 1024

#define MINUTE_MS INT64_C(60000)
#define ATTEMPTS_MAX 30
#define TTL_MINUTES_MAX 1440
#define NAMESPACE_ATTEMPTS_MAX 10
#define NAMESPACE_TTL_MAX_MS (7 * 24 * 60 * MINUTE_MS)
#define LOCK_SECONDS_MIN 60
#define LOCK_SECONDS_MAX 300
#define PROPERTIES_MAX 10
#define PROPERTY_VALUE_MAX 4096

struct reading {
    json_t *spec;
    json_t *labels;
    enum err err;
    struct err_text *text;
};

/* ---- taking values --------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void wrong(struct reading *r, const char *fmt, ...)
{
    char said[ERR_TEXT_MAX];
    va_list args;
    if (r->err)
        return;
    va_start(args, fmt);
    vsnprintf(said, sizeof said, fmt, args);
    va_end(args);
    r->err = err_say(r->text, ERR_CONFIG_INVALID, "%s", said);
}

static const char *type_words(json_type type)
{
    switch (type) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "a whole number";
    default:
        return "true or false";
    }
}

/* The member of that type; NULL where it is not there or null, or is wrong. */
static json_t *take(struct reading *r, const json_t *object, const char *key, json_type type)
{
    json_t *value = json_object_get(object, key);
    if (!value || json_is_null(value))
        return NULL;
    bool fits = json_typeof(value) == type || (type == JSON_TRUE && json_is_boolean(value));
    if (!fits)
        wrong(r, "%s must be %s", key, type_words(type));
    return fits ? value : NULL;
}

static const char *take_text(struct reading *r, const json_t *object, const char *key)
{
    return json_string_value(take(r, object, key, JSON_STRING));
}

static int64_t take_int(struct reading *r, const json_t *object, const char *key, int64_t min,
                        int64_t max, int64_t dflt)
{
    const json_t *value = take(r, object, key, JSON_INTEGER);
    int64_t n = value ? json_integer_value(value) : dflt;
    if (n < min || n > max)
        wrong(r, "%s must be between %" PRId64 " and %" PRId64 ", not %" PRId64, key, min, max, n);
    return n;
}

/* Refuses members that are none of the names, a list that ends with NULL. */
static void only(struct reading *r, const char *where, const json_t *object,
                 const char *const *names)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        const char *const *name = names;
        while (*name && strcmp(*name, key) != 0)
            name++;
        if (!*name)
            wrong(r, "%s has no property %.60s here", where, key);
    }
}

/* ---- putting them into the spec -------------------------------------------------------------- */

static json_t *section(json_t *in, const char *name)
{
    json_t *found = json_object_get(in, name);
    if (!found) {
        found = json_object();
        json_object_set_new(in, name, found);
    }
    return found;
}

static void put_text(json_t *in, const char *name, const char *text)
{
    if (text)
        json_object_set_new(in, name, json_string(text));
}

static void put_int(json_t *in, const char *name, int64_t n)
{
    json_object_set_new(in, name, json_integer(n));
}

static void put_seconds(json_t *in, const char *name, int64_t seconds)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64 "s", seconds);
    put_text(in, name, text);
}

static void put_label(struct reading *r, const char *name, const char *text)
{
    put_text(r->labels, name, text);
}

static void put_json_label(struct reading *r, const char *name, const json_t *value)
{
    size_t n;
    char *text = json_text(value, JSON_COMPACT | JSON_ENCODE_ANY, &n);
    if (n > LABEL_JSON_MAX)
        wrong(r, "%s may take at most %d bytes", strchr(name, ':') + 1, LABEL_JSON_MAX);
    else if (n)
        json_object_set_new(r->labels, name, json_stringn(text, n));
    mem_free(text);
}

/* ---- destinations ---------------------------------------------------------------------------- */

/* The last segment of ".../<kind>/<name>". */
static const char *resource_name(struct reading *r, const char *id, const char *kind)
{
    const char *name = id ? strrchr(id, '/') : NULL;
    size_t kind_len = strlen(kind);
    bool fits = name && name[1] && (size_t)(name - id) > kind_len &&
                strncasecmp(name - kind_len, kind, kind_len) == 0 &&
                name[-1 - (long)kind_len] == '/';
    if (!fits)
        wrong(r, "resourceId must end with /%s/NAME", kind);
    return fits ? name + 1 : NULL;
}

static const char *const attribute_names[] = {"name", "type", "properties", NULL};
static const char *const static_names[] = {"value", "isSecret", NULL};
static const char *const dynamic_names[] = {"sourceField", NULL};

/* One of deliveryAttributeMappings. */
static json_t *read_attribute(struct reading *r, const json_t *mapping)
{
    json_t *out = json_object();
    const json_t *p = take(r, mapping, "properties", JSON_OBJECT);
    const char *name = take_text(r, mapping, "name"), *type = take_text(r, mapping, "type");
    only(r, "a delivery attribute", mapping, attribute_names);
    if (!name || !*name)
        wrong(r, "a delivery attribute must have a name");
    else if (!strncasecmp(name, "aeg-", 4))
        wrong(r, "delivery attribute %.40s: names that begin with aeg- are Event Grid's", name);
    put_text(out, "name", name);
    if (type && !strcasecmp(type, "Static")) {
        const char *value = take_text(r, p, "value");
        only(r, "a static delivery attribute", p, static_names);
        if (!value || strlen(value) > PROPERTY_VALUE_MAX)
            wrong(r, "a static delivery attribute must have a value of at most %d characters",
                  PROPERTY_VALUE_MAX);
        put_text(out, "value", value);
        if (json_is_true(take(r, p, "isSecret", JSON_TRUE)))
            json_object_set_new(out, "secret", json_true());
    } else if (type && !strcasecmp(type, "Dynamic")) {
        const char *field = take_text(r, p, "sourceField");
        only(r, "a dynamic delivery attribute", p, dynamic_names);
        if (!field)
            wrong(r, "a dynamic delivery attribute must have a sourceField");
        put_text(out, "field", field);
    } else {
        wrong(r, "the type of a delivery attribute must be Static or Dynamic");
    }
    return out;
}

static void read_attributes(struct reading *r, const json_t *destination, json_t *deliver)
{
    const json_t *mappings = take(r, destination, "deliveryAttributeMappings", JSON_ARRAY);
    if (!mappings)
        return;
    if (json_array_size(mappings) > PROPERTIES_MAX)
        wrong(r, "there may be at most %d deliveryAttributeMappings", PROPERTIES_MAX);
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(mappings) && !r->err; i++)
        json_array_append_new(out, read_attribute(r, json_array_get(mappings, i)));
    json_object_set_new(deliver, "properties", out);
}

static void read_batch(struct reading *r, const json_t *p, json_t *deliver)
{
    json_t *batch = section(deliver, "batch");
    put_int(batch, "events", take_int(r, p, "maxEventsPerBatch", 1, 5000, 1));
    put_int(batch, "bytes", 1024 * take_int(r, p, "preferredBatchSizeInKilobytes", 1, 1024, 64));
}

static const char *const webhook_names[] = {"endpointUrl",
                                            "endpointBaseUrl",
                                            "maxEventsPerBatch",
                                            "preferredBatchSizeInKilobytes",
                                            "deliveryAttributeMappings",
                                            NULL};

static void read_webhook(struct reading *r, const json_t *p, json_t *deliver)
{
    const char *url = take_text(r, p, "endpointUrl");
    only(r, "a WebHook", p, webhook_names);
    if (!url)
        wrong(r, "a WebHook must have an endpointUrl");
    put_text(deliver, "url", url);
    read_batch(r, p, deliver);
    put_text(deliver, "validation", "pending:");
}

static const char *const resource_names[] = {"resourceId", "deliveryAttributeMappings", NULL};
static const char *const function_names[] = {"resourceId", "maxEventsPerBatch",
                                             "preferredBatchSizeInKilobytes",
                                             "deliveryAttributeMappings", NULL};

const struct eventgrid_resource eventgrid_resources[EVENTGRID_RESOURCES] = {
    {"ServiceBusQueue", "queues", "queue"},
    {"ServiceBusTopic", "topics", "topic"},
    {"EventHub", "eventhubs", "topic"},
    {EVENTGRID_FUNCTION, "functions", "function"},
};

static void read_resource(struct reading *r, size_t which, const json_t *p, json_t *deliver)
{
    const char *id = take_text(r, p, "resourceId");
    bool function = !strcmp(eventgrid_resources[which].endpoint, EVENTGRID_FUNCTION);
    only(r, eventgrid_resources[which].endpoint, p, function ? function_names : resource_names);
    if (function)
        read_batch(r, p, deliver);
    put_text(deliver, eventgrid_resources[which].field,
             resource_name(r, id, eventgrid_resources[which].segment));
    put_label(r, EVENTGRID_LABEL_RESOURCE, id);
}

static const char *const destination_names[] = {"endpointType", "properties", NULL};

static void read_destination(struct reading *r, const json_t *destination)
{
    const char *type = take_text(r, destination, "endpointType");
    const json_t *p = take(r, destination, "properties", JSON_OBJECT);
    json_t *deliver = section(r->spec, "deliver");
    only(r, "destination", destination, destination_names);
    if (!type || !p) {
        wrong(r, "destination must have an endpointType and properties");
        return;
    }
    put_label(r, EVENTGRID_LABEL_ENDPOINT, type);
    read_attributes(r, p, deliver);
    if (!strcasecmp(type, "WebHook")) {
        read_webhook(r, p, deliver);
        return;
    }
    for (size_t i = 0; i < EVENTGRID_RESOURCES; i++) {
        if (!strcasecmp(type, eventgrid_resources[i].endpoint)) {
            read_resource(r, i, p, deliver);
            return;
        }
    }
    wrong(r,
          "endpointType %.40s is not served here; there are WebHook, AzureFunction, "
          "ServiceBusQueue, ServiceBusTopic and EventHub",
          type);
}

static const char *const with_identity_names[] = {"identity", "destination", NULL};

/* `destination`, or deliveryWithResourceIdentity around it: whose identity Azure would use has no
 * meaning for weir's own topics, but it is shown again. */
static void read_any_destination(struct reading *r, const json_t *properties)
{
    const json_t *plain = take(r, properties, "destination", JSON_OBJECT);
    const json_t *with = take(r, properties, "deliveryWithResourceIdentity", JSON_OBJECT);
    if (!plain == !with) {
        wrong(r, "there must be a destination, or a deliveryWithResourceIdentity");
        return;
    }
    if (with) {
        only(r, "deliveryWithResourceIdentity", with, with_identity_names);
        put_json_label(r, EVENTGRID_LABEL_IDENTITY, json_object_get(with, "identity"));
        plain = take(r, with, "destination", JSON_OBJECT);
    }
    if (plain)
        read_destination(r, plain);
    else
        wrong(r, "deliveryWithResourceIdentity must have a destination");
}

/* ---- what both tiers have -------------------------------------------------------------------- */

static const char *const blob_names[] = {"resourceId", "blobContainerName", NULL};

static void read_dead_letter(struct reading *r, const json_t *destination)
{
    const char *type = take_text(r, destination, "endpointType");
    const json_t *p = take(r, destination, "properties", JSON_OBJECT);
    only(r, "deadLetterDestination", destination, destination_names);
    if (!type || strcasecmp(type, "StorageBlob") != 0 || !p) {
        wrong(r, "deadLetterDestination must have the endpointType StorageBlob and properties");
        return;
    }
    only(r, "deadLetterDestination", p, blob_names);
    const char *container = take_text(r, p, "blobContainerName");
    if (!container)
        wrong(r, "deadLetterDestination must have a blobContainerName: the topic to write to");
    put_text(r->spec, "deadLetter", container);
    put_label(r, EVENTGRID_LABEL_BLOB, take_text(r, p, "resourceId"));
}

static const char *const dead_letter_identity_names[] = {"identity", "deadLetterDestination", NULL};

static void read_any_dead_letter(struct reading *r, const json_t *from)
{
    const json_t *plain = take(r, from, "deadLetterDestination", JSON_OBJECT);
    const json_t *with = take(r, from, "deadLetterDestinationWithResourceIdentity", JSON_OBJECT);
    if (!with)
        with = take(r, from, "deadLetterWithResourceIdentity", JSON_OBJECT);
    if (with) {
        only(r, "deadLetterWithResourceIdentity", with, dead_letter_identity_names);
        plain = take(r, with, "deadLetterDestination", JSON_OBJECT);
    }
    if (plain)
        read_dead_letter(r, plain);
}

static void read_labels(struct reading *r, const json_t *properties)
{
    const json_t *labels = take(r, properties, "labels", JSON_ARRAY);
    for (size_t i = 0; i < json_array_size(labels); i++) {
        char name[256];
        const char *word = json_string_value(json_array_get(labels, i));
        if (!word || strlen(word) > 128) {
            wrong(r, "labels must be strings of at most 128 characters");
            return;
        }
        snprintf(name, sizeof name, EVENTGRID_LABEL_WORD "%s", word);
        put_label(r, name, "");
    }
}

static void read_format(struct reading *r, const json_t *properties, enum eventgrid_tier tier)
{
    const char *schema = take_text(r, properties, "eventDeliverySchema");
    json_t *deliver = section(r->spec, "deliver");
    bool several =
        json_integer_value(json_object_get(json_object_get(deliver, "batch"), "events")) > 1;
    if (!schema)
        schema = tier == EVENTGRID_NAMESPACE ? "CloudEventSchemaV1_0" : "EventGridSchema";
    if (!strcasecmp(schema, "CloudEventSchemaV1_0"))
        put_text(deliver, "format", several ? "cloudevents-batch" : "cloudevents-structured");
    else if (!strcasecmp(schema, "EventGridSchema") && tier == EVENTGRID_BASIC)
        put_text(deliver, "format", "eventgrid");
    else
        wrong(r, "eventDeliverySchema %.40s is not served here; there %s", schema,
              tier == EVENTGRID_BASIC ? "are EventGridSchema and CloudEventSchemaV1_0"
                                      : "is CloudEventSchemaV1_0");
}

/* ---- custom topics and domains --------------------------------------------------------------- */

static const char *const retry_names[] = {"maxDeliveryAttempts", "eventTimeToLiveInMinutes", NULL};

static void read_retry(struct reading *r, const json_t *properties)
{
    const json_t *policy = take(r, properties, "retryPolicy", JSON_OBJECT);
    json_t *retry = section(r->spec, "retry");
    if (policy)
        only(r, "retryPolicy", policy, retry_names);
    put_int(retry, "attempts",
            take_int(r, policy, "maxDeliveryAttempts", 1, ATTEMPTS_MAX, ATTEMPTS_MAX));
    put_text(retry, "backoff", "eventgrid");
    put_seconds(
        r->spec, "ttl",
        60 * take_int(r, policy, "eventTimeToLiveInMinutes", 1, TTL_MINUTES_MAX, TTL_MINUTES_MAX));
}

static const char *const basic_names[] = {
    "destination", "deliveryWithResourceIdentity", "filter", "labels", "eventDeliverySchema",
    "retryPolicy", "deadLetterDestination", "deadLetterWithResourceIdentity", "expirationTimeUtc",
    /* what Azure answers with, and its tools send back */
    "topic", "provisioningState", NULL};

static void read_basic(struct reading *r, const json_t *properties)
{
    json_t *filter = take(r, properties, "filter", JSON_OBJECT);
    only(r, "an event subscription", properties, basic_names);
    read_any_destination(r, properties);
    read_format(r, properties, EVENTGRID_BASIC);
    read_retry(r, properties);
    read_any_dead_letter(r, properties);
    read_labels(r, properties);
    put_text(r->spec, "expires", take_text(r, properties, "expirationTimeUtc"));
    if (json_object_size(filter))
        json_object_set(r->spec, "eventGridFilter", filter);
}

/* ---- namespace topics ------------------------------------------------------------------------ */

/* ISO 8601 durations are what spec/ takes too; only the bounds are Event Grid's. */
static void read_namespace_ttl(struct reading *r, const json_t *mode)
{
    const char *ttl = take_text(r, mode, "eventTimeToLive");
    int64_t ms;
    if (!ttl)
        ttl = "P7D";
    if (!when_duration(str_of(ttl), &ms) || ms < MINUTE_MS || ms > NAMESPACE_TTL_MAX_MS)
        wrong(r, "eventTimeToLive must be between PT1M and P7D, not %.40s", ttl);
    put_text(r->spec, "ttl", ttl);
}

static const char *const queue_names[] = {"receiveLockDurationInSeconds", "maxDeliveryCount",
                                          "deadLetterDestinationWithResourceIdentity",
                                          "eventTimeToLive", NULL};
static const char *const push_names[] = {"maxDeliveryCount",
                                         "destination",
                                         "deliveryWithResourceIdentity",
                                         "deadLetterDestinationWithResourceIdentity",
                                         "eventTimeToLive",
                                         NULL};

static void read_mode(struct reading *r, const json_t *mode)
{
    json_t *retry = section(r->spec, "retry");
    put_int(
        retry, "attempts",
        take_int(r, mode, "maxDeliveryCount", 1, NAMESPACE_ATTEMPTS_MAX, NAMESPACE_ATTEMPTS_MAX));
    put_text(retry, "backoff", "eventgrid-namespace");
    read_namespace_ttl(r, mode);
    read_any_dead_letter(r, mode);
}

static const char *const delivery_names[] = {"deliveryMode", "queue", "push", NULL};

static void read_delivery(struct reading *r, const json_t *delivery)
{
    const char *mode = take_text(r, delivery, "deliveryMode");
    const json_t *queue = take(r, delivery, "queue", JSON_OBJECT);
    const json_t *push = take(r, delivery, "push", JSON_OBJECT);
    only(r, "deliveryConfiguration", delivery, delivery_names);
    if (!mode || !strcasecmp(mode, "Queue")) {
        if (queue)
            only(r, "queue", queue, queue_names);
        put_seconds(r->spec, "lock",
                    take_int(r, queue, "receiveLockDurationInSeconds", LOCK_SECONDS_MIN,
                             LOCK_SECONDS_MAX, LOCK_SECONDS_MIN));
        read_mode(r, queue);
    } else if (!strcasecmp(mode, "Push") && push) {
        only(r, "push", push, push_names);
        read_any_destination(r, push);
        read_mode(r, push);
    } else {
        wrong(r, "deliveryMode must be Queue, or Push with a push beside it");
    }
}

static const char *const filters_names[] = {"includedEventTypes", "filters", NULL};

/* The same filters as elsewhere, in other words. */
static void read_filters(struct reading *r, const json_t *properties)
{
    json_t *from = take(r, properties, "filtersConfiguration", JSON_OBJECT);
    if (!from)
        return;
    only(r, "filtersConfiguration", from, filters_names);
    json_t *types = take(r, from, "includedEventTypes", JSON_ARRAY);
    json_t *advanced = take(r, from, "filters", JSON_ARRAY);
    json_t *filter = types || advanced ? section(r->spec, "eventGridFilter") : NULL;
    if (types)
        json_object_set(filter, "includedEventTypes", types);
    if (advanced)
        json_object_set(filter, "advancedFilters", advanced);
}

static const char *const namespace_names[] = {"deliveryConfiguration", "eventDeliverySchema",
                                              "filtersConfiguration",  "expirationTimeUtc",
                                              "provisioningState",     NULL};

static void read_namespace(struct reading *r, const json_t *properties)
{
    const json_t *delivery = take(r, properties, "deliveryConfiguration", JSON_OBJECT);
    only(r, "an event subscription", properties, namespace_names);
    read_delivery(r, delivery);
    read_format(r, properties, EVENTGRID_NAMESPACE);
    read_filters(r, properties);
    put_text(r->spec, "expires", take_text(r, properties, "expirationTimeUtc"));
}

enum err eventgrid_subscription_read(enum eventgrid_tier tier, const json_t *properties,
                                     struct str topic, json_t **spec, struct err_text *text)
{
    struct reading r = {.spec = json_object(), .labels = json_object(), .text = text};
    json_object_set_new(r.spec, "topic", json_stringn(topic.at, topic.len));
    if (tier == EVENTGRID_BASIC)
        read_basic(&r, properties);
    else
        read_namespace(&r, properties);
    if (json_object_size(r.labels))
        json_object_set(r.spec, "labels", r.labels);
    json_decref(r.labels);
    if (r.err) {
        json_decref(r.spec);
        return r.err;
    }
    *spec = r.spec;
    return ERR_OK;
}
