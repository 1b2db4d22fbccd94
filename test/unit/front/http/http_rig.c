#include "http_rig.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct web_client *client_of(struct pipe *p)
{
    return container_of(p, struct web_client, pipe);
}

/* ---- the pipe ------------------------------------------------------------------------------- */

static bool fake_send(struct pipe *p, struct chunkq *q)
{
    struct web_client *c = client_of(p);
    for (struct chunk *k = q->head; k && !c->closing; k = k->next)
        wr_bytes(&c->got, k->slice.at, k->len);
    chunkq_clear(q);
    c->over |= c->got.len - c->taken > c->output_max;
    if (c->output_max != SIZE_MAX)
        p->unsent = c->got.len - c->taken;
    return !c->over;
}

static void fake_resume(struct pipe *p)
{
    client_of(p)->paused = false;
}

static void fake_close(struct pipe *p)
{
    client_of(p)->closing = true;
}

static void fake_abort(struct pipe *p, enum err why)
{
    (void)why;
    client_of(p)->closing = client_of(p)->aborted = true;
}

static const struct pipe_ops fake_ops = {fake_send, fake_resume, fake_close, fake_abort};

/* ---- the front ------------------------------------------------------------------------------ */

void web_make(struct web *w, unsigned reactors, const struct http_conf *conf)
{
    *w = (struct web){0};
    rig_make(&w->rig, reactors);
    w->http = http_front_make(conf ? conf : &http_conf_default, w->rig.brokers, reactors);
    http_front_set_ready(w->http, true);
    arena_init(&w->arena, (size_t)1 << 30);
}

static bool close_some(struct web *w)
{
    bool any = false;
    for (unsigned i = 0; i < w->n; i++) {
        struct web_client *c = w->clients[i];
        if (!c->closing || c->gone)
            continue;
        c->gone = any = true;
        c->pipe.user_ops->closed(c->pipe.user, ERR_OK);
    }
    return any;
}

void web_run(struct web *w)
{
    do {
        rig_run(&w->rig);
    } while (close_some(w));
}

struct http_stats web_stats(const struct web *w)
{
    struct http_stats stats;
    http_front_stats(w->http, &stats);
    return stats;
}

void web_free(struct web *w)
{
    for (unsigned i = 0; i < w->n; i++)
        w->clients[i]->closing = true;
    web_run(w);
    struct http_stats stats = web_stats(w);
    weir_assert(stats.connections == 0 && stats.running == 0 && stats.streams == 0);
    for (unsigned i = 0; i < w->rig.n; i++)
        weir_assert(w->http->reactors[i].held == 0);
    http_front_free(w->http);
    rig_free(&w->rig);
    for (unsigned i = 0; i < w->n; i++) {
        wr_free(&w->clients[i]->got);
        mem_free(w->clients[i]);
    }
    arena_free(&w->arena);
}

/* ---- clients -------------------------------------------------------------------------------- */

struct web_client *web_open(struct web *w, unsigned reactor)
{
    struct web_client *c = mem_zalloc(1, sizeof *c);
    weir_assert(w->n < WEBS_MAX);
    c->pipe.ops = &fake_ops;
    c->web = w;
    c->output_max = SIZE_MAX;
    wr_init(&c->got, 256);
    snprintf(c->pipe.local, sizeof c->pipe.local, "127.0.0.1:8080");
    snprintf(c->pipe.peer, sizeof c->pipe.peer, "127.0.0.1:%u", 40000 + w->n);
    w->clients[w->n++] = c;
    if (!http_front_accept(w->http, reactor, &c->pipe, w->listener))
        c->closing = c->gone = true;
    return c;
}

size_t web_push(struct web_client *c, const void *p, size_t n)
{
    size_t done = 0;
    while (done < n && !c->closing && !c->paused) {
        size_t cap;
        void *space = c->pipe.user_ops->space(c->pipe.user, &cap);
        if (!space) {
            c->paused = !c->closing;
            break;
        }
        weir_assert(cap > 0);
        cap = cap < n - done ? cap : n - done;
        memcpy(space, (const char *)p + done, cap);
        done += cap;
        c->pipe.user_ops->received(c->pipe.user, cap);
    }
    return done;
}

