/* tls.h: TLS for servers, as a pipe between a carrier and a front.
 *
 *     socket (io/) --bytes--> struct tls (carrier's user; a pipe itself) --plain text--> front
 *
 * OpenSSL works on memory only, so that TLS runs on a simulated network as on a real one. TLS 1.2
 * and 1.3, forward secrecy, no renegotiation, no compression; ALPN "http/1.1" for who asks for it.
 *
 * A context holds what connections begin with: certificate chain, key, and the authorities whose
 * client certificates are accepted. It is made from PEM files and reloaded in place: connections
 * that begin afterwards use the new files, those that are open go on, and a reload that fails
 * leaves the old ones in use. Any thread may reload while others accept.
 *
 * A connection has TLS_HANDSHAKE_MS and TLS_HANDSHAKE_BYTES_MAX to become secure; before that its
 * user hears of nothing but closed(). Bytes are encrypted as the carrier takes them: what waits is
 * the user's chunks, ranges of files among them, with the limits of io/loop.h. A peer that ends
 * without close_notify is taken as ended: protocols frame their messages.
 *
 * What a client proved by a certificate is pipe->identity, "User:CN=alice,O=acme" (RFC 2253 order,
 * as Kafka's SSL principal), set before the user's first received().
 */
#pragma once

#include "base/err.h"
#include "base/pipe.h"
#include "broker/env.h"
#include "io/disk.h"

#include <stdbool.h>

#define TLS_HANDSHAKE_MS 10000
#define TLS_HANDSHAKE_BYTES_MAX ((size_t)128 << 10) /* received before it is done */
#define TLS_FILE_BYTES_MAX ((size_t)1 << 20)
#define TLS_CIPHER_BYTES_MAX ((size_t)1 << 20) /* encrypted ahead of the carrier */
#define TLS_IDENTITY_MAX 512

struct tls_context;

struct tls_conf {
    struct disk *disk;       /* whose files these are; borrowed */
    const char *certificate; /* PEM: the server's certificate, then those between it and a root */
    const char *key;         /* PEM, without a passphrase */
    const char *client_ca;   /* PEM: authorities for client certificates; NULL: none is asked for */
    bool client_required;    /* with client_ca: a connection without a certificate is refused */
};

/* Reads the files; conf is copied. ERR_CONFIG_INVALID, ERR_NOT_FOUND, ERR_IO: text names the file
 * and what is wrong with it. */
enum err must_use tls_context_make(const struct tls_conf *conf, struct tls_context **out,
                                   struct err_text *text);
/* Reads the files again. On an error the context is as it was. */
enum err must_use tls_context_reload(struct tls_context *c, struct err_text *text);
/* When the certificate runs out, Unix ms. */
int64_t tls_context_expires_ms(struct tls_context *c);
/* Connections may be open: they hold what they need. */
void tls_context_free(struct tls_context *c);

/* Puts TLS on a fresh carrier, on the reactor of env: sets the carrier's user. The result is the
 * pipe for a front, which sets its user_ops and user before the turn goes on. */
struct pipe *tls_accept(struct tls_context *c, struct env *env, struct pipe *carrier);
/* The front did not want it: as if tls_accept had not been called. */
void tls_drop(struct pipe *p);
