"""Something that answers as a scoring server does, or badly, and remembers what it was asked."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

METRICS = """# TYPE slipstream_serving_requests_total counter
slipstream_serving_requests_total{model="m",version="3",protocol="invocations",operation="invocations",status="200"} 90
slipstream_serving_requests_total{model="m",version="3",protocol="invocations",operation="invocations",status="400"} 6
slipstream_serving_requests_total{model="m",version="3",protocol="openai",operation="chat",status="500"} 4
slipstream_serving_requests_total{model="m",version="2",protocol="invocations",operation="invocations",status="500"} 70
# TYPE slipstream_serving_request_seconds histogram
slipstream_serving_request_seconds_bucket{model="m",version="3",protocol="invocations",operation="invocations",le="0.1"} 50
slipstream_serving_request_seconds_bucket{model="m",version="3",protocol="invocations",operation="invocations",le="0.2"} 90
slipstream_serving_request_seconds_bucket{model="m",version="3",protocol="invocations",operation="invocations",le="+Inf"} 100
slipstream_serving_request_seconds_count{model="m",version="3",protocol="invocations",operation="invocations"} 100
slipstream_serving_request_seconds_sum{model="m",version="3",protocol="invocations",operation="invocations"} 9
# TYPE slipstream_serving_workers_ready gauge
slipstream_serving_workers_ready{model="m",version="3"} 2
# TYPE slipstream_serving_queue_length gauge
slipstream_serving_queue_length{model="m",version="3"} 7
# TYPE slipstream_serving_worker_restarts_total counter
slipstream_serving_worker_restarts_total{model="m",version="3"} 1
# TYPE slipstream_serving_completion_tokens_total counter
slipstream_serving_completion_tokens_total{model="m",version="3",protocol="openai",operation="chat"} 33
"""


class Asked(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: Any


class FakeScoringServer:
    """`url` is where it is. What it answers to POST is the request's own `answer`: see `_Handler`."""

    def __init__(self, models: list[dict[str, Any]] | None = None) -> None:
        self.models = [{"id": "m", "version": "3", "task": "llm/v1/chat"}] if models is None else models
        self.asked: list[Asked] = []
        self.go_on = threading.Event()
        self.was_left = threading.Event()
        owner = self

        class Handler(_Handler):
            fake = owner

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    fake: FakeScoringServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._note(None)
        if self.path == "/ping":
            self._send(200, b"OK", "text/plain")
        elif self.path == "/v1/models":
            self._send(200, json.dumps({"object": "list", "data": self.fake.models}).encode())
        elif self.path == "/metrics":
            self._send(200, METRICS.encode(), "text/plain; version=0.0.4")
        else:
            self._send(404, b"{}")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._note(body)
        wanted = body.get("answer", "echo")
        if body.get("stream"):
            self._chat(body)
        elif wanted == "redirect":
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif wanted == "refuse":
            self._send(401, b'{"detail":"no"}')
        elif wanted == "page":
            self._send(200, b"<script>alert(1)</script>", "text/html")
        elif wanted == "fault":
            self._send(500, b'{"error_code":"X","message":"the model failed"}')
        elif wanted == "half":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b'{"predictions"')
            self.close_connection = True
        elif wanted == "no http":
            self.wfile.write(b"this is no HTTP at all\r\n\r\n")
            self.close_connection = True
        else:
            self._send(200, json.dumps({"predictions": body}).encode())

    def _chat(self, body: dict[str, Any]) -> None:
        """Say what the user said, word by word; wait before the last word if it says `wait`; end at once at `cut-off`."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        words = str(body["messages"][-1]["content"]).split(" ")
        try:
            for number, word in enumerate(words):
                if word == "wait":
                    self.fake.go_on.wait(20)
                if word == "cut-off":
                    return
                if word == "for-ever":
                    while not self.fake.go_on.wait(0.05):
                        self.wfile.write(b": still here\n\n")
                delta = {"content": word if number == 0 else f" {word}"}
                event = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
                self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
            self.wfile.write(
                b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],'
                b'"usage":{"prompt_tokens":3,"completion_tokens":5}}\n\ndata: [DONE]\n\n'
            )
        except OSError:
            self.fake.was_left.set()
        self.close_connection = True

    def _note(self, body: Any) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.fake.asked.append(Asked(self.command, self.path, headers, body))

    def _send(self, status: int, body: bytes, content_type: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
