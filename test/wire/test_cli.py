"""The commands: what they do, print and say, their exit statuses; that Kafka's own tools agree."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

import broker
import clients

CALL_S = 60
DONE, FAILED, USAGE = 0, 1, 2

# A folder with kafka-tools' jars and all that they need: Kafka's commands are compared with ours.
TOOLS = pathlib.Path(os.environ.get("WIRE_KAFKA_TOOLS") or clients.SETUP / "java/lib")
HAS_TOOLS = TOOLS.is_dir() and any(TOOLS.glob("kafka-tools-[0-9]*.jar"))
needs_tools = pytest.mark.skipif(not HAS_TOOLS, reason="Kafka's tools are not here")
COMMANDS = {"kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
            "kafka-consumer-groups.sh":
                "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"}


def run(*argv, stdin="", env=None):
    """-> the process that has ended: returncode, stdout, stderr"""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WEIR_")}
    return subprocess.run([str(word) for word in argv], input=stdin, capture_output=True, text=True,
                          timeout=CALL_S, env={**clean, **(env or {})}, check=False)


def weir(*words, **more):
    return run(broker.weir_binary(), *words, **more)


@pytest.fixture
def cli(target):
    """weir's commands against the broker of the session."""
    return lambda *words, **more: weir(*words, "--broker", target.bootstrap, **more)


@pytest.fixture(scope="session")
def named(tmp_path_factory):
    """weir under the names of Kafka's commands: named(NAME, ...)"""
    folder = tmp_path_factory.mktemp("names")
    for name in COMMANDS:
        (folder / name).symlink_to(broker.weir_binary())
    return lambda name, *words: run(folder / name, *words)


@pytest.fixture
def topics_sh(named, target):
    return lambda *words: named("kafka-topics.sh", "--bootstrap-server", target.bootstrap, *words)


@pytest.fixture
def groups_sh(named, target):
    return lambda *words: named(
        "kafka-consumer-groups.sh", "--bootstrap-server", target.bootstrap, *words)


def good(done):
    assert done.returncode == DONE, done.stderr
    return done.stdout


def refused(done, status, *parts):
    assert done.returncode == status, (done.stdout, done.stderr)
    for part in parts:
        assert part in done.stderr, done.stderr


def rows(text):
    """Lines as lists of words, without empty ones."""
    return [line.split() for line in text.splitlines() if line.strip()]


def await_stable(cli, group, members):
    deadline = time.monotonic() + CALL_S
    while not re.search(rf"\bStable +{members}$", cli("group", "state", group).stdout.rstrip()):
        assert time.monotonic() < deadline, "the group does not become stable"
        time.sleep(0.1)


@contextlib.contextmanager
def member_of(cli, group, topic, *more):
    """A consumer that has joined the group."""
    process = subprocess.Popen(
        [str(broker.weir_binary()), "consume", topic, "--group", group, *more], text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        await_stable(cli, group, 1)
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=CALL_S)
    assert process.returncode == 0


# ---- help and mistakes -----------------------------------------------------------------------


def test_without_a_command():
    refused(weir(), USAGE, "usage: weir COMMAND", "weir serve")
    for word in "--help", "-h", "help":
        assert "weir produce" in good(weir(word))


def test_version():
    assert re.fullmatch(r"weir \d+\.\d+\.\d+\n", good(weir("version")))
    assert weir("--version").stdout == weir("version").stdout
    refused(weir("version", "--all"), USAGE, "--all")


@pytest.mark.parametrize(
    "command", ["serve", "topic", "produce", "consume", "group", "fsck", "bench"])
def test_every_command_has_help(command):
    text = good(weir(command, "--help"))
    assert text.startswith(f"usage: weir {command}")
    assert "--" in text
    assert command in weir("--help").stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_kafkas_names_have_help(named, name):
    assert f"usage: {name}" in good(named(name, "--help"))


