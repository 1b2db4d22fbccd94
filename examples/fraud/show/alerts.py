"""The alert webhook's other end: counts the rejected payments that weir posts."""
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Alerts:
    def __init__(self):
        alerts = self
        self.lock = threading.Lock()
        self.payments = set()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                alerts.take(json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, events):
        with self.lock:
            self.payments.update(event["data"]["tx_id"] for event in events)

    def count(self):
        with self.lock:
            return len(self.payments)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
