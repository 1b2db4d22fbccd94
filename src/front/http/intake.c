/* From a head to a request that runs, or to its refusal before its body is read:
 *
 *     parse -> Host and Origin -> route -> who calls -> is the body wanted, and not too large?
 *
 * A refused request is answered in its turn like any other. What follows on the connection depends
 * on the body that it announced: none, and the connection goes on; a small one is skipped; else no
 * more is taken, and the connection closes when the client has had the time to see the answer.
 */
#include "base/assert.h"
#include "base/mem.h"
#include "front/http/conn.h"
#include "front/http/gzip.h"
#include "front/http/route.h"
#include "front/http/uri.h"

#include <string.h>

void http_intake_hold(struct http_request *rq, size_t bytes)
{
    rq->conn->request_bytes += bytes - rq->held;
    rq->conn->reactor->held += bytes - rq->held;
    rq->held = bytes;
}

struct http_request *http_request_make(struct http_conn *conn)
{
    struct http_reactor *r = conn->reactor;
    struct arena arena;
    struct http_request *rq;
    struct list *spare = list_pop(&r->spares);
    if (spare) {
        rq = container_of(spare, struct http_request, link);
        arena = rq->arena;
        r->spares_n--;
    } else {
        rq = mem_alloc(sizeof *rq);
        arena_init(&arena, HTTP_REQUEST_MEMORY_MAX);
    }
    *rq = (struct http_request){.conn = conn, .broker = conn->broker, .arena = arena};
    chunkq_init(&rq->out);
    list_push(&conn->requests, &rq->link);
    conn->requests_n++;
    return rq;
}

void http_request_free(struct http_request *rq)
{
    struct http_conn *conn = rq->conn;
    struct http_reactor *r = conn->reactor;
    list_remove(&rq->link);
    conn->requests_n--;
    http_intake_hold(rq, 0);
    if (conn->reading == rq)
        conn->reading = NULL;
    if (rq->inflow)
        wr_free(&rq->inflow->body);
    chunkq_clear(&rq->out);
    wr_free(&rq->answer_fields);
    slice_unref(rq->head);
    slice_unref(rq->body);
    arena_reset(&rq->arena);
    if (r->spares_n < HTTP_SPARES_MAX) {
        list_push_front(&r->spares, &rq->link);
        r->spares_n++;
    } else {
        arena_free(&rq->arena);
        mem_free(rq);
    }
}

/* ---- refusals ------------------------------------------------------------------------------- */

void http_intake_refuse(struct http_conn *conn, struct http_request *rq, int status,
                        const char *code, const char *why)
{
    http_count(&conn->reactor->counters.errors, 1);
    env_log(broker_env(conn->broker), ENV_DEBUG, "http.refused",
            "peer=%s step=%s status=%d why=\"%s\"", conn->peer, http_step_name(conn->step), status,
            why);
    rq->keep_alive = false;
    rq->run_state = HTTP_RUNNING;
    if (conn->reading == rq)
        conn->reading = NULL;
    conn->step = HTTP_STEP_FINISH;
    conn->linger_due = true;
    http_answer_problem(rq, status, code, "%s", why);
}

/* Another answer than the handler's; the connection is kept if the body allows it. */
static void turn_away(struct http_conn *conn, struct http_request *rq, const struct http_head *h)
{
    bool small = !h->chunked && h->length <= HTTP_SKIP_BYTES_MAX && !h->expects_continue;
    rq->run_state = HTTP_RUNNING;
    if (h->length == 0 && !h->chunked)
        return;
    if (small && rq->keep_alive) {
        conn->skip = h->length;
        conn->step = HTTP_STEP_SKIP;
    } else {
        rq->keep_alive = false;
        conn->step = HTTP_STEP_FINISH;
        conn->linger_due = true;
    }
}

static void refuse_error(struct http_conn *conn, struct http_request *rq, const struct http_head *h,
                         enum err err, const struct err_text *text)
{
    turn_away(conn, rq, h);
    http_answer_error(rq, err, text);
}

static void write_allow(struct http_request *rq, unsigned allowed)
{
    static const struct {
        unsigned method;
        const char *name;
    } names[] = {{METHOD_GET, "GET"},        {METHOD_HEAD, "HEAD"},   {METHOD_POST, "POST"},
                 {METHOD_PUT, "PUT"},        {METHOD_PATCH, "PATCH"}, {METHOD_DELETE, "DELETE"},
                 {METHOD_OPTIONS, "OPTIONS"}};
    char list[80] = "";
    size_t n = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!((allowed | METHOD_OPTIONS) & names[i].method))
            continue;
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "", names[i].name);
    }
    http_header(rq, "Allow", "%s", list);
}

