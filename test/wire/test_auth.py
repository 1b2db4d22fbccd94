"""Who may come in: SASL and client certificates, by unmodified clients, with TLS and without."""

import json
import os
import re
import socket
import ssl
import struct
import subprocess
import time

import pytest

import broker
import clients
from rawkafka import Conn
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


def test_a_crowd_logs_in_at_once(guarded):
    """More passwords than are checked at a time; who leaves meanwhile is no trouble."""
    host, port = guarded.address("sasl").rsplit(":", 1)
    crowd = [Conn(host, int(port)) for _ in range(60)]
    for conn in crowd:
        assert conn.call("SaslHandshake", 1, mechanism="PLAIN")["error"] == 0
    for n, conn in enumerate(crowd):
        password = "wrong" if n % 10 == 0 else PASSWORD
        conn.send("SaslAuthenticate", 1, token=f"\0alice\0{password}".encode())
    for conn in crowd[40:]:
        conn.sock.close()
    for n, conn in enumerate(crowd[:40]):
        error = conn.recv("SaslAuthenticate", 1)[1]["error"]
        assert error == (58 if n % 10 == 0 else 0)
        conn.sock.close()


@pytest.mark.parametrize("name", ("java", "confluent-kafka"))
def test_clients_log_in_again_before_their_session_ends(tmp_path, name):
    """A group member goes on through several sessions of two seconds; none runs out (KIP-368)."""
    weir = Guarded(tmp_path)
    weir.config.write_text("sasl-session: 2s\ngroup-delay: 0s\n" + weir.config.read_text())
    weir.start()
    weir.put_password("alice", PASSWORD, "SCRAM-SHA-256")
    weir.run("confluent-kafka", "open", "create-topic", topic="t", partitions=1)
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in clients.login(**sasl("SCRAM-SHA-256")).items():
            patch.setenv(variable, value)
        member = clients.Client(name, weir.address("sasl")).start("group", group="g", topics="t")
    member.wait(lambda all: any(event["event"] == "assigned" and event["partitions"]
                                for event in all.events))
    until, sent = time.monotonic() + 7, 0
    while time.monotonic() < until:
        weir.run("confluent-kafka", "open", "produce", topic="t", name="s", start=sent, count=1,
                 codec="none", partition=0)
        sent += 1
        member.wait(lambda all: sum(event["event"] == "record" for event in all.events) >= sent)
    member.finish()
    weir.stop()
    assert "the session has run out" not in weir.log.read_text()
    assert sent > 3


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


# ---- what is declared ------------------------------------------------------------------------

RESOURCES = """
apiVersion: weir/v1alpha1
kind: Topic
metadata: {{name: orders}}
---
apiVersion: weir/v1alpha1
kind: Topic
metadata: {{name: keyed}}
spec: {{keys: {{primary: {key}, secondary: second-key-of-the-topic}}}}
---
apiVersion: weir/v1alpha1
kind: Topic
metadata: {{name: hidden}}
---
apiVersion: weir/v1alpha1
kind: User
metadata: {{name: root}}
spec: {{password: {password}}}
---
apiVersion: weir/v1alpha1
kind: User
metadata: {{name: sender}}
spec: {{password: {password}}}
---
apiVersion: weir/v1alpha1
kind: User
metadata: {{name: receiver}}
spec: {{password: {password}}}
---
apiVersion: weir/v1alpha1
kind: AccessGrant
metadata: {{name: sends}}
spec: {{principal: User:sender, roles: [Sender], topic: ord*}}
---
apiVersion: weir/v1alpha1
kind: AccessGrant
metadata: {{name: receives}}
spec: {{principal: User:receiver, roles: [Receiver], topic: orders}}
---
apiVersion: weir/v1alpha1
kind: AccessGrant
metadata: {{name: everything-else}}
spec: {{principal: User:root, roles: [Owner], topic: "*"}}
---
apiVersion: weir/v1alpha1
kind: AccessGrant
metadata: {{name: groups}}
spec: {{principal: User:root, roles: [Owner], group: "g*"}}
---
apiVersion: weir/v1alpha1
kind: AccessGrant
metadata: {{name: the-cluster}}
spec: {{principal: User:root, roles: [Owner], cluster: {{}}}}
"""
KEY = "c2VjcmV0LWtleS1vZi1hLXRvcGlj"


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """Everything is granted to somebody."""
    weir = Guarded(tmp_path_factory.mktemp("closed")).start()
    weir.declared = weir.folder / "resources.yaml"
    weir.declared.write_text(RESOURCES.format(password=PASSWORD, key=KEY))
    command(weir, "apply", "-f", weir.declared)
    yield weir
    weir.stop()


