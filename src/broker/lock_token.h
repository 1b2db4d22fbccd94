/* lock_token.h: what names one acquisition of one message to its receiver. */
#pragma once

#include <stdint.h>

/* 16 opaque bytes (Event Grid: as base64). Not to be guessed by accident; a later acquisition of
 * the same message has another one. */
struct lock_token {
    uint8_t b[16];
};
