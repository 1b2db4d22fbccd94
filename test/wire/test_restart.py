"""What survives the end of weir: the orderly one (SIGTERM) and the other (kill -9)."""

import os
import socket
import subprocess
import time
import urllib.request
import uuid

import pytest

import broker
from rawbatch import batch, batches

OUT_OF_RANGE, UNKNOWN_TOPIC, OUT_OF_ORDER, FENCED_EPOCH = 1, 3, 45, 74

pytestmark = pytest.mark.managed


@pytest.fixture(params=["sigterm", "kill"])
def restart(request, weir, connect):
    """restart() ends weir one way or the other and starts it again. -> a new connection"""

    def restart_now():
        weir.restart(kill=request.param == "kill")
        return connect(weir)

    return restart_now


@pytest.fixture
def raw(weir, connect):
    return connect(weir)


def values(conn, topic, partition=0):
    """Every value of a partition, from its first offset to its end."""
    offset, out = conn.list_offset(topic, -2, partition)["offset"], []
    while True:
        part = conn.fetch(topic, offset, partition, wait_ms=0)
        assert part["error"] == 0
        if offset == part["high_watermark"]:
            return out
        for one in batches(part["records"]):
            assert one.crc_is_right()
            assert one.base_offset + one.last_delta >= offset
            out += [record.value for at, record in one.records() if at >= offset]
            offset = one.base_offset + one.last_delta + 1


def test_topics_and_records(raw, restart):
    """Names, ids, partitions, settings, records byte for byte, and what is gone stays gone."""
    raw.create_topic("kept", 2, {"retention.ms": "987654"})
    raw.create_topic("grown")
    raw.create_topic("deleted")
    raw.call("CreatePartitions", topics=[{"name": "grown", "count": 3}])
    raw.await_topic("grown", 3)
    raw.call("DeleteTopics", 4, names=["deleted"])
    sent = [batch([b"%d" % index, b"same"], codec=index % 5) for index in range(20)]
    for index, one in enumerate(sent):
        assert raw.produce("kept", one, index % 2)["base_offset"] == index // 2 * 2
    before = raw.call("Metadata", 12, topics=None)

    for _ in range(3):
        raw = restart()
        raw.await_topic("kept", 2)
        after = raw.call("Metadata", 12, topics=None)
        assert after["cluster_id"] == before["cluster_id"]
        assert {(t["name"], t["id"], len(t["partitions"])) for t in after["topics"]} == {
            (t["name"], t["id"], len(t["partitions"])) for t in before["topics"]}
        assert "deleted" not in [t["name"] for t in after["topics"]]
        found = raw.call("DescribeConfigs", 4, resources=[
            {"type": 2, "name": "kept", "keys": ["retention.ms"]}])["results"][0]
        assert found["configs"][0]["value"] == "987654"
        for partition in range(2):
            stored = batches(raw.fetch("kept", 0, partition)["records"])
            assert [one.sent_bytes() for one in stored] == [
                one[8:12] + one[16:] for one in sent[partition::2]]
        assert raw.produce("grown", batch([b"x"]), 2)["error"] == 0


def test_appends_go_on_where_they_ended(raw, restart):
    raw.create_topic("log")
    for index in range(30):
        assert raw.produce("log", batch([b"%d" % index]))["base_offset"] == index
        if index % 6 == 5:
            raw = restart()
            raw.await_topic("log", 1)
    assert values(raw, "log") == [b"%d" % index for index in range(30)]


def test_log_start(raw, restart):
    """DeleteRecords is for ever, also inside a batch. (Kafka forgets its last minute of them.)"""
    raw.create_topic("cut")
    for index in range(5):
        raw.produce("cut", batch([b"%d" % index, b"-"]))
    answer = raw.call("DeleteRecords", topics=[
        {"name": "cut", "partitions": [{"index": 0, "offset": 3}]}])
    assert answer["topics"][0]["partitions"][0]["low_watermark"] == 3
    raw = restart()
    raw.await_topic("cut", 1)
    assert raw.list_offset("cut", -2)["offset"] == 3
    assert raw.fetch("cut", 2)["error"] == OUT_OF_RANGE
    assert values(raw, "cut")[0] == b"-"
    raw.call("DeleteRecords", topics=[{"name": "cut", "partitions": [{"index": 0, "offset": -1}]}])
    raw = restart()
    raw.await_topic("cut", 1)
    assert raw.list_offset("cut", -2)["offset"] == raw.list_offset("cut", -1)["offset"] == 10
    assert raw.produce("cut", batch([b"on"]))["base_offset"] == 10


