/* Tokens as Event Grid's clients make them, and everything that is not quite one. */
#include "auth/sas.h"

#include "base/base64.h"
#include "base/random.h"

#include "../check.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#define KEY "c2VjcmV0LWtleS1vZi1hLXRvcGlj"
#define JUNE_15 INT64_C(1781547615000) /* 2026-06-15T18:20:15Z */

static struct str absent;

/* The token's text with its signature by KEY, in static memory. */
static struct str sign(const char *unsigned_text)
{
    static char token[SAS_TOKEN_MAX + 200];
    uint8_t key[64], mac[32];
    char text[64];
    size_t n;
    assert_true(base64_decode(STR_LIT(KEY), key, sizeof key, &n));
    HMAC(EVP_sha256(), key, (int)n, (const uint8_t *)unsigned_text, strlen(unsigned_text), mac,
         NULL);
    base64_encode(text, mac, sizeof mac);
    size_t at = (size_t)snprintf(token, sizeof token, "%s&s=", unsigned_text);
    for (const char *c = text; *c; c++)
        at += (size_t)snprintf(token + at, sizeof token - at,
                               *c == '+' || *c == '/' || *c == '=' ? "%%%02x" : "%c", *c);
    return (struct str){token, at};
}

static void tokens_of_real_clients(void **state)
{
    static const char *const texts[] = {
        /* .NET, with HttpUtility.UrlEncode */
        "r=https%3a%2f%2fweir%3a8443%2ftopics%2ft%2fapi%2fevents&e=6%2f15%2f2026+6%3a20%3a15+PM",
        "r=https%3a%2f%2fweir%3a8443%2ftopics%2ft%2fapi%2fevents"
        "&e=6%2f15%2f2026+6%3a20%3a15%e2%80%afPM",
        /* JavaScript */
        "r=https%3A%2F%2Fweir%3A8443%2Ftopics%2Ft%2Fapi%2Fevents%3FapiVersion%3D2018-01-01"
        "&e=6%2F15%2F2026%206%3A20%3A15%20PM",
        /* Python: str() of a time without and with a zone, isoformat() */
        "r=https%3A%2F%2Fweir%3A8443%2Ftopics%2Ft%2Fapi%2Fevents%3FapiVersion%3D2018-01-01"
        "&e=2026-06-15%2018%3A20%3A15",
        "r=https%3A%2F%2Fweir%3A8443%2Ftopics%2Ft%2Fapi%2Fevents"
        "&e=2026-06-15%2020%3A20%3A15%2B02%3A00",
        "r=https%3A%2F%2Fweir%3A8443%2Ftopics%2Ft%2Fapi%2Fevents&e=2026-06-15T18%3A20%3A15",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct sas_token t;
        struct err_text why = {""};
        assert_int_equal(sas_token_read(sign(texts[i]), &t, &why), ERR_OK);
        assert_int_equal(t.expires_ms, JUNE_15);
        assert_true(str_is(sas_token_path(&t), "/topics/t/api/events"));
        assert_true(sas_token_signed(&t, STR_LIT(KEY)));
        assert_false(sas_token_signed(&t, STR_LIT("c2VjcmV0LWtleS1vZi1hLXRvcGlk")));
        assert_false(sas_token_signed(&t, STR_LIT("not base64")));
        assert_false(sas_token_signed(&t, STR_LIT("")));
        t.signature[31] ^= 1;
        assert_false(sas_token_signed(&t, STR_LIT(KEY)));
    }
}

/* As azure-eventgrid for Python writes it; nothing has signed it. */
static void a_token_from_elsewhere(void **state)
{
    struct sas_token t;
    (void)state;
    struct str text =
        STR_LIT("r=http%3A%2F%2Flocalhost%2Ftopics%2Ft%2Fapi%2Fevents%3FapiVersion%3D2018-01-01"
                "&e=2026-06-15%2018%3A20%3A15&s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D");
    assert_int_equal(sas_token_read(text, &t, NULL), ERR_OK);
    assert_false(sas_token_signed(&t, STR_LIT(KEY)));
}

