#include "broker/producer.h"

#include "base/assert.h"
#include "base/cursor.h"
#include "base/mem.h"

#define SNAPSHOT_VERSION 1

struct producer_batch {
    int32_t first, last; /* sequence numbers */
    int64_t offset;      /* -1 while under way */
    void *tag;           /* while under way */
};

struct producer {
    struct map_node node; /* by id */
    struct list used;     /* in producers.used, the most recent last */
    int64_t id;
    uint64_t used_ms;
    int16_t epoch;
    uint8_t n;
    int32_t first_next; /* with no batch known: the sequence that the next one begins with */
    struct producer_batch batches[PRODUCER_BATCHES]; /* oldest first */
};

struct producers {
    struct map by_id;
    struct list used;
    int64_t end; /* of the snapshot that was restored */
};

struct producers *producers_make(void)
{
    struct producers *p = mem_zalloc(1, sizeof(*p));
    map_init(&p->by_id);
    list_init(&p->used);
    return p;
}

static struct producer *producer_of(struct list *used)
{
    return container_of(used, struct producer, used);
}

static void producer_forget(struct producers *p, struct producer *one)
{
    map_remove(&p->by_id, &one->node);
    list_remove(&one->used);
    mem_free(one);
}

void producers_free(struct producers *p)
{
    if (p == NULL)
        return;
    while (!list_empty(&p->used))
        producer_forget(p, producer_of(p->used.next));
    map_free(&p->by_id);
    mem_free(p);
}

size_t producers_count(const struct producers *p)
{
    return p != NULL ? p->by_id.count : 0;
}

static bool id_eq(const struct map_node *node, const void *key)
{
    return container_of((struct map_node *)node, struct producer, node)->id ==
           *(const int64_t *)key;
}

static struct producer *producer_find(const struct producers *p, int64_t id)
{
    struct map_node *n = map_find(&p->by_id, hash_u64((uint64_t)id), id_eq, &id);
    return n != NULL ? container_of(n, struct producer, node) : NULL;
}

static bool under_way(const struct producer *one)
{
    for (unsigned i = 0; i < one->n; i++)
        if (one->batches[i].tag != NULL)
            return true;
    return false;
}

/* Makes room by dropping the one that was quiet for longest; those with batches under way stay, so
 * the limit may be passed by what is under way at once. */
static void producers_make_room(struct producers *p)
{
    list_for (it, &p->used) {
        if (under_way(producer_of(it)))
            continue;
        producer_forget(p, producer_of(it));
        return;
    }
}

static struct producer *producer_add(struct producers *p, int64_t id, int16_t epoch)
{
    if (p->by_id.count >= PRODUCERS_MAX)
        producers_make_room(p);
    struct producer *one = mem_zalloc(1, sizeof(*one));
    one->id = id;
    one->epoch = epoch;
    list_push(&p->used, &one->used);
    map_insert(&p->by_id, &one->node, hash_u64((uint64_t)id));
    return one;
}

static void producer_touch(struct producers *p, struct producer *one, uint64_t now_ms)
{
    one->used_ms = now_ms;
    list_remove(&one->used);
    list_push(&p->used, &one->used);
}

static int32_t sequence_add(int32_t sequence, int32_t n)
{
    return (int32_t)(((uint32_t)sequence + (uint32_t)n) & INT32_MAX);
}

static void batch_drop_oldest(struct producer *one)
{
    one->n--;
    for (unsigned i = 0; i < one->n; i++)
        one->batches[i] = one->batches[i + 1];
}

static void batch_push(struct producer *one, const struct batch_head *head, int64_t offset,
                       void *tag)
{
    if (one->n == PRODUCER_BATCHES)
        batch_drop_oldest(one);
    one->batches[one->n++] = (struct producer_batch){
        .first = head->base_sequence,
        .last = sequence_add(head->base_sequence, head->last_offset_delta),
        .offset = offset,
        .tag = tag,
    };
}

