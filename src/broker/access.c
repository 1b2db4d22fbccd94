/* One reactor's copy of users, grants and keys, and the decision.
 *
 * Grants are found by place: the exact name, then every prefix of it whose length is in use. What a
 * place holds is a short list; a topic's access keys are a mark on its place.
 */
#include "broker/access_internal.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/secret.h"

#include <stdio.h>
#include <string.h>

#define DENIALS_LOGGED_MAX 10 /* a second */

/* ---- places ---- */

struct place_key {
    enum access_kind kind;
    bool prefix;
    struct str on;
};

static uint64_t place_hash(const struct place_key *key)
{
    return hash_bytes(key->on.at, key->on.len) ^ hash_u64((uint64_t)key->kind * 2 + key->prefix);
}

static bool place_eq(const struct map_node *node, const void *arg)
{
    const struct access_place *p = container_of_const(node, struct access_place, node);
    const struct place_key *key = arg;
    return p->kind == key->kind && p->prefix == key->prefix && p->on_len == key->on.len &&
           memcmp(p->on, key->on.at, p->on_len) == 0;
}

static struct access_place *place_find(const struct access *a, const struct place_key *key)
{
    struct map_node *n = map_find(&a->places, place_hash(key), place_eq, key);
    return n != NULL ? container_of(n, struct access_place, node) : NULL;
}

static struct access_place *place_get(struct access *a, const struct place_key *key)
{
    struct access_place *p = place_find(a, key);
    if (p != NULL)
        return p;
    p = mem_zalloc(1, sizeof(*p));
    p->kind = key->kind;
    p->prefix = key->prefix;
    p->on_len = key->on.len;
    memcpy(p->on, key->on.at, key->on.len);
    map_insert(&a->places, &p->node, place_hash(key));
    a->prefixes[p->kind][p->on_len] += p->prefix;
    return p;
}

static void place_free(struct access *a, struct access_place *p)
{
    a->prefixes[p->kind][p->on_len] -= p->prefix;
    map_remove(&a->places, &p->node);
    mem_free(p->grants);
    mem_free(p);
}

static void place_less(struct access *a, struct access_place *p)
{
    if (p->grants_n == 0 && !p->keys)
        place_free(a, p);
}

static struct place_key key_of(const struct access_item *item)
{
    if (item->what == ACCESS_KEYS)
        return (struct place_key){ACCESS_TOPIC, false, str_of(item->name)};
    return (struct place_key){item->grant.kind, item->grant.prefix, str_of(item->grant.on)};
}

static void place_add(struct access *a, const struct access_item *item)
{
    struct place_key key = key_of(item);
    struct access_place *p = place_get(a, &key);
    if (item->what == ACCESS_KEYS) {
        p->keys = true;
        return;
    }
    if (p->grants_n == p->grants_cap) {
        p->grants_cap = p->grants_cap != 0 ? 2 * p->grants_cap : 2;
        p->grants = mem_realloc(p->grants, p->grants_cap * sizeof(struct access_item *));
    }
    p->grants[p->grants_n++] = item;
}

static void place_remove(struct access *a, const struct access_item *item)
{
    struct place_key key = key_of(item);
    struct access_place *p = place_find(a, &key);
    weir_assert(p != NULL);
    if (item->what == ACCESS_KEYS)
        p->keys = false;
    for (size_t i = 0; i < p->grants_n; i++) {
        if (p->grants[i] == item)
            p->grants[i--] = p->grants[--p->grants_n];
    }
    place_less(a, p);
}

/* ---- the copy ---- */

static void unref(const void *item)
{
    access_unref(item);
}

struct access *access_make(struct env *env)
{
    struct access *a = mem_zalloc(1, sizeof(*a));
    a->env = env;
    leaving_init(&a->leaving, env, unref);
    map_init(&a->places);
    return a;
}

void access_free(struct access *a)
{
    leaving_free(&a->leaving);
    for (struct map_node *n = map_next(&a->places, NULL), *next; n != NULL; n = next) {
        next = map_next(&a->places, n);
        place_free(a, container_of(n, struct access_place, node));
    }
    map_free(&a->places);
    for (unsigned what = 0; what < ACCESS_WHATS; what++) {
        struct access_list *l = &a->lists[what];
        for (size_t i = 0; i < l->n; i++)
            access_unref(l->at[i]);
        mem_free(l->at);
    }
    mem_free(a);
}