@pytest.mark.parametrize("words, parts", [
    (["prodcue", "t"], ["no command 'prodcue'", "did you mean 'produce'?"]),
    (["frobnicate"], ["no command 'frobnicate'", "--help"]),
    (["serve", "--dta", "x"], ["--dta", "did you mean --data?", "usage: weir serve"]),
    (["serve", "--data"], ["--data", "a value is missing"]),
    (["serve", "--kafka", "nowhere"], ["--kafka", "'nowhere'", "HOST:PORT"]),
    (["serve", "--threads", "-1"], ["--threads", "'-1'", "from 0 to"]),
    (["serve", "--group-delay", "soon"], ["--group-delay", "'soon'", "500ms"]),
    (["serve", "--log-level", "loud"], ["--log-level", "one of debug info warn error"]),
    (["serve", "data"], ["'data'", "too many"]),
    (["topic"], ["an argument is missing"]),
    (["topic", "invent"], ["one of list, describe, create, alter, grow, delete"]),
    (["topic", "create"], ["topic's name is missing"]),
    (["topic", "grow", "t"], ["--partitions", "the new total"]),
    (["topic", "create", "t", "--partitions", "x"], ["--partitions", "'x'", "whole number"]),
    (["produce"], ["an argument is missing"]),
    (["produce", "t", "--compression", "rar"], ["--compression", "one of none gzip"]),
    (["consume", "t", "--from", "here"], ["--from", "one of earliest latest"]),
    (["group", "describe", "a", "b"], ["'b'", "too many"]),
    (["group", "reset"], ["group's name is missing"]),
    (["fsck", "--data", ""], ["--data", "empty"]),
    (["fsck", "-d", "x"], ["-d", "two dashes"]),
])
def test_wrong_use_is_told(words, parts):
    refused(weir(*words), USAGE, *parts)


@pytest.mark.parametrize("variable, value", [
    ("WEIR_THREADS", "many"), ("WEIR_KAFKA", "here"), ("WEIR_AUTO_CREATE", "perhaps")])
def test_a_wrong_variable_is_told(variable, value):
    refused(weir("serve", env={variable: value}), USAGE, f"environment variable {variable}", value)


@pytest.mark.parametrize("words", [["topic", "list"], ["group", "list"]])
def test_no_broker_is_told(words):
    where = f"127.0.0.1:{broker.free_port()}"
    refused(weir(*words, "--broker", where), FAILED, where, "is the broker running?")
    refused(weir(*words, env={"WEIR_BROKER": where}), FAILED, where)
    refused(weir(*words, "--broker", "nonsense"), FAILED, "'nonsense' is not HOST:PORT")


# ---- topics ----------------------------------------------------------------------------------


def test_topics(cli, unique):
    name = unique()
    assert good(cli("topic", "create", name, "--partitions", "2", "--config",
                    "retention.ms=12345")) == f"Created topic {name}.\n"
    refused(cli("topic", "create", name), FAILED, name)
    assert name in good(cli("topic", "list")).splitlines()
    assert good(cli("topic", "list", name)) == name + "\n"
    head, *partitions = good(cli("topic", "describe", name)).splitlines()
    assert f"Topic: {name}\t" in head and "PartitionCount: 2" in head
    assert "Configs: retention.ms=12345" in head
    assert [line.split("\t")[2] for line in partitions] == ["Partition: 0", "Partition: 1"]
    good(cli("topic", "grow", name, "--partitions", "3"))
    assert "PartitionCount: 3" in cli("topic", "describe", name).stdout
    refused(cli("topic", "grow", name, "--partitions", "3"), FAILED, "3")
    good(cli("topic", "delete", name))
    refused(cli("topic", "describe", name), FAILED, name, "does not exist")
    refused(cli("topic", "delete", name), FAILED, "does not exist")
    refused(cli("topic", "grow", name, "--partitions", "3"), FAILED, "does not exist")
    assert name not in good(cli("topic", "list")).splitlines()


