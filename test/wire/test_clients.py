"""What people do with Kafka's clients, done with each of them, unmodified."""

import time

import confluent_kafka
import pytest

import clients
from clients import key_of, value_of
from rawbatch import CODECS, Record, batch, batches
from rawkafka import Raw

PER_CODEC = 10


@pytest.fixture
def make_topic(client, raw, unique):
    """Creates a topic with the client's own administration where it has one."""

    def make(partitions=1):
        topic = unique("topic")
        if client.has_admin:
            client.run("create-topic", topic=topic, partitions=partitions)
            raw.await_topic(topic, partitions)
        else:
            raw.create_topic(topic, partitions)
        return topic

    return make


def said(record):
    return record["key"], record["value"], record["headers"]


def expected(name, index):
    return key_of(name, index), value_of(name, index), [["wire", name]]


def committed(raw, group, topic, partitions):
    asked = [{"group": group, "topics": [{"name": topic, "partitions": list(range(partitions))}]}]
    found = raw.call("OffsetFetch", 8, groups=asked)["groups"][0]
    return [part["offset"] for part in found["topics"][0]["partitions"]]


def stored_codecs(raw, topic):
    """The codecs of a topic's batches, as they lie in the log."""
    found, offset = [], 0
    while True:
        part = raw.fetch(topic, offset, wait_ms=0)
        if offset == part["high_watermark"]:
            return found
        for one in batches(part["records"]):
            assert one.crc_is_right()
            found.append(one.codec)
            offset = one.base_offset + one.last_delta + 1


def test_round_trip_with_every_codec(client, raw, make_topic):
    """Keys, values, headers and order survive; each codec is really what lies in the log."""
    topic = make_topic()
    names = []
    for codec in CODECS:
        start = len(names)
        sent = client.produce(topic, codec, PER_CODEC, codec=codec)
        assert [record["offset"] for record in sent] == list(range(start, start + PER_CODEC))
        names += [(codec, index) for index in range(PER_CODEC)]
    assert sorted(set(stored_codecs(raw, topic))) == sorted(CODECS.values())

    read = client.run("consume", topic=topic, partition=0, offset=0, count=len(names))
    assert [record["offset"] for record in read] == list(range(len(names)))
    assert [said(record) for record in read] == [expected(*name) for name in names]

    tail = client.run("consume", topic=topic, partition=0, offset=len(names) - 3, count=3)
    assert [record["offset"] for record in tail] == list(range(len(names) - 3, len(names)))


@pytest.fixture(scope="module")
def mixed_topic(target):
    """A topic into which every client wrote with every codec. -> (name, what it holds)"""
    conn = Raw(target.host, target.port)
    topic, names = f"mixed-{time.time_ns()}", []
    conn.create_topic(topic)
    conn.close()
    for name in clients.NAMES:
        with clients.Client(name, target.bootstrap) as one:
            for codec in CODECS:
                one.produce(topic, f"{name}-{codec}", 3, codec=codec, partition=0)
                names += [(f"{name}-{codec}", index) for index in range(3)]
    return topic, names


def test_reads_what_all_others_wrote(client, mixed_topic):
    topic, names = mixed_topic
    read = client.run("consume", topic=topic, partition=0, offset=0, count=len(names))
    assert [said(record) for record in read] == [expected(*name) for name in names]


def test_idempotent_producer(client, raw, make_topic):
    if client.name == "kafka-python-2.0.2":
        pytest.skip("this client has no idempotent producer")
    topic = make_topic()
    client.produce(topic, "once", 20, idempotent="true")
    found = batches(raw.fetch(topic, 0)["records"])
    assert all(one.producer_id >= 0 for one in found)
    assert sum(one.count for one in found) == 20


def test_produce_creates_the_topic(client, raw, unique):
    topic = unique("auto")
    sent = client.produce(topic, "first", 5)
    assert len(sent) == 5
    assert client.run("describe-topic", topic=topic)[-1]["partitions"] >= 1
    assert topic in client.run("list-topics")[-1]["topics"]


