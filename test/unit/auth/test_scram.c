/* The servers' side of PLAIN and SCRAM against the examples of the standards, a client of our own,
 * and every message that is a little wrong. */
#include "auth/scram.h"

#include "base/base64.h"
#include "base/random.h"

#include "../check.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

static const uint8_t secret[32] = "a secret of the process, 32 byte";

static struct str text_of(const struct wr *w)
{
    return (struct str){w->buf ? (const char *)w->buf->data : "", w->len};
}

/* ---- the example of RFC 7677, section 3 ---- */

static void the_example_of_the_standard(void **state)
{
    struct verifier v = {.hash = VERIFIER_SHA_256};
    struct scram_server s = {0};
    struct wr out;
    size_t n;
    uint8_t salt[SCRAM_SALT_BYTES], salted[32], random[SCRAM_NONCE_BYTES];
    (void)state;
    /* The example's salt has 16 bytes, and its nonce is not ours to draw: the server's first
     * message is put together by hand. */
    assert_true(base64_decode(STR_LIT("W22ZaJ0SNY7soEsUEjb6gQ=="), salt, sizeof salt, &n));
    assert_int_equal(
        PKCS5_PBKDF2_HMAC("pencil", 6, salt, (int)n, 4096, EVP_sha256(), sizeof salted, salted), 1);
    assert_true(verifier_from_salted(&v, VERIFIER_SHA_256, (struct str){(char *)salt, n}, 4096,
                                     (struct str){(char *)salted, sizeof salted}));
    assert_int_equal(
        scram_take_first(&s, VERIFIER_SHA_256, STR_LIT("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")),
        ERR_OK);
    assert_string_equal(s.user, "user");
    wr_init(&out, 64);
    memset(random, 0, sizeof random);
    scram_put_first(&s, &v, random, secret, &out);
    static const char nonce[] = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    static const char auth[] = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTC"
                               "AfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    snprintf(s.nonce, sizeof s.nonce, "%s", nonce);
    s.auth_message.len = 0;
    wr_bytes(&s.auth_message, auth, sizeof auth - 1);
    out.len = 0;
    assert_int_equal(
        scram_take_final(&s,
                         STR_LIT("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                 "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
                         &out),
        ERR_OK);
    assert_true(str_is(text_of(&out), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    wr_free(&out);
    scram_server_free(&s);
}

/* ---- a client ---- */

struct exchange {
    enum verifier_hash hash;
    const char *user, *password, *first; /* first: the whole client-first, NULL: made of the user */
    const char *binding;                 /* NULL: biws */
    const char *before_nonce;            /* in the final message; NULL: nothing */
    struct verifier v;
    bool unknown;
    struct scram_server s;
    struct wr out;
    char final[2048];
};

static void mac(enum verifier_hash hash, const void *key, const void *p, size_t n, uint8_t *out)
{
    HMAC(hash == VERIFIER_SHA_256 ? EVP_sha256() : EVP_sha512(), key, (int)verifier_hash_len(hash),
         p, n, out, NULL);
}

static const char *attribute(struct str message, char name, char *out, size_t cap)
{
    for (size_t i = 0; i + 2 < message.len; i++) {
        if ((i == 0 || message.at[i - 1] == ',') && message.at[i] == name &&
            message.at[i + 1] == '=') {
            size_t n = 0;
            while (i + 2 + n < message.len && message.at[i + 2 + n] != ',')
                n++;
            (void)str_copy(out, cap, (struct str){message.at + i + 2, n});
            return out;
        }
    }
    fail();
    return NULL;
}

/* Up to the client's final message, in x->final. */
static void begin(struct exchange *x)
{
    char first[512], nonce[600], salt_text[128], auth[2048], proof_text[128];
    uint8_t salt[VERIFIER_SALT_MAX], random[SCRAM_NONCE_BYTES] = {7}, salted[64], key[64],
                                     stored[64], signature[64];
    size_t n = verifier_hash_len(x->hash), salt_len;
    const EVP_MD *md = x->hash == VERIFIER_SHA_256 ? EVP_sha256() : EVP_sha512();
    snprintf(first, sizeof first, "n,,n=%s,r=fyko+d2lbbFgONRv9qkxdawL", x->user);
    assert_int_equal(scram_take_first(&x->s, x->hash, str_of(x->first ? x->first : first)), ERR_OK);
    wr_init(&x->out, 64);
    scram_put_first(&x->s, x->unknown ? NULL : &x->v, random, secret, &x->out);
    attribute(text_of(&x->out), 'r', nonce, sizeof nonce);
    attribute(text_of(&x->out), 's', salt_text, sizeof salt_text);
    assert_true(base64_decode(str_of(salt_text), salt, sizeof salt, &salt_len));
    PKCS5_PBKDF2_HMAC(x->password, (int)strlen(x->password), salt, (int)salt_len, 4096, md, (int)n,
                      salted);
    mac(x->hash, salted, "Client Key", 10, key);
    EVP_Digest(key, n, stored, NULL, md, NULL);
    const char *bare = x->first ? strstr(strchr(x->first, ',') + 1, ",") + 1 : first + 3;
    int len = snprintf(auth, sizeof auth, "%s,%.*s,c=%s,r=%s%s", bare, (int)x->out.len,
                       (char *)x->out.buf->data, x->binding ? x->binding : "biws",
                       x->before_nonce ? x->before_nonce : "", nonce);
    mac(x->hash, stored, auth, (size_t)len, signature);
    for (size_t i = 0; i < n; i++)
        key[i] ^= signature[i];
    base64_encode(proof_text, key, n);
    snprintf(x->final, sizeof x->final, "c=%s,r=%s%s,p=%s", x->binding ? x->binding : "biws",
             x->before_nonce ? x->before_nonce : "", nonce, proof_text);
    x->out.len = 0;
}

static void finish(struct exchange *x)
{
    wr_free(&x->out);
    scram_server_free(&x->s);
}

static enum err run(struct exchange *x)
{
    begin(x);
    enum err err = scram_take_final(&x->s, str_of(x->final), &x->out);
    assert_int_equal(x->out.len != 0, err == ERR_OK);
    finish(x);
    return err;
}

static struct exchange exchange(enum verifier_hash hash, const char *password, const char *tried)
{
    struct exchange x = {.hash = hash, .user = "alice", .password = tried};
    const uint8_t salt[SCRAM_SALT_BYTES] = "some salt of 24 bytes...";
    verifier_make(&x.v, hash, str_of(password), salt, 4096);
    return x;
}

static const enum verifier_hash hashes[] = {VERIFIER_SHA_256, VERIFIER_SHA_512};

static void right_and_wrong_passwords(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct exchange x = exchange(hashes[i], "pencil", "pencil");
        assert_int_equal(run(&x), ERR_OK);
        x = exchange(hashes[i], "pencil", "pencils");
        assert_int_equal(run(&x), ERR_AUTH_FAILED);
        x = exchange(hashes[i], "p\xc3\xa4ss", "p\xc3\xa4ss");
        assert_int_equal(run(&x), ERR_OK);
        assert_true(verifier_matches(&x.v, STR_LIT("p\xc3\xa4ss")));
        assert_false(verifier_matches(&x.v, STR_LIT("pass")));
        assert_false(verifier_matches(&x.v, STR_LIT("")));
    }
}

/* Whoever it claims to be, the salt looks real, and stays the same. */
static void users_that_do_not_exist_are_asked_too(void **state)
{
    char salts[2][128];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct exchange x = exchange(VERIFIER_SHA_256, "pencil", "pencil");
        x.unknown = true;
        begin(&x);
        struct scram_server *s = &x.s;
        base64_encode(salts[i], s->verifier.salt, s->verifier.salt_len);
        assert_int_equal(scram_take_final(s, str_of(x.final), &x.out), ERR_AUTH_FAILED);
        finish(&x);
    }
    assert_string_equal(salts[0], salts[1]);
    struct verifier v, w;
    verifier_imagine(&v, VERIFIER_SHA_256, STR_LIT("alice"), secret);
    verifier_imagine(&w, VERIFIER_SHA_256, STR_LIT("bob"), secret);
    assert_memory_not_equal(v.salt, w.salt, SCRAM_SALT_BYTES);
    assert_false(verifier_matches(&v, STR_LIT("")));
}

static void names_are_unescaped(void **state)
{
    static const struct {
        const char *first, *user; /* NULL: refused */
    } cases[] = {
        {"n,,n=a=2Cb=3Dc,r=x", "a,b=c"},
        {"y,,n=alice,r=x", "alice"},
        {"n,a=alice,n=alice,r=x", "alice"},
        {"n,,n=alice,r=x,ext=1", NULL},
        {"n,,n=alice,r=x,e=1", "alice"},
        {"n,,n=alice,r=x,tokenauth=true", NULL},
        {"n,,n=alice,r=x,m=1", NULL},
        {"n,a=bob,n=alice,r=x", NULL},
        {"n,a=,n=alice,r=x", NULL},
        {"n,b,n=alice,r=x", NULL},
        {"p=tls-unique,,n=alice,r=x", NULL},
        {"n,,m=1,n=alice,r=x", NULL},
        {"n,,n=a=2cb,r=x", NULL},
        {"n,,n=a=,r=x", NULL},
        {"n,,n=a=2,r=x", NULL},
        {"n,,n=,r=x", NULL},
        {"n,,n=alice,r=", NULL},
        {"n,,n=alice,r=x y", NULL},
        {"n,,n=alice", NULL},
        {"n,,n=\xff,r=x", NULL},
        {"n,,r=x,n=alice", NULL},
        {"n,", NULL},
        {"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scram_server s = {0};
        enum err err = scram_take_first(&s, VERIFIER_SHA_256, str_of(cases[i].first));
        if (err != (cases[i].user ? ERR_OK : ERR_AUTH_FAILED))
            print_error("%s\n", cases[i].first);
        assert_int_equal(err, cases[i].user ? ERR_OK : ERR_AUTH_FAILED);
        if (cases[i].user)
            assert_string_equal(s.user, cases[i].user);
        scram_server_free(&s);
    }
    static char longest[1000] = "n,,n=alice,r=";
    struct scram_server s = {0};
    memset(longest + 13, 'x', sizeof longest - 14);
    assert_int_equal(scram_take_first(&s, VERIFIER_SHA_256, str_of(longest)), ERR_AUTH_FAILED);
    scram_server_free(&s);
    s = (struct scram_server){0};
    memset(longest + 5, 'x', sizeof longest - 10);
    memcpy(longest + sizeof longest - 5, ",r=x", 5);
    assert_int_equal(scram_take_first(&s, VERIFIER_SHA_256, str_of(longest)), ERR_AUTH_FAILED);
    scram_server_free(&s);
}

static void the_binding_is_the_header_again(void **state)
{
    (void)state;
    struct exchange x = exchange(VERIFIER_SHA_256, "pencil", "pencil");
    x.first = "y,,n=alice,r=abc";
    x.binding = "eSws";
    assert_int_equal(run(&x), ERR_OK);
    x = exchange(VERIFIER_SHA_256, "pencil", "pencil");
    x.first = "y,,n=alice,r=abc"; /* with biws: somebody took the offer of a binding away */
    assert_int_equal(run(&x), ERR_AUTH_FAILED);
    x = exchange(VERIFIER_SHA_256, "pencil", "pencil");
    x.first = "n,a=alice,n=alice,r=abc";
    x.binding = "bixhPWFsaWNlLA==";
    assert_int_equal(run(&x), ERR_OK);
}

/* As librdkafka before 2.6. */
static void a_client_may_say_its_nonce_twice(void **state)
{
    (void)state;
    struct exchange x = exchange(VERIFIER_SHA_256, "pencil", "pencil");
    x.before_nonce = "fyko+d2lbbFgONRv9qkxdawL";
    assert_int_equal(run(&x), ERR_OK);
}

/* No byte of the final message may change. */
static void any_change_is_refused(void **state)
{
    struct rng rng;
    (void)state;
    rng_seed(&rng, 9);
    struct exchange x = exchange(VERIFIER_SHA_256, "pencil", "pencil");
    begin(&x);
    size_t n = strlen(x.final);
    for (size_t i = 0; i < n; i++) {
        struct exchange y = exchange(VERIFIER_SHA_256, "pencil", "pencil");
        begin(&y);
        y.final[i] = (char)(y.final[i] ^ (1 << rng_below(&rng, 7)));
        assert_int_equal(scram_take_final(&y.s, (struct str){y.final, n}, &y.out), ERR_AUTH_FAILED);
        finish(&y);
        struct exchange z = exchange(VERIFIER_SHA_256, "pencil", "pencil");
        begin(&z);
        assert_int_equal(scram_take_final(&z.s, (struct str){z.final, i}, &z.out), ERR_AUTH_FAILED);
        finish(&z);
    }
    finish(&x);
}

static void plain_messages(void **state)
{
    static const struct {
        const char *message;
        size_t n;
        enum err err;
    } cases[] = {
        {"\0alice\0pw", 9, ERR_OK},
        {"alice\0alice\0pw", 14, ERR_OK},
        {"bob\0alice\0pw", 12, ERR_AUTH_FAILED},
        {"\0alice\0", 7, ERR_AUTH_FAILED},
        {"\0\0pw", 4, ERR_AUTH_FAILED},
        {"\0alice", 6, ERR_AUTH_FAILED},
        {"alice", 5, ERR_AUTH_FAILED},
        {"\0alice\0p\0w", 10, ERR_AUTH_FAILED},
        {"\0\xff\0pw", 5, ERR_AUTH_FAILED},
        {"", 0, ERR_AUTH_FAILED},
    };
    struct sasl_plain m;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(sasl_plain_read((struct str){cases[i].message, cases[i].n}, &m),
                         cases[i].err);
        if (cases[i].err == ERR_OK) {
            assert_true(str_is(m.user, "alice"));
            assert_true(str_is(m.password, "pw"));
        }
    }
}

static void salted_passwords_have_their_length(void **state)
{
    struct verifier v;
    char bytes[100] = {0};
    (void)state;
    struct str salt = {bytes, 20};
    assert_true(verifier_from_salted(&v, VERIFIER_SHA_256, salt, 4096, (struct str){bytes, 32}));
    assert_false(verifier_from_salted(&v, VERIFIER_SHA_256, salt, 4096, (struct str){bytes, 64}));
    assert_false(verifier_from_salted(&v, VERIFIER_SHA_512, salt, 4096, (struct str){bytes, 32}));
    salt.len = VERIFIER_SALT_MAX + 1;
    assert_false(verifier_from_salted(&v, VERIFIER_SHA_256, salt, 4096, (struct str){bytes, 32}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_standard),
        cmocka_unit_test(right_and_wrong_passwords),
        cmocka_unit_test(users_that_do_not_exist_are_asked_too),
        cmocka_unit_test(names_are_unescaped),
        cmocka_unit_test(the_binding_is_the_header_again),
        cmocka_unit_test(a_client_may_say_its_nonce_twice),
        cmocka_unit_test(any_change_is_refused),
        cmocka_unit_test(plain_messages),
        cmocka_unit_test(salted_passwords_have_their_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
