#include "base/secret.h"

#include <stdint.h>
#include <string.h>

bool secret_eq(const void *a, const void *b, size_t n)
{
    const volatile uint8_t *x = a, *y = b;
    uint8_t differ = 0;
    for (size_t i = 0; i < n; i++)
        differ |= (uint8_t)(x[i] ^ y[i]);
    return differ == 0;
}

void secret_clear(void *p, size_t n)
{
    explicit_bzero(p, n);
}
