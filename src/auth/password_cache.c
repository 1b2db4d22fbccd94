#include "auth/password_cache.h"

#include "base/assert.h"
#include "base/cursor.h"
#include "base/secret.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

static void put_text(struct wr *w, struct str s)
{
    wr_u32(w, (uint32_t)s.len);
    if (s.len)
        wr_bytes(w, s.at, s.len);
}

static void tag_of(const struct password_cache *c, struct str user,
                   const struct verifier *verifiers, struct str password, uint8_t out[32])
{
    struct wr w;
    unsigned len = 0;
    wr_init(&w, 512);
    put_text(&w, user);
    for (unsigned i = 0; i < VERIFIER_HASHES; i++)
        wr_bytes(&w, verifiers[i].stored_key, sizeof verifiers[i].stored_key);
    put_text(&w, password);
    const uint8_t *done = HMAC(EVP_sha256(), c->key, sizeof c->key, w.buf->data, w.len, out, &len);
    weir_assert(done && len == 32);
    secret_clear(w.buf->data, w.len);
    wr_free(&w);
}

enum err password_cache_check(struct password_cache *c, uint64_t now_us, struct str user,
                              const struct verifier verifiers[VERIFIER_HASHES], struct str password)
{
    uint8_t tag[32];
    uint32_t left;
    tag_of(c, user, verifiers, password, tag);
    size_t slot = tag[0]; /* no password's place is known to who has not the key */
    _Static_assert(PASSWORD_CACHE_SLOTS == 256, "a slot is chosen by one byte");
    if (c->slots[slot].set && secret_eq(c->slots[slot].tag, tag, sizeof tag))
        return ERR_OK;
    if (!few_take(&c->tries, now_us, PASSWORD_CACHE_TRIES_MAX, &left))
        return ERR_THROTTLED;
    if (!verifiers_match(verifiers, password))
        return ERR_AUTH_FAILED;
    c->slots[slot].set = true;
    memcpy(c->slots[slot].tag, tag, sizeof tag);
    return ERR_OK;
}
