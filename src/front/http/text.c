/* Text into a writer. */
#include "base/assert.h"
#include "front/http/request.h"

#include <stdio.h>
#include <string.h>

void wr_text(struct wr *w, const char *s)
{
    wr_bytes(w, s, strlen(s));
}

void wr_vprintf(struct wr *w, const char *fmt, va_list args)
{
    char small[256];
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, fmt, args);
    weir_assert(n >= 0);
    if ((size_t)n < sizeof small) {
        wr_bytes(w, small, (size_t)n);
    } else {
        uint8_t *p = wr_room(w, (size_t)n + 1);
        vsnprintf((char *)p, (size_t)n + 1, fmt, again);
        w->len--; /* its NUL */
    }
    va_end(again);
}

void wr_printf(struct wr *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    wr_vprintf(w, fmt, args);
    va_end(args);
}
