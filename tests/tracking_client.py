"""One keep-alive connection to a tracking server, for tests that ask what exactly is answered."""

import http.client
import json
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

API = "/api/2.0/mlflow/"


class Answer(NamedTuple):
    status: int
    document: Any
    headers: http.client.HTTPMessage


class TrackingClient:
    """Speaks JSON to the routes below `/api/2.0/mlflow/`. Not thread-safe."""

    def __init__(self, url: str, timeout_seconds: float = 60.0) -> None:
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port, timeout=timeout_seconds
        )
        self.sent_away = 0
        """How often 503 was answered."""

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send one request; a status other than 200, 429 and 503 fails the test."""
        content = None if body is None else json.dumps(body)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if content is not None:
            sent["Content-Type"] = "application/json"
        self.connection.request(method, API + path, content, sent)
        response = self.connection.getresponse()
        found = json.loads(response.read())
        if response.status in (429, 503):
            assert found["error_code"] in ("REQUEST_LIMIT_EXCEEDED", "TEMPORARILY_UNAVAILABLE")
            assert 1 <= int(response.headers["Retry-After"]) <= 30
            self.sent_away += 1
        else:
            assert response.status == 200, found
        return Answer(response.status, found, response.headers)

    def get(self, path: str) -> Any:
        """Return what a read answers, which must succeed."""
        answer = self.ask("GET", path)
        assert answer.status == 200, answer.document
        return answer.document

    def post(self, path: str, body: object) -> Any:
        """Return what a write answers, which must succeed."""
        answer = self.ask("POST", path, body)
        assert answer.status == 200, answer.document
        return answer.document

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()
