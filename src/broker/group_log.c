/* Groups and the log: records out, records in, the snapshot of one group.
 *
 * What a group is, for the log: its own record, when a generation was stored or it became empty
 * once, and one record an offset. Offsets are taken into memory when they are durable. The group's
 * own record follows memory but during a rebalance, when the log keeps the last stored generation
 * until the next assignment is there (g->kept): a restart then takes the members back to it.
 */
#include "broker/group_internal.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/group_records.h"

/* ---- out ---------------------------------------------------------------------------------------
 */

struct group_write *group_write_make(struct group *g,
                                     void (*done)(struct group_write *w, enum err err))
{
    struct group_write *w = mem_zalloc(1, sizeof(*w));
    w->group = g;
    w->done = done;
    w->generation = g->generation;
    list_push(&g->writes, &w->link);
    batch_begin(&w->batch, 0);
    return w;
}

void group_write_free(struct group_write *w)
{
    list_remove(&w->link);
    slice_unref(w->value);
    wr_free(&w->batch.wr);
    group_str_drop(&w->member_id);
    group_str_drop(&w->old_member_id);
    mem_free(w);
}

static void write_done(struct statelog_append *append, enum err err)
{
    struct group_write *w = container_of(append, struct group_write, append);
    struct group *g = w->group;
    struct groups *groups = g->groups;
    groups_begin(groups);
    w->done(w, err);
    group_write_free(w);
    group_doubt(g);
    groups_end(groups);
}

/* May be done before this returns. */
void group_write_submit(struct group_write *w)
{
    w->append.done = write_done;
    statelog_write(w->group->log, &w->append, &w->batch, &w->group->entity);
}

enum err group_write_error(enum err err)
{
    return err == ERR_OK ? ERR_OK : ERR_COORDINATOR_UNAVAILABLE;
}

static struct str str_of_wr(const struct wr *w)
{
    return (struct str){w->buf != NULL ? (const char *)w->buf->data : NULL, w->len};
}

/* value.at NULL: gone. */
static void add_record(struct batch_builder *b, const struct group *g,
                       const struct group_record_key *key, struct str value)
{
    struct wr w;
    wr_init(&w, 64);
    group_record_key_write(&w, key);
    batch_add(b, (int64_t)env_now_ms(g->groups->env), str_of_wr(&w), value, NULL, 0);
    wr_free(&w);
}

static void add_group(struct batch_builder *b, const struct group *g, struct str value)
{
    add_record(b, g, &(struct group_record_key){.what = GROUP_RECORD_GROUP, .group = g->name},
               value);
}

static void add_offset(struct batch_builder *b, const struct group *g, struct str topic,
                       const struct offsets_entry *e)
{
    struct wr w;
    wr_init(&w, 64);
    group_record_offset_write(&w, &(struct group_record_offset){.offset = e->offset,
                                                                .leader_epoch = e->leader_epoch,
                                                                .metadata = e->metadata,
                                                                .commit_ms = e->commit_ms,
                                                                .expire_ms = e->expire_ms});
    add_record(b, g,
               &(struct group_record_key){.what = GROUP_RECORD_OFFSET,
                                          .group = g->name,
                                          .topic = topic,
                                          .partition = e->partition},
               str_of_wr(&w));
    wr_free(&w);
}

static void value_member(struct wr *w, const struct group *g, const struct group_member *m,
                         bool next)
{
    group_record_member_write(
        w, &(struct group_record_member){.id = m->id,
                                         .instance_id = m->instance_id,
                                         .client_id = m->client_id,
                                         .client_host = m->client_host,
                                         .rebalance_ms = m->rebalance_ms,
                                         .session_ms = m->session_ms,
                                         .subscription = group_member_metadata(m, g->protocol),
                                         .assignment = next ? m->assignment_next : m->assignment});
}

static int32_t count_known(const struct group *g)
{
    int32_t n = 0;
    list_for (it, &g->members)
        n += !group_member_of(it)->is_new;
    return n;
}

struct slice group_value(const struct group *g, bool next_assignments)
{
    struct wr w;
    wr_init(&w, 256);
    group_record_group_write(&w, &(struct group_record_group){.protocol_type = g->protocol_type,
                                                              .generation = g->generation,
                                                              .protocol = g->protocol,
                                                              .leader = g->leader != NULL
                                                                            ? g->leader->id
                                                                            : (struct str){NULL, 0},
                                                              .state_ms = g->state_ms,
                                                              .members_n = count_known(g)});
    list_for (it, &g->members) {
        if (!group_member_of(it)->is_new)
            value_member(&w, g, group_member_of(it), next_assignments);
    }
    return wr_take(&w);
}

static struct str str_of_slice(struct slice s)
{
    return (struct str){(const char *)s.at, s.len};
}

void group_write_group(struct group_write *w)
{
    w->value = group_value(w->group, w->group->state == GROUP_COMPLETING);
    add_group(&w->batch, w->group, str_of_slice(w->value));
}

void group_write_group_gone(struct group_write *w)
{
    add_group(&w->batch, w->group, (struct str){NULL, 0});
}

void group_write_offset(struct group_write *w, struct str topic, const struct offsets_entry *e)
{
    add_offset(&w->batch, w->group, topic, e);
}

