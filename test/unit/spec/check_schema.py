#!/usr/bin/python3
"""check_schema PROGRAM: the schema that PROGRAM prints (of the kind in kind.h) is one by its own
standard, accepts what the interpreter accepts and refuses what it refuses."""
import json
import subprocess
import sys

import jsonschema


def thing(**spec):
    return {"apiVersion": "weir/v1alpha1", "kind": "Thing", "metadata": {"name": "x"},
            "spec": {"title": "t", **spec}}


ACCEPTED = [
    thing(),
    thing(on=False, nested={"deep": {"count": -5}, "wait": "PT1H"}, limit="none", bytes="10GiB"),
    thing(nested={"wait": "1h30m"}, limit=5, bytes=512, time="2026-03-01T12:00:00Z"),
    thing(nested={"wait": "P1DT2H3M4.5S"}, colour="blue", level=7, tags=["a"]),
    thing(config={"a": "b", "c": 1, "d": True}, extras=[{"name": "n"}], json=[1], present={}),
    thing(on=None, nested={"wait": None}, extras=None, json=None),
    thing(nested=None),
    thing(share=1.5),
    thing(share="1.5"),
    thing(share="250m"),
    {**thing(), "metadata": {"name": "x", "labels": {"a": "b"}}, "status": {"any": 1}},
]
REFUSED = [
    {**thing(), "kind": "Thong"},
    {**thing(), "apiVersion": "v1"},
    {**thing(), "spce": {}},
    {**thing(), "metadata": {}},
    {**thing(), "metadata": {"name": "x", "label": {}}},
    {"apiVersion": "weir/v1alpha1", "kind": "Thing", "metadata": {"name": "x"}},
    {**thing(), "spec": {"on": True}},
    thing(titel="x"),
    thing(title=1),
    thing(title="twenty-one-characters"),
    thing(on="yes"),
    thing(nested={"deep": {"count": 101}}),
    thing(nested={"deap": {}}),
    thing(nested={"wait": "soon"}),
    thing(nested={"wait": "none"}),
    thing(nested={"wait": ""}),
    thing(nested={"wait": "PT"}),
    thing(bytes="10 GiB"),
    thing(limit=-2),
    thing(colour="bleu"),
    thing(tags=["a"] * 257),
    thing(tags=[1]),
    thing(config={"a": []}),
    thing(extras=[{"value": "v"}]),
    thing(extras=[{"name": "n", "other": 1}]),
    thing(present={"a": 1}),
    thing(share=64.6),
    thing(share="1.2345"),
    thing(share="lots"),
]


def main():
    schema = json.loads(subprocess.run(sys.argv[1:], check=True, stdout=subprocess.PIPE).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    wrong = [f"refused: {d}" for d in ACCEPTED if not validator.is_valid(d)]
    wrong += [f"accepted: {d}" for d in REFUSED if validator.is_valid(d)]
    print("\n".join(wrong) or f"{len(ACCEPTED) + len(REFUSED)} documents as expected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
