/* Custom topics and namespace topics as Azure's control plane has them. A topic takes both schemas,
 * whatever is asked for; one with a schema of its own (CustomEventSchema) is refused. */
#include "front/http/eventgrid.h"

#include "base/assert.h"
#include "front/http/conn.h"

#include <stdio.h>
#include <string.h>

struct arm_topic {
    struct http_request *rq;
    struct topic_create_op create;
    struct topic_delete_op remove;
    struct err_text text;
};

/* Where clients of the caller's network reach the topic: as the caller reached us. */
static void put_endpoint(const struct http_request *rq, const struct topic *t, json_t *properties)
{
    char endpoint[TOPIC_NAME_MAX + 320];
    struct str host = http_field(rq, "host");
    snprintf(endpoint, sizeof endpoint, "%s://%.*s/topics/%s/api/events",
             rq->conn->pipe && rq->conn->pipe->secure ? "https" : "http",
             host.len < 256 ? (int)host.len : 0, host.at, t->name);
    json_object_set_new(properties, "endpoint", json_string(endpoint));
}

/* The resource at `id`, a path. */
static json_t *resource(const struct http_request *rq, struct str id, const struct topic *t)
{
    bool nested = eventgrid_is_namespace(id);
    json_t *out = json_object(), *properties = json_object();
    json_object_set_new(out, "id", json_stringn(id.at, id.len));
    json_object_set_new(out, "name", json_string(t->name));
    json_object_set_new(out, "type",
                        json_string(nested ? "Microsoft.EventGrid/namespaces/topics"
                                           : "Microsoft.EventGrid/topics"));
    json_object_set_new(properties, "provisioningState", json_string("Succeeded"));
    if (nested) {
        json_object_set_new(properties, "inputSchema", json_string("CloudEventSchemaV1_0"));
        json_object_set_new(properties, "publisherType", json_string("Custom"));
    } else {
        json_object_set_new(out, "location", json_string("local"));
        put_endpoint(rq, t, properties);
    }
    json_object_set_new(out, "properties", properties);
    return out;
}

static struct str last_param(const struct http_request *rq)
{
    weir_assert(rq->params_n > 0);
    return rq->params[rq->params_n - 1];
}

void eventgrid_arm_topic_get(struct http_request *rq)
{
    const struct topic *t = eventgrid_topic(rq, last_param(rq));
    if (t)
        http_answer_json(rq, 200, resource(rq, rq->path, t));
}

void eventgrid_arm_topic_list(struct http_request *rq)
{
    json_t *out = json_object(), *value = json_array();
    const struct topic *t = NULL;
    while ((t = broker_topic_next(rq->broker, t))) {
        char id[2048];
        int n = snprintf(id, sizeof id, "%.*s/%s", (int)rq->path.len, rq->path.at, t->name);
        if (!t->internal && (size_t)n < sizeof id && eventgrid_sees(rq, t))
            json_array_append_new(value, resource(rq, str_of(id), t));
    }
    json_object_set_new(out, "value", value);
    http_answer_json(rq, 200, out);
}

static void created(struct op *op)
{
    struct arm_topic *a = container_of(op, struct arm_topic, create.op);
    const struct topic *t = a->create.topic;
    if (op->err && op->err != ERR_TOPIC_EXISTS)
        http_answer_error(a->rq, op->err, &a->create.text);
    else
        http_answer_json(a->rq, 201, resource(a->rq, a->rq->path, t));
    if (t)
        topic_unref(t);
}

static enum err schema_check(const json_t *body, struct err_text *text)
{
    const json_t *properties = json_object_get(body, "properties");
    const char *schema = json_string_value(json_object_get(properties, "inputSchema"));
    if (!schema || !strcasecmp(schema, "EventGridSchema") ||
        !strcasecmp(schema, "CloudEventSchemaV1_0"))
        return ERR_OK;
    return err_say(text, ERR_CONFIG_INVALID,
                   "inputSchema %.40s is not served here; there are EventGridSchema and "
                   "CloudEventSchemaV1_0",
                   schema);
}

static enum err put_read(struct http_request *rq, struct err_text *text)
{
    json_t *body;
    enum err err = http_body_json(rq, &body, text);
    if (err)
        return err;
    err = schema_check(body, text);
    json_decref(body);
    return err;
}

void eventgrid_arm_topic_put(struct http_request *rq)
{
    struct err_text text = {""};
    enum err err = put_read(rq, &text);
    struct arm_topic *a = err ? NULL : http_alloc(rq, 1, sizeof *a);
    if (!a) {
        http_answer_error(rq, err ? err : ERR_MEMORY, &text);
        return;
    }
    a->rq = rq;
    a->create = (struct topic_create_op){.op.done = created,
                                         .actor = &rq->actor,
                                         .name = last_param(rq),
                                         .partitions = -1,
                                         .replication = 1};
    broker_topic_create(rq->broker, &a->create);
}

static void removed(struct op *op)
{
    struct arm_topic *a = container_of(op, struct arm_topic, remove.op);
    if (a->remove.topic)
        topic_unref(a->remove.topic);
    if (op->err && op->err != ERR_TOPIC_UNKNOWN)
        http_answer_error(a->rq, op->err, &a->remove.text);
    else
        http_answer_empty(a->rq, 204);
}

void eventgrid_arm_topic_delete(struct http_request *rq)
{
    struct arm_topic *a = http_alloc(rq, 1, sizeof *a);
    if (!a) {
        http_answer_error(rq, ERR_MEMORY, NULL);
        return;
    }
    a->rq = rq;
    a->remove =
        (struct topic_delete_op){.op.done = removed, .actor = &rq->actor, .name = last_param(rq)};
    broker_topic_delete(rq->broker, &a->remove);
}
