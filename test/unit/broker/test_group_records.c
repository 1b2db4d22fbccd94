/* Records of __consumer_offsets: those that Apache Kafka 4.3 wrote, our own, and broken ones. */
#include "../check.h"

#include "broker/group_records.h"

#include <string.h>

static size_t unhex(const char *hex, uint8_t *out)
{
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        out[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return n;
}

static struct str bytes(const char *hex, uint8_t *out)
{
    size_t n = unhex(hex, out);
    return (struct str){(const char *)out, n};
}

static struct str written(const struct wr *w)
{
    return (struct str){(const char *)w->buf->data, w->len};
}

static const char *const kafka_offset_key =
    "0001000b67732d3938643133373036000a732d39386431333730360"
    "0000001";
static const char *const kafka_offset_4 =
    "000400000000000000040000000001000001a1fa6cd66a01001042058f"
    "0889424eaca09c6cdee3869e97";
static const char *const kafka_group_key = "0002000b67732d3938643133373036";
static const char *const kafka_group_3 =
    "00030008636f6e73756d657200000001000572616e67650028692d312d38666630356566632d633361322d34363734"
    "2d"
    "623537342d333033323435623932363136000001a1fa8a0751000000010028692d312d38666630356566632d633361"
    "32"
    "2d343637342d623537342d3330333234356239323631360003692d310003726177000a2f3132372e302e302e310000"
    "4e"
    "20000075300000000e000000000000000000046d696e6500000003616c6c";

static void test_keys(void **state)
{
    (void)state;
    uint8_t buf[256];
    struct group_record_key k;
    struct wr w;
    struct str offset = bytes(kafka_offset_key, buf);
    assert_true(group_record_key_read(offset, &k));
    assert_int_equal(k.what, GROUP_RECORD_OFFSET);
    assert_true(str_is(k.group, "gs-98d13706") && str_is(k.topic, "s-98d13706"));
    assert_int_equal(k.partition, 1);
    wr_init(&w, 16);
    group_record_key_write(&w, &k);
    assert_true(str_eq(written(&w), offset));
    wr_free(&w);

    struct str group = bytes(kafka_group_key, buf);
    assert_true(group_record_key_read(group, &k));
    assert_int_equal(k.what, GROUP_RECORD_GROUP);
    assert_true(str_is(k.group, "gs-98d13706"));
    wr_init(&w, 16);
    group_record_key_write(&w, &k);
    assert_true(str_eq(written(&w), group));
    wr_free(&w);

    /* Version 0 is the same as 1; 3 and above are other kinds of groups'. */
    struct str zero = bytes("00000001670001740000000a", buf);
    assert_true(group_record_key_read(zero, &k));
    assert_true(str_is(k.group, "g") && str_is(k.topic, "t") && k.partition == 10);
    assert_false(group_record_key_read(bytes("0003000167", buf), &k));
    assert_false(group_record_key_read(bytes("ffff000167", buf), &k));
    assert_false(group_record_key_read(bytes("000200016700", buf), &k));
    assert_false(group_record_key_read(bytes("00", buf), &k));
}

/* Every version that Kafka ever wrote. */
static void test_offsets(void **state)
{
    (void)state;
    uint8_t buf[256];
    struct group_record_offset o;
    assert_true(group_record_offset_read(bytes(kafka_offset_4, buf), &o));
    assert_true(o.offset == 4 && o.leader_epoch == 0 && o.metadata.len == 0);
    assert_true(o.commit_ms == 0x01a1fa6cd66a && o.expire_ms == -1);
    assert_memory_equal(o.topic_id.b, "\x42\x05\x8f\x08\x89\x42\x4e\xac", 8);

    assert_true(group_record_offset_read(
                    bytes("0000000000000000000700026d64000000000000000900", buf), &o) == false);
    assert_true(
        group_record_offset_read(bytes("0000000000000000000700026d640000000000000009", buf), &o));
    assert_true(o.offset == 7 && str_is(o.metadata, "md") && o.commit_ms == 9);
    assert_true(o.leader_epoch == -1 && o.expire_ms == -1);
    assert_true(group_record_offset_read(
        bytes("0001000000000000000700026d640000000000000009000000000000000a", buf), &o));
    assert_true(o.commit_ms == 9 && o.expire_ms == 10);
    assert_true(
        group_record_offset_read(bytes("0002000000000000000700026d640000000000000009", buf), &o));
    assert_true(o.commit_ms == 9 && o.leader_epoch == -1);
    assert_true(group_record_offset_read(
        bytes("000300000000000000070000000500026d640000000000000009", buf), &o));
    assert_true(o.commit_ms == 9 && o.leader_epoch == 5);
    assert_false(group_record_offset_read(
        bytes("000500000000000000070000000500026d640000000000000009", buf), &o));
}

static void test_offset_written(void **state)
{
    (void)state;
    struct group_record_offset in = {.offset = 1LL << 40,
                                     .leader_epoch = 3,
                                     .metadata = STR_LIT("text"),
                                     .commit_ms = 77,
                                     .expire_ms = -1};
    struct group_record_offset out;
    for (int i = 0; i < 2; i++) {
        struct wr w;
        in.expire_ms = i == 0 ? -1 : 99;
        wr_init(&w, 16);
        group_record_offset_write(&w, &in);
        assert_int_equal(be16_get(w.buf->data), i == 0 ? 3 : 1);
        assert_true(group_record_offset_read(written(&w), &out));
        assert_true(out.offset == in.offset && str_is(out.metadata, "text"));
        assert_int_equal(out.commit_ms, 77);
        assert_int_equal(out.expire_ms, in.expire_ms);
        assert_int_equal(out.leader_epoch, i == 0 ? 3 : -1);
        wr_free(&w);
    }
}

static void test_group(void **state)
{
    (void)state;
    uint8_t buf[512];
    struct str value = bytes(kafka_group_3, buf);
    struct group_record_group g;
    struct group_record_member m;
    struct rd r;
    int16_t version;
    rd_init(&r, value.at, value.len);
    assert_true(group_record_group_read(&r, &version, &g));
    assert_int_equal(version, 3);
    assert_true(str_is(g.protocol_type, "consumer") && str_is(g.protocol, "range"));
    assert_true(g.generation == 1 && g.members_n == 1 && g.state_ms == 0x01a1fa8a0751);
    assert_true(group_record_member_read(&r, version, &m));
    assert_int_equal(rd_left(&r), 0);
    assert_true(str_eq(m.id, g.leader) && str_is(m.instance_id, "i-1"));
    assert_true(str_is(m.client_id, "raw") && str_is(m.client_host, "/127.0.0.1"));
    assert_true(m.rebalance_ms == 20000 && m.session_ms == 30000);
    assert_true(m.subscription.len == 14 && str_is(m.assignment, "all"));

    struct wr w;
    wr_init(&w, 16);
    group_record_group_write(&w, &g);
    group_record_member_write(&w, &m);
    assert_true(str_eq(written(&w), value));
    wr_free(&w);
}

/* Nothing beyond the end is read, and what is cut short is no record. */
static void test_cut(void **state)
{
    (void)state;
    uint8_t buf[512];
    struct str value = bytes(kafka_group_3, buf);
    for (size_t n = 0; n < value.len; n++) {
        struct group_record_group g;
        struct group_record_member m;
        struct rd r;
        int16_t version;
        uint8_t *cut = malloc(n + 1);
        memcpy(cut, value.at, n);
        rd_init(&r, cut, n);
        assert_false(group_record_group_read(&r, &version, &g) &&
                     group_record_member_read(&r, version, &m));
        free(cut);
    }
    struct str offset = bytes(kafka_offset_4, buf);
    for (size_t n = 0; n < offset.len; n++) {
        struct group_record_offset o;
        char *cut = malloc(n + 1);
        memcpy(cut, offset.at, n);
        assert_false(group_record_offset_read((struct str){cut, n}, &o));
        free(cut);
    }
}

static void test_group_versions(void **state)
{
    (void)state;
    uint8_t buf[512];
    struct group_record_group g;
    struct group_record_member m;
    struct rd r;
    int16_t version;
    /* 0: no rebalance timeout, no time, no instance ids. */
    struct str v0 =
        bytes("0000000163000000050001700001610000000100016100026364000168000017700000000"
              "173000000026161",
              buf);
    rd_init(&r, v0.at, v0.len);
    assert_true(group_record_group_read(&r, &version, &g));
    assert_true(g.generation == 5 && g.state_ms == -1 && str_is(g.leader, "a"));
    assert_true(group_record_member_read(&r, version, &m));
    assert_true(str_is(m.client_id, "cd") && m.session_ms == 6000 && m.rebalance_ms == 6000);
    assert_true(str_is(m.subscription, "s") && str_is(m.assignment, "aa"));
    assert_true(m.instance_id.at == NULL && rd_left(&r) == 0);
    /* 4: flexible; no members. */
    struct str v4 = bytes("00040263000000050000000000000000000701"
                          "00",
                          buf);
    rd_init(&r, v4.at, v4.len);
    assert_true(group_record_group_read(&r, &version, &g));
    assert_true(g.protocol.at == NULL && g.leader.at == NULL && g.members_n == 0 &&
                g.state_ms == 7);
    struct str v5 = bytes("0005", buf);
    rd_init(&r, v5.at, v5.len);
    assert_false(group_record_group_read(&r, &version, &g));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_keys),
    cmocka_unit_test(test_offsets),
    cmocka_unit_test(test_offset_written),
    cmocka_unit_test(test_group),
    cmocka_unit_test(test_cut),
    cmocka_unit_test(test_group_versions),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
