/* Who has acquired something of a ledger, and how much. An entry names its owner by an index of 22
 * bits; the owner's own number, 64 bits, is kept once. */
#include "broker/ledger_internal.h"

#include "base/mem.h"

static bool owner_is(const struct map_node *node, const void *key)
{
    return container_of_const(node, struct ledger_owner, node)->id == *(const uint64_t *)key;
}

struct ledger_owner *owner_find(const struct ledger *l, uint64_t id)
{
    if (l->owners.last != NULL && l->owners.last->id == id)
        return l->owners.last;
    struct map_node *node = map_find(&l->owners.by_id, hash_u64(id), owner_is, &id);
    return node != NULL ? container_of(node, struct ledger_owner, node) : NULL;
}

/* An index that is unused, with room for it in both arrays. */
static uint32_t owner_index(struct ledger *l)
{
    struct owners *o = &l->owners;
    if (o->unused_n != 0)
        return o->unused[--o->unused_n];
    if (o->n == o->cap) {
        uint32_t cap = o->cap == 0 ? 4 : o->cap * 2;
        o->all = mem_realloc(o->all, cap * sizeof(struct ledger_owner *));
        o->unused = mem_realloc(o->unused, cap * sizeof(*o->unused));
        l->bytes += (cap - o->cap) * (sizeof(struct ledger_owner *) + sizeof(*o->unused));
        o->cap = cap;
    }
    return o->n++;
}

static struct ledger_owner *owner_make(struct ledger *l, uint64_t id)
{
    struct ledger_owner *owner = mem_zalloc(1, sizeof(*owner));
    owner->id = id;
    owner->index = owner_index(l);
    l->owners.all[owner->index] = owner;
    map_insert(&l->owners.by_id, &owner->node, hash_u64(id));
    l->bytes += sizeof(*owner);
    return owner;
}

enum err owner_ref(struct ledger *l, uint64_t id, uint32_t n, uint32_t *index)
{
    struct ledger_owner *owner = owner_find(l, id);
    if (owner == NULL && l->owners.by_id.count >= LEDGER_OWNERS_MAX)
        return ERR_BUSY;
    if (owner == NULL)
        owner = owner_make(l, id);
    owner->held += n;
    owner->gone = false;
    l->owners.last = owner;
    *index = owner->index;
    return ERR_OK;
}

static void owner_drop(struct ledger *l, struct ledger_owner *owner)
{
    struct owners *o = &l->owners;
    map_remove(&o->by_id, &owner->node);
    o->all[owner->index] = NULL;
    o->unused[o->unused_n++] = owner->index;
    if (o->last == owner)
        o->last = NULL;
    l->bytes -= sizeof(*owner);
    mem_free(owner);
}

void owner_unref(struct ledger *l, uint32_t index)
{
    struct owners *o = &l->owners;
    struct ledger_owner *owner = o->all[index], *spare = o->spare;
    weir_assert(owner != NULL && owner->held > 0);
    if (--owner->held != 0 || spare == owner)
        return;
    /* One stays: who acquires and settles one at a time would be made and dropped each time. */
    o->spare = owner;
    if (spare != NULL && spare->held == 0)
        owner_drop(l, spare);
}

void owners_idle(struct ledger *l)
{
    struct ledger_owner *spare = l->owners.spare;
    l->owners.spare = NULL;
    if (spare != NULL && spare->held == 0)
        owner_drop(l, spare);
    if (l->owners.by_id.count == 0)
        owners_free(l);
}

void owners_free(struct ledger *l)
{
    struct owners *o = &l->owners;
    for (uint32_t i = 0; i < o->n; i++)
        mem_free(o->all[i]);
    map_free(&o->by_id);
    mem_free(o->all);
    mem_free(o->unused);
    l->bytes -= o->by_id.count * sizeof(struct ledger_owner) +
                o->cap * (sizeof(struct ledger_owner *) + sizeof(*o->unused));
    *o = (struct owners){.last = NULL};
    map_init(&o->by_id);
}