static void what_is_no_token_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "r=",
        "r=a&e=2026-06-15T18:20:15",
        "r=a&s=AAAA&e=2026-06-15T18:20:15",
        "r=a&e=yesterday&s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D",
        "r=a&e=6/31/2026 6:20:15 PM&s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D",
        "r=a&e=6/15/2026 0:20:15 PM&s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D",
        "r=a&e=6/15/2026 13:20:15 PM&s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D",
        "r=a&e=6/15/2026 6:20:15 XM&s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D",
        "r=a&e=2026-06-15T18:20:15&s=AAAA",
        "r=a&e=2026-06-15T18:20:15&s=!AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D",
        "r=a&e=2026-06-15T18:20:15&s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D&x=1",
        "r=a%0&e=2026-06-15T18:20:15&s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D",
        "r=a%zz&e=2026-06-15T18:20:15&s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D",
        "r=a%00&e=2026-06-15T18:20:15&s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct sas_token t;
        struct err_text why = {""};
        assert_int_equal(sas_token_read(str_of(texts[i]), &t, &why), ERR_AUTH_FAILED);
        assert_true(why.s[0]);
    }
    static char longest[SAS_TOKEN_MAX + 10];
    struct sas_token t;
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "r=", 2);
    assert_int_equal(sas_token_read((struct str){longest, sizeof longest}, &t, NULL),
                     ERR_AUTH_FAILED);
}

/* Midnight and noon, of a clock with twelve hours and of one with 24. */
static void hours_of_both_clocks(void **state)
{
    static const struct {
        const char *e;
        int64_t ms;
    } times[] = {
        {"1/1/1970 12:00:00 AM", 0},
        {"1/1/1970 12:00:01 PM", 43201000},
        {"1/1/1970 1:00:00 AM", 3600000},
        {"1/1/1970 23:00:00", 82800000},
        {"2/29/2024 12:00:00 AM", INT64_C(1709164800000)},
    };
    char text[128];
    struct sas_token t;
    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        snprintf(text, sizeof text, "r=/t&e=%s", times[i].e);
        assert_int_equal(sas_token_read(sign(text), &t, NULL), ERR_OK);
        assert_int_equal(t.expires_ms, times[i].ms);
        assert_true(str_is(sas_token_path(&t), "/t"));
    }
    assert_int_equal(sas_token_read(sign("r=https://host&e=1/1/1970 1:00:00"), &t, NULL), ERR_OK);
    assert_true(str_is(sas_token_path(&t), "/"));
}

static void the_headers_say_which(void **state)
{
    struct str key = STR_LIT("k"), token = STR_LIT(" r=&e=&s= ");
    (void)state;
#define IS(want, want_text, ...)                                                                   \
    do {                                                                                           \
        struct sas_credential c = sas_credential_of(__VA_ARGS__);                                  \
        assert_int_equal(c.kind, want);                                                            \
        if (want_text)                                                                             \
            assert_true(str_is(c.text, want_text ? want_text : ""));                               \
    } while (0)
    IS(SAS_NONE, NULL, absent, absent, absent);
    IS(SAS_KEY, "k", key, absent, absent);
    IS(SAS_TOKEN, "r=&e=&s=", absent, token, absent);
    IS(SAS_KEY, "abc", absent, absent, STR_LIT("SharedAccessKey abc"));
    IS(SAS_KEY, "abc", absent, absent, STR_LIT("sharedaccesskey  abc "));
    IS(SAS_TOKEN, "r=x", absent, absent, STR_LIT("SharedAccessSignature r=x"));
    IS(SAS_NONE, NULL, absent, absent, STR_LIT("Bearer abc"));
    IS(SAS_NONE, NULL, absent, absent, STR_LIT("SharedAccessKeyish abc"));
    IS(SAS_KEY, "k", key, absent, STR_LIT("Bearer abc"));
    IS(SAS_BAD, NULL, key, token, absent);
    IS(SAS_BAD, NULL, key, absent, STR_LIT("SharedAccessKey abc"));
    IS(SAS_BAD, NULL, STR_LIT("  "), absent, absent);
    IS(SAS_BAD, NULL, absent, absent, STR_LIT("SharedAccessKey"));
}

/* A signature covers every byte before it. */
static void any_change_breaks_it(void **state)
{
    char text[256];
    struct sas_token t;
    (void)state;
    struct str token = sign("r=https%3A%2F%2Fweir%2Ft&e=2026-06-15T18%3A20%3A15");
    size_t until = (size_t)(strstr(token.at, "&s=") - token.at);
    for (size_t i = 2; i < until; i++) {
        memcpy(text, token.at, token.len);
        text[i] ^= 2;
        if (sas_token_read((struct str){text, token.len}, &t, NULL) == ERR_OK)
            assert_false(sas_token_signed(&t, STR_LIT(KEY)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_of_real_clients),      cmocka_unit_test(a_token_from_elsewhere),
        cmocka_unit_test(what_is_no_token_is_refused), cmocka_unit_test(hours_of_both_clocks),
        cmocka_unit_test(the_headers_say_which),       cmocka_unit_test(any_change_breaks_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
