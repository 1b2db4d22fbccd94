"""Consumer groups of the classic protocol, member by member, over plain frames."""

import time
import uuid

import pytest

UNKNOWN_TOPIC, METADATA_TOO_LARGE = 3, 12
ILLEGAL_GENERATION, INCONSISTENT_PROTOCOL, INVALID_GROUP, UNKNOWN_MEMBER = 22, 23, 24, 25
BAD_SESSION_TIMEOUT, REBALANCING, NON_EMPTY_GROUP, GROUP_NOT_FOUND = 26, 27, 68, 69
MEMBER_ID_REQUIRED, FENCED_INSTANCE, UNKNOWN_ID = 79, 82, 100
JOIN = 9
# What a consumer subscribes to, version 0: no topics, user data. weir only passes it on, but
# Kafka reads it, and never answers a join whose metadata it cannot read.
SUBSCRIPTION = b"\0\0" + b"\0\0\0\0" + b"\0\0\0\4mine"
PROTOCOLS = [{"name": "range", "metadata": SUBSCRIPTION}]


class Member:
    """One member on a connection of its own; join and sync may be left waiting."""

    def __init__(self, conn, group, instance=None, protocols=None, session_ms=30_000):
        self.conn, self.group, self.instance = conn, group, instance
        self.protocols = protocols or PROTOCOLS
        self.session_ms = session_ms
        self.id, self.generation = "", -1

    def send_join(self, **more):
        body = {"group": self.group, "member": self.id, "instance": self.instance,
                "protocols": self.protocols, "session_timeout_ms": self.session_ms,
                "rebalance_timeout_ms": 20_000, **more}
        self.conn.send("JoinGroup", JOIN, **body)

    def recv_join(self):
        answer = self.conn.recv("JoinGroup", JOIN)[1]
        if answer["error"] == 0:
            self.id, self.generation = answer["member"], answer["generation"]
        return answer

    def take_id(self):
        """The first join of a dynamic member only gives it an id (KIP-394)."""
        self.send_join()
        answer = self.recv_join()
        assert answer["error"] == MEMBER_ID_REQUIRED and answer["member"]
        self.id = answer["member"]

    def join(self, **more):
        if not self.id and not self.instance:
            self.take_id()
        self.send_join(**more)
        answer = self.recv_join()
        assert answer["error"] == 0, answer
        return answer

    def send_sync(self, assignments=None, **more):
        body = {"group": self.group, "generation": self.generation, "member": self.id,
                "instance": self.instance, "protocol_type": "consumer",
                "protocol": self.protocols[-1]["name"],
                "assignments": [{"member": member, "assignment": assignment}
                                for member, assignment in (assignments or {}).items()], **more}
        self.conn.send("SyncGroup", 5, **body)

    def recv_sync(self):
        return self.conn.recv("SyncGroup", 5)[1]

    def sync(self, assignments=None, **more):
        self.send_sync(assignments, **more)
        return self.recv_sync()

    def enter(self):
        """Joins as the only member and takes everything."""
        answer = self.join()
        assert answer["leader"] == self.id
        assert self.sync({self.id: b"all"})["assignment"] == b"all"
        return self

    def heartbeat(self, **more):
        body = {"group": self.group, "generation": self.generation, "member": self.id,
                "instance": self.instance, **more}
        return self.conn.call("Heartbeat", 4, **body)["error"]

    def await_rebalance(self, seconds=20):
        deadline = time.monotonic() + seconds
        while (error := self.heartbeat()) != REBALANCING:
            assert error == 0 and time.monotonic() < deadline, f"heartbeat: {error}"
            time.sleep(0.02)

    def leave(self):
        answer = self.conn.call("LeaveGroup", 5, group=self.group,
                                members=[{"member": self.id, "instance": self.instance}])
        assert answer["error"] == 0
        return answer["members"][0]["error"]

    def commit(self, topic, offset, version=9, metadata="", **more):
        body = {"group": self.group, "generation": self.generation, "member": self.id, **more}
        answer = self.conn.call("OffsetCommit", version, **body, topics=[
            {"name": topic, "partitions": [{"index": 0, "offset": offset, "metadata": metadata}]}])
        return answer["topics"][0]["partitions"][0]["error"]


@pytest.fixture
def group(raw, unique):
    name = unique("group")
    raw.await_group(name)
    return name


@pytest.fixture
def member(connect, group):
    """member(...) makes another member of the test's group."""
    return lambda **more: Member(connect(), group, **more)


def committed(raw, group, topic, version=8, partition=0):
    if version >= 8:
        asked = [{"group": group, "topics": [{"name": topic, "partitions": [partition]}]}]
        answer = raw.call("OffsetFetch", version, groups=asked)["groups"][0]
    else:
        answer = raw.call("OffsetFetch", version, group=group,
                          topics=[{"name": topic, "partitions": [partition]}])
    assert answer.get("error", 0) == 0
    return answer["topics"][0]["partitions"][0]


