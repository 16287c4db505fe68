"""How numpy chooses the next token."""

from typing import Any

import numpy as np
import pytest

from slipstream.llm.choosing import Chooser
from slipstream.llm.sampling import Sampling

LOGITS = np.array([0.0, 3.0, 2.0, 1.0, -9.0], dtype=np.float32)


def draws(count: int = 400, **settings: Any) -> set[int]:
    chooser = Chooser([0], Sampling(seed=5, **settings))
    return {chooser.choose(LOGITS) for _ in range(count)}


def test_without_a_temperature_the_likeliest() -> None:
    chooser = Chooser([0], Sampling(temperature=0.0))
    assert chooser.takes_the_likeliest
    assert chooser.choose(LOGITS) == 1
    assert chooser.tokens == [0, 1]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"temperature": 1.0, "top_k": 2}, {1, 2}),
        ({"temperature": 1.0, "top_k": 0}, {0, 1, 2, 3}),
        ({"temperature": 1.0, "top_p": 0.5}, {1}),
        ({"temperature": 1.0, "top_p": 0.8}, {1, 2}),
        ({"temperature": 1.0, "top_p": 0.0}, {1}),
        ({"temperature": 0.01}, {1}),
    ],
)
def test_who_may_be_drawn(settings: dict[str, Any], expected: set[int]) -> None:
    assert draws(**settings) == expected


def test_draws_follow_the_chances() -> None:
    chooser = Chooser([0], Sampling(temperature=1.0, seed=1))
    drawn = [chooser.choose(LOGITS) for _ in range(4000)]
    chances = np.exp(LOGITS) / np.exp(LOGITS).sum()
    for token in range(5):
        assert drawn.count(token) / 4000 == pytest.approx(chances[token], abs=0.03)


def test_a_seed_repeats() -> None:
    first, again, other = (Chooser([0], Sampling(temperature=1.0, seed=seed)) for seed in (-7, -7, 8))
    lines = [[chooser.choose(LOGITS) for _ in range(30)] for chooser in (first, again, other)]
    assert lines[0] == lines[1] != lines[2]


def test_penalties() -> None:
    repeated = Chooser([1], Sampling(temperature=0.0, repetition_penalty=2.0))
    assert not repeated.takes_the_likeliest
    assert repeated.choose(LOGITS) == 2  # the prompt counts: 3 / 2 < 2
    present = Chooser([1], Sampling(temperature=0.0, presence_penalty=1.5))
    assert [present.choose(LOGITS) for _ in range(2)] == [1, 2]  # the prompt does not
    often = Chooser([1], Sampling(temperature=0.0, frequency_penalty=0.4))
    assert [often.choose(LOGITS) for _ in range(5)] == [1, 1, 1, 2, 1]
