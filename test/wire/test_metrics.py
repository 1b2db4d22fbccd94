"""`/metrics`, as Prometheus' own parser reads it; and the times of deliveries in it."""

import subprocess
import time

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

import broker

PATIENCE_S = 20
EVENTS = 3

pytestmark = [pytest.mark.weir_only, pytest.mark.managed]

DECLARED = """
apiVersion: weir/v1alpha1
kind: Topic
metadata: {{name: {name}}}
spec: {{partitions: 2}}
---
apiVersion: weir/v1alpha1
kind: Topic
metadata: {{name: {name}.copy}}
spec: {{partitions: 1}}
---
apiVersion: weir/v1alpha1
kind: Subscription
metadata: {{name: copy}}
spec: {{topic: {name}, deliver: {{topic: {name}.copy}}}}
---
apiVersion: weir/v1alpha1
kind: Subscription
metadata: {{name: pull}}
spec: {{topic: {name}}}
---
apiVersion: weir/v1alpha1
kind: Subscription
metadata: {{name: idle}}
spec: {{topic: {name}, filter: "type = 'never'"}}
"""


def page(target):
    answer = requests.get(f"{target.http}/metrics", timeout=PATIENCE_S)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def histograms(family):
    """{labels without le: {"buckets": [(le, n)], "sum": s, "count": n}}"""
    found = {}
    for sample in family.samples:
        labels = dict(sample.labels)
        bound = labels.pop("le", None)
        one = found.setdefault(tuple(sorted(labels.items())), {"buckets": []})
        if sample.name.endswith("_bucket"):
            one["buckets"].append((float(bound), sample.value))
        else:
            one[sample.name.rsplit("_", 1)[1]] = sample.value
    return found


def deliver(target, name):
    done = subprocess.run([str(broker.weir_binary()), "apply", "--file", "-", "--server",
                           target.http], input=DECLARED.format(name=name), text=True,
                          capture_output=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    for i in range(EVENTS):
        headers = {"ce-specversion": "1.0", "ce-source": "/t", "ce-type": "t", "ce-id": str(i)}
        requests.post(f"{target.http}/topics/{name}", data=b"x", headers=headers,
                      timeout=PATIENCE_S).raise_for_status()
    pull = f"{target.http}/topics/{name}/eventsubscriptions/pull"
    left = EVENTS
    while left > 0:
        got = requests.post(f"{pull}:receive?api-version=2024-06-01&maxEvents=10",
                            timeout=PATIENCE_S).json()["value"]
        tokens = [each["brokerProperties"]["lockToken"] for each in got]
        requests.post(f"{pull}:acknowledge?api-version=2024-06-01", json={"lockTokens": tokens},
                      timeout=PATIENCE_S).raise_for_status()
        left -= len(got)


def test_page_is_prometheus(target):
    families = page(target)
    assert families["kafka_brokers"].samples[0].value == 1
    for family in families.values():
        assert family.documentation and family.type != "unknown", family.name
        for labels, one in histograms(family).items() if family.type == "histogram" else ():
            bounds = [bound for bound, _ in one["buckets"]]
            counts = [n for _, n in one["buckets"]]
            assert bounds == sorted(bounds) and bounds[-1] == float("inf"), (family.name, labels)
            assert counts == sorted(counts) and counts[-1] == one["count"], (family.name, labels)


def test_delivery_seconds(target, unique):
    name = unique("times")
    deliver(target, name)
    stages = {}
    end = time.monotonic() + PATIENCE_S
    while stages.get(("copy", "total"), {}).get("count") != EVENTS and time.monotonic() < end:
        stages = {}
        for labels, one in histograms(page(target)["weir_delivery_seconds"]).items():
            labels = dict(labels)
            if labels["topic"] == name:
                stages[labels["subscription"], labels["stage"]] = one
    assert set(stages) == {("copy", "wait"), ("copy", "settle"), ("copy", "total"),
                           ("pull", "wait"), ("pull", "call"), ("pull", "settle"),
                           ("pull", "total")}, "no stage without a delivery"
    for one in stages.values():
        assert one["count"] == EVENTS and one["sum"] < PATIENCE_S * EVENTS
        assert one["buckets"][0][0] == 0.0001
    total, wait = stages["pull", "total"]["sum"], stages["pull", "wait"]["sum"]
    assert total >= wait
