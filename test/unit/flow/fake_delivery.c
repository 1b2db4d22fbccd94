#include "fake_delivery.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

struct fake_delivery fake_delivery;

/* What the program under test calls in place of the broker's. */
void __wrap_broker_acquire(struct broker *b, struct acquire_op *op);
void __wrap_broker_acquire_cancel(struct broker *b, struct acquire_op *op);
void __wrap_acquire_free(struct acquire_op *op);
void __wrap_broker_settle(struct broker *b, struct settle_op *op);
void __wrap_broker_session(struct broker *b, struct session_op *op);
void __wrap_broker_release_all(struct broker *b, struct release_op *op);
void __wrap_message_drop(struct message *m);

void fake_delivery_init(struct env *env)
{
    memset(&fake_delivery, 0, sizeof fake_delivery);
    fake_delivery.env = env;
    fake_delivery.stamps = 1;
}

void fake_delivery_free(void)
{
    for (unsigned i = 0; i < fake_delivery.n; i++)
        slice_unref(fake_delivery.messages[i].batch);
}

struct fake_message *fake_delivery_add(const struct uuid *subscription, const char *value,
                                       const char *session)
{
    struct batch_builder b;
    struct batch_head head;
    struct record_iter it;
    weir_assert(fake_delivery.n < FAKE_MESSAGES_MAX);
    struct fake_message *m = &fake_delivery.messages[fake_delivery.n++];
    batch_begin(&b, 0);
    batch_add(&b, 1767225600000, str_of("key"), str_of(value), NULL, 0);
    *m = (struct fake_message){.subscription = *subscription, .batch = batch_end(&b)};
    m->append_ms = (int64_t)env_now_ms(fake_delivery.env);
    m->session = session ? str_of(session) : (struct str){NULL, 0};
    weir_assert(batch_head_read(m->batch.at, m->batch.len, &head) == ERR_OK);
    record_iter_init(&it, &head, m->batch.at + BATCH_HEAD_BYTES, m->batch.len - BATCH_HEAD_BYTES);
    weir_assert(record_iter_next(&it, &m->record) == ERR_OK);
    return m;
}

unsigned fake_delivery_count(const struct uuid *subscription, enum fake_state state)
{
    unsigned n = 0;
    for (unsigned i = 0; i < fake_delivery.n; i++) {
        const struct fake_message *m = &fake_delivery.messages[i];
        n += m->state == state && uuid_eq(m->subscription, *subscription);
    }
    return n;
}

static void answer(struct op *op, enum err err)
{
    weir_assert(fake_delivery.answers_n < 256);
    fake_delivery.errs[fake_delivery.answers_n] = err;
    fake_delivery.answers[fake_delivery.answers_n++] = op;
}

/* ---- acquiring ---- */

/* In a session, what stands before it and is not settled comes first. */
static bool is_blocked(unsigned i)
{
    const struct fake_message *m = &fake_delivery.messages[i];
    for (unsigned k = 0; m->session.at && k < i; k++) {
        const struct fake_message *before = &fake_delivery.messages[k];
        bool same = before->session.at && str_eq(before->session, m->session) &&
                    uuid_eq(before->subscription, m->subscription);
        bool waits = before->state == FAKE_READY && before->due_us > env_mono_us(fake_delivery.env);
        if (same && waits)
            return true;
    }
    return false;
}

/* In a partition whose order counts: what stands before it is neither there nor settled. */
static bool is_behind(unsigned i)
{
    const struct fake_message *m = &fake_delivery.messages[i];
    for (unsigned k = 0; k < i; k++) {
        const struct fake_message *before = &fake_delivery.messages[k];
        if (before->partition == m->partition && before->state == FAKE_READY &&
            uuid_eq(before->subscription, m->subscription))
            return true;
    }
    return false;
}

