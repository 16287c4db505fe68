"""Continuous batching with a model that counts: who is served when, what ends an answer, what a failure costs."""

import itertools
import threading
from collections.abc import Hashable, Iterator, Sequence

import pytest

from slipstream.errors import InternalError, InvalidParameterError, UnavailableError
from slipstream.llm.engine import Event, Finished, Generation, Piece, TextEngine
from slipstream.llm.sampling import Sampling

END = 0


class CountingModel:
    """Writes letters: token n is the nth letter of the alphabet. A prompt [5] is answered by abcde and the end."""

    context_length = 64
    end_tokens = frozenset({END})
    batch_size = 4

    def __init__(self) -> None:
        self.running: dict[Hashable, Iterator[int]] = {}
        self.widths: list[int] = []
        self.seeds: list[int | None] = []
        self.gate = threading.Event()
        self.gate.set()
        self.fail_on: str | None = None
        self._numbers = itertools.count()

    def encode(self, text: str) -> list[int]:
        return [len(text)]

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(chr(96 + token) for token in tokens)

    def admit(self, prompt: Sequence[int], sampling: Sampling) -> Hashable:
        if self.fail_on == "admit":
            raise RuntimeError("no memory")
        self.seeds.append(sampling.seed)
        number = next(self._numbers)
        self.running[number] = itertools.chain(range(1, prompt[-1] + 1), itertools.repeat(END))
        return number

    def step(self) -> list[tuple[Hashable, int]]:
        assert self.gate.wait(10)
        if self.fail_on == "step":
            raise RuntimeError("broken")
        self.widths.append(len(self.running))
        return [(number, next(tokens)) for number, tokens in self.running.items()]

    def release(self, sequence: Hashable) -> None:
        del self.running[sequence]


@pytest.fixture
def model() -> CountingModel:
    return CountingModel()


@pytest.fixture
def engine(model: CountingModel) -> Iterator[TextEngine]:
    engine = TextEngine(model)
    yield engine
    model.gate.set()
    engine.close()


def text_of(events: Iterator[Event], index: int = 0) -> str:
    return "".join(event.text for event in events if isinstance(event, Piece) and event.index == index)


def test_pieces_then_the_reason_and_the_number_of_tokens(engine: TextEngine) -> None:
    events = list(engine.generate([3], Sampling()))
    assert events == [Piece(0, "a"), Piece(0, "b"), Piece(0, "c"), Finished(0, "stop", 4)]


def test_the_limit_of_tokens(engine: TextEngine) -> None:
    assert list(engine.generate([9], Sampling(max_tokens=2)))[-1] == Finished(0, "length", 2)


def test_the_context_limits_too(engine: TextEngine, model: CountingModel) -> None:
    model.context_length = 5
    assert list(engine.generate([1, 1, 9], Sampling(max_tokens=50)))[-1] == Finished(0, "length", 2)


def test_a_stop_string_ends_the_answer_before_it(engine: TextEngine) -> None:
    events = list(engine.generate([9], Sampling(stop=("cd",))))
    assert text_of(iter(events)) == "ab"
    assert events[-1] == Finished(0, "stop", 4)


def test_text_held_back_for_a_stop_string_comes_at_the_end(engine: TextEngine) -> None:
    assert text_of(engine.generate([3], Sampling(stop=("cx",)))) == "abc"


def test_several_answers_have_seeds_of_their_own(engine: TextEngine, model: CountingModel) -> None:
    events = list(engine.generate([2], Sampling(seed=7), answers=3))
    assert [text_of(iter(events), index) for index in range(3)] == ["ab", "ab", "ab"]
    assert sorted(map(int, map(str, model.seeds))) == [7, 8, 9]


def test_requests_run_together_and_those_that_come_later_join(
    engine: TextEngine, model: CountingModel
) -> None:
    model.gate.clear()
    first = engine.generate([40], Sampling())
    others = [engine.generate([3], Sampling()) for _ in range(3)]
    model.gate.set()

    assert [text_of(other) for other in others] == ["abc"] * 3
    assert len(text_of(first)) == 40
    assert max(model.widths) == 4  # they were in one batch
    assert model.widths[-1] == 1  # and left it when they were done


def test_a_newcomer_is_served_while_a_long_answer_goes_on(engine: TextEngine, model: CountingModel) -> None:
    model.context_length = 100_000
    long = engine.generate([50_000], Sampling())
    assert isinstance(next(long), Piece)
    assert text_of(engine.generate([2], Sampling())) == "ab"
    assert isinstance(next(long), Piece)  # still under way
    long.close()


def test_more_than_fit_wait_for_a_place(engine: TextEngine, model: CountingModel) -> None:
    events = list(engine.generate([3], Sampling(), answers=10))
    assert sum(isinstance(event, Finished) for event in events) == 10
    assert max(model.widths) == model.batch_size


def test_too_many_waiting_are_refused(model: CountingModel) -> None:
    engine = TextEngine(model, waiting=5)
    with pytest.raises(UnavailableError, match="wait"):
        engine.generate([3], Sampling(), answers=6)
    engine.close()


def test_closing_the_events_frees_the_place(engine: TextEngine, model: CountingModel) -> None:
    model.context_length = 100_000
    events = engine.generate([50_000], Sampling())
    next(events)
    events.close()
    assert text_of(engine.generate([2], Sampling())) == "ab"
    assert model.running == {}


def test_a_request_closed_before_its_first_event_frees_the_place_too(
    engine: TextEngine, model: CountingModel
) -> None:
    model.context_length = 100_000
    engine.generate([50_000], Sampling()).close()
    assert text_of(engine.generate([2], Sampling())) == "ab"
    assert model.running == {}


def test_a_request_cancelled_while_it_waits_never_runs(engine: TextEngine, model: CountingModel) -> None:
    model.gate.clear()
    first = engine.generate([2], Sampling())
    told: list[Event] = []
    waiting = Generation([3], Sampling(), 8, told.append)
    engine.submit(waiting)
    waiting.cancel()
    model.gate.set()
    assert text_of(first) == "ab"
    assert text_of(engine.generate([1], Sampling())) == "a"
    assert told == []


@pytest.mark.parametrize(
    ("prompt", "message"), [([], "empty"), (list(range(1, 65)), "64 tokens, and prompt and answer together")]
)
def test_prompts_that_cannot_be_answered(engine: TextEngine, prompt: list[int], message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        engine.generate(prompt, Sampling())


@pytest.mark.parametrize("where", ["admit", "step"])
def test_a_failing_model_fails_its_requests_and_no_later_one(
    engine: TextEngine, model: CountingModel, where: str
) -> None:
    model.fail_on = where
    with pytest.raises(InternalError, match="no memory|broken"):
        list(engine.generate([3], Sampling(), answers=2))
    model.fail_on = None
    assert text_of(engine.generate([3], Sampling())) == "abc"


def test_closing_the_engine_fails_what_is_under_way(model: CountingModel) -> None:
    model.context_length = 100_000
    engine = TextEngine(model)
    events = engine.generate([50_000], Sampling())
    next(events)
    engine.close()
    with pytest.raises(UnavailableError, match="unloaded"):
        list(events)
    with pytest.raises(UnavailableError, match="unloaded"):
        engine.generate([3], Sampling())
