/* One connection.
 *
 *     HANDSHAKE --done--> OPEN --pipe_close--> CLOSING --all is encrypted--> ENDING
 *          |                 \--the peer's error, pipe_abort-------------------^
 *          \--time, size, the peer's error-------------------------------------^
 *
 * In:  carrier -> rx -> BIO -> SSL_read -> the user's space. While the user takes nothing, nothing
 *      is read from the carrier. The user is called from the carrier's received() and from the
 *      pump timer only, never from inside its own calls.
 * Out: the user's chunks wait in `out`; as long as the carrier takes more they are encrypted in
 *      pieces, ranges of files read piece by piece.
 *
 * ENDING waits for the carrier's closed(), which ends the user too and frees everything.
 */
#include "auth/tls_internal.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/loop.h"

#include <openssl/err.h>
#include <string.h>

#define TLS_MAGIC 0x746c7331u
#define RX_BYTES ((size_t)17 << 10) /* a whole record and more */
#define PIECE_BYTES ((size_t)64 << 10)

enum tls_state { TLS_HANDSHAKE, TLS_OPEN, TLS_CLOSING, TLS_ENDING };

struct tls {
    struct pipe pipe; /* first: the front's */
    uint32_t magic;
    enum tls_state state;
    struct env *env;
    struct pipe *carrier;
    SSL *ssl;
    BIO *in, *tx;              /* the SSL's */
    size_t received;           /* during the handshake */
    struct chunkq out;         /* plain, not yet encrypted */
    size_t out_files;          /* bytes of it that are ranges of files */
    bool carrier_full;         /* pipe_send said no */
    bool carrier_paused;       /* our space() said no */
    bool user_paused;          /* its space() said no */
    bool user_over;            /* pipe_send said no to the user */
    bool user_ended;           /* it was told that the peer has ended */
    bool peer_ended;           /* the carrier told that the peer has ended */
    enum err why;              /* what the user is told once this side has ended it */
    struct env_timer deadline; /* of the handshake, then of closing */
    struct env_timer pump;
    char identity[TLS_IDENTITY_MAX];
    uint8_t rx[RX_BYTES];
};

static struct tls *tls_of(void *p)
{
    struct tls *t = p;
    weir_check(t, TLS_MAGIC);
    return t;
}

/* What was encrypted goes to the carrier. */
static void tx_flush(struct tls *t)
{
    char *bytes;
    long n = BIO_get_mem_data(t->tx, &bytes);
    if (n <= 0)
        return;
    struct chunkq q;
    chunkq_init(&q);
    chunkq_add_copy(&q, bytes, (size_t)n);
    (void)BIO_reset(t->tx);
    if (!pipe_send(t->carrier, &q))
        t->carrier_full = true;
}

/* ---- ends ----------------------------------------------------------------------------------- */

static void drop_out(struct tls *t)
{
    chunkq_clear(&t->out);
    t->out_files = 0;
}

static void tls_end(struct tls *t, enum err why)
{
    t->state = TLS_ENDING;
    t->why = why;
    drop_out(t);
    env_timer_stop(t->env, &t->deadline);
    env_timer_stop(t->env, &t->pump);
}

/* The peer did not keep to the protocol; an alert for it may be on its way. */
static void tls_fail(struct tls *t, const char *what)
{
    char reason[128];
    env_log(t->env, ENV_INFO, "tls.failed", "peer=%s in=%s why=\"%s\"", t->carrier->peer,
            t->state == TLS_HANDSHAKE ? "handshake" : "data",
            what ? what : tls_reason(reason, sizeof reason));
    ERR_clear_error();
    tx_flush(t);
    tls_end(t, ERR_CLOSED);
    pipe_close(t->carrier);
}

static void tls_abort_now(struct tls *t, enum err why)
{
    tls_end(t, why);
    pipe_abort(t->carrier, why);
}

static void deadline_fire(struct env_timer *timer)
{
    struct tls *t = tls_of(container_of(timer, struct tls, deadline));
    if (t->state == TLS_HANDSHAKE)
        tls_fail(t, "the handshake took too long");
    else
        tls_abort_now(t, ERR_TIMED_OUT);
}

static void tls_free(struct tls *t)
{
    env_timer_stop(t->env, &t->deadline);
    env_timer_stop(t->env, &t->pump);
    drop_out(t);
    SSL_free(t->ssl);
    t->magic = 0;
    OPENSSL_cleanse(t->rx, sizeof t->rx);
    mem_free(t);
}

/* ---- out ------------------------------------------------------------------------------------ */

static size_t out_weight(const struct tls *t)
{
    return t->out.bytes - t->out_files + t->out_files / 100;
}

