/* ledger_steps.h: tests of ledgers as tables of steps: what is done, and what comes of it.
 *
 *     {"look 0 10", ""},            ten records that the filter takes
 *     {"acquire a 2", "0 1"},
 *     {"accept 0; write", ""},      separated by ;, answers joined by "; "
 *     {"state", "floor 1 next 10: 1a 2-9r"},
 *
 *     look FROM TO [S]   adds [FROM, TO); what lies before is skipped. S: of that session
 *     skip TO            acquire O N [LOCK]       O: the owner, a letter; tells offsets, and after
 *                                                 a colon the delivery count if it is not 1
 *     accept X .. | reject X .. | defer X .. | release X [DELAY [uncounted]] | renew X [LOCK]
 *                        X: an offset, by its last token; X-Y: all of these; old:X by the token
 *                        before; O:X that owner O holds; any:X whoever holds it
 *     deferred O X       unacquire X              bury O N
 *     claim O X [idle=MS] [count=N] [force]       owner O [uncounted]: released
 *     expire BELOW | expire1 X                    trim START: tells lost/unseen
 *     rewind TO [keep] | clamp END                stragglers TARGET MAX
 *     lock O S [LOCK] | lock O *                  get O S N | unlock O S | hold O S: renews
 *     put O S TEXT | show O S: a session's state  sessions
 *     write | fail | write alone                  take: later `land N ok|fail` ends the N-th
 *     snapshot           all entities, and a trim of the log
 *     wait MS            and what is due happens  clock MS: the wall clock is set by so much
 *     restart            kill -9: what was taken and not landed is lost; fold
 *     cut                a power cut: only what was landed before the last `mark`
 *     pack               mark
 *     state              floor, next, the unsettled: r ready, w delayed, a acquired, s being
 *                        settled, d deferred, x dead, and the delivery count if it is above 1
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct ledger_step {
    const char *what, *want;
};

struct ledger_steps_conf {
    unsigned lock_ms, attempts, in_flight_max, window_max;
    bool sessions;
};

/* Fails the test at the first step of which something else comes, with both texts. */
void ledger_steps_check(const struct ledger_steps_conf *conf, const struct ledger_step *steps,
                        size_t n);
