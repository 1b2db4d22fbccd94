#include "base/when.h"

#include <stdio.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)

/* ---- reading -------------------------------------------------------------------------------- */

static bool next_is(const struct str *s, char c)
{
    return s->len != 0 && s->at[0] == c;
}

static bool next_is_digit(const struct str *s)
{
    return s->len != 0 && s->at[0] >= '0' && s->at[0] <= '9';
}

static void skip(struct str *s, size_t n)
{
    s->at += n;
    s->len -= n;
}

static bool take(struct str *s, char c)
{
    if (!next_is(s, c))
        return false;
    skip(s, 1);
    return true;
}

/* Digits, at most 18; false: there are none. */
static bool take_number(struct str *s, int64_t *out)
{
    size_t digits = 0;
    *out = 0;
    for (; next_is_digit(s) && digits < 18; digits++, skip(s, 1))
        *out = *out * 10 + (s->at[0] - '0');
    return digits != 0;
}

/* Exactly so many digits, a number from lo to hi. */
static bool take_field(struct str *s, size_t digits, int64_t lo, int64_t hi, int64_t *out)
{
    struct str field = {s->at, digits};
    if (s->len < digits || !take_number(&field, out) || field.len != 0)
        return false;
    skip(s, digits);
    return *out >= lo && *out <= hi;
}

/* ".5" -> 500, ".1239" -> 123; 0 and nothing taken where there is no dot. */
static bool take_millis(struct str *s, int64_t *ms)
{
    *ms = 0;
    if (!take(s, '.'))
        return true;
    if (!next_is_digit(s))
        return false;
    for (int64_t weight = 100; next_is_digit(s); skip(s, 1), weight /= 10)
        *ms += (s->at[0] - '0') * weight;
    return true;
}

/* "", "Z", "+02:00", "-0230": how far ahead of UTC, in ms. */
static bool take_zone(struct str *s, int64_t *ms)
{
    int64_t hours, minutes;
    *ms = 0;
    if (s->len == 0 || take(s, 'Z') || take(s, 'z'))
        return true;
    bool behind = take(s, '-');
    if (!behind && !take(s, '+'))
        return false;
    if (!take_field(s, 2, 0, 23, &hours))
        return false;
    take(s, ':');
    if (!take_field(s, 2, 0, 59, &minutes))
        return false;
    *ms = (hours * 60 + minutes) * (behind ? -60000 : 60000);
    return true;
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int64_t days_of_month(int64_t year, int64_t month)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Days from 1970-01-01 to the first of the month, in the calendar whose year begins in March, so
 * that the leap day is its last: a year is then 153 days in five months, over and over. */
static int64_t days_to_month(int64_t year, int64_t month)
{
    int64_t y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;
    return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 - 719468;
}

static bool take_day(struct str *s, int64_t *days)
{
    int64_t year, month, day;
    if (!take_field(s, 4, 1, 9999, &year) || !take(s, '-') || !take_field(s, 2, 1, 12, &month) ||
        !take(s, '-') || !take_field(s, 2, 1, days_of_month(year, month), &day))
        return false;
    *days = days_to_month(year, month) + day - 1;
    return true;
}

/* A leap second (60) is the first of the next minute. */
static bool take_time_of_day(struct str *s, int64_t *ms)
{
    int64_t hours, minutes, seconds, millis;
    if (!take_field(s, 2, 0, 23, &hours) || !take(s, ':') || !take_field(s, 2, 0, 59, &minutes) ||
        !take(s, ':') || !take_field(s, 2, 0, 60, &seconds) || !take_millis(s, &millis))
        return false;
    *ms = ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis;
    return true;
}

bool when_datetime(struct str s, int64_t *ms)
{
    int64_t days, in_day, zone;
    if (!take_day(&s, &days) || (!take(&s, 'T') && !take(&s, 't')) ||
        !take_time_of_day(&s, &in_day) || !take_zone(&s, &zone) || s.len != 0)
        return false;
    *ms = days * DAY_MS + in_day - zone;
    return true;
}

struct unit {
    const char *name;
    int64_t ms;
};

/* "2H30M", each unit once at most, in the order of the units. Only seconds have a fraction. */
static bool take_parts(struct str *s, const struct unit *units, size_t n, int64_t *ms)
{
    size_t next = 0;
    while (next_is_digit(s)) {
        int64_t count, millis, part;
        if (!take_number(s, &count) || !take_millis(s, &millis) || s->len == 0)
            return false;
        while (next < n && units[next].name[0] != s->at[0])
            next++;
        if (next == n || (millis != 0 && s->at[0] != 'S'))
            return false;
        skip(s, 1);
        if (__builtin_mul_overflow(count, units[next++].ms, &part) ||
            __builtin_add_overflow(part, millis, &part) || __builtin_add_overflow(*ms, part, ms))
            return false;
    }
    return true;
}

/* Behind the P. */
static bool iso_duration(struct str s, int64_t *ms)
{
    static const struct unit days[] = {{"W", 7 * DAY_MS}, {"D", DAY_MS}};
    static const struct unit times[] = {{"H", 3600000}, {"M", 60000}, {"S", 1000}};
    int64_t total = 0;
    if (s.len == 0 || !take_parts(&s, days, 2, &total))
        return false;
    if (take(&s, 'T') && (s.len == 0 || !take_parts(&s, times, 3, &total)))
        return false;
    if (s.len != 0)
        return false;
    *ms = total;
    return true;
}

static const struct unit own_units[] = {
    {"d", DAY_MS}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};
#define OWN_UNITS (sizeof own_units / sizeof own_units[0])

/* The longest of the own units that the text begins with; OWN_UNITS: none. */
static size_t own_unit(const struct str *s)
{
    size_t best = OWN_UNITS, best_len = 0;
    for (size_t i = 0; i < OWN_UNITS; i++) {
        size_t len = strlen(own_units[i].name);
        if (len > best_len && s->len >= len && memcmp(s->at, own_units[i].name, len) == 0) {
            best = i;
            best_len = len;
        }
    }
    return best;
}

/* "1h30m": units from large to small. */
static bool own_duration(struct str s, int64_t *ms)
{
    int64_t total = 0, count, part;
    size_t next = 0;
    while (s.len != 0) {
        if (!take_number(&s, &count))
            return false;
        size_t unit = own_unit(&s);
        if (unit < next || unit == OWN_UNITS)
            return false;
        next = unit + 1;
        skip(&s, strlen(own_units[unit].name));
        if (__builtin_mul_overflow(count, own_units[unit].ms, &part) ||
            __builtin_add_overflow(total, part, &total))
            return false;
    }
    *ms = total;
    return true;
}

bool when_duration(struct str s, int64_t *ms)
{
    if (take(&s, 'P'))
        return iso_duration(s, ms);
    if (s.len == 0)
        return false;
    return str_to_i64(s, ms) == ERR_OK || own_duration(s, ms);
}

/* ---- writing -------------------------------------------------------------------------------- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* The inverse of days_to_month: the year and month that the day is in, and the day in it. */
static void date_of_days(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    int64_t shifted = days + 719468;
    int64_t era = floor_div(shifted, 146097), in_era = shifted - era * 146097;
    int64_t y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * in_year + 2) / 153;
    *day = in_year - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = y + era * 400 + (*month <= 2);
}

