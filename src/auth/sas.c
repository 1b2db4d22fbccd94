#include "auth/sas.h"

#include "base/base64.h"
#include "base/secret.h"
#include "base/when.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define KEY_BYTES_MAX 256

/* ---- which credential ----------------------------------------------------------------------- */

static struct str trim(struct str s)
{
    while (s.len && (s.at[0] == ' ' || s.at[0] == '\t'))
        s = (struct str){s.at + 1, s.len - 1};
    while (s.len && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* "scheme rest"; schemes do not mind case (RFC 9110, section 11.1). */
static bool scheme_is(struct str authorization, const char *scheme, struct str *rest)
{
    size_t n = strlen(scheme);
    if (authorization.len < n || strncasecmp(authorization.at, scheme, n) != 0 ||
        (authorization.len > n && authorization.at[n] != ' '))
        return false;
    *rest = trim((struct str){authorization.at + n, authorization.len - n});
    return true;
}

struct sas_credential sas_credential_of(struct str key, struct str token, struct str authorization)
{
    struct sas_credential c = {SAS_NONE, {NULL, 0}};
    struct str rest;
    int n = (key.at != NULL) + (token.at != NULL);
    if (key.at)
        c = (struct sas_credential){SAS_KEY, trim(key)};
    if (token.at)
        c = (struct sas_credential){SAS_TOKEN, trim(token)};
    if (authorization.at && scheme_is(trim(authorization), "SharedAccessKey", &rest)) {
        c = (struct sas_credential){SAS_KEY, rest};
        n++;
    } else if (authorization.at && scheme_is(trim(authorization), "SharedAccessSignature", &rest)) {
        c = (struct sas_credential){SAS_TOKEN, rest};
        n++;
    }
    if (n > 1 || (n == 1 && c.text.len == 0))
        c.kind = SAS_BAD;
    return c;
}

/* ---- decoding ------------------------------------------------------------------------------- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* False: a bad escape, a NUL, or longer than cap - 1. */
static bool percent_decode(struct str in, char *out, size_t cap, size_t *len)
{
    size_t n = 0;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.at[i];
        if (c == '%') {
            if (in.len - i < 3 || hex(in.at[i + 1]) < 0 || hex(in.at[i + 2]) < 0)
                return false;
            c = (char)(hex(in.at[i + 1]) << 4 | hex(in.at[i + 2]));
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        if (c == '\0' || n + 1 >= cap)
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    *len = n;
    return true;
}

/* ---- times ---------------------------------------------------------------------------------- */

/* A number of 1 to `digits` digits, then `after`. */
static bool take_number(const char **at, unsigned digits, char after, unsigned *out)
{
    const char *p = *at;
    *out = 0;
    for (; *p >= '0' && *p <= '9' && p - *at < (ptrdiff_t)digits; p++)
        *out = *out * 10 + (unsigned)(*p - '0');
    if (p == *at || (after && *p != after))
        return false;
    *at = p + (after != '\0');
    return true;
}

/* .NET's "M/d/yyyy h:mm:ss tt" of en-US, as JavaScript's client writes it too. Newer systems put a
 * narrow no-break space before AM and PM. */
static bool us_time(const char *p, int64_t *out)
{
    static const char narrow[] = "\xe2\x80\xaf";
    unsigned year, month, day, hour, minute, second;
    char text[WHEN_TEXT_MAX];
    if (!take_number(&p, 2, '/', &month) || !take_number(&p, 2, '/', &day) ||
        !take_number(&p, 4, ' ', &year) || !take_number(&p, 2, ':', &hour) ||
        !take_number(&p, 2, ':', &minute) || !take_number(&p, 2, '\0', &second))
        return false;
    p += *p == ' ' ? 1 : strncmp(p, narrow, 3) == 0 ? 3 : 0;
    bool am = strcasecmp(p, "AM") == 0, pm = strcasecmp(p, "PM") == 0;
    if ((!am && !pm && *p) || ((am || pm) && (hour < 1 || hour > 12)))
        return false;
    if (am || pm)
        hour = hour % 12 + (pm ? 12 : 0);
    snprintf(text, sizeof text, "%04u-%02u-%02uT%02u:%02u:%02uZ", year, month, day, hour, minute,
             second);
    return when_datetime(str_of(text), out);
}

/* As Python's str() and isoformat() of a time write it. */
static bool iso_time(char *text, int64_t *out)
{
    if (strlen(text) > 10 && text[10] == ' ')
        text[10] = 'T';
    return when_datetime(str_of(text), out);
}

/* ---- tokens --------------------------------------------------------------------------------- */

/* The value of "x=..." up to the next '&' (or, if last, the end). */
static bool take_field(struct str *rest, char name, bool last, struct str *value)
{
    if (rest->len < 2 || rest->at[0] != name || rest->at[1] != '=')
        return false;
    struct str v = {rest->at + 2, rest->len - 2};
    const char *end = v.len ? memchr(v.at, '&', v.len) : NULL;
    if ((end == NULL) != last)
        return false;
    value->at = v.at;
    value->len = end ? (size_t)(end - v.at) : v.len;
    size_t used = 2 + value->len + (end != NULL);
    *rest = (struct str){rest->at + used, rest->len - used};
    return true;
}

enum err sas_token_read(struct str text, struct sas_token *out, struct err_text *why)
{
    struct str rest = text, r, e, s;
    char expiry[64], signature[128];
    size_t n;
    if (text.len > SAS_TOKEN_MAX || !take_field(&rest, 'r', false, &r) ||
        !take_field(&rest, 'e', false, &e))
        return err_say(why, ERR_AUTH_FAILED, "a shared access signature is r=...&e=...&s=...");
    out->signed_text = (struct str){text.at, (size_t)(e.at + e.len - text.at)};
    if (!take_field(&rest, 's', true, &s) ||
        !percent_decode(r, out->resource, sizeof out->resource, &n) ||
        !percent_decode(s, signature, sizeof signature, &n))
        return err_say(why, ERR_AUTH_FAILED, "a shared access signature is r=...&e=...&s=...");
    if (!base64_decode((struct str){signature, n}, out->signature, sizeof out->signature, &n) ||
        n != sizeof out->signature)
        return err_say(why, ERR_AUTH_FAILED, "s= is no HMAC-SHA256 in base64");
    if (!percent_decode(e, expiry, sizeof expiry, &n) ||
        (!us_time(expiry, &out->expires_ms) && !iso_time(expiry, &out->expires_ms)))
        return err_say(why, ERR_AUTH_FAILED,
                       "e= is no time as \"6/15/2026 6:20:15 PM\" or \"2026-06-15T18:20:15Z\"");
    return ERR_OK;
}

bool sas_token_signed(const struct sas_token *t, struct str key)
{
    uint8_t bytes[KEY_BYTES_MAX], made[SAS_SIGNATURE_BYTES];
    unsigned len = 0;
    size_t n;
    if (!base64_decode(key, bytes, sizeof bytes, &n) || n == 0)
        return false;
    bool ok = HMAC(EVP_sha256(), bytes, (int)n, (const uint8_t *)t->signed_text.at,
                   t->signed_text.len, made, &len) != NULL;
    secret_clear(bytes, sizeof bytes);
    return ok && secret_eq(made, t->signature, sizeof made);
}

struct str sas_token_path(const struct sas_token *t)
{
    const char *host = strstr(t->resource, "://");
    const char *path = host ? strchr(host + 3, '/') : t->resource;
    if (!path)
        return STR_LIT("/");
    return (struct str){path, strcspn(path, "?#")};
}
