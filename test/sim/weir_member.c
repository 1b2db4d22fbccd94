#include "weir_member.h"

#include "base/assert.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    OK = 0,
    UNKNOWN_TOPIC = 3,
    LOADING = 14,
    UNAVAILABLE = 15,
    NOT_COORDINATOR = 16,
    GENERATION = 22,
    MEMBER_UNKNOWN = 25,
    REBALANCING = 27,
    ID_REQUIRED = 79,
    FENCED = 82,
    ID_UNKNOWN = 100
};

#define SESSION_MS 6000
#define REBALANCE_MS 40

static struct weir_sim *sim_of(const struct load_member *m)
{
    return m->model->w;
}

static void tick_in(struct load_member *m, uint64_t us)
{
    env_timer_set(loop_env(sim_of(m)->outside), &m->timer, us);
}

static struct str instance_of(const struct load_member *m)
{
    return m->is_static ? str_of(m->name) : (struct str){0};
}

static int16_t version_of(const struct load_member *m, int16_t key, int16_t instance_from)
{
    return client_version(sim_of(m), key, m->is_static ? instance_from : 0);
}

static bool try_later(int16_t code)
{
    return code == LOADING || code == UNAVAILABLE || code == NOT_COORDINATOR;
}

/* An answer that sends a member back to its join. */
static void step_back(struct load_member *m, const char *what, int16_t code)
{
    if (code == MEMBER_UNKNOWN || code == FENCED)
        m->id[0] = '\0';
    else if (code != GENERATION && code != REBALANCING && !try_later(code) &&
             !sim_of(m)->memory_fails)
        weir_sim_fail(sim_of(m), "%s: %s: error %d", m->name, what, code);
    m->state = MEMBER_OUT;
    m->owned_n = 0;
}

/* ---- what consumers say to each other -------------------------------------------------------- */

static bool topic_counts(const struct model_topic *t)
{
    return t->fate == MODEL_THERE && !t->lossy;
}

static struct slice subscription(const struct load_member *m)
{
    struct wr w;
    int32_t n = 0;
    wr_init(&w, 256);
    wr_i16(&w, 0);
    wr_i32(&w, 0);
    for (unsigned i = 0; i < m->model->topics_n; i++) {
        if (!topic_counts(&m->model->topics[i]))
            continue;
        wire_put_str(&w, false, str_of(m->model->topics[i].name), false);
        n++;
    }
    wr_i32(&w, -1);
    wr_patch_i32(&w, 2, n);
    return wr_take(&w);
}

/* Every n-th partition from number `mine` on; whose and of which generation it is goes along. */
static struct slice assignment(const struct load_member *m, int32_t mine, int32_t n,
                               struct str member, int32_t generation)
{
    struct wr w;
    int32_t number = 0, topics = 0;
    wr_init(&w, 256);
    wr_i16(&w, 0);
    wr_i32(&w, 0);
    for (unsigned i = 0; i < m->model->topics_n; i++) {
        const struct model_topic *t = &m->model->topics[i];
        for (int32_t k = 0; topic_counts(t) && k < t->partitions; k++) {
            if (number++ % n != mine)
                continue;
            wire_put_str(&w, false, str_of(t->name), false);
            wr_i32(&w, 1);
            wr_i32(&w, k);
            topics++;
        }
    }
    wr_i32(&w, (int32_t)member.len + 4);
    wr_i32(&w, generation);
    wr_bytes(&w, member.at, member.len);
    wr_patch_i32(&w, 2, topics);
    return wr_take(&w);
}

static void assignment_take(struct load_member *m, struct str bytes)
{
    struct rd r;
    rd_init(&r, bytes.at, bytes.len);
    m->owned_n = 0;
    (void)rd_i16(&r);
    for (int32_t n = rd_i32(&r); n > 0 && !r.bad; n--) {
        struct model_topic *t = model_topic_find(m->model, wire_get_str(&r, false));
        int32_t one = rd_i32(&r), index = rd_i32(&r);
        if (one != 1 || index < 0 || index >= MODEL_PARTITIONS)
            weir_sim_fail(sim_of(m), "%s: an assignment that nobody made", m->name);
        if (t && topic_counts(t))
            m->owned[m->owned_n++] = &t->p[index];
    }
    int32_t data = rd_i32(&r), generation = rd_i32(&r);
    const uint8_t *member = rd_bytes(&r, (size_t)data - 4);
    /* A static member that came back has another id, and the assignment of its former one. */
    bool mine = (size_t)data - 4 == strlen(m->id) && memcmp(member, m->id, strlen(m->id)) == 0;
    if (r.bad || generation != m->generation || (!mine && !m->is_static))
        weir_sim_fail(sim_of(m), "%s: the assignment of generation %d is another's", m->name,
                      m->generation);
}

