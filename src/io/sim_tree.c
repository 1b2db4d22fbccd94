/* Names and folders of the simulated disk.
 *
 * A folder's entry holds two files: the one that a lookup finds and the one that is durable under
 * this name. What makes the two differ stands in one list of name changes, in order; a sync of a
 * folder carries out those that put (or removed) a name there. A power cut draws which of the rest
 * happen: each alone, a rename with both of its names.
 *
 * Files and folders are counted: by entries, by changes that wait, by open handles.
 */
#include "io/sim_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

#define SIM_NAME_MAX 255u

/* A name that changed. Only `to`: created. Only `from`: unlinked. Both: renamed. */
struct sim_change {
    struct list link;
    struct sim_inode *from_dir, *to_dir, *inode;
    struct sim_dentry *from, *to;
};

/* ---- inodes and entries ---- */

struct sim_inode *sim_inode_get(struct sim_inode *inode)
{
    inode->refs++;
    return inode;
}

void sim_inode_put(struct sim_tree *t, struct sim_inode *inode)
{
    if (!inode)
        return;
    weir_assert(inode->refs > 0);
    if (--inode->refs == 0)
        list_push(&t->doomed, &inode->doom);
}

struct sim_inode *sim_inode_make(struct sim_tree *t, bool is_dir)
{
    struct sim_inode *inode = mem_zalloc(1, sizeof(*inode));
    inode->is_dir = is_dir;
    inode->id = ++t->next_id;
    map_init(&inode->entries);
    sim_file_init(&inode->file, t->space);
    list_push(&t->inodes, &inode->link);
    return inode;
}

static void entry_free(struct sim_tree *t, struct sim_dentry *e)
{
    sim_inode_put(t, e->now);
    sim_inode_put(t, e->durable);
    mem_free(e);
}

/* Frees what nothing refers to any more, and what only that referred to. */
void sim_tree_reap(struct sim_tree *t)
{
    struct list *at;
    while ((at = list_pop(&t->doomed)) != NULL) {
        struct sim_inode *inode = container_of(at, struct sim_inode, doom);
        list_remove(&inode->link);
        struct map_node *node = map_next(&inode->entries, NULL);
        while (node) {
            struct map_node *next = map_next(&inode->entries, node);
            entry_free(t, container_of(node, struct sim_dentry, node));
            node = next;
        }
        map_free(&inode->entries);
        sim_file_free(&inode->file);
        mem_free(inode);
    }
}

static bool entry_eq(const struct map_node *node, const void *key)
{
    const struct sim_dentry *e = container_of(node, struct sim_dentry, node);
    const struct sim_name *name = key;
    return strlen(e->name) == name->len && memcmp(e->name, name->at, name->len) == 0;
}

struct sim_dentry *sim_entry_find(const struct sim_inode *dir, struct sim_name name)
{
    struct map_node *node = map_find(&dir->entries, hash_bytes(name.at, name.len), entry_eq, &name);
    return node ? container_of(node, struct sim_dentry, node) : NULL;
}

struct sim_dentry *sim_entry_make(struct sim_inode *dir, struct sim_name name)
{
    struct sim_dentry *e = mem_zalloc(1, sizeof(*e) + name.len + 1);
    memcpy(e->name, name.at, name.len);
    map_insert(&dir->entries, &e->node, hash_bytes(name.at, name.len));
    return e;
}

/* Forgets an entry that names nothing in either view. */
static void entry_tidy(struct sim_inode *dir, struct sim_dentry *e)
{
    if (e->now || e->durable || e->changes)
        return;
    map_remove(&dir->entries, &e->node);
    mem_free(e);
}

static void entry_set(struct sim_tree *t, struct sim_inode **slot, struct sim_inode *inode)
{
    struct sim_inode *before = *slot;
    *slot = inode ? sim_inode_get(inode) : NULL;
    sim_inode_put(t, before);
}

/* ---- paths ---- */

/* The folder of the last component and that component; an empty one: the path is a folder that
 * has no name (the root). "." is skipped, ".." is not known. */
enum err sim_tree_walk(struct sim_tree *t, const char *path, struct sim_inode **dir,
                       struct sim_name *last)
{
    *dir = t->root;
    *last = (struct sim_name){path, 0};
    while (*path) {
        size_t n = strcspn(path, "/");
        if (n > SIM_NAME_MAX)
            return ERR_IO;
        if (n > 0 && !(n == 1 && *path == '.')) {
            if (last->len) {
                const struct sim_dentry *e = sim_entry_find(*dir, *last);
                if (!e || !e->now || !e->now->is_dir)
                    return ERR_NOT_FOUND;
                *dir = e->now;
            }
            *last = (struct sim_name){path, n};
        }
        path += n + (path[n] == '/');
    }
    return ERR_OK;
}

