/* text.h: a text that grows. Memory that is not there ends the worker with a message: weir starts
 * another one, and delivers again what was not answered.
 */
#pragma once

#include <stddef.h>

struct text {
    char *at; /* not NUL-terminated */
    size_t len, room;
};

void text_room(struct text *t, size_t more); /* room for so many bytes behind len */
void text_add(struct text *t, const char *bytes, size_t n);
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_cut(struct text *t, size_t n); /* drops the first n bytes */
void text_free(struct text *t);

/* Says why on standard error, and ends the process with status 1. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
