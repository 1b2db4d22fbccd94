"""A webhook receiver that does as its script says, on raw sockets.

A request's body names the event: NAME, or what comes before the first blank. An event is answered
by the actions of its script, one an attempt, and by 200 when they are used up:

    204                 that status, with a short body
    "reset"             RST after the request was read
    "close"             the connection ends without an answer
    "silent"            no answer, until the client gives up
    "slow body"         a head that says 200, and a part of the body; then nothing
    "cut body"          the same, and the connection ends
    "endless body"      200 and a body without end
    "garbage"           what is no HTTP
    "redirect"          302 to /trap of the same server, where nobody should come
    "busy"              503 with Retry-After: 0
    "continue"          100 Continue, then 200

What came is in `seen`: (path, name, action, headers), in the order of its arrival.
"""

import re
import socket
import ssl
import struct
import threading

BODY_MAX = 1 << 20


def reset(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def until_closed(conn):
    """The client has had enough."""
    try:
        while conn.recv(4096):
            pass
    except OSError:
        pass
    conn.close()


def status(conn, code, more="", body="so it goes"):
    conn.sendall(f"HTTP/1.1 {code} So\r\n{more}Content-Length: {len(body)}\r\n\r\n{body}".encode())


class Hook:
    """Listens until close(). scripts: name of an event -> list of actions. handshake: the statuses
    with which Event Grid's validation events are answered, with what answer(body) says."""

    def __init__(self, scripts=None, certificate=None, handshake=(), answer=None):
        self.handshake, self.validation = list(handshake), answer
        self.scripts = {name: list(actions) for name, actions in (scripts or {}).items()}
        self.seen, self.lock = [], threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.open = 0  # connections that are not read to their end
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def url(self, path="/", host="127.0.0.1"):
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{path}"

    def close(self):
        self.listener.close()

    def accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.open += 1
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn):
        try:
            if self.tls:
                conn = self.tls.wrap_socket(conn, server_side=True)
            while self.answer(conn):
                pass
        except (OSError, ValueError):
            conn.close()
        finally:
            with self.lock:
                self.open -= 1
                self.changed.notify_all()

    def await_end(self, seconds=60):
        """All that a client sent which is dead by now was read. The last connection in the queue is
        our own."""
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            last.sendall(b"OPTIONS / HTTP/1.1\r\n\r\n")
            assert last.recv(4096)
        with self.changed:
            assert self.changed.wait_for(lambda: self.open == 0, timeout=seconds), self.open

    def read(self, conn):
        """-> (method, path, headers, body), None at the end of the connection."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = conn.recv(65536)
            if not more:
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip()
                   for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", 0))
        assert length <= BODY_MAX
        while len(body) < length:
            more = conn.recv(65536)
            if not more:
                return None
            body += more
        method, path, _ = lines[0].split(" ")
        return method, path, headers, body.decode()

    def action_of(self, path, name, headers):
        with self.lock:
            script = self.scripts.get(name, [])
            action = script.pop(0) if script else 200
        self.note(path, name, action, headers)
        return action

    def note(self, path, name, action, headers):
        with self.changed:
            self.seen.append((path, name, action, headers))
            self.changed.notify_all()

    def answer(self, conn):
        """One request; false: the connection is over."""
        request = self.read(conn)
        if request is None:
            conn.close()
            return False
        method, path, headers, body = request
        if method == "OPTIONS":
            status(conn, 200)
            return True
        if headers.get("aeg-event-type") == "SubscriptionValidation":
            code = self.handshake.pop(0)
            self.note(path, "validation", code, headers)
            status(conn, code, body=self.validation(body))
            return True
        name = re.split(r"\s", body, maxsplit=1)[0]
        return self.act(conn, self.action_of(path, name, headers))

    def act(self, conn, action):
        if isinstance(action, int):
            status(conn, action)
        elif action == "busy":
            status(conn, 503, "Retry-After: 0\r\n")
        elif action == "redirect":
            status(conn, 302, f"Location: {self.url('/trap')}\r\n")
        elif action == "continue":
            conn.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            status(conn, 200)
        else:
            self.fail(conn, action)
            return False
        return True

    def fail(self, conn, action):
        if action == "reset":
            reset(conn)
        elif action == "close":
            conn.close()
        elif action == "silent":
            until_closed(conn)
        elif action == "garbage":
            conn.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            conn.close()
        elif action in ("slow body", "cut body"):
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\npart")
            (until_closed if action == "slow body" else socket.socket.close)(conn)
        elif action == "endless body":
            conn.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                conn.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        else:
            raise AssertionError(f"no such action: {action}")

    def of(self, name):
        with self.lock:
            return [action for _, seen, action, _ in self.seen if seen == name]

    def deliveries_of(self, name):
        """The numbers of the attempts. A kept connection that ends without an answer may make the
        client send the same attempt once more, over a fresh one."""
        with self.lock:
            return {int(headers["weir-delivery"]) for _, seen, _, headers in self.seen
                    if seen == name}

    def await_seen(self, what, seconds=60):
        """Until what(self.seen) holds."""
        with self.changed:
            done = self.changed.wait_for(lambda: what(self.seen), timeout=seconds)
        assert done, f"not what was awaited in {seconds} s; the last: {self.seen[-5:]}"

    def await_names(self, names, seconds=60):
        wanted = set(names)
        self.await_seen(lambda seen: wanted <= {name for _, name, _, _ in seen}, seconds)
