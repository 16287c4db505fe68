"""A worker at its end of the socket: what it sends for odd models, long answers, long texts and requests taken back."""

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from alphabet_model import Alphabet, TextPyfunc
from scoring_requests import Echo
from slipstream.llm.signatures import CHAT
from slipstream.serving import events, frames
from slipstream.serving.frames import (
    Ask,
    Asks,
    Cancel,
    Channel,
    Closed,
    Done,
    Event,
    FrameReader,
    Opened,
    Piece,
    Start,
    decode_events,
    pack,
)
from slipstream.serving.outbox import Outbox
from slipstream.serving.served import ServedModel
from slipstream.serving.worker import Worker


class Edge:
    """The other end of a worker's socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._frames = FrameReader()

    def send(self, message: Any) -> None:
        for part in pack(message):
            self.socket.sendall(part)

    def ask(self, number: int, document: object, protocol: str = "invocations", operation: str = "") -> None:
        body = json.dumps(document).encode()
        self.send(Asks([Ask(number, protocol, operation or protocol, "application/json", body)]))

    def events(self) -> Iterator[Event]:
        """Give what the worker sends, one by one, until it hangs up."""
        while data := self.socket.recv(1 << 20):
            for frame in self._frames.feed(data):
                yield from decode_events(frame).events


@contextmanager
def working(model: Any, **start: Any) -> Iterator[tuple[Edge, Worker]]:
    ours, theirs = socket.socketpair()
    ours.settimeout(20)
    worker = Worker(ServedModel(model), Channel(theirs), Start(folder="", name="m", **start))
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    with ours, theirs:
        yield Edge(ours), worker
        ours.shutdown(socket.SHUT_WR)
        thread.join(20)
        assert not thread.is_alive()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class NamelessError(Exception):
    """Cannot even be asked for its text."""

    def __str__(self) -> str:
        raise KeyError("no text")


def _fail(_data: object) -> Any:
    raise NamelessError


class Streaming(Echo):
    streams = True

    def __init__(self, *parts: Any) -> None:
        super().__init__()
        self.parts = parts
        self.closed = threading.Event()

    def predict_stream(self, _data: Any, _params: Any = None) -> Iterator[Any]:
        try:
            for part in self.parts:
                if isinstance(part, Exception):
                    raise part
                yield part
        finally:
            self.closed.set()


@pytest.mark.parametrize("joined", [True, False])
def test_an_exception_without_a_text_is_named_by_its_type(
    joined: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with working(Echo(predict=_fail), joined=joined) as (edge, _):
        edge.ask(1, {"inputs": [1]})
        answer = next(edge.events())
    assert isinstance(answer, Done)
    assert answer.status == 400
    message = json.loads(answer.body)["message"]
    assert message.startswith("The model raised NamelessError (asked for its text, it raised KeyError).")
    assert caplog.messages == ["The model failed on a request"]


@pytest.mark.parametrize("parts", [(), ("a",)])
def test_so_it_is_in_a_streamed_answer(parts: Sequence[str]) -> None:
    with working(Streaming(*parts, NamelessError())) as (edge, _):
        edge.ask(1, {"inputs": [1], "stream": True})
        told = list(edge_until_end(edge))
    last = told[-1] if isinstance(told[-1], Done) else told[-2]
    text = last.body if isinstance(last, Done) else last.data if isinstance(last, Piece) else b""
    assert b"The model raised NamelessError" in text
    assert [type(event) for event in told] == ([Opened, Piece, Piece, Closed] if parts else [Done])


def edge_until_end(edge: Edge) -> Iterator[Event]:
    for event in edge.events():
        yield event
        if isinstance(event, (Done, Closed)):
            return


# -- answers that are too long for a frame -----------------------------------------------------------------
@pytest.mark.parametrize("joined", [True, False])
def test_an_answer_that_no_frame_can_hold_is_refused_and_the_next_is_given(
    joined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST_ANSWER_BYTES", 1000)
    with working(Echo(predict=lambda data: ["x" * 2000 if data[0] else "y"]), joined=joined) as (edge, _):
        told = edge.events()
        edge.ask(1, {"inputs": [1]})
        first = next(told)
        edge.ask(2, {"inputs": [0]})
        second = next(told)
    assert isinstance(first, Done)
    assert first.status == 500
    assert "has 2,021 bytes; the server sends 1,000 at most" in json.loads(first.body)["message"]
    assert isinstance(second, Done)
    assert json.loads(second.body) == {"predictions": ["y"]}


def test_a_part_that_no_frame_can_hold_ends_its_stream_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "MOST_ANSWER_BYTES", 1000)
    model = Streaming("a", "x" * 2000, "never")
    with working(model) as (edge, _):
        edge.ask(1, {"inputs": [1], "stream": True})
        told = list(edge_until_end(edge))
    assert isinstance(told[2], Piece)
    assert b"the server sends 1,000 at most" in told[2].data
    assert isinstance(told[3], Closed)
    assert model.closed.is_set()


def test_long_events_go_in_frames_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "_MOST_EVENT_BYTES", 100)
    ours, theirs = socket.socketpair()
    sent: list[Event] = [
        Piece(1, b"x" * 60),
        Opened(2, 200, "text/plain"),
        Done(3, 200, b"y" * 60, "a/b"),
        Closed(1),
    ]
    with ours, theirs:
        Channel(theirs).send_events(sent)
        theirs.shutdown(socket.SHUT_WR)
        reader = FrameReader()
        got = [decode_events(frame).events for frame in reader.feed(ours.recv(1 << 20))]
    assert got == [sent[:2], sent[2:]]


def test_an_event_that_cannot_be_sent_ends_the_worker_instead_of_leaving_all_unanswered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(20)
    with ours, theirs:
        outbox = Outbox(Channel(theirs))
        outbox.put(Done(1, 200, b"", "text/plain", ((object(), b""),)))  # type: ignore[arg-type]
        assert ours.recv(1) == b""
        outbox.close()
    assert caplog.messages == ["Answers could not be sent; the worker ends"]


# -- requests that are taken back ----------------------------------------------------------------------------
def test_requests_that_were_answered_leave_nothing_when_they_are_taken_back() -> None:
    with working(Echo(), joined=False) as (edge, worker):
        told = edge.events()
        for number in range(20):
            edge.ask(number, {"inputs": [1]})
            next(told)
            edge.send(Cancel(number))
        edge.ask(99, {"inputs": [1]})
        next(told)
        until(lambda: worker.under_way == 0)


def test_a_request_that_waits_for_a_thread_is_not_asked_once_it_is_taken_back() -> None:
    gate, asked = threading.Event(), []

    def predict(data: Any) -> Any:
        asked.append(int(data[0]))
        assert gate.wait(20)
        return [1]

    with working(Echo(predict=predict), joined=False, threads=1) as (edge, worker):
        edge.ask(1, {"inputs": [1]})
        edge.ask(2, {"inputs": [2]})
        edge.send(Cancel(2))
        edge.ask(3, {"inputs": [3]})
        until(lambda: worker.under_way == 3)  # so what was sent before has been read, too
        gate.set()
        told = itertools.islice(edge.events(), 3)
        statuses = {event.id: event.status for event in told if isinstance(event, Done)}
    assert statuses == {1: 200, 2: 499, 3: 200}
    assert asked == [1, 3]


# -- long texts ------------------------------------------------------------------------------------------
class SlowReader(Alphabet):
    """Reads long texts slowly."""

    context_length = 1 << 20

    def __init__(self) -> None:
        super().__init__()
        self.reading = threading.Event()
        self.go_on = threading.Event()

    def encode_chat(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        text = messages[0]["content"]
        if len(text) > 100:
            self.reading.set()
            assert self.go_on.wait(20)
        return self.encode(text[:3])


def chat(text: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


def test_a_long_text_keeps_no_other_waiting_while_it_is_read() -> None:
    backend = SlowReader()
    with working(TextPyfunc(backend, CHAT)) as (edge, _):
        told = edge.events()
        edge.ask(1, chat("a" * 100_000), "openai", CHAT)
        assert backend.reading.wait(20)
        edge.ask(2, chat("abc"), "openai", CHAT)
        first = next(told)
        backend.go_on.set()
        second = next(told)
    assert [(event.id, event.status) for event in (first, second) if isinstance(event, Done)] == [
        (2, 200),
        (1, 200),
    ]


def test_a_long_text_that_is_taken_back_while_it_is_read_generates_nothing_more() -> None:
    backend = SlowReader()
    backend.gate.clear()
    with working(TextPyfunc(backend, CHAT)) as (edge, _):
        edge.ask(1, chat("a" * 100_000), "openai", CHAT)
        assert backend.reading.wait(20)
        edge.send(Cancel(1))
        edge.ask(2, {"model": "m"}, "openai", CHAT)
        told = edge.events()
        refused = next(told)  # so what was sent before has been read, too
        backend.go_on.set()
        taken_back = next(told)
        backend.gate.set()
    assert [(event.id, event.status) for event in (refused, taken_back) if isinstance(event, Done)] == [
        (2, 400),
        (1, 499),
    ]
