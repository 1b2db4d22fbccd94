#include "flow/reply.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "broker/hop.h"
#include "flow/reply_cause.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ID_BYTES (UUID_TEXT_MAX + 64)
#define KEEP_BYTES ((size_t)64 << 10) /* of an answer's buffer, for the next */

void reply_begin(struct reply *r, const struct reply_conf *conf)
{
    weir_assert(conf->messages_n >= 1);
    r->conf = *conf;
    r->n = 0;
    r->dropped = 0;
    r->text.s[0] = '\0';
    r->body.len = 0;
    r->causes = NULL;
    r->topics = NULL;
}

void reply_rest(struct reply *r)
{
    wr_reuse(&r->body, KEEP_BYTES);
}

void reply_free(struct reply *r)
{
    wr_free(&r->body);
    mem_free(r->outputs);
    r->outputs = NULL;
    r->cap = r->n = 0;
}

/* ---- where it goes -------------------------------------------------------------------------- */

static enum err check_topic(struct reply *r, const struct topic *t, struct str name)
{
    int shown = (int)name.len;
    if (t == NULL)
        return err_say(&r->text, ERR_TOPIC_UNKNOWN, "the reply's topic %.*s does not exist", shown,
                       name.at);
    if (t->internal)
        return err_say(&r->text, ERR_POLICY, "the reply's topic %.*s is internal", shown, name.at);
    return ERR_OK;
}

/* By the number of its route; behind the last one, reply.topic. Looked up once an answer. */
static enum err topic_at(struct reply *r, size_t i, struct str name, const struct topic **out)
{
    size_t n = r->conf.s->conf.routes.n + 1;
    if (r->topics == NULL)
        r->topics = arena_zalloc(r->conf.arena, n, sizeof *r->topics);
    if (r->topics == NULL)
        return ERR_MEMORY;
    if (r->topics[i] == NULL)
        r->topics[i] = r->conf.topic(r->conf.arg, name);
    *out = r->topics[i];
    return check_topic(r, *out, name);
}

/* NULL: nowhere. */
static enum err route(struct reply *r, const struct event *e, const struct topic **out)
{
    const struct subscription *s = r->conf.s;
    const struct reply_route *routes = s->conf.routes.at;
    struct event_source source;
    event_source_init(&source, e);
    for (size_t i = 0; i < s->conf.routes.n; i++) {
        if (s->routes[i] == NULL || expr_matches(s->routes[i], &source.source))
            return topic_at(r, i, routes[i].topic, out);
    }
    *out = NULL;
    if (s->conf.reply_topic.at == NULL)
        return ERR_OK;
    return topic_at(r, s->conf.routes.n, s->conf.reply_topic, out);
}

/* ---- what it does not say -------------------------------------------------------------------- */

/* An id that is the same whenever this message is answered so; index: of its replies. */
static enum err fill_id(struct reply *r, struct event *e, const struct message *m, uint32_t index,
                        const char *kind)
{
    char topic[UUID_TEXT_MAX], text[ID_BYTES];
    uuid_format(r->conf.s->topic, topic);
    int n = snprintf(text, sizeof text, "%s/%" PRId32 "/%" PRId64 "%s%" PRIu32, topic, m->partition,
                     m->offset, kind, index);
    e->id = (struct str){arena_strndup(r->conf.arena, text, (size_t)n), (size_t)n};
    return e->id.at != NULL ? ERR_OK : ERR_MEMORY;
}

/* An extension of the cause's that the reply has not. */
static enum err inherit(struct event *e, struct str name, struct str value)
{
    if (value.at == NULL || event_extension(e, name).at != NULL)
        return ERR_OK;
    return event_extension_set(e, name, value);
}

static enum err fill_traces(struct reply *r, struct event *e, uint32_t at)
{
    struct reply_trace trace;
    bool own = event_extension(e, STR_LIT("traceparent")).at != NULL;
    enum err err = reply_trace_of(&r->conf, at, &trace);
    if (err == ERR_OK && !own)
        err = inherit(e, STR_LIT("traceparent"), trace.traceparent);
    if (err == ERR_OK && !own)
        err = inherit(e, STR_LIT("tracestate"), trace.tracestate);
    if (err == ERR_OK)
        err = inherit(e, STR_LIT("correlationid"), trace.correlation);
    return err;
}

