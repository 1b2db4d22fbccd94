"""kill -9 under receivers: what was settled stays settled, what was not is delivered, and counted.

Writers publish by HTTP (one by one, and in batches) and by Kafka. Receivers of two subscriptions,
one with short locks and few attempts and one whose locks outlive a restart, acknowledge, release,
reject, renew or forget what they get, by a seed. In the middle of it weir is killed and started
again, WIRE_KILLS rounds (10 by default). history.py says what must hold. A settle without an answer
is sent again with the same token until it has one.
"""

import base64
import json
import os
import random
import threading
import time

import pytest

import killing
from history import DeadLetter, History, Settle
from killing import PATIENCE_S, SEED, Http, KafkaWriter, Worker

ROUNDS = int(os.environ.get("WIRE_KILLS", "10"))
TOPIC, PARTITIONS = "work", 4
SUBSCRIPTIONS = {"short": (0.1, 4), "long": (2.0, 10)}  # lock in s, attempts
RECEIVERS = 3  # of each
SETTLES_BEFORE_KILL = (10, 150)
BACKLOG = 300
RECEIVE_WAIT_S = 10  # the least that Event Grid knows
VERBS = {"acknowledge": 60, "release": 12, "reject": 6, "renewLock": 8, "forget": 14}

pytestmark = pytest.mark.managed


def text_of(name):
    """The data of a message: by it a message is known again, and seen to be whole."""
    return json.dumps({"name": name, "fill": name * (len(name) % 7)})


def name_of(event):
    data = event.get("data")
    if "data_base64" in event:
        data = json.loads(base64.b64decode(event["data_base64"]))
    if isinstance(data, str):
        data = json.loads(data)
    assert json.dumps(data) == text_of(data["name"]), event
    return data["name"]


# ---- writers


class Writer(Worker):
    def __init__(self, load, number):
        super().__init__(load, number)
        self.sent = 0
        self.acked = set()

    def ending(self):
        return self.load.draining.is_set()

    def wait(self):
        """Not too far ahead of the receivers."""
        while self.load.backlog() > BACKLOG and not self.ending():
            time.sleep(0.002)

    def next_name(self):
        self.sent += 1
        return f"{self.name}:{self.sent}"


class SingleWriter(Writer):
    def __init__(self, load, number):
        super().__init__(load, number)
        self.http = Http(load.weir)

    def once(self):
        self.wait()
        name = self.next_name()
        headers = {"ce-specversion": "1.0", "ce-id": name, "ce-type": "t", "ce-source": "/w",
                   "Content-Type": "application/json"}
        partition = self.random.randrange(PARTITIONS)
        answer = self.http.call("POST", f"/topics/{TOPIC}?partition={partition}", text_of(name),
                                headers)
        if answer and answer[0] == 202:
            self.acked.add(name)


class BatchWriter(SingleWriter):
    def once(self):
        self.wait()
        names = [self.next_name() for _ in range(self.random.randint(1, 20))]
        events = [{"specversion": "1.0", "id": name, "type": "t", "source": "/w",
                   "partitionkey": str(self.random.randrange(100)),
                   "data": json.loads(text_of(name))} for name in names]
        answer = self.http.call("POST", f"/topics/{TOPIC}", json.dumps(events),
                                {"Content-Type": "application/cloudevents-batch+json"})
        if answer and answer[0] in (200, 202):
            self.acked.update(names)


class RecordWriter(Writer):
    """Over Kafka's protocol."""

    def __init__(self, load, number):
        super().__init__(load, number)
        self.kafka = KafkaWriter(load.weir, TOPIC)

    def once(self):
        self.wait()
        names = [self.next_name() for _ in range(self.random.randint(1, 10))]
        for name in names:
            self.kafka.send(text_of(name), partition=self.random.randrange(PARTITIONS))
        self.kafka.flush()
        self.acked.update(names)


# ---- receivers


class Receiver(Worker):
    def __init__(self, load, number, subscription):
        super().__init__(load, f"{subscription}-{number}")
        self.history = load.histories[subscription]
        self.path = f"/topics/{TOPIC}/eventsubscriptions/{subscription}"
        self.http = Http(load.weir)

    def ending(self):
        return self.load.over.is_set()

    def receive(self):
        begun = time.monotonic()
        answer = self.http.call("POST", f"{self.path}:receive?maxEvents="
                                f"{self.random.randint(1, 20)}&maxWaitTime={RECEIVE_WAIT_S}")
        ended = time.monotonic()
        if answer is None:
            self.history.unanswered(begun, ended)
            return []
        if answer[0] == 503:
            return []
        assert answer[0] == 200, answer
        return [self.history.received(
            name_of(one["event"]), one["brokerProperties"]["deliveryCount"],
            one["brokerProperties"]["lockToken"], begun, ended)
            for one in json.loads(answer[1])["value"]]

    def try_settle(self, verb, deliveries):
        """-> whether there was an answer"""
        query = "?releaseDelayInSeconds=0" if verb == "release" else ""
        body = json.dumps({"lockTokens": [delivery.token for delivery in deliveries]})
        begun = time.monotonic()
        answer = self.http.call("POST", f"{self.path}:{verb}{query}", body,
                                {"Content-Type": "application/json"})
        ended = time.monotonic()
        if answer is not None and answer[0] == 503:
            return False
        assert answer is None or answer[0] == 200, answer
        result = json.loads(answer[1]) if answer else {}
        for failed in result.get("failedLockTokens", ()):
            assert failed["error"]["code"] == "TokenLost", failed
        good = set(result.get("succeededLockTokens", ()))
        for delivery in deliveries:
            taken = delivery.token in good if answer else None
            self.history.tried(delivery, Settle(verb, begun, ended, taken))
        return answer is not None

    def settle(self, verb, deliveries):
        deadline = time.monotonic() + PATIENCE_S
        while not self.try_settle(verb, deliveries):
            assert time.monotonic() < deadline, "no settle is answered"

    def plan(self, deliveries):
        """-> {verb: deliveries}"""
        if self.load.draining.is_set():
            return {"acknowledge": deliveries}
        plan = {}
        for delivery in deliveries:
            verb = self.random.choices(list(VERBS), list(VERBS.values()))[0]
            plan.setdefault(verb, []).append(delivery)
        return plan

    def once(self):
        deliveries = self.receive()
        plan = self.plan(deliveries)
        plan.pop("forget", None)
        for verb, some in plan.items():
            if some:
                self.settle(verb, some)
        if plan.get("renewLock"):
            self.settle("acknowledge", plan["renewLock"])
        if deliveries and self.random.random() < 0.1:  # tokens that are used up by now
            self.settle("acknowledge", deliveries)


