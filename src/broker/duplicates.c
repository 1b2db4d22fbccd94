#include "broker/duplicates.h"

#include "base/assert.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "broker/records_cache.h"

#include <string.h>

struct entry {
    struct map_node node; /* its hash is the first half of the id */
    uint64_t second;      /* the other half */
    struct list link;     /* in stored; by itself while under way */
    int64_t offset;       /* -1: under way */
    int64_t append_ms;
    void *tag;
};

struct duplicates {
    struct map entries;
    struct list stored; /* in the order of their appends */
    size_t stored_n;
    uint64_t forgotten;
};

struct duplicates *duplicates_make(void)
{
    struct duplicates *d = mem_zalloc(1, sizeof(*d));
    map_init(&d->entries);
    list_init(&d->stored);
    return d;
}

static void entry_drop(struct duplicates *d, struct entry *e)
{
    if (list_linked(&e->link)) {
        list_remove(&e->link);
        d->stored_n--;
    }
    map_remove(&d->entries, &e->node);
    mem_free(e);
}

void duplicates_free(struct duplicates *d)
{
    if (d == NULL)
        return;
    struct map_node *n;
    while ((n = map_next(&d->entries, NULL)) != NULL)
        entry_drop(d, container_of(n, struct entry, node));
    map_free(&d->entries);
    mem_free(d);
}

size_t duplicates_count(const struct duplicates *d)
{
    return d != NULL ? d->entries.count : 0;
}

uint64_t duplicates_forgotten(const struct duplicates *d)
{
    return d != NULL ? d->forgotten : 0;
}

/* ---- ids ---- */

static void take_header(struct message_id *ce, struct message_id *own,
                        const struct record_header *h)
{
    if (h->value.at == NULL || h->value.len == 0)
        return;
    if (str_is(h->key, "message-id"))
        own->id = h->value;
    else if (str_is(h->key, "ce_id"))
        ce->id = h->value;
    else if (str_is(h->key, "ce_source"))
        ce->source = h->value;
}

struct message_id message_id_of_headers(const struct record_header *headers, size_t n)
{
    struct message_id ce = {{NULL, 0}, {NULL, 0}}, own = ce;
    for (size_t i = 0; i < n; i++)
        take_header(&ce, &own, &headers[i]);
    return own.id.at != NULL ? own : ce;
}

struct message_id message_id_of_record(const struct record *record)
{
    struct message_id ce = {{NULL, 0}, {NULL, 0}}, own = ce;
    struct record r = *record;
    struct record_header h;
    while (record_header_next(&r, &h))
        take_header(&ce, &own, &h);
    return own.id.at != NULL ? own : ce;
}

/* The keyed hash of text behind what came before, block by block; `half` tells the two apart. */
static uint64_t hash_text(uint8_t half, uint64_t before, struct str text)
{
    uint8_t block[256];
    size_t at = 0;
    do {
        size_t n = text.len - at < 240 ? text.len - at : 240;
        memcpy(block, &before, 8);
        block[8] = half;
        if (n > 0)
            memcpy(block + 9, text.at + at, n);
        before = hash_bytes(block, 9 + n);
        at += n;
    } while (at < text.len);
    return before;
}

struct duplicate_id duplicate_id_make(struct message_id m)
{
    struct duplicate_id id = {{0, 0}};
    if (m.id.at == NULL)
        return id;
    for (uint8_t half = 0; half < 2; half++)
        id.h[half] = hash_text(half, hash_text(half, m.source.len + 1, m.source), m.id);
    id.h[1] |= 1; /* never none */
    return id;
}

/* ---- what is known ---- */

static bool entry_eq(const struct map_node *node, const void *key)
{
    return container_of_const(node, struct entry, node)->second == *(const uint64_t *)key;
}

static struct entry *entry_find(const struct duplicates *d, struct duplicate_id id)
{
    struct map_node *n = map_find(&d->entries, id.h[0], entry_eq, &id.h[1]);
    return n != NULL ? container_of(n, struct entry, node) : NULL;
}

static struct entry *entry_add(struct duplicates *d, struct duplicate_id id)
{
    struct entry *e = mem_zalloc(1, sizeof(*e));
    e->second = id.h[1];
    e->offset = -1;
    list_init(&e->link);
    map_insert(&d->entries, &e->node, id.h[0]);
    return e;
}

static struct entry *oldest(struct duplicates *d)
{
    return list_empty(&d->stored) ? NULL : container_of(d->stored.next, struct entry, link);
}

static void entry_stored(struct duplicates *d, struct entry *e, int64_t offset, int64_t append_ms)
{
    e->offset = offset;
    e->append_ms = append_ms;
    e->tag = NULL;
    list_push(&d->stored, &e->link);
    if (++d->stored_n <= DUPLICATES_MAX)
        return;
    d->forgotten++;
    entry_drop(d, oldest(d));
}

void duplicates_expire(struct duplicates *d, int64_t since_ms)
{
    struct entry *e;
    while ((e = oldest(d)) != NULL && e->append_ms < since_ms)
        entry_drop(d, e);
}

enum duplicate_verdict duplicates_check(struct duplicates *d, struct duplicate_id id,
                                        int64_t since_ms, void *tag, struct duplicate_found *out)
{
    duplicates_expire(d, since_ms);
    struct entry *e = entry_find(d, id);
    if (e == NULL) {
        entry_add(d, id)->tag = tag;
        return DUPLICATE_NEW;
    }
    *out = (struct duplicate_found){e->offset, e->append_ms, e->tag};
    return e->offset >= 0 ? DUPLICATE_STORED : DUPLICATE_UNDER_WAY;
}

void duplicates_done(struct duplicates *d, struct duplicate_id id, int64_t offset,
                     int64_t append_ms)
{
    struct entry *e = entry_find(d, id);
    weir_assert(e != NULL && e->offset < 0);
    if (offset >= 0)
        entry_stored(d, e, offset, append_ms);
    else
        entry_drop(d, e);
}

void duplicates_note(struct duplicates *d, struct duplicate_id id, int64_t offset,
                     int64_t append_ms)
{
    if (duplicate_id_given(&id) && entry_find(d, id) == NULL)
        entry_stored(d, entry_add(d, id), offset, append_ms);
}

void duplicates_note_batch(struct duplicates *d, struct slice batch, int64_t append_ms)
{
    struct batch_head head;
    struct records *records;
    struct record r;
    if (batch_head_read(batch.at, batch.len, &head) != ERR_OK || head.bytes > batch.len ||
        records_decode(&head, batch.at, append_ms, &records) != ERR_OK)
        return;
    for (uint32_t i = 0; i < records_count(records); i++) {
        records_get(records, i, &r);
        duplicates_note(d, duplicate_id_make(message_id_of_record(&r)), r.offset, append_ms);
    }
    records_unref(records);
}
