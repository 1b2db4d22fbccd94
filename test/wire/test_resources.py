"""Resources: declared by documents, by `weir apply` and its like and by curl over /api/v1."""

import base64
import hashlib
import hmac
import json
import pathlib
import subprocess
import time

import pytest

import broker
from rawkafka import Raw

pytestmark = [pytest.mark.managed, pytest.mark.weir_only]
CALL_S = 30

TOPIC = """apiVersion: weir/v1alpha1
kind: Topic
metadata: {{name: {name}}}
spec:
  partitions: {partitions}
  retention: {{time: {time}, size: 10GiB}}
  flush: 10ms
  config:
    max.message.bytes: 2097152
"""
SUBSCRIPTION = """apiVersion: weir/v1alpha1
kind: Subscription
metadata: {{name: {name}, labels: {{team: risk}}}}
spec: {{topic: {topic}, retry: {{attempts: {attempts}, first: PT2S}}}}
"""


@pytest.fixture(scope="module")
def weir(tmp_path_factory):
    own = broker.Weir(tmp_path_factory.mktemp("resources"), threads=broker.SEVERAL).start()
    yield own
    own.end()


@pytest.fixture
def command(weir, tmp_path):
    """Runs a command of weir's in a folder of the test's own."""
    def run(*args, stdin="", status=0):
        done = subprocess.run([str(broker.weir_binary()), *args, "--server", weir.http],
                              input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=CALL_S, cwd=tmp_path)
        assert done.returncode == status, f"{args}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout if status == 0 else done.stdout + done.stderr
    return run


@pytest.fixture
def curl(weir):
    """-> (status, body); JSON bodies as values."""
    def call(method, path, body=None, kind="application/yaml", accept="application/json"):
        args = ["curl", "-s", "-X", method, "-w", "\n%{http_code}", "-H", f"Accept: {accept}"]
        if body is not None:
            args += ["-H", f"Content-Type: {kind}", "--data-binary", "@-"]
        done = subprocess.run([*args, weir.http + path], input=body or "", stdout=subprocess.PIPE,
                              text=True, timeout=CALL_S, check=True)
        text, status = done.stdout.rsplit("\n", 1)
        is_json = text.startswith(("{", "["))
        return int(status), json.loads(text) if is_json else text
    return call


def write(folder, name, text):
    (folder / name).write_text(text)
    return name


# ---- commands


def test_apply_makes_changes_and_leaves_alone(command, tmp_path, unique):
    name = unique()
    write(tmp_path, "r.yaml", SUBSCRIPTION.format(name="s", topic=name, attempts=5) + "---\n" +
          TOPIC.format(name=name, partitions=2, time="3d"))
    created = f"subscription/{name}/s created\ntopic/{name} created\n"
    assert command("apply", "-f", "r.yaml", "--dry-run") == \
        created.replace("created", "created (dry run)")
    assert name not in command("get", "topics", "-o", "name").split()
    assert command("apply", "-f", "r.yaml") == created  # the topic first, though it stands behind
    assert command("apply", "-f", "r.yaml") == created.replace("created", "unchanged")
    write(tmp_path, "r.yaml", SUBSCRIPTION.format(name="s", topic=name, attempts=5) + "---\n" +
          TOPIC.format(name=name, partitions=4, time="PT2H"))
    assert command("diff", "-f", "r.yaml", status=1) == \
        f"topic/{name} configured\n  partitions: 2 -> 4\n  retention.time: \"3d\" -> \"2h\"\n"
    assert command("apply", "-f", "r.yaml") == \
        f"subscription/{name}/s unchanged\ntopic/{name} configured\n"
    assert command("diff", "-f", "r.yaml") == ""


def test_what_was_got_is_applied_unchanged(command, unique):
    name = unique()
    command("apply", "-f", "-", stdin=TOPIC.format(name=name, partitions=1, time="3d"))
    command("apply", "-f", "-", stdin=SUBSCRIPTION.format(name="s", topic=name, attempts=3))
    for kind, full in (("topic", name), ("subscription", f"{name}/s")):
        document = command("get", kind, full, "-o", "yaml")
        assert command("diff", "-f", "-", stdin=document) == ""
        assert command("apply", "-f", "-", stdin=document) == f"{kind}/{full} unchanged\n"


