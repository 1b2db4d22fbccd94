/* TLS between a client of OpenSSL's and a user, over a carrier that the test moves by hand. */
#include "auth/tls.h"

#include "../broker/fake_env.h"
#include "../sim_folder.h"
#include "certificates.h"

#include "base/cursor.h"
#include "io/loop.h"

#include <openssl/err.h>
#include <string.h>

#define SPACE 1000

static struct fake_world world;
static struct identity authority, server, other, stranger;

/* The server's side: carrier below, user above. */
static struct end {
    struct pipe carrier;
    struct pipe *pipe;
    struct wr sent; /* by the carrier, not yet taken by the client */
    size_t carrier_max, received_n;
    bool carrier_paused, carrier_over, carrier_closed, carrier_aborted;
    struct wr got; /* by the user */
    uint8_t space[SPACE];
    bool paused, ended, closed, echo, close_on_data;
    unsigned drained, spaces;
    enum err why;
} end;

static SSL *client;
static SSL_CTX *client_ctx;

/* ---- carrier -------------------------------------------------------------------------------- */

static bool carrier_send(struct pipe *p, struct chunkq *q)
{
    assert_false(end.carrier_closed || end.carrier_aborted);
    for (struct chunk *c = q->head; c; c = c->next)
        wr_bytes(&end.sent, c->slice.at, c->len);
    chunkq_clear(q);
    p->unsent = end.sent.len;
    end.carrier_over |= end.carrier_max && end.sent.len > end.carrier_max;
    return !end.carrier_over;
}

static void carrier_resume(struct pipe *p)
{
    (void)p;
    end.carrier_paused = false;
}

static void carrier_close(struct pipe *p)
{
    (void)p;
    end.carrier_closed = true;
}

static void carrier_abort(struct pipe *p, enum err why)
{
    (void)p, (void)why;
    end.carrier_aborted = true;
}

static const struct pipe_ops carrier_ops = {carrier_send, carrier_resume, carrier_close,
                                            carrier_abort};

/* ---- user ----------------------------------------------------------------------------------- */

static void *user_space(void *user, size_t *cap)
{
    (void)user;
    assert_false(end.closed);
    end.spaces++;
    *cap = SPACE;
    return end.paused ? NULL : end.space;
}

static void user_received(void *user, size_t n)
{
    (void)user;
    assert_false(end.closed || end.ended);
    end.ended = n == 0;
    wr_bytes(&end.got, end.space, n);
    if (end.echo && n) {
        struct chunkq q;
        chunkq_init(&q);
        chunkq_add_copy(&q, end.space, n);
        pipe_send(end.pipe, &q);
    }
    if (end.close_on_data)
        pipe_close(end.pipe);
}

static void user_drained(void *user)
{
    (void)user;
    end.drained++;
}

static void user_closed(void *user, enum err why)
{
    (void)user;
    assert_false(end.closed);
    end.closed = true;
    end.why = why;
}

static const struct pipe_user_ops user_ops = {
    .space = user_space, .received = user_received, .drained = user_drained, .closed = user_closed};

/* ---- both sides ----------------------------------------------------------------------------- */

static void end_open(struct tls_context *ctx)
{
    end = (struct end){.carrier = {.ops = &carrier_ops, .local = "l:1", .peer = "p:2"}};
    wr_init(&end.sent, 64);
    wr_init(&end.got, 64);
    end.pipe = tls_accept(ctx, &world.envs[0].env, &end.carrier);
    end.pipe->user_ops = &user_ops;
    assert_string_equal(end.pipe->local, "l:1");
    assert_string_equal(end.pipe->peer, "p:2");
}

static void client_open(int version)
{
    client_ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(client_ctx, version);
    SSL_CTX_set_max_proto_version(client_ctx, version);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(client_ctx), authority.certificate);
    SSL_CTX_set_verify(client_ctx, SSL_VERIFY_PEER, NULL);
    client = SSL_new(client_ctx);
    SSL_set_bio(client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client);
}

