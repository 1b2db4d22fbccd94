/* Calls: which worker gets which.
 *
 * Without a partition: the worker with the fewest calls. With one: its worker. A partition that is
 * nobody's, or whose worker has more than its share of them, goes to the worker with the fewest:
 * a new worker takes over what evens the numbers out, each partition when no slot of it is out.
 */
#include "flow/function_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

/* ---- partitions ------------------------------------------------------------------------------ */

static struct function_partition *partition_of(struct function *f, int32_t number)
{
    uint32_t i = (uint32_t)number;
    if (i >= f->partitions_cap) {
        uint32_t cap = f->partitions_cap ? f->partitions_cap : 16;
        while (cap <= i)
            cap *= 2;
        f->partitions = mem_realloc(f->partitions, cap * sizeof *f->partitions);
        memset(f->partitions + f->partitions_cap, 0,
               (cap - f->partitions_cap) * sizeof *f->partitions);
        f->partitions_cap = cap;
    }
    return &f->partitions[i];
}

static void partition_hand(struct function *f, struct function_partition *p,
                           struct function_worker *w)
{
#ifndef FAULT_partition_shared
    weir_assert(p->out == 0);
#endif
    if (p->worker) {
        p->worker->partitions_n--;
        f->partitions_known--;
    }
    p->worker = w;
    if (w) {
        w->partitions_n++;
        f->partitions_known++;
    }
}

void function_partitions_drop(struct function_worker *w)
{
    struct function *f = w->f;
    for (uint32_t i = 0; i < f->partitions_cap && w->partitions_n > 0; i++) {
        if (f->partitions[i].worker == w)
            partition_hand(f, &f->partitions[i], NULL);
    }
}

/* ---- who gets it ----------------------------------------------------------------------------- */

static bool is_ready(const struct function_worker *w)
{
    return w && w->step == FUNCTION_WORKER_ready;
}

static bool has_room(const struct function_worker *w)
{
    return is_ready(w) && w->slots_n < (uint64_t)function_conf_of(w->f)->concurrency;
}

static struct function_worker *least_busy(const struct function *f)
{
    struct function_worker *best = NULL;
    list_for (it, &f->workers) {
        struct function_worker *w = container_of(it, struct function_worker, link);
        if (has_room(w) && (!best || w->slots_n < best->slots_n))
            best = w;
    }
    return best;
}

static struct function_worker *fewest_partitions(const struct function *f)
{
    struct function_worker *best = NULL;
    list_for (it, &f->workers) {
        struct function_worker *w = container_of(it, struct function_worker, link);
        if (is_ready(w) && (!best || w->partitions_n < best->partitions_n))
            best = w;
    }
    return best;
}

static struct function_worker *worker_of(struct function *f, int32_t number)
{
    struct function_partition *p = partition_of(f, number);
    bool held = p->out > 0;
#ifdef FAULT_partition_shared
    held = false;
#endif
    if (!held) {
        struct function_worker *least = fewest_partitions(f);
        if (least && (!is_ready(p->worker) || p->worker->partitions_n > least->partitions_n + 1))
            partition_hand(f, p, least);
    }
    return has_room(p->worker) ? p->worker : NULL;
}

static void hand_out(struct function *f, struct function_slot *slot)
{
    slot->out = true;
    f->stat.calls++;
    slot->ready(slot, ERR_OK);
}

static bool try_url(struct function *f, struct function_slot *slot)
{
    if (f->stat.calls >= (uint64_t)function_conf_of(f)->concurrency)
        return false;
    f->url->refs++;
    slot->at_url = f->url;
    slot->url = f->url->text;
    slot->worker = 0;
    hand_out(f, slot);
    return true;
}

static bool try_worker(struct function *f, struct function_slot *slot)
{
    struct function_worker *w = slot->partition < 0 ? least_busy(f) : worker_of(f, slot->partition);
    if (!w)
        return false;
    if (slot->partition >= 0)
        f->partitions[slot->partition].out++;
    slot->at = w;
    slot->url = w->url;
    slot->worker = w->number;
    list_push(&w->slots, &slot->link);
    w->slots_n++;
    w->calls++;
    hand_out(f, slot);
    return true;
}

