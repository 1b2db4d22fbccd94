/* secret.h: comparing and forgetting what must not be guessed. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Takes the same time wherever the bytes differ. */
bool secret_eq(const void *a, const void *b, size_t n);
/* Zeroes, in a way that the compiler does not leave out. */
void secret_clear(void *p, size_t n);
