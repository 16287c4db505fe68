"""Lines of charts that servers keep are those that would be made anew, whatever happens to their runs."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from slipstream.entities import Metric
from slipstream.entities.envelope import EncodedEnvelopes, Envelope, EnvelopeRequest, SeriesName
from slipstream.store.config import StoreConfig
from slipstream.store.engine import Engine, QueuedStore, open_engine
from slipstream.store.run_index.index import RunIndex
from slipstream.store.run_index.kept import KeptByRun


class Server:
    """A store with memory, and another without, on one database."""

    def __init__(self, folder: Path) -> None:
        uri = f"sqlite:///{folder}/s.db"
        self.other = open_engine(uri, str(folder), durability="normal")
        config = StoreConfig(artifact_root=str(folder), run_index=RunIndex())
        self.engine = Engine(self.other.database, config)
        self.memory: Any = QueuedStore(self.engine)
        self.plain: Any = QueuedStore(self.other)
        self.made = 0

    def encode(self, line: Envelope) -> bytes:
        self.made += 1
        return msgspec.json.encode(line)

    def ask(self, request: EnvelopeRequest) -> list[bytes]:
        return cast("EncodedEnvelopes", self.memory.find_encoded_envelopes(self.encode_kept, request)).series

    @property
    def encode_kept(self) -> Any:
        return self._encode

    _encode: Any = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server._encode = server.encode  # one function for all requests
    yield server
    server.engine.close()
    server.other.close()


def test_lines_are_made_once_until_their_run_changes(server: Server) -> None:
    runs = [server.plain.create_run("0").info.run_id for _ in range(3)]
    for run in runs:
        server.plain.log_batch(run, [Metric("m", float(step), step, step) for step in range(50)])
    request = EnvelopeRequest(series=tuple(SeriesName(run, "m") for run in runs), width=10)
    first = server.ask(request)
    assert server.made == 3
    assert server.ask(request) == first
    assert server.made == 3
    server.plain.log_metric(runs[1], Metric("m", 500.0, 60, 49))
    second = server.ask(request)
    assert server.made == 4
    assert (second[0], second[2]) == (first[0], first[2])
    assert b"500" in second[1]


def test_kept_lines_are_those_that_would_be_made(server: Server) -> None:
    dice = random.Random(6)
    runs = [server.plain.create_run("0").info.run_id for _ in range(4)]
    asked = [
        EnvelopeRequest(series=tuple(SeriesName(run, key) for run in runs for key in ("m", "n")), **wanted)
        for wanted in (
            {"width": 5},
            {"width": 5, "smoothing": 0.5},
            {"x": "time", "width": 7},
            {"start": 3, "end": 20},
            {"width": 5, "own_grid": True},
        )
    ]
    for _ in range(60):
        store = dice.choice([server.plain, server.memory])
        run = dice.choice(runs)
        what = dice.randrange(4)
        if what < 2:
            first = dice.randrange(40)
            store.log_batch(
                run,
                [
                    Metric(dice.choice("mn"), dice.random(), first + at, first + at)
                    for at in range(dice.randint(1, 9))
                ],
            )
        elif what == 2:
            store.branch_run(run, dice.randrange(5, 40))
        else:
            store.set_tag(run, "t", "v")
        for request in dice.sample(asked, 3):
            expected = [msgspec.json.encode(line) for line in server.plain.find_envelopes(request).series]
            assert server.ask(request) == expected


def test_what_is_kept_has_its_room_and_its_time() -> None:
    kept = KeptByRun(2_000)
    kept.keep("a", 1, "A", 5, 500)
    kept.keep("b", 2, "B", 5, 500)
    assert (kept.get("a"), kept.get("b")) == ("A", "B")
    kept.keep("c", 3, "C", 5, 500)
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (None, "B", "C")
    kept.note([2], 7)
    assert (kept.get("b"), kept.get("c")) == (None, "C")
    kept.keep("b", 2, "old", 6, 500)  # what was read before the change
    assert kept.get("b") is None
    kept.keep("b", 2, "new", 7, 500)
    assert kept.get("b") == "new"
    kept.clear(9)
    assert (kept.get("b"), kept.size) == (None, 0)
    kept.keep("b", 2, "of before", 8, 10)
    assert kept.get("b") is None