def test_folders_and_several_files(command, tmp_path, unique):
    one, two, three = unique(), unique(), unique()
    folder = tmp_path / "all"
    folder.mkdir()
    write(folder, "b.yaml", TOPIC.format(name=one, partitions=1, time="1d"))
    write(folder, "a.json", json.dumps({
        "apiVersion": "weir/v1alpha1", "kind": "Topic", "metadata": {"name": two}}))
    write(folder, "notes.txt", "no document")
    write(tmp_path, "c.yml", TOPIC.format(name=three, partitions=1, time="1d"))
    assert command("apply", "-f", "all", "-f", "c.yml").splitlines() == [
        f"topic/{name} created" for name in (two, one, three)]
    assert command("delete", "-f", "all").splitlines() == [
        f"topic/{name} deleted" for name in (two, one)]
    assert three in command("get", "topics", "-o", "name").split()


def test_what_is_wrong_is_named_and_nothing_is_done(command, tmp_path, unique):
    good, bad = unique("good"), unique("bad")
    write(tmp_path, "good.yaml", TOPIC.format(name=good, partitions=1, time="1d"))
    write(tmp_path, "bad.yaml", TOPIC.format(name=bad, partitions=1, time="1d")
          .replace("partitions", "partition") + "---\n" +
          TOPIC.format(name=bad, partitions=1, time="soon") + "---\n" +
          SUBSCRIPTION.format(name="s", topic=good, attempts=0))
    said = command("apply", "-f", "good.yaml", "-f", "bad.yaml", status=1).splitlines()
    assert said == [
        "bad.yaml:5: spec.partition: there is no such field; did you mean partitions?",
        "bad.yaml:16: spec.retention.time: must be a duration such as 30s or PT30S from 0ms to "
        "36500d, or none; it is \"soon\"",
        "bad.yaml:24: spec.retry.attempts: must be a whole number from 1 to 1000000; it is \"0\""]
    assert good not in command("get", "topics", "-o", "name").split()
    write(tmp_path, "bad.yaml", "kind: Topic\n  x: [\n")
    assert command("apply", "-f", "bad.yaml", status=1).startswith("bad.yaml:2: is not YAML")
    assert command("apply", "-f", "nowhere.yaml", status=1) == \
        "nowhere.yaml: there is no such file\n"
    write(tmp_path, "bad.yaml", "apiVersion: weir/v1alpha1\nkind: Topci\nmetadata: {name: x}\n")
    assert command("apply", "-f", "bad.yaml", status=1) == \
        "bad.yaml:2: kind: there is no kind \"Topci\"; did you mean Topic?\n"


def test_a_document_that_fails_does_not_stop_the_others(command, tmp_path, unique):
    has, other = unique("has"), unique("other")
    command("apply", "-f", "-", stdin=TOPIC.format(name=has, partitions=3, time="1d"))
    write(tmp_path, "r.yaml", TOPIC.format(name=has, partitions=2, time="2d") + "---\n" +
          TOPIC.format(name=other, partitions=2, time="2d"))
    said = command("apply", "-f", "r.yaml", status=1)
    assert f"topic/{other} created" in said
    assert "r.yaml:5: spec.partitions: topic " in said
    document = command("get", "topic", has, "-o", "yaml")
    assert "time: 1d" in document and "partitions: 3" in document  # whole or not at all


def test_get_prints_tables(command, unique):
    name = unique()
    command("apply", "-f", "-", stdin=TOPIC.format(name=name, partitions=2, time="3d"))
    lines = command("get", "topics").splitlines()
    assert lines[0].split() == ["NAME", "PARTITIONS", "RETENTION", "SIZE", "FLUSH", "QUEUE",
                                "CREATED"]
    row = next(line for line in lines if line.startswith(name + " "))
    assert row.split()[1:6] == ["2", "3d", "10GiB", "10ms", "no"]
    assert json.loads(command("get", "topic", name, "-o", "json"))["metadata"]["name"] == name
    assert "did you mean topics?" in command("get", "topcs", status=2)
    assert "there is no Topic nowhere" in command("get", "topic", "nowhere", status=1)