/* ---- join and sync -------------------------------------------------------------------------- */

static void on_fetched(void *arg, const void *response)
{
    struct load_member *m = arg;
    const struct kafka_offset_fetch_response *r = response;
    if (!r || m->state != MEMBER_SYNCING)
        return;
    for (int32_t i = 0; i < r->topics_n; i++) {
        struct model_topic *t = model_topic_find(m->model, r->topics[i].name);
        for (int32_t k = 0; t && topic_counts(t) && k < r->topics[i].partitions_n; k++) {
            const struct kafka_offset_fetch_response_topic_partition *p =
                &r->topics[i].partitions[k];
            struct model_partition *at = &t->p[p->partition_index];
            if (p->error_code == OK)
                model_fetched(m->model, m->g->group, at, model_commit_of(m->model, m->g->group, at),
                              p->committed_offset);
        }
    }
    m->state = MEMBER_STABLE;
}

static void fetch_offsets(struct load_member *m)
{
    struct kafka_offset_fetch_request_topic topics[MEMBER_PARTITIONS];
    struct kafka_offset_fetch_request rq;
    wire_default(&kafka_offset_fetch_request_table, &rq);
    rq.group_id = str_of(m->g->group->name);
    for (unsigned i = 0; i < m->owned_n; i++)
        topics[i] = (struct kafka_offset_fetch_request_topic){str_of(m->owned[i]->topic->name),
                                                              &m->owned[i]->index, 1};
    rq.topics = topics;
    rq.topics_n = (int32_t)m->owned_n;
    client_call(&m->client, 9, (int16_t)weir_sim_draw(sim_of(m), 1, 7), &rq, on_fetched, m);
}

static void on_synced(void *arg, const void *response)
{
    struct load_member *m = arg;
    const struct kafka_sync_group_response *r = response;
    if (!r || m->state != MEMBER_SYNCING)
        return;
    if (r->error_code) {
        step_back(m, "SyncGroup", r->error_code);
        return;
    }
    if (m->g->synced < m->generation)
        m->g->synced = m->generation;
    assignment_take(m, r->assignment);
    weir_sim_trace(sim_of(m), "%s: synced in generation %d, %u partitions", m->name, m->generation,
                   m->owned_n);
    if (m->owned_n && m->client.is_up)
        fetch_offsets(m);
    else
        m->state = MEMBER_STABLE;
}

static void sync_group(struct load_member *m, const struct kafka_join_group_response *joined)
{
    struct kafka_sync_group_request_assignment *all;
    struct kafka_sync_group_request rq;
    int32_t n = joined->members_n > 0 ? joined->members_n : 0;
    struct slice *bytes = mem_zalloc((size_t)n + 1, sizeof *bytes);
    wire_default(&kafka_sync_group_request_table, &rq);
    all = mem_zalloc((size_t)n + 1, sizeof *all);
    for (int32_t i = 0; i < n; i++) {
        struct str member = joined->members[i].member_id;
        bytes[i] = assignment(m, i, n, member, joined->generation_id);
        all[i] = (struct kafka_sync_group_request_assignment){
            member, {(const char *)bytes[i].at, bytes[i].len}};
    }
    rq.group_id = str_of(m->g->group->name);
    rq.generation_id = joined->generation_id;
    rq.member_id = str_of(m->id);
    rq.group_instance_id = instance_of(m);
    rq.protocol_type = STR_LIT("consumer");
    rq.protocol_name = STR_LIT("range");
    rq.assignments = all;
    rq.assignments_n = n;
    m->state = MEMBER_SYNCING;
    client_call(&m->client, 14, version_of(m, 14, 3), &rq, on_synced, m);
    for (int32_t i = 0; i < n; i++)
        slice_unref(bytes[i]);
    mem_free(bytes);
    mem_free(all);
}

