"""Listeners: several of them, IPv6, unix sockets, TLS, advertised addresses, and what SIGHUP does,
by real clients."""

import json
import os
import signal
import socket
import subprocess
import time

import pytest

import broker

pytestmark = [pytest.mark.managed, pytest.mark.weir_only]
CALL_S = 20


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


def run(*command):
    return subprocess.run([str(part) for part in command], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=CALL_S)


def succeed(*command):
    done = run(*command)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def make_certificate(folder, name, subject="localhost"):
    """-> (certificate, key): self-signed, for localhost and its addresses."""
    folder.mkdir(exist_ok=True)
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    succeed("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", f"/CN={subject}", "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1", "-out", certificate, "-keyout", key)
    return certificate, key


class Configured(broker.Weir):
    """A weir whose options are in a file; the HTTP port that it is asked for readiness is added."""

    def __init__(self, folder, config="", environment=None):
        super().__init__(folder)
        self.config = self.folder / "weir.yaml"
        self.config.write_text(config)
        self.environment = environment or {}

    def start(self):
        command = [str(broker.weir_binary()), "serve", "--config", self.config,
                   "--http", f"{self.host}:{self.http_port}", "--data", self.folder / "data"]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **self.environment}, cwd=self.folder)
        self.await_ready()
        return self

    def address(self, name):
        """Where the listener is, as its line in the log says."""
        for line in self.log.read_text().splitlines():
            if " serve.listening " in line and f" name={name} " in line:
                return line.split(" address=")[1].split()[0]
        raise AssertionError(f"no listener {name}:\n{self.log_tail()}")

    def await_log(self, text, count=1):
        deadline = time.monotonic() + CALL_S
        while self.log.read_text().count(text) < count:
            assert time.monotonic() < deadline, f"no '{text}':\n{self.log_tail()}"
            time.sleep(0.01)

    def hang_up(self):
        """SIGHUP, and waits until it is done."""
        done = self.log.read_text().count("serve.reload")
        self.process.send_signal(signal.SIGHUP)
        self.await_log("serve.reload", done + 1)


@pytest.fixture
def configured(tmp_path):
    started = []

    def start(config, **environment):
        started.append(Configured(tmp_path / f"weir-{len(started)}", config, environment))
        return started[-1].start()

    yield start
    for weir in started:
        weir.end()


def kcat_brokers(bootstrap, *options):
    """What a client is told: the brokers of its Metadata answer."""
    return [one["name"] for one in
            json.loads(succeed("kcat", "-b", bootstrap, "-L", "-J", *options))["brokers"]]


def kcat_round(bootstrap, *options):
    """A record there and back."""
    done = subprocess.run(["kcat", "-b", bootstrap, "-t", "t", "-P", *options], input="hello\n",
                          stderr=subprocess.PIPE, text=True, timeout=CALL_S)
    assert done.returncode == 0, done.stderr
    return succeed("kcat", "-b", bootstrap, "-t", "t", "-C", "-o", "-1", "-c", "1", "-e", "-q",
                   *options)


def test_several_listeners_each_with_its_address(configured):
    weir = configured("""
listeners:
  - {name: plain, protocol: kafka, bind: "127.0.0.1:0"}
  - {name: outside, protocol: kafka, bind: "127.0.0.1:0", advertised: "weir.example.com:9093"}
""")
    plain, outside = weir.address("plain"), weir.address("outside")
    assert kcat_brokers(plain) == [plain]
    assert kcat_brokers(outside) == ["weir.example.com:9093"]
    assert kcat_round(plain) == "hello\n"


@needs_ipv6
def test_ipv6(configured):
    weir = configured("""
listeners:
  - {name: kafka6, protocol: kafka, bind: "[::1]:0"}
  - {name: http6, protocol: http, bind: "[::1]:0"}
""")
    where = weir.address("kafka6")
    assert where.startswith("[::1]:")
    assert [name.replace("[", "").replace("]", "") for name in kcat_brokers(where)] == \
        [where.replace("[", "").replace("]", "")]
    assert kcat_round(where) == "hello\n"
    assert succeed("curl", "-sf", f"http://{weir.address('http6')}/readyz") == "ready\n"


def test_a_unix_socket(configured, tmp_path):
    path = tmp_path / "http.sock"
    configured(f"listeners: [{{name: local, protocol: http, bind: 'unix:{path}'}},"
               "{name: kafka, protocol: kafka, bind: '127.0.0.1:0'}]\n")
    assert succeed("curl", "-sf", "--unix-socket", path, "http://localhost/readyz") == "ready\n"


def test_bound_to_all_addresses_tells_each_client_the_one_it_reached(configured):
    weir = configured("""
allow-anonymous: true
listeners:
  - {name: all, protocol: kafka, bind: "0.0.0.0:0"}
""")
    port = weir.address("all").rsplit(":", 1)[1]
    assert kcat_brokers(f"127.0.0.1:{port}") == [f"127.0.0.1:{port}"]
    assert kcat_brokers(f"127.0.0.2:{port}") == [f"127.0.0.2:{port}"]


def test_kafkas_own_variable(configured):
    weir = configured("kafka: 127.0.0.1:0\n",
                      KAFKA_ADVERTISED_LISTENERS="PLAINTEXT://broker.example:29092")
    assert kcat_brokers(weir.address("kafka")) == ["broker.example:29092"]


