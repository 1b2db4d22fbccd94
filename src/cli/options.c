#include "cli/options.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/when.h"
#include "cli/options_file.h"

#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 64
#define MEMBER(type, out, o) (*(type *)(void *)((char *)(out) + (o)->offset))

/* ---- one value ------------------------------------------------------------------------------ */

static enum err bad_value(struct err_text *text, const char *place, const char *given,
                          const char *right)
{
    return err_say(text, ERR_REQUEST_INVALID, "%s: '%s' is not valid; give %s", place, given,
                   right);
}

static enum err duration_ms(struct str s, int64_t *out)
{
    return when_duration(s, out) ? ERR_OK : ERR_REQUEST_INVALID;
}

static enum err set_number(const struct option *o, const char *place, const char *s, void *out,
                           struct err_text *text)
{
    int64_t v = 0;
    enum err err = o->kind == OPTION_INT        ? str_to_i64(str_of(s), &v)
                   : o->kind == OPTION_DURATION ? duration_ms(str_of(s), &v)
                                                : str_to_size(str_of(s), &v);
    char right[128];
    const char *form = o->kind == OPTION_INT        ? "a whole number"
                       : o->kind == OPTION_DURATION ? "a duration such as 500ms, 30s or 7d, in ms"
                                                    : "a size such as 64KiB or 1GiB, in bytes";
    snprintf(right, sizeof right, "%s from %lld to %lld", form, (long long)o->min,
             (long long)o->max);
    if (err || v < o->min || v > o->max)
        return bad_value(text, place, s, right);
    MEMBER(int64_t, out, o) = v;
    return ERR_OK;
}

static enum err set_switch(const struct option *o, const char *place, const char *s, void *out,
                           struct err_text *text)
{
    static const char *const yes[] = {"on", "true", "yes", "1"};
    static const char *const no[] = {"off", "false", "no", "0"};
    for (size_t i = 0; i < 4; i++) {
        if (!strcmp(s, yes[i]) || !strcmp(s, no[i])) {
            MEMBER(bool, out, o) = !strcmp(s, yes[i]);
            return ERR_OK;
        }
    }
    return bad_value(text, place, s, "on or off");
}

static enum err set_choice(const struct option *o, const char *place, const char *s, void *out,
                           struct err_text *text)
{
    char right[128] = "one of";
    for (int64_t i = 0; o->choices[i]; i++) {
        if (!strcmp(s, o->choices[i])) {
            MEMBER(int64_t, out, o) = i;
            return ERR_OK;
        }
        size_t used = strlen(right);
        snprintf(right + used, sizeof right - used, " %s", o->choices[i]);
    }
    return bad_value(text, place, s, right);
}

static enum err add_value(const struct option *o, const char *place, const char *s, void *out,
                          struct err_text *text)
{
    struct option_list *list = &MEMBER(struct option_list, out, o);
    if (list->n == OPTION_LIST_MAX)
        return err_say(text, ERR_REQUEST_INVALID, "%s: given more than %d times", place,
                       OPTION_LIST_MAX);
    list->at[list->n++] = s;
    return ERR_OK;
}

static enum err set_value(const struct option *o, const char *place, const char *s, void *out,
                          struct err_text *text)
{
    char host[256];
    uint16_t port;
    if (!*s)
        return err_say(text, ERR_REQUEST_INVALID, "%s: the value is empty; give %s", place,
                       o->value ? o->value : "on or off");
    switch (o->kind) {
    case OPTION_INT:
    case OPTION_DURATION:
    case OPTION_SIZE:
        return set_number(o, place, s, out, text);
    case OPTION_SWITCH:
        return set_switch(o, place, s, out, text);
    case OPTION_CHOICE:
        return set_choice(o, place, s, out, text);
    case OPTION_HOST_PORT:
        if (strncmp(s, "unix:", 5) && str_to_host_port(str_of(s), host, sizeof host, &port))
            return bad_value(text, place, s, "HOST:PORT, such as 127.0.0.1:9092 or [::1]:9092");
        break;
    case OPTION_LIST:
        return add_value(o, place, s, out, text);
    case OPTION_TEXT:
        break;
    }
    MEMBER(const char *, out, o) = s;
    return ERR_OK;
}

/* ---- flags and environment ------------------------------------------------------------------ */

static const struct option *find(const struct option_set *set, struct str name)
{
    for (size_t i = 0; i < set->n; i++) {
        if (str_is(name, set->options[i].name))
            return &set->options[i];
    }
    return NULL;
}

static enum err unknown(const struct option_set *set, const char *flag, struct str name,
                        struct err_text *text)
{
    struct str_nearest near;
    str_nearest_init(&near, name);
    for (size_t i = 0; i < set->n; i++)
        str_nearest_offer(&near, str_of(set->options[i].name));
    if (near.best.at)
        return err_say(text, ERR_REQUEST_INVALID, "%s: there is no such option; did you mean --%s?",
                       flag, near.best.at);
    return err_say(text, ERR_REQUEST_INVALID, "%s: there is no such option; see --help", flag);
}

