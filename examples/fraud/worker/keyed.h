/* keyed.h: the state of one partition: for each key (a card, a terminal) its rows.
 *
 * A file holds it, with the offset up to which the log is in it. It is written beside the old one
 * and takes its place when it is on disk, so that there is always a whole one.
 */
#pragma once

#include "rows.h"

#include <stddef.h>
#include <stdint.h>

#define ROWS_KINDS 2

struct key {
    int64_t id;
    int used;
    struct rows rows[ROWS_KINDS];
};

struct keyed {
    struct key *slots; /* a hash table with open addresses */
    size_t n, room;
};

/* The rows of that key, which are made if there are none yet. Valid until the next call. */
struct key *keyed_get(struct keyed *k, int64_t id);

/* Writes the state; dies where it cannot. `size`: of a row of each kind. */
void keyed_save(const struct keyed *k, const size_t size[ROWS_KINDS], int64_t next,
                const char *path);
/* Reads it into an empty state; returns the offset, or 0 if there is no file. A file that is not
 * whole, or of another kind, is told of and left alone. */
int64_t keyed_load(struct keyed *k, const size_t size[ROWS_KINDS], const char *path);
/* Only the offset of a file; 0 if there is none. */
int64_t keyed_saved(const char *path);
void keyed_free(struct keyed *k);