def state(raw, group):
    return raw.call("DescribeGroups", 5, groups=[group])["groups"][0]["state"]


# --- joining -------------------------------------------------------------------------------------


def test_life_of_a_group(raw, member, group):
    """Alone; joined by a second; left again; empty: with the generation counted on."""
    one, two = member(), member()
    answer = one.join()
    assert answer["leader"] == one.id and answer["protocol"] == "range"
    assert [(m["member"], m["metadata"]) for m in answer["members"]] == [(one.id, SUBSCRIPTION)]
    assert state(raw, group) == "CompletingRebalance"
    assert one.sync({one.id: b"everything"})["assignment"] == b"everything"
    assert state(raw, group) == "Stable"
    assert one.heartbeat() == 0
    first = one.generation

    two.take_id()
    two.send_join()
    one.await_rebalance()
    one.send_join()
    answers = [one.recv_join(), two.recv_join()]
    assert [answer["error"] for answer in answers] == [0, 0]
    assert one.generation == two.generation == first + 1
    leader, follower = (one, two) if answers[0]["leader"] == one.id else (two, one)
    by_leader = {len(answer["members"]): answer["leader"] for answer in answers}
    assert by_leader == {2: leader.id, 0: leader.id}, "only the leader learns the members"

    follower.send_sync()
    assert leader.sync({leader.id: b"L", follower.id: b"F"})["assignment"] == b"L"
    assert follower.recv_sync()["assignment"] == b"F"
    # Asked again, without an assignment: the group is stable and remembers.
    assert follower.sync()["assignment"] == b"F"

    assert follower.leave() == 0
    assert follower.heartbeat() == UNKNOWN_MEMBER
    leader.await_rebalance()
    assert leader.join()["generation"] == first + 2
    assert leader.leave() == 0
    assert state(raw, group) == "Empty"


def test_old_joins_get_their_id_at_once(raw, group):
    """Before version 4 a member does not come back with an id."""
    answer = raw.call("JoinGroup", 2, group=group, member="", protocols=PROTOCOLS)
    assert answer["error"] == 0 and answer["member"] == answer["leader"]
    answer = raw.call("JoinGroup", 4, group=group, member="made-up", protocols=PROTOCOLS)
    assert answer["error"] == UNKNOWN_MEMBER


def test_join_errors(raw, group):
    def join(**more):
        body = {"group": group, "member": "", "protocols": PROTOCOLS, **more}
        return raw.call("JoinGroup", 3, **body)["error"]

    for timeout in (5999, 0, -1, 1_800_001):
        assert join(session_timeout_ms=timeout) == BAD_SESSION_TIMEOUT
    assert join(group="") == INVALID_GROUP
    assert join(protocols=[]) == INCONSISTENT_PROTOCOL
    assert join(member="made-up") == UNKNOWN_MEMBER


def test_protocol_is_one_that_all_know(member):
    """The newcomer knows only "b": that is what the group moves to."""
    one = member(protocols=[{"name": "a", "metadata": b"1"}, {"name": "b", "metadata": b"2"}])
    assert one.join()["protocol"] == "a"
    one.sync({one.id: b""}, protocol="a")
    stranger = member(protocols=[{"name": "c", "metadata": b""}])
    stranger.send_join()
    assert stranger.recv_join()["error"] in (INCONSISTENT_PROTOCOL, MEMBER_ID_REQUIRED)
    stranger.id = "anything"
    stranger.send_join(protocol_type="connect")
    assert stranger.recv_join()["error"] in (INCONSISTENT_PROTOCOL, UNKNOWN_MEMBER)

    two = member(protocols=[{"name": "b", "metadata": b"3"}])
    two.take_id()
    two.send_join()
    one.await_rebalance()
    one.send_join()
    answers = [one.recv_join(), two.recv_join()]
    assert [answer["protocol"] for answer in answers] == ["b", "b"]
    seen = {m["member"]: m["metadata"] for answer in answers for m in answer["members"]}
    assert seen == {one.id: b"2", two.id: b"3"}