/* The first piece of `out`, in memory: at most PIECE_BYTES. */
static enum err take_piece(struct tls *t, struct slice *piece)
{
    struct chunk *c = t->out.head;
    size_t n = c->len < PIECE_BYTES ? c->len : PIECE_BYTES;
    struct chunkq q;
    if (!c->file) {
        *piece = slice_ref(slice_sub(c->slice, 0, n));
        chunkq_drop(&t->out, n);
        return ERR_OK;
    }
    chunkq_init(&q);
    chunkq_add_file(&q, file_ref_get(c->file), c->at, n);
    enum err err = disk_load_chunks(&q);
    if (!err) {
        *piece = slice_ref(q.head->slice);
        chunkq_drop(&t->out, n);
        t->out_files -= n;
    }
    chunkq_clear(&q);
    return err;
}

/* As much as the carrier takes; then, if that was all and the user has closed, the end. */
static void out_pump(struct tls *t)
{
    if (t->state != TLS_OPEN && t->state != TLS_CLOSING)
        return;
    while (t->out.bytes && !t->carrier_full) {
        struct slice piece;
        enum err err = take_piece(t, &piece);
        if (err) {
            tls_abort_now(t, err);
            return;
        }
        ERR_clear_error();
        int n = SSL_write(t->ssl, piece.at, (int)piece.len);
        slice_unref(piece);
        if (n <= 0) {
            tls_fail(t, NULL);
            return;
        }
        tx_flush(t);
    }
    t->pipe.unsent = t->out.bytes + t->carrier->unsent;
    if (t->state == TLS_CLOSING && !t->out.bytes) {
        SSL_shutdown(t->ssl); /* close_notify; the peer's is not waited for */
        tx_flush(t);
        tls_end(t, ERR_OK);
        pipe_close(t->carrier);
    }
}

/* Not from inside of a call of the user's. */
static void tell_drained(struct tls *t)
{
    if (!t->user_over || t->state != TLS_OPEN || out_weight(t) >= LOOP_OUTPUT_MAX / 2)
        return;
    t->user_over = false;
    if (t->pipe.user_ops->drained)
        t->pipe.user_ops->drained(t->pipe.user);
}

/* ---- in ------------------------------------------------------------------------------------- */