def test_a_server_that_is_not_there(tmp_path):
    done = subprocess.run([str(broker.weir_binary()), "get", "topics", "--server",
                           f"http://127.0.0.1:{broker.free_port()}"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=CALL_S, cwd=tmp_path)
    assert done.returncode == 1 and "is weir running?" in done.stdout


# ---- HTTP


def test_put_get_delete(curl, unique):
    name = unique()
    document = TOPIC.format(name=name, partitions=1, time="1d")
    assert curl("PUT", f"/api/v1/topics/{name}", document)[0] == 201
    longer = TOPIC.format(name=name, partitions=1, time="2d")
    status, got = curl("PUT", f"/api/v1/topics/{name}", longer)
    assert (status, got["spec"]["retention"]["time"]) == (200, "2d")
    assert curl("PUT", f"/api/v1/topics/{name}x", document)[0] == 400
    assert curl("PUT", f"/api/v1/subscriptions/{name}/s", document)[0] == 400
    status, got = curl("GET", f"/api/v1/topics/{name}")
    assert status == 200 and got["spec"]["config"] == {"max.message.bytes": "2097152"}
    assert curl("GET", f"/api/v1/topics/{name}", accept="application/yaml")[1].startswith("---\n")
    assert curl("DELETE", f"/api/v1/topics/{name}")[0] == 204
    assert curl("DELETE", f"/api/v1/topics/{name}")[0] == 404
    assert curl("GET", f"/api/v1/topics/{name}")[0] == 404


def test_pages(curl, unique):
    names = sorted(unique() for _ in range(5))
    for name in names:
        assert curl("PUT", f"/api/v1/topics/{name}",
                    TOPIC.format(name=name, partitions=1, time="1d"))[0] == 201
    found, after = [], names[0][:-1]
    while after:
        status, page = curl("GET", f"/api/v1/topics?limit=2&after={after}")
        assert status == 200 and len(page["items"]) <= 2
        found += [one["metadata"]["name"] for one in page["items"]]
        after = page["next"]
    assert [name for name in found if name in names] == names
    assert curl("GET", "/api/v1/topics?limit=0")[0] == 400
    assert curl("GET", "/api/v1/topics?limt=1")[0] == 400
    assert curl("GET", "/api/v1/topic")[0] == 404


def test_errors_are_told_as_problems(curl, unique):
    name = unique()
    status, problem = curl("POST", "/api/v1/apply?file=x.yaml",
                           TOPIC.format(name=name, partitions=0, time="1d"))
    assert (status, problem["errors"][0]["file"], problem["errors"][0]["line"],
            problem["errors"][0]["field"]) == (400, "x.yaml", 5, "spec.partitions")
    assert problem["detail"].startswith("x.yaml:5: spec.partitions: must be")
    assert curl("POST", "/api/v1/apply", "{", kind="application/json")[0] == 400
    assert curl("POST", "/api/v1/apply", "x", kind="image/png")[0] == 415
    assert curl("POST", "/api/v1/apply?dryRun=maybe", "")[0] == 400
    status, problem = curl("POST", "/api/v1/apply", "a: &a [x, x]\nb: [*a, *a]\n")
    assert status == 400 and "anchors and aliases" in problem["detail"]
    assert curl("POST", "/api/v1/apply", "")[1] == {"dryRun": False, "results": []}


def test_settings_are_those_that_kafka_clients_see(weir, curl, unique):
    name = unique()
    curl("PUT", f"/api/v1/topics/{name}", TOPIC.format(name=name, partitions=3, time="3d"))
    raw = Raw(weir.host, weir.port)
    try:
        found = raw.call("DescribeConfigs", 4, resources=[{"type": 2, "name": name}])
        settings = {one["name"]: one["value"] for one in found["results"][0]["configs"]}
        assert settings["retention.ms"] == str(3 * 86400 * 1000)
        assert settings["retention.bytes"] == str(10 << 30)
        assert settings["weir.flush"] == "10ms"
        assert settings["max.message.bytes"] == "2097152"
    finally:
        raw.close()


def test_a_queue_and_its_keys(curl, command, unique):
    name = unique()
    document = f"""apiVersion: weir/v1alpha1
kind: Topic
metadata: {{name: {name}}}
spec: {{queue: {{}}, keys: {{primary: first-key-123, secondary: second-key-456}}}}
"""
    assert curl("PUT", f"/api/v1/topics/{name}", document)[0] == 201
    got = command("get", "topic", name, "-o", "yaml")
    assert "queue: {}" in got and "keys:" not in got and "first-key" not in got
    assert curl("GET", f"/api/v1/subscriptions/{name}/{name}")[1]["status"]["queue"] is True


USER = """apiVersion: weir/v1alpha1
kind: User
metadata: {{name: {name}}}
spec: {spec}
"""
GRANT = """apiVersion: weir/v1alpha1
kind: AccessGrant
metadata: {{name: {name}}}
spec: {{principal: "User:{user}", roles: [{roles}], {on}}}
"""


def sasl_kcat(bootstrap, user, password, *args, stdin=None):
    return subprocess.run(
        ["kcat", "-b", bootstrap, "-X", "security.protocol=sasl_plaintext", "-X",
         "sasl.mechanism=SCRAM-SHA-512", "-X", f"sasl.username={user}", "-X",
         f"sasl.password={password}", "-X", "socket.timeout.ms=5000", *args], input=stdin,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=CALL_S)


def test_users_log_in_with_what_was_declared(weir, command, unique):
    name = unique("user")
    document = USER.format(name=name, spec="{password: first-secret}")
    assert command("apply", "-f", "-", stdin=document) == f"user/{name} created\n"
    assert command("apply", "-f", "-", stdin=document) == f"user/{name} unchanged\n"
    assert sasl_kcat(weir.bootstrap, name, "first-secret", "-L").returncode == 0
    assert sasl_kcat(weir.bootstrap, name, "other-secret", "-L").returncode != 0
    document = document.replace("first", "other")
    assert command("apply", "-f", "-", stdin=document) == f"user/{name} configured\n"
    assert sasl_kcat(weir.bootstrap, name, "first-secret", "-L").returncode != 0
    assert sasl_kcat(weir.bootstrap, name, "other-secret", "-L").returncode == 0
    got = command("get", "user", name, "-o", "yaml")
    assert "SCRAM-SHA-256" in got and "secret" not in got
    assert command("apply", "-f", "-", stdin=got) == f"user/{name} unchanged\n"
    assert sasl_kcat(weir.bootstrap, name, "other-secret", "-L").returncode == 0
    assert command("delete", "user", name) == f"user/{name} deleted\n"
    assert sasl_kcat(weir.bootstrap, name, "other-secret", "-L").returncode != 0


def verifier(password, iterations=4096):
    """As PostgreSQL and Kafka keep a password."""
    salt = b"0123456789abcdef"
    salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)
    client = hmac.digest(salted, b"Client Key", "sha512")
    keys = hashlib.sha512(client).digest(), hmac.digest(salted, b"Server Key", "sha512")
    stored, server = (base64.b64encode(key).decode() for key in keys)
    return f"SCRAM-SHA-512${iterations}:{base64.b64encode(salt).decode()}${stored}:{server}"


