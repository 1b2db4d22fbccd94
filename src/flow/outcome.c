#include "flow/outcome.h"

#include "base/assert.h"

#include <string.h>
#include <time.h>

struct outcome_row {
    const char *text;
    uint32_t probation_ms;
    bool endpoints;
};

static const struct outcome_row rows[] = {
#define X(name, text, probation_ms, endpoints) {text, probation_ms, endpoints},
    DELIVERY_OUTCOMES(X)
#undef X
};

const char *outcome_text(enum delivery_outcome outcome)
{
    weir_assert(outcome < OUTCOME_COUNT);
    return rows[outcome].text;
}

uint32_t outcome_probation_ms(enum delivery_outcome outcome)
{
    weir_assert(outcome < OUTCOME_COUNT);
    return rows[outcome].probation_ms;
}

bool outcome_is_endpoints(enum delivery_outcome outcome)
{
    weir_assert(outcome < OUTCOME_COUNT);
    return rows[outcome].endpoints;
}

static enum delivery_outcome of_status(int status)
{
    switch (status) {
    case 401:
    case 407:
        return OUTCOME_UNAUTHORIZED;
    case 403:
        return OUTCOME_FORBIDDEN;
    case 404:
        return OUTCOME_NOT_FOUND;
    case 408:
    case 504:
        return OUTCOME_TIMED_OUT;
    case 410:
        return OUTCOME_DISABLED;
    case 413:
    case 414:
        return OUTCOME_PAYLOAD_TOO_LARGE;
    case 429:
        return OUTCOME_BUSY;
    case 507:
        return OUTCOME_FULL;
    }
    if (status >= 200 && status < 300)
        return OUTCOME_DELIVERED;
    if (status >= 400 && status < 500)
        return OUTCOME_BAD_REQUEST;
    return status >= 500 ? OUTCOME_BUSY : OUTCOME_ABORTED;
}

enum delivery_outcome outcome_of_call(enum http_outcome http, int status)
{
    switch (http) {
    case HTTP_ANSWERED:
        return of_status(status);
    case HTTP_TIMED_OUT:
        return OUTCOME_TIMED_OUT;
    case HTTP_UNRESOLVED:
        return OUTCOME_RESOLUTION_ERROR;
    case HTTP_UNREACHABLE:
    case HTTP_TLS_FAILED:
        return OUTCOME_SOCKET_ERROR;
    case HTTP_FORBIDDEN:
        return OUTCOME_FORBIDDEN;
    case HTTP_CALL_BAD:
        return OUTCOME_BAD_REQUEST;
    case HTTP_CANCELLED:
    case HTTP_NO_ROOM:
        return OUTCOME_CANCELED;
    case HTTP_ANSWER_BAD:
        break;
    }
    return OUTCOME_ABORTED;
}

enum delivery_outcome outcome_of_append(enum err err)
{
    switch (err) {
    case ERR_TOPIC_UNKNOWN:
        return OUTCOME_NOT_FOUND;
    case ERR_DISK_FULL:
    case ERR_STORAGE:
        return OUTCOME_FULL;
    case ERR_MESSAGE_TOO_LARGE:
    case ERR_MEMORY:
        return OUTCOME_PAYLOAD_TOO_LARGE;
    case ERR_RECORD_INVALID:
    case ERR_TIMESTAMP_INVALID:
        return OUTCOME_BAD_REQUEST;
    default:
        return OUTCOME_BUSY;
    }
}

/* The three forms of RFC 9110 5.6.7; a two-digit year is of this century. */
static bool parse_date(const char *text, struct tm *tm)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %d %H:%M:%S %Y"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        *tm = (struct tm){0};
        const char *end = strptime(text, forms[i], tm);
        if (end != NULL && *end == '\0')
            return true;
    }
    return false;
}

static int64_t clamp_ms(int64_t ms)
{
    return ms < 0 ? 0 : ms < RETRY_AFTER_MAX_MS ? ms : RETRY_AFTER_MAX_MS;
}

int64_t outcome_retry_after_ms(struct str value, uint64_t now_ms)
{
    int64_t seconds;
    struct tm tm;
    char text[64];
    if (value.at == NULL || !str_copy(text, sizeof text, value))
        return -1;
    if (!str_to_i64(value, &seconds))
        return seconds < 0 ? -1 : clamp_ms(seconds > RETRY_AFTER_MAX_MS ? seconds : seconds * 1000);
    if (!parse_date(text, &tm))
        return -1;
    return clamp_ms((int64_t)timegm(&tm) * 1000 - (int64_t)now_ms);
}
