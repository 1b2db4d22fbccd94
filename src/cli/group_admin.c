#include "cli/group_admin.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LATEST (-1)
#define EARLIEST (-2)

/* One line of a description. */
struct row {
    struct str topic;
    int32_t partition;
    int64_t committed, start, end, at;                                /* -1: none, unknown */
    const struct kafka_describe_groups_response_group_member *member; /* NULL: nobody reads it */
};

struct rows {
    struct row *at;
    size_t n, cap;
};

static int failed_call(const struct err_text *text)
{
    fprintf(stderr, "%s\n", text->s);
    return 1;
}

static int failed(const char *group, int16_t code)
{
    fprintf(stderr, "Error: group '%s': %s\n", group, admin_error(code));
    return 1;
}

static void print_str(struct str s)
{
    printf("%.*s", (int)s.len, s.at ? s.at : "");
}

/* "-" for nothing; padded to the left by width. */
static void print_number(int64_t v, int width)
{
    char text[24] = "-";
    if (v >= 0)
        snprintf(text, sizeof text, "%" PRId64, v);
    printf(" %-*s", width, text);
}

static void print_cell(struct str s, int width)
{
    printf(" %-*.*s", width, s.len ? (int)s.len : 1, s.len ? s.at : "-");
}

/* ---- reading -------------------------------------------------------------------------------- */

static int describe(struct admin *a, const char *group,
                    struct kafka_describe_groups_response_group **out)
{
    struct str names[1] = {str_of(group)};
    struct kafka_describe_groups_request in = {.groups = names, .groups_n = 1};
    struct kafka_describe_groups_response *answer = arena_zalloc(admin_arena(a), 1, sizeof *answer);
    struct err_text text = {""};
    if (admin_call(a, &admin_describe_groups, &in, answer, &text))
        return failed_call(&text);
    if (answer->groups_n != 1)
        return failed(group, -1);
    if (answer->groups[0].error_code)
        return failed(group, answer->groups[0].error_code);
    *out = &answer->groups[0];
    return 0;
}

static struct row *row_of(struct admin *a, struct rows *rows, struct str topic, int32_t partition)
{
    for (size_t i = 0; i < rows->n; i++) {
        if (rows->at[i].partition == partition && str_eq(rows->at[i].topic, topic))
            return &rows->at[i];
    }
    if (rows->n == rows->cap) {
        size_t cap = rows->cap ? rows->cap * 2 : 64;
        struct row *more = arena_zalloc(admin_arena(a), cap, sizeof *more);
        if (!more)
            return NULL;
        if (rows->n)
            memcpy(more, rows->at, rows->n * sizeof *more);
        rows->at = more;
        rows->cap = cap;
    }
    rows->at[rows->n] = (struct row){topic, partition, -1, -1, -1, -1, NULL};
    return &rows->at[rows->n++];
}

/* ConsumerProtocolAssignment: version, topics with their partitions, user data. */
static void take_assignment(struct admin *a, struct rows *rows,
                            const struct kafka_describe_groups_response_group_member *m)
{
    struct rd r;
    rd_init(&r, m->member_assignment.at, m->member_assignment.len);
    if (!m->member_assignment.len)
        return;
    (void)rd_i16(&r);
    for (int32_t topics = wire_get_count(&r, false); topics > 0 && !r.bad; topics--) {
        struct str topic = wire_get_str(&r, false);
        for (int32_t n = wire_get_count(&r, false); n > 0 && !r.bad; n--) {
            struct row *row = row_of(a, rows, topic, rd_i32(&r));
            if (row)
                row->member = m;
        }
    }
}

