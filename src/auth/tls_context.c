/* Certificates and keys from PEM files, and the settings of every connection. A reload makes a
 * whole new SSL_CTX and puts it in place of the old one, which lives as long as its connections. */
#include "auth/tls_internal.h"

#include "base/mem.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CHAIN_MAX 16
#define AUTHORITIES_MAX 1024

/* TLS 1.2: forward secrecy and authenticated encryption only. 1.3 has no others. */
#define CIPHERS_12                                                                                 \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                   \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

struct tls_context {
    struct tls_conf conf;
    char *certificate, *key, *client_ca; /* own copies of the paths */
    pthread_mutex_t lock;                /* of the following */
    SSL_CTX *ctx;
    int64_t expires_ms;
};

/* One PEM file in memory. */
struct pem {
    const char *path;
    struct buf *bytes;
    BIO *bio;
};

const char *tls_reason(char *out, size_t cap)
{
    unsigned long code = ERR_get_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    snprintf(out, cap, "%s", reason ? reason : "no reason given");
    ERR_clear_error();
    return out;
}

static enum err bad_file(const char *path, const char *what, struct err_text *text)
{
    char reason[128];
    return err_say(text, ERR_CONFIG_INVALID, "%s: %s (%s)", path, what,
                   tls_reason(reason, sizeof reason));
}

static enum err pem_open(struct disk *disk, const char *path, struct pem *out,
                         struct err_text *text)
{
    size_t len = 0;
    *out = (struct pem){.path = path};
    enum err err = disk_read_file(disk, path, TLS_FILE_BYTES_MAX, &out->bytes, &len);
    if (err == ERR_MESSAGE_TOO_LARGE)
        return err_say(text, err, "%s: larger than a PEM file may be, %zu bytes", path,
                       TLS_FILE_BYTES_MAX);
    if (err)
        return err_say(text, err, "%s: %s", path,
                       err == ERR_NOT_FOUND ? "there is no such file" : err_meaning(err));
    out->bio = BIO_new_mem_buf(out->bytes->data, (int)len);
    return out->bio ? ERR_OK : ERR_MEMORY;
}

static void pem_close(struct pem *pem)
{
    BIO_free(pem->bio);
    if (pem->bytes)
        OPENSSL_cleanse(pem->bytes->data, pem->bytes->cap);
    buf_unref(pem->bytes);
}

/* The next certificate of the file; NULL at its end, *bad if that is not where reading stopped. */
static X509 *next_certificate(struct pem *pem, bool *bad)
{
    X509 *x = PEM_read_bio_X509(pem->bio, NULL, NULL, NULL);
    *bad = !x && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE;
    if (!x && !*bad)
        ERR_clear_error();
    return x;
}

static enum err take_expiry(const X509 *x, const char *path, int64_t *out, struct err_text *text)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0, seconds = 0;
    bool known = epoch && ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notAfter(x));
    ASN1_TIME_free(epoch);
    if (!known)
        return bad_file(path, "the certificate's end of validity cannot be read", text);
    *out = ((int64_t)days * 86400 + seconds) * 1000;
    return ERR_OK;
}

static enum err use_certificates(SSL_CTX *ctx, struct pem *pem, int64_t *expires_ms,
                                 struct err_text *text)
{
    bool bad = false;
    X509 *x = next_certificate(pem, &bad);
    if (!x)
        return bad_file(pem->path, "holds no certificate in PEM form", text);
    enum err err = take_expiry(x, pem->path, expires_ms, text);
    if (!err && SSL_CTX_use_certificate(ctx, x) != 1)
        err = bad_file(pem->path, "the certificate cannot be used", text);
    X509_free(x);
    for (unsigned i = 0; !err && (x = next_certificate(pem, &bad)); i++) {
        if (i < CHAIN_MAX && SSL_CTX_add0_chain_cert(ctx, x) == 1)
            continue;
        X509_free(x);
        err = bad_file(pem->path, "its chain cannot be used", text);
    }
    if (!err && bad)
        err = bad_file(pem->path, "a certificate behind the first cannot be read", text);
    return err;
}

/* Nobody sits at a terminal to be asked for a passphrase. */
static int no_passphrase(char *out, int cap, int writing, void *arg)
{
    (void)out, (void)cap, (void)writing, (void)arg;
    return -1;
}

static enum err use_key(SSL_CTX *ctx, struct pem *pem, const char *certificate,
                        struct err_text *text)
{
    EVP_PKEY *key = PEM_read_bio_PrivateKey(pem->bio, NULL, no_passphrase, NULL);
    if (!key)
        return bad_file(pem->path, "holds no private key in PEM form without a passphrase", text);
    int used = SSL_CTX_use_PrivateKey(ctx, key);
    EVP_PKEY_free(key);
    if (used == 1 && SSL_CTX_check_private_key(ctx) == 1)
        return ERR_OK;
    char what[ERR_TEXT_MAX];
    snprintf(what, sizeof what, "is not the key of the certificate in %s", certificate);
    return bad_file(pem->path, what, text);
}

