"""deploy/fraud: what is applied to a cluster is what Kubernetes, KEDA and weir understand.

No cluster is needed: the schemas of Kubernetes' resources come from the package
kubernetes-validate, those of KEDA's from its Go module; the names of metrics, options and resources
from a weir that runs.
"""

import json
import re
import subprocess

import jsonschema
import kubernetes_validate
import promql_parser
import pytest
import requests
import yaml

import broker
from clients import SETUP

FOLDER = broker.REPOSITORY / "deploy" / "fraud"
EXAMPLE = broker.REPOSITORY / "examples" / "fraud" / "pipeline.yaml"
KUBERNETES = "1.30"
RESOURCES = ["namespace", "weir", "functions", "scaling", "apply"]

pytestmark = [pytest.mark.weir_only, pytest.mark.managed]


def documents(name):
    return [d for d in yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text()) if d]


def manifests():
    return [d for name in RESOURCES for d in documents(name)]


def of_kind(kind):
    return [d for d in manifests() if d["kind"] == kind]


def pod_of(document):
    return document["spec"]["template"]["spec"]


@pytest.fixture(scope="module", name="weir")
def weir_with_the_pipeline(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weir")
    declared = folder / "pipeline.yaml"
    declared.write_text((FOLDER / "pipeline.yaml").read_text().replace(
        "/usr/share/fraud/", f"{EXAMPLE.parent}/"))  # where the image has it
    weir = broker.Weir(folder / "data")
    weir.options += ["--allow-anonymous", "--egress-private=on"]
    weir.start()
    try:
        command = [broker.weir_binary(), "apply", "--server", weir.http, "-f", declared]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        yield weir
    finally:
        weir.end()


def test_kustomization_names_every_file():
    kustomization = documents("kustomization")[0]
    named = set(kustomization["resources"])
    for generator in kustomization["configMapGenerator"]:
        named.update(generator["files"])
    there = {p.name for p in FOLDER.iterdir()} - {"kustomization.yaml", "README.md", "Dockerfile"}
    assert named == there
    assert {f"{name}.yaml" for name in RESOURCES} == set(kustomization["resources"])
    images = {c["image"] for d in of_kind("Deployment") + of_kind("StatefulSet") + of_kind("Job")
              for c in pod_of(d)["containers"]}
    assert images == {image["name"] for image in kustomization["images"]}


@pytest.mark.parametrize("document", manifests(),
                         ids=lambda d: f"{d['kind']}-{d['metadata']['name']}")
def test_schema(document):
    if document["kind"] == "ScaledObject":
        crd = yaml.safe_load((SETUP / "keda" / "keda.sh_scaledobjects.yaml").read_text())
        version = crd["spec"]["versions"][0]
        assert document["apiVersion"] == f"{crd['spec']['group']}/{version['name']}"
        jsonschema.validate(document, version["schema"]["openAPIV3Schema"])
        allowed = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        assert set(document["spec"]) <= set(allowed)
    else:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_services_reach_their_pods():
    pods = {}
    for document in of_kind("Deployment") + of_kind("StatefulSet"):
        labels = document["spec"]["template"]["metadata"]["labels"]
        assert document["spec"]["selector"]["matchLabels"] == labels
        ports = {p["name"]: p["containerPort"] for p in pod_of(document)["containers"][0]["ports"]}
        pods[labels["app.kubernetes.io/name"]] = ports
    for service in of_kind("Service"):
        ports = pods[service["spec"]["selector"]["app.kubernetes.io/name"]]
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in ports, service["metadata"]["name"]


def test_options_are_weirs():
    args = pod_of(of_kind("StatefulSet")[0])["containers"][0]["args"]
    told = subprocess.run([broker.weir_binary(), args[0], "--help"], capture_output=True, text=True,
                          check=True).stdout
    for arg in args[1:]:
        name = arg.split("=")[0]
        assert re.search(rf"^\s+{name}\b", told, re.M), name
    args = pod_of(of_kind("Job")[0])["containers"][0]["args"]
    told = subprocess.run([broker.weir_binary(), args[0], "--help"], capture_output=True, text=True,
                          check=True).stdout
    for arg in args:
        assert not arg.startswith("--") or arg in told, arg


def test_the_same_pipeline_as_the_example():
    """The same resources as examples/fraud, but for who runs the functions."""
    def by_name(path):
        return {(d["kind"], d["metadata"]["name"]): d["spec"]
                for d in yaml.safe_load_all(path.read_text()) if d}
    here, example = by_name(FOLDER / "pipeline.yaml"), by_name(EXAMPLE)
    assert set(here) == set(example)
    for key in here:
        if key[0] in ("Topic", "Subscription"):
            ours, theirs = dict(here[key]), dict(example[key])
            if "url" in theirs.get("deliver", {}):
                ours["deliver"]["url"] = theirs["deliver"]["url"]  # whoever is alerted
            assert ours == theirs, key
        elif key[0] == "Function":
            host = key[1]
            assert here[key]["url"] == f"http://{host}.fraud.svc"
            assert here[key]["protocol"] == example[key]["protocol"]
            assert host in {s["metadata"]["name"] for s in of_kind("Service")}


def samples(weir):
    """{metric: [labels]} of /metrics."""
    found = {}
    for line in requests.get(f"{weir.http}/metrics", timeout=10).text.splitlines():
        match = re.match(r"([a-z_]+)(?:\{(.*)\})? ", line)
        if match:
            labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match.group(2) or ""))
            found.setdefault(match.group(1), []).append(labels)
    return found


def selectors(expression):
    """(metric, {label: value} of its equalities) for each metric that a PromQL expression reads."""
    out = []

    def walk(node):
        if isinstance(node, promql_parser.VectorSelector):
            equal = {m.name: m.value for m in node.matchers.matchers
                     if m.op == promql_parser.MatchOp.Equal}
            out.append((node.name, equal))
        if isinstance(node, promql_parser.MatrixSelector):
            walk(node.vector_selector)
        for child in ("expr", "lhs", "rhs"):
            if getattr(node, child, None) is not None:
                walk(getattr(node, child))
        for argument in getattr(node, "args", None) or []:
            walk(argument)
    walk(promql_parser.parse(expression))
    return out


def test_scaled_by_numbers_that_are_there(weir):
    there = samples(weir)
    deployments = {d["metadata"]["name"] for d in of_kind("Deployment")}
    port = of_kind("Service")[0]["spec"]["ports"][1]["port"]
    for scaled in of_kind("ScaledObject"):
        assert scaled["spec"]["scaleTargetRef"]["name"] in deployments
        for trigger in scaled["spec"]["triggers"]:
            assert trigger["type"] == "metrics-api"
            given = trigger["metadata"]
            assert given["format"] == "prometheus" and float(given["targetValue"]) > 0
            assert given["url"] == f"http://weir.fraud.svc:{port}/metrics"
            (metric, labels), = selectors(given["valueLocation"])
            assert any(labels.items() <= sample.items() for sample in there[metric]), given


# Known to a weir from the first breaker that opens on; before that there is no sample.
LATER = {"weir_breaker_state"}


def expressions():
    for group in documents("alerts")[0]["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for panel in json.loads((FOLDER / "dashboard.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


@pytest.mark.parametrize("name, expression", expressions())
def test_alerts_and_dashboard_read_numbers_that_are_there(weir, name, expression):
    there = samples(weir)
    found = selectors(expression)
    assert found, name
    for metric, labels in found:
        if metric not in LATER:
            assert any(labels.items() <= sample.items() for sample in there.get(metric, [])), (
                name, metric, labels)
