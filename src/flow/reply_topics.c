#include "flow/reply_topics.h"

#include "base/mem.h"

#include <string.h>

struct making {
    struct topic_create_op create;
    struct env *env;
    char name[TOPIC_NAME_MAX + 1];
};

static void made(struct op *op)
{
    struct making *m = container_of(op, struct making, create.op);
    if (op->err != ERR_OK && op->err != ERR_TOPIC_EXISTS)
        env_log(m->env, ENV_WARN, "push.reply_topic", "topic=%s error=%s why=\"%s\"", m->name,
                err_name(op->err), m->create.text.s[0] ? m->create.text.s : err_meaning(op->err));
    topic_unref(m->create.topic);
    mem_free(m);
}

void reply_topic_make(struct broker *b, struct str name)
{
    if (name.at == NULL || broker_topic(b, name) != NULL)
        return;
    struct making *m = mem_zalloc(1, sizeof *m);
    m->env = broker_env(b);
    (void)str_copy(m->name, sizeof m->name, name);
    m->create = (struct topic_create_op){
        .op.done = made, .name = str_of(m->name), .partitions = -1, .replication = -1};
    broker_topic_create(b, &m->create);
}

void reply_topics_make(struct broker *b, const struct subscription *s)
{
    const struct reply_route *routes = s->conf.routes.at;
    reply_topic_make(b, s->conf.reply_topic);
    for (size_t i = 0; i < s->conf.routes.n; i++)
        reply_topic_make(b, routes[i].topic);
}
