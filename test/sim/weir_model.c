#include "weir_model.h"

#include "base/assert.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void model_init(struct model *m, struct weir_sim *w)
{
    memset(m, 0, sizeof *m);
    m->w = w;
    m->streams_n = 1;
    m->streams = mem_zalloc(MODEL_STREAMS, sizeof *m->streams);
}

void model_free(struct model *m)
{
    for (unsigned i = 0; i < m->streams_n; i++)
        mem_free(m->streams[i].at);
    for (unsigned i = 0; i < m->topics_n; i++) {
        for (unsigned k = 0; k < MODEL_PARTITIONS; k++)
            mem_free(m->topics[i].p[k].ids);
    }
    mem_free(m->streams);
}

/* ---- topics --------------------------------------------------------------------------------- */

struct model_topic *model_topic_ask(struct model *m, const char *name, int32_t partitions,
                                    bool lossy)
{
    if (m->topics_n == MODEL_TOPICS)
        return NULL;
    struct model_topic *t = &m->topics[m->topics_n++];
    snprintf(t->name, sizeof t->name, "%s", name);
    t->fate = MODEL_ASKED;
    t->lossy = lossy;
    t->partitions_max = partitions;
    for (int32_t i = 0; i < MODEL_PARTITIONS; i++) {
        t->p[i].topic = t;
        t->p[i].index = i;
    }
    return t;
}

void model_topic_there(struct model *m, struct model_topic *t, const struct uuid *id,
                       int32_t partitions)
{
    if (t->id_known && !uuid_is_zero(*id) && !uuid_eq(t->id, *id))
        weir_sim_fail(m->w, "topic %s has another id than before", t->name);
    if (t->fate == MODEL_GONE)
        weir_sim_fail(m->w, "topic %s was deleted and is back", t->name);
    if (partitions < t->partitions || partitions > t->partitions_max)
        weir_sim_fail(m->w, "topic %s has %d partitions; %d to %d is right", t->name, partitions,
                      t->partitions, t->partitions_max);
    if (!uuid_is_zero(*id)) {
        t->id = *id;
        t->id_known = true;
    }
    t->partitions = partitions;
    if (t->fate == MODEL_ASKED)
        t->fate = MODEL_THERE;
}

struct model_topic *model_topic_find(struct model *m, struct str name)
{
    for (unsigned i = m->topics_n; i-- > 0;) {
        if (m->topics[i].fate != MODEL_GONE && str_is(name, m->topics[i].name))
            return &m->topics[i];
    }
    return NULL;
}

static bool name_is_newest(const struct model *m, unsigned i)
{
    for (unsigned k = i + 1; k < m->topics_n; k++) {
        if (!strcmp(m->topics[k].name, m->topics[i].name))
            return false;
    }
    return true;
}

void model_topics_settle(struct model *m, model_find_fn *found, void *arg)
{
    for (unsigned i = 0; i < m->topics_n; i++) {
        struct model_topic *t = &m->topics[i];
        struct uuid id;
        int32_t partitions;
        bool there = found(arg, t->name, &id, &partitions);
        if (there && t->id_known && !uuid_eq(id, t->id) && !name_is_newest(m, i))
            there = false; /* that is its successor */
        if (there && t->fate == MODEL_GONE && name_is_newest(m, i))
            weir_sim_fail(m->w, "topic %s was deleted and is back", t->name);
        if (t->fate == MODEL_GONE)
            continue;
        if (!there && t->fate == MODEL_THERE)
            weir_sim_fail(m->w, "topic %s was created and is not there", t->name);
        if (!there) {
            t->fate = MODEL_GONE;
            continue;
        }
        model_topic_there(m, t, &id, partitions);
        t->partitions_max = partitions;
        t->fate = MODEL_THERE;
    }
}

/* ---- streams -------------------------------------------------------------------------------- */

struct model_stream *model_stream_make(struct model *m, struct model_partition *p, int64_t pid,
                                       uint32_t value_max)
{
    if (m->streams_n == MODEL_STREAMS)
        return NULL;
    for (unsigned i = 1; pid >= 0 && i < m->streams_n; i++) {
        if (m->streams[i].pid == pid && m->streams[i].p == p)
            return NULL;
    }
    struct model_stream *s = &m->streams[m->streams_n];
    *s = (struct model_stream){
        .number = m->streams_n++, .p = p, .ordered = pid >= 0, .pid = pid, .value_max = value_max};
    return s;
}

static uint64_t id_of(const struct model_stream *s, uint32_t n)
{
    return (uint64_t)s->number << 32 | n;
}

uint32_t model_send(struct model *m, struct model_stream *s, uint32_t n)
{
    (void)m;
    if (s->n + n > s->cap) {
        s->cap = (s->n + n) * 2;
        s->at = mem_realloc(s->at, s->cap * sizeof *s->at);
    }
    for (uint32_t i = 0; i < n; i++)
        s->at[s->n + i] = (struct model_entry){.offset = -1, .flags = MODEL_SENT};
    s->n += n;
    return s->n - n;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    return x ^ x >> 29;
}

