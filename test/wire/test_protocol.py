"""Frames, versions and connections: what holds before any API does its work."""

import random
import socket
import struct

import pytest

from rawbatch import batch
from rawkafka import APIS, ZERO_UUID, Raw, decode_response, encode_request

# What weir serves at least: {API: (lowest, highest version)}. Kafka 4 has given up the lowest.
SERVED = {
    "Produce": (0, 13), "Fetch": (4, 18), "ListOffsets": (0, 11), "Metadata": (0, 13),
    "OffsetCommit": (0, 10), "OffsetFetch": (0, 10), "FindCoordinator": (0, 6),
    "JoinGroup": (0, 9), "Heartbeat": (0, 4), "LeaveGroup": (0, 5), "SyncGroup": (0, 5),
    "DescribeGroups": (0, 6), "ListGroups": (0, 5), "ApiVersions": (0, 4),
    "CreateTopics": (0, 7), "DeleteTopics": (0, 6), "DeleteRecords": (0, 2),
    "InitProducerId": (0, 5), "OffsetForLeaderEpoch": (0, 4), "DescribeConfigs": (0, 4),
    "AlterConfigs": (0, 2), "IncrementalAlterConfigs": (0, 1),
    "CreatePartitions": (0, 3), "DeleteGroups": (0, 2), "DescribeCluster": (0, 2),
    "SaslHandshake": (0, 1), "SaslAuthenticate": (0, 2), "DescribeUserScramCredentials": (0, 0),
    "AlterUserScramCredentials": (0, 0),
}


def test_advertised_versions(raw, target):
    """The ranges that clients choose from; they may be wider, never narrower."""
    wrong = {}
    for name, (low, high) in SERVED.items():
        found = raw.versions().get(name, (999, -1))
        if found[1] < high or (target.is_weir and found[0] > low):
            wrong[name] = f"{found}, not {(low, high)}"
    assert not wrong


@pytest.mark.weir_only
def test_only_what_is_built_is_advertised(raw):
    """Transactions and inter-broker requests would be promises that nobody keeps yet."""
    advertised = {api["key"] for api in raw.call("ApiVersions", 0)["apis"]}
    assert advertised == {APIS[name].key for name in SERVED}


@pytest.mark.parametrize("version", range(5))
def test_api_versions(raw, version):
    """The response header stays v0 even where the API is flexible (KIP-511): no tag byte."""
    answer = raw.call("ApiVersions", version)
    assert answer["error"] == 0
    keys = [api["key"] for api in answer["apis"]]
    assert len(keys) == len(set(keys)) and 18 in keys


def test_api_versions_of_the_future(raw):
    """An unknown version: error 35 in a v0 body, naming the versions of ApiVersions itself."""
    raw.send_frame(encode_request(APIS["ApiVersions"], 3, 7, {})[:2] + struct.pack(">h", 99)
                   + encode_request(APIS["ApiVersions"], 3, 7, {})[4:])
    correlation, answer = raw.recv("ApiVersions", 0)
    assert (correlation, answer["error"]) == (7, 35)
    own = [api for api in answer["apis"] if api["key"] == 18]
    assert own and own[0]["min"] == 0 and own[0]["max"] >= 4
    assert raw.call("ApiVersions", own[0]["max"])["error"] == 0


@pytest.mark.parametrize("name", ["", "-weir", "we ir", "weir-", "w\u00e9ir"])
def test_bad_client_software_name(raw, name):
    assert raw.call("ApiVersions", 3, software_name=name)["error"] == 42
    assert raw.call("ApiVersions", 3, software_name="fine.name-1")["error"] == 0


def test_bad_client_software_version(raw):
    assert raw.call("ApiVersions", 3, software_version="1 0")["error"] == 42


@pytest.mark.parametrize("key, version", [(3, 99), (0, 99), (999, 0), (-1, 0), (4, 0), (3, -1)])
def test_unsupported_request_closes(raw, key, version):
    raw.send_frame(struct.pack(">hhih", key, version, 1, -1))
    assert raw.is_closed()


def test_null_client_id_and_unknown_tags(raw):
    """A null client id is allowed; tags nobody knows are skipped, in header and body."""
    api = APIS["Metadata"]
    raw.send_frame(encode_request(api, 1, 5, {"topics": None}, client_id=None))
    assert decode_response(api, 1, raw.recv_frame())[0] == 5
    tag = b"\1\x7f\3abc"
    body = encode_request(api, 12, 6, {"topics": []})[len(b"\0" * 13 + b"\0") :]
    head = struct.pack(">hhih", 3, 12, 6, 3) + b"raw"
    raw.send_frame(head + tag + body[:-1] + tag)
    assert decode_response(api, 12, raw.recv_frame())[0] == 6


