/* Members of a group, the ids that wait for their owner, and the protocols that all of them know.
 */
#include "broker/group_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

/* ---- finding -----------------------------------------------------------------------------------
 */

static bool id_eq(const struct map_node *node, const void *key)
{
    const struct str *id = key;
    return str_eq(container_of_const(node, struct group_member, by_id)->id, *id);
}

static bool instance_eq(const struct map_node *node, const void *key)
{
    const struct str *id = key;
    return str_eq(container_of_const(node, struct group_member, by_instance)->instance_id, *id);
}

static uint64_t str_hash(struct str s)
{
    return hash_bytes(s.at, s.len);
}

struct group_member *group_member_find(const struct group *g, struct str id)
{
    struct map_node *n = map_find(&g->members_by_id, str_hash(id), id_eq, &id);
    return n != NULL ? container_of(n, struct group_member, by_id) : NULL;
}

struct group_member *group_member_static(const struct group *g, struct str instance_id)
{
    struct map_node *n =
        map_find(&g->members_by_instance, str_hash(instance_id), instance_eq, &instance_id);
    return n != NULL ? container_of(n, struct group_member, by_instance) : NULL;
}

enum err group_member_check(const struct group *g, struct str id, struct str instance_id,
                            struct group_member **out)
{
    if (instance_id.at != NULL) {
        struct group_member *m = group_member_static(g, instance_id);
        if (m == NULL)
            return ERR_MEMBER_UNKNOWN;
        if (!str_eq(m->id, id))
            return ERR_INSTANCE_FENCED;
    }
    *out = group_member_find(g, id);
    return *out != NULL ? ERR_OK : ERR_MEMBER_UNKNOWN;
}

/* ---- how many members know a protocol ----------------------------------------------------------
 */

struct known_protocol {
    struct map_node node;
    size_t members;
    struct str name; /* lies behind the struct */
};

static bool known_eq(const struct map_node *node, const void *key)
{
    const struct str *name = key;
    return str_eq(container_of_const(node, struct known_protocol, node)->name, *name);
}

static struct known_protocol *known_find(const struct group *g, struct str name)
{
    struct map_node *n = map_find(&g->protocols, str_hash(name), known_eq, &name);
    return n != NULL ? container_of(n, struct known_protocol, node) : NULL;
}

static void known_more(struct group *g, struct str name)
{
    struct known_protocol *k = known_find(g, name);
    if (k == NULL) {
        k = mem_zalloc(1, sizeof(*k) + name.len);
        char *copy = (char *)(k + 1);
        if (name.len != 0)
            memcpy(copy, name.at, name.len);
        k->name = (struct str){copy, name.len};
        map_insert(&g->protocols, &k->node, str_hash(name));
    }
    k->members++;
}

static void known_less(struct group *g, struct str name)
{
    struct known_protocol *k = known_find(g, name);
    weir_assert(k != NULL && k->members > 0);
    if (--k->members != 0)
        return;
    map_remove(&g->protocols, &k->node);
    mem_free(k);
}

static bool known_by_all(const struct group *g, struct str name)
{
    struct known_protocol *k = known_find(g, name);
    return k != NULL && k->members == g->members_n;
}

/* A name that a member lists twice counts once. */
static bool named_before(const struct group_protocol *p, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (str_eq(p[k].name, p[i].name))
            return true;
    }
    return false;
}

static void member_protocols_count(struct group_member *m,
                                   void (*change)(struct group *g, struct str name))
{
    for (size_t i = 0; i < m->protocols_n; i++) {
        if (!named_before(m->protocols, i))
            change(m->group, m->protocols[i].name);
    }
}

bool group_supports(const struct group *g, struct str type, const struct group_protocol *p,
                    size_t n)
{
    if (g->state == GROUP_EMPTY)
        return type.len != 0 && n != 0;
    if (g->protocol_type.at == NULL || !str_eq(g->protocol_type, type))
        return false;
    if (g->members_n == 0)
        return n != 0;
    for (size_t i = 0; i < n; i++) {
        if (known_by_all(g, p[i].name))
            return true;
    }
    return false;
}

/* ---- the vote ----------------------------------------------------------------------------------
 */

