/* POST /topics/{topic}: events in, in any of CloudEvents' modes, or a plain body.
 *
 *     application/cloudevents+json          one event, structured
 *     application/cloudevents-batch+json    an array of events
 *     ce-specversion and other ce- fields   one event, binary: the body is its data
 *     anything else                         one event with the body as its data; source, type and
 *                                           time are derived, the id is Idempotency-Key or random
 *
 * The answer comes when all is as durable as the topic promises: 202 without a body, as Knative's
 * brokers answer, since its senders take a 200 with a body for an event in reply, and one that they
 * cannot read for a failure. Where the event stands is in the fields Weir-Partition, Weir-Offset
 * and Location; who accepts application/json by name gets it as a body, and so does every batch.
 */
#include "base/when.h"
#include "front/http/binary.h"
#include "front/http/conn.h"
#include "front/http/publishing.h"
#include "front/http/verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ID_TEXT 40

/* ---- answer --------------------------------------------------------------------------------- */

static void put_item(struct wr *w, const struct publishing_item *i)
{
    const struct publish_op *op = &i->op;
    if (op->op.err) {
        wr_printf(w, "{\"error\":\"%s\"}", err_name(op->op.err));
        return;
    }
    wr_printf(w, "{\"partition\":%" PRId32 ",\"offset\":%" PRId64 "%s}", op->partition_out,
              op->offset, op->duplicate ? ",\"duplicate\":true" : "");
}

static void put_items(struct wr *w, const struct publishing *p)
{
    wr_text(w, "{\"events\":[");
    for (const struct publishing_item *i = p->first; i; i = i->next) {
        if (i != p->first)
            wr_u8(w, ',');
        put_item(w, i);
    }
    wr_text(w, "]}\n");
}

static void put_place(struct http_request *rq, const struct publishing *p)
{
    const struct publish_op *op = &p->first->op;
    http_header(rq, "Weir-Partition", "%" PRId32, op->partition_out);
    http_header(rq, "Weir-Offset", "%" PRId64, op->offset);
    if (op->duplicate)
        http_header(rq, "Weir-Duplicate", "true");
    http_header(rq, "Location", "/topics/%.*s/partitions/%" PRId32 "/offsets/%" PRId64,
                (int)p->topic_name.len, p->topic_name.at, op->partition_out, op->offset);
}

/* Some partitions have taken their events and others not: the client must see which. */
static void answer_mixed(struct http_request *rq, const struct publishing *p)
{
    struct wr w;
    int status = err_http(p->err);
    if (status == 429 || status == 503 || status == 507)
        http_header(rq, "Retry-After", "1");
    wr_init(&w, 64 * p->n);
    put_items(&w, p);
    http_answer_written(rq, status, "application/json", &w);
}

static void published(struct publishing *p)
{
    struct http_request *rq = p->rq;
    struct wr w;
    if (p->err && p->failed > 0 && p->failed < p->n) {
        answer_mixed(rq, p);
        return;
    }
    if (p->err) {
        http_answer_error(rq, p->err, &p->text);
        return;
    }
    if (p->n == 1)
        put_place(rq, p);
    if (p->n == 1 && !http_accepts(rq, "application/json")) {
        http_answer_empty(rq, 202);
        return;
    }
    wr_init(&w, 64 * p->n);
    put_items(&w, p);
    http_answer_written(rq, 202, "application/json", &w);
}

/* ---- plain bodies --------------------------------------------------------------------------- */

/* What curl says with -d when nothing else is said, whatever the data is. */
#define CURL_DEFAULT "application/x-www-form-urlencoded"

static struct str plain_type(const struct http_request *rq)
{
    struct str type = http_field(rq, "content-type");
    struct str body = {(const char *)rq->body.at, rq->body.len};
    if (type.len && !http_content_is(rq, CURL_DEFAULT))
        return type;
    if (body.len == 0)
        return (struct str){0};
    if (json_valid(body))
        return STR_LIT("application/json");
    if (!utf8_valid(body.at, body.len))
        return STR_LIT("application/octet-stream");
    return type.len && memchr(body.at, '=', body.len) ? type : STR_LIT("text/plain");
}

static struct str time_text(struct http_request *rq)
{
    char *out = http_alloc(rq, WHEN_TEXT_MAX, 1);
    if (!out)
        return (struct str){0};
    return str_of(when_put_datetime((int64_t)env_now_ms(broker_env(rq->broker)), out));
}

