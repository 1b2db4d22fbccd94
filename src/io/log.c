#include "io/log.h"

#include "io/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A line longer than this is cut: a log line is for reading. */
#define LOG_LINE_MAX 2048

static _Atomic enum env_level log_level = ENV_INFO;
static log_sink_fn *log_sink;

static const char *const level_marks[] = {"DEBUG", "INFO", "WARN", "ERROR"};

void log_set_level(enum env_level level)
{
    atomic_store_explicit(&log_level, level, memory_order_relaxed);
}

void log_set_sink(log_sink_fn *sink)
{
    log_sink = sink;
}

static void log_put(const char *line, size_t len)
{
    if (log_sink) {
        log_sink(line, len);
        return;
    }
    /* A log that cannot be written is no reason to stop. */
    ssize_t ignored = write(STDERR_FILENO, line, len);
    (void)ignored;
}

void log_write_at(uint64_t wall_ms, enum env_level level, const char *event, const char *text)
{
    if (level < atomic_load_explicit(&log_level, memory_order_relaxed))
        return;
    char line[LOG_LINE_MAX], when[25];
    clock_format_utc(wall_ms, when);
    int n = snprintf(line, sizeof(line) - 1, "%s %s %s%s%s", when, level_marks[level], event,
                     *text ? " " : "", text);
    size_t len = n < 0 ? 0 : (size_t)n;
    if (len > sizeof(line) - 2)
        len = sizeof(line) - 2;
    for (size_t i = 0; i < len; i++) {
        if (line[i] == '\n' || line[i] == '\r')
            line[i] = ' ';
    }
    line[len] = '\n';
    log_put(line, len + 1);
}

void log_write(enum env_level level, const char *event, const char *text)
{
    log_write_at(clock_wall_ms(), level, event, text);
}

void log_event(enum env_level level, const char *event, const char *fmt, ...)
{
    if (level < atomic_load_explicit(&log_level, memory_order_relaxed))
        return;
    char text[LOG_LINE_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_write(level, event, text);
}

/* One character as it stands in a quoted value; returns its length (at most 4). */
static size_t log_escape(char *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    if (c == '"' || c == '\\') {
        out[0] = '\\';
        out[1] = (char)c;
        return 2;
    }
    if (c == '\n' || c == '\r' || c == '\t') {
        out[0] = '\\';
        out[1] = c == '\n' ? 'n' : c == '\r' ? 'r' : 't';
        return 2;
    }
    if (c < 0x20 || c == 0x7f) {
        out[0] = '\\';
        out[1] = 'x';
        out[2] = hex[c >> 4];
        out[3] = hex[c & 15];
        return 4;
    }
    out[0] = (char)c;
    return 1;
}

const char *log_quote(char *out, size_t cap, const char *text)
{
    if (cap < 3) {
        if (cap)
            out[0] = 0;
        return out;
    }
    size_t n = 0;
    out[n++] = '"';
    for (; *text; text++) {
        char piece[4];
        size_t k = log_escape(piece, (unsigned char)*text);
        if (n + k + 2 > cap)
            break;
        memcpy(out + n, piece, k);
        n += k;
    }
    out[n++] = '"';
    out[n] = 0;
    return out;
}
