/* Reading decoded batches.
 *
 *     records_run     on the owner: cached batches from `offset` on, if the first one is there
 *     load_start      else a read of RECORDS_LOAD_BYTES or more from the store
 *     load_take       each batch of it: checked, decompressed, indexed, into the cache, to the op
 *
 * A batch's memory is one buffer with its records, decompressed, and the place of each record in
 * it: a record is decoded when it is asked for.
 */
#include "broker/records_cache.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/mem.h"
#include "broker/access.h"
#include "broker/partition.h"

#include <stdatomic.h>
#include <string.h>

#define RECORDS_MAGIC 0x72656373u
/* A read from the store is at least this long, so that small batches are read together; and at most
 * that long, unless one batch is. */
#define RECORDS_LOAD_BYTES ((size_t)64 << 10)
#define RECORDS_LOAD_BYTES_MAX ((size_t)1 << 20)
#define RECORDS_LOAD_BATCHES 256

struct records {
    atomic_uint refs;
    uint32_t magic;
    struct batch_head head;
    int64_t append_ms;
    uint64_t visible_us;
    struct buf *buf; /* the records, decompressed */
    uint32_t bytes;
    uint32_t count;
    bool dense; /* offsets count up one by one: record i has base offset + i */
    /* The cache's: in its reactor's lru and its partition's index; NULL: in none. */
    struct partition *in;
    struct list lru;
    uint32_t at[]; /* count: where each record begins in the buffer */
};

/* ---- a batch ---- */

