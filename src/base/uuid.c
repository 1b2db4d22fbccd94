#include "base/uuid.h"

#include "base/map.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

bool uuid_eq(struct uuid a, struct uuid b)
{
    return memcmp(a.b, b.b, sizeof(a.b)) == 0;
}

bool uuid_is_zero(struct uuid id)
{
    return uuid_eq(id, (struct uuid){{0}});
}

uint64_t uuid_hash(struct uuid id)
{
    return hash_bytes(id.b, sizeof(id.b));
}

/* 128 bits are 21 digits of 6 bits and one of 2 bits, which stand in front of 4 zero bits. */
void uuid_format(struct uuid id, char out[UUID_TEXT_MAX])
{
    unsigned bits = 0, held = 0;
    size_t o = 0;
    for (size_t i = 0; i < sizeof(id.b); i++) {
        bits = bits << 8 | id.b[i];
        held += 8;
        while (held >= 6) {
            held -= 6;
            out[o++] = digits[bits >> held & 63];
        }
    }
    out[o++] = digits[bits << (6 - held) & 63];
    out[o] = '\0';
}

enum err uuid_parse(const char *s, struct uuid *out)
{
    if (strlen(s) != UUID_TEXT_MAX - 1)
        return ERR_REQUEST_INVALID;
    struct uuid id;
    unsigned bits = 0, held = 0;
    size_t o = 0;
    for (size_t i = 0; i < UUID_TEXT_MAX - 1; i++) {
        const char *digit = memchr(digits, s[i], sizeof(digits) - 1);
        if (digit == NULL)
            return ERR_REQUEST_INVALID;
        bits = bits << 6 | (unsigned)(digit - digits);
        held += 6;
        if (held >= 8) {
            held -= 8;
            id.b[o++] = (uint8_t)(bits >> held);
        }
    }
    if ((bits & ((1u << held) - 1)) != 0) /* a second text for the same id */
        return ERR_REQUEST_INVALID;
    *out = id;
    return ERR_OK;
}

struct uuid uuid_from_random(const uint8_t random[16])
{
    struct uuid id;
    memcpy(id.b, random, sizeof(id.b));
    id.b[6] = (uint8_t)((id.b[6] & 0x0f) | 0x40);
    id.b[8] = (uint8_t)((id.b[8] & 0x3f) | 0x80);
    if (digits[id.b[0] >> 2] == '-')
        id.b[0] &= 0x7f;
    return id;
}
