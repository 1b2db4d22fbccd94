#include "flow/push_time.h"

#include "base/secret.h"
#include "flow/push_internal.h"

#include <stdio.h>

void push_time_begin(struct push_lane *lane, enum hop_step step)
{
    lane->time = (struct push_time){
        .step = step, .n = lane->n, .begin_us = env_clock_us(lane->p->push->env)};
}

void push_time_end(struct push_lane *lane, const char *by, const char *outcome)
{
    struct push_time *t = &lane->time;
    t->end_us = env_clock_us(lane->p->push->env);
    snprintf(t->by, sizeof t->by, "%s", by != NULL ? by : "");
    snprintf(t->outcome, sizeof t->outcome, "%s", outcome);
}

static uint64_t between(uint64_t from_us, uint64_t to_us)
{
    return to_us > from_us ? to_us - from_us : 0;
}

static struct str text_of(const char *text)
{
    return text[0] != '\0' ? str_of(text) : (struct str){NULL, 0};
}

static bool is_of(const struct settle_item *item, const struct message *m)
{
    return secret_eq(&item->token, &m->token, sizeof m->token);
}

static void note(struct push_lane *lane, const struct message *m, const struct settle_item *item,
                 uint64_t now_us)
{
    const struct subscription *s = lane->p->s;
    const struct push_time *t = &lane->time;
    struct hop_text text;
    struct hop hop = {.step = t->step,
                      .topic = s->topic,
                      .partition = m->partition,
                      .offset = m->offset,
                      .subscription = str_of(s->name),
                      .attempt = m->deliveries,
                      .end_us = t->end_us,
                      .took_us = between(t->begin_us, t->end_us),
                      .waited_us = m->waited_us,
                      .queued_us = between(m->acquired_us, t->begin_us),
                      .by = text_of(t->by),
                      .outcome = text_of(t->outcome)};
    if (item != NULL) {
        hop.settle = str_of(settle_verb_text(item->verb));
        hop.settled_us = between(t->end_us, now_us);
    }
    hop_of_record(&hop, &m->record, &text);
    hop_note(lane->p->push->b, &hop);
}

/* Of an append into a topic the settle is all there is. */
void push_time_settle(struct push_lane *lane)
{
    const struct push_time *t = &lane->time;
    size_t at = 0;
    for (uint32_t i = 0; i < t->n && at < lane->settle.items_n; i++) {
        const struct message *m = push_lane_message(lane, i);
        struct settle_item *item = &lane->items[at];
        if (!is_of(item, m))
            continue;
        item->took_us = t->step != HOP_FORWARD ? between(t->begin_us, t->end_us) : 0;
        item->visible_us = between(m->waited_us, m->acquired_us);
        at++;
    }
}

/* Items are in the order of the messages, but those whose lock was lost are not among them. */
void push_time_settled(struct push_lane *lane, bool durable)
{
    struct broker *b = lane->p->push->b;
    uint64_t now_us = env_clock_us(lane->p->push->env);
    size_t at = 0;
    for (uint32_t i = 0; i < lane->time.n; i++) {
        const struct message *m = push_lane_message(lane, i);
        bool found = durable && at < lane->settle.items_n && is_of(&lane->items[at], m);
        if (hop_wanted(b))
            note(lane, m, found ? &lane->items[at] : NULL, now_us);
        at += found;
    }
    lane->time.n = 0;
}