/* Bytes for the carrier's user, in pieces; what is not taken because it pauses is dropped. */
static size_t deliver(const void *bytes, size_t n, size_t piece)
{
    size_t done = 0;
    while (done < n && !end.carrier_paused && !end.carrier_closed && !end.carrier_aborted) {
        size_t cap = 0;
        void *space = end.carrier.user_ops->space(end.carrier.user, &cap);
        if (!space) {
            end.carrier_paused = true;
            break;
        }
        size_t m = n - done < piece ? n - done : piece;
        m = m < cap ? m : cap;
        memcpy(space, (const char *)bytes + done, m);
        end.carrier.user_ops->received(end.carrier.user, m);
        done += m;
    }
    return done;
}

/* What the client has to say goes over; false: nothing. */
static bool to_server(size_t piece)
{
    char *bytes;
    long n = BIO_get_mem_data(SSL_get_wbio(client), &bytes);
    if (n <= 0)
        return false;
    size_t done = deliver(bytes, (size_t)n, piece);
    char waste[4096];
    for (size_t left = done; left;) {
        int m =
            BIO_read(SSL_get_wbio(client), waste, (int)(left < sizeof waste ? left : sizeof waste));
        assert_true(m > 0);
        left -= (size_t)m;
    }
    return done > 0;
}

static bool to_client(void)
{
    size_t n = end.sent.len;
    if (!n)
        return false;
    assert_int_equal(BIO_write(SSL_get_rbio(client), end.sent.buf->data, (int)n), n);
    end.sent.len = 0;
    end.carrier.unsent = 0;
    if (end.carrier_over) {
        end.carrier_over = false;
        end.carrier.user_ops->drained(end.carrier.user);
    }
    return true;
}

/* Until nothing moves; the client's handshake goes on with it. */
static void exchange(size_t piece)
{
    for (bool moved = true; moved;) {
        if (!SSL_is_init_finished(client))
            (void)SSL_do_handshake(client);
        moved = to_server(piece);
        moved |= to_client();
    }
    ERR_clear_error();
}

static void client_write(const void *p, size_t n)
{
    assert_int_equal(SSL_write(client, p, (int)n), n);
}

static size_t client_read(void *p, size_t cap)
{
    size_t n = 0;
    for (int m; n < cap && (m = SSL_read(client, (char *)p + n, (int)(cap - n))) > 0;)
        n += (size_t)m;
    return n;
}

/* The carrier is gone: the last call. */
static void end_close(void)
{
    if (!end.closed) {
        end.carrier.user_ops->closed(end.carrier.user, ERR_CLOSED);
        assert_true(end.closed);
    }
    wr_free(&end.sent);
    wr_free(&end.got);
    SSL_free(client);
    SSL_CTX_free(client_ctx);
    client = NULL;
    client_ctx = NULL;
}

static struct tls_conf conf(void)
{
    return (struct tls_conf){.disk = disk, .certificate = "/d/server.pem", .key = "/d/server.key"};
}

static struct tls_context *context(const struct tls_conf *c)
{
    struct tls_context *ctx = NULL;
    struct err_text text = {""};
    enum err err = tls_context_make(c, &ctx, &text);
    if (err)
        print_error("%s\n", text.s);
    assert_int_equal(err, ERR_OK);
    return ctx;
}

static struct tls_context *plain_context(void)
{
    struct tls_conf c = conf();
    return context(&c);
}

static int setup(void **state)
{
    sim_folder_make(state);
    fake_world_make(&world, 1);
    identity_write(&authority, disk, "/d", "ca.pem", NULL);
    identity_write(&server, disk, "/d", "server.pem", "server.key");
    identity_write(&other, disk, "/d", "other.pem", "other.key");
    return 0;
}

