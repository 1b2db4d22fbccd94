/* Who calls: the one place of this front that puts a principal into an actor.
 *
 *     a client certificate                            User:CN=...      (by TLS, on the connection)
 *     Authorization: Basic                            User:name
 *     aeg-sas-key, aeg-sas-token,
 *     Authorization: SharedAccessKey | -Signature     Key:topic/1      (of the topic in the path)
 *
 * A credential that is wrong is 401. One that nobody here knows (a user or topic without one, a
 * Bearer token) makes the caller anonymous, who is let in where the listener says so: so that any
 * key will do for a topic that has none.
 */
#include "front/http/conn.h"

#include "auth/password_cache.h"
#include "auth/sas.h"
#include "base/base64.h"
#include "base/secret.h"
#include "broker/access.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define TOPIC_ROUTES "/topics/{}"
#define BASIC_MAX 1500 /* bytes, decoded */

/* ERR_NOT_FOUND: the credential is none that is known here. */

static enum err become(struct http_request *rq, const char *principal)
{
    char *kept = http_alloc(rq, strlen(principal) + 1, 1);
    if (!kept)
        return ERR_MEMORY;
    memcpy(kept, principal, strlen(principal));
    rq->actor.principal = kept;
    return ERR_OK;
}

/* ---- Basic (RFC 7617) ----------------------------------------------------------------------- */

static enum err check_password(struct http_request *rq, struct str user, struct str password,
                               struct err_text *text)
{
    char principal[ACCESS_PRINCIPAL_MAX + 1];
    struct env *env = broker_env(rq->broker);
    const struct access_item *item = access_find(rq->broker, ACCESS_USER, user);
    if (!item)
        return ERR_NOT_FOUND;
    enum err err = password_cache_check(&rq->conn->reactor->passwords, env_mono_us(env), user,
                                        item->user.verifiers, password);
    if (err == ERR_THROTTLED)
        return err_say(text, err, "too many passwords are tried: try again in a second");
    if (err)
        return err_say(text, err, "the user or the password is wrong");
    snprintf(principal, sizeof principal, "User:%s", item->name);
    return become(rq, principal);
}

static enum err by_basic(struct http_request *rq, struct str credentials, struct err_text *text)
{
    char pair[BASIC_MAX];
    size_t n;
    if (!base64_decode(credentials, pair, sizeof pair, &n) || !memchr(pair, ':', n))
        return err_say(text, ERR_AUTH_FAILED, "Basic wants base64 of user:password");
    size_t len = (size_t)((char *)memchr(pair, ':', n) - pair);
    enum err err = check_password(rq, (struct str){pair, len},
                                  (struct str){pair + len + 1, n - len - 1}, text);
    secret_clear(pair, sizeof pair);
    return err;
}

/* ---- keys and tokens ------------------------------------------------------------------------ */

/* The topic that the path names; at NULL: it names none. */
static struct str topic_of(const struct http_request *rq)
{
    bool named =
        rq->params_n > 0 && strncmp(rq->route->pattern, TOPIC_ROUTES, strlen(TOPIC_ROUTES)) == 0;
    return named ? rq->params[0] : (struct str){NULL, 0};
}

/* The signed resource is what is asked for, or above it. */
static bool covers(const struct sas_token *t, struct str path)
{
    struct str above = sas_token_path(t);
    while (above.len && above.at[above.len - 1] == '/')
        above.len--;
    return above.len <= path.len && memcmp(above.at, path.at, above.len) == 0 &&
           (above.len == path.len || path.at[above.len] == '/' || path.at[above.len] == ':');
}

static enum err check_token(struct http_request *rq, struct str token,
                            const struct access_item *keys, enum access_key *key,
                            struct err_text *text)
{
    struct sas_token t;
    enum err err = sas_token_read(token, &t, text);
    if (err)
        return err;
    bool first = sas_token_signed(&t, str_of(keys->keys.key[0]));
    bool second = sas_token_signed(&t, str_of(keys->keys.key[1]));
    if (!first && !second)
        return err_say(text, ERR_AUTH_FAILED, "the signature is of none of the topic's keys");
    if (t.expires_ms <= (int64_t)env_now_ms(broker_env(rq->broker)))
        return err_say(text, ERR_AUTH_FAILED, "the shared access signature has expired");
    if (!covers(&t, rq->path))
        return err_say(text, ERR_AUTH_FAILED,
                       "the shared access signature is for another resource");
    *key = first ? ACCESS_KEY_1 : ACCESS_KEY_2;
    return ERR_OK;
}

static enum err by_key(struct http_request *rq, const struct sas_credential *c,
                       struct err_text *text)
{
    char principal[ACCESS_PRINCIPAL_MAX + 1];
    struct str topic = topic_of(rq);
    const struct access_item *keys = topic.at ? access_find(rq->broker, ACCESS_KEYS, topic) : NULL;
    enum access_key key = ACCESS_KEY_WRONG;
    if (!keys)
        return ERR_NOT_FOUND;
    if (c->kind == SAS_TOKEN) {
        enum err err = check_token(rq, c->text, keys, &key, text);
        if (err)
            return err;
    } else {
        key = access_key_find(rq->broker, topic, c->text);
    }
    if (key == ACCESS_KEY_WRONG)
        return err_say(text, ERR_AUTH_FAILED, "this is none of the topic's keys");
    return become(rq, access_key_principal(topic, key, principal));
}

/* ---- which ---------------------------------------------------------------------------------- */

static bool is_basic(struct str authorization, struct str *credentials)
{
    if (authorization.len < 6 || strncasecmp(authorization.at, "Basic ", 6) != 0)
        return false;
    *credentials = (struct str){authorization.at + 6, authorization.len - 6};
    return true;
}

static enum err by_credential(struct http_request *rq, struct err_text *text)
{
    struct str authorization = http_field(rq, "authorization"), basic;
    struct sas_credential c = sas_credential_of(http_field(rq, "aeg-sas-key"),
                                                http_field(rq, "aeg-sas-token"), authorization);
    if (c.kind == SAS_BAD)
        return err_say(text, ERR_AUTH_FAILED, "give one access key or token, not several or none");
    if (c.kind != SAS_NONE)
        return by_key(rq, &c, text);
    if (authorization.at && is_basic(authorization, &basic))
        return by_basic(rq, basic, text);
    if (rq->conn->pipe && rq->conn->pipe->identity)
        return become(rq, rq->conn->pipe->identity);
    return ERR_NOT_FOUND;
}

enum err http_identify(struct http_request *rq, struct err_text *text)
{
    rq->actor = (struct actor){.tenant = ACTOR_TENANT_DEFAULT,
                               .principal = ACCESS_ANONYMOUS,
                               .client_id = http_field(rq, "user-agent"),
                               .address = rq->conn->peer};
    if (rq->route->flags & HTTP_PUBLIC)
        return ERR_OK;
    enum err err = by_credential(rq, text);
    if (err == ERR_NOT_FOUND && !rq->conn->listener->authenticate)
        err = ERR_OK;
    else if (err == ERR_NOT_FOUND)
        err = err_say(text, ERR_AUTH_FAILED, "this address takes no call without a credential");
    if (err == ERR_AUTH_FAILED)
        http_header(rq, "WWW-Authenticate", "Basic realm=\"weir\", charset=\"UTF-8\"");
    return err;
}
