"""A tiny untrained model of the Phi-3 architecture: it says nonsense, but the same nonsense each time."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

ABSENT = "torch and transformers are not installed (make install brings them where there is a build of torch)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None:
        for item in items:
            if here in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=ABSENT))


@pytest.fixture(scope="session")
def tiny_pipeline() -> Any:
    """A text-generation pipeline of an untrained model whose words are letters."""
    import torch
    import transformers
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    torch.manual_seed(3)
    torch.set_num_threads(1)
    marks = ["<s>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]
    letters = [*marks, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(
        models.BPE(vocab={letter: number for number, letter in enumerate(letters)}, merges=[])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(mark, special=True) for mark in marks])
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="<|end|>",
        pad_token="<|end|>",
        model_max_length=256,
    )
    wrapped.chat_template = (
        "{% for m in messages %}{% if m['role'] not in ('user', 'assistant', 'system') %}"
        "{{ raise_exception('no such role: ' + m['role']) }}{% endif %}"
        "<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    config = transformers.Phi3Config(
        vocab_size=len(letters),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
        original_max_position_embeddings=256,
        sliding_window=64,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        initializer_range=0.5,
    )
    model = transformers.Phi3ForCausalLM(config)
    return transformers.pipeline("text-generation", model=model, tokenizer=wrapped, device="cpu")