def test_topic_alter(cli, unique):
    name = unique()
    good(cli("topic", "create", name, "--config", "segment.ms=5000"))
    assert good(cli("topic", "alter", name, "--config", "retention.ms=777", "--delete-config",
                    "segment.ms")) == f"Altered topic {name}.\n"
    assert "Configs: retention.ms=777\n" in good(cli("topic", "describe", name))
    refused(cli("topic", "alter", name, "--config", "retention.ms=x"), FAILED, "retention.ms")
    refused(cli("topic", "alter", name), USAGE, "--config KEY=VALUE")


def test_a_deletion_takes_names_as_they_are(cli, unique):
    """Not as the patterns that Kafka's tool takes: a dot is a dot."""
    dot, dash = unique("a.b"), None
    dash = dot.replace("a.b", "a-b")
    good(cli("topic", "create", dash))
    refused(cli("topic", "delete", dot), FAILED, "does not exist")
    assert dash in good(cli("topic", "list")).splitlines()
    good(cli("topic", "delete", dash))


def test_internal_topics_are_shown_when_asked_for(cli, target):
    assert not any(name.startswith("__") for name in good(cli("topic", "list")).splitlines())
    if target.is_weir:
        assert "__consumer_offsets" in good(cli("topic", "list", "--internal")).splitlines()


@pytest.mark.parametrize("words, parts", [
    (["a b"], ["not allowed", "illegal"]), (["x", "--config", "nonsense=1"], ["nonsense"]),
    (["x", "--config", "retention.ms=soon"], ["retention.ms"]),
    (["x", "--partitions", "0"], ["partitions"])])
def test_topics_that_cannot_be(cli, words, parts):
    done = cli("topic", "create", *words)
    assert done.returncode == FAILED
    assert any(part in done.stderr for part in parts), done.stderr
    refused(cli("topic", "create", "x", "--config", "no-equals-sign"), USAGE, "KEY=VALUE")


# ---- records ---------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_lines_come_back(cli, topic, codec):
    lines = [f"line {index} {codec} \u00fc" for index in range(300)]
    done = cli("produce", topic, "--compression", codec, stdin="\n".join(lines) + "\n")
    assert good(done) == "" and "300 acknowledged, 0 failed" in done.stderr
    assert good(cli("consume", topic, "--end")).splitlines() == lines
    assert good(cli("consume", topic, "--count", "3")).splitlines() == lines[:3]
    assert good(cli("consume", topic, "--offset", "298", "--end")).splitlines() == lines[298:]


def test_lines_of_any_kind(cli, topic):
    good(cli("produce", topic, stdin="first\n\nlast without an end"))
    assert good(cli("consume", topic, "--end")) == "first\n\nlast without an end\n"
    good(cli("produce", topic, stdin=""))
    assert len(good(cli("consume", topic, "--end")).splitlines()) == 3


def test_keys_and_places(cli, topic):
    good(cli("produce", topic, "--key-separator", ": ", stdin="k1: v1\nno key\nk2: a: b\n"))
    assert good(cli("consume", topic, "--keys", "--end")) == "k1\tv1\n\tno key\nk2\ta: b\n"
    text = good(cli("consume", topic, "--meta", "--end", "--offset", "1"))
    assert re.fullmatch(r"0\t1\t\d{13}\tno key\n0\t2\t\d{13}\ta: b\n", text)


def test_partitions(cli, raw, unique):
    name = unique()
    raw.create_topic(name, 3)
    text = good(cli("produce", name, "--partition", "2", "--verbose", stdin="a\nb\n"))
    assert text == "partition 2 offset 0\npartition 2 offset 1\n"
    assert good(cli("consume", name, "--partition", "2", "--end")) == "a\nb\n"
    assert good(cli("consume", name, "--partition", "1", "--end")) == ""
    assert good(cli("consume", name, "--end")) == "a\nb\n"
    refused(cli("consume", name, "--partition", "7", "--end"), FAILED, name)
    done = cli("produce", name, "--partition", "7", stdin="lost\n")
    refused(done, FAILED, "not taken", "1 failed")


