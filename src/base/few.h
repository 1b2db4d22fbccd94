/* few.h: a few of what may come very often, for log lines: so many a second, and then how many more
 * there were. Zero-initialise. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct few {
    uint64_t since_us; /* of the second that is counted */
    uint32_t n;
};

/* One more at now_us (a monotonic clock). True: it is one of the first `max` of this second. *left
 * is how many of the last second were left out, told once, with the first of the next. */
static inline bool few_take(struct few *f, uint64_t now_us, uint32_t max, uint32_t *left)
{
    *left = 0;
    if (now_us - f->since_us >= 1000000u) {
        *left = f->n > max ? f->n - max : 0;
        *f = (struct few){now_us, 0};
    }
    if (f->n != UINT32_MAX)
        f->n++;
    return f->n <= max;
}
