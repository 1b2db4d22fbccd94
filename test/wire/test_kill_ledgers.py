"""kill -9 under receivers: what was settled stays settled, what was not is delivered, and counted.

Writers publish by HTTP (one by one, and in batches) and by Kafka. Receivers of two subscriptions,
one with short locks and few attempts and one whose locks outlive a restart, acknowledge, release,
reject, renew or forget what they get, by a seed. In the middle of it weir is killed and started
again, WIRE_KILLS rounds (10 by default). history.py says what must hold. A settle without an answer
is sent again with the same token until it has one.
"""

import base64
import http.client
import json
import os
import random
import threading
import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from history import DeadLetter, History, Settle

ROUNDS = int(os.environ.get("WIRE_KILLS", "10"))
SEED = int(os.environ.get("WIRE_SEED", random.randrange(1 << 32)))
TOPIC, PARTITIONS = "work", 4
SUBSCRIPTIONS = {"short": (0.1, 4), "long": (2.0, 10)}  # lock in s, attempts
RECEIVERS = 3  # of each
SETTLES_BEFORE_KILL = (10, 150)
BACKLOG = 300
PATIENCE_S = 60
RECEIVE_WAIT_S = 10  # the least that Event Grid knows
VERBS = {"acknowledge": 60, "release": 12, "reject": 6, "renewLock": 8, "forget": 14}

pytestmark = pytest.mark.managed


class Http:
    """One kept connection, which is opened again after a kill."""

    def __init__(self, weir):
        self.weir, self.conn = weir, None

    def open(self):
        deadline = time.monotonic() + PATIENCE_S
        while self.conn is None:
            conn = http.client.HTTPConnection(self.weir.host, self.weir.http_port, timeout=30)
            try:
                conn.connect()
                self.conn = conn
            except OSError:
                assert time.monotonic() < deadline, "weir does not come back"
                time.sleep(0.01)

    def call(self, method, path, body=None, headers=()):
        """-> (status, body), or None: no answer"""
        self.open()
        try:
            self.conn.request(method, path, body, dict(headers))
            answer = self.conn.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.conn.close()
            self.conn = None
            return None


class Worker(threading.Thread):
    """A thread that repeats `once` until it is told to end; what it raises fails the test."""

    def __init__(self, load, number):
        super().__init__(daemon=True)
        self.load, self.number = load, number
        self.name = f"{type(self).__name__}-{number}"
        self.random = random.Random(f"{SEED} {self.name}")
        self.failure = None

    def run(self):
        try:
            while not self.ending():
                self.once()
        except BaseException as failure:  # noqa: the main thread raises it
            self.failure = failure
            self.load.failed.set()


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


class KafkaWriter(Writer):
    def __init__(self, load, number):
        super().__init__(load, number)
        self.producer = Producer({
            "bootstrap.servers": load.weir.bootstrap, "enable.idempotence": True, "linger.ms": 1,
            "delivery.timeout.ms": PATIENCE_S * 1000, "retry.backoff.ms": 20,
            "reconnect.backoff.ms": 10, "reconnect.backoff.max.ms": 100, "log_level": 0,
            "error_cb": lambda error: None,
        })

    def delivered(self, error, message):
        assert error is None, error
        self.acked.add(json.loads(message.value())["name"])

    def send(self, name, partition):
        self.producer.produce(TOPIC, text_of(name), partition=partition,
                              on_delivery=self.delivered)

    def once(self):
        self.wait()
        for _ in range(self.random.randint(1, 10)):
            self.send(self.next_name(), self.random.randrange(PARTITIONS))
        assert self.producer.flush(PATIENCE_S) == 0


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


