/* Topics and event subscriptions as Azure's control plane (ARM) has them, so that its SDKs, CLI and
 * templates work with another base address. Resource paths compare in any case; the subscription,
 * resource group and namespace in them are taken as they are: all of them are this broker.
 *
 *     .../providers/Microsoft.EventGrid/topics/T                      PUT GET DELETE, and a list
 *     TOPIC/providers/Microsoft.EventGrid/eventSubscriptions/S        PUT PATCH GET DELETE, a list
 *     TOPIC/eventSubscriptions/S                                      the same, nested
 *     .../namespaces/N/topics/T[/eventSubscriptions/S]                likewise, by pull or push
 *     POST .../eventSubscriptions/S/getFullUrl, getDeliveryAttributes
 *
 * What is done is done when it is answered (201, "Succeeded"), but for a webhook's validation,
 * which goes on behind the answer: ask again until provisioningState is not "Creating".
 */
#include "front/http/eventgrid.h"
#include "front/http/eventgrid_subscription.h"

#include "base/assert.h"
#include "broker/access.h"
#include "front/http/conn.h"

#include <stdio.h>
#include <string.h>

#define ID_MAX 2048
#define VALIDATION_BYTES 16
#define JSON_TYPE "application/json; charset=utf-8"

/* One request for an event subscription. */
struct arm {
    struct http_request *rq;
    enum eventgrid_tier tier;
    const struct topic *topic; /* of this turn */
    char topic_id[ID_MAX];
    struct str name;
    struct subscription_conf conf;
    struct subscription_put_op put;
    const struct subscription *changes; /* what a PATCH changes, a reference; NULL: a PUT */
    struct subscription_delete_op remove;
    struct err_text text;
    char validation[2 * VALIDATION_BYTES + 16];
};

/* ---- whose ----------------------------------------------------------------------------------- */

static bool stands_at(struct str path, size_t at, const char *word)
{
    size_t n = strlen(word);
    return at + n < path.len && strncasecmp(path.at + at, word, n) == 0;
}

/* The resource id of the topic: the path up to and with /topics/T, of a provider's: a resource
 * group may be called topics, too. */
static bool topic_id_of(struct str path, char *out, struct str *topic)
{
    const char word[] = "/topics/";
    bool provided = false;
    for (size_t i = 0; i < path.len; i++) {
        provided |= stands_at(path, i, "/providers/");
        if (!provided || !stands_at(path, i, word))
            continue;
        size_t from = i + sizeof word - 1, to = from;
        while (to < path.len && path.at[to] != '/')
            to++;
        *topic = (struct str){path.at + from, to - from};
        return str_copy(out, ID_MAX, (struct str){path.at, to});
    }
    return false;
}

/* Fills what the path says; NULL: refused and answered. name: of the event subscription, the last
 * parameter; at NULL in a list. */
static struct arm *arm_make(struct http_request *rq, struct str name)
{
    struct str topic;
    struct arm *a = http_alloc(rq, 1, sizeof *a);
    if (!a) {
        http_answer_error(rq, ERR_MEMORY, NULL);
        return NULL;
    }
    a->rq = rq;
    a->name = name;
    a->tier = eventgrid_is_namespace(rq->path) ? EVENTGRID_NAMESPACE : EVENTGRID_BASIC;
    if (!topic_id_of(rq->path, a->topic_id, &topic)) {
        http_answer_problem(rq, 400, "InvalidRequest",
                            "event subscriptions are of topics here: the scope must end with "
                            "/providers/Microsoft.EventGrid/topics/NAME");
        return NULL;
    }
    a->topic = eventgrid_topic(rq, topic);
    return a->topic ? a : NULL;
}

/* For the routes of one event subscription. */
static struct arm *arm_one(struct http_request *rq)
{
    weir_assert(rq->params_n > 0);
    return arm_make(rq, rq->params[rq->params_n - 1]);
}

/* ---- showing --------------------------------------------------------------------------------- */

static json_t *resource(const struct arm *a, const struct subscription *s)
{
    char id[ID_MAX + SUBSCRIPTION_NAME_MAX + 96];
    bool nested = a->tier == EVENTGRID_NAMESPACE;
    snprintf(id, sizeof id, "%s%s/eventSubscriptions/%s", a->topic_id,
             nested ? "" : "/providers/Microsoft.EventGrid", s->name);
    json_t *out = json_object();
    json_object_set_new(out, "id", json_string(id));
    json_object_set_new(out, "name", json_string(s->name));
    json_object_set_new(out, "type",
                        json_string(nested
                                        ? "Microsoft.EventGrid/namespaces/topics/eventSubscriptions"
                                        : "Microsoft.EventGrid/eventSubscriptions"));
    json_object_set_new(out, "properties",
                        eventgrid_subscription_write(a->tier, s, a->topic_id, false));
    return out;
}

void eventgrid_arm_get(struct http_request *rq)
{
    struct arm *a = arm_one(rq);
    const struct subscription *s = a ? eventgrid_subscription(rq, a->topic, a->name) : NULL;
    if (s)
        http_answer_json(rq, 200, resource(a, s));
}

void eventgrid_arm_list(struct http_request *rq)
{
    struct arm *a = arm_make(rq, (struct str){NULL, 0});
    if (!a)
        return;
    json_t *out = json_object(), *value = json_array();
    const struct subscription *s = NULL;
    while ((s = broker_subscription_next(rq->broker, &a->topic->id, s)))
        json_array_append_new(value, resource(a, s));
    json_object_set_new(out, "value", value);
    http_answer_json(rq, 200, out);
}

