/* Publishing as Event Grid's SDKs do it:
 *
 *     POST /topics/T/api/events   basic topics: an array of EventGridEvents (application/json), or
 *                                 CloudEvents in any mode; answered 200 without a body
 *     POST /topics/T:publish      namespace topics: CloudEvents in any mode; answered 200 {}
 *
 * Both answer when all events are as durable as the topic promises, and nothing is stored of a
 * request in which one is wrong.
 */
#include "front/http/binary.h"
#include "front/http/eventgrid.h"
#include "front/http/publishing.h"

#include <stdio.h>

#define SCHEMA_WORDS                                                                               \
    "application/json (an array of EventGridEvents), application/cloudevents+json or "             \
    "application/cloudevents-batch+json"

static void answer_basic(struct publishing *p)
{
    if (p->err)
        http_answer_error(p->rq, p->err, &p->text);
    else
        http_answer_empty(p->rq, 200);
}

static void answer_namespace(struct publishing *p)
{
    if (p->err)
        http_answer_error(p->rq, p->err, &p->text);
    else
        http_answer_json(p->rq, 200, json_object());
}

/* ---- Event Grid's schema --------------------------------------------------------------------- */

static struct str own_name(struct http_request *rq, struct str topic)
{
    char name[TOPIC_NAME_MAX + 16];
    snprintf(name, sizeof name, "/topics/%.*s",
             (int)(topic.len < TOPIC_NAME_MAX ? topic.len : TOPIC_NAME_MAX), topic.at);
    char *out = http_text(rq, str_of(name));
    return out ? str_of(out) : (struct str){NULL, 0};
}

static enum err read_all(struct publishing *p, struct event *e, struct err_text *text)
{
    struct jr batch;
    struct str topic = own_name(p->rq, p->topic_name);
    struct str body = {(const char *)p->rq->body.at, p->rq->body.len};
    enum err err = topic.at ? event_batch_begin(&batch, body, text) : ERR_MEMORY;
    while (!err) {
        err = event_eventgrid_next(&batch, topic, &p->rq->arena, e, text);
        if (!err)
            err = publishing_trace(p->rq, e);
        if (!err)
            err = publishing_add(p, e, text);
    }
    return err;
}

static enum err read_eventgrid(struct publishing *p, struct err_text *text)
{
    struct err_text why = {""};
    struct event *e = http_alloc(p->rq, 1, sizeof *e);
    enum err err = e ? read_all(p, e, &why) : ERR_MEMORY;
    if (err == ERR_NOT_FOUND)
        return p->n ? ERR_OK : err_say(text, ERR_RECORD_INVALID, "the array has no events");
    if (err == ERR_RECORD_INVALID)
        return err_say(text, err, "event %zu of the array, from 0: %s", p->n, why.s);
    *text = why;
    return err;
}

/* ---- requests -------------------------------------------------------------------------------- */

static void refuse(struct http_request *rq, enum err err, const struct err_text *text)
{
    if (err == ERR_COMPRESSION)
        http_answer_problem(rq, 415, "UnsupportedMediaType", "%s", text->s);
    else if (err == ERR_RECORD_INVALID)
        http_answer_problem(rq, 400, "BadRequest", "%s", text->s);
    else
        http_answer_error(rq, err, text);
}

static enum err read_cloudevents(struct publishing *p, struct err_text *text)
{
    struct http_request *rq = p->rq;
    struct str type = http_field(rq, "content-type");
    if (!binary_is(rq) && !event_type_is_structured(type) && !event_type_is_batch(type))
        return err_say(text, ERR_COMPRESSION, "Content-Type must be " SCHEMA_WORDS);
    return publishing_read(p, text);
}

static void publish(struct http_request *rq, publishing_fn *answer,
                    enum err (*take)(struct publishing *p, struct err_text *text))
{
    static const char *const names[] = {"api-version", NULL};
    struct err_text text = {""};
    struct publishing *p = NULL;
    enum err err = http_query_only(rq, names, &text);
    if (!err && http_field(rq, "aeg-channel-name").at)
        err = err_say(&text, ERR_REQUEST_INVALID,
                      "aeg-channel-name: channels are of partner namespaces, which are not here");
    if (!err)
        err = publishing_make(rq, rq->params[0], answer, &p, &text);
    if (!err) {
        p->auto_create = false;
        err = take(p, &text);
    }
    if (err)
        refuse(rq, err, &text);
    else
        publishing_send(p);
}

void eventgrid_publish(struct http_request *rq)
{
    bool events = http_content_is(rq, "application/json") && !binary_is(rq);
    publish(rq, answer_basic, events ? read_eventgrid : read_cloudevents);
}

void eventgrid_publish_namespace(struct http_request *rq)
{
    publish(rq, answer_namespace, read_cloudevents);
}
