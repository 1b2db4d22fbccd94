"""Copies of a message, over kill -9 as well: stored once, answered as the first time."""

import concurrent.futures
import uuid

import confluent_kafka.admin
import pytest
import requests

import broker

PATIENCE_S = 20
COPIES = 24

pytestmark = [pytest.mark.weir_only]


@pytest.fixture
def weir(tmp_path):
    one = broker.Weir(tmp_path)
    one.start()
    yield one
    one.end()


def create(weir, topic, partitions):
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": weir.bootstrap})
    made = admin.create_topics([confluent_kafka.admin.NewTopic(
        topic, partitions, config={"weir.duplicates.window.ms": "600000"})])
    made[topic].result(PATIENCE_S)


def publish(weir, topic, event, source="/test"):
    """-> the place that is answered"""
    answer = requests.post(
        f"{weir.http}/topics/{topic}", data=b"x", timeout=PATIENCE_S,
        headers={"ce-specversion": "1.0", "ce-source": source, "ce-type": "t", "ce-id": event})
    assert answer.ok, answer.text
    return answer.headers["Weir-Partition"], answer.headers["Weir-Offset"]


def stored(weir, topic):
    answer = requests.get(f"{weir.http}/topics/{topic}", timeout=PATIENCE_S)
    return [(event["source"], event["id"]) for event in answer.json()]


def test_stored_once(weir):
    create(weir, "t", 3)
    events = [uuid.uuid4().hex for _ in range(5)]
    first = [publish(weir, "t", event) for event in events]
    assert [publish(weir, "t", event) for event in events] == first
    other = publish(weir, "t", events[0], source="/other")  # another event of the same id
    assert other != first[0]
    assert sorted(stored(weir, "t")) == sorted(
        [("/test", event) for event in events] + [("/other", events[0])])


def test_at_once(weir):
    """Copies that come together wait for the first one."""
    create(weir, "t", 3)
    events = [uuid.uuid4().hex for _ in range(5)]
    with concurrent.futures.ThreadPoolExecutor(COPIES) as pool:
        places = list(pool.map(lambda i: publish(weir, "t", events[i % 5]), range(5 * COPIES)))
    for i in range(5):
        assert len(set(places[i::5])) == 1
    assert len(stored(weir, "t")) == 5


def test_over_a_kill(weir):
    create(weir, "t", 3)
    events = [uuid.uuid4().hex for _ in range(40)]
    first = [publish(weir, "t", event) for event in events]
    for end in (weir.kill, weir.stop):
        end()
        weir.start()
        assert [publish(weir, "t", event) for event in events] == first
    assert len(stored(weir, "t")) == len(events)
