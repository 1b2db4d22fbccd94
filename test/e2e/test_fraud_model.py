"""The fraud example's model file, and the measures by which it is judged.

FRAUD_LONG=1 also trains it again and judges it on the whole set, minutes.
"""
import json
import os
import platform
import subprocess
import sys

import numpy
import pytest
import xgboost

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
DATA = os.path.join(ROOT, "examples", "fraud", "data")
sys.path.insert(0, DATA)

import features  # noqa: E402
import generate  # noqa: E402
import quality  # noqa: E402
import train  # noqa: E402

long = pytest.mark.skipif(not os.environ.get("FRAUD_LONG"), reason="FRAUD_LONG is not set")

WEIR = os.environ.get("WEIR_BIN", os.path.join(ROOT, "build", "weir"))
SCORER = os.path.join(os.path.dirname(WEIR), "test", "wire", "xgboost_driver")

DIFFERENCE_MAX = 0.005  # from what the handbook publishes
FALSE_ALARMS_MAX = 20  # of 58,264 payments judged


@pytest.fixture(scope="module", name="model")
def model_file():
    with open(quality.MODEL, "rb") as file:
        return json.load(file)


def test_the_model_names_its_features_in_their_order(model):
    assert tuple(model["learner"]["feature_names"]) == features.FEATURES
    assert model["learner"]["objective"]["name"] == "binary:logistic"
    assert len(model["learner"]["gradient_booster"]["model"]["trees"]) == train.TREES


def test_the_model_tells_frauds_from_other_payments():
    rows = generate.slice_of(300, 600, 60)
    found = features.features_of(rows)
    late = rows["t"] >= 40 * generate.DAY  # terminals have a history by then
    scores = quality.scores_of_model(quality.MODEL, found)[late]
    alarm, fraud = scores > quality.THRESHOLD, rows["fraud"][late] == 1
    assert (alarm & fraud).sum() > 0.5 * fraud.sum()
    assert (alarm & fraud).sum() > 0.75 * alarm.sum()


def check_scores_of_weir(found):
    """In process and by XGBoost: the same float32, bit for bit."""
    data = xgboost.DMatrix(found, feature_names=list(features.FEATURES))
    wanted = xgboost.Booster(model_file=quality.MODEL).predict(data)
    run = subprocess.run([SCORER, quality.MODEL], input=found.astype(numpy.float32).tobytes(),
                         check=True, stdout=subprocess.PIPE)
    assert run.stdout == wanted.tobytes()
    assert 0 < wanted.min() < 0.01 and 0.99 < wanted.max() < 1


def test_weir_scores_the_model_as_xgboost_does():
    check_scores_of_weir(features.features_of(generate.slice_of(300, 600, 60)))


def test_training_does_not_depend_on_threads(monkeypatch):
    chance = numpy.random.RandomState(1)
    rows = {"t": numpy.full(3000, quality.TRAIN_DAY * generate.DAY), "customer": numpy.arange(3000),
            "fraud": (chance.random_sample(3000) < 0.2).astype(int)}
    found = chance.random_sample((3000, len(features.FEATURES)))
    once = train.bytes_of(train.train_model(rows, found))
    monkeypatch.setitem(train.SETTINGS, "nthread", 1)
    assert train.bytes_of(train.train_model(rows, found)) == once


def test_cards_known_before_are_not_judged():
    day = quality.TEST_DAY
    payments = [  # day, card, fraud
        (quality.TRAIN_DAY, 1, 1), (quality.TRAIN_DAY + 1, 2, 0), (day - 8, 3, 1), (day - 7, 4, 1),
        (day, 1, 0), (day, 2, 0), (day, 3, 0), (day, 4, 0), (day + 1, 4, 0), (day + 7, 2, 0)]
    days, cards, frauds = map(numpy.array, zip(*payments))
    learn, judged = quality.split({"t": days * generate.DAY, "customer": cards, "fraud": frauds})
    assert learn.tolist() == [0, 1, 2]  # day - 8 is the last of the week to learn from
    assert judged.tolist() == [5, 7]  # what day - 7 shows is known on day + 1


def test_card_precision_counts_cards_and_blocks_those_found():
    day = numpy.array([0, 0, 0, 1, 1])
    card = numpy.array([1, 1, 2, 1, 3])
    fraud = numpy.array([0, 1, 0, 1, 1])
    scores = numpy.array([0.9, 0.1, 0.5, 0.9, 0.8])
    assert quality.card_precision(day, card, fraud, scores) == pytest.approx(0.01)


def test_false_alarms_at_equal_recall():
    fraud = numpy.array([True, True, False, False, True])
    scores = numpy.array([0.9, 0.5, 0.6, 0.1, 0.2])
    assert [quality.alarms_for(fraud, scores, hits) for hits in (1, 2, 3)] == [0, 1, 1]


@pytest.fixture(scope="module", name="whole")
def whole_set():
    rows = generate.whole_set(progress=None)
    return rows, features.whole_features()


@long
def test_training_again_gives_the_model_file(whole):
    content = train.bytes_of(train.train_model(*whole))
    with open(quality.MODEL, "rb") as file:
        committed = file.read()
    if platform.machine() == "x86_64":  # elsewhere logarithms may differ in the last bit
        assert content == committed
    assert len(json.loads(content)["learner"]["gradient_booster"]["model"]["trees"]) == train.TREES


@long
def test_quality_is_the_published_one(whole):
    rows, found = whole
    learn, judged = quality.split(rows)
    scores = quality.scores_of_model(quality.MODEL, found[judged])
    forest = quality.scores_of_forest(rows, found, learn, judged)
    for name, of_rows in ("XGBoost", scores), ("random forest", forest):
        reached = quality.Quality(rows, judged, of_rows)
        assert reached.three() == pytest.approx(quality.PUBLISHED[name], abs=DIFFERENCE_MAX)
        assert (reached.judged, reached.frauds) == (58264, 385)
        assert reached.false_alarms <= FALSE_ALARMS_MAX
        assert reached.rule_caught == 47 and reached.rule_false_alarms == 0
        assert reached.amount_false_alarms > 1000 * reached.false_alarms


@long
def test_weir_scores_the_whole_set_as_xgboost_does(whole):
    check_scores_of_weir(whole[1])


@long
def test_scores_of_others_are_judged_alike(whole, tmp_path):
    path = str(tmp_path / "scores.npy")
    numpy.save(path, quality.scores_of_model(quality.MODEL, whole[1]))
    command = [sys.executable, "-B", os.path.join(DATA, "quality.py"), "--scores", path]
    table = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert "| scores.npy | 0.862 | 0.639 | 0.273 | 99.68% | 208 of 385 | 12 |" in table
    assert "| do nothing | | | | 99.34% | 0 of 385 | 0 |" in table
