/* spread.h: something that has to happen on every reactor, and what came of it.
 *
 * spread_start runs `step` once on each reactor; each step answers with spread_answer, then or
 * later; when all have, done is called where it was started, with the first error. One struct a
 * spread, embedded in what it is about and kept valid by its owner until done.
 */
#pragma once

#include "broker/op.h"

struct spread;

struct spread_part {
    struct op op;
    struct spread *spread;
};

struct spread {
    void (*step)(struct broker *b, struct spread_part *part);
    void (*done)(struct spread *spread, struct broker *b, enum err err);
    /* private */
    struct spread_part *parts;
    unsigned left;
    enum err err;
};

void spread_start(struct broker *b, struct spread *spread);
/* On the reactor of the part's step, exactly once a part. */
void spread_answer(struct broker *b, struct spread_part *part, enum err err);