def test_users_by_verifiers(weir, command, unique):
    name = unique("user")
    document = USER.format(name=name, spec=f"{{verifiers: ['{verifier('quiet')}']}}")
    assert command("apply", "-f", "-", stdin=document) == f"user/{name} created\n"
    assert sasl_kcat(weir.bootstrap, name, "quiet", "-L").returncode == 0
    assert sasl_kcat(weir.bootstrap, name, "loud", "-L").returncode != 0
    wrong = document.replace("$4096:", "$1:")
    assert "spec.verifiers: must be SCRAM-SHA-256$" in command(
        "apply", "-f", "-", stdin=wrong, status=1)


def test_users_that_are_wrong(command, unique):
    name = unique("user")
    for spec, says in (("{}", "spec.password: is missing"),
                       ("{password: ''}", "spec.password: must not be empty"),
                       ("{pasword: x}", "did you mean password?"),
                       ("{password: 1234}", "spec.password: must be text: put it in quotes")):
        said = command("apply", "-f", "-", stdin=USER.format(name=name, spec=spec), status=1)
        assert says in said and "1234" not in said


def test_grants_close_what_they_are_on(weir, command, unique):
    topic, writer, reader = unique(), unique("writer"), unique("reader")
    documents = "---\n".join([
        TOPIC.format(name=topic, partitions=1, time="1d"),
        USER.format(name=writer, spec="{password: writer-secret}"),
        USER.format(name=reader, spec="{password: reader-secret}"),
        GRANT.format(name=f"{topic}-w", user=writer, roles="Sender", on=f"topic: {topic}"),
        GRANT.format(name=f"{topic}-r", user=reader, roles="Receiver", on=f"topic: {topic}")])
    done = command("apply", "-f", "-", stdin=documents).splitlines()
    assert [line.split()[1] for line in done] == ["created"] * 5
    assert [line.split()[1] for line in command("apply", "-f", "-", stdin=documents).splitlines()
            ] == ["unchanged"] * 5

    def produce(user):
        return sasl_kcat(weir.bootstrap, user, f"{user.split('-')[0]}-secret", "-P", "-t", topic,
                         "-X", "message.timeout.ms=4000", stdin="x\n")

    def consume(user):
        return sasl_kcat(weir.bootstrap, user, f"{user.split('-')[0]}-secret", "-C", "-t", topic,
                         "-o", "beginning", "-e", "-q")

    assert produce(writer).returncode == 0
    assert consume(reader).stdout == "x\n"
    assert "uthoriz" in produce(reader).stdout
    assert "uthoriz" in consume(writer).stdout
    rows = command("get", "accessgrants").splitlines()
    assert rows[0].split() == ["NAME", "PRINCIPAL", "ROLES", "TOPIC", "GROUP", "CLUSTER"]
    row = next(line for line in rows if line.startswith(f"{topic}-r "))
    assert row.split()[1:] == [f"User:{reader}", "Receiver", topic, "-", "no"]
    got = command("get", "accessgrant", f"{topic}-r", "-o", "yaml")
    assert command("apply", "-f", "-", stdin=got) == f"accessgrant/{topic}-r unchanged\n"
    assert command("delete", "-f", "-", stdin=documents).count("deleted") == 5


