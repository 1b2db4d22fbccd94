/* Users and grants as they are declared. */
#include "../check.h"

#include "broker/access_resource.h"

#include <string.h>

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static enum err read_spec(const struct spec_kind *kind, const char *json, void *out,
                          struct spec_place *where, struct err_text *text)
{
    json_t *spec = json_loads(json, 0, NULL);
    assert_non_null(spec);
    struct spec_document doc = spec_document_of(kind, STR_LIT("x"), spec);
    spec_init(kind, out);
    enum err err = spec_read(kind, &doc, &arena, out, where, text);
    json_decref(spec);
    return err;
}

static void refused(const struct spec_kind *kind, const char *json, const char *path,
                    const char *says)
{
    union {
        struct user_spec user;
        struct grant_spec grant;
    } out;
    struct spec_place where;
    struct err_text text;
    assert_int_equal(read_spec(kind, json, &out, &where, &text), ERR_CONFIG_INVALID);
    assert_string_equal(where.path, path);
    if (strstr(text.s, says) == NULL)
        fail_msg("'%s' does not say '%s'", text.s, says);
}

/* 32 and 64 bytes of zeros, and a salt. */
#define KEY_32 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define KEY_64                                                                                     \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="
#define V256 "SCRAM-SHA-256$4096:c2FsdA==$" KEY_32 ":" KEY_32
#define V512 "SCRAM-SHA-512$8192:c2FsdA==$" KEY_64 ":" KEY_64

static void test_verifiers(void **state)
{
    struct user_spec spec;
    struct spec_place where;
    struct err_text text;
    struct verifier v[VERIFIER_HASHES];
    (void)state;
    assert_int_equal(read_spec(&user_kind, "{\"verifiers\":[\"" V512 "\"]}", &spec, &where, &text),
                     ERR_OK);
    user_spec_verifiers(&spec, v);
    assert_int_equal(v[0].iterations, 0);
    assert_int_equal(v[1].iterations, 8192);
    assert_int_equal(v[1].hash, VERIFIER_SHA_512);
    assert_int_equal(v[1].salt_len, 4);
    assert_memory_equal(v[1].salt, "salt", 4);
    assert_int_equal(
        read_spec(&user_kind, "{\"verifiers\":[\"" V512 "\",\"" V256 "\"]}", &spec, &where, &text),
        ERR_OK);
    user_spec_verifiers(&spec, v);
    assert_int_equal(v[0].iterations, 4096);
    assert_int_equal(v[1].iterations, 8192);
}

static void test_verifiers_that_are_none(void **state)
{
    static const char *const wrong[] = {
        "",
        "SCRAM-SHA-256",
        "SCRAM-SHA-1$4096:c2FsdA==$" KEY_32 ":" KEY_32,
        "SCRAM-SHA-256$4095:c2FsdA==$" KEY_32 ":" KEY_32,
        "SCRAM-SHA-256$16385:c2FsdA==$" KEY_32 ":" KEY_32,
        "SCRAM-SHA-256$x:c2FsdA==$" KEY_32 ":" KEY_32,
        "SCRAM-SHA-256$4096:$" KEY_32 ":" KEY_32,
        "SCRAM-SHA-256$4096:c2FsdA$" KEY_32 ":" KEY_32,
        "SCRAM-SHA-256$4096:c2FsdA==$" KEY_64 ":" KEY_32,
        "SCRAM-SHA-256$4096:c2FsdA==$" KEY_32 ":" KEY_64,
        "SCRAM-SHA-256$4096:c2FsdA==$" KEY_32,
        "SCRAM-SHA-512$4096:c2FsdA==$" KEY_32 ":" KEY_32,
        V256 "x",
    };
    char json[512];
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(json, sizeof(json), "{\"verifiers\":[\"%s\"]}", wrong[i]);
        refused(&user_kind, json, "spec.verifiers", "base64");
    }
    refused(&user_kind, "{\"verifiers\":[\"" V256 "\",\"" V256 "\"]}", "spec.verifiers", "one of");
    refused(&user_kind, "{\"password\":\"p\",\"verifiers\":[\"" V256 "\"]}", "spec.verifiers",
            "beside a password");
    refused(&user_kind, "{\"password\":\"\"}", "spec.password", "empty");
}