/* "-f" -> its option; NULL: there is none. */
static const struct option *find_short(const struct option_set *set, const char *flag)
{
    for (size_t i = 0; set->shorts && set->shorts[i]; i++) {
        if (set->shorts[i][0] == flag[1] && !flag[2])
            return find(set, str_of(set->shorts[i] + 2));
    }
    return NULL;
}

/* The option with the value that is its own argument, or behind it in argv. */
static enum err take_value(const struct option *o, const char *flag, const char *value, int argc,
                           char **argv, int *i, void *out, struct err_text *text)
{
    char place[96];
    if (!value && o->kind == OPTION_SWITCH)
        value = "on";
    if (!value && (*i + 1 >= argc || !strncmp(argv[*i + 1], "--", 2)))
        return err_say(text, ERR_REQUEST_INVALID, "%s: a value is missing: --%s %s", flag, o->name,
                       o->value);
    if (!value)
        value = argv[++*i];
    snprintf(place, sizeof place, "--%s", o->name);
    return set_value(o, place, value, out, text);
}

static enum err take_short(const struct option_set *set, int argc, char **argv, int *i, void *out,
                           bool *given, struct err_text *text)
{
    const struct option *o = find_short(set, argv[*i]);
    if (!o)
        return err_say(text, ERR_REQUEST_INVALID, "%s: options have two dashes; see --help",
                       argv[*i]);
    given[o - set->options] = true;
    return take_value(o, argv[*i], NULL, argc, argv, i, out, text);
}

/* One flag at argv[*i]; moves *i over a value that stands apart. What begins with two dashes is
 * the next flag rather than a value; --name=--value is the way to say otherwise. */
static enum err take_flag(const struct option_set *set, int argc, char **argv, int *i, void *out,
                          bool *given, struct err_text *text)
{
    const char *flag = argv[*i], *equals = strchr(flag, '=');
    size_t len = equals ? (size_t)(equals - flag) : strlen(flag);
    struct str name = {flag + 2, len - 2};
    const struct option *o = find(set, name);
    if (!o)
        return unknown(set, flag, name, text);
    given[o - set->options] = true;
    return take_value(o, flag, equals ? equals + 1 : NULL, argc, argv, i, out, text);
}

struct option_state {
    struct options_file file; /* path NULL: none */
    enum option_source sources[OPTIONS_MAX];
};

static struct option_state **state_of(const struct option_set *set, void *out)
{
    return (struct option_state **)(void *)((char *)out + set->state);
}

static enum err take_env(const struct option *o, const char *value, void *out,
                         struct err_text *text)
{
    char place[96];
    snprintf(place, sizeof place, "environment variable %s", o->env);
    return set_value(o, place, value, out, text);
}

static enum err take_from_file(const struct option *o, struct options_file *file, void *out,
                               struct err_text *text)
{
    char place[OPTIONS_PLACE_MAX];
    size_t n = options_file_values(file, o);
    enum err err = ERR_OK;
    for (size_t i = 0; i < n && !err; i++) {
        const char *value = options_file_value(file, o, i, place);
        err = set_value(o, place, value, out, text);
    }
    return err;
}

static enum err take_default(const struct option *o, void *out, struct err_text *text)
{
    if (o->dflt)
        return set_value(o, o->name, o->dflt, out, text);
    if (o->flags & OPTION_REQUIRED)
        return err_say(text, ERR_REQUEST_INVALID, "--%s %s is missing: %s", o->name, o->value,
                       o->help);
    return ERR_OK;
}

/* What no flag gave; into sources[i] where it came from. */
static enum err take_elsewhere(const struct option *o, struct options_file *file, void *out,
                               enum option_source *source, struct err_text *text)
{
    const char *env = o->env ? getenv(o->env) : NULL;
    if (env && *env) {
        *source = OPTION_BY_ENV;
        return take_env(o, env, out, text);
    }
    if (file && options_file_values(file, o)) {
        *source = OPTION_BY_FILE;
        return take_from_file(o, file, out, text);
    }
    *source = OPTION_BY_DEFAULT;
    return take_default(o, out, text);
}

/* Opens the file that an option names, before all others are looked for in it. */
static enum err take_file(const struct option_set *set, const bool *given, void *out,
                          struct err_text *text)
{
    const struct option *o = find(set, str_of(set->file_option));
    struct option_state *state = mem_zalloc(1, sizeof *state);
    enum option_source source;
    *state_of(set, out) = state;
    weir_assert(o && o->kind == OPTION_TEXT);
    enum err err = given[o - set->options] ? ERR_OK : take_elsewhere(o, NULL, out, &source, text);
    const char *path = MEMBER(const char *, out, o);
    if (!err && path)
        return options_file_read(set, path, out, &state->file, text);
    if (set->file_kind)
        spec_init(set->file_kind, out);
    return err;
}

