"""Several event loops (`weir serve --threads 3`): connections, partitions and groups are spread
over them, and requests travel.

What is imported runs here again, against several event loops. The rest is what only many
connections at once can show: each of them asks for the partitions of all event loops, while topics
come, grow and go, or while weir is told to end.
"""

import contextlib
import threading
import time
import uuid

import pytest

import broker
from rawbatch import batch, batches
from rawkafka import Closed, Raw
from test_admin import (test_create_partitions, test_create_some_of_several,  # noqa: F401
                        test_delete_records, test_delete_topics,
                        test_metadata_creates_only_when_asked)
from test_fetch import (session, test_a_waiting_fetch_ends_with_its_topic,  # noqa: F401
                        test_fetch_session_notices_a_recreated_topic, test_list_offsets,
                        test_reads_from_any_offset, test_session_forgets_and_adds,
                        test_session_reports_only_what_changed, test_waits_for_data)
from test_groups import (group, member, test_commit_and_fetch, test_delete_groups,  # noqa: F401
                         test_describe_and_list, test_fetch_all_topics_of_several_groups,
                         test_life_of_a_group)
from test_produce import (send, test_duplicates_of_the_last_five,  # noqa: F401
                          test_many_partitions_and_topics_in_one_request, test_producer_ids_differ,
                          test_sequences_are_per_partition)

WRITERS, PARTITIONS = 4, 7
# What a topic answers that is being made or deleted: unknown by name or id, no leader yet.
COMES_OR_GOES = {3, 5, 6, 100}
# What is answered to what was asked while weir ends.
STOPPED = {6}
PATIENCE_S = 60

pytestmark = pytest.mark.managed


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    weir = broker.Weir(tmp_path_factory.mktemp("threads"), threads=broker.SEVERAL).start()
    yield weir
    assert weir.process.poll() is None, f"weir ended on its own:\n{weir.log_tail()}"
    weir.end()


class Busy:
    """A connection that does one thing again and again, in a thread, until it is ended."""

    def __init__(self, weir, turn):
        self.conn, self.turn = Raw(weir.host, weir.port), turn
        self.ending, self.error, self.turns = threading.Event(), None, 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.ending.is_set():
                self.turn(self.conn, self.turns)
                self.turns += 1
        except Exception as error:  # raised again by finish()
            self.error = error

    def finish(self, may_be_closed=False):
        self.ending.set()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive(), "no answer"
        self.conn.close()
        if self.error and not (may_be_closed and isinstance(self.error, Closed)):
            raise self.error


def await_turns(all_busy, turns):
    deadline = time.monotonic() + PATIENCE_S
    while any(one.turns < turns and not one.error for one in all_busy):
        assert time.monotonic() < deadline, [one.turns for one in all_busy]
        time.sleep(0.01)


@contextlib.contextmanager
def at_work(weir, *turns):
    """Runs each turn on a connection of its own until the block ends."""
    all_busy = [Busy(weir, turn) for turn in turns]
    try:
        yield all_busy
    except BaseException:
        for one in all_busy:
            one.ending.set()
        raise
    for one in all_busy:
        one.finish()


class Writer:
    """Sends a batch to every partition of a topic in each request; remembers what was stored."""

    def __init__(self, topic, may_answer=frozenset()):
        self.topic, self.may_answer = topic, may_answer
        self.name, self.acked = uuid.uuid4().hex[:8].encode(), {}

    def __call__(self, conn, turn):
        value = b"%s:%d" % (self.name, turn)
        records = batch([value])
        answer = conn.call("Produce", 9, topics=[{"name": self.topic, "partitions": [
            {"index": index, "records": records} for index in range(PARTITIONS)]}])
        for part in answer["topics"][0]["partitions"]:
            assert part["error"] == 0 or part["error"] in self.may_answer, part
            if part["error"] == 0:
                self.acked[part["index"], part["base_offset"]] = value


def read_back(conn, topic):
    """-> {(partition, offset): value}, every partition without a hole."""
    found = {}
    for partition in range(PARTITIONS):
        offset = 0
        while True:
            part = conn.fetch(topic, offset, partition, version=12, wait_ms=0)
            assert part["error"] == 0
            for one in batches(part["records"]):
                assert one.crc_is_right() and one.base_offset == offset
                found.update({(partition, at): record.value for at, record in one.records()})
                offset += one.last_delta + 1
            if offset == part["high_watermark"]:
                break
    return found


def check(conn, writers):
    """Every acknowledged record is where the answer said, once, in the order of sending."""
    found = read_back(conn, writers[0].topic)
    for writer in writers:
        lost = [place for place, value in writer.acked.items() if found.get(place) != value]
        assert not lost, f"{len(lost)} acknowledged records lost: {lost[:5]}"
        for partition in range(PARTITIONS):
            turns = [int(value.split(b":")[1]) for (where, _), value in sorted(found.items())
                     if where == partition and value.startswith(writer.name)]
            assert turns == sorted(set(turns)), "out of order"
    return found


