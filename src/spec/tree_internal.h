/* tree_internal.h: what the two readers of trees share. Internal to the folder. */
#pragma once

#include "spec/tree.h"

struct spec_lines {
    struct str key; /* in the object around it; at NULL: an element of a list */
    unsigned line;
    struct spec_lines *first, *last, *next; /* those inside of it; its sibling */
};

/* Makes room for n documents. ERR_MEMORY leaves out empty. */
enum err must_use spec_trees_init(struct spec_trees *out, size_t n);
/* Are there more bytes than a file may have? */
enum err must_use spec_trees_check_size(struct str text, struct err_text *wrong);
