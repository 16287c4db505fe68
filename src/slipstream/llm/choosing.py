"""Choose the next token from a row of logits, with numpy: for engines that leave that to the caller."""

import importlib
from collections.abc import Sequence
from typing import Any

from slipstream.llm.sampling import Sampling


class Chooser:
    """One sequence: its tokens so far, and how to choose the next."""

    def __init__(self, prompt: Sequence[int], sampling: Sampling) -> None:
        self.tokens = list(prompt)
        self._prompt_length = len(self.tokens)
        self._sampling = sampling
        self._is_greedy = not sampling.temperature
        self._is_penalised = bool(
            sampling.frequency_penalty
            or sampling.presence_penalty
            or (sampling.repetition_penalty or 1.0) != 1.0
        )
        self._random = None if self._is_greedy else _numpy().random.default_rng(_seed(sampling.seed))

    @property
    def takes_the_likeliest(self) -> bool:
        """The largest logit decides, so that many rows can be decided at once."""
        return self._is_greedy and not self._is_penalised

    def choose(self, logits: Any) -> int:
        """Return the next token and remember it; `logits` is an array with one number a token."""
        token = self._next(logits)
        self.tokens.append(token)
        return token

    def _next(self, logits: Any) -> int:
        numpy = _numpy()

        if self._is_penalised:
            logits = self._penalise(logits)
        if self._random is None:
            return int(logits.argmax())
        sampling = self._sampling
        scores = logits.astype(numpy.float64) / sampling.temperature
        if sampling.top_k and sampling.top_k < len(scores):
            least = numpy.partition(scores, -sampling.top_k)[-sampling.top_k]
            scores = numpy.where(scores < least, -numpy.inf, scores)
        chances = numpy.exp(scores - scores.max())
        chances /= chances.sum()
        if sampling.top_p is not None and sampling.top_p < 1.0:
            order = numpy.argsort(-chances, kind="stable")
            before = numpy.cumsum(chances[order]) - chances[order]
            # The token that crosses the limit stays, so that there is always one.
            chances[order[before >= max(sampling.top_p, 1e-9)]] = 0.0
        reached = numpy.cumsum(chances)
        place = int(numpy.searchsorted(reached, self._random.random() * reached[-1], side="right"))
        return min(place, int(chances.nonzero()[0][-1]))

    def _penalise(self, logits: Any) -> Any:
        numpy = _numpy()

        logits = logits.astype(numpy.float32)
        repetition = self._sampling.repetition_penalty or 1.0
        if repetition != 1.0:
            seen = numpy.unique(self.tokens)
            values = logits[seen]
            logits[seen] = numpy.where(values > 0, values / repetition, values * repetition)
        written = self.tokens[self._prompt_length :]
        if written:
            places, counts = numpy.unique(written, return_counts=True)
            logits[places] -= counts * (self._sampling.frequency_penalty or 0.0)
            logits[places] -= self._sampling.presence_penalty or 0.0
        return logits


def _numpy() -> Any:
    """Import numpy when a model is there, which has imported it already."""
    return importlib.import_module("numpy")


def _seed(seed: int | None) -> int | None:
    return None if seed is None else seed & (2**63 - 1)
