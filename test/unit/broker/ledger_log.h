/* ledger_log.h: a state log for the records of one ledger, as broker/statelog.h keeps one: changes
 * land in it, entities are snapshotted one by one, what is older than all of them is trimmed, a
 * power cut takes an end of it. In memory; aborts on what a caller must not do. */
#pragma once

#include "broker/ledger.h"

struct ledger_log_record {
    size_t at; /* of its batch: batches are numbered from 0 */
    struct slice key, value;
};

struct ledger_log {
    struct ledger_log_record *records; /* trimmed ones are gone */
    size_t n, cap;
    size_t end;                      /* the next batch's number */
    struct ledger_entity **entities; /* that have records */
    size_t entities_n, entities_cap;
};

void ledger_log_free(struct ledger_log *log);
/* To be called by the ledger: conf.forget, with the log as user. */
void ledger_log_forget(void *log, struct statelog_entity *entity);
/* Between these a change is under way: entities are not snapshotted. */
void ledger_log_begin(struct ledger_log *log, const struct ledger_take *take);
void ledger_log_land(struct ledger_log *log, const struct ledger_take *take);
void ledger_log_end(struct ledger_log *log, const struct ledger_take *take);
/* The entity with the oldest records, if nothing of it is under way, once more and whole; then
 * what no entity needs is trimmed. */
void ledger_log_snapshot(struct ledger_log *log, struct ledger_time now);
void ledger_log_snapshot_of(struct ledger_log *log, struct ledger_entity *e,
                            struct ledger_time now);
/* All of a ledger at rest, as one batch of the log: its number. */
size_t ledger_log_page_out(struct ledger_log *log, struct ledger *l, struct ledger_time now);
/* The ledger that this batch holds, which has become what the log needs to tell of it. */
struct ledger *ledger_log_page_in(struct ledger_log *log, const struct ledger_conf *conf,
                                  int64_t start, size_t chunk, struct ledger_time now);
/* A ledger from what is below `cut`; the log's end from then on, if `replace`: else the ledger is
 * only to be looked at, and must not be given to the log. */
struct ledger *ledger_log_fold(struct ledger_log *log, const struct ledger_conf *conf,
                               int64_t start, size_t cut, struct ledger_time now, bool replace);
