"""Scores of XGBoost models in process against XGBoost itself: the same float32, bit for bit, of
rows with missing values, for every objective and kind of tree that weir reads."""

import os
import subprocess

import numpy
import pytest
import xgboost

import broker

DRIVER = broker.REPOSITORY / "build" / "test" / "wire" / "xgboost_driver"
ROWS = int(os.environ.get("WIRE_XGBOOST_ROWS", "20000"))
TRAINED_ROWS = 4000
FEATURES = 15
ROUNDS = 30
TREES = {"max_depth": 6, "eta": 0.1, "nthread": 1, "seed": 1}


def rows_of(rng, n, missing=0.15):
    """Normal values, every third column of few distinct ones, some missing."""
    rows = rng.normal(size=(n, FEATURES)).astype(numpy.float32)
    rows[:, ::3] = numpy.round(rows[:, ::3] * 2)
    rows[rng.random(rows.shape) < missing] = numpy.nan
    return rows


def train(params, label, rounds=ROUNDS):
    rng = numpy.random.default_rng(1)
    rows = rows_of(rng, TRAINED_ROWS)
    total = numpy.nan_to_num(rows).sum(axis=1) + rng.normal(size=TRAINED_ROWS)
    return xgboost.train({**TREES, **params}, xgboost.DMatrix(rows, label=label(total)), rounds)


def weir(model, rows, at_once=500):
    run = subprocess.run([DRIVER, model, str(at_once)], input=rows.tobytes(), capture_output=True,
                         timeout=300, check=False)
    assert run.returncode == 0, run.stderr.decode()
    return numpy.frombuffer(run.stdout, numpy.float32)


def assert_same(got, wanted):
    assert got.shape == wanted.shape
    differing = numpy.flatnonzero(got.view(numpy.uint32) != wanted.view(numpy.uint32))
    assert differing.size == 0, (differing[:5], got[differing[:5]], wanted[differing[:5]])


def compare(folder, model, n=ROWS, at_once=500):
    path = folder / "model.json"
    model.save_model(path)
    rows = rows_of(numpy.random.default_rng(2), n)
    assert_same(weir(path, rows, at_once), model.predict(xgboost.DMatrix(rows)))


def is_high(total):
    return (total > 1.5).astype(int)


def positive(total):
    return numpy.exp(total / 4)


def test_a_hundred_thousand_rows(tmp_path):
    compare(tmp_path, train({"objective": "binary:logistic"}, is_high, 100), 100_000)


@pytest.mark.parametrize("objective, label", [
    ("binary:logitraw", is_high),
    ("reg:logistic", lambda total: 1 / (1 + numpy.exp(-total))),
    ("reg:squarederror", lambda total: total),
    ("reg:squaredlogerror", positive),
    ("reg:absoluteerror", lambda total: total),
    ("reg:pseudohubererror", lambda total: total),
    ("count:poisson", lambda total: numpy.floor(positive(total))),
    ("reg:gamma", positive),
    ("reg:tweedie", positive),
])
def test_objective(tmp_path, objective, label):
    compare(tmp_path, train({"objective": objective}, label))


@pytest.mark.parametrize("params", [
    {"base_score": 0.1},
    {"num_parallel_tree": 5, "subsample": 0.5},
    {"grow_policy": "lossguide", "max_leaves": 200, "max_depth": 0, "tree_method": "hist"},
    {"tree_method": "exact", "gamma": 2},
    {"max_depth": 1},
    {"booster": "dart", "rate_drop": 0.3},
    {"booster": "dart", "rate_drop": 0.3, "normalize_type": "forest", "sample_type": "weighted"},
], ids=lambda params: "-".join(f"{name}={value}" for name, value in params.items()))
def test_trees(tmp_path, params):
    compare(tmp_path, train({"objective": "binary:logistic", **params}, is_high))


@pytest.mark.parametrize("at_once", [1, 7, 8, 9])
def test_rows_at_once(tmp_path, at_once):
    compare(tmp_path, train({"objective": "binary:logistic"}, is_high), 1000, at_once)


@pytest.mark.parametrize("params, why", [
    ({"objective": "multi:softprob", "num_class": 3}, "more than one output"),
    ({"objective": "binary:logistic", "booster": "gblinear", "max_depth": None}, "gblinear"),
    ({"objective": "binary:hinge"}, "the objective binary:hinge is not supported"),
], ids=["classes", "linear", "hinge"])
def test_refused(tmp_path, params, why):
    model = train({key: value for key, value in {**TREES, **params}.items() if value is not None},
                  is_high, 2)
    model.save_model(tmp_path / "model.json")
    run = subprocess.run([DRIVER, tmp_path / "model.json"], input=b"", capture_output=True,
                         timeout=60, check=False)
    assert run.returncode == 1 and why in run.stderr.decode()
