/* cli.h: the commands of weir that are clients: each takes its own argv (argv[0]: the command's
 * name) and returns an exit status: 0 done, 1 failed, 2 used wrongly. `serve` and `fsck` are
 * not clients, and lie above, beside main.c.
 */
#pragma once

/* No broker has more in one topic: what is larger is a mistake in typing. */
#define CLI_PARTITIONS_MAX 100000

int cli_topic(int argc, char **argv);
int cli_group(int argc, char **argv);
int cli_produce(int argc, char **argv);
int cli_consume(int argc, char **argv);
int cli_apply(int argc, char **argv);
int cli_diff(int argc, char **argv);
int cli_get(int argc, char **argv);
int cli_delete(int argc, char **argv);
int cli_trace(int argc, char **argv);
int cli_dlq(int argc, char **argv);
int cli_bench(int argc, char **argv);

/* Kafka's names for daily commands: when the binary is called by one of them. */
int cli_kafka_topics(int argc, char **argv);
int cli_kafka_consumer_groups(int argc, char **argv);