static void refuse_method(struct http_conn *conn, struct http_request *rq,
                          const struct http_head *h, unsigned allowed)
{
    turn_away(conn, rq, h);
    write_allow(rq, allowed);
    if (rq->method == METHOD_OPTIONS)
        http_answer_empty(rq, 204);
    else if (rq->method == METHOD_OTHER)
        http_answer_problem(rq, 501, "METHOD_UNKNOWN", "the method is none that is served here");
    else
        http_answer_problem(rq, 405, "METHOD_NOT_ALLOWED",
                            "the method is not served at this path; Allow says which are");
}

/* ---- checks before the body ----------------------------------------------------------------- */

static bool is_served_now(const struct http_conn *conn, const struct http_route *route)
{
    bool ready = atomic_load_explicit(&conn->front->ready, memory_order_relaxed);
    return (ready && !conn->reactor->draining) || (route->flags & HTTP_EARLY);
}

static size_t body_max(const struct http_request *rq)
{
    return rq->route->body_max ? rq->route->body_max : rq->conn->front->conf.body_max;
}

/* Decodes what the pattern's {} stand for. */
static enum err take_params(struct http_request *rq, const struct route_match *m,
                            struct err_text *text)
{
    for (unsigned i = 0; i < m->params_n; i++) {
        enum err err = uri_decode(m->params[i], false, &rq->arena, &rq->params[i]);
        if (err == ERR_REQUEST_INVALID)
            return err_say(text, err, "the path has a %% that two hexadecimal digits must follow");
        if (err)
            return err;
    }
    rq->params_n = m->params_n;
    return ERR_OK;
}

/* What is wrong with the body that the head announces; 0: nothing. */
static int check_body(struct http_request *rq, const struct http_head *h, const char **code,
                      struct err_text *text)
{
    bool any = h->length || h->chunked;
    if (any && !(rq->route->flags & HTTP_BODY)) {
        *code = "BODY_UNWANTED";
        err_say(text, ERR_FRAME, "this request takes no body");
        return 413;
    }
    if (h->length > body_max(rq)) {
        *code = "BODY_TOO_LARGE";
        err_say(text, ERR_FRAME, "the body has %llu bytes; %zu are the most",
                (unsigned long long)h->length, body_max(rq));
        return 413;
    }
    if (any && h->coding == CODING_UNKNOWN) {
        *code = "CONTENT_ENCODING";
        err_say(text, ERR_FRAME, "the only Content-Encoding taken is gzip");
        return 415;
    }
    if (any && rq->conn->reactor->held + h->length > rq->conn->front->conf.bodies_max) {
        *code = err_name(ERR_BUSY);
        err_say(text, ERR_BUSY, "too many bodies are on their way; try again");
        return 503;
    }
    return 0;
}

static void await_body(struct http_conn *conn, struct http_request *rq, const struct http_head *h)
{
    if (h->length == 0 && !h->chunked) {
        rq->run_state = HTTP_QUEUED;
        return;
    }
    rq->run_state = HTTP_READING;
    rq->length = (size_t)h->length;
    rq->chunked = h->chunked;
    rq->gzipped = h->coding == CODING_GZIP;
    http_intake_hold(rq, rq->length);
    conn->reading = rq;
    conn->step = HTTP_STEP_BODY;
    conn->wait = HTTP_WAIT_NOTHING; /* the deadline is this body's */
    conn->continue_due = h->expects_continue && !h->http10;
    if (h->chunked) {
        rq->inflow = http_alloc(rq, 1, sizeof *rq->inflow);
        weir_assert(rq->inflow);
        wr_init(&rq->inflow->body, 0);
    }
}

static void fill(struct http_request *rq, const struct http_head *h)
{
    rq->method = h->method;
    rq->target = h->target;
    rq->path = h->path;
    rq->fields = h->fields;
    rq->fields_n = h->fields_n;
    rq->keep_alive = h->keep_alive;
    rq->http10 = h->http10;
    rq->wants_gzip = h->wants_gzip;
}

static void not_served(struct http_conn *conn, struct http_request *rq, const struct http_head *h)
{
    turn_away(conn, rq, h);
    http_header(rq, "Retry-After", "1");
    http_answer_problem(rq, 503, "NOT_READY", "starting or stopping; try again");
}

