"""What the edge and a worker process say to each other, and how it crosses the socket between them.

A frame is four bytes of length and a MessagePack document. Both ends are of one release, so there is no version.
"""

import os
import socket
import struct
import threading
import time
from typing import Any, TypeAlias

import msgspec

from slipstream.serving.answer import Answer

_LENGTH = struct.Struct(">I")
_SENT_TOGETHER_BYTES = 1 << 16
MOST_FRAME_BYTES = (1 << 32) - 1
MOST_ANSWER_BYTES = 1 << 30
"""Of one answer, or of one part of an answer that is streamed."""
_MOST_EVENT_BYTES = 1 << 30
"""Events of more bytes go in several frames."""


# -- to the worker --------------------------------------------------------------------------------------
class Start(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The first frame: what to load and how to work."""

    folder: str
    name: str
    """What answers call the model."""
    trust: bool | None = None
    threads: int = 4
    """Predictions at once, of models whose requests are not joined."""
    joined: bool | None = None
    """Join the rows of several requests; None leaves it to the model's flavor."""
    max_new_tokens: int | None = None
    """Of one answer of a language model."""
    max_prompt_tokens: int | None = None


class Ask(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """One request."""

    id: int
    protocol: str
    operation: str
    header: str | None
    """Value of the header that the protocol calls its `BODY_HEADER`."""
    body: bytes


class Asks(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Requests that came together; their rows may be joined."""

    asks: list[Ask]


class Cancel(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Nobody waits for this answer any more."""

    id: int


# -- from the worker ------------------------------------------------------------------------------------
class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be known about a loaded model."""

    flavors: list[str] = []
    signature: dict[str, Any] | None = None
    """As `ModelSignature.to_dict` writes it."""
    task: str | None = None
    """`llm/v1/chat` and the like."""
    joins: bool = False
    """Rows of several requests may be predicted together."""
    generates: bool = False
    """Requests are taken as they come, and advance together token by token."""
    model_id: str | None = None
    context_length: int | None = None


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The model is loaded, and has answered its own example if it has one."""

    card: Card
    warning: str | None = None
    """Why the model's own example could not be answered."""


class CannotStart(msgspec.Struct, frozen=True, tag=True):
    """The worker ends; the text is for the user."""

    message: str


class Stats(msgspec.Struct, frozen=True, array_like=True):
    """What one answer took."""

    joined: int = 1
    """Requests that were predicted together."""
    seconds: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    first_token_seconds: float | None = None


class Done(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A whole answer."""

    id: int
    status: int
    body: bytes
    media_type: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    stats: Stats = Stats()

    def answer(self) -> Answer:
        return Answer(self.status, self.body, self.media_type, self.headers)


class Opened(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The answer comes in pieces, which follow."""

    id: int
    status: int
    media_type: str


class Piece(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Some bytes of an answer that was opened."""

    id: int
    data: bytes


class Closed(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """An answer that was opened is complete."""

    id: int
    stats: Stats = Stats()


Event: TypeAlias = Done | Opened | Piece | Closed


class Events(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """What has happened since the last frame."""

    events: list[Event]


ToWorker: TypeAlias = Start | Asks | Cancel
FromWorker: TypeAlias = Ready | CannotStart | Events

# `Start` and `Ready` are objects in the document, the rest arrays: one decoder cannot take both kinds of a union.
ToWorkerArrays: TypeAlias = Asks | Cancel
_encode = msgspec.msgpack.Encoder().encode
decode_start = msgspec.msgpack.Decoder(Start).decode
decode_to_worker = msgspec.msgpack.Decoder(ToWorkerArrays).decode
decode_first_answer = msgspec.msgpack.Decoder(Ready | CannotStart).decode
decode_events = msgspec.msgpack.Decoder(Events).decode


def pack(message: ToWorker | FromWorker) -> list[bytes]:
    """Return the bytes of a frame, in one piece or two."""
    content = _encode(message)
    head = _LENGTH.pack(len(content))
    return [head + content] if len(content) < _SENT_TOGETHER_BYTES else [head, content]


class FrameReader:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take what has arrived; return the frames that are complete."""
        buffer = self._buffer
        buffer += data
        frames: list[bytes] = []
        start = 0
        while len(buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, start)
            end = start + _LENGTH.size + length
            if len(buffer) < end:
                break
            frames.append(bytes(memoryview(buffer)[start + _LENGTH.size : end]))
            start = end
        if start:
            del buffer[:start]
        return frames


_WATCHING_SECONDS = 0.0005
"""How long a worker watches its socket before it sleeps, while requests come that fast anyway."""
_RECEIVE_BYTES = 1 << 18


class Channel:
    """The worker's end: blocking; many threads may send, one receives."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._lock = threading.Lock()
        self._buffer = bytearray()
        self._watches = False

    def receive(self) -> bytes | None:
        """Return the next frame's document; None when the edge has gone or wants no more."""
        buffer = self._buffer
        while len(buffer) < _LENGTH.size:
            if not self._receive_more():
                return None
        (length,) = _LENGTH.unpack_from(buffer)
        end = _LENGTH.size + length
        while len(buffer) < end:
            if not self._receive_more():
                return None
        frame = bytes(memoryview(buffer)[_LENGTH.size : end])
        del buffer[:end]
        return frame

    def _receive_more(self) -> bool:
        """Wait for more bytes; False at the end.

        To be woken takes a processor a good part of what a small prediction takes, and it wakes up cold. So
        a worker that got its last request quickly watches for the next a moment before it goes to sleep.
        """
        began = time.perf_counter()
        if self._watches:
            while time.perf_counter() - began < _WATCHING_SECONDS:
                try:
                    data = self._socket.recv(_RECEIVE_BYTES, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    os.sched_yield()
                    continue
                self._buffer += data
                return bool(data)
        data = self._socket.recv(_RECEIVE_BYTES)
        self._watches = time.perf_counter() - began < _WATCHING_SECONDS
        self._buffer += data
        return bool(data)

    def send(self, message: FromWorker) -> None:
        """Send one frame.

        Raises:
            OSError: the edge has gone.
        """
        pieces = pack(message)
        with self._lock:
            for piece in pieces:
                self._socket.sendall(piece)

    def send_events(self, events: list[Event]) -> None:
        """Send events in as few frames as can hold them.

        Raises:
            OSError: the edge has gone.
        """
        together: list[Event] = []
        size = 0
        for event in events:
            length = (
                len(event.body)
                if isinstance(event, Done)
                else len(event.data)
                if isinstance(event, Piece)
                else 0
            )
            if together and size + length > _MOST_EVENT_BYTES:
                self.send(Events(together))
                together, size = [], 0
            together.append(event)
            size += length
        self.send(Events(together))

    def hang_up(self) -> None:
        """End the connection: the edge sees the worker as gone, `receive` returns None."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # the edge was first
            return
