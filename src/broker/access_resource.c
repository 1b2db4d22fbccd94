#include "broker/access_resource.h"

#include "base/assert.h"
#include "base/base64.h"

#include <string.h>

/* ---- verifiers ------------------------------------------------------------------------------ */

/* Cuts *rest at the sign; false: it is not there. */
static bool cut(struct str *rest, char sign, struct str *out)
{
    const char *at = rest->len != 0 ? memchr(rest->at, sign, rest->len) : NULL;
    if (at == NULL)
        return false;
    *out = (struct str){rest->at, (size_t)(at - rest->at)};
    *rest = (struct str){at + 1, rest->len - out->len - 1};
    return true;
}

static bool read_bytes(struct str text, size_t least, size_t most, uint8_t *out, size_t *len)
{
    uint8_t bytes[VERIFIER_HASH_MAX + 8];
    if (text.len > 4 * ((most + 2) / 3) || !base64_decode(text, bytes, sizeof(bytes), len) ||
        *len < least || *len > most)
        return false;
    memcpy(out, bytes, *len);
    return true;
}

/* "SCRAM-SHA-256$4096:SALT$STORED:SERVER" */
static bool read_verifier(struct str text, struct verifier *out)
{
    struct str mechanism, iterations, salt, stored;
    int64_t rounds;
    size_t len, hash_len;
    if (!cut(&text, '$', &mechanism) || !cut(&text, ':', &iterations) || !cut(&text, '$', &salt) ||
        !cut(&text, ':', &stored) || str_to_i64(iterations, &rounds) != ERR_OK)
        return false;
    if (!str_is(mechanism, "SCRAM-SHA-256") && !str_is(mechanism, "SCRAM-SHA-512"))
        return false;
    if (rounds < VERIFIER_ITERATIONS_MIN || rounds > VERIFIER_ITERATIONS_MAX)
        return false;
    *out = (struct verifier){.iterations = (int32_t)rounds};
    out->hash = str_is(mechanism, "SCRAM-SHA-256") ? VERIFIER_SHA_256 : VERIFIER_SHA_512;
    hash_len = out->hash == VERIFIER_SHA_256 ? 32 : 64;
    if (!read_bytes(salt, 1, VERIFIER_SALT_MAX, out->salt, &len))
        return false;
    out->salt_len = (uint32_t)len;
    return read_bytes(stored, hash_len, hash_len, out->stored_key, &len) &&
           read_bytes(text, hash_len, hash_len, out->server_key, &len);
}

void user_spec_verifiers(const struct user_spec *spec, struct verifier out[VERIFIER_HASHES])
{
    memset(out, 0, VERIFIER_HASHES * sizeof(*out));
    for (size_t i = 0; i < spec->verifiers.n; i++) {
        struct verifier v;
        bool read = read_verifier(spec->verifiers.at[i], &v);
        weir_assert(read); /* the table has checked it */
        out[v.hash - 1] = v;
    }
}

/* ---- User ----------------------------------------------------------------------------------- */

static enum err check_verifiers(const struct spec_field *field, const void *value,
                                struct err_text *text)
{
    const struct spec_texts *texts = value;
    unsigned seen = 0;
    (void)field;
    for (size_t i = 0; i < texts->n; i++) {
        struct verifier v;
        if (!read_verifier(texts->at[i], &v))
            return err_say(text, ERR_CONFIG_INVALID,
                           "must be SCRAM-SHA-256$ROUNDS:SALT$STORED-KEY:SERVER-KEY each, or "
                           "SCRAM-SHA-512, with %d to %d rounds and the rest in base64",
                           VERIFIER_ITERATIONS_MIN, VERIFIER_ITERATIONS_MAX);
        if ((seen & (1u << v.hash)) != 0)
            return err_say(text, ERR_CONFIG_INVALID, "must have one of each mechanism at most");
        seen |= 1u << v.hash;
    }
    return ERR_OK;
}

static enum err check_user(void *value, struct arena *arena, const char **field,
                           struct err_text *text)
{
    const struct user_spec *spec = value;
    (void)arena;
    *field = "verifiers";
    if (spec->password.at != NULL && spec->verifiers.n != 0)
        return err_say(text, ERR_CONFIG_INVALID, "must not be there beside a password");
    return ERR_OK;
}

