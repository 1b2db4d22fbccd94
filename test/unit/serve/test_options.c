/* Which listeners follow from flags, environment and file. */
#include "serve_options.h"

#include "../check.h"

#include <string.h>

static char path[] = "/tmp/weir-serve-XXXXXX";
static struct serve_options o;
static struct serve_listener_conf at[SERVE_LISTENERS_MAX];
static size_t n;
static struct err_text text;

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

/* The listeners of a file (NULL: none) and flags with blanks between. */
static enum err resolve(const char *file, const char *flags)
{
    static char copy[512];
    char *argv[16] = {"serve"}, *rest = copy;
    int argc = 1, fd = open(path, O_WRONLY | O_TRUNC);
    size_t args_n;
    bool help;
    if (file)
        assert_int_equal(write(fd, file, strlen(file)), strlen(file));
    close(fd);
    snprintf(copy, sizeof copy, "%s", flags);
    for (char *word; (word = strsep(&rest, " ")) != NULL;) {
        if (*word)
            argv[argc++] = word;
    }
    if (file) {
        argv[argc++] = "--config";
        argv[argc++] = path;
    }
    options_free(&serve_option_set, &o);
    o = (struct serve_options){0};
    memset(at, 0, sizeof at);
    if (options_parse(&serve_option_set, argc, argv, &o, NULL, &args_n, &help, &text))
        fail_msg("%s", text.s);
    return serve_options_listeners(&o, at, &n, &text);
}

static void good(const char *file, const char *flags, size_t expected)
{
    if (resolve(file, flags))
        fail_msg("%s", text.s);
    assert_int_equal(n, expected);
}

static void refused(const char *file, const char *flags, enum err err, const char *says)
{
    assert_int_equal(resolve(file, flags), err);
    if (!strstr(text.s, says))
        fail_msg("'%s' does not say '%s'", text.s, says);
}

static void is(size_t i, const char *name, const char *bind, const char *advertised)
{
    assert_true(str_is(at[i].name, name));
    assert_true(str_is(at[i].bind, bind));
    if (!str_eq(at[i].advertised, str_of(advertised)))
        fail_msg("%s: advertised %.*s", name, (int)at[i].advertised.len, at[i].advertised.at);
}

#define TWO                                                                                        \
    "listeners:\n"                                                                                 \
    "  - {name: in, protocol: kafka, bind: '127.0.0.1:1'}\n"                                       \
    "  - {name: out, protocol: kafka, bind: '[::1]:2', advertised: 'h:2',\n"                       \
    "     tls: {certificate: c, key: k}}\n"

static void test_short_forms(void **state)
{
    (void)state;
    good(NULL, "", 2);
    is(0, "kafka", "127.0.0.1:9092", NULL);
    is(1, "http", "127.0.0.1:8080", NULL);
    assert_int_equal(at[0].protocol, SERVE_KAFKA);
    assert_int_equal(at[1].protocol, SERVE_HTTP);
    assert_int_equal(at[0].authentication, SERVE_AUTH_OPTIONAL);
    good(NULL, "--kafka [::1]:7 --kafka-advertise h:8 --http unix:/x", 2);
    is(0, "kafka", "[::1]:7", "h:8");
    is(1, "http", "unix:/x", NULL);
}

static void test_a_list(void **state)
{
    (void)state;
    good(TWO, "", 2);
    is(0, "in", "127.0.0.1:1", NULL);
    is(1, "out", "[::1]:2", "h:2");
    assert_null(at[0].certificate.at);
    assert_true(str_is(at[1].certificate, "c"));
    good(TWO, "--http 127.0.0.1:3 --kafka 127.0.0.1:4", 4); /* given: they stand beside it */
    is(2, "kafka", "127.0.0.1:4", NULL);
    good("listeners: [{name: http, protocol: http, bind: '127.0.0.1:1'}]\n",
         "--http :5 "
         "--allow-anonymous",
         1);
    is(0, "http", ":5", NULL);
}