def test_membership_errors(member, topic):
    """Wrong generation 22, unknown member 25, for every request that names them."""
    one = member().enter()
    assert one.heartbeat(generation=one.generation + 1) == ILLEGAL_GENERATION
    assert one.heartbeat(generation=one.generation - 1) == ILLEGAL_GENERATION
    assert one.heartbeat(member="nobody") == UNKNOWN_MEMBER
    assert one.heartbeat(group=one.group + "x") == UNKNOWN_MEMBER
    assert one.sync(generation=one.generation + 1)["error"] == ILLEGAL_GENERATION
    assert one.sync(member="nobody")["error"] == UNKNOWN_MEMBER
    assert one.sync(protocol="sticky")["error"] == INCONSISTENT_PROTOCOL
    assert one.commit(topic, 1, generation=one.generation + 1) == ILLEGAL_GENERATION
    assert one.commit(topic, 1, member="nobody") == UNKNOWN_MEMBER
    # Somebody outside any group protocol may not write into a group that has members.
    assert one.commit(topic, 1, generation=-1, member="") == UNKNOWN_MEMBER
    assert one.commit(topic, 1) == 0
    answer = one.conn.call("LeaveGroup", 5, group=one.group,
                           members=[{"member": "nobody"}, {"member": one.id}])
    assert [m["error"] for m in answer["members"]] == [UNKNOWN_MEMBER, 0]


def test_commit_between_join_and_sync(member, topic):
    one = member()
    one.join()
    assert one.commit(topic, 1) == REBALANCING
    one.sync({one.id: b""})
    assert one.commit(topic, 1) == 0


def test_silent_member_is_dropped(member):
    """No heartbeat for the session timeout, the shortest that is allowed: 6 s."""
    one, two = member(), member(session_ms=6000)
    one.enter()
    two.take_id()
    two.send_join()
    one.await_rebalance()
    one.send_join()
    answers = [one.recv_join(), two.recv_join()]
    leader = one if answers[0]["leader"] == one.id else two
    leader.send_sync({one.id: b"1", two.id: b"2"})
    if leader is not one:
        one.send_sync()
    else:
        two.send_sync()
    assert one.recv_sync()["assignment"] == b"1"
    start = time.monotonic()
    one.await_rebalance(30)
    assert time.monotonic() - start > 4, "dropped too early"
    answer = one.join()
    assert [m["member"] for m in answer["members"]] == [one.id]


# --- static members (KIP-345) --------------------------------------------------------------------


def test_static_member_is_replaced_in_place(raw, member, group, topic):
    """The same instance id again: a new member id, no new generation; the old one is fenced."""
    old = member(instance="i-1").enter()
    new = member(instance="i-1")
    answer = new.join()
    assert answer["generation"] == old.generation and new.id != old.id
    assert answer["skip_assignment"] is True and answer["leader"] == new.id
    assert new.sync()["assignment"] == b"all"
    assert old.heartbeat() == FENCED_INSTANCE
    assert old.sync()["error"] == FENCED_INSTANCE
    assert old.commit(topic, 1, instance="i-1") == FENCED_INSTANCE
    old.send_join()
    assert old.recv_join()["error"] == FENCED_INSTANCE
    assert new.heartbeat() == 0
    assert new.commit(topic, 1, instance="i-1") == 0
    found = raw.call("DescribeGroups", 5, groups=[group])["groups"][0]
    assert [(m["member"], m["instance"]) for m in found["members"]] == [(new.id, "i-1")]


def test_static_member_leaves_by_instance(raw, member, group):
    one = member(instance="i-1").enter()
    assert one.heartbeat(instance="i-2") == UNKNOWN_MEMBER
    answer = raw.call("LeaveGroup", 4, group=group, members=[
        {"member": "", "instance": "i-9"}, {"member": "", "instance": "i-1"}])
    found = {m["instance"]: m["error"] for m in answer["members"]}
    assert found == {"i-9": UNKNOWN_MEMBER, "i-1": 0}
    assert state(raw, group) == "Empty"


# --- offsets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 3, 6, 7, 8, 9])
def test_commit_and_fetch(raw, connect, group, topic, version):
    """Offset, leader epoch and metadata come back as they were committed, in every version."""
    simple = Member(connect(), group)
    assert simple.commit(topic, 42, version, metadata="häppchen") == 0
    for fetch in range(1, 10):
        found = committed(raw, group, topic, fetch)
        assert (found["offset"], found["metadata"]) == (42, "häppchen")
    raw.call("OffsetCommit", 9, group=group, topics=[{"name": topic, "partitions": [
        {"index": 0, "offset": 43, "leader_epoch": 0, "metadata": None}]}])
    found = committed(raw, group, topic)
    assert (found["offset"], found["leader_epoch"], found["metadata"]) == (43, 0, "")


def test_commit_and_fetch_by_topic_id(raw, group, topic):
    """Version 10 of both knows topics by their ids only."""
    known, stranger = raw.topic_id(topic), uuid.uuid4()
    parts = [{"index": 0, "offset": 12, "metadata": "by id"}]
    answer = raw.call("OffsetCommit", 10, group=group, topics=[
        {"id": known, "partitions": parts}, {"id": stranger, "partitions": parts}])
    errors = {one["id"]: one["partitions"][0]["error"] for one in answer["topics"]}
    assert errors == {known: 0, stranger: UNKNOWN_ID}
    (found,) = raw.call("OffsetFetch", 10, groups=[{"group": group, "topics": [
        {"id": known, "partitions": [0]}, {"id": stranger, "partitions": [0]}]}])["groups"]
    parts = {one["id"]: one["partitions"][0] for one in found["topics"]}
    assert (parts[known]["offset"], parts[known]["metadata"]) == (12, "by id")
    assert parts[stranger]["error"] == UNKNOWN_ID
    assert committed(raw, group, topic)["offset"] == 12


