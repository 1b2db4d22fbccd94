#include "ledger_log.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

static void record_add(struct ledger_log *log, struct str key, struct str value)
{
    if (log->n == log->cap) {
        log->cap = log->cap == 0 ? 64 : log->cap * 2;
        log->records = mem_realloc(log->records, log->cap * sizeof(*log->records));
    }
    struct ledger_log_record *r = &log->records[log->n++];
    r->at = log->end;
    r->key = slice_copy(key.at, key.len);
    r->value = value.at != NULL ? slice_copy(value.at, value.len) : (struct slice){NULL, NULL, 0};
}

static void record_free(struct ledger_log_record *r)
{
    slice_unref(r->key);
    slice_unref(r->value);
}

static void entity_since(struct ledger_log *log, struct ledger_entity *e, size_t since)
{
    if (!e->log.known) {
        if (log->entities_n == log->entities_cap) {
            log->entities_cap = log->entities_cap == 0 ? 16 : log->entities_cap * 2;
            log->entities =
                mem_realloc(log->entities, log->entities_cap * sizeof(struct ledger_entity *));
        }
        log->entities[log->entities_n++] = e;
    }
    e->log.known = true;
    e->log.since = (int64_t)since;
}

void ledger_log_free(struct ledger_log *log)
{
    for (size_t i = 0; i < log->n; i++)
        record_free(&log->records[i]);
    mem_free(log->records);
    mem_free(log->entities);
    *log = (struct ledger_log){.n = 0};
}

void ledger_log_forget(void *user, struct statelog_entity *entity)
{
    struct ledger_log *log = user;
    weir_assert(entity->pending == 0);
    for (size_t i = 0; i < log->entities_n; i++) {
        if (&log->entities[i]->log == entity) {
            log->entities[i] = log->entities[--log->entities_n];
            break;
        }
    }
    entity->known = false;
}

void ledger_log_begin(struct ledger_log *log, const struct ledger_take *take)
{
    (void)log;
    for (size_t i = 0; i < take->n; i++)
        take->records[i].entity->log.pending++;
}

void ledger_log_land(struct ledger_log *log, const struct ledger_take *take)
{
    for (size_t i = 0; i < take->n; i++) {
        weir_assert(take->records[i].entity->log.pending != 0);
        record_add(log, take->records[i].key, take->records[i].value);
        if (!take->records[i].entity->log.known)
            entity_since(log, take->records[i].entity, log->end);
    }
    log->end++;
}

void ledger_log_end(struct ledger_log *log, const struct ledger_take *take)
{
    (void)log;
    for (size_t i = 0; i < take->n; i++)
        take->records[i].entity->log.pending--;
}

static void trim(struct ledger_log *log)
{
    size_t oldest = log->end, n = 0;
    for (size_t i = 0; i < log->entities_n; i++) {
        if ((size_t)log->entities[i]->log.since < oldest)
            oldest = (size_t)log->entities[i]->log.since;
    }
    for (size_t i = 0; i < log->n; i++) {
        if (log->records[i].at < oldest)
            record_free(&log->records[i]);
        else
            log->records[n++] = log->records[i];
    }
    log->n = n;
}

/* As one batch. */
static void batch_land(struct ledger_log *log, struct batch_builder *b)
{
    struct batch_head head;
    struct record_iter it;
    struct record r;
    struct slice batch = batch_end(b);
    enum err err = batch_head_read(batch.at, batch.len, &head);
    weir_assert(err == ERR_OK);
    record_iter_init(&it, &head, batch.at + BATCH_HEAD_BYTES, batch.len - BATCH_HEAD_BYTES);
    while (record_iter_next(&it, &r) == ERR_OK)
        record_add(log, r.key, r.value);
    slice_unref(batch);
    log->end++;
}

void ledger_log_snapshot_of(struct ledger_log *log, struct ledger_entity *e, struct ledger_time now)
{
    struct batch_builder b;
    if (!e->log.known || e->log.pending != 0)
        return;
    batch_begin(&b, 0);
    ledger_snapshot(e, now, &b);
    batch_land(log, &b);
    entity_since(log, e, log->end - 1);
    trim(log);
}

size_t ledger_log_page_out(struct ledger_log *log, struct ledger *l, struct ledger_time now)
{
    struct batch_builder b;
    batch_begin(&b, 0);
    ledger_snapshot_all(l, now, &b);
    batch_land(log, &b);
    return log->end - 1;
}

void ledger_log_snapshot(struct ledger_log *log, struct ledger_time now)
{
    struct ledger_entity *oldest = NULL;
    for (size_t i = 0; i < log->entities_n; i++) {
        if (oldest == NULL || log->entities[i]->log.since < oldest->log.since)
            oldest = log->entities[i];
    }
    if (oldest != NULL)
        ledger_log_snapshot_of(log, oldest, now);
}

static void cut_off(struct ledger_log *log, size_t cut)
{
    while (log->n != 0 && log->records[log->n - 1].at >= cut)
        record_free(&log->records[--log->n]);
    log->end = cut;
    log->entities_n = 0;
}

static void record_fold(struct ledger_log *log, struct ledger *l, const struct ledger_log_record *r,
                        struct ledger_time now, bool replace)
{
    struct ledger_key key;
    struct ledger_entity *e;
    bool known = ledger_key_read((struct str){(const char *)r->key.at, r->key.len}, &key);
    weir_assert(known);
    struct str value = {(const char *)r->value.at, r->value.len};
    enum err err = ledger_fold(l, &key, value, now, &e);
    weir_assert(err == ERR_OK);
    if (replace && e != NULL && !e->log.known)
        entity_since(log, e, r->at);
}

struct ledger *ledger_log_page_in(struct ledger_log *log, const struct ledger_conf *conf,
                                  int64_t start, size_t chunk, struct ledger_time now)
{
    struct ledger *l = ledger_make(conf, start);
    log->entities_n = 0;
    for (size_t i = 0; i < log->n; i++)
        if (log->records[i].at == chunk)
            record_fold(log, l, &log->records[i], now, true);
    ledger_folded(l, now);
    trim(log);
    return l;
}

struct ledger *ledger_log_fold(struct ledger_log *log, const struct ledger_conf *conf,
                               int64_t start, size_t cut, struct ledger_time now, bool replace)
{
    struct ledger_conf own = *conf;
    if (!replace)
        own.forget = NULL;
    else
        cut_off(log, cut);
    struct ledger *l = ledger_make(&own, start);
    for (size_t i = 0; i < log->n && log->records[i].at < cut; i++)
        record_fold(log, l, &log->records[i], now, replace);
    ledger_folded(l, now);
    return l;
}
