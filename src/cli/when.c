#include "cli/when.h"

#include "base/str.h"

#include <string.h>
#include <time.h>

/* Digits from *s on, at most 18; false: there are none. */
static bool take_number(const char **s, int64_t *out)
{
    const char *from = *s;
    *out = 0;
    for (; **s >= '0' && **s <= '9' && *s - from < 18; (*s)++)
        *out = *out * 10 + (**s - '0');
    return *s > from;
}

/* ".5" -> 500, ".1239" -> 123; 0 and nothing taken where there is no dot. */
static bool take_millis(const char **s, int64_t *ms)
{
    *ms = 0;
    if (**s != '.')
        return true;
    const char *from = ++*s;
    for (int64_t weight = 100; **s >= '0' && **s <= '9'; (*s)++, weight /= 10)
        *ms += (**s - '0') * weight;
    return *s > from;
}

/* "", "Z", "+02:00", "-0230": how far ahead of UTC, in ms. */
static bool take_zone(const char *s, int64_t *ms)
{
    int64_t sign = *s == '-' ? -1 : 1;
    *ms = 0;
    if (!*s || !strcmp(s, "Z"))
        return true;
    if (*s != '+' && *s != '-')
        return false;
    size_t colon = strlen(s) == 6 && s[3] == ':';
    if (strlen(s) != 5 + colon)
        return false;
    const char digits[] = {s[1], s[2], s[3 + colon], s[4 + colon], 0};
    const char *at = digits;
    int64_t hhmm;
    if (!take_number(&at, &hhmm) || *at || hhmm / 100 > 23 || hhmm % 100 > 59)
        return false;
    *ms = sign * (hhmm / 100 * 60 + hhmm % 100) * 60000;
    return true;
}

bool when_datetime(const char *s, int64_t *ms)
{
    struct tm tm = {0};
    int64_t millis, zone;
    const char *rest = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!rest || !take_millis(&rest, &millis) || !take_zone(rest, &zone))
        return false;
    *ms = (int64_t)timegm(&tm) * 1000 + millis - zone;
    return true;
}

/* "2H" with its unit in ms, in the order of the units. */
static bool take_parts(const char **s, const char *units, const int64_t *unit_ms, int64_t *ms)
{
    size_t next = 0;
    while (**s >= '0' && **s <= '9') {
        int64_t n, millis, part;
        if (!take_number(s, &n) || !take_millis(s, &millis) || !**s)
            return false;
        const char *unit = strchr(units + next, **s);
        if (!unit || (millis && *unit != 'S'))
            return false;
        next = (size_t)(unit - units) + 1;
        (*s)++;
        if (__builtin_mul_overflow(n, unit_ms[unit - units], &part) ||
            __builtin_add_overflow(*ms, part + millis, ms))
            return false;
    }
    return true;
}

bool when_duration(const char *s, int64_t *ms)
{
    static const int64_t day_ms[] = {86400000}, time_ms[] = {3600000, 60000, 1000};
    int64_t total = 0;
    if (*s != 'P')
        return !str_to_duration_ms(str_of(s), ms);
    const char *at = s + 1;
    if (!take_parts(&at, "D", day_ms, &total))
        return false;
    if (*at == 'T') {
        at++;
        if (!*at || !take_parts(&at, "HMS", time_ms, &total))
            return false;
    }
    if (*at || at == s + 1)
        return false;
    *ms = total;
    return true;
}