static int teardown(void **state)
{
    fake_world_free(&world);
    return sim_folder_free(state);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void echo_once(struct tls_context *ctx, int version, size_t piece)
{
    char back[64] = "";
    end_open(ctx);
    client_open(version);
    end.echo = true;
    exchange(piece);
    assert_true(SSL_is_init_finished(client));
    assert_int_equal(SSL_version(client), version);
    assert_int_equal(SSL_get_verify_result(client), X509_V_OK);
    client_write("hello, weir", 11);
    exchange(piece);
    assert_int_equal(end.got.len, 11);
    assert_memory_equal(end.got.buf->data, "hello, weir", 11);
    assert_int_equal(client_read(back, sizeof back), 11);
    assert_string_equal(back, "hello, weir");
    assert_null(end.pipe->identity);
    end_close();
}

static void bytes_come_in_any_pieces(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    static const size_t pieces[] = {1, 2, 3, 5, 64, 1000, 1 << 20};
    struct tls_context *ctx = plain_context();
    (void)state;
    for (size_t v = 0; v < 2; v++)
        for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++)
            echo_once(ctx, versions[v], pieces[p]);
    tls_context_free(ctx);
}

static void old_versions_are_refused(void **state)
{
    struct tls_context *ctx = plain_context();
    (void)state;
    end_open(ctx);
    client_open(TLS1_1_VERSION);
    SSL_set_security_level(client, 0);
    exchange(1000);
    assert_false(SSL_is_init_finished(client));
    assert_true(end.carrier_closed);
    end.carrier.user_ops->closed(end.carrier.user, ERR_OK);
    assert_int_equal(end.why, ERR_CLOSED);
    assert_int_equal(end.spaces, 0);
    end_close();
    tls_context_free(ctx);
}

static void alpn_is_answered_to_who_knows_it(void **state)
{
    static const unsigned char both[] = "\x02h2\x08http/1.1", none[] = "\x02h2";
    struct tls_context *ctx = plain_context();
    const unsigned char *chosen;
    unsigned n;
    (void)state;
    for (int i = 0; i < 2; i++) {
        end_open(ctx);
        client_open(TLS1_3_VERSION);
        SSL_set_alpn_protos(client, i ? none : both, i ? sizeof none - 1 : sizeof both - 1);
        exchange(1000);
        assert_true(SSL_is_init_finished(client));
        SSL_get0_alpn_selected(client, &chosen, &n);
        assert_int_equal(n, i ? 0 : 8);
        if (n)
            assert_memory_equal(chosen, "http/1.1", 8);
        end_close();
    }
    tls_context_free(ctx);
}

/* Returns whether the connection carried a byte. */
static bool with_certificate(struct tls_context *ctx, const struct identity *id)
{
    end_open(ctx);
    client_open(TLS1_3_VERSION);
    if (id) {
        SSL_use_certificate(client, id->certificate);
        SSL_use_PrivateKey(client, id->key);
    }
    exchange(1000);
    if (end.carrier_closed)
        return false;
    client_write("x", 1);
    exchange(1000);
    return end.got.len == 1;
}

static void clients_are_known_by_certificate(void **state)
{
    struct tls_conf c = conf();
    c.client_ca = "/d/ca.pem";
    (void)state;
    struct tls_context *ctx = context(&c);
    assert_true(with_certificate(ctx, &other));
    assert_string_equal(end.pipe->identity, "User:CN=other,O=weir");
    end_close();
    assert_true(with_certificate(ctx, NULL));
    assert_null(end.pipe->identity);
    end_close();
    assert_false(with_certificate(ctx, &stranger));
    end_close();
    tls_context_free(ctx);
    c.client_required = true;
    ctx = context(&c);
    assert_false(with_certificate(ctx, NULL));
    end_close();
    assert_true(with_certificate(ctx, &other));
    end_close();
    tls_context_free(ctx);
}

static const char *server_name(struct tls_context *ctx)
{
    static char name[64];
    end_open(ctx);
    client_open(TLS1_2_VERSION);
    exchange(1000);
    X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(client)),
                              NID_commonName, name, sizeof name);
    end_close();
    return name;
}

