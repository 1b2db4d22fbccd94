"""A function's worker for test_functions.py and test_kill_functions.py: CloudEvents in batches, by
Python's own http.server. Each event is answered by one of type "done" with the same data and, as
"initial", its first letter, but:

    data begins with "poison"    the call is answered with 400
    data begins with "silent"    it is not answered
    data begins with "bad"       the answer is no CloudEvent

CRASH=N: once in N calls it ends in the middle of one. CALLS=PATH: a line for each event of a call,
"partition offset attempt data".
"""

import http.server
import json
import os
import random

CRASH = int(os.environ.get("CRASH", "0"))
CALLS = os.environ.get("CALLS")


def note(events):
    text = "".join(f"{event['weirpartition']} {event['weiroffset']} {event['weirattempt']} "
                   f"{event['data']}\n" for event in events)
    with open(CALLS, "a", encoding="utf-8") as file:
        file.write(text)


def reply(event):
    if event["data"].startswith("bad"):
        return {"type": "done"}
    return {"specversion": "1.0", "type": "done", "datacontenttype": "text/plain",
            "initial": event["data"][0], "data": event["data"]}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_POST(self):
        events = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if CALLS:
            note(events)
        if CRASH and random.randrange(CRASH) == 0:
            os._exit(1)
        poison = any(event["data"].startswith("poison") for event in events)
        answers = [reply(event) for event in events if not event["data"].startswith("silent")]
        body = json.dumps(answers).encode()
        self.send_response(400 if poison else 200)
        self.send_header("content-type", "application/cloudevents-batch+json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
