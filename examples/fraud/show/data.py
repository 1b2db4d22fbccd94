"""What the show plays: a slice of simulated payments, and the labels of their frauds."""
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "data"))

import features  # noqa: E402
import generate  # noqa: E402

START = 1522540800  # 2018-04-01, in Unix seconds
CUSTOMERS, TERMINALS = 1000, 2000
PAYMENTS_A_DAY = CUSTOMERS * 1.9


def time_of(t):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(START + t))


class Data:
    """Rows are numbered from 0, in order of time; tx_id is the row."""

    def __init__(self, folder, payments_min, seed=0):
        days = int(payments_min / PAYMENTS_A_DAY) + 2
        rows = generate.slice_of(CUSTOMERS, TERMINALS, days, seed)
        self.count = len(rows["t"])
        self.day = (rows["t"] // generate.DAY).tolist()
        self.fraud = rows["fraud"].tolist()
        self.terminal = rows["terminal"].tolist()
        self.customer = rows["customer"].tolist()
        self.times = [time_of(t) for t in rows["t"].tolist()]
        self.labels = self.labels_by_row(rows)
        self.payments_path = os.path.join(folder, "payments.jsonl")
        self.frauds_path = os.path.join(folder, "frauds.json")
        self.lines = [json.dumps(self.payment(row, amount))
                      for row, amount in enumerate(rows["amount"].tolist())]
        with open(self.payments_path, "w", encoding="utf-8") as file:
            file.write("\n".join(self.lines) + "\n")
        with open(self.frauds_path, "w", encoding="utf-8") as file:
            json.dump([row for row in range(self.count) if self.fraud[row]], file)

    def payment(self, row, amount):
        return {"tx_id": row, "time": self.times[row], "customer": self.customer[row],
                "terminal": self.terminal[row], "amount": amount, "currency": "EUR"}

    def label(self, row):
        """What is told a week later of a fraud."""
        return {"tx_id": row, "time": self.times[row], "terminal": self.terminal[row]}

    @staticmethod
    def labels_by_row(rows):
        """{row: the frauds whose labels are published before it}"""
        before, found = [], {}
        for kind, row in features.events(rows):
            if kind == "label":
                before.append(row)
            elif before:
                found[row], before = before, []
        return found

    def frauds_until(self, row):
        return sum(self.fraud[:row])
