/* options_file.h: a file of options, in YAML: `log-level: debug` is `--log-level debug`. Beside
 * options it may hold what no flag can say: lists of objects, by a table of spec/spec.h.
 *
 * Internal to options.c, which looks into it for what neither flag nor environment gave.
 */
#pragma once

#include "cli/options.h"
#include "spec/tree.h"

struct options_file {
    const char *path;
    struct spec_trees trees;
    struct arena memory; /* of what the table's structs point to, and of values made into text */
};

/* Reads and checks the keys; fills the table's part of out. ERR_REQUEST_INVALID: text says where
 * and what. */
enum err must_use options_file_read(const struct option_set *set, const char *path, void *out,
                                    struct options_file *file, struct err_text *text);
void options_file_free(struct options_file *file);

/* What the file has for the option: NULL: nothing; a list has several. place is set to
 * "weir.yaml:12: log-level". */
#define OPTIONS_PLACE_MAX 256
size_t options_file_values(const struct options_file *file, const struct option *o);
const char *options_file_value(struct options_file *file, const struct option *o, size_t i,
                               char place[OPTIONS_PLACE_MAX]);
