#include "expr/lookup.h"

const struct expr_value *lookup_attribute(struct lookup *l, size_t i)
{
    struct expr_value *v = &l->attributes[i];
    uint64_t bit = (uint64_t)1 << (i & 63);
    if ((l->loaded[i / 64] & bit) == 0) {
        l->source->attribute(l->source, l->names[i], v);
        l->loaded[i / 64] |= bit;
    }
    return v;
}

const struct json_slot *lookup_path(struct lookup *l, size_t i)
{
    if (!l->scanned) {
        struct str document = l->source->data(l->source);
        (void)json_scan(document, l->paths, l->slots); /* what is not JSON has no paths */
        l->scanned = true;
    }
    return &l->slots[i];
}
