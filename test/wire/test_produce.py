"""Produce: what is stored, what is refused, and the sequence of an idempotent producer."""

import time
import uuid

import pytest

from rawbatch import (CODECS, CONTROL, GZIP, LOG_APPEND_TIME, TRANSACTIONAL, ZSTD, Record, batch,
                      batches)

CORRUPT, UNKNOWN_TOPIC, NOT_LEADER, TOO_LARGE, BAD_TIMESTAMP = 2, 3, 6, 10, 32
OUT_OF_ORDER, STALE_EPOCH, UNSUPPORTED_CODEC, INVALID_RECORD, UNKNOWN_ID = 45, 47, 76, 87, 100
SEQUENCE_MAX = 2**31 - 1


def parts(raw, topic, *records, version=9):
    """Sends one request with these records for partitions 0, 1, ...; -> their errors."""
    answer = raw.call("Produce", version, topics=[{
        **raw.topic_ref("Produce", version, topic),
        "partitions": [{"index": i, "records": one} for i, one in enumerate(records)],
    }])
    found = sorted(answer["topics"][0]["partitions"], key=lambda part: part["index"])
    return [part["error"] for part in found]


def end_offset(raw, topic, partition=0):
    return raw.list_offset(topic, -1, partition)["offset"]


# --- what is stored ------------------------------------------------------------------------------

RECORDS = [
    Record(b"value", b"key", [("name", b"1"), ("name", b"2"), ("none", None), ("", b"")]),
    Record(None, b"tombstone"),
    Record(b"", b""),
    Record(b"", None),
    Record(None, None),
    Record(b"\x00\xff" * 400, "schlüssel".encode(), at=5),
]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("version", [3, 7, 9, 13])
def test_stored_bytes_are_the_sent_bytes(raw, topic, codec, version):
    """Only the base offset and the leader epoch are the broker's: no byte else changes."""
    if codec == "zstd" and version < 7:
        pytest.skip("zstd needs version 7")
    first = batch(RECORDS, codec=CODECS[codec])
    second = batch([b"next"], leader_epoch=12345, codec=CODECS[codec])
    for offset, one in ((0, first), (len(RECORDS), second)):
        answer = raw.produce(topic, one, version=version)
        assert (answer["error"], answer["base_offset"]) == (0, offset)
        assert answer["log_append_time_ms"] == -1
    part = raw.fetch(topic, 0)
    assert (part["error"], part["high_watermark"]) == (0, len(RECORDS) + 1)
    found = batches(part["records"])
    assert [one.base_offset for one in found] == [0, len(RECORDS)]
    assert [one.sent_bytes() for one in found] == [one[8:12] + one[16:] for one in (first, second)]
    epoch = raw.await_topic(topic, 1)["partitions"][0]["leader_epoch"]
    assert [one.leader_epoch for one in found] == [epoch, epoch]
    for (offset, one), sent in zip(found[0].records(), RECORDS):
        assert (one.key, one.value, one.headers) == (sent.key, sent.value, list(sent.headers))


def test_acks_1_is_stored_too(raw, topic):
    assert raw.produce(topic, batch([b"x"]), acks=1)["base_offset"] == 0
    assert end_offset(raw, topic) == 1


def test_many_partitions_and_topics_in_one_request(raw, unique):
    topics = [unique() for _ in range(3)]
    for topic in topics:
        raw.create_topic(topic, 4)
    body = [{"name": topic, "partitions": [
        {"index": index, "records": batch([topic.encode(), b"%d" % index])} for index in range(4)
    ]} for topic in topics]
    answer = raw.call("Produce", 9, topics=body)
    assert sorted(one["name"] for one in answer["topics"]) == sorted(topics)
    for one in answer["topics"]:
        assert [part["error"] for part in one["partitions"]] == [0] * 4
        for index in range(4):
            (found,) = batches(raw.fetch(one["name"], 0, index)["records"])
            values = [record.value for _, record in found.records()]
            assert values == [one["name"].encode(), b"%d" % index]


# --- what is refused -----------------------------------------------------------------------------


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def flipped_crc():
    return flipped(batch([b"x"]), 18)


