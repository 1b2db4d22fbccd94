/* Records of a ledger with anything in them, as a damaged state log may hold them.
 *
 * The first byte's bit 0: with sessions; bit 1: all ends and is packed. Then records until the
 * input ends: a kind (of "HPLT", by the low bits; bit 7: a tombstone), for a page its number, for a
 * session a byte of id, then a length byte and the value. A value's version is made right, unless
 * the kind's bit 6 is set. Bit 5: it is the value of a copy of the message at the page's offset.
 *
 * What was accepted must fold: the ledger can be looked at, its messages acquired, settled and
 * written; and the fold of its snapshots must be what it was.
 */
#include "fuzz.h"

#include "base/mem.h"
#include "broker/stragglers.h"

#define RECORDS_MAX 64

static const struct ledger_time now = {1000000, 1767225600000};

static struct ledger_conf conf_of(bool sessions)
{
    return (struct ledger_conf){
        .incarnation = 9, .lock_ms = 1000, .attempts = 5, .sessions = sessions};
}

static enum err fold_one(struct ledger *l, struct str key, struct str value)
{
    struct ledger_key k;
    struct ledger_entity *e;
    if (!ledger_key_read(key, &k))
        return ERR_NOT_FOUND;
    return ledger_fold(l, &k, value, now, &e);
}

/* What is accepted is one record at its place. */
static enum err copy_read(struct str value, int64_t offset)
{
    struct records *batch;
    struct record record;
    enum err err = straggler_decode(value, offset, &batch);
    if (err != ERR_OK)
        return ERR_NOT_FOUND;
    records_get(batch, 0, &record);
    weir_assert(records_count(batch) == 1 && records_head(batch)->base_offset == offset);
    records_unref(batch);
    return ERR_OK;
}

/* From the input. */
static enum err record_fold(struct ledger *l, const struct ledger_conf *conf, struct rd *in)
{
    uint8_t key[64], value[256], kind = rd_u8(in);
    size_t n = ledger_key_head(conf, key), len;
    key[0] = (uint8_t) "HPLT"[kind & 3];
    if (key[0] == 'P')
        key[n++] = rd_u8(in) & 7;
    else if (key[0] != 'H')
        key[n++] = rd_u8(in);
    len = rd_u8(in);
    const uint8_t *p = fuzz_bytes(in, &len);
    if (len != 0)
        memcpy(value, p, len);
    if (len != 0 && !(kind & 64))
        value[0] = 1;
    if (kind & 32)
        return copy_read((struct str){(const char *)value, len}, key[n - 1] & 7);
    struct str v = {kind & 128 ? NULL : (const char *)value, len};
    return fold_one(l, (struct str){(const char *)key, n}, v);
}

static struct ledger *input_fold(const struct ledger_conf *conf, struct rd *in)
{
    struct ledger *l = ledger_make(conf, 0);
    for (unsigned i = 0; i < RECORDS_MAX && rd_left(in) != 0; i++) {
        enum err err = record_fold(l, conf, in);
        if (err == ERR_OK || err == ERR_NOT_FOUND)
            continue;
        weir_assert(err == ERR_CORRUPT || err == ERR_FORMAT_NEWER);
        ledger_free(l);
        return NULL;
    }
    ledger_folded(l, now);
    return l;
}

static struct ledger *snapshots_fold(struct ledger *l, const struct ledger_conf *conf)
{
    struct ledger *fold = ledger_make(conf, 0);
    for (struct ledger_entity *e = NULL; (e = ledger_entity_next(l, e)) != NULL;) {
        struct batch_builder b;
        struct batch_head head;
        struct record_iter it;
        struct record r;
        batch_begin(&b, 0);
        ledger_snapshot(e, now, &b);
        struct slice batch = batch_end(&b);
        enum err err = batch_head_read(batch.at, batch.len, &head);
        weir_assert(err == ERR_OK);
        record_iter_init(&it, &head, batch.at + BATCH_HEAD_BYTES, batch.len - BATCH_HEAD_BYTES);
        while (record_iter_next(&it, &r) == ERR_OK) {
            err = fold_one(fold, r.key, r.value);
            weir_assert(err == ERR_OK);
        }
        slice_unref(batch);
    }
    ledger_folded(fold, now);
    return fold;
}

/* One that is over already is over from when it was written. */
static bool same_time(int64_t a_ms, int64_t b_ms)
{
    return a_ms == b_ms || (a_ms != 0 && b_ms != 0 && a_ms <= now.wall_ms && b_ms <= now.wall_ms);
}

/* b is a fold of a. */
static void same(const struct ledger *a, const struct ledger *b)
{
    struct ledger_message x, y;
    struct ledger_stat s, t;
    ledger_stat(a, &s);
    ledger_stat(b, &t);
    weir_assert(s.ready == t.ready && s.delayed == t.delayed && s.acquired == t.acquired &&
                s.deferred == t.deferred && s.dead == t.dead);
    /* What lies behind the next one may be known already: a fold goes past it. */
    weir_assert(ledger_next(a) <= ledger_next(b) && ledger_floor(a) <= ledger_floor(b));
    for (int64_t o = 0; ledger_peek(a, o, now, &x); o = x.offset + 1) {
        weir_assert(ledger_peek(b, o, now, &y));
        weir_assert(x.offset == y.offset && x.state == y.state && x.deliveries == y.deliveries &&
                    x.owner == y.owner && x.first_ms == y.first_ms &&
                    same_time(x.due_ms, y.due_ms) && x.expired == y.expired &&
                    str_eq(x.session, y.session));
    }
}

/* It works on. */
static void use(struct ledger *l, bool sessions)
{
    struct ledger_taken taken[8];
    struct ledger_session s;
    struct ledger_take take;
    struct ledger_change *c = ledger_change_make(l);
    size_t n = 0;
    while (ledger_step(l, now))
        ;
    enum err added = ledger_add(l, ledger_next(l), STR_LIT("a"));
    weir_assert(added == ERR_OK || added == ERR_BUSY || added == ERR_OFFSET_RANGE);
    if (!sessions)
        n = ledger_acquire(l, 1, 0, now, taken, 8);
    else if (ledger_session_lock(l, 1, (struct str){NULL, 0}, 0, now, &s) == ERR_OK)
        n = ledger_session_acquire(l, 1, s.id, now, taken, 8);
    for (size_t i = 0; i < n; i++) {
        struct ledger_ref ref = ledger_ref(l, &taken[i].token);
        enum err err = i % 2 ? ledger_accept(c, ref) : ledger_release(c, ref, 5, false, now);
        weir_assert(err == ERR_OK);
    }
    ledger_take(c, false, now, &take);
    ledger_done(c, ERR_OK, now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd in;
    rd_init(&in, data, size);
    uint8_t flags = rd_u8(&in);
    struct ledger_conf conf = conf_of(flags & 1);
    struct ledger *l = input_fold(&conf, &in);
    if (l == NULL)
        return 0;
    if (flags & 2)
        ledger_pack(l, now);
    struct ledger *again = snapshots_fold(l, &conf);
    same(l, again);
    ledger_free(again);
    use(l, conf.sessions);
    again = snapshots_fold(l, &conf);
    same(l, again);
    ledger_free(again);
    ledger_free(l);
    return 0;
}
