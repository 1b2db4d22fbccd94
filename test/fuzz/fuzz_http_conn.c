/* A client that sends anything over HTTP, to a whole broker in memory.
 *
 * What comes back must be whole answers, not more of them than empty lines were sent (each request
 * has one, and each refusal is the last), a second client must be served as if nothing had
 * happened, and everything is given back at the end.
 *
 * An input that begins with a letter is a request as it is, like those in test/wire/golden-http.
 * Else the first byte is the seed of the places where the rest is cut into pieces, with bit 7: the
 * store takes its time; bit 6: the client is slow to read; bit 5: time passes between the pieces;
 * bit 4: it ends its direction at last.
 */
#include "../unit/front/http/http_rig.h"
#include "fuzz.h"

#include "base/mem.h"
#include "base/random.h"

#define SLOW_BYTES 200

struct attack {
    struct web web;
    struct web_client *client;
    struct rng rng;
    bool slow, late, ends;
};

static void move_on(struct attack *a)
{
    web_run(&a->web);
    if (a->late) {
        fake_advance(&a->web.rig.world, rng_below(&a->rng, 4000));
        web_run(&a->web);
    }
    if (rng_below(&a->rng, 2))
        web_drain(a->client);
}

static void send_pieces(struct attack *a, const uint8_t *p, size_t n)
{
    unsigned stuck = 0;
    while (n > 0 && !a->client->closing && stuck < 5) {
        size_t piece = 1 + (size_t)rng_below(&a->rng, rng_below(&a->rng, 2) ? n : 8);
        piece = piece < n ? piece : n;
        size_t taken = web_push(a->client, p, piece);
        p += taken;
        n -= taken;
        stuck = taken ? 0 : stuck + 1;
        move_on(a);
        if (!taken)
            web_drain(a->client);
    }
}

static size_t ends_of_heads(const uint8_t *p, size_t n)
{
    size_t found = 0;
    for (const uint8_t *end = p + n; (p = memmem(p, (size_t)(end - p), "\r\n\r\n", 4)); p += 2)
        found++;
    return found;
}

/* Every answer is whole, but the last of a stream or of a connection that was cut. */
static void check_answers(struct attack *a, size_t most)
{
    struct web_client *c = a->client;
    struct web_answer answer;
    size_t seen = 0;
    while (c->taken < c->got.len) {
        bool head_only = false;
        size_t from = c->taken;
        if (!web_answer(c, head_only, &answer)) {
            const char *type = answer.head ? web_field(&a->web, &answer, "Transfer-Encoding") : "";
            weir_assert(type || c->aborted || web_field(&a->web, &answer, "Content-Length"));
            break;
        }
        weir_assert(c->taken > from && answer.status >= 100 && answer.status < 600);
        seen += answer.status != 100;
    }
    weir_assert(seen <= most + 1);
}

/* ---- the well-behaved client ---------------------------------------------------------------- */

static void well_served(struct web *web)
{
    struct web_answer a = web_ask(web, "POST /topics/well-behaved HTTP/1.1\r\nHost: localhost\r\n"
                                       "Content-Length: 5\r\n\r\nhello");
    weir_assert(a.status == 202);
    a = web_ask(web, "GET /topics/well-behaved/partitions/0/offsets/0 HTTP/1.1\r\n"
                     "Host: localhost\r\n\r\n");
    weir_assert(a.status == 200);
    fuzz_check_equal(a.body, a.body_len, "hello", 5);
}

static bool is_letter(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct attack a = {0};
    bool plain = size == 0 || is_letter(data[0]);
    uint8_t seed = plain ? 0 : data[0];
    web_make(&a.web, 1, NULL);
    rng_seed(&a.rng, seed);
    a.slow = seed & 0x40;
    a.late = seed & 0x20;
    a.ends = seed & 0x10;
    enum err err = rig_create(&a.web.rig, 0, "t", 2);
    weir_assert(err == ERR_OK);
    struct uuid id = rig_topic_id(&a.web.rig, "t");
    err = rig_produce(&a.web.rig, 0, &id, 0, rig_batch(5, 1767225600000), NULL);
    weir_assert(err == ERR_OK);
    rig_defer(&a.web.rig, seed & 0x80);
    a.client = web_open(&a.web, 0);
    a.client->output_max = a.slow ? SLOW_BYTES : SIZE_MAX;
    send_pieces(&a, data + !plain, size - !plain);
    if (a.ends && !a.client->closing)
        web_end(a.client);
    rig_defer(&a.web.rig, false);
    web_drain(a.client);
    web_run(&a.web);
    /* An answer to HEAD has a length and no body: it cannot be told from one that is cut off. */
    if (!memmem(data, size, "HEAD", 4))
        check_answers(&a, ends_of_heads(data, size));
    well_served(&a.web);
    web_free(&a.web);
    return 0;
}
