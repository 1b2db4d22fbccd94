/* weir's circuit breaker under a script: reads the commands that test_breaker.py describes from
 * stdin and prints what the breaker says after each, as java/BreakerJudge.java does for
 * resilience4j's. */
#include "flow/breaker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct breaker_conf conf;
static struct breaker breaker;
static uint64_t now_us;
static bool made;

static void make(uint64_t at_us)
{
    if (made)
        breaker_free(&breaker);
    made = true;
    now_us = at_us;
    breaker_init(&breaker, &conf, now_us);
}

static bool configure(const char *line)
{
    char window[8];
    uint64_t at_us;
    conf = breaker_conf_default;
    if (sscanf(line,
               "conf %7s %" SCNu32 " %" SCNu32 " %f %f %" SCNu64 " %" SCNu32 " %" SCNu64
               " %" SCNu64,
               window, &conf.window_size, &conf.calls_min, &conf.failure_rate, &conf.slow_rate,
               &conf.slow_us, &conf.permitted, &conf.open_us, &at_us) != 9)
        return false;
    conf.window = strcmp(window, "time") ? BREAKER_BY_COUNT : BREAKER_BY_TIME;
    make(at_us);
    return true;
}

static void record(bool failed, uint64_t took_us, char *more, size_t cap)
{
    breaker_record(&breaker, failed, took_us, now_us);
    snprintf(more, cap, " %.3f %.3f %" PRIu32 " %" PRIu32 " %" PRIu32,
             (double)breaker_failure_rate(&breaker), (double)breaker_slow_rate(&breaker),
             breaker.total.calls, breaker.total.failed, breaker.total.slow);
}

/* Only what both sides allow: HALF_OPEN out of OPEN, OPEN where there is a window. */
static bool may_become(enum breaker_state to)
{
    enum breaker_state from = breaker.state;
    if (to == BREAKER_HALF_OPEN)
        return from == BREAKER_OPEN;
    if (to == BREAKER_OPEN)
        return from == BREAKER_CLOSED || from == BREAKER_HALF_OPEN;
    return from != to;
}

static bool run(const char *line, char *more, size_t cap)
{
    uint64_t n;
    char state[16];
    enum breaker_state to;
    if (!strcmp(line, "defaults")) {
        conf = breaker_conf_default;
        make(0);
    } else if (sscanf(line, "time %" SCNu64, &n) == 1) {
        now_us += n;
    } else if (!strcmp(line, "acquire")) {
        snprintf(more, cap, "%s", breaker_acquire(&breaker, now_us) ? " yes" : " no");
    } else if (!strcmp(line, "release")) {
        breaker_release(&breaker);
    } else if (sscanf(line, "success %" SCNu64, &n) == 1) {
        record(false, n, more, cap);
    } else if (sscanf(line, "failure %" SCNu64, &n) == 1) {
        record(true, n, more, cap);
    } else if (sscanf(line, "force %15s", state) == 1 &&
               breaker_state_parse(state, strlen(state), &to)) {
        if (may_become(to))
            breaker_force(&breaker, to, now_us);
    } else {
        return configure(line);
    }
    return true;
}

int main(void)
{
    char line[256];
    while (fgets(line, sizeof line, stdin)) {
        char more[128] = "";
        line[strcspn(line, "\n")] = '\0';
        if (!run(line, more, sizeof more)) {
            fprintf(stderr, "no such command: %s\n", line);
            return 1;
        }
        printf("%s %" PRIu64 "%s\n", breaker_state_name(breaker.state), breaker.rejected, more);
    }
    return 0;
}