def test_the_end_and_what_comes_after(cli, topic, target):
    """--from latest waits for what is new; Ctrl-C ends it in order."""
    good(cli("produce", topic, stdin="old\n"))
    process = subprocess.Popen(
        [str(broker.weir_binary()), "consume", topic, "--from", "latest", "--broker",
         target.bootstrap], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    sent = 0
    os.set_blocking(process.stdout.fileno(), False)
    deadline, text = time.monotonic() + CALL_S, b""
    while not text:  # it begins at some time; what was sent before that it does not show
        good(cli("produce", topic, stdin=f"new {sent}\n"))
        sent += 1
        text = process.stdout.read() or b""
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGINT)
    process.wait(CALL_S)
    process.stdout.close()
    assert process.returncode == 0
    assert text.startswith(b"new ") and b"old" not in text


def test_a_group_reads_every_partition_to_its_end(cli, raw, unique):
    """--end waits for all of them, and what was read is committed."""
    name, group = unique(), unique("g")
    raw.create_topic(name, 5)
    for partition in range(5):
        lines = "".join(f"{partition}-{i}\n" for i in range(20))
        good(cli("produce", name, "--partition", partition, stdin=lines))
    read = good(cli("consume", name, "--group", group, "--end")).splitlines()
    assert sorted(read) == sorted(f"{p}-{i}" for p in range(5) for i in range(20))
    assert good(cli("consume", name, "--group", group, "--end")) == ""
    good(cli("produce", name, "--partition", "3", stdin="more\n"))
    assert good(cli("consume", name, "--group", group, "--end")) == "more\n"


def test_consume_of_nothing(cli, unique):
    name = unique()
    refused(cli("consume", name, "--end"), FAILED, name)


# ---- groups ----------------------------------------------------------------------------------


def test_groups(cli, raw, unique, target):
    name, group = unique(), unique("g")
    raw.create_topic(name, 2)
    for partition, count in (0, 5), (1, 2):
        good(cli("produce", name, "--partition", partition, stdin="x\n" * count))
    with member_of(cli, group, name, "--broker", target.bootstrap):
        assert group in good(cli("group", "list")).splitlines()
        head, *members = rows(good(cli("group", "members", group, "--verbose")))
        assert head[:4] == ["GROUP", "CONSUMER-ID", "HOST", "CLIENT-ID"]
        assert len(members) == 1 and members[0][4] == "2" and f"{name}:0,1" in members[0]
        refused(cli("group", "delete", group), FAILED, group, "has members")
        refused(cli("group", "reset", group, "--earliest", "--execute"), FAILED, "inactive")
        # The commits come every few seconds.
        deadline = time.monotonic() + CALL_S
        while True:
            head, *lines = rows(good(cli("group", "describe", group)))
            if [line[3] for line in lines] == ["5", "2"]:
                break
            assert time.monotonic() < deadline, lines
            time.sleep(0.2)
        assert [line[5] for line in lines] == ["0", "0"]
        assert lines[0][6] == members[0][1]
    good(cli("produce", name, "--partition", "0", stdin="y\n" * 3))
    done = cli("group", "describe", group)
    assert f"Consumer group '{group}' has no active members." in done.stderr
    head, *lines = rows(good(done))
    assert head == ["GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG",
                    "CONSUMER-ID", "HOST", "CLIENT-ID"]
    assert lines == [[group, name, "0", "5", "8", "3", "-", "-", "-"],
                     [group, name, "1", "2", "2", "0", "-", "-", "-"]]
    assert rows(good(cli("group", "state", group)))[1][-2:] == ["Empty", "0"]


