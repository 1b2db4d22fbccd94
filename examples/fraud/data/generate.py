"""Card payments with frauds in them: the simulator of the Fraud Detection Handbook, again.

    build/venv/bin/python examples/fraud/data/generate.py [--customers N] [--terminals N]
        [--days N] [--seed N] [--out FILE.npz]

The parameters and the order of random draws are those that the handbook publishes in its chapter
3, "Transaction data simulator" (https://fraud-detection-handbook.github.io), so that the whole set
is the published one, number by number: 5,000 customers, 10,000 terminals, 183 days from 2018-04-01,
1,754,155 payments, of which 14,681 are frauds. README.md beside this file says how it comes about.

A set is a dict of arrays of equal length, in order of time; row i has tx_id i:

    tx_id     int64    0, 1, 2 ...
    t         int64    seconds since 2018-04-01 00:00:00
    customer  int32    the card, from 0
    terminal  int32    where it paid, from 0
    amount    float64  a number of cents, divided by 100
    fraud     int8     1 where the payment is one
    scenario  int8     by which rule of add_frauds it became one: 1, 2 or 3; else 0

Fewer days cut the same payments off earlier: the streams of chance are one per customer, from day
to day. Only the order within a second may differ, and the frauds near the cut, because rule 3 picks
among payments of 14 days.
"""
import argparse
import os
import random
import sys
import time

import numpy

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), *[".."] * 3))
CACHE = os.path.join(ROOT, "build", "fraud")

START_DATE = "2018-04-01"
DAY = 86400
WHOLE_CUSTOMERS, WHOLE_TERMINALS, WHOLE_DAYS = 5000, 10000, 183
WHOLE_ROWS, WHOLE_FRAUDS = 1754155, 14681

PLACE_MAX = 100  # customers and terminals stand in a square with sides of this length
RADIUS = 5  # and customers pay at terminals nearer than this
MEAN_AMOUNT = 5, 100
PER_DAY_MAX = 4
NOON, NOON_SPREAD = DAY / 2, 20000

AMOUNT_LIMIT = 220  # rule 1: whatever is above
TERMINALS_A_DAY, TERMINAL_DAYS = 2, 28  # rule 2: all payments at some terminals
CUSTOMERS_A_DAY, CUSTOMER_DAYS, CUSTOMER_SHARE, AMOUNT_FACTOR = 3, 14, 3, 5  # rule 3: 1 in 3

SEEDS_APART = 1 << 20  # more than there are customers, terminals or days
SEED_MAX = 4095  # legacy streams take 32 bits

TYPES = {"tx_id": numpy.int64, "t": numpy.int64, "customer": numpy.int32, "terminal": numpy.int32,
         "amount": numpy.float64, "fraud": numpy.int8, "scenario": numpy.int8}


def seed_of(seed, number):
    """The seed of stream `number`; with seed 0 the handbook's own."""
    if not 0 <= seed <= SEED_MAX:
        raise ValueError(f"seed {seed}: 0 to {SEED_MAX} are possible")
    return seed * SEEDS_APART + number


def customers_of(count, seed):
    """Rows of (x, y, mean amount, payments a day)."""
    low = numpy.array([0, 0, MEAN_AMOUNT[0], 0], dtype=float)
    high = numpy.array([PLACE_MAX, PLACE_MAX, MEAN_AMOUNT[1], PER_DAY_MAX], dtype=float)
    stream = numpy.random.RandomState(seed_of(seed, 0))
    return low + (high - low) * stream.random_sample((count, 4))


def terminals_of(count, seed):
    """Rows of (x, y)."""
    stream = numpy.random.RandomState(seed_of(seed, 1))
    return PLACE_MAX * stream.random_sample((count, 2))


