#include "flow/function_scale.h"

#include "base/assert.h"

static uint64_t parts(uint64_t n, uint64_t size)
{
    return n / size + (n % size != 0);
}

static uint32_t need_of(const struct function_scale_conf *conf,
                        const struct function_scale_seen *seen, enum function_scale_reason *why)
{
    uint64_t by_waiting = parts(seen->waiting, conf->target);
    uint64_t by_calls = parts(seen->calls, conf->concurrency);
    uint64_t need = by_waiting > by_calls ? by_waiting : by_calls;
    *why = by_waiting > by_calls ? FUNCTION_SCALE_WAITING : FUNCTION_SCALE_CALLS;
    if (need < conf->min)
        *why = FUNCTION_SCALE_MINIMUM;
    if (need < conf->min)
        need = conf->min;
    return need > conf->max ? conf->max : (uint32_t)need;
}

static uint32_t step_up(const struct function_scale_seen *seen, uint32_t need)
{
    uint32_t starting = seen->size - seen->ready;
    uint32_t most = seen->ready > FUNCTION_SCALE_STEP ? seen->ready : FUNCTION_SCALE_STEP;
    uint32_t room = most > starting ? most - starting : 0;
    return need - seen->size > room ? seen->size + room : need;
}

static void step_down(struct function_scale *s, const struct function_scale_conf *conf,
                      const struct function_scale_seen *seen, struct function_scale_answer *a)
{
    if (s->over_since_us == 0)
        s->over_since_us = seen->now_us;
    if (seen->now_us - s->over_since_us >= conf->idle_us) {
        uint64_t pause =
            conf->idle_us < FUNCTION_SCALE_DOWN_US ? conf->idle_us : FUNCTION_SCALE_DOWN_US;
        s->over_since_us = seen->now_us - conf->idle_us + pause;
        a->size = seen->size - 1;
        a->reason = FUNCTION_SCALE_IDLE;
    }
    if (a->size > a->need)
        a->look_us = s->over_since_us + conf->idle_us;
}

struct function_scale_answer function_scale(struct function_scale *s,
                                            const struct function_scale_conf *conf,
                                            const struct function_scale_seen *seen)
{
    enum function_scale_reason why;
    weir_assert(conf->target > 0 && conf->concurrency > 0 && seen->ready <= seen->size);
    struct function_scale_answer a = {
        .need = need_of(conf, seen, &why), .size = seen->size, .look_us = UINT64_MAX};
    if (a.need >= seen->size)
        s->over_since_us = 0;
    if (seen->size > conf->max) {
        a.size = conf->max;
        a.reason = FUNCTION_SCALE_MAXIMUM;
    } else if (a.need > seen->size) {
        a.size = step_up(seen, a.need);
        a.reason = a.size > seen->size ? why : FUNCTION_SCALE_NONE;
    } else if (a.need < seen->size) {
        step_down(s, conf, seen, &a);
    }
    return a;
}

const char *function_scale_reason(enum function_scale_reason reason)
{
    static const char *const names[] = {
        [FUNCTION_SCALE_NONE] = "none",       [FUNCTION_SCALE_MINIMUM] = "minimum",
        [FUNCTION_SCALE_MAXIMUM] = "maximum", [FUNCTION_SCALE_WAITING] = "waiting",
        [FUNCTION_SCALE_CALLS] = "calls",     [FUNCTION_SCALE_IDLE] = "idle",
    };
    return names[reason];
}
