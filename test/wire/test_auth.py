"""Who may come in: SASL and client certificates, by unmodified clients, with TLS and without."""

import re
import socket
import ssl
import struct

import pytest

import clients
from test_listeners import Configured, make_certificate

pytestmark = [pytest.mark.managed, pytest.mark.weir_only]

PASSWORD = "correct horse 7 battery"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
ADMINS = ("confluent-kafka", "java")

LISTENERS = """
listeners:
  - {{name: open, protocol: kafka, bind: "127.0.0.1:0"}}
  - {{name: sasl, protocol: kafka, bind: "127.0.0.1:0", authentication: required}}
  - name: sasl-tls
    protocol: kafka
    bind: 127.0.0.1:0
    authentication: required
    tls: {{certificate: "{certificate}", key: "{key}"}}
  - name: mutual
    protocol: kafka
    bind: 127.0.0.1:0
    authentication: required
    tls: {{certificate: "{certificate}", key: "{key}", clientCa: "{ca}"}}
"""


class Guarded(Configured):
    """A weir with an open listener, and three that ask who comes."""

    def __init__(self, folder):
        self.ca, key = make_certificate(folder / "tls", "server")
        self.client, self.client_key = make_certificate(folder / "tls", "client", "robot")
        super().__init__(folder, LISTENERS.format(certificate=self.ca, key=key, ca=self.client))

    def address(self, name):
        """Of its last start: each finds ports of its own."""
        text = self.log.read_text()
        return re.findall(rf" serve.listening name={name} .*? address=(\S+)", text)[-1]

    def run(self, which, listener, verb, login=None, **args):
        client = clients.Client(which, self.address(listener))
        environment = clients.login(**login) if login else {}
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in environment.items():
                patch.setenv(variable, value)
            return client.run(verb, **args)

    def put_password(self, user, password, mechanism, by="confluent-kafka"):
        self.run(by, "open", "put-password", user=user, mechanism=mechanism, iterations=4096,
                 password=password)

    def passwords(self, by="confluent-kafka"):
        return self.run(by, "open", "list-passwords")[0]["users"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    weir = Guarded(tmp_path_factory.mktemp("guarded")).start()
    for mechanism in MECHANISMS[1:]:
        weir.put_password("alice", PASSWORD, mechanism)
    yield weir
    weir.stop()


def sasl(mechanism, password=PASSWORD, user="alice", **more):
    protocol = "SASL_SSL" if "ca" in more else "SASL_PLAINTEXT"
    return {"protocol": protocol, "mechanism": mechanism, "user": user, "password": password,
            **more}


def there_and_back(weir, name, listener, login, topic):
    weir.run(name, listener, "produce", login, topic=topic, name="r", start=0, count=3,
             codec="none", partition=0)
    return weir.run(name, listener, "consume", login, topic=topic, partition=0, offset=0, count=3)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("name", clients.NAMES)
def test_clients_log_in(guarded, name, mechanism):
    records = there_and_back(guarded, name, "sasl", sasl(mechanism), f"in-{name}-{mechanism}")
    assert [one["value"] for one in records] == [clients.value_of("r", n) for n in range(3)]


@pytest.mark.parametrize("name", clients.NAMES)
def test_clients_log_in_over_tls(guarded, name):
    login = sasl("SCRAM-SHA-512", ca=guarded.ca)
    records = there_and_back(guarded, name, "sasl-tls", login, f"tls-{name}")
    assert [one["value"] for one in records] == [clients.value_of("r", n) for n in range(3)]


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("name", ("kcat", "kafka-python-2.0.2", "kafka-python-2.2.15"))
def test_wrong_passwords_do_not(guarded, name, mechanism):
    seen = guarded.log.read_text().count("sasl.failed")
    with pytest.raises(clients.Failed):
        guarded.run(name, "sasl", "list-topics", sasl(mechanism, "wrong"))
    assert guarded.log.read_text().count("sasl.failed") > seen


def test_java_says_what_was_wrong(guarded):
    with pytest.raises(clients.Failed, match="SaslAuthenticationException.*invalid credentials"):
        guarded.run("java", "sasl", "list-topics", sasl("SCRAM-SHA-256", "wrong"))


@pytest.mark.parametrize("name", ("confluent-kafka", "java", "kafka-python-2.2.15"))
def test_certificates_log_in(guarded, name):
    login = {"protocol": "SSL", "ca": guarded.ca, "certificate": guarded.client,
             "key": guarded.client_key}
    records = there_and_back(guarded, name, "mutual", login, f"mutual-{name}")
    assert len(records) == 3


def is_cut_off(address):
    """A Metadata request without a login gets nothing of an answer."""
    with socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1])), 10) as peer:
        metadata = struct.pack(">hhihi", 3, 1, 7, 0, -1)
        peer.sendall(struct.pack(">i", len(metadata)) + metadata)
        return peer.recv(100) == b""


