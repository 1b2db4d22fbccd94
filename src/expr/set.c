/* A set has one table of attribute names and one tree of paths for all its programs, so that an
 * event is asked once. Programs with a guard (guard.h) stand in a hash table by attribute and text
 * and are looked at only where the event's attribute leads to them; the others are run one by one.
 *
 *     type = 'a'            ('type', "a") -> 0, 3     attributes that the table knows: type
 *     type = 'b' AND ...    ('type', "b") -> 1
 *     source LIKE '/x/%'    others: 2
 *     type = 'a' AND ...
 */
#include "base/map.h"
#include "base/mem.h"
#include "expr/guard.h"
#include "expr/text.h"
#include "expr/vm.h"

#include <string.h>

#define SET_ATTRIBUTES_MAX 256
#define SET_PATHS_MAX JSON_PATHS_MAX
#define NOCASE_BYTES_MAX                                                                           \
    2048 /* 512 characters of UTF-8: no longer text equals an Event Grid value */
#define NO_ENTRY UINT32_MAX

struct member {
    const struct expr *e;
    const uint16_t *attribute_at, *path_at; /* where its names are in the set's */
    bool alone;                             /* the set has no room for its names */
    uint32_t guard_column;                  /* NO_ENTRY: none */
};

/* The equality of one attribute with some text, for one program. */
struct entry {
    uint64_t hash;
    struct str text;
    uint32_t column, member, next;
    bool whole;
};

/* An attribute that has entries, compared with or without regard to case. */
struct column {
    uint16_t attribute;
    bool nocase;
};

struct expr_set {
    struct member *members;
    size_t n;
    uint16_t *maps;   /* of all members */
    uint32_t *others; /* the members without a guard */
    size_t others_n;
    struct str names[SET_ATTRIBUTES_MAX];
    size_t names_n;
    struct json_paths paths;
    struct column columns[2 * SET_ATTRIBUTES_MAX];
    size_t columns_n;
    struct entry *entries;
    size_t entries_n;
    uint32_t *buckets; /* the first entry */
    size_t buckets_n;  /* a power of two */
};

/* ---- names ---------------------------------------------------------------------------------- */

static bool add_name(struct expr_set *set, struct str name, uint16_t *out)
{
    size_t i = 0;
    while (i < set->names_n && !str_eq(set->names[i], name))
        i++;
    *out = (uint16_t)i;
    if (i == SET_ATTRIBUTES_MAX)
        return false;
    if (i == set->names_n)
        set->names[set->names_n++] = name;
    return true;
}

static bool add_path(struct expr_set *set, const struct expr *e, size_t slot, uint16_t *out)
{
    struct json_path path;
    json_paths_get(&e->paths, (uint16_t)slot, &path);
    return json_paths_add(&set->paths, &path, out);
}

/* Returns the place behind the member's part of set->maps. */
static uint16_t *map_names(struct expr_set *set, struct member *m, uint16_t *map)
{
    const struct expr *e = m->e;
    m->attribute_at = map;
    for (size_t i = 0; i < e->attributes_n; i++)
        m->alone = !add_name(set, e->attributes[i], map++) || m->alone;
    m->path_at = map;
    for (size_t i = 0; i < e->paths.slots; i++)
        m->alone = !add_path(set, e, i, map++) || m->alone;
    return map;
}

static void add_members(struct expr_set *set, const struct expr *const *exprs, size_t n)
{
    size_t names = 0;
    for (size_t i = 0; i < n; i++)
        names += exprs[i] != NULL ? exprs[i]->attributes_n + exprs[i]->paths.slots : 0;
    set->maps = mem_zalloc(names, sizeof(set->maps[0]));
    uint16_t *map = set->maps;
    for (size_t i = 0; i < n; i++) {
        set->members[i] = (struct member){.e = exprs[i], .guard_column = NO_ENTRY};
        if (exprs[i] != NULL)
            map = map_names(set, &set->members[i], map);
    }
}

/* ---- the table ------------------------------------------------------------------------------ */

static uint64_t hash_of(const struct column *column, struct str text)
{
    char upper[NOCASE_BYTES_MAX];
    size_t n = 0;
    if (column->nocase) {
        for (size_t i = 0; i < text.len && n + 4 <= sizeof(upper);)
            n += text_put(upper + n, text_upper(text_next(text, &i)));
        text = (struct str){upper, n};
    }
    return hash_bytes(text.at, text.len) ^ hash_u64(column->attribute * 2u + column->nocase);
}

static uint32_t add_column(struct expr_set *set, uint16_t attribute, bool nocase)
{
    for (size_t i = 0; i < set->columns_n; i++) {
        if (set->columns[i].attribute == attribute && set->columns[i].nocase == nocase)
            return (uint32_t)i;
    }
    set->columns[set->columns_n] = (struct column){attribute, nocase};
    return (uint32_t)set->columns_n++;
}

static size_t count_guards(const struct expr_set *set)
{
    struct guard g;
    size_t n = 0;
    for (size_t i = 0; i < set->n; i++) {
        const struct member *m = &set->members[i];
        n += m->e != NULL && !m->alone && guard_find(m->e, &g) ? g.n : 0;
    }
    return n;
}

