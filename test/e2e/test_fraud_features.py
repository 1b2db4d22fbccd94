"""The workers give the features of examples/fraud/data/features.py, all of them.

FRAUD_LONG=1 also feeds them the whole set, minutes.
"""
import os
import sys

import pytest

import fraud_features
from fraud_features import features, generate

WEIR = os.environ.get("WEIR_BIN", os.path.join(fraud_features.ROOT, "build", "weir"))
NATIVE = [os.path.join(os.path.dirname(WEIR), "examples", "fraud-worker")]
PYTHON = [sys.executable, "-B",
          os.path.join(fraud_features.ROOT, "examples", "fraud", "python", "worker.py")]

long = pytest.mark.skipif(not os.environ.get("FRAUD_LONG"), reason="FRAUD_LONG is not set")


@pytest.mark.parametrize("command", [NATIVE, PYTHON], ids=["native", "python"])
@pytest.mark.parametrize("twice", [False, True], ids=["once", "each call twice"])
def test_all_features_of_a_slice(command, twice):
    rows = generate.slice_of(120, 200, 70)
    wanted = features.features_of(rows).tolist()
    compared, wrong = fraud_features.check(command, rows, wanted, twice)
    assert not wrong, "\n".join(wrong[:20])
    assert compared == len(rows["t"]) > 10000


@long
def test_all_features_of_the_whole_set():
    rows = generate.whole_set()
    wanted = features.whole_features().tolist()
    compared, wrong = fraud_features.check(NATIVE, rows, wanted, False)
    assert not wrong, "\n".join(wrong[:20])
    assert compared == generate.WHOLE_ROWS