def reset_to(cli, group, *words):
    """Where the partitions of the group would go: {partition: offset}"""
    shown = rows(good(cli("group", "reset", group, *words)))[1:]
    return {int(row[2]): int(row[3]) for row in shown}


def test_reset(cli, raw, unique):
    name, group = unique(), unique("g")
    raw.create_topic(name, 2)
    good(cli("produce", name, "--partition", "0", stdin="x\n" * 5))
    good(cli("produce", name, "--partition", "1", stdin="x\n" * 3))
    # A group that has never read, brought to a topic by its name.
    assert reset_to(cli, group, "--topic", name, "--latest", "--execute") == {0: 5, 1: 3}
    assert reset_to(cli, group, "--shift", "-2") == {0: 3, 1: 1}
    assert reset_to(cli, group, "--earliest") == {0: 0, 1: 0}  # shown only
    assert [row[3] for row in rows(cli("group", "describe", group).stdout)[1:]] == ["5", "3"]
    assert reset_to(cli, group, "--topic", f"{name}:1", "--offset", "2", "--execute") == {1: 2}
    assert reset_to(cli, group, "--offset", "100", "--execute") == {0: 5, 1: 3}
    assert reset_to(cli, group, "--shift", "-100", "--execute") == {0: 0, 1: 0}
    refused(cli("group", "reset", group), USAGE, "--earliest, --latest, --offset N, --shift N")
    refused(cli("group", "reset", group, "--latest", "--earliest"), USAGE, "one of")
    refused(cli("group", "reset", group, "--topic", unique("no"), "--latest"), FAILED, "does not")
    refused(cli("group", "reset", group, "--topic", f"{name}:x", "--latest"), FAILED,
            "TOPIC or TOPIC:0,1")
    good(cli("group", "delete", group))
    assert group not in good(cli("group", "list")).splitlines()
    for verb in "describe", "members", "state":
        refused(cli("group", verb, group), FAILED, group)


# ---- Kafka's names ---------------------------------------------------------------------------


def test_kafka_topics(topics_sh, unique):
    name = unique()
    assert f"Created topic {name}." in good(
        topics_sh("--create", "--topic", name, "--partitions", "2", "--replication-factor", "1"))
    refused(topics_sh("--create", "--topic", name), FAILED,
            "Error while executing topic command : ", name)
    good(topics_sh("--create", "--topic", name, "--if-not-exists"))
    good(topics_sh("--alter", "--topic", name, "--partitions", "3"))
    head, *lines = good(topics_sh("--describe", "--topic", name)).splitlines()
    assert re.fullmatch(
        rf"Topic: {name}\tTopicId: \S{{22}}\tPartitionCount: 3\tReplicationFactor: 1\t"
        r"Configs: ?\S*",
        head)
    assert lines == [
        f"\tTopic: {name}\tPartition: {i}\tLeader: 1\tReplicas: 1\tIsr: 1\tElr: N/A"
        "\tLastKnownElr: N/A" for i in range(3)]
    assert good(topics_sh("--list", "--topic", name[:-1] + ".,nothing")) == name + "\n"
    good(topics_sh("--delete", "--topic", name))
    for words in ["--describe"], ["--delete"], ["--alter", "--partitions", "4"]:
        refused(topics_sh(*words, "--topic", name), FAILED,
                f"Topic '{name}' does not exist as expected")
        assert good(topics_sh(*words, "--topic", name, "--if-exists")) == ""


def test_kafka_topics_takes_patterns(topics_sh, unique):
    names = [unique("many") for _ in range(3)]
    for name in names:
        good(topics_sh("--create", "--topic", name))
    pattern = names[0].rsplit("-", 1)[0] + "-[0-9]+"
    assert good(topics_sh("--list", "--topic", pattern)).splitlines() == sorted(names)
    good(topics_sh("--alter", "--topic", pattern, "--partitions", "2"))
    good(topics_sh("--delete", "--topic", pattern))
    assert good(topics_sh("--list", "--topic", pattern)) == ""
    refused(topics_sh("--list", "--topic", "a(b"), FAILED, "'a(b'", "regular expression")