void web_say(struct web_client *c, const char *text)
{
    size_t n = strlen(text), taken = web_push(c, text, n);
    weir_assert(taken == n || c->closing);
    web_run(c->web);
}

void web_end(struct web_client *c)
{
    if (!c->closing)
        c->pipe.user_ops->received(c->pipe.user, 0);
    web_run(c->web);
}

void web_break(struct web_client *c)
{
    c->closing = true;
    web_run(c->web);
}

void web_drain(struct web_client *c)
{
    bool was = c->over;
    c->over = false;
    c->pipe.unsent = 0;
    if (was && !c->closing)
        c->pipe.user_ops->drained(c->pipe.user);
    web_run(c->web);
}

/* ---- answers -------------------------------------------------------------------------------- */

const char *web_field(struct web *w, const struct web_answer *a, const char *name)
{
    char key[80];
    snprintf(key, sizeof key, "\r\n%s: ", name);
    const char *at = strcasestr(a->head, key);
    if (!at)
        return NULL;
    at += strlen(key);
    return arena_strndup(&w->arena, at, (size_t)(strstr(at, "\r\n") - at));
}

/* The data of the chunks at p; NULL: not whole yet. *used counts their bytes. */
static const char *dechunk(struct web *w, const char *p, size_t n, size_t *used, size_t *len)
{
    char *out = arena_alloc(&w->arena, n + 1);
    size_t at = 0;
    *len = 0;
    for (;;) {
        const char *eol = memmem(p + at, n - at, "\r\n", 2);
        if (!eol)
            return NULL;
        char *end;
        size_t size = strtoul(p + at, &end, 16);
        weir_assert(end == eol);
        at = (size_t)(eol - p) + 2;
        if (n - at < size + 2)
            return NULL;
        memcpy(out + *len, p + at, size);
        *len += size;
        at += size;
        weir_assert(!memcmp(p + at, "\r\n", 2));
        at += 2;
        if (size == 0)
            break;
    }
    out[*len] = 0;
    *used = at;
    return out;
}

static bool take_body(struct web_client *c, const char *at, size_t left, struct web_answer *out,
                      size_t *used)
{
    const char *length = web_field(c->web, out, "Content-Length");
    const char *coding = web_field(c->web, out, "Transfer-Encoding");
    weir_assert(!length || !coding);
    *used = 0;
    if (coding) {
        out->body = dechunk(c->web, at, left, used, &out->body_len);
        return out->body != NULL;
    }
    out->body_len = length ? strtoul(length, NULL, 10) : 0;
    *used = out->body_len;
    if (out->body_len > left)
        return false;
    out->body = arena_strndup(&c->web->arena, at, out->body_len);
    return true;
}

bool web_answer(struct web_client *c, bool head_only, struct web_answer *out)
{
    const char *p = (const char *)c->got.buf->data + c->taken;
    size_t left = c->got.len - c->taken, used = 0;
    const char *end = memmem(p, left, "\r\n\r\n", 4);
    *out = (struct web_answer){.body = ""};
    if (!end)
        return false;
    size_t head = (size_t)(end - p) + 4;
    out->head = arena_strndup(&c->web->arena, p, head);
    weir_assert(sscanf(out->head, "HTTP/1.1 %d ", &out->status) == 1);
    bool none = head_only || out->status == 204 || out->status == 304 || out->status == 100;
    if (!none && !take_body(c, p + head, left - head, out, &used))
        return false;
    const char *connection = web_field(c->web, out, "Connection");
    out->close = connection && !strcmp(connection, "close");
    c->taken += head + used;
    return true;
}

struct web_answer web_ask(struct web *w, const char *text)
{
    struct web_client *c = web_open(w, 0);
    struct web_answer a;
    web_say(c, text);
    bool there = web_answer(c, !strncmp(text, "HEAD ", 5), &a);
    weir_assert(there && c->taken == c->got.len);
    web_break(c);
    wr_free(&c->got);
    mem_free(c);
    w->n--;
    return a;
}
