/* Delivery into a topic or queue of weir's own: the records are outputs of the settle that accepts
 * them, one atomic group. No call is made, so nothing can be delivered twice. */
#include "flow/push_internal.h"

#include "base/mem.h"

#include <string.h>

/* The record as it came; its time is that of the append, by which retention goes. */
static bool copy_record(struct push_lane *lane, const struct record *from,
                        struct publish_record *out)
{
    struct record r = *from; /* a cursor of our own over its headers */
    size_t n = (size_t)(r.headers > 0 ? r.headers : 0), i = 0;
    struct record_header *headers = arena_alloc(&lane->arena, (n > 0 ? n : 1) * sizeof *headers);
    while (headers && i < n && record_header_next(&r, &headers[i]))
        i++;
    *out = (struct publish_record){
        .key = r.key, .value = r.value, .headers = headers, .headers_n = i, .timestamp = -1};
    return headers != NULL;
}

/* For `weir trace`: what the copy comes from. */
static struct publish_cause cause_of(const struct push_lane *lane, uint32_t i)
{
    const struct message *m = push_lane_message(lane, i);
    return (struct publish_cause){.topic = lane->p->s->topic,
                                  .partition = m->partition,
                                  .offset = m->offset,
                                  .subscription = str_of(lane->p->s->name),
                                  .attempt = m->deliveries};
}

static bool fill_outputs(struct push_lane *lane, const struct topic *topic)
{
    mem_free(lane->outputs);
    lane->outputs = mem_zalloc(lane->n, sizeof *lane->outputs);
    for (uint32_t i = 0; i < lane->n; i++) {
        struct publish_op *o = &lane->outputs[i];
        o->actor = NULL; /* the broker's own: who declared it could send there */
        o->topic = topic->id;
        o->partition = -1;
        o->cause = cause_of(lane, i);
        if (!copy_record(lane, &push_lane_message(lane, i)->record, &o->record))
            return false;
    }
    return true;
}

/* The lane's n messages again later, or never. */
static void give_back(struct push_lane *lane, enum err err, bool for_good)
{
    enum delivery_outcome outcome = outcome_of_append(err);
    push_time_end(lane, NULL, outcome_text(outcome));
    push_lane_not_stored(lane, outcome, for_good, str_of(err_meaning(err)));
}

void push_topic_begin(struct push_lane *lane)
{
    struct pusher *p = lane->p;
    const struct topic *topic = broker_topic(p->push->b, p->s->conf.target);
    lane->n = lane->one_by_one ? 1 : lane->end - lane->from;
    push_time_begin(lane, HOP_FORWARD);
    if (!topic) {
        give_back(lane, ERR_TOPIC_UNKNOWN, false);
        return;
    }
    if (!fill_outputs(lane, topic)) {
        give_back(lane, ERR_MEMORY, true);
        return;
    }
    struct settle_item *items = push_lane_items(lane, lane->n);
    for (uint32_t i = 0; i < lane->n; i++)
        items[i].verb = SETTLE_ACCEPT;
    lane->delivered = true;
    lane->settle.outputs = lane->outputs;
    lane->settle.outputs_n = lane->n;
    push_time_end(lane, NULL, "appended");
    atomic_fetch_add_explicit(&p->push->stats.appended, lane->n, memory_order_relaxed);
    push_lane_settle(lane);
}

static bool is_records_fault(enum err err)
{
    return err == ERR_MESSAGE_TOO_LARGE || err == ERR_RECORD_INVALID ||
           err == ERR_TIMESTAMP_INVALID || err == ERR_MEMORY;
}

/* Nothing of the group exists. One record may be to blame: then one by one shows which. */
void push_outputs_failed(struct push_lane *lane, enum err err, const char *why,
                         void (*again)(struct push_lane *lane))
{
    env_log(lane->p->push->env, ENV_WARN, "push.not_appended",
            "subscription=%s to=%.*s messages=%u error=%s why=\"%s\"", lane->p->s->name,
            (int)lane->p->s->conf.target.len, lane->p->s->conf.target.at, lane->n, err_name(err),
            why);
    lane->settle.outputs = NULL;
    lane->settle.outputs_n = 0;
    if (lane->n > 1 && (is_records_fault(err) || err == ERR_LOCK_LOST)) {
        lane->one_by_one = true;
        lane->n = 0;
        arena_reset(&lane->arena);
        again(lane);
    } else if (err == ERR_LOCK_LOST && pusher_chained(lane->p)) {
        push_lane_release(lane); /* what follows must not overtake it */
    } else if (err == ERR_LOCK_LOST || err == ERR_NOT_FOUND) {
        lane->settle.items_n = 0; /* somebody else's by now */
        push_lane_settle(lane);
    } else {
        give_back(lane, err, is_records_fault(err));
    }
}

void push_topic_failed(struct push_lane *lane, enum err err)
{
    struct push_stats *stats = &lane->p->push->stats;
    atomic_fetch_sub_explicit(&stats->appended, lane->n, memory_order_relaxed);
    push_outputs_failed(lane, err, lane->settle.text.s, push_topic_begin);
}
