/* layout.h: the names of files and folders below the data folder. FORMAT.md lists them.
 *
 *     <data>/lock              held by the process that serves the folder
 *     <data>/meta              meta.h
 *     <data>/manifest          manifest.h
 *     <data>/journal/NNNNNNNN.wj
 *     <data>/logs/<topic id>-<partition>/
 *
 * Pure functions; any thread.
 */
#pragma once

#include "broker/store.h"

#include <stdbool.h>
#include <stddef.h>

#define LAYOUT_PATH_MAX 4096
#define LAYOUT_DIR_MAX 3800    /* longest data folder path that is accepted */
#define LAYOUT_LOG_NAME_MAX 40 /* 22 characters, '-', a number, NUL */

struct layout_path {
    char s[LAYOUT_PATH_MAX];
};

/* The folder that holds dir's own name: "." for "data", "/" for "/data". */
const char *layout_parent(struct layout_path *out, const char *dir);
/* dir/name. */
const char *layout_in(struct layout_path *out, const char *dir, const char *name);
/* dir/logs/<id>. */
const char *layout_log(struct layout_path *out, const char *dir, const struct store_log_id *id);
void layout_log_name(char out[LAYOUT_LOG_NAME_MAX], const struct store_log_id *id);
/* False: no log's folder has this name. */
bool layout_log_parse(const char *name, struct store_log_id *out);
/* dir/journal/NNNNNNNN.wj. */
const char *layout_journal(struct layout_path *out, const char *dir, uint32_t number);
bool layout_journal_parse(const char *name, uint32_t *number);

bool layout_id_eq(const struct store_log_id *a, const struct store_log_id *b);
uint64_t layout_id_hash(const struct store_log_id *id);
