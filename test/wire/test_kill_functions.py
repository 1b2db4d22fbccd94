"""kill -9 under functions: of weir, and of workers in the middle of calls, WIRE_KILLS rounds (4 by
default). A function answers each event of a topic with one, in order of its partitions. Then:

  - each event that was stored is answered once, or is one dead letter: no reply without its settle,
    no settle without its reply;
  - the answers of a key are in the order of its events;
  - a partition's events are called for in order: what was called for again begins where order had
    got to, and nothing is left out.
"""

import collections
import os
import random
import sys
import threading
import time

import pytest

import broker
import killing
from killing import SEED, KafkaWriter, Worker

ROUNDS = int(os.environ.get("WIRE_KILLS", "4"))
TOPIC, PARTITIONS, KEYS = "work", 3, 12
BACKLOG = 400
POISON_ONE_IN, CRASH_ONE_IN = 200, 150
WORKER = broker.REPOSITORY / "test" / "wire" / "reply_worker.py"

pytestmark = [pytest.mark.managed, pytest.mark.weir_only]


class Writer(Worker):
    """Names each event KEY:NUMBER, some of them with poison."""

    def __init__(self, load, number):
        super().__init__(load, number)
        self.kafka = KafkaWriter(load.weir, TOPIC)
        self.sent = 0

    def ending(self):
        return self.load.draining.is_set()

    def once(self):
        if len(self.kafka.acked) - self.load.calls.events() > BACKLOG:
            time.sleep(0.002)
            return
        for _ in range(self.random.randint(1, 20)):
            self.sent += 1
            key = self.random.randrange(KEYS)
            word = "poison " if self.random.randrange(POISON_ONE_IN) == 0 else ""
            self.kafka.send(f"{word}{key}:{self.sent}", key=str(key))
        self.kafka.flush()


class Calls:
    """The workers' log of events that they were called with, read as it grows."""

    def __init__(self, path):
        self.path, self.read = path, 0
        self.following = collections.Counter()  # by partition: the event behind those called for
        self.lock = threading.Lock()
        path.touch()

    def events(self):
        """How many were called for by now. Offsets of a partition go up by one, or back to what was
        not settled yet."""
        with self.lock, open(self.path, "rb") as file:
            file.seek(self.read)
            whole = file.read().rpartition(b"\n")[0]
            self.read += len(whole) + 1 if whole else 0
            for line in whole.decode().splitlines():
                partition, offset, _, _ = line.split(" ", 3)
                next_one = self.following[partition]
                assert int(offset) <= next_one, f"left out: {line}, not {next_one}"
                self.following[partition] = max(next_one, int(offset) + 1)
            return self.following.total()


class Load(killing.Load):
    def __init__(self, weir):
        super().__init__(weir)
        self.draining = threading.Event()
        self.calls = Calls(weir.folder / "calls")

    def kill(self):
        self.weir.kill()
        self.weir.start()


def subscribe(load):
    weir = load.weir
    for topic in (TOPIC, "answers"):
        killing.apply(weir, "Topic", topic, partitions=PARTITIONS)
    killing.apply(weir, "Function", "answer", command=[sys.executable, str(WORKER)],
                  protocol="cloudevents-batch", batch={"events": 16},
                  env={"CRASH": str(CRASH_ONE_IN), "CALLS": str(load.calls.path)},
                  workers={"max": 2, "restart": {"first": "10ms", "max": "50ms"}})
    killing.apply(weir, "Subscription", "answers", topic=TOPIC, start="earliest",
                  ordering="partition", deadLetter="dead", deliver={"function": "answer"},
                  retry={"attempts": 100, "backoff": "fixed", "first": "5ms", "max": "5ms"},
                  reply={"topic": "answers"})


def values_of(weir, topic):
    return [value.decode() for _, _, value, _ in killing.read_all(weir, topic)]


def missing(load):
    done = set(values_of(load.weir, "answers")) | set(values_of(load.weir, "dead"))
    return sorted(set(values_of(load.weir, TOPIC)) - done)[:5]


def check_once(names):
    twice = [name for name, n in collections.Counter(names).items() if n > 1]
    assert not twice, f"twice: {twice[:5]}"


def check_order(answers):
    last = {}
    for name in answers:
        key, number = (int(part) for part in name.split(":"))
        assert last.get(key, 0) < number, f"out of order: {name} behind {key}:{last[key]}"
        last[key] = number


def test_kill_under_functions(weir):
    print(f"WIRE_SEED={SEED}")
    load = Load(weir)
    subscribe(load)
    writer, = load.start([Writer(load, 0)])
    for number in range(ROUNDS):
        choose = random.Random(f"{SEED} kill {number}")
        goal = load.calls.events() + choose.randint(50, 400)
        load.wait(lambda goal=goal: load.calls.events() >= goal, load.calls.events)
        time.sleep(choose.random() * 0.02)
        load.kill()
    load.draining.set()
    load.join([writer])
    load.wait(lambda: not missing(load), lambda: missing(load))
    load.kill()
    stored, answers = values_of(weir, TOPIC), values_of(weir, "answers")
    dead = values_of(weir, "dead")
    assert {value.decode() for value in writer.kafka.acked} == set(stored)
    check_once(answers + dead)
    assert sorted(answers + dead) == sorted(stored), "lost, or made up"
    assert all(name.startswith("poison") for name in dead), dead[:5]
    check_order(answers)
    assert load.calls.events() == len(stored), "answered, but not called for"
    print(f"{len(stored)} events, {len(dead)} dead letters")