static int take_offsets(struct admin *a, const char *group, struct rows *rows)
{
    struct kafka_offset_fetch_request in = {.group_id = str_of(group), .topics_n = -1};
    struct kafka_offset_fetch_response *out = arena_zalloc(admin_arena(a), 1, sizeof *out);
    struct err_text text = {""};
    if (admin_call(a, &admin_offset_fetch, &in, out, &text))
        return failed_call(&text);
    if (out->error_code)
        return failed(group, out->error_code);
    for (int32_t i = 0; i < out->topics_n; i++) {
        const struct kafka_offset_fetch_response_topic *t = &out->topics[i];
        for (int32_t k = 0; k < t->partitions_n; k++) {
            struct row *row = row_of(a, rows, t->name, t->partitions[k].partition_index);
            if (row)
                row->committed = t->partitions[k].committed_offset;
        }
    }
    return 0;
}

static int by_place(const void *x, const void *y)
{
    const struct row *a = x, *b = y;
    size_t n = a->topic.len < b->topic.len ? a->topic.len : b->topic.len;
    int c = memcmp(a->topic.at, b->topic.at, n);
    if (c)
        return c;
    if (a->topic.len != b->topic.len)
        return a->topic.len < b->topic.len ? -1 : 1;
    return (a->partition > b->partition) - (a->partition < b->partition);
}

/* The rows, which are in order, as a question of one timestamp; false: no memory. */
static bool ask_offsets(struct admin *a, const struct rows *rows, int64_t time,
                        struct kafka_list_offsets_request *in)
{
    struct kafka_list_offsets_request_topic *topics =
        arena_zalloc(admin_arena(a), rows->n, sizeof *topics);
    struct kafka_list_offsets_request_topic_partition *parts =
        arena_zalloc(admin_arena(a), rows->n, sizeof *parts);
    *in = (struct kafka_list_offsets_request){.replica_id = -1, .topics = topics};
    if (!topics || !parts)
        return false;
    for (size_t i = 0; i < rows->n; i++) {
        const struct row *r = &rows->at[i];
        parts[i].partition_index = r->partition;
        parts[i].current_leader_epoch = -1;
        parts[i].timestamp = time;
        if (!i || !str_eq(r->topic, rows->at[i - 1].topic)) {
            topics[in->topics_n].name = r->topic;
            topics[in->topics_n++].partitions = &parts[i];
        }
        topics[in->topics_n - 1].partitions_n++;
    }
    return true;
}

enum mark { MARK_START, MARK_END, MARK_AT };

static int64_t *mark_of(struct row *r, enum mark mark)
{
    return mark == MARK_START ? &r->start : mark == MARK_END ? &r->end : &r->at;
}

/* Asks where each row's partition is at a time or special time, and sets that mark; it stays -1
 * where the broker gives an error. */
static int take_marks(struct admin *a, struct rows *rows, int64_t time, enum mark mark)
{
    struct kafka_list_offsets_request in;
    struct kafka_list_offsets_response *out = arena_zalloc(admin_arena(a), 1, sizeof *out);
    struct err_text text = {"no memory for so many partitions"};
    if (!rows->n)
        return 0;
    if (!out || !ask_offsets(a, rows, time, &in) ||
        admin_call(a, &admin_list_offsets, &in, out, &text))
        return failed_call(&text);
    for (int32_t i = 0; i < out->topics_n; i++) {
        const struct kafka_list_offsets_response_topic *t = &out->topics[i];
        for (int32_t k = 0; k < t->partitions_n; k++) {
            struct row key = {.topic = t->name, .partition = t->partitions[k].partition_index};
            struct row *r = bsearch(&key, rows->at, rows->n, sizeof *rows->at, by_place);
            if (r && !t->partitions[k].error_code)
                *mark_of(r, mark) = t->partitions[k].offset;
        }
    }
    return 0;
}

/* Everything that is known of a group's partitions, in order of topic and number. */
static int read_rows(struct admin *a, const char *group,
                     const struct kafka_describe_groups_response_group *g, struct rows *rows)
{
    for (int32_t i = 0; i < g->members_n; i++)
        take_assignment(a, rows, &g->members[i]);
    int status = take_offsets(a, group, rows);
    if (!status && rows->n)
        qsort(rows->at, rows->n, sizeof *rows->at, by_place);
    if (!status)
        status = take_marks(a, rows, LATEST, MARK_END);
    if (!status)
        status = take_marks(a, rows, EARLIEST, MARK_START);
    return status;
}

