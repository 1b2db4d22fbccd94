/* options.h: options of a command from one table: flags, environment, file, defaults, help.
 *
 * A row a setting. Values are looked for in this order: flag, environment variable, file (of a
 * command that takes one), default. What is wrong is said with its place (which flag or variable,
 * which line), what was given and what would be right, and for an unknown flag or key the nearest
 * known one. The same table prints --help and the documentation.
 *
 * Flags are `--name VALUE` or `--name=VALUE`; a switch is `--name` or `--name=on|off`. A command
 * may know some by one letter too: `-f VALUE`.
 */
#pragma once

#include "base/err.h"
#include "spec/spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_kind {
    OPTION_TEXT,      /* const char * */
    OPTION_SWITCH,    /* bool */
    OPTION_INT,       /* int64_t, min..max */
    OPTION_DURATION,  /* int64_t, ms */
    OPTION_SIZE,      /* int64_t, bytes */
    OPTION_HOST_PORT, /* const char *, checked */
    OPTION_CHOICE,    /* int64_t: index into choices */
    OPTION_LIST,      /* struct option_list: may be given several times */
};

#define OPTION_LIST_MAX 64

struct option_list {
    const char *at[OPTION_LIST_MAX];
    size_t n;
};

struct option {
    const char *name; /* without the dashes */
    const char *env;  /* NULL: none */
    enum option_kind kind;
    size_t offset;     /* of the value in the caller's struct */
    const char *dflt;  /* in text; NULL: unset (NULL, false or 0) */
    const char *value; /* how help calls the value: "DIR" */
    const char *help;
    int64_t min, max;           /* OPTION_INT, OPTION_DURATION, OPTION_SIZE */
    const char *const *choices; /* OPTION_CHOICE: NULL-terminated */
    unsigned flags;             /* enum option_flag */
};

enum option_flag {
    OPTION_REQUIRED = 1,
    OPTION_LIVE = 2, /* SIGHUP takes a new value from file and environment; others need a restart */
};

/* Where a value came from. */
enum option_source { OPTION_BY_DEFAULT, OPTION_BY_FILE, OPTION_BY_ENV, OPTION_BY_FLAG };

struct option_state; /* what the values of one parse point to */

struct option_set {
    const char *usage;   /* "weir serve [options]" */
    const char *about;   /* a paragraph */
    const char *example; /* NULL: none */
    const struct option *options;
    size_t n;
    const char *args; /* what positional arguments mean; NULL: there are none */
    size_t args_min, args_max;
    const char *const *shorts; /* "f:file": -f is --file; NULL-terminated; NULL: there are none */
    /* A command that takes a file of options: */
    const char *file_option; /* the option that names it; NULL: there is none */
    /* What only the file can say, in the same struct, so that its `bytes` are 0; NULL: nothing. */
    const struct spec_kind *file_kind;
    size_t state; /* of a struct option_state * in the same struct */
};

/* Fills the struct at out; positional arguments are left in args (borrowed from argv, args_max
 * places) and counted in *args_n. argv[0] is skipped. ERR_REQUEST_INVALID: text says what and
 * where. *help is set, and nothing else checked, when --help or -h is there. */
enum err must_use options_parse(const struct option_set *set, int argc, char **argv, void *out,
                                const char **args, size_t *args_n, bool *help,
                                struct err_text *text);
/* Frees the file that the values of out point into, if there is one. */
void options_free(const struct option_set *set, void *out);
/* Where the value of the option came from; only for a set with a file_option. */
enum option_source options_source(const struct option_set *set, const void *out, const char *name);
/* Is the option the same in both? */
bool option_equal(const struct option *o, const void *a, const void *b);
void options_help(const struct option_set *set, FILE *to);
/* parse, print help or the error, and say whether to go on: 0 go on, else an exit status + 1. */
int options_begin(const struct option_set *set, int argc, char **argv, void *out, const char **args,
                  size_t *args_n);