struct ballot {
    struct str name[GROUP_PROTOCOLS_MAX];
    size_t votes[GROUP_PROTOCOLS_MAX];
    size_t n;
};

/* Each member votes for the first in its list that all know. All such protocols are in the first
 * member's list too, so there are no more than GROUP_PROTOCOLS_MAX. */
static void ballot_add(struct ballot *b, const struct group *g, const struct group_member *m)
{
    size_t i = 0, k = 0;
    while (i < m->protocols_n && !known_by_all(g, m->protocols[i].name))
        i++;
    if (i == m->protocols_n)
        return;
    while (k < b->n && !str_eq(b->name[k], m->protocols[i].name))
        k++;
    if (k == b->n) {
        weir_assert(b->n < GROUP_PROTOCOLS_MAX);
        b->name[b->n] = m->protocols[i].name;
        b->votes[b->n++] = 0;
    }
    b->votes[k]++;
}

struct str group_vote(const struct group *g)
{
    struct ballot b = {.n = 0};
    list_for (it, &g->members)
        ballot_add(&b, g, group_member_of(it));
    size_t best = 0;
    for (size_t k = 1; k < b.n; k++) {
        if (b.votes[k] > b.votes[best])
            best = k;
    }
    return b.n != 0 ? b.name[best] : (struct str){NULL, 0};
}

/* ---- members -----------------------------------------------------------------------------------
 */

static size_t member_bytes(const struct group_member *m)
{
    return sizeof(*m) + m->id.len + m->instance_id.len + m->client_id.len + m->client_host.len +
           m->protocols_bytes + m->assignment.len + m->assignment_next.len;
}

static void charge(struct group_member *m, size_t before)
{
    size_t now = member_bytes(m);
    m->group->bytes = m->group->bytes + now - before;
    group_charge(m->group, now, before);
}

struct group_member *group_member_add(struct group *g, struct str id, struct str instance_id,
                                      struct str client_id, struct str client_host)
{
    struct group_member *m = mem_zalloc(1, sizeof(*m));
    m->group = g;
    m->id = group_str_keep(id);
    m->instance_id = group_str_keep(instance_id);
    m->client_id = group_str_keep(client_id);
    m->client_host = group_str_keep(client_host);
    m->session.fire = group_session_fire;
    list_push(&g->members, &m->link);
    map_insert(&g->members_by_id, &m->by_id, str_hash(id));
    if (instance_id.at != NULL)
        map_insert(&g->members_by_instance, &m->by_instance, str_hash(instance_id));
    g->members_n++;
    if (g->leader == NULL)
        g->leader = m;
    charge(m, 0);
    return m;
}

void group_member_remove(struct group_member *m)
{
    struct group *g = m->group;
    size_t bytes = member_bytes(m);
    env_timer_stop(g->groups->env, &m->session);
    member_protocols_count(m, known_less);
    list_remove(&m->link);
    map_remove(&g->members_by_id, &m->by_id);
    if (m->instance_id.at != NULL)
        map_remove(&g->members_by_instance, &m->by_instance);
    g->members_n--;
    g->joins_n -= m->join != NULL;
    g->syncs_pending_n -= m->sync_pending;
    if (g->leader == m)
        g->leader = list_empty(&g->members) ? NULL : group_member_of(g->members.next);
    g->bytes -= bytes;
    group_charge(g, 0, bytes);
    group_str_drop(&m->id);
    group_str_drop(&m->instance_id);
    group_str_drop(&m->client_id);
    group_str_drop(&m->client_host);
    group_str_drop(&m->assignment);
    group_str_drop(&m->assignment_next);
    mem_free(m->protocols);
    mem_free(m);
}

void group_member_rename(struct group_member *m, struct str id)
{
    size_t before = member_bytes(m);
    struct str kept = group_str_keep(id);
    map_remove(&m->group->members_by_id, &m->by_id);
    group_str_drop(&m->id);
    m->id = kept;
    map_insert(&m->group->members_by_id, &m->by_id, str_hash(kept));
    charge(m, before);
}

/* ---- protocols ---------------------------------------------------------------------------------
 */

