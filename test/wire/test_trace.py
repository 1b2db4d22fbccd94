"""`weir trace`: an event's journey, found by its id, correlation id, trace and place."""

import json
import subprocess
import time
import uuid

import confluent_kafka
import pytest
import requests

import broker

PATIENCE_S = 20

pytestmark = [pytest.mark.weir_only, pytest.mark.managed]


@pytest.fixture
def name(unique):
    return unique("trace")


def trace(target, *words):
    return subprocess.run([str(broker.weir_binary()), "trace", *words, "--broker",
                           target.bootstrap], capture_output=True, text=True, timeout=PATIENCE_S,
                          check=False)


def traced(target, *words):
    """Hops are stored a little after what they tell of."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        done = trace(target, *words)
        if done.returncode == 0:
            return done.stdout
    raise AssertionError(done.stderr)


def publish(target, topic, **attributes):
    headers = {"ce-specversion": "1.0", "ce-source": "/test", "ce-type": "t", "ce-id": "1",
               "content-type": "text/plain"}
    headers.update({f"ce-{key}": value for key, value in attributes.items()})
    answer = requests.post(f"{target.http}/topics/{topic}", data=b"x", headers=headers,
                           timeout=PATIENCE_S)
    assert answer.ok, answer.text
    return answer


def test_found_by_every_id(target, name):
    event, correlation = uuid.uuid4().hex, f"order-{uuid.uuid4()}"
    parent = f"00-{uuid.uuid4().hex}-00f067aa0ba902b7-01"
    publish(target, name, id=event, correlationid=correlation, traceparent=parent)
    publish(target, name, id="another")
    shown = traced(target, event).splitlines()
    assert shown[0].startswith(f"trace {parent[3:35]}  from 20")
    assert "start" in shown[1]
    assert shown[2].endswith(f"/0  id {event}  correlation {correlation}")
    assert shown[3].startswith(" publish ") and len(shown) == 4
    place = shown[2].split()[0]
    assert place.startswith(f"{name}/")
    for other in (correlation, parent, parent[3:35], place):
        assert trace(target, other).stdout.splitlines() == shown


DECLARED = """
apiVersion: weir/v1alpha1
kind: Topic
metadata: {{name: {name}}}
spec: {{partitions: 1}}
---
apiVersion: weir/v1alpha1
kind: Topic
metadata: {{name: {name}.copy}}
spec: {{partitions: 1}}
---
apiVersion: weir/v1alpha1
kind: Subscription
metadata: {{name: copy}}
spec: {{topic: {name}, deliver: {{topic: {name}.copy}}}}
---
apiVersion: weir/v1alpha1
kind: Subscription
metadata: {{name: pull}}
spec: {{topic: {name}}}
"""


def apply(target, documents):
    applied = subprocess.run([str(broker.weir_binary()), "apply", "--file", "-", "--server",
                              target.http], input=documents, text=True, capture_output=True,
                             timeout=PATIENCE_S, check=False)
    assert applied.returncode == 0, applied.stderr


def pull(target, name, verb, body=None):
    answer = requests.post(f"{target.http}/topics/{name}/eventsubscriptions/pull:{verb}"
                           "?api-version=2024-06-01", json=body, timeout=PATIENCE_S)
    assert answer.ok, answer.text
    return answer.json()


def test_what_came_of_it(target, name):
    """Delivered into another topic, and to a receiver that pulls."""
    apply(target, DECLARED.format(name=name))
    event = uuid.uuid4().hex
    publish(target, name, id=event)
    received = pull(target, name, "receive")["value"]
    assert [each["event"]["id"] for each in received] == [event]
    pull(target, name, "acknowledge",
         {"lockTokens": [received[0]["brokerProperties"]["lockToken"]]})
    end = time.monotonic() + PATIENCE_S
    shown = ""
    while not all(word in shown for word in ("accept", ".copy/0/0", "forward")) and \
            time.monotonic() < end:
        shown = traced(target, event)
    rows = [line.rstrip() for line in shown.splitlines()[2:]]
    assert rows[0] == f"{name}/0/0  id {event}"
    assert rows[1].startswith(" publish ")
    at = next(i for i, row in enumerate(rows) if row.startswith(" forward copy  appended "))
    assert rows[at + 1] == f"  {name}.copy/0/0  id {event}"
    assert rows[at + 2].startswith("   publish ")
    assert any(row.startswith(" receive pull ") for row in rows)
    assert any(row.startswith(" settle pull  accept ") for row in rows)
    assert len(rows) == 7


def test_times(target, name):
    """Each stage of a delivery has its time, to the microsecond; they follow each other."""
    apply(target, DECLARED.format(name=name))
    event, before = uuid.uuid4().hex, time.time()
    publish(target, name, id=event)
    shown = ""
    end = time.monotonic() + PATIENCE_S
    while not '"settled_us"' in shown and time.monotonic() < end:
        shown = traced(target, event, "--json")
    hops = {hop["step"]: hop for hop in map(json.loads, shown.splitlines())
            if not hop["topic"].endswith(".copy")}
    published, forward = hops["publish"], hops["forward"]
    assert before * 1000 - 1 <= published["at"] <= forward["at"] <= time.time() * 1000 + 1
    assert 0 < published["took_us"] < PATIENCE_S * 1e6
    stages = [forward.get(key, 0) for key in ("waited_us", "queued_us", "took_us")]
    visible = forward["at"] - sum(stages) / 1000
    assert published["at"] - 2 < visible, "what was not visible yet cannot have been waited for"
    assert forward["settle"] == "accept" and forward["settled_us"] > 0
    copied = [hop for hop in map(json.loads, shown.splitlines()) if hop.get("cause")]
    assert copied[0]["cause"] == {"topic": name, "partition": 0, "offset": 0,
                                  "subscription": "copy", "attempt": 1}


def test_narrow(target, name):
    event = uuid.uuid4().hex
    publish(target, name, id=event)
    shown = traced(target, event, "--width", "60").splitlines()
    assert shown[-1] == ". wait  - queue  = took  : settle"
    assert max(map(len, shown[1:2] + shown[3:])) <= 60


def test_json(target, name):
    event = uuid.uuid4().hex
    publish(target, name, id=event)
    hops = [json.loads(line) for line in traced(target, event, "--json").splitlines()]
    assert [hop["step"] for hop in hops] == ["publish"]
    assert hops[0]["topic"] == name and hops[0]["id"] == event and len(hops[0]["trace"]) == 32
    assert abs(hops[0]["at"] / 1000 - time.time()) < PATIENCE_S


def test_unknown(target, name):
    event = uuid.uuid4().hex
    publish(target, name, id=event)
    traced(target, event)
    done = trace(target, "nobody knows this one")
    assert done.returncode == 1 and "nothing is known of" in done.stderr
    not_sampled = uuid.uuid4().hex
    publish(target, name, id=not_sampled,
            traceparent=f"00-{uuid.uuid4().hex}-00f067aa0ba902b7-00")
    later = uuid.uuid4().hex
    publish(target, name, id=later)
    traced(target, later)
    assert trace(target, not_sampled).returncode == 1


def test_nothing_noted_yet(tmp_path):
    weir = broker.Weir(tmp_path)
    weir.start()
    try:
        done = trace(weir, "x")
        assert done.returncode == 1 and "nothing was noted yet" in done.stderr
    finally:
        weir.end()


def test_the_topic_is_for_everybody(target, name):
    """Hops are records that any client reads."""
    event = uuid.uuid4().hex
    publish(target, name, id=event)
    traced(target, event)
    consumer = confluent_kafka.Consumer({"bootstrap.servers": target.bootstrap, "group.id": name,
                                         "auto.offset.reset": "earliest"})
    consumer.subscribe(["weir.hops"])
    end = time.monotonic() + PATIENCE_S
    found = None
    while found is None and time.monotonic() < end:
        message = consumer.poll(1)
        if message and not message.error() and event in message.value().decode():
            found = message
    consumer.close()
    hop = json.loads(found.value())
    assert found.key().decode() == hop["trace"]
