/* password_cache.h: passwords that were right a moment ago, for protocols that send one with every
 * call (HTTP's Basic): the thousands of rounds are for the first one. What is remembered is a keyed
 * hash of user, verifiers and password, under a key that lives with the cache: a changed password
 * is forgotten by that. One reactor's.
 */
#pragma once

#include "auth/scram.h"
#include "base/few.h"

#define PASSWORD_CACHE_SLOTS 256     /* users that share one push each other out */
#define PASSWORD_CACHE_TRIES_MAX 20u /* a second that are not in it: 2 ms each */

struct password_cache {
    uint8_t key[32]; /* random; by its owner */
    struct few tries;
    struct {
        bool set;
        uint8_t tag[32];
    } slots[PASSWORD_CACHE_SLOTS];
};

/* ERR_OK: it is one of the user's; ERR_AUTH_FAILED: it is not; ERR_THROTTLED: too many were tried
 * in this second. now_us: a monotonic clock. verifiers: by hash - 1, as in broker/access.h. */
enum err must_use password_cache_check(struct password_cache *c, uint64_t now_us, struct str user,
                                       const struct verifier verifiers[VERIFIER_HASHES],
                                       struct str password);