def test_group_shares_and_rebalances(client, raw, make_topic, unique):
    """Two members split four partitions; when one leaves, the other takes over; nothing is lost."""
    topic, group = make_topic(4), unique("group")
    everything = [(topic, partition) for partition in range(4)]
    for partition in range(4):
        client.produce(topic, f"a{partition}", 5, partition=partition)

    first = client.start("group", group=group, topics=topic)
    first.wait(lambda one: one.assigned == everything and len(one.records) == 20)
    second = client.start("group", group=group, topics=topic)
    second.wait(lambda one: len(one.assigned) == 2)
    first.wait(lambda one: len(one.assigned) == 2)
    assert sorted(first.assigned + second.assigned) == everything
    if client.has_admin:
        # Neither assignment is final before both members have synchronised.
        described = client.run("describe-group", group=group)[-1]
        assert described["members"] == 2
        assert group in client.run("list-groups")[-1]["groups"]

    for partition in range(4):
        client.produce(topic, f"b{partition}", 5, partition=partition)
    second.wait(lambda one: len(one.records) == 10)
    first.wait(lambda one: len(one.records) == 30)
    second.finish()
    assert second.events[-1] == {"event": "closed"}
    first.wait(lambda one: one.assigned == everything)
    client.produce(topic, "c", 5, partition=3)
    first.wait(lambda one: len(one.records) == 35)
    first.finish()

    seen = [(r["partition"], r["offset"]) for r in first.records + second.records]
    wanted = [(p, o) for p in range(4) for o in range(10)] + [(3, o) for o in range(10, 15)]
    assert sorted(seen) == wanted
    assert committed(raw, group, topic, 4) == [10, 10, 10, 15]


def test_commit_and_resume(client, raw, make_topic, unique):
    """A new member goes on exactly where the last one committed."""
    topic, group = make_topic(), unique("group")
    for start in (0, 10, 20):
        client.produce(topic, "r", 10, start=start)
        member = client.start("group", group=group, topics=topic)
        member.wait(lambda one: len(one.records) >= 10)
        member.finish()
        assert [r["offset"] for r in member.records] == list(range(start, start + 10))
        assert committed(raw, group, topic, 1) == [start + 10]


def test_seek_by_time(client, raw, make_topic):
    topic = make_topic()
    base = int(time.time() * 1000) - 100_000
    for part in range(4):
        records = [Record(f"at {part}.{i}".encode(), at=i * 1000) for i in range(5)]
        raw.produce(topic, batch(records, base_timestamp=base + part * 5000))
    for timestamp, offset in ((base, 0), (base + 7000, 7), (base + 7001, 8), (base + 19_000, 19)):
        first, *read = client.run("seek", topic=topic, partition=0, timestamp=timestamp, count=1)
        assert first["offset"] == offset
        assert (read[0]["offset"], read[0]["timestamp"]) == (offset, base + offset * 1000)


def test_administration(client, raw, unique):
    """Topics, groups, settings, the cluster: made, listed, described, grown, cut, deleted."""
    if not client.has_admin:
        pytest.skip("this client has no administration")
    topic, group = unique("topic"), unique("group")
    client.run("create-topic", topic=topic, partitions=2)
    raw.await_topic(topic, 2)
    assert client.run("describe-topic", topic=topic)[-1]["partitions"] == 2
    client.run("create-partitions", topic=topic, count=5)
    raw.await_topic(topic, 5)
    assert client.run("describe-topic", topic=topic)[-1]["partitions"] == 5

    client.produce(topic, "x", 3, partition=4)
    member = client.start("group", group=group, topics=topic)
    member.wait(lambda one: len(one.records) == 3)
    assert client.run("describe-group", group=group)[-1] == {"state": "Stable", "members": 1}
    member.finish()
    assert client.run("describe-group", group=group)[-1] == {"state": "Empty", "members": 0}
    assert client.run("group-offsets", group=group)[-1]["offsets"]["4"] == 3
    client.run("delete-group", group=group)
    assert group not in client.run("list-groups")[-1]["groups"]

    found = client.run("describe-config", topic=topic, setting="cleanup.policy")
    assert found[-1]["value"] == "delete"
    client.run("alter-config", topic=topic, setting="retention.ms", value=123456)
    found = client.run("describe-config", topic=topic, setting="retention.ms")
    assert found[-1]["value"] == "123456"
    assert client.run("describe-cluster")[-1]["brokers"] == 1
    if client.name != "kafka-python-2.0.2":
        client.run("delete-records", topic=topic, partition=4, offset=2)
        assert raw.list_offset(topic, -2, partition=4)["offset"] == 2

    client.run("delete-topic", topic=topic)
    assert topic not in client.run("list-topics")[-1]["topics"]


