/* One user, grant or pair of keys: its checks, and its record.
 *
 *     user    version, then for each hash: iterations (0: none), salt, stored key, server key
 *     grant   version, principal, roles, kind, prefix, on
 *     keys    version, key 1, key 2
 *
 * Numbers are varints, texts carry their length.
 */
#include "broker/access_internal.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/secret.h"

#include <string.h>

#define ITEM_MAGIC 0x61636374u
#define ITEM_VERSION 1

struct access_item *access_item_make(enum access_what what, struct str name)
{
    struct access_item *item = mem_zalloc(1, sizeof(*item));
    bool whole = str_copy(item->name, sizeof(item->name), name);
    weir_assert(whole);
    atomic_init(&item->refs, 1);
    item->magic = ITEM_MAGIC;
    item->what = what;
    return item;
}

struct access_item *access_item_copy(const struct access_item *item)
{
    struct access_item *copy = access_item_make(item->what, str_of(item->name));
    const size_t from = offsetof(struct access_item, user); /* where the union begins */
    memcpy((char *)copy + from, (const char *)item + from, sizeof(*item) - from);
    return copy;
}

const struct access_item *access_ref(const struct access_item *item)
{
    weir_check(item, ITEM_MAGIC);
    atomic_fetch_add_explicit(&((struct access_item *)item)->refs, 1, memory_order_relaxed);
    return item;
}

void access_unref(const struct access_item *item)
{
    if (item == NULL)
        return;
    weir_check(item, ITEM_MAGIC);
    struct access_item *own = (struct access_item *)item;
    if (atomic_fetch_sub_explicit(&own->refs, 1, memory_order_acq_rel) != 1)
        return;
    secret_clear(own, sizeof(*own));
    mem_free(own);
}

/* Records are equal when items are: they are made of every field. */
bool access_item_eq(const struct access_item *a, const struct access_item *b)
{
    struct wr x, y;
    if (a->what != b->what || strcmp(a->name, b->name) != 0)
        return false;
    wr_init(&x, 512);
    wr_init(&y, 512);
    access_item_encode(a, &x);
    access_item_encode(b, &y);
    bool eq = x.len == y.len && secret_eq(x.buf->data, y.buf->data, x.len);
    secret_clear(x.buf->data, x.len);
    secret_clear(y.buf->data, y.len);
    wr_free(&x);
    wr_free(&y);
    return eq;
}

/* ---- checks ---- */

/* Text that can stand in a log line or a listing. */
static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (c < 0x20 || c == 0x7f || c == '"')
            return false;
    }
    return utf8_valid(s.at, s.len);
}

enum err access_name_check(enum access_what what, struct str name, struct err_text *text)
{
    if (what == ACCESS_KEYS)
        return topic_name_check(name, text);
    if (name.at == NULL || name.len == 0 || name.len > ACCESS_NAME_MAX || !is_plain(name))
        return err_say(
            text, ERR_CONFIG_INVALID,
            "a %s's name is 1 to %d bytes of UTF-8 without quotes and control characters",
            what == ACCESS_USER ? "user" : "grant", ACCESS_NAME_MAX);
    if (what == ACCESS_USER && str_is(name, &ACCESS_ANONYMOUS[5]))
        return err_say(text, ERR_CONFIG_INVALID,
                       "ANONYMOUS is who comes without a credential: it cannot log in");
    return ERR_OK;
}

static enum err check_verifier(const struct verifier *v, struct err_text *text)
{
    if (v->iterations == 0)
        return ERR_OK;
    if (v->iterations < VERIFIER_ITERATIONS_MIN || v->iterations > VERIFIER_ITERATIONS_MAX)
        return err_say(text, ERR_SCRAM_INVALID, "%d iterations: give %d to %d", v->iterations,
                       VERIFIER_ITERATIONS_MIN, VERIFIER_ITERATIONS_MAX);
    if (v->salt_len == 0 || v->salt_len > VERIFIER_SALT_MAX)
        return err_say(text, ERR_SCRAM_INVALID, "a salt of %u bytes: give 1 to %d", v->salt_len,
                       VERIFIER_SALT_MAX);
    return ERR_OK;
}