static void a_reload_is_for_new_connections(void **state)
{
    struct tls_context *ctx = plain_context();
    struct err_text text = {""};
    char back[8];
    (void)state;
    end_open(ctx);
    client_open(TLS1_3_VERSION);
    exchange(1000);
    identity_write(&other, disk, "/d", "server.pem", "server.key");
    assert_int_equal(tls_context_reload(ctx, &text), ERR_OK);
    end.echo = true;
    client_write("still", 5);
    exchange(1000);
    assert_int_equal(client_read(back, sizeof back), 5);
    end_close();
    assert_string_equal(server_name(ctx), "other");
    assert_true(tls_context_expires_ms(ctx) > 4000000000000);

    identity_write(&server, disk, "/d", "server.pem", NULL); /* the key is other's */
    assert_int_equal(tls_context_reload(ctx, &text), ERR_CONFIG_INVALID);
    assert_non_null(strstr(text.s, "/d/server.key: is not the key of the certificate"));
    assert_string_equal(server_name(ctx), "other");
    tls_context_free(ctx);
}

static void files_that_cannot_be_used_are_named(void **state)
{
    static const struct {
        const char *certificate, *key, *ca;
        enum err err;
        const char *text;
    } cases[] = {
        {"/d/no.pem", "/d/server.key", NULL, ERR_NOT_FOUND, "/d/no.pem: there is no such file"},
        {"/d/server.pem", "/d/no.key", NULL, ERR_NOT_FOUND, "/d/no.key: there is no such file"},
        {"/d/junk", "/d/server.key", NULL, ERR_CONFIG_INVALID, "/d/junk: holds no certificate"},
        {"/d/server.pem", "/d/junk", NULL, ERR_CONFIG_INVALID, "/d/junk: holds no private key"},
        {"/d/server.pem", "/d/other.key", NULL, ERR_CONFIG_INVALID, "/d/other.key: is not the key"},
        {"/d/server.pem", "/d/server.key", "/d/junk", ERR_CONFIG_INVALID, "holds no authorities"},
        {"/d/half.pem", "/d/server.key", NULL, ERR_CONFIG_INVALID, "behind the first"},
        {"/d/big", "/d/server.key", NULL, ERR_MESSAGE_TOO_LARGE, "/d/big: larger than"},
    };
    (void)state;
    static char big[TLS_FILE_BYTES_MAX + 1];
    struct buf *b;
    size_t n;
    assert_int_equal(disk_replace_file(disk, "/d", "junk", "junk", 4), ERR_OK);
    assert_int_equal(disk_replace_file(disk, "/d", "big", big, sizeof big), ERR_OK);
    assert_int_equal(disk_read_file(disk, "/d/server.pem", 10000, &b, &n), ERR_OK);
    memcpy(big, b->data, n);
    memcpy(big + n, b->data, 60);
    buf_unref(b);
    assert_int_equal(disk_replace_file(disk, "/d", "half.pem", big, n + 60), ERR_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tls_conf c = {.disk = disk,
                             .certificate = cases[i].certificate,
                             .key = cases[i].key,
                             .client_ca = cases[i].ca};
        struct tls_context *ctx;
        struct err_text text = {""};
        assert_int_equal(tls_context_make(&c, &ctx, &text), cases[i].err);
        assert_null(ctx);
        assert_non_null(strstr(text.s, cases[i].text));
    }
}

static void what_is_not_tls_is_closed(void **state)
{
    struct tls_context *ctx = plain_context();
    (void)state;
    end_open(ctx);
    client_open(TLS1_3_VERSION);
    deliver("GET / HTTP/1.1\r\nHost: weir\r\n\r\n", 29, 4);
    assert_true(end.carrier_closed);
    end_close();
    assert_int_equal(end.spaces, 0);
    tls_context_free(ctx);
}