/* True: the slot was told of something, and is not the function's any more, unless it is out. */
static bool try_slot(struct function *f, struct function_slot *slot)
{
    if (f->all->stopping)
        slot->ready(slot, err_say(&slot->text, ERR_CLOSED, "weir is stopping"));
    else if (!f->document)
        slot->ready(slot, err_say(&slot->text, ERR_NOT_FOUND, "there is no function %s", f->name));
    else
        return f->url ? try_url(f, slot) : try_worker(f, slot);
    return true;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void waiting_remove(struct function *f, struct function_slot *slot)
{
    list_remove(&slot->link);
    f->waiting_n--;
}

void function_take(struct function_slot *slot)
{
    struct function *f = slot->user->function;
    list_init(&slot->link);
    slot->at = NULL;
    slot->at_url = NULL;
    slot->out = false;
    slot->since_us = function_now(f);
    slot->text.s[0] = '\0';
    /* Who waits with a partition goes on before who comes, else the order would turn. */
    if (list_empty(&f->waiting) && try_slot(f, slot))
        return;
    list_push(&f->waiting, &slot->link);
    f->waiting_n++;
    function_wake(f, false);
}

void function_cancel(struct function_slot *slot)
{
    struct function *f = slot->user->function;
    weir_assert(!slot->out && list_linked(&slot->link));
    waiting_remove(f, slot);
    function_wake(f, false);
}

/* When the slot has waited in vain. */
static uint64_t waits_until(const struct function *f, const struct function_slot *slot)
{
    if (!f->document || f->url || function_pool_count(f, FUNCTION_WORKER_ready) > 0)
        return UINT64_MAX;
    return slot->since_us + (uint64_t)function_conf_of(f)->start_ms * 1000;
}

static void give_up(struct function *f, struct function_slot *slot)
{
    waiting_remove(f, slot);
    slot->ready(slot,
                err_say(&slot->text, ERR_TIMED_OUT, "no worker of function %s could be had%s%s",
                        f->name, f->last_error[0] ? ": " : "", f->last_error));
}

/* Those that were there when it began, each once: slots that come back from inside of ready() wait
 * behind them. */
uint64_t function_slots_work(struct function *f)
{
    struct list now;
    uint64_t look = UINT64_MAX;
    list_init(&now);
    list_move(&now, &f->waiting);
    while (!list_empty(&now)) {
        struct function_slot *slot = container_of(now.next, struct function_slot, link);
        uint64_t until = waits_until(f, slot);
        waiting_remove(f, slot);
        if (try_slot(f, slot))
            continue;
        list_push(&f->waiting, &slot->link);
        f->waiting_n++;
        if (until <= function_now(f))
            give_up(f, slot);
        else if (until < look)
            look = until;
    }
    return look;
}

/* ---- the end of a call ----------------------------------------------------------------------- */

void function_slots_lost(struct function_worker *w)
{
    struct list now;
    list_init(&now);
    list_move(&now, &w->slots);
    while (!list_empty(&now)) {
        struct list *at = list_pop(&now);
        struct function_slot *slot = container_of(at, struct function_slot, link);
        list_push(&w->slots, at);
        if (slot->lost)
            slot->lost(slot);
    }
}

static void count(struct function_stat *stat, enum function_result result, uint64_t took_us,
                  uint32_t events)
{
    stat->calls--;
    if (result != FUNCTION_UNCALLED)
        histogram_add(&stat->took, took_us);
    switch (result) {
    case FUNCTION_DONE:
        stat->done++;
        stat->events += events;
        break;
    case FUNCTION_TIMED_OUT:
        stat->timed_out++;
        break;
    case FUNCTION_BROKEN:
        stat->broken++;
        break;
    case FUNCTION_UNCALLED:
        break;
    }
}

void function_url_put(struct function_url *url)
{
    if (url && --url->refs == 0)
        mem_free(url);
}

void function_give(struct function_slot *slot, enum function_result result, uint64_t took_us,
                   uint32_t events)
{
    struct function *f = slot->user->function;
    struct function_worker *w = slot->at;
    weir_assert(slot->out);
    slot->out = false;
    slot->at = NULL;
    count(&f->stat, result, took_us, events);
    function_url_put(slot->at_url);
    slot->at_url = NULL;
    function_wake(f, true);
    if (!w)
        return;
    list_remove(&slot->link);
    w->slots_n--;
    if (slot->partition >= 0)
        f->partitions[slot->partition].out--;
    if (result == FUNCTION_TIMED_OUT)
        function_worker_kill(w, FUNCTION_KILL_TIME);
    function_worker_released(w);
}