def test_tls(configured, tmp_path):
    certificate, key = make_certificate(tmp_path / "tls", "server")
    weir = configured(f"""
listeners:
  - {{name: kafka, protocol: kafka, bind: "127.0.0.1:0",
      tls: {{certificate: {certificate}, key: {key}}}}}
  - {{name: web, protocol: http, bind: "127.0.0.1:0",
      tls: {{certificate: {certificate}, key: {key}}}}}
""")
    kafka, web = weir.address("kafka"), weir.address("web")
    options = ["-X", "security.protocol=ssl", "-X", f"ssl.ca.location={certificate}"]
    assert kcat_brokers(kafka, *options) == [kafka]
    assert kcat_round(kafka, *options) == "hello\n"
    assert succeed("curl", "-sf", "--cacert", certificate, f"https://{web}/readyz") == "ready\n"
    assert run("curl", "-sf", f"https://{web}/readyz").returncode == 60  # not trusted
    assert run("curl", "-sf", f"http://{web}/readyz").returncode != 0  # not plain


def test_client_certificates(configured, tmp_path):
    certificate, key = make_certificate(tmp_path / "tls", "server")
    alice, alice_key = make_certificate(tmp_path / "tls", "alice", "alice")
    mallory, mallory_key = make_certificate(tmp_path / "tls", "mallory", "mallory")
    weir = configured(f"""
listeners:
  - name: web
    protocol: http
    bind: "127.0.0.1:0"
    tls: {{certificate: {certificate}, key: {key}, clientCa: {alice}, clientRequired: true}}
  - {{name: kafka, protocol: kafka, bind: "127.0.0.1:0"}}
""")
    call = ["curl", "-sf", "--cacert", certificate, f"https://{weir.address('web')}/readyz"]
    assert succeed(*call, "--cert", alice, "--key", alice_key) == "ready\n"
    assert run(*call).returncode != 0
    assert run(*call, "--cert", mallory, "--key", mallory_key).returncode != 0


def served_certificate(address):
    host, port = address.rsplit(":", 1)
    text = subprocess.run(["openssl", "s_client", "-connect", f"{host}:{port}"], input="",
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=CALL_S)
    return text.stdout.split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0].strip()


def own_certificate(path):
    return path.read_text().split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0].strip()


def test_hang_up_takes_new_certificates(configured, tmp_path):
    certificate, key = make_certificate(tmp_path / "tls", "server")
    first = own_certificate(certificate)
    weir = configured(f"""
listeners:
  - {{name: web, protocol: http, bind: "127.0.0.1:0",
      tls: {{certificate: {certificate}, key: {key}}}}}
  - {{name: kafka, protocol: kafka, bind: "127.0.0.1:0"}}
""")
    where = weir.address("web")
    assert served_certificate(where) == first
    make_certificate(tmp_path / "tls", "server")
    assert served_certificate(where) == first
    weir.hang_up()
    weir.await_log("serve.tls_loaded")
    assert served_certificate(where) == own_certificate(certificate) != first
    key.write_text("no key")
    weir.hang_up()
    weir.await_log("serve.tls_kept")
    assert served_certificate(where) == own_certificate(certificate)


def test_hang_up_takes_what_is_live_and_names_what_is_not(configured):
    config = "kafka: 127.0.0.1:0\nlog-level: {}\nthreads: {}\npartitions: {}\n"
    weir = configured(config.format("info", 1, 1))
    weir.config.write_text(config.format("info", 2, 3))
    weir.hang_up()
    log = weir.log.read_text()
    assert "serve.option_changed option=partitions" in log
    assert "serve.restart_needed option=threads" in log
    assert "option=log-level" not in log
    kcat_round(weir.address("kafka"))
    topics = json.loads(succeed("kcat", "-b", weir.address("kafka"), "-L", "-J", "-t", "t"))
    assert len(topics["topics"][0]["partitions"]) == 3


def test_hang_up_with_a_file_that_is_wrong_changes_nothing(configured):
    weir = configured("kafka: 127.0.0.1:0\npartitions: 2\n")
    weir.config.write_text("kafka: 127.0.0.1:0\nprtitions: 5\n")
    weir.hang_up()
    assert "weir.yaml:2: prtitions: there is no such option; did you mean partitions?" in \
        weir.log.read_text()
    kcat_round(weir.address("kafka"))
    topics = json.loads(succeed("kcat", "-b", weir.address("kafka"), "-L", "-J", "-t", "t"))
    assert len(topics["topics"][0]["partitions"]) == 2


def start_fails(tmp_path, *options, **environment):
    done = subprocess.run([str(broker.weir_binary()), "serve", "--data", str(tmp_path / "data"),
                           *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, **environment}, cwd=tmp_path, timeout=CALL_S)
    assert done.returncode != 0
    return done.stdout


def test_what_is_wrong_is_named(tmp_path):
    config = tmp_path / "weir.yaml"
    config.write_text("listeners:\n  - name: a\n    protocol: kafak\n")
    assert "weir.yaml:3: listeners[0].protocol: has no choice \"kafak\"; did you mean kafka?" in \
        start_fails(tmp_path, "--config", "weir.yaml")
    config.write_text("log-levle: info\n")
    assert "weir.yaml:1: log-levle: there is no such option; did you mean log-level?" in \
        start_fails(tmp_path, WEIR_CONFIG="weir.yaml")
    config.write_text("listeners: [{name: a, protocol: http, bind: '0.0.0.0:0', "
                      "authentication: optional}]\n")
    assert "--allow-anonymous" in start_fails(tmp_path, "--config", "weir.yaml")
    config.write_text("listeners: [{name: a, protocol: http, bind: '127.0.0.1:0', "
                      "tls: {certificate: nowhere.crt, key: nowhere.key}}]\n")
    assert "listener a: nowhere.crt: there is no such file" in \
        start_fails(tmp_path, "--config", "weir.yaml")
