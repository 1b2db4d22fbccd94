/* fields: prints the fields of a kind of resource, or of what a file of options may list, as rows
 * of a Markdown table, for tools/docs.
 *
 *     fields listeners | KIND
 */
#include "front/http/api.h"
#include "serve_options.h"

#include <stdio.h>
#include <string.h>

static const struct spec_kind *find(const char *name)
{
    if (strcmp(name, "listeners") == 0)
        return serve_option_set.file_kind;
    for (size_t i = 0; i < api_kinds_n; i++) {
        if (strcmp(name, api_kinds[i].spec->name) == 0)
            return api_kinds[i].spec;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const struct spec_kind *kind = argc == 2 ? find(argv[1]) : NULL;
    if (kind == NULL) {
        fprintf(stderr, "usage: fields KIND\n");
        return 2;
    }
    struct wr out;
    wr_init(&out, 0);
    spec_put_docs(kind, &out);
    fwrite(out.buf->data, 1, out.len, stdout);
    wr_free(&out);
    return 0;
}
