/* How a journey is put together.
 *
 * A hop says where its event is: topic, partition and offset are the event's place. An event is a
 * node with its hops in the order of their times. Its hop of the step "publish" may name a cause,
 * the place of the event that it comes of, and by whose delivery: that is its parent, and it is
 * drawn below that delivery. Nodes without a parent that is known are the roots of their trace.
 *
 *     trace 0af7651916cd43dd8448eb211c80319c  from 2026-03-01T12:00:00.123Z  3.02 ms
 *     orders/0/12  id 1234
 *      publish
 *      call validate  200  (validate/2)
 *       payments/2/9  id 1234
 *        publish
 *      forward audit  appended
 *
 * Of a receiver that pulls, the time from its "receive" to its "settle" is what it took.
 */
#include "cli/journey_internal.h"

#include "base/mem.h"
#include "base/when.h"
#include "cli/waterfall.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INDENT_MAX 20u /* of the drawing; what is deeper is drawn there */

/* ---- parents and children ---- */

static bool is_below(const struct node *n, const struct node *ancestor)
{
    for (; n != NULL; n = n->parent)
        if (n == ancestor)
            return true;
    return false;
}

/* The last step of the delivery that the hop's cause names; NULL: it is not known. */
static struct hop *delivery_of(const struct node *parent, const struct hop *effect)
{
    struct hop *found = NULL;
    if (effect->cause_subscription.at == NULL)
        return NULL;
    for (struct hop *h = parent->hops; h != NULL; h = h->next)
        if (str_eq(h->subscription, effect->cause_subscription) &&
            (effect->cause_attempt == 0 || h->attempt == 0 || h->attempt == effect->cause_attempt))
            found = h;
    return found;
}

static void push_child(struct node **first, struct node **last, struct node *n)
{
    if (*first == NULL)
        *first = n;
    else
        (*last)->sibling = n;
    *last = n;
}

/* No event is its own cause, whatever the hops say. */
static void node_adopt(struct node *parent, struct node *n, const struct hop *effect)
{
    if (parent == NULL || n->parent != NULL || is_below(parent, n))
        return;
    struct hop *by = delivery_of(parent, effect);
    n->parent = parent;
    if (by != NULL)
        push_child(&by->child, &by->last_child, n);
    else
        push_child(&parent->child, &parent->last_child, n);
}

/* Nodes with their hops, from hops in the order of time. */
static void build(struct journey *j)
{
    journey_sort(j);
    for (size_t i = 0; i < j->hops_n; i++) {
        struct hop *hop = j->hops[i];
        struct node *n = journey_node(j, &hop->at);
        if (n == NULL)
            continue;
        if (n->hops == NULL)
            n->hops = hop;
        else
            n->last_hop->next = hop;
        n->last_hop = hop;
        n->id = n->id.at != NULL ? n->id : hop->id;
        n->correlation = n->correlation.at != NULL ? n->correlation : hop->correlation;
    }
    for (size_t i = 0; i < j->hops_n; i++) {
        struct hop *hop = j->hops[i];
        struct node *n = journey_node(j, &hop->at);
        if (n != NULL)
            node_adopt(journey_node(j, &hop->cause), n, hop);
    }
}

/* ---- labels ---- */

struct text {
    char at[1200];
    size_t len;
};

static void add(struct text *t, const char *before, struct str s, const char *after)
{
    if (s.at == NULL)
        return;
    int n = snprintf(t->at + t->len, sizeof t->at - t->len, "%s%.*s%s", before, (int)s.len, s.at,
                     after);
    t->len += (size_t)n < sizeof t->at - t->len ? (size_t)n : sizeof t->at - t->len - 1;
}

static struct str kept(struct journey *j, const struct text *t)
{
    char *copy = arena_strndup(&j->arena, t->at, t->len);
    j->cut |= copy == NULL;
    return copy != NULL ? (struct str){copy, t->len} : STR_LIT("");
}

static struct str node_label(struct journey *j, const struct node *n)
{
    struct text t = {"", 0};
    char where[64];
    snprintf(where, sizeof where, "/%" PRId64 "/%" PRId64, n->place.partition, n->place.offset);
    add(&t, "", n->place.topic, where);
    add(&t, "  id ", n->id, "");
    add(&t, "  correlation ", n->correlation, "");
    return kept(j, &t);
}

static struct str hop_label(struct journey *j, const struct hop *h)
{
    struct text t = {"", 0};
    char attempt[32] = "";
    if (h->attempt > 1)
        snprintf(attempt, sizeof attempt, " #%" PRId64, h->attempt);
    add(&t, "", h->step, "");
    add(&t, " ", h->subscription, attempt);
    add(&t, "  ", h->outcome, "");
    if (h->settle.at != NULL && !str_is(h->settle, "accept"))
        add(&t, "  ", h->settle, "");
    add(&t, "  (", h->by, ")");
    return kept(j, &t);
}

/* ---- rows ---- */

struct rows {
    struct waterfall_row *at;
    size_t n, cap;
};

