/* sink.c: how fast can a log be fetched by a client that costs next to nothing?
 *
 * A raw Kafka consumer that reads each answer through one small buffer, walks the headers of the
 * record batches, counts, and throws the bytes away. So the figure is what server and loopback can
 * carry, where librdkafka's consumer is bound by its own work.
 *
 * Two fetches (--depth) are always under way on the one connection, so that the server never waits
 * for us. Since the offset behind an answer is only known from the answer, the log is cut into
 * lanes, ranges of offsets (of one partition each), and each lane has one fetch under way at a
 * time. With --seconds the log is read again and again; else once.
 */
#include "raw.h"

#include <getopt.h>
#include <sys/resource.h>

struct lane {
    int32_t partition;
    int64_t from, next, end;
};

struct sink {
    struct raw raw;
    const char *topic;
    int depth, partitions;
    int32_t fetch_max, partition_max;
    struct lane *lanes;
    int lane_count, turn; /* turn: the lane that asks next */
    int *under_way;       /* lanes whose answers are to come, in order: a ring of `depth` */
    int asked, answered;
    uint64_t records, bytes, batches;
};

static void die(const char *what)
{
    fprintf(stderr, "sink: %s\n", what);
    exit(1);
}

static void lane_ask(struct sink *s, struct lane *l)
{
    struct wire_out *o = &s->raw.out;
    size_t at = wire_request(o, WIRE_FETCH, 11, s->raw.correlation++);
    wire_put32(o, -1);
    wire_put32(o, 500); /* max wait ms */
    wire_put32(o, 1);   /* min bytes */
    wire_put32(o, s->fetch_max);
    wire_put8(o, 0);
    wire_put32(o, 0); /* no session */
    wire_put32(o, -1);
    wire_put32(o, 1);
    wire_put_str(o, s->topic);
    wire_put32(o, 1);
    wire_put32(o, l->partition);
    wire_put32(o, -1);
    wire_put64(o, l->next);
    wire_put64(o, -1);
    wire_put32(o, s->partition_max);
    wire_put32(o, 0);
    wire_put_str(o, "");
    wire_end(o, at, 0);
    s->under_way[s->asked++ % s->depth] = (int)(l - s->lanes);
    if (!raw_send(&s->raw))
        die("the connection is gone");
}

static bool lane_busy(const struct sink *s, int lane)
{
    for (int i = s->answered; i < s->asked; i++)
        if (s->under_way[i % s->depth] == lane)
            return true;
    return false;
}

/* Lets idle lanes that are not at their end ask, in turn, up to the depth. */
static void ask_more(struct sink *s)
{
    for (int tried = 0; tried < s->lane_count && s->asked - s->answered < s->depth; tried++) {
        int i = s->turn;
        s->turn = (s->turn + 1) % s->lane_count;
        if (s->lanes[i].next < s->lanes[i].end && !lane_busy(s, i))
            lane_ask(s, &s->lanes[i]);
    }
}

static const uint8_t *peek(struct sink *s, size_t n)
{
    const uint8_t *p = raw_peek(&s->raw, n);
    if (!p)
        die("the connection is gone, or nothing came for 30 s");
    return p;
}

static void skip(struct sink *s, size_t n)
{
    if (!raw_skip(&s->raw, n))
        die("the connection is gone, or nothing came for 30 s");
}

static int32_t take32(struct sink *s)
{
    int32_t v = (int32_t)wire_load32(peek(s, 4));
    s->raw.at += 4;
    return v;
}

static int take16(struct sink *s)
{
    int v = (int16_t)wire_load16(peek(s, 2));
    s->raw.at += 2;
    return v;
}

/* Walks the batches of an answer; a last one that was cut off is not counted. */
static void walk(struct sink *s, struct lane *l, size_t left)
{
    while (left >= WIRE_BATCH_HEADER) {
        const uint8_t *b = peek(s, WIRE_BATCH_HEADER);
        size_t bytes = WIRE_BATCH_PREFIX + (size_t)wire_load32(b + WIRE_BATCH_LENGTH_AT);
        if (bytes < WIRE_BATCH_HEADER || b[WIRE_BATCH_MAGIC_AT] != 2)
            die("not a record batch of version 2");
        if (bytes > left)
            break;
        int64_t base = (int64_t)wire_load64(b);
        int64_t behind = base + 1 + (int64_t)wire_load32(b + WIRE_BATCH_LAST_DELTA_AT);
        if (base > l->next || behind <= l->next)
            die("a batch does not follow the one before it");
        s->records += (uint64_t)((behind < l->end ? behind : l->end) - l->next);
        s->bytes += bytes;
        s->batches++;
        l->next = behind;
        skip(s, bytes);
        left -= bytes;
        if (l->next >= l->end)
            break;
    }
    skip(s, left);
}

