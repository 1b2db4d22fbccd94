#include "base/codec.h"

#include "base/mem.h"
#include "base/random.h"

#include "../check.h"

#include <string.h>

#define SAMPLE_BYTES 100000
#define LIMIT ((size_t)1 << 20)
#define CODECS 5

static uint8_t text[SAMPLE_BYTES];  /* compresses well */
static uint8_t noise[SAMPLE_BYTES]; /* does not */

static int make_samples(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 20);
    rng_fill(&rng, noise, sizeof(noise));
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)("order created paid shipped "[i % 27] ^ (noise[i] % 17 == 0));
    return 0;
}

/* A buffer of exactly the compressed size, so that reading behind it is seen. */
static struct slice compress(enum codec codec, const uint8_t *p, size_t n)
{
    struct buf *b;
    size_t len;
    assert_int_equal(codec_compress(codec, p, n, 2 * LIMIT, &b, &len), ERR_OK);
    struct slice s = slice_copy(b->data, len);
    buf_unref(b);
    return s;
}

/* Decompresses and compares, when that succeeds, with what is wanted (NULL: anything). */
static enum err decompress(enum codec codec, struct slice s, size_t max, const void *want, size_t n)
{
    struct buf *b;
    size_t len;
    enum err err = codec_decompress(codec, s.at, s.len, max, &b, &len);
    if (err != ERR_OK)
        return err;
    assert_true(len <= max);
    if (want != NULL) {
        assert_int_equal(len, n);
        assert_memory_equal(b->data, want, n);
    }
    buf_unref(b);
    return ERR_OK;
}

static void check_round_trip(enum codec codec, const uint8_t *p, size_t n)
{
    struct slice s = compress(codec, p, n);
    assert_int_equal(decompress(codec, s, LIMIT, p, n), ERR_OK);
    assert_int_equal(decompress(codec, s, n, p, n), ERR_OK);
    if (n != 0)
        assert_int_equal(decompress(codec, s, n - 1, p, n), ERR_MESSAGE_TOO_LARGE);
    slice_unref(s);
}

static void test_round_trips(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 100, 4095, 4096, 4097, 65536, 65537, SAMPLE_BYTES};
    for (int c = 0; c < CODECS; c++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            check_round_trip((enum codec)c, text, sizes[i]);
            check_round_trip((enum codec)c, noise, sizes[i]);
        }
    }
}

static void test_compresses(void **state)
{
    (void)state;
    for (int c = 1; c < CODECS; c++) {
        struct buf *b;
        size_t len;
        struct slice s = compress((enum codec)c, text, sizeof(text));
        assert_true(s.len < sizeof(text) / 2);
        assert_int_equal(codec_compress((enum codec)c, text, sizeof(text), s.len - 1, &b, &len),
                         ERR_MESSAGE_TOO_LARGE);
        slice_unref(s);
    }
}

struct golden {
    const char *what;
    enum codec codec;
    const char *bytes;
    size_t n;
    enum err err;
    const char *plain;
};

#define BYTES(s) s, sizeof(s) - 1
#define XERIAL "\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"
#define LZ4_HEAD "\x04\x22\x4d\x18\x60\x40\x82"
#define ZSTD_MAGIC "\x28\xb5\x2f\xfd"
#define GZIP_HEAD "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
#define GZIP_STORED_WEIR GZIP_HEAD "\x01\x04\x00\xfb\xffweir" GZIP_WEIR_CRC "\x04\x00\x00\x00"
#define GZIP_WEIR_CRC "\x0c\x8e\x84\x93"

