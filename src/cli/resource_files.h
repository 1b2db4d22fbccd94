/* resource_files.h: the documents of files and folders, for `weir apply` and its like. */
#pragma once

#include "cli/options.h"
#include "spec/spec.h"

#define RESOURCE_FILES_MAX 1000

struct resource_file {
    char *path;
    struct spec_documents docs;
};

/* All documents of all files, in the order of the files. */
struct resource_files {
    struct resource_file *at;
    size_t n;
};

/* paths: files, folders (their *.yaml, *.yml and *.json, by name), or "-" for standard input.
 * ERR_CONFIG_INVALID, ERR_NOT_FOUND and the like: text names the file, and the line. */
enum err must_use resource_files_read(const struct option_list *paths, struct resource_files *out,
                                      struct err_text *text);
void resource_files_free(struct resource_files *f);
/* The i-th document of all; NULL: there are not so many. */
const struct spec_document *resource_files_document(const struct resource_files *f, size_t i);
/* All of them, as one JSON array. A new reference. */
json_t *resource_files_json(const struct resource_files *f);