class Map:
    """Which terminals are near a place, in order of their numbers.

    Terminals lie in squares as wide as the radius, so that nine of them hold all that is near.
    """

    def __init__(self, terminals):
        self.terminals = terminals
        self.squares = {}
        for number, square in enumerate((terminals // RADIUS).astype(int).tolist()):
            self.squares.setdefault(tuple(square), []).append(number)

    def near(self, place):
        column, row = (place // RADIUS).astype(int).tolist()
        around = [(x, y) for x in range(column - 1, column + 2) for y in range(row - 1, row + 2)]
        numbers = sorted(number for square in around for number in self.squares.get(square, ()))
        away = numpy.square(place - self.terminals[numbers])
        inside = numpy.sqrt(away[:, 0] + away[:, 1]) < RADIUS
        return [number for number, yes in zip(numbers, inside.tolist()) if yes]


def payments_of(profile, near, days, stream, choose):
    """One customer's (times, terminals, amounts), as lists in the order in which they are drawn.

    Numpy's stream gives counts, times and amounts, Python's choice terminals. What falls outside of
    its day is not paid, and draws nothing more.
    """
    _, _, mean, per_day = profile.tolist()
    spread = mean / 2
    count_of, normal, uniform = stream.poisson, stream.standard_normal, stream.random_sample
    times, terminals, amounts = [], [], []
    for midnight in range(0, days * DAY, DAY):
        for _ in range(count_of(per_day)):
            second = int(NOON + NOON_SPREAD * normal())
            if not 0 < second < DAY:
                continue
            amount = mean + spread * normal()
            if amount < 0:
                amount = mean * 2 * uniform()
            if near:
                times.append(midnight + second)
                terminals.append(choose(near))
                amounts.append(amount)
    return times, terminals, amounts


def order_of(t):
    """The handbook's order: by time, what is at the same second as pandas' sort leaves it.

    pandas sorts times as numpy's datetime64, whose sort is the same on every machine, while that of
    integers takes another way, with other ties, where the processor has wide registers.
    """
    return numpy.argsort(t.view("datetime64[s]"), kind="quicksort")


def genuine(customers, terminals, days, seed, progress):
    """The set before any fraud."""
    profiles = customers_of(customers, seed)
    place = Map(terminals_of(terminals, seed))
    stream, terminal_stream = numpy.random.RandomState(), random.Random()
    t, where, amount, count = [], [], [], []
    for number, profile in enumerate(profiles):
        stream.seed(seed_of(seed, number))  # in place: a new one takes longer than a month's draws
        terminal_stream.seed(seed_of(seed, number))
        rows = payments_of(profile, place.near(profile[:2]), days, stream, terminal_stream.choice)
        for column, values in zip((t, where, amount), rows):
            column.extend(values)
        count.append(len(rows[0]))
        if progress:
            progress(number + 1, customers)
    t = numpy.array(t, dtype=TYPES["t"])
    order = order_of(t)
    card = numpy.repeat(numpy.arange(customers, dtype=TYPES["customer"]), count)
    return {"tx_id": numpy.arange(len(t), dtype=TYPES["tx_id"]), "t": t[order],
            "customer": card[order], "terminal": numpy.array(where, TYPES["terminal"])[order],
            "amount": numpy.round(numpy.array(amount, TYPES["amount"])[order], 2),
            "fraud": numpy.zeros(len(t), TYPES["fraud"]),
            "scenario": numpy.zeros(len(t), TYPES["scenario"])}


def rows_hit(rows, column, count, day_count, keys, seed):
    """Yields (day, rows) for every day but the last: payments of its `keys` picks, and on.

    Picks as pandas' sample(n, random_state=day) does.
    """
    last = int(rows["t"][-1]) // DAY if len(rows["t"]) else 0
    starts = numpy.searchsorted(rows["t"], numpy.arange(last + day_count + 1) * DAY)
    for day in range(last):
        stream = numpy.random.RandomState(seed_of(seed, day))
        picked = stream.choice(count, size=min(keys, count), replace=False)
        first, end = starts[day], starts[day + day_count]
        yield day, first + numpy.flatnonzero(numpy.isin(rows[column][first:end], picked))


def add_frauds(rows, customers, terminals, seed):
    """Marks frauds by the three rules, in this order; returns how many each added."""
    def mark(where, scenario):
        rows["fraud"][where] = 1
        rows["scenario"][where] = scenario

    mark(rows["amount"] > AMOUNT_LIMIT, 1)
    sums = [int(rows["fraud"].sum())]
    for _, hit in rows_hit(rows, "terminal", terminals, TERMINAL_DAYS, TERMINALS_A_DAY, seed):
        mark(hit, 2)
    sums.append(int(rows["fraud"].sum()))
    for day, hit in rows_hit(rows, "customer", customers, CUSTOMER_DAYS, CUSTOMERS_A_DAY, seed):
        picked = random.Random(seed_of(seed, day)).sample(hit.tolist(), len(hit) // CUSTOMER_SHARE)
        rows["amount"][picked] *= AMOUNT_FACTOR
        mark(picked, 3)
    sums.append(int(rows["fraud"].sum()))
    return [sums[0], sums[1] - sums[0], sums[2] - sums[1]]


def slice_of(customers, terminals, days, seed=0, progress=None):
    """A set of that size, made anew: see the top of this file. progress(done, all) if given."""
    rows = genuine(customers, terminals, days, seed, progress)
    add_frauds(rows, customers, terminals, seed)
    return rows


def show_progress(done, total):
    """On a terminal a line that counts customers; elsewhere one line at the start of each fifth."""
    step = 50 if sys.stderr.isatty() else max(total // 5, 1)
    if done % step == 0 or done == total:
        text = f"generating payments: {done:,} of {total:,} customers"
        end = "\n" if done == total or not sys.stderr.isatty() else ""
        print(("\r" if sys.stderr.isatty() else "") + text, end=end, file=sys.stderr, flush=True)


def save(path, rows):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    unfinished = path + ".part.npz"
    numpy.savez_compressed(unfinished, **rows)
    os.replace(unfinished, path)


def load(path):
    with numpy.load(path) as file:
        return {name: file[name] for name in TYPES}


def is_newer(path, *sources):
    """Whether path was written after all sources: if not, their code may have changed since."""
    return os.path.exists(path) and all(
        os.path.getmtime(source) < os.path.getmtime(path) for source in sources)


def path_of(customers, terminals, days, seed=0):
    return os.path.join(CACHE, f"payments-{customers}-{terminals}-{days}-{seed}.npz")


def whole_set(progress=show_progress):
    """All 1,754,155 payments; from build/fraud when this file has made them before."""
    size = WHOLE_CUSTOMERS, WHOLE_TERMINALS, WHOLE_DAYS
    if is_newer(path_of(*size), __file__):
        return load(path_of(*size))
    rows = slice_of(*size, progress=progress)
    save(path_of(*size), rows)
    return rows


def main():
    parser = argparse.ArgumentParser(description="Makes card payments with frauds in them.")
    parser.add_argument("--customers", type=int, default=WHOLE_CUSTOMERS)
    parser.add_argument("--terminals", type=int, default=WHOLE_TERMINALS)
    parser.add_argument("--days", type=int, default=WHOLE_DAYS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="by default in build/fraud, named by the numbers")
    arguments = parser.parse_args()
    size = arguments.customers, arguments.terminals, arguments.days, arguments.seed
    started = time.monotonic()
    rows = slice_of(*size, show_progress)
    out = arguments.out or path_of(*size)
    save(out, rows)
    count, frauds = len(rows["t"]), int(rows["fraud"].sum())
    print(f"{count:,} payments, {frauds:,} frauds ({frauds / max(count, 1):.4%}) in "
          f"{time.monotonic() - started:.1f} s: {out}")


if __name__ == "__main__":
    main()
