/* What a worker is told at its start: its command, and an environment that is made for it, in the
 * words of Knative's and Azure Functions' contracts, with what the function's `env` adds or
 * replaces.
 */
#include "flow/function_azure.h"
#include "flow/function_internal.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define START_BYTES_MAX (2 * DOCUMENT_BYTES_MAX)
#define FIXED_MAX 16
#define PATH_FIXED "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static char *text_of(struct arena *arena, struct str s)
{
    char *p = arena_strndup(arena, s.at, s.len);
    weir_assert(p != NULL); /* a document is bounded */
    return p;
}

__attribute__((format(printf, 2, 3))) static void put(struct function_start *s, const char *fmt,
                                                      ...)
{
    char text[FUNCTION_ENV_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    s->env[s->env_n++] = text_of(&s->arena, str_of(text));
}

static void put_pair(struct function_start *s, const struct spec_pair *p)
{
    char *text = arena_alloc(&s->arena, p->key.len + p->value.len + 2);
    weir_assert(text != NULL);
    memcpy(text, p->key.at, p->key.len);
    text[p->key.len] = '=';
    if (p->value.len)
        memcpy(text + p->key.len + 1, p->value.at, p->value.len);
    text[p->key.len + 1 + p->value.len] = '\0';
    for (size_t i = 0; i < s->env_n; i++) {
        if (strncmp(s->env[i], text, p->key.len + 1) == 0) {
            s->env[i] = text;
            return;
        }
    }
    s->env[s->env_n++] = text;
}

static void put_azure(struct function_start *s, const struct function *f, uint16_t port)
{
    uint8_t random[16];
    char guid[AZURE_GUID_TEXT_MAX];
    env_random(f->all->env, random, sizeof random);
    put(s, "FUNCTIONS_CUSTOMHANDLER_PORT=%u", (unsigned)port);
    put(s, "FUNCTIONS_HTTPWORKER_PORT=%u", (unsigned)port);
    put(s, "FUNCTIONS_CUSTOMHANDLER_WORKER_ID=%s", azure_guid(random, guid));
}

static void put_fixed(struct function_start *s, const struct function *f, unsigned worker,
                      uint16_t port)
{
    put(s, "PATH=%s", PATH_FIXED);
    put(s, "HOME=%.*s", s->directory ? (int)strlen(s->directory) : 1,
        s->directory ? s->directory : "/");
    put(s, "LANG=C.UTF-8");
    put(s, "PORT=%u", (unsigned)port);
    put(s, "K_SERVICE=%s", f->name);
    put(s, "K_CONFIGURATION=%s", f->name);
    put(s, "K_REVISION=%s-%05u", f->name, (unsigned)f->generation);
    put(s, "WEIR_FUNCTION=%s", f->name);
    put(s, "WEIR_WORKER=%u", worker);
    if (f->all->conf.weir_http)
        put(s, "WEIR_HTTP=%s", f->all->conf.weir_http);
    if (function_conf_of(f)->protocol == FUNCTION_AZURE)
        put_azure(s, f, port);
}

void function_start_make(struct function_start *s, const struct function *f, unsigned worker,
                         uint16_t port)
{
    const struct function_conf *c = function_conf_of(f);
    *s = (struct function_start){0};
    arena_init(&s->arena, START_BYTES_MAX);
    s->argv = arena_alloc(&s->arena, (c->command.n + 1) * sizeof *s->argv);
    s->env = arena_alloc(&s->arena, (c->env.n + FIXED_MAX + 1) * sizeof *s->env);
    weir_assert(s->argv != NULL && s->env != NULL);
    for (size_t i = 0; i < c->command.n; i++)
        s->argv[i] = text_of(&s->arena, c->command.at[i]);
    s->argv[c->command.n] = NULL;
    if (c->directory.at)
        s->directory = text_of(&s->arena, c->directory);
    put_fixed(s, f, worker, port);
    for (size_t i = 0; i < c->env.n; i++)
        put_pair(s, &c->env.at[i]);
    s->env[s->env_n] = NULL;
}

void function_start_free(struct function_start *s)
{
    arena_free(&s->arena);
}
