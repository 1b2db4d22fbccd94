/* TLS where it is used: between a socket of a loop and a user, on the real network and on the
 * simulated one. The client is OpenSSL's, on memory too. */
#include "auth/tls.h"

#include "../io/world.h"
#include "certificates.h"

#include "base/cursor.h"

#include <openssl/ssl.h>
#include <string.h>

#define ECHO_BYTES ((size_t)300000)

static struct tls_context *context;
static struct listener *listener;

/* ---- the server: what comes goes back ---- */

static struct server {
    struct pipe *pipe;
    uint8_t space[5000];
    enum err why;
    bool closed;
} server;

static void *server_space(void *user, size_t *cap)
{
    (void)user;
    *cap = sizeof server.space;
    return server.space;
}

static void server_received(void *user, size_t n)
{
    struct chunkq q;
    (void)user;
    if (n == 0) {
        pipe_close(server.pipe);
        return;
    }
    chunkq_init(&q);
    chunkq_add_copy(&q, server.space, n);
    (void)pipe_send(server.pipe, &q);
}

static void server_closed(void *user, enum err why)
{
    (void)user;
    server.closed = true;
    server.why = why;
    world_stop();
}

static const struct pipe_user_ops server_ops = {
    .space = server_space, .received = server_received, .closed = server_closed};

static bool accept_one(void *arg, struct loop *loop, struct pipe *carrier)
{
    (void)arg;
    server.pipe = tls_accept(context, loop_env(loop), carrier);
    server.pipe->user_ops = &server_ops;
    return true;
}

/* ---- the client ---- */

static struct client {
    struct pipe *pipe;
    SSL *ssl;
    uint8_t space[3000];
    size_t sent, got;
    bool differs, ended;
} client;

static uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 7 + i / 253);
}

static void client_flush(void)
{
    char *bytes;
    struct chunkq q;
    long n = BIO_get_mem_data(SSL_get_wbio(client.ssl), &bytes);
    chunkq_init(&q);
    chunkq_add_copy(&q, bytes, n > 0 ? (size_t)n : 0);
    (void)BIO_reset(SSL_get_wbio(client.ssl));
    (void)pipe_send(client.pipe, &q);
}

static void client_write(void)
{
    uint8_t piece[1000];
    while (client.sent < ECHO_BYTES) {
        for (size_t i = 0; i < sizeof piece; i++)
            piece[i] = pattern(client.sent + i);
        assert_int_equal(SSL_write(client.ssl, piece, sizeof piece), sizeof piece);
        client.sent += sizeof piece;
    }
}

static void client_pump(void)
{
    uint8_t piece[4096];
    int n;
    if (!SSL_is_init_finished(client.ssl))
        (void)SSL_do_handshake(client.ssl);
    if (SSL_is_init_finished(client.ssl))
        client_write();
    while (SSL_is_init_finished(client.ssl) && (n = SSL_read(client.ssl, piece, sizeof piece)) > 0)
        for (int i = 0; i < n; i++)
            client.differs |= piece[i] != pattern(client.got++);
    if (client.got == ECHO_BYTES && !client.ended) {
        client.ended = true;
        SSL_shutdown(client.ssl);
    }
    client_flush();
}

static void *client_space(void *user, size_t *cap)
{
    (void)user;
    *cap = sizeof client.space;
    return client.space;
}

static void client_received(void *user, size_t n)
{
    (void)user;
    if (n == 0) {
        pipe_close(client.pipe);
        return;
    }
    BIO_write(SSL_get_rbio(client.ssl), client.space, (int)n);
    client_pump();
}

static void client_closed(void *user, enum err why)
{
    (void)user, (void)why;
    client.pipe = NULL;
}

static const struct pipe_user_ops client_ops = {
    .space = client_space, .received = client_received, .closed = client_closed};

/* ---- both ---- */

static void begin(struct env_mail *mail, struct env *env)
{
    (void)mail, (void)env;
    assert_int_equal(
        loop_connect(world.loops[0], listener_addr(listener), &client_ops, NULL, &client.pipe),
        ERR_OK);
    client_pump();
}

static void echo_over(enum world_kind kind, uint64_t seed)
{
    struct identity id = identity_make("server", NULL);
    char certificate[100], key[100];
    struct err_text text = {""};
    struct env_mail mail = {.run = begin};
    world_make_seeded(kind, 1, seed);
    if (kind == WORLD_SIM)
        sim_net_set_faults(world.sim,
                           &(struct sim_net_faults){.delay_max_us = 5000, .short_one_in = 3});
    identity_write(&id, world.disk, world.dir, "server.pem", "server.key");
    snprintf(certificate, sizeof certificate, "%s/server.pem", world.dir);
    snprintf(key, sizeof key, "%s/server.key", world.dir);
    const struct tls_conf conf = {.disk = world.disk, .certificate = certificate, .key = key};
    assert_int_equal(tls_context_make(&conf, &context, &text), ERR_OK);
    const struct listen_conf listen = {"127.0.0.1:0", accept_one, NULL};
    assert_int_equal(loop_listen(world.loops, 1, &listen, &listener, &text), ERR_OK);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    server = (struct server){0};
    client = (struct client){.ssl = SSL_new(ctx)};
    SSL_set_bio(client.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    BIO_set_mem_eof_return(SSL_get_rbio(client.ssl), -1);
    SSL_set_connect_state(client.ssl);
    env_post(loop_env(world.loops[0]), 0, &mail);
    world_run();
    assert_true(server.closed);
    assert_int_equal(server.why, ERR_OK);
    assert_int_equal(client.got, ECHO_BYTES);
    assert_false(client.differs);
    assert_int_equal(SSL_get_shutdown(client.ssl) & SSL_SENT_SHUTDOWN, SSL_SENT_SHUTDOWN);
    listener_close(listener);
    world_free();
    SSL_free(client.ssl);
    SSL_CTX_free(ctx);
    tls_context_free(context);
    identity_free(&id);
}

static void bytes_go_there_and_back_on_sockets(void **state)
{
    (void)state;
    echo_over(WORLD_REAL, 1);
}

static void bytes_go_there_and_back_in_a_simulation(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++)
        echo_over(WORLD_SIM, seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_there_and_back_on_sockets),
        cmocka_unit_test(bytes_go_there_and_back_in_a_simulation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
