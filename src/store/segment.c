#include "store/segment.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BASE_DIGITS 20

static const char *const endings[SEGMENT_FILES] = {".log", ".index", ".timeindex", ".append"};
static const char deleted_ending[] = ".deleted";

void segment_path(char out[SEGMENT_PATH_MAX], const char *dir, int64_t base,
                  enum segment_file which, const char *suffix)
{
    int n =
        snprintf(out, SEGMENT_PATH_MAX, "%s/%020" PRId64 "%s%s", dir, base, endings[which], suffix);
    weir_assert(n > 0 && n < SEGMENT_PATH_MAX);
}

bool segment_name_parse(const char *name, int64_t *base, enum segment_file *which, bool *deleted)
{
    uint64_t value = 0;
    for (int i = 0; i < BASE_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9' || value > (uint64_t)INT64_MAX / 10)
            return false;
        value = value * 10 + (uint64_t)(name[i] - '0');
    }
    if (value > (uint64_t)INT64_MAX)
        return false;
    *base = (int64_t)value;
    for (int i = 0; i < SEGMENT_FILES; i++) {
        size_t n = strlen(endings[i]);
        if (strncmp(name + BASE_DIGITS, endings[i], n) != 0)
            continue;
        *which = (enum segment_file)i;
        *deleted = strcmp(name + BASE_DIGITS + n, deleted_ending) == 0;
        return *deleted || name[BASE_DIGITS + n] == '\0';
    }
    return false;
}

void segment_walk_init(struct segment_walk *w, struct disk_file *file, uint32_t at, uint32_t end)
{
    w->file = file;
    w->at = at;
    w->end = end;
    w->window_at = w->window_len = 0;
    w->want = sizeof w->window;
}

/* Makes the head at w->at lie inside the window. */
static enum err walk_fill(struct segment_walk *w)
{
    size_t got;
    if (w->at >= w->window_at && w->window_at + w->window_len >= w->at + BATCH_HEAD_BYTES)
        return ERR_OK;
    uint32_t n = w->end - w->at < w->want ? w->end - w->at : w->want;
    enum err err = disk_read(w->file, w->window, n, w->at, &got);
    w->window_at = w->at;
    w->window_len = err ? 0 : (uint32_t)got;
    return err;
}

enum err segment_walk_next(struct segment_walk *w, struct batch_head *head, uint32_t *at,
                           const uint8_t **raw)
{
    if (w->at >= w->end)
        return ERR_NOT_FOUND;
    enum err err = walk_fill(w);
    if (err)
        return err;
    const uint8_t *p = w->window + (w->at - w->window_at);
    size_t n = w->window_at + w->window_len - w->at;
    if (batch_head_read(p, n, head) != ERR_OK || head->bytes > w->end - w->at)
        return ERR_CORRUPT;
    /* Behind a large batch the window is of no use but for the next head. */
    w->want = head->bytes < sizeof w->window ? sizeof w->window : BATCH_HEAD_BYTES;
    *at = w->at;
    if (raw)
        *raw = p;
    w->at += head->bytes;
    return ERR_OK;
}