def test_every_connection_reaches_every_partition(target, raw, unique):
    topic = unique()
    raw.create_topic(topic, PARTITIONS)
    writers = [Writer(topic) for _ in range(WRITERS)]
    with at_work(target, *writers) as all_busy:
        await_turns(all_busy, 100)
    found = check(raw, writers)
    assert len(found) == sum(len(writer.acked) for writer in writers) >= WRITERS * 100 * PARTITIONS


def long_poll(topic):
    """Waits for records at the end of every partition; the topic may come and go."""
    ends = {}

    def turn(conn, _):
        answer = conn.call("Fetch", 12, max_wait_ms=100, min_bytes=1, topics=[{
            "name": topic, "partitions": [{"index": index, "offset": ends.get(index, 0)}
                                          for index in range(PARTITIONS)]}])
        assert answer["error"] == 0
        for part in answer["topics"][0]["partitions"]:
            # 1: the topic's new life is shorter than its last one was.
            assert part["error"] in COMES_OR_GOES | {0, 1}, part
            ends[part["index"]] = part["high_watermark"] if part["error"] == 0 else 0

    return turn


def look_around(conn, _):
    """Everything that walks over all topics, on a connection of its own."""
    for topic in conn.call("Metadata", 12, topics=None)["topics"]:
        assert topic["error"] == 0 and topic["partitions"]
    conn.call("ListGroups", 4)


def topics(conn):
    found = conn.call("Metadata", 12, topics=None)["topics"]
    return {topic["name"] for topic in found if not topic["internal"]}


def live_and_die(conn, topic):
    """One life of a topic: made, grown, its records deleted, deleted."""
    answer = conn.call("CreateTopics", 7, topics=[{"name": topic, "partitions": 2}])
    assert answer["topics"][0]["error"] == 0, answer
    answer = conn.call("CreatePartitions", topics=[{"name": topic, "count": PARTITIONS}])
    assert answer["results"][0]["error"] == 0, answer
    answer = conn.call("DeleteRecords", 2, topics=[{"name": topic, "partitions": [
        {"index": index, "offset": -1} for index in range(PARTITIONS)]}])
    assert {part["error"] for part in answer["topics"][0]["partitions"]} == {0}, answer
    answer = conn.call("DeleteTopics", 5, names=[topic])
    assert answer["topics"][0]["error"] == 0, answer


def test_topics_come_grow_and_go_under_load(weir, connect, unique):
    """What is asked of the topic fails only as it must; the other topic never notices."""
    steady, fickle, other = unique(), unique(), unique()
    conn = connect(weir)
    conn.create_topic(steady, PARTITIONS)
    writers = [Writer(steady) for _ in range(WRITERS)]
    turns = writers + [Writer(name, COMES_OR_GOES) for name in (fickle, fickle, other)]
    turns += [long_poll(fickle), long_poll(other), long_poll(steady), look_around]
    lives = [lambda conn, _, name=name: live_and_die(conn, name) for name in (fickle, other)]
    with at_work(weir, *turns), at_work(weir, *lives) as busy:
        await_turns(busy, 40)
    found = check(conn, writers)
    assert topics(conn) == {steady}
    weir.restart(kill=True)
    conn = connect(weir)
    conn.await_topic(steady, PARTITIONS)
    assert read_back(conn, steady) == found
    assert topics(conn) == {steady}


def test_one_topic_made_by_all_at_once(target, connect, unique):
    """Of several requests for the same name on different event loops one wins."""
    conns = [connect() for _ in range(WRITERS)]
    for _ in range(10):
        topic = unique()
        for conn in conns:
            conn.send("CreateTopics", 7, topics=[{"name": topic, "partitions": 3}])
        errors = [conn.recv("CreateTopics", 7)[1]["topics"][0]["error"] for conn in conns]
        assert sorted(errors) == [0] + [36] * (WRITERS - 1)
        # Whoever was answered last: every event loop knows the topic now.
        for conn in conns:
            answer = conn.call("Metadata", 12, topics=[{"name": topic}])
            assert len(answer["topics"][0]["partitions"]) == 3


def test_stop_with_busy_connections(weir, connect, unique):
    """SIGTERM in the middle of it: an orderly end, and all that was acknowledged is there."""
    topic = unique()
    connect(weir).create_topic(topic, PARTITIONS)
    writers = []
    for _ in range(3):
        # What is asked too late is refused or not answered at all.
        late = [Writer(topic, STOPPED) for _ in range(WRITERS)]
        all_busy = [Busy(weir, turn) for turn in [*late, long_poll(topic), look_around]]
        await_turns(all_busy, 10)
        weir.stop()
        for one in all_busy:
            one.finish(may_be_closed=True)
        assert "store.failed" not in weir.log_tail()
        writers += late
        weir.start()
    check(connect(weir), writers)