static struct waterfall_row *add_row(struct rows *r, unsigned depth, struct str label)
{
    if (r->n == r->cap) {
        r->cap = r->cap != 0 ? 2 * r->cap : 64;
        r->at = mem_realloc(r->at, r->cap * sizeof r->at[0]);
    }
    struct waterfall_row *row = &r->at[r->n++];
    *row =
        (struct waterfall_row){.indent = depth < INDENT_MAX ? depth : INDENT_MAX, .label = label};
    return row;
}

static int64_t end_of(const struct hop *h)
{
    return h->at_us + h->settled_us;
}

/* What the same subscription did with this event last, before this hop. */
static const struct hop *before(const struct node *n, const struct hop *hop)
{
    const struct hop *found = NULL;
    for (const struct hop *h = n->hops; h != hop; h = h->next)
        if (hop->subscription.at != NULL && str_eq(h->subscription, hop->subscription))
            found = h;
    return found;
}

/* What a receiver had from its acquisition on, and then settled. */
static void set_pulled(struct waterfall_row *row, const struct hop *h, const struct hop *received)
{
    int64_t begun = h->at_us - h->took_us;
    row->start_us = begun;
    row->stage_us[WATERFALL_SETTLE] = h->took_us;
    if (received != NULL && str_is(received->step, "receive") && received->at_us <= begun) {
        row->start_us = received->at_us;
        row->stage_us[WATERFALL_TAKE] = begun - received->at_us;
    }
}

/* Waiting is counted from when the event was there: of a later attempt, what came after the one
 * before is shown. */
static void set_times(struct waterfall_row *row, const struct node *n, const struct hop *h)
{
    const struct hop *last = before(n, h);
    row->timed = true;
    if (str_is(h->step, "settle")) {
        set_pulled(row, h, last);
        return;
    }
    int64_t acquired = h->at_us - h->took_us - h->queued_us;
    int64_t since = acquired - h->waited_us;
    if (last != NULL && end_of(last) > since)
        since = end_of(last) < acquired ? end_of(last) : acquired;
    row->start_us = since;
    row->stage_us[WATERFALL_WAIT] = acquired - since;
    row->stage_us[WATERFALL_QUEUE] = h->queued_us;
    row->stage_us[WATERFALL_TAKE] = h->took_us;
    row->stage_us[WATERFALL_SETTLE] = h->settled_us;
}

/* ---- the tree, as rows ---- */

/* Where a node's hops and children are, of those that are being walked through: a node's children
 * come behind the hop that caused them, the others' at last. */
static struct node *enter(struct journey *j, struct rows *rows, struct node *n)
{
    n->depth = n->parent != NULL ? n->parent->depth + 2 : 0;
    n->written = true;
    n->next_hop = n->hops;
    n->next_child = NULL;
    n->rest = n->child;
    add_row(rows, n->depth, node_label(j, n));
    return n;
}

static void add_tree(struct journey *j, struct rows *rows, struct node *root)
{
    struct node *n = enter(j, rows, root);
    while (n != NULL) {
        if (n->next_child != NULL) {
            struct node *child = n->next_child;
            n->next_child = child->sibling;
            n = enter(j, rows, child);
        } else if (n->next_hop != NULL) {
            const struct hop *h = n->next_hop;
            set_times(add_row(rows, n->depth + 1, hop_label(j, h)), n, h);
            n->next_hop = h->next;
            n->next_child = h->child;
        } else if (n->rest != NULL) {
            n->next_child = n->rest;
            n->rest = NULL;
        } else {
            n = n->parent;
        }
    }
}

static void put_title(struct str trace, const struct rows *rows, struct wr *out)
{
    char when[WHEN_TEXT_MAX], span[16];
    struct text t = {"", 0};
    int64_t first = waterfall_first(rows->at, rows->n), all = waterfall_last(rows->at, rows->n);
    waterfall_span(all - first, span);
    add(&t, "trace ", trace, "");
    add(&t, "  from ", str_of(when_put_datetime(first / 1000, when)), "  ");
    add(&t, "", str_of(span), all - first < 1000000 ? " ms\n" : "\n");
    for (size_t i = 0; i + 1 < t.len; i++)
        t.at[i] = (uint8_t)t.at[i] < 0x20 || t.at[i] == 0x7f ? '?' : t.at[i];
    wr_bytes(out, t.at, t.len);
}

static void put_trace(struct journey *j, size_t from, unsigned width, struct wr *out)
{
    struct rows rows = {NULL, 0, 0};
    struct str trace = j->hops[from]->trace;
    for (size_t i = from; i < j->hops_n; i++) {
        struct node *n = journey_node(j, &j->hops[i]->at);
        if (n != NULL && !n->written && n->parent == NULL && str_eq(n->trace, trace))
            add_tree(j, &rows, n);
    }
    put_title(trace, &rows, out);
    waterfall_write(rows.at, rows.n, width, out);
    mem_free(rows.at);
}

void journey_write(struct journey *j, unsigned width, struct wr *out)
{
    build(j);
    for (size_t i = 0; i < j->hops_n; i++) {
        struct node *n = journey_node(j, &j->hops[i]->at);
        if (n != NULL && !n->written && n->parent == NULL)
            put_trace(j, i, width, out);
    }
}