static enum err fill(struct reply *r, struct event *e, uint32_t cause)
{
    bool known = cause != REPLY_NO_CAUSE;
    uint32_t at = known ? cause : 0;
    enum err err = ERR_OK;
    if (e->source.at == NULL)
        e->source = r->conf.source;
    if (e->id.at == NULL)
        err = fill_id(r, e, &r->conf.messages[at],
                      known ? reply_cause_count(r->causes, at) : (uint32_t)r->n, known ? "/" : "+");
    return err == ERR_OK ? fill_traces(r, e, at) : err;
}

/* ---- the output ----------------------------------------------------------------------------- */

static struct publish_op *output_add(struct reply *r)
{
    if (r->n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : r->conf.messages_n;
        r->outputs = mem_realloc(r->outputs, r->cap * sizeof *r->outputs);
    }
    struct publish_op *o = &r->outputs[r->n++];
    *o = (struct publish_op){.partition = -1};
    return o;
}

static struct publish_cause cause_of(const struct reply *r, uint32_t cause)
{
    const struct subscription *s = r->conf.s;
    if (cause == REPLY_NO_CAUSE)
        return (struct publish_cause){.partition = 0};
    const struct message *m = &r->conf.messages[cause];
    return (struct publish_cause){.topic = s->topic,
                                  .partition = m->partition,
                                  .offset = m->offset,
                                  .subscription = str_of(s->name),
                                  .attempt = m->deliveries};
}

static enum err publish(struct reply *r, struct event *e, uint32_t cause, const struct topic *topic)
{
    static const uint8_t no_random[24]; /* it has a traceparent */
    if (topic == NULL) {
        r->dropped++;
        return ERR_OK;
    }
    if (r->n == REPLY_EVENTS_MAX)
        return err_say(&r->text, ERR_MESSAGE_TOO_LARGE, "there are more than %d events in a reply",
                       REPLY_EVENTS_MAX);
    struct publish_op *o = output_add(r);
    o->topic = topic->id;
    o->cause = cause_of(r, cause);
    enum err err = event_to_record(e, no_random, r->conf.arena, &o->record, &r->text);
    if (o->record.key.at == NULL && cause != REPLY_NO_CAUSE)
        o->record.key = r->conf.messages[cause].record.key;
    return err;
}

static enum err prepare(struct reply *r)
{
    if (r->causes == NULL)
        r->causes = reply_causes_make(&r->conf);
    return r->causes ? ERR_OK : ERR_MEMORY;
}

enum err reply_add(struct reply *r, struct event *e, uint32_t cause)
{
    const struct topic *topic = NULL;
    enum err err = prepare(r);
    if (err == ERR_OK)
        err = fill(r, e, cause);
    if (err == ERR_OK)
        err = route(r, e, &topic);
    return err == ERR_OK ? publish(r, e, cause, topic) : err;
}

enum err reply_add_to(struct reply *r, struct event *e, uint32_t cause, struct str topic)
{
    const struct topic *t = r->conf.topic(r->conf.arg, topic);
    enum err err = prepare(r);
    if (err == ERR_OK)
        err = fill(r, e, cause);
    if (err == ERR_OK)
        err = check_topic(r, t, topic);
    return err == ERR_OK ? publish(r, e, cause, t) : err;
}

/* ---- the modes ------------------------------------------------------------------------------ */

static struct str body_of(const struct reply *r)
{
    return r->body.len > 0 ? (struct str){(const char *)r->body.buf->data, r->body.len}
                           : STR_LIT("");
}

