/* weir_member.h: members of a consumer group on a simulated broker: join, sync, heartbeat, commit,
 * leave, fall asleep and wake up in a later generation.
 *
 *     OUT --join--> JOINING --> SYNCING --> STABLE --(27, 22, 25, lost)--> JOINING
 *      ^                                      |--leave--> OUT
 *                                             |--sleep, for longer than the others wait--> STABLE
 *
 * The leader of a generation hands the partitions of all topics that flush each record to its
 * members in turn; each takes the committed offset of what it got and commits larger ones. What
 * must hold beside the model's rules for committed offsets: a commit of a former generation is
 * never accepted, an assignment is the one that the leader made for this member and generation, and
 * generations never go back behind one that was synced.
 */
#pragma once

#include "weir_client.h"
#include "weir_model.h"

#define MEMBER_ID_BYTES 128
#define MEMBER_PARTITIONS (MODEL_TOPICS * MODEL_PARTITIONS)

enum member_state { MEMBER_OUT, MEMBER_JOINING, MEMBER_SYNCING, MEMBER_STABLE };

/* What the members of one group have seen together. */
struct member_group {
    struct model_group *group;
    int32_t joined; /* the largest generation that a join was answered with */
    int32_t synced; /* and that a sync was */
};

struct load_member {
    struct client client;
    struct model *model;
    struct member_group *g;
    char name[24];
    char id[MEMBER_ID_BYTES];
    bool is_static, asleep;
    bool *paused, *draining;
    enum member_state state;
    int32_t generation;
    unsigned owned_n;
    struct model_partition *owned[MEMBER_PARTITIONS];
    struct model_partition *committing;
    int64_t offset;       /* of the commit under way */
    int32_t commit_in;    /* its generation */
    bool commit_is_stale; /* a later one was known when it was sent */
    struct env_timer timer;
};

void member_make(struct load_member *m, unsigned number, struct model *model,
                 struct member_group *g, bool *paused, bool *draining);
void member_free(struct load_member *m);
/* All are in the same generation. Then no partition has two owners. */
bool members_are_settled(const struct load_member *members, unsigned n);
