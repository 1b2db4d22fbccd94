#include "cli/group_admin.h"

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
    int64_t committed, start, end;                                    /* -1: none, unknown */
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
    rows->at[rows->n] = (struct row){topic, partition, -1, -1, -1, NULL};
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

/* The offset of a partition at a time or special time; -1 on any error. */
static int64_t offset_at(struct admin *a, struct str topic, int32_t partition, int64_t time)
{
    struct kafka_list_offsets_request_topic_partition p = {
        .partition_index = partition, .current_leader_epoch = -1, .timestamp = time};
    struct kafka_list_offsets_request_topic t = {
        .name = topic, .partitions = &p, .partitions_n = 1};
    struct kafka_list_offsets_request in = {.replica_id = -1, .topics = &t, .topics_n = 1};
    struct kafka_list_offsets_response out;
    struct err_text text = {""};
    if (admin_call(a, &admin_list_offsets, &in, &out, &text) || out.topics_n != 1 ||
        out.topics[0].partitions_n != 1 || out.topics[0].partitions[0].error_code)
        return -1;
    return out.topics[0].partitions[0].offset;
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

static int read_rows(struct admin *a, const char *group,
                     const struct kafka_describe_groups_response_group *g, struct rows *rows)
{
    for (int32_t i = 0; i < g->members_n; i++)
        take_assignment(a, rows, &g->members[i]);
    int status = take_offsets(a, group, rows);
    if (status)
        return status;
    for (size_t i = 0; i < rows->n; i++) {
        rows->at[i].end = offset_at(a, rows->at[i].topic, rows->at[i].partition, LATEST);
        rows->at[i].start = offset_at(a, rows->at[i].topic, rows->at[i].partition, EARLIEST);
    }
    if (rows->n)
        qsort(rows->at, rows->n, sizeof *rows->at, by_place);
    return 0;
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

static void print_assignment(struct admin *a,
                             const struct kafka_describe_groups_response_group_member *m)
{
    struct rows rows = {0};
    take_assignment(a, &rows, m);
    printf(" ");
    for (size_t i = 0; i < rows.n; i++) {
        bool same = i && str_eq(rows.at[i].topic, rows.at[i - 1].topic);
        if (!same) {
            printf("%s", i ? "), " : "");
            print_str(rows.at[i].topic);
            printf("(");
        }
        printf("%s%d", same ? "," : "", rows.at[i].partition);
    }
    printf("%s", rows.n ? ")" : "-");
}

int group_admin_members(struct admin *a, const char *group, bool verbose)
{
    struct kafka_describe_groups_response_group *g;
    int status = describe(a, group, &g);
    if (!status)
        status = dead(group, g);
    if (status)
        return status;
    print_activity(group, g);
    int wg = widest(15, str_of(group)), wm = 15, wh = 15, wc = 15;
    for (int32_t i = 0; i < g->members_n; i++) {
        wm = widest(wm, g->members[i].member_id);
        wh = widest(wh, g->members[i].client_host);
        wc = widest(wc, g->members[i].client_id);
    }
    printf("\n%-*s %-*s %-*s %-*s %-15s%s\n", wg, "GROUP", wm, "CONSUMER-ID", wh, "HOST", wc,
           "CLIENT-ID", "#PARTITIONS", verbose ? " ASSIGNMENT" : "");
    for (int32_t i = 0; i < g->members_n; i++) {
        const struct kafka_describe_groups_response_group_member *m = &g->members[i];
        printf("%-*s", wg, group);
        print_cell(m->member_id, wm);
        print_cell(m->client_host, wh);
        print_cell(m->client_id, wc);
        print_number((int64_t)partitions_of(a, m), 15);
        if (verbose)
            print_assignment(a, m);
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
        snprintf(where, sizeof where, "%.*s:%d (%d)", (int)c.brokers[0].host.len,
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
static void add_named(struct admin *a, const struct option_list *topics, struct rows *rows)
{
    for (size_t i = 0; i < topics->n; i++) {
        size_t len = strcspn(topics->at[i], ":");
        struct kafka_metadata_request_topic t = {.name = {topics->at[i], len}};
        struct kafka_metadata_request in;
        struct kafka_metadata_response out;
        struct err_text text = {""};
        wire_default(&kafka_metadata_request_table, &in);
        in.topics = &t;
        in.topics_n = 1;
        in.allow_auto_topic_creation = false;
        if (admin_call(a, &admin_metadata, &in, &out, &text) || out.topics_n != 1)
            continue;
        for (int32_t k = 0; k < out.topics[0].partitions_n; k++)
            (void)row_of(a, rows, t.name, out.topics[0].partitions[k].partition_index);
    }
}

static int64_t clamp(int64_t v, const struct row *r)
{
    return v < r->start ? r->start : v > r->end ? r->end : v;
}

static int64_t target(struct admin *a, const struct group_reset_plan *plan, const struct row *r)
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
    case RESET_TIME: {
        int64_t at = offset_at(a, r->topic, r->partition, plan->value);
        return at >= 0 ? at : r->end;
    }
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

int group_admin_reset(struct admin *a, const char *group, const struct group_reset_plan *plan)
{
    struct kafka_describe_groups_response_group *g;
    struct rows rows = {0};
    int status = describe(a, group, &g);
    if (!status && g->members_n) {
        fprintf(stderr,
                "Error: Assignments can only be reset if the group '%s' is inactive, but the "
                "current state is %.*s.\n",
                group, (int)g->group_state.len, g->group_state.at);
        return 1;
    }
    if (!status)
        add_named(a, plan->topics, &rows);
    if (!status)
        status = read_rows(a, group, g, &rows);
    if (status)
        return status;
    printf("\n%-30s %-30s %-10s %-15s\n", "GROUP", "TOPIC", "PARTITION", "NEW-OFFSET");
    for (size_t i = 0; i < rows.n && !status; i++) {
        const struct row *r = &rows.at[i];
        if (!named(plan->topics, r))
            continue;
        int64_t to = target(a, plan, r);
        if (plan->execute)
            status = commit(a, group, r, to);
        printf("%-30s %-30.*s %-10d %-15" PRId64 "\n", group, (int)r->topic.len, r->topic.at,
               r->partition, to);
    }
    if (!plan->execute)
        fprintf(stderr, "\nNothing was changed: add --execute to do it.\n");
    return status;
}
