#include "broker/broker_internal.h"
#include "broker/publish.h"

static void ended(struct publish_join *join)
{
    struct publish_all *all = container_of(join, struct publish_all, join);
    all->done(all, all->err);
}

static void stored(struct store_group *group, enum err err)
{
    struct publish_all *all = container_of(group, struct publish_all, group);
    all->err = err;
    publish_join_end(&all->join, err);
}

static void ready(struct publish_join *join, enum err err)
{
    struct publish_all *all = container_of(join, struct publish_all, join);
    struct store *store = join->broker->store;
    if (err != ERR_OK) {
        all->text = join->text;
        all->done(all, err);
        return;
    }
    store_begin(store, &all->group);
    all->group.done = stored;
    publish_join_add(join, store, &all->group);
    if (all->group.head == NULL) /* all are there already */
        stored(&all->group, ERR_OK);
    else
        store_commit(store, &all->group);
}

void broker_publish_all(struct broker *b, struct publish_all *all)
{
    all->text.s[0] = '\0';
    all->join = (struct publish_join){
        .outputs = all->outputs, .outputs_n = all->outputs_n, .ready = ready, .ended = ended};
    publish_join(b, &all->join);
}