static void take_answer(struct sink *s)
{
    struct lane *l = &s->lanes[s->under_way[s->answered++ % s->depth]];
    skip(s, 4 + 4 + 4);
    int err = take16(s);
    skip(s, 4 + 4); /* session, topic count */
    skip(s, (size_t)take16(s));
    skip(s, 4 + 4);
    int part_err = take16(s);
    if (err || part_err) {
        fprintf(stderr, "sink: Fetch was answered with error %d\n", err ? err : part_err);
        exit(1);
    }
    skip(s, 8 + 8 + 8);
    int32_t aborted = take32(s);
    skip(s, aborted > 0 ? (size_t)aborted * 16 : 0);
    skip(s, 4);
    int32_t bytes = take32(s);
    walk(s, l, bytes > 0 ? (size_t)bytes : 0);
}

static void pass(struct sink *s)
{
    for (int i = 0; i < s->lane_count; i++)
        s->lanes[i].next = s->lanes[i].from;
    for (ask_more(s); s->asked > s->answered; ask_more(s))
        take_answer(s);
}

/* One lane a partition, or `depth` lanes where there is but one. */
static void make_lanes(struct sink *s)
{
    int each = s->partitions == 1 ? s->depth : 1;
    s->lanes = wire_alloc(NULL, sizeof *s->lanes * (size_t)(s->partitions * each));
    s->under_way = wire_alloc(NULL, sizeof *s->under_way * (size_t)s->depth);
    for (int p = 0; p < s->partitions; p++) {
        int64_t start = raw_list_offset(&s->raw, s->topic, p, -2);
        int64_t end = raw_list_offset(&s->raw, s->topic, p, -1);
        if (start < 0 || end < 0)
            die("ListOffsets was refused");
        for (int i = 0; i < each; i++) {
            int64_t from = start + (end - start) * i / each;
            int64_t to = start + (end - start) * (i + 1) / each;
            s->lanes[s->lane_count++] = (struct lane){p, from, from, to};
        }
    }
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void usage(void)
{
    fputs("usage: sink --bootstrap HOST:PORT --topic T [--depth 2] [--seconds S]\n"
          "            [--fetch-bytes 52428800] [--partition-bytes 1048576]\n",
          stderr);
    exit(2);
}

static int number(const char *s, int max)
{
    char *end;
    long v = strtol(s, &end, 10);
    if (end == s || *end || v < 1 || v > max) {
        fprintf(stderr, "sink: '%s' is not a number from 1 to %d\n", s, max);
        exit(2);
    }
    return (int)v;
}

int main(int argc, char **argv)
{
    struct sink s = {.depth = 2, .fetch_max = 52428800, .partition_max = 1 << 20};
    char host[64] = "";
    uint16_t port = 0;
    int seconds = 0;
    static const struct option options[] = {{"bootstrap", required_argument, NULL, 'b'},
                                            {"topic", required_argument, NULL, 't'},
                                            {"depth", required_argument, NULL, 'd'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"fetch-bytes", required_argument, NULL, 'f'},
                                            {"partition-bytes", required_argument, NULL, 'p'},
                                            {0}};
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (o == 'b')
            raw_address(optarg, host, &port);
        else if (o == 't')
            s.topic = optarg;
        else if (o == 'd')
            s.depth = number(optarg, 64);
        else if (o == 's')
            seconds = number(optarg, 3600);
        else if (o == 'f')
            s.fetch_max = number(optarg, INT32_MAX);
        else if (o == 'p')
            s.partition_max = number(optarg, INT32_MAX);
        else
            usage();
    }
    if (!port || !s.topic || optind != argc)
        usage();
    if (!raw_connect(&s.raw, host, port))
        die("cannot connect");
    if ((s.partitions = raw_metadata(&s.raw, s.topic)) < 1)
        die("the topic is not there");
    make_lanes(&s);
    double cpu = cpu_seconds();
    uint64_t start = wire_now_us(), until = start + (uint64_t)seconds * 1000000, end;
    do
        pass(&s);
    while ((end = wire_now_us()) < until && s.records);
    double took = (double)(end - start) / 1e6;
    printf("{\"records\": %llu, \"bytes\": %llu, \"batches\": %llu, \"seconds\": %.6f, "
           "\"records_per_second\": %.0f, \"megabytes_per_second\": %.1f, "
           "\"client_cpu_seconds\": %.3f}\n",
           (unsigned long long)s.records, (unsigned long long)s.bytes,
           (unsigned long long)s.batches, took, (double)s.records / took,
           (double)s.bytes / took / 1e6, cpu_seconds() - cpu);
    return s.records ? 0 : 1;
}