def test_member_sees_new_partitions(client, make_topic, raw, unique):
    """A topic grown under a running group: the member is given the new partition."""
    if client.name == "kcat":
        pytest.skip("its metadata interval is not worth the wait")
    topic, group = make_topic(), unique("group")
    member = client.start("group", group=group, topics=topic)
    member.wait(lambda one: one.assigned == [(topic, 0)])
    raw.call("CreatePartitions", topics=[{"name": topic, "count": 2}])
    raw.await_topic(topic, 2)
    client.produce(topic, "new", 3, partition=1)
    member.wait(lambda one: len(one.records) == 3)
    assert member.assigned == [(topic, 0), (topic, 1)]
    member.finish()


def test_growth_costs_a_producer_without_retries_nothing(target, raw, unique):
    """librdkafka with retries=0: what is refused would be lost."""
    topic, failed = unique("topic"), []
    raw.create_topic(topic)
    producer = confluent_kafka.Producer({"bootstrap.servers": target.bootstrap, "retries": 0,
                                         "enable.idempotence": False, "linger.ms": 0})
    for number in range(600):
        if number == 200:
            raw.call("CreatePartitions", topics=[{"name": topic, "count": 3}])
            raw.await_topic(topic, 3)
        producer.produce(topic, b"%d" % number, key=b"k%d" % number,
                         on_delivery=lambda err, _: failed.append(err) if err else None)
        assert producer.flush(30) == 0
    assert failed == []
    assert sum(raw.list_offset(topic, -1, partition)["offset"] for partition in range(3)) == 600


@pytest.mark.parametrize("name", ["confluent-kafka", "java"])
def test_cooperative_members_keep_what_they_keep(name, target, raw, unique):
    """KIP-429: the first member gives up only what moves, never everything."""
    topic, group = unique("topic"), unique("group")
    raw.create_topic(topic, 4)
    with clients.Client(name, target.bootstrap) as client:
        args = {"group": group, "topics": topic, "strategy": "cooperative-sticky"}
        first = client.start("group", **args)
        first.wait(lambda one: len(one.assigned) == 4)
        start = len(first.events)
        second = client.start("group", **args)
        second.wait(lambda one: len(one.assigned) == 2)
        first.wait(lambda one: len(one.assigned) == 2)
        assert not set(first.assigned) & set(second.assigned)
        later = [event for event in first.events[start:] if event["event"] == "assigned"]
        assert all(len(event["partitions"]) >= 2 for event in later)
        second.finish()
        first.wait(lambda one: len(one.assigned) == 4)
        first.finish()


@pytest.mark.parametrize("name", ["kcat", "confluent-kafka", "java"])
def test_static_member_returns_without_rebalance(name, target, raw, unique):
    """KIP-345: a member with an instance id that comes back takes its old place."""
    topic, group = unique("topic"), unique("group")
    raw.create_topic(topic, 2)
    with clients.Client(name, target.bootstrap) as client:
        one, two = [
            client.start("group", group=group, topics=topic, instance=instance)
            for instance in ("i-1", "i-2")
        ]
        one.wait(lambda member: len(member.assigned) == 1)
        two.wait(lambda member: len(member.assigned) == 1)
        before, events = one.assigned, len(two.events)
        one.finish()
        again = client.start("group", group=group, topics=topic, instance="i-1")
        again.wait(lambda member: len(member.assigned) == 1)
        assert again.assigned == before
        two.drain()
        assert two.events[events:] == [], "the other member noticed"
        again.finish()
        two.finish()
