"""A function's worker for test_invoke.py, by Python's own http.server. It answers what it was
asked: method, path, header fields and body, as JSON; but by the header x-do:

    gate:PATH     when there is such a file; a line in PATH.began says that the call is there
    exit          it ends in the middle of the call
    garbage       no HTTP             half     half an answer
    large         9 MiB               teapot   418, with two cookies and a body of its own
    event         an event in binary mode
    gzip          a body that is compressed already
"""

import gzip
import http.server
import json
import os
import pathlib
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body, *fields):
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do(self, what, body):
        if what.startswith("gate:"):
            gate = pathlib.Path(what[5:])
            with open(f"{gate}.began", "a", encoding="utf-8") as began:
                began.write("call\n")
            while not gate.exists():
                time.sleep(0.005)
        if what == "exit":
            os._exit(3)
        elif what == "garbage":
            self.wfile.write(b"nonsense\r\n\r\n")
            self.close_connection = True
        elif what == "half":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            self.close_connection = True
        elif what == "large":
            self.answer(200, b"x" * (9 << 20))
        elif what == "teapot":
            self.answer(418, b"short and stout", ("set-cookie", "a=1"), ("set-cookie", "b=2"),
                        ("content-type", "text/plain"), ("x-own", "yes"))
        elif what == "event":
            self.answer(200, b'{"n": 2}', ("ce-specversion", "1.0"), ("ce-type", "doubled"),
                        ("ce-id", "2"), ("ce-source", "/me"), ("content-type", "application/json"))
        elif what == "gzip":
            self.answer(200, gzip.compress(b"x" * 5000), ("content-encoding", "gzip"),
                        ("content-type", "text/plain"))
        else:
            asked = {"method": self.command, "path": self.path, "body": body.decode(),
                     "headers": [[name.lower(), value] for name, value in self.headers.items()],
                     "pid": os.getpid()}
            self.answer(200, json.dumps(asked).encode(), ("content-type", "application/json"))

    def serve(self):
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        self.do(self.headers.get("x-do", ""), body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
