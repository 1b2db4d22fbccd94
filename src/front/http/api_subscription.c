/* api_subscription.c: the kind Subscription. Its name has the topic's before it: "orders/fraud". */
#include "front/http/api.h"

#include "broker/access.h"
#include "broker/subscription.h"

#include <stdio.h>
#include <string.h>

struct subscription_item {
    union {
        struct subscription_put_op put;
        struct subscription_delete_op remove;
    } op;
    struct api_item *item;
};

/* ---- seeing --------------------------------------------------------------------------------- */

static bool sees(struct http_request *rq, const struct subscription *s)
{
    return access_roles(rq->broker, &rq->actor, ACCESS_TOPIC, str_of(s->topic_name)) != 0;
}

/* "orders/fraud" -> the topic of the first part, which may be NULL, and the second. */
static const struct topic *split(struct http_request *rq, struct str name, struct str *below)
{
    const char *slash = memchr(name.at, '/', name.len);
    struct str above = {name.at, slash ? (size_t)(slash - name.at) : name.len};
    *below = slash ? (struct str){slash + 1, name.len - above.len - 1} : (struct str){NULL, 0};
    return broker_topic(rq->broker, above);
}

const void *api_subscription_find(struct http_request *rq, struct str name)
{
    struct str below;
    const struct topic *t = split(rq, name, &below);
    const struct subscription *s = t ? broker_subscription(rq->broker, &t->id, below) : NULL;
    return s && sees(rq, s) ? s : NULL;
}

/* By the topics' names, and in each by the subscriptions'. */
const void *api_subscription_next(struct http_request *rq, const void *after)
{
    const struct subscription *s = after;
    const struct topic *t =
        s ? broker_topic_by_id(rq->broker, &s->topic) : broker_topic_next(rq->broker, NULL);
    for (; t; t = broker_topic_next(rq->broker, t)) {
        s = broker_subscription_next(rq->broker, &t->id, s);
        if (s && sees(rq, s))
            return s;
        s = NULL; /* a topic that is hidden hides all of its own */
    }
    return NULL;
}

struct str api_subscription_name(struct http_request *rq, const void *thing)
{
    const struct subscription *s = thing;
    size_t len = strlen(s->topic_name) + 1 + strlen(s->name);
    char *name = http_alloc(rq, len + 1, 1);
    if (name)
        snprintf(name, len + 1, "%s/%s", s->topic_name, s->name);
    return (struct str){name, name ? len : 0};
}

json_t *api_subscription_show(struct http_request *rq, const void *thing)
{
    const struct subscription *s = thing;
    const struct api_kind *kind = api_kind_of_plural(str_of(subscription_kind.plural));
    (void)rq;
    json_t *status = api_status(s->id, s->created_ms);
    json_object_set_new(status, "queue", json_boolean(s->queue));
    return api_document(kind, str_of(s->name), &s->conf, status);
}

/* ---- apply ---------------------------------------------------------------------------------- */

static void put_done(struct op *base)
{
    struct subscription_item *si = container_of(base, struct subscription_item, op.put.op);
    struct api_item *item = si->item;
    item->text = si->op.put.text;
    if (base->err == ERR_TOPIC_UNKNOWN || base->err == ERR_TOPIC_DENIED)
        api_blame(item, "spec.topic");
    if (!base->err)
        subscription_unref(si->op.put.subscription);
    api_done_put(item, base->err, si->op.put.created, si->op.put.changed);
}

void api_subscription_apply(struct api_item *item)
{
    struct http_request *rq = item->rq;
    struct subscription_conf *conf = item->spec;
    struct subscription_item *si = http_alloc(rq, 1, sizeof *si);
    const struct topic *t = broker_topic(rq->broker, conf->topic);
    const struct subscription *was =
        t ? broker_subscription(rq->broker, &t->id, item->doc->name) : NULL;
    if (!si) {
        api_done(item, ERR_MEMORY);
        return;
    }
    if (!was || !spec_equal(&subscription_kind, &was->conf, conf))
        item->changes = spec_changes(&subscription_kind, was ? &was->conf : NULL, conf);
    si->item = item;
    si->op.put = (struct subscription_put_op){.op.done = put_done,
                                              .actor = &rq->actor,
                                              .name = item->doc->name,
                                              .conf = conf,
                                              .validate_only = item->dry_run};
    broker_subscription_put(rq->broker, &si->op.put);
}

/* ---- delete --------------------------------------------------------------------------------- */

static void remove_done(struct op *base)
{
    struct subscription_item *si = container_of(base, struct subscription_item, op.remove.op);
    si->item->text = si->op.remove.text;
    api_done(si->item, base->err);
}

void api_subscription_remove(struct api_item *item)
{
    struct http_request *rq = item->rq;
    struct str below;
    const struct topic *t = split(rq, item->name, &below);
    struct subscription_item *si = http_alloc(rq, 1, sizeof *si);
    bool there = api_subscription_find(rq, item->name) != NULL;
    item->result = "deleted";
    if (!si || !there || item->dry_run) {
        api_done(item, !si ? ERR_MEMORY : there ? ERR_OK : ERR_NOT_FOUND);
        return;
    }
    si->item = item;
    si->op.remove = (struct subscription_delete_op){
        .op.done = remove_done, .actor = &rq->actor, .topic = t->id, .name = below};
    broker_subscription_delete(rq->broker, &si->op.remove);
}