const char *when_put_datetime(int64_t ms, char out[WHEN_TEXT_MAX])
{
    const int64_t first = INT64_C(-62135596800000), last = INT64_C(253402300799999);
    int64_t year, month, day;
    ms = ms < first ? first : ms > last ? last : ms;
    int64_t days = floor_div(ms, DAY_MS), in_day = ms - days * DAY_MS;
    int second = (int)(in_day / 1000), millis = (int)(in_day % 1000);
    char fraction[8] = "";
    date_of_days(days, &year, &month, &day);
    if (millis != 0)
        snprintf(fraction, sizeof fraction, ".%03u", (unsigned)millis % 1000);
    snprintf(out, WHEN_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02u%sZ", (unsigned)year % 10000,
             (unsigned)month % 100, (unsigned)day % 100, (unsigned)second / 3600 % 24,
             (unsigned)second / 60 % 60, (unsigned)second % 60, fraction);
    return out;
}

const char *when_put_duration(int64_t ms, char out[WHEN_TEXT_MAX])
{
    size_t i = 0;
    while (i + 1 < OWN_UNITS && (ms == 0 || ms % own_units[i].ms != 0))
        i++;
    snprintf(out, WHEN_TEXT_MAX, "%lld%s", (long long)(ms / own_units[i].ms), own_units[i].name);
    return out;
}

bool when_us_of_ms(struct str s, int64_t *us)
{
    const char *dot = memchr(s.at, '.', s.len);
    struct str ms = {s.at, dot != NULL ? (size_t)(dot - s.at) : s.len};
    int64_t whole, part = 0, unit = 100;
    if (str_to_i64(ms, &whole) != ERR_OK || whole < 0 || whole > WHEN_MS_MAX)
        return false;
    for (const char *p = dot; dot != NULL && ++p < s.at + s.len && unit > 0; unit /= 10)
        part += *p >= '0' && *p <= '9' ? (*p - '0') * unit : 0;
    *us = whole * 1000 + part;
    return true;
}