static void on_joined(void *arg, const void *response)
{
    struct load_member *m = arg;
    const struct kafka_join_group_response *r = response;
    if (!r || m->state != MEMBER_JOINING)
        return;
    if (r->error_code == ID_REQUIRED) {
        (void)str_copy(m->id, sizeof m->id, r->member_id);
        m->state = MEMBER_OUT;
        return;
    }
    if (r->error_code) {
        step_back(m, "JoinGroup", r->error_code);
        return;
    }
    (void)str_copy(m->id, sizeof m->id, r->member_id);
    m->generation = r->generation_id;
    bool back = m->generation < m->g->synced || m->generation < 1;
    if (back)
        weir_sim_fail(sim_of(m), "%s: joined in generation %d, %d was synced before", m->name,
                      m->generation, m->g->synced);
    m->g->joined = m->generation; /* less than before: those were never stored */
    sync_group(m, r);
}

static void join(struct load_member *m)
{
    struct slice metadata = subscription(m);
    struct kafka_join_group_request_protocol protocol = {STR_LIT("range"),
                                                         {(const char *)metadata.at, metadata.len}};
    struct kafka_join_group_request rq;
    wire_default(&kafka_join_group_request_table, &rq);
    rq.group_id = str_of(m->g->group->name);
    rq.session_timeout_ms = SESSION_MS;
    rq.rebalance_timeout_ms = REBALANCE_MS;
    rq.member_id = str_of(m->id);
    rq.group_instance_id = instance_of(m);
    rq.protocol_type = STR_LIT("consumer");
    rq.protocols = &protocol;
    rq.protocols_n = 1;
    m->state = MEMBER_JOINING;
    int16_t from = m->is_static ? 5 : 2;
    client_call(&m->client, 11, client_version(sim_of(m), 11, from), &rq, on_joined, m);
    slice_unref(metadata);
}

/* ---- in the group --------------------------------------------------------------------------- */

static void on_beat(void *arg, const void *response)
{
    struct load_member *m = arg;
    const struct kafka_heartbeat_response *r = response;
    if (r && r->error_code && m->state == MEMBER_STABLE && !try_later(r->error_code))
        step_back(m, "Heartbeat", r->error_code);
}

static void beat(struct load_member *m)
{
    struct kafka_heartbeat_request rq;
    wire_default(&kafka_heartbeat_request_table, &rq);
    rq.group_id = str_of(m->g->group->name);
    rq.generation_id = m->generation;
    rq.member_id = str_of(m->id);
    rq.group_instance_id = instance_of(m);
    client_call(&m->client, 12, version_of(m, 12, 3), &rq, on_beat, m);
}

static void on_committed(void *arg, const void *response)
{
    struct load_member *m = arg;
    const struct kafka_offset_commit_response *r = response;
    if (!r)
        return;
    int16_t code = r->topics[0].partitions[0].error_code;
    struct model_commit *c = model_commit_of(m->model, m->g->group, m->committing);
    weir_sim_trace(sim_of(m), "%s: commit of %s-%d %" PRId64 " in generation %d: error %d", m->name,
                   m->committing->topic->name, m->committing->index, m->offset, m->commit_in, code);
    if (code == OK && m->commit_is_stale)
        weir_sim_fail(sim_of(m), "%s: a commit of generation %d was accepted after a later one",
                      m->name, m->commit_in);
    if (code == OK && c->acked < m->offset)
        c->acked = m->offset;
    if (code == UNKNOWN_TOPIC || code == ID_UNKNOWN) {
        if (topic_counts(m->committing->topic))
            weir_sim_fail(sim_of(m), "%s: commit: error %d", m->name, code);
    } else if (code && m->state == MEMBER_STABLE && !try_later(code)) {
        step_back(m, "OffsetCommit", code);
    }
}

static void commit(struct load_member *m)
{
    struct model_partition *p = m->owned[weir_sim_draw(sim_of(m), 0, m->owned_n - 1)];
    struct model_commit *c = model_commit_of(m->model, m->g->group, p);
    int64_t from = c->asked < 0 ? 0 : c->asked;
    m->commit_is_stale = m->generation < m->g->joined;
    if (m->commit_is_stale) /* what a member that woke up late may say */
        from = 0;
    if (!topic_counts(p->topic) || from > p->end)
        return;
    m->committing = p;
    m->commit_in = m->generation;
    m->offset = (int64_t)weir_sim_draw(sim_of(m), (uint64_t)from, (uint64_t)p->end);
    if (!m->commit_is_stale)
        c->asked = m->offset;
    struct kafka_offset_commit_request_topic_partition part;
    struct kafka_offset_commit_request_topic topic = {str_of(p->topic->name), p->topic->id, &part,
                                                      1};
    struct kafka_offset_commit_request rq;
    wire_default(&kafka_offset_commit_request_topic_partition_table, &part);
    wire_default(&kafka_offset_commit_request_table, &rq);
    part.partition_index = p->index;
    part.committed_offset = m->offset;
    rq.group_id = str_of(m->g->group->name);
    rq.generation_id_or_member_epoch = m->generation;
    rq.member_id = str_of(m->id);
    rq.group_instance_id = instance_of(m);
    rq.topics = &topic;
    rq.topics_n = 1;
    int16_t version = client_version(sim_of(m), 8, m->is_static ? 7 : 2);
    if (version > 9 && !p->topic->id_known)
        version = 9;
    client_call(&m->client, 8, version, &rq, on_committed, m);
}