/* There is no row: is it for the path, or for the method? */
static void refuse_path(struct http_conn *conn, struct http_request *rq, const struct http_head *h,
                        unsigned allowed)
{
    if (str_is(h->path, "*"))
        allowed = METHOD_GET | METHOD_HEAD | METHOD_POST;
    if (allowed) {
        refuse_method(conn, rq, h, allowed);
        return;
    }
    turn_away(conn, rq, h);
    http_answer_problem(rq, 404, "NOT_FOUND", "there is nothing at this path");
}

static void admit_body(struct http_conn *conn, struct http_request *rq, const struct http_head *h)
{
    struct err_text text = {""};
    const char *code = "";
    int status = check_body(rq, h, &code, &text);
    if (!status) {
        await_body(conn, rq, h);
        return;
    }
    turn_away(conn, rq, h);
    if (status == 503)
        http_header(rq, "Retry-After", "1");
    http_answer_problem(rq, status, code, "%s", text.s);
}

/* What is asked, and by whom. */
static enum err read_request(struct http_request *rq, const struct http_head *h,
                             const struct route_match *match, struct err_text *text)
{
    enum err err = take_params(rq, match, text);
    if (!err)
        err = uri_query(h->query, &rq->arena, &rq->query, &rq->query_n, text);
    return err ? err : http_identify(rq, text);
}

/* Everything that a head alone decides. */
static void admit(struct http_conn *conn, struct http_request *rq, const struct http_head *h)
{
    struct err_text text = {""};
    struct route_match match;
    unsigned allowed;
    route_find(http_tables, http_tables_n, h->method, h->path, &match, &allowed);
    rq->route = match.route;
    bool open = match.route && (match.route->flags & HTTP_PUBLIC);
    enum err err = open ? ERR_OK : http_origin_check(rq, h->host, &text);
    if (!err && !match.route) {
        refuse_path(conn, rq, h, allowed);
        return;
    }
    if (!err && !is_served_now(conn, match.route)) {
        not_served(conn, rq, h);
        return;
    }
    if (!err)
        err = read_request(rq, h, &match, &text);
    if (err)
        refuse_error(conn, rq, h, err, &text);
    else
        admit_body(conn, rq, h);
}

void http_intake_head(struct http_conn *conn, size_t bytes)
{
    struct err_text text = {""};
    struct http_head h;
    struct http_request *rq = http_request_make(conn);
    char *at = (char *)conn->rx->data + conn->rx_from;
    list_remove(&conn->link);
    list_push(&conn->reactor->conns, &conn->link);
    conn->wait = HTTP_WAIT_NOTHING; /* the deadlines are this request's */
    rq->head = slice_ref((struct slice){conn->rx, (const uint8_t *)at, bytes});
    conn->rx_from += bytes;
    conn->line = 0;
    int status = http_head_parse(at, bytes, &rq->arena, &h, &text);
    if (status) {
        rq->method = h.method;
        http_intake_refuse(conn, rq, status, "REQUEST_MALFORMED", text.s);
        return;
    }
    fill(rq, &h);
    if (!h.keep_alive)
        conn->step = HTTP_STEP_FINISH;
    admit(conn, rq, &h);
}

/* ---- the body ------------------------------------------------------------------------------- */

/* The reference that is held is the decompressed body's from now on. */
static enum err unpack(struct http_request *rq, struct err_text *text)
{
    struct slice plain;
    size_t max = body_max(rq);
    enum err err = gzip_inflate(rq->body, max, &plain);
    if (err == ERR_MESSAGE_TOO_LARGE)
        return err_say(text, err, "the decompressed body has more than %zu bytes", max);
    if (err == ERR_FRAME)
        return err_say(text, err,
                       "the body is no gzip, which Content-Encoding says, or is cut off");
    if (err)
        return err;
    http_intake_hold(rq, rq->body.len + plain.len);
    slice_unref(rq->body);
    rq->body = plain;
    return ERR_OK;
}

void http_intake_body(struct http_request *rq, struct slice body)
{
    struct http_conn *conn = rq->conn;
    struct err_text text = {""};
    rq->body = body;
    conn->reading = NULL;
    conn->continue_due = false;
    if (conn->step == HTTP_STEP_BODY)
        conn->step = rq->keep_alive ? HTTP_STEP_HEAD : HTTP_STEP_FINISH;
    rq->run_state = HTTP_QUEUED;
    enum err err = rq->gzipped ? unpack(rq, &text) : ERR_OK;
    if (!err)
        return;
    rq->run_state = HTTP_RUNNING;
    http_answer_error(rq, err, &text);
}
