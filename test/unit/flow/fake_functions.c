#include "fake_functions.h"

#include "base/assert.h"
#include "spec/spec.h"

#include <stdio.h>
#include <string.h>

struct fake_functions fake_functions;

void __wrap_function_join(struct functions *f, struct function_user *user);
void __wrap_function_leave(struct function_user *user);
const struct document *__wrap_function_document(const struct function_user *user);
uint32_t __wrap_function_room(const struct function_user *user, uint32_t slots_out);
void __wrap_function_waits(struct function_user *user, uint64_t events);
uint64_t __wrap_function_pause_us(const struct function_user *user);
void __wrap_function_dropped(struct function_user *user, uint64_t outputs);
void __wrap_function_take(struct function_slot *slot);
void __wrap_function_cancel(struct function_slot *slot);
void __wrap_function_give(struct function_slot *slot, enum function_result result, uint64_t took_us,
                          uint32_t events);

void fake_functions_init(const char *name)
{
    struct fake_functions *f = &fake_functions;
    *f = (struct fake_functions){.there = true, .workers = 1};
    spec_init(&function_kind, &f->doc.conf.function);
    f->doc.refs = 1000; /* its own magic: nobody frees it */
    f->doc.magic = 0x646f6375;
    f->doc.kind = DOCUMENT_FUNCTION;
    weir_assert(str_copy(f->doc.name, sizeof f->doc.name, str_of(name)));
    list_init(&f->waiting);
    list_init(&f->out);
}

void __wrap_function_join(struct functions *f, struct function_user *user)
{
    (void)f;
    weir_assert(str_is(user->name, fake_functions.doc.name) && user->changed);
    fake_functions.user = user;
    fake_functions.joins++;
}

void __wrap_function_leave(struct function_user *user)
{
    (void)user;
    weir_assert(fake_functions.out_n == 0 && list_empty(&fake_functions.waiting));
}

const struct document *__wrap_function_document(const struct function_user *user)
{
    (void)user;
    return fake_functions.there ? &fake_functions.doc : NULL;
}

uint32_t __wrap_function_room(const struct function_user *user, uint32_t slots_out)
{
    (void)user;
    unsigned most = fake_functions.workers > 0 ? fake_functions.workers : 1;
    return slots_out < most ? most - slots_out : 0;
}

void __wrap_function_waits(struct function_user *user, uint64_t events)
{
    user->waiting = events;
}

uint64_t __wrap_function_pause_us(const struct function_user *user)
{
    (void)user;
    return fake_functions.pause_us;
}

void __wrap_function_dropped(struct function_user *user, uint64_t outputs)
{
    (void)user;
    fake_functions.dropped += outputs;
}

static void give_out(struct function_slot *slot)
{
    static unsigned number;
    fake_functions.out_n++;
    slot->worker = ++number;
    slot->url = "http://127.0.0.1:41234";
    if (fake_functions.doc.conf.function.url.at) {
        slot->worker = 0;
        slot->url = "http://host/function";
    }
    list_init(&slot->link);
    list_push(&fake_functions.out, &slot->link);
    slot->ready(slot, ERR_OK);
}

void __wrap_function_take(struct function_slot *slot)
{
    fake_functions.taken++;
    if (fake_functions.out_n < fake_functions.workers) {
        give_out(slot);
        return;
    }
    list_init(&slot->link);
    list_push(&fake_functions.waiting, &slot->link);
}

void __wrap_function_cancel(struct function_slot *slot)
{
    list_remove(&slot->link);
}

void __wrap_function_give(struct function_slot *slot, enum function_result result, uint64_t took_us,
                          uint32_t events)
{
    (void)took_us;
    list_remove(&slot->link);
    fake_functions.out_n--;
    fake_functions.given++;
    fake_functions.last = result;
    fake_functions.last_events = events;
}

bool fake_functions_run(void)
{
    bool any = false;
    while (!list_empty(&fake_functions.waiting) && fake_functions.out_n < fake_functions.workers) {
        give_out(container_of(list_pop(&fake_functions.waiting), struct function_slot, link));
        any = true;
    }
    return any;
}

struct function_slot *fake_functions_first(void)
{
    weir_assert(!list_empty(&fake_functions.out));
    return container_of(fake_functions.out.next, struct function_slot, link);
}

void fake_functions_fail(enum err err)
{
    struct list now;
    list_init(&now);
    list_move(&now, &fake_functions.waiting);
    while (!list_empty(&now)) {
        struct function_slot *slot = container_of(list_pop(&now), struct function_slot, link);
        slot->ready(slot, err);
    }
}

void fake_functions_change(bool there)
{
    fake_functions.there = there;
    fake_functions.user->changed(fake_functions.user);
}