def test_grants_that_are_wrong(command, unique):
    for on, roles, says in (
            ("topic: a, group: b", "Owner", "spec.topic: is one place too many"),
            ("group: b", "Onwer", "Onwer is none"), ("group: b", "", "one role at least"),
            ("topics: a", "Owner", "did you mean topic?")):
        said = command("apply", "-f", "-", status=1,
                       stdin=GRANT.format(name=unique("g"), user="x", roles=roles, on=on))
        assert says in said


# ---- functions and models

FUNCTION = """apiVersion: weir/v1alpha1
kind: Function
metadata: {{name: {name}, labels: {{team: risk}}}}
spec:
  command: [./enrich, --small]
  env: {{LEVEL: 3}}
  protocol: cloudevents-batch
  batch: {{events: 100}}
  workers: {{max: 4, restart: {{first: 1s}}}}
  limits: {{memory: 256MiB, cpu: 1.5, time: 10s}}
"""
MODEL = """apiVersion: weir/v1alpha1
kind: Model
metadata: {{name: {name}, labels: {{team: risk}}}}
spec:
  features: [data.amount, data.night]
  server: {{url: "http://127.0.0.1:8", model: fraud}}
  fallback: {{score: 0.25}}
"""
ANSWERS = """apiVersion: weir/v1alpha1
kind: Subscription
metadata: {{name: s}}
spec:
  topic: {topic}
  deliver: {{url: "http://127.0.0.1:9/"}}
  reply:
    topic: {topic}.all
    routes: [{{filter: "score > 1", topic: {topic}.high}}]
"""


