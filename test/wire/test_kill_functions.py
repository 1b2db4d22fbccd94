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
        if len(self.kafka.acked) - self.load.called() > BACKLOG:
            time.sleep(0.002)
            return
        for _ in range(self.random.randint(1, 20)):
            self.sent += 1
            key = self.random.randrange(KEYS)
            word = "poison " if self.random.randrange(POISON_ONE_IN) == 0 else ""
            self.kafka.send(f"{word}{key}:{self.sent}", key=str(key))
        self.kafka.flush()


class Load(killing.Load):
    def __init__(self, weir):
        super().__init__(weir)
        self.draining = threading.Event()
        self.log = weir.folder / "calls"
        self.log.touch()

    def called(self):
        """Events that were called for, about: those of retries too."""
        return self.log.stat().st_size // 20

    def kill(self):
        self.weir.kill()
        self.weir.start()


def subscribe(load):
    weir = load.weir
    for topic in (TOPIC, "answers"):
        killing.apply(weir, "Topic", topic, partitions=PARTITIONS)
    killing.apply(weir, "Function", "answer", command=[sys.executable, str(WORKER)],
                  protocol="cloudevents-batch", batch={"events": 16},
                  env={"CRASH": str(CRASH_ONE_IN), "CALLS": str(load.log)},
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


def check_calls(log):
    """Offsets of a partition go up by one, or back to what was not settled yet."""
    following = collections.defaultdict(int)
    for line in log.read_text().splitlines():
        partition, offset, _, _ = line.split(" ", 3)
        assert int(offset) <= following[partition], f"left out: {line}, not {following[partition]}"
        following[partition] = max(following[partition], int(offset) + 1)


def test_kill_under_functions(weir):
    print(f"WIRE_SEED={SEED}")
    load = Load(weir)
    subscribe(load)
    writer, = load.start([Writer(load, 0)])
    for number in range(ROUNDS):
        choose = random.Random(f"{SEED} kill {number}")
        goal = load.called() + choose.randint(50, 400)
        load.wait(lambda goal=goal: load.called() >= goal, load.called)
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
    check_calls(load.log)
    print(f"{len(stored)} events, {load.called()} called for, {len(dead)} dead letters")