def flipped_payload():
    return flipped(batch([b"a long enough value"]), -8)


def two_batches():
    return batch([b"1"]) + batch([b"2"], base_offset=1)


BAD = [
    # name, records, error
    ("crc", flipped_crc(), CORRUPT),
    ("payload", flipped_payload(), CORRUPT),
    ("two-batches", two_batches(), INVALID_RECORD),
    ("magic-1", batch([b"x"], magic=1), INVALID_RECORD),
    ("magic-0", batch([b"x"], magic=0), INVALID_RECORD),
    ("count-too-high", batch([b"x"], count=2), INVALID_RECORD),
    ("count-and-delta-too-high", batch([b"x"], count=2, last_delta=1), INVALID_RECORD),
    ("count-too-low", batch([b"x", b"y"], count=1, last_delta=0), INVALID_RECORD),
    ("last-delta-too-high", batch([b"x"], last_delta=7), INVALID_RECORD),
    ("last-delta-negative", batch([b"x"], last_delta=-1, count=0), INVALID_RECORD),
    ("base-offset-not-0", batch([b"x"], base_offset=77), INVALID_RECORD),
    ("control", batch([Record(b"\0\0\0\0\0\0", b"\0\0\0\1")], attributes=CONTROL),
     INVALID_RECORD),
    ("pid-without-sequence", batch([b"x"], producer=(1, 0)), INVALID_RECORD),
]


@pytest.mark.parametrize("name, records, error", BAD, ids=[one[0] for one in BAD])
def test_bad_batch_is_refused_alone(raw, unique, name, records, error):
    """The other partitions of the request succeed; nothing of the bad one is stored."""
    topic = unique()
    raw.create_topic(topic, 3)
    assert parts(raw, topic, batch([b"0"]), records, batch([b"2"])) == [0, error, 0]
    assert [end_offset(raw, topic, index) for index in range(3)] == [1, 0, 1]
    assert parts(raw, topic, batch([b"0"]), batch([b"1"])) == [0, 0]
    assert end_offset(raw, topic, 1) == 1


@pytest.mark.weir_only
def test_sparse_offsets_are_refused(raw, topic):
    """Kafka rewrites compressed batches with holes and lets uncompressed ones pass."""
    records = batch([Record(b"x"), Record(b"y", delta=5)], last_delta=1)
    assert parts(raw, topic, records) == [INVALID_RECORD]
    assert end_offset(raw, topic) == 0


def test_cut_batch_is_refused(raw, topic):
    """Fewer bytes than the batch's own length says."""
    whole = batch([b"some value"])
    for cut in (1, 11, 12, 60, len(whole) - 1):
        assert parts(raw, topic, whole[:cut])[0] in (CORRUPT, INVALID_RECORD)
    assert end_offset(raw, topic) == 0


@pytest.mark.parametrize("version, error", [(3, 76), (6, 76), (7, 0), (9, 0)])
def test_zstd_needs_version_7(raw, unique, version, error):
    topic = unique()
    raw.create_topic(topic, 2)
    assert parts(raw, topic, batch([b"x"], codec=ZSTD), batch([b"y"], codec=GZIP),
                 version=version) == [error, 0]


def test_unknown_topic_partition_and_id(raw, topic, unique):
    nowhere = {"index": 3, "records": batch([b"x"])}
    answer = raw.call("Produce", 9, topics=[
        {"name": unique(), "partitions": [nowhere]},
        {"name": topic, "partitions": [nowhere, {"index": 0, "records": batch([b"x"])}]},
    ])
    errors = {(one["name"] == topic, part["index"]): part["error"]
              for one in answer["topics"] for part in one["partitions"]}
    assert errors == {(False, 3): UNKNOWN_TOPIC, (True, 3): UNKNOWN_TOPIC, (True, 0): 0}
    stranger = uuid.uuid4()
    answer = raw.call("Produce", 13, topics=[{"id": stranger, "partitions": [nowhere]}])
    assert answer["topics"][0]["id"] == stranger
    assert answer["topics"][0]["partitions"][0]["error"] == UNKNOWN_ID


