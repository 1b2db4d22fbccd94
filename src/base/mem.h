/* mem.h: the one door to the heap.
 *
 * mem_alloc never returns NULL: sizes that this program chooses itself are small, and where the
 * system has no memory even for them the process stops in order (the log loses nothing by that).
 * A size that comes from input is checked against its named limit first and taken with mem_try,
 * whose NULL becomes ERR_MEMORY to the caller. Any thread.
 */
#pragma once

#include <stddef.h>

/* Uninitialised. size 0 gives a valid pointer. */
void *mem_alloc(size_t size);
/* Zeroed; count * size is checked for overflow. */
void *mem_zalloc(size_t count, size_t size);
void *mem_realloc(void *p, size_t size);
/* NULL when there is no memory. */
void *mem_try(size_t size);
char *mem_strdup(const char *s);
/* A NUL-terminated copy of n bytes. */
char *mem_strndup(const char *s, size_t n);
void mem_free(void *p);

/* For tests: the n-th allocation from now fails (1: the next), mem_try by NULL, the others by
 * calling on_fail, which must not return (it defaults to the orderly stop). 0: off. */
void mem_fail_after(unsigned long n, void (*on_fail)(void));
