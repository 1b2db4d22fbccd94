#include "broker/env.h"

#include <stdarg.h>
#include <stdio.h>

/* Longer texts are cut. */
#define ENV_LOG_TEXT_MAX 1024

void env_log(struct env *env, enum env_level level, const char *event, const char *fmt, ...)
{
    char text[ENV_LOG_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    env->ops->log(env, level, event, text);
}
