"""kill -9 under deliveries: to an endpoint, to one in order, and into a topic.

The endpoints answer most events with 200, some with an error, a reset or late, by a seed; weir is
killed and started again in the middle of it, WIRE_KILLS rounds (10 by default). Then:

  - each event that was stored has had a success, or is one dead letter;
  - what comes again after a success is one of the calls that were under way at a kill;
  - attempts are counted up, over kills too;
  - in order: an event of a key is called for when those before it are done with;
  - the topic's copies are those events, each once.
"""

import collections
import os
import random
import threading
import time

import pytest

import hooks
import killing
from killing import SEED, KafkaWriter, Worker

ROUNDS = int(os.environ.get("WIRE_KILLS", "10"))
TOPIC, PARTITIONS, KEYS = "work", 2, 12
CONCURRENCY, ATTEMPTS = 6, 8
BACKLOG = 150
CALLS_BEFORE_KILL = (10, 120)
# action: how often. Few enough failures that no breaker opens.
ACTIONS = {200: 84, "late": 6, 500: 4, "reset": 2, "close": 2, 400: 2}
REFUSED = 400
SUCCESSES = (200, "late")
LATE_S = 0.03

pytestmark = [pytest.mark.managed, pytest.mark.weir_only]

# A request as the endpoint saw it. answered: when a success was told; None: it was not.
Call = collections.namedtuple("Call", "name attempt action begun answered")


class Endpoint(hooks.Hook):
    def __init__(self, name):
        self.random = random.Random(f"{SEED} {name}")
        self.calls = []
        self.quiet = False  # all is a success from now on
        super().__init__()

    def action_of(self, path, name, headers):
        with self.lock:
            action = self.random.choices(list(ACTIONS), list(ACTIONS.values()))[0]
            return Call(name, int(headers["weir-delivery"]), 200 if self.quiet else action,
                        time.monotonic(), None)

    def act(self, conn, action):
        call, answered = action, None
        if call.action == "late":
            time.sleep(LATE_S)
        try:
            return super().act(conn, 200 if call.action in SUCCESSES else call.action)
        finally:
            answered = time.monotonic() if call.action in SUCCESSES else None
            with self.lock:
                self.calls.append(call._replace(answered=answered))

    def done(self):
        with self.lock:
            return {call.name for call in self.calls if call.answered}

    def by_name(self):
        """{name: calls in order}"""
        found = collections.defaultdict(list)
        with self.lock:
            for call in sorted(self.calls, key=lambda call: call.begun):
                found[call.name].append(call)
        return found


class Writer(Worker):
    """Names each event KEY:NUMBER; by KEY it has its partition, and its place in the order."""

    def __init__(self, load, number):
        super().__init__(load, number)
        self.kafka = KafkaWriter(load.weir, TOPIC)
        self.sent = 0

    def ending(self):
        return self.load.draining.is_set()

    def send(self):
        self.sent += 1
        key = self.random.randrange(KEYS)
        self.kafka.send(f"{key}:{self.sent}", key=str(key))

    def once(self):
        if len(self.kafka.acked) - self.load.least_done() > BACKLOG:
            time.sleep(0.002)
            return
        for _ in range(self.random.randint(1, 10)):
            self.send()
        self.kafka.flush()


class Load(killing.Load):
    def __init__(self, weir):
        super().__init__(weir)
        self.draining = threading.Event()
        self.plain, self.ordered = Endpoint("plain"), Endpoint("ordered")
        self.endpoints = {"plain": self.plain, "ordered": self.ordered}
        self.kills = []
        self.writer = None

    def least_done(self):
        return min(len(endpoint.done()) for endpoint in self.endpoints.values())

    def calls(self):
        return sum(len(endpoint.calls) for endpoint in self.endpoints.values())

    def kill(self):
        self.weir.kill()
        for endpoint in self.endpoints.values():
            endpoint.await_end()
        self.kills.append(time.monotonic())
        self.weir.start()


def subscribe(load):
    weir = load.weir
    killing.apply(weir, "Topic", TOPIC, partitions=PARTITIONS)
    killing.apply(weir, "Topic", "copies", partitions=PARTITIONS)
    retry = {"attempts": ATTEMPTS, "backoff": "fixed", "first": "10ms", "max": "10ms"}
    for name, endpoint in load.endpoints.items():
        killing.apply(weir, "Subscription", name, topic=TOPIC, start="earliest", retry=retry,
                      ordering="key" if name == "ordered" else "none", deadLetter=f"dead-{name}",
                      deliver={"url": endpoint.url(f"/{name}"), "concurrency": CONCURRENCY})
    killing.apply(weir, "Subscription", "copy", topic=TOPIC, start="earliest",
                  deliver={"topic": "copies"})


