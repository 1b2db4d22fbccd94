/* fake_store.h: broker/store.h in memory, for tests of broker/.
 *
 * A fake_disk is what survives; a fake_store is one reactor's handle on it. Calls complete at once,
 * or, when deferred, in order when the test says so. Until its group is completed an append exists
 * nowhere: a restart of the disk loses it, or, as a crash may, keeps any number of the oldest.
 */
#pragma once

#include "base/random.h"
#include "broker/env.h"
#include "broker/store.h"

struct fake_disk;
struct fake_store;

enum fake_kind { FAKE_OPEN, FAKE_COMMIT, FAKE_READ, FAKE_FIND, FAKE_TRIM, FAKE_REMOVE, FAKE_KINDS };

struct fake_disk *fake_disk_make(void);
/* Its stores must have been freed. */
void fake_disk_free(struct fake_disk *d);
/* The leader epoch that appends carry from now on; 1 at first. */
void fake_disk_set_epoch(struct fake_disk *d, int32_t epoch);
/* The n-th call of a kind from now on fails (1: the next), and those after it until `times` have.
 */
void fake_disk_fail(struct fake_disk *d, enum fake_kind kind, unsigned n, unsigned times,
                    enum err err);
/* Asks every open log for its snapshot. */
void fake_disk_checkpoint(struct fake_disk *d);
/* Retention by size: moves the log's start, as far as store_retain lets it, and tells its owner. */
void fake_disk_retain(struct fake_disk *d, const struct store_log_id *id, int64_t log_start);
/* The same by time. */
void fake_disk_expire(struct fake_disk *d, const struct store_log_id *id, int64_t log_start);
/* How many logs there are; how many batches and bytes one holds; has it ever been made. */
size_t fake_disk_logs(const struct fake_disk *d);
bool fake_disk_has(const struct fake_disk *d, const struct store_log_id *id);
size_t fake_disk_batches(const struct fake_disk *d, const struct store_log_id *id);
uint64_t fake_disk_bytes(const struct fake_disk *d, const struct store_log_id *id);
/* Settings as last given. */
const struct store_log_conf *fake_disk_conf(const struct fake_disk *d,
                                            const struct store_log_id *id);
/* The n-th batch. */
struct slice fake_disk_batch(const struct fake_disk *d, const struct store_log_id *id, size_t n);
/* Flips a bit in the n-th batch. */
void fake_disk_damage(struct fake_disk *d, const struct store_log_id *id, size_t n, size_t at);
/* The log loses what lies from `end` on, a batch's beginning: a power cut while nothing runs. */
void fake_disk_cut(struct fake_disk *d, const struct store_log_id *id, int64_t end);
/* Makes a log by hand, as if it had been left there. */
void fake_disk_add_log(struct fake_disk *d, const struct store_log_id *id);

/* The process dies: the oldest `keep` of the commits under way are there nevertheless; all handles
 * on logs are invalid, all stores must be freed (before or after) and made anew. */
void fake_disk_crash(struct fake_disk *d, unsigned keep);
/* Commits under way, on all stores. */
unsigned fake_disk_under_way(const struct fake_disk *d);

/* mine: which logs `each` shows; NULL: all. */
struct fake_store *fake_store_make(struct fake_disk *d, struct env *env,
                                   bool (*mine)(const struct env *env,
                                                const struct store_log_id *id));
void fake_store_free(struct fake_store *s);
struct store *fake_store_port(struct fake_store *s);
void fake_store_defer(struct fake_store *s, bool deferred);
/* Completes the oldest call; false: none is under way. */
bool fake_store_step(struct fake_store *s);
/* Completes all, and those that this causes. True if there were any. */
bool fake_store_run(struct fake_store *s);
size_t fake_store_pending(const struct fake_store *s);
