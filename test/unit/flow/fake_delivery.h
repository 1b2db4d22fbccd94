/* fake_delivery.h: a ledger in memory in place of the broker's (the program is linked with --wrap),
 * so that tests see each message's state, and each way in which a settle can fail. Verbs are
 * answered in fake_delivery_run, not inside of the call. */
#pragma once

#include "broker/delivery.h"
#include "broker/env.h"

#define FAKE_MESSAGES_MAX 2000

enum fake_state { FAKE_READY, FAKE_ACQUIRED, FAKE_ACCEPTED, FAKE_REJECTED };

struct fake_message {
    struct uuid subscription;
    struct slice batch; /* of its one record */
    struct record record;
    struct str session; /* at NULL: none */
    int32_t partition;
    enum fake_state state;
    uint32_t deliveries;
    int64_t append_ms;
    uint64_t stamp; /* of the acquisition */
    uint64_t due_us;
    /* As the last settle said. */
    uint32_t delay_ms;
    bool uncounted;
    char reason[64], description[512], outcome[64];
};

struct fake_delivery {
    struct env *env;
    struct fake_message messages[FAKE_MESSAGES_MAX];
    unsigned n;
    uint64_t stamps;
    struct acquire_op *acquires[64]; /* wait */
    unsigned acquires_n;
    struct op *answers[256];
    enum err errs[256];
    unsigned answers_n;
    /* What tests script: the next settle fails so as a whole; ERR_LOCK_LOST: its first item. */
    enum err settle_err;
    unsigned settle_errs_n; /* how many */
    enum err acquire_err;
    bool cancel_late; /* acquisitions are answered by messages, whether cancelled or not */
    unsigned settles, cancels, releases, sessions_released;
    char outputs[4096]; /* values of what settles appended, "topic id? value " */
    unsigned outputs_n;
};
extern struct fake_delivery fake_delivery;

void fake_delivery_init(struct env *env);
void fake_delivery_free(void);
struct fake_message *fake_delivery_add(const struct uuid *subscription, const char *value,
                                       const char *session);
/* Answers; true if there was anything. */
bool fake_delivery_run(void);
/* Messages of the subscription in that state. */
unsigned fake_delivery_count(const struct uuid *subscription, enum fake_state state);