/* ---- printing ------------------------------------------------------------------------------- */

static int widest(int least, struct str s)
{
    return (int)s.len > least ? (int)s.len : least;
}

static void print_rows(const char *group, const struct rows *rows)
{
    int wg = widest(15, str_of(group)), wt = 15, wm = 15, wh = 15;
    for (size_t i = 0; i < rows->n; i++) {
        const struct row *r = &rows->at[i];
        wt = widest(wt, r->topic);
        wm = r->member ? widest(wm, r->member->member_id) : wm;
        wh = r->member ? widest(wh, r->member->client_host) : wh;
    }
    printf("\n%-*s %-*s %-10s %-15s %-15s %-15s %-*s %-*s %s\n", wg, "GROUP", wt, "TOPIC",
           "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", wm, "CONSUMER-ID", wh, "HOST",
           "CLIENT-ID");
    for (size_t i = 0; i < rows->n; i++) {
        const struct row *r = &rows->at[i];
        static const struct kafka_describe_groups_response_group_member nobody;
        const struct kafka_describe_groups_response_group_member *m =
            r->member ? r->member : &nobody;
        bool known = r->committed >= 0 && r->end >= 0;
        printf("%-*s", wg, group);
        print_cell(r->topic, wt);
        print_number(r->partition, 10);
        print_number(r->committed, 15);
        print_number(r->end, 15);
        print_number(known ? (r->end > r->committed ? r->end - r->committed : 0) : -1, 15);
        print_cell(m->member_id, wm);
        print_cell(m->client_host, wh);
        print_cell(m->client_id, 1);
        printf("\n");
    }
}

static void print_activity(const char *group, const struct kafka_describe_groups_response_group *g)
{
    if (str_is(g->group_state, "Empty"))
        fprintf(stderr, "\nConsumer group '%s' has no active members.\n", group);
    else if (str_is(g->group_state, "PreparingRebalance") ||
             str_is(g->group_state, "CompletingRebalance"))
        fprintf(stderr, "\nWarning: Consumer group '%s' is rebalancing.\n", group);
}

static int dead(const char *group, const struct kafka_describe_groups_response_group *g)
{
    if (!str_is(g->group_state, "Dead"))
        return 0;
    fprintf(stderr, "\nError: Consumer group '%s' does not exist.\n", group);
    return 1;
}

int group_admin_describe(struct admin *a, const char *group)
{
    struct kafka_describe_groups_response_group *g;
    struct rows rows = {0};
    int status = describe(a, group, &g);
    if (!status)
        status = dead(group, g);
    if (!status)
        status = read_rows(a, group, g, &rows);
    if (status)
        return status;
    print_activity(group, g);
    if (rows.n)
        print_rows(group, &rows);
    return 0;
}

static size_t partitions_of(struct admin *a,
                            const struct kafka_describe_groups_response_group_member *m)
{
    struct rows rows = {0};
    take_assignment(a, &rows, m);
    return rows.n;
}

/* "a:0,1;b:3", as Kafka writes it; "-" for none. */
static struct str assignment_text(struct admin *a,
                                  const struct kafka_describe_groups_response_group_member *m)
{
    struct rows rows = {0};
    size_t cap = m->member_assignment.len * 4 + 16, n = 0;
    take_assignment(a, &rows, m);
    char *text = rows.n ? arena_alloc(admin_arena(a), cap) : NULL;
    for (size_t i = 0; text && i < rows.n; i++) {
        const struct row *r = &rows.at[i];
        bool same = i && str_eq(r->topic, rows.at[i - 1].topic);
        n += (size_t)(same ? snprintf(text + n, cap - n, ",%d", r->partition)
                           : snprintf(text + n, cap - n, "%s%.*s:%d", i ? ";" : "",
                                      (int)r->topic.len, r->topic.at, r->partition));
        weir_assert(n < cap);
    }
    return text ? (struct str){text, n} : STR_LIT("-");
}