static void on_left(void *arg, const void *response)
{
    (void)arg;
    (void)response;
}

static void leave(struct load_member *m)
{
    struct kafka_leave_group_request_member one = {str_of(m->id), instance_of(m), STR_LIT("")};
    struct kafka_leave_group_request rq = {str_of(m->g->group->name), str_of(m->id), &one, 1};
    client_call(&m->client, 13, version_of(m, 13, 3), &rq, on_left, m);
    m->state = MEMBER_OUT;
    m->owned_n = 0;
    m->id[0] = '\0';
}

/* ---- life ----------------------------------------------------------------------------------- */

static void step(struct load_member *m)
{
    struct weir_sim *w = sim_of(m);
    if (m->state == MEMBER_OUT) {
        join(m);
    } else if (m->state == MEMBER_STABLE && !*m->draining && weir_sim_chance(w, 40)) {
        leave(m);
    } else if (m->state == MEMBER_STABLE && m->owned_n && !*m->draining && weir_sim_chance(w, 2)) {
        commit(m);
    } else if (m->state == MEMBER_STABLE) {
        beat(m);
    }
}

static void on_tick(struct env_timer *timer)
{
    struct load_member *m = container_of(timer, struct load_member, timer);
    struct weir_sim *w = sim_of(m);
    tick_in(m, weir_sim_draw(w, 1, 6 * WEIR_SIM_MS));
    if (!m->client.is_up || *m->paused || m->client.waiting)
        return;
    if (m->state == MEMBER_STABLE && m->owned_n && !m->asleep && !*m->draining &&
        weir_sim_chance(w, 20)) {
        m->asleep = true; /* and then it commits what it had in mind before */
        tick_in(m, weir_sim_draw(w, 10, 3 * REBALANCE_MS) * WEIR_SIM_MS);
        return;
    }
    if (m->asleep && m->owned_n && m->state == MEMBER_STABLE)
        commit(m);
    else
        step(m);
    m->asleep = false;
}

static void on_down(struct client *c)
{
    struct load_member *m = c->arg;
    if (m->state != MEMBER_STABLE)
        m->state = MEMBER_OUT;
}

void member_make(struct load_member *m, unsigned number, struct model *model,
                 struct member_group *g, bool *paused, bool *draining)
{
    m->model = model;
    m->g = g;
    m->paused = paused;
    m->draining = draining;
    m->is_static = weir_sim_chance(model->w, 3);
    snprintf(m->name, sizeof m->name, "member%u", number);
    m->client.name = m->name;
    m->client.down = on_down;
    m->client.arg = m;
    m->timer.fire = on_tick;
    tick_in(m, weir_sim_draw(model->w, 1, 10000));
    client_start(&m->client, model->w);
}

void member_free(struct load_member *m)
{
    client_stop(&m->client);
    arena_free(&m->client.arena);
    mem_free(m->client.rx);
}

static bool owns(const struct load_member *m, const struct model_partition *p)
{
    for (unsigned i = 0; i < m->owned_n; i++) {
        if (m->owned[i] == p)
            return true;
    }
    return false;
}

bool members_are_settled(const struct load_member *members, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct load_member *m = &members[i];
        if (m->state != MEMBER_STABLE || m->generation != members[0].generation ||
            m->client.waiting)
            return false;
        for (unsigned k = 0; k < i; k++) {
            for (unsigned p = 0; p < m->owned_n; p++) {
                if (owns(&members[k], m->owned[p]))
                    weir_sim_fail(sim_of(m), "%s and %s own %s-%d", members[k].name, m->name,
                                  m->owned[p]->topic->name, m->owned[p]->index);
            }
        }
    }
    return true;
}