static uint32_t value_bytes(const struct model_stream *s, uint64_t id)
{
    return 8 + (uint32_t)(mix(id) % (s->value_max + 1));
}

static void value_fill(uint8_t *p, uint32_t n, uint64_t id)
{
    be64_put(p, id);
    uint64_t word = mix(id + 1);
    for (uint32_t i = 8; i < n; i++)
        p[i] = (uint8_t)(word >> (i % 8 * 8)) ^ (uint8_t)(i >> 3);
}

struct slice model_batch(const struct model_stream *s, uint32_t first, uint32_t n, int16_t epoch,
                         int64_t timestamp)
{
    struct batch_builder b;
    uint8_t *value = mem_alloc(8 + s->value_max);
    batch_begin(&b, 0);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t id = id_of(s, first + i);
        uint8_t key[8];
        be64_put(key, mix(id));
        uint32_t bytes = value_bytes(s, id);
        value_fill(value, bytes, id);
        batch_add(&b, timestamp, (struct str){(char *)key, id % 3 ? sizeof key : 1},
                  (struct str){(char *)value, bytes}, NULL, 0);
    }
    mem_free(value);
    if (s->pid < 0)
        return batch_end(&b);
    return batch_end_producer(&b, s->pid, epoch, (int32_t)first);
}

/* ---- one record and its place --------------------------------------------------------------- */

static struct model_stream *stream_of(struct model *m, const struct model_partition *p, uint64_t id,
                                      int64_t offset)
{
    uint64_t number = id >> 32;
    if (number == 0 || number >= m->streams_n || (uint32_t)id >= m->streams[number].n)
        weir_sim_fail(m->w, "%s-%d offset %" PRId64 ": record %" PRIx64 " was never sent",
                      p->topic->name, p->index, offset, id);
    if (m->streams[number].p != p)
        weir_sim_fail(m->w, "%s-%d offset %" PRId64 ": record %" PRIx64 " belongs to %s-%d",
                      p->topic->name, p->index, offset, id, m->streams[number].p->topic->name,
                      m->streams[number].p->index);
    return &m->streams[number];
}

static void check_neighbours(struct model *m, const struct model_stream *s, uint32_t n,
                             int64_t offset)
{
    const struct model_partition *p = s->p;
    int64_t before = n > 0 ? s->at[n - 1].offset : -1;
    int64_t behind = n + 1 < s->n ? s->at[n + 1].offset : -1;
    if ((before >= 0 && before >= offset) || (behind >= 0 && behind <= offset))
        weir_sim_fail(m->w,
                      "%s-%d: record %u of stream %u is at %" PRId64
                      ", out of order: the one before is at %" PRId64 ", behind at %" PRId64,
                      p->topic->name, p->index, n, s->number, offset, before, behind);
}

/* Record n of s is at this offset: it may be nowhere else, and nothing else may be there. */
static void place(struct model *m, struct model_stream *s, uint32_t n, int64_t offset,
                  enum model_sent how)
{
    struct model_partition *p = s->p;
    struct model_entry *e = &s->at[n];
    uint64_t id = id_of(s, n);
    if (offset >= p->cap) {
        int64_t cap = (offset + 64) * 2;
        p->ids = mem_realloc(p->ids, (size_t)cap * sizeof *p->ids);
        memset(p->ids + p->cap, 0, (size_t)(cap - p->cap) * sizeof *p->ids);
        p->cap = cap;
    }
    if (e->flags & MODEL_REFUSED)
        weir_sim_fail(m->w, "%s-%d: record %u of stream %u was refused and is at %" PRId64,
                      p->topic->name, p->index, n, s->number, offset);
    if (e->offset >= 0 && e->offset != offset)
        weir_sim_fail(m->w, "%s-%d: record %u of stream %u is at %" PRId64 " and at %" PRId64,
                      p->topic->name, p->index, n, s->number, e->offset, offset);
    if (p->ids[offset] && p->ids[offset] != id)
        weir_sim_fail(m->w,
                      "%s-%d offset %" PRId64 ": record %" PRIx64 " is there, and was %" PRIx64,
                      p->topic->name, p->index, offset, id, p->ids[offset]);
    if (s->ordered && e->offset < 0)
        check_neighbours(m, s, n, offset);
    e->offset = offset;
    e->flags |= (uint8_t)how;
    p->ids[offset] = id;
    if (p->end <= offset)
        p->end = offset + 1;
}

void model_acked(struct model *m, struct model_stream *s, uint32_t first, uint32_t n,
                 int64_t base_offset)
{
    if (base_offset < 0)
        weir_sim_fail(m->w, "%s-%d: acknowledged at offset %" PRId64, s->p->topic->name,
                      s->p->index, base_offset);
    for (uint32_t i = 0; i < n; i++)
        place(m, s, first + i, base_offset + i, MODEL_ACKED);
    m->acked += n;
}

void model_refused(struct model *m, struct model_stream *s, uint32_t first, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (s->at[first + i].flags & (MODEL_SEEN | MODEL_ACKED))
            weir_sim_fail(m->w, "%s-%d: record %u of stream %u is there and was refused",
                          s->p->topic->name, s->p->index, first + i, s->number);
        s->at[first + i].flags |= MODEL_REFUSED;
    }
}

