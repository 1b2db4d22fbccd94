"""Publishes payments with Azure Event Grid's own SDK, unchanged.

    publish_eventgrid.py PAYMENTS.jsonl ENDPOINT PART PARTS

Reads "FIRST END" from standard input, sends the payments of these lines of the file whose card is
in its part, and prints the same when weir has acknowledged all of them. What was not acknowledged
is sent again: weir drops what it has already.
"""
import json
import sys
import time

from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import AzureError
from azure.eventgrid import EventGridEvent, EventGridPublisherClient

EVENTS_A_CALL = 50
PAUSE_SECONDS = 0.2

path, endpoint, part, parts = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    payments = [json.loads(line) for line in file]
client = EventGridPublisherClient(endpoint, AzureKeyCredential("any-key"), retry_total=0)


def event_of(payment):
    return EventGridEvent(id=str(payment["tx_id"]), subject=f"cards/{payment['customer']}",
                          event_type="Payment.Made", data_version="1.0",
                          data={**payment, "sent": time.time() * 1000})


def send(events):
    while True:
        try:
            client.send(events)
            return
        except AzureError as error:
            print(f"sent again: {error}", file=sys.stderr)
            time.sleep(PAUSE_SECONDS)


for line in sys.stdin:
    first, end = map(int, line.split())
    mine = [payment for payment in payments[first:end]
            if payment["customer"] % int(parts) == int(part)]
    for at in range(0, len(mine), EVENTS_A_CALL):
        send([event_of(payment) for payment in mine[at:at + EVENTS_A_CALL]])
    print(first, end, flush=True)
