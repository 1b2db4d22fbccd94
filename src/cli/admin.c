#include "cli/admin.h"

#include "base/mem.h"
#include "io/socket.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_MAX ((size_t)100 << 20)
#define ADMIN_ARENA_MAX ((size_t)512 << 20)

struct admin {
    struct socket *socket;
    struct arena arena;
    int32_t correlation_id;
};

#define CALL(name, key, version, flexible)                                                         \
    const struct admin_call admin_##name = {key, version, flexible, &kafka_##name##_request_table, \
                                            &kafka_##name##_response_table}

CALL(metadata, 3, 9, true);
CALL(create_topics, 19, 5, true);
CALL(delete_topics, 20, 4, true);
CALL(create_partitions, 37, 2, true);
CALL(describe_configs, 32, 1, false);
CALL(incremental_alter_configs, 44, 0, false);
CALL(list_offsets, 2, 4, false);
CALL(list_groups, 16, 3, true);
CALL(describe_groups, 15, 5, true);
CALL(offset_fetch, 9, 7, true);
CALL(offset_commit, 8, 7, false);
CALL(delete_groups, 42, 2, true);
CALL(delete_records, 21, 1, false);
CALL(describe_cluster, 60, 0, true);

static enum err open_one(const char *server, size_t len, int64_t timeout_ms, struct socket **out,
                         struct err_text *text)
{
    char host[256], service[8];
    uint16_t port;
    if (str_to_host_port((struct str){server, len}, host, sizeof host, &port))
        return err_say(text, ERR_REQUEST_INVALID, "'%.*s' is not HOST:PORT", (int)len, server);
    snprintf(service, sizeof service, "%u", port);
    return socket_connect(host[0] ? host : "127.0.0.1", service, (int)timeout_ms, out, text);
}

enum err admin_open(const char *servers, int64_t timeout_ms, struct admin **out,
                    struct err_text *text)
{
    enum err err = err_say(text, ERR_REQUEST_INVALID, "no broker is named");
    struct socket *socket = NULL;
    for (const char *s = servers; *s && !socket;) {
        size_t len = strcspn(s, ",");
        err = open_one(s, len, timeout_ms, &socket, text);
        s += len + (s[len] == ',');
    }
    if (!socket)
        return err;
    struct admin *a = mem_zalloc(1, sizeof *a);
    a->socket = socket;
    arena_init(&a->arena, ADMIN_ARENA_MAX);
    *out = a;
    return ERR_OK;
}

void admin_close(struct admin *a)
{
    if (!a)
        return;
    socket_close(a->socket);
    arena_free(&a->arena);
    mem_free(a);
}

struct arena *admin_arena(struct admin *a)
{
    return &a->arena;
}

static enum err send_request(struct admin *a, const struct admin_call *call, const void *in)
{
    struct wr w;
    wr_init(&w, 512);
    wr_i32(&w, 0);
    wr_i16(&w, call->key);
    wr_i16(&w, call->version);
    wr_i32(&w, ++a->correlation_id);
    wire_put_str(&w, false, STR_LIT("weir"), true);
    if (call->flexible)
        wire_put_no_tags(&w);
    wire_encode(call->request, call->version, call->flexible, in, &w);
    wr_patch_i32(&w, 0, (int32_t)w.len - 4);
    enum err err = socket_send(a->socket, w.buf->data, w.len);
    wr_free(&w);
    return err;
}

static enum err receive(struct admin *a, const struct admin_call *call, void *out)
{
    uint8_t head[4];
    enum err err = socket_receive(a->socket, head, sizeof head);
    if (err)
        return err;
    size_t n = be32_get(head);
    if (n < 4 || n > ANSWER_MAX)
        return ERR_FRAME;
    uint8_t *bytes = arena_alloc(&a->arena, n);
    if (!bytes)
        return ERR_MEMORY;
    err = socket_receive(a->socket, bytes, n);
    if (err)
        return err;
    struct rd r;
    rd_init(&r, bytes, n);
    int32_t id = rd_i32(&r);
    if (call->flexible)
        wire_skip_tags(&r);
    if (r.bad || id != a->correlation_id)
        return ERR_FRAME;
    return wire_decode(call->response, call->version, call->flexible, &r, &a->arena, out);
}

enum err admin_call(struct admin *a, const struct admin_call *call, const void *in, void *out,
                    struct err_text *text)
{
    enum err err = send_request(a, call, in);
    if (!err)
        err = receive(a, call, out);
    if (err == ERR_CLOSED)
        return err_say(text, err, "the broker closed the connection: is it a Kafka port?");
    if (err == ERR_TIMED_OUT)
        return err_say(text, err, "the broker did not answer in time");
    if (err)
        return err_say(text, err, "no answer that makes sense: %s", err_meaning(err));
    return ERR_OK;
}

const char *admin_error(int16_t code)
{
    for (int i = 0; i < ERR_COUNT; i++) {
        if (err_kafka((enum err)i) == code)
            return err_meaning((enum err)i);
    }
    return "an error that this program does not know";
}
