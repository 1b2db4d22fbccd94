/* Which hops are kept, read from their JSON. */
#include "cli/journey_internal.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/when.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY_MAX ((size_t)1 << 30)

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
#define NUMBER(member)                                                                             \
    {                                                                                              \
#member, offsetof(struct hop, member), true                                                \
    }
static const struct field fields[] = {
    TEXT(step),
    TEXT(subscription),
    TEXT(by),
    TEXT(outcome),
    TEXT(settle),
    TEXT(trace),
    TEXT(id),
    TEXT(correlation),
    NUMBER(took_us),
    NUMBER(waited_us),
    NUMBER(queued_us),
    NUMBER(settled_us),
    NUMBER(attempt),
    {"topic", offsetof(struct hop, at.topic), false},
    {"partition", offsetof(struct hop, at.partition), true},
    {"offset", offsetof(struct hop, at.offset), true},
};
static const struct field cause_fields[] = {
    {"topic", offsetof(struct hop, cause.topic), false},
    {"partition", offsetof(struct hop, cause.partition), true},
    {"offset", offsetof(struct hop, cause.offset), true},
    {"subscription", offsetof(struct hop, cause_subscription), false},
    {"attempt", offsetof(struct hop, cause_attempt), true},
};

/* Numbers are sums and differences of times later: none is so large that these overflow. */
static void take_number(struct str text, int64_t *out)
{
    int64_t n;
    if (str_to_i64(text, &n) == ERR_OK && n >= 0 && n <= WHEN_MS_MAX * 1000)
        *out = n;
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
        else if (f[i].number && v->type == JR_NUMBER)
            take_number(v->text, at);
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
            (void)when_us_of_ms(v.text, &hop->at_us);
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

bool journey_same_place(const struct place *a, const struct place *b)
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
           journey_same_place(&j->wanted_place, &hop->at) ||
           journey_same_place(&j->wanted_place, &hop->cause) ||
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
    if (x->at_us != y->at_us)
        return x->at_us < y->at_us ? -1 : 1;
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
    return journey_same_place(&container_of_const(node, struct node, by_place)->place, key);
}

struct node *journey_node(const struct journey *j, const struct place *p)
{
    struct map_node *n = p->topic.at ? map_find(&j->nodes, place_hash(p), node_eq, p) : NULL;
    return n != NULL ? container_of(n, struct node, by_place) : NULL;
}

static struct node *node_get(struct journey *j, const struct hop *hop)
{
    struct node *n = journey_node(j, &hop->at);
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
        read_hop(text, &scratch, &hop) && hop.trace.at == NULL ? journey_node(j, &hop.at) : NULL;
    arena_free(&scratch);
    struct hop *kept = n != NULL ? keep(j, text) : NULL;
    if (kept != NULL)
        kept->trace = n->trace;
}

/* ---- as it was stored ---- */

void journey_sort(struct journey *j)
{
    if (j->hops_n > 1)
        qsort(j->hops, j->hops_n, sizeof(j->hops[0]), by_time);
}

void journey_write_json(struct journey *j, struct wr *out)
{
    journey_sort(j);
    for (size_t i = 0; i < j->hops_n; i++) {
        wr_bytes(out, j->hops[i]->text.at, j->hops[i]->text.len);
        wr_u8(out, '\n');
    }
}