static void test_advertised_listeners(void **state)
{
    (void)state;
    good(NULL, "--kafka-advertised-listeners PLAINTEXT://a.example:1", 2);
    is(0, "kafka", "127.0.0.1:9092", "a.example:1");
    good(NULL, "--kafka-advertised-listeners EXTERNAL://a:1", 2); /* there is only one */
    is(0, "kafka", "127.0.0.1:9092", "a:1");
    good(NULL, "--kafka-advertised-listeners PLAINTEXT://a:1 --kafka-advertise b:2", 2);
    is(0, "kafka", "127.0.0.1:9092", "b:2");
    good(TWO, "--kafka-advertised-listeners IN://a:1,SSL://b:2", 2);
    is(0, "in", "127.0.0.1:1", "a:1");
    is(1, "out", "[::1]:2", "h:2"); /* its own counts */
    refused(TWO, "--kafka-advertised-listeners IN://a:1,OTHER://b:2", ERR_CONFIG_INVALID,
            "'OTHER://b:2' names no Kafka listener");
    refused(NULL, "--kafka-advertised-listeners a:1", ERR_CONFIG_INVALID, "NAME://HOST:PORT");
    refused(NULL, "--kafka-advertised-listeners PLAINTEXT://:1", ERR_CONFIG_INVALID, "HOST:PORT");
    refused(TWO, "--kafka-advertise b:2", ERR_CONFIG_INVALID, "several Kafka listeners");
}

static void test_tls(void **state)
{
    (void)state;
    good(TWO, "--tls-certificate C --tls-key K --tls-client-ca A", 2);
    assert_true(str_is(at[0].certificate, "C") && str_is(at[0].client_ca, "A"));
    assert_true(str_is(at[1].certificate, "c") && str_is(at[1].key, "k"));
    assert_null(at[1].client_ca.at);
    refused(NULL, "--tls-key K", ERR_CONFIG_INVALID, "both a certificate and its key");
    refused(NULL, "--tls-client-ca A", ERR_CONFIG_INVALID, "need TLS");
    refused("listeners: [{name: a, protocol: kafka, bind: '127.0.0.1:1', tls: {certificate: c, "
            "key: k, clientRequired: true}}]\n",
            "", ERR_CONFIG_INVALID, "needs clientCa");
}

#define OPEN(auth) "listeners: [{name: a, protocol: http, bind: '0.0.0.0:1'" auth "}]\n"

static void test_exposure(void **state)
{
    (void)state;
    good(OPEN(""), "", 1);
    assert_int_equal(at[0].authentication, SERVE_AUTH_REQUIRED);
    good(OPEN(""), "--allow-anonymous", 1);
    assert_int_equal(at[0].authentication, SERVE_AUTH_OPTIONAL);
    good(OPEN(", authentication: required"), "--allow-anonymous", 1);
    assert_int_equal(at[0].authentication, SERVE_AUTH_REQUIRED);
    refused(OPEN(", authentication: optional"), "", ERR_POLICY, "--allow-anonymous");
    good(NULL, "--kafka localhost:1 --http unix:/x", 2);
    assert_int_equal(at[0].authentication, SERVE_AUTH_OPTIONAL);
    assert_int_equal(at[1].authentication, SERVE_AUTH_OPTIONAL);
    static const char *const near[] = {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1",
                                       "unix:/a"};
    static const char *const far[] = {"0.0.0.0:1", "[::]:1", ":1", "example.com:1", "10.0.0.1:1"};
    for (size_t i = 0; i < 5; i++) {
        assert_true(serve_is_loopback(str_of(near[i])));
        assert_false(serve_is_loopback(str_of(far[i])));
    }
}

static void test_what_is_wrong(void **state)
{
    (void)state;
    refused("listeners: [{name: a, protocol: http, bind: x}]\n", "", ERR_CONFIG_INVALID,
            "listener a: bind 'x' is not HOST:PORT");
    refused("listeners: [{name: a, protocol: http, bind: '127.0.0.1:1'}, "
            "{name: a, protocol: http, bind: '127.0.0.1:2'}]\n",
            "", ERR_CONFIG_INVALID, "two listeners have the name a");
    refused("listeners: [{name: a, protocol: http, bind: '127.0.0.1:1', advertised: 'h:1'}]\n", "",
            ERR_CONFIG_INVALID, "only Kafka clients");
    refused("listeners: [{name: a, protocol: kafka, bind: '127.0.0.1:1', advertised: h}]\n", "",
            ERR_CONFIG_INVALID, "advertised 'h' is not HOST:PORT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_forms),
        cmocka_unit_test(test_a_list),
        cmocka_unit_test(test_advertised_listeners),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_exposure),
        cmocka_unit_test(test_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
