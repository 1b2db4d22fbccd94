/* tls_internal.h: what a connection (tls.c) asks of its context (tls_context.c). Inside auth/. */
#pragma once

#include "auth/tls.h"

#include <openssl/ssl.h>

/* A connection on the context's present files, a server in front of two memory BIOs that the SSL
 * owns. NULL: no memory. Any thread. */
SSL *tls_context_open(struct tls_context *c, BIO *in, BIO *out);
/* The first reason in OpenSSL's error queue, which is empty afterwards; returns out. */
const char *tls_reason(char *out, size_t cap);
