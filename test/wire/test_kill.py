"""kill -9 under load: every acknowledged record is there afterwards, in order, and once.

WIRE_KILLS rounds (50 by default). Several writers of librdkafka send to their own partition and to
one that they share; in the middle of it weir is killed and started again, on the same port and
folder, and the writers go on by themselves. At the end all logs are read back.
"""

import os
import threading
import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

ROUNDS = int(os.environ.get("WIRE_KILLS", "50"))
TOPIC, SHARED = "kill", 4
# Of each writer in each round; then the kill comes, whatever is in flight.
ACKS_BEFORE_KILL = 200
PATIENCE_S = 60

pytestmark = pytest.mark.managed


class Writer:
    """Sends numbered values without end; remembers where each acknowledged one lies."""

    def __init__(self, bootstrap, number):
        self.name = f"w{number}"
        self.partition = number
        self.idempotent = number % 2 == 0
        self.producer = Producer({
            "bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 1,
            "enable.idempotence": self.idempotent,
            # Without idempotence a retry may overtake what was sent after it.
            "max.in.flight.requests.per.connection": 5 if self.idempotent else 1,
            "delivery.timeout.ms": PATIENCE_S * 1000, "retry.backoff.ms": 20,
            "reconnect.backoff.ms": 10, "reconnect.backoff.max.ms": 100,
            "batch.num.messages": 50, "error_cb": self.note, "log_level": 0,
        })
        self.acked, self.failed, self.fatal = {}, [], []
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def note(self, error):
        if error.fatal():
            self.fatal.append(error)

    def delivered(self, error, message):
        if error is not None:
            self.failed.append(error)
        else:
            self.acked[message.partition(), message.offset()] = message.value()

    def run(self):
        number = 0
        while not self.ending.is_set() and not self.fatal:
            # Few enough in flight that a round is about kills, not about throughput.
            if len(self.producer) > 400:
                self.producer.poll(0.01)
                continue
            value = f"{self.name}:{number}".encode()
            partition = SHARED if number % 4 == 3 else self.partition
            self.producer.produce(TOPIC, value, partition=partition, on_delivery=self.delivered)
            self.producer.poll(0)
            number += 1
        self.left = self.producer.flush(PATIENCE_S)

    def finish(self):
        self.ending.set()
        self.thread.join(PATIENCE_S + 5)
        assert not self.thread.is_alive(), f"{self.name} hangs"
        assert not self.fatal and not self.failed, (self.name, self.fatal, self.failed[:3])
        assert self.left == 0, f"{self.name}: {self.left} records never answered"


def read_back(bootstrap):
    """-> {(partition, offset): value} of the whole topic"""
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False,
        "check.crcs": True,
    })
    found = {}
    for partition in range(SHARED + 1):
        low, high = consumer.get_watermark_offsets(TopicPartition(TOPIC, partition), timeout=30)
        assert low == 0
        consumer.assign([TopicPartition(TOPIC, partition, 0)])
        deadline = time.monotonic() + PATIENCE_S
        position = 0
        while position < high:
            assert time.monotonic() < deadline, f"partition {partition}: {position} of {high}"
            for message in consumer.consume(1000, timeout=0.5):
                assert message.error() is None, message.error()
                assert message.offset() == position, "a hole in the log"
                found[partition, position] = message.value()
                position += 1
    consumer.close()
    return found


def check(writers, found):
    for writer in writers:
        lost = [place for place, value in writer.acked.items() if found.get(place) != value]
        assert not lost, f"{writer.name}: {len(lost)} acknowledged records lost: {lost[:5]}"
        for partition in (writer.partition, SHARED):
            own = [int(value.split(b":")[1]) for (where, _), value in sorted(found.items())
                   if where == partition and value.startswith(writer.name.encode() + b":")]
            if writer.idempotent:
                assert len(own) == len(set(own)), f"{writer.name}: duplicates"
                assert own == sorted(own), f"{writer.name}: out of order in {partition}"
            else:
                # A retry may repeat what was stored but not acknowledged, in the order of sending.
                first = list(dict.fromkeys(own))
                assert first == sorted(first), f"{writer.name}: out of order in {partition}"


def test_kill_under_load(weir, connect):
    connect(weir).create_topic(TOPIC, SHARED + 1)
    writers = [Writer(weir.bootstrap, number) for number in range(SHARED)]
    back = []
    for _ in range(ROUNDS):
        goal = [len(writer.acked) + ACKS_BEFORE_KILL for writer in writers]
        deadline = time.monotonic() + PATIENCE_S
        while any(len(w.acked) < want and not w.fatal for w, want in zip(writers, goal)):
            assert time.monotonic() < deadline, [len(writer.acked) for writer in writers]
            time.sleep(0.005)
        weir.kill()
        start = time.monotonic()
        weir.start()
        back.append(time.monotonic() - start)
    for writer in writers:
        writer.finish()
    found = read_back(weir.bootstrap)
    check(writers, found)
    acked = sum(len(writer.acked) for writer in writers)
    assert acked >= ROUNDS * ACKS_BEFORE_KILL * len(writers)
    print(f"{ROUNDS} kills, {acked} acknowledged, 0 lost, back in {max(back):.3f} s at worst")