def test_fetch_of_nothing(raw, group, topic):
    for version in range(1, 10):
        found = committed(raw, group, topic, version)
        assert (found["offset"], found["error"]) == (-1, 0)


def test_fetch_all_topics_of_several_groups(raw, connect, unique):
    groups, topics = [unique("group") for _ in range(2)], [unique() for _ in range(2)]
    for group in groups:
        raw.await_group(group)
    for index, name in enumerate(topics):
        raw.create_topic(name)
        for group in groups[: index + 1]:
            assert Member(connect(), group).commit(name, 10 + index) == 0
    answer = raw.call("OffsetFetch", 8, groups=[{"group": one, "topics": None} for one in groups])
    found = {one["group"]: {t["name"]: t["partitions"][0]["offset"] for t in one["topics"]}
             for one in answer["groups"]}
    assert found == {groups[0]: {topics[0]: 10, topics[1]: 11}, groups[1]: {topics[1]: 11}}
    answer = raw.call("OffsetFetch", 5, group=groups[1], topics=None)
    assert [one["name"] for one in answer["topics"]] == [topics[1]]


def test_commit_errors(connect, group, topic, unique):
    simple = Member(connect(), group)
    assert simple.commit(topic, 1, metadata="x" * 4096) == 0
    assert simple.commit(topic, 2, metadata="x" * 4097) == METADATA_TOO_LARGE
    assert simple.commit(unique(), 1) == UNKNOWN_TOPIC
    parts = [{"index": 9, "offset": 1, "metadata": ""}, {"index": 0, "offset": 7, "metadata": ""}]
    answer = simple.conn.call("OffsetCommit", 8, group=group,
                              topics=[{"name": topic, "partitions": parts}])
    found = {part["index"]: part["error"] for part in answer["topics"][0]["partitions"]}
    assert found == {9: UNKNOWN_TOPIC, 0: 0}
    assert committed(simple.conn, group, topic)["offset"] == 7


# --- describing and deleting ---------------------------------------------------------------------


def test_describe_and_list(raw, member, group, topic):
    one = member().enter()
    found = raw.call("DescribeGroups", 6, groups=[group])["groups"][0]
    assert (found["error"], found["state"]) == (0, "Stable")
    assert (found["protocol_type"], found["protocol"]) == ("consumer", "range")
    (described,) = found["members"]
    assert described["member"] == one.id and described["client_id"] == "raw"
    assert "127.0.0.1" in described["client_host"]
    assert (described["metadata"], described["assignment"]) == (SUBSCRIPTION, b"all")

    def listed(**more):
        answer = raw.call("ListGroups", 5, **more)
        assert answer["error"] == 0
        return {one["group"]: (one["protocol_type"], one["state"], one["type"].lower())
                for one in answer["groups"]}

    assert listed()[group] == ("consumer", "Stable", "classic")
    assert group in listed(states=["Stable"], types=["classic"])
    assert group in listed(states=["stable"])
    assert group not in listed(states=["Empty"])
    assert group not in listed(types=["consumer"])


def test_describe_of_nothing(raw, group):
    found = raw.call("DescribeGroups", 5, groups=[group])["groups"][0]
    assert (found["error"], found["state"]) == (0, "Dead")
    found = raw.call("DescribeGroups", 6, groups=[group])["groups"][0]
    assert (found["error"], found["state"]) == (GROUP_NOT_FOUND, "Dead")
    assert found["error_message"]


def test_delete_groups(raw, member, group, topic):
    one = member().enter()
    assert one.commit(topic, 5) == 0
    deleted = lambda: raw.call("DeleteGroups", 2, groups=[group])["results"][0]["error"]
    assert deleted() == NON_EMPTY_GROUP
    one.leave()
    assert committed(raw, group, topic)["offset"] == 5
    assert deleted() == 0
    assert committed(raw, group, topic)["offset"] == -1
    assert deleted() == GROUP_NOT_FOUND


@pytest.mark.parametrize("version", range(7))
def test_find_coordinator(raw, group, version):
    keys = {"keys": [group, group + "2"]} if version >= 4 else {"key": group}
    answer = raw.call("FindCoordinator", version, **keys)
    nodes = {one["id"]: one["port"] for one in raw.call("Metadata", 1, topics=[])["brokers"]}
    for one in answer["coordinators"] if version >= 4 else [answer]:
        assert one["error"] == 0 and nodes[one["id"]] == one["port"]
