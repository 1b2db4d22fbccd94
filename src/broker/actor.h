/* actor.h: on whose behalf a verb is called. Every verb of the broker takes one: authorisation,
 * quotas, audit and multi-tenancy hang on it. Borrowed for the time of the call or op; NULL where
 * the broker calls itself (a delivery, metrics): it may do everything. */
#pragma once

#include "base/str.h"

#include <stdint.h>

#define ACTOR_TENANT_DEFAULT 0

struct actor {
    uint32_t tenant;       /* ACTOR_TENANT_DEFAULT unless a listener or credential says otherwise */
    const char *principal; /* "User:alice"; "User:ANONYMOUS" without a credential */
    struct str client_id;  /* as the client calls itself */
    const char *address;   /* "127.0.0.1:51234" */
};
