/* Dead letters.
 *
 * A dead letter is the message's record as it was, in another topic, with headers that say what
 * happened (docs/delivery.md lists them). It is in one group with the settle that ends the message
 * in its own subscription: there is no moment in which it is in both or in neither.
 *
 * Burying: messages whose attempts or time are used up are acquired by a gravedigger, rejected, and
 * their letters written, a number of them at a time. Where nobody wants letters they are settled.
 */
#include "broker/delivery_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "weir-dead-letter-"
#define HEADERS_OWN 11
#define BURY_MAX 100
#define BURY_LOCK_MS 60000
#define BURY_OWNER UINT64_MAX
#define READ_BYTES ((size_t)64 << 10)
#define MEMORY_MAX ((size_t)64 << 20)

/* ---- the record of a letter ---- */

struct headers {
    struct arena *memory;
    struct record_header *at;
    size_t n;
};

static void header_add(struct headers *h, const char *name, struct str value)
{
    if (value.at != NULL)
        h->at[h->n++] = (struct record_header){str_of(name), value};
}

static void header_number(struct headers *h, const char *name, int64_t number)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%" PRId64, number);
    header_add(h, name, (struct str){arena_strndup(h->memory, text, (size_t)n), (size_t)n});
}

static void header_time(struct headers *h, const char *name, int64_t ms)
{
    if (ms > 0)
        header_number(h, name, ms);
}

static bool is_replaced(const struct dead_message *m, struct str name)
{
    if (name.len >= sizeof(PREFIX) - 1 && memcmp(name.at, PREFIX, sizeof(PREFIX) - 1) == 0)
        return true;
    for (size_t i = 0; i < m->properties_n; i++)
        if (str_eq(m->properties[i].key, name))
            return true;
    return false;
}

/* The record's own, but those that are told anew. */
static void headers_copy(struct headers *h, const struct record *record,
                         const struct dead_message *m)
{
    struct record r = *record;
    struct record_header header;
    while (record_header_next(&r, &header))
        if (!is_replaced(m, header.key))
            h->at[h->n++] = header;
    for (size_t i = 0; i < m->properties_n; i++)
        h->at[h->n++] = m->properties[i];
}

static bool letter_make(struct dead_letters *l, const struct dead_message *m,
                        const struct record *record)
{
    const struct subscription *s = l->d->s;
    size_t most = (size_t)record->headers + m->properties_n + HEADERS_OWN;
    struct headers h = {&l->memory, arena_zalloc(&l->memory, most, sizeof(*h.at)), 0};
    if (h.at == NULL)
        return false;
    headers_copy(&h, record, m);
    header_add(&h, PREFIX "reason", m->reason);
    header_add(&h, PREFIX "description", m->description);
    header_add(&h, PREFIX "outcome", m->outcome);
    header_add(&h, PREFIX "topic", str_of(s->topic_name));
    header_number(&h, PREFIX "partition", l->d->index);
    header_number(&h, PREFIX "offset", m->offset);
    header_add(&h, PREFIX "subscription", str_of(s->name));
    header_number(&h, PREFIX "deliveries", m->deliveries);
    header_time(&h, PREFIX "first-delivery", m->first_ms);
    header_time(&h, PREFIX "last-delivery", m->last_ms);
    header_number(&h, PREFIX "timestamp", record->timestamp);
    l->ops[l->ops_n++] = (struct publish_op){
        .topic = l->topic->id,
        .partition = -1,
        .record = {.key = record->key,
                   .value = record->value,
                   .headers = h.at,
                   .headers_n = h.n,
                   .timestamp = -1},
        .cause = {s->topic, l->d->index, m->offset, str_of(s->name), m->deliveries},
    };
    delivery_hop_dead(l->d, m, record);
    return true;
}

/* ---- reading ---- */

static void letters_end(struct dead_letters *l, enum err err)
{
    delivery_job_end(l->d, &l->job);
    l->made(l, err);
}

static void letters_go(struct dead_letters *l);

static void letters_read(struct delivery_read *read, enum err err)
{
    struct dead_letters *l = container_of(read, struct dead_letters, read);
    l->err = err;
    l->again = true;
    if (!l->going)
        letters_go(l);
}

/* Gone from the log, or not to be read: there will never be a letter of it. */
static bool lost(enum err err)
{
    return err == ERR_OK || err == ERR_OFFSET_RANGE || err == ERR_CORRUPT || err == ERR_COMPRESSION;
}

/* False: all are made, or it failed. */
static bool letters_step(struct dead_letters *l)
{
    bool read = l->again;
    l->again = false;
    for (; l->at < l->n; l->at++, read = false) {
        struct record record;
        struct records *batch = delivery_read_find(&l->read, l->messages[l->at].offset, &record);
        if (batch == NULL && !read) {
            delivery_read_start(&l->read, l->messages[l->at].offset, READ_BYTES);
            return true;
        }
        if (batch == NULL && !lost(l->err))
            return false;
        l->err = ERR_OK;
        if (batch == NULL)
            l->d->dropped++;
        else if (!letter_make(l, &l->messages[l->at], &record))
            l->err = ERR_MEMORY;
        if (l->err != ERR_OK)
            return false;
    }
    return false;
}