@pytest.mark.parametrize("name, words, part", [
    ("kafka-topics.sh", [], "--bootstrap-server HOST:PORT is missing"),
    ("kafka-topics.sh", ["--bootstrap-server", "a:1"], "exactly one action"),
    ("kafka-topics.sh", ["--bootstrap-server", "a:1", "--list", "--create"], "exactly one action"),
    ("kafka-topics.sh", ["--bootstrap-server", "a:1", "--create"], "\"[topic]\""),
    ("kafka-topics.sh", ["--bootstrap-server", "a:1", "--alter", "--topic", "t"], "[partitions]"),
    ("kafka-topics.sh", ["--bootstrap-server", "a:1", "--partitions", "x"], "'x' is not valid"),
    ("kafka-topics.sh", ["--zookeeper", "a:1"], "--zookeeper: there is no such option"),
    ("kafka-consumer-groups.sh", ["--bootstrap-server", "a:1"], "exactly one action"),
    ("kafka-consumer-groups.sh", ["--bootstrap-server", "a:1", "--describe"], "[group]"),
    ("kafka-consumer-groups.sh", ["--bootstrap-server", "a:1", "--delete-offsets"],
     "--delete-offsets: there is no such option"),
    ("kafka-consumer-groups.sh", ["--bootstrap-server", "a:1", "--list", "--timeout", "x"],
     "--timeout: 'x' is not valid"),
    ("kafka-consumer-groups.sh",
     ["--bootstrap-server", "a:1", "--reset-offsets", "--group", "g", "--to-latest"], "[topic]"),
])
def test_kafkas_names_refuse(named, name, words, part):
    refused(named(name, *words), FAILED, part)


def test_kafka_consumer_groups(groups_sh, cli, raw, unique, target):
    name, group = unique(), unique("g")
    raw.create_topic(name)
    good(cli("produce", name, stdin="x\n" * 4))
    reset = ["--reset-offsets", "--group", group, "--topic", name]
    for words, offset in [
        (["--to-earliest"], 0), (["--to-latest"], 4), (["--to-offset", "3"], 3),
        (["--to-datetime", "2020-01-01T00:00:00.000"], 0), (["--by-duration", "PT0S"], 4),
        (["--by-duration", "P1D"], 0), (["--shift-by", "1"], 1),
    ]:
        assert rows(good(groups_sh(*reset, *words)))[1:] == [[group, name, "0", str(offset)]]
    head, line = rows(good(groups_sh(*reset, "--to-offset", "1", "--execute")))
    assert head == ["GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"]
    refused(groups_sh(*reset), FAILED, "--to-earliest", "--by-duration PnDTnHnMnS")
    refused(groups_sh(*reset, "--to-datetime", "yesterday"), FAILED, "YYYY-MM-DDTHH:mm:SS.sss")
    with member_of(cli, group, name, "--broker", target.bootstrap):
        head, line = rows(good(groups_sh("--describe", "--group", group)))
        assert head == ["GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG",
                        "CONSUMER-ID", "HOST", "CLIENT-ID"]
        assert line[:3] == [group, name, "0"] and line[4] == "4"
        assert line[6].startswith(line[8]) and line[7] == "/127.0.0.1"
        assert "Stable" in good(groups_sh("--describe", "--group", group, "--state"))
        refused(groups_sh("--delete", "--group", group), FAILED, group)
    assert group in good(groups_sh("--list", "--timeout", "20000")).splitlines()
    assert group in good(groups_sh("--describe", "--all-groups"))
    assert good(groups_sh("--delete", "--group", group)) == (
        f"Deletion of requested consumer groups ('{group}') was successful.\n")
    refused(groups_sh("--describe", "--group", group), FAILED, group, "does not exist")