@pytest.mark.weir_only
def test_producer_state(raw, restart):
    """The five last batches of a producer are still known (Kafka keeps one), its sequence goes
    on, and ids are new."""
    raw.create_topic("once")
    producer = raw.producer_id()
    sent = [batch([b"%d" % index], producer=producer, sequence=index) for index in range(8)]
    for index in range(7):
        assert raw.produce("once", sent[index])["base_offset"] == index
    raw = restart()
    raw.await_topic("once", 1)
    for index in (2, 3, 4, 5, 6):
        answer = raw.produce("once", sent[index])
        assert (answer["error"], answer["base_offset"]) == (0, index)
    for refused in (1, 0):
        assert raw.produce("once", sent[refused])["error"] == OUT_OF_ORDER
    gap = batch([b"gap"], producer=producer, sequence=9)
    assert raw.produce("once", gap)["error"] == OUT_OF_ORDER
    assert raw.produce("once", sent[7])["base_offset"] == 7
    stale = (producer[0], producer[1] + 1)
    assert raw.produce("once", batch([b"e"], producer=stale, sequence=0))["base_offset"] == 8
    assert raw.producer_id()[0] != producer[0]
    raw = restart()
    raw.await_topic("once", 1)
    assert raw.produce("once", sent[7])["error"] == 47
    assert raw.list_offset("once", -1)["offset"] == 9


def test_timestamps(raw, restart):
    """The index over time is there again."""
    raw.create_topic("timed")
    base = 1_600_000_000_000
    for index in range(200):
        raw.produce("timed", batch([b"x" * 200], base_timestamp=base + index * 10))
    raw = restart()
    raw.await_topic("timed", 1)
    for index in (0, 1, 99, 150, 199):
        assert raw.list_offset("timed", base + index * 10 - 5)["offset"] == index
    assert raw.list_offset("timed", -3)["offset"] == 199


def test_committed_offsets(raw, restart):
    raw.create_topic("work", 2)
    raw.await_group("g")
    answer = raw.call("OffsetCommit", 8, group="g", topics=[{"name": "work", "partitions": [
        {"index": 0, "offset": 7, "metadata": "note"}, {"index": 1, "offset": 0, "metadata": ""}]}])
    assert [part["error"] for part in answer["topics"][0]["partitions"]] == [0, 0]
    for _ in range(2):
        raw = restart()
        raw.await_group("g")
        (found,) = raw.call("OffsetFetch", 8, groups=[{"group": "g", "topics": None}])["groups"]
        assert found["error"] == 0
        parts = found["topics"][0]["partitions"]
        assert {p["index"]: (p["offset"], p["metadata"]) for p in parts} == {
            0: (7, "note"), 1: (0, "")}
        listed = raw.call("ListGroups", 4)["groups"]
        assert [(one["group"], one["state"]) for one in listed] == [("g", "Empty")]
    assert raw.call("DeleteGroups", groups=["g"])["results"][0]["error"] == 0
    raw = restart()
    raw.await_group("g")
    assert raw.call("ListGroups", 4)["groups"] == []


