#include "base/err.h"

#include "base/assert.h"

#include <stdio.h>

struct err_row {
    const char *name;
    const char *meaning;
    int16_t kafka;
    int16_t http;
};

static const struct err_row rows[ERR_COUNT] = {
#define X(name, kafka, http, meaning) {#name, meaning, kafka, http},
    ERR_MAP(X)
#undef X
};

static const struct err_row *row_of(enum err err)
{
    weir_assert((unsigned)err < ERR_COUNT);
    return &rows[err];
}

const char *err_name(enum err err)
{
    return row_of(err)->name;
}

const char *err_meaning(enum err err)
{
    return row_of(err)->meaning;
}

int16_t err_kafka(enum err err)
{
    return row_of(err)->kafka;
}

int err_http(enum err err)
{
    return row_of(err)->http;
}

enum err err_say(struct err_text *text, enum err err, const char *fmt, ...)
{
    if (text != NULL) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(text->s, sizeof(text->s), fmt, args);
        va_end(args);
    }
    return err;
}
