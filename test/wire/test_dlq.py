"""Dead letters by `weir dlq`: listed, shown, and sent on their way again, each once."""

import json
import subprocess
import time
import urllib.request

import pytest

import broker
from rawbatch import batch, batches
from rawkafka import Raw

pytestmark = [pytest.mark.managed, pytest.mark.weir_only]
CALL_S = 60
API = "?api-version=2023-11-01"


def post(weir, path, body=b"", **headers):
    request = urllib.request.Request(weir.http + path, data=body, method="POST", headers={
        key.replace("_", "-"): value for key, value in headers.items()})
    with urllib.request.urlopen(request, timeout=CALL_S) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def publish(weir, topic, kind, number, key=None):
    event = {"specversion": "1.0", "id": f"{kind}-{number}", "source": "/test", "type": kind,
             "data": {"number": number}}
    if key:
        event["partitionkey"] = key
    post(weir, f"/topics/{topic}", json.dumps(event).encode(),
         content_type="application/cloudevents+json")


def reject_all(weir, topic, subscription, count):
    where = f"/topics/{topic}/eventsubscriptions/{subscription}"
    done = 0
    while done < count:
        got = post(weir, f"{where}:receive{API}&maxEvents=100&maxWaitTime=10")["value"]
        assert got, f"only {done} of {count}"
        tokens = [one["brokerProperties"]["lockToken"] for one in got]
        answer = post(weir, f"{where}:reject{API}", json.dumps({"lockTokens": tokens}).encode(),
                      content_type="application/json")
        assert len(answer["succeededLockTokens"]) == len(tokens), answer
        done += len(tokens)
    assert done == count


@pytest.fixture
def weir(tmp_path):
    own = broker.Weir(tmp_path, threads=broker.SEVERAL).start()
    yield own
    own.end()


@pytest.fixture
def command(weir, tmp_path):
    def run(*args, stdin="", status=0):
        done = subprocess.run([str(broker.weir_binary()), *args, "--server", weir.http],
                              input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=CALL_S, cwd=tmp_path)
        assert done.returncode == status, f"{args}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout if status == 0 else done.stdout + done.stderr
    return run


DOCUMENTS = """apiVersion: weir/v1alpha1
kind: Topic
metadata: {name: orders}
spec: {partitions: 3}
---
apiVersion: weir/v1alpha1
kind: Subscription
metadata: {name: billing}
spec: {topic: orders, start: earliest, deadLetter: orders.dead}
"""


def ids_of(weir, topic, partitions):
    """-> [(ce_id, header names)] of all records of the topic."""
    raw = Raw(weir.host, weir.port)
    try:
        found = []
        for partition in range(partitions):
            for batch in batches(raw.fetch(topic, 0, partition)["records"] or b""):
                for _, record in batch.records():
                    headers = dict(record.headers)
                    found.append((headers["ce_id"].decode(), sorted(headers)))
        return found
    finally:
        raw.close()


def shown(command, *args):
    return json.loads(command("dlq", "show", "orders.dead", "-o", "json", *args))


def redriven(command, *args):
    return json.loads(command("dlq", "redrive", "orders.dead", "-o", "json", *args))["redriven"]


def test_letters_are_listed_shown_and_redriven_once(weir, command):
    command("apply", "-f", "-", stdin=DOCUMENTS)
    assert "orders.dead" in command("dlq", "list")
    for number in range(6):
        publish(weir, "orders", "paid" if number % 2 else "sent", number, key=f"k{number}")
    reject_all(weir, "orders", "billing", 6)
    line = command("dlq", "list").splitlines()[1].split()
    assert line == ["orders.dead", "6", "orders/billing"]

    letters = shown(command)
    assert len(letters) == 6
    assert {one["event"]["id"] for one in letters} == {f"{'paid' if n % 2 else 'sent'}-{n}"
                                                      for n in range(6)}
    assert all(one["topic"] == "orders" and one["subscription"] == "billing" and
               one["deliveries"] == 1 and one["reason"] for one in letters)
    assert len(shown(command, "--filter", "type = 'paid'")) == 3
    assert len(shown(command, "--filter", "data.number > 3")) == 2
    assert len(shown(command, "--filter", f"deadletterreason = '{letters[0]['reason']}'")) == 6
    assert len(shown(command, "--filter", "deadlettersubscription = 'other'")) == 0
    assert len(shown(command, "--limit", "2")) == 2
    assert "reason: " in command("dlq", "show", "orders.dead")

    before = len(ids_of(weir, "orders", 3))
    assert redriven(command, "--filter", "type = 'paid'") == 3
    assert redriven(command, "--filter", "type = 'paid'") == 0
    now = ids_of(weir, "orders", 3)
    assert len(now) == before + 3
    assert [one[0] for one in now].count("paid-1") == 2
    assert not any("weir-dead-letter" in name for _, names in now for name in names)
    assert sorted(one["event"]["id"] for one in shown(command)) == ["sent-0", "sent-2", "sent-4"]
    assert command("dlq", "list").splitlines()[1].split()[1] == "3"

    weir.restart(kill=True)
    assert redriven(command) == 3
    assert redriven(command) == 0
    assert len(ids_of(weir, "orders", 3)) == before + 6
    reject_all(weir, "orders", "billing", 6)  # they are messages again, and may die again
    assert redriven(command, "--limit", "4") == 4
    assert redriven(command) == 2


