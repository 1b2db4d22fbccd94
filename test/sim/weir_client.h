/* weir_client.h: a Kafka client's connection in the simulated machine, and the pieces of requests
 * that its users share.
 *
 * It connects, asks for ApiVersions, and says `up`; when the stream is lost every call that waits
 * is answered with NULL, then `down` is called, and it connects again after a pause. Requests are
 * encoded and answers decoded by the message tables. That answers come in the order of the requests
 * and are whole is checked here.
 *
 * Memory of an answer lives until its function returns.
 */
#pragma once

#include "weir_sim.h"

#include "front/kafka/conn.h"

struct client;

/* response: the struct of the api's response table; NULL: the connection was lost. */
typedef void client_answer_fn(void *arg, const void *response);

struct client {
    struct weir_sim *w;
    const char *name;
    void (*up)(struct client *c);   /* may be NULL */
    void (*down)(struct client *c); /* may be NULL */
    void *arg;
    uint64_t pause_us; /* before it connects again; default 5 ms */
    /* read by users */
    bool is_up;
    unsigned connects;    /* so far */
    size_t waiting;       /* calls without an answer */
    size_t answer_bytes;  /* of the last answer, with its length field */
    uint64_t answered_us; /* virtual time of it */
    bool reading_stopped; /* set by a user: takes no bytes until client_read_on */
    /* private */
    bool stopped, told_up;
    struct pipe *pipe;
    struct env_timer retry;
    uint8_t *rx;
    size_t rx_len, rx_cap;
    struct list calls;
    int32_t next_id;
    struct arena arena;
    bool asked;
    const void *asked_response;
};

/* name, up, down, arg are set by the caller before. */
void client_start(struct client *c, struct weir_sim *w);
/* Ends the connection for good; its memory stays usable. No call is answered any more. */
void client_stop(struct client *c);
/* Cuts the stream as a broken network does; it connects again. */
void client_break(struct client *c);
void client_read_on(struct client *c);

/* Only while is_up. fn NULL: no answer is expected (acks=0). */
void client_call(struct client *c, int16_t key, int16_t version, const void *request,
                 client_answer_fn *fn, void *arg);
/* Raw bytes, whatever they are. */
void client_send_raw(struct client *c, const void *p, size_t n);
/* A version between the api's least (at least `from`) and greatest, drawn. */
int16_t client_version(struct weir_sim *w, int16_t key, int16_t from);

/* Runs the simulation until the answer is there. The returned struct lives until the next such
 * call of this client; NULL: the connection was lost, or us are over. */
const void *client_ask(struct client *c, int16_t key, int16_t version, const void *request,
                       uint64_t us);
/* Runs until it is up. */
bool client_wait_up(struct client *c, uint64_t us);
