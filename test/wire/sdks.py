"""Azure's and CloudEvents' SDKs, unmodified: JavaScript in a process of its own, Python in ours.

    js = JavaScript()
    js.call("publish", endpoint=..., key=..., schema="EventGrid", events=[...])     -> what it says
    js.call(...) raises SdkError with the SDK's own status and code
"""

import json
import os
import pathlib
import queue
import subprocess
import threading

from azure.core.credentials import AccessToken

from clients import SETUP

HERE = pathlib.Path(__file__).resolve().parent
CALL_S = 150  # a receive may wait for two minutes


class SdkError(Exception):
    """What the SDK threw."""

    def __init__(self, error):
        super().__init__(f"{error['name']} {error['status']} {error['code']}: {error['message']}")
        self.status, self.code, self.message = error["status"], error["code"], error["message"]


class JavaScript:
    """workers/eventgrid_worker.js: one call at a time."""

    def __init__(self):
        self.process = subprocess.Popen(
            [str(SETUP / "node/bin/node"), str(HERE / "workers/eventgrid_worker.js")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "WIRE_SETUP": str(SETUP)})
        self.answers = queue.Queue()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.answers.put(json.loads(line))
        self.answers.put(None)

    def begin(self, do, **arguments):
        """Sends a call without waiting for its answer."""
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()

    def answer(self):
        answer = self.answers.get(timeout=CALL_S)
        assert answer is not None, f"the worker ended with {self.process.wait()}"
        if "error" in answer:
            raise SdkError(answer["error"])
        return answer["ok"]

    def call(self, do, **arguments):
        self.begin(do, **arguments)
        return self.answer()

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)


class Anybody:
    """A token credential for the management SDKs: what it says is not looked at without users."""

    def get_token(self, *scopes, **options):
        return AccessToken("anybody", 4102444800)
