"""The fraud example's features by pandas' rolling windows, as the Fraud Detection Handbook has it.

Slow and independent of examples/fraud/data/features.py, which is compared with it. The one choice
of its own: payments of one key at the same second stand in order of tx_id, where the handbook sorts
each key again and leaves such payments in whichever order that gives.
"""
import pandas

WINDOWS = 1, 7, 30
DELAY = 7


def frame_of(rows):
    frame = pandas.DataFrame(rows)
    frame["when"] = pandas.to_datetime(frame["t"], unit="s", origin="2018-04-01")
    return frame


def rolling(frame, key, column, days):
    """Sum and count of column over the days before each row, by key; in order of tx_id."""
    by_key = frame.sort_values([key, "tx_id"])
    windows = by_key.groupby(key).rolling(f"{days}D", on="when")[column]
    both = pandas.DataFrame({"sum": windows.sum().to_numpy(), "count": windows.count().to_numpy()},
                            index=by_key["tx_id"])
    return both.sort_index()


def card_features(frame):
    for days in WINDOWS:
        window = rolling(frame, "customer", "amount", days)
        yield f"CUSTOMER_ID_NB_TX_{days}DAY_WINDOW", window["count"]
        yield f"CUSTOMER_ID_AVG_AMOUNT_{days}DAY_WINDOW", window["sum"] / window["count"]


def terminal_features(frame):
    recent = rolling(frame, "terminal", "fraud", DELAY)
    for days in WINDOWS:
        window = rolling(frame, "terminal", "fraud", DELAY + days) - recent
        yield f"TERMINAL_ID_NB_TX_{days}DAY_WINDOW", window["count"]
        yield f"TERMINAL_ID_RISK_{days}DAY_WINDOW", (window["sum"] / window["count"]).fillna(0)


def reference_features(rows):
    """A frame with one column a feature, in the order of the handbook's input_features."""
    frame = frame_of(rows)
    found = {"TX_AMOUNT": frame["amount"],
             "TX_DURING_WEEKEND": (frame["when"].dt.weekday >= 5).astype(int),
             "TX_DURING_NIGHT": (frame["when"].dt.hour <= 6).astype(int)}
    found.update(card_features(frame))
    found.update(terminal_features(frame))
    return pandas.DataFrame(found)
