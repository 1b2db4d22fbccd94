/* scram.h: passwords: what is kept of them, and the servers' side of SASL PLAIN (RFC 4616) and
 * SCRAM (RFC 5802, 7677), as Kafka's clients speak them.
 *
 *     client                                      server
 *     n,,n=alice,r=NONCE             ->           scram_take_first: who is it?
 *                                    <-           scram_put_first: r=NONCE+,s=SALT,i=4096
 *     c=biws,r=NONCE+,p=PROOF        ->           scram_take_final: is it him?
 *                                    <-           v=SIGNATURE
 *
 * Only verifiers are known here: a password is turned into one and forgotten. Usernames and
 * passwords are UTF-8, compared as bytes (as Kafka: no SASLprep). No channel binding. What a client
 * proves is compared in constant time, and a user that does not exist is asked for its proof like
 * one that does: with a salt that stays the same for a name.
 *
 * Pure: random bytes are given by the caller. Any thread; scram_server is one exchange's.
 */
#pragma once

#include "base/cursor.h"
#include "base/err.h"
#include "base/str.h"
#include "base/verifier.h"

#include <stdbool.h>

#define SCRAM_USER_MAX 255
#define SCRAM_PASSWORD_MAX 1024
#define SCRAM_NONCE_BYTES 24 /* of the server's part, before base64 */
#define SCRAM_NONCE_MAX 512  /* characters, both parts */
#define SCRAM_MESSAGE_MAX 8192
#define SCRAM_SALT_BYTES 24 /* of verifiers made here */
#define SCRAM_ITERATIONS_DEFAULT 4096

/* ---- verifiers ---- */

/* 32 or 64. */
size_t verifier_hash_len(enum verifier_hash hash);
/* From a password: thousands of rounds, a few milliseconds. salt: SCRAM_SALT_BYTES random bytes. */
void verifier_make(struct verifier *out, enum verifier_hash hash, struct str password,
                   const uint8_t salt[SCRAM_SALT_BYTES], int32_t iterations);
/* From what Kafka's clients send instead of a password: the result of those rounds. False: not of
 * the hash's length, or the salt is longer than VERIFIER_SALT_MAX. */
bool verifier_from_salted(struct verifier *out, enum verifier_hash hash, struct str salt,
                          int32_t iterations, struct str salted_password);
/* What a user that does not exist would have: it is asked for its proof like one that does. Nothing
 * matches it. secret: the same for the process's life. */
void verifier_imagine(struct verifier *out, enum verifier_hash hash, struct str user,
                      const uint8_t secret[32]);
/* Is it this password? As slow as verifier_make. */
bool verifier_matches(const struct verifier *v, struct str password);
/* Of a user, by hash - 1, with iterations 0 for none: is it the password of one of them? */
bool verifiers_match(const struct verifier v[VERIFIER_HASHES], struct str password);

/* ---- PLAIN ---- */

struct sasl_plain {
    struct str authzid, user, password; /* borrowed */
};
/* [authzid] NUL user NUL password. ERR_AUTH_FAILED: not that; empty user or password; an authzid
 * that is not the user. */
enum err must_use sasl_plain_read(struct str message, struct sasl_plain *out);

/* ---- SCRAM ---- */

/* "SCRAM-SHA-256" */
const char *scram_mechanism(enum verifier_hash hash);

/* Begin with zeros. */
struct scram_server {
    enum verifier_hash hash;
    char user[SCRAM_USER_MAX + 1];
    /* private */
    struct verifier verifier;
    bool known; /* false: there is no such user, and no proof is right */
    char nonce[SCRAM_NONCE_MAX + 1];
    struct wr auth_message; /* client-first-bare , server-first , client-final-without-proof */
    char gs2[SCRAM_USER_MAX * 3 + 8];
};

/* The client's first message; s->user is who it says it is. ERR_AUTH_FAILED: not one. */
enum err must_use scram_take_first(struct scram_server *s, enum verifier_hash hash,
                                   struct str message);
/* The answer to it. v NULL: no such user; secret (32 bytes, the same for the process's life) makes
 * the salt that it would have. */
void scram_put_first(struct scram_server *s, const struct verifier *v,
                     const uint8_t random[SCRAM_NONCE_BYTES], const uint8_t secret[32],
                     struct wr *out);
/* The client's final message. ERR_OK: it is the user, and out is the server's proof to it.
 * ERR_AUTH_FAILED: it is not, or that was no final message. */
enum err must_use scram_take_final(struct scram_server *s, struct str message, struct wr *out);
/* Forgets what is secret. Any number of times. */
void scram_server_free(struct scram_server *s);
