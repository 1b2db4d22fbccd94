#include "flow/push_time.h"

#include "base/secret.h"
#include "flow/push_internal.h"

void push_time_begin(struct push_lane *lane, enum hop_step step)
{
    lane->time = (struct push_time){
        .step = step, .n = lane->n, .begin_us = env_clock_us(lane->p->push->env)};
}

void push_time_end(struct push_lane *lane, const char *by, const char *outcome)
{
    struct push_time *t = &lane->time;
    t->end_us = env_clock_us(lane->p->push->env);
    (void)str_copy(t->by, sizeof t->by, by != NULL ? str_of(by) : STR_LIT(""));
    (void)str_copy(t->outcome, sizeof t->outcome, str_of(outcome));
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

/* Are they settled in the same way? NULL: not at all. */
static bool alike(const struct settle_item *a, const struct settle_item *b)
{
    return a == NULL || b == NULL ? a == b : a->verb == b->verb;
}

/* What the hops of the call have in common; item: of one that is settled, or NULL. */
static void step_of(const struct push_lane *lane, const struct settle_item *item, struct hop *out)
{
    const struct push_time *t = &lane->time;
    *out = (struct hop){.step = t->step,
                        .topic = lane->p->s->topic,
                        .subscription = str_of(lane->p->s->name),
                        .end_us = t->end_us,
                        .took_us = between(t->begin_us, t->end_us),
                        .by = text_of(t->by),
                        .outcome = text_of(t->outcome)};
    if (item == NULL)
        return;
    out->settle = str_of(settle_verb_text(item->verb));
    out->settled_us = between(t->end_us, env_clock_us(lane->p->push->env));
}

static void note(struct push_lane *lane, const struct message *m, struct hop *hop)
{
    struct hop_text text;
    hop->partition = m->partition;
    hop->offset = m->offset;
    hop->attempt = m->deliveries;
    hop->waited_us = m->waited_us;
    hop->queued_us = between(m->acquired_us, lane->time.begin_us);
    hop_of_record(hop, &m->record, &text);
    hop_note(lane->p->push->b, hop);
    hop->follows = true;
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
    const struct settle_item *last = NULL; /* what the hop at hand is settled as */
    struct hop hop;
    size_t at = 0;
    for (uint32_t i = 0; i < lane->time.n; i++) {
        const struct message *m = push_lane_message(lane, i);
        bool found = durable && at < lane->settle.items_n && is_of(&lane->items[at], m);
        const struct settle_item *item = found ? &lane->items[at] : NULL;
        if (i == 0 || !alike(item, last))
            step_of(lane, item, &hop);
        if (hop_wanted(b))
            note(lane, m, &hop);
        last = item;
        at += found;
    }
    lane->time.n = 0;
}
