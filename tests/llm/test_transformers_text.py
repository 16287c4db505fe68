"""The batched generation of Hugging Face models: the same answers as the library's own, one by one."""

import random
from typing import Any

import pytest

from slipstream.errors import InvalidParameterError
from slipstream.flavors.transformers_text import TransformersBackend, default_sampling
from slipstream.llm.engine import Finished, Piece, TextEngine
from slipstream.llm.sampling import Sampling

GREEDY = Sampling(temperature=0.0)


@pytest.fixture
def backend(tiny_pipeline: Any) -> TransformersBackend:
    return TransformersBackend(tiny_pipeline.model, tiny_pipeline.tokenizer)


def reference(pipeline: Any, prompt: list[int], count: int) -> list[int]:
    """Return what transformers itself generates."""
    import torch

    tokens = torch.tensor([prompt])
    written = pipeline.model.generate(
        tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=count, do_sample=False
    )
    return written[0, len(prompt) :].tolist()


def advance(backend: TransformersBackend, written: dict[Any, list[int]]) -> None:
    for row, token in backend.step():
        written[row].append(token)


def test_rows_that_join_and_leave_at_any_time_say_what_they_would_alone(
    backend: TransformersBackend, tiny_pipeline: Any
) -> None:
    chance = random.Random(5)
    prompts = [[chance.randrange(5, 200) for _ in range(chance.randrange(1, 40))] for _ in range(12)]
    written: dict[Any, list[int]] = {}
    rows: dict[Any, list[int]] = {}
    live: list[Any] = []
    for prompt in prompts:
        row = backend.admit(prompt, GREEDY)
        rows[row], written[row] = prompt, []
        live.append(row)
        for _ in range(chance.randrange(4)):
            advance(backend, written)
        if chance.random() < 0.4:
            backend.release(live.pop(chance.randrange(len(live))))
    for _ in range(10):
        advance(backend, written)

    assert len(live) < len(prompts)
    for row, prompt in rows.items():
        expected = reference(tiny_pipeline, prompt, 60)[: len(written[row])]
        # After the end token the library stops; the engine would have released the row there.
        assert written[row][: len(expected)] == expected


def test_the_cache_forgets_what_nobody_needs(backend: TransformersBackend) -> None:
    long, short = backend.admit([7] * 50, GREEDY), backend.admit([7] * 2, GREEDY)
    backend.step()
    backend.release(long)
    backend.step()
    backend.step()
    assert backend._batches[0].cache.get_seq_length() == 2 + 2
    backend.release(short)
    backend.step()
    assert backend.step() == []
    assert backend._batches == []


def test_a_released_newcomer_never_joins(backend: TransformersBackend) -> None:
    backend.release(backend.admit([7], GREEDY))
    assert backend.step() == []


def test_the_same_seed_gives_the_same_answer_and_another_another(backend: TransformersBackend) -> None:
    def sample(seed: int, **settings: Any) -> list[int]:
        row = backend.admit([9, 8, 7], Sampling(temperature=2.0, seed=seed, **settings))
        tokens = [token for _ in range(12) for _, token in backend.step()]
        backend.release(row)
        return tokens

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)
    assert sample(1, top_k=1) == sample(2, top_k=1)
    assert sample(1, top_p=0.0) == sample(2, top_p=0.0) == sample(1, top_k=1)


def test_neighbours_do_not_change_a_seeded_answer(backend: TransformersBackend) -> None:
    sampling = Sampling(temperature=1.0, seed=4)
    alone = backend.admit([9, 8, 7], sampling)
    expected = [token for _ in range(10) for row, token in backend.step() if row is alone]
    backend.release(alone)
    rows = [backend.admit([5] * length, Sampling(temperature=1.0)) for length in (1, 20)]
    again = backend.admit([9, 8, 7], sampling)
    assert [token for _ in range(10) for row, token in backend.step() if row is again] == expected
    for row in [*rows, again]:
        backend.release(row)


def test_penalties_make_what_was_written_less_likely(backend: TransformersBackend) -> None:
    def tokens(**penalties: float) -> list[int]:
        row = backend.admit([9], Sampling(temperature=0.0, **penalties))
        written = [token for _ in range(30) for _, token in backend.step()]
        backend.release(row)
        return written

    plain = len(set(tokens()))
    assert plain < 30  # left alone, it repeats itself
    assert len(set(tokens(presence_penalty=2.0, frequency_penalty=2.0))) > plain
    assert len(set(tokens(repetition_penalty=1.9))) > plain


def test_text_of_several_bytes_comes_out_whole(backend: TransformersBackend) -> None:
    engine = TextEngine(backend)
    text = "ä€😀"
    tokens = backend.encode(text)
    assert len(tokens) == 9
    assert backend.decode(tokens) == text
    engine.close()


def test_one_beginning_mark_only(backend: TransformersBackend) -> None:
    assert backend.encode("<s><s>a") == backend.encode("<s>a")
    assert backend.encode_chat([{"role": "user", "content": "a"}])[-1] == 3


def test_a_conversation_that_the_template_refuses(backend: TransformersBackend) -> None:
    with pytest.raises(InvalidParameterError, match="no such role: boss"):
        backend.encode_chat([{"role": "boss", "content": "a"}])


def test_limits_and_ends_come_from_the_model(backend: TransformersBackend) -> None:
    assert backend.context_length == 256
    assert backend.end_tokens == {1}


def test_pieces_of_an_answer_make_its_text(backend: TransformersBackend, tiny_pipeline: Any) -> None:
    engine = TextEngine(backend)
    prompt = backend.encode("hello")
    events = list(engine.generate(prompt, Sampling(temperature=0.0, max_tokens=40)))
    engine.close()
    expected = reference(tiny_pipeline, prompt, 40)
    assert "".join(event.text for event in events if isinstance(event, Piece)) == backend.decode(expected)
    assert isinstance(events[-1], Finished)
    assert events[-1].completion_tokens == len(expected)


def test_a_models_own_defaults(tiny_pipeline: Any) -> None:
    import transformers

    sampled = transformers.GenerationConfig(
        do_sample=True, temperature=0.3, top_p=0.8, top_k=9, max_new_tokens=5
    )
    assert default_sampling(sampled) == Sampling(temperature=0.3, top_p=0.8, top_k=9, max_tokens=5)
    assert default_sampling(transformers.GenerationConfig(temperature=0.3)).temperature == 0.0
