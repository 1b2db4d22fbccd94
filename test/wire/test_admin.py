"""Topics, their settings and the cluster, over plain frames."""

import time
import uuid

import pytest

from rawbatch import batch

OUT_OF_RANGE, UNKNOWN_TOPIC, INVALID_NAME = 1, 3, 17
EXISTS, BAD_PARTITIONS, BAD_REPLICATION, BAD_ASSIGNMENT, BAD_CONFIG = 36, 37, 38, 39, 40
INVALID_REQUEST, UNKNOWN_ID, UNKNOWN_TOPIC = 42, 100, 3
TOPIC, BROKER = 2, 4
NOT_ASKED = -(2**31)
ZERO = uuid.UUID(int=0)


def create(raw, name, version=7, validate_only=False, **more):
    answer = raw.call("CreateTopics", version, topics=[{"name": name, **more}],
                      validate_only=validate_only)
    return answer["topics"][0]


def names(raw):
    return [one["name"] for one in raw.call("Metadata", 1, topics=None)["topics"]]


# --- creating ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", range(2, 8))
def test_create_topic(raw, unique, version):
    name = unique()
    config = [{"name": "retention.ms", "value": "12345"}]
    made = create(raw, name, version, partitions=3, configs=config)
    assert (made["error"], made["name"]) == (0, name)
    if version >= 5:
        assert (made["partitions"], made["replication"]) == (3, 1)
        settings = {one["name"]: one["value"] for one in made["configs"]}
        assert settings["retention.ms"] == "12345" and settings["cleanup.policy"] == "delete"
    found = raw.await_topic(name, 3)
    if version >= 7:
        assert made["id"] == found["id"] != ZERO
    assert sorted(part["index"] for part in found["partitions"]) == [0, 1, 2]
    for part in found["partitions"]:
        assert part["replicas"] == part["isr"] == [part["leader"]]


def test_create_validate_only(raw, unique):
    name = unique()
    assert create(raw, name, validate_only=True)["error"] == 0
    assert create(raw, name, validate_only=True, partitions=0)["error"] == BAD_PARTITIONS
    assert name not in names(raw)
    raw.create_topic(name)
    assert create(raw, name, validate_only=True)["error"] == EXISTS


def test_create_with_defaults(raw, unique):
    """-1: as many partitions and copies as the broker is set to."""
    made = create(raw, unique(), partitions=-1, replication=-1)
    assert (made["error"], made["replication"]) == (0, 1)
    assert made["partitions"] >= 1


@pytest.mark.parametrize("error, more", [
    (BAD_PARTITIONS, {"partitions": 0}),
    (BAD_PARTITIONS, {"partitions": -2}),
    (BAD_REPLICATION, {"replication": 0}),
    (BAD_REPLICATION, {"replication": 2}),
    (BAD_REPLICATION, {"replication": -2}),
    (BAD_CONFIG, {"configs": [{"name": "no.such.setting", "value": "1"}]}),
    (BAD_CONFIG, {"configs": [{"name": "retention.ms", "value": "soon"}]}),
    (BAD_CONFIG, {"configs": [{"name": "retention.ms", "value": "-2"}]}),
    (BAD_CONFIG, {"configs": [{"name": "max.message.bytes", "value": "-1"}]}),
    (BAD_CONFIG, {"configs": [{"name": "cleanup.policy", "value": "burn"}]}),
    (BAD_CONFIG, {"configs": [{"name": "message.timestamp.type", "value": "Now"}]}),
    (BAD_CONFIG, {"configs": [{"name": "retention.ms", "value": None}]}),
    (BAD_ASSIGNMENT, {"partitions": -1, "replication": -1,
                      "assignments": [{"index": 0, "brokers": [987]}]}),
    (INVALID_REQUEST, {"partitions": 1,
                       "assignments": [{"index": 0, "brokers": [1]}]}),
])
def test_create_errors(raw, unique, error, more):
    name = unique()
    made = create(raw, name, **more)
    assert (made["error"], made["name"]) == (error, name)
    assert made["error_message"], "an error says what was wrong"
    assert name not in names(raw)


@pytest.mark.parametrize("name", ["", ".", "..", "with space", "sl/ash", "ümlaut", "x" * 250,
                                  "a,b"])
def test_bad_topic_names(raw, name):
    assert create(raw, name)["error"] == INVALID_NAME


def test_longest_topic_name(raw, unique):
    name = (unique() + "._-" + "x" * 249)[:249]
    raw.create_topic(name)
    assert raw.produce(name, batch([b"x"]))["error"] == 0


