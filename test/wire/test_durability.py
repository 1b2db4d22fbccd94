"""The data folder on a real disk: full, foreign, damaged, killed. What is acknowledged stays.

WIRE_LONG=1 also runs what takes minutes: retention by the clock, ten thousand partitions.
"""

import contextlib
import os
import struct
import subprocess
import threading
import time

import pytest

import broker
from rawbatch import batch, batches
from rawkafka import Closed, Raw

CORRUPT, STORAGE_ERROR = 2, 56
JOURNAL_BLOCK = 4096
MIB = 1 << 20

pytestmark = [pytest.mark.managed, pytest.mark.weir_only]
long = pytest.mark.skipif(not os.environ.get("WIRE_LONG"), reason="WIRE_LONG is not set")


def values(conn, topic, partition=0):
    """Every value of a partition, from its first offset to its end."""
    offset, out = conn.list_offset(topic, -2, partition)["offset"], []
    while True:
        part = conn.fetch(topic, offset, partition, wait_ms=0)
        assert part["error"] == 0
        if offset == part["high_watermark"]:
            return out
        for one in batches(part["records"]):
            out += [record.value for at, record in one.records() if at >= offset]
            offset = one.base_offset + one.last_delta + 1


def delete_records(conn, topic, offset):
    answer = conn.call("DeleteRecords", topics=[
        {"name": topic, "partitions": [{"index": 0, "offset": offset}]}])
    part = answer["topics"][0]["partitions"][0]
    assert part["error"] == 0, part
    return part["low_watermark"]


def fsck(folder):
    """-> (exit status, what it said)"""
    done = subprocess.run([str(broker.weir_binary()), "fsck", "--data", str(folder)],
                          capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def refused(weir):
    """A start that must fail; -> what it said."""
    before = len(weir.log.read_text()) if weir.log.exists() else 0
    with pytest.raises(AssertionError, match="weir ended with 1"):
        weir.start()
    return weir.log.read_text()[before:]


def start_line(weir):
    """What the last start said of the folder: {"clean": "true", ...}"""
    line = [line for line in weir.log.read_text().splitlines() if "store.open " in line][-1]
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def groups(journal):
    """All group heads in the journal's files, by sequence: [(sequence, path, position, bytes)]"""
    found = []
    for path in sorted(journal.glob("*.wj")):
        data = path.read_bytes()
        for at in range(JOURNAL_BLOCK, len(data), JOURNAL_BLOCK):
            if data[at:at + 4] == b"WJG1":
                sequence, _, size = struct.unpack_from(">QQQ", data, at + 16)
                found.append((sequence, path, at, size))
    return sorted(found)


def log_folder(weir, conn, topic):
    """The folder of the topic's first partition: the one that holds the name of its batches."""
    marker = os.urandom(16).hex().encode()
    assert conn.produce(topic, batch([marker]))["error"] == 0
    for path in (weir.folder / "data" / "logs").glob("*/*.log"):
        if marker in path.read_bytes():
            return path.parent
    raise AssertionError("no segment holds what was just acknowledged")


# --- a full disk ---------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(where, size):
    where.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(where)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no mount: {error}")
    if done.returncode:
        pytest.skip(f"mounting a small disk is not permitted: {done.stderr.strip()}")
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=True)


@pytest.fixture
def full(tmp_path, connect):
    """A weir on a disk that producers have filled: (weir, connection, filler, values stored)."""
    with small_disk(tmp_path / "disk", "48m") as disk:
        filler = disk / "filler"
        filler.write_bytes(b"x" * (8 * MIB))
        weir = broker.Weir(tmp_path / "weir")
        (weir.folder / "data").symlink_to(disk / "data")
        (disk / "data").mkdir()
        weir.start()
        conn = connect(weir)
        conn.create_topic("fills", 1, {"segment.bytes": str(MIB)})
        conn.create_topic("other")
        stored = []
        while True:
            value = b"%d" % len(stored) + b"-" * 90_000
            answer = conn.produce("fills", batch([value]))
            if answer["error"]:
                break
            stored.append(value)
        assert answer["error"] == STORAGE_ERROR and "full" in answer["error_message"]
        try:
            yield weir, conn, filler, stored
        finally:
            weir.end()


def produce_until_taken(conn, topic, value):
    deadline = time.monotonic() + 10
    while True:
        answer = conn.produce(topic, batch([value]))
        if answer["error"] == 0:
            return answer["base_offset"]
        assert answer["error"] == STORAGE_ERROR and time.monotonic() < deadline, answer
        time.sleep(0.02)