static enum err check_password(const struct spec_field *field, const void *value,
                               struct err_text *text)
{
    (void)field;
    if (((const struct str *)value)->len != 0)
        return ERR_OK;
    return err_say(text, ERR_CONFIG_INVALID, "must not be empty");
}

#define USER(member) offsetof(struct user_spec, member)
static const struct spec_field user_fields[] = {
    {.path = "password",
     .type = SPEC_TEXT,
     .offset = USER(password),
     .max = USER_PASSWORD_MAX,
     .secret = true,
     .check = check_password,
     .doc = "What the user logs in with. Only verifiers are kept of it, for SCRAM-SHA-256 and "
            "-512; PLAIN checks against them. If neither it nor verifiers are said: as it is."},
    {.path = "verifiers",
     .type = SPEC_TEXTS,
     .offset = USER(verifiers),
     .secret = true,
     .check = check_verifiers,
     .doc = "Instead of a password what is kept of one, a text for each mechanism: "
            "SCRAM-SHA-256$4096:SALT$STORED-KEY:SERVER-KEY."},
};

const struct spec_kind user_kind = {
    .name = "User",
    .plural = "users",
    .doc = "Who may log in: by SASL from Kafka's clients, by a password over HTTP.",
    .fields = user_fields,
    .n = sizeof(user_fields) / sizeof(user_fields[0]),
    .bytes = sizeof(struct user_spec),
    .check = check_user,
};

/* ---- AccessGrant ---------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum access_role role;
} roles[] = {{"Sender", ACCESS_SENDER}, {"Receiver", ACCESS_RECEIVER}, {"Owner", ACCESS_OWNER}};
#define ROLES (sizeof(roles) / sizeof(roles[0]))

static unsigned role_of(struct str name)
{
    for (size_t i = 0; i < ROLES; i++)
        if (str_is(name, roles[i].name))
            return roles[i].role;
    return 0;
}

static enum err check_roles(const struct spec_field *field, const void *value,
                            struct err_text *text)
{
    const struct spec_texts *texts = value;
    (void)field;
    for (size_t i = 0; i < texts->n; i++) {
        if (role_of(texts->at[i]) == 0)
            return err_say(text, ERR_CONFIG_INVALID,
                           "must be of Sender, Receiver and Owner; %.64s "
                           "is none",
                           texts->at[i].at);
    }
    return texts->n != 0 ? ERR_OK
                         : err_say(text, ERR_CONFIG_INVALID, "must have one role at least");
}

static bool begins(struct str s, const char *with)
{
    size_t n = strlen(with);
    return s.len > n && memcmp(s.at, with, n) == 0;
}

static enum err check_principal(const struct spec_field *field, const void *value,
                                struct err_text *text)
{
    (void)field;
    if (begins(*(const struct str *)value, "User:"))
        return ERR_OK;
    return err_say(text, ERR_CONFIG_INVALID,
                   "must be User:NAME, User:CN=... of a certificate, or "
                   "User:* for everybody");
}

/* What a grant can be on by name. */
static const struct {
    const char *name;
    enum access_kind kind;
    size_t offset;
} place_names[] = {{"topic", ACCESS_TOPIC, offsetof(struct grant_spec, topic)},
                   {"group", ACCESS_GROUP, offsetof(struct grant_spec, group)},
                   {"function", ACCESS_FUNCTION, offsetof(struct grant_spec, function)}};
#define PLACES (sizeof(place_names) / sizeof(place_names[0]))

static struct str place_in(const struct grant_spec *spec, size_t i)
{
    return *(const struct str *)(const void *)((const char *)spec + place_names[i].offset);
}

static enum err check_grant(void *value, struct arena *arena, const char **field,
                            struct err_text *text)
{
    const struct grant_spec *spec = value;
    int places = spec->cluster;
    (void)arena;
    *field = "";
    for (size_t i = PLACES; i-- > 0;) {
        bool given = place_in(spec, i).at != NULL;
        places += given;
        *field = given ? place_names[i].name : *field;
    }
    if (places == 1)
        return ERR_OK;
    return err_say(text, ERR_CONFIG_INVALID,
                   places == 0 ? "must have one of topic, group, function and cluster: {}"
                               : "is one place too many: give one of topic, group, function and "
                                 "cluster");
}