static void a_handshake_has_its_time(void **state)
{
    struct tls_context *ctx = plain_context();
    (void)state;
    end_open(ctx);
    client_open(TLS1_3_VERSION);
    fake_advance(&world, TLS_HANDSHAKE_MS - 1);
    assert_false(end.carrier_closed);
    fake_advance(&world, 1);
    assert_true(end.carrier_closed);
    end_close();
    end_open(ctx);
    client_open(TLS1_3_VERSION);
    exchange(1000);
    fake_advance(&world, 10 * TLS_HANDSHAKE_MS);
    assert_false(end.carrier_closed);
    end_close();
    tls_context_free(ctx);
}

/* Empty records say nothing and may be sent for ever. */
static void a_handshake_has_its_size(void **state)
{
    static const uint8_t alert[] = {21, 3, 1, 0, 2, 1, 90}; /* a warning: user_canceled */
    struct tls_context *ctx = plain_context();
    size_t sent = 0;
    (void)state;
    end_open(ctx);
    client_open(TLS1_3_VERSION);
    while (!end.carrier_closed && sent < 10 * TLS_HANDSHAKE_BYTES_MAX)
        sent += deliver(alert, sizeof alert, sizeof alert);
    assert_true(end.carrier_closed);
    assert_true(sent <= TLS_HANDSHAKE_BYTES_MAX + sizeof alert);
    end_close();
    tls_context_free(ctx);
}

static void a_user_that_pauses_is_left_alone(void **state)
{
    struct tls_context *ctx = plain_context();
    static char data[50000];
    (void)state;
    memset(data, 'x', sizeof data);
    end_open(ctx);
    client_open(TLS1_3_VERSION);
    exchange(1000);
    client_write(data, sizeof data);
    end.paused = true;
    exchange(1 << 20);
    assert_int_equal(end.got.len, 0);
    assert_true(end.carrier_paused);
    unsigned asked = end.spaces;
    fake_advance(&world, 1000);
    assert_int_equal(end.spaces, asked);
    end.paused = false;
    pipe_resume(end.pipe);
    assert_int_equal(end.got.len, 0); /* not from inside of the call */
    fake_advance(&world, 1);
    assert_true(end.got.len > 0);
    assert_false(end.carrier_paused);
    exchange(1 << 20);
    assert_int_equal(end.got.len, sizeof data);
    end_close();
    tls_context_free(ctx);
}

static void pausing_in_the_middle_keeps_the_rest(void **state)
{
    struct tls_context *ctx = plain_context();
    static char data[5000];
    (void)state;
    end_open(ctx);
    client_open(TLS1_3_VERSION);
    exchange(1000);
    client_write(data, sizeof data);
    client_write("end", 3);
    end.paused = true;
    exchange(1 << 20);
    SSL_shutdown(client);
    for (unsigned i = 0; !end.ended; i++) {
        assert_true(i < 20);
        end.paused = false;
        pipe_resume(end.pipe);
        fake_advance(&world, 1);
        exchange(1 << 20);
    }
    assert_int_equal(end.got.len, sizeof data + 3);
    assert_memory_equal(end.got.buf->data + sizeof data, "end", 3);
    end_close();
    tls_context_free(ctx);
}

static void send_zeros(size_t n, bool want)
{
    struct chunkq q;
    chunkq_init(&q);
    struct slice s = {buf_make(n), NULL, n};
    memset(s.buf->data, 0, n);
    s.at = s.buf->data;
    chunkq_add_slice(&q, s);
    assert_int_equal(pipe_send(end.pipe, &q), want);
}

static size_t read_all(void)
{
    static char sink[1 << 16];
    size_t n = 0;
    for (bool moved = true; moved;) {
        moved = to_client();
        for (size_t m; (m = client_read(sink, sizeof sink)) > 0; moved = true)
            n += m;
    }
    return n;
}

