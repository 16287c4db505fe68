"""A language model for tests, which spells the alphabet."""

import itertools
import threading
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from slipstream.llm.model import TextModel, predict_chat
from slipstream.llm.sampling import Sampling
from slipstream.llm.signatures import signature_of

END = 0


class Alphabet:
    """A prompt of n letters is answered by the first n letters of the alphabet."""

    context_length = 100
    end_tokens = frozenset({END})
    batch_size = 8

    def __init__(self) -> None:
        self.running: dict[Hashable, Iterator[int]] = {}
        self.widest = 0
        self.released = 0
        self.gate = threading.Event()
        self.gate.set()
        self.pause = 0.0
        self.fail = False
        self._numbers = itertools.count()

    def encode(self, text: str) -> list[int]:
        return [1] * len(text)

    def encode_chat(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        return self.encode("".join(message["content"] for message in messages))

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(chr(96 + token) for token in tokens)

    def admit(self, prompt: Sequence[int], sampling: Sampling) -> Hashable:
        number = next(self._numbers)
        self.running[number] = itertools.chain(range(1, len(prompt) + 1), itertools.repeat(END))
        return number

    def step(self) -> list[tuple[Hashable, int]]:
        assert self.gate.wait(20)
        time.sleep(self.pause)
        if self.fail:
            raise RuntimeError("out of memory")
        self.widest = max(self.widest, len(self.running))
        return [(number, next(tokens)) for number, tokens in self.running.items()]

    def release(self, sequence: Hashable) -> None:
        self.released += 1
        del self.running[sequence]


class TextPyfunc:
    """Shaped like a loaded model of a text flavor."""

    def __init__(self, backend: Any, task: str) -> None:
        text = TextModel(backend, "source", Sampling())
        self.flavor_predictor = SimpleNamespace(model=text, task=task)
        self.streams = True
        self.metadata = SimpleNamespace(
            signature=signature_of(task), metadata={"task": task}, flavors={"fake": {}}, model_id=None
        )

    def predict(self, data: Any, params: Any = None) -> Any:
        return predict_chat(self.flavor_predictor.model, data)
