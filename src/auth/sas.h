/* sas.h: access keys and shared access signatures, as Azure Event Grid's clients present them.
 *
 *     aeg-sas-key: KEY
 *     aeg-sas-token: r=RESOURCE&e=EXPIRY&s=SIGNATURE
 *     Authorization: SharedAccessKey KEY
 *     Authorization: SharedAccessSignature r=...&e=...&s=...
 *
 * A token's values are percent-encoded ('+' is a blank). The signature is the HMAC-SHA256, in
 * base64, of the text before "&s=" exactly as it was sent; its key is the access key decoded from
 * base64, so that a key that is no base64 signs nothing. Who holds the key chooses resource and
 * expiry: the caller compares the resource with what is asked for.
 *
 * Pure; any thread. Keys and signatures are compared in constant time.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

#define SAS_TOKEN_MAX 4096
#define SAS_RESOURCE_MAX 2048
#define SAS_SIGNATURE_BYTES 32

enum sas_kind {
    SAS_NONE, /* nothing of this kind was presented */
    SAS_KEY,
    SAS_TOKEN,
    SAS_BAD, /* several, or one that is empty */
};

struct sas_credential {
    enum sas_kind kind;
    struct str text; /* borrowed: the key, or the token */
};

/* From the three headers' values; at NULL: not there. An Authorization of another scheme (Bearer,
 * Basic) is SAS_NONE. */
struct sas_credential sas_credential_of(struct str key, struct str token, struct str authorization);

struct sas_token {
    char
        resource[SAS_RESOURCE_MAX]; /* decoded: "https://host/topics/t/api/events?apiVersion=..." */
    int64_t expires_ms;             /* Unix ms */
    struct str signed_text;         /* borrowed from the token */
    uint8_t signature[SAS_SIGNATURE_BYTES];
};

/* ERR_AUTH_FAILED: not a token; text says what would be. */
enum err must_use sas_token_read(struct str text, struct sas_token *out, struct err_text *why);
/* Is it signed with this access key? Says nothing about its expiry and resource. */
bool sas_token_signed(const struct sas_token *t, struct str key);
/* The path of the token's resource without its query, or all of it if it has no scheme and host. */
struct str sas_token_path(const struct sas_token *t);