@pytest.mark.weir_only
def test_leader_epoch_rises(raw, restart):
    """Each start is a new leader: what was written before it keeps its epoch and its end."""
    raw.create_topic("epochs")
    ends = {}
    for index in range(3):
        epoch = raw.await_topic("epochs", 1)["partitions"][0]["leader_epoch"]
        assert all(epoch > old for old in ends)
        raw.produce("epochs", batch([b"%d" % index]))
        ends[epoch] = index + 1
        raw = restart()
    current = raw.await_topic("epochs", 1)["partitions"][0]["leader_epoch"]
    stored = batches(raw.fetch("epochs", 0)["records"])
    assert [one.leader_epoch for one in stored] == list(ends)
    for epoch, end in ends.items():
        answer = raw.call("OffsetForLeaderEpoch", topics=[{"name": "epochs", "partitions": [
            {"index": 0, "current_leader_epoch": current, "leader_epoch": epoch}]}])
        part = answer["topics"][0]["partitions"][0]
        assert (part["error"], part["leader_epoch"], part["end_offset"]) == (0, epoch, end)
        assert raw.fetch("epochs", 0, leader_epoch=epoch)["error"] == FENCED_EPOCH
        assert raw.list_offset("epochs", -1, leader_epoch=epoch)["error"] == FENCED_EPOCH
    # A reader whose last batch is of an epoch that ended earlier is told where (KIP-595).
    first = next(iter(ends))
    answer = raw.call("Fetch", 12, max_wait_ms=0, topics=[{"name": "epochs", "partitions": [
        {"index": 0, "offset": 3, "leader_epoch": current, "last_fetched_epoch": first}]}])
    part = answer["topics"][0]["partitions"][0]
    assert part["diverging"] == {"epoch": first, "end_offset": 1}


# --- starting and stopping -----------------------------------------------------------------------


def test_settings_from_the_environment(tmp_path, connect):
    weir = broker.Weir(tmp_path, through_environment=True).start()
    try:
        assert connect(weir).call("ApiVersions")["error"] == 0
        assert (tmp_path / "data").is_dir()
    finally:
        weir.end()


def test_health_and_metrics(weir):
    assert weir.http_status("/healthz") == 200
    assert weir.http_status("/readyz") == 200
    with urllib.request.urlopen(weir.http + "/metrics", timeout=5) as answer:
        assert answer.status == 200 and answer.read()


@pytest.mark.weir_only
def test_unknown_http_path(weir):
    assert weir.http_status("/nothing-here") == 404


def start_beside(weir, **where):
    """Runs a second weir that must fail. -> (status, what it said)"""
    ports = {"data": str(weir.folder / "other"), "kafka": f"127.0.0.1:{broker.free_port()}",
             "http": f"127.0.0.1:{broker.free_port()}", **where}
    command = [str(broker.weir_binary()), "serve"]
    for name, value in ports.items():
        command += [f"--{name}", value]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WEIR_")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=environment)
    return done.returncode, done.stderr + done.stdout


@pytest.mark.weir_only
def test_a_second_weir_on_the_same_folder_is_refused(weir, connect):
    data = str(weir.folder / "data")
    status, said = start_beside(weir, data=data)
    assert status > 0 and data in said
    assert connect(weir).call("ApiVersions")["error"] == 0


@pytest.mark.weir_only
@pytest.mark.parametrize("option", ["kafka", "http"])
def test_a_port_in_use_is_named(weir, option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        status, said = start_beside(weir, **{option: address})
    assert status > 0 and address in said


@pytest.mark.weir_only
def test_stop_with_a_fetch_waiting(weir, connect):
    """SIGTERM does not wait for the longest poll."""
    conn = connect(weir)
    conn.create_topic("quiet")
    conn.send("Fetch", 11, max_wait_ms=60_000, min_bytes=1, topics=[
        {"name": "quiet", "partitions": [{"index": 0, "offset": 0}]}])
    start = time.monotonic()
    weir.stop()
    assert time.monotonic() - start < 10


def test_unacknowledged_tail_is_whole_or_gone(weir, connect):
    """Killed amid a stream of large batches: whatever is left has no hole and no torn end."""
    conn = connect(weir)
    conn.create_topic("tail")
    name = uuid.uuid4().bytes
    one = batch([name * 500])
    body = {"topics": [{"name": "tail", "partitions": [{"index": 0, "records": one}]}]}
    for _ in range(200):
        conn.send("Produce", 7, **body)
    acked = sum(
        conn.recv("Produce", 7)[1]["topics"][0]["partitions"][0]["error"] == 0 for _ in range(50))
    weir.restart(kill=True)
    conn = connect(weir)
    conn.await_topic("tail", 1)
    found = values(conn, "tail")
    assert acked == 50 <= len(found) <= 200 and set(found) == {name * 500}
    assert conn.produce("tail", batch([b"on"]))["base_offset"] == len(found)