void model_seen(struct model *m, struct model_partition *p, int64_t offset, struct str key,
                struct str value)
{
    if (value.len < 8 || offset < 0)
        weir_sim_fail(m->w, "%s-%d offset %" PRId64 ": a value of %zu bytes", p->topic->name,
                      p->index, offset, value.len);
    uint64_t id = be64_get(value.at);
    struct model_stream *s = stream_of(m, p, id, offset);
    uint32_t bytes = value_bytes(s, id);
    uint8_t *right = mem_alloc(bytes), right_key[8];
    value_fill(right, bytes, id);
    be64_put(right_key, mix(id));
    if (value.len != bytes || memcmp(value.at, right, bytes) != 0 ||
        key.len != (id % 3 ? 8u : 1u) || memcmp(key.at, right_key, key.len) != 0)
        weir_sim_fail(m->w, "%s-%d offset %" PRId64 ": record %" PRIx64 " is not as it was sent",
                      p->topic->name, p->index, offset, id);
    mem_free(right);
    place(m, s, (uint32_t)id, offset, MODEL_SEEN);
    m->served++;
}

/* ---- a whole partition ---------------------------------------------------------------------- */

void model_trim_asked(struct model_partition *p, int64_t start)
{
    if (start > p->start_max)
        p->start_max = start;
}

void model_trimmed(struct model *m, struct model_partition *p, int64_t start)
{
    if (start < p->start_min || start > p->start_max)
        weir_sim_fail(m->w, "%s-%d: log start %" PRId64 "; %" PRId64 " to %" PRId64 " is right",
                      p->topic->name, p->index, start, p->start_min, p->start_max);
    p->start_min = start;
}

static void forget_from(struct model *m, struct model_partition *p, int64_t end)
{
    for (int64_t at = end; at < p->end; at++) {
        uint64_t id = p->ids[at];
        p->ids[at] = 0;
        if (!id)
            continue;
        struct model_entry *e = &m->streams[id >> 32].at[(uint32_t)id];
        *e = (struct model_entry){.offset = -1, .flags = MODEL_SENT};
    }
    p->end = end;
}

void model_scan(struct model *m, struct model_partition *p, int64_t start, int64_t end,
                bool power_lost)
{
    if (p->topic->lossy && power_lost && end < p->end) {
        weir_sim_trace(m->w, "%s-%d lost %" PRId64 " records, as it may", p->topic->name, p->index,
                       p->end - end);
        forget_from(m, p, end);
        if (p->start_max > end)
            p->start_max = end;
        if (p->start_min > end)
            p->start_min = end;
    }
    if (end < p->end)
        weir_sim_fail(m->w,
                      "%s-%d ends at %" PRId64 ", %" PRId64 " were there: the next is %" PRIx64,
                      p->topic->name, p->index, end, p->end, p->ids[end]);
    model_trimmed(m, p, start);
}

void model_scanned(struct model *m, struct model_partition *p, int64_t start, int64_t end,
                   uint64_t seen_n)
{
    if (seen_n != (uint64_t)(end - start))
        weir_sim_fail(m->w,
                      "%s-%d shows %" PRId64 " to %" PRId64 ", and %" PRIu64 " records were read",
                      p->topic->name, p->index, start, end, seen_n);
}

void model_stream_done(struct model *m, const struct model_stream *s)
{
    int64_t before = -1;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct model_entry *e = &s->at[i];
        if (!(e->flags & MODEL_ACKED) || e->offset <= before)
            weir_sim_fail(m->w, "%s-%d: record %u of stream %u: offset %" PRId64 ", flags %d",
                          s->p->topic->name, s->p->index, i, s->number, e->offset, e->flags);
        before = e->offset;
    }
}

/* ---- committed offsets ---------------------------------------------------------------------- */

struct model_group *model_group_make(struct model *m, const char *name)
{
    weir_assert(m->groups_n < MODEL_GROUPS);
    struct model_group *g = &m->groups[m->groups_n++];
    snprintf(g->name, sizeof g->name, "%s", name);
    for (unsigned t = 0; t < MODEL_TOPICS; t++) {
        for (unsigned p = 0; p < MODEL_PARTITIONS; p++)
            g->at[t][p] = (struct model_commit){-1, -1};
    }
    return g;
}

struct model_commit *model_commit_of(struct model *m, struct model_group *g,
                                     const struct model_partition *p)
{
    return &g->at[p->topic - m->topics][p->index];
}

void model_fetched(struct model *m, const struct model_group *g, const struct model_partition *p,
                   struct model_commit *c, int64_t offset)
{
    if (offset < c->acked || offset > c->asked)
        weir_sim_fail(m->w,
                      "group %s: the offset of %s-%d is %" PRId64 "; %" PRId64 " to %" PRId64
                      " is right",
                      g->name, p->topic->name, p->index, offset, c->acked, c->asked);
    c->acked = offset;
}
