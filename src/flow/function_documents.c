/* Where functions' documents come from: the broker's copy on this reactor, and its changes. */
#include "flow/function_internal.h"

static bool is_ours(const struct functions *all, const struct document *d)
{
    return d->kind == DOCUMENT_FUNCTION &&
           function_reactor(str_of(d->name), all->env->reactors) == all->env->reactor;
}

static void changed(struct document_watcher *watcher, struct broker *b, const struct document *old,
                    const struct document *now)
{
    struct functions *all = container_of(watcher, struct functions, watcher);
    const struct document *any = now ? now : old;
    (void)b;
    if (is_ours(all, any))
        function_set_document(all, str_of(any->name), now);
}

void function_documents_load(struct functions *all)
{
    struct broker *b = all->conf.broker;
    const struct document *d = NULL;
    while ((d = broker_document_next(b, DOCUMENT_FUNCTION, d)) != NULL) {
        if (is_ours(all, d))
            function_set_document(all, str_of(d->name), d);
    }
    all->watcher.changed = changed;
    broker_document_watch(b, &all->watcher);
}
