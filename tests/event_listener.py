"""A client of `events`: reads server-sent events as browsers do."""

import http.client
import json
import socket
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

PATH = "/api/slipstream/v1/events"


class Listener:
    """One stream; `answer` is the head of its answer."""

    def __init__(
        self, url: str, *, last_event_id: str | None = None, timeout: float = 20, **query: object
    ) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
        headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
        self._connection.request("GET", f"{PATH}?{urlencode(query, doseq=True)}", headers=headers)
        self.answer = self._connection.getresponse()

    def next(self) -> dict[str, Any]:
        """Return the next event; its id must be its cursor.

        Raises:
            EOFError: the stream has ended.
        """
        event_id, data = None, None
        while True:
            line = self.answer.readline()
            if not line:
                raise EOFError
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "id":
                event_id = value
            elif name == "data":
                data = json.loads(value)
            elif line == b"\n" and data is not None:
                assert event_id == str(data["cursor"])
                return data

    def line(self) -> bytes:
        """Return one line as it came."""
        return self.answer.readline()

    @property
    def socket(self) -> socket.socket:
        assert self._connection.sock is not None
        return self._connection.sock

    def close(self) -> None:
        self.answer.close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