def test_max_message_bytes(raw, unique):
    """The limit is on the batch as it comes, compressed; 12 bytes of its head are not counted."""
    topic = unique()
    raw.create_topic(topic, 1, {"max.message.bytes": "1000"})
    fits = batch([b"x" * 850])
    fits = batch([b"x" * (850 + 1000 - len(fits))])
    assert len(fits) == 1000
    assert raw.produce(topic, fits)["error"] == 0
    assert raw.produce(topic, batch([b"x" * 1100]))["error"] == TOO_LARGE
    assert raw.produce(topic, batch([b"x" * 5000], codec=GZIP))["error"] == 0
    assert end_offset(raw, topic) == 2


def test_default_limit_of_a_message(raw, topic):
    """1,048,588 bytes: a mebibyte and the 12 bytes that precede a batch's length."""
    for length, error in ((1_048_588, 0), (1_048_589, TOO_LARGE)):
        empty = len(batch([b"x" * 1_000_000])) - 1_000_000
        one = batch([bytes(length - empty)])
        assert len(one) == length
        assert raw.produce(topic, one)["error"] == error


def test_timestamps_out_of_bounds(raw, unique):
    topic = unique()
    raw.create_topic(topic, 1, {"message.timestamp.before.max.ms": "60000",
                                "message.timestamp.after.max.ms": "60000"})
    now = int(time.time() * 1000)
    for base, error in ((now, 0), (now - 30_000, 0), (now + 30_000, 0),
                        (now - 600_000, BAD_TIMESTAMP), (now + 600_000, BAD_TIMESTAMP)):
        assert raw.produce(topic, batch([b"x"], base_timestamp=base))["error"] == error, base - now


def test_timestamps_are_free_by_default_in_the_past(raw, topic):
    assert raw.produce(topic, batch([b"old"], base_timestamp=1))["error"] == 0
    assert raw.list_offset(topic, 0)["timestamp"] == 1


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_log_append_time(raw, unique, codec):
    """The broker's clock replaces the producer's: bit 3, max timestamp, and a new checksum."""
    topic = unique()
    raw.create_topic(topic, 1, {"message.timestamp.type": "LogAppendTime"})
    before = int(time.time() * 1000)
    sent = batch([b"a", Record(b"b", at=9)], base_timestamp=1000, codec=CODECS[codec])
    answer = raw.produce(topic, sent)
    after = int(time.time() * 1000)
    assert answer["error"] == 0 and before <= answer["log_append_time_ms"] <= after
    (found,) = batches(raw.fetch(topic, 0)["records"])
    assert found.crc_is_right()
    assert found.attributes & LOG_APPEND_TIME
    assert found.max_timestamp == answer["log_append_time_ms"]
    assert [record.value for _, record in found.records()] == [b"a", b"b"]
    assert raw.list_offset(topic, before)["offset"] == 0


# --- idempotent producers ------------------------------------------------------------------------


@pytest.fixture
def send(raw, topic):
    """send(sequence, count) as one producer; -> (error, base offset)"""
    producer = raw.producer_id()

    def send(sequence, count=2, epoch=producer[1], pid=producer[0], version=None):
        records = [b"%d" % (sequence + i) for i in range(count)]
        answer = raw.produce(topic, batch(records, producer=(pid, epoch), sequence=sequence),
                             version=version)
        return answer["error"], answer["base_offset"]

    return send


def test_producer_ids_differ(raw, connect):
    other = connect()
    seen = [one.producer_id() for one in (raw, other) for _ in range(5)]
    assert len(set(seen)) == 10
    assert all(pid >= 0 and epoch == 0 for pid, epoch in seen)


@pytest.mark.weir_only
def test_who_tries_again_is_told_of_growth(raw, connect, topic, send):
    """Once, by an error after which each client looks for partitions and sends the same again; a
    producer without a sequence, which may not try again, is never told."""
    by_name = 9  # for a later version the raw client asks for the topic's id, and so sees it grown
    other, plain = connect(), [batch([b"plain"])] * 3
    assert [other.produce(topic, one, version=by_name)["error"] for one in plain] == [0, 0, 0]
    assert send(0, version=by_name) == (0, 3)
    connect().call("CreatePartitions", topics=[{"name": topic, "count": 3}])
    assert [other.produce(topic, one, version=by_name)["error"] for one in plain] == [0, 0, 0]
    assert send(2, version=by_name)[0] == NOT_LEADER
    assert send(2, version=by_name) == (0, 8)
    assert send(4, version=by_name) == (0, 10)


