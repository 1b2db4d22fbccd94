/* How a journey is put together.
 *
 * A hop says where its event is: topic, partition and offset are the event's place. An event is a
 * node with its hops in the order of their times. Its hop of the step "publish" may name a cause,
 * the place of the event that it comes of: that is its parent. Nodes without a parent that is known
 * are the roots of their trace.
 *
 *     trace 0af7651916cd43dd8448eb211c80319c
 *     orders/0/12  id 1234
 *     |  12:00:00.123             publish
 *     |  12:00:00.130      +7 ms  push     fraud-check  attempt 1  503  31 ms
 *     |  12:00:10.131  +10.008 s  push     fraud-check  attempt 2  200
 *     `- payments/2/9  id 1234
 *           12:00:10.131  +10.008 s  publish
 */
#include "cli/journey.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/when.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_MAX ((size_t)1 << 30)
#define DEPTH_MAX 40 /* of the drawing; what is deeper is drawn at this depth */

struct place {
    struct str topic;
    int64_t partition, offset; /* topic at NULL: none */
};

struct hop {
    struct str step, subscription, outcome, trace, id, correlation;
    struct place at, cause;
    int64_t at_ms, took_us, attempt;
    struct str text;
    struct hop *next; /* of its node, by time */
};

struct node {
    struct map_node by_place;
    struct place place;
    struct str id, correlation, trace;
    struct hop *hops, *last_hop;
    struct node *parent, *child, *last_child, *sibling; /* children by their first hops */
    bool written;
};

struct trace {
    struct map_node node;
    struct str id;
};

struct journey {
    struct str wanted;
    struct place wanted_place;
    bool wanted_trace;
    struct arena arena;
    struct map traces;
    struct hop **hops;
    size_t hops_n, hops_cap;
    struct map nodes;
    bool cut;
};

/* ---- reading a hop ---- */

struct field {
    const char *name;
    size_t at;
    bool number;
};

#define TEXT(member)                                                                               \
    {                                                                                              \
#member, offsetof(struct hop, member), false                                               \
    }
static const struct field fields[] = {
    TEXT(step),
    TEXT(subscription),
    TEXT(outcome),
    TEXT(trace),
    TEXT(id),
    TEXT(correlation),
    {"took_us", offsetof(struct hop, took_us), true},
    {"attempt", offsetof(struct hop, attempt), true},
    {"topic", offsetof(struct hop, at.topic), false},
    {"partition", offsetof(struct hop, at.partition), true},
    {"offset", offsetof(struct hop, at.offset), true},
};
static const struct field cause_fields[] = {
    {"topic", offsetof(struct hop, cause.topic), false},
    {"partition", offsetof(struct hop, cause.partition), true},
    {"offset", offsetof(struct hop, cause.offset), true},
};

/* Unix ms, with or without decimals. */
static void take_at(struct hop *hop, struct str text)
{
    const char *dot = memchr(text.at, '.', text.len);
    struct str ms = {text.at, dot != NULL ? (size_t)(dot - text.at) : text.len};
    if (str_to_i64(ms, &hop->at_ms) != ERR_OK)
        hop->at_ms = 0;
}

static void take_field(struct hop *hop, const struct field *f, size_t n, struct str name,
                       const struct jr_value *v, struct arena *arena)
{
    for (size_t i = 0; i < n; i++) {
        void *at = (char *)hop + f[i].at;
        if (!str_is(name, f[i].name))
            continue;
        if (!f[i].number && v->type == JR_STRING)
            *(struct str *)at = jr_string(v, arena);
        else if (f[i].number && v->type == JR_NUMBER &&
                 str_to_i64(v->text, (int64_t *)at) != ERR_OK)
            return;
    }
}

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static bool read_cause(struct hop *hop, struct str text, struct arena *arena)
{
    struct jr j;
    struct jr_value name, v;
    jr_init(&j, text);
    jr_object(&j);
    while (jr_member(&j, &name) && jr_value(&j, &v))
        take_field(hop, cause_fields, COUNT(cause_fields), name.text, &v, arena);
    return jr_end(&j);
}

/* False: it is no hop. Escaped texts are in the arena, all others in `text`. */
static bool read_hop(struct str text, struct arena *arena, struct hop *hop)
{
    struct jr j;
    struct jr_value name, v;
    *hop = (struct hop){.text = text};
    jr_init(&j, text);
    jr_object(&j);
    while (jr_member(&j, &name) && jr_value(&j, &v)) {
        if (v.type == JR_OBJECT && str_is(name.text, "cause") && !read_cause(hop, v.text, arena))
            return false;
        if (v.type == JR_NUMBER && str_is(name.text, "at"))
            take_at(hop, v.text);
        take_field(hop, fields, COUNT(fields), name.text, &v, arena);
    }
    return jr_end(&j) && hop->step.at != NULL && hop->at.topic.at != NULL;
}

