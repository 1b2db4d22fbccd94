"""Records what real clients send: golden/CLIENT-API-vVERSION.bin, the first frame of each kind.

    python capture.py LISTEN BROKER FOLDER      (both HOST:PORT)

A proxy listens on LISTEN and passes everything to BROKER, which must be a Kafka that advertises
LISTEN as its own address, so that clients stay behind the proxy. Every client of clients.py then
goes through its verbs. A file holds one request without the length in front of it. The frames are
kept in the repository: rawkafka.py is checked against them, and so are weir's decoder and fuzzers.
"""

import pathlib
import re
import socket
import struct
import sys
import threading
import time

import clients
from rawkafka import BY_KEY, Raw

# What the table in rawtable.py leaves out, named for the file.
OTHERS = {17: "SaslHandshake", 24: "AddPartitionsToTxn", 33: "AlterConfigs", 36: "SaslAuthenticate",
          44: "IncrementalAlterConfigs", 68: "ConsumerGroupHeartbeat",
          69: "ConsumerGroupDescribe", 71: "GetTelemetrySubscriptions",
          72: "PushTelemetry", 75: "DescribeTopicPartitions"}
FRAME_MAX = 8192


def name_of(key):
    name = BY_KEY[key].name if key in BY_KEY else OTHERS.get(key, f"Api{key}")
    return re.sub(r"(?<=.)([A-Z])", r"-\1", name).lower()


class Proxy:
    """Passes bytes on; cuts what clients send into frames and keeps the first of each kind."""

    def __init__(self, listen, target, folder):
        self.target, self.folder, self.client = target, folder, None
        self.server = socket.create_server(listen)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.server.accept()
            broker = socket.create_connection(self.target)
            for run, source, sink in ((self.requests, client, broker),
                                      (self.bytes, broker, client)):
                threading.Thread(target=run, args=(source, sink), daemon=True).start()

    def bytes(self, source, sink, watch=lambda data: None):
        try:
            while data := source.recv(65536):
                watch(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # either side may end a connection at any time

    def requests(self, source, sink):
        pending = bytearray()

        def watch(data):
            pending.extend(data)
            while len(pending) >= 4:
                (length,) = struct.unpack_from(">i", pending)
                if len(pending) < 4 + length:
                    break
                self.keep(bytes(pending[4 : 4 + length]))
                del pending[: 4 + length]

        self.bytes(source, sink, watch)

    def keep(self, frame):
        key, version = struct.unpack_from(">hh", frame)
        path = self.folder / f"{self.client}-{name_of(key)}-v{version}.bin"
        if self.client and len(frame) <= FRAME_MAX and not path.exists():
            path.write_bytes(frame)


def go_through(client, raw):
    """Every verb once or twice; two members, so that there is a rebalance and a follower."""
    topic, group = f"golden-{client.name}", f"golden-group-{client.name}"
    if client.has_admin:
        client.run("create-topic", topic=topic, partitions=2)
    else:
        raw.create_topic(topic, 2)
    raw.await_topic(topic, 2)
    for codec in ("none", "zstd"):
        client.produce(topic, codec, 3, codec=codec, partition=0)
    if client.name != "kafka-python-2.0.2":
        client.produce(topic, "idempotent", 3, idempotent="true", partition=1)
    client.run("consume", topic=topic, partition=0, offset=0, count=6)
    client.run("seek", topic=topic, partition=0, timestamp=1000, count=1)
    client.run("list-topics")
    client.run("describe-topic", topic=topic)

    members = [client.start("group", group=group, topics=topic)]
    members[0].wait(lambda one: len(one.assigned) == 2)
    members.append(client.start("group", group=group, topics=topic))
    for member in members:
        member.wait(lambda one: len(one.assigned) == 1)
    if client.has_admin:
        client.run("describe-group", group=group)
    for member in members:
        member.finish()
    if client.name in ("kcat", "confluent-kafka", "java"):
        static = client.start("group", group=group + "-static", topics=topic, instance="i-1")
        static.wait(lambda one: len(one.assigned) == 2)
        static.finish()
    if client.has_admin:
        client.run("list-groups")
        client.run("group-offsets", group=group)
        client.run("describe-config", topic=topic, setting="cleanup.policy")
        client.run("describe-cluster")
        if client.name != "kafka-python-2.0.2":
            client.run("delete-records", topic=topic, partition=0, offset=1)
        client.run("delete-group", group=group)
        client.run("create-partitions", topic=topic, count=3)
        client.run("delete-topic", topic=topic)


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def main():
    listen, target, folder = sys.argv[1:]
    out = pathlib.Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    proxy = Proxy(address(listen), address(target), out)
    raw = Raw(*address(target))
    raw.await_group("golden")
    for name in clients.NAMES:
        proxy.client = name
        start = time.monotonic()
        with clients.Client(name, listen) as client:
            go_through(client, raw)
        kept = list(out.glob(f"{name}-*.bin"))
        print(f"{name}: {len(kept)} frames, {time.monotonic() - start:.1f} s")
        proxy.client = None


if __name__ == "__main__":
    main()