static bool session_is_held(const struct fake_message *m)
{
    for (unsigned k = 0; m->session.at && k < fake_delivery.n; k++) {
        const struct fake_message *other = &fake_delivery.messages[k];
        if (other->state == FAKE_ACQUIRED && other->session.at &&
            str_eq(other->session, m->session) && uuid_eq(other->subscription, m->subscription))
            return true;
    }
    return false;
}

static bool take(struct acquire_op *op)
{
    struct str session = {NULL, 0};
    op->messages = mem_zalloc(op->messages_max, sizeof *op->messages);
    op->n = 0;
    for (unsigned i = 0; i < fake_delivery.n && op->n < op->messages_max; i++) {
        struct fake_message *m = &fake_delivery.messages[i];
        if (m->state != FAKE_READY || !uuid_eq(m->subscription, op->subscription) ||
            m->due_us > env_mono_us(fake_delivery.env) || is_blocked(i))
            continue;
        if (op->partition >= 0 && (m->partition != op->partition || is_behind(i)))
            continue;
        if (m->session.at && op->n == 0 && session_is_held(m))
            continue;
        if (op->n > 0 && !(m->session.at ? str_eq(m->session, session) : session.at == NULL))
            continue;
        session = m->session;
        m->state = FAKE_ACQUIRED;
        m->stamp = fake_delivery.stamps++;
        m->deliveries++;
        struct message *out = &op->messages[op->n++];
        *out = (struct message){.deliveries = m->deliveries,
                                .partition = m->partition,
                                .offset = i,
                                .append_ms = m->append_ms,
                                .record = m->record,
                                .state = MESSAGE_ACQUIRED};
        memcpy(out->token.b, &m->stamp, sizeof m->stamp);
    }
    op->session_out = session;
    if (op->n > 0)
        return true;
    mem_free(op->messages);
    op->messages = NULL;
    return false;
}

void __wrap_broker_acquire(struct broker *b, struct acquire_op *op)
{
    (void)b;
    weir_assert(op->messages_max >= 1 && op->bytes_max > 0 && !op->actor);
    if (fake_delivery.acquire_err) {
        answer(&op->op, fake_delivery.acquire_err);
        return;
    }
    weir_assert(fake_delivery.acquires_n < 64);
    fake_delivery.acquires[fake_delivery.acquires_n++] = op;
}

static void forget_acquire(unsigned i)
{
    fake_delivery.acquires[i] = fake_delivery.acquires[--fake_delivery.acquires_n];
}

void __wrap_broker_acquire_cancel(struct broker *b, struct acquire_op *op)
{
    (void)b;
    fake_delivery.cancels++;
    if (fake_delivery.cancel_late)
        return;
    for (unsigned i = 0; i < fake_delivery.acquires_n; i++) {
        if (fake_delivery.acquires[i] != op)
            continue;
        forget_acquire(i);
        answer(&op->op, ERR_OK);
        return;
    }
}

void __wrap_acquire_free(struct acquire_op *op)
{
    mem_free(op->messages);
    op->messages = NULL;
}

void __wrap_message_drop(struct message *m)
{
    (void)m;
}

/* Whatever is acquired: there is one owner. */
void __wrap_broker_release_all(struct broker *b, struct release_op *op)
{
    (void)b;
    for (unsigned i = 0; i < fake_delivery.n; i++) {
        struct fake_message *m = &fake_delivery.messages[i];
        if (m->state == FAKE_ACQUIRED && uuid_eq(m->subscription, op->subscription))
            m->state = FAKE_READY;
    }
    fake_delivery.releases++;
    answer(&op->op, ERR_OK);
}

/* ---- settling ---- */

static struct fake_message *held(const struct settle_item *item)
{
    uint64_t stamp;
    memcpy(&stamp, item->token.b, sizeof stamp);
    for (unsigned i = 0; i < fake_delivery.n; i++) {
        struct fake_message *m = &fake_delivery.messages[i];
        if (m->stamp == stamp && m->state == FAKE_ACQUIRED)
            return m;
    }
    return NULL;
}

static void keep(char *out, size_t cap, struct str s)
{
    weir_assert(str_copy(out, cap, s));
}