def test_redrive_to_another_topic(weir, command):
    command("apply", "-f", "-", stdin=DOCUMENTS + """---
apiVersion: weir/v1alpha1
kind: Topic
metadata: {name: repair}
spec: {partitions: 1}
""")
    publish(weir, "orders", "paid", 1)
    reject_all(weir, "orders", "billing", 1)
    assert redriven(command, "--to", "repair") == 1
    assert [one[0] for one in ids_of(weir, "repair", 1)] == ["paid-1"]
    assert "there is no topic nowhere" in command("dlq", "redrive", "orders.dead", "--to",
                                                  "nowhere", status=1)


def test_killed_while_it_redrives(weir, command):
    """Each letter is redriven exactly once, whatever kill -9 interrupts."""
    count = 1500
    command("apply", "-f", "-", stdin=DOCUMENTS.replace("partitions: 3", "partitions: 1"))
    raw = Raw(weir.host, weir.port)
    for first in range(0, count, 100):
        values = [b"%d" % number for number in range(first, first + 100)]
        assert raw.produce("orders", batch(values))["error"] == 0
    raw.close()
    reject_all(weir, "orders", "billing", count)
    for extra in (100, 400, 900):
        process = subprocess.Popen([str(broker.weir_binary()), "dlq", "redrive", "orders.dead",
                                    "--server", weir.http], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        raw = Raw(weir.host, weir.port)
        while raw.list_offset("orders", -1)["offset"] < count + extra and process.poll() is None:
            pass
        weir.kill()
        raw.close()
        process.wait(CALL_S)
        weir.start()
    deadline = time.monotonic() + CALL_S
    while command("dlq", "list").splitlines()[1].split()[1] != "0":  # until the locks run out
        redriven(command)
        assert time.monotonic() < deadline
    assert redriven(command) == 0
    raw = Raw(weir.host, weir.port)
    found, offset = [], 0
    while offset < raw.list_offset("orders", -1)["offset"]:
        for one in batches(raw.fetch("orders", offset)["records"]):
            found += [int(record.value) for at, record in one.records() if at >= offset]
            offset = one.base_offset + one.count
    raw.close()
    assert sorted(found) == sorted(list(range(count)) * 2)


def test_a_topic_that_drops_duplicates_takes_them_again(weir, command):
    command("apply", "-f", "-", stdin=DOCUMENTS.replace(
        "partitions: 3", "partitions: 1, duplicates: {window: 1h}"))
    publish(weir, "orders", "paid", 1)
    publish(weir, "orders", "paid", 1)  # dropped
    reject_all(weir, "orders", "billing", 1)
    assert redriven(command) == 1
    assert [one[0] for one in ids_of(weir, "orders", 1)] == ["paid-1", "paid-1"]


def test_what_is_wrong_is_said(weir, command):
    command("apply", "-f", "-", stdin=DOCUMENTS)
    assert "there is no topic orders.dead" in command("dlq", "show", "orders.dead", status=1)
    assert "one of list, show, redrive" in command("dlq", "lst", status=2)
    assert "take the dead-letter topic" in command("dlq", "redrive", status=2)
    publish(weir, "orders", "paid", 1)
    reject_all(weir, "orders", "billing", 1)
    assert "400" in command("dlq", "show", "orders.dead", "--filter", "type = ", status=1)