static void print_members_head(const int width[4], int assignment)
{
    printf("\n%-*s %-*s %-*s %-*s %-15s", width[0], "GROUP", width[1], "CONSUMER-ID", width[2],
           "HOST", width[3], "CLIENT-ID", "#PARTITIONS");
    if (assignment)
        printf(" %-15s %-*s %-15s %-20s", "CURRENT-EPOCH", assignment, "CURRENT-ASSIGNMENT",
               "TARGET-EPOCH", "TARGET-ASSIGNMENT");
    printf("\n");
}

/* Epochs and targets are of the newer group protocol: "-" for these members. */
int group_admin_members(struct admin *a, const char *group, bool verbose)
{
    struct kafka_describe_groups_response_group *g;
    int status = describe(a, group, &g);
    if (!status)
        status = dead(group, g);
    if (status)
        return status;
    print_activity(group, g);
    int width[4] = {widest(15, str_of(group)), 15, 15, 15}, assignment = verbose ? 20 : 0;
    for (int32_t i = 0; i < g->members_n; i++) {
        width[1] = widest(width[1], g->members[i].member_id);
        width[2] = widest(width[2], g->members[i].client_host);
        width[3] = widest(width[3], g->members[i].client_id);
        if (verbose)
            assignment = widest(assignment, assignment_text(a, &g->members[i]));
    }
    print_members_head(width, assignment);
    for (int32_t i = 0; i < g->members_n; i++) {
        const struct kafka_describe_groups_response_group_member *m = &g->members[i];
        printf("%-*s", width[0], group);
        print_cell(m->member_id, width[1]);
        print_cell(m->client_host, width[2]);
        print_cell(m->client_id, width[3]);
        print_number((int64_t)partitions_of(a, m), 15);
        if (verbose) {
            print_number(-1, 15);
            print_cell(assignment_text(a, m), assignment);
            print_number(-1, 15);
            print_number(-1, 20);
        }
        printf("\n");
    }
    return 0;
}

int group_admin_state(struct admin *a, const char *group)
{
    struct kafka_describe_groups_response_group *g;
    struct kafka_describe_cluster_request in = {0};
    struct kafka_describe_cluster_response c;
    struct err_text text = {""};
    char where[300] = "-";
    int status = describe(a, group, &g);
    if (!status)
        status = dead(group, g);
    if (status)
        return status;
    if (admin_call(a, &admin_describe_cluster, &in, &c, &text))
        return failed_call(&text);
    if (c.brokers_n)
        snprintf(where, sizeof where, "%.*s:%d  (%d)", (int)c.brokers[0].host.len,
                 c.brokers[0].host.at, c.brokers[0].port, c.brokers[0].broker_id);
    int wg = widest(15, str_of(group)), ww = widest(25, str_of(where));
    printf("\n%-*s %-*s %-20s %-20s %s\n%-*s %-*s", wg, "GROUP", ww, "COORDINATOR (ID)",
           "ASSIGNMENT-STRATEGY", "STATE", "#MEMBERS", wg, group, ww, where);
    print_cell(g->protocol_data, 20);
    print_cell(g->group_state, 20);
    printf(" %d\n", g->members_n);
    return 0;
}

/* ---- all groups ----------------------------------------------------------------------------- */

static int list(struct admin *a, struct kafka_list_groups_response *out)
{
    struct kafka_list_groups_request in = {0};
    struct err_text text = {""};
    if (admin_call(a, &admin_list_groups, &in, out, &text))
        return failed_call(&text);
    return out->error_code ? failed("*", out->error_code) : 0;
}

int group_admin_list(struct admin *a)
{
    struct kafka_list_groups_response out;
    int status = list(a, &out);
    for (int32_t i = 0; !status && i < out.groups_n; i++) {
        print_str(out.groups[i].group_id);
        printf("\n");
    }
    return status;
}

