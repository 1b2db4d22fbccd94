#include "io/clock.h"

#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>

static uint64_t clock_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t clock_wall_ms(void)
{
    return clock_us(CLOCK_REALTIME) / 1000;
}

uint64_t clock_wall_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

uint64_t clock_mono_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

uint64_t clock_cpu_us(void)
{
    return clock_us(CLOCK_PROCESS_CPUTIME_ID);
}

void clock_sleep_until_us(uint64_t t)
{
    struct timespec until = {.tv_sec = (time_t)(t / 1000000),
                             .tv_nsec = (long)(t % 1000000) * 1000};
    /* The kernel may be late by the thread's timer slack, 50 us by default. */
    prctl(PR_SET_TIMERSLACK, 1UL);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

void clock_format_utc(uint64_t wall_ms, char out[25])
{
    /* 9999-12-31T23:59:59.999Z is the last instant that fits the format. */
    const uint64_t last = UINT64_C(253402300799999);
    if (wall_ms > last)
        wall_ms = last;
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    unsigned year = (unsigned)(tm.tm_year + 1900) % 10000;
    snprintf(out, 25, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year, (unsigned)(tm.tm_mon + 1) % 100,
             (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
             (unsigned)tm.tm_sec % 100, (unsigned)(wall_ms % 1000));
}
