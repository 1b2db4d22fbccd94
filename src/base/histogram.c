#include "base/histogram.h"

const uint32_t histogram_bounds_us[HISTOGRAM_BOUNDS] = {
    100,    250,    500,    1000,    2500,    5000,    10000,    25000,    50000,
    100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000, 60000000};

void histogram_add(struct histogram *h, uint64_t us)
{
    unsigned i = 0; /* bounds that it is beyond: halves of what is left are stepped over */
    for (unsigned step = 16; step > 0; step /= 2)
        if (i + step <= HISTOGRAM_BOUNDS && us > histogram_bounds_us[i + step - 1])
            i += step;
    h->n[i]++;
    h->sum_us += us;
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++)
        to->n[i] += from->n[i];
    to->sum_us += from->sum_us;
}

uint64_t histogram_count(const struct histogram *h)
{
    uint64_t n = 0;
    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++)
        n += h->n[i];
    return n;
}
