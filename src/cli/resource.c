/* resource.c: `weir apply`, `weir diff`, `weir delete` and `weir get`: resources declared by
 * documents, over weir's HTTP API.
 */
#include "cli/api_client.h"
#include "cli/cli.h"
#include "cli/resource_files.h"
#include "cli/resource_table.h"

#include "base/mem.h"
#include "spec/json_text.h"

#include <stdio.h>
#include <string.h>

#define DONE 0
#define FAILED 1
#define USED_WRONGLY 2
#define PATH_MAX_BYTES 1200

enum output { OUTPUT_TABLE, OUTPUT_YAML, OUTPUT_JSON, OUTPUT_NAME };
static const char *const outputs[] = {"table", "yaml", "json", "name", NULL};

struct resource_options {
    struct api_options api;
    struct option_list files;
    int64_t output;
    bool dry_run;
};

#define AT(member) offsetof(struct resource_options, member)
#define FILE_ROW                                                                                   \
    {                                                                                              \
        "file", NULL, OPTION_LIST, AT(files), NULL, "FILE",                                        \
            "a file of documents, a folder of such, or - for standard input; may be repeated", 0,  \
            0, NULL, 0                                                                             \
    }
#define API_ROWS API_OPTION_ROWS(struct resource_options, api)

static const char *const shorts[] = {"f:file", "o:output", NULL};

/* ---- answers -------------------------------------------------------------------------------- */

static int fail(const char *what)
{
    fprintf(stderr, "weir: %s\n", what);
    return FAILED;
}

/* "a.yaml:7: spec.retry.attempts: what is wrong", of the document that it is about. */
static void print_error(json_t *error, const struct spec_document *doc)
{
    struct spec_place place = doc ? doc->place : (struct spec_place){0};
    char where[SPEC_PATH_MAX * 4];
    snprintf(place.path, sizeof place.path, "%s", api_text(error, "field"));
    unsigned line = doc ? spec_document_line(doc, place.path) : 0;
    place.line = line ? line : place.line;
    spec_place_put(&place, where, sizeof where);
    fprintf(stderr, "%s%s%s\n", where, where[0] ? ": " : "", api_text(error, "message"));
}

/* What is wrong with a whole request; with `errors`, of each of its documents. */
static int print_problem(json_t *answer, const struct resource_files *files, long status)
{
    json_t *errors = json_object_get(answer, "errors"), *error;
    size_t i;
    if (!errors) {
        const char *detail = api_text(answer, "detail");
        fprintf(stderr, "weir: the server answers %ld%s%s\n", status, *detail ? ": " : "", detail);
        return FAILED;
    }
    json_array_foreach(errors, i, error)
    {
        json_t *index = json_object_get(error, "document");
        size_t at = json_is_integer(index) ? (size_t)json_integer_value(index) : i;
        print_error(error, files ? resource_files_document(files, at) : NULL);
    }
    return FAILED;
}

/* ---- documents ------------------------------------------------------------------------------ */

/* Sends the documents of the files. NULL: said why. */
static json_t *send_files(const struct resource_options *o, const struct resource_files *files,
                          const char *path, long *status)
{
    json_t *documents = resource_files_json(files);
    size_t len;
    char *body = json_text(documents, JSON_COMPACT, &len);
    json_decref(documents);
    struct api_call call = {.method = "POST", .path = path, .body = {body, len}};
    json_t *answer = api_client_json(&o->api, &call, status);
    mem_free(body);
    return answer;
}

static void print_change(json_t *change)
{
    char *was = json_text(json_object_get(change, "was"), JSON_COMPACT | JSON_ENCODE_ANY, NULL);
    char *now = json_text(json_object_get(change, "now"), JSON_COMPACT | JSON_ENCODE_ANY, NULL);
    printf("  %s: %s -> %s\n", api_text(change, "field"), was, now);
    mem_free(was);
    mem_free(now);
}

