/* Filters of many subscriptions, evaluated together.
 *
 * Subscriptions that receive all the time stand at the end of a partition's log and meet each batch
 * one after the other. The first one to meet it has the filters of all of them evaluated, record by
 * record (expr_set does once what they have in common); the others find the answers here. Who lags
 * behind evaluates its own filter alone, as does who has two.
 *
 * The set holds those that asked within ACTIVE_MS. It is made anew when one of them changes, or
 * when others ask, at most once in REMAKE_MS.
 */
#include "broker/delivery_internal.h"
#include "broker/event.h"

#include "base/mem.h"

#include <string.h>

#define ACTIVE_MS 60000
#define REMAKE_MS 1000
#define MEMBERS_MIN 2
#define BATCHES 4     /* whose answers are kept */
#define LAG_MAX 10000 /* offsets behind the log's end: there everybody is on its own */
#define EVENT_MEMORY ((size_t)2 << 20)

struct answers {
    int64_t base;
    uint32_t records;
    uint64_t *hits; /* for each record as many words as the set's */
};

struct dispatch {
    struct expr_set *set;
    const struct subscription **members; /* own references; by place in the set */
    size_t n, words;
    int64_t made_ms;
    struct answers answers[BATCHES];
    unsigned next;
};

static void answers_drop(struct answers *a)
{
    mem_free(a->hits);
    *a = (struct answers){.base = -1};
}

void dispatch_drop(struct partition *p)
{
    struct dispatch *x = p != NULL ? p->dispatch : NULL;
    if (x == NULL)
        return;
    expr_set_free(x->set);
    for (size_t i = 0; i < x->n; i++)
        subscription_unref(x->members[i]);
    for (unsigned i = 0; i < BATCHES; i++)
        answers_drop(&x->answers[i]);
    mem_free(x->members);
    mem_free(x);
    p->dispatch = NULL;
    list_for (it, &p->deliveries)
        container_of(it, struct delivery, link)->dispatch_at = -1;
}

static bool is_active(const struct delivery *d, int64_t now_ms)
{
    return d->s->filter != NULL && d->s->filter_too == NULL && d->asked_ms != 0 &&
           now_ms - d->asked_ms < ACTIVE_MS;
}

static void dispatch_make(struct partition *p, int64_t now_ms)
{
    struct dispatch *x = mem_zalloc(1, sizeof(*x));
    size_t n = 0;
    dispatch_drop(p);
    list_for (it, &p->deliveries)
        n += is_active(container_of(it, struct delivery, link), now_ms);
    const struct expr **exprs = mem_zalloc(n + 1, sizeof(struct expr *));
    x->members = mem_zalloc(n + 1, sizeof(struct subscription *));
    list_for (it, &p->deliveries) {
        struct delivery *d = container_of(it, struct delivery, link);
        if (!is_active(d, now_ms))
            continue;
        d->dispatch_at = (int32_t)x->n;
        exprs[x->n] = d->s->filter;
        x->members[x->n++] = subscription_ref(d->s);
    }
    x->words = (x->n + 63) / 64;
    x->made_ms = now_ms;
    if (x->n >= MEMBERS_MIN)
        x->set = expr_set_make(exprs, x->n);
    for (unsigned i = 0; i < BATCHES; i++)
        x->answers[i].base = -1;
    mem_free(exprs);
    p->dispatch = x;
}

static const struct answers *answers_make(struct partition *p, struct records *batch)
{
    struct dispatch *x = p->dispatch;
    struct answers *a = &x->answers[x->next++ % BATCHES];
    struct arena memory;
    answers_drop(a);
    a->records = records_count(batch);
    a->hits = mem_zalloc(a->records * x->words + 1, sizeof(*a->hits));
    a->base = records_head(batch)->base_offset;
    arena_init(&memory, EVENT_MEMORY);
    for (uint32_t i = 0; i < a->records; i++) {
        struct record record;
        struct event event;
        struct event_source source;
        records_get(batch, i, &record);
        struct event_place place = {.topic_name = p->topic->name,
                                    .topic = p->topic_id,
                                    .partition = p->index,
                                    .offset = record.offset};
        arena_reset(&memory);
        event_of_record(&record, &place, &memory, &event);
        event_source_init(&source, &event);
        expr_set_match(x->set, &source.source, a->hits + i * x->words);
    }
    arena_free(&memory);
    return a;
}

static const struct answers *answers_find(struct partition *p, struct records *batch)
{
    const struct dispatch *x = p->dispatch;
    for (unsigned i = 0; i < BATCHES; i++)
        if (x->answers[i].base == records_head(batch)->base_offset)
            return &x->answers[i];
    return answers_make(p, batch);
}

/* Is the delivery in the set as it is now? */
static bool is_member(const struct delivery *d)
{
    const struct dispatch *x = d->at->dispatch;
    return x != NULL && x->set != NULL && d->dispatch_at >= 0 && (size_t)d->dispatch_at < x->n &&
           x->members[d->dispatch_at] == d->s;
}

enum dispatch_answer dispatch_ask(struct delivery *d, struct records *batch, uint32_t i)
{
    struct partition *p = d->at;
    if (p == NULL || d->s->filter_too != NULL ||
        batch_next_offset(records_head(batch)) + LAG_MAX < p->end)
        return DISPATCH_UNKNOWN;
    int64_t now = delivery_now(d->all).mono_ms;
    if (!is_member(d) && (p->dispatch == NULL || now - p->dispatch->made_ms >= REMAKE_MS))
        dispatch_make(p, now);
    if (!is_member(d))
        return DISPATCH_UNKNOWN;
    const struct answers *a = answers_find(p, batch);
    if (i >= a->records)
        return DISPATCH_UNKNOWN;
    uint64_t word = a->hits[i * p->dispatch->words + (size_t)d->dispatch_at / 64];
    return word >> ((unsigned)d->dispatch_at % 64) & 1 ? DISPATCH_TAKES : DISPATCH_LEAVES;
}
