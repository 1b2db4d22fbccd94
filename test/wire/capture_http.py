"""Records what real HTTP clients send: golden-http/CLIENT-WHAT.bin, one request a file.

    python capture_http.py [FOLDER]

A server that answers 202 to everything keeps the bytes of each connection's first request. The
files are kept in the repository: test/unit/front/http and the fuzz target of connections read them.
"""

import pathlib
import socket
import subprocess
import sys
import threading

import cloudevents.conversion
import cloudevents.http
import requests

import test_http

ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Recorder:
    def __init__(self, folder):
        self.folder = folder
        self.server = socket.create_server(("127.0.0.1", 0))
        self.base = "http://127.0.0.1:%d" % self.server.getsockname()[1]

    def take(self, name):
        """The next connection's bytes become NAME.bin."""
        sock, _ = self.server.accept()
        data = b""
        while not self.is_whole(data):
            data += sock.recv(65536)
            if b"100-continue" in data.lower() and data.endswith(b"\r\n\r\n"):
                sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        sock.sendall(ANSWER)
        sock.close()
        # Ports differ from run to run.
        data = data.replace(self.base.encode()[7:], b"127.0.0.1:8080")
        (self.folder / f"{name}.bin").write_bytes(data)

    @staticmethod
    def is_whole(data):
        head, end, body = data.partition(b"\r\n\r\n")
        if not end:
            return False
        fields = head.lower()
        if b"transfer-encoding: chunked" in fields:
            return body.endswith(b"0\r\n\r\n")
        at = fields.find(b"content-length: ")
        return at < 0 or len(body) >= int(fields[at + 16:].split(b"\r\n")[0])

    def record(self, name, client):
        thread = threading.Thread(target=self.take, args=(name,))
        thread.start()
        client(self.base + "/topics/golden")
        thread.join(10)
        assert not thread.is_alive(), name


def curl(*arguments, data=None):
    return lambda url: subprocess.run(["curl", "-sS", *arguments, url], input=data, check=True,
                                      capture_output=True)


def python_sdk(convert):
    sent = cloudevents.http.CloudEvent({"type": "t", "source": "/s", "id": "1"}, {"n": 1})
    headers, body = convert(sent)
    return lambda url: requests.post(url, headers=headers, data=body, timeout=10)


def quietly(run):
    """The SDKs of Node.js and Go may not like the plain answer; what they sent counts."""
    def client(url):
        try:
            run(url)
        except AssertionError:
            pass
    return client


CLIENTS = {
    "curl-get": curl(),
    "curl-post": curl("-d", '{"a": 1}'),
    "curl-chunked": curl("-H", "Transfer-Encoding: chunked", "--data-binary", "@-",
                         data=b"x" * 100),
    "curl-expect": curl("-H", "Expect: 100-continue", "-d", "hello"),
    "curl-binary": curl("-H", "ce-specversion: 1.0", "-H", "ce-id: 1", "-H", "ce-type: t", "-H",
                        "ce-source: /s", "-H", "Content-Type: text/plain", "-d", "hello"),
    "curl-tail": curl("-N", "-H", "Accept: text/event-stream"),
    "requests-get": lambda url: requests.get(url, params={"max": 5}, timeout=10),
    "requests-post": lambda url: requests.post(url, json={"a": 1}, timeout=10),
    "requests-chunked": lambda url: requests.post(url, data=iter([b"ab", b"c"]), timeout=10),
    "python-sdk-binary": python_sdk(cloudevents.conversion.to_binary),
    "python-sdk-structured": python_sdk(cloudevents.conversion.to_structured),
    "node-fetch": quietly(lambda url: test_http.node("post", url, "from node")),
    "node-sdk-binary": quietly(lambda url: test_http.node("send", url, "binary", "1")),
    "node-sdk-structured": quietly(lambda url: test_http.node("send", url, "structured", "1")),
    "go-net-http": quietly(lambda url: test_http.go("post", url, "from go")),
    "go-sdk-binary": quietly(lambda url: test_http.go("send", url, "binary", 1)),
    "go-sdk-structured": quietly(lambda url: test_http.go("send", url, "structured", 1)),
    "go-sdk-batch": quietly(lambda url: test_http.go("batch", url, 3)),
}


def main():
    here = pathlib.Path(__file__).parent
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "golden-http"
    folder.mkdir(exist_ok=True)
    recorder = Recorder(folder)
    for name, client in CLIENTS.items():
        recorder.record(name, client)


if __name__ == "__main__":
    main()
