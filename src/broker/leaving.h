/* leaving.h: what was taken out of a reactor's copy, kept until the end of the turn for who looked
 * it up before. Inside of broker/ only; one reactor. */
#pragma once

#include "broker/env.h"

#include <stddef.h>

typedef void leaving_unref_fn(const void *item);

struct leaving {
    struct env *env;
    leaving_unref_fn *unref;
    const void **at; /* own references */
    size_t n, cap;
    struct env_timer end;
};

void leaving_init(struct leaving *l, struct env *env, leaving_unref_fn *unref);
/* Takes over the caller's reference. */
void leaving_add(struct leaving *l, const void *item);
/* Drops what is there at once. */
void leaving_free(struct leaving *l);
