/* Data paths and a JSON document, both hostile.
 *
 * The input is a list of texts, each ended by a NUL; the last one is the document, those before it
 * are paths. What must hold: jansson takes and refuses the same documents, save for what it alone
 * refuses; what one scan finds for all paths is what a scan for each alone finds; everything found
 * lies in the document and can be made a value; elements of arrays are JSON again.
 */
#include "fuzz.h"

#include "expr/json_scan.h"

#include <jansson.h>

#define PATHS_MAX 16

struct rig {
    struct arena arena;
    struct json_paths all;
    struct json_path paths[PATHS_MAX];
    uint16_t slot_of[PATHS_MAX];
    size_t n;
};

static void add_path(struct rig *r, struct str text)
{
    struct json_path *path = &r->paths[r->n];
    const char *right = NULL;
    size_t at = SIZE_MAX;
    if (json_path_parse(text, &r->arena, path, &at, &right) != ERR_OK) {
        weir_assert(right != NULL && at <= text.len);
        return;
    }
    weir_assert(json_path_length(text) == text.len);
    if (json_paths_add(&r->all, path, &r->slot_of[r->n]))
        r->n++;
}

static void check_array(struct str array)
{
    static const struct json_paths none = {0};
    struct json_slot element;
    size_t at = 0, before = 0;
    while (json_next_element(array, &at, &element)) {
        weir_assert(at > before && at < array.len);
        before = at;
        if (element.kind == SLOT_ARRAY || element.kind == SLOT_OBJECT)
            weir_assert(json_scan(element.raw, &none, NULL));
    }
}

static void check_slot(const struct json_slot *slot, struct str document)
{
    static char room[EXPR_SCRATCH_BYTES];
    struct scratch scratch = {room, 0, sizeof(room)};
    struct expr_value v;
    if (slot->kind == SLOT_MISSING)
        return;
    weir_assert(slot->raw.at >= document.at &&
                slot->raw.at + slot->raw.len <= document.at + document.len);
    enum expr_error error = json_value(slot, &scratch, &v);
    weir_assert(error == EXPR_OK || (error == EXPR_ERROR_GENERIC && slot->kind == SLOT_ESCAPED));
    if (error == EXPR_OK && v.type == EXPR_STRING)
        weir_assert(utf8_valid(v.text.at, v.text.len));
    if (slot->kind == SLOT_ARRAY)
        check_array(slot->raw);
}

static void check_alone(const struct rig *r, size_t i, struct str document,
                        const struct json_slot *want)
{
    struct json_paths one;
    struct json_slot slot;
    uint16_t at;
    json_paths_init(&one, 1);
    weir_assert(json_paths_add(&one, &r->paths[i], &at) && at == 0);
    (void)json_scan(document, &one, &slot);
    weir_assert(slot.kind == want->kind && slot.raw.at == want->raw.at &&
                slot.raw.len == want->raw.len);
    json_paths_free(&one);
}

/* Numbers that no double holds, halves of surrogate pairs, NULs in names, and depth. */
static bool is_jansson_alone(const json_error_t *error)
{
    return strstr(error->text, "too big") || strstr(error->text, "overflow") ||
           strstr(error->text, "\\u") || strstr(error->text, "NUL");
}

static void check_validity(struct str document, bool valid)
{
    json_error_t error;
    json_t *v = json_loadb(document.at, document.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    bool ours_alone = !valid && v != NULL; /* depth and the length of numbers */
    if (ours_alone)
        weir_assert(document.len > JSON_SCAN_DEPTH_MAX);
    else if (valid && v == NULL)
        weir_assert(is_jansson_alone(&error));
    json_decref(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    struct json_slot slots[PATHS_MAX];
    struct rig r = {.n = 0};
    struct str left = {(const char *)input, size};
    const char *nul;
    arena_init(&r.arena, (size_t)1 << 20);
    json_paths_init(&r.all, PATHS_MAX);
    while (left.len > 0 && r.n < PATHS_MAX && (nul = memchr(left.at, 0, left.len)) != NULL) {
        size_t n = (size_t)(nul - left.at);
        add_path(&r, (struct str){left.at, n});
        left = (struct str){nul + 1, left.len - n - 1};
    }
    bool valid = json_scan(left, &r.all, slots);
    for (size_t i = 0; i < r.n; i++) {
        const struct json_slot *slot = &slots[r.slot_of[i]];
        weir_assert(valid || slot->kind == SLOT_MISSING);
        check_slot(slot, left);
        check_alone(&r, i, left, slot);
    }
    if (left.len > 0)
        check_validity(left, valid);
    json_paths_free(&r.all);
    arena_free(&r.arena);
    return 0;
}