def test_create_some_of_several(raw, topic, unique):
    """Each topic of a request gets its own answer."""
    fine, twice = unique(), unique()
    answer = raw.call("CreateTopics", 7, topics=[
        {"name": one} for one in (fine, topic, "..", twice, twice)])
    found = {one["name"]: one["error"] for one in answer["topics"]}
    assert found == {fine: 0, topic: EXISTS, "..": INVALID_NAME, twice: INVALID_REQUEST}


@pytest.mark.weir_only
@pytest.mark.parametrize("setting, value", [
    ("cleanup.policy", "compact"), ("cleanup.policy", "compact,delete"),
    ("compression.type", "gzip"), ("compression.type", "uncompressed"),
])
def test_what_is_not_built_is_refused(raw, unique, setting, value):
    name = unique()
    made = create(raw, name, configs=[{"name": setting, "value": value}])
    assert made["error"] == BAD_CONFIG
    assert setting in made["error_message"]
    assert name not in names(raw)


def test_settings_that_change_nothing_are_taken(raw, unique):
    made = create(raw, unique(), configs=[
        {"name": "cleanup.policy", "value": "delete"},
        {"name": "compression.type", "value": "producer"}])
    assert made["error"] == 0


# --- growing and deleting ------------------------------------------------------------------------


def test_create_partitions(raw, topic, unique):
    def grow(name, count, **more):
        answer = raw.call("CreatePartitions", 3, topics=[{"name": name, "count": count}], **more)
        return answer["results"][0]["error"]

    raw.produce(topic, batch([b"kept"]))
    assert grow(topic, 3, validate_only=True) == 0
    assert len(raw.await_topic(topic, 1)["partitions"]) == 1
    assert grow(topic, 3) == 0
    raw.await_topic(topic, 3)
    for index in range(3):
        assert raw.produce(topic, batch([b"x"]), index)["base_offset"] == (1 if index == 0 else 0)
    for count in (3, 2, 0, -1):
        assert grow(topic, count) == BAD_PARTITIONS
    assert grow(unique(), 5) == UNKNOWN_TOPIC


