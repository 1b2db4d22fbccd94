#include "cli/reader.h"

#include "base/mem.h"

#include <string.h>

#define TIMEOUT_MS 30000

static enum err set_one(struct reader *r, rd_kafka_conf_t *conf, const char *key, const char *value,
                        struct err_text *text)
{
    char why[256];
    if (r->k->conf_set(conf, key, value, why, sizeof why) == RD_KAFKA_CONF_OK)
        return ERR_OK;
    return err_say(text, ERR_REQUEST_INVALID, "%s", why);
}

enum err reader_open(struct reader *r, const struct reader_conf *conf, struct err_text *text)
{
    char why[256] = "";
    *r = (struct reader){.broker = conf->broker};
    enum err err = rdkafka_load(&r->k, text);
    if (err)
        return err;
    rd_kafka_conf_t *kc = r->k->conf_new();
    err = set_one(r, kc, "bootstrap.servers", conf->broker, text);
    if (!err)
        err = set_one(r, kc, "group.id", conf->group ? conf->group : "weir-consume", text);
    if (!err)
        err = set_one(r, kc, "auto.offset.reset", conf->from, text);
    if (!err)
        err = set_one(r, kc, "enable.auto.commit", conf->group ? "true" : "false", text);
    if (!err)
        err = set_one(r, kc, "enable.partition.eof", "true", text);
    if (!err && conf->to_end)
        err = set_one(r, kc, "fetch.wait.max.ms", "1", text);
    r->rk = err ? NULL : r->k->new (RD_KAFKA_CONSUMER, kc, why, sizeof why);
    if (r->rk)
        return ERR_OK;
    r->k->conf_destroy(kc);
    return err ? err : err_say(text, ERR_REQUEST_INVALID, "%s", why);
}

static rd_kafka_topic_partition_list_t *wanted(struct reader *r, const char *topic,
                                               const struct rd_kafka_metadata *md,
                                               int32_t partition, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = r->k->topic_partition_list_new(1);
    for (int i = 0; md->topic_cnt == 1 && i < md->topics[0].partition_cnt; i++) {
        int32_t p = md->topics[0].partitions[i].id;
        if (partition < 0 || partition == p)
            r->k->topic_partition_list_add(list, topic, p)->offset = offset;
    }
    return list;
}

enum err reader_assign(struct reader *r, const char *topic, int32_t partition, int64_t offset,
                       struct err_text *text)
{
    const struct rd_kafka_metadata *md;
    rd_kafka_topic_t *t = r->k->topic_new(r->rk, topic, NULL);
    if (!t)
        return err_say(text, ERR_TOPIC_INVALID, "'%s' is no topic name", topic);
    rd_kafka_resp_err_t e = r->k->metadata(r->rk, 0, t, &md, TIMEOUT_MS);
    r->k->topic_destroy(t);
    if (e)
        return err_say(text, ERR_CLOSED, "%s: %s", r->broker, r->k->err2str(e));
    enum err err = ERR_OK;
    rd_kafka_topic_partition_list_t *list = wanted(r, topic, md, partition, offset);
    if (!list->cnt)
        err =
            err_say(text, ERR_TOPIC_UNKNOWN, "there is no topic '%s' with such a partition", topic);
    else if ((e = r->k->assign(r->rk, list)))
        err = err_say(text, ERR_INTERNAL, "%s", r->k->err2str(e));
    r->k->topic_partition_list_destroy(list);
    r->k->metadata_destroy(md);
    memset(r->at_end, 0, (size_t)r->at_end_n * sizeof(bool));
    return err;
}

static void note_end(struct reader *r, int32_t partition, bool at_end)
{
    if (partition >= r->at_end_n) {
        int32_t n = partition * 2 + 16;
        r->at_end = mem_realloc(r->at_end, (size_t)n * sizeof(bool));
        memset(r->at_end + r->at_end_n, 0, (size_t)(n - r->at_end_n) * sizeof(bool));
        r->at_end_n = n;
    }
    r->at_end[partition] = at_end;
}

/* Every partition that is read, which in a group changes. */
static bool all_at_end(struct reader *r)
{
    rd_kafka_topic_partition_list_t *list;
    if (r->k->assignment(r->rk, &list))
        return false;
    bool all = true;
    for (int i = 0; i < list->cnt; i++) {
        int32_t p = list->elems[i].partition;
        all &= p < r->at_end_n && r->at_end[p];
    }
    r->k->topic_partition_list_destroy(list);
    return all;
}

bool reader_note(struct reader *r, const rd_kafka_message_t *m)
{
    if (m->err && m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return false;
    note_end(r, m->partition, m->err != 0);
    return m->err && all_at_end(r);
}

void reader_close(struct reader *r)
{
    if (r->rk) {
        r->k->consumer_close(r->rk);
        r->k->destroy(r->rk);
    }
    mem_free(r->at_end);
    *r = (struct reader){0};
}