static char *copy_to(char *at, struct str s, struct str *out)
{
    if (s.len != 0)
        memcpy(at, s.at, s.len);
    *out = (struct str){at, s.len};
    return at + s.len;
}

enum err group_member_protocols(struct group_member *m, const struct group_protocol *p, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n && bytes <= GROUP_METADATA_MAX; i++)
        bytes += p[i].name.len + p[i].metadata.len;
    if (bytes > GROUP_METADATA_MAX || n > GROUP_PROTOCOLS_MAX)
        return ERR_REQUEST_INVALID;
    bytes += n * sizeof(*p);
    struct group_protocol *copy = mem_try(bytes + 1);
    if (copy == NULL)
        return ERR_MEMORY;
    char *at = (char *)(copy + n);
    for (size_t i = 0; i < n; i++) {
        at = copy_to(at, p[i].name, &copy[i].name);
        at = copy_to(at, p[i].metadata, &copy[i].metadata);
    }
    size_t before = member_bytes(m);
    member_protocols_count(m, known_less);
    mem_free(m->protocols);
    m->protocols = copy;
    m->protocols_n = n;
    m->protocols_bytes = bytes;
    member_protocols_count(m, known_more);
    charge(m, before);
    return ERR_OK;
}

static bool bytes_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool group_member_matches(const struct group_member *m, const struct group_protocol *p, size_t n)
{
    if (n != m->protocols_n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!bytes_eq(p[i].name, m->protocols[i].name) ||
            !bytes_eq(p[i].metadata, m->protocols[i].metadata))
            return false;
    }
    return true;
}

struct str group_member_metadata(const struct group_member *m, struct str protocol)
{
    for (size_t i = 0; i < m->protocols_n; i++) {
        if (bytes_eq(m->protocols[i].name, protocol))
            return m->protocols[i].metadata;
    }
    return STR_LIT("");
}

void group_member_assign(struct group_member *m, struct str assignment)
{
    size_t before = member_bytes(m);
    group_str_drop(&m->assignment);
    m->assignment = assignment;
    charge(m, before);
}

void group_member_assign_next(struct group_member *m, struct str assignment)
{
    size_t before = member_bytes(m);
    group_str_drop(&m->assignment_next);
    m->assignment_next = assignment;
    charge(m, before);
}

void group_member_take_next(struct group_member *m)
{
    size_t before = member_bytes(m);
    group_str_drop(&m->assignment);
    m->assignment = m->assignment_next;
    m->assignment_next = (struct str){NULL, 0};
    charge(m, before);
}

/* ---- ids that wait for their owner ----------------------------------------------------------- */

struct group_pending *group_pending_find(const struct group *g, struct str id)
{
    list_for (it, &g->pending) {
        struct group_pending *p = container_of(it, struct group_pending, link);
        if (str_eq(p->id, id))
            return p;
    }
    return NULL;
}

static void pending_fire(struct env_timer *timer)
{
    struct group_pending *p = container_of(timer, struct group_pending, expiry);
    struct group *g = p->group;
    groups_begin(g->groups);
    group_pending_remove(p);
    group_join_step(g);
    group_doubt(g);
    groups_end(g->groups);
}

void group_pending_add(struct group *g, struct str id, int32_t expiry_ms)
{
    struct group_pending *p = mem_zalloc(1, sizeof(*p) + id.len);
    char *copy = (char *)(p + 1);
    memcpy(copy, id.at, id.len);
    p->id = (struct str){copy, id.len};
    p->group = g;
    p->expiry.fire = pending_fire;
    list_push(&g->pending, &p->link);
    g->pending_n++;
    g->bytes += sizeof(*p) + id.len;
    group_charge(g, sizeof(*p) + id.len, 0);
    env_timer_set(g->groups->env, &p->expiry, (uint64_t)expiry_ms * 1000);
}

void group_pending_remove(struct group_pending *p)
{
    struct group *g = p->group;
    env_timer_stop(g->groups->env, &p->expiry);
    list_remove(&p->link);
    g->pending_n--;
    g->bytes -= sizeof(*p) + p->id.len;
    group_charge(g, 0, sizeof(*p) + p->id.len);
    mem_free(p);
}