def test_delete_topics(raw, unique):
    gone, by_id = unique(), unique()
    raw.create_topic(gone)
    raw.create_topic(by_id)
    ref, nowhere = raw.topic_id(by_id), uuid.uuid4()
    answer = raw.call("DeleteTopics", 6, topics=[
        {"name": gone, "id": ZERO}, {"name": None, "id": ref},
        {"name": unique("never"), "id": ZERO}, {"name": None, "id": nowhere}])
    found = [one["error"] for one in answer["topics"]]
    assert sorted(found) == [0, 0, UNKNOWN_TOPIC, UNKNOWN_ID]
    assert {one["id"] for one in answer["topics"] if one["error"] == UNKNOWN_ID} == {nowhere}
    deadline = time.monotonic() + 10
    while {gone, by_id} & set(names(raw)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    # Metadata may not make it again unless it is asked to.
    found = raw.call("Metadata", 4, topics=[{"name": gone}], allow_auto_create=False)
    assert found["topics"][0]["error"] == UNKNOWN_TOPIC
    assert raw.call("DeleteTopics", 3, names=[gone])["topics"][0]["error"] == UNKNOWN_TOPIC


# --- DeleteRecords -------------------------------------------------------------------------------


@pytest.mark.parametrize("version", range(3))
def test_delete_records(raw, topic, version):
    def cut(offset, name=topic, index=0):
        answer = raw.call("DeleteRecords", version, topics=[
            {"name": name, "partitions": [{"index": index, "offset": offset}]}])
        part = answer["topics"][0]["partitions"][0]
        return part["error"], part["low_watermark"]

    for _ in range(5):
        raw.produce(topic, batch([b"x", b"y"]))
    assert cut(3) == (0, 3)
    assert raw.list_offset(topic, -2)["offset"] == 3
    assert raw.fetch(topic, 2)["error"] == OUT_OF_RANGE
    part = raw.fetch(topic, 3)
    assert (part["error"], part["log_start_offset"]) == (0, 3)
    assert cut(1) == (0, 3), "what is gone already stays gone"
    assert cut(11)[0] == OUT_OF_RANGE
    assert cut(-2)[0] == OUT_OF_RANGE
    assert cut(-1) == (0, 10)
    assert raw.list_offset(topic, -2)["offset"] == raw.list_offset(topic, -1)["offset"] == 10
    assert raw.produce(topic, batch([b"z"]))["base_offset"] == 10
    assert cut(0, index=5)[0] == UNKNOWN_TOPIC


# --- describing ----------------------------------------------------------------------------------


def test_metadata_of_all_none_and_some(raw, topic):
    assert topic in names(raw)
    assert raw.call("Metadata", 1, topics=[])["topics"] == []
    assert topic in [one["name"] for one in raw.call("Metadata", 0, topics=[])["topics"]]
    found = raw.call("Metadata", 12, topics=[{"name": topic}])
    assert [one["name"] for one in found["topics"]] == [topic]
    assert found["cluster_id"] and found["topics"][0]["operations"] == NOT_ASKED
    found = raw.call("Metadata", 8, topics=[{"name": topic}], topic_operations=True,
                     cluster_operations=True)
    assert found["topics"][0]["operations"] > 0 and found["cluster_operations"] > 0


def test_metadata_creates_only_when_asked(raw, unique):
    name = unique()
    for version, more in ((4, {}), (12, {})):
        found = raw.call("Metadata", version, topics=[{"name": name}], allow_auto_create=False)
        assert found["topics"][0]["error"] == UNKNOWN_TOPIC
    assert name not in names(raw)
    found = raw.call("Metadata", 4, topics=[{"name": name}], allow_auto_create=True)["topics"][0]
    assert found["error"] in (0, 3, 5)
    raw.await_topic(name, 1)
    old = unique()
    raw.call("Metadata", 1, topics=[{"name": old}])
    raw.await_topic(old, 1)
    found = raw.call("Metadata", 4, topics=[{"name": "bad name"}], allow_auto_create=True)
    assert found["topics"][0]["error"] == INVALID_NAME


def test_metadata_by_unknown_id(raw):
    stranger = uuid.uuid4()
    (found,) = raw.call("Metadata", 12, topics=[{"id": stranger, "name": None}])["topics"]
    assert (found["error"], found["id"]) == (UNKNOWN_ID, stranger)


def test_cluster(raw, target):
    """DescribeCluster and Metadata agree, and name an address that leads back here."""
    meta = raw.call("Metadata", 12, topics=[])
    found = raw.call("DescribeCluster", 1)
    assert found["error"] == 0 and found["cluster_id"] == meta["cluster_id"]
    assert found["controller_id"] in [one["id"] for one in found["brokers"]]
    address = [(one["id"], one["host"], one["port"]) for one in found["brokers"]]
    assert address == [(one["id"], one["host"], one["port"]) for one in meta["brokers"]]
    assert target.port in [port for _, _, port in address]
    assert found["operations"] == NOT_ASKED


def describe(raw, kind, name, version=4, keys=None, **more):
    answer = raw.call("DescribeConfigs", version,
                      resources=[{"type": kind, "name": name, "keys": keys}], **more)
    return answer["results"][0]


@pytest.mark.parametrize("version", range(1, 5))
def test_describe_topic_settings(raw, unique, version):
    """All settings with their source, set ones first among their synonyms."""
    name = unique()
    raw.create_topic(name, 1, {"retention.ms": "777"})
    found = describe(raw, TOPIC, name, version, synonyms=True)
    assert (found["error"], found["name"]) == (0, name)
    by_name = {one["name"]: one for one in found["configs"]}
    for key, value in (("cleanup.policy", "delete"), ("compression.type", "producer"),
                       ("max.message.bytes", "1048588"), ("segment.bytes", "1073741824"),
                       ("message.timestamp.type", "CreateTime"), ("retention.bytes", "-1")):
        assert by_name[key]["value"] == value
        assert by_name[key]["source"] in (4, 5)
    assert (by_name["retention.ms"]["value"], by_name["retention.ms"]["source"]) == ("777", 1)
    first = by_name["retention.ms"]["synonyms"][0]
    assert (first["name"], first["value"], first["source"]) == ("retention.ms", "777", 1)
    if version >= 3:
        assert by_name["retention.ms"]["type"] == 5, "a long"
        documented = describe(raw, TOPIC, name, version, documentation=True)["configs"]
        assert all(one["documentation"] for one in documented)


def test_describe_some_settings(raw, topic, unique):
    found = describe(raw, TOPIC, topic, keys=["retention.ms", "no.such.setting"])
    assert [one["name"] for one in found["configs"]] == ["retention.ms"]
    assert describe(raw, TOPIC, unique())["error"] == UNKNOWN_TOPIC
    assert describe(raw, TOPIC, "bad name")["error"] == INVALID_NAME
    assert describe(raw, 77, "x")["error"] in (INVALID_REQUEST, 35)


def test_describe_broker_settings(raw):
    node = raw.call("Metadata", 1, topics=[])["brokers"][0]["id"]
    found = describe(raw, BROKER, str(node))
    assert found["error"] == 0 and found["configs"]
    assert describe(raw, BROKER, "98765")["error"] == INVALID_REQUEST


# ---- AlterConfigs, IncrementalAlterConfigs

SET, DELETE, APPEND, SUBTRACT = range(4)


def own_settings(raw, name):
    """What is set on the topic itself."""
    return {one["name"]: one["value"] for one in describe(raw, TOPIC, name)["configs"]
            if one["source"] == 1}


def alter(raw, name, settings, version=2, kind=TOPIC, **more):
    """All settings at once."""
    configs = [{"name": key, "value": value} for key, value in settings.items()]
    return raw.call("AlterConfigs", version, resources=[
        {"type": kind, "name": name, "configs": configs}], **more)["results"][0]


def increment(raw, name, *changes, version=1, kind=TOPIC, **more):
    """changes: (operation, key, value) each."""
    configs = [{"operation": what, "name": key, "value": value} for what, key, value in changes]
    return raw.call("IncrementalAlterConfigs", version, resources=[
        {"type": kind, "name": name, "configs": configs}], **more)["results"][0]


@pytest.mark.parametrize("version", range(0, 3))
def test_alter_replaces_all_settings(raw, unique, version):
    name = unique()
    raw.create_topic(name, 1, {"retention.ms": "777", "segment.ms": "5000"})
    done = alter(raw, name, {"segment.ms": "6000", "retention.bytes": "9"}, version)
    assert (done["error"], done["type"], done["name"]) == (0, TOPIC, name)
    assert own_settings(raw, name) == {"segment.ms": "6000", "retention.bytes": "9"}
    alter(raw, name, {}, version)
    assert own_settings(raw, name) == {}


@pytest.mark.parametrize("version", range(0, 2))
def test_increment_changes_what_it_names(raw, unique, version):
    name = unique()
    raw.create_topic(name, 1, {"retention.ms": "777", "segment.ms": "5000"})
    assert increment(raw, name, (SET, "retention.bytes", "9"), (SET, "retention.ms", "778"),
                     version=version)["error"] == 0
    assert own_settings(raw, name) == {
        "retention.ms": "778", "segment.ms": "5000", "retention.bytes": "9"}
    assert increment(raw, name, (DELETE, "retention.ms", None), (DELETE, "max.message.bytes", None),
                     version=version)["error"] == 0
    assert own_settings(raw, name) == {"segment.ms": "5000", "retention.bytes": "9"}


def test_increment_of_lists(raw, unique):
    name = unique()
    raw.create_topic(name)
    assert increment(raw, name, (APPEND, "cleanup.policy", "delete"))["error"] == 0
    assert describe(raw, TOPIC, name, keys=["cleanup.policy"])["configs"][0]["value"] == "delete"
    assert increment(raw, name, (APPEND, "retention.ms", "5"))["error"] == BAD_CONFIG
    assert increment(raw, name, (SUBTRACT, "retention.ms", "5"))["error"] == BAD_CONFIG


@pytest.mark.weir_only
def test_increment_towards_what_is_not_built(raw, unique):
    name = unique()
    raw.create_topic(name)
    refused = increment(raw, name, (APPEND, "cleanup.policy", "compact"))
    assert refused["error"] == BAD_CONFIG and "delete,compact" in refused["error_message"]
    assert increment(raw, name, (SUBTRACT, "cleanup.policy", "delete"))["error"] == BAD_CONFIG


def test_altering_is_whole_or_not_at_all(raw, unique):
    name = unique()
    raw.create_topic(name, 1, {"segment.ms": "5000"})
    for refused in (increment(raw, name, (SET, "retention.ms", "5"), (SET, "retention.bytes", "x")),
                    increment(raw, name, (SET, "retention.ms", "5"), (SET, "no.such.key", "1")),
                    alter(raw, name, {"retention.ms": "5", "no.such.key": "1"})):
        assert refused["error"] == BAD_CONFIG and refused["error_message"]
    for refused in (increment(raw, name, (SET, "retention.ms", None)),
                    increment(raw, name, (SET, "retention.ms", "5"), (SET, "retention.ms", "6")),
                    increment(raw, name, (9, "retention.ms", "6"))):
        assert refused["error"] == INVALID_REQUEST
    assert increment(raw, name, (SET, "retention.ms", "5"), validate_only=True)["error"] == 0
    assert alter(raw, name, {"retention.ms": "5"}, validate_only=True)["error"] == 0
    assert own_settings(raw, name) == {"segment.ms": "5000"}
    stranger = unique()
    assert increment(raw, stranger, (SET, "retention.ms", "5"))["error"] == UNKNOWN_TOPIC
    assert alter(raw, stranger, {"retention.ms": "5"})["error"] == UNKNOWN_TOPIC


def test_altered_settings_act(raw, unique):
    """A smaller limit refuses the next batch that is larger."""
    name = unique()
    raw.create_topic(name)
    assert raw.produce(name, batch([b"x" * 500]))["error"] == 0
    assert increment(raw, name, (SET, "max.message.bytes", "300"))["error"] == 0
    assert raw.produce(name, batch([b"x" * 500]))["error"] == 10
    assert increment(raw, name, (DELETE, "max.message.bytes", None))["error"] == 0
    assert raw.produce(name, batch([b"x" * 500]))["error"] == 0
