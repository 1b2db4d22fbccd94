/* certificates.h: certificates for tests, made on the spot: nothing in them runs out. */
#pragma once

#include "io/disk.h"

#include <openssl/ssl.h>

struct identity {
    X509 *certificate;
    EVP_PKEY *key;
};

/* Named CN=name,O=weir; signed by `by`, NULL: by itself, and then an authority. */
struct identity identity_make(const char *name, const struct identity *by);
void identity_free(struct identity *id);
/* As PEM files on the disk; NULL path: not wanted. */
void identity_write(const struct identity *id, struct disk *disk, const char *dir,
                    const char *certificate, const char *key);
