"""How good scores are, measured as the Fraud Detection Handbook measures them.

    build/wire/venv/bin/python examples/fraud/data/quality.py [--model FILE.json]
    build/wire/venv/bin/python examples/fraud/data/quality.py --scores FILE.npy

Prints a table for the model file, for a random forest trained here beside it, and for what needs no
model; or for the scores in a file, one a payment of the whole set, whoever computed them. Makes the
whole set and its features first where build/fraud does not have them.

Models learn from the week of 2018-07-25 and are judged on that of 2018-08-08: what a week has
shown to be fraud is known a week after it. Cards that are known by then are not judged any more.
"""
import argparse
import os

import numpy
import sklearn.ensemble
import sklearn.metrics
import xgboost

import features
import generate

MODEL = os.path.join(generate.ROOT, "examples", "fraud", "model.json")
TRAIN_DAY = 115  # 2018-07-25
WEEK = 7
TEST_DAY = TRAIN_DAY + 2 * WEEK  # a week to learn from, a week of delay
CARDS_A_DAY = 100  # as many as investigators look at
THRESHOLD = 0.5
THREADS = 2

# What the handbook's chapter 3 reports: AUC ROC, average precision, card precision@100.
PUBLISHED = {"XGBoost": (0.862, 0.639, 0.273), "random forest": (0.867, 0.658, 0.287)}


def split(rows):
    """(rows to learn from, rows to be judged), as indexes."""
    day, fraud, customer = rows["t"] // generate.DAY, rows["fraud"] == 1, rows["customer"]
    train = numpy.flatnonzero((day >= TRAIN_DAY) & (day < TRAIN_DAY + WEEK))
    known = set(customer[train][fraud[train]].tolist())
    judged = []
    for number in range(WEEK):
        known.update(customer[fraud & (day == TRAIN_DAY + WEEK + number - 1)].tolist())
        today = numpy.flatnonzero(day == TEST_DAY + number)
        judged.append(today[~numpy.isin(customer[today], sorted(known))])
    return train, numpy.concatenate(judged)


def card_precision(day, customer, fraud, scores):
    """Of the CARDS_A_DAY cards with the highest score of each day, the share that were defrauded.

    A card that is found is blocked: it is not looked at on later days. Equal scores rank by card.
    """
    found, shares = set(), []
    for today in numpy.unique(day):
        highest, defrauded = {}, {}
        for row in numpy.flatnonzero(day == today).tolist():
            card = int(customer[row])
            if card not in found:
                highest[card] = max(highest.get(card, 0), scores[row])
                defrauded[card] = defrauded.get(card, False) or bool(fraud[row])
        top = sorted(highest, key=lambda card: (-highest[card], card))[:CARDS_A_DAY]
        hits = [card for card in top if defrauded[card]]
        found.update(hits)
        shares.append(len(hits) / CARDS_A_DAY)
    return float(numpy.mean(shares))


def alarms_for(fraud, scores, hits):
    """How many genuine payments score at least as high as the hits-th fraud."""
    limit = numpy.sort(scores[fraud])[-hits]
    return int((scores[~fraud] >= limit).sum())


class Quality:
    """What scores of the judged payments are worth; the names are those of the table."""

    def __init__(self, rows, judged, scores):
        fraud = rows["fraud"][judged] == 1
        amount = rows["amount"][judged]
        alarm = scores > THRESHOLD
        self.auc = float(sklearn.metrics.roc_auc_score(fraud, scores))
        self.average_precision = float(sklearn.metrics.average_precision_score(fraud, scores))
        self.card_precision = card_precision(rows["t"][judged] // generate.DAY,
                                             rows["customer"][judged], fraud, scores)
        self.accuracy = float((alarm == fraud).mean())
        self.caught = int((alarm & fraud).sum())
        self.false_alarms = int((alarm & ~fraud).sum())
        rule = amount > generate.AMOUNT_LIMIT
        self.rule_caught = int((rule & fraud).sum())
        self.rule_false_alarms = int((rule & ~fraud).sum())
        self.false_alarms_as_rule = alarms_for(fraud, scores, self.rule_caught)
        self.amount_false_alarms = alarms_for(fraud, amount, self.caught) if self.caught else 0
        self.frauds, self.judged = int(fraud.sum()), len(judged)

    def three(self):
        return self.auc, self.average_precision, self.card_precision


def scores_of_model(path, found):
    booster = xgboost.Booster(model_file=path)
    return booster.predict(xgboost.DMatrix(found, feature_names=list(features.FEATURES)))


def scores_of_forest(rows, found, train, judged):
    forest = sklearn.ensemble.RandomForestClassifier(random_state=0, n_jobs=THREADS)
    forest.fit(found[train], rows["fraud"][train])
    return forest.predict_proba(found[judged])[:, 1]


def print_table(results):
    print("| | AUC | average precision | card precision@100 | accuracy | frauds caught "
          "| false alarms |")
    print("|---|---|---|---|---|---|---|")
    for name, quality in results.items():
        print(f"| {name} | {quality.auc:.3f} | {quality.average_precision:.3f} "
              f"| {quality.card_precision:.3f} | {quality.accuracy:.2%} "
              f"| {quality.caught} of {quality.frauds} | {quality.false_alarms} |")
        if name in PUBLISHED:
            print(f"| {name}, as published | {' | '.join(map('{:.3f}'.format, PUBLISHED[name]))} "
                  "| | | |")
    rule = next(iter(results.values()))
    nothing = 1 - rule.frauds / rule.judged
    accuracy = nothing + (rule.rule_caught - rule.rule_false_alarms) / rule.judged
    print(f"| the rule amount > {generate.AMOUNT_LIMIT} | | | | {accuracy:.2%} "
          f"| {rule.rule_caught} of {rule.frauds} | {rule.rule_false_alarms} |")
    print(f"| do nothing | | | | {nothing:.2%} | 0 of {rule.frauds} | 0 |")


def print_equal_recall(results):
    for name, quality in results.items():
        print(f"{name}: {quality.false_alarms_as_rule} false alarms to catch the "
              f"{quality.rule_caught} that the rule catches; {quality.false_alarms} to catch "
              f"{quality.caught}, for which a rule on the amount raises "
              f"{quality.amount_false_alarms:,}")


def main():
    parser = argparse.ArgumentParser(description="Judges scores of the handbook's test week.")
    parser.add_argument("--model", default=MODEL, help="a model file of XGBoost, JSON")
    parser.add_argument("--scores", help="an array of scores, one a payment of the whole set")
    arguments = parser.parse_args()
    rows = generate.whole_set()
    train, judged = split(rows)
    if arguments.scores:
        scores = numpy.load(arguments.scores)[judged]
        results = {os.path.basename(arguments.scores): Quality(rows, judged, scores)}
    else:
        found = features.whole_features()
        forest = scores_of_forest(rows, found, train, judged)
        scores = scores_of_model(arguments.model, found[judged])
        results = {"XGBoost": Quality(rows, judged, scores),
                   "random forest": Quality(rows, judged, forest)}
    first = next(iter(results.values()))
    print(f"{first.judged:,} payments judged, {first.frauds} of them frauds; an alarm is a score "
          f"above {THRESHOLD}\n")
    print_table(results)
    print()
    print_equal_recall(results)


if __name__ == "__main__":
    main()