/* ---- what is meant ---- */

static bool is_hex(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (strchr("0123456789abcdef", s.at[i]) == NULL || s.at[i] == '\0')
            return false;
    return true;
}

/* "orders/0/12"; topic names have no slash. */
static struct place place_of(struct str s)
{
    struct place p = {{NULL, 0}, 0, 0};
    const char *first = memchr(s.at, '/', s.len);
    const char *second = first ? memchr(first + 1, '/', (size_t)(s.at + s.len - first - 1)) : NULL;
    if (second == NULL)
        return p;
    struct str partition = {first + 1, (size_t)(second - first - 1)};
    struct str offset = {second + 1, (size_t)(s.at + s.len - second - 1)};
    if (str_to_i64(partition, &p.partition) == ERR_OK && str_to_i64(offset, &p.offset) == ERR_OK)
        p.topic = (struct str){s.at, (size_t)(first - s.at)};
    return p;
}

static bool same_place(const struct place *a, const struct place *b)
{
    return a->topic.at != NULL && str_eq(a->topic, b->topic) && a->partition == b->partition &&
           a->offset == b->offset;
}

struct journey *journey_make(struct str id)
{
    struct journey *j = mem_zalloc(1, sizeof(*j));
    arena_init(&j->arena, MEMORY_MAX);
    map_init(&j->traces);
    map_init(&j->nodes);
    if (id.len == 55 && memcmp(id.at, "00-", 3) == 0)
        id = (struct str){id.at + 3, 32};
    j->wanted = id;
    j->wanted_trace = id.len == 32 && is_hex(id);
    j->wanted_place = place_of(id);
    return j;
}

void journey_free(struct journey *j)
{
    map_free(&j->traces);
    map_free(&j->nodes);
    mem_free(j->hops);
    arena_free(&j->arena);
    mem_free(j);
}

static bool is_meant(const struct journey *j, const struct hop *hop)
{
    return (j->wanted_trace && str_eq(hop->trace, j->wanted)) ||
           same_place(&j->wanted_place, &hop->at) || same_place(&j->wanted_place, &hop->cause) ||
           (hop->id.at != NULL && str_eq(hop->id, j->wanted)) ||
           (hop->correlation.at != NULL && str_eq(hop->correlation, j->wanted));
}

static bool trace_eq(const struct map_node *node, const void *key)
{
    return str_eq(container_of_const(node, struct trace, node)->id, *(const struct str *)key);
}

static bool trace_known(const struct journey *j, struct str id)
{
    return map_find(&j->traces, hash_bytes(id.at, id.len), trace_eq, &id) != NULL;
}

void journey_seek(struct journey *j, struct str text)
{
    struct hop hop;
    struct arena scratch;
    arena_init(&scratch, 64 << 10);
    if (read_hop(text, &scratch, &hop) && hop.trace.at != NULL && is_meant(j, &hop) &&
        !trace_known(j, hop.trace)) {
        struct trace *t = arena_zalloc(&j->arena, 1, sizeof(*t));
        char *id = arena_copy(&j->arena, hop.trace.at, hop.trace.len);
        j->cut |= j->traces.count == JOURNEY_TRACES_MAX || t == NULL || id == NULL;
        if (!j->cut) {
            t->id = (struct str){id, hop.trace.len};
            map_insert(&j->traces, &t->node, hash_bytes(id, hop.trace.len));
        }
    }
    arena_free(&scratch);
}

size_t journey_traces(const struct journey *j)
{
    return j->traces.count;
}

size_t journey_hops(const struct journey *j)
{
    return j->hops_n;
}

bool journey_cut(const struct journey *j)
{
    return j->cut;
}

/* ---- events ---- */

/* By time; of one moment an event is published before anything else happens to it. */
static int by_time(const void *a, const void *b)
{
    const struct hop *x = *(struct hop *const *)a, *y = *(struct hop *const *)b;
    if (x->at_ms != y->at_ms)
        return x->at_ms < y->at_ms ? -1 : 1;
    int late = !str_is(x->step, "publish") - !str_is(y->step, "publish");
    if (late != 0)
        return late;
    if (x->attempt != y->attempt)
        return x->attempt < y->attempt ? -1 : 1;
    return str_is(x->step, "settle") - str_is(y->step, "settle");
}

static uint64_t place_hash(const struct place *p)
{
    return hash_bytes(p->topic.at, p->topic.len) + hash_u64((uint64_t)p->partition << 48) +
           hash_u64((uint64_t)p->offset);
}