# ---- the whole


class Load(killing.Load):
    def __init__(self, weir):
        super().__init__(weir)
        self.draining, self.over = threading.Event(), threading.Event()
        self.histories = {name: History(*conf) for name, conf in SUBSCRIPTIONS.items()}
        self.writers, self.receivers = [], []

    def begin(self):
        self.writers = self.start([SingleWriter(self, 0), SingleWriter(self, 1),
                                   BatchWriter(self, 0), RecordWriter(self, 0)])
        self.receivers = self.start([Receiver(self, number, name) for name in SUBSCRIPTIONS
                                     for number in range(RECEIVERS)])

    def backlog(self):
        acked = sum(len(writer.acked) for writer in self.writers)
        return acked - min(len(h.settled | h.doubted) for h in self.histories.values())

    def settles(self):
        return sum(history.settles for history in self.histories.values())


def subscribe(weir):
    """The topic, and its subscriptions with their dead letters."""
    killing.apply(weir, "Topic", TOPIC, partitions=PARTITIONS)
    for name, (lock_s, attempts) in SUBSCRIPTIONS.items():
        killing.apply(weir, "Subscription", name, topic=TOPIC, start="earliest",
                      lock=f"{int(lock_s * 1000)}ms", deadLetter=f"dead-{name}",
                      retry={"attempts": attempts})


def read_names(weir):
    """-> [(partition, offset, name)] of the topic"""
    return [(partition, offset, json.loads(value)["name"])
            for partition, offset, value, _ in killing.read_all(weir, TOPIC)]


def letters_of(weir, subscription):
    letters = []
    for value, about in killing.letters_of(weir, f"dead-{subscription}"):
        assert about["subscription"] == subscription
        place = about["topic"], int(about["partition"]), int(about["offset"])
        letters.append(DeadLetter(json.loads(value)["name"], about["reason"],
                                  int(about["deliveries"]), place))
    return letters


def kill_rounds(load):
    for number in range(ROUNDS):
        choose = random.Random(f"{SEED} kill {number}")
        goal = load.settles() + choose.randint(*SETTLES_BEFORE_KILL)
        load.wait(lambda goal=goal: load.settles() >= goal, load.settles)
        time.sleep(choose.random() * 0.02)
        load.weir.kill()
        load.weir.start()


def drain(load):
    """Everything is settled; and what stands behind it in each partition comes last."""
    load.draining.set()
    load.join(load.writers)
    names = {name for _, _, name in read_names(load.weir)}
    dead = {}

    def missing():
        return {sub: sorted(names - history.settled - history.doubted - dead.get(sub, set()))[:5]
                for sub, history in load.histories.items()}

    def done():
        for subscription in SUBSCRIPTIONS:
            dead[subscription] = {letter.message for letter in letters_of(load.weir, subscription)}
        return not any(missing().values())

    load.wait(done, missing)
    load.weir.kill()
    load.weir.start()
    kafka, last = KafkaWriter(load.weir, TOPIC), {f"last:{n}" for n in range(PARTITIONS)}
    for partition, name in enumerate(sorted(last)):
        kafka.send(text_of(name), partition=partition)
    kafka.flush()
    load.wait(lambda: all(last <= history.settled | history.doubted
                          for history in load.histories.values()), lambda: "the last messages")
    load.over.set()
    load.weir.kill()  # which ends the receives that wait
    load.weir.start()
    load.join(load.receivers)


def test_kill_under_receivers(weir):
    print(f"WIRE_SEED={SEED}")
    subscribe(weir)
    load = Load(weir)
    load.begin()
    kill_rounds(load)
    drain(load)
    log = {}
    for partition, offset, name in read_names(weir):
        assert name not in log, f"{name} is stored twice"
        log[name] = (TOPIC, partition, offset)
    for writer in load.writers:
        assert writer.acked <= set(log), f"{writer.name}: {sorted(writer.acked - set(log))[:5]}"
    for subscription, history in load.histories.items():
        letters = letters_of(weir, subscription)
        history.check(log, letters)
        print(f"{subscription}: {len(log)} messages, "
              f"{sum(map(len, history.deliveries.values()))} deliveries, "
              f"{len(letters)} dead letters, {len(history.lost)} receives without an answer")