#define GRANT(member) offsetof(struct grant_spec, member)
static const struct spec_field grant_fields[] = {
    {.path = "principal",
     .type = SPEC_TEXT,
     .offset = GRANT(principal),
     .max = ACCESS_PRINCIPAL_MAX,
     .required = true,
     .check = check_principal,
     .doc = "Who: User:NAME, the User:CN=... of a client certificate, or User:* for everybody."},
    {.path = "roles",
     .type = SPEC_TEXTS,
     .offset = GRANT(roles),
     .required = true,
     .check = check_roles,
     .doc = "What he may: Sender appends, and calls functions with requests; Receiver reads, "
            "commits and settles; Owner does all, and creates, changes, deletes and grants."},
    {.path = "topic",
     .type = SPEC_TEXT,
     .offset = GRANT(topic),
     .max = TOPIC_NAME_MAX,
     .doc = "On which topic; payments-* is all whose names begin so."},
    {.path = "group",
     .type = SPEC_TEXT,
     .offset = GRANT(group),
     .max = TOPIC_NAME_MAX,
     .doc = "On which consumer group, likewise."},
    {.path = "function",
     .type = SPEC_TEXT,
     .offset = GRANT(function),
     .max = TOPIC_NAME_MAX,
     .doc = "On which function, likewise: its Sender may call it with requests."},
    {.path = "cluster", .type = SPEC_PRESENT, .offset = GRANT(cluster), .doc = "On everything."},
};

const struct spec_kind grant_kind = {
    .name = "AccessGrant",
    .plural = "accessgrants",
    .doc = "What somebody may do. What nobody was granted anybody may use who got in.",
    .fields = grant_fields,
    .n = sizeof(grant_fields) / sizeof(grant_fields[0]),
    .bytes = sizeof(struct grant_spec),
    .check = check_grant,
};

void grant_spec_grant(const struct grant_spec *spec, struct access_grant *out)
{
    struct str on = {NULL, 0};
    *out = (struct access_grant){.kind = ACCESS_CLUSTER};
    for (size_t i = 0; i < PLACES && on.at == NULL; i++) {
        on = place_in(spec, i);
        out->kind = on.at != NULL ? place_names[i].kind : ACCESS_CLUSTER;
    }
    str_copy(out->principal, sizeof(out->principal), spec->principal);
    for (size_t i = 0; i < spec->roles.n; i++)
        out->roles |= role_of(spec->roles.at[i]);
    out->prefix = on.len != 0 && on.at[on.len - 1] == '*';
    str_copy(out->on, sizeof(out->on), (struct str){on.at, on.len - out->prefix});
}

static enum err keep(struct arena *arena, const char *s, bool prefix, struct str *out)
{
    size_t len = strlen(s) + prefix;
    char *at = arena_alloc(arena, len + 1);
    if (at == NULL)
        return ERR_MEMORY;
    memcpy(at, s, len - prefix);
    if (prefix)
        at[len - 1] = '*';
    at[len] = '\0';
    *out = (struct str){at, len};
    return ERR_OK;
}

enum err grant_spec_of(const struct access_grant *grant, struct arena *arena,
                       struct grant_spec *out)
{
    spec_init(&grant_kind, out);
    out->cluster = grant->kind == ACCESS_CLUSTER;
    out->roles.at = arena_zalloc(arena, ROLES, sizeof(*out->roles.at));
    if (out->roles.at == NULL)
        return ERR_MEMORY;
    for (size_t i = 0; i < ROLES; i++)
        if ((grant->roles & roles[i].role) != 0)
            out->roles.at[out->roles.n++] = str_of(roles[i].name);
    enum err err = keep(arena, grant->principal, false, &out->principal);
    for (size_t i = 0; err == ERR_OK && i < PLACES; i++) {
        if (grant->kind == place_names[i].kind)
            err = keep(arena, grant->on, grant->prefix,
                       (struct str *)(void *)((char *)out + place_names[i].offset));
    }
    return err;
}