int group_admin_each(struct admin *a, int (*fn)(struct admin *a, const char *group))
{
    struct kafka_list_groups_response out;
    int status = list(a, &out);
    for (int32_t i = 0; !status && i < out.groups_n; i++) {
        struct str id = out.groups[i].group_id;
        const char *name = arena_strndup(admin_arena(a), id.at, id.len);
        status = name ? fn(a, name) : 1;
    }
    return status;
}

int group_admin_delete(struct admin *a, const char *group)
{
    struct str names[1] = {str_of(group)};
    struct kafka_delete_groups_request in = {.groups_names = names, .groups_names_n = 1};
    struct kafka_delete_groups_response out;
    struct err_text text = {""};
    if (admin_call(a, &admin_delete_groups, &in, &out, &text))
        return failed_call(&text);
    int16_t code = out.results_n == 1 ? out.results[0].error_code : -1;
    if (code)
        return failed(group, code);
    printf("Deletion of requested consumer groups ('%s') was successful.\n", group);
    return 0;
}

/* ---- offsets -------------------------------------------------------------------------------- */

/* "topic" or "topic:0,2". */
static bool named(const struct option_list *topics, const struct row *r)
{
    if (!topics->n)
        return true;
    for (size_t i = 0; i < topics->n; i++) {
        const char *colon = strchr(topics->at[i], ':');
        size_t len = colon ? (size_t)(colon - topics->at[i]) : strlen(topics->at[i]);
        if (!str_eq((struct str){topics->at[i], len}, r->topic))
            continue;
        if (!colon)
            return true;
        for (const char *p = colon + 1; *p; p += *p == ',') {
            char *end;
            if (strtol(p, &end, 10) == r->partition)
                return true;
            p = end > p ? end : p + 1;
        }
    }
    return false;
}

/* Partitions of topics that are named but have no offsets yet. */
static int add_named(struct admin *a, const char *spec, struct rows *rows)
{
    size_t len = strcspn(spec, ":");
    struct kafka_metadata_request_topic t = {.name = {spec, len}};
    struct kafka_metadata_request in;
    struct kafka_metadata_response out;
    struct err_text text = {""};
    if (spec[len] && (!spec[len + 1] || spec[len + 1 + strspn(spec + len + 1, "0123456789,")])) {
        fprintf(stderr, "--topic: '%s' is not valid; give TOPIC or TOPIC:0,1\n", spec);
        return 1;
    }
    wire_default(&kafka_metadata_request_table, &in);
    in.topics = &t;
    in.topics_n = 1;
    in.allow_auto_topic_creation = false;
    if (admin_call(a, &admin_metadata, &in, &out, &text))
        return failed_call(&text);
    if (out.topics_n != 1 || out.topics[0].error_code) {
        fprintf(stderr, "Error: topic '%.*s': %s\n", (int)len, spec,
                admin_error(out.topics_n ? out.topics[0].error_code : -1));
        return 1;
    }
    for (int32_t k = 0; k < out.topics[0].partitions_n; k++)
        (void)row_of(a, rows, t.name, out.topics[0].partitions[k].partition_index);
    return 0;
}

static int64_t clamp(int64_t v, const struct row *r)
{
    return v < r->start ? r->start : v > r->end ? r->end : v;
}

static int64_t target(const struct group_reset_plan *plan, const struct row *r)
{
    switch (plan->to) {
    case RESET_EARLIEST:
        return r->start;
    case RESET_LATEST:
        return r->end;
    case RESET_OFFSET:
        return clamp(plan->value, r);
    case RESET_SHIFT:
        return clamp((r->committed >= 0 ? r->committed : r->start) + plan->value, r);
    case RESET_TIME:
        return r->at >= 0 ? r->at : r->end;
    case RESET_CURRENT:
        return r->committed >= 0 ? r->committed : r->end;
    }
    return r->end;
}