/* The file or folder at the path. */
enum err sim_tree_find(struct sim_tree *t, const char *path, struct sim_inode **out)
{
    struct sim_inode *dir;
    struct sim_name last;
    enum err e = sim_tree_walk(t, path, &dir, &last);
    if (e)
        return e;
    if (last.len == 0) {
        *out = dir;
        return ERR_OK;
    }
    const struct sim_dentry *entry = sim_entry_find(dir, last);
    if (!entry || !entry->now)
        return ERR_NOT_FOUND;
    *out = entry->now;
    return ERR_OK;
}

enum err sim_tree_find_dir(struct sim_tree *t, const char *path, struct sim_inode **out)
{
    enum err e = sim_tree_find(t, path, out);
    if (e)
        return e;
    return (*out)->is_dir ? ERR_OK : ERR_IO;
}

/* ---- changes of names ---- */

void sim_change_add(struct sim_tree *t, struct sim_inode *from_dir, struct sim_dentry *from,
                    struct sim_inode *to_dir, struct sim_dentry *to, struct sim_inode *inode)
{
    struct sim_change *c = mem_zalloc(1, sizeof(*c));
    c->inode = sim_inode_get(inode);
    if (from) {
        c->from_dir = sim_inode_get(from_dir);
        c->from = from;
        from->changes++;
    }
    if (to) {
        c->to_dir = sim_inode_get(to_dir);
        c->to = to;
        to->changes++;
    }
    list_push(&t->changes, &c->link);
    /* The view of lookups follows at once. */
    if (from)
        entry_set(t, &from->now, NULL);
    if (to)
        entry_set(t, &to->now, inode);
}

/* Takes the change out of the list; `happens`: it is durable now. */
static void change_settle(struct sim_tree *t, struct sim_change *c, bool happens)
{
    if (c->from) {
        if (happens)
            entry_set(t, &c->from->durable, NULL);
        c->from->changes--;
        if (c->from != c->to)
            entry_tidy(c->from_dir, c->from);
    }
    if (c->to) {
        if (happens)
            entry_set(t, &c->to->durable, c->inode);
        c->to->changes--;
        entry_tidy(c->to_dir, c->to);
    }
    list_remove(&c->link);
    sim_inode_put(t, c->inode);
    sim_inode_put(t, c->from_dir);
    sim_inode_put(t, c->to_dir);
    mem_free(c);
}

/* Those whose name stands (or stood, if removed) in dir; NULL: all. */
void sim_tree_sync(struct sim_tree *t, const struct sim_inode *dir)
{
    list_for_safe (it, &t->changes) {
        struct sim_change *c = container_of(it, struct sim_change, link);
        if (!dir || (c->to ? c->to_dir : c->from_dir) == dir)
            change_settle(t, c, true);
    }
    sim_tree_reap(t);
}

/* ---- power cuts ---- */

/* Which of the name changes that wait happen. */
static void changes_draw(struct sim_tree *t, struct rng *rng)
{
    enum { ALL_LOST, ALL_KEPT, PREFIX, EACH, MODES };
    uint64_t count = 0, n = 0;
    list_for (it, &t->changes)
        count++;
    unsigned mode = (unsigned)rng_below(rng, MODES);
    uint64_t prefix = rng_below(rng, count + 1);
    list_for_safe (it, &t->changes) {
        bool kept = mode == ALL_KEPT || (mode == PREFIX && n < prefix) ||
                    (mode == EACH && rng_one_in(rng, 2));
        change_settle(t, container_of(it, struct sim_change, link), kept);
        n++;
    }
}

/* Lookups find what is durable. */
static void dir_revert(struct sim_tree *t, struct sim_inode *dir)
{
    struct map_node *node = map_next(&dir->entries, NULL);
    while (node) {
        struct map_node *next = map_next(&dir->entries, node);
        struct sim_dentry *e = container_of(node, struct sim_dentry, node);
        entry_set(t, &e->now, e->durable);
        entry_tidy(dir, e);
        node = next;
    }
}

void sim_tree_cut(struct sim_tree *t, struct rng *rng)
{
    changes_draw(t, rng);
    list_for (it, &t->inodes)
        dir_revert(t, container_of(it, struct sim_inode, link));
    sim_tree_reap(t);
    list_for (it, &t->inodes)
        sim_file_cut(&container_of(it, struct sim_inode, link)->file, rng);
}

void sim_tree_init(struct sim_tree *t, struct sim_space *space)
{
    *t = (struct sim_tree){.space = space};
    list_init(&t->inodes);
    list_init(&t->changes);
    list_init(&t->doomed);
    t->root = sim_inode_get(sim_inode_make(t, true));
}

void sim_tree_free(struct sim_tree *t)
{
    list_for_safe (it, &t->changes)
        change_settle(t, container_of(it, struct sim_change, link), false);
    sim_inode_put(t, t->root);
    sim_tree_reap(t);
    weir_assert(list_empty(&t->inodes));
}
