"""Models to test with: an untrained one that says the same nonsense each time, and a small Phi-3 that answers."""

import fcntl
import hashlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "phi3"
NEEDED = ("torch", "transformers", "onnxruntime_genai", "onnx", "onnx_ir")
# The Makefile leaves here why it could not install them.
FAILURE = Path(sys.prefix) / "llm-failure"
LESSONS = ("Spain", "atom", "Hello", "Count to ten")
STEPS = 120


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    absent = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if not absent:
        return
    reason = f"{', '.join(absent)} not installed (tests/llm/requirements.txt)"
    if FAILURE.is_file() and (lines := FAILURE.read_text(encoding="utf-8").split("\n")):
        reason += f"; make install said: {' '.join(line.strip() for line in lines if line.strip())[:300]}"
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def phi3_folder(pytestconfig: pytest.Config) -> Path:
    """A folder with `hf`, a Phi-3 that knows the lessons, and `onnx-int4`, its export; made once for all runs."""
    sources = b"".join(
        (EXAMPLES / name).read_bytes() for name in ("make_model.py", "world.py", "export_onnx.py")
    )
    requirements = (Path(__file__).parent / "requirements.txt").read_bytes()
    said = repr((LESSONS, STEPS, sys.version_info[:2])).encode()
    digest = hashlib.sha256(sources + requirements + said).hexdigest()[:16]
    cache = pytestconfig.cache
    assert cache is not None
    shelf = cache.mkdir("phi3")
    with (shelf / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # workers of one run, and runs beside it
        folder = shelf / digest
        if not folder.is_dir():
            unfinished = shelf / "unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            only = [word for lesson in LESSONS for word in ("--only", lesson)]
            _run("make_model.py", str(unfinished / "hf"), "--steps", str(STEPS), *only)
            given = ["--model", str(unfinished / "hf"), "--folder", str(unfinished / "onnx-int4")]
            _run("export_onnx.py", *given)
            unfinished.rename(folder)
    return folder


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / program), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


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
