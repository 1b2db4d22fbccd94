"""Fetch, its sessions, and the offsets, epochs and ids that readers find their way by."""

import time
import uuid

import pytest

from rawbatch import GZIP, Record, batch, batches

OUT_OF_RANGE, UNKNOWN_TOPIC = 1, 3
NO_SESSION, BAD_SESSION_EPOCH = 70, 71
FENCED_EPOCH, UNKNOWN_EPOCH, UNKNOWN_ID = 74, 75, 100
MAX_TIMESTAMP, EARLIEST, LATEST = -3, -2, -1


def fill(raw, topic, count, size=10, partition=0, per_batch=1):
    for _ in range(count):
        answer = raw.produce(topic, batch([b"v" * size] * per_batch), partition, version=9)
        assert answer["error"] == 0, answer


def leader_epoch(raw, topic):
    return raw.await_topic(topic, 1)["partitions"][0]["leader_epoch"]


# --- what a fetch returns ------------------------------------------------------------------------


@pytest.mark.parametrize("version", [4, 5, 7, 9, 11, 12, 13, 16, 18])
def test_reads_from_any_offset(raw, topic, version):
    fill(raw, topic, 5, per_batch=3)
    for offset, first in ((0, 0), (3, 3), (4, 3), (5, 3), (14, 12)):
        part = raw.fetch(topic, offset, version=version)
        assert (part["error"], part["high_watermark"]) == (0, 15)
        assert part["last_stable_offset"] == 15
        found = batches(part["records"])
        assert found[0].base_offset == first, "a batch is returned whole"
        assert [one.base_offset for one in found] == list(range(first, 15, 3))


def test_first_batch_is_returned_whole(raw, topic):
    """KIP-74: a batch larger than either limit still comes, or its reader would never get on."""
    fill(raw, topic, 3, size=5000)
    for limits in ({"partition_max": 100}, {"max_bytes": 100}, {"partition_max": 0},
                   {"partition_max": 1, "max_bytes": 1}):
        part = raw.fetch(topic, 1, **limits)
        (found,) = batches(part["records"])
        assert (found.base_offset, found.count) == (1, 1)
        assert len(found.records()[0][1].value) == 5000


def test_limits_hold_after_the_first_batch(raw, unique):
    topic = unique()
    raw.create_topic(topic, 2)
    for partition in range(2):
        fill(raw, topic, 4, size=5000, partition=partition)
    assert len(batches(raw.fetch(topic, 0, partition_max=11_000)["records"])) == 2
    asked = [{"index": index, "offset": 0, "max_bytes": 1 << 20} for index in range(2)]
    answer = raw.call("Fetch", 11, max_wait_ms=100, min_bytes=1, max_bytes=11_000,
                      topics=[{"name": topic, "partitions": asked}])
    found = {part["index"]: len(batches(part["records"] or b""))
             for part in answer["topics"][0]["partitions"]}
    assert sum(found.values()) == 2, "max_bytes counts over all partitions"


def test_offset_out_of_range(raw, topic):
    fill(raw, topic, 3)
    assert raw.fetch(topic, 3, wait_ms=0)["error"] == 0
    for offset in (4, 1 << 40, -1):
        part = raw.fetch(topic, offset)
        assert part["error"] == OUT_OF_RANGE
        assert not part["records"]


def test_waits_for_data(raw, connect, topic):
    """Empty at max_wait; answered at once by an append; min_bytes is waited for."""
    start = time.monotonic()
    part = raw.fetch(topic, 0, wait_ms=300)
    assert not part["records"] and time.monotonic() - start >= 0.29

    waiting, ref = connect(), {"name": topic}
    body = {"max_wait_ms": 20_000, "min_bytes": 1,
            "topics": [{**ref, "partitions": [{"index": 0, "offset": 0}]}]}
    waiting.send("Fetch", 11, **body)
    # The topic is still empty for this one: weir has seen the first by the time it answers.
    fill(raw, topic, 1)
    start = time.monotonic()
    part = waiting.recv("Fetch", 11)[1]["topics"][0]["partitions"][0]
    assert len(batches(part["records"])) == 1
    assert time.monotonic() - start < 10

    body["min_bytes"] = 3000
    waiting.send("Fetch", 11, **body)
    fill(raw, topic, 1, size=1000)
    fill(raw, topic, 1, size=5000)
    part = waiting.recv("Fetch", 11)[1]["topics"][0]["partitions"][0]
    assert len(part["records"]) >= 3000