static void add_entry(struct expr_set *set, const struct guard *g, uint32_t member, struct str text)
{
    uint32_t column = set->members[member].guard_column;
    uint64_t hash = hash_of(&set->columns[column], text);
    uint32_t *bucket = &set->buckets[hash & (set->buckets_n - 1)];
    set->entries[set->entries_n] = (struct entry){hash, text, column, member, *bucket, g->whole};
    *bucket = (uint32_t)set->entries_n++;
}

static void add_guards(struct expr_set *set)
{
    size_t n = count_guards(set);
    set->buckets_n = 16;
    while (set->buckets_n < 2 * n)
        set->buckets_n *= 2;
    set->entries = mem_zalloc(n, sizeof(set->entries[0]));
    set->buckets = mem_alloc(set->buckets_n * sizeof(set->buckets[0]));
    memset(set->buckets, 0xff, set->buckets_n * sizeof(set->buckets[0]));
    for (uint32_t i = 0; i < set->n; i++) {
        struct member *m = &set->members[i];
        struct guard g;
        if (m->e == NULL || m->alone || !guard_find(m->e, &g)) {
            set->others[set->others_n++] = i;
            continue;
        }
        m->guard_column = add_column(set, m->attribute_at[g.attribute], g.nocase);
        for (size_t k = 0; k < g.n; k++)
            add_entry(set, &g, i, g.texts[k].text);
    }
}

struct expr_set *expr_set_make(const struct expr *const *exprs, size_t n)
{
    struct expr_set *set = mem_zalloc(1, sizeof(*set));
    set->members = mem_zalloc(n, sizeof(set->members[0]));
    set->others = mem_zalloc(n, sizeof(set->others[0]));
    set->n = n;
    json_paths_init(&set->paths, SET_PATHS_MAX);
    add_members(set, exprs, n);
    add_guards(set);
    return set;
}

void expr_set_free(struct expr_set *set)
{
    if (set == NULL)
        return;
    json_paths_free(&set->paths);
    mem_free(set->members);
    mem_free(set->maps);
    mem_free(set->others);
    mem_free(set->entries);
    mem_free(set->buckets);
    mem_free(set);
}

/* ---- one event ------------------------------------------------------------------------------ */

struct match {
    const struct expr_set *set;
    struct lookup lookup;
    struct scratch scratch;
    uint64_t *hits;
};

static void hit(struct match *m, size_t i)
{
    m->hits[i / 64] |= (uint64_t)1 << (i & 63);
}

static void run(struct match *m, size_t i)
{
    const struct member *member = &m->set->members[i];
    struct expr_value v = {.type = EXPR_MISSING};
    if (member->e == NULL) {
        hit(m, i);
        return;
    }
    if (member->alone) {
        if (expr_matches(member->e, m->lookup.source))
            hit(m, i);
        return;
    }
    m->scratch.used = 0;
    enum expr_error error =
        vm_run(member->e, &m->lookup, member->attribute_at, member->path_at, &m->scratch, &v);
    if (error == EXPR_OK && v.type == EXPR_BOOLEAN && v.boolean)
        hit(m, i);
}

static void run_column(struct match *m, uint32_t column)
{
    for (size_t i = 0; i < m->set->n; i++) {
        if (m->set->members[i].guard_column == column)
            run(m, i);
    }
}

static bool entry_is(const struct entry *e, const struct column *c, uint32_t column, uint64_t hash,
                     struct str text)
{
    return e->hash == hash && e->column == column &&
           (c->nocase ? text_equals_nocase(e->text, text) : str_eq(e->text, text));
}

/* The programs whose guard holds. Attributes that are no texts are compared by CESQL's casts, which
 * the table does not know. */
static void match_column(struct match *m, uint32_t column)
{
    const struct expr_set *set = m->set;
    const struct column *c = &set->columns[column];
    const struct expr_value *v = lookup_attribute(&m->lookup, c->attribute);
    if (v->type == EXPR_MISSING || v->type == EXPR_NULL)
        return;
    if (v->type != EXPR_STRING) {
        run_column(m, column);
        return;
    }
    uint64_t hash = hash_of(c, v->text);
    uint32_t i = set->buckets[hash & (set->buckets_n - 1)];
    for (; i != NO_ENTRY; i = set->entries[i].next) {
        const struct entry *e = &set->entries[i];
        if (!entry_is(e, c, column, hash, v->text))
            continue;
        if (e->whole)
            hit(m, e->member);
        else
            run(m, e->member);
    }
}

void expr_set_match(const struct expr_set *set, const struct expr_source *source, uint64_t *hits)
{
    struct expr_value attributes[SET_ATTRIBUTES_MAX];
    struct json_slot slots[SET_PATHS_MAX];
    uint64_t loaded[SET_ATTRIBUTES_MAX / 64] = {0};
    char texts[EXPR_SCRATCH_BYTES];
    struct match m = {
        .set = set,
        .lookup = {source, set->names, attributes, loaded, &set->paths, slots, false},
        .scratch = {texts, 0, sizeof(texts)},
        .hits = hits,
    };
    memset(hits, 0, (set->n + 63) / 64 * sizeof(hits[0]));
    for (uint32_t column = 0; column < set->columns_n; column++)
        match_column(&m, column);
    for (size_t i = 0; i < set->others_n; i++)
        run(&m, set->others[i]);
}
