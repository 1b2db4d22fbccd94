#include "base/mem.h"

#include "base/assert.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The exit status of a process that the system gave no memory (EX_OSERR of sysexits.h). */
#define EXIT_NO_MEMORY 71

static atomic_ulong fail_countdown; /* 0: off */
static void (*fail_hook)(void);

static _Noreturn void out_of_memory(void)
{
    if (fail_hook != NULL)
        fail_hook();
    fputs("weir: out of memory, stopping; what was acknowledged is in the log\n", stderr);
    _Exit(EXIT_NO_MEMORY);
}

/* True when the countdown of a test ends with this allocation. */
static bool countdown_ends(void)
{
    unsigned long n = atomic_load(&fail_countdown);
    while (n != 0 && !atomic_compare_exchange_weak(&fail_countdown, &n, n - 1))
        ;
    return n == 1;
}

static bool fault_due(void)
{
    bool off = atomic_load_explicit(&fail_countdown, memory_order_relaxed) == 0;
    return __builtin_expect(!off, 0) && countdown_ends();
}

void *mem_try(size_t size)
{
    if (fault_due())
        return NULL;
    return malloc(size != 0 ? size : 1);
}

void *mem_alloc(size_t size)
{
    void *p = mem_try(size);
    if (__builtin_expect(p == NULL, 0))
        out_of_memory();
    return p;
}

void *mem_zalloc(size_t count, size_t size)
{
    if (fault_due())
        out_of_memory();
    bool empty = count == 0 || size == 0;
    void *p = calloc(empty ? 1 : count, empty ? 1 : size);
    if (__builtin_expect(p == NULL, 0))
        out_of_memory();
    return p;
}

void *mem_realloc(void *p, size_t size)
{
    if (fault_due())
        out_of_memory();
    void *q = realloc(p, size != 0 ? size : 1);
    if (__builtin_expect(q == NULL, 0))
        out_of_memory();
    return q;
}

char *mem_strndup(const char *s, size_t n)
{
    weir_assert(n < SIZE_MAX);
    char *copy = mem_alloc(n + 1);
    if (n != 0)
        memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

void mem_free(void *p)
{
    free(p);
}

void mem_fail_after(unsigned long n, void (*on_fail)(void))
{
    fail_hook = on_fail;
    atomic_store_explicit(&fail_countdown, n, memory_order_relaxed);
}
