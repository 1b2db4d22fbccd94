/* crc32c.h: CRC-32C (Castagnoli, RFC 3720 B.4), with the CPU's instruction where it has one.
 *
 * crc32c(0, "123456789", 9) == 0xE3069283. Continue by passing the last result. Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *p, size_t n);
/* The table version, which the tests compare with the other. */
uint32_t crc32c_soft(uint32_t crc, const void *p, size_t n);
