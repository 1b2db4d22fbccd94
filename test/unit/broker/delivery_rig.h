/* delivery_rig.h: the verbs of delivery.h as plain calls on a rig, which run the fake world until
 * they are answered; and some that are not waited for. */
#pragma once

#include "broker/delivery.h"
#include "broker/subscription.h"
#include "rig.h"

/* Makes the subscription, or fails the test. */
struct uuid rig_subscribe(struct rig *r, const char *topic, const char *name,
                          void (*change)(struct subscription_conf *conf));
enum err rig_unsubscribe(struct rig *r, const char *topic, const char *name);
/* DeleteRecords. */
enum err rig_trim(struct rig *r, const struct uuid *topic, int32_t partition, int64_t offset);
/* A topic that is a queue. Its subscription has its id. */
struct uuid rig_queue(struct rig *r, const char *name, int32_t partitions);
/* One record with this value. */
void rig_put(struct rig *r, const char *topic, int32_t partition, const char *key,
             const char *value);

struct rig_acquire {
    struct acquire_op op;
    bool done;
};
/* At most n of any partition, as owner; waits wait_ms of the fake time, which stands still. */
struct rig_acquire *rig_acquire_start(struct rig *r, unsigned from, struct uuid subscription,
                                      uint64_t owner, uint32_t n, uint32_t wait_ms);
/* The same, changed before it starts. */
struct rig_acquire *rig_acquire_with(struct rig *r, unsigned from, struct uuid subscription,
                                     uint64_t owner, uint32_t n, uint32_t wait_ms,
                                     void (*change)(struct acquire_op *op));
/* Started and answered. */
struct rig_acquire *rig_acquire(struct rig *r, unsigned from, struct uuid subscription,
                                uint64_t owner, uint32_t n);
void rig_acquire_free(struct rig_acquire *a);
/* The values of its messages as one string "v0 v1 ", in static memory. */
const char *rig_values(const struct rig_acquire *a);

/* All of its messages, from reactor `from`. The first error. */
enum err rig_settle_all(struct rig *r, unsigned from, struct uuid subscription,
                        const struct rig_acquire *a, enum settle_verb verb);
enum err rig_settle(struct rig *r, unsigned from, struct uuid subscription,
                    struct settle_item *items, size_t n);
/* Of one subscription, or of all. */
enum err rig_release(struct rig *r, unsigned from, struct uuid subscription, uint64_t owner,
                     bool uncounted);
struct ledger_stat_op rig_stat(struct rig *r, struct uuid subscription);
/* What a verb gave, copied: the first RIG_MESSAGES_MAX. */
#define RIG_MESSAGES_MAX 16
struct rig_messages {
    enum err err;
    uint32_t n;
    char values[512]; /* "v0 v1 " */
    enum message_state states[RIG_MESSAGES_MAX];
    struct lock_token tokens[RIG_MESSAGES_MAX];
};
struct rig_messages rig_peek(struct rig *r, unsigned from, struct uuid subscription, int64_t offset,
                             uint32_t n);
struct rig_messages rig_deferred(struct rig *r, unsigned from, struct uuid subscription,
                                 uint64_t owner, const int64_t *offsets, uint32_t n);
enum err rig_rewind(struct rig *r, unsigned from, struct rewind_op *op);
/* Moves the time, then runs the world. */
void rig_wait(struct rig *r, uint64_t ms);
