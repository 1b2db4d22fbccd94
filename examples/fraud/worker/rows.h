/* rows.h: what a window slides over: rows of one size, in order of time. Each row begins with a
 * struct row. Rows of one second keep the order in which they came.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

struct row {
    int64_t t;     /* seconds */
    int64_t tx_id; /* the payment that it is about */
};

struct rows {
    char *at;
    uint32_t n, room;
};

/* How many rows have a time <= t: they are the first ones. */
uint32_t rows_until(const struct rows *r, size_t size, int64_t t);
/* The row of that payment, or NULL. */
void *rows_find(const struct rows *r, size_t size, int64_t t, int64_t tx_id);
/* Puts a row in behind all that are not later; `row` begins with a struct row. Returns it there. */
void *rows_insert(struct rows *r, size_t size, const void *row);
/* Drops those with a time <= t. Now and then: it costs a move. */
void rows_trim(struct rows *r, size_t size, int64_t t);

static inline void *rows_at(const struct rows *r, size_t size, uint32_t i)
{
    return r->at + (size_t)i * size;
}