static struct str fresh_id(struct http_request *rq)
{
    uint8_t random[16];
    struct str key = http_field(rq, "idempotency-key");
    char *out = http_alloc(rq, ID_TEXT, 1);
    if (key.len || !out)
        return key;
    env_random(broker_env(rq->broker), random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(out + 2 * i, 3, "%02x", random[i]);
    return (struct str){out, 2 * sizeof random};
}

static struct str source_text(struct http_request *rq, struct str topic)
{
    size_t n = strlen("/topics/") + topic.len;
    char *out = http_alloc(rq, n + 1, 1);
    if (!out)
        return (struct str){0};
    snprintf(out, n + 1, "/topics/%.*s", (int)topic.len, topic.at);
    return (struct str){out, n};
}

static enum err plain_read(struct http_request *rq, struct str topic, struct event *out,
                           struct err_text *text)
{
    event_init(out);
    out->source = source_text(rq, topic);
    out->type = STR_LIT("weir.record");
    out->time = time_text(rq);
    if (!out->source.at || !out->time.at)
        return ERR_MEMORY;
    enum err err = event_attribute_set(out, STR_LIT("id"), fresh_id(rq), text);
    struct str type = plain_type(rq);
    if (!err && type.at)
        err = event_attribute_set(out, STR_LIT("datacontenttype"), type, text);
    if (rq->body.len)
        out->data = (struct str){(const char *)rq->body.at, rq->body.len};
    return err;
}

/* ---- request -------------------------------------------------------------------------------- */

static enum err add(struct publishing *p, struct event *e, struct err_text *text)
{
    enum err err = publishing_trace(p->rq, e);
    return err ? err : publishing_add(p, e, text);
}

static enum err add_batch(struct publishing *p, struct str json, struct err_text *text)
{
    struct event *e = http_alloc(p->rq, 1, sizeof *e);
    struct jr batch;
    if (!e)
        return ERR_MEMORY;
    enum err err = event_batch_begin(&batch, json, text);
    while (!err) {
        err = event_batch_next(&batch, &p->rq->arena, e, text);
        if (!err)
            err = add(p, e, text);
    }
    if (err == ERR_NOT_FOUND)
        return p->n ? ERR_OK : err_say(text, ERR_RECORD_INVALID, "the batch has no events");
    struct err_text why = *text;
    if (err == ERR_RECORD_INVALID)
        err_say(text, err, "event %zu of the batch, from 0: %s", p->n, why.s);
    return err;
}

static bool is_structured_json(const struct http_request *rq)
{
    return http_content_is(rq, "application/cloudevents+json") ||
           http_content_is(rq, "application/cloudevents");
}

enum err publishing_read(struct publishing *p, struct err_text *text)
{
    struct http_request *rq = p->rq;
    struct str type = http_field(rq, "content-type");
    struct str body = {(const char *)rq->body.at, rq->body.len};
    struct event *e;
    enum err err;
    if (http_content_is(rq, "application/cloudevents-batch+json"))
        return add_batch(p, body, text);
    bool structured = event_type_is_structured(type) || event_type_is_batch(type);
    if (structured && !is_structured_json(rq))
        return err_say(text, ERR_COMPRESSION,
                       "Content-Type %.*s is a CloudEvents format that is not read here; "
                       "application/cloudevents+json and application/cloudevents-batch+json are",
                       (int)(type.len < 60 ? type.len : 60), type.at);
    e = http_alloc(rq, 1, sizeof *e);
    if (!e)
        return ERR_MEMORY;
    if (is_structured_json(rq))
        err = event_of_json(body, &rq->arena, e, text);
    else if (binary_is(rq))
        err = binary_read(rq, e, text);
    else
        err = plain_read(rq, p->topic_name, e, text);
    return err ? err : add(p, e, text);
}

static void refuse(struct http_request *rq, enum err err, const struct err_text *text)
{
    if (err == ERR_COMPRESSION)
        http_answer_problem(rq, 415, "MEDIA_TYPE", "%s", text->s);
    else if (err == ERR_RECORD_INVALID)
        http_answer_problem(rq, 400, "EVENT_INVALID", "%s", text->s);
    else
        http_answer_error(rq, err, text);
}

void http_publish(struct http_request *rq)
{
    static const char *const names[] = {"key", "partition", NULL};
    struct err_text text = {""};
    struct publishing *p;
    enum err err = http_query_only(rq, names, &text);
    if (!err)
        err = publishing_make(rq, rq->params[0], published, &p, &text);
    if (!err)
        err = publishing_read(p, &text);
    if (err)
        refuse(rq, err, &text);
    else
        publishing_send(p);
}
