/* What a subscription wants of a batch.
 *
 * Without a filter and sessions that is a matter of offsets alone. Else each record is looked at:
 * which session it belongs to, whether the filter takes it. What its time to live is up for is not
 * delivered any more: it is dead at once, or, where nobody wants it as a dead letter, left out.
 */
#include "broker/delivery_internal.h"
#include "broker/event.h"

#define EVENT_MEMORY ((size_t)2 << 20) /* of one record, for what must be decoded */

static bool looks_at_records(const struct delivery *d)
{
    return d->s->filter != NULL || d->s->conf.order == ORDER_KEY;
}

static bool batch_dense(const struct records *batch)
{
    return records_head(batch)->last_offset_delta + 1 == (int64_t)records_count(batch);
}

static bool batch_expired(const struct delivery *d, const struct records *batch)
{
    int64_t now = (int64_t)env_now_ms(d->all->broker->env);
    return d->s->ttl_ms >= 0 && records_append_ms(batch) + d->s->ttl_ms <= now;
}

/* Service Bus and AMQP: the group id; everybody else: the key. */
static struct str session_of(const struct record *record)
{
    struct record r = *record;
    struct record_header h;
    while (record_header_next(&r, &h))
        if (str_is(h.key, "session-id"))
            return h.value;
    return record->key.at != NULL ? record->key : (struct str){"", 0};
}

static bool matches(const struct delivery *d, const struct record *record, struct arena *memory)
{
    struct event_place place = {.topic_name = d->s->topic_name,
                                .topic = d->topic,
                                .partition = d->index,
                                .offset = record->offset};
    struct event event;
    struct event_source source;
    arena_reset(memory);
    event_of_record(record, &place, memory, &event);
    event_source_init(&source, &event);
    return expr_matches(d->s->filter, &source.source) &&
           (d->s->filter_too == NULL || expr_matches(d->s->filter_too, &source.source));
}

static bool takes(struct delivery *d, struct records *batch, uint32_t i,
                  const struct record *record, struct arena *memory)
{
    if (d->s->filter == NULL)
        return true;
    enum dispatch_answer answer = dispatch_ask(d, batch, i);
    return answer == DISPATCH_UNKNOWN ? matches(d, record, memory) : answer == DISPATCH_TAKES;
}

static enum err look_record(struct delivery *d, const struct record *record)
{
    struct str session = {NULL, 0};
    if (d->s->conf.order == ORDER_KEY)
        session = session_of(record);
    enum err err = ledger_add(d->ledger, record->offset, session);
    if (err != ERR_REQUEST_INVALID)
        return err;
    d->dropped++; /* a session id that no receiver can name */
    return ERR_OK;
}

/* Records one by one, until `want` are ready or the batch is over. */
static enum err look_records(struct delivery *d, struct records *batch, uint32_t want)
{
    enum err err = ERR_OK;
    struct arena memory;
    struct record record = {0};
    uint32_t i = records_find(batch, ledger_next(d->ledger)), n = records_count(batch);
    arena_init(&memory, EVENT_MEMORY);
    for (; i < n && err == ERR_OK && ledger_ready(d->ledger) < want; i++) {
        records_get(batch, i, &record);
        if (takes(d, batch, i, &record, &memory))
            err = look_record(d, &record); /* else left out: the next one says so */
    }
    arena_free(&memory);
    if (err != ERR_OK)
        return err;
    return ledger_skip(d->ledger,
                       i == n ? batch_next_offset(records_head(batch)) : record.offset + 1);
}

static enum err look_range(struct delivery *d, const struct records *batch, uint32_t want)
{
    int64_t next = ledger_next(d->ledger), base = records_head(batch)->base_offset;
    int64_t from = next > base ? next : base;
    int64_t n = batch_next_offset(records_head(batch)) - from;
    int64_t most = (int64_t)want - ledger_ready(d->ledger);
    if (most > ledger_room(d->ledger))
        most = ledger_room(d->ledger);
    if (most <= 0)
        return ERR_BUSY;
    return ledger_add_range(d->ledger, from, (uint32_t)(n < most ? n : most));
}

static enum err look_expired(struct delivery *d, struct records *batch)
{
    int64_t end = batch_next_offset(records_head(batch));
    if (d->s->conf.dead_letter.at == NULL || !d->s->conf.dead_letter_expired) {
        uint32_t i = records_find(batch, ledger_next(d->ledger));
        d->expired += records_count(batch) - i;
        return ledger_skip(d->ledger, end);
    }
    enum err err = look_records(d, batch, UINT32_MAX);
    while (err == ERR_OK && ledger_expire(d->ledger, end))
        continue;
    return err;
}

enum err delivery_look_over(struct delivery *d, struct records *batch)
{
    const struct batch_head *head = records_head(batch);
    if ((head->attributes & BATCH_CONTROL) != 0)
        return ledger_skip(d->ledger, batch_next_offset(head));
    return look_expired(d, batch);
}

enum err delivery_look(struct delivery *d, struct records *batch, uint32_t want)
{
    const struct batch_head *head = records_head(batch);
    if ((head->attributes & BATCH_CONTROL) != 0)
        return ledger_skip(d->ledger, batch_next_offset(head));
    if (batch_expired(d, batch))
        return look_expired(d, batch);
    if (looks_at_records(d) || !batch_dense(batch))
        return look_records(d, batch, want);
    return look_range(d, batch, want);
}