def values_of(weir, topic):
    return [value.decode() for _, _, value, _ in killing.read_all(weir, topic)]


def dead_of(weir, subscription):
    """{name: what its dead letter says}"""
    letters = killing.letters_of(weir, f"dead-{subscription}")
    names = collections.Counter(value.decode() for value, _ in letters)
    assert not [name for name, n in names.items() if n > 1], "a dead letter came twice"
    return {value.decode(): about for value, about in letters}


def drain(load):
    """Until all that is stored is done with; then once more, behind a kill."""
    load.draining.set()
    load.join([load.writer])
    load.wait(lambda: not missing(load), lambda: missing(load))
    load.kill()
    for endpoint in load.endpoints.values():
        endpoint.quiet = True
    for key in range(KEYS):
        load.writer.kafka.send(f"{key}:{load.writer.sent + 1}", key=str(key))
    load.writer.kafka.flush()
    load.wait(lambda: not missing(load), lambda: missing(load))


def missing(load):
    names = set(values_of(load.weir, TOPIC))
    left = {name: sorted(names - endpoint.done() - set(dead_of(load.weir, name)))[:5]
            for name, endpoint in load.endpoints.items()}
    left["copies"] = sorted(names - set(values_of(load.weir, "copies")))[:5]
    return {name: some for name, some in left.items() if some}


# ---- rules


def check_again(calls, kills):
    """What came after a success belongs to a kill, and a kill had few calls under way."""
    again = collections.Counter()
    for one in calls.values():
        for call, later in zip(one, one[1:]):
            if call.answered is not None:
                between = [kill for kill in kills if call.begun < kill < later.begun]
                assert between, f"it came again after a success: {one}"
                again[between[0]] += 1
    assert all(n <= CONCURRENCY for n in again.values()), again
    return sum(again.values())


def check_attempts(calls, kills):
    """A connection that ends without an answer may bring the same attempt once more."""
    for one in calls.values():
        for call, later in zip(one, one[1:]):
            resent = call.action in ("reset", "close") and later.attempt == call.attempt
            assert later.attempt > call.attempt or resent, one
            between = sum(1 for kill in kills if call.begun < kill < later.begun)
            assert later.attempt <= call.attempt + 1 + between, f"attempts are left out: {one}"


def check_letters(calls, dead):
    for name, about in dead.items():
        last = calls[name][-1]
        if about["reason"] == "refused":
            assert last.action == REFUSED, (last, about)
            assert int(about["deliveries"]) == last.attempt, (last, about)
        else:
            assert about["reason"] == "max-deliveries", about
            assert int(about["deliveries"]) == ATTEMPTS, (last, about)
        assert not last.answered, f"dead and done: {calls[name]}"


def check_order(endpoint):
    """The names of a key's calls, each once, go up."""
    last = {}
    for call in sorted(endpoint.calls, key=lambda call: call.begun):
        key, number = (int(part) for part in call.name.split(":"))
        assert last.get(key, 0) <= number, f"out of order: {call} after {key}:{last[key]}"
        last[key] = number


def test_kill_under_deliveries(weir):
    print(f"WIRE_SEED={SEED}")
    load = Load(weir)
    subscribe(load)
    load.writer, = load.start([Writer(load, 0)])
    for number in range(ROUNDS):
        choose = random.Random(f"{SEED} kill {number}")
        goal = load.calls() + choose.randint(*CALLS_BEFORE_KILL)
        load.wait(lambda goal=goal: load.calls() >= goal, load.calls)
        time.sleep(choose.random() * 0.02)
        load.kill()
    drain(load)
    weir.stop()
    for endpoint in load.endpoints.values():
        endpoint.close()
    weir.start()
    stored = values_of(weir, TOPIC)
    assert {value.decode() for value in load.writer.kafka.acked} == set(stored)
    assert sorted(values_of(weir, "copies")) == sorted(stored), "the copies are others"
    check_order(load.ordered)
    for name, endpoint in load.endpoints.items():
        calls, dead = endpoint.by_name(), dead_of(weir, name)
        assert set(calls) == set(stored)
        assert set(stored) == endpoint.done() | set(dead), "lost"
        check_letters(calls, dead)
        check_attempts(calls, load.kills)
        again = check_again(calls, load.kills)
        print(f"{name}: {len(stored)} events, {len(endpoint.calls)} calls, {again} again after a "
              f"success and a kill, {len(dead)} dead letters")
