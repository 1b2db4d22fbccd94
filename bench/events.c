/* events.c: what records and events cost by themselves: a record of a decoded batch, the event that
 * it is, and CloudEvents' JSON format both ways. Prints a line of CPU time each. */
#include "wire.h"

#include "broker/event.h"
#include "broker/records_cache.h"

#define TIMES 1000000

static const struct record_header headers[] = {
    {{"ce_specversion", 14}, {"1.0", 3}},
    {{"ce_id", 5}, {"6f1d2c1a-5f5c-4a83-9f0e-0a6c6a6f4d11", 36}},
    {{"ce_source", 9}, {"/shop/checkout", 14}},
    {{"ce_type", 7}, {"order.created", 13}},
    {{"content-type", 12}, {"application/json", 16}},
    {{"ce_traceparent", 14}, {"00-0af7651916cd43dd8448eb211c80319c-b9c7c989f97918e1-01", 55}},
};
static const struct event_place place = {"orders", {{1}}, 0, 7};
static struct records *batch;
static struct arena arena;
static struct event event;
static struct wr json;

static double cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void get(uint32_t i)
{
    struct record r;
    records_get(batch, i % records_count(batch), &r);
}

static void of_record(uint32_t i)
{
    struct record r;
    records_get(batch, i % records_count(batch), &r);
    event_of_record(&r, &place, &arena, &event);
}

static void write_json(uint32_t i)
{
    (void)i;
    json.len = 0;
    event_write_json(&event, &json);
}

static void of_json(uint32_t i)
{
    struct event e;
    struct str text = {(const char *)json.buf->data, json.len};
    if (i % 100 == 0)
        arena_reset(&arena);
    if (event_of_json(text, &arena, &e, NULL) != ERR_OK)
        exit(1);
}

static void measure(const char *what, void (*run)(uint32_t i))
{
    double start = cpu_ns();
    for (uint32_t i = 0; i < TIMES; i++)
        run(i);
    printf("%-24s %6.1f ns\n", what, (cpu_ns() - start) / TIMES);
}

int main(void)
{
    struct batch_builder b;
    struct batch_head head;
    static char value[1000] = "{\"amount\": 5, \"filler\": \"";
    size_t used = strlen(value);
    memset(value + used, 'x', sizeof(value) - used - 2);
    memcpy(value + sizeof(value) - 2, "\"}", 2);
    batch_begin(&b, 0);
    for (int i = 0; i < 60; i++)
        batch_add(&b, 1767225600000, (struct str){"key", 3}, (struct str){value, sizeof(value)},
                  headers, sizeof(headers) / sizeof(headers[0]));
    struct slice s = batch_end(&b);
    arena_init(&arena, (size_t)64 << 20);
    wr_init(&json, 4096);
    if (batch_head_read(s.at, s.len, &head) != ERR_OK ||
        records_decode(&head, s.at, 1767225600000, &batch) != ERR_OK)
        return 1;
    measure("records_get", get);
    measure("records_get and event", of_record);
    measure("event to JSON, 1.3 KB", write_json);
    measure("JSON to event, 1.3 KB", of_json);
    return 0;
}
