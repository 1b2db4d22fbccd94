"""Makes the models of this folder with the XGBoost that is installed, and its scores of some rows:

    python make.py KIND...        writes <kind>-<XGBoost's version>.json and .rows

A line of .rows is a row and its score, as hexadecimal floats; nan is missing. Committed are models
of the versions whose files differ: 1.7, 2.1 and 3.2.
"""
import pathlib
import sys

import numpy
import xgboost

FEATURES = 4
ROWS = 24
TREES = {"max_depth": 3, "eta": 0.3, "nthread": 1, "seed": 7, "tree_method": "hist"}
KINDS = {
    "logistic": {"objective": "binary:logistic"},
    "logitraw": {"objective": "binary:logitraw"},
    "squared": {"objective": "reg:squarederror"},
    "poisson": {"objective": "count:poisson"},
    "dart": {"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.5},
    "classes": {"objective": "multi:softprob", "num_class": 3},
    "linear": {"objective": "binary:logistic", "booster": "gblinear", "tree_method": None},
    "categories": {"objective": "binary:logistic", "max_cat_to_onehot": 2},
}


def rows_of(rng, n):
    rows = rng.normal(size=(n, FEATURES)).astype(numpy.float32)
    rows[:, 3] = rng.integers(0, 6, n)
    rows[rng.random(rows.shape) < 0.15] = numpy.nan
    return rows


def label_of(kind, rows):
    total = numpy.nan_to_num(rows).sum(axis=1)
    if kind == "squared":
        return total
    if kind == "poisson":
        return numpy.floor(numpy.exp(total / 4))
    if kind == "classes":
        return numpy.digitize(total, [1, 3])
    return (total > 2.5).astype(int)


def make(kind):
    rng = numpy.random.default_rng(1)
    types = ["q", "q", "q", "c" if kind == "categories" else "q"]
    known = {"feature_types": types, "enable_categorical": True}
    rows, asked = rows_of(rng, 500), rows_of(rng, ROWS)
    params = {name: value for name, value in {**TREES, **KINDS[kind]}.items() if value is not None}
    model = xgboost.train(params, xgboost.DMatrix(rows, label=label_of(kind, rows), **known), 5)
    base = pathlib.Path(__file__).parent / f"{kind}-{xgboost.__version__}"
    text = model.save_raw("json").decode()
    base.with_suffix(base.suffix + ".json").write_text(text + "\n")
    scores = model.predict(xgboost.DMatrix(asked, **known))
    if scores.ndim > 1 or kind in ("linear", "categories"):
        return
    lines = [" ".join(float(x).hex() for x in [*row, score]) for row, score in zip(asked, scores)]
    base.with_suffix(base.suffix + ".rows").write_text("\n".join(lines) + "\n")


for each in sys.argv[1:]:
    make(each)