static enum err read_batch(struct reply *r)
{
    struct event e;
    struct jr j;
    enum err err = event_batch_begin(&j, body_of(r), &r->text);
    uint32_t i = 0;
    while (err == ERR_OK) {
        err = event_batch_next_partial(&j, r->conf.arena, &e, &r->text);
        if (err == ERR_OK)
            err = reply_add(r, &e, reply_cause_find(r->causes, &e, i++, body_of(r)));
    }
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err read_structured(struct reply *r)
{
    struct event e;
    enum err err = event_of_json_partial(body_of(r), r->conf.arena, &e, &r->text);
    return err == ERR_OK ? reply_add(r, &e, reply_cause_find(r->causes, &e, 0, STR_LIT("[1]")))
                         : err;
}

static bool is_attribute(const struct http_header *h)
{
    return h->name.len > 3 && memcmp(h->name.at, "ce-", 3) == 0;
}

/* The answer's headers live no longer than its call. */
static enum err read_header(struct reply *r, const struct http_header *h, struct event *e)
{
    struct str name = {arena_strndup(r->conf.arena, h->name.at + 3, h->name.len - 3),
                       h->name.len - 3};
    struct str value = {arena_strndup(r->conf.arena, h->value.at, h->value.len), h->value.len};
    if (name.at == NULL || value.at == NULL)
        return ERR_MEMORY;
    if (str_is(name, "datacontenttype"))
        return ERR_OK; /* Content-Type says it */
    value = event_percent_decode(value, r->conf.arena);
    return value.at != NULL ? event_attribute_set(e, name, value, &r->text) : ERR_MEMORY;
}

static enum err read_type(struct reply *r, struct str type, struct event *e)
{
    if (type.len == 0)
        return ERR_OK;
    type.at = arena_strndup(r->conf.arena, type.at, type.len);
    return type.at != NULL ? event_attribute_set(e, STR_LIT("datacontenttype"), type, &r->text)
                           : ERR_MEMORY;
}

static enum err read_binary(struct reply *r, const struct http_call *call)
{
    struct event e;
    enum err err = ERR_OK;
    event_init(&e);
    if (http_answer_header(call, "ce-specversion").at == NULL)
        return err_say(&r->text, ERR_RECORD_INVALID,
                       "the reply has ce- headers without ce-specversion: 1.0");
    for (size_t i = 0; i < call->answer_headers_n && err == ERR_OK; i++) {
        if (is_attribute(&call->answer_headers[i]))
            err = read_header(r, &call->answer_headers[i], &e);
    }
    if (err == ERR_OK)
        err = read_type(r, http_answer_header(call, "content-type"), &e);
    if (body_of(r).len > 0)
        e.data = body_of(r);
    return err == ERR_OK ? reply_add(r, &e, reply_cause_find(r->causes, &e, 0, STR_LIT("[1]")))
                         : err;
}

static bool has_attributes(const struct http_call *call)
{
    for (size_t i = 0; i < call->answer_headers_n; i++) {
        if (is_attribute(&call->answer_headers[i]))
            return true;
    }
    return false;
}

/* Only JSON is read; application/cloudevents+avro would be something else. */
static enum err check_format(struct reply *r, struct str type)
{
    return event_type_is_json(type)
               ? ERR_OK
               : err_say(&r->text, ERR_RECORD_INVALID, "the reply's format %.*s is not read here",
                         (int)(type.len < 64 ? type.len : 64), type.at);
}

enum err reply_read(struct reply *r, const struct http_call *call)
{
    struct str type = http_answer_header(call, "content-type");
    bool batch = event_type_is_batch(type), structured = event_type_is_structured(type);
    bool success = call->status >= 200 && call->status < 300 && call->status != 202;
    if (!success || (!batch && !structured && !has_attributes(call)))
        return ERR_OK;
    if (call->answer_cut)
        return err_say(&r->text, ERR_MESSAGE_TOO_LARGE, "the reply is larger than %zu bytes",
                       call->answer.len);
    wr_bytes(&r->body, call->answer.at, call->answer.len);
    enum err err = batch || structured ? check_format(r, type) : ERR_OK;
    if (err == ERR_OK)
        err = prepare(r);
    if (err != ERR_OK)
        return err;
    return batch ? read_batch(r) : structured ? read_structured(r) : read_binary(r, call);
}
