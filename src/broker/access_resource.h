/* access_resource.h: users and grants as they are declared (spec/spec.h). Pure.
 *
 *     kind: User                          kind: AccessGrant
 *     metadata: {name: alice}             metadata: {name: risk-reads}
 *     spec: {password: ...}               spec: {principal: "User:alice", roles: [Receiver],
 *                                                topic: payments-*}
 *
 * What a user declares is never shown. A password becomes verifiers by auth/scram.h, which takes
 * some ms and is the caller's; verifiers can be declared themselves, as PostgreSQL writes them.
 */
#pragma once

#include "broker/access.h"
#include "spec/spec.h"

#define USER_PASSWORD_MAX 1024 /* bytes: auth/scram.h's */

struct user_spec {
    struct str password;         /* at NULL: not said */
    struct spec_texts verifiers; /* "SCRAM-SHA-256$4096:SALT$STORED-KEY:SERVER-KEY", base64 */
};
extern const struct spec_kind user_kind;

/* The declared verifiers; those that are not declared have iterations 0. */
void user_spec_verifiers(const struct user_spec *spec, struct verifier out[VERIFIER_HASHES]);

struct grant_spec {
    struct str principal;
    struct spec_texts roles;
    struct str topic, group, function; /* one of them, or cluster */
    bool cluster;
};
extern const struct spec_kind grant_kind;

void grant_spec_grant(const struct grant_spec *spec, struct access_grant *out);
/* ERR_MEMORY. */
enum err must_use grant_spec_of(const struct access_grant *grant, struct arena *arena,
                                struct grant_spec *out);
