"""Measure generation on a small model: one request after the other against eight at once, and the first token's time.

    python benchmarks/text_generation.py --transformers FOLDER --onnx FOLDER --onnx FOLDER [--json FILE]

The folders are those of examples/phi3. Both ways run alternately in one process, the order swapped each time; printed
are medians, and the ratio of the two ways in each turn, since only ratios mean something on a busy machine. The ratio of
processor time a token depends least on what else the machine does.
"""

import argparse
import json
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from slipstream.llm.engine import Finished, Piece
from slipstream.llm.model import TextModel
from slipstream.llm.sampling import Sampling

AT_ONCE = 8
QUESTIONS = [
    "What is the capital of Spain?",
    "What is the capital of France?",
    "Tell me a joke about atom",
    "What is a run?",
    "Count to ten.",
    "Who are you?",
    "What is a model registry?",
    "Tell me a joke about cats",
]


class Subject:
    """A model to measure. Answers have a fixed length: no token ends them."""

    def __init__(self, name: str, backend: Any, tokens: int) -> None:
        backend.end_tokens = frozenset()
        self.name = name
        self.tokens = tokens
        self.model = TextModel(backend, name, Sampling())
        self.prompts = [backend.encode_chat([{"role": "user", "content": text}]) for text in QUESTIONS]

    def answer(self, prompt: list[int], tokens: int | None = None) -> tuple[float, int]:
        """Return the seconds to the first text, and how many tokens came."""
        sampling = Sampling(temperature=0.0, max_tokens=tokens or self.tokens)
        first, written, begin = 0.0, 0, time.perf_counter()
        for event in self.model.engine.generate(prompt, sampling):
            if isinstance(event, Piece) and not first:
                first = time.perf_counter() - begin
            elif isinstance(event, Finished):
                written = event.completion_tokens
        return first, written

    def one_by_one(self) -> tuple[float, float]:
        """Return tokens a second, and tokens a second of processor time."""
        return _rates(lambda: [self.answer(prompt) for prompt in self.prompts])

    def together(self) -> tuple[float, float]:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return _rates(lambda: list(threads.map(self.answer, self.prompts)))

    def first_idle(self) -> float:
        return self.answer(self.prompts[0], 3)[0]

    def first_busy(self) -> float:
        """Return the seconds to the first text of one request while seven others generate."""
        started = threading.Barrier(AT_ONCE)

        def neighbour(prompt: list[int]) -> None:
            for number, event in enumerate(
                self.model.engine.generate(prompt, Sampling(temperature=0.0, max_tokens=20 * self.tokens))
            ):
                if number == 5:
                    started.wait()
                if leave.is_set() or isinstance(event, Finished):
                    break

        leave = threading.Event()
        with ThreadPoolExecutor(AT_ONCE) as threads:
            others = [threads.submit(neighbour, prompt) for prompt in self.prompts[1:]]
            started.wait()
            seen = [self.answer(self.prompts[0], 3)[0] for _ in range(10)]
            still = sum(not each.done() for each in others)
            leave.set()
        if still < AT_ONCE - 1:
            raise SystemExit(f"Only {still} of {AT_ONCE - 1} neighbours were still generating.")
        return statistics.median(seen)


def _rates(work: Callable[[], list[tuple[float, int]]]) -> tuple[float, float]:
    begin, used = time.perf_counter(), time.process_time()
    written = sum(count for _, count in work())
    return written / (time.perf_counter() - begin), written / (time.process_time() - used)


def alternate(one: Callable[[], Any], other: Callable[[], Any], turns: int) -> tuple[list[Any], list[Any]]:
    """Run both ways in turn, each first as often as second; return what each gave."""
    first: list[Any] = []
    second: list[Any] = []
    for turn in range(turns):
        if turn % 2:
            second.append(other())
            first.append(one())
        else:
            first.append(one())
            second.append(other())
    return first, second


def _ratios(below: list[float], above: list[float]) -> list[float]:
    return [round(b / a, 2) for a, b in zip(below, above, strict=True)]


def measure(subject: Subject, turns: int) -> dict[str, Any]:
    subject.one_by_one()
    subject.together()
    alone, together = alternate(subject.one_by_one, subject.together, turns)
    idle, busy = alternate(
        lambda: statistics.median(subject.first_idle() for _ in range(10)), subject.first_busy, turns
    )
    subject.model.close()
    gains = _ratios([each[0] for each in alone], [each[0] for each in together])
    delays = _ratios(idle, busy)
    speed = statistics.median(each[0] for each in alone)
    return {
        "model": subject.name,
        "one_by_one_tokens_s": round(speed),
        "together_tokens_s": round(statistics.median(each[0] for each in together)),
        "gain": statistics.median(gains),
        "gains": gains,
        "gain_of_processor_time": statistics.median(
            _ratios([each[1] for each in alone], [each[1] for each in together])
        ),
        "first_idle_ms": round(statistics.median(idle) * 1000, 2),
        "first_busy_ms": round(statistics.median(busy) * 1000, 2),
        "delay": statistics.median(delays),
        "delays": delays,
        "whole_answer_ms": round(subject.tokens / speed * 1000, 2),
    }


def open_onnx(folder: Path, name: str, tokens: int) -> Subject:
    import tempfile

    from slipstream.flavors.onnx_genai import FLAVOR

    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        FLAVOR.save(folder, place, {})
        loaded = FLAVOR.load(place, {"model_dir": "model"}, {})
    return Subject(f"{name} ({type(loaded.backend).__name__})", loaded.backend, tokens)


def open_transformers(folder: Path, tokens: int) -> Subject:
    import torch
    import transformers

    from slipstream.flavors.transformers_text import TransformersBackend

    torch.set_num_threads(1)  # so small a model only loses time by sharing its work
    pipeline = transformers.pipeline("text-generation", model=str(folder), device="cpu")
    return Subject(
        f"transformers {folder.name}", TransformersBackend(pipeline.model, pipeline.tokenizer), tokens
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--onnx", type=Path, action="append", default=[], help="a folder of ONNX GenAI")
    parser.add_argument(
        "--transformers", type=Path, action="append", default=[], help="a Hugging Face folder"
    )
    parser.add_argument("--tokens", type=int, default=64, help="length of each answer")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    openers = [
        *((open_onnx, (folder, folder.name, arguments.tokens)) for folder in arguments.onnx),
        *((open_transformers, (folder, arguments.tokens)) for folder in arguments.transformers),
    ]
    results: list[dict[str, Any]] = []
    for open_subject, given in openers:
        result = measure(open_subject(*given), arguments.turns)
        results.append(result)
        print(
            f"{result['model']}: one by one {result['one_by_one_tokens_s']} tokens/s, {AT_ONCE} at once "
            f"{result['together_tokens_s']} tokens/s: {result['gain']}x (turns {result['gains']}; processor time "
            f"{result['gain_of_processor_time']}x)\n"
            f"  first text: idle {result['first_idle_ms']} ms, while {AT_ONCE - 1} others generate "
            f"{result['first_busy_ms']} ms: {result['delay']}x (turns {result['delays']}); a whole answer takes "
            f"{result['whole_answer_ms']} ms"
        )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
