#include "broker/leaving.h"

#include "base/list.h"
#include "base/mem.h"

/* A timer set in this turn fires in a later one. */
#define LEAVE_AFTER_US 1

static void turn_ended(struct env_timer *timer)
{
    struct leaving *l = container_of(timer, struct leaving, end);
    for (size_t i = 0; i < l->n; i++)
        l->unref(l->at[i]);
    l->n = 0;
}

void leaving_init(struct leaving *l, struct env *env, leaving_unref_fn *unref)
{
    *l = (struct leaving){.env = env, .unref = unref, .end = {.fire = turn_ended}};
}

void leaving_add(struct leaving *l, const void *item)
{
    if (l->n == l->cap) {
        l->cap = l->cap != 0 ? 2 * l->cap : 16;
        l->at = mem_realloc(l->at, l->cap * sizeof(const void *));
    }
    l->at[l->n++] = item;
    env_timer_set(l->env, &l->end, LEAVE_AFTER_US);
}

void leaving_free(struct leaving *l)
{
    env_timer_stop(l->env, &l->end);
    turn_ended(&l->end);
    mem_free(l->at);
}