# ---- against Kafka's own ---------------------------------------------------------------------


def kafkas(name, *words):
    return run("java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp",
               f"{TOOLS}/*", COMMANDS[name], *words)


def same(mine, theirs):
    """The same words in the same lines, in any order of lines."""
    assert sorted(rows(mine.stdout)) == sorted(rows(theirs.stdout)), theirs.stderr
    return mine


@needs_tools
def test_topics_as_kafkas_tool_shows_them(topics_sh, target, unique):
    names = [unique("same"), unique("same")]
    where = ["--bootstrap-server", target.bootstrap]

    def both(*words):
        mine, theirs = topics_sh(*words), kafkas("kafka-topics.sh", *where, *words)
        assert mine.returncode == theirs.returncode, (mine.stderr, theirs.stderr)
        return same(mine, theirs)

    good(topics_sh("--create", "--topic", names[0], "--partitions", "2", "--config",
                   "retention.ms=123456", "--config", "segment.bytes=1048576"))
    good(kafkas("kafka-topics.sh", *where, "--create", "--topic", names[1]))
    pattern = names[0].rsplit("-", 1)[0] + ".*"
    good(both("--list", "--topic", pattern))
    good(both("--describe", "--topic", pattern))
    good(both("--describe", "--topic", names[0]))
    good(both("--describe", "--topic", pattern, "--under-replicated-partitions"))
    for words in [
        ["--create", "--topic", names[0]], ["--create", "--topic", "a b"],
        ["--alter", "--topic", names[0], "--partitions", "1"],
        ["--describe", "--topic", "nothing"], ["--delete", "--topic", "nothing"],
        ["--list", "--describe"], ["--create"],
    ]:
        # Kafka's tool says what is wrong on its output, ours where errors go.
        mine, theirs = topics_sh(*words), kafkas("kafka-topics.sh", *where, *words)
        refused(mine, FAILED)
        assert theirs.returncode == FAILED
        assert mine.stderr.splitlines()[0] in theirs.stdout + theirs.stderr
    for words in ["--describe"], ["--delete"], ["--alter", "--partitions", "2"]:
        good(both(*words, "--topic", "nothing", "--if-exists"))


@needs_tools
def test_groups_as_kafkas_tool_shows_them(groups_sh, cli, raw, target, unique):
    name, group = unique(), unique("g")
    where = ["--bootstrap-server", target.bootstrap]
    raw.create_topic(name, 3)
    good(cli("produce", name, "--partition", "1", stdin="x\n" * 4))

    def both(*words):
        mine = groups_sh(*words)
        return same(mine, kafkas("kafka-consumer-groups.sh", *where, *words))

    reset = ["--reset-offsets", "--group", group, "--topic", name]
    good(groups_sh(*reset, "--to-earliest", "--execute"))
    for words in [["--describe"], ["--describe", "--members"], ["--describe", "--state"]]:
        good(both(*words, "--group", group))
    good(both(*reset, "--to-latest", "--dry-run"))
    good(both(*reset[:-1], f"{name}:1", "--to-offset", "2", "--dry-run"))
    good(both(*reset, "--shift-by", "1", "--dry-run"))
    with member_of(cli, group, name, "--broker", target.bootstrap):
        # Committed once and not again, so that both see the same.
        deadline = time.monotonic() + CALL_S
        while "0 4 4" in (text := " ".join(
                groups_sh("--describe", "--group", group).stdout.split())):
            assert time.monotonic() < deadline, text
            time.sleep(0.2)
        for words in [[], ["--members"], ["--members", "--verbose"], ["--state"]]:
            good(both("--describe", "--group", group, *words))
        assert groups_sh("--delete", "--group", group).returncode == FAILED
    both("--list")


# ---- serve and fsck --------------------------------------------------------------------------


