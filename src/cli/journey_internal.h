/* journey_internal.h: what journey*.c share: hops, and the events that they tell of.
 *
 *     journey.c        which hops are kept
 *     journey_tree.c   events with their hops, under what caused them, as rows of a waterfall
 */
#pragma once

#include "base/arena.h"
#include "base/map.h"
#include "cli/journey.h"

struct place {
    struct str topic;
    int64_t partition, offset; /* topic at NULL: none */
};

struct hop {
    struct str step, subscription, by, outcome, settle, trace, id, correlation;
    struct place at, cause;
    struct str cause_subscription;
    int64_t cause_attempt;
    int64_t at_us; /* Unix us */
    int64_t took_us, waited_us, queued_us, settled_us, attempt;
    struct str text;
    struct hop *next;                /* of its node, by time */
    struct node *child, *last_child; /* what this delivery caused */
};

struct node {
    struct map_node by_place;
    struct place place;
    struct str id, correlation, trace;
    struct hop *hops, *last_hop;
    struct node *parent, *child, *last_child, *sibling; /* children of no hop that is known */
    /* While it is written */
    unsigned depth;
    bool written;
    const struct hop *next_hop;
    struct node *next_child, *rest;
};

struct trace {
    struct map_node node;
    struct str id;
};

struct journey {
    struct str wanted;
    struct place wanted_place;
    bool wanted_trace;
    struct arena arena;
    struct map traces;
    struct hop **hops;
    size_t hops_n, hops_cap;
    struct map nodes;
    bool cut;
};

bool journey_same_place(const struct place *a, const struct place *b);
/* By place; NULL: no hop is of there. */
struct node *journey_node(const struct journey *j, const struct place *p);
/* The hops in the order of their times. */
void journey_sort(struct journey *j);
