"""A receiver of webhooks on this machine, which keeps what it gets."""

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self


class Received(NamedTuple):
    path: str
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.text)

    @property
    def event(self) -> str:
        return f"{self.body['entity']}.{self.body['action']}"

    @property
    def delivery_id(self) -> str:
        return self.headers["X-MLflow-Delivery-Id"]

    def is_signed_with(self, secret: str) -> bool:
        signed = f"{self.delivery_id}.{self.headers['X-MLflow-Timestamp']}.{self.text}"
        digest = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
        return self.headers.get("X-MLflow-Signature") == "v1," + base64.b64encode(digest).decode()


class Receiver:
    """Answers each POST with `status`; a `with` block ends it."""

    def __init__(self, port: int = 0, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.headers = headers or {}
        self.received: list[Received] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                outer.received.append(Received(self.path, dict(self.headers), text))
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"thanks")

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._httpd = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port: int = self._httpd.server_port
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._thread = threading.Thread(target=self._httpd.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def wait_for(self, count: int, seconds: float = 30) -> list[Received]:
        """Return what has come, once there is so much."""
        until = time.monotonic() + seconds
        while len(self.received) < count:
            assert time.monotonic() < until, f"{len(self.received)} of {count} deliveries came"
            time.sleep(0.02)
        return list(self.received)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self._httpd.shutdown()
        self._thread.join()
        self._httpd.server_close()