def test_a_waiting_fetch_ends_with_its_topic(raw, connect, topic):
    waiting = connect()
    waiting.send("Fetch", 11, max_wait_ms=15_000, min_bytes=1, topics=[
        {"name": topic, "partitions": [{"index": 0, "offset": 0}]}])
    raw.call("DeleteTopics", 4, names=[topic])
    start = time.monotonic()
    part = waiting.recv("Fetch", 11)[1]["topics"][0]["partitions"][0]
    assert part["error"] in (0, UNKNOWN_TOPIC, 6)
    assert time.monotonic() - start < 16


def test_unknown_topic_partition_and_id(raw, topic, unique):
    nowhere = [{"index": 9, "offset": 0}]
    answer = raw.call("Fetch", 11, max_wait_ms=0, topics=[
        {"name": unique(), "partitions": nowhere}, {"name": topic, "partitions": nowhere}])
    errors = [one["partitions"][0]["error"] for one in answer["topics"]]
    assert errors == [UNKNOWN_TOPIC, UNKNOWN_TOPIC]
    stranger = uuid.uuid4()
    answer = raw.call("Fetch", 13, max_wait_ms=0,
                      topics=[{"id": stranger, "partitions": nowhere}])
    assert answer["topics"][0]["partitions"][0]["error"] == UNKNOWN_ID


# --- sessions (KIP-227) --------------------------------------------------------------------------


class Session:
    """A fetch session over some partitions of a topic."""

    def __init__(self, raw, topic, version=12):
        self.raw, self.topic, self.version = raw, topic, version
        self.ref = raw.topic_ref("Fetch", version, topic)
        self.id, self.epoch = 0, 0

    def fetch(self, parts=None, forgotten=None, **more):
        """parts: {partition: offset}. -> the answer; its partitions under "parts"."""
        topics = [{**self.ref, "partitions": [
            {"index": index, "offset": offset} for index, offset in parts.items()
        ]}] if parts else []
        gone = [{**self.ref, "partitions": forgotten}] if forgotten else []
        body = {"session_id": self.id, "session_epoch": self.epoch, **more}
        answer = self.raw.call("Fetch", self.version, max_wait_ms=0, min_bytes=1, topics=topics,
                               forgotten=gone, **body)
        if answer["error"] == 0:
            self.id, self.epoch = answer["session_id"], self.epoch + 1
        answer["parts"] = {
            part["index"]: part for one in answer["topics"] for part in one["partitions"]
        }
        return answer


@pytest.fixture(params=[7, 12, 16])
def session(request, raw, unique):
    topic = unique()
    raw.create_topic(topic, 3)
    return Session(raw, topic, request.param)


def test_session_reports_only_what_changed(raw, session):
    first = session.fetch({0: 0, 1: 0, 2: 0})
    assert first["error"] == 0 and session.id != 0
    assert sorted(first["parts"]) == [0, 1, 2], "a full fetch lists everything"
    assert session.fetch()["parts"] == {}, "nothing new: an empty answer"

    fill(raw, session.topic, 2, partition=1)
    found = session.fetch()["parts"]
    assert list(found) == [1] and len(batches(found[1]["records"])) == 2
    # The offset is still 0 in the session until it is told otherwise.
    assert list(session.fetch()["parts"]) == [1]
    assert session.fetch({1: 2})["parts"] == {}
    fill(raw, session.topic, 1, partition=1)
    fill(raw, session.topic, 1, partition=2)
    found = session.fetch()["parts"]
    assert sorted(found) == [1, 2] and batches(found[1]["records"])[0].base_offset == 2


def test_session_forgets_and_adds(raw, session):
    session.fetch({0: 0})
    fill(raw, session.topic, 1, partition=0)
    fill(raw, session.topic, 1, partition=2)
    assert list(session.fetch()["parts"]) == [0]
    assert list(session.fetch({2: 0}, forgotten=[0])["parts"]) == [2]
    assert list(session.fetch()["parts"]) == [2]


def test_session_reports_an_error_again_and_again(raw, session):
    session.fetch({0: 0, 1: 0})
    assert session.fetch({1: 50})["parts"][1]["error"] == OUT_OF_RANGE
    assert session.fetch()["parts"][1]["error"] == OUT_OF_RANGE
    assert session.fetch({1: 0})["error"] == 0