static void letters_go(struct dead_letters *l)
{
    bool wait;
    l->going = true;
    do
        wait = letters_step(l);
    while (wait && l->again);
    l->going = false;
    if (!wait)
        letters_end(l, l->err);
}

static void letters_job(struct delivery_job *job)
{
    struct dead_letters *l = container_of(job, struct dead_letters, job);
    l->ops = arena_zalloc(&l->memory, l->n, sizeof(*l->ops));
    if (l->ops == NULL)
        letters_end(l, ERR_MEMORY);
    else
        letters_go(l);
}

/* ---- the topic ---- */

static void letters_start(struct dead_letters *l)
{
    l->read.d = l->d;
    l->read.done = letters_read;
    arena_init(&l->memory, MEMORY_MAX);
    delivery_job_start(l->d, &l->job, letters_job);
}

static void topic_made(struct op *op)
{
    struct dead_letters *l = container_of(op, struct dead_letters, create.op);
    l->topic = l->create.topic;
    if (op->err == ERR_OK || op->err == ERR_TOPIC_EXISTS)
        letters_start(l);
    else
        l->made(l, op->err);
}

static void topic_make_it(struct dead_letters *l, struct str name)
{
    l->create = (struct topic_create_op){
        .op.done = topic_made, .name = name, .partitions = -1, .replication = -1};
    broker_topic_create(l->d->all->broker, &l->create);
}

void dead_letters_make(struct dead_letters *l)
{
    struct broker *b = l->d->all->broker;
    struct str name = l->d->s->conf.dead_letter;
    if (l->n == 0) {
        l->made(l, ERR_OK);
        return;
    }
    const struct topic *t = broker_topic(b, name);
    l->topic = t != NULL ? topic_ref(t) : NULL;
    if (t != NULL)
        letters_start(l);
    else
        topic_make_it(l, name);
}

void dead_letters_free(struct dead_letters *l)
{
    mem_free(l->messages);
    topic_unref(l->topic);
    if (l->read.d != NULL) {
        delivery_read_clear(&l->read);
        arena_free(&l->memory);
    }
    *l = (struct dead_letters){0};
}

/* ---- burying ---- */

struct bury {
    struct delivery_group group;
    struct group_part part;
    struct settle_item items[BURY_MAX];
    struct settle_item *at[BURY_MAX];
    struct delivery *d;
    uint64_t expired;
};

/* The next ones follow when the ledger is looked after. */
static void bury_done(struct delivery_group *group, enum err err)
{
    struct bury *g = container_of(group, struct bury, group);
    struct delivery *d = g->d;
    d->burying = false;
    if (err == ERR_OK)
        d->expired += g->expired;
    else
        env_log(d->all->broker->env, ENV_WARN, "delivery.dead",
                "subscription=%s partition=%d error=%s", d->s->name, d->index, err_name(err));
    mem_free(g);
    delivery_touch(d);
    delivery_leave(d);
}

static void bury_add(struct bury *g, const struct ledger_taken *taken)
{
    struct settle_item *item = &g->items[g->part.n];
    bool wanted = !taken->expired || g->d->s->conf.dead_letter_expired;
    *item = (struct settle_item){
        .token = taken->token,
        .verb = wanted ? SETTLE_REJECT : SETTLE_ACCEPT,
        .burial = true,
        .reason = taken->expired ? STR_LIT("expired") : STR_LIT("max-deliveries"),
    };
    g->at[g->part.n++] = item;
    g->expired += taken->expired;
    if (!wanted)
        delivery_hop_gone(g->d, true, taken->offset, item->reason);
}

static size_t bury_take(struct delivery *d, struct ledger_taken taken[BURY_MAX])
{
    struct ledger_time now = delivery_now(d->all);
    int64_t at = 0;
    size_t n = 0;
    while (n == 0 && at != INT64_MAX)
        n = ledger_acquire_dead(d->ledger, BURY_OWNER, BURY_LOCK_MS, now, &at, taken, BURY_MAX);
    return n;
}

void delivery_bury(struct delivery *d)
{
    struct ledger_taken taken[BURY_MAX];
    struct ledger_stat stat;
    ledger_stat(d->ledger, &stat);
    if (d->burying || d->leaving || stat.dead == 0)
        return;
    size_t n = bury_take(d, taken);
    if (n == 0)
        return;
    struct bury *g = mem_zalloc(1, sizeof(*g));
    g->d = d;
    for (size_t i = 0; i < n; i++)
        bury_add(g, &taken[i]);
    d->burying = true;
    delivery_enter(d);
    g->part.subscription = d->subscription;
    g->part.partition = d->index;
    g->part.items = g->at;
    g->group = (struct delivery_group){.broker = d->all->broker,
                                       .parts = &g->part,
                                       .parts_n = 1,
                                       .lenient = true,
                                       .done = bury_done};
    delivery_group_start(&g->group);
}
