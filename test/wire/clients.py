"""Runs real Kafka clients: one small program a client (workers/, java/), all with the same verbs.

    PROGRAM BOOTSTRAP VERB name=value ...   ->  one JSON object a line

Every client is a process of its own: two versions of kafka-python cannot share one, and a client
that hangs is ended by a deadline. Verbs:

    create-topic topic= partitions=         create-partitions topic= count=     delete-topic topic=
    list-topics -> {"topics"}               describe-topic topic= -> {"partitions"}
    list-groups -> {"groups"}               describe-group group= -> {"state", "members"}
    delete-group group=                     group-offsets group= -> {"offsets": {"0": 7}}
    alter-config topic= setting= value=     (one setting, others stay; not in kafka-python, whose
                                             AlterConfigs makes it the only one)
    describe-config topic= setting= -> {"value"}        describe-cluster -> {"brokers"}
    delete-records topic= partition= offset=            (not in kafka-python 2.0.2)
    put-password user= mechanism= iterations= password=     drop-password user= mechanism=
    list-passwords -> {"users": {user: {mechanism: iterations}}}    (confluent-kafka and java)
    produce topic= name= start= count= codec= [partition=] [idempotent=true]
        -> {"partition", "offset"} each
    consume topic= partition= offset= count= -> a record each
    seek topic= partition= timestamp= count= -> {"offset"}, then a record each
    group group= topics= [strategy=] [instance=]
        stays in the group until its input ends: {"event": "assigned", "partitions"},
        {"event": "record", ...}, and {"event": "closed"} at last. Commits what it has printed.

A record is {"topic", "partition", "offset", "timestamp", "key", "value", "headers"}. Produced
record number i of NAME has the key NAME-k<i>, a header wire: NAME, and value_of(NAME, i).
"""

import json
import os
import pathlib
import queue
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
SETUP = pathlib.Path(os.environ.get("WIRE_SETUP") or HERE.parents[1] / "build" / "wire").resolve()
CALL_S = 60

NAMES = ("kcat", "kafka-python-2.0.2", "kafka-python-2.2.15", "confluent-kafka", "java")
# kcat has no administration beyond -L, -Q and auto-creation.
NO_ADMIN = ("kcat",)


def value_of(name, index):
    """Long and dull enough that every codec compresses it."""
    return f"{name}-v{index} " + "0123456789" * 12


def key_of(name, index):
    return f"{name}-k{index}"


def command(name):
    """-> (argv, extra environment)"""
    if name == "java":
        path = f"{SETUP}/java/classes:{SETUP}/java/lib/*"
        # The serial collector and the first compiler only: these programs live for a second.
        flags = ["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
        return ["java", *flags, "-cp", path, "WireClient"], {}
    if name == "kcat":
        return [sys.executable, str(HERE / "workers/kcat_worker.py")], {}
    if name == "confluent-kafka":
        return [sys.executable, str(HERE / "workers/confluent_worker.py")], {}
    worker = [sys.executable, str(HERE / "workers/kafka_python_worker.py")]
    return worker, {"PYTHONPATH": str(SETUP / name)}


def login(**how):
    """The environment of a client that logs in: protocol=, mechanism=, user=, password=, ca=,
    certificate=, key= (the files in PEM)."""
    java = {"security.protocol": how["protocol"]}
    if "mechanism" in how:
        module = "plain.Plain" if how["mechanism"] == "PLAIN" else "scram.Scram"
        java["sasl.mechanism"] = how["mechanism"]
        java["sasl.jaas.config"] = (f"org.apache.kafka.common.security.{module}LoginModule required"
                                    f" username='{how['user']}' password='{how['password']}';")
    if "ca" in how:
        java |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": how["ca"]}
    if "certificate" in how:
        # Java wants key and certificate in one text.
        java["ssl.keystore.type"] = "PEM"
        java["ssl.keystore.key"] = one_line(how["key"])
        java["ssl.keystore.certificate.chain"] = one_line(how["certificate"])
    return {
        "WIRE_SECURITY": json.dumps({name: str(value) for name, value in how.items()}),
        "WIRE_JAVA_SECURITY": "\n".join(f"{name}={value}" for name, value in java.items()),
    }


def one_line(path):
    return pathlib.Path(path).read_text().strip().replace("\n", "\\n")


class Failed(AssertionError):
    """A client ended with an error, or said something else than was awaited."""


class Process:
    """A running verb: its events so far, and a deadline on every wait for more."""

    def __init__(self, name, bootstrap, verb, args):
        argv, extra = command(name)
        argv += [bootstrap, verb] + [f"{key}={value}" for key, value in args.items()]
        self.title = " ".join([name, *argv[-len(args) - 1 :]])
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env={**os.environ, **extra}
        )
        self.lines, self.errors, self.events = queue.Queue(), [], []
        self.readers = [
            threading.Thread(target=self.read_output, daemon=True),
            threading.Thread(target=self.read_errors, daemon=True),
        ]
        for reader in self.readers:
            reader.start()

    def read_output(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line)

    def fail(self, why):
        text = "".join(self.errors[-40:])
        raise Failed(f"{self.title}: {why}\nlast events: {self.events[-5:]}\nstderr: {text}")

    def wait(self, until, seconds=CALL_S):
        """Reads events until until(self) holds."""
        deadline = time.monotonic() + seconds
        while not until(self):
            try:
                line = self.lines.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                self.fail(f"nothing of what was awaited in {seconds} s")
            if line is None:
                self.fail(f"ended with {self.process.wait()}")
            self.take(line)

    def take(self, line):
        try:
            self.events.append(json.loads(line))
        except ValueError:
            self.fail(f"not JSON: {line!r}")

    def drain(self):
        """Takes what has been said until now, without waiting."""
        while not self.lines.empty():
            line = self.lines.get()
            if line is None:
                self.lines.put(None)
                return
            self.take(line)

    def finish(self, seconds=CALL_S):
        """Ends the input, reads to the end of the output; the exit status must be 0."""
        if not self.process.stdin.closed:
            self.process.stdin.close()
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                self.fail(f"did not end in {seconds} s")
            if line is None:
                break
            self.take(line)
        self.readers[1].join(5)
        if self.process.wait() != 0:
            self.fail(f"ended with {self.process.returncode}")
        return self.events

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def records(self):
        return [event for event in self.events if event.get("event") == "record"]

    @property
    def assigned(self):
        """The partitions of the latest assignment."""
        found = [event for event in self.events if event.get("event") == "assigned"]
        return sorted(tuple(part) for part in found[-1]["partitions"]) if found else []


class Client:
    """One kind of client against one broker; ends what it started when it is left."""

    def __init__(self, name, bootstrap):
        self.name, self.bootstrap, self.started = name, bootstrap, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.started:
            process.kill()

    @property
    def has_admin(self):
        return self.name not in NO_ADMIN

    def start(self, verb, **args):
        self.started.append(Process(self.name, self.bootstrap, verb, args))
        return self.started[-1]

    def run(self, verb, **args):
        process = self.start(verb, **args)
        return process.finish()

    def produce(self, topic, name, count, start=0, codec="none", **more):
        return self.run(
            "produce", topic=topic, name=name, start=start, count=count, codec=codec, **more
        )