/* Written by hand from the formats' specifications. */
static const struct golden goldens[] = {
    {"gzip", CODEC_GZIP, BYTES(GZIP_STORED_WEIR), ERR_OK, "weir"},
    {"two members", CODEC_GZIP, BYTES(GZIP_STORED_WEIR GZIP_STORED_WEIR), ERR_OK, "weirweir"},
    {"member and garbage", CODEC_GZIP, BYTES(GZIP_STORED_WEIR "\x1f\x8b\x09"), ERR_CORRUPT, ""},
    {"zlib, not gzip", CODEC_GZIP, BYTES("\x78\x9c\x03\x00\x00\x00\x00\x01"), ERR_CORRUPT, ""},
    {"no bytes", CODEC_GZIP, BYTES(""), ERR_CORRUPT, ""},

    {"raw block", CODEC_SNAPPY, BYTES("\x04\x0cweir"), ERR_OK, "weir"},
    {"empty block", CODEC_SNAPPY, BYTES("\x00"), ERR_OK, ""},
    {"declares too little", CODEC_SNAPPY, BYTES("\x03\x0cweir"), ERR_CORRUPT, ""},
    {"declares too much", CODEC_SNAPPY, BYTES("\x05\x0cweir"), ERR_CORRUPT, ""},
    {"declares 4 GiB", CODEC_SNAPPY, BYTES("\xff\xff\xff\xff\x0f\x0cweir"), ERR_CORRUPT, ""},
    {"copy from before", CODEC_SNAPPY, BYTES("\x08\x0cweir\x0e\x05\x00"), ERR_CORRUPT, ""},
    {"copy", CODEC_SNAPPY, BYTES("\x08\x0cweir\x0e\x04\x00"), ERR_OK, "weirweir"},
    {"no bytes", CODEC_SNAPPY, BYTES(""), ERR_CORRUPT, ""},
    {"xerial", CODEC_SNAPPY, BYTES(XERIAL "\x00\x00\x00\x06\x04\x0cweir"), ERR_OK, "weir"},
    {"xerial, no block", CODEC_SNAPPY, BYTES(XERIAL), ERR_OK, ""},
    {"xerial, two blocks", CODEC_SNAPPY,
     BYTES(XERIAL "\x00\x00\x00\x06\x04\x0cweir\x00\x00\x00\x03\x01\x00!"), ERR_OK, "weir!"},
    {"xerial, twice", CODEC_SNAPPY,
     BYTES(XERIAL "\x00\x00\x00\x03\x01\x00!" XERIAL "\x00\x00\x00\x06\x04\x0cweir"), ERR_OK,
     "!weir"},
    {"xerial, version 0", CODEC_SNAPPY, BYTES("\x82SNAPPY\x00\x00\x00\x00\x00\x00\x00\x00\x01"),
     ERR_CORRUPT, ""},
    {"xerial, head cut", CODEC_SNAPPY, BYTES("\x82SNAPPY\x00\x00\x00\x00\x01\x00"), ERR_CORRUPT,
     ""},
    {"xerial, negative length", CODEC_SNAPPY, BYTES(XERIAL "\xff\xff\xff\xff\x04\x0cweir"),
     ERR_CORRUPT, ""},
    {"xerial, length beyond", CODEC_SNAPPY, BYTES(XERIAL "\x00\x00\x00\x07\x04\x0cweir"),
     ERR_CORRUPT, ""},
    {"xerial, length short", CODEC_SNAPPY, BYTES(XERIAL "\x00\x00\x00\x05\x04\x0cweir"),
     ERR_CORRUPT, ""},
    {"xerial, empty block", CODEC_SNAPPY, BYTES(XERIAL "\x00\x00\x00\x00"), ERR_CORRUPT, ""},

    {"lz4", CODEC_LZ4, BYTES(LZ4_HEAD "\x04\x00\x00\x80weir\x00\x00\x00\x00"), ERR_OK, "weir"},
    {"lz4, no block", CODEC_LZ4, BYTES(LZ4_HEAD "\x00\x00\x00\x00"), ERR_OK, ""},
    {"lz4, no end mark", CODEC_LZ4, BYTES(LZ4_HEAD "\x04\x00\x00\x80weir"), ERR_CORRUPT, ""},
    {"lz4, head's checksum", CODEC_LZ4, BYTES("\x04\x22\x4d\x18\x60\x40\x83\x00\x00\x00\x00"),
     ERR_CORRUPT, ""},
    {"lz4, block too large", CODEC_LZ4, BYTES(LZ4_HEAD "\x01\x00\x01\x80weir\x00\x00\x00\x00"),
     ERR_CORRUPT, ""},
    {"lz4, second frame", CODEC_LZ4, BYTES(LZ4_HEAD "\x00\x00\x00\x00" LZ4_HEAD "\x00\x00\x00\x00"),
     ERR_CORRUPT, ""},
    {"lz4, skippable frame", CODEC_LZ4, BYTES("\x50\x2a\x4d\x18\x01\x00\x00\x00x"), ERR_CORRUPT,
     ""},
    {"lz4, legacy", CODEC_LZ4, BYTES("\x02\x21\x4c\x18\x05\x00\x00\x00\x40weir"), ERR_CORRUPT, ""},
    {"no bytes", CODEC_LZ4, BYTES(""), ERR_CORRUPT, ""},

    {"zstd", CODEC_ZSTD, BYTES(ZSTD_MAGIC "\x20\x04\x21\x00\x00weir"), ERR_OK, "weir"},
    {"zstd, two frames", CODEC_ZSTD,
     BYTES(ZSTD_MAGIC "\x20\x04\x21\x00\x00weir" ZSTD_MAGIC "\x20\x04\x21\x00\x00weir"), ERR_OK,
     "weirweir"},
    {"zstd, window of 128 MiB", CODEC_ZSTD, BYTES(ZSTD_MAGIC "\x00\x88\x2b\x00\x00z"), ERR_OK,
     "zzzzz"},
    {"zstd, window beyond all", CODEC_ZSTD, BYTES(ZSTD_MAGIC "\x00\xff\x2b\x00\x00z"), ERR_CORRUPT,
     ""},
    {"zstd, declares too little", CODEC_ZSTD, BYTES(ZSTD_MAGIC "\x20\x03\x21\x00\x00weir"),
     ERR_CORRUPT, ""},
    {"zstd, declares too much", CODEC_ZSTD, BYTES(ZSTD_MAGIC "\x20\x05\x21\x00\x00weir"),
     ERR_CORRUPT, ""},
    {"zstd, declares 64 bits", CODEC_ZSTD,
     BYTES(ZSTD_MAGIC "\xe0\xf0\xff\xff\xff\xff\xff\xff\xff\x21\x00\x00weir"), ERR_CORRUPT, ""},
    {"zstd, needs a dictionary", CODEC_ZSTD, BYTES(ZSTD_MAGIC "\x21\x07\x04\x21\x00\x00weir"),
     ERR_CORRUPT, ""},
    {"zstd, short garbage behind", CODEC_ZSTD, BYTES(ZSTD_MAGIC "\x20\x04\x21\x00\x00weir\x28\xb5"),
     ERR_CORRUPT, ""},
    {"no bytes", CODEC_ZSTD, BYTES(""), ERR_CORRUPT, ""},

    {"none", CODEC_NONE, BYTES("weir"), ERR_OK, "weir"},
    {"codec 5", (enum codec)5, BYTES("weir"), ERR_COMPRESSION, ""},
    {"codec 7", (enum codec)7, BYTES("weir"), ERR_COMPRESSION, ""},
};

