/* arena.h: memory for one request, freed at once.
 *
 * Allocations are bump-pointer inside blocks; reset keeps the first block for the next request. An
 * arena has a limit, so that no input makes it grow past what its owner allows: arena_alloc returns
 * NULL there, which becomes ERR_MEMORY. One thread at a time.
 */
#pragma once

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *first, *last;
    size_t used;  /* bytes handed out since the last reset */
    size_t limit; /* bytes */
    size_t block; /* bytes of the first block, if that is enough for what it is taken for */
};

void arena_init(struct arena *a, size_t limit);
/* For one that lives long and holds little: its first block has so few bytes. */
void arena_init_small(struct arena *a, size_t limit, size_t block);
/* Aligned to 16. NULL: the limit is reached. */
void *arena_alloc(struct arena *a, size_t size);
/* count * size zeroed bytes. */
void *arena_zalloc(struct arena *a, size_t count, size_t size);
/* NUL-terminated copy. */
char *arena_strndup(struct arena *a, const char *s, size_t n);
void *arena_copy(struct arena *a, const void *p, size_t n);
void arena_reset(struct arena *a);
void arena_free(struct arena *a);
