"""CESQL's own conformance suite, the TCK, as published with its Go implementation.

The cases come from the Go module cloudevents/sdk-go/sql/v2, which setup.sh fetches. Each is one
test here; the expression engine is asked through build/test/unit/expr/cesql_eval.
"""

import json
import os
import pathlib
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
SETUP = pathlib.Path(os.environ.get("WIRE_SETUP", ROOT / "build/wire"))
TCK = SETUP / "cesql-tck"
BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", ROOT / "build"))

# What the suite's runner fills an event with where a case has none of its own.
FULL_EVENT = {
    "specversion": "1.0",
    "id": "full-event",
    "source": "http://example.com/source",
    "type": "com.example.FullEvent",
    "subject": "topic",
    "time": "2020-03-21T12:34:56.78Z",
    "dataschema": "http://example.com/schema",
    "datacontenttype": "text/json",
    "exbool": True,
    "exint": 42,
    "exstring": "exstring",
    "exbinary": "AAECAw==",
    "exurl": "http://example.com/source",
    "extime": "2020-03-21T12:34:56.78Z",
}


class Loader(yaml.SafeLoader):
    """Timestamps stay the texts that they are in JSON."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in rules if not tag.endswith(":timestamp")]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def cases():
    """Expressions are texts even where YAML sees more in them: TRUE, 0."""
    for path in sorted(TCK.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        typed, texts = yaml.load(text, Loader), yaml.load(text, yaml.BaseLoader)
        for case, plain in zip(typed["tests"], texts["tests"]):
            case.update(expression=plain["expression"], name=plain["name"])
            yield pytest.param(case, id=f"{path.stem}: {case['name']}")


CASES = list(cases())


@pytest.fixture(scope="module")
def evaluate():
    with subprocess.Popen([BUILD / "test/unit/expr/cesql_eval"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        def ask(expression, event):
            process.stdin.write(json.dumps({"expression": expression, "event": event}) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield ask
        process.stdin.close()
    assert process.returncode == 0


def test_the_suite_is_whole():
    assert len(CASES) == 275


@pytest.mark.parametrize("case", CASES)
def test_case(case, evaluate):
    event = dict(case.get("event") or FULL_EVENT, **case.get("eventOverrides") or {})
    answer = evaluate(case["expression"], event)
    assert answer["error"] == case.get("error", "none"), answer["text"]
    if case.get("error") != "parse":
        result = answer["result"]
        assert (type(result), result) == (type(case["result"]), case["result"])