static enum err take_rest(const struct option_set *set, const bool *given, void *out,
                          struct err_text *text)
{
    struct option_state *state = set->file_option ? *state_of(set, out) : NULL;
    struct options_file *file = state && state->file.path ? &state->file : NULL;
    for (size_t i = 0; i < set->n; i++) {
        enum option_source source = OPTION_BY_FLAG;
        enum err err = ERR_OK;
        if (!given[i])
            err = take_elsewhere(&set->options[i], file, out, &source, text);
        if (err)
            return err;
        if (state)
            state->sources[i] = source;
    }
    return ERR_OK;
}

void options_free(const struct option_set *set, void *out)
{
    struct option_state **state = state_of(set, out);
    if (!set->file_option || !*state)
        return;
    if ((*state)->file.path)
        options_file_free(&(*state)->file);
    mem_free(*state);
    *state = NULL;
}

enum option_source options_source(const struct option_set *set, const void *out, const char *name)
{
    const struct option *o = find(set, str_of(name));
    struct option_state *const *state =
        (struct option_state *const *)(const void *)((const char *)out + set->state);
    weir_assert(o && set->file_option && *state);
    return (*state)->sources[o - set->options];
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static bool same_list(const struct option_list *a, const struct option_list *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++)
        same = same_text(a->at[i], b->at[i]);
    return same;
}

bool option_equal(const struct option *o, const void *a, const void *b)
{
#define OF(type, out) (*(const type *)(const void *)((const char *)(out) + o->offset))
    switch (o->kind) {
    case OPTION_TEXT:
    case OPTION_HOST_PORT:
        return same_text(OF(char *, a), OF(char *, b));
    case OPTION_SWITCH:
        return OF(bool, a) == OF(bool, b);
    case OPTION_INT:
    case OPTION_DURATION:
    case OPTION_SIZE:
    case OPTION_CHOICE:
        return OF(int64_t, a) == OF(int64_t, b);
    case OPTION_LIST:
        return same_list(&OF(struct option_list, a), &OF(struct option_list, b));
    }
    weir_unreachable();
#undef OF
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return true;
    }
    return false;
}

enum err options_parse(const struct option_set *set, int argc, char **argv, void *out,
                       const char **args, size_t *args_n, bool *help, struct err_text *text)
{
    bool given[OPTIONS_MAX] = {false}, flags = true;
    weir_assert(set->n <= OPTIONS_MAX);
    *help = wants_help(argc, argv);
    *args_n = 0;
    for (int i = 1; i < argc && !*help; i++) {
        enum err err = ERR_OK;
        if (flags && !strcmp(argv[i], "--"))
            flags = false;
        else if (flags && !strncmp(argv[i], "--", 2))
            err = take_flag(set, argc, argv, &i, out, given, text);
        else if (flags && argv[i][0] == '-' && argv[i][1])
            err = take_short(set, argc, argv, &i, out, given, text);
        else if (*args_n >= set->args_max)
            err = err_say(text, ERR_REQUEST_INVALID, "'%s': one argument too many; see --help",
                          argv[i]);
        else
            args[(*args_n)++] = argv[i];
        if (err)
            return err;
    }
    if (*help)
        return ERR_OK;
    if (*args_n < set->args_min)
        return err_say(text, ERR_REQUEST_INVALID, "an argument is missing: %s", set->args);
    enum err err = set->file_option ? take_file(set, given, out, text) : ERR_OK;
    return err ? err : take_rest(set, given, out, text);
}

/* ---- help ----------------------------------------------------------------------------------- */

static void help_row(const struct option *o, FILE *to)
{
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", o->name, o->kind == OPTION_SWITCH ? "" : " ",
             o->kind == OPTION_SWITCH ? "" : o->value);
    fprintf(to, "  %-28s%s%s", left, strlen(left) < 28 ? "" : "\n                              ",
            o->help);
    if (o->choices) {
        fprintf(to, " (");
        for (size_t i = 0; o->choices[i]; i++)
            fprintf(to, "%s%s", i ? ", " : "", o->choices[i]);
        fprintf(to, ")");
    }
    if (o->dflt)
        fprintf(to, " [%s]", o->dflt);
    if (o->env)
        fprintf(to, " %s", o->env);
    fprintf(to, "%s\n", o->flags & OPTION_LIVE ? ", live" : "");
}

void options_help(const struct option_set *set, FILE *to)
{
    fprintf(to, "usage: %s\n\n%s\n", set->usage, set->about);
    if (set->args)
        fprintf(to, "\narguments: %s\n", set->args);
    fprintf(to, "\noptions: [default] and environment variable at the end of the line\n");
    for (size_t i = 0; i < set->n; i++)
        help_row(&set->options[i], to);
    if (set->example)
        fprintf(to, "\nexample:\n  %s\n", set->example);
}

int options_begin(const struct option_set *set, int argc, char **argv, void *out, const char **args,
                  size_t *args_n)
{
    struct err_text text = {""};
    bool help;
    if (options_parse(set, argc, argv, out, args, args_n, &help, &text)) {
        fprintf(stderr, "%s\nusage: %s\n", text.s, set->usage);
        return 2 + 1;
    }
    if (help) {
        options_help(set, stdout);
        return 0 + 1;
    }
    return 0;
}