static enum err check_user(const struct access_user *user, struct err_text *text)
{
    enum err err = ERR_OK;
    bool any = false;
    for (unsigned i = 0; i < VERIFIER_HASHES && err == ERR_OK; i++) {
        any |= user->verifiers[i].iterations != 0;
        err = check_verifier(&user->verifiers[i], text);
    }
    if (err == ERR_OK && !any)
        return err_say(text, ERR_CONFIG_INVALID, "a user needs a password");
    return err;
}

static enum err check_grant(const struct access_grant *g, struct err_text *text)
{
    static const char *const kinds[] = {"cluster", "topic", "group", "function"};
    const unsigned all = ACCESS_SENDER | ACCESS_RECEIVER | ACCESS_OWNER;
    struct str principal = str_of(g->principal), on = str_of(g->on);
    if (strncmp(g->principal, "User:", 5) != 0 || principal.len == 5 || !is_plain(principal))
        return err_say(text, ERR_CONFIG_INVALID,
                       "principal \"%.60s\" must be \"User:\" and a name, as \"User:alice\"",
                       is_plain(principal) ? g->principal : "?");
    if (g->roles == 0 || (g->roles & ~all) != 0)
        return err_say(text, ERR_CONFIG_INVALID, "a grant gives Sender, Receiver or Owner");
    if (g->kind == ACCESS_CLUSTER)
        return on.len == 0
                   ? ERR_OK
                   : err_say(text, ERR_CONFIG_INVALID, "a grant on the cluster has no name");
    if (on.len == 0 && !g->prefix)
        return err_say(text, ERR_CONFIG_INVALID, "a grant on a %s names it, or a prefix and '*'",
                       kinds[g->kind]);
    if (g->kind != ACCESS_GROUP && on.len != 0)
        return topic_name_check(on, text);
    return ERR_OK;
}

static enum err check_keys(const struct access_keys *keys, struct err_text *text)
{
    for (unsigned i = 0; i < 2; i++) {
        size_t n = strlen(keys->key[i]);
        bool ok = n == 0 || n >= ACCESS_KEY_MIN;
        for (size_t j = 0; j < n; j++)
            ok = ok && keys->key[i][j] > ' ' && keys->key[i][j] < 0x7f;
        if (!ok)
            return err_say(text, ERR_CONFIG_INVALID,
                           "access key %u must be %d to %d printable ASCII characters without "
                           "blanks",
                           i + 1, ACCESS_KEY_MIN, ACCESS_KEY_MAX);
    }
    if (keys->key[0][0] == '\0' && keys->key[1][0] == '\0')
        return err_say(text, ERR_CONFIG_INVALID,
                       "keys without a key: give one, or delete them to open the topic");
    if (strcmp(keys->key[0], keys->key[1]) == 0)
        return err_say(text, ERR_CONFIG_INVALID, "the two access keys must differ");
    return ERR_OK;
}

enum err access_item_check(const struct access_item *item, struct err_text *text)
{
    switch (item->what) {
    case ACCESS_USER:
        return check_user(&item->user, text);
    case ACCESS_GRANT:
        return check_grant(&item->grant, text);
    case ACCESS_KEYS:
        return check_keys(&item->keys, text);
    }
    weir_unreachable();
}

/* ---- records ---- */

static void write_bytes(struct wr *w, const void *p, size_t n)
{
    wr_uvarint(w, (uint32_t)n);
    wr_bytes(w, p, n);
}

static void write_text(struct wr *w, const char *s)
{
    write_bytes(w, s, strlen(s));
}

static size_t hash_len(unsigned i)
{
    return i + 1 == VERIFIER_SHA_256 ? 32 : 64;
}