def small_requests(topic, topic_id):
    """One harmless request of each kind: (api, body by version)."""
    def fetch(version):
        one = {"id": topic_id} if version >= 13 else {"name": topic}
        return {"max_wait_ms": 0, "topics": [{**one, "partitions": [{"index": 0, "offset": 0}]}]}

    def produce(version):
        one = {"id": topic_id} if version >= 13 else {"name": topic}
        return {"topics": [{**one, "partitions": [{"index": 0, "records": batch([b"x"])}]}]}

    def offset_fetch(version):
        one = {"id": topic_id} if version >= 10 else {"name": topic}
        asked = [{**one, "partitions": [0]}]
        return {"groups": [{"group": "nobody", "topics": asked}]} if version >= 8 else {
            "group": "nobody", "topics": asked}

    def offset_commit(version):
        one = {"id": topic_id} if version >= 10 else {"name": topic}
        return {"group": "nobody", "generation": 3, "member": "m",
                "topics": [{**one, "partitions": [{"index": 0}]}]}

    def delete_topics(version):
        names = ["no-such-topic"]
        return {"topics": [{"name": names[0]}]} if version >= 6 else {"names": names}

    def coordinator(version):
        return {"keys": ["nobody"]} if version >= 4 else {"key": "nobody"}

    def leave(version):
        return {"group": "nobody", **({"members": [{"member": "m"}]} if version >= 3 else
                                      {"member": "m"})}

    def metadata(version):
        one = {"id": ZERO_UUID} if version >= 10 else {}
        return {"topics": [{**one, "name": topic}]}

    join = {"group": "nobody", "member": "unknown", "protocols": [{"name": "p", "metadata": b""}]}
    return {
        "Produce": produce, "Fetch": fetch, "Metadata": metadata, "OffsetFetch": offset_fetch,
        "OffsetCommit": offset_commit,
        "FindCoordinator": coordinator, "LeaveGroup": leave, "DeleteTopics": delete_topics,
        "ListOffsets": {"topics": [{"name": topic, "partitions": [{"index": 0, "timestamp": -1}]}]},
        "JoinGroup": join,
        "Heartbeat": {"group": "nobody", "generation": 1, "member": "m"},
        "SyncGroup": {"group": "nobody", "generation": 1, "member": "m",
                      "protocol_type": "consumer", "protocol": "p"},
        "DescribeGroups": {"groups": ["nobody"]},
        "ListGroups": {}, "ApiVersions": {}, "InitProducerId": {}, "DescribeCluster": {},
        "CreateTopics": {"topics": [{"name": "unused"}], "validate_only": True},
        "DeleteRecords": {"topics": [{"name": topic, "partitions": [{"index": 0, "offset": 0}]}]},
        "OffsetForLeaderEpoch": {
            "topics": [{"name": topic, "partitions": [{"index": 0, "leader_epoch": 0}]}]},
        "DescribeConfigs": {"resources": [{"type": 2, "name": topic}]},
        "AlterConfigs": {"resources": [{"type": 2, "name": topic, "configs": [
            {"name": "retention.ms", "value": "1000"}]}], "validate_only": True},
        "IncrementalAlterConfigs": {"resources": [{"type": 2, "name": topic, "configs": [
            {"name": "retention.ms", "value": "1000"}]}], "validate_only": True},
        "CreatePartitions": {"topics": [{"name": topic, "count": 2}], "validate_only": True},
        "DeleteGroups": {"groups": ["nobody"]},
        "SaslHandshake": {"mechanism": "NONE"}, "SaslAuthenticate": {"token": b"x"},
        "DescribeUserScramCredentials": {"users": [{"name": "nobody"}]},
        "AlterUserScramCredentials": {"deletions": [{"name": "nobody", "mechanism": 1}],
                                      "upsertions": []},
    }


@pytest.mark.parametrize("name", sorted(APIS))
def test_every_version_of_every_api(raw, topic, name):
    """Each advertised version reads its request and answers in exactly its own layout."""
    requests = small_requests(topic, raw.topic_id(topic))
    low, high = raw.versions()[name]
    for version in range(max(low, APIS[name].first), min(high, APIS[name].last) + 1):
        body = requests[name](version) if callable(requests[name]) else requests[name]
        fields = {field.name for field in APIS[name].request}
        assert set(body) <= fields
        answer = raw.call(name, version, **body)
        assert answer.get("error", 0) in (0, 25, 33, 34), (version, answer)


def test_pipelined_requests_are_answered_in_order(raw, topic):
    """10,000 requests of mixed kinds on one connection, hundreds of them always in flight."""
    requests = small_requests(topic, raw.topic_id(topic))
    kinds = [("ApiVersions", 2), ("Metadata", 4), ("Produce", 7), ("Fetch", 11),
             ("ListOffsets", 2), ("DescribeGroups", 1), ("FindCoordinator", 2), ("Heartbeat", 3)]
    bodies = {
        name: requests[name](version) if callable(requests[name]) else requests[name]
        for name, version in kinds
    }
    # Reading from the log's end keeps the answers small.
    bodies["Fetch"]["topics"][0]["partitions"][0]["max_bytes"] = 1
    encoded = {name: encode_request(APIS[name], v, 0, bodies[name]) for name, v in kinds}
    choice = random.Random(1)
    sent = [choice.choice(kinds) for _ in range(10_000)]
    for first in range(0, len(sent), 500):
        frames = bytearray()
        for index, (name, _) in enumerate(sent[first : first + 500], first):
            frame = encoded[name]
            frames += struct.pack(">i", len(frame)) + frame[:4] + struct.pack(">i", index)
            frames += frame[8:]
        raw.sock.sendall(frames)
        for index, (name, version) in enumerate(sent[first : first + 500], first):
            correlation, _ = decode_response(APIS[name], version, raw.recv_frame())
            assert correlation == index