def test_functions_and_models(command, curl, unique):
    name = unique()
    documents = (ANSWERS.format(topic=name) + "---\n" + MODEL.format(name=name) + "---\n" +
                 FUNCTION.format(name=name) + "---\n" +
                 TOPIC.format(name=name, partitions=1, time="1d"))
    rows = [f"subscription/{name}/s", f"model/{name}", f"function/{name}", f"topic/{name}"]
    assert command("apply", "-f", "-", stdin=documents).splitlines() == [
        f"{row} created" for row in rows]
    assert command("diff", "-f", "-", stdin=documents) == ""
    for kind in "function", "model":
        got = command("get", kind, name, "-o", "yaml")
        assert command("apply", "-f", "-", stdin=got) == f"{kind}/{name} unchanged\n"
    changed = documents.replace("cpu: 1.5", "cpu: 250m").replace("0.25", "-1")
    assert command("diff", "-f", "-", stdin=changed, status=1).splitlines() == [
        f"model/{name} configured", '  fallback.score: "0.25" -> "-1"',
        f"function/{name} configured", '  limits.cpu: "1.5" -> "0.25"']
    assert command("apply", "-f", "-", stdin=changed).count("configured") == 2
    got = curl("GET", f"/api/v1/functions/{name}")[1]
    assert got["spec"]["limits"]["cpu"] == "0.25" and "labels" not in got["spec"]
    assert got["metadata"]["labels"] == {"team": "risk"}
    relabelled = changed.replace("team: risk", "team: fraud")
    assert command("diff", "-f", "-", stdin=relabelled, status=1).count("labels") == 2
    assert command("get", "models").splitlines()[0].split() == [
        "NAME", "SERVER", "FILE", "FEATURES", "CREATED"]
    row = next(line for line in command("get", "functions").splitlines()
               if line.startswith(name + " "))
    assert row.split()[1:] == ["./enrich,--small", "cloudevents-batch", "idle", "0", "0", "4", "0"]
    assert curl("DELETE", f"/api/v1/models/{name}")[0] == 204
    assert curl("GET", f"/api/v1/models/{name}")[0] == 404
    assert command("delete", "function", name) == f"function/{name} deleted\n"
    assert f"there is no Function {name}" in command("delete", "function", name, status=1)


def test_functions_and_models_that_are_wrong(command, tmp_path):
    without = "  command: [./enrich, --small]\n", "  features: [data.amount, data.night]\n"
    documents = "---\n".join([
        FUNCTION.format(name="f").replace(without[0], ""),
        FUNCTION.format(name="f").replace("-batch", ""),
        MODEL.format(name="m").replace(without[1], ""),
        MODEL.format(name="m").replace("127.0.0.1:8", "127.0.0.1:8/v2")])
    write(tmp_path, "r.yaml", documents)
    said = command("apply", "-f", "r.yaml", status=1).splitlines()
    assert [line.split(":", 2)[2].split(":")[0] for line in said] == [
        " spec.command", " spec.batch.events", " spec.features", " spec.server.url"]
    assert said[1].startswith("r.yaml:18: spec.batch.events: must not be set where a call has one")


def test_functions_are_kept_over_a_restart(tmp_path, unique):
    own = broker.Weir(tmp_path, threads=broker.SEVERAL).start()
    try:
        name = unique()

        def run(*args, stdin=""):
            done = subprocess.run([str(broker.weir_binary()), *args, "--server", own.http],
                                  input=stdin, stdout=subprocess.PIPE, text=True, timeout=CALL_S)
            assert done.returncode == 0
            return done.stdout

        run("apply", "-f", "-",
            stdin=FUNCTION.format(name=name) + "---\n" + MODEL.format(name=name))
        before = [run("get", kind, name, "-o", "yaml") for kind in ("function", "model")]
        own.kill()
        own.start()
        assert [run("get", kind, name, "-o", "yaml") for kind in ("function", "model")] == before
    finally:
        own.end()


@pytest.mark.parametrize("options, taken", [
    ([], True), (["--http-host", "weir.example.com"], False),
    (["--http-origin", "http://console.example.com"], False),
    (["--commands", "off"], False),
    (["--http-host", "weir.example.com", "--commands", "on"], True)])
def test_commands_only_where_weir_is_for_its_machine_alone(tmp_path, options, taken):
    own = broker.Weir(tmp_path)
    own.options += options
    own.start()
    try:
        elsewhere = "{apiVersion: weir/v1alpha1, kind: Function, metadata: {name: g}, " \
            "spec: {url: 'http://127.0.0.1:9', workers: {concurrency: 4}}}\n"
        done = subprocess.run(
            [str(broker.weir_binary()), "apply", "-f", "-", "--server", own.http],
            input=FUNCTION.format(name="f") + "---\n" + elsewhere, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=CALL_S)
        assert "function/g created" in done.stdout
        assert ("function/f created" in done.stdout) == taken
        assert ("--commands on" in done.stdout) != taken
    finally:
        own.end()


