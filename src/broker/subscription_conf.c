/* The settings of a subscription, as one table (spec/spec.h). */
#include "broker/subscription.h"

#include "broker/conf_check.h"
#include "broker/hop.h"

#include <string.h>

#define DAY_MS ((int64_t)24 * 3600 * 1000)
#define YEAR_MS (365 * DAY_MS)
#define EVENTS_MAX 5000
#define CONCURRENCY_MAX 1000
#define ATTEMPTS_MAX 1000000
#define IN_FLIGHT_MAX 1000000
#define URL_BYTES_MAX 2048

static const char *const orders[] = {"none", "key", "partition", NULL};
static const char *const starts[] = {"latest", "earliest", "time", NULL};
static const char *const backoffs[] = {"exponential",         "linear", "fixed", "eventgrid",
                                       "eventgrid-namespace", NULL};
static const char *const formats[] = {
    "cloudevents", "cloudevents-structured", "cloudevents-batch", "eventgrid", "otlp", NULL};

/* ---- checks of single fields ---- */

static enum err check_compiles(enum err (*compile)(struct str, struct expr **, struct err_text *),
                               struct str source, struct err_text *text)
{
    struct expr *e;
    struct err_text wrong = {""};
    if (source.at == NULL)
        return ERR_OK;
    if (compile(source, &e, &wrong) != ERR_OK)
        return err_say(text, ERR_CONFIG_INVALID, "cannot be understood: %s", wrong.s);
    expr_free(e);
    return ERR_OK;
}

static enum err check_filter(const struct spec_field *field, const void *value,
                             struct err_text *text)
{
    (void)field;
    return check_compiles(expr_compile_cesql, *(const struct str *)value, text);
}

static enum err check_eventgrid(const struct spec_field *field, const void *value,
                                struct err_text *text)
{
    (void)field;
    return check_compiles(expr_compile_eventgrid, *(const struct str *)value, text);
}

/* ---- and of what they say together ---- */

/* deliver and target follow from the one place that is given. */
static enum err derive_target(struct subscription_conf *c, const char **field,
                              struct err_text *text)
{
    const struct {
        const char *path;
        struct str at;
        enum subscription_deliver deliver;
    } to[] = {
        {"deliver.url", c->url, DELIVER_URL},
        {"deliver.topic", c->to_topic, DELIVER_TOPIC},
        {"deliver.queue", c->to_queue, DELIVER_TOPIC},
        {"deliver.function", c->to_function, DELIVER_FUNCTION},
        {"deliver.model", c->to_model, DELIVER_MODEL},
    };
    c->deliver = DELIVER_PULL;
    c->target = (struct str){NULL, 0};
    for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
        if (to[i].at.at == NULL)
            continue;
        *field = to[i].path;
        if (c->target.at != NULL)
            return err_say(
                text, ERR_CONFIG_INVALID,
                "is one place too many: give one of url, topic, queue, function and model");
        c->deliver = to[i].deliver;
        c->target = to[i].at;
    }
    return ERR_OK;
}

static bool answers(const struct subscription_conf *c)
{
    return c->deliver == DELIVER_URL || c->deliver == DELIVER_FUNCTION ||
           c->deliver == DELIVER_MODEL;
}

static enum err conf_check(void *value, struct arena *arena, const char **field,
                           struct err_text *text)
{
    struct subscription_conf *c = value;
    (void)arena;
    enum err err = derive_target(c, field, text);
    if (err != ERR_OK)
        return err;
    *field = "deliver.model";
    if (c->deliver == DELIVER_MODEL && c->routes.n == 0 && c->reply_topic.at == NULL)
        return err_say(text, ERR_CONFIG_INVALID,
                       "needs reply.topic or reply.routes: where events go with their scores");
    *field = c->routes.n > 0 ? "reply.routes" : "reply.topic";
    if ((c->routes.n > 0 || c->reply_topic.at != NULL) && !answers(c))
        return err_say(text, ERR_CONFIG_INVALID,
                       "must not be set: only an endpoint, a function or a model answers");
    *field = "deliver.format";
    if (c->format == FORMAT_OTLP && !str_is(c->topic, HOP_TOPIC))
        return err_say(text, ERR_CONFIG_INVALID,
                       "must not be otlp: only %s holds what becomes traces", HOP_TOPIC);
    *field = "deliver.topic";
    if (c->deliver == DELIVER_TOPIC && str_eq(c->target, c->topic))
        return err_say(text, ERR_CONFIG_INVALID, "must not be the topic itself");
    *field = "deadLetter";
    if (c->dead_letter.at != NULL && str_eq(c->dead_letter, c->topic))
        return err_say(text, ERR_CONFIG_INVALID, "must not be the topic itself");
    *field = "startTime";
    if ((c->start == START_TIME) != (c->start_ms >= 0))
        return err_say(text, ERR_CONFIG_INVALID, "must be set if start is time, and only then");
    *field = "retry.max";
    if (c->retry_max_ms < c->retry_first_ms)
        return err_say(text, ERR_CONFIG_INVALID, "must not be less than retry.first");
    return ERR_OK;
}

