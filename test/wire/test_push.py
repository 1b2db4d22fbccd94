"""Deliveries to endpoints that fail in every way, on real sockets: nothing is lost, nothing comes
again after a success, dead letters are complete.

Nothing here measures time: the waits of the retries are short, and what is awaited is awaited.
Each way of failing has an endpoint (a path) of its own, since ten failures in a row put an endpoint
on probation.
"""

import json
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

import broker
import hooks

pytestmark = [pytest.mark.managed, pytest.mark.weir_only]

ATTEMPTS = 3
EVENTS = 2  # of each kind: fewer failures in a row than make a probation
PATIENCE_S = 60

# kind -> the actions of its first attempts; then 200
RECOVERS = {
    "ok": [],
    "created": [201],
    "no-content": [204],
    "odd-success": [299],
    "continue": ["continue"],
    "server-error": [500],
    "bad-gateway": [502, 504],
    "unavailable": ["busy"],
    "not-found": [404],
    "timeout": [408],
    "conflict": [409],
    "too-many": [429],
    "moved": ["redirect"],
    "moved-for-good": [301, 308],
    "own-code": [799],
    "reset": ["reset"],
    "close": ["close", "close"],
    "silent": ["silent"],
    "slow-body": ["slow body"],
    "cut-body": ["cut body"],
    "garbage": ["garbage"],
    "mixed": ["reset", 500],
}
SUCCESSES = {"created", "no-content", "odd-success", "continue"}  # the first attempt is taken
# kind -> (actions, attempts, reason, outcome)
DIES = {
    "bad-request": ([400], 1, "refused", "BadRequest"),
    "unauthorized": ([401], 1, "refused", "Unauthorized"),
    "forbidden": ([403], 1, "refused", "Forbidden"),
    "gone": ([410], 1, "refused", "Disabled"),
    "too-large": ([413], 1, "refused", "PayloadTooLarge"),
    "unprocessable": ([422], 1, "refused", "BadRequest"),
    "always-500": ([500] * 9, ATTEMPTS, "max-deliveries", "Busy"),
    "always-reset": (["reset"] * 9, ATTEMPTS, "max-deliveries", "SocketError"),
    "always-silent": (["silent"] * 9, ATTEMPTS, "max-deliveries", "TimedOut"),
    "always-moved": (["redirect"] * 9, ATTEMPTS, "max-deliveries", "Aborted"),
}


