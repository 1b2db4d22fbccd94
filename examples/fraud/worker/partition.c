#include "partition.h"

#include "replay.h"

#include <stdlib.h>
#include <unistd.h>

static void path_of(const struct place *place, const struct partition *p, char path[4096])
{
    snprintf(path, 4096, "%s/%s-%d", place->state, place->topic, p->number);
}

struct partition *partition_make(const struct place *place, int32_t number)
{
    struct partition *p = calloc(1, sizeof *p);
    if (p == NULL)
        die("no memory for a partition");
    p->number = number;
    if (place->state) {
        char path[4096];
        path_of(place, p, path);
        p->next = p->saved = keyed_load(&p->keys, place->stage->row_size, path);
    }
    return p;
}

struct catching_up {
    const struct stage *stage;
    struct partition *partition;
};

static void take_again(void *arg, const struct event *e)
{
    const struct catching_up *c = arg;
    (void)c->stage->take(&c->partition->keys, e, NULL); /* what was wrong then is wrong now */
}

void partition_catch_up(const struct place *place, struct partition *p, int64_t offset)
{
    if (offset <= p->next)
        return;
    struct catching_up c = {place->stage, p};
    struct replay replay = {.weir = place->weir,
                            .topic = place->topic,
                            .partition = p->number,
                            .from = p->next,
                            .to = offset,
                            .arg = &c,
                            .event = take_again};
    int64_t from = p->next;
    replay_run(&replay);
    p->next = offset;
    fprintf(stderr, "%s/%d: read again from %lld to %lld\n", place->topic, p->number,
            (long long)from, (long long)offset);
}

pid_t partition_save(const struct place *place, struct partition *p, int here)
{
    if (place->state == NULL || p->next == p->saved)
        return 0;
    p->saved = p->next;
    char path[4096];
    path_of(place, p, path);
    if (keyed_saved(path) >= p->next) /* another worker had it since */
        return 0;
    pid_t child = here ? 0 : fork();
    if (child == 0)
        keyed_save(&p->keys, place->stage->row_size, p->next, path);
    if (child == 0 && !here)
        _exit(0);
    return child > 0 ? child : 0;
}