struct records *records_ref(struct records *r)
{
    weir_check(r, RECORDS_MAGIC);
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void records_unref(struct records *r)
{
    if (r == NULL)
        return;
    weir_check(r, RECORDS_MAGIC);
    if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    buf_unref(r->buf);
    r->magic = 0;
    mem_free(r);
}

const struct batch_head *records_head(const struct records *r)
{
    return &r->head;
}

int64_t records_append_ms(const struct records *r)
{
    return r->append_ms;
}

uint64_t records_visible_us(const struct records *r)
{
    return r->visible_us;
}

void records_set_visible(struct records *r, uint64_t us)
{
    r->visible_us = us;
}

uint32_t records_count(const struct records *r)
{
    return r->count;
}

size_t records_bytes(const struct records *r)
{
    return r->bytes;
}

void records_get(const struct records *r, uint32_t i, struct record *out)
{
    weir_assert(i < r->count);
    uint32_t end = i + 1 < r->count ? r->at[i + 1] : r->bytes;
    record_read(&r->head, r->buf->data + r->at[i], end - r->at[i], out);
}

uint32_t records_find(const struct records *r, int64_t offset)
{
    struct record record;
    uint32_t lo = 0, hi = r->count;
    if (offset <= r->head.base_offset)
        return 0;
    if (offset > batch_last_offset(&r->head))
        return r->count;
    if (r->dense)
        return (uint32_t)(offset - r->head.base_offset);
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        records_get(r, mid, &record);
        if (record.offset < offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The records of a batch, decompressed; the caller's reference. */
static enum err inflate(const struct batch_head *h, const uint8_t *p, struct buf **out,
                        size_t *bytes)
{
    enum codec codec = (enum codec)(h->attributes & BATCH_CODEC_MASK);
    size_t n = h->bytes - BATCH_HEAD_BYTES;
    if (codec == CODEC_NONE) {
        *bytes = n;
        *out = buf_try(n);
        if (*out == NULL)
            return ERR_MEMORY;
        memcpy((*out)->data, p + BATCH_HEAD_BYTES, n);
        return ERR_OK;
    }
    enum err err =
        codec_decompress(codec, p + BATCH_HEAD_BYTES, n, RECORDS_BATCH_BYTES_MAX, out, bytes);
    return err == ERR_MESSAGE_TOO_LARGE ? ERR_MEMORY : err;
}

static enum err index_records(struct records *r)
{
    struct record_iter it;
    struct record record;
    enum err err;
    record_iter_init(&it, &r->head, r->buf->data, r->bytes);
    r->dense = true;
    for (;;) {
        uint32_t at = (uint32_t)(it.rd.at - r->buf->data);
        err = record_iter_next(&it, &record);
        if (err != ERR_OK)
            break;
        r->dense = r->dense && record.offset == r->head.base_offset + r->count;
        r->at[r->count++] = at;
    }
    return err == ERR_NOT_FOUND ? ERR_OK : ERR_CORRUPT;
}

/* A whole batch at p. Takes over the reference to buf on success. */
static enum err records_make(const struct batch_head *h, struct buf *buf, size_t bytes,
                             struct records **out)
{
    size_t count = h->count > 0 ? (size_t)h->count : 0;
    if (count > bytes)
        return ERR_CORRUPT; /* a record has a byte at least */
    struct records *r = mem_try(sizeof(*r) + count * sizeof(r->at[0]));
    if (r == NULL)
        return ERR_MEMORY;
    *r = (struct records){.magic = RECORDS_MAGIC, .head = *h, .buf = buf, .bytes = (uint32_t)bytes};
    atomic_init(&r->refs, 1);
    list_init(&r->lru);
    enum err err = index_records(r);
    if (err != ERR_OK) {
        mem_free(r);
        return err;
    }
    *out = r;
    return ERR_OK;
}

enum err records_decode(const struct batch_head *h, const uint8_t *p, int64_t append_ms,
                        struct records **out)
{
    struct buf *buf;
    size_t bytes;
#ifndef FAULT_records_unchecked
    if (!batch_crc_ok(p, h))
        return ERR_CORRUPT;
#endif
    enum err err = inflate(h, p, &buf, &bytes);
    if (err != ERR_OK)
        return err;
    err = records_make(h, buf, bytes, out);
    if (err != ERR_OK) {
        buf_unref(buf);
        return err;
    }
    (*out)->append_ms = append_ms >= 0 ? append_ms : h->max_timestamp;
    return ERR_OK;
}

/* ---- the cache ---- */

void records_cache_init(struct records_cache *c, size_t bytes_max)
{
    *c = (struct records_cache){.bytes_max = bytes_max};
    list_init(&c->lru);
}

static size_t cost(const struct records *r)
{
    size_t bytes = sizeof(*r) + r->count * sizeof(r->at[0]) + sizeof(struct buf) + r->bytes;
    return bytes > RECORDS_ENTRY_BYTES_MIN ? bytes : RECORDS_ENTRY_BYTES_MIN;
}

/* The place of the first batch with base offset > offset. */
static size_t index_above(const struct records_index *x, int64_t offset)
{
    size_t lo = 0, hi = x->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (x->sorted[mid]->head.base_offset <= offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void index_remove(struct records_index *x, size_t from, size_t n)
{
    memmove(&x->sorted[from], &x->sorted[from + n], (x->n - from - n) * sizeof(x->sorted[0]));
    x->n -= n;
    if (x->n > 0)
        return;
    mem_free(x->sorted);
    *x = (struct records_index){NULL, 0, 0};
}

static void index_insert(struct records_index *x, size_t at, struct records *r)
{
    if (x->n == x->cap) {
        x->cap = x->cap != 0 ? 2 * x->cap : 8;
        x->sorted = mem_realloc(x->sorted, x->cap * sizeof(x->sorted[0]));
    }
    memmove(&x->sorted[at + 1], &x->sorted[at], (x->n - at) * sizeof(x->sorted[0]));
    x->sorted[at] = r;
    x->n++;
}

/* Leaves the lru; the index is the caller's matter. */
static void cache_let_go(struct records_cache *c, struct records *r)
{
    list_remove(&r->lru);
    c->bytes -= cost(r);
    c->count--;
    r->in = NULL;
    records_unref(r);
}

static void cache_shrink(struct records_cache *c)
{
    while (c->bytes > c->bytes_max) {
        struct records *r = container_of(c->lru.next, struct records, lru);
        struct records_index *x = &r->in->records;
        size_t above = index_above(x, r->head.base_offset);
        weir_assert(above > 0 && x->sorted[above - 1] == r);
        index_remove(x, above - 1, 1);
        cache_let_go(c, r);
    }
}

static void cache_used(struct records_cache *c, struct records *r)
{
    list_remove(&r->lru);
    list_push(&c->lru, &r->lru);
}

/* Takes its own reference. Returns the batch that is in the cache now: an older copy of it stays.
 */
static struct records *cache_add(struct records_cache *c, struct partition *p, struct records *r)
{
    size_t at = index_above(&p->records, r->head.base_offset);
    struct records *before = at > 0 ? p->records.sorted[at - 1] : NULL;
    if (before != NULL && before->head.base_offset == r->head.base_offset) {
        cache_used(c, before);
        return before;
    }
    if (cost(r) > c->bytes_max)
        return r;
    index_insert(&p->records, at, records_ref(r));
    r->in = p;
    list_push(&c->lru, &r->lru);
    c->bytes += cost(r);
    c->count++;
    return r;
}

/* The batch that holds the offset; NULL: it is not here. */
static struct records *cache_find(struct records_cache *c, struct partition *p, int64_t offset)
{
    size_t above = index_above(&p->records, offset);
    struct records *r = above > 0 ? p->records.sorted[above - 1] : NULL;
    if (r == NULL || batch_last_offset(&r->head) < offset)
        return NULL;
    cache_used(c, r);
    return r;
}

static bool has_offset(const struct records *r, int64_t offset)
{
    struct record record;
    uint32_t i = records_find(r, offset);
    if (i == r->count || r->dense)
        return i < r->count && offset >= r->head.base_offset;
    records_get(r, i, &record);
    return record.offset == offset;
}

struct records *records_cached_of(struct partition *p, int64_t offset)
{
    struct records *r = cache_find(&p->broker->records, p, offset);
    return r != NULL && has_offset(r, offset) ? r : NULL;
}

struct records *records_cached(struct broker *b, const struct uuid *topic, int32_t partition,
                               int64_t offset)
{
    struct partition *p = partition_find(b, topic, partition);
    return p != NULL ? records_cached_of(p, offset) : NULL;
}

void records_cache_trim(struct records_cache *c, struct partition *p, int64_t offset)
{
    size_t n = 0;
    while (n < p->records.n && batch_last_offset(&p->records.sorted[n]->head) < offset)
        cache_let_go(c, p->records.sorted[n++]);
    if (n > 0)
        index_remove(&p->records, 0, n);
}

void records_cache_forget(struct records_cache *c, struct partition *p)
{
    records_cache_trim(c, p, INT64_MAX);
}

void broker_records_stat(const struct broker *b, struct records_stat *out)
{
    *out = (struct records_stat){
        .hits = b->records.hits,
        .misses = b->records.misses,
        .bytes = b->records.bytes,
        .batches = b->records.count,
    };
}

/* ---- the verb ---- */

struct load {
    struct store_read read;
    struct records_op *op;
    struct partition *p;
    unsigned seen; /* batches of the read */
    int64_t append_ms[RECORDS_LOAD_BATCHES];
};

static void marks(struct records_op *op, const struct partition *p)
{
    op->high_watermark = p->end;
    op->log_start = p->log_start;
}

/* False: it does not fit, or there is enough. */
static bool op_take(struct records_op *op, struct records *r)
{
    bool enough = op->offsets_max != 0 && op->next_offset - op->offset >= op->offsets_max;
    bool fits = op->bytes + r->bytes <= op->bytes_max && op->n < RECORDS_READ_MAX && !enough;
    if (op->n > 0 && !fits)
        return false;
    op->batches[op->n++] = records_ref(r);
    op->bytes += r->bytes;
    op->next_offset = batch_next_offset(&r->head);
    return true;
}

static void take_cached(struct records_op *op, struct records_cache *c, struct partition *p)
{
    struct records *r;
    while (op->next_offset < p->end && (r = cache_find(c, p, op->next_offset)) != NULL)
        if (!op_take(op, r))
            return;
}

/* One batch of what was read. *full: the op has what it wants; the cache may still take more. */
static enum err load_batch(struct load *l, const uint8_t *p, const struct batch_head *h, bool *full)
{
    struct records_cache *c = &l->p->broker->records;
    struct records *r;
    int64_t append_ms = l->seen < RECORDS_LOAD_BATCHES ? l->append_ms[l->seen] : -1;
    l->seen++;
    enum err err = records_decode(h, p, append_ms, &r);
    if (err != ERR_OK) {
        l->op->next_offset = l->op->n == 0 ? batch_next_offset(h) : l->op->next_offset;
        return err;
    }
    records_set_visible(r, visible_find(&l->p->broker->visible, &l->p->topic_id, l->p->index,
                                        batch_last_offset(h)));
    struct records *kept = cache_add(c, l->p, r);
    *full = *full || !op_take(l->op, kept);
    records_unref(r);
    return ERR_OK;
}

static enum err load_chunk(struct load *l, struct slice s, bool *full)
{
    struct batch_head h;
    while (s.len > 0 && l->seen < RECORDS_LOAD_BATCHES) {
        if (batch_head_read(s.at, s.len, &h) != ERR_OK || h.bytes > s.len)
            return ERR_CORRUPT;
        enum err err = load_batch(l, s.at, &h, full);
        if (err != ERR_OK)
            return err;
        s = slice_sub(s, h.bytes, s.len - h.bytes);
    }
    return ERR_OK;
}

/* What follows a batch that is good may be bad: the next call will say so. */
static enum err load_take(struct load *l)
{
    enum err err = ERR_OK;
    bool full = false;
    for (struct chunk *c = l->read.out.head; c != NULL && err == ERR_OK; c = c->next) {
        weir_assert(c->file == NULL);
        err = load_chunk(l, c->slice, &full);
    }
    cache_shrink(&l->p->broker->records);
    return l->op->n > 0 ? ERR_OK : err;
}

static void load_done(struct store_read *read, enum err err)
{
    struct load *l = container_of(read, struct load, read);
    struct records_op *op = l->op;
    struct partition *p = l->p;
    struct broker *b = p->broker;
    if (err == ERR_OK && p->state == PARTITION_OPEN)
        err = load_take(l);
    else if (err == ERR_OK)
        err = ERR_TOPIC_UNKNOWN;
    chunkq_clear(&read->out);
    mem_free(l);
    marks(op, p);
    partition_leave(p);
    op_finish(b, &op->op, err);
}

static void load_start(struct records_op *op, struct partition *p)
{
    struct load *l = mem_alloc(sizeof(*l));
    size_t want = op->bytes_max > RECORDS_LOAD_BYTES ? op->bytes_max : RECORDS_LOAD_BYTES;
    l->op = op;
    l->p = p;
    l->seen = 0;
    for (unsigned i = 0; i < RECORDS_LOAD_BATCHES; i++)
        l->append_ms[i] = -1;
    l->read = (struct store_read){
        .log = p->log,
        .from = op->offset,
        .limit = p->end,
        .bytes_max = want < RECORDS_LOAD_BYTES_MAX ? want : RECORDS_LOAD_BYTES_MAX,
        .min_one = true,
        .in_memory = true,
        .append_ms = l->append_ms,
        .append_ms_max = RECORDS_LOAD_BATCHES,
        .done = load_done,
    };
    chunkq_init(&l->read.out);
    partition_enter(p);
    store_read(p->broker->store, &l->read);
}

static void records_run(struct broker *b, struct op *base)
{
    struct records_op *op = container_of(base, struct records_op, op);
    struct partition *p;
    enum err err = partition_get(b, &op->topic, op->partition, &p);
    if (err == ERR_OK) {
        marks(op, p);
        err = op->offset < p->log_start || op->offset > p->end ? ERR_OFFSET_RANGE : ERR_OK;
    }
    if (err != ERR_OK) {
        op_finish(b, base, err);
        return;
    }
    take_cached(op, &b->records, p);
    if (op->offset < p->end)
        *(op->n > 0 ? &b->records.hits : &b->records.misses) += 1;
    if (op->n > 0 || op->offset == p->end)
        op_finish(b, base, ERR_OK);
    else
        load_start(op, p);
}

void broker_records(struct broker *b, struct records_op *op)
{
    op->n = 0;
    op->bytes = 0;
    op->next_offset = op->offset;
    op->high_watermark = op->log_start = -1;
    op->op.run = records_run;
    if (access_refuses_topic(b, &op->op, op->actor, &op->topic, ACCESS_RECEIVER))
        return;
    op_submit(b, broker_shard_of_partition(&op->topic, op->partition), &op->op);
}
