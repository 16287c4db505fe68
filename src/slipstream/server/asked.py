"""What is known of one request while it is answered: when it came, its size, and the id that logs and answers name it by."""

import itertools
import re
import secrets
import time

ID_HEADERS = frozenset({b"x-request-id", b"traceparent"})
_VALID_ID = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,128}")
_TRACE = re.compile(rb"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_numbers = itertools.count(1)
_process = secrets.token_hex(6)
"""Different in each process; the ids of one process are numbered."""


class Asked:
    """One request. The id is made when somebody asks for it: most requests are answered without."""

    __slots__ = ("_id", "began", "given", "size")

    def __init__(self, given: str | None = None) -> None:
        self.began = time.perf_counter()
        self.size = 0
        """Bytes of the body."""
        self.given = given is not None
        """Whether the client, or a proxy in between, named it."""
        self._id = given

    def begin_again(self) -> None:
        """Count the time from now on: what has passed was spent listening, not answering."""
        self.began = time.perf_counter()

    @property
    def id(self) -> str:
        if self._id is None:
            self._id = f"{_process}-{next(_numbers):x}"
        return self._id


def given_id(request_id: bytes | None, traceparent: bytes | None) -> str | None:
    """Return the id that came with a request: `X-Request-Id`, else the trace of `traceparent`; None if none is valid."""
    if request_id is not None and _VALID_ID.fullmatch(request_id):
        return request_id.decode("ascii")
    if traceparent is not None and (trace := _TRACE.fullmatch(traceparent)):
        return trace[1].decode("ascii")
    return None