def command(weir, *words, user=None):
    done = subprocess.run(
        [str(word) for word in (broker.weir_binary(), *words, "--server", weir.http)],
        env={**os.environ, **({"WEIR_USER": f"{user}:{PASSWORD}"} if user else {})},
        capture_output=True, text=True, timeout=30)
    done.check_returncode()
    return done.stdout


def http(weir, path, *words):
    """-> the status that curl got"""
    done = subprocess.run(
        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *words, weir.http + path],
        capture_output=True, text=True, timeout=30)
    return int(done.stdout)


def as_user(name, mechanism="SCRAM-SHA-256"):
    return sasl(mechanism, user=name)


def test_declarations_are_idempotent(closed):
    said = command(closed, "apply", "-f", closed.declared, user="root")
    assert said.count("unchanged") == 11, said


@pytest.mark.parametrize("name", ("kcat", "kafka-python-2.2.15", "confluent-kafka", "java"))
def test_roles_decide_for_kafka_clients(closed, name):
    def run(verb, user, **args):
        more = {"name": "r", "codec": "none", "start": 0} if verb == "produce" else {"offset": 0}
        return closed.run(name, "sasl", verb, as_user(user), topic="orders", partition=0, count=1,
                          **more, **args)

    assert len(run("produce", "sender")) == 1
    assert len(run("consume", "receiver")) == 1
    with pytest.raises(clients.Failed):
        run("produce", "receiver")
    listed = closed.run(name, "sasl", "list-topics", as_user("receiver"))
    assert listed[0]["topics"] == ["orders"]
    assert {"orders", "hidden", "keyed"} <= set(
        closed.run(name, "sasl", "list-topics", as_user("root"))[0]["topics"])
    assert closed.run(name, "open", "list-topics")[0]["topics"] == []


def test_refusals_have_kafkas_names(closed):
    """And they come from every kind of request."""
    refused = (
        ("create-topic", {"topic": "new", "partitions": 1}, "TopicAuthorization"),
        ("delete-topic", {"topic": "orders"}, "TopicAuthorization"),
        ("delete-records", {"topic": "orders", "partition": 0, "offset": 0}, "TopicAuthorization"),
        ("create-partitions", {"topic": "orders", "count": 3}, "TopicAuthorization"),
        ("describe-config", {"topic": "hidden", "setting": "x"}, "TopicAuthorization"),
        ("group-offsets", {"group": "g"}, "GroupAuthorization"),
        ("delete-group", {"group": "g"}, "GroupAuthorization"),
        ("list-passwords", {}, "ClusterAuthorization"),
    )
    for verb, args, error in refused:
        with pytest.raises(clients.Failed, match=error):
            closed.run("java", "sasl", verb, as_user("receiver"), **args)


def test_deliveries_go_on_in_a_closed_weir(closed):
    """What a subscription does was allowed when it was declared; nobody else may declare it."""
    declared = closed.folder / "subscription.yaml"
    declared.write_text("apiVersion: weir/v1alpha1\nkind: Subscription\nmetadata: {name: copies}\n"
                        "spec: {topic: orders, start: latest, deliver: {topic: hidden}}\n")
    with pytest.raises(subprocess.CalledProcessError):
        command(closed, "apply", "-f", declared, user="receiver")
    command(closed, "apply", "-f", declared, user="root")
    closed.run("confluent-kafka", "sasl", "produce", as_user("sender"), topic="orders",
               partition=0, count=1, name="copied", codec="none", start=0)
    records = closed.run("confluent-kafka", "sasl", "consume", as_user("root"), topic="hidden",
                         partition=0, count=1, offset=0)
    assert records[0]["value"] == clients.value_of("copied", 0)