static bool node_eq(const struct map_node *node, const void *key)
{
    return same_place(&container_of_const(node, struct node, by_place)->place, key);
}

static struct node *node_find(const struct journey *j, const struct place *p)
{
    struct map_node *n = p->topic.at ? map_find(&j->nodes, place_hash(p), node_eq, p) : NULL;
    return n != NULL ? container_of(n, struct node, by_place) : NULL;
}

static struct node *node_get(struct journey *j, const struct hop *hop)
{
    struct node *n = node_find(j, &hop->at);
    if (n != NULL)
        return n;
    n = arena_zalloc(&j->arena, 1, sizeof(*n));
    if (n == NULL)
        return NULL;
    n->place = hop->at;
    n->trace = hop->trace;
    map_insert(&j->nodes, &n->by_place, place_hash(&n->place));
    return n;
}

/* ---- what is kept ---- */

static struct hop *keep(struct journey *j, struct str text)
{
    char *copy = arena_copy(&j->arena, text.at, text.len);
    struct hop *kept = arena_zalloc(&j->arena, 1, sizeof(*kept));
    if (copy == NULL || kept == NULL || j->hops_n == JOURNEY_HOPS_MAX ||
        !read_hop((struct str){copy, text.len}, &j->arena, kept)) {
        j->cut = true;
        return NULL;
    }
    if (j->hops_n == j->hops_cap) {
        j->hops_cap = j->hops_cap != 0 ? 2 * j->hops_cap : 64;
        j->hops = mem_realloc(j->hops, j->hops_cap * sizeof(j->hops[0]));
    }
    j->hops[j->hops_n++] = kept;
    return kept;
}

void journey_take(struct journey *j, struct str text)
{
    struct hop hop;
    struct arena scratch;
    arena_init(&scratch, 64 << 10);
    bool wanted =
        read_hop(text, &scratch, &hop) && hop.trace.at != NULL && trace_known(j, hop.trace);
    arena_free(&scratch);
    struct hop *kept = wanted ? keep(j, text) : NULL;
    if (kept != NULL)
        j->cut |= node_get(j, kept) == NULL;
}

void journey_rest(struct journey *j, struct str text)
{
    struct hop hop;
    struct arena scratch;
    arena_init(&scratch, 64 << 10);
    struct node *n =
        read_hop(text, &scratch, &hop) && hop.trace.at == NULL ? node_find(j, &hop.at) : NULL;
    arena_free(&scratch);
    struct hop *kept = n != NULL ? keep(j, text) : NULL;
    if (kept != NULL)
        kept->trace = n->trace;
}

/* ---- parents and children ---- */

static bool is_below(const struct node *n, const struct node *ancestor)
{
    for (; n != NULL; n = n->parent)
        if (n == ancestor)
            return true;
    return false;
}

/* No event is its own cause, whatever the hops say. */
static void node_adopt(struct node *parent, struct node *n)
{
    if (parent == NULL || n->parent != NULL || is_below(parent, n))
        return;
    n->parent = parent;
    if (parent->child == NULL)
        parent->child = n;
    else
        parent->last_child->sibling = n;
    parent->last_child = n;
}

/* Nodes with their hops, from hops in the order of time. */
static void build(struct journey *j)
{
    if (j->hops_n > 1)
        qsort(j->hops, j->hops_n, sizeof(j->hops[0]), by_time);
    for (size_t i = 0; i < j->hops_n; i++) {
        struct hop *hop = j->hops[i];
        struct node *n = node_get(j, hop);
        if (n == NULL)
            continue;
        if (n->hops == NULL)
            n->hops = hop;
        else
            n->last_hop->next = hop;
        n->last_hop = hop;
        n->id = n->id.at != NULL ? n->id : hop->id;
        n->correlation = n->correlation.at != NULL ? n->correlation : hop->correlation;
    }
    for (size_t i = 0; i < j->hops_n; i++)
        node_adopt(node_find(j, &j->hops[i]->cause), node_find(j, &j->hops[i]->at));
}

/* ---- drawing ---- */

struct drawing {
    struct wr *out;
    int64_t first_ms; /* of the trace */
};

static void put(struct wr *w, struct str s)
{
    if (s.len > 0)
        wr_bytes(w, s.at, s.len);
}