/* ---- the table ---- */

#define AT(field) offsetof(struct subscription_conf, field)
#define PROPERTY(field) offsetof(struct delivery_property, field)

static const struct spec_field property_fields[] = {
    {.path = "name",
     .type = SPEC_TEXT,
     .offset = PROPERTY(name),
     .max = 128,
     .required = true,
     .doc = "The header's name."},
    {.path = "value",
     .type = SPEC_TEXT,
     .offset = PROPERTY(value),
     .max = 4096,
     .secret_if = "secret",
     .doc = "Its value."},
    {.path = "field",
     .type = SPEC_TEXT,
     .offset = PROPERTY(source_field),
     .max = 256,
     .doc = "Instead of a value: the event's attribute, or data path, that it is taken from."},
    {.path = "secret",
     .type = SPEC_BOOLEAN,
     .offset = PROPERTY(secret),
     .doc = "Never show the value."},
};

#define ROUTE(field) offsetof(struct reply_route, field)

static const struct spec_field route_fields[] = {
    {.path = "filter",
     .type = SPEC_TEXT,
     .offset = ROUTE(filter),
     .max = EXPR_TEXT_MAX,
     .check = check_filter,
     .doc = "A CESQL expression about the answered event; without one, all match."},
    {.path = "topic",
     .type = SPEC_TEXT,
     .offset = ROUTE(topic),
     .max = TOPIC_NAME_MAX,
     .required = true,
     .check = conf_check_name,
     .doc = "The topic or queue that it goes to."},
};

