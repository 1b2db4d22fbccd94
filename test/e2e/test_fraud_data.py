"""The fraud example's payments and features: the published ones, and the same by any road.

FRAUD_LONG=1 also runs over the whole set, minutes.
"""
import hashlib
import os
import subprocess
import sys

import numpy
import pytest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "examples", "fraud", "data"))

import features  # noqa: E402
import generate  # noqa: E402
from fraud_reference import reference_features  # noqa: E402

long = pytest.mark.skipif(not os.environ.get("FRAUD_LONG"), reason="FRAUD_LONG is not set")

DAY = generate.DAY
DIFFERENCE_MAX = 1e-9
SLICE = 300, 600, 60  # customers, terminals, days
# Of the whole set as https://github.com/Fraud-Detection-Handbook/simulated-data-raw publishes it,
# its columns in the order and types of generate.TYPES.
WHOLE_DIGEST = "4da7b473c64071aded32976fd221a38f7ab9980fee23394d729452332a325a9d"
SLICE_DIGEST = "c7d91ecc581f04b5e159c16b14167908a991417bd2f839e6f2a1c0df58459a62"


def digest_of(rows):
    digest = hashlib.sha256()
    for name, kind in generate.TYPES.items():
        assert rows[name].dtype == kind
        digest.update(rows[name].tobytes())
    return digest.hexdigest()


def worst_difference(rows, found):
    wanted = reference_features(rows)
    assert tuple(wanted.columns) == features.FEATURES
    return float(numpy.abs(wanted.to_numpy(dtype=float) - found).max())


@pytest.fixture(scope="module", name="rows")
def small_set():
    return generate.slice_of(*SLICE)


@pytest.fixture(scope="module", name="found")
def small_features(rows):
    return features.features_of(rows)


def test_a_slice_is_the_same_everywhere(rows):
    assert digest_of(rows) == SLICE_DIGEST
    assert digest_of(generate.slice_of(*SLICE)) == SLICE_DIGEST


def test_a_slice_has_frauds_of_each_kind_in_order_of_time(rows):
    assert set(rows["scenario"].tolist()) == {0, 1, 2, 3}
    assert ((rows["scenario"] > 0) == (rows["fraud"] == 1)).all()
    assert (numpy.diff(rows["t"]) >= 0).all()
    assert (rows["tx_id"] == numpy.arange(len(rows["t"]))).all()


def test_amounts_are_whole_cents(rows):
    assert numpy.abs(rows["amount"] * 100 - numpy.rint(rows["amount"] * 100)).max() < 1e-6


def in_full_order(rows, until):
    """The payments before until, in an order that the same second does not leave open."""
    columns = [rows[name][rows["t"] < until] for name in ("amount", "terminal", "customer", "t")]
    return numpy.array(columns)[:, numpy.lexsort(columns)]


def test_fewer_days_are_the_same_payments_cut_off_earlier():
    end = 20 * DAY
    short, rows = (generate.genuine(*SLICE[:2], days, 0, None) for days in (20, 30))
    assert len(short["t"]) == (rows["t"] < end).sum()
    assert (in_full_order(short, end) == in_full_order(rows, end)).all()


def test_another_seed_is_another_set(rows):
    assert digest_of(generate.slice_of(*SLICE, seed=1)) != digest_of(rows)
    with pytest.raises(ValueError, match="4095"):
        generate.slice_of(*SLICE, seed=generate.SEED_MAX + 1)


def test_customers_without_terminals_pay_nothing():
    rows = generate.slice_of(50, 1, 10)
    assert set(rows["terminal"].tolist()) <= {0}
    assert len(set(rows["customer"].tolist())) < 50


def test_a_set_is_read_back_as_it_was_saved(rows, tmp_path):
    path = str(tmp_path / "rows.npz")
    generate.save(path, rows)
    assert digest_of(generate.load(path)) == digest_of(rows)
    assert os.listdir(tmp_path) == ["rows.npz"]


def command(name, *arguments):
    program = os.path.join(ROOT, "examples", "fraud", "data", name)
    return subprocess.run([sys.executable, "-B", program, *map(str, arguments)],
                          capture_output=True, text=True, check=False)


def test_the_commands_write_what_the_functions_give(rows, found, tmp_path):
    payments, vectors = tmp_path / "payments.npz", tmp_path / "features.npy"
    done = command("generate.py", "--customers", SLICE[0], "--terminals", SLICE[1], "--days",
                   SLICE[2], "--out", payments)
    assert f"{len(rows['t']):,} payments" in done.stdout and "300 of 300 customers" in done.stderr
    assert digest_of(generate.load(payments)) == digest_of(rows)
    done = command("features.py", "--in", payments, "--out", vectors)
    assert "15 features each" in done.stdout
    assert (numpy.load(vectors) == found).all()
    assert command("features.py", "--in", payments).returncode == 2  # would overwrite the whole