def served(folder, *words):
    """`weir serve` that is expected to end by itself."""
    http = f"127.0.0.1:{broker.free_port()}"
    return weir("serve", "--data", folder / "d", "--http", http, *words)


def test_serve_tells_of_a_taken_port(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        refused(served(tmp_path, "--kafka", where), FAILED, where)


def test_serve_tells_of_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "d").write_text("a file")
    refused(served(tmp_path, "--kafka", "127.0.0.1:0"), FAILED, str(tmp_path / "d"))


@pytest.fixture
def own(tmp_path):
    """A weir of the test's own, which the test starts and stops; killed where it failed to."""
    one = broker.Weir(tmp_path)
    yield one
    if one.process is not None and one.process.poll() is None:
        one.kill()


@pytest.mark.managed
@pytest.mark.parametrize("threads", [1, 2])
def test_serve_ends_with_connections_open(own, threads):
    """Idle, waiting in a fetch, waiting in a group, asking for metrics: all are let go at once."""
    own.options = ["--threads", str(threads)]
    own.start()
    at = ["--broker", own.bootstrap]
    good(weir("topic", "create", "t", "--partitions", "4", *at))
    good(weir("produce", "t", *at, stdin="a\nb\n"))
    idle = socket.create_connection((own.host, own.port))
    http = socket.create_connection((own.host, own.http_port))
    members = [subprocess.Popen([str(broker.weir_binary()), "consume", "t", "--group", "g", *at],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
               for _ in range(2)]
    await_stable(lambda *words: weir(*words, *at), "g", 2)
    http.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
    assert http.recv(10).startswith(b"HTTP/1.1")
    own.stop()
    assert idle.recv(1) == b""
    assert "clean=true" in own.log_tail()
    for member in members:
        member.kill()
        member.wait()
    idle.close()
    http.close()
    assert "ended in order" in good(weir("fsck", "--data", own.folder / "data"))


@pytest.mark.managed
def test_fsck(own):
    own.start()
    data, at = own.folder / "data", ["--broker", own.bootstrap]
    good(weir("produce", "t", *at, stdin="a\nb\nc\n"))
    refused(weir("fsck", "--data", data), FAILED, str(data))  # it is being served
    own.stop()
    text = good(weir("fsck", "--data", data))
    assert "0 faults" in text and "incarnation 1, ended in order" in text
    assert good(weir("fsck", "--quiet", env={"WEIR_DATA": str(data)})) == ""
    segments = [path for path in data.rglob("*.log") if path.stat().st_size]
    assert segments
    for path in segments:  # a bit in the middle of a batch
        damaged = bytearray(path.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        path.write_bytes(damaged)
    done = weir("fsck", "--data", data)
    assert done.returncode == FAILED
    assert "fault: " in done.stdout and " 0 faults" not in done.stdout
    assert weir("fsck", "--quiet", "--data", data).stdout.startswith("fault: ")


def test_fsck_of_what_is_no_data_folder(tmp_path):
    refused(weir("fsck", "--data", tmp_path / "none"), FAILED, str(tmp_path / "none"))
    refused(weir("fsck", "--data", tmp_path), FAILED, str(tmp_path))
    (tmp_path / "file").write_text("x")
    refused(weir("fsck", "--data", tmp_path / "file"), FAILED, str(tmp_path / "file"))


@pytest.mark.managed
def test_fsck_after_a_kill(own, tmp_path):
    own.start()
    good(weir("produce", "t", "--broker", own.bootstrap, stdin="a\nb\nc\n"))
    own.kill()
    text = good(weir("fsck", "--data", own.folder / "data"))
    assert "did not end in order" in text and "0 faults" in text
    shutil.copytree(own.folder / "data", tmp_path / "copy")
    own.start()
    assert good(weir("consume", "t", "--broker", own.bootstrap, "--end")) == "a\nb\nc\n"
    own.stop()
    assert "0 faults" in good(weir("fsck", "--data", tmp_path / "copy"))
