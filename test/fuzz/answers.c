#include "answers.h"

#include "base/mem.h"
#include "fuzz.h"

#define API_PRODUCE 0
#define API_VERSIONS 18
#define ARENA_BYTES_MAX ((size_t)256 << 20)

void asked_add(struct asked_list *list, struct asked asked)
{
    if (list->n == list->cap) {
        list->cap = list->cap ? 2 * list->cap : 16;
        list->at = mem_realloc(list->at, list->cap * sizeof *list->at);
    }
    list->at[list->n++] = asked;
}

void asked_free(struct asked_list *list)
{
    mem_free(list->at);
}

static void check_body(const struct asked *asked, struct str body)
{
    const struct kafka_api *api = kafka_api_find(asked->key);
    weir_assert(api);
    bool served = asked->version >= api->min && asked->version <= api->max;
    weir_assert(served || api->key == API_VERSIONS);
    /* KIP-511: who asks in a version that is not served is answered in version 0. */
    int16_t version = served ? asked->version : 0;
    bool flexible = version >= api->flexible_from;
    struct rd r;
    struct arena arena;
    struct wr w;
    arena_init(&arena, ARENA_BYTES_MAX);
    rd_init(&r, body.at, body.len);
    if (flexible && api->key != API_VERSIONS)
        wire_skip_tags(&r);
    const uint8_t *from = r.at;
    size_t n = rd_left(&r);
    void *out = arena_zalloc(&arena, 1, api->response->size);
    enum err err = wire_decode(api->response, version, flexible, &r, &arena, out);
    weir_assert(err == ERR_OK && rd_left(&r) == 0 && !r.bad);
    wr_init(&w, n);
    wire_encode(api->response, version, flexible, out, &w);
    fuzz_check_equal(from, n, w.len ? w.buf->data : NULL, w.len);
    wr_free(&w);
    arena_free(&arena);
}

void answers_check(struct client *c, struct asked_list *list)
{
    int32_t correlation_id;
    struct str body;
    while (client_answer_bytes(c, &correlation_id, &body)) {
        while (list->next < list->n && list->at[list->next].correlation_id != correlation_id) {
            weir_assert(list->at[list->next].key == API_PRODUCE);
            list->next++;
        }
        weir_assert(list->next < list->n);
        check_body(&list->at[list->next++], body);
    }
}
