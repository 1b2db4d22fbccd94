/* Leader epochs of a log, each with its first offset (Kafka's LeaderEpochFileCache, KIP-101). */
#include "store/plog_internal.h"

#include "base/mem.h"

#include <string.h>

void plog_epochs_note(struct plog *log, int32_t epoch, int64_t start)
{
    if (epoch < 0 || (log->epochs > 0 && epoch <= log->epoch[log->epochs - 1].epoch))
        return;
    if (log->epochs == log->epochs_cap) {
        log->epochs_cap = log->epochs_cap ? log->epochs_cap * 2 : 1;
        log->epoch = mem_realloc(log->epoch, (size_t)log->epochs_cap * sizeof *log->epoch);
    }
    log->epoch[log->epochs++] = (struct plog_epoch){epoch, start};
}

/* The epochs that are there whatever is undone. */
static int32_t settled_epochs(const struct plog *log)
{
    if (!log->marks)
        return log->epochs;
    return log->marked ? log->marks->turn.epochs : log->marks->flushed.epochs;
}

/* The epoch that the log start lies in stays, and begins there. */
void plog_epochs_trim(struct plog *log, int64_t log_start)
{
    int32_t n = 0, most = settled_epochs(log);
    while (n < most && log->epoch[n].start <= log_start)
        n++;
    if (n == 0)
        return;
    log->epoch[n - 1].start = log_start;
    log->epochs -= n - 1;
    memmove(log->epoch, log->epoch + n - 1, (size_t)log->epochs * sizeof *log->epoch);
    if (log->marks) {
        log->marks->flushed.epochs -= n - 1;
        log->marks->turn.epochs -= n - 1;
    }
}

int32_t plog_epoch(const struct plog *log)
{
    return log->epochs > 0 ? log->epoch[log->epochs - 1].epoch : -1;
}

/* As Kafka, an epoch from before the first known one is answered with itself and that one's start:
 * nothing of it is left. */
void plog_epoch_end(const struct plog *log, int32_t asked, int32_t *epoch, int64_t *end)
{
    int32_t above = 0;
    while (above < log->epochs && log->epoch[above].epoch <= asked)
        above++;
    *epoch = -1;
    *end = -1;
    if (log->epochs == 0 || asked < 0)
        return;
    *epoch = above > 0 ? log->epoch[above - 1].epoch : asked;
    *end = above < log->epochs ? log->epoch[above].start : log->next_offset;
}