void group_write_offset_gone(struct group_write *w, struct str topic, int32_t partition)
{
    add_record(&w->batch, w->group,
               &(struct group_record_key){.what = GROUP_RECORD_OFFSET,
                                          .group = w->group->name,
                                          .topic = topic,
                                          .partition = partition},
               (struct str){NULL, 0});
}

static void snapshot(void *user, struct statelog_entity *entity, struct batch_builder *out)
{
    (void)user;
    const struct group *g = container_of(entity, struct group, entity);
    if (g->kept.buf != NULL) {
        add_group(out, g, str_of_slice(g->kept));
    } else if (g->stored && (g->state == GROUP_EMPTY || g->state == GROUP_STABLE)) {
        struct slice value = group_value(g, false);
        add_group(out, g, str_of_slice(value));
        slice_unref(value);
    }
    for (struct offsets_topic *t = offsets_next(&g->offsets, NULL); t != NULL;
         t = offsets_next(&g->offsets, t)) {
        for (size_t i = 0; i < t->n; i++)
            add_offset(out, g, t->name, &t->entries[i]);
    }
}

/* ---- in ----------------------------------------------------------------------------------------
 */

static void forget_members(struct group *g)
{
    while (!list_empty(&g->members))
        group_member_remove(group_member_of(g->members.next));
    group_str_drop(&g->protocol_type);
    group_str_drop(&g->protocol);
    g->generation = 0;
    g->state_ms = -1;
    g->stored = false;
}

static bool apply_member(struct group *g, struct rd *r, int16_t version, struct str leader)
{
    struct group_record_member rm;
    if (!group_record_member_read(r, version, &rm) || rm.id.at == NULL || g->protocol.at == NULL ||
        group_member_find(g, rm.id) != NULL ||
        (rm.instance_id.at != NULL && group_member_static(g, rm.instance_id) != NULL))
        return false;
    struct group_member *m =
        group_member_add(g, rm.id, rm.instance_id, rm.client_id, rm.client_host);
    m->session_ms = rm.session_ms;
    m->rebalance_ms = rm.rebalance_ms;
    if (str_eq(rm.id, leader))
        g->leader = m;
    group_member_assign(m, group_str_keep(rm.assignment));
    struct group_protocol p = {g->protocol, rm.subscription};
    return group_member_protocols(m, &p, 1) == ERR_OK;
}

static bool apply_group(struct group *g, struct str value)
{
    struct group_record_group rg;
    struct rd r;
    int16_t version;
    forget_members(g);
    rd_init(&r, value.at, value.len);
    if (!group_record_group_read(&r, &version, &rg))
        return false;
    g->stored = true;
    g->generation = rg.generation;
    g->state_ms = rg.state_ms;
    g->protocol_type =
        rg.protocol_type.len != 0 ? group_str_keep(rg.protocol_type) : (struct str){NULL, 0};
    g->protocol = group_str_keep(rg.protocol);
    for (int32_t i = 0; i < rg.members_n; i++) {
        if (!apply_member(g, &r, version, rg.leader))
            return false;
    }
    return true;
}

/* An offset of a topic that is not there any more is taken in with no id: it is found and dropped
 * once all is loaded. */
static bool apply_offset(struct group *g, const struct group_record_key *key, struct str value)
{
    struct group_record_offset ro;
    if (!group_record_offset_read(value, &ro))
        return false;
    const struct topic *t = broker_topic(g->groups->broker, key->topic);
    struct uuid id = t != NULL ? t->id : (struct uuid){0};
    if (t != NULL && !uuid_is_zero(ro.topic_id) && !uuid_eq(ro.topic_id, id))
        id = ro.topic_id;
    size_t before = g->offsets.bytes;
    offsets_set(&g->offsets, key->topic, &id,
                &(struct offsets_entry){.partition = key->partition,
                                        .leader_epoch = ro.leader_epoch,
                                        .offset = ro.offset,
                                        .commit_ms = ro.commit_ms,
                                        .expire_ms = ro.expire_ms,
                                        .metadata = ro.metadata});
    group_charge(g, g->offsets.bytes, before);
    return true;
}

static void apply_gone(struct group *g, const struct group_record_key *key)
{
    size_t before = g->offsets.bytes;
    if (key->what == GROUP_RECORD_GROUP)
        forget_members(g);
    else
        offsets_remove(&g->offsets, key->topic, key->partition);
    group_charge(g, g->offsets.bytes, before);
}

/* A record that cannot be read was not written by this program: it is left alone, and said. */
static struct statelog_entity *apply(void *user, struct str key, struct str value,
                                     int64_t timestamp)
{
    (void)timestamp;
    struct groups *groups = ((struct groups_shard *)user)->groups;
    struct group_record_key k;
    if (!group_record_key_read(key, &k)) {
        env_log(groups->env, ENV_WARN, "groups.record", "a record of an unknown kind is skipped");
        return NULL;
    }
    struct group *g = groups_find(groups, k.group);
    if (value.at == NULL) {
        if (g != NULL)
            apply_gone(g, &k);
        return g != NULL ? &g->entity : NULL;
    }
    if (g == NULL)
        g = groups_add(groups, k.group);
    bool ok = k.what == GROUP_RECORD_GROUP ? apply_group(g, value) : apply_offset(g, &k, value);
    if (!ok)
        env_log(groups->env, ENV_WARN, "groups.record", "group=%s a broken record is skipped",
                group_text(k.group).s);
    return &g->entity;
}

const struct statelog_ops group_log_ops = {apply, snapshot};
