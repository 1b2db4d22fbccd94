/* raw.h: a blocking Kafka connection for the benchmark's raw clients (sink, first).
 *
 * Requests are written whole; answers are read through a buffer that stays in the CPU's cache, so
 * that payload can be skipped without being kept. Times out after 30 s without a byte.
 * One thread. Functions return false when the connection is gone.
 */
#pragma once

#include "wire.h"

enum {
    RAW_BUFFER = 256 << 10,
};

struct raw {
    int fd; /* -1: not connected */
    int32_t correlation;
    uint8_t *buf;
    size_t at, len; /* what of buf was read and not taken */
    struct wire_out out;
};

/* "HOST:PORT" with an IPv4 address or localhost. Ends the program on anything else. */
void raw_address(const char *s, char host[64], uint16_t *port);
bool raw_connect(struct raw *r, const char *host, uint16_t port);
void raw_close(struct raw *r);

/* Sends what is in r->out and empties it. */
bool raw_send(struct raw *r);
/* n (at most RAW_BUFFER) bytes in one piece, not taken yet; NULL: the connection is gone. */
const uint8_t *raw_peek(struct raw *r, size_t n);
bool raw_skip(struct raw *r, size_t n);
/* Takes one answer of at most RAW_BUFFER bytes; the cursor stands behind the correlation id. */
bool raw_answer(struct raw *r, struct wire_in *in);

/* Asks for the topic with auto-creation. Returns its partition count, 0: not ready, -1: gone. */
int raw_metadata(struct raw *r, const char *topic);
/* timestamp -1: end, -2: start. -1: gone or refused. */
int64_t raw_list_offset(struct raw *r, const char *topic, int32_t partition, int64_t timestamp);
