/* ascii.h: case of ASCII letters, whatever the locale: header names, schemes, hosts. Pure. */
#pragma once

#include "base/str.h"

#include <string.h>

static inline char ascii_lower(char ch)
{
    return ch >= 'A' && ch <= 'Z' ? (char)(ch + ('a' - 'A')) : ch;
}

static inline char ascii_upper(char ch)
{
    return ch >= 'a' && ch <= 'z' ? (char)(ch - ('a' - 'A')) : ch;
}

/* `with` is in lower case. */
static inline bool ascii_begins(struct str s, const char *with)
{
    size_t n = strlen(with);
    for (size_t i = 0; i < n; i++) {
        if (i >= s.len || ascii_lower(s.at[i]) != with[i])
            return false;
    }
    return true;
}

static inline bool ascii_is(struct str s, const char *what)
{
    return s.len == strlen(what) && ascii_begins(s, what);
}
