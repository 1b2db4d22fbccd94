/* Groups whose logs belong to several reactors.
 *
 *     origin      checks that the disk has room for all of it, makes one part for each reactor and
 *                 mails it there (its own it takes at once)
 *     owner       gives its appends offsets and places, submits one item with the group's tag
 *     writer      puts all parts into one journal group (commit.h)
 *     owner       moves its logs' ends, mails the origin
 *     origin      the last part is back: done
 *
 * The room is checked before any part is made, so that a part that fails after another one was
 * written is not to be expected. If it happens all the same (somebody else filled the disk in
 * between, or it reported an error), the process stops in order (embedded_turn.c): nothing of the
 * group is in the journal, and the restart drops what its parts left in their segments. */
#include "base/assert.h"
#include "base/mem.h"
#include "store/embedded_ops.h"

#include <string.h>

/* Beside the group itself: journal padding, segment and index files that it may begin. */
#define SPREAD_SLACK_BYTES ((uint64_t)4 << 20)

struct spread;

struct spread_part {
    struct env_mail mail;
    struct spread *spread;
    unsigned reactor;
    struct store_append *head, *tail; /* of this reactor's logs */
};

struct spread {
    struct store_group *group;
    struct store_reactor *origin;
    struct commit_tag tag;
    unsigned open;             /* parts not back yet */
    struct spread_part part[]; /* one a reactor; those without appends are unused */
};

static void part_back(struct env_mail *mail, struct env *env)
{
    (void)env;
    struct spread *s = container_of(mail, struct spread_part, mail)->spread;
    if (--s->open > 0)
        return;
    struct store_group *group = s->group;
    mem_free(s);
    group->done(group, ERR_OK);
}

static void part_done(struct commit_item *item, enum err err)
{
    struct spread_part *part = item->user;
    struct spread *s = part->spread;
    weir_assert(err == ERR_OK); /* a part that fails stops the process */
    part->mail.run = part_back;
    env_post(reactor_env(&s->origin->e->reactor[part->reactor]), s->origin->index, &part->mail);
}

static void part_submit(struct store_reactor *r, struct spread_part *part)
{
    struct commit_item *item = reactor_item(r, part_done);
    item->user = part;
    item->tag = &part->spread->tag;
    embedded_group_part(r, item, part->head, part->spread->group->relaxed);
}

static void part_arrived(struct env_mail *mail, struct env *env)
{
    struct spread_part *part = container_of(mail, struct spread_part, mail);
    part_submit(&part->spread->origin->e->reactor[env->reactor], part);
}

static void part_add(struct spread *s, struct store_append *append)
{
    struct spread_part *part = &s->part[append->log->reactor->index];
    append->next = NULL;
    if (part->tail) {
        part->tail->next = append;
    } else {
        part->head = append;
        s->open++;
    }
    part->tail = append;
}

/* All of the group's bytes, twice (segments and journal), have room. */
static enum err room_check(struct embedded *e, const struct store_group *group)
{
    uint64_t bytes = SPREAD_SLACK_BYTES, room;
    for (const struct store_append *a = group->head; a; a = a->next)
        bytes += 2 * (uint64_t)a->batch.len;
    enum err err = disk_free_bytes(e->disk, e->dir, &room);
    if (err)
        return ERR_STORAGE;
    return room < bytes || !writer_admits(&e->writer, bytes) ? ERR_DISK_FULL : ERR_OK;
}

void embedded_group_spread(struct store_reactor *r, struct store_group *group)
{
    struct embedded *e = r->e;
    enum err err = room_check(e, group);
    if (err) {
        group->done(group, err);
        return;
    }
    struct spread *s = mem_zalloc(1, sizeof(*s) + e->reactors * sizeof(s->part[0]));
    s->group = group;
    s->origin = r;
    for (struct store_append *next, *a = group->head; a; a = next) {
        next = a->next;
        part_add(s, a);
    }
    s->tag.parts = s->open;
    for (unsigned i = 0; i < e->reactors; i++) {
        struct spread_part *part = &s->part[i];
        part->spread = s;
        part->reactor = i;
        part->mail.run = part_arrived;
        if (part->head && i != r->index)
            env_post(reactor_env(r), i, &part->mail);
    }
    if (s->part[r->index].head)
        part_submit(r, &s->part[r->index]);
}