static void write_verifier(struct wr *w, const struct verifier *v, size_t hash)
{
    wr_uvarint(w, (uint32_t)v->iterations);
    if (v->iterations == 0)
        return;
    write_bytes(w, v->salt, v->salt_len);
    write_bytes(w, v->stored_key, hash);
    write_bytes(w, v->server_key, hash);
}

void access_item_encode(const struct access_item *item, struct wr *w)
{
    wr_u8(w, ITEM_VERSION);
    if (item->what == ACCESS_USER) {
        for (unsigned i = 0; i < VERIFIER_HASHES; i++)
            write_verifier(w, &item->user.verifiers[i], hash_len(i));
    } else if (item->what == ACCESS_GRANT) {
        write_text(w, item->grant.principal);
        wr_uvarint(w, item->grant.roles);
        wr_uvarint(w, item->grant.kind);
        wr_u8(w, item->grant.prefix);
        write_text(w, item->grant.on);
    } else {
        write_text(w, item->keys.key[0]);
        write_text(w, item->keys.key[1]);
    }
}

/* Exactly n bytes (n 0: up to cap) of a field with its length; returns how many. */
static size_t read_bytes(struct rd *rd, void *out, size_t n, size_t cap)
{
    size_t has = rd_uvarint(rd);
    if (has > cap || (n != 0 && has != n))
        rd_fail(rd);
    const uint8_t *p = rd_bytes(rd, has);
    if (p == NULL)
        return 0;
    memcpy(out, p, has);
    return has;
}

static void read_text(struct rd *rd, char *out, size_t cap)
{
    size_t n = read_bytes(rd, out, 0, cap - 1);
    out[n] = '\0';
    if (memchr(out, '\0', n) != NULL)
        rd_fail(rd);
}

static void read_verifier(struct rd *rd, struct verifier *v, unsigned i)
{
    v->iterations = (int32_t)rd_uvarint(rd);
    v->hash = i + 1;
    if (v->iterations == 0)
        return;
    v->salt_len = (uint32_t)read_bytes(rd, v->salt, 0, sizeof(v->salt));
    read_bytes(rd, v->stored_key, hash_len(i), sizeof(v->stored_key));
    read_bytes(rd, v->server_key, hash_len(i), sizeof(v->server_key));
}

static void read_grant(struct rd *rd, struct access_grant *g)
{
    read_text(rd, g->principal, sizeof(g->principal));
    g->roles = rd_uvarint(rd);
    uint32_t kind = rd_uvarint(rd);
    if (kind >= ACCESS_KINDS)
        rd_fail(rd);
    g->kind = kind < ACCESS_KINDS ? kind : ACCESS_CLUSTER;
    g->prefix = rd_u8(rd) != 0;
    read_text(rd, g->on, sizeof(g->on));
}

enum err access_item_decode(enum access_what what, struct str name, struct str value,
                            struct access_item **out)
{
    struct rd rd;
    rd_init(&rd, value.at, value.len);
    uint8_t version = rd_u8(&rd);
    if (version > ITEM_VERSION)
        return ERR_FORMAT_NEWER;
    if (access_name_check(what, name, NULL) != ERR_OK)
        return ERR_CORRUPT;
    struct access_item *item = access_item_make(what, name);
    if (what == ACCESS_USER) {
        for (unsigned i = 0; i < VERIFIER_HASHES; i++)
            read_verifier(&rd, &item->user.verifiers[i], i);
    } else if (what == ACCESS_GRANT) {
        read_grant(&rd, &item->grant);
    } else {
        read_text(&rd, item->keys.key[0], sizeof(item->keys.key[0]));
        read_text(&rd, item->keys.key[1], sizeof(item->keys.key[1]));
    }
    if (rd.bad || version == 0 || rd_left(&rd) != 0 || access_item_check(item, NULL) != ERR_OK) {
        access_unref(item);
        return ERR_CORRUPT;
    }
    *out = item;
    return ERR_OK;
}
