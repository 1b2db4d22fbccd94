"""What a model looks at: 15 features of a payment, kept up to date event by event.

    build/venv/bin/python examples/fraud/data/features.py [--in FILE.npz] [--out FILE.npy]

This is the specification that runs: workers in any language give the same numbers for the same
events in the same order. README.md beside this file says the same in words.

    CardState       one card's payments of 30 days: 6 features
    TerminalState   one terminal's payments and known frauds of 37 days: 6 features
    vector          those, the amount and the clock, in the order of FEATURES
    events          a set as it is published: payments, and labels when they become known

A state belongs to one key and sees its events in the order of its queue. Times are whole seconds
since 2018-04-01 00:00:00, a Sunday. A window of N days of a payment at t is (t - N days, t]: what
is N days old to the second is out of it, the payment itself is in it, and of payments at the same
second those that came before. A terminal's windows end a week earlier, because only then is it
known what was fraud: (t - 7 days - N days, t - 7 days].
"""
import argparse
import os
import time
from bisect import bisect_right

import numpy

import generate

WHOLE = os.path.join(generate.CACHE, "features.npy")  # of the whole set

DAY = generate.DAY
WINDOWS = 1, 7, 30  # days
LABEL_DELAY = 7 * DAY  # how long after a payment it is known whether it was fraud
CARD_KEEP = WINDOWS[-1] * DAY
TERMINAL_KEEP = CARD_KEEP + LABEL_DELAY
TRIM_MIN = 32  # so many old entries are dropped at once
WEEKEND = 0, 6  # days since a Sunday, modulo 7
NIGHT_END = 7 * 3600  # the handbook's night is hours 0 to 6, all of 6 included

FEATURES = (
    "TX_AMOUNT", "TX_DURING_WEEKEND", "TX_DURING_NIGHT",
    *(f"CUSTOMER_ID_{what}_{days}DAY_WINDOW"
      for days in WINDOWS for what in ("NB_TX", "AVG_AMOUNT")),
    *(f"TERMINAL_ID_{what}_{days}DAY_WINDOW"
      for days in WINDOWS for what in ("NB_TX", "RISK")))


def cents_of(amount):
    """Amounts are whole cents; sums of cents are exact, in whichever order."""
    return round(amount * 100)


class CardState:
    """The payments of one card in the last 30 days, by time."""

    def __init__(self):
        self.times = []
        self.cents = []

    def payment(self, t, amount):
        """Takes a payment in; returns (count, average amount) for 1, 7 and 30 days, flat."""
        times, cents = self.times, self.cents
        end = bisect_right(times, t)  # where it goes: at the end, unless it comes late
        times.insert(end, t)
        cents.insert(end, cents_of(amount))
        found = []
        for days in WINDOWS:
            first = bisect_right(times, t - days * DAY)
            count = end + 1 - first
            found += count, sum(cents[first:end + 1]) / (100 * count)
        self.trim(times[-1] - CARD_KEEP)
        return found

    def trim(self, until):
        old = bisect_right(self.times, until)
        if old >= TRIM_MIN:
            del self.times[:old], self.cents[:old]

    def snapshot(self):
        """The state as lists of numbers, for JSON; restore() takes it back."""
        return [self.times, self.cents]

    @classmethod
    def restore(cls, lists):
        state = cls()
        state.times, state.cents = map(list, lists)
        return state