/* The first place whose name is not below `name`. */
static size_t list_place(const struct access_list *l, struct str name)
{
    size_t lo = 0, hi = l->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        struct str at = str_of(l->at[mid]->name);
        size_t both = at.len < name.len ? at.len : name.len;
        int order = memcmp(at.at, name.at, both);
        if (order < 0 || (order == 0 && at.len < name.len))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool list_holds(const struct access_list *l, size_t at, struct str name)
{
    return at < l->n && str_is(name, l->at[at]->name);
}

static void list_add(struct access_list *l, size_t at, const struct access_item *item)
{
    if (l->n == l->cap) {
        l->cap = l->cap != 0 ? 2 * l->cap : 16;
        l->at = mem_realloc(l->at, l->cap * sizeof(struct access_item *));
    }
    memmove(&l->at[at + 1], &l->at[at], (l->n - at) * sizeof(struct access_item *));
    l->at[at] = access_ref(item);
    l->n++;
}

void access_copy_change(struct access *a, const struct access_item *old,
                        const struct access_item *now)
{
    const struct access_item *item = now != NULL ? now : old;
    struct access_list *l = &a->lists[item->what];
    size_t at = list_place(l, str_of(item->name));
    if (old != NULL) {
        weir_assert(at < l->n && l->at[at] == old);
        if (old->what != ACCESS_USER)
            place_remove(a, old);
        l->n--;
        memmove(&l->at[at], &l->at[at + 1], (l->n - at) * sizeof(struct access_item *));
        leaving_add(&a->leaving, old);
        a->items--;
    }
    if (now != NULL) {
        list_add(l, at, now);
        if (now->what != ACCESS_USER)
            place_add(a, now);
        a->items++;
    }
}

const struct access_item *access_copy_find(const struct access *a, enum access_what what,
                                           struct str name)
{
    const struct access_list *l = &a->lists[what];
    size_t at = list_place(l, name);
    return list_holds(l, at, name) ? l->at[at] : NULL;
}

const struct access_item *access_find(struct broker *b, enum access_what what, struct str name)
{
    return access_copy_find(b->access, what, name);
}

const struct access_item *access_next(struct broker *b, enum access_what what,
                                      const struct access_item *after)
{
    const struct access_list *l = &b->access->lists[what];
    size_t at = 0;
    if (after != NULL) {
        at = list_place(l, str_of(after->name));
        at += list_holds(l, at, str_of(after->name));
    }
    return at < l->n ? l->at[at] : NULL;
}

/* ---- the decision ---- */

/* What a resource's grants say: to anybody, and to one principal. */
struct finding {
    bool granted;
    unsigned roles;
};

static bool is_key(const char *principal)
{
    return strncmp(principal, "Key:", 4) == 0;
}

static bool grant_is_for(const struct access_grant *g, const char *principal)
{
    if (strcmp(g->principal, "User:*") == 0)
        return !is_key(principal);
    return strcmp(g->principal, principal) == 0;
}

static void look_at(const struct access *a, const struct place_key *key, const char *principal,
                    struct finding *f)
{
    const struct access_place *p = place_find(a, key);
    if (p == NULL)
        return;
    f->granted = true;
    for (size_t i = 0; i < p->grants_n; i++) {
        if (grant_is_for(&p->grants[i]->grant, principal))
            f->roles |= p->grants[i]->grant.roles;
    }
}

static struct finding look(const struct access *a, enum access_kind kind, struct str name,
                           const char *principal)
{
    struct finding f = {false, 0};
    struct place_key key = {kind, false, name};
    look_at(a, &key, principal, &f);
    key.prefix = true;
    for (size_t n = 0; n <= name.len && n <= TOPIC_NAME_MAX; n++) {
        key.on.len = n;
        if (a->prefixes[kind][n] != 0)
            look_at(a, &key, principal, &f);
    }
    return f;
}

/* "Key:payments/1" is that key of the topic payments. */
static bool key_opens(const char *principal, enum access_kind kind, struct str name)
{
    const char *topic = principal + 4;
    return kind == ACCESS_TOPIC && strlen(topic) > name.len &&
           memcmp(topic, name.at, name.len) == 0 && topic[name.len] == '/';
}

/* State topics, and those in which weir tells of what passes through all others. */
static bool is_internal(enum access_kind kind, struct str name)
{
    static const char own[] = "weir.";
    if (kind != ACCESS_TOPIC || name.len < 2)
        return false;
    return (name.at[0] == '_' && name.at[1] == '_') ||
           (name.len > sizeof(own) - 1 && memcmp(name.at, own, sizeof(own) - 1) == 0);
}

/* The catalog holds what is never shown: endpoints' secrets, variables of functions. Who just came
 * in may declare such things, and yet not see other people's. */
static bool is_secret(enum access_kind kind, struct str name)
{
    return kind == ACCESS_TOPIC && str_is(name, TOPIC_CATALOG_NAME);
}

/* Granted by name: whoever may grant prefixes could else grant it to himself. */
static unsigned secret_roles(const struct access *a, const char *principal)
{
    struct finding f = {false, 0};
    struct place_key key = {ACCESS_TOPIC, false, STR_LIT(TOPIC_CATALOG_NAME)};
    look_at(a, &key, principal, &f);
    return f.roles;
}

/* The roles that a principal has on a resource. */
static unsigned roles_of(const struct access *a, const char *principal, enum access_kind kind,
                         struct str name)
{
    const unsigned use = ACCESS_SENDER | ACCESS_RECEIVER, all = ACCESS_ANY;
    if (is_key(principal))
        return key_opens(principal, kind, name) ? use : 0;
    struct finding cluster = look(a, ACCESS_CLUSTER, STR_LIT(""), principal);
    if (is_secret(kind, name))
        return (cluster.roles & ACCESS_OWNER) != 0 ? all : secret_roles(a, principal);
    if (!cluster.granted || (cluster.roles & ACCESS_OWNER) != 0)
        cluster.roles = all;
    if (kind == ACCESS_CLUSTER)
        return cluster.roles;
    struct finding f = look(a, kind, name, principal);
    if ((f.roles & ACCESS_OWNER) != 0)
        return all;
    if (!cluster.granted && f.granted)
        return f.roles | ACCESS_OWNER; /* to manage it: its records stay with whom it is granted */
    if (!f.granted && !is_internal(kind, name))
        f.roles |= use;
    return f.roles | cluster.roles;
}

/* Nothing is declared, or the broker itself calls. */
static bool is_open(const struct access *a, const struct actor *actor, enum access_kind kind,
                    struct str name)
{
    return actor == NULL || (a->items == 0 && actor->principal[0] != 'K' && !is_secret(kind, name));
}

unsigned access_roles(struct broker *b, const struct actor *actor, enum access_kind kind,
                      struct str name)
{
    const struct access *a = b->access;
    if (is_open(a, actor, kind, name))
        return ACCESS_ANY;
    if (kind == ACCESS_CLUSTER || name.at == NULL)
        name = STR_LIT("");
    return roles_of(a, actor->principal, kind, name);
}

static void denied(struct access *a, const struct actor *actor, enum access_kind kind,
                   struct str name, enum access_role role)
{
    static const char *const kinds[] = {"cluster", "topic", "group", "function"};
    char who[128], what[128];
    uint32_t left;
    bool logged = few_take(&a->denials, env_mono_us(a->env), DENIALS_LOGGED_MAX, &left);
    if (left != 0)
        env_log(a->env, ENV_WARN, "access.denied", "more=%u", left);
    if (!logged)
        return; /* who calls over and over is told so each time; the log is not */
    str_put_plain(who, sizeof(who), str_of(actor->principal));
    str_put_plain(what, sizeof(what), kind == ACCESS_CLUSTER ? STR_LIT("") : name);
    env_log(a->env, ENV_WARN, "access.denied", "principal=%s from=%s needs=%s %s=%s", who,
            actor->address != NULL ? actor->address : "?",
            role == ACCESS_SENDER     ? "Sender"
            : role == ACCESS_RECEIVER ? "Receiver"
                                      : "Owner",
            kinds[kind], what);
}

bool access_allows(struct broker *b, const struct actor *actor, enum access_kind kind,
                   struct str name, enum access_role role)
{
    bool yes = (access_roles(b, actor, kind, name) & role) != 0;
#ifdef FAULT_access_unchecked
    return true;
#endif
    if (!yes)
        denied(b->access, actor, kind, name, role);
    return yes;
}

enum err access_check(struct broker *b, const struct actor *actor, enum access_kind kind,
                      struct str name, enum access_role role)
{
    static const enum err errs[] = {ERR_CLUSTER_DENIED, ERR_TOPIC_DENIED, ERR_GROUP_DENIED,
                                    ERR_FUNCTION_DENIED};
    return access_allows(b, actor, kind, name, role) ? ERR_OK : errs[kind];
}

bool access_refuses(struct broker *b, struct op *op, const struct actor *actor,
                    enum access_kind kind, struct str name, enum access_role role)
{
    enum err err = access_check(b, actor, kind, name, role);
    if (err == ERR_OK)
        return false;
    op->home = b;
    op_finish(b, op, err);
    return true;
}

bool access_refuses_topic(struct broker *b, struct op *op, const struct actor *actor,
                          const struct uuid *topic, enum access_role role)
{
    struct str any = {NULL, 0};
    if (is_open(b->access, actor, ACCESS_TOPIC, any) &&
        (actor == NULL || !topic_id_is_state(topic)))
        return false;
    const struct topic *t = topics_find_id(&b->topics, topic);
    return t != NULL && access_refuses(b, op, actor, ACCESS_TOPIC, str_of(t->name), role);
}

/* ---- keys ---- */

static bool key_is(const char *key, struct str presented)
{
    size_t n = strlen(key);
#ifdef FAULT_key_by_length
    return n == presented.len;
#endif
    return n != 0 && n == presented.len && secret_eq(key, presented.at, n);
}

enum access_key access_key_find(struct broker *b, struct str topic, struct str presented)
{
    const struct access_item *item = access_find(b, ACCESS_KEYS, topic);
    if (item == NULL)
        return ACCESS_KEY_UNDECLARED;
    bool first = key_is(item->keys.key[0], presented),
         second = key_is(item->keys.key[1], presented);
    return first ? ACCESS_KEY_1 : second ? ACCESS_KEY_2 : ACCESS_KEY_WRONG;
}

const char *access_key_principal(struct str topic, enum access_key key, char *out)
{
    snprintf(out, ACCESS_PRINCIPAL_MAX + 1, "Key:%.*s/%u", (int)topic.len, topic.at,
             key == ACCESS_KEY_2 ? 2u : 1u);
    return out;
}

/* ---- owners ---- */

/* Can this principal come back tomorrow? A certificate's may: nothing here knows. */
static bool can_log_in(const struct access *a, const char *principal,
                       const struct access_item *without, const struct access_item *with)
{
    struct str name = str_of(principal + 5);
    if (strcmp(principal, "User:*") == 0 || strcmp(principal, ACCESS_ANONYMOUS) == 0 ||
        memchr(name.at, '=', name.len) != NULL)
        return true;
    if (with != NULL && with->what == ACCESS_USER && str_is(name, with->name))
        return true;
    const struct access_item *user = access_copy_find(a, ACCESS_USER, name);
    return user != NULL && user != without;
}

bool access_owner_left(const struct access *a, const struct access_item *without,
                       const struct access_item *with)
{
    const struct access_list *grants = &a->lists[ACCESS_GRANT];
    bool granted = false;
    for (size_t i = 0; i <= grants->n; i++) {
        const struct access_item *item = i < grants->n ? grants->at[i] : with;
        if (item == NULL || item == without || item->what != ACCESS_GRANT ||
            item->grant.kind != ACCESS_CLUSTER)
            continue;
        granted = true;
        if ((item->grant.roles & ACCESS_OWNER) != 0 &&
            can_log_in(a, item->grant.principal, without, with))
            return true;
    }
    return !granted;
}
