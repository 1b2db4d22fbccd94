"""What the tests share that kill weir under load: connections that come back, threads whose failure
fails the test, and what is in a topic at the end.
"""

import http.client
import json
import os
import random
import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition

SEED = int(os.environ.get("WIRE_SEED", random.randrange(1 << 32)))
PATIENCE_S = 60


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
    """Repeats `once` until `ending`. `load` is what the threads of a test share: load.failed is set
    when one of them raises, and Load.wait raises it in the test's own thread."""

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


class Load:
    """weir, and those who work with it."""

    def __init__(self, weir):
        self.weir, self.workers = weir, []
        self.failed = threading.Event()

    def start(self, workers):
        self.workers += workers
        for worker in workers:
            worker.start()
        return workers

    def wait(self, done, what):
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            if self.failed.is_set():
                raise next(worker.failure for worker in self.workers if worker.failure)
            assert time.monotonic() < deadline, f"in vain: {what()}"
            time.sleep(0.005)

    def join(self, workers):
        for worker in workers:
            worker.join(PATIENCE_S)
            assert not worker.is_alive(), f"{worker.name} hangs"
            if worker.failure:
                raise worker.failure


class KafkaWriter:
    """An idempotent producer, which goes on by itself after a kill."""

    def __init__(self, weir, topic):
        self.topic, self.acked = topic, []
        self.producer = Producer({
            "bootstrap.servers": weir.bootstrap, "enable.idempotence": True, "linger.ms": 1,
            "delivery.timeout.ms": PATIENCE_S * 1000, "retry.backoff.ms": 20,
            "reconnect.backoff.ms": 10, "reconnect.backoff.max.ms": 100, "log_level": 0,
            "error_cb": lambda error: None,
        })

    def delivered(self, error, message):
        assert error is None, error
        self.acked.append(message.value())

    def send(self, value, **where):
        self.producer.produce(self.topic, value, on_delivery=self.delivered, **where)

    def flush(self):
        """All that was sent is acknowledged."""
        assert self.producer.flush(PATIENCE_S) == 0


def apply(weir, kind, name, **spec):
    document = {"apiVersion": "weir/v1alpha1", "kind": kind, "metadata": {"name": name},
                "spec": spec}
    status, body = Http(weir).call("POST", "/api/v1/apply", json.dumps(document),
                                   {"Content-Type": "application/json"})
    assert status == 200, body


def read_all(weir, topic):
    """-> [(partition, offset, value, headers)]; nothing if there is no such topic"""
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
                found.append((partition, message.offset(), message.value(), headers))
                position = message.offset() + 1
    consumer.close()
    return found


LETTER = "weir-dead-letter-"


def letters_of(weir, topic):
    """-> [(value, {what: text})] of the dead letters in a topic"""
    return [(value, {key.removeprefix(LETTER): text for key, text in headers.items()
                     if key.startswith(LETTER)})
            for _, _, value, headers in read_all(weir, topic)]
