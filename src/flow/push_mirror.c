/* Breakers that are not CLOSED, of all reactors, for who shows them: each change is mailed to
 * reactor 0. */
#include "base/assert.h"
#include "base/mem.h"
#include "flow/push_internal.h"

#include <string.h>

struct push_mirror {
    struct list states; /* struct told, one an endpoint */
};

struct told {
    struct list link; /* in the mirror, once it has arrived */
    struct env_mail mail;
    struct push *to; /* reactor 0's */
    enum breaker_state state;
    char endpoint[];
};

struct push_mirror *push_mirror_make(void)
{
    struct push_mirror *m = mem_zalloc(1, sizeof *m);
    list_init(&m->states);
    return m;
}

void push_mirror_free(struct push_mirror *m)
{
    while (!list_empty(&m->states))
        mem_free(container_of(list_pop(&m->states), struct told, link));
    mem_free(m);
}

static void arrived(struct env_mail *mail, struct env *env)
{
    struct told *t = container_of(mail, struct told, mail);
    struct push_mirror *m = t->to->mirror;
    (void)env;
    list_for_safe (it, &m->states) {
        struct told *old = container_of(it, struct told, link);
        if (strcmp(old->endpoint, t->endpoint) != 0)
            continue;
        list_remove(it);
        mem_free(old);
    }
    if (t->state == BREAKER_CLOSED)
        mem_free(t);
    else
        list_push(&m->states, &t->link);
}

void push_mirror_tell(struct push *p, const char *endpoint, enum breaker_state state)
{
    size_t n = strlen(endpoint) + 1;
    struct told *t = mem_zalloc(1, sizeof *t + n);
    list_init(&t->link);
    t->mail.run = arrived;
    t->to = p->first;
    t->state = state;
    memcpy(t->endpoint, endpoint, n);
    env_post(p->env, 0, &t->mail);
}

void push_breakers(const struct push *p, push_breaker_fn *each, void *arg)
{
    weir_assert(p->mirror != NULL);
    list_for (it, &p->mirror->states) {
        const struct told *t = container_of(it, struct told, link);
        each(arg, t->endpoint, (int)t->state);
    }
}
