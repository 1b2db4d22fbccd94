/* answers.h: every answer that a client got must be what its request's table says: it decodes with
 * nothing left over, and what was decoded encodes to the same bytes. Answers come in the order of
 * the requests; only a Produce may have none (acks=0).
 */
#pragma once

#include "../unit/front/front_rig.h"

/* One request that was sent. */
struct asked {
    int16_t key, version;
    int32_t correlation_id;
};

struct asked_list {
    struct asked *at;
    size_t n, cap, next; /* next: the first that may still be answered */
};

void asked_add(struct asked_list *list, struct asked asked);
void asked_free(struct asked_list *list);
/* Takes all answers that are there. */
void answers_check(struct client *c, struct asked_list *list);