void eventgrid_arm_full_url(struct http_request *rq)
{
    struct arm *a = arm_one(rq);
    const struct subscription *s = a ? eventgrid_subscription(rq, a->topic, a->name) : NULL;
    if (!s)
        return;
    /* What of a URL is secret only its owner is told. */
    enum err err =
        access_check(rq->broker, &rq->actor, ACCESS_TOPIC, str_of(a->topic->name), ACCESS_OWNER);
    if (err) {
        http_answer_error(rq, err, NULL);
        return;
    }
    if (s->conf.deliver != DELIVER_URL) {
        http_answer_problem(rq, 400, "InvalidRequest", "event subscription %s has no endpoint URL",
                            s->name);
        return;
    }
    json_t *out = json_object();
    json_object_set_new(out, "endpointUrl", json_stringn(s->conf.target.at, s->conf.target.len));
    http_answer_json(rq, 200, out);
}

void eventgrid_arm_attributes(struct http_request *rq)
{
    struct arm *a = arm_one(rq);
    const struct subscription *s = a ? eventgrid_subscription(rq, a->topic, a->name) : NULL;
    if (!s)
        return;
    json_t *out = json_object();
    json_object_set_new(out, "value", eventgrid_subscription_attributes(s, false));
    http_answer_json(rq, 200, out);
}

/* ---- making and changing --------------------------------------------------------------------- */

static void refuse(struct arm *a, enum err err, const struct err_text *text)
{
    if (a->changes)
        subscription_unref(a->changes);
    if (err == ERR_BUSY)
        http_answer_problem(a->rq, 409, "Conflict",
                            "the event subscription was changed meanwhile: read it and try again");
    else
        http_answer_error(a->rq, err, text);
}

static void put_done(struct op *op)
{
    struct arm *a = container_of(op, struct arm, put.op);
    if (op->err) {
        refuse(a, op->err, &a->put.text);
        return;
    }
    if (a->changes)
        subscription_unref(a->changes);
    json_t *shown = resource(a, a->put.subscription);
    subscription_unref(a->put.subscription);
    http_answer_json(a->rq, 201, shown);
}

/* A webhook is validated (again) whenever it is put: the code is what its owner must know. */
static void begin_validation(struct arm *a)
{
    uint8_t random[VALIDATION_BYTES];
    int n = snprintf(a->validation, sizeof a->validation, "pending:");
    if (!a->conf.validation.at)
        return;
    env_random(broker_env(a->rq->broker), random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++)
        n += snprintf(a->validation + n, sizeof a->validation - (size_t)n, "%02x", random[i]);
    a->conf.validation = str_of(a->validation);
}

static enum err conf_read(struct arm *a, const json_t *properties)
{
    json_t *spec;
    struct spec_place where;
    struct str topic = str_of(a->topic->name);
    enum err err = eventgrid_subscription_read(a->tier, properties, topic, &spec, &a->text);
    if (err)
        return err;
    struct spec_document doc = spec_document_of(&subscription_kind, a->name, spec);
    spec_init(&subscription_kind, &a->conf);
    struct err_text wrong;
    err = spec_read(&subscription_kind, &doc, &a->rq->arena, &a->conf, &where, &wrong);
    if (err)
        err = err_say(&a->text, err, "%s %s", where.path, wrong.s);
    json_decref(spec);
    return err;
}

static void put(struct arm *a, const json_t *properties)
{
    enum err err = properties ? conf_read(a, properties)
                              : err_say(&a->text, ERR_REQUEST_INVALID,
                                        "the body must be an object with properties");
    if (err) {
        refuse(a, err, &a->text);
        return;
    }
    begin_validation(a);
    a->put = (struct subscription_put_op){.op.done = put_done,
                                          .actor = &a->rq->actor,
                                          .name = a->name,
                                          .conf = &a->conf,
                                          .update_only = a->changes != NULL,
                                          .expected = a->changes};
    broker_subscription_put(a->rq->broker, &a->put);
}

void eventgrid_arm_put(struct http_request *rq)
{
    struct arm *a = arm_one(rq);
    json_t *body;
    if (!a)
        return;
    enum err err = http_body_json(rq, &body, &a->text);
    if (err) {
        http_answer_error(rq, err, &a->text);
        return;
    }
    put(a, json_object_get(body, "properties"));
    json_decref(body);
}

/* The members of an update are those of the properties, without an object around them; that of a
 * namespace's subscription has one. */
void eventgrid_arm_patch(struct http_request *rq)
{
    struct arm *a = arm_one(rq);
    const struct subscription *s = a ? eventgrid_subscription(rq, a->topic, a->name) : NULL;
    json_t *body;
    if (!s)
        return;
    enum err err = http_body_json(rq, &body, &a->text);
    if (err) {
        http_answer_error(rq, err, &a->text);
        return;
    }
    json_t *inner = json_object_get(body, "properties");
    json_t *properties = eventgrid_subscription_write(a->tier, s, a->topic_id, true);
    json_object_update(properties, inner ? inner : body);
    a->changes = subscription_ref(s);
    put(a, properties);
    json_decref(properties);
    json_decref(body);
}

static void removed(struct op *op)
{
    struct arm *a = container_of(op, struct arm, remove.op);
    if (op->err && op->err != ERR_NOT_FOUND)
        http_answer_error(a->rq, op->err, &a->remove.text);
    else
        http_answer_empty(a->rq, op->err ? 204 : 200);
}

void eventgrid_arm_delete(struct http_request *rq)
{
    struct arm *a = arm_one(rq);
    if (!a)
        return;
    a->remove = (struct subscription_delete_op){
        .op.done = removed, .actor = &rq->actor, .topic = a->topic->id, .name = a->name};
    broker_subscription_delete(rq->broker, &a->remove);
}
