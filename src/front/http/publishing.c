#include "front/http/publishing.h"

#include "front/http/conn.h"
#include "front/http/topic_for.h"

enum err publishing_make(struct http_request *rq, struct str topic, publishing_fn *done,
                         struct publishing **out, struct err_text *text)
{
    struct publishing *p = http_alloc(rq, 1, sizeof *p);
    int64_t partition = -1;
    *out = p;
    if (!p)
        return ERR_MEMORY;
    *p = (struct publishing){.rq = rq, .topic_name = topic, .done = done, .auto_create = true};
    p->last = &p->first;
    p->key = http_query(rq, "key");
    rq->state = p;
    enum err err = topic_name_check(topic, text);
    if (!err)
        err = http_query_int(rq, "partition", 0, INT32_MAX, &partition, text);
    p->partition = (int32_t)partition;
    return err;
}

enum err publishing_trace(struct http_request *rq, struct event *e)
{
    static const char *const names[] = {"traceparent", "tracestate"};
    struct str parent = STR_LIT("traceparent");
    if (event_extension(e, parent).at)
        return ERR_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct str value = http_field(rq, names[i]);
        enum err err = value.len ? event_attribute_set(e, str_of(names[i]), value, NULL) : ERR_OK;
        if (err == ERR_RECORD_INVALID)
            return ERR_OK; /* a tracer's mistake costs nobody his event */
        if (err)
            return err;
    }
    return ERR_OK;
}

enum err publishing_add(struct publishing *p, const struct event *e, struct err_text *text)
{
    if (p->n == PUBLISHING_EVENTS_MAX)
        return err_say(text, ERR_REQUEST_INVALID, "there are more than %d events in one request",
                       PUBLISHING_EVENTS_MAX);
    struct publishing_item *item = http_alloc(p->rq, 1, sizeof *item);
    if (!item)
        return ERR_MEMORY;
    item->all = p;
    item->op.record.key = p->key;
    const uint8_t *random = http_random(p->rq->conn->reactor, broker_env(p->rq->broker), 24);
    enum err err = event_to_record(e, random, &p->rq->arena, &item->op.record, text);
    if (err)
        return err;
    *p->last = item;
    p->last = &item->next;
    p->n++;
    return ERR_OK;
}

static void keep_error(struct publishing *p, enum err err, const struct err_text *text)
{
    if (!err || p->err)
        return;
    p->err = err;
    p->text = *text;
}

static void one_less(struct publishing *p)
{
    if (--p->waiting == 0)
        p->done(p);
}

static void published(struct op *op)
{
    struct publishing_item *item = container_of(op, struct publishing_item, op.op);
    keep_error(item->all, op->err, &item->op.text);
    item->all->failed += op->err != ERR_OK;
    one_less(item->all);
}

static enum err check_topic(const struct publishing *p, const struct topic *t,
                            struct err_text *text)
{
    if (t->internal)
        return err_say(text, ERR_POLICY, "\"%s\" is an internal topic; weir alone writes there",
                       t->name);
    if (p->partition >= t->partitions)
        return err_say(text, ERR_TOPIC_UNKNOWN, "\"%s\" has the partitions 0 to %d", t->name,
                       t->partitions - 1);
    return ERR_OK;
}

/* The broker checks this too, but when others of the request may be stored already. */
static enum err check_sizes(const struct publishing *p, const struct topic *t,
                            struct err_text *text)
{
    static const struct batch_builder empty;
    size_t n = 0;
    for (const struct publishing_item *i = p->first; i; i = i->next, n++) {
        const struct publish_record *r = &i->op.record;
        size_t bytes =
            BATCH_HEAD_BYTES + batch_room(&empty, 0, r->key, r->value, r->headers, r->headers_n);
        if (bytes <= (uint64_t)t->conf.max_message_bytes)
            continue;
        return err_say(text, ERR_MESSAGE_TOO_LARGE,
                       "event %zu of %zu needs %zu bytes; max.message.bytes of \"%s\" is %lld; "
                       "nothing was stored",
                       n, p->n, bytes, t->name, (long long)t->conf.max_message_bytes);
    }
    return ERR_OK;
}

static void topic_found(struct http_request *rq, const struct topic *t, enum err err,
                        const struct err_text *why)
{
    struct publishing *p = rq->state;
    struct err_text text = *why;
    if (!err)
        err = check_topic(p, t, &text);
    if (!err)
        err = check_sizes(p, t, &text);
    p->waiting = 1; /* ops may be done at once: the last one is this loop's own */
    for (struct publishing_item *i = p->first, *next; i && !err; i = next) {
        next = i->next;
        i->op.op.done = published;
        i->op.actor = &rq->actor;
        i->op.topic = t->id;
        i->op.partition = p->partition;
        p->waiting++;
        broker_publish(rq->broker, &i->op);
    }
    keep_error(p, err, &text);
    one_less(p);
}

void publishing_send(struct publishing *p)
{
    struct err_text text = {""};
    const struct topic *t;
    if (p->auto_create) {
        http_topic_or_create(p->rq, p->topic_name, topic_found);
        return;
    }
    enum err err = http_topic(p->rq, p->topic_name, &t, &text);
    topic_found(p->rq, t, err, &text);
}
