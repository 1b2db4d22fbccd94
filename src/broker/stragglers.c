#include "broker/stragglers.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/records_cache.h"

#include <string.h>

#define VALUE_VERSION 1

/* ---- the value of a copy: version u8, append time varlong, a record batch of one record ---- */

struct slice straggler_value(const struct record *record, int64_t append_ms)
{
    struct record r = *record;
    size_t n = 0, most = record->headers > 0 ? (size_t)record->headers : 0;
    struct record_header *headers = mem_zalloc(most + 1, sizeof(*headers));
    struct batch_builder b;
    while (n < most && record_header_next(&r, &headers[n]))
        n++;
    batch_begin(&b, 0);
    batch_add(&b, record->timestamp, record->key, record->value, headers, n);
    struct slice batch = batch_end(&b);
    mem_free(headers);
    if (batch.len > STRAGGLER_BYTES_MAX) {
        slice_unref(batch);
        return (struct slice){NULL, NULL, 0};
    }
    batch_set_offset((uint8_t *)(uintptr_t)batch.at, record->offset);
    struct wr w;
    wr_init(&w, batch.len + 16);
    wr_u8(&w, VALUE_VERSION);
    wr_varlong(&w, append_ms);
    wr_bytes(&w, batch.at, batch.len);
    slice_unref(batch);
    return (struct slice){w.buf, w.buf->data, w.len};
}

enum err straggler_decode(struct str value, int64_t offset, struct records **out)
{
    struct rd r;
    struct batch_head head;
    rd_init(&r, value.at, value.len);
    uint8_t version = rd_u8(&r);
    int64_t append_ms = rd_varlong(&r);
    size_t n = rd_left(&r);
    const uint8_t *batch = rd_bytes(&r, n);
    if (batch == NULL || r.bad || version == 0)
        return ERR_CORRUPT;
    if (version != VALUE_VERSION)
        return ERR_FORMAT_NEWER;
    if (batch_head_read(batch, n, &head) != ERR_OK || head.bytes != n || head.count != 1 ||
        head.base_offset != offset || (head.attributes & BATCH_CODEC_MASK) != 0)
        return ERR_CORRUPT;
    enum err err = records_decode(&head, batch, append_ms, out);
    if (err == ERR_OK && records_count(*out) != 1) {
        records_unref(*out);
        err = ERR_CORRUPT;
    }
    return err;
}

/* ---- the set of copies ---- */

