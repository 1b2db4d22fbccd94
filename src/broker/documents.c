#include "broker/broker_internal.h"
#include "broker/document_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

static void unref(const void *item)
{
    document_unref(item);
}

void documents_init(struct documents *ds, struct env *env)
{
    *ds = (struct documents){0};
    leaving_init(&ds->leaving, env, unref);
    list_init(&ds->watchers);
    list_init(&ds->checkers);
}

static void list_free(struct document_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        document_unref(l->at[i]);
    mem_free(l->at);
}

void documents_free(struct documents *ds)
{
    leaving_free(&ds->leaving);
    for (unsigned kind = 0; kind < DOCUMENT_KINDS; kind++)
        list_free(&ds->lists[kind]);
    list_free(&ds->requested);
}

/* The first place whose name is not below `name`. */
static size_t list_place(const struct document_list *l, struct str name)
{
    size_t lo = 0, hi = l->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        struct str at = str_of(l->at[mid]->name);
        int order = memcmp(at.at, name.at, at.len < name.len ? at.len : name.len);
        if (order < 0 || (order == 0 && at.len < name.len))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool list_holds(const struct document_list *l, size_t at, struct str name)
{
    return at < l->n && str_is(name, l->at[at]->name);
}

static void insert(struct document_list *l, size_t at, const struct document *d)
{
    if (l->n == l->cap) {
        l->cap = l->cap != 0 ? 2 * l->cap : 16;
        l->at = mem_realloc(l->at, l->cap * sizeof(const struct document *));
    }
    memmove(&l->at[at + 1], &l->at[at], (l->n - at) * sizeof(const struct document *));
    l->at[at] = d;
    l->n++;
}

static void take_out(struct document_list *l, size_t at)
{
    l->n--;
    memmove(&l->at[at], &l->at[at + 1], (l->n - at) * sizeof(const struct document *));
}

const struct document *documents_find(const struct documents *ds, enum document_kind kind,
                                      struct str name)
{
    const struct document_list *l = &ds->lists[kind];
    size_t at = name.len > 0 ? list_place(l, name) : l->n;
    return list_holds(l, at, name) ? l->at[at] : NULL;
}

/* Returns what was there; its reference leaves with the turn. */
static const struct document *list_change(struct documents *ds, struct document_list *l,
                                          struct str name, const struct document *now)
{
    size_t at = list_place(l, name);
    const struct document *old = list_holds(l, at, name) ? l->at[at] : NULL;
    if (old != NULL)
        leaving_add(&ds->leaving, old);
    if (old != NULL && now != NULL)
        l->at[at] = document_ref(now);
    else if (now != NULL)
        insert(l, at, document_ref(now));
    else if (old != NULL)
        take_out(l, at);
    return old;
}

static bool is_requested(const struct document *d)
{
    return d != NULL && d->kind == DOCUMENT_FUNCTION && function_takes_requests(&d->conf.function);
}

void documents_change(struct broker *b, enum document_kind kind, struct str name,
                      const struct document *now)
{
    struct documents *ds = &b->documents;
    const struct document *old = list_change(ds, &ds->lists[kind], name, now);
    weir_assert(now != NULL || old != NULL);
    if (is_requested(old) || is_requested(now))
        list_change(ds, &ds->requested, name, is_requested(now) ? now : NULL);
    list_for_safe (it, &b->documents.watchers) {
        struct document_watcher *w = container_of(it, struct document_watcher, link);
        w->changed(w, b, old, now);
    }
}

/* ---- for others ---- */

const struct document *broker_document(struct broker *b, enum document_kind kind, struct str name)
{
    weir_assert(kind < DOCUMENT_KINDS);
    return documents_find(&b->documents, kind, name);
}

const struct document *broker_document_next(struct broker *b, enum document_kind kind,
                                            const struct document *after)
{
    weir_assert(kind < DOCUMENT_KINDS);
    const struct document_list *l = &b->documents.lists[kind];
    size_t at = 0;
    if (after != NULL) {
        at = list_place(l, str_of(after->name));
        at += list_holds(l, at, str_of(after->name));
    }
    return at < l->n ? l->at[at] : NULL;
}

void broker_document_watch(struct broker *b, struct document_watcher *w)
{
    list_push(&b->documents.watchers, &w->link);
}