class TerminalState:
    """The payments at one terminal in the last 37 days, and which of them are known as frauds."""

    def __init__(self):
        self.times = []
        self.fraud_times = []
        self.fraud_ids = []  # of the same frauds

    def payment(self, t):
        """Takes a payment in; returns (count, share of frauds) for 1, 7 and 30 days, flat.

        The share is 0 where there was no payment.
        """
        times, frauds = self.times, self.fraud_times
        times.insert(bisect_right(times, t), t)
        known = t - LABEL_DELAY
        end, fraud_end = bisect_right(times, known), bisect_right(frauds, known)
        found = []
        for days in WINDOWS:
            first = bisect_right(times, known - days * DAY)
            count, bad = end - first, 0
            if count and fraud_end:
                bad = fraud_end - bisect_right(frauds, known - days * DAY)
            found += count, bad / count if bad else 0.0
        self.trim(times[-1] - TERMINAL_KEEP)
        return found

    def label(self, t, tx_id):
        """The payment tx_id, made at t, was fraud. A second time changes nothing.

        It may come early: windows end a week before their payment, whatever is known by then.
        """
        first, end = bisect_right(self.fraud_times, t - 1), bisect_right(self.fraud_times, t)
        if tx_id not in self.fraud_ids[first:end]:
            self.fraud_times.insert(end, t)
            self.fraud_ids.insert(end, tx_id)

    def trim(self, until):
        old = bisect_right(self.times, until)
        if old >= TRIM_MIN:
            del self.times[:old]
            old = bisect_right(self.fraud_times, until)
            del self.fraud_times[:old], self.fraud_ids[:old]

    def snapshot(self):
        return [self.times, self.fraud_times, self.fraud_ids]

    @classmethod
    def restore(cls, lists):
        state = cls()
        state.times, state.fraud_times, state.fraud_ids = map(list, lists)
        return state


def clock_features(t):
    """[1 on a weekend, 1 at night]"""
    return [int(t // DAY % 7 in WEEKEND), int(t % DAY < NIGHT_END)]


def vector(t, amount, card, terminal):
    """The 15 features in order, from what the two states returned."""
    return [amount, *clock_features(t), *card, *terminal]


def events(rows):
    """Yields ("payment", row) for all rows and ("label", row) for frauds, as they are published.

    The frauds of a day are published a week later, all together, before the first payment of that
    day: no payment of day D may use a label of a day after D - 7, and each may use all before.
    """
    days = (rows["t"] // DAY).tolist()
    frauds = numpy.flatnonzero(rows["fraud"]).tolist()
    told = 0
    for row, day in enumerate(days):
        while told < len(frauds) and days[frauds[told]] <= day - LABEL_DELAY // DAY:
            yield "label", frauds[told]
            told += 1
        yield "payment", row


def features_of(rows):
    """The features of a whole set, an array of shape (payments, 15), by feeding its events."""
    t, amount = rows["t"].tolist(), rows["amount"].tolist()
    customer, terminal = rows["customer"].tolist(), rows["terminal"].tolist()
    cards = [CardState() for _ in range(max(customer, default=-1) + 1)]
    terminals = [TerminalState() for _ in range(max(terminal, default=-1) + 1)]
    found = numpy.empty((len(t), len(FEATURES)))
    for kind, row in events(rows):
        when, place = t[row], terminals[terminal[row]]
        if kind == "label":
            place.label(when, row)
            continue
        found[row] = vector(when, amount[row], cards[customer[row]].payment(when, amount[row]),
                            place.payment(when))
    return found


def save(path, found):
    numpy.save(path + ".part.npy", found)
    os.replace(path + ".part.npy", path)


def whole_features():
    """The features of the whole set; from build/fraud when this file has made them before."""
    if generate.is_newer(WHOLE, __file__, generate.__file__):
        return numpy.load(WHOLE)
    found = features_of(generate.whole_set())
    save(WHOLE, found)
    return found


def main():
    parser = argparse.ArgumentParser(description="Computes the features of a set of payments.")
    parser.add_argument("--in", dest="source", help="a set by generate.py; default: the whole")
    parser.add_argument("--out", help="default: build/fraud/features.npy, for the whole set only")
    arguments = parser.parse_args()
    if arguments.source and not arguments.out:
        parser.error("--in needs --out")
    out = arguments.out or WHOLE
    rows = generate.load(arguments.source) if arguments.source else generate.whole_set()
    started = time.monotonic()
    found = features_of(rows)
    save(out, found)
    print(f"{len(found):,} payments, {len(FEATURES)} features each, in "
          f"{time.monotonic() - started:.1f} s: {out}")


if __name__ == "__main__":
    main()
