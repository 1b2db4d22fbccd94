/* function_status.h: what a function is doing now, for who asks the broker. Flow knows it, on one
 * reactor (function_shard): there it has a teller, which the broker asks.
 */
#pragma once

#include "broker/op.h"
#include "base/str.h"

#define FUNCTION_STATES(S) S(idle) S(starting) S(running) S(backoff)
enum function_state {
#define S(name) FUNCTION_STATE_##name,
    FUNCTION_STATES(S)
#undef S
};

struct function_status {
    enum function_state state;
    bool has_workers;                           /* it is run by weir: not a url */
    uint32_t starting, ready, draining, wanted; /* workers */
    uint32_t calls;                             /* under way */
    uint64_t waiting;                           /* events */
    uint32_t failures;                          /* in a row */
    uint64_t retry_ms;                          /* until the next start may be; 0: now */
    struct err_text error;                      /* of the last failure, while they last; or "" */
};

/* idle: it has no worker, and needs none. starting: none is ready yet. running: some are; a url's
 * function always is. backoff: none is, and none is started before retry_ms are over. */
enum function_state function_state_of(const struct function_status *s);
const char *function_state_name(enum function_state state);

/* The shard whose reactor knows the function of that name. */
unsigned function_shard(struct str name);

/* One a reactor. False: it knows of no such function. */
struct function_teller {
    bool (*tell)(struct function_teller *t, struct str name, struct function_status *out);
};
/* NULL: nobody tells any more. */
void broker_function_teller_set(struct broker *b, struct function_teller *t);

/* ERR_NOT_FOUND: nobody knows it. Who may see the function's document may ask: the caller looks. */
struct function_status_op {
    struct op op;
    struct str name;
    struct function_status status; /* out */
};
void broker_function_status(struct broker *b, struct function_status_op *op);