def test_duplicates_of_the_last_five(raw, topic, send):
    """Each of the five last batches, sent again, is answered with its first offset."""
    for index in range(7):
        assert send(index * 2) == (0, index * 2)
    for index in (6, 5, 4, 3, 2, 6, 2):
        assert send(index * 2) == (0, index * 2)
    assert send(2)[0] == OUT_OF_ORDER
    assert send(0)[0] == OUT_OF_ORDER
    assert send(14) == (0, 14)
    assert end_offset(raw, topic) == 16


def test_duplicate_in_flight(raw, topic):
    """The same batch twice on one connection, unanswered in between."""
    producer = raw.producer_id()
    one = batch([b"x", b"y"], producer=producer, sequence=0)
    body = {"topics": [{"name": topic, "partitions": [{"index": 0, "records": one}]}]}
    for _ in range(3):
        raw.send("Produce", 9, **body)
    for _ in range(3):
        part = raw.recv("Produce", 9)[1]["topics"][0]["partitions"][0]
        assert (part["error"], part["base_offset"]) == (0, 0)
    assert end_offset(raw, topic) == 2


def test_gap_in_the_sequence(raw, topic, send):
    assert send(0) == (0, 0)
    assert send(3)[0] == OUT_OF_ORDER
    assert send(2, count=1) == (0, 2)
    # Same first sequence, other length: no duplicate of anything.
    assert send(2, count=3)[0] == OUT_OF_ORDER
    assert end_offset(raw, topic) == 3


def test_epochs(raw, topic, send):
    """A new epoch starts at sequence 0; from then on the old one is fenced."""
    assert send(0) == (0, 0)
    assert send(5, epoch=1)[0] == OUT_OF_ORDER
    assert send(0, epoch=1) == (0, 2)
    assert send(2, epoch=0)[0] == STALE_EPOCH
    assert send(0, epoch=0)[0] == STALE_EPOCH
    assert send(2, epoch=1) == (0, 4)
    assert end_offset(raw, topic) == 6


def test_unknown_producer_may_start_anywhere(send):
    assert send(1000) == (0, 0)
    assert send(1002) == (0, 2)


def test_sequence_wraps_to_0(raw, topic, send):
    assert send(SEQUENCE_MAX - 1, count=3) == (0, 0)
    assert send(1, count=1) == (0, 3)
    assert send(SEQUENCE_MAX - 1, count=3) == (0, 0)
    assert end_offset(raw, topic) == 4


def test_sequences_are_per_partition(raw, unique):
    topic, producer = unique(), raw.producer_id()
    raw.create_topic(topic, 2)
    one = batch([b"x"], producer=producer, sequence=0)
    assert parts(raw, topic, one, one) == [0, 0]
    two = batch([b"y"], producer=producer, sequence=1)
    gap = batch([b"y"], producer=producer, sequence=2)
    assert parts(raw, topic, two, gap) == [0, OUT_OF_ORDER]


def test_refused_batch_leaves_the_sequence_alone(raw, topic):
    producer = raw.producer_id()
    good = batch([b"x"], producer=producer, sequence=0)
    assert raw.produce(topic, flipped(good, -2))["error"] == CORRUPT
    assert raw.produce(topic, good)["error"] == 0


@pytest.mark.weir_only
def test_transactional_id_is_refused(raw):
    """Not built yet: said with INVALID_REQUEST, not by pretending."""
    assert raw.call("InitProducerId", 1, transactional_id="tx")["error"] == 42


@pytest.mark.weir_only
def test_transactional_batch_is_refused(raw, topic):
    pid, epoch = raw.producer_id()
    one = batch([b"x"], producer=(pid, epoch), sequence=0, attributes=TRANSACTIONAL)
    assert raw.produce(topic, one, version=9)["error"] != 0
    assert end_offset(raw, topic) == 0