/* "topic/payments" */
static void print_row_name(json_t *row)
{
    for (const char *c = api_text(row, "kind"); *c; c++)
        putchar(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
    printf("/%s", api_text(row, "name"));
}

static void print_changes(json_t *row)
{
    size_t i;
    json_t *change;
    json_array_foreach(json_object_get(row, "changes"), i, change) print_change(change);
}

/* Prints a row each; returns how many failed, and in *changed how many are not as they were. */
static int print_rows(json_t *answer, const struct resource_files *files, bool dry_run, bool diff,
                      size_t *changed)
{
    size_t i;
    json_t *row;
    int failed = 0;
    *changed = 0;
    json_array_foreach(json_object_get(answer, "results"), i, row)
    {
        const char *result = api_text(row, "result");
        if (!strcmp(result, "failed")) {
            print_error(row, resource_files_document(files, i));
            failed++;
            continue;
        }
        bool same = !strcmp(result, "unchanged");
        *changed += !same;
        if (diff && same)
            continue;
        print_row_name(row);
        printf(" %s%s\n", result, dry_run && !diff ? " (dry run)" : "");
        if (diff)
            print_changes(row);
    }
    return failed;
}

static int run_files(const struct resource_options *o, const char *path, bool diff)
{
    struct resource_files files;
    struct err_text text = {""};
    long status = 0;
    size_t changed = 0;
    if (o->files.n == 0) {
        fprintf(stderr, "--file FILE is missing: the documents; see --help\n");
        return USED_WRONGLY;
    }
    if (resource_files_read(&o->files, &files, &text)) {
        fprintf(stderr, "%s\n", text.s);
        return diff ? USED_WRONGLY : FAILED;
    }
    json_t *answer = send_files(o, &files, path, &status);
    int failed = answer ? 0 : 1;
    if (answer && json_is_array(json_object_get(answer, "results")))
        failed = print_rows(answer, &files, o->dry_run, diff, &changed);
    else if (answer)
        failed = print_problem(answer, &files, status);
    json_decref(answer);
    resource_files_free(&files);
    if (diff)
        return failed ? USED_WRONGLY : changed ? FAILED : DONE;
    return failed ? FAILED : DONE;
}

static const struct option apply_table[] = {FILE_ROW,
                                            {"dry-run", NULL, OPTION_SWITCH, AT(dry_run), "off",
                                             NULL, "say what would be done", 0, 0, NULL, 0},
                                            API_ROWS};
static const struct option_set apply_set = {
    .usage = "weir apply -f FILE [options]",
    .about = "Makes what the documents declare, or changes it to that; what is as declared stays.\n"
             "All documents are checked before the first is applied.",
    .example = "weir apply -f topics.yaml",
    .options = apply_table,
    .n = sizeof apply_table / sizeof apply_table[0],
    .shorts = shorts};

int cli_apply(int argc, char **argv)
{
    struct resource_options o = {0};
    size_t n;
    int end = options_begin(&apply_set, argc, argv, &o, NULL, &n);
    if (end)
        return end - 1;
    return run_files(&o, o.dry_run ? "/api/v1/apply?dryRun=true" : "/api/v1/apply", false);
}

static const struct option diff_table[] = {FILE_ROW, API_ROWS};
static const struct option_set diff_set = {
    .usage = "weir diff -f FILE [options]",
    .about = "Says what `weir apply` would change: each field, as it is and as it would be.\n"
             "Exit status: 0 nothing, 1 something, 2 it could not be found out.",
    .example = "weir diff -f topics.yaml",
    .options = diff_table,
    .n = sizeof diff_table / sizeof diff_table[0],
    .shorts = shorts};

int cli_diff(int argc, char **argv)
{
    struct resource_options o = {0};
    size_t n;
    int end = options_begin(&diff_set, argc, argv, &o, NULL, &n);
    if (end)
        return end - 1;
    o.dry_run = true;
    return run_files(&o, "/api/v1/apply?dryRun=true", true);
}

/* ---- one resource --------------------------------------------------------------------------- */

/* The kind's plural; NULL: said what would be right. */
static const char *kind_of(const char *word)
{
    const char *plural = resource_plural(word);
    struct str_nearest near;
    if (plural)
        return plural;
    str_nearest_init(&near, str_of(word));
    for (size_t i = 0; resource_plurals[i]; i++)
        str_nearest_offer(&near, str_of(resource_plurals[i]));
    fprintf(stderr, "'%s': there is no such kind; ", word);
    if (near.best.at)
        fprintf(stderr, "did you mean %s?\n", near.best.at);
    else
        fprintf(stderr, "there are topics, functions, models, subscriptions, users "
                        "and accessgrants\n");
    return NULL;
}

/* "/api/v1/topics/NAME"; a slash in the name stays one. */
static bool put_path(const char *plural, const char *name, char out[PATH_MAX_BYTES])
{
    size_t used = (size_t)snprintf(out, PATH_MAX_BYTES, "/api/v1/%s", plural);
    while (name && *name) {
        size_t len = strcspn(name, "/");
        out[used++] = '/';
        if (!api_escape((struct str){name, len}, out + used, PATH_MAX_BYTES - used - 1))
            return false;
        used += strlen(out + used);
        name += len + (name[len] == '/');
    }
    return true;
}

static const struct option delete_table[] = {FILE_ROW,
                                             {"dry-run", NULL, OPTION_SWITCH, AT(dry_run), "off",
                                              NULL, "say what would be done", 0, 0, NULL, 0},
                                             API_ROWS};
static const struct option_set delete_set = {
    .usage = "weir delete KIND NAME | -f FILE [options]",
    .about = "Deletes a resource, or all that documents declare, the last kinds first.",
    .example = "weir delete subscription payments/fraud-check",
    .options = delete_table,
    .n = sizeof delete_table / sizeof delete_table[0],
    .args = "a kind (topic, function, model, subscription, user, accessgrant) and a name",
    .args_min = 0,
    .args_max = 2,
    .shorts = shorts};

static int delete_one(const struct resource_options *o, const char *kind, const char *name)
{
    char path[PATH_MAX_BYTES];
    long status = 0;
    const char *plural = kind_of(kind);
    if (!plural)
        return USED_WRONGLY;
    if (o->dry_run) {
        fprintf(stderr, "--dry-run is for files\n");
        return USED_WRONGLY;
    }
    if (!put_path(plural, name, path))
        return fail("the name is too long");
    struct api_call call = {.method = "DELETE", .path = path};
    json_t *answer = api_client_json(&o->api, &call, &status);
    if (!answer)
        return FAILED;
    int rc = status == 204 ? DONE : print_problem(answer, NULL, status);
    json_decref(answer);
    if (rc == DONE)
        printf("%.*s/%s deleted\n", (int)strlen(plural) - 1, plural, name);
    return rc;
}

int cli_delete(int argc, char **argv)
{
    struct resource_options o = {0};
    const char *args[2] = {NULL};
    size_t n;
    int end = options_begin(&delete_set, argc, argv, &o, args, &n);
    if (end)
        return end - 1;
    if ((o.files.n != 0) == (n != 0) || n == 1) {
        fprintf(stderr, "give a kind and a name, or -f FILE; see --help\n");
        return USED_WRONGLY;
    }
    if (n == 2)
        return delete_one(&o, args[0], args[1]);
    return run_files(&o, o.dry_run ? "/api/v1/delete?dryRun=true" : "/api/v1/delete", false);
}

/* ---- get ------------------------------------------------------------------------------------ */

static const struct option get_table[] = {{"output", NULL, OPTION_CHOICE, AT(output), "table",
                                           "FORM", "how it is printed", 0, 0, outputs, 0},
                                          API_ROWS};
static const struct option_set get_set = {
    .usage = "weir get KIND [NAME] [options]",
    .about = "Prints resources: all of a kind, or one. As YAML they can be applied again.",
    .example = "weir get topic payments -o yaml",
    .options = get_table,
    .n = sizeof get_table / sizeof get_table[0],
    .args =
        "a kind (topics, functions, models, subscriptions, users, accessgrants), and a name for\n"
        "one;\n"
        "           a subscription's is TOPIC/NAME",
    .args_min = 1,
    .args_max = 2,
    .shorts = shorts};

static void print_documents(const char *plural, json_t *documents, enum output output, bool one)
{
    size_t i;
    json_t *document;
    char name[600];
    if (output == OUTPUT_TABLE) {
        resource_table_print(plural, documents, stdout);
    } else if (output == OUTPUT_JSON) {
        json_text_print(one ? json_array_get(documents, 0) : documents, JSON_INDENT(2));
    } else {
        json_array_foreach(documents, i, document)
        {
            struct wr w;
            wr_init(&w, 0);
            if (output == OUTPUT_YAML)
                spec_put_yaml(document, &w);
            else
                printf("%s\n", resource_name(document, name, sizeof name));
            if (w.len)
                fwrite(w.buf->data, 1, w.len, stdout);
            wr_free(&w);
        }
    }
}

/* The next page of the kind, added to documents; false: there is none, or it failed (*rc). */
static bool get_page(const struct api_options *api, const char *plural, json_t *documents,
                     char after[PATH_MAX_BYTES], int *rc)
{
    char path[PATH_MAX_BYTES * 2];
    long status = 0;
    snprintf(path, sizeof path, "/api/v1/%s?limit=1000%s%s", plural, *after ? "&after=" : "",
             after);
    struct api_call call = {.method = "GET", .path = path};
    json_t *answer = api_client_json(api, &call, &status);
    if (!answer || status != 200) {
        *rc = answer ? print_problem(answer, NULL, status) : FAILED;
        json_decref(answer);
        return false;
    }
    json_array_extend(documents, json_object_get(answer, "items"));
    json_t *next = json_object_get(answer, "next");
    struct str name = {json_string_value(next), json_string_length(next)};
    bool more = name.at && api_escape(name, after, PATH_MAX_BYTES);
    json_decref(answer);
    return more;
}

static int get_all(const struct resource_options *o, const char *plural)
{
    json_t *documents = json_array();
    char after[PATH_MAX_BYTES] = "";
    int rc = DONE;
    while (get_page(&o->api, plural, documents, after, &rc))
        ;
    if (rc == DONE)
        print_documents(plural, documents, (enum output)o->output, false);
    json_decref(documents);
    return rc;
}

static int get_one(const struct resource_options *o, const char *plural, const char *name)
{
    char path[PATH_MAX_BYTES];
    long status = 0;
    if (!put_path(plural, name, path))
        return fail("the name is too long");
    struct api_call call = {.method = "GET", .path = path};
    json_t *answer = api_client_json(&o->api, &call, &status);
    if (!answer || status != 200) {
        int rc = answer ? print_problem(answer, NULL, status) : FAILED;
        json_decref(answer);
        return rc;
    }
    json_t *documents = json_array();
    json_array_append_new(documents, answer);
    print_documents(plural, documents, (enum output)o->output, true);
    json_decref(documents);
    return DONE;
}

int cli_get(int argc, char **argv)
{
    struct resource_options o = {0};
    const char *args[2] = {NULL};
    size_t n;
    int end = options_begin(&get_set, argc, argv, &o, args, &n);
    if (end)
        return end - 1;
    const char *plural = kind_of(args[0]);
    if (!plural)
        return USED_WRONGLY;
    return n == 2 ? get_one(&o, plural, args[1]) : get_all(&o, plural);
}