static void output_waits_for_the_carrier(void **state)
{
    struct tls_context *ctx = plain_context();
    (void)state;
    end_open(ctx);
    client_open(TLS1_3_VERSION);
    exchange(1000);
    assert_int_equal(end.carrier.output_max, TLS_CIPHER_BYTES_MAX);
    end.carrier_max = 100000;
    send_zeros(1 << 20, true);
    assert_true(end.sent.len > 100000 && end.sent.len < 300000);
    assert_true(end.pipe->unsent > 1 << 20);
    send_zeros(LOOP_OUTPUT_MAX, false);
    assert_int_equal(end.drained, 0);
    assert_int_equal(read_all(), LOOP_OUTPUT_MAX + (1 << 20));
    assert_int_equal(end.drained, 1);
    assert_int_equal(end.pipe->unsent, 0);
    end.carrier_max = 1;
    send_zeros(5 * LOOP_OUTPUT_MAX, false);
    assert_true(end.carrier_aborted);
    end_close();
    assert_int_equal(end.why, ERR_BUSY);
    tls_context_free(ctx);
}

static void ranges_of_files_are_read(void **state)
{
    struct tls_context *ctx = plain_context();
    static char file[200000], back[200000];
    struct disk_file *f;
    struct chunkq q;
    (void)state;
    for (size_t i = 0; i < sizeof file; i++)
        file[i] = (char)(i * 7 + i / 251);
    assert_int_equal(disk_replace_file(disk, "/d", "log", file, sizeof file), ERR_OK);
    assert_int_equal(disk_open(disk, "/d/log", DISK_READ, &f), ERR_OK);
    end_open(ctx);
    client_open(TLS1_3_VERSION);
    exchange(1000);
    chunkq_init(&q);
    chunkq_add_copy(&q, "head", 4);
    chunkq_add_file(&q, file_ref_get(&f->ref), 10, sizeof file - 10);
    assert_true(pipe_send(end.pipe, &q));
    to_client();
    assert_int_equal(client_read(back, sizeof back), sizeof file - 6);
    assert_memory_equal(back, "head", 4);
    assert_memory_equal(back + 4, file + 10, sizeof file - 10);
    chunkq_add_file(&q, &f->ref, sizeof file - 10, 20); /* shorter than that */
    (void)pipe_send(end.pipe, &q);
    assert_true(end.carrier_aborted);
    end_close();
    assert_int_equal(end.why, ERR_CORRUPT);
    tls_context_free(ctx);
}

static void closing_sends_what_is_there(void **state)
{
    struct tls_context *ctx = plain_context();
    (void)state;
    end_open(ctx);
    client_open(TLS1_3_VERSION);
    exchange(1000);
    end.carrier_max = 1000;
    send_zeros(300000, true);
    pipe_close(end.pipe);
    assert_false(end.carrier_closed);
    assert_int_equal(read_all(), 300000);
    assert_true(end.carrier_closed);
    assert_int_equal(SSL_get_shutdown(client), SSL_RECEIVED_SHUTDOWN);
    end.carrier.user_ops->closed(end.carrier.user, ERR_OK);
    assert_int_equal(end.why, ERR_OK);
    end_close();

    end_open(ctx);
    client_open(TLS1_3_VERSION);
    exchange(1000);
    end.carrier_max = 1000;
    send_zeros(300000, true);
    pipe_close(end.pipe);
    fake_advance(&world, LOOP_CLOSE_MAX_MS);
    assert_true(end.carrier_aborted);
    end_close();
    assert_int_equal(end.why, ERR_TIMED_OUT);
    tls_context_free(ctx);
}

static void a_user_may_close_or_abort_at_any_time(void **state)
{
    struct tls_context *ctx = plain_context();
    (void)state;
    end_open(ctx);
    client_open(TLS1_3_VERSION);
    send_zeros(10, true); /* before the handshake: waits for it */
    pipe_close(end.pipe);
    assert_true(end.carrier_closed);
    end_close();
    assert_int_equal(end.why, ERR_OK);

    end_open(ctx);
    client_open(TLS1_3_VERSION);
    end.close_on_data = true;
    exchange(1000);
    client_write("a", 1);
    client_write("b", 1);
    exchange(1000);
    assert_int_equal(end.got.len, 1);
    assert_true(end.carrier_closed);
    pipe_abort(end.pipe, ERR_BUSY); /* it ends already */
    end_close();
    assert_int_equal(end.why, ERR_OK);

    end_open(ctx);
    client_open(TLS1_3_VERSION);
    exchange(1000);
    pipe_abort(end.pipe, ERR_BUSY);
    assert_true(end.carrier_aborted);
    end_close();
    assert_int_equal(end.why, ERR_BUSY);
    tls_context_free(ctx);
}