static void test_goldens(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(goldens) / sizeof(goldens[0]); i++) {
        const struct golden *g = &goldens[i];
        struct slice s = slice_copy(g->bytes, g->n);
        enum err err = decompress(g->codec, s, 1000, g->plain, strlen(g->plain));
        if (err != g->err)
            fail_msg("codec %d, %s: %s", g->codec, g->what, err_name(err));
        slice_unref(s);
    }
    struct buf *b;
    size_t len;
    assert_int_equal(codec_compress((enum codec)6, text, 10, LIMIT, &b, &len), ERR_COMPRESSION);
}

/* None of the four takes a part for the whole. */
static void test_truncated_at_every_byte(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 5, 300, 3000};
    for (int c = 1; c < CODECS; c++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            struct slice s = compress((enum codec)c, text, sizes[i]);
            for (size_t n = 0; n < s.len; n++) {
                struct slice part = slice_copy(s.at, n);
                assert_int_equal(decompress((enum codec)c, part, LIMIT, NULL, 0), ERR_CORRUPT);
                slice_unref(part);
            }
            slice_unref(s);
        }
    }
}

/* xerial's frames have no end: a part is a prefix at the end of a block, or an error. */
static void test_truncated_xerial(void **state)
{
    (void)state;
    static const char frames[] = XERIAL "\x00\x00\x00\x06\x04\x0cweir\x00\x00\x00\x03\x01\x00!";
    for (size_t n = 0; n < sizeof(frames) - 1; n++) {
        struct slice part = slice_copy(frames, n);
        enum err err = decompress(CODEC_SNAPPY, part, 1000, "weir", n == 16 ? 0 : 4);
        assert_int_equal(err, n == 16 || n == 26 ? ERR_OK : ERR_CORRUPT);
        slice_unref(part);
    }
}

static void test_trailing_byte(void **state)
{
    (void)state;
    for (int c = 1; c < CODECS; c++) {
        struct slice s = compress((enum codec)c, text, 500);
        uint8_t longer[1000];
        memcpy(longer, s.at, s.len);
        for (int byte = 0; byte < 256; byte++) {
            longer[s.len] = (uint8_t)byte;
            struct slice l = slice_copy(longer, s.len + 1);
            assert_int_equal(decompress((enum codec)c, l, LIMIT, NULL, 0), ERR_CORRUPT);
            slice_unref(l);
        }
        slice_unref(s);
    }
}

