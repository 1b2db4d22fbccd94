#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("fraud-worker: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void text_room(struct text *t, size_t more)
{
    if (t->room - t->len >= more)
        return;
    size_t room = t->room ? t->room : 1024;
    while (room < t->len + more)
        room *= 2;
    char *at = realloc(t->at, room);
    if (at == NULL)
        die("no memory for a text of %zu bytes", room);
    t->at = at;
    t->room = room;
}

void text_add(struct text *t, const char *bytes, size_t n)
{
    text_room(t, n);
    memcpy(t->at + t->len, bytes, n);
    t->len += n;
}

void text_printf(struct text *t, const char *format, ...)
{
    va_list args;
    text_room(t, 256);
    va_start(args, format);
    int n = vsnprintf(t->at + t->len, t->room - t->len, format, args);
    va_end(args);
    if (n < 0)
        die("cannot format: %s", format);
    if ((size_t)n >= t->room - t->len) {
        text_room(t, (size_t)n + 1);
        va_start(args, format);
        n = vsnprintf(t->at + t->len, t->room - t->len, format, args);
        va_end(args);
    }
    t->len += (size_t)n;
}

void text_cut(struct text *t, size_t n)
{
    memmove(t->at, t->at + n, t->len - n);
    t->len -= n;
}

void text_free(struct text *t)
{
    free(t->at);
    *t = (struct text){0};
}
