#include "broker/function_status.h"

#include "base/map.h"
#include "broker/broker_internal.h"

enum function_state function_state_of(const struct function_status *s)
{
    if (!s->has_workers || s->ready > 0)
        return FUNCTION_STATE_running;
    if (s->retry_ms > 0)
        return FUNCTION_STATE_backoff;
    return s->starting > 0 || s->wanted > 0 ? FUNCTION_STATE_starting : FUNCTION_STATE_idle;
}

const char *function_state_name(enum function_state state)
{
    static const char *const names[] = {
#define S(name) #name,
        FUNCTION_STATES(S)
#undef S
    };
    return names[state];
}

unsigned function_shard(struct str name)
{
    return (unsigned)(hash_bytes(name.at, name.len) % BROKER_SHARDS);
}

void broker_function_teller_set(struct broker *b, struct function_teller *t)
{
    b->documents.teller = t;
}

static void status_run(struct broker *b, struct op *base)
{
    struct function_status_op *op = container_of(base, struct function_status_op, op);
    struct function_teller *t = b->documents.teller;
    bool known = t != NULL && t->tell(t, op->name, &op->status);
    if (known)
        op->status.state = function_state_of(&op->status);
    op_finish(b, base, known ? ERR_OK : ERR_NOT_FOUND);
}

void broker_function_status(struct broker *b, struct function_status_op *op)
{
    op->status = (struct function_status){.ready = 0};
    op->op.run = status_run;
    op_submit(b, function_shard(op->name), &op->op);
}