static enum err use_authorities(SSL_CTX *ctx, struct pem *pem, bool required, struct err_text *text)
{
    bool bad = false;
    unsigned n = 0;
    for (X509 *x; n < AUTHORITIES_MAX && (x = next_certificate(pem, &bad)); n++) {
        int added = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x);
        added = added == 1 && SSL_CTX_add_client_CA(ctx, x) == 1;
        X509_free(x);
        if (!added)
            return bad_file(pem->path, "an authority cannot be used", text);
    }
    if (n == 0 || bad)
        return bad_file(pem->path, "holds no authorities in PEM form", text);
    int mode = SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE;
    SSL_CTX_set_verify(ctx, required ? mode | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : mode, NULL);
    return ERR_OK;
}

/* A client that offers no "http/1.1" gets no answer to its offer, and may go on. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char http11[] = "\x08http/1.1";
    unsigned char *chosen = NULL;
    (void)ssl, (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, http11, sizeof http11 - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *ctx_make(void)
{
    static const unsigned char session_context[] = "weir";
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    bool ok = ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
              SSL_CTX_set_cipher_list(ctx, CIPHERS_12) == 1 &&
              SSL_CTX_set_session_id_context(ctx, session_context, sizeof session_context - 1) == 1;
    if (!ok) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets need no memory here */
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    return ctx;
}

static enum err load_files(const struct tls_context *c, SSL_CTX *ctx, int64_t *expires_ms,
                           struct err_text *text)
{
    struct pem certificate, key = {0}, ca = {0};
    struct disk *disk = c->conf.disk;
    enum err err = pem_open(disk, c->certificate, &certificate, text);
    if (!err)
        err = use_certificates(ctx, &certificate, expires_ms, text);
    if (!err)
        err = pem_open(disk, c->key, &key, text);
    if (!err)
        err = use_key(ctx, &key, c->certificate, text);
    if (!err && c->client_ca)
        err = pem_open(disk, c->client_ca, &ca, text);
    if (!err && c->client_ca)
        err = use_authorities(ctx, &ca, c->conf.client_required, text);
    pem_close(&certificate);
    pem_close(&key);
    pem_close(&ca);
    return err;
}

enum err tls_context_reload(struct tls_context *c, struct err_text *text)
{
    int64_t expires_ms = 0;
    ERR_clear_error();
    SSL_CTX *ctx = ctx_make();
    if (!ctx)
        return bad_file(c->certificate, "TLS cannot be set up", text);
    enum err err = load_files(c, ctx, &expires_ms, text);
    if (!err) {
        pthread_mutex_lock(&c->lock);
        SSL_CTX *old = c->ctx;
        c->ctx = ctx;
        c->expires_ms = expires_ms;
        pthread_mutex_unlock(&c->lock);
        ctx = old;
    }
    SSL_CTX_free(ctx);
    return err;
}

enum err tls_context_make(const struct tls_conf *conf, struct tls_context **out,
                          struct err_text *text)
{
    struct tls_context *c = mem_zalloc(1, sizeof *c);
    c->conf = *conf;
    c->certificate = mem_strdup(conf->certificate);
    c->key = mem_strdup(conf->key);
    c->client_ca = conf->client_ca ? mem_strdup(conf->client_ca) : NULL;
    pthread_mutex_init(&c->lock, NULL);
    enum err err = tls_context_reload(c, text);
    if (err) {
        tls_context_free(c);
        c = NULL;
    }
    *out = c;
    return err;
}

int64_t tls_context_expires_ms(struct tls_context *c)
{
    pthread_mutex_lock(&c->lock);
    int64_t ms = c->expires_ms;
    pthread_mutex_unlock(&c->lock);
    return ms;
}

void tls_context_free(struct tls_context *c)
{
    if (!c)
        return;
    SSL_CTX_free(c->ctx);
    pthread_mutex_destroy(&c->lock);
    mem_free(c->certificate);
    mem_free(c->key);
    mem_free(c->client_ca);
    mem_free(c);
}

SSL *tls_context_open(struct tls_context *c, BIO *in, BIO *out)
{
    pthread_mutex_lock(&c->lock);
    SSL *ssl = SSL_new(c->ctx);
    pthread_mutex_unlock(&c->lock);
    if (!ssl)
        return NULL;
    SSL_set_bio(ssl, in, out);
    SSL_set_accept_state(ssl);
    return ssl;
}
