"""What the Python workers share: arguments, records to send, one JSON object a line."""

import json
import os
import sys
import threading

talking = threading.Lock()


def say(**event):
    """One line, whole, whichever thread says it."""
    with talking:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()


def security():
    """How to log in, as clients.py's login says; {}: not at all."""
    return json.loads(os.environ.get("WIRE_SECURITY", "{}"))


def librdkafka_security():
    """The same as settings of librdkafka."""
    names = {
        "protocol": "security.protocol", "mechanism": "sasl.mechanism", "user": "sasl.username",
        "password": "sasl.password", "ca": "ssl.ca.location",
        "certificate": "ssl.certificate.location", "key": "ssl.key.location",
    }
    return {names[name]: value for name, value in security().items()}


def arguments():
    """-> (bootstrap, verb, {name: value})"""
    pairs = (arg.split("=", 1) for arg in sys.argv[3:])
    return sys.argv[1], sys.argv[2], dict(pairs)


def records_of(args):
    """The (key, value) pairs that produce sends; clients.py says what they look like."""
    start = int(args["start"])
    for index in range(start, start + int(args["count"])):
        yield f"{args['name']}-k{index}", f"{args['name']}-v{index} " + "0123456789" * 12


def text(data):
    return None if data is None else data.decode()


def input_end():
    """An event that is set when our input ends: the sign to leave."""
    ended = threading.Event()

    def watch():
        sys.stdin.read()
        ended.set()

    threading.Thread(target=watch, daemon=True).start()
    return ended


def main(verbs):
    bootstrap, verb, args = arguments()
    verbs[verb](bootstrap, args)
