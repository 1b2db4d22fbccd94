"""Trains the fraud example's model, with the Fraud Detection Handbook's settings.

    build/wire/venv/bin/python examples/fraud/data/train.py [--out FILE.json]

Writes examples/fraud/model.json: 100 trees, as XGBoost saves them, features in the order of
features.FEATURES. The same payments give the same bytes, with any number of threads.

The handbook's XGBoost took each feature's every value as a possible split and began at a
probability of one half. Later versions have other defaults, so both are said here. Its scaling of
features is left out: trees ask which of two values is larger, and that does not change with scale.
"""
import argparse
import os

import xgboost

import features
import generate
import quality

SETTINGS = {"objective": "binary:logistic", "tree_method": "exact", "base_score": 0.5,
            "max_depth": 6, "eta": 0.3, "seed": 0, "nthread": quality.THREADS}
TREES = 100


def train_model(rows, found):
    """The trained booster, from features of the whole set."""
    learn, _ = quality.split(rows)
    data = xgboost.DMatrix(found[learn], label=rows["fraud"][learn],
                           feature_names=list(features.FEATURES))
    return xgboost.train(SETTINGS, data, num_boost_round=TREES)


def bytes_of(booster):
    return bytes(booster.save_raw(raw_format="json")) + b"\n"


def main():
    parser = argparse.ArgumentParser(description="Trains the fraud example's model.")
    parser.add_argument("--out", default=quality.MODEL)
    arguments = parser.parse_args()
    content = bytes_of(train_model(generate.whole_set(), features.whole_features()))
    with open(arguments.out + ".part", "wb") as file:
        file.write(content)
    os.replace(arguments.out + ".part", arguments.out)
    print(f"{TREES} trees in {len(content):,} bytes: {arguments.out}")


if __name__ == "__main__":
    main()
