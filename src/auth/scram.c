#include "auth/scram.h"

#include "base/assert.h"
#include "base/base64.h"
#include "base/secret.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

/* ---- hashes --------------------------------------------------------------------------------- */

static const EVP_MD *md_of(enum verifier_hash hash)
{
    return hash == VERIFIER_SHA_256 ? EVP_sha256() : EVP_sha512();
}

size_t verifier_hash_len(enum verifier_hash hash)
{
    return hash == VERIFIER_SHA_256 ? 32 : 64;
}

/* Fails only where OpenSSL has no memory for its few bytes: as mem_alloc. */
static void hmac(enum verifier_hash hash, const void *key, size_t key_len, const void *p, size_t n,
                 uint8_t out[VERIFIER_HASH_MAX])
{
    unsigned len = 0;
    const uint8_t *done = HMAC(md_of(hash), key, (int)key_len, p, n, out, &len);
    weir_assert(done && len == verifier_hash_len(hash));
}

static void digest(enum verifier_hash hash, const void *p, size_t n, uint8_t out[VERIFIER_HASH_MAX])
{
    unsigned len = 0;
    int done = EVP_Digest(p, n, out, &len, md_of(hash), NULL);
    weir_assert(done == 1 && len == verifier_hash_len(hash));
}

/* ---- verifiers ------------------------------------------------------------------------------ */

static void from_salted(struct verifier *v, const uint8_t *salted)
{
    uint8_t client_key[VERIFIER_HASH_MAX];
    size_t n = verifier_hash_len(v->hash);
    hmac(v->hash, salted, n, "Client Key", 10, client_key);
    digest(v->hash, client_key, n, v->stored_key);
    hmac(v->hash, salted, n, "Server Key", 10, v->server_key);
    secret_clear(client_key, sizeof client_key);
}

static void salt_password(enum verifier_hash hash, struct str password, const uint8_t *salt,
                          size_t salt_len, int32_t iterations, uint8_t out[VERIFIER_HASH_MAX])
{
    int done = PKCS5_PBKDF2_HMAC(password.at, (int)password.len, salt, (int)salt_len, iterations,
                                 md_of(hash), (int)verifier_hash_len(hash), out);
    weir_assert(done == 1);
}

void verifier_make(struct verifier *out, enum verifier_hash hash, struct str password,
                   const uint8_t salt[SCRAM_SALT_BYTES], int32_t iterations)
{
    uint8_t salted[VERIFIER_HASH_MAX];
    *out = (struct verifier){.hash = hash, .iterations = iterations, .salt_len = SCRAM_SALT_BYTES};
    memcpy(out->salt, salt, SCRAM_SALT_BYTES);
    salt_password(hash, password, salt, SCRAM_SALT_BYTES, iterations, salted);
    from_salted(out, salted);
    secret_clear(salted, sizeof salted);
}

bool verifier_from_salted(struct verifier *out, enum verifier_hash hash, struct str salt,
                          int32_t iterations, struct str salted_password)
{
    if (salt.len > VERIFIER_SALT_MAX || salted_password.len != verifier_hash_len(hash))
        return false;
    *out =
        (struct verifier){.hash = hash, .iterations = iterations, .salt_len = (uint32_t)salt.len};
    if (salt.len)
        memcpy(out->salt, salt.at, salt.len);
    from_salted(out, (const uint8_t *)salted_password.at);
    return true;
}

bool verifier_matches(const struct verifier *v, struct str password)
{
    struct verifier made = {.hash = v->hash};
    uint8_t salted[VERIFIER_HASH_MAX];
    salt_password(v->hash, password, v->salt, v->salt_len, v->iterations, salted);
    from_salted(&made, salted);
    bool eq = secret_eq(made.stored_key, v->stored_key, verifier_hash_len(v->hash));
    secret_clear(salted, sizeof salted);
    secret_clear(&made, sizeof made);
    return eq;
}

bool verifiers_match(const struct verifier v[VERIFIER_HASHES], struct str password)
{
    bool ok = false;
    for (unsigned i = 0; i < VERIFIER_HASHES && !ok; i++)
        ok = v[i].iterations != 0 && verifier_matches(&v[i], password);
    return ok;
}

void verifier_imagine(struct verifier *out, enum verifier_hash hash, struct str user,
                      const uint8_t secret[32])
{
    uint8_t salt[VERIFIER_HASH_MAX];
    hmac(VERIFIER_SHA_512, secret, 32, user.at, user.len, salt);
    *out = (struct verifier){
        .hash = hash, .iterations = SCRAM_ITERATIONS_DEFAULT, .salt_len = SCRAM_SALT_BYTES};
    memcpy(out->salt, salt, SCRAM_SALT_BYTES);
}

/* ---- PLAIN ---------------------------------------------------------------------------------- */

/* Up to the next NUL, which must be there; rest is what follows. */
static bool cut_nul(struct str *rest, struct str *out)
{
    const char *nul = rest->len ? memchr(rest->at, '\0', rest->len) : NULL;
    if (!nul)
        return false;
    *out = (struct str){rest->at, (size_t)(nul - rest->at)};
    *rest = (struct str){nul + 1, rest->len - out->len - 1};
    return true;
}

