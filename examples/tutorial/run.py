"""The tutorial: weir, one producer, three consumers of one group, told as it happens.

    build/venv/bin/python examples/tutorial/run.py [--no-wait] [--rate N] ...

Starts build/weir on free ports with a data folder of its own, lets unmodified Kafka clients use it,
grows the topic, kills weir with SIGKILL, starts it again and checks what the clients were promised.
Ends with a summary of claims, each ok or FAILED; the exit status is 0 only if all held. On a
terminal weir then stays up until Ctrl-C. Every process started here is ended here.
"""
import argparse
import os
import signal
import sys
import time

from broker import Broker, BrokerError
from clients import Client, Tally
from readback import read_back
from telling import tell

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
TOPIC = "demo-topic"
GROUP = "demo-group"
CONSUMERS = ("consumer-1", "consumer-2", "consumer-3")

STEADY_SECONDS = 8
FIRST_EVENT_SECONDS_MAX = 20
JOIN_IN_SECONDS_MAX = 30
BACK_SECONDS_MAX = 30
DRAIN_SECONDS_MAX = 20
STORY_SECONDS_MAX = 90


def percentile(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


class Story:
    """Runs the steps one after the other; owns the processes and the claims."""

    def __init__(self, arguments, folder):
        self.arguments = arguments
        self.folder = folder
        self.started = time.monotonic()
        self.broker = Broker(arguments.weir, folder)
        self.tally = Tally()
        self.clients = []
        self.claims = []
        self.steady_ms = []
        self.step_number = 0

    # What is shown

    def step(self, text):
        self.step_number += 1
        print(f"\n{self.step_number}. {text}", flush=True)

    def announce(self, text):
        print(text, flush=True)

    def say(self, text):
        print("".join(f"   {line}\n" for line in text.split("\n")), end="", flush=True)

    def claim(self, held, text):
        self.claims.append((bool(held), text))
        self.say(("-> " if held else "-> FAILED: ") + text)
        return held

    def print_head(self):
        self.say(f"{'':6}{'acked/s':>8}" + "".join(f"{name:>12}" for name in CONSUMERS)
                 + f"{'lag':>8}{'p50 ms':>9}{'p99 ms':>9}")

    def watch(self, seconds_max, until=None, steady=False):
        """Prints a line a second; returns the seconds until `until()` held, None if it did not."""
        began = line_at = time.monotonic()
        acked, received, _ = self.tally.counts()
        self.tally.take_latencies()
        while True:
            self.check_clients()
            now = time.monotonic()
            if until and until():
                return now - began
            if now - line_at >= 1:
                acked, received = self.print_line(acked, received, now - line_at, steady)
                line_at = now
            if now - began >= seconds_max:
                return None
            time.sleep(0.02)

    def print_line(self, acked_before, received_before, seconds, steady):
        acked, received, lag = self.tally.counts()
        latencies = self.tally.take_latencies()
        if steady:
            self.steady_ms += latencies
        columns = f"{(acked - acked_before) / seconds:8,.0f}"
        for name in CONSUMERS:
            columns += f"{(received.get(name, 0) - received_before.get(name, 0)) / seconds:12,.0f}"
        columns += f"{lag:8,}"
        if latencies:
            columns += f"{percentile(latencies, .5):9.1f}{percentile(latencies, .99):9.1f}"
        self.say(f"{time.monotonic() - self.started:4.0f} s{columns}")
        return acked, received

    # The processes

    def start_client(self, name, script):
        env = {"KAFKA_BROKER": self.broker.kafka, "KAFKA_TOPIC": TOPIC, "KAFKA_GROUP": GROUP,
               "EVENTS_PER_SECOND": str(self.arguments.rate)}
        if self.arguments.metadata_max_age_ms:
            env["KAFKA_METADATA_MAX_AGE_MS"] = str(self.arguments.metadata_max_age_ms)
        client = Client(name, script, env, self.folder)
        self.clients.append(client)
        client.start(self.tally)

    def check_clients(self):
        for client in self.clients:
            if client.ended_early():
                raise BrokerError(f"{client.name} ended by itself\n{client.errors_end()}")

    def end_all(self):
        """Ends every process; a second Ctrl-C must not leave one behind."""
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            signal.signal(number, signal.SIG_IGN)
        for client in self.clients:
            client.tell_to_stop()
        for client in self.clients:
            client.stop()
        return self.broker.stop()

    # The steps

    def run(self):
        self.start_broker()
        self.one_partition()
        self.describe_group(partitions=1)
        self.three_partitions()
        self.describe_group(partitions=3)
        self.kill_and_restart()
        self.settle_up()
        self.claim(time.monotonic() - self.started < STORY_SECONDS_MAX,
                   f"all of this in {time.monotonic() - self.started:.0f} s")

    def start_broker(self):
        self.step("Start weir on an empty folder")
        seconds = self.broker.start()
        self.say(f"weir serve --data {self.broker.data} --kafka {self.broker.kafka} "
                 f"--http {self.broker.http}\nready in {seconds * 1000:.0f} ms")

    def one_partition(self):
        self.step(f"One producer, three consumers of {GROUP}; {TOPIC} makes itself, with one "
                  "partition")
        self.start_client("producer", "producer.py")
        for name in CONSUMERS:
            self.start_client(name, "consumer.py")
        self.print_head()
        if self.watch(FIRST_EVENT_SECONDS_MAX, lambda: self.tally.counts()[1]) is None:
            raise BrokerError("no consumer received anything\n" + self.broker.log_end())
        self.watch(2)  # the group may still be gathering
        _, before, _ = self.tally.counts()
        self.watch(STEADY_SECONDS, steady=True)
        _, after, _ = self.tally.counts()
        got = {name: after.get(name, 0) - before.get(name, 0) for name in CONSUMERS}
        busy = [name for name, count in got.items() if count]
        self.claim(len(busy) == 1, "one partition: one consumer got everything ("
                   + ", ".join(f"{name} {count:,}" for name, count in got.items()) + ")")

    def describe_group(self, partitions):
        self.step("What Kafka's own tool says, without a JVM")
        self.say(f"$ kafka-consumer-groups.sh --bootstrap-server {self.broker.kafka} --describe "
                 f"--group {GROUP}")
        text = self.broker.tool("kafka-consumer-groups.sh", "--describe", "--group", GROUP)
        self.say(text.strip())
        rows = [line.split() for line in text.splitlines() if line.startswith(GROUP)]
        whole = [row for row in rows if row[1] == TOPIC and row[3].isdigit() and row[5].isdigit()
                 and row[-1].startswith("consumer-")]
        columns = "CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID".split()
        self.claim(len(whole) == partitions and all(column in text for column in columns),
                   f"{len(whole)} of {partitions} partitions shown with offset, lag and owner")

    def three_partitions(self):
        self.step(f"Grow {TOPIC} to three partitions while events flow")
        self.say(f"$ kafka-topics.sh --bootstrap-server {self.broker.kafka} --alter "
                 f"--topic {TOPIC} --partitions 3")
        text = self.broker.tool("kafka-topics.sh", "--alter", "--topic", TOPIC,
                                "--partitions", "3")
        if text:
            self.say(text)
        self.print_head()
        _, before, _ = self.tally.counts()

        def all_receive():
            _, now, _ = self.tally.counts()
            return all(now.get(name, 0) > before.get(name, 0) for name in CONSUMERS)

        seconds = self.watch(JOIN_IN_SECONDS_MAX, all_receive)
        if self.claim(seconds is not None, "the other consumers joined in after "
                      + (f"{seconds:.1f} s" if seconds else f"more than {JOIN_IN_SECONDS_MAX} s")):
            self.watch(2)  # the new owners catch up with their partitions
            self.watch(STEADY_SECONDS, steady=True)

    def kill_and_restart(self):
        self.step("kill -9 weir mid-stream, start it again on the same folder")
        self.print_head()
        self.watch(2)
        self.broker.kill()
        killed = time.monotonic()
        self.tally.await_new()
        promised = self.tally.acks()
        ready = self.broker.start()
        self.say(f"killed with {len(promised):,} acknowledged; a new process was ready "
                 f"{ready * 1000:.0f} ms after its start")
        back = self.watch(BACK_SECONDS_MAX, lambda: self.tally.new_acked_at)
        if not self.claim(back is not None, "the producer went on by itself"):
            return
        back = self.tally.new_acked_at - killed
        lost = len(read_back(self.broker.kafka, TOPIC).lost(promised))
        self.claim(lost == 0, f"acked {len(promised):,}, lost {lost:,}, back in {back:.1f} s")
        self.watch(STEADY_SECONDS)

    def settle_up(self):
        self.step("Stop the producer, let the consumers finish, read the whole topic back")
        self.clients[0].stop()
        self.watch(DRAIN_SECONDS_MAX, lambda: not self.tally.not_seen())
        for client in self.clients[1:]:
            client.tell_to_stop()
        for client in self.clients[1:]:
            client.stop()
        acks = self.tally.acks()
        log = read_back(self.broker.kafka, TOPIC)
        lost = log.lost(acks)
        self.say(f"{log.count():,} events in {log.partitions()} partitions, "
                 f"{len(acks):,} acknowledged, {len(self.tally.failed):,} refused")
        self.claim(acks and not lost, f"acked {len(acks):,}, lost {len(lost):,}: every one is at "
                   "the partition and offset of its acknowledgement")
        self.claim(not log.twice(), f"{log.twice():,} events are there twice")
        self.claim(not log.out_of_order(), f"{log.out_of_order():,} out of order in a partition")
        missed = self.tally.not_seen()
        self.claim(acks and not missed, "the group received every acknowledged event"
                   if not missed else f"the group did not receive {len(missed):,} events")

    def summary(self):
        print("\nSummary")
        for held, text in self.claims:
            print(f"   {'ok    ' if held else 'FAILED'}  {text}")
        if self.steady_ms:
            print(f"   end to end at {self.arguments.rate:g} events a second, with kafka-python at "
                  f"both ends: p50 {percentile(self.steady_ms, .5):.1f} ms, "
                  f"p99 {percentile(self.steady_ms, .99):.1f} ms")
        sys.stdout.flush()
        return bool(self.claims) and all(held for held, _ in self.claims)

    def stay_up(self):
        kafka = self.broker.kafka
        print(f"\nweir stays up until Ctrl-C: Kafka at {kafka}, HTTP at http://{self.broker.http}\n"
              f"   kcat -b {kafka} -t {TOPIC} -C -o -5 -e\n"
              f"   echo hello | kcat -b {kafka} -t mine -P\n"
              f"   curl -s http://{self.broker.http}/metrics\n"
              f"   {self.broker.bin}/kafka-topics.sh --bootstrap-server {kafka} --list", flush=True)
        self.broker.process.wait()


def parse_arguments():
    parser = argparse.ArgumentParser(description="weir's tutorial, told as it happens.")
    parser.add_argument("--weir", default=os.path.join(ROOT, "build", "weir"), metavar="PROGRAM")
    parser.add_argument("--rate", type=float, default=1000, metavar="N", help="events a second")
    parser.add_argument("--metadata-max-age-ms", type=int, metavar="N",
                        help="how often clients look for new partitions; default: the client's own")
    parser.add_argument("--no-wait", action="store_true",
                        help="stop at the end, on a terminal too")
    parser.add_argument("--keep", action="store_true", help="keep the data folder and the logs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(tell(Story, parse_arguments(), "weir-tutorial-"))
