/* access.h: who may do what: users, access keys and grants, and the one place that decides.
 *
 * Declared as resources (User, AccessGrant, a topic's keys), kept in the catalog, copied to every
 * reactor like topics. A front finds out who calls (SASL, an access key, a SAS token, TLS) and puts
 * it into the actor; every verb asks here whether that actor may.
 *
 * Principals: "User:alice"; "Key:payments/1" (an access key of the topic payments: Sender and
 * Receiver there, and nothing else); "User:ANONYMOUS" without a known credential.
 *
 * Roles: Sender appends; Receiver reads, commits, acquires and settles; Owner does all, and is
 * needed to create, change, delete, trim and grant. The anonymous user may use what nobody was
 * granted: a resource with a grant or declared keys always checks them. A broker with no user at
 * all and no grant on the cluster lets anonymous users own it (loopback, --allow-anonymous).
 */
#pragma once

#include "broker/actor.h"
#include "broker/op.h"

#include <stdbool.h>

enum access_role {
    ACCESS_SENDER = 1,
    ACCESS_RECEIVER = 2,
    ACCESS_OWNER = 4,
};

enum access_kind { ACCESS_CLUSTER, ACCESS_TOPIC, ACCESS_GROUP };

/* May the actor act in that role on the resource? On this reactor's copy; name is ignored for the
 * cluster. A few nanoseconds where nothing is declared. */
bool access_allows(struct broker *b, const struct actor *actor, enum access_kind kind,
                   struct str name, enum access_role role);