enum err sasl_plain_read(struct str message, struct sasl_plain *out)
{
    struct str rest = message;
    *out = (struct sasl_plain){{0}, {0}, {0}};
    if (!cut_nul(&rest, &out->authzid) || !cut_nul(&rest, &out->user))
        return ERR_AUTH_FAILED;
    out->password = rest;
    bool ok = out->user.len > 0 && out->user.len <= SCRAM_USER_MAX && rest.len > 0 &&
              rest.len <= SCRAM_PASSWORD_MAX && !memchr(rest.at, '\0', rest.len) &&
              utf8_valid(out->user.at, out->user.len) &&
              (out->authzid.len == 0 || str_eq(out->authzid, out->user));
    return ok ? ERR_OK : ERR_AUTH_FAILED;
}

/* ---- SCRAM messages ------------------------------------------------------------------------- */

const char *scram_mechanism(enum verifier_hash hash)
{
    return hash == VERIFIER_SHA_256 ? "SCRAM-SHA-256" : "SCRAM-SHA-512";
}

/* The text up to the next comma (or the end, if `last`); false: there is none. */
static bool cut_comma(struct str *rest, struct str *out, bool last)
{
    const char *comma = rest->len ? memchr(rest->at, ',', rest->len) : NULL;
    if (!comma && !last)
        return false;
    out->at = rest->at;
    out->len = comma ? (size_t)(comma - rest->at) : rest->len;
    size_t skip = out->len + (comma != NULL);
    *rest = (struct str){rest->at + skip, rest->len - skip};
    return true;
}

/* "n=alice" gives "alice". */
static bool cut_attribute(struct str *rest, char name, struct str *out, bool last)
{
    if (!cut_comma(rest, out, last) || out->len < 2 || out->at[0] != name || out->at[1] != '=')
        return false;
    out->at += 2;
    out->len -= 2;
    return true;
}

/* =2C is ',' and =3D is '='; any other '=' is an error (RFC 5802, section 5.1). */
static bool unescape_name(struct str in, char *out, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.at[i];
        if (c == '=') {
            if (in.len - i < 3 || in.at[i + 1] < '2' || in.at[i + 1] > '3')
                return false;
            bool comma = in.at[i + 1] == '2' && in.at[i + 2] == 'C';
            bool equal = in.at[i + 1] == '3' && in.at[i + 2] == 'D';
            if (!comma && !equal)
                return false;
            c = comma ? ',' : '=';
            i += 2;
        }
        if (c == '\0' || n + 1 >= cap)
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return n > 0 && utf8_valid(out, n);
}

/* Printable ASCII but the comma. */
static bool nonce_ok(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < 0x21 || s.at[i] > 0x7e || s.at[i] == ',')
            return false;
    }
    return s.len > 0 && s.len <= SCRAM_NONCE_MAX - BASE64_LEN(SCRAM_NONCE_BYTES);
}

/* "n,," or "y,," with, in between, perhaps "a=" and the user itself. Sets authzid to its escaped
 * text. "p=": a channel binding, of which none is offered. */
static bool read_gs2(struct str *rest, struct str *authzid)
{
    struct str flag;
    if (!cut_comma(rest, &flag, false) || (!str_is(flag, "n") && !str_is(flag, "y")) ||
        !cut_comma(rest, authzid, false))
        return false;
    if (authzid->len == 0)
        return true;
    if (authzid->len < 3 || authzid->at[0] != 'a' || authzid->at[1] != '=')
        return false;
    *authzid = (struct str){authzid->at + 2, authzid->len - 2};
    return true;
}

/* Extensions that the server must understand begin with m=; of the others, which it may leave, only
 * Kafka's delegation tokens would change who is meant. */
static bool extensions_ok(struct str rest)
{
    struct str one;
    while (rest.len && cut_comma(&rest, &one, true)) {
        if (one.len < 2 || one.at[1] != '=')
            return str_is(one, "tokenauth=false");
        if (one.at[0] == 'm')
            return false;
    }
    return true;
}

enum err scram_take_first(struct scram_server *s, enum verifier_hash hash, struct str message)
{
    struct str rest = message, authzid, name, nonce;
    weir_assert(!s->nonce[0]);
    s->hash = hash;
    if (message.len > SCRAM_MESSAGE_MAX || !read_gs2(&rest, &authzid))
        return ERR_AUTH_FAILED;
    struct str bare = rest, gs2 = {message.at, (size_t)(rest.at - message.at)};
    if (!str_copy(s->gs2, sizeof s->gs2, gs2) || !cut_attribute(&rest, 'n', &name, false) ||
        !cut_attribute(&rest, 'r', &nonce, true) || !nonce_ok(nonce) || !extensions_ok(rest) ||
        !unescape_name(name, s->user, sizeof s->user) || (authzid.len && !str_eq(authzid, name)))
        return ERR_AUTH_FAILED;
    (void)str_copy(s->nonce, sizeof s->nonce, nonce);
    wr_init(&s->auth_message, bare.len + 256);
    wr_bytes(&s->auth_message, bare.at, bare.len);
    return ERR_OK;
}