__attribute__((format(printf, 2, 3))) static void putf(struct wr *w, const char *fmt, ...)
{
    char text[160];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    wr_bytes(w, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

/* Text of others, without what a terminal would obey. */
static void put_safe(struct wr *w, struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        wr_u8(w, (uint8_t)s.at[i] < 0x20 || s.at[i] == 0x7f ? '?' : (uint8_t)s.at[i]);
}

static void put_place(struct wr *w, const struct place *p)
{
    put_safe(w, p->topic);
    putf(w, "/%" PRId64 "/%" PRId64, p->partition, p->offset);
}

/* The branches that lead to the node, from the root on. */
static void put_branches(struct wr *w, const struct node *n, bool at_node)
{
    const struct node *way[DEPTH_MAX];
    size_t depth = 0;
    for (; n->parent != NULL && depth < DEPTH_MAX; n = n->parent)
        way[depth++] = n;
    while (depth-- > 0) {
        bool last = way[depth]->sibling == NULL;
        if (depth == 0 && at_node)
            put(w, last ? STR_LIT("`- ") : STR_LIT("|- "));
        else
            put(w, last ? STR_LIT("   ") : STR_LIT("|  "));
    }
}

static void put_duration(struct wr *w, int64_t us)
{
    if (us < 1000)
        putf(w, "%" PRId64 " us", us);
    else if (us < 1000000)
        putf(w, "%" PRId64 " ms", us / 1000);
    else
        putf(w, "%" PRId64 ".%03" PRId64 " s", us / 1000000, us / 1000 % 1000);
}

static void put_times(struct drawing *d, const struct hop *hop)
{
    char when[WHEN_TEXT_MAX];
    putf(d->out, "%-24s ", when_put_datetime(hop->at_ms, when));
    size_t from = d->out->len;
    if (hop->at_ms > d->first_ms) {
        wr_u8(d->out, '+');
        put_duration(d->out, (hop->at_ms - d->first_ms) * 1000);
    }
    while (d->out->len < from + 12)
        wr_u8(d->out, ' ');
}

static void put_hop(struct drawing *d, const struct node *n, const struct hop *hop)
{
    struct wr *w = d->out;
    put_branches(w, n, false);
    put(w, n->child != NULL ? STR_LIT("|  ") : STR_LIT("   "));
    put_times(d, hop);
    size_t from = w->len;
    put_safe(w, hop->step);
    while (w->len < from + 11)
        wr_u8(w, ' ');
    if (hop->subscription.at != NULL) {
        put(w, STR_LIT("  "));
        put_safe(w, hop->subscription);
    }
    if (hop->attempt > 0)
        putf(w, "  attempt %" PRId64, hop->attempt);
    if (hop->outcome.at != NULL) {
        put(w, STR_LIT("  "));
        put_safe(w, hop->outcome);
    }
    if (hop->took_us > 0) {
        put(w, STR_LIT("  took "));
        put_duration(w, hop->took_us);
    }
    while (w->buf->data[w->len - 1] == ' ')
        w->len--;
    wr_u8(w, '\n');
}

static void put_node(struct drawing *d, struct node *n)
{
    put_branches(d->out, n, true);
    put_place(d->out, &n->place);
    if (n->id.at != NULL) {
        put(d->out, STR_LIT("  id "));
        put_safe(d->out, n->id);
    }
    if (n->correlation.at != NULL) {
        put(d->out, STR_LIT("  correlation "));
        put_safe(d->out, n->correlation);
    }
    wr_u8(d->out, '\n');
    for (const struct hop *hop = n->hops; hop != NULL; hop = hop->next)
        put_hop(d, n, hop);
    n->written = true;
}

/* The next node of the tree: its first child, else the next sibling of it or of those above. */
static struct node *next_node(struct node *n)
{
    if (n->child != NULL)
        return n->child;
    while (n != NULL && n->sibling == NULL)
        n = n->parent;
    return n != NULL ? n->sibling : NULL;
}

static void put_trace(struct journey *j, size_t from, struct wr *out)
{
    struct drawing d = {out, j->hops[from]->at_ms};
    struct str trace = j->hops[from]->trace;
    put(out, STR_LIT("trace "));
    put_safe(out, trace);
    wr_u8(out, '\n');
    for (size_t i = from; i < j->hops_n; i++) {
        struct node *n = node_find(j, &j->hops[i]->at);
        if (n == NULL || n->written || n->parent != NULL || !str_eq(n->trace, trace))
            continue;
        for (; n != NULL; n = next_node(n))
            put_node(&d, n);
    }
}

void journey_write(struct journey *j, struct wr *out)
{
    build(j);
    for (size_t i = 0; i < j->hops_n; i++) {
        struct node *n = node_find(j, &j->hops[i]->at);
        if (n != NULL && !n->written && n->parent == NULL)
            put_trace(j, i, out);
    }
}

void journey_write_json(struct journey *j, struct wr *out)
{
    if (j->hops_n > 1)
        qsort(j->hops, j->hops_n, sizeof(j->hops[0]), by_time);
    for (size_t i = 0; i < j->hops_n; i++) {
        put(out, j->hops[i]->text);
        wr_u8(out, '\n');
    }
}
