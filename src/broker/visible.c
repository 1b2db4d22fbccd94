#include "broker/visible.h"

#include "base/map.h"

static uint64_t log_of(const struct uuid *topic, int32_t partition)
{
    return hash_u64(uuid_hash(*topic) + (uint64_t)(uint32_t)partition);
}

void visible_note(struct visible *v, const struct uuid *topic, int32_t partition, int64_t end,
                  uint64_t now_us)
{
    v->moves[v->next] = (struct visible_move){log_of(topic, partition), end, now_us};
    v->next = (v->next + 1) % VISIBLE_MOVES;
}

/* Back in time: the oldest move that has it is the one, if the move before that is known to be
 * short of it. */
uint64_t visible_find(const struct visible *v, const struct uuid *topic, int32_t partition,
                      int64_t offset)
{
    uint64_t log = log_of(topic, partition), us = 0;
    for (unsigned i = 1; i <= VISIBLE_MOVES; i++) {
        const struct visible_move *m = &v->moves[(v->next + VISIBLE_MOVES - i) % VISIBLE_MOVES];
        if (m->us == 0)
            return us;
        if (m->log != log)
            continue;
        if (m->end <= offset)
            return us;
        us = m->us;
    }
    return 0;
}