static void test_users_show_nothing(void **state)
{
    struct user_spec spec;
    struct spec_place where;
    struct err_text text;
    (void)state;
    assert_int_equal(read_spec(&user_kind, "{\"password\":\"p\"}", &spec, &where, &text), ERR_OK);
    json_t *json = spec_write(&user_kind, &spec, false);
    assert_int_equal(json_object_size(json), 0);
    json_decref(json);
}

static void assert_grant(const char *json, enum access_kind kind, unsigned roles, const char *on,
                         bool prefix)
{
    struct grant_spec spec, again;
    struct access_grant grant;
    struct spec_place where;
    struct err_text text;
    if (read_spec(&grant_kind, json, &spec, &where, &text) != ERR_OK)
        fail_msg("%s: %s", where.path, text.s);
    grant_spec_grant(&spec, &grant);
    assert_string_equal(grant.principal, "User:a");
    assert_int_equal(grant.kind, kind);
    assert_int_equal(grant.roles, roles);
    assert_string_equal(grant.on, on);
    assert_int_equal(grant.prefix, prefix);
    assert_int_equal(grant_spec_of(&grant, &arena, &again), ERR_OK);
    assert_true(spec_equal(&grant_kind, &spec, &again));
}

static void test_grants(void **state)
{
    (void)state;
    assert_grant("{\"principal\":\"User:a\",\"roles\":[\"Sender\"],\"topic\":\"t\"}", ACCESS_TOPIC,
                 ACCESS_SENDER, "t", false);
    assert_grant("{\"principal\":\"User:a\",\"roles\":[\"Receiver\",\"Owner\"],\"group\":\"g-*\"}",
                 ACCESS_GROUP, ACCESS_RECEIVER | ACCESS_OWNER, "g-", true);
    assert_grant("{\"principal\":\"User:a\",\"roles\":[\"Sender\"],\"function\":\"f*\"}",
                 ACCESS_FUNCTION, ACCESS_SENDER, "f", true);
    assert_grant("{\"principal\":\"User:a\",\"roles\":[\"Owner\"],\"topic\":\"*\"}", ACCESS_TOPIC,
                 ACCESS_OWNER, "", true);
    assert_grant("{\"principal\":\"User:a\",\"roles\":[\"Owner\"],\"cluster\":{}}", ACCESS_CLUSTER,
                 ACCESS_OWNER, "", false);
}

static void test_grants_that_are_none(void **state)
{
    (void)state;
    refused(&grant_kind, "{\"principal\":\"a\",\"roles\":[\"Owner\"],\"topic\":\"t\"}",
            "spec.principal", "must be User:NAME");
    refused(&grant_kind, "{\"principal\":\"User:a\",\"roles\":[\"Reader\"],\"topic\":\"t\"}",
            "spec.roles", "Reader is none");
    refused(&grant_kind, "{\"principal\":\"User:a\",\"roles\":[],\"topic\":\"t\"}", "spec.roles",
            "one role");
    refused(&grant_kind, "{\"principal\":\"User:a\",\"topic\":\"t\"}", "spec.roles", "is missing");
    refused(&grant_kind, "{\"principal\":\"User:a\",\"roles\":[\"Owner\"]}", "spec",
            "one of topic, group, function and cluster");
    refused(&grant_kind,
            "{\"principal\":\"User:a\",\"roles\":[\"Owner\"],\"topic\":\"t\",\"cluster\":{}}",
            "spec.topic", "one place too many");
    refused(&grant_kind,
            "{\"principal\":\"User:a\",\"roles\":[\"Owner\"],\"group\":\"g\",\"function\":\"f\"}",
            "spec.group", "one place too many");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_verifiers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_verifiers_that_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_users_show_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_grants, setup, teardown),
        cmocka_unit_test_setup_teardown(test_grants_that_are_none, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