static void the_peers_end_is_told_once(void **state)
{
    struct tls_context *ctx = plain_context();
    (void)state;
    for (int notify = 0; notify < 2; notify++) {
        end_open(ctx);
        client_open(TLS1_3_VERSION);
        exchange(1000);
        client_write("bye", 3);
        if (notify)
            SSL_shutdown(client);
        exchange(1000);
        assert_int_equal(end.ended, notify);
        end.carrier.user_ops->received(end.carrier.user, 0);
        assert_true(end.ended);
        assert_int_equal(end.got.len, 3);
        end_close();
        assert_int_equal(end.why, ERR_CLOSED);
    }
    tls_context_free(ctx);
}

static void a_broken_record_ends_it(void **state)
{
    struct tls_context *ctx = plain_context();
    (void)state;
    end_open(ctx);
    client_open(TLS1_3_VERSION);
    exchange(1000);
    client_write("secret", 6);
    char *bytes;
    long n = BIO_get_mem_data(SSL_get_wbio(client), &bytes);
    bytes[n - 1] ^= 1;
    exchange(1000);
    assert_int_equal(end.got.len, 0);
    assert_true(end.carrier_closed);
    end_close();
    assert_int_equal(end.why, ERR_CLOSED);
    tls_context_free(ctx);
}

static void renegotiation_is_off(void **state)
{
    struct tls_context *ctx = plain_context();
    (void)state;
    end_open(ctx);
    client_open(TLS1_2_VERSION);
    exchange(1000);
    SSL_renegotiate(client);
    (void)SSL_do_handshake(client);
    exchange(1000);
    assert_false(SSL_is_init_finished(client) && SSL_num_renegotiations(client) > 0);
    end_close();
    tls_context_free(ctx);
}

static void a_front_may_decline(void **state)
{
    struct tls_context *ctx = plain_context();
    (void)state;
    end_open(ctx);
    tls_drop(end.pipe);
    assert_null(end.carrier.user_ops);
    assert_int_equal(end.carrier.output_max, 0);
    wr_free(&end.sent);
    wr_free(&end.got);
    tls_context_free(ctx);
}

static int make_identities(void **state)
{
    (void)state;
    authority = identity_make("authority", NULL);
    server = identity_make("server", &authority);
    other = identity_make("other", &authority);
    stranger = identity_make("stranger", NULL);
    return 0;
}

static int free_identities(void **state)
{
    (void)state;
    identity_free(&authority);
    identity_free(&server);
    identity_free(&other);
    identity_free(&stranger);
    return 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_come_in_any_pieces),
        TEST(old_versions_are_refused),
        TEST(alpn_is_answered_to_who_knows_it),
        TEST(clients_are_known_by_certificate),
        TEST(a_reload_is_for_new_connections),
        TEST(files_that_cannot_be_used_are_named),
        TEST(what_is_not_tls_is_closed),
        TEST(a_handshake_has_its_time),
        TEST(a_handshake_has_its_size),
        TEST(a_user_that_pauses_is_left_alone),
        TEST(pausing_in_the_middle_keeps_the_rest),
        TEST(output_waits_for_the_carrier),
        TEST(ranges_of_files_are_read),
        TEST(closing_sends_what_is_there),
        TEST(a_user_may_close_or_abort_at_any_time),
        TEST(the_peers_end_is_told_once),
        TEST(a_broken_record_ends_it),
        TEST(renegotiation_is_off),
        TEST(a_front_may_decline),
    };
    return cmocka_run_group_tests(tests, make_identities, free_identities);
}
