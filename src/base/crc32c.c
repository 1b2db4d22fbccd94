/* Two ways to the same number.
 *
 * The CPU's crc32 instruction takes 8 bytes a cycle but answers after three, so one chain of them
 * runs at a third of the speed. A long input is therefore cut into three parts of equal length,
 *
 *      | a: L words | b: L words | c: L words |
 *
 * whose checksums run side by side. As polynomials, crc(abc) = crc(a) x^(128 L) + crc(b) x^(64 L) +
 * crc(c) mod P: appending zero words is a multiplication by a constant. The carry-less product of
 * two 32-bit values in reflected order, fed to the crc32 instruction as a word, is their product
 * times x^33 mod P. So zero_words[n] = x^(64 n - 33) mod P turns any checksum into the one of its
 * bytes with n zero words behind them; x^31 is 1 in reflected order, and each next constant is the
 * one before it with a zero word appended. Any L up to WORDS_MAX has its constants in the table, so
 * also inputs of a hundred bytes run in three streams.
 *
 * Without these instructions: eight tables of 256 entries, eight bytes a step ("slicing by 8").
 */
#include "base/crc32c.h"

#include "base/assert.h"

#include <stdbool.h>
#include <string.h>

#define POLY_REFLECTED 0x82f63b78u
#define SLICES 8

static uint32_t tables[SLICES][256];

static void make_tables(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t v = i;
        for (int bit = 0; bit < 8; bit++)
            v = v >> 1 ^ ((v & 1) != 0 ? POLY_REFLECTED : 0);
        tables[0][i] = v;
    }
    for (uint32_t i = 0; i < 256; i++) {
        for (int t = 1; t < SLICES; t++)
            tables[t][i] = tables[t - 1][i] >> 8 ^ tables[0][tables[t - 1][i] & 0xff];
    }
}

static uint64_t word_at(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static uint32_t soft_word(uint32_t crc, uint64_t word)
{
    word ^= crc;
    return tables[7][word & 0xff] ^ tables[6][word >> 8 & 0xff] ^ tables[5][word >> 16 & 0xff] ^
           tables[4][word >> 24 & 0xff] ^ tables[3][word >> 32 & 0xff] ^
           tables[2][word >> 40 & 0xff] ^ tables[1][word >> 48 & 0xff] ^ tables[0][word >> 56];
}

static uint32_t soft_byte(uint32_t crc, uint8_t byte)
{
    return crc >> 8 ^ tables[0][(crc ^ byte) & 0xff];
}

uint32_t crc32c_soft(uint32_t crc, const void *data, size_t n)
{
    const uint8_t *p = data;
    crc = ~crc;
    for (; n >= 8; n -= 8, p += 8)
        crc = soft_word(crc, word_at(p));
    for (; n != 0; n--, p++)
        crc = soft_byte(crc, *p);
    return ~crc;
}

/* What the three streams need of a CPU: a checksum with 1 and with 8 bytes more, and a carry-less
 * product. */
#if defined(__x86_64__)

#include <immintrin.h>

#define CPU_TARGET __attribute__((target("sse4.2,pclmul")))

static bool cpu_has_crc(void)
{
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

CPU_TARGET static inline uint32_t cpu_word(uint32_t crc, uint64_t word)
{
    return (uint32_t)_mm_crc32_u64(crc, word);
}

CPU_TARGET static inline uint32_t cpu_byte(uint32_t crc, uint8_t byte)
{
    return _mm_crc32_u8(crc, byte);
}

CPU_TARGET static inline uint64_t cpu_product(uint32_t a, uint32_t b)
{
    __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)a), _mm_cvtsi64_si128((long long)b), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

#elif defined(__aarch64__) && defined(__GNUC__) && !defined(__clang__)

#include <arm_acle.h>
#include <arm_neon.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>

#define CPU_TARGET __attribute__((target("+crc+crypto")))

static bool cpu_has_crc(void)
{
    unsigned long caps = getauxval(AT_HWCAP);
    return (caps & HWCAP_CRC32) != 0 && (caps & HWCAP_PMULL) != 0;
}

CPU_TARGET static inline uint32_t cpu_word(uint32_t crc, uint64_t word)
{
    return __crc32cd(crc, word);
}

CPU_TARGET static inline uint32_t cpu_byte(uint32_t crc, uint8_t byte)
{
    return __crc32cb(crc, byte);
}

CPU_TARGET static inline uint64_t cpu_product(uint32_t a, uint32_t b)
{
    return vgetq_lane_u64(vreinterpretq_u64_p128(vmull_p64(a, b)), 0);
}

#else

#define CPU_TARGET

static bool cpu_has_crc(void)
{
    return false;
}

static inline uint32_t cpu_word(uint32_t crc, uint64_t word)
{
    return soft_word(crc, word);
}

static inline uint32_t cpu_byte(uint32_t crc, uint8_t byte)
{
    return soft_byte(crc, byte);
}

static inline uint64_t cpu_product(uint32_t a, uint32_t b)
{
    (void)a;
    (void)b;
    weir_unreachable();
}

#endif

#define WORDS_MAX 256 /* L of one round */
#define WORDS_MIN 4   /* below, joining costs more than three streams gain */

static uint32_t zero_words[2 * WORDS_MAX + 1];

static void make_zero_words(void)
{
    zero_words[1] = 1;
    for (int n = 2; n <= 2 * WORDS_MAX; n++)
        zero_words[n] = soft_word(zero_words[n - 1], 0);
}

CPU_TARGET static uint32_t three_streams(uint32_t crc, const uint8_t *p, size_t words)
{
    const uint8_t *pb = p + 8 * words, *pc = pb + 8 * words;
    uint32_t a = crc, b = 0, c = 0;
    for (size_t i = 0; i < 8 * words; i += 8) {
        a = cpu_word(a, word_at(p + i));
        b = cpu_word(b, word_at(pb + i));
        c = cpu_word(c, word_at(pc + i));
    }
    uint64_t joined = cpu_product(a, zero_words[2 * words]) ^ cpu_product(b, zero_words[words]);
    return cpu_word(0, joined) ^ c;
}

CPU_TARGET static uint32_t crc32c_cpu(uint32_t crc, const uint8_t *p, size_t n)
{
    while (n >= 24 * WORDS_MIN) {
        size_t words = n / 24 < WORDS_MAX ? n / 24 : WORDS_MAX;
        crc = three_streams(crc, p, words);
        p += 24 * words;
        n -= 24 * words;
    }
    for (; n >= 8; n -= 8, p += 8)
        crc = cpu_word(crc, word_at(p));
    for (; n != 0; n--, p++)
        crc = cpu_byte(crc, *p);
    return crc;
}

static bool use_cpu;

/* Before main, so that no caller on any thread has to ask. */
__attribute__((constructor)) static void crc32c_setup(void)
{
    make_tables();
    make_zero_words();
    use_cpu = cpu_has_crc();
}

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
    return use_cpu ? ~crc32c_cpu(~crc, p, n) : crc32c_soft(crc, p, n);
}
