/* front_rig.h: the Kafka front on a whole broker in the fake world, and clients of it that are
 * moved by hand: bytes go in when the test says so, answers are decoded with the message tables. */
#pragma once

#include "front/kafka/conn.h"

#include "../broker/rig.h"

#define CLIENTS_MAX 8

struct client {
    struct pipe pipe;
    struct front *front;
    struct wr got;      /* all that was sent to the client */
    size_t taken;       /* of it, by client_answer */
    size_t output_max;  /* pipe_send says no above this many bytes that were not taken */
    bool paused;        /* space() said NULL */
    bool over;          /* pipe_send has said no */
    bool closing, gone; /* the front has closed or aborted; closed() was called */
    bool aborted;
    int32_t correlation_id; /* of the last request */
};

struct front {
    struct rig rig;
    struct kafka_front *kafka;
    const struct kafka_listener *listener; /* of clients that open; NULL: none in particular */
    struct client *clients[CLIENTS_MAX];
    unsigned n;
    struct arena arena; /* answers live until front_free */
};

void front_make(struct front *f, unsigned reactors);
/* Closes the clients; then nothing may be left. */
void front_free(struct front *f);
/* The broker ends and starts again, in its next incarnation; the clients are gone. */
void front_restart(struct front *f);
/* The fake world, until nothing moves; connections that are to close do. */
void front_run(struct front *f);
struct kafka_stats front_stats(const struct front *f);

struct client *client_open(struct front *f, unsigned reactor);
/* Hands over bytes, as many as the connection takes; returns how many. Nothing else is moved. */
size_t client_push(struct client *c, const void *p, size_t n);
/* client_push of all of them, which must be taken, and front_run. */
void client_send(struct client *c, const void *p, size_t n);
/* The client ends its direction; the client's connection breaks. */
void client_end(struct client *c);
void client_break(struct client *c);
/* client_break, and the place is free for another. */
void client_free(struct client *c);
/* What was taken has left: more may be sent. */
void client_drain(struct client *c);

/* A whole frame; in is the struct of the request's table. The caller frees the slice. */
struct slice frame_make(int16_t key, int16_t version, int32_t correlation_id, const void *in);
/* client_send of a frame of its own correlation id. */
void client_request(struct client *c, int16_t key, int16_t version, const void *in);
/* The next answer, whole: its correlation id, and the bytes behind. False: there is none. */
bool client_answer_bytes(struct client *c, int32_t *correlation_id, struct str *body);
/* The next answer must be there, carry the last request's correlation id, and be what the table
 * says, with nothing left over. Returns the struct. */
void *client_answer(struct client *c, int16_t key, int16_t version);
/* Both: for requests that are answered without more ado. */
void *client_call(struct client *c, int16_t key, int16_t version, const void *in);

/* A Produce of one batch (taken) to one partition, named, or by id from version 13 on. */
struct slice frame_produce(struct front *f, int16_t version, int32_t correlation_id,
                           const char *topic, int32_t partition, int16_t acks, struct slice batch);
/* The only partition of a Produce answer. */
const struct kafka_produce_response_topic_partition *
only_produced(const struct kafka_produce_response *out);
/* A topic made, and n records of one batch in its partition 0. */
void front_topic(struct front *f, const char *name, int32_t partitions, unsigned records);