static int commit(struct admin *a, const char *group, const struct row *r, int64_t offset)
{
    struct kafka_offset_commit_request_topic_partition p;
    struct kafka_offset_commit_request_topic t;
    struct kafka_offset_commit_request in;
    struct kafka_offset_commit_response out;
    struct err_text text = {""};
    wire_default(&kafka_offset_commit_request_topic_partition_table, &p);
    wire_default(&kafka_offset_commit_request_topic_table, &t);
    wire_default(&kafka_offset_commit_request_table, &in);
    p.partition_index = r->partition;
    p.committed_offset = offset;
    p.committed_metadata = STR_LIT("");
    t.name = r->topic;
    t.partitions = &p;
    t.partitions_n = 1;
    in.group_id = str_of(group);
    in.generation_id_or_member_epoch = -1;
    in.topics = &t;
    in.topics_n = 1;
    if (admin_call(a, &admin_offset_commit, &in, &out, &text))
        return failed_call(&text);
    bool whole = out.topics_n == 1 && out.topics[0].partitions_n == 1;
    int16_t code = whole ? out.topics[0].partitions[0].error_code : -1;
    return code ? failed(group, code) : 0;
}

/* All that the plan may be about: what the group has offsets for, and the topics that are named. */
static int read_reset_rows(struct admin *a, const char *group, const struct group_reset_plan *plan,
                           struct rows *rows)
{
    struct kafka_describe_groups_response_group *g;
    int status = describe(a, group, &g);
    if (!status && g->members_n) {
        fprintf(stderr,
                "Error: Assignments can only be reset if the group '%s' is inactive, but the "
                "current state is %.*s.\n",
                group, (int)g->group_state.len, g->group_state.at);
        return 1;
    }
    for (size_t i = 0; i < plan->topics->n && !status; i++)
        status = add_named(a, plan->topics->at[i], rows);
    if (!status)
        status = read_rows(a, group, g, rows);
    if (!status && plan->to == RESET_TIME)
        status = take_marks(a, rows, plan->value, MARK_AT);
    return status;
}

static void print_reset(const int width[2], struct str group, struct str topic,
                        const char *partition, const char *offset)
{
    printf("%-*.*s", width[0], (int)group.len, group.at);
    print_cell(topic, width[1]);
    printf(" %-10s %s\n", partition, offset);
}

static int reset_row(struct admin *a, const char *group, const struct group_reset_plan *plan,
                     const struct row *r, const int width[2])
{
    char partition[16], offset[24];
    if (r->end < 0) {
        fprintf(stderr, "Error: topic '%.*s' has no partition %d\n", (int)r->topic.len, r->topic.at,
                r->partition);
        return 1;
    }
    int64_t to = target(plan, r);
    if (plan->execute && commit(a, group, r, to))
        return 1;
    snprintf(partition, sizeof partition, "%d", r->partition);
    snprintf(offset, sizeof offset, "%" PRId64, to);
    print_reset(width, str_of(group), r->topic, partition, offset);
    return 0;
}

int group_admin_reset(struct admin *a, const char *group, const struct group_reset_plan *plan)
{
    struct rows rows = {0};
    int width[2] = {widest(15, str_of(group)), 15};
    int status = read_reset_rows(a, group, plan, &rows);
    if (status)
        return status;
    for (size_t i = 0; i < rows.n; i++)
        width[1] = widest(width[1], rows.at[i].topic);
    printf("\n");
    print_reset(width, STR_LIT("GROUP"), STR_LIT("TOPIC"), "PARTITION", "NEW-OFFSET");
    for (size_t i = 0; i < rows.n; i++) {
        if (named(plan->topics, &rows.at[i]))
            status |= reset_row(a, group, plan, &rows.at[i], width);
    }
    if (!plan->execute)
        fprintf(stderr, "\nNothing was changed: add --execute to do it.\n");
    return status;
}