def test_session_errors(raw, session):
    session.fetch({0: 0})
    unknown = session.fetch(session_id=session.id ^ 0x55)
    assert (unknown["error"], unknown["topics"]) == (NO_SESSION, [])
    for epoch in (session.epoch + 1, session.epoch + 100):
        assert session.fetch(session_epoch=epoch)["error"] == BAD_SESSION_EPOCH
    assert session.fetch()["error"] == 0, "a wrong epoch leaves the session alone"
    assert session.fetch(session_epoch=1)["error"] == BAD_SESSION_EPOCH


def test_session_is_closed_by_its_last_epoch(raw, session):
    session.fetch({0: 0})
    old = session.id
    last = session.fetch({0: 0}, session_epoch=-1)
    assert (last["error"], last["session_id"]) == (0, 0)
    assert list(last["parts"]) == [0]
    assert session.fetch(session_id=old, session_epoch=1)["error"] == NO_SESSION


def test_session_is_replaced_by_a_full_fetch(raw, session):
    session.fetch({0: 0})
    old, session.epoch = session.id, 0
    session.fetch({1: 0})
    assert session.id not in (0, old)
    assert session.fetch(session_id=old, session_epoch=1)["error"] == NO_SESSION


def test_idle_session_answer_is_small(raw, unique):
    """1,000 partitions and nothing new: the answer fits in 64 bytes."""
    topic = unique()
    raw.create_topic(topic, 1000)
    session = Session(raw, topic)
    session.fetch({index: 0 for index in range(1000)})
    raw.send("Fetch", 12, max_wait_ms=0, session_id=session.id, session_epoch=session.epoch)
    assert len(raw.recv_frame()) < 64


def test_sessionless_fetch_has_no_session(raw, topic):
    answer = raw.call("Fetch", 12, max_wait_ms=0, topics=[
        {"name": topic, "partitions": [{"index": 0, "offset": 0}]}])
    assert (answer["error"], answer["session_id"]) == (0, 0)


# --- ListOffsets ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2, 4, 5, 6, 7, 8, 11])
def test_list_offsets(raw, topic, version):
    base = 1_600_000_000_000
    for index in range(4):
        raw.produce(topic, batch([Record(b"x", at=i * 10) for i in range(3)],
                                 base_timestamp=base + index * 100))

    def look(timestamp):
        part = raw.list_offset(topic, timestamp, version=version)
        assert part["error"] == 0
        return part["offset"], part["timestamp"]

    assert look(EARLIEST) == (0, -1)
    assert look(LATEST) == (12, -1)
    assert look(0) == (0, base)
    assert look(base + 10) == (1, base + 10)
    assert look(base + 11) == (2, base + 20)
    assert look(base + 21) == (3, base + 100)
    assert look(base + 320) == (11, base + 320)
    assert look(base + 321) == (-1, -1)
    if version >= 7:
        assert look(MAX_TIMESTAMP) == (11, base + 320)


def test_list_offsets_of_unordered_timestamps(raw, topic):
    """The first offset whose timestamp is at least the one asked for, wherever it lies."""
    base = 1_600_000_000_000
    for at in (500, 100, 900, 300, 900, 200):
        raw.produce(topic, batch([b"x"], base_timestamp=base + at))
    for at, offset in ((0, 0), (500, 0), (501, 2), (900, 2)):
        assert raw.list_offset(topic, base + at)["offset"] == offset
    assert raw.list_offset(topic, base + 901)["offset"] == -1
    assert raw.list_offset(topic, MAX_TIMESTAMP)["offset"] == 2


def test_list_offsets_within_a_compressed_batch(raw, topic):
    base = 1_600_000_000_000
    records = [Record(b"x", at=at) for at in (30, 10, 20, 40)]
    raw.produce(topic, batch(records, base_timestamp=base, codec=GZIP))
    assert raw.list_offset(topic, base + 15)["offset"] == 0
    assert raw.list_offset(topic, base + 31)["offset"] == 3


def test_list_offsets_of_an_empty_log(raw, topic):
    assert raw.list_offset(topic, EARLIEST)["offset"] == 0
    assert raw.list_offset(topic, LATEST)["offset"] == 0
    assert raw.list_offset(topic, MAX_TIMESTAMP)["offset"] == -1
    assert raw.list_offset(topic, 1000)["offset"] == -1


