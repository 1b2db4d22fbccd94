/* gzip.h: bodies in the gzip content coding (RFC 1952), both ways, with bounds. Pure. */
#pragma once

#include "base/buf.h"
#include "base/chunk.h"
#include "base/err.h"

/* Decompresses to at most max bytes into a slice whose reference is the caller's. ERR_FRAME: it is
 * no gzip, or is cut off; ERR_MESSAGE_TOO_LARGE: it would be more than max; ERR_MEMORY. Members
 * that follow each other are one body. */
enum err must_use gzip_inflate(struct slice in, size_t max, struct slice *out);

/* Compresses the bytes of q (no file ranges) into one slice; a NULL buf if that is not smaller. */
struct slice gzip_deflate(const struct chunkq *q);
