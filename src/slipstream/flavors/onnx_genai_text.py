"""Text generation with ONNX Runtime GenAI: its tokenizer and chat template, and one generator for each sequence.

Generators are advanced in turn, so that sequences may join and leave at any time, on every device that the library
knows. On the CPU, `onnx_genai_batch.py` advances all of them in one pass instead.
"""

import importlib
import json
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from slipstream.errors import InvalidParameterError
from slipstream.llm.choosing import Chooser
from slipstream.llm.sampling import Sampling


class OnnxGenaiTokenizer:
    """The tokenizer that lies beside the model."""

    def __init__(self, folder: Path, config: Any) -> None:
        genai: Any = importlib.import_module("onnxruntime_genai")

        self._tokenizer = genai.Tokenizer(config)
        self._special = _special_tokens(folder)
        self._begin = int(self._tokenizer.bos_token_id)
        # Where words carry the blank before them, the text of the first begins with a blank that nobody wrote.
        self._adds_blank = str(self._tokenizer.decode(self._tokenizer.encode("a"))).startswith(" ")

    def encode(self, text: str) -> list[int]:
        return self._one_beginning([int(token) for token in self._tokenizer.encode(text)])

    def encode_chat(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        try:
            text = self._tokenizer.apply_chat_template(
                json.dumps(list(messages), ensure_ascii=False), add_generation_prompt=True
            )
        except Exception as error:
            # The template is the model author's program; what it raises is about the conversation.
            raise InvalidParameterError(f"The model's chat template refuses 'messages': {error}") from error
        return self.encode(str(text))

    def decode(self, tokens: Sequence[int]) -> str:
        # The library shows a special token that stands alone as a broken character.
        shown = [token for token in tokens if token not in self._special]
        if not shown:
            return ""
        text = str(self._tokenizer.decode(shown))
        return text.removeprefix(" ") if self._adds_blank else text

    def _one_beginning(self, tokens: list[int]) -> list[int]:
        return tokens[1:] if tokens[:2] == [self._begin, self._begin] else tokens


class TurnsBackend:
    """Implements `slipstream.llm.model.ChatBackend`, one sequence after the other."""

    batch_size = 32

    def __init__(self, config: Any, tokenizer: OnnxGenaiTokenizer, facts: Mapping[str, Any]) -> None:
        genai: Any = importlib.import_module("onnxruntime_genai")

        self.model = genai.Model(config)
        self.context_length = int(facts["context_length"])
        self.end_tokens = frozenset(cast("list[int]", facts["eos_token_ids"]))
        self.encode, self.encode_chat, self.decode = tokenizer.encode, tokenizer.encode_chat, tokenizer.decode
        self._fresh: list[_Turn] = []
        self._turns: list[_Turn] = []

    def admit(self, prompt: Sequence[int], sampling: Sampling) -> Hashable:
        turn = _Turn(self.model, prompt, sampling, self.context_length)
        self._fresh.append(turn)
        return turn

    def step(self) -> list[tuple[Hashable, int]]:
        if self._fresh:
            newcomers, self._fresh = self._fresh, []
            self._turns += newcomers
            return [(turn, turn.first) for turn in newcomers]
        return [(turn, turn.advance()) for turn in self._turns]

    def release(self, sequence: Hashable) -> None:
        turn = cast("_Turn", sequence)
        (self._fresh if turn in self._fresh else self._turns).remove(turn)


class _Turn:
    """One sequence in a generator of its own."""

    def __init__(self, model: Any, prompt: Sequence[int], sampling: Sampling, context_length: int) -> None:
        genai: Any = importlib.import_module("onnxruntime_genai")

        params = genai.GeneratorParams(model)
        wanted = context_length if sampling.max_tokens is None else len(prompt) + sampling.max_tokens + 1
        params.set_search_options(max_length=min(wanted, context_length), do_sample=False)
        self._generator = genai.Generator(model, params)
        self._chooser = Chooser(prompt, sampling)
        self._feed(self._chooser.tokens)
        self.first = self._choose()

    def advance(self) -> int:
        self._feed(self._chooser.tokens[-1:])
        return self._choose()

    def _feed(self, tokens: list[int]) -> None:
        numpy: Any = importlib.import_module("numpy")

        self._generator.append_tokens(numpy.array(tokens, dtype=numpy.int32))

    def _choose(self) -> int:
        logits = self._generator.get_logits()
        return self._chooser.choose(logits.reshape(-1, logits.shape[-1])[-1])


def _special_tokens(folder: Path) -> frozenset[int]:
    """Return the tokens that are marks and no text."""
    file = folder / "tokenizer.json"
    if not file.is_file():
        return frozenset()
    added = cast("list[dict[str, Any]]", json.loads(file.read_bytes()).get("added_tokens") or [])
    return frozenset(int(token["id"]) for token in added if token.get("special"))
