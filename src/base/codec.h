/* codec.h: the four compressions of Kafka's record batches, with a limit on what comes out.
 *
 * GZIP is RFC 1952 (several members are one stream), SNAPPY either one raw block or xerial's frames
 * of blocks (what Kafka's Java client writes), LZ4 one frame of the LZ4 frame format 1.6, ZSTD RFC
 * 8878 (several frames are one stream). The sizes that the input declares of itself are never
 * believed: they neither make this take more memory than max_bytes nor let anything short pass.
 *
 * Pure functions, any thread. The caller owns the reference to *out; on an error nothing is given
 * out. Besides what is said below: ERR_MEMORY, and ERR_COMPRESSION for a codec that is none of
 * these (the attributes of a batch have room for seven). max_bytes is below 2^31, as are all of
 * Kafka's sizes.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* As in bits 0-2 of a batch's attributes. */
enum codec {
    CODEC_NONE = 0,
    CODEC_GZIP = 1,
    CODEC_SNAPPY = 2,
    CODEC_LZ4 = 3,
    CODEC_ZSTD = 4,
};

/* ERR_MESSAGE_TOO_LARGE: more than max_bytes would come out. ERR_CORRUPT: the n bytes at p are not
 * a whole stream of the codec, or something follows it. */
enum err must_use codec_decompress(enum codec codec, const uint8_t *p, size_t n, size_t max_bytes,
                                   struct buf **out, size_t *out_len);
/* ERR_MESSAGE_TOO_LARGE: the result would be longer than max_bytes. Levels are the libraries' own
 * defaults; snappy is one raw block, lz4 has independent blocks (Kafka's Java client reads no
 * others). */
enum err must_use codec_compress(enum codec codec, const uint8_t *p, size_t n, size_t max_bytes,
                                 struct buf **out, size_t *out_len);
