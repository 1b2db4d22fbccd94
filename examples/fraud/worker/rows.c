#include "rows.h"

#include "text.h"

#include <stdlib.h>
#include <string.h>

enum { TRIM_MIN = 16, ROOM_FIRST = 4 };

static const struct row *head(const struct rows *r, size_t size, uint32_t i)
{
    return rows_at(r, size, i);
}

uint32_t rows_until(const struct rows *r, size_t size, int64_t t)
{
    uint32_t first = 0, end = r->n;
    while (first < end) {
        uint32_t middle = first + (end - first) / 2;
        if (head(r, size, middle)->t <= t)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

void *rows_find(const struct rows *r, size_t size, int64_t t, int64_t tx_id)
{
    for (uint32_t i = rows_until(r, size, t); i > 0; i--) {
        const struct row *row = head(r, size, i - 1);
        if (row->t != t)
            break;
        if (row->tx_id == tx_id)
            return (void *)row;
    }
    return NULL;
}

void *rows_insert(struct rows *r, size_t size, const void *row)
{
    if (r->n == r->room) {
        uint32_t room = r->room ? r->room * 2 : ROOM_FIRST;
        r->at = realloc(r->at, room * size);
        if (r->at == NULL)
            die("no memory for %u rows", room);
        r->room = room;
    }
    uint32_t i = rows_until(r, size, ((const struct row *)row)->t);
    char *place = rows_at(r, size, i);
    memmove(place + size, place, (r->n - i) * size);
    memcpy(place, row, size);
    r->n++;
    return place;
}

void rows_trim(struct rows *r, size_t size, int64_t t)
{
    uint32_t old = rows_until(r, size, t);
    if (old < TRIM_MIN)
        return;
    r->n -= old;
    memmove(r->at, r->at + old * size, r->n * size);
}