def test_a_listener_that_asks_serves_nobody_else(guarded):
    assert is_cut_off(guarded.address("sasl"))
    assert not is_cut_off(guarded.address("open"))
    with pytest.raises(ssl.SSLError):
        context = ssl.create_default_context(cafile=guarded.client)
        host, port = guarded.address("sasl-tls").rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=10) as raw:
            context.wrap_socket(raw, server_hostname="localhost")


@pytest.mark.parametrize("bind", ("0.0.0.0:0", ":0"))
def test_beyond_this_machine_a_login_is_asked_for(tmp_path, bind):
    weir = Configured(tmp_path, f"kafka: '{bind}'\n").start()
    assert is_cut_off(weir.address("kafka"))
    weir.stop()
    weir.config.write_text(f"kafka: '{bind}'\nallow-anonymous: true\n")
    weir.log.unlink()
    weir.start()
    assert not is_cut_off(weir.address("kafka"))
    weir.stop()


@pytest.mark.parametrize("by", ADMINS)
def test_passwords_are_managed(guarded, by):
    user = f"managed-{by}"
    guarded.run(by, "open", "put-password", user=user, mechanism="SCRAM-SHA-256", iterations=8192,
                password="first")
    guarded.put_password(user, "second", "SCRAM-SHA-512", by)
    assert guarded.passwords(by)[user] == {"SCRAM-SHA-256": 8192, "SCRAM-SHA-512": 4096}
    for mechanism, password in (("SCRAM-SHA-256", "first"), ("SCRAM-SHA-512", "second"),
                                ("PLAIN", "first"), ("PLAIN", "second")):
        guarded.run("confluent-kafka", "sasl", "list-topics", sasl(mechanism, password, user))
    guarded.run(by, "open", "drop-password", user=user, mechanism="SCRAM-SHA-256")
    assert guarded.passwords(by)[user] == {"SCRAM-SHA-512": 4096}
    guarded.run(by, "open", "drop-password", user=user, mechanism="SCRAM-SHA-512")
    assert user not in guarded.passwords(by)
    with pytest.raises(clients.Failed):
        guarded.run(by, "open", "drop-password", user=user, mechanism="SCRAM-SHA-512")
    with pytest.raises(clients.Failed):
        guarded.run(by, "open", "put-password", user=user, mechanism="SCRAM-SHA-256",
                    iterations=1000, password="x")


def test_large_answers_leave_over_tls(guarded):
    """More than a record of TLS and than what is encrypted ahead."""
    login = sasl("PLAIN", ca=guarded.ca)
    guarded.run("confluent-kafka", "sasl-tls", "produce", login, topic="large", name="l", start=0,
                count=40000, codec="none", partition=0)
    records = guarded.run("confluent-kafka", "sasl-tls", "consume", login, topic="large",
                          partition=0, offset=0, count=40000)
    assert [one["value"] for one in records] == [clients.value_of("l", n) for n in range(40000)]


def test_users_outlive_a_restart_and_secrets_stay_secret(tmp_path):
    weir = Guarded(tmp_path).start()
    weir.put_password("bob", PASSWORD, "SCRAM-SHA-256")
    weir.stop()
    weir.start()
    for mechanism in ("PLAIN", "SCRAM-SHA-256"):
        weir.run("confluent-kafka", "sasl", "list-topics", sasl(mechanism, user="bob"))
    with pytest.raises(clients.Failed):
        weir.run("kcat", "sasl", "list-topics", sasl("PLAIN", "wrong-" + PASSWORD, "bob"))
    weir.stop()
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "weir.log" for path in written) and len(written) > 5
    for path in written:
        assert PASSWORD.encode() not in path.read_bytes(), path
    log = weir.log.read_text()
    assert re.search(r'sasl.failed peer=127.0.0.1:\d+ mechanism=PLAIN user="bob"', log), log
    assert 'access.change what=user name="bob" change=created by="User:ANONYMOUS"' in log
