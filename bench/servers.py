"""The servers that are measured: how each is started on a fresh folder, and what it promises.

A server is started with its data folder emptied, bound to one CPU when asked, and stopped with
SIGTERM. Its process id is the server's own (taskset replaces itself), so /proc tells its CPU time
and its memory.
"""
import os
import shutil
import signal
import socket
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")
STOP_SECONDS = 30
READY_SECONDS = 60


class BenchError(Exception):
    pass


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def tree_bytes(paths):
    return sum(os.path.getsize(path) for path in paths)


class Server:
    name = ""
    durability = ""
    partitions_at_start = False  # the number of partitions is an option of the server

    def __init__(self, config):
        self.config = config
        self.port = free_port()
        self.folder = os.path.join(config.data, self.name)
        self.process = None

    # What a kind of server defines.
    def command(self, partitions):
        raise NotImplementedError

    def binary_bytes(self):
        raise NotImplementedError

    def prepare(self):
        """Makes what a start on an empty folder needs; not part of any figure."""

    # The rest is the same for all.
    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def fresh(self):
        """Empties the folder, and lets the disk settle."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.prepare()
        os.sync()

    def pinned(self, partitions=1):
        return self.config.pin(self.config.server_cpu) + self.command(partitions)

    def start(self, partitions=1):
        log = open(os.path.join(self.config.data, self.name + ".log"), "ab")
        with log:
            self.process = subprocess.Popen(self.pinned(partitions), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise BenchError(f"{self.name} ended with status {self.process.returncode}; "
                                 f"see {log.name}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise BenchError(f"{self.name} does not listen after {READY_SECONDS} s; see {log.name}")

    def stop(self):
        if not self.process:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory_mb(self):
        """Resident, proportional and anonymous memory."""
        found = {}
        with open(f"/proc/{self.process.pid}/smaps_rollup") as f:
            for line in f:
                name, _, rest = line.partition(":")
                if name in ("Rss", "Pss", "Anonymous"):
                    found[name.lower()] = int(rest.split()[0]) / 1024
        return found


class Floor(Server):
    name = "floor"
    durability = "fdatasync once a loop turn, before the answers"
    partitions_at_start = True

    def __init__(self, config):
        super().__init__(config)
        self.binary = os.path.join(config.build, "bench", "floor")
        # Outside of the folder that fresh() empties: the ring is recycled from start to start.
        self.ring = os.path.join(config.data, "floor.ring")

    def command(self, partitions):
        return [self.binary, "--port", str(self.port), "--journal", self.ring,
                "--ring", str(self.config.ring_bytes), "--partitions", str(partitions)]

    def prepare(self):
        """Reads the ring: a recycled journal is in the page cache, or the disk would be read."""
        size = os.path.getsize(self.ring) if os.path.exists(self.ring) else 0
        with open(self.ring, "ab") as f:
            for _ in range(size, self.config.ring_bytes, 1 << 20):
                f.write(bytes(1 << 20))
        with open(self.ring, "rb") as f:
            while f.read(1 << 22):
                pass

    def first_command(self):
        journal = os.path.join(self.folder, "first.ring")
        return self.config.pin(self.config.server_cpu) + [
            self.binary, "--port", str(self.port), "--journal", journal]

    def binary_bytes(self):
        return os.path.getsize(self.binary)


class Weir(Server):
    name = "weir"
    durability = "fdatasync before the acknowledgement (flush: each, the default)"
    options = ()

    def __init__(self, config):
        super().__init__(config)
        self.http_port = free_port()
        self.binary = os.path.join(config.build, "weir")

    def command(self, partitions):
        return [self.binary, "serve", "--data", self.folder, "--kafka", self.bootstrap,
                "--http", f"127.0.0.1:{self.http_port}", *self.options]

    def first_command(self):
        return self.pinned()

    def binary_bytes(self):
        return os.path.getsize(self.binary)


class WeirTwo(Weir):
    name = "weir-2"
    durability = "as weir, with two reactors (--threads 2)"
    options = ("--threads", "2")

    def pinned(self, partitions=1):
        return self.command(partitions)  # two reactors need two CPUs


class Kafka(Server):
    name = "kafka"
    durability = "page cache: acknowledged without fsync (the default)"
    extra = ()

    def __init__(self, config):
        super().__init__(config)
        self.controller_port = free_port()
        self.jars = os.path.join(config.kafka_lib, "*")
        self.template = os.path.join(config.data, self.name + "-template")
        self.properties = os.path.join(config.data, self.name + ".properties")
        fetch_jars(config)
        self.format()

    def format(self):
        """Formats a data folder once; each fresh start copies it."""
        broker, controller = (f"127.0.0.1:{port}" for port in (self.port, self.controller_port))
        listeners = f"PLAINTEXT://{broker},CONTROLLER://{controller}"
        lines = [
            "process.roles=broker,controller", "node.id=1",
            f"controller.quorum.bootstrap.servers={controller}",
            "controller.listener.names=CONTROLLER",
            f"listeners={listeners}", f"advertised.listeners={listeners}",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "offsets.topic.replication.factor=1",
            "transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1",
            "share.coordinator.state.topic.replication.factor=1",
            "share.coordinator.state.topic.min.isr=1", "group.initial.rebalance.delay.ms=0",
            *self.extra]
        shutil.rmtree(self.template, ignore_errors=True)
        with open(self.properties, "w") as f:
            f.write("\n".join(lines + [f"log.dirs={self.template}"]) + "\n")
        tool = ["java", "-cp", self.jars, "kafka.tools.StorageTool"]
        cluster = subprocess.run(tool + ["random-uuid"], check=True, capture_output=True, text=True)
        subprocess.run(tool + ["format", "-t", cluster.stdout.strip(), "--standalone",
                               "-c", self.properties], check=True, capture_output=True)
        with open(self.properties, "w") as f:
            f.write("\n".join(lines + [f"log.dirs={self.folder}"]) + "\n")

    def prepare(self):
        shutil.copytree(self.template, self.folder, dirs_exist_ok=True)

    def command(self, partitions):
        return ["java", "-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-cp", self.jars, "kafka.Kafka",
                self.properties]

    def first_command(self):
        return self.pinned()

    def binary_bytes(self):
        folder = self.config.kafka_lib
        return tree_bytes(os.path.join(folder, name) for name in os.listdir(folder))


class KafkaFlush(Kafka):
    name = "kafka-flush"
    durability = "fsync before the acknowledgement (log.flush.interval.messages=1)"
    extra = ("log.flush.interval.messages=1",)


POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>bench</groupId><artifactId>peer-kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
      <version>4.3.0</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId>
      <version>4.3.0</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId>
      <version>1.7.36</version></dependency>
  </dependencies>
</project>
"""


def fetch_jars(config):
    """Apache Kafka 4.3.0 from Maven Central, the first time."""
    if not shutil.which("java"):
        raise BenchError("PEER=kafka needs Java: apt-get install openjdk-17-jre-headless")
    if os.path.isdir(config.kafka_lib) and os.listdir(config.kafka_lib):
        return
    if not shutil.which("mvn"):
        raise BenchError("PEER=kafka needs Kafka's jars: apt-get install maven, or set KAFKA_LIB "
                         "to the folder that has them")
    folder = os.path.dirname(config.kafka_lib)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "pom.xml"), "w") as f:
        f.write(POM)
    print("fetching Apache Kafka 4.3.0 from Maven Central (54 MB) ...", flush=True)
    subprocess.run(["mvn", "-q", "dependency:copy-dependencies", "-DincludeScope=runtime",
                    "-DoutputDirectory=" + config.kafka_lib], cwd=folder, check=True)


KINDS = {kind.name: kind for kind in (Floor, Weir, WeirTwo, Kafka, KafkaFlush)}
