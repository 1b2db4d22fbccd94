/* uuid.h: 128-bit ids, shown as Kafka shows them (unpadded base64url of the 16 bytes). */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define UUID_TEXT_MAX 23 /* 22 characters and NUL */

struct uuid {
    uint8_t b[16];
};

bool uuid_eq(struct uuid a, struct uuid b);
bool uuid_is_zero(struct uuid id);
uint64_t uuid_hash(struct uuid id);
/* Writes 22 characters and NUL. */
void uuid_format(struct uuid id, char out[UUID_TEXT_MAX]);
enum err must_use uuid_parse(const char *s, struct uuid *out);
/* 16 random bytes -> a version 4 UUID whose text does not begin with '-' (Kafka avoids those, since
 * a command line would take it for an option). Changes the bytes to comply. */
struct uuid uuid_from_random(const uint8_t random[16]);