static const struct producer_batch *batch_same(const struct producer *one,
                                               const struct batch_head *head)
{
    int32_t last = sequence_add(head->base_sequence, head->last_offset_delta);
    for (unsigned i = 0; i < one->n; i++)
        if (one->batches[i].first == head->base_sequence && one->batches[i].last == last)
            return &one->batches[i];
    return NULL;
}

bool producers_may_refuse(const struct producers *p, const struct batch_head *head)
{
    const struct producer *one = p != NULL ? producer_find(p, head->producer_id) : NULL;
    return one != NULL && one->epoch == head->producer_epoch && batch_same(one, head) == NULL;
}

/* What the next batch of the producer's present epoch begins with. */
static int32_t sequence_next(const struct producer *one)
{
    return one->n == 0 ? one->first_next : sequence_add(one->batches[one->n - 1].last, 1);
}

enum producer_verdict producers_check(struct producers *p, const struct batch_head *head,
                                      uint64_t now_ms, void *tag, struct producer_answer *out)
{
    *out = (struct producer_answer){.offset = -1};
    struct producer *one = producer_find(p, head->producer_id);
    if (one == NULL) {
        one = producer_add(p, head->producer_id, head->producer_epoch);
    } else if (head->producer_epoch < one->epoch) {
        out->epoch = one->epoch;
        return PRODUCER_FENCED;
    } else if (head->producer_epoch > one->epoch) {
        if (head->base_sequence != 0)
            return PRODUCER_SEQUENCE;
        one->epoch = head->producer_epoch;
        one->n = 0;
        one->first_next = 0;
    } else {
        const struct producer_batch *same = batch_same(one, head);
        if (same != NULL) {
            out->offset = same->offset;
            out->tag = same->tag;
            return same->tag != NULL ? PRODUCER_WAIT : PRODUCER_DUPLICATE;
        }
        out->expected = sequence_next(one);
#ifndef FAULT_sequence_unchecked
        if (head->base_sequence != out->expected)
            return PRODUCER_SEQUENCE;
#endif
    }
    batch_push(one, head, -1, tag);
    producer_touch(p, one, now_ms);
    return PRODUCER_NEW;
}

/* Half of the numbers come before any sequence, and half behind it. */
static bool sequence_before(int32_t a, int32_t b)
{
    return (((uint32_t)a - (uint32_t)b) & INT32_MAX) > INT32_MAX / 2;
}

/* The batches behind a failed one fail too, and nothing may come before its retry: not even when
 * they have pushed out all that it follows. */
static void batch_failed(struct producer *one, unsigned at, const struct batch_head *head)
{
    bool pushed_out = at == one->n;
    if (pushed_out && (one->n == 0 || !sequence_before(head->base_sequence, one->batches[0].first)))
        return;
    one->n = pushed_out ? 0 : (uint8_t)at;
    if (one->n == 0)
        one->first_next = head->base_sequence;
}

void producers_done(struct producers *p, const struct batch_head *head, void *tag,
                    int64_t base_offset)
{
    struct producer *one = producer_find(p, head->producer_id);
    unsigned i = 0;
    if (one == NULL || one->epoch != head->producer_epoch)
        return;
    while (i < one->n && one->batches[i].tag != tag)
        i++;
    if (base_offset < 0) {
        batch_failed(one, i, head);
    } else if (i < one->n) { /* else it was pushed out by five later ones */
        one->batches[i].offset = base_offset;
        one->batches[i].tag = NULL;
    }
}

void producers_expire(struct producers *p, uint64_t since_ms)
{
    list_for_safe (it, &p->used) {
        struct producer *one = producer_of(it);
        if (one->used_ms >= since_ms)
            return;
        if (!under_way(one))
            producer_forget(p, one);
    }
}

/* The snapshot: version, end, count, then per producer in the order of their last use: id, epoch,
 * time, number of batches, and of each first sequence, length and offset. */

