/* What deliveries tell weir.hops: who received a message, how it was settled, why it died. Of a
 * push the lane tells more (flow), so that here only those who pull are told of. */
#include "broker/delivery_internal.h"

#include "broker/hop.h"

const char *settle_verb_text(enum settle_verb verb)
{
    static const char *const texts[] = {
        [SETTLE_ACCEPT] = "accept", [SETTLE_RELEASE] = "release", [SETTLE_REJECT] = "reject",
        [SETTLE_DEFER] = "defer",   [SETTLE_RENEW] = "renew",
    };
    return texts[verb];
}

static struct hop hop_of(const struct delivery *d, enum hop_step step, int64_t offset)
{
    return (struct hop){.step = step,
                        .topic = d->topic,
                        .partition = d->index,
                        .offset = offset,
                        .subscription = str_of(d->s->name)};
}

void delivery_hop_received(const struct delivery *d, const struct message *m)
{
    struct broker *b = d->all->broker;
    struct hop_text text;
    if (d->s->conf.deliver != DELIVER_PULL || !hop_wanted(b))
        return;
    struct hop hop = hop_of(d, HOP_RECEIVE, m->offset);
    hop.attempt = m->deliveries;
    hop.end_us = m->acquired_us;
    hop.waited_us = m->waited_us;
    hop_of_record(&hop, &m->record, &text);
    hop_note(b, &hop);
}

void delivery_hop_settled(const struct delivery *d, const struct settle_item *item,
                          uint64_t begin_us, uint64_t now_us)
{
    struct broker *b = d->all->broker;
    if (d->s->conf.deliver != DELIVER_PULL || item->verb == SETTLE_RENEW || !hop_wanted(b))
        return;
    struct hop hop = hop_of(d, HOP_SETTLE, lock_token_offset(&item->token));
    hop.end_us = now_us;
    hop.took_us = hop.end_us > begin_us ? hop.end_us - begin_us : 0;
    hop.outcome = str_of(settle_verb_text(item->verb));
    hop_note_place(b, &hop);
}

void delivery_hop_dead(const struct delivery *d, const struct dead_message *m,
                       const struct record *record)
{
    struct broker *b = d->all->broker;
    struct hop_text text;
    if (!hop_wanted(b))
        return;
    struct hop hop = hop_of(d, HOP_DEAD_LETTER, m->offset);
    hop.attempt = m->deliveries;
    hop.outcome = m->reason;
    hop_of_record(&hop, record, &text);
    hop_note(b, &hop);
}

void delivery_hop_gone(const struct delivery *d, bool expired, int64_t offset, struct str reason)
{
    struct broker *b = d->all->broker;
    if (!hop_wanted(b))
        return;
    struct hop hop = hop_of(d, expired ? HOP_EXPIRE : HOP_DROP, offset);
    hop.outcome = expired ? (struct str){NULL, 0} : reason;
    hop_note_place(b, &hop);
}
