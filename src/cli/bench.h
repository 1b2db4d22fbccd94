/* bench.h: `weir bench`, a load generator for any Kafka broker, over librdkafka.
 *
 *   produce   how many records a second are acknowledged
 *   fetch     how many records a second a consumer gets
 *   latency   at a fixed rate: until the acknowledgement, and until a consumer has the record
 *   single    the same, one record at a time
 *   all       the four, one after the other
 *
 * Latency is measured from the instant at which a record should have been sent, not from when the
 * generator came to it: a broker that stalls is charged with all that should have happened
 * meanwhile. What is measured, not what is promised: a failed record makes the exit status 1.
 */
#pragma once

/* argv[0] is "bench", argv[1] the verb. Returns the exit status: 0 done, 1 failed, 2 bad usage.
 * Prints to stdout, errors to stderr. Once a process, from its main thread. */
int cli_bench(int argc, char **argv);