def test_full_disk_then_room(full, connect):
    """Refused and readable; goes on without a restart when there is room, and after one, too."""
    weir, conn, filler, stored = full
    assert len(stored) > 10
    for _ in range(20):
        assert conn.produce("fills", batch([b"-" * 90_000]))["error"] == STORAGE_ERROR
    assert values(conn, "fills") == stored
    weir.restart(kill=True)
    conn = connect(weir)
    conn.await_topic("fills", 1)
    assert values(conn, "fills") == stored
    assert conn.produce("fills", batch([b"-" * 90_000]))["error"] == STORAGE_ERROR
    filler.unlink()
    assert produce_until_taken(conn, "fills", b"on") == len(stored)
    weir.restart()
    assert start_line(weir)["clean"] == "true"
    conn = connect(weir)
    conn.await_topic("fills", 1)
    assert values(conn, "fills") == stored + [b"on"]
    assert fsck(weir.folder / "data" / "no")[0] == 1


def test_full_disk_emptied_by_deletes(full, connect):
    """Both deletes work on a full disk, and deleting the topic makes room."""
    weir, conn, filler, stored = full
    assert delete_records(conn, "fills", len(stored) - 1) == len(stored) - 1
    assert values(conn, "fills") == stored[-1:]
    answer = conn.call("DeleteTopics", 4, names=["fills"])
    assert answer["topics"][0]["error"] == 0
    assert produce_until_taken(conn, "other", b"-" * 90_000) == 0
    weir.restart(kill=True)
    conn = connect(weir)
    conn.await_topic("other", 1)
    assert values(conn, "other") == [b"-" * 90_000]


def test_full_disk_in_one_request(tmp_path, connect):
    """More in one request than journal and disk have room for: an answer, not the end of weir."""
    with small_disk(tmp_path / "disk", "24m") as disk:
        weir = broker.Weir(tmp_path / "weir")
        (disk / "data").mkdir()
        (weir.folder / "data").symlink_to(disk / "data")
        weir.start()
        conn = connect(weir)
        conn.create_topic("t", 3)
        room = os.statvfs(disk).f_bavail * 4096
        (disk / "filler").write_bytes(b"x" * (room - 2 * MIB))
        one = batch([b"-" * 600_000])
        answer = conn.call("Produce", 7, acks=-1, topics=[{"name": "t", "partitions": [
            {"index": index, "records": one} for index in range(3)]}])
        errors = {part["error"] for part in answer["topics"][0]["partitions"]}
        assert errors <= {0, STORAGE_ERROR} and STORAGE_ERROR in errors
        (disk / "filler").unlink()
        produce_until_taken(conn, "t", b"on")
        weir.end()


# --- folders that are not to be served -----------------------------------------------------------


def test_second_process(weir):
    data = str(weir.folder / "data")
    other = broker.Weir(weir.folder / "other")
    (other.folder / "data").symlink_to(data)
    said = refused(other)
    assert "another process serves" in said and "stop it, or choose another" in said
    status, said = fsck(data)
    assert status == 1 and "stop it first" in said


def test_foreign_folder(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "holiday.jpg").write_bytes(b"sun")
    weir = broker.Weir(tmp_path)
    said = refused(weir)
    assert str(data) in said and "choose an empty or a new folder" in said
    assert sorted(path.name for path in data.iterdir()) == ["holiday.jpg", "lock"]
    assert fsck(data)[0] == 1


def test_newer_format_and_damaged_meta(weir):
    weir.stop()
    meta = weir.folder / "data" / "meta"
    good = meta.read_bytes()
    meta.write_bytes(good.replace(b"weir.format=1\n", b"weir.format=2\n"))
    assert "use a newer version" in refused(weir)
    for at in range(len(good)):
        meta.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
        status, said = fsck(weir.folder / "data")
        assert status == 1 and "meta" in said or "newer" in said, (at, said)
    assert "meta" in refused(weir)
    meta.write_bytes(good)
    weir.start()