class Api:
    """Declares resources, as `weir apply` does."""

    def __init__(self, weir):
        self.weir = weir

    def call(self, method, path, document=None):
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(self.weir.http + path, data=body, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def apply(self, kind, name, **spec):
        document = {"apiVersion": "weir/v1alpha1", "kind": kind, "metadata": {"name": name},
                    "spec": spec}
        status, text = self.call("POST", "/api/v1/apply", document)
        assert status == 200, text

    def topic(self, name):
        self.apply("Topic", name, partitions=1)

    def push(self, topic, url, name="push", deliver=None, **more):
        self.apply("Subscription", name, topic=topic, deliver={"url": url, **(deliver or {})},
                   **more)


@pytest.fixture
def api(weir):
    return Api(weir)


@pytest.fixture
def hook():
    opened = []

    def open_one(*args, **more):
        opened.append(hooks.Hook(*args, **more))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def publish(weir, topic, names):
    producer = Producer({"bootstrap.servers": weir.bootstrap, "acks": "all", "linger.ms": 1})
    failed = []
    for name in names:
        producer.produce(topic, value=name.encode(), key=name.encode(),
                         on_delivery=lambda error, _: error and failed.append(error))
    producer.flush(PATIENCE_S)
    assert not failed, failed


def read(weir, topic, count):
    """count records of the topic, as (value, {header: text})."""
    consumer = Consumer({"bootstrap.servers": weir.bootstrap, "group.id": "dead-letters",
                         "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found, deadline = [], time.monotonic() + PATIENCE_S
    while len(found) < count:
        assert time.monotonic() < deadline, f"{topic}: {len(found)} of {count}"
        message = consumer.poll(0.2)
        if message is not None and not message.error():
            headers = {name: value.decode() for name, value in message.headers() or []}
            found.append((message.value().decode(), headers))
    consumer.close()
    return found


def names_of(kind):
    return [f"{kind}-{number}" for number in range(EVENTS)]


RETRY = {"attempts": ATTEMPTS, "backoff": "fixed", "first": "20ms", "max": "20ms"}


def subscribe(api, kind, url):
    api.topic(kind)
    api.topic(f"{kind}.dead")
    api.push(kind, url, deliver={"timeout": "300ms"}, retry=RETRY, deadLetter=f"{kind}.dead",
             start="earliest")


def test_every_way_to_fail(weir, api, hook):
    scripts = {name: actions for kind, actions in RECOVERS.items() for name in names_of(kind)}
    scripts |= {name: actions for kind, (actions, *_) in DIES.items() for name in names_of(kind)}
    one = hook(scripts)
    kinds = [*RECOVERS, *DIES]
    for kind in kinds:
        subscribe(api, kind, one.url(f"/{kind}"))
    for kind in kinds:
        publish(weir, kind, names_of(kind))
    for kind, (actions, attempts, reason, outcome) in DIES.items():
        letters = read(weir, f"{kind}.dead", EVENTS)
        assert sorted(value for value, _ in letters) == names_of(kind)
        for _, headers in letters:
            assert headers["weir-dead-letter-reason"] == reason, kind
            assert headers["weir-dead-letter-outcome"] == outcome, kind
            assert headers["weir-dead-letter-deliveries"] == str(attempts), kind
            assert headers["weir-dead-letter-topic"] == kind
        for name in names_of(kind):
            assert one.deliveries_of(name) == set(range(1, attempts + 1)), name
            assert set(one.of(name)) == set(actions), name
    one.await_seen(lambda seen: all(
        len([1 for _, name, _, _ in seen if name == wanted]) == expected_attempts(kind)
        for kind in RECOVERS for wanted in names_of(kind)))
    # What came after is not awaited by anything but this: one more event a kind, then no more.
    for kind in RECOVERS:
        publish(weir, kind, [f"{kind}-last"])
    one.await_names([f"{kind}-last" for kind in RECOVERS])
    for kind in RECOVERS:
        for name in names_of(kind):
            assert len(one.of(name)) == expected_attempts(kind), (name, one.of(name))
    assert not [path for path, *_ in one.seen if path == "/trap"]
    assert_metrics(weir)


def expected_attempts(kind):
    return 1 if kind in SUCCESSES else len(RECOVERS[kind]) + 1


def assert_metrics(weir):
    with urllib.request.urlopen(weir.http + "/metrics", timeout=10) as answer:
        page = answer.read().decode()
    values = {}
    for line in page.splitlines():
        if line.startswith("weir_push_"):
            name, _, value = line.rpartition(" ")
            values[name] = float(value)
    assert values['weir_push_events_total{outcome="BadRequest"}'] == 3 * EVENTS  # 400, 409, 422
    assert values['weir_push_events_total{outcome="Delivered"}'] >= EVENTS * len(RECOVERS)
    assert values["weir_push_call_seconds_count"] == sum(
        value for name, value in values.items() if name.startswith("weir_push_calls_total"))


def test_endless_bodies_are_a_success(weir, api, hook):
    one = hook({"a": ["endless body"]})
    subscribe(api, "endless", one.url("/endless"))
    publish(weir, "endless", ["a", "b"])
    one.await_names(["a", "b"])
    publish(weir, "endless", ["c"])
    one.await_names(["c"])
    assert one.of("a") == ["endless body"]


def certificate(folder, name):
    path = folder / f"{name}.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1",
                    "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True)
    with open(path, "ab") as both:
        both.write((folder / f"{name}.pem.crt").read_bytes())
    return path


def test_bad_tls_is_never_trusted(weir, api, hook, tmp_path):
    unknown = hook(certificate=certificate(tmp_path, "unknown"))
    plain = hook()
    subscribe(api, "unknown", unknown.url("/"))
    subscribe(api, "plain", plain.url("/").replace("http:", "https:"))
    for kind in ("unknown", "plain"):
        publish(weir, kind, ["a"])
        (value, headers), = read(weir, f"{kind}.dead", 1)
        assert value == "a"
        assert headers["weir-dead-letter-reason"] == "max-deliveries"
    assert not unknown.seen
    assert not plain.seen


@pytest.fixture
def weir_with(tmp_path):
    """A weir with further options."""
    started = []

    def start(*options):
        started.append(broker.Weir(tmp_path / f"weir-{len(started)}", threads=1))
        started[-1].options += options
        return started[-1].start()

    yield start
    for one in started:
        one.end()


def test_named_authorities_are_trusted(weir_with, hook, tmp_path):
    pem = certificate(tmp_path, "localhost")
    one = hook(certificate=pem)
    weir = weir_with("--egress-ca", f"{pem}.crt")
    subscribe(Api(weir), "trusted", one.url("/"))
    publish(weir, "trusted", ["a"])
    one.await_names(["a"])


def test_private_addresses_by_option(weir_with, hook):
    one = hook()
    weir = weir_with("--egress-private", "off")
    for number, host in enumerate(["127.0.0.1", "localhost"]):
        subscribe(Api(weir), f"private-{number}", one.url("/", host))
        publish(weir, f"private-{number}", ["a"])
        (_, headers), = read(weir, f"private-{number}.dead", 1)
        assert headers["weir-dead-letter-outcome"] == "Forbidden"
    assert not one.seen


def test_sessions_stay_in_order(weir, api, hook):
    """Each message of a key fails once, and none of them overtakes another."""
    names = [f"{key}{number}" for number in range(8) for key in "abc"]
    one = hook({name: [500] for name in names})
    api.topic("ordered")
    api.push("ordered", one.url("/"), retry={**RETRY, "attempts": 1000}, ordering="key",
             start="earliest")
    producer = Producer({"bootstrap.servers": weir.bootstrap, "acks": "all"})
    for name in names:
        producer.produce("ordered", value=name.encode(), key=name[0].encode())
    producer.flush(PATIENCE_S)
    one.await_seen(lambda seen: sum(action == 200 for _, _, action, _ in seen) == len(names), 300)
    for key in "abc":
        taken = [name for _, name, action, _ in one.seen if action == 200 and name[0] == key]
        assert taken == [name for name in names if name[0] == key]


def test_endpoint_is_asked_first(weir, api, hook):
    """Event Grid's handshake: 202 is no consent; the code in a 200 is."""
    def answer(body):
        code = json.loads(body)[0]["data"]["validationCode"]
        return json.dumps({"validationResponse": code})

    one = hook(handshake=[202, 200], answer=answer)
    api.topic("asked")
    api.push("asked", one.url("/"), deliver={"format": "eventgrid", "validation": "pending:c0de"},
             start="earliest")
    publish(weir, "asked", ["a"])
    one.await_seen(lambda seen: any(action == 200 and "Notification" in headers.values()
                                    for _, _, action, headers in seen))
    kinds = [headers["aeg-event-type"] for *_, headers in one.seen]
    assert kinds == ["SubscriptionValidation", "SubscriptionValidation", "Notification"]
    assert '"done"' in api.call("GET", "/api/v1/subscriptions/asked/push")[1]


def test_owner_confirms_by_hand(weir, api, hook):
    """The endpoint says 200 and no code: whoever opens the URL in the event confirms."""
    urls = []

    def answer(body):
        urls.append(json.loads(body)[0]["data"]["validationUrl"])
        return "thanks"

    one = hook(handshake=[200], answer=answer)
    api.topic("by-hand")
    api.push("by-hand", one.url("/"), start="earliest",
             deliver={"format": "eventgrid", "validation": "pending:c0de"})
    publish(weir, "by-hand", ["a"])
    one.await_names(["validation"])
    with urllib.request.urlopen(urls[0], timeout=10) as page:
        assert page.status == 200
    one.await_seen(lambda seen: seen[-1][3]["aeg-event-type"] == "Notification")


def test_library_is_loaded_at_first_use(weir, api, hook):
    def is_loaded():
        with open(f"/proc/{weir.pid}/maps", encoding="utf-8") as maps:
            return "libcurl" in maps.read()

    one = hook()
    api.topic("lazy")
    publish(weir, "lazy", ["a"])
    assert not is_loaded()
    api.push("lazy", one.url("/"), start="earliest")
    one.await_names(["a"])
    assert is_loaded()


def test_metadata_addresses_are_never_called(weir, api):
    for number, url in enumerate(["http://169.254.169.254/latest/meta-data/", "http://[fe80::1]/",
                                  "http://0.0.0.0:9/"]):
        subscribe(api, f"never-{number}", url)
        publish(weir, f"never-{number}", ["a"])
        (_, headers), = read(weir, f"never-{number}.dead", 1)
        assert headers["weir-dead-letter-outcome"] == "Forbidden"


def test_slow_endpoint_delays_nobody(weir, api, hook):
    slow = hook({f"slow-{number}": ["silent"] for number in range(16)})
    fast = hook()
    api.topic("slow")
    api.push("slow", slow.url("/"), deliver={"timeout": "1h"}, start="earliest")
    publish(weir, "slow", [f"slow-{number}" for number in range(16)])
    slow.await_names([f"slow-{number}" for number in range(16)])
    subscribe(api, "fast", fast.url("/"))
    publish(weir, "fast", [f"fast-{number}" for number in range(50)])
    fast.await_names([f"fast-{number}" for number in range(50)])
    slow.close()


def test_kill_loses_nothing(weir, api, hook):
    """With one call at a time a second call means that the first one's settle is on disk: of what
    was accepted only the last before a kill may come again."""
    one = hook()
    api.topic("kill")
    api.push("kill", one.url("/"), deliver={"concurrency": 1}, start="earliest")
    names = [f"k{number}" for number in range(200)]
    publish(weir, "kill", names)
    for target in (20, 60, 120):
        one.await_seen(lambda seen, least=target: len(seen) >= least)
        before = len(one.seen)
        weir.restart(kill=True)
        one.await_seen(lambda seen, least=before: len(seen) > least)
    one.await_names(names)
    seen = [name for _, name, _, _ in one.seen]
    again = {name for name in seen if seen.count(name) > 1}
    assert set(seen) == set(names)
    assert len(again) <= 3, again


def test_delivery_into_a_topic_is_exactly_once(weir, api):
    api.topic("from")
    api.topic("to")
    api.apply("Subscription", "copy", topic="from", deliver={"topic": "to"}, start="earliest")
    names = [f"m{number}" for number in range(500)]
    for number in range(0, 500, 100):
        publish(weir, "from", names[number:number + 100])
        weir.restart(kill=True)
    values = [value for value, _ in read(weir, "to", 500)]
    assert sorted(values) == sorted(names)


def test_stop_in_order_with_calls_under_way(weir, api, hook):
    one = hook({"a": ["silent"]})
    api.topic("stop")
    api.push("stop", one.url("/"), deliver={"timeout": "1h"}, start="earliest")
    publish(weir, "stop", ["a"])
    one.await_names(["a"])
    weir.restart()
    one.await_seen(lambda seen: [name for _, name, _, _ in seen] == ["a", "a"])