def test_list_offsets_of_nowhere(raw, topic, unique):
    assert raw.list_offset(topic, LATEST, partition=7)["error"] == UNKNOWN_TOPIC
    assert raw.list_offset(unique(), LATEST)["error"] == UNKNOWN_TOPIC


# --- leader epochs -------------------------------------------------------------------------------


def test_current_leader_epoch(raw, topic):
    """A reader that knows an older leader is fenced, one that knows a newer has to wait."""
    fill(raw, topic, 1)
    epoch = leader_epoch(raw, topic)
    assert raw.fetch(topic, 0, leader_epoch=epoch)["error"] == 0
    assert raw.fetch(topic, 0, leader_epoch=epoch + 1)["error"] == UNKNOWN_EPOCH
    assert raw.list_offset(topic, LATEST, leader_epoch=epoch)["leader_epoch"] == epoch
    assert raw.list_offset(topic, LATEST, leader_epoch=epoch + 1)["error"] == UNKNOWN_EPOCH
    if epoch > 0:
        assert raw.fetch(topic, 0, leader_epoch=epoch - 1)["error"] == FENCED_EPOCH
        assert raw.list_offset(topic, LATEST, leader_epoch=epoch - 1)["error"] == FENCED_EPOCH


@pytest.mark.parametrize("version", [2, 3, 4])
def test_offset_for_leader_epoch(raw, topic, version):
    fill(raw, topic, 3)
    epoch = leader_epoch(raw, topic)

    def ask(wanted, current=-1, name=topic, index=0):
        answer = raw.call("OffsetForLeaderEpoch", version, topics=[{"name": name, "partitions": [
            {"index": index, "current_leader_epoch": current, "leader_epoch": wanted}]}])
        part = answer["topics"][0]["partitions"][0]
        return part["error"], part["leader_epoch"], part["end_offset"]

    assert ask(epoch) == (0, epoch, 3)
    assert ask(epoch, epoch) == (0, epoch, 3)
    assert ask(epoch + 5) == (0, -1, -1)
    assert ask(epoch, epoch + 1)[0] == UNKNOWN_EPOCH
    if epoch > 0:
        assert ask(epoch, epoch - 1)[0] == FENCED_EPOCH
    assert ask(epoch, index=4)[0] == UNKNOWN_TOPIC


# --- topic ids -----------------------------------------------------------------------------------


def test_topic_id_changes_with_a_new_life(raw, topic):
    """Deleted and made anew: a new id, an empty log; the old id is known no more."""
    fill(raw, topic, 2)
    old = raw.topic_id(topic)
    deleted = raw.call("DeleteTopics", 6, topics=[{"name": None, "id": old}])
    assert deleted["topics"][0]["error"] == 0
    raw.create_topic(topic)
    new = raw.topic_id(topic)
    assert new not in (old, uuid.UUID(int=0))
    asked = [{"index": 0, "offset": 0}]
    answer = raw.call("Fetch", 13, max_wait_ms=0, topics=[{"id": old, "partitions": asked}])
    assert answer["topics"][0]["partitions"][0]["error"] == UNKNOWN_ID
    found = raw.fetch(topic, 0, version=13, wait_ms=0)
    assert (found["error"], found["high_watermark"]) == (0, 0)
    records = [{"index": 0, "records": batch([b"x"])}]
    answer = raw.call("Produce", 13, topics=[{"id": old, "partitions": records}])
    assert answer["topics"][0]["partitions"][0]["error"] == UNKNOWN_ID
    by_id = raw.call("Metadata", 12, topics=[{"id": old, "name": None}, {"id": new, "name": None}])
    assert {one["id"]: one["error"] for one in by_id["topics"]} == {old: UNKNOWN_ID, new: 0}
    assert {one["name"] for one in by_id["topics"] if one["error"] == 0} == {topic}


def test_fetch_session_notices_a_recreated_topic(raw, topic):
    session = Session(raw, topic, version=13)
    session.fetch({0: 0})
    raw.call("DeleteTopics", 4, names=[topic])
    raw.create_topic(topic)
    fill(raw, topic, 1)
    answer = session.fetch()
    errors = [part["error"] for part in answer["parts"].values()]
    assert answer["error"] in (103, 106, UNKNOWN_ID) or set(errors) <= {UNKNOWN_ID, 103} and errors