static const struct spec_field fields[] = {
    {.path = "topic",
     .type = SPEC_TEXT,
     .offset = AT(topic),
     .max = TOPIC_NAME_MAX,
     .required = true,
     .fixed = true,
     .check = conf_check_name,
     .doc = "The topic whose messages it delivers."},
    {.path = "filter",
     .type = SPEC_TEXT,
     .offset = AT(filter),
     .max = EXPR_TEXT_MAX,
     .check = check_filter,
     .doc = "A CESQL expression: what does not match is not delivered."},
    {.path = "eventGridFilter",
     .type = SPEC_JSON,
     .offset = AT(eventgrid),
     .max = EXPR_TEXT_MAX,
     .check = check_eventgrid,
     .doc = "A filter as Event Grid writes it. With a filter beside it, both must match."},
    {.path = "deliver.url",
     .type = SPEC_TEXT,
     .offset = AT(url),
     .max = URL_BYTES_MAX,
     .check = conf_check_url,
     .doc = "Post messages to this address. Without any address, receivers ask for them."},
    {.path = "deliver.topic",
     .type = SPEC_TEXT,
     .offset = AT(to_topic),
     .max = TOPIC_NAME_MAX,
     .check = conf_check_name,
     .doc = "Append messages to this topic."},
    {.path = "deliver.queue",
     .type = SPEC_TEXT,
     .offset = AT(to_queue),
     .max = TOPIC_NAME_MAX,
     .check = conf_check_name,
     .doc = "Append messages to this queue."},
    {.path = "deliver.function",
     .type = SPEC_TEXT,
     .offset = AT(to_function),
     .max = TOPIC_NAME_MAX,
     .check = conf_check_name,
     .doc = "Call this function with messages, in its own protocol and batches."},
    {.path = "deliver.model",
     .type = SPEC_TEXT,
     .offset = AT(to_model),
     .max = TOPIC_NAME_MAX,
     .check = conf_check_name,
     .doc = "Have this model score messages: they go on, with their scores, where reply leads."},
    {.path = "deliver.format",
     .type = SPEC_CHOICE,
     .offset = AT(format),
     .dflt = "cloudevents",
     .choices = formats,
     .doc = "How an event is posted: CloudEvents with its attributes in headers, as one JSON "
            "document, as a batch of them, or as an array of Event Grid events; otlp, of weir.hops "
            "alone: as traces for an OpenTelemetry collector."},
    {.path = "deliver.batch.events",
     .type = SPEC_INT,
     .offset = AT(batch_events_max),
     .min = 1,
     .max = EVENTS_MAX,
     .doc = "How many events one call carries at most. If not set: 1, but to a function as many "
            "as its own batch; more than that it is never called with."},
    {.path = "deliver.batch.bytes",
     .type = SPEC_SIZE,
     .offset = AT(batch_bytes),
     .min = 1024,
     .max = (int64_t)1 << 20,
     .doc = "How large a call should be at most; a single larger event is posted alone. If not "
            "set: 64KiB, or the function's own."},
    {.path = "deliver.timeout",
     .type = SPEC_DURATION,
     .offset = AT(timeout_ms),
     .dflt = "30s",
     .min = 100,
     .max = 3600 * 1000,
     .doc = "How long one call may take."},
    {.path = "deliver.concurrency",
     .type = SPEC_INT,
     .offset = AT(concurrency),
     .dflt = "16",
     .min = 1,
     .max = CONCURRENCY_MAX,
     .doc = "How many calls are made at once."},
    {.path = "deliver.properties",
     .type = SPEC_LIST,
     .offset = AT(properties),
     .fields = property_fields,
     .fields_n = sizeof(property_fields) / sizeof(property_fields[0]),
     .element_bytes = sizeof(struct delivery_property),
     .doc = "Headers that every call carries."},
    {.path = "reply.topic",
     .type = SPEC_TEXT,
     .offset = AT(reply_topic),
     .max = TOPIC_NAME_MAX,
     .check = conf_check_name,
     .doc =
         "Where events go that the endpoint, function or model answers with, if no route matches "
         "them. They are stored in one step with the settlement of what caused them."},
    {.path = "reply.routes",
     .type = SPEC_LIST,
     .offset = AT(routes),
     .fields = route_fields,
     .fields_n = sizeof(route_fields) / sizeof(route_fields[0]),
     .element_bytes = sizeof(struct reply_route),
     .doc = "The first whose filter matches an answer says where it goes."},
    {.path = "deliver.validation",
     .type = SPEC_TEXT,
     .offset = AT(validation),
     .max = 256,
     .doc = "How far the endpoint's consent is: pending:<code>, done, done:<calls a minute> or "
            "failed; if not set, none is asked for. Kept by weir."},
    {.path = "ordering",
     .type = SPEC_CHOICE,
     .offset = AT(order),
     .dflt = "none",
     .choices = orders,
     .fixed = true,
     .doc = "key: messages of one session (header session-id, else the key) go to one receiver at "
            "a time, in order. partition: those of a partition go out in order; only who holds all "
            "that lies before gets more, and a function's worker keeps its partitions."},
    {.path = "start",
     .type = SPEC_CHOICE,
     .offset = AT(start),
     .dflt = "latest",
     .choices = starts,
     .fixed = true,
     .doc = "Where a new subscription begins: with what comes after it, with the oldest message, "
            "or at startTime."},
    {.path = "startTime",
     .type = SPEC_TIME,
     .offset = AT(start_ms),
     .fixed = true,
     .doc = "The time of the first message, if start is time."},
    {.path = "lock",
     .type = SPEC_DURATION,
     .offset = AT(lock_ms),
     .dflt = "60s",
     .min = 100,
     .max = DAY_MS,
     .doc = "How long a message belongs to the receiver that got it, before another may get it."},
    {.path = "ttl",
     .type = SPEC_DURATION,
     .offset = AT(ttl_ms),
     .min = -1,
     .max = 100 * YEAR_MS,
     .doc = "How long a message is delivered; from then on it counts as expired. If not set: 24 h "
            "where weir posts, 7 days where receivers ask, no limit for a queue."},
    {.path = "inFlight",
     .type = SPEC_INT,
     .offset = AT(in_flight_max),
     .dflt = "0",
     .min = 0,
     .max = IN_FLIGHT_MAX,
     .doc = "How many messages may be with receivers at once, over all partitions; 0: no limit."},
    {.path = "retry.attempts",
     .type = SPEC_INT,
     .offset = AT(attempts),
     .dflt = "10",
     .min = 1,
     .max = ATTEMPTS_MAX,
     .doc = "How often a message is delivered before it is a dead letter."},
    {.path = "retry.backoff",
     .type = SPEC_CHOICE,
     .offset = AT(backoff),
     .dflt = "exponential",
     .choices = backoffs,
     .doc = "How the time between two posts of a message grows."},
    {.path = "retry.first",
     .type = SPEC_DURATION,
     .offset = AT(retry_first_ms),
     .dflt = "1s",
     .min = 0,
     .max = DAY_MS,
     .doc = "The time before the second post."},
    {.path = "retry.max",
     .type = SPEC_DURATION,
     .offset = AT(retry_max_ms),
     .dflt = "10m",
     .min = 0,
     .max = 30 * DAY_MS,
     .doc = "The longest time between two posts."},
    {.path = "deadLetter",
     .type = SPEC_TEXT,
     .offset = AT(dead_letter),
     .max = TOPIC_NAME_MAX,
     .check = conf_check_name,
     .doc = "The topic for what cannot be delivered; it is made when it is missing. Without one "
            "such messages are dropped, and counted."},
    {.path = "deadLetterExpired",
     .type = SPEC_BOOLEAN,
     .offset = AT(dead_letter_expired),
     .dflt = "true",
     .doc = "Messages that outlive their ttl go there, too."},
    {.path = "expires",
     .type = SPEC_TIME,
     .offset = AT(expires_ms),
     .doc = "When the subscription itself is deleted."},
    {.path = "labels", .type = SPEC_MAP, .offset = AT(labels), .doc = "Words to find it by."},
};

const struct spec_kind subscription_kind = {
    .name = "Subscription",
    .plural = "subscriptions",
    .doc = "Delivers the messages of a topic: to whoever asks, or to an endpoint.",
    .fields = fields,
    .n = sizeof(fields) / sizeof(fields[0]),
    .bytes = sizeof(struct subscription_conf),
    .check = conf_check,
};

void subscription_conf_init(struct subscription_conf *conf)
{
    spec_init(&subscription_kind, conf);
}