def test_a_cache_older_than_the_code_is_not_used(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    for path, when in (old, 1000), (new, 2000):
        path.touch()
        os.utime(path, (when, when))
    assert generate.is_newer(new, old)
    assert not generate.is_newer(old, new) and not generate.is_newer(new, old, new)
    assert not generate.is_newer(tmp_path / "none", old)


def test_features_fed_in_order_equal_rolling_windows(rows, found):
    assert worst_difference(rows, found) <= DIFFERENCE_MAX
    assert found[:, -1].max() > 0  # some terminal became risky


def test_the_same_second_counts_what_came_before():
    card = features.CardState()
    assert card.payment(1000, 10.0) == [1, 10, 1, 10, 1, 10]
    assert card.payment(1000, 20.0) == [2, 15, 2, 15, 2, 15]


def test_a_window_ends_on_the_second():
    card = features.CardState()
    card.payment(1000, 10.0)
    assert card.payment(1000 + DAY - 1, 20.0)[0] == 2
    assert card.payment(1000 + DAY, 30.0)[:4] == [2, 25, 3, 20]
    assert card.payment(1000 + 30 * DAY, 30.0)[4:] == [3, pytest.approx(80 / 3)]


def test_a_fraud_is_known_a_week_later_on_the_second():
    week = features.LABEL_DELAY
    terminal = features.TerminalState()
    assert terminal.payment(1000) == [0, 0, 0, 0, 0, 0]
    terminal.label(1000, 7)
    assert terminal.payment(1000 + week - 1) == [0, 0, 0, 0, 0, 0]
    assert terminal.payment(1000 + week) == [1, 1, 1, 1, 1, 1]
    assert terminal.payment(1000 + week + DAY) == [0, 0, 1, 1, 1, 1]
    assert terminal.payment(1000 + week + 30 * DAY) == [0, 0, 0, 0, 3, 0]


def test_labels_may_come_early_and_twice(rows, found):
    early = features.TerminalState()
    counts = numpy.bincount(rows["terminal"], weights=rows["fraud"])
    mine = numpy.flatnonzero(rows["terminal"] == counts.argmax()).tolist()
    for row in mine:
        if rows["fraud"][row]:
            early.label(int(rows["t"][row]), row)
            early.label(int(rows["t"][row]), row)
    for row in mine:
        assert early.payment(int(rows["t"][row])) == found[row, -6:].tolist()


def test_labels_are_published_before_whoever_may_use_them_and_not_earlier(rows):
    told = {}
    payments = []
    for kind, row in features.events(rows):
        if kind == "label":
            told[row] = len(payments)
        else:
            payments.append(row)
    assert payments == list(range(len(rows["t"])))
    assert all(rows["fraud"][row] for row in told)
    for row, before in told.items():
        first = int(rows["t"][before])
        assert first // DAY - rows["t"][row] // DAY >= 7
        assert before == 0 or rows["t"][before - 1] < rows["t"][row] + features.LABEL_DELAY
    day = int(rows["t"][-1]) // DAY
    assert len(told) == rows["fraud"][rows["t"] < (day - 6) * DAY].sum()


def test_a_state_goes_on_from_its_snapshot(rows):
    card, terminal = features.CardState(), features.TerminalState()
    again_card, again_terminal = card, terminal
    mine = numpy.flatnonzero(rows["customer"] == rows["customer"][0]).tolist()
    for row in mine:
        t, amount = int(rows["t"][row]), float(rows["amount"][row])
        again_card = features.CardState.restore(again_card.snapshot())
        again_terminal = features.TerminalState.restore(again_terminal.snapshot())
        if rows["fraud"][row]:
            terminal.label(t, row)
            again_terminal.label(t, row)
        assert card.payment(t, amount) == again_card.payment(t, amount)
        assert terminal.payment(t) == again_terminal.payment(t)
    assert len(card.times) < len(mine)  # what is too old was dropped


def test_a_late_payment_sees_its_own_time():
    card = features.CardState()
    for t in (0, 100, 300):
        card.payment(t, 1.0)
    assert card.payment(200, 1.0)[0] == 3
    assert card.payment(400, 1.0)[0] == 5


@long
def test_the_whole_set_is_the_published_one():
    rows = generate.slice_of(generate.WHOLE_CUSTOMERS, generate.WHOLE_TERMINALS,
                             generate.WHOLE_DAYS)
    assert digest_of(rows) == WHOLE_DIGEST
    assert len(rows["t"]) == generate.WHOLE_ROWS == 1754155
    assert int(rows["fraud"].sum()) == generate.WHOLE_FRAUDS == 14681
    assert float(rows["fraud"].mean()) == 0.008369271814634397


@long
def test_each_rule_adds_the_published_number_of_frauds():
    size = generate.WHOLE_CUSTOMERS, generate.WHOLE_TERMINALS
    rows = generate.genuine(*size, generate.WHOLE_DAYS, 0, None)
    assert generate.add_frauds(rows, *size, 0) == [978, 9099, 4604]


@long
def test_features_of_the_whole_set_equal_rolling_windows():
    rows = generate.whole_set(progress=None)
    assert worst_difference(rows, features.features_of(rows)) <= DIFFERENCE_MAX