static unsigned stored_batches(const struct producer *one)
{
    unsigned n = 0;
    for (unsigned i = 0; i < one->n; i++)
        n += one->batches[i].tag == NULL;
    return n;
}

static void producer_write(struct wr *w, const struct producer *one)
{
    wr_uvarlong(w, (uint64_t)one->id);
    wr_uvarint(w, (uint16_t)one->epoch);
    wr_uvarlong(w, one->used_ms);
    wr_u8(w, (uint8_t)stored_batches(one));
    for (unsigned i = 0; i < one->n; i++) {
        const struct producer_batch *b = &one->batches[i];
        if (b->tag != NULL)
            continue;
        wr_uvarint(w, (uint32_t)b->first);
        wr_uvarint(w, ((uint32_t)b->last - (uint32_t)b->first) & INT32_MAX);
        wr_uvarlong(w, (uint64_t)b->offset);
    }
}

struct slice producers_snapshot(const struct producers *p, int64_t end)
{
    struct wr w;
    wr_init(&w, 16 + 40 * p->by_id.count);
    wr_u8(&w, SNAPSHOT_VERSION);
    wr_uvarlong(&w, (uint64_t)end);
    uint32_t count = 0;
    list_for (it, &p->used)
        count += stored_batches(producer_of(it)) > 0;
    wr_uvarint(&w, count);
    list_for (it, &p->used)
        if (stored_batches(producer_of(it)) > 0)
            producer_write(&w, producer_of(it));
    return wr_take(&w);
}

static bool producer_read(struct producers *p, struct rd *rd)
{
    int64_t id = (int64_t)rd_uvarlong(rd);
    uint32_t epoch = rd_uvarint(rd);
    uint64_t used_ms = rd_uvarlong(rd);
    unsigned n = rd_u8(rd);
    if (rd->bad || id < 0 || epoch > INT16_MAX || n == 0 || n > PRODUCER_BATCHES ||
        producer_find(p, id) != NULL)
        return false;
    struct producer *one = producer_add(p, id, (int16_t)epoch);
    one->used_ms = used_ms;
    for (unsigned i = 0; i < n; i++) {
        struct producer_batch *b = &one->batches[i];
        b->first = (int32_t)(rd_uvarint(rd) & INT32_MAX);
        b->last = sequence_add(b->first, (int32_t)(rd_uvarint(rd) & INT32_MAX));
        b->offset = (int64_t)rd_uvarlong(rd);
    }
    one->n = (uint8_t)n;
    return !rd->bad;
}

enum err producers_restore(struct producers *p, struct slice snapshot)
{
    struct rd rd;
    weir_assert(p->by_id.count == 0);
    rd_init(&rd, snapshot.at, snapshot.len);
    uint8_t version = rd_u8(&rd);
    if (version > SNAPSHOT_VERSION)
        return ERR_FORMAT_NEWER;
    p->end = (int64_t)rd_uvarlong(&rd);
    uint32_t count = rd_uvarint(&rd);
    bool ok = version == SNAPSHOT_VERSION && !rd.bad;
    for (uint32_t i = 0; i < count && ok; i++)
        ok = producer_read(p, &rd);
    if (ok && rd_left(&rd) == 0)
        return ERR_OK;
    while (!list_empty(&p->used))
        producer_forget(p, producer_of(p->used.next));
    p->end = 0;
    return ERR_CORRUPT;
}

void producers_replay(struct producers *p, const struct batch_head *head, uint64_t append_ms)
{
    if (head->producer_id < 0 || head->base_sequence < 0 || head->base_offset < p->end)
        return;
    struct producer *one = producer_find(p, head->producer_id);
    if (one == NULL)
        one = producer_add(p, head->producer_id, head->producer_epoch);
    if (head->producer_epoch != one->epoch) {
        one->epoch = head->producer_epoch;
        one->n = 0;
    }
    batch_push(one, head, head->base_offset, NULL);
    producer_touch(p, one, append_ms);
}
