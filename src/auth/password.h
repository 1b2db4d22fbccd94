/* password.h: checking a password against verifiers, and making them of a new one, which takes
 * milliseconds on purpose: beside the loop, on its helper threads, where there are any.
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

struct password_make {
    /* in; copied before the call */
    char password[SCRAM_PASSWORD_MAX];
    size_t password_len;
    uint8_t salts[VERIFIER_HASHES][SCRAM_SALT_BYTES]; /* random */
    struct verifier verifiers[VERIFIER_HASHES];       /* that there are; iterations 0: none */
    void (*done)(struct password_make *make);
    /* out: verifiers of the password, by all hashes */
    bool same; /* those that there were are: they are left as they are */
    /* private */
    struct loop_job job;
};

/* As password_check_start. */
void password_make_start(struct env *env, bool threads, struct password_make *make);