static void settle(struct fake_message *m, const struct settle_item *item)
{
    m->state = item->verb == SETTLE_ACCEPT   ? FAKE_ACCEPTED
               : item->verb == SETTLE_REJECT ? FAKE_REJECTED
                                             : FAKE_READY;
    m->delay_ms = item->delay_ms;
    m->uncounted = item->uncounted;
    m->deliveries -= item->verb == SETTLE_RELEASE && item->uncounted;
    m->due_us = env_mono_us(fake_delivery.env) + (uint64_t)item->delay_ms * 1000;
    keep(m->reason, sizeof m->reason, item->reason);
    keep(m->description, sizeof m->description, item->description);
    keep(m->outcome, sizeof m->outcome, item->outcome);
}

static enum err check_items(struct settle_op *op)
{
    enum err err = ERR_OK;
    for (size_t i = 0; i < op->items_n; i++) {
        op->items[i].err = held(&op->items[i]) ? ERR_OK : ERR_LOCK_LOST;
        err = op->items[i].err ? op->items[i].err : err;
    }
    return err;
}

static void append_outputs(const struct settle_op *op)
{
    for (size_t i = 0; i < op->outputs_n; i++) {
        size_t n = strlen(fake_delivery.outputs);
        const struct publish_record *r = &op->outputs[i].record;
        snprintf(fake_delivery.outputs + n, sizeof fake_delivery.outputs - n, "%.*s ",
                 (int)r->value.len, r->value.at);
        fake_delivery.outputs_n++;
    }
}

/* An output that is too large fails the whole, as the broker's does. */
static enum err check_outputs(const struct settle_op *op)
{
    for (size_t i = 0; i < op->outputs_n; i++) {
        if (!strncmp(op->outputs[i].record.value.at, "large", 5))
            return ERR_MESSAGE_TOO_LARGE;
    }
    return ERR_OK;
}

static enum err scripted(struct settle_op *op)
{
    if (fake_delivery.settle_errs_n == 0)
        return ERR_OK;
    fake_delivery.settle_errs_n--;
    if (fake_delivery.settle_err == ERR_LOCK_LOST) {
        struct fake_message *m = held(&op->items[0]);
        m->state = FAKE_READY; /* its time was up */
    }
    return fake_delivery.settle_err == ERR_LOCK_LOST ? ERR_OK : fake_delivery.settle_err;
}

void __wrap_broker_settle(struct broker *b, struct settle_op *op)
{
    (void)b;
    fake_delivery.settles++;
    enum err err = scripted(op);
    err = err ? err : check_items(op);
    err = err ? err : check_outputs(op);
    for (size_t i = 0; err == ERR_OK && i < op->items_n; i++)
        settle(held(&op->items[i]), &op->items[i]);
    if (err == ERR_OK)
        append_outputs(op);
    answer(&op->op, err);
}

void __wrap_broker_session(struct broker *b, struct session_op *op)
{
    (void)b;
    weir_assert(op->verb == SESSION_RELEASE && op->session.at);
    fake_delivery.sessions_released++;
    answer(&op->op, ERR_OK);
}

bool fake_delivery_run(void)
{
    bool any = false;
    for (unsigned i = 0; i < fake_delivery.acquires_n; i++) {
        struct acquire_op *op = fake_delivery.acquires[i];
        if (!take(op))
            continue;
        forget_acquire(i--);
        answer(&op->op, ERR_OK);
    }
    while (fake_delivery.answers_n > 0) {
        struct op *op = fake_delivery.answers[0];
        op->err = fake_delivery.errs[0];
        fake_delivery.answers_n--;
        memmove(fake_delivery.answers, fake_delivery.answers + 1,
                fake_delivery.answers_n * sizeof op);
        memmove(fake_delivery.errs, fake_delivery.errs + 1,
                fake_delivery.answers_n * sizeof op->err);
        op->done(op);
        any = true;
    }
    return any;
}