def test_damaged_manifest(weir):
    weir.stop()
    manifest = weir.folder / "data" / "manifest"
    flip(manifest, manifest.stat().st_size // 2)
    assert f"{manifest} is damaged" in refused(weir)
    status, said = fsck(weir.folder / "data")
    assert status == 1 and "manifest" in said
    flip(manifest, manifest.stat().st_size // 2)
    weir.start()


def test_damaged_segment(weir, connect):
    """A start does not look at segments; fsck does and says where. One that is cut off costs the
    clients of its own log an error, and those of others nothing."""
    conn = connect(weir)
    conn.create_topic("t")
    folder = log_folder(weir, conn, "t")
    for _ in range(20):
        conn.produce("t", batch([b"-" * 1000]))
    weir.stop()
    status, said = fsck(weir.folder / "data")
    assert status == 0 and "0 faults" in said and "ended in order" in said
    segment = folder / f"{0:020}.log"
    flip(segment, 9000)
    status, said = fsck(weir.folder / "data")
    assert status == 1 and str(segment) in said and "byte " in said
    flip(segment, 9000)
    os.truncate(segment, segment.stat().st_size - 1)
    weir.start()
    conn = connect(weir)
    assert conn.produce("t", batch([b"x"]))["error"] == STORAGE_ERROR
    assert conn.fetch("t", 0)["error"] == CORRUPT
    assert str(segment) in weir.log_tail()
    conn.create_topic("other")
    assert conn.produce("other", batch([b"x"]))["error"] == 0


def test_damaged_journal(weir, connect):
    """Below what is known to be durable a flipped bit stops the start, with file and position."""
    conn = connect(weir)
    conn.create_topic("t")
    for index in range(5):
        conn.produce("t", batch([b"%d" % index]))
    weir.kill()
    sequence, path, at, _ = groups(weir.folder / "data" / "journal")[-3]
    flip(path, at + 200)
    said = refused(weir)
    assert f"{path}, byte {at}: group {sequence} is damaged or missing" in said
    status, said = fsck(weir.folder / "data")
    assert status == 1 and f"byte {at}" in said
    flip(path, at + 200)
    weir.start()
    conn = connect(weir)
    conn.await_topic("t", 1)
    assert values(conn, "t") == [b"%d" % index for index in range(5)]


def test_lost_journal_head(weir, connect):
    """A journal whose first block reads as zeros is not taken for a new one: nothing is removed."""
    conn = connect(weir)
    conn.create_topic("t")
    folder = log_folder(weir, conn, "t")
    weir.kill()
    _, path, _, _ = groups(weir.folder / "data" / "journal")[-1]
    with open(path, "r+b") as file:
        head = file.read(JOURNAL_BLOCK)
        file.seek(0)
        file.write(bytes(JOURNAL_BLOCK))
    assert f"{weir.folder}/data/journal" in refused(weir)
    assert list(folder.glob("*.log"))
    with open(path, "r+b") as file:
        file.write(head)
    weir.start()
    conn = connect(weir)
    conn.await_topic("t", 1)
    assert len(values(conn, "t")) == 1


def test_damaged_tail(weir, connect):
    """Behind it, where nobody was promised anything, the rest is cut and reported."""
    conn = connect(weir)
    conn.create_topic("t", 1, {"weir.flush": "os"})
    for index in range(5):
        conn.produce("t", batch([b"%d" % index]))
    weir.kill()
    _, path, at, size = groups(weir.folder / "data" / "journal")[-2]
    flip(path, at + 200)
    status, said = fsck(weir.folder / "data")
    assert status == 0 and "never acknowledged" in said
    weir.start()
    line = start_line(weir)
    assert line["clean"] == "false" and int(line["cut_bytes"]) >= size
    conn = connect(weir)
    conn.await_topic("t", 1)
    assert values(conn, "t") == [b"0", b"1", b"2"]
    assert conn.produce("t", batch([b"on"]))["base_offset"] == 3
    weir.restart(kill=True)
    conn = connect(weir)
    conn.await_topic("t", 1)
    assert values(conn, "t") == [b"0", b"1", b"2", b"on"]
    weir.stop()
    assert fsck(weir.folder / "data")[0] == 0


# --- what stays ----------------------------------------------------------------------------------


@pytest.mark.parametrize("flush", ["each", "os", "10ms"])
def test_flush_modes_survive_a_kill(weir, connect, flush):
    """The page cache outlives the process: all that was acknowledged is there in every mode."""
    conn = connect(weir)
    conn.create_topic("t", 1, {"weir.flush": flush})
    sent = [b"%d" % index + b"-" * (index * 7000 % 700_000) for index in range(60)]
    for value in sent[:40]:
        assert conn.produce("t", batch([value]))["error"] == 0
    weir.restart(kill=True)
    conn = connect(weir)
    conn.await_topic("t", 1)
    assert values(conn, "t") == sent[:40]
    for value in sent[40:]:
        assert conn.produce("t", batch([value]))["error"] == 0
    weir.restart(kill=True)
    conn = connect(weir)
    conn.await_topic("t", 1)
    assert values(conn, "t") == sent


def test_delete_records_frees_segments(weir, connect):
    """The log start outlives kill -9 twice; whole segments below it leave."""
    conn = connect(weir)
    conn.create_topic("t", 1, {"segment.bytes": str(MIB), "file.delete.delay.ms": "0"})
    folder = log_folder(weir, conn, "t")
    for _ in range(40):
        assert conn.produce("t", batch([b"-" * 100_000]))["error"] == 0
    assert len(list(folder.glob("*.log"))) >= 4
    assert delete_records(conn, "t", 35) == 35
    assert len(list(folder.glob("*.log"))) <= 2
    for _ in range(2):
        weir.restart(kill=True)
        conn = connect(weir)
        conn.await_topic("t", 1)
        assert conn.list_offset("t", -2)["offset"] == 35
        assert len(values(conn, "t")) == 6
    assert not list(folder.glob("*.deleted"))
    weir.stop()
    assert fsck(weir.folder / "data")[0] == 0


class Load:
    """Produces one after the other until the connection ends; remembers what was acknowledged."""

    def __init__(self, weir, topic):
        self.acked, self.topic = {}, topic
        self.conn = Raw(weir.host, weir.port)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        number = 0
        with contextlib.suppress(Closed, OSError):
            while True:
                value = b"%d-" % number + b"." * (number % 50 * 300)
                answer = self.conn.produce(self.topic, batch([value]), version=7)
                if answer["error"] == 0:
                    self.acked[answer["base_offset"]] = value
                number += 1


def test_sigterm_under_load(weir, connect):
    """An orderly stop in the middle of it: nothing is lost, and the next start knows it."""
    conn = connect(weir)
    topics = ["a", "b", "c"]
    for topic in topics:
        conn.create_topic(topic)
    for _ in range(3):
        loads = [Load(weir, topic) for topic in topics]
        deadline = time.monotonic() + 20
        while any(len(load.acked) < 100 for load in loads):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        weir.stop()
        status, said = fsck(weir.folder / "data")
        assert status == 0 and "ended in order" in said
        weir.start()
        line = start_line(weir)
        assert line["clean"] == "true" and line["replayed"] == "0"
        conn = connect(weir)
        for load in loads:
            load.thread.join(10)
            conn.await_topic(load.topic, 1)
            found = dict(enumerate(values(conn, load.topic)))
            assert {at: found.get(at) for at in load.acked} == load.acked


# --- what takes its time -------------------------------------------------------------------------


@long
@pytest.mark.parametrize("settings", [
    {"retention.bytes": str(2 * MIB)}, {"retention.ms": "1000", "segment.ms": "1000"}])
def test_retention(weir, connect, settings):
    """Retention looks every 30 seconds; what it removed is gone after kill -9, too."""
    conn = connect(weir)
    conn.create_topic("t", 1, {"segment.bytes": str(MIB), "file.delete.delay.ms": "0", **settings})
    folder = log_folder(weir, conn, "t")
    for _ in range(60):
        assert conn.produce("t", batch([b"-" * 100_000]))["error"] == 0
    deadline = time.monotonic() + 75
    while conn.list_offset("t", -2)["offset"] < 20:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    start = conn.list_offset("t", -2)["offset"]
    assert len(list(folder.glob("*.log"))) <= 4
    weir.restart(kill=True)
    conn = connect(weir)
    conn.await_topic("t", 1)
    assert conn.list_offset("t", -2)["offset"] >= start
    assert len(values(conn, "t")) == 61 - conn.list_offset("t", -2)["offset"]


@long
def test_ten_thousand_partitions(weir, connect):
    conn = connect(weir)
    for first in range(0, 1000, 50):
        answer = conn.call("CreateTopics", timeout_ms=60_000, topics=[
            {"name": f"t{index}", "partitions": 10} for index in range(first, first + 50)])
        assert not any(topic["error"] for topic in answer["topics"])
    one = batch([b"-" * 100])
    for index in range(1000):
        answer = conn.call("Produce", 7, acks=-1, topics=[{"name": f"t{index}", "partitions": [
            {"index": part, "records": one} for part in range(10)]}])
        assert not any(part["error"] for part in answer["topics"][0]["partitions"])
    for how in ("kill", "sigterm"):
        rss = weir.rss_bytes()
        weir.kill() if how == "kill" else weir.stop()
        start = time.monotonic()
        weir.start()
        took = time.monotonic() - start
        conn = connect(weir)
        part = conn.fetch("t999", 0, 9)
        assert part["error"] == 0 and len(batches(part["records"])) == 1
        store_us = start_line(weir)["took_us"]
        print(f"10,000 partitions, {how}: ready after {took:.3f} s, {store_us} us "
              f"of it the store; RSS {rss / MIB:.1f} MiB before, "
              f"{weir.rss_bytes() / MIB:.1f} after")
        assert took < 30 and weir.rss_bytes() < 512 * MIB
