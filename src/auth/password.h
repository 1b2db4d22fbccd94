/* password.h: checking a password against verifiers, which takes milliseconds on purpose: beside
 * the loop, on its helper threads, where there are any.
 */
#pragma once

#include "auth/scram.h"
#include "io/loop.h"

struct password_check {
    /* in; copied before the call: the client's buffers may go */
    struct verifier verifiers[VERIFIER_HASHES]; /* iterations 0: none; it must match one */
    char password[SCRAM_PASSWORD_MAX];
    size_t password_len;
    void (*done)(struct password_check *check);
    /* out */
    bool ok;
    /* private */
    struct loop_job job;
};

/* done follows on this reactor: later, or (threads false: an env that is no loop's) from inside.
 * The password is forgotten before. */
void password_check_start(struct env *env, bool threads, struct password_check *check);