def test_a_command_that_was_put_before_is_not_run_while_commands_are_off(tmp_path):
    own = broker.Weir(tmp_path).start()
    try:
        document = FUNCTION.format(name="f").replace("./enrich, --small", "touch, ran").replace(
            "max: 4,", "max: 4, min: 1,")
        own.stop()
        for options, ran in (["--commands", "on"], True), (["--commands", "off"], False):
            own.options = options
            own.start()
            if ran:
                subprocess.run([str(broker.weir_binary()), "apply", "-f", "-", "--server",
                                own.http], input=document, text=True, check=True, timeout=CALL_S)
            says = "worker_started" if ran else "commands are off"
            deadline = time.monotonic() + CALL_S
            while says not in own.log.read_text() and time.monotonic() < deadline:
                time.sleep(0.01)
            assert says in own.log.read_text()
            own.kill()
            own.log.write_text("")
    finally:
        own.end()


def test_functions_are_the_clusters_owners(tmp_path):
    own = broker.Weir(tmp_path).start()
    try:
        def run(*args, user=None, stdin=""):
            environment = {"WEIR_USER": user} if user else {}
            done = subprocess.run([str(broker.weir_binary()), *args, "--server", own.http],
                                  input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, timeout=CALL_S, env=environment)
            return done.stdout

        run("apply", "-f", "-", stdin=USER.format(name="root", spec="{password: root-secret}") +
            "---\n" + USER.format(name="joe", spec="{password: joe-secret}") + "---\n" +
            GRANT.format(name="g", user="root", roles="Owner", on="cluster: {}"))
        assert "not authorised" in run("apply", "-f", "-", stdin=FUNCTION.format(name="f"))
        assert "not authorised" in run("apply", "-f", "-", user="joe:joe-secret",
                                       stdin=MODEL.format(name="m"))
        assert run("apply", "-f", "-", user="root:root-secret",
                   stdin=FUNCTION.format(name="f")) == "function/f created\n"
        assert "there is no Function f" in run("get", "function", "f", user="joe:joe-secret")
        assert run("get", "functions", "-o", "name", user="joe:joe-secret") == ""
        assert "not authorised" in run("delete", "function", "f")
        assert run("get", "functions", "-o", "name", user="root:root-secret") == "f\n"
    finally:
        own.end()


# ---- the schema, and the examples


def test_the_schema_is_one(curl):
    status, schema = curl("GET", "/api/v1/schema")
    assert status == 200
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["$defs"]) == {"Topic", "Function", "Model", "Subscription", "User",
                                    "AccessGrant"}


VALIDATE = """
import json, jsonschema, sys
schema, documents = json.load(sys.stdin)
validator = jsonschema.Draft202012Validator(schema)
for one in documents:
    for error in validator.iter_errors(one):
        print(one["kind"], one["metadata"]["name"], error.message)
"""


def test_the_schema_takes_what_is_got(command, unique):
    """By the standard's own validator, which Debian's Python has."""
    schema = json.loads(subprocess.run([str(broker.weir_binary()), "schema"], check=True,
                                       stdout=subprocess.PIPE, text=True).stdout)
    name = unique()
    command("apply", "-f", "-", stdin=TOPIC.format(name=name, partitions=1, time="3d") + "---\n" +
            SUBSCRIPTION.format(name="s", topic=name, attempts=3) + "---\n" +
            FUNCTION.format(name=name) + "---\n" + MODEL.format(name=name) + "---\n" +
            USER.format(name=name, spec="{password: secret}") + "---\n" +
            GRANT.format(name=name, user=name, roles="Owner", on=f"topic: {name}"))
    documents = []
    for kind in "topics", "functions", "models", "subscriptions", "users", "accessgrants":
        documents += json.loads(command("get", kind, "-o", "json"))
    assert {one["kind"] for one in documents} == set(schema["$defs"])
    done = subprocess.run(["/usr/bin/python3", "-c", VALIDATE],
                          input=json.dumps([schema, documents]), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=CALL_S)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_examples(command):
    folder = pathlib.Path(__file__).resolve().parents[2] / "examples" / "resources"
    applied = command("apply", "-f", str(folder)).splitlines()
    assert applied and all(line.endswith(" created") for line in applied)
    assert command("diff", "-f", str(folder)) == ""
    command("delete", "-f", str(folder))