class Load:
    def __init__(self, weir):
        self.weir = weir
        self.draining, self.over, self.failed = (threading.Event() for _ in range(3))
        self.histories = {name: History(*conf) for name, conf in SUBSCRIPTIONS.items()}
        self.writers = [SingleWriter(self, 0), SingleWriter(self, 1), BatchWriter(self, 0),
                        KafkaWriter(self, 0)]
        self.receivers = [Receiver(self, number, name) for name in SUBSCRIPTIONS
                          for number in range(RECEIVERS)]
        for worker in self.writers + self.receivers:
            worker.start()

    def backlog(self):
        acked = sum(len(writer.acked) for writer in self.writers)
        return acked - min(len(h.settled | h.doubted) for h in self.histories.values())

    def settles(self):
        return sum(history.settles for history in self.histories.values())

    def wait(self, done, what):
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            if self.failed.is_set():
                raise next(w.failure for w in self.writers + self.receivers if w.failure)
            assert time.monotonic() < deadline, f"in vain: {what()}"
            time.sleep(0.005)

    def join(self, workers):
        for worker in workers:
            worker.join(PATIENCE_S)
            assert not worker.is_alive(), f"{worker.name} hangs"
            if worker.failure:
                raise worker.failure


def subscribe(weir):
    """The topic, and its subscriptions with their dead letters."""
    caller = Http(weir)
    documents = [{"kind": "Topic", "metadata": {"name": TOPIC}, "spec": {"partitions": PARTITIONS}}]
    for name, (lock_s, attempts) in SUBSCRIPTIONS.items():
        documents.append({"kind": "Subscription", "metadata": {"name": name}, "spec": {
            "topic": TOPIC, "start": "earliest", "lock": f"{int(lock_s * 1000)}ms",
            "deadLetter": f"dead-{name}", "retry": {"attempts": attempts}}})
    for document in documents:
        status, body = caller.call("POST", "/api/v1/apply", json.dumps(
            {"apiVersion": "weir/v1alpha1", **document}), {"Content-Type": "application/json"})
        assert status == 200, body


def read_all(weir, topic):
    """-> [(partition, offset, name, headers)]; nothing if there is no such topic"""
    consumer = Consumer({"bootstrap.servers": weir.bootstrap, "group.id": "unused",
                         "enable.auto.commit": False, "fetch.wait.max.ms": 10})
    found = []
    partitions = consumer.list_topics(timeout=30).topics
    for partition in sorted(partitions[topic].partitions) if topic in partitions else ():
        where = TopicPartition(topic, partition, 0)
        _, high = consumer.get_watermark_offsets(where, timeout=30)
        consumer.assign([where])
        position = 0
        deadline = time.monotonic() + PATIENCE_S
        while position < high:
            assert time.monotonic() < deadline, f"{topic} {partition}: {position} of {high}"
            for message in consumer.consume(1000, timeout=0.5):
                assert message.error() is None, message.error()
                headers = {key: value.decode() for key, value in message.headers() or ()}
                found.append((partition, message.offset(), json.loads(message.value())["name"],
                              headers))
                position = message.offset() + 1
    consumer.close()
    return found


def letters_of(weir, subscription):
    letters = []
    for _, _, name, headers in read_all(weir, f"dead-{subscription}"):
        about = {key.removeprefix("weir-dead-letter-"): value for key, value in headers.items()}
        assert about["subscription"] == subscription
        letters.append(DeadLetter(name, about["reason"], int(about["deliveries"]), (
            about["topic"], int(about["partition"]), int(about["offset"]))))
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
    names = {name for _, _, name, _ in read_all(load.weir, TOPIC)}
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
    last = KafkaWriter(load, "last")
    for partition in range(PARTITIONS):
        last.send(last.next_name(), partition)
    assert last.producer.flush(PATIENCE_S) == 0
    load.wait(lambda: all(last.acked <= history.settled | history.doubted
                          for history in load.histories.values()), lambda: "the last messages")
    load.over.set()
    load.weir.kill()  # which ends the receives that wait
    load.weir.start()
    load.join(load.receivers)


def test_kill_under_receivers(weir):
    print(f"WIRE_SEED={SEED}")
    subscribe(weir)
    load = Load(weir)
    kill_rounds(load)
    drain(load)
    log = {}
    for partition, offset, name, _ in read_all(weir, TOPIC):
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
