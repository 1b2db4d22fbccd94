#include "base/secret.h"

#include <stdint.h>
#include <string.h>

bool secret_eq(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;
    volatile uint64_t differ = 0; /* volatile: no step may be left out */
    for (; n >= sizeof(uint64_t); n -= sizeof(uint64_t)) {
        uint64_t p, q;
        memcpy(&p, x, sizeof(p));
        memcpy(&q, y, sizeof(q));
        differ |= p ^ q;
        x += sizeof(p);
        y += sizeof(q);
    }
    for (size_t i = 0; i < n; i++)
        differ |= (uint64_t)(x[i] ^ y[i]);
    return differ == 0;
}

void secret_clear(void *p, size_t n)
{
    explicit_bzero(p, n);
}