static void take_identity(struct tls *t)
{
    X509 *x = SSL_get0_peer_certificate(t->ssl);
    BIO *text = x ? BIO_new(BIO_s_mem()) : NULL;
    char *name;
    if (!text)
        return;
    X509_NAME_print_ex(text, X509_get_subject_name(x), 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    long n = BIO_get_mem_data(text, &name);
    struct str subject = {name, n > 0 ? (size_t)n : 0};
    memcpy(t->identity, "User:", 5);
    if (str_copy(t->identity + 5, sizeof t->identity - 5, subject) &&
        !memchr(name, '\0', subject.len))
        t->pipe.identity = t->identity;
    BIO_free(text);
}

static void handshake_run(struct tls *t)
{
    ERR_clear_error();
    int done = SSL_do_handshake(t->ssl);
    if (done != 1 && SSL_get_error(t->ssl, done) != SSL_ERROR_WANT_READ) {
        tls_fail(t, NULL);
        return;
    }
    tx_flush(t);
    if (done == 1) {
        env_timer_stop(t->env, &t->deadline);
        take_identity(t);
        t->state = TLS_OPEN;
        out_pump(t);
    } else if (t->received > TLS_HANDSHAKE_BYTES_MAX) {
        tls_fail(t, "the handshake is too long");
    } else if (t->peer_ended) {
        tls_fail(t, "the peer ended during the handshake");
    }
}

static void tell_ended(struct tls *t)
{
    if (t->user_ended || t->state != TLS_OPEN)
        return;
    t->user_ended = true;
    t->pipe.user_ops->received(t->pipe.user, 0);
}

/* One piece of plain text to the user; false: there is none, or it takes none. */
static bool read_once(struct tls *t)
{
    size_t cap = 0;
    void *space = t->pipe.user_ops->space(t->pipe.user, &cap);
    if (t->state != TLS_OPEN)
        return false;
    t->user_paused = !space;
    if (!space)
        return false;
    ERR_clear_error();
    int n = SSL_read(t->ssl, space, cap < INT32_MAX ? (int)cap : INT32_MAX);
    if (n > 0) {
        t->pipe.user_ops->received(t->pipe.user, (size_t)n);
        return t->state == TLS_OPEN && !t->user_ended;
    }
    int why = SSL_get_error(t->ssl, n);
    tx_flush(t); /* an answer to a key update, an alert */
    if (why == SSL_ERROR_ZERO_RETURN)
        tell_ended(t);
    else if (why != SSL_ERROR_WANT_READ)
        tls_fail(t, NULL);
    return false;
}

static void in_pump(struct tls *t)
{
    if (t->state == TLS_HANDSHAKE)
        handshake_run(t);
    if (t->user_paused || t->user_ended)
        return;
    while (t->state == TLS_OPEN && read_once(t))
        ;
    if (t->peer_ended && t->state == TLS_OPEN && !t->user_paused)
        tell_ended(t);
    if (t->carrier_paused && t->state == TLS_OPEN && !t->user_paused) {
        t->carrier_paused = false;
        pipe_resume(t->carrier);
    }
}

static void pump_fire(struct env_timer *timer)
{
    struct tls *t = tls_of(container_of(timer, struct tls, pump));
    in_pump(t);
}

/* ---- as the carrier's user ------------------------------------------------------------------ */

static void *tls_space(void *user, size_t *cap)
{
    struct tls *t = tls_of(user);
    bool wanted =
        t->state == TLS_HANDSHAKE || (t->state == TLS_OPEN && !t->user_paused && !t->user_ended);
    t->carrier_paused = !wanted;
    *cap = sizeof t->rx;
    return wanted ? t->rx : NULL;
}

static void tls_received(void *user, size_t n)
{
    struct tls *t = tls_of(user);
    if (t->state == TLS_HANDSHAKE)
        t->received += n;
    if (n == 0)
        t->peer_ended = true;
    else if (BIO_write(t->in, t->rx, (int)n) != (int)n) {
        tls_abort_now(t, ERR_MEMORY);
        return;
    }
    in_pump(t);
}

static void tls_drained(void *user)
{
    struct tls *t = tls_of(user);
    t->carrier_full = false;
    out_pump(t);
    tell_drained(t);
}

static void tls_closed(void *user, enum err why)
{
    struct tls *t = tls_of(user);
    bool ours = t->state == TLS_ENDING;
    if (t->pipe.user_ops)
        t->pipe.user_ops->closed(t->pipe.user, ours ? t->why : why);
    tls_free(t);
}

static const struct pipe_user_ops carrier_user = {
    .space = tls_space, .received = tls_received, .drained = tls_drained, .closed = tls_closed};

/* ---- as the front's pipe -------------------------------------------------------------------- */

static bool front_send(struct pipe *p, struct chunkq *q)
{
    struct tls *t = tls_of(p);
    if (t->state == TLS_CLOSING || t->state == TLS_ENDING) {
        chunkq_clear(q);
        return true;
    }
    for (const struct chunk *c = q->head; c; c = c->next)
        t->out_files += c->file ? c->len : 0;
    chunkq_move(&t->out, q);
    out_pump(t);
    if (out_weight(t) > 4 * LOOP_OUTPUT_MAX) {
        tls_abort_now(t, ERR_BUSY);
        return false;
    }
    t->user_over |= out_weight(t) > LOOP_OUTPUT_MAX;
    return !t->user_over;
}

static void front_resume(struct pipe *p)
{
    struct tls *t = tls_of(p);
    if (t->state != TLS_OPEN || !t->user_paused)
        return;
    t->user_paused = false;
    env_timer_set(t->env, &t->pump, 0);
}

static void front_close(struct pipe *p)
{
    struct tls *t = tls_of(p);
    if (t->state == TLS_CLOSING || t->state == TLS_ENDING)
        return;
    if (t->state == TLS_HANDSHAKE) {
        tls_end(t, ERR_OK);
        pipe_close(t->carrier);
        return;
    }
    t->state = TLS_CLOSING;
    env_timer_set(t->env, &t->deadline, LOOP_CLOSE_MAX_MS * UINT64_C(1000));
    out_pump(t);
}

static void front_abort(struct pipe *p, enum err why)
{
    struct tls *t = tls_of(p);
    if (t->state != TLS_ENDING)
        tls_abort_now(t, why);
}

static const struct pipe_ops front_ops = {
    .send = front_send, .resume = front_resume, .close = front_close, .abort = front_abort};

struct pipe *tls_accept(struct tls_context *c, struct env *env, struct pipe *carrier)
{
    struct tls *t = mem_zalloc(1, sizeof *t);
    t->magic = TLS_MAGIC;
    t->env = env;
    t->carrier = carrier;
    t->in = BIO_new(BIO_s_mem());
    t->tx = BIO_new(BIO_s_mem());
    t->ssl = t->in && t->tx ? tls_context_open(c, t->in, t->tx) : NULL;
    weir_assert(t->ssl); /* as mem_alloc: small, and not of the client's choosing */
    BIO_set_mem_eof_return(t->in, -1);
    chunkq_init(&t->out);
    t->pipe.ops = &front_ops;
    memcpy(t->pipe.local, carrier->local, sizeof t->pipe.local);
    memcpy(t->pipe.peer, carrier->peer, sizeof t->pipe.peer);
    t->pipe.secure = true;
    t->deadline.fire = deadline_fire;
    t->pump.fire = pump_fire;
    env_timer_set(env, &t->deadline, TLS_HANDSHAKE_MS * UINT64_C(1000));
    carrier->output_max = TLS_CIPHER_BYTES_MAX;
    carrier->user_ops = &carrier_user;
    carrier->user = t;
    return &t->pipe;
}

void tls_drop(struct pipe *p)
{
    struct tls *t = tls_of(p);
    t->carrier->user_ops = NULL;
    t->carrier->user = NULL;
    t->carrier->output_max = 0;
    tls_free(t);
}
