"""A thousand calls at once: all are with workers at the same moment, and all of them end."""

import json
import urllib.request

import pytest

import broker
from test_functions_pool import PATIENCE_S, Pool, eventually

pytestmark = [pytest.mark.managed, pytest.mark.weir_only]
WORKER = broker.REPOSITORY / "build" / "bench" / "function_worker"
WORKERS, EACH = 8, 125
TOTAL = WORKERS * EACH


def get(url):
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
        return answer.read()


def post(weir, path, kind, document):
    request = urllib.request.Request(weir.http + path, json.dumps(document).encode(),
                                     {"Content-Type": kind})
    urllib.request.urlopen(request, timeout=PATIENCE_S).close()


def fill(weir, topic, n):
    post(weir, f"/topics/{topic}", "application/cloudevents-batch+json", [
        {"specversion": "1.0", "id": str(i), "type": "t", "source": "/s", "data": {"i": i}}
        for i in range(n)])


def subscribe(weir, topic, function):
    post(weir, "/api/v1/apply", "application/json", {
        "apiVersion": "weir/v1alpha1", "kind": "Subscription", "metadata": {"name": function},
        "spec": {"topic": topic, "start": "earliest", "deliver": {"function": function},
                 "reply": {"topic": f"{topic}-out"}}})


def counts(ports, what):
    """What each worker says of itself."""
    return [json.loads(get(f"http://127.0.0.1:{port}/held"))[what] for port in ports]


def ports_of(pool, name):
    def find():
        ports = [data["port"] for _, data in pool.events(name, "worker.started")]
        return ports if len(ports) == WORKERS else None
    return eventually(find, f"{WORKERS} workers", pool.weir)


def test_a_thousand_calls_at_once(weir):
    """Nobody answers before all are there: the workers hold them until their gates are opened."""
    pool = Pool(weir)
    pool.put("gated", [WORKER, "--gate", "--reply"], limits={"time": "1h"},
             workers={"min": WORKERS, "max": WORKERS, "concurrency": EACH})
    pool.await_workers("gated", WORKERS)
    ports = ports_of(pool, "gated")
    fill(weir, "many", TOTAL)
    fill(weir, "many-out", 1)
    subscribe(weir, "many", "gated")

    eventually(lambda: sum(counts(ports, "held")) == TOTAL or None, f"{TOTAL} calls", weir)
    assert counts(ports, "held") == [EACH] * WORKERS
    assert pool.metric("weir_function_calls_under_way", ['function="gated"']) == TOTAL
    assert pool.metric("weir_function_calls_total", ['function="gated"', 'result="done"']) == 0

    for port in ports:
        get(f"http://127.0.0.1:{port}/open")

    def replies():
        got = json.loads(get(f"{weir.http}/topics/many-out?partition=0&offset=1&max=10000"))
        return got if len(got) >= TOTAL else None
    assert len(eventually(replies, f"{TOTAL} replies", weir)) == TOTAL
    assert counts(ports, "most") == [EACH] * WORKERS
    assert pool.metric("weir_function_calls_total", ['function="gated"', 'result="done"']) == TOTAL
    assert pool.metric("weir_function_calls_under_way", ['function="gated"']) == 0