def test_acks_0_has_no_answer(raw, topic):
    body = {"acks": 0, "topics": [
        {"name": topic, "partitions": [{"index": 0, "records": batch([b"quiet"])}]}]}
    raw.send("Produce", 7, **body)
    # The next answer on the connection is that of the next request.
    assert raw.call("ListOffsets", 2, topics=[
        {"name": topic, "partitions": [{"index": 0, "timestamp": -1}]}
    ])["topics"][0]["partitions"][0]["offset"] == 1


def test_acks_0_failure_closes(raw, unique):
    """Nothing can be answered, so the connection tells that something went wrong."""
    raw.send("Produce", 7, acks=0, topics=[
        {"name": unique(), "partitions": [{"index": 5, "records": batch([b"lost"])}]}])
    assert raw.is_closed()


@pytest.mark.parametrize("acks", [2, -2, 100])
def test_bad_acks(raw, topic, acks):
    assert raw.produce(topic, batch([b"x"]), acks=acks)["error"] == 21


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0x7F000000, 104_857_601, 0, -1, -0x80000000])
def test_hostile_length_closes(connect, length):
    """More than socket.request.max.bytes, or nothing at all: closed at once, unread."""
    conn = connect()
    conn.sock.sendall(struct.pack(">i", length))
    assert conn.is_closed()


@pytest.mark.managed
def test_hostile_lengths_take_no_memory(weir, connect):
    """Not for a length that is refused, nor for one that is allowed but never follows."""
    connect(weir).call("ApiVersions")
    for _ in range(20):
        conn = connect(weir)
        conn.sock.sendall(struct.pack(">i", 0x7FFFFFFF))
        assert conn.is_closed()
        conn.close()
    before = weir.rss_bytes()
    for _ in range(20):
        conn = connect(weir)
        conn.sock.sendall(struct.pack(">i", 0x7FFFFFFF))
        assert conn.is_closed()
        conn.close()
    refused = weir.rss_bytes() - before
    assert refused <= 64 << 10, f"{refused} bytes"

    waiting = [connect(weir) for _ in range(4)]
    before = weir.rss_bytes()
    for conn in waiting:
        conn.sock.sendall(struct.pack(">i", 100 << 20) + b"\0\3")
    # weir has read those bytes by the time it answers a later request of another connection.
    connect(weir).call("ApiVersions")
    promised = weir.rss_bytes() - before
    assert promised <= 512 << 10, f"{promised} bytes for 400 MiB promised"


@pytest.mark.parametrize("frame", [
    b"", b"\0", b"\0\3\0\1", struct.pack(">hhih", 3, 1, 1, 500),
    struct.pack(">hhih", 3, 1, 1, -1) + b"\x7f\xff\xff\xff",
    struct.pack(">hhih", 3, 12, 1, -1) + b"\0" + b"\xff\xff\xff\xff\x7f",
    struct.pack(">hhih", 1, 4, 1, -1) + b"\xff" * 30,
    encode_request(APIS["Metadata"], 1, 1, {"topics": [{"name": "cut short"}]})[:-3],
])
def test_malformed_request_closes(raw, connect, frame):
    """Cut short or lying about its lengths: no answer, and nobody else is disturbed."""
    raw.send_frame(frame)
    assert raw.is_closed()
    assert connect().call("ApiVersions")["error"] == 0


def test_half_a_request_then_gone(target, connect):
    """A client that vanishes inside a request leaves nothing behind that hurts others."""
    for cut in (1, 3, 4, 5, 20):
        frame = encode_request(APIS["Metadata"], 1, 1, {"topics": [{"name": "x" * 50}]})
        with socket.create_connection((target.host, target.port)) as sock:
            sock.sendall((struct.pack(">i", len(frame)) + frame)[:cut])
    assert connect().call("Metadata", 1, topics=None)["brokers"]


def test_requests_in_single_bytes(raw):
    """Frames may arrive in any pieces."""
    frame = encode_request(APIS["ApiVersions"], 3, 9, {})
    for byte in struct.pack(">i", len(frame)) + frame:
        raw.sock.sendall(bytes([byte]))
    assert raw.recv("ApiVersions", 3)[0] == 9


def test_slow_reader_does_not_stop_others(target, connect):
    """One connection asks for much and reads nothing; another is served all the same."""
    lazy = Raw(target.host, target.port)
    try:
        frame = encode_request(APIS["ApiVersions"], 3, 1, {})
        lazy.sock.settimeout(2)
        try:
            for _ in range(200):
                lazy.sock.sendall((struct.pack(">i", len(frame)) + frame) * 200)
        except TimeoutError:
            pass  # back-pressure: the broker stopped reading from us
        assert connect().call("ApiVersions")["error"] == 0
    finally:
        lazy.close()
