/* tree.h: the text of a file, in YAML or JSON, as trees of values in which the line of each value
 * is known. What spec/ reads resources and files of options from.
 *
 * Everything is bounded: bytes, values, depth and documents (the limits of spec.h). YAML comes by
 * libyaml's events, one after the other, so that nothing is built that was not read; anchors and
 * aliases, with which a small text means a large one, are refused, and so are keys that come twice.
 * Scalars are what YAML 1.2's core schema says: `no` and `on` are text.
 *
 * Internal to spec/ and to readers of files that are no resources. Any thread.
 */
#pragma once

#include "spec/spec.h"

/* The line of a value and of those inside of it. Opaque; lives as long as its trees. */
struct spec_lines;

struct spec_tree {
    json_t *root;
    const struct spec_lines *lines; /* NULL: not known */
    unsigned line;                  /* where it begins; 0: not known */
};

struct spec_trees {
    struct spec_tree *at; /* in `memory`; documents with nothing in them are left out */
    size_t n;
    struct arena memory;
};

/* ERR_CONFIG_INVALID: *line (0: not known) and text say what is wrong; out is empty then. */
enum err must_use spec_trees_yaml(struct str text, struct spec_trees *out, unsigned *line,
                                  struct err_text *wrong);
/* One document. */
enum err must_use spec_trees_json(struct str text, struct spec_trees *out, unsigned *line,
                                  struct err_text *wrong);
void spec_trees_free(struct spec_trees *t);

/* The line of the value at the path ("spec.list[2].name"), or of the last value on the way to it
 * that is there; 0: lines is NULL. */
unsigned spec_lines_find(const struct spec_lines *lines, const char *path);

/* spec_read for the root of a file that is no resource: paths begin at the root. */
enum err must_use spec_read_tree(const struct spec_kind *kind, const struct spec_tree *tree,
                                 const char *file, struct arena *arena, void *out,
                                 struct spec_place *where, struct err_text *text);
