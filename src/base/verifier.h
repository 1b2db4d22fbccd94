/* verifier.h: what is kept of a password: a SCRAM verifier (RFC 5802, section 3), with which it can
 * be checked and from which it cannot be read. Made and used by auth/scram.h, kept by the broker.
 */
#pragma once

#include <stdint.h>

/* Kafka's numbers of the mechanisms. */
enum verifier_hash { VERIFIER_SHA_256 = 1, VERIFIER_SHA_512 = 2 };
#define VERIFIER_HASHES 2
#define VERIFIER_HASH_MAX 64 /* bytes of SHA-512 */
#define VERIFIER_SALT_MAX 64
/* Kafka's bounds. */
#define VERIFIER_ITERATIONS_MIN 4096
#define VERIFIER_ITERATIONS_MAX 16384

struct verifier {
    enum verifier_hash hash;
    int32_t iterations; /* 0: there is none */
    uint32_t salt_len;
    uint8_t salt[VERIFIER_SALT_MAX];
    uint8_t stored_key[VERIFIER_HASH_MAX]; /* H(ClientKey), of the hash's length */
    uint8_t server_key[VERIFIER_HASH_MAX];
};
