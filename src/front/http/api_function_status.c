/* api_function_status.c: what functions are doing, in "status" of their documents: asked of the
 * reactors that know (broker/function_status.h), all at once. */
#include "front/http/api.h"

#include "base/mem.h"
#include "broker/function_status.h"

struct asked {
    struct function_status_op op;
    struct telling *telling;
    json_t *document; /* the page's */
};

struct telling {
    struct http_request *rq;
    void (*then)(struct http_request *rq);
    size_t left; /* answers to come, and one until all are asked */
    struct asked asked[];
};

static json_t *write_workers(const struct function_status *s)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "ready", (json_int_t)s->ready, "starting",
                     (json_int_t)s->starting, "draining", (json_int_t)s->draining, "wanted",
                     (json_int_t)s->wanted);
}

static void write_status(json_t *to, const struct function_status *s)
{
    json_object_set_new(to, "state", json_string(function_state_name(s->state)));
    if (s->has_workers)
        json_object_set_new(to, "workers", write_workers(s));
    json_object_set_new(to, "calls", json_integer((json_int_t)s->calls));
    json_object_set_new(to, "waiting", json_integer((json_int_t)s->waiting));
    if (s->failures == 0)
        return;
    json_object_set_new(to, "failures", json_integer((json_int_t)s->failures));
    json_object_set_new(to, "retryMs", json_integer((json_int_t)s->retry_ms));
    json_object_set_new(to, "error", json_string(s->error.s));
}

static void end_one(struct telling *t)
{
    if (--t->left > 0)
        return;
    t->then(t->rq);
    mem_free(t);
}

static void told(struct op *base)
{
    struct asked *a = container_of(base, struct asked, op.op);
    if (!base->err)
        write_status(json_object_get(a->document, "status"), &a->op.status);
    end_one(a->telling);
}

static struct str name_of(const json_t *document)
{
    const json_t *name = json_object_get(json_object_get(document, "metadata"), "name");
    return (struct str){json_string_value(name), json_string_length(name)};
}

void api_function_tell(struct http_request *rq, json_t *documents,
                       void (*then)(struct http_request *rq))
{
    size_t n = json_array_size(documents), i;
    json_t *document;
    struct telling *t = mem_zalloc(1, sizeof *t + n * sizeof t->asked[0]);
    t->rq = rq;
    t->then = then;
    t->left = n + 1;
    json_array_foreach(documents, i, document)
    {
        struct asked *a = &t->asked[i];
        a->telling = t;
        a->document = document;
        a->op.op.done = told;
        a->op.name = name_of(document);
        broker_function_status(rq->broker, &a->op);
    }
    end_one(t);
}
