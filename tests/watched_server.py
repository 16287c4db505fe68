"""Models and servers for the tests of what is counted, traced and allowed: one adds numbers, one writes letters."""

import itertools
import json
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

from scoring_server import Client, Registry, serving
from slipstream.errors import InvalidParameterError
from slipstream.llm.model import TextModel
from slipstream.llm.sampling import Sampling
from slipstream.models.schema import Schema, TensorSpec
from slipstream.models.signature import ModelSignature
from slipstream.serving.app import AppLimits, ScoringApp
from slipstream.serving.catalog import Catalog
from slipstream.serving.frames import Start
from slipstream.serving.gate import Gate
from slipstream.serving.observer import Observer, Tracer
from slipstream.serving.pool import PoolLimits

ROW = {"inputs": [[1.0, 2.0]]}
CHAT = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}


class Adder:
    """Adds the two numbers of each row."""

    joins_rows = True

    def __init__(self, predict: Callable[[Any], Any] = lambda data: data.sum(axis=1)) -> None:
        self.metadata = SimpleNamespace(
            signature=ModelSignature(inputs=Schema([TensorSpec(np.dtype("float64"), (-1, 2))]))
        )
        self._predict = predict

    def predict(self, data: Any, params: Any = None) -> Any:
        return self._predict(data)


class Letters:
    """Writes as many letters as the prompt has, then ends; one token is one letter."""

    context_length = 100_000
    end_tokens = frozenset({0})
    batch_size = 4

    def __init__(self) -> None:
        self.running: dict[Hashable, Iterator[int]] = {}
        self.go_on = threading.Event()
        self.go_on.set()
        self._numbers = itertools.count()

    def encode(self, text: str) -> list[int]:
        return [1] * len(text)

    def encode_chat(self, messages: Sequence[Any]) -> list[int]:
        return self.encode("".join(str(message["content"]) for message in messages))

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(chr(96 + token) for token in tokens)

    def admit(self, prompt: Sequence[int], sampling: Sampling) -> Hashable:
        number = next(self._numbers)
        self.running[number] = itertools.chain([1] * len(prompt), itertools.repeat(0))
        return number

    def step(self) -> list[tuple[Hashable, int]]:
        assert self.go_on.wait(10)
        return [(number, next(tokens)) for number, tokens in self.running.items()]

    def release(self, sequence: Hashable) -> None:
        del self.running[sequence]


def chat_model(letters: Letters) -> Any:
    """Return what `pyfunc.load_model` returns for a chat model of a native flavor."""
    text = TextModel(letters, "chat", Sampling())
    return SimpleNamespace(
        metadata=SimpleNamespace(signature=None),
        flavor_predictor=SimpleNamespace(model=text, task="llm/v1/chat"),
    )


def broken(_start: Start) -> Any:
    raise InvalidParameterError("version 3 cannot be loaded")


@contextmanager
def watched(
    *,
    gate: Gate | None = None,
    tracer: Tracer | None = None,
    letters: Letters | None = None,
    adder: Callable[[], Any] = Adder,
    **pool: Any,
) -> Iterator[Client]:
    """Serve `sum`, which follows an alias that is at version 1, and `chat`."""
    made = letters or Letters()
    registry = Registry(
        {
            "models:/sum@live/1": lambda _start: adder(),
            "models:/sum@live/2": lambda _start: adder(),
            "models:/sum@live/3": broken,
            "chat": lambda _start: chat_model(made),
        },
        PoolLimits(**{"threads": 2, "queue_size": 8, **pool}),
    )
    registry.aliases["models:/sum@live"] = "1"

    def make_app(catalog: Catalog) -> ScoringApp:
        observer = Observer(catalog, tracer, with_keys=gate is not None and gate.keys is not None)
        return ScoringApp(catalog, gate, AppLimits(refresh_seconds=0.05), observer)

    with serving(registry, {"sum": "models:/sum@live", "chat": "chat"}, make_app) as client:
        yield client


def encoded(document: object) -> bytes:
    return json.dumps(document).encode()


def until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        threading.Event().wait(0.01)
    raise AssertionError("It did not come true within 10 s")
