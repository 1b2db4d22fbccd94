/* recovery.h: brings a data folder from whatever a crash left to what was promised (R1-R6).
 *
 *     manifest       what the last checkpoint synced: sequence S, a state for each log
 *     chain          journal groups S+1, S+2, ... as long as they are whole (journal_scan.h)
 *     references     each leads to its batch, or the chain ends before it (R3)
 *     verdict        D, the highest durable sequence that any later group names: a chain that ends
 *                    below D has lost what was acknowledged, and the start is refused, saying where
 *     replay         every frame of the chain goes to its place in its log; deletes and log starts
 *                    are known beforehand, so that nothing is put where it was meant to go away
 *     sync           the logs' files, then a manifest with the chain's end
 *
 * Only then is anything served: what was read back from a page cache is not yet durable. A second
 * crash in between changes nothing, since the journal stays as it is until the new manifest.
 *
 * Called once, before the loops run; single thread.
 */
#pragma once

#include "base/err.h"

#include <stdint.h>

struct embedded;
struct embedded_report;

/* e has its disk, folder, lock, meta (incarnation raised) and reactors. Fills the reactors' tables
 * of logs. next_sequence: for the journal. */
enum err must_use recovery_run(struct embedded *e, struct embedded_report *report,
                               uint64_t *next_sequence, struct err_text *text);