def test_keys_open_one_topic_over_http(closed):
    body = ("-H", "content-type: application/json", "-d", "{}")
    key = ("-H", f"aeg-sas-key: {KEY}")
    assert http(closed, "/topics/keyed", *body) == 403
    assert http(closed, "/topics/keyed", "-H", "aeg-sas-key: wrong-key", *body) == 401
    assert http(closed, "/topics/keyed", *key, *body) < 300
    assert http(closed, "/topics/keyed", "-H",
                "authorization: SharedAccessKey second-key-of-the-topic", *body) < 300
    assert http(closed, "/topics/orders", *key, *body) in (401, 403)
    assert http(closed, "/topics/keyed", "-u", f"root:{PASSWORD}", *body) < 300
    assert http(closed, "/topics/keyed", "-u", "root:wrong", *body) == 401
    assert http(closed, "/topics/keyed", "-u", f"receiver:{PASSWORD}", *body) == 403
    assert http(closed, "/api/v1/users/root", "-X", "DELETE") == 403


def test_event_grids_control_plane_shows_what_the_caller_may_see(closed):
    group = "/subscriptions/s/resourceGroups/topics/providers/Microsoft.EventGrid/topics"
    hook = f"{group}/hidden/providers/Microsoft.EventGrid/eventSubscriptions/hook"
    made = {"properties": {"destination": {
        "endpointType": "WebHook", "properties": {"endpointUrl": "https://127.0.0.1:1/h?code=x"}}}}
    root, receiver = (("-u", f"{name}:{PASSWORD}") for name in ("root", "receiver"))
    assert http(closed, hook, *root, "-X", "PUT", "-H", "content-type: application/json",
                "-d", json.dumps(made)) == 201
    for path in (f"{group}/hidden", hook, f"{hook}/getDeliveryAttributes", f"{hook}/getFullUrl"):
        method = ("-X", "POST") if "/get" in path else ()
        assert http(closed, path, *root, *method) == 200, path
        assert http(closed, path, *receiver, *method) == 404, path
        assert http(closed, path, *method) == 404, path
    seen = subprocess.run(["curl", "-s", *receiver, closed.http + group],
                          capture_output=True, text=True, timeout=30)
    assert [topic["name"] for topic in json.loads(seen.stdout)["value"]] == ["orders"]


def test_dead_letters_are_listed_for_those_who_may_read_them(closed):
    """Of topics that the caller may not see, not even the name."""
    for topic in "orders", "hidden":
        text = ("apiVersion: weir/v1alpha1\nkind: Subscription\n"
                f"metadata: {{name: letters-of-{topic}}}\n"
                f"spec: {{topic: {topic}, deadLetter: {topic}.dead}}\n")
        declared = closed.folder / f"{topic}.yaml"
        declared.write_text(text)
        command(closed, "apply", "-f", declared, user="root")

    def listed(*words):
        done = subprocess.run(["curl", "-s", *words, closed.http + "/api/v1/deadletters"],
                              capture_output=True, text=True, timeout=30)
        return done.stdout

    root, receiver, sender = (("-u", f"{name}:{PASSWORD}") for name in
                              ("root", "receiver", "sender"))
    assert "orders.dead" in listed(*root) and "hidden.dead" in listed(*root)
    for words in receiver, sender, ():
        assert "hidden" not in listed(*words), words
    for verb in "peek", "redrive":
        assert http(closed, f"/api/v1/deadletters/hidden:{verb}", *root, "-X", "POST") == 200
        assert http(closed, f"/api/v1/deadletters/hidden:{verb}", *receiver, "-X", "POST") \
            in (403, 404)


def test_secrets_are_in_no_log_and_no_listing(closed):
    """Runs last in this file: what the tests before did is in the log."""
    listings = [command(closed, "get", kind, "-o", "yaml", user="root")
                for kind in ("topics", "users", "accessgrants")]
    assert "User:sender" in listings[2]
    log = closed.log.read_text()
    assert "access.denied principal=User:receiver" in log
    for text in (log, *listings):
        for secret in (PASSWORD, KEY, "second-key-of-the-topic"):
            assert secret not in text