static uint32_t place(const struct stragglers *all, int64_t offset)
{
    uint32_t lo = 0, hi = all->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (all->at[mid]->offset < offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct straggler *find(const struct delivery *d, int64_t offset)
{
    const struct stragglers *all = d->stragglers;
    uint32_t i = all != NULL ? place(all, offset) : 0;
    return all != NULL && i < all->n && all->at[i]->offset == offset ? all->at[i] : NULL;
}

const struct straggler *stragglers_find(const struct delivery *d, int64_t offset)
{
    const struct straggler *s = find(d, offset);
    return s != NULL && s->stored ? s : NULL;
}

struct straggler *straggler_add(struct delivery *d, int64_t offset, struct slice value)
{
    if (d->stragglers == NULL)
        d->stragglers = mem_zalloc(1, sizeof(*d->stragglers));
    struct stragglers *all = d->stragglers;
    if (all->n == all->cap) {
        all->cap = all->cap != 0 ? 2 * all->cap : 4;
        all->at = mem_realloc(all->at, all->cap * sizeof(*all->at));
    }
    struct straggler *s = mem_zalloc(1, sizeof(*s));
    uint32_t i = place(all, offset);
    weir_assert(i == all->n || all->at[i]->offset != offset);
    s->entity.kind = LEDGER_ENTITY_OWNERS;
    s->d = d;
    s->offset = offset;
    s->value = value;
    memmove(&all->at[i + 1], &all->at[i], (all->n - i) * sizeof(*all->at));
    all->at[i] = s;
    all->n++;
    d->all->straggler_bytes += value.len;
    return s;
}

void stragglers_forget(struct delivery *d)
{
    if (d->stragglers->n != 0 || d->stragglers->moving || d->stragglers->stuck)
        return;
    mem_free(d->stragglers->at);
    mem_free(d->stragglers);
    d->stragglers = NULL;
}

void straggler_drop(struct straggler *s)
{
    struct delivery *d = s->d;
    struct stragglers *all = d->stragglers;
    uint32_t i = place(all, s->offset);
    weir_assert(i < all->n && all->at[i] == s);
    memmove(&all->at[i], &all->at[i + 1], (all->n - i - 1) * sizeof(*all->at));
    all->n--;
    d->all->straggler_bytes -= s->value.len;
    slice_unref(s->value);
    mem_free(s);
    stragglers_forget(d);
}

void stragglers_free(struct delivery *d, bool forget)
{
    while (d->stragglers != NULL && d->stragglers->n != 0) {
        struct straggler *s = d->stragglers->at[d->stragglers->n - 1];
        d->stragglers->moving = d->stragglers->stuck = false;
        if (forget)
            statelog_forget(d->shard->log, &s->entity.log);
        straggler_drop(s);
    }
    if (d->stragglers != NULL) {
        d->stragglers->moving = d->stragglers->stuck = false;
        stragglers_forget(d);
    }
}

/* ---- reading ---- */

struct records *stragglers_read(const struct delivery *d, int64_t offset)
{
    const struct straggler *s = stragglers_find(d, offset);
    struct records *batch;
    if (s == NULL)
        return NULL;
    struct str value = {(const char *)s->value.at, s->value.len};
    return straggler_decode(value, offset, &batch) == ERR_OK ? batch : NULL;
}

int64_t stragglers_since(const struct delivery *d, int64_t time_ms, int64_t otherwise)
{
    for (uint32_t i = 0; d->stragglers != NULL && i < d->stragglers->n; i++) {
        int64_t offset = d->stragglers->at[i]->offset;
        struct records *batch = offset < otherwise ? stragglers_read(d, offset) : NULL;
        if (batch == NULL)
            continue;
        bool young = records_head(batch)->max_timestamp >= time_ms;
        records_unref(batch);
        if (young)
            return offset;
    }
    return otherwise;
}

/* ---- records ---- */

void straggler_put(const struct straggler *s, bool tombstone, struct batch_builder *out)
{
    uint8_t key[32];
    const struct delivery *d = s->d;
    size_t n = ledger_key_copy(ledger_conf(d->ledger), s->offset, key);
    struct str value = {(const char *)s->value.at, s->value.len};
    if (tombstone)
        value = (struct str){NULL, 0};
    batch_add(out, (int64_t)env_now_ms(d->all->broker->env), (struct str){(const char *)key, n},
              value, NULL, 0);
}

void stragglers_snapshot(const struct straggler *s, struct batch_builder *out)
{
    if (s->stored && !s->leaving)
        straggler_put(s, false, out);
}

enum err stragglers_apply(struct delivery *d, int64_t offset, struct str value,
                          struct statelog_entity **entity)
{
    struct straggler *s = find(d, offset);
    struct records *batch;
    *entity = NULL;
    if (s != NULL && value.at != NULL) { /* once more, as a snapshot */
        *entity = &s->entity.log;
        return ERR_OK;
    }
    if (value.at == NULL) {
        if (s != NULL) {
            statelog_forget(d->shard->log, &s->entity.log);
            straggler_drop(s);
        }
        return ERR_OK;
    }
    enum err err = straggler_decode(value, offset, &batch);
    if (err != ERR_OK)
        return err;
    records_unref(batch);
    s = straggler_add(d, offset, slice_copy(value.at, value.len));
    s->stored = true;
    *entity = &s->entity.log;
    return ERR_OK;
}

/* ---- what becomes of them ---- */

/* The first unsettled message that the log must have. */
static void kept_find(struct delivery *d)
{
    int64_t at = ledger_first(d->ledger, 0);
    while (stragglers_find(d, at) != NULL)
        at = ledger_first(d->ledger, at + 1);
    ledger_set_kept(d->ledger, at);
}

void stragglers_loaded(struct delivery *d)
{
    if (d->stragglers != NULL)
        kept_find(d);
}

struct copy_end {
    struct statelog_append append;
    struct straggler *s;
};

static void left(struct statelog_append *a, enum err err)
{
    struct copy_end *w = container_of(a, struct copy_end, append);
    struct straggler *s = w->s;
    struct delivery *d = s->d;
    mem_free(w);
    s->leaving = false;
    if (err == ERR_OK) {
        statelog_forget(d->shard->log, &s->entity.log);
        straggler_drop(s);
    }
    delivery_leave(d);
}

static void leave(struct straggler *s)
{
    struct copy_end *w = mem_zalloc(1, sizeof(*w));
    struct batch_builder b;
    w->s = s;
    w->append.done = left;
    w->append.relaxed = true;
    s->leaving = true;
    delivery_enter(s->d);
    batch_begin(&b, 0);
    straggler_put(s, true, &b);
    statelog_write(s->d->shard->log, &w->append, &b, &s->entity.log);
}

static bool is_open(const struct delivery *d, int64_t offset)
{
    struct ledger_message m;
    ledger_get(d->ledger, offset, delivery_now(d->all), &m);
    return m.state != LEDGER_SETTLED && m.state != LEDGER_UNSEEN;
}

/* Writes may be done at once, and drop what they were about. */
void stragglers_look_after(struct delivery *d)
{
    if (d->stragglers == NULL)
        return;
    for (uint32_t i = d->stragglers->n; i > 0 && d->stragglers != NULL; i--) {
        struct straggler *s = d->stragglers->at[i - 1];
        if (s->stored && !s->leaving && !is_open(d, s->offset))
            leave(s);
    }
    kept_find(d);
}

void stragglers_deleted(struct partition *p)
{
    list_for (it, &p->deliveries)
        ledger_set_kept(container_of(it, struct delivery, link)->ledger, 0);
}