static void put_text(struct wr *w, const char *text)
{
    wr_bytes(w, text, strlen(text));
}

void scram_put_first(struct scram_server *s, const struct verifier *v,
                     const uint8_t random[SCRAM_NONCE_BYTES], const uint8_t secret[32],
                     struct wr *out)
{
    char nonce[BASE64_LEN(SCRAM_NONCE_BYTES) + 1], salt[BASE64_LEN(VERIFIER_SALT_MAX) + 1];
    char first[SCRAM_NONCE_MAX + sizeof salt + 32];
    s->known = v != NULL;
    if (v)
        s->verifier = *v;
    else
        verifier_imagine(&s->verifier, s->hash, str_of(s->user), secret);
    base64_encode(nonce, random, SCRAM_NONCE_BYTES);
    base64_encode(salt, s->verifier.salt, s->verifier.salt_len);
    size_t n = strlen(s->nonce);
    snprintf(s->nonce + n, sizeof s->nonce - n, "%s", nonce);
    snprintf(first, sizeof first, "r=%s,s=%s,i=%d", s->nonce, salt, s->verifier.iterations);
    put_text(out, first);
    put_text(&s->auth_message, ",");
    put_text(&s->auth_message, first);
}

/* ClientKey = proof xor HMAC(StoredKey, AuthMessage); its hash must be StoredKey. */
static bool proof_ok(struct scram_server *s, const uint8_t *proof)
{
    uint8_t key[VERIFIER_HASH_MAX], stored[VERIFIER_HASH_MAX];
    size_t n = verifier_hash_len(s->hash);
    hmac(s->hash, s->verifier.stored_key, n, s->auth_message.buf->data, s->auth_message.len, key);
    for (size_t i = 0; i < n; i++)
        key[i] ^= proof[i];
    digest(s->hash, key, n, stored);
    bool ok = secret_eq(stored, s->verifier.stored_key, n);
    secret_clear(key, sizeof key);
#ifdef FAULT_proof_unchecked
    return s->known;
#endif
    return ok && s->known;
}

static void put_signature(struct scram_server *s, struct wr *out)
{
    uint8_t signature[VERIFIER_HASH_MAX];
    char text[BASE64_LEN(VERIFIER_HASH_MAX) + 1];
    size_t n = verifier_hash_len(s->hash);
    hmac(s->hash, s->verifier.server_key, n, s->auth_message.buf->data, s->auth_message.len,
         signature);
    base64_encode(text, signature, n);
    put_text(out, "v=");
    put_text(out, text);
}

/* c= is the gs2 header again, in base64. */
static bool binding_ok(const struct scram_server *s, struct str binding)
{
    char text[sizeof s->gs2];
    size_t n;
    return base64_decode(binding, text, sizeof text, &n) && str_is((struct str){text, n}, s->gs2);
}

/* The server's nonce again. librdkafka before 2.6 puts its own before that once more, and Kafka
 * lets it: the nonce is under the signature, and ours is in it. */
static bool nonce_is_ours(const struct scram_server *s, struct str nonce)
{
    size_t n = strlen(s->nonce);
    return nonce.len >= n && secret_eq(nonce.at + nonce.len - n, s->nonce, n);
}

/* The proof comes last: what is before it is signed. */
static bool cut_proof(struct str *message, struct str *proof)
{
    size_t at = message->len;
    while (at > 0 && message->at[at - 1] != ',')
        at--;
    if (at == 0 || message->len - at < 2 || message->at[at] != 'p' || message->at[at + 1] != '=')
        return false;
    *proof = (struct str){message->at + at + 2, message->len - at - 2};
    message->len = at - 1;
    return true;
}

enum err scram_take_final(struct scram_server *s, struct str message, struct wr *out)
{
    struct str signed_part = message, rest, proof_text, binding, nonce;
    uint8_t proof[VERIFIER_HASH_MAX];
    size_t proof_len;
    if (message.len > SCRAM_MESSAGE_MAX || !cut_proof(&signed_part, &proof_text))
        return ERR_AUTH_FAILED;
    rest = signed_part;
    if (!cut_attribute(&rest, 'c', &binding, false) || !cut_attribute(&rest, 'r', &nonce, true) ||
        !binding_ok(s, binding) || !nonce_is_ours(s, nonce) ||
        !base64_decode(proof_text, proof, sizeof proof, &proof_len) ||
        proof_len != verifier_hash_len(s->hash))
        return ERR_AUTH_FAILED;
    put_text(&s->auth_message, ",");
    wr_bytes(&s->auth_message, signed_part.at, signed_part.len);
    if (!proof_ok(s, proof))
        return ERR_AUTH_FAILED;
    put_signature(s, out);
    return ERR_OK;
}

void scram_server_free(struct scram_server *s)
{
    wr_free(&s->auth_message);
    secret_clear(s, sizeof *s);
}
