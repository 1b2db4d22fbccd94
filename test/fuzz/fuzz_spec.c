/* Resources in YAML and JSON: any text is read or refused with a reason; what is read is written
 * and read again as the same, as JSON and as YAML.
 *
 * The first byte says which language; the rest is the file.
 */
#include "fuzz.h"

#include "../unit/spec/kind.h"

/* Reads the document's spec; true: it was accepted. */
static bool read_thing(const struct spec_document *doc, struct arena *arena, struct thing *out)
{
    struct spec_place where = {0};
    struct err_text wrong = {""};
    spec_init(&thing_kind, out);
    enum err err = spec_read(&thing_kind, doc, arena, out, &where, &wrong);
    weir_assert(err == ERR_OK || err == ERR_MEMORY || wrong.s[0]);
    return err == ERR_OK;
}

static void check_yaml(json_t *document, struct arena *arena, const struct thing *thing)
{
    struct spec_documents docs;
    struct spec_place where;
    struct err_text wrong;
    struct thing again;
    struct wr out;
    wr_init(&out, 0);
    spec_put_yaml(document, &out);
    struct str text = {(const char *)out.buf->data, out.len};
    enum err err = spec_documents_yaml(text, "again", &docs, &where, &wrong);
    weir_assert(err == ERR_OK && docs.n == 1);
    bool read = read_thing(&docs.at[0], arena, &again);
    weir_assert(read && spec_equal(&thing_kind, thing, &again));
    spec_documents_free(&docs);
    wr_free(&out);
}

static void check_document(const struct spec_document *doc)
{
    struct arena arena;
    struct thing thing, again;
    arena_init(&arena, (size_t)64 << 20);
    if (read_thing(doc, &arena, &thing)) {
        json_t *spec = spec_write(&thing_kind, &thing, true);
        struct spec_document written = spec_document_of(&thing_kind, doc->name, spec);
        bool read = read_thing(&written, &arena, &again);
        weir_assert(read && spec_equal(&thing_kind, &thing, &again));
        json_t *whole = spec_write_document(&thing_kind, doc->name, &doc->labels, spec);
        check_yaml(whole, &arena, &thing);
        json_decref(whole);
        json_decref(spec);
    }
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct spec_documents docs;
    struct spec_place where = {0};
    struct err_text wrong = {""};
    if (size == 0)
        return 0;
    struct str text = {(const char *)data + 1, size - 1};
    enum err err = data[0] == 'j' ? spec_documents_json(text, "f", &docs, &where, &wrong)
                                  : spec_documents_yaml(text, "f", &docs, &where, &wrong);
    weir_assert(err == ERR_OK || err == ERR_MEMORY || (wrong.s[0] && docs.n == 0));
    for (size_t i = 0; !err && i < docs.n; i++)
        check_document(&docs.at[i]);
    spec_documents_free(&docs);
    return 0;
}