/* Whatever is changed: an error, or no more than the limit. */
static void test_mutations(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 21);
    for (int c = 1; c < CODECS; c++) {
        struct slice s = compress((enum codec)c, text, 700);
        for (int i = 0; i < 3000; i++) {
            struct slice m = slice_copy(s.at, s.len);
            for (uint64_t k = rng_below(&rng, 4) + 1; k != 0; k--)
                m.buf->data[rng_below(&rng, i % 2 != 0 ? 20 : s.len)] = (uint8_t)rng_next(&rng);
            enum err err = decompress((enum codec)c, m, 5000, NULL, 0);
            assert_true(err == ERR_OK || err == ERR_CORRUPT || err == ERR_MESSAGE_TOO_LARGE);
            slice_unref(m);
        }
        slice_unref(s);
    }
}

#define BOMB_BYTES ((size_t)64 << 20)

static void test_bombs(void **state)
{
    (void)state;
    uint8_t *zeros = mem_zalloc(BOMB_BYTES, 1);
    for (int c = 1; c < CODECS; c++) {
        struct buf *b;
        size_t len;
        assert_int_equal(codec_compress((enum codec)c, zeros, BOMB_BYTES, BOMB_BYTES, &b, &len),
                         ERR_OK);
        struct slice s = {b, b->data, len};
        assert_int_equal(decompress((enum codec)c, s, LIMIT, NULL, 0), ERR_MESSAGE_TOO_LARGE);
        assert_int_equal(decompress((enum codec)c, s, 0, NULL, 0), ERR_MESSAGE_TOO_LARGE);
        assert_int_equal(decompress((enum codec)c, s, BOMB_BYTES - 1, NULL, 0),
                         ERR_MESSAGE_TOO_LARGE);
        assert_int_equal(decompress((enum codec)c, s, BOMB_BYTES, zeros, BOMB_BYTES), ERR_OK);
        buf_unref(b);
    }
    mem_free(zeros);
}

/* Many frames, each within the limit, are together beyond it. */
static void test_bomb_of_many_blocks(void **state)
{
    (void)state;
    struct slice block = compress(CODEC_SNAPPY, text, 60000);
    size_t one = 4 + block.len;
    struct buf *frames = buf_make(16 + 20 * one);
    struct slice s = {frames, frames->data, frames->cap};
    memcpy(frames->data, XERIAL, 16);
    for (size_t i = 0; i < 20; i++) {
        uint8_t *at = frames->data + 16 + i * one;
        uint8_t len[4] = {0, (uint8_t)(block.len >> 16), (uint8_t)(block.len >> 8),
                          (uint8_t)block.len};
        memcpy(at, len, 4);
        memcpy(at + 4, block.at, block.len);
    }
    assert_int_equal(decompress(CODEC_SNAPPY, s, 20 * 60000 - 1, NULL, 0), ERR_MESSAGE_TOO_LARGE);
    struct buf *out;
    size_t n;
    assert_int_equal(codec_decompress(CODEC_SNAPPY, s.at, s.len, 20 * 60000, &out, &n), ERR_OK);
    assert_int_equal(n, 20 * 60000);
    for (size_t i = 0; i < 20; i++)
        assert_memory_equal(out->data + i * 60000, text, 60000);
    buf_unref(out);
    slice_unref(s);
    slice_unref(block);
}

/* Each allocation of this module in turn fails. */
static void test_no_memory(void **state)
{
    (void)state;
    for (int c = 0; c < CODECS; c++) {
        struct slice s = compress((enum codec)c, text, 60000);
        enum err err = ERR_MEMORY;
        unsigned long nth = 0;
        while (err != ERR_OK) {
            mem_fail_after(++nth, NULL);
            err = decompress((enum codec)c, s, LIMIT, text, 60000);
            mem_fail_after(0, NULL);
            assert_true(err == ERR_OK || err == ERR_MEMORY);
        }
        assert_true(nth >= 2); /* one at least did fail */
        slice_unref(s);
        for (nth = 1, err = ERR_MEMORY; err != ERR_OK; nth++) {
            struct buf *b;
            size_t len;
            mem_fail_after(nth, NULL);
            err = codec_compress((enum codec)c, text, 60000, LIMIT, &b, &len);
            mem_fail_after(0, NULL);
            assert_true(err == ERR_OK || err == ERR_MEMORY);
            if (err == ERR_OK)
                buf_unref(b);
        }
        assert_true(nth >= 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_compresses),
        cmocka_unit_test(test_goldens),
        cmocka_unit_test(test_truncated_at_every_byte),
        cmocka_unit_test(test_truncated_xerial),
        cmocka_unit_test(test_trailing_byte),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_bomb_of_many_blocks),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, make_samples, NULL);
}
