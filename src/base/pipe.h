/* pipe.h: a byte stream between two parties that need not know each other.
 *
 * One side carries bytes (a socket of io/, TLS over it, a simulated network, a test); the other
 * speaks a protocol (a front, a client). The protocol side embeds or points to a struct pipe_user,
 * the carrier embeds struct pipe. Both live on one reactor; no call is made from inside another
 * call of the same pipe, except that pipe_* may be called from inside the user's functions.
 *
 *      carrier                                          user
 *      opened(user)          the connection that it asked for stands
 *      space(user, &cap)     where do bytes go?   ->    its receive buffer (NULL: not now)
 *      received(user, n)     n bytes are there    ->    decode, act, pipe_send(answers)
 *      drained(user)         output went below the low mark
 *      closed(user, why)     last call            ->    user frees itself
 */
#pragma once

#include "base/chunk.h"
#include "base/err.h"

#include <stdbool.h>

struct pipe;

struct pipe_user_ops {
    /* Where the next bytes go and how many fit (>= 1); NULL: stop reading until pipe_resume. */
    void *(*space)(void *user, size_t *cap);
    /* n >= 1 bytes were written at the space. n == 0: the peer ended its direction. */
    void (*received)(void *user, size_t n);
    /* Optional: the unsent output fell below half of the limit after pipe_send had said so. */
    void (*drained)(void *user);
    /* Optional: a connection that this side asked for stands. */
    void (*opened)(void *user);
    /* The stream is gone; the last call to this user, exactly once. ERR_OK: an ordinary end. */
    void (*closed)(void *user, enum err why);
};

struct pipe_ops {
    bool (*send)(struct pipe *p, struct chunkq *q);
    void (*resume)(struct pipe *p);
    void (*close)(struct pipe *p);
    void (*abort)(struct pipe *p, enum err why);
};

/* Addresses as text: "127.0.0.1:9092", "[::1]:9092", "unix:/run/weir.sock". */
#define PIPE_ADDR_MAX 128

struct pipe {
    const struct pipe_ops *ops;
    const struct pipe_user_ops *user_ops;
    void *user;
    size_t unsent;        /* bytes queued for sending; kept by the carrier */
    size_t output_max;    /* where pipe_send says false; the user may set it, 0: the carrier's */
    const char *identity; /* what the peer has proved by TLS, "User:CN=alice"; NULL: nothing */
    char local[PIPE_ADDR_MAX]; /* the address that the peer reached */
    char peer[PIPE_ADDR_MAX];
    bool secure; /* what is carried is encrypted on its way */
};

/* Queues the chunks (q is empty afterwards). They leave at the end of the loop turn. False: more
 * than the output limit is now queued; they are queued all the same, and the user should stop
 * making more until drained. */
static inline bool pipe_send(struct pipe *p, struct chunkq *q)
{
    return p->ops->send(p, q);
}

/* Asks for space() again after it had returned NULL. */
static inline void pipe_resume(struct pipe *p)
{
    p->ops->resume(p);
}

/* Sends what is queued, then closes. closed() follows later, never from inside this call. */
static inline void pipe_close(struct pipe *p)
{
    p->ops->close(p);
}

/* Drops what is queued and closes. closed() follows later, never from inside this call. */
static inline void pipe_abort(struct pipe *p, enum err why)
{
    p->ops->abort(p, why);
}
