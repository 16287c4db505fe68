"""Exported language models: answers, what is written, where they run, what is refused."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import slipstream.onnx_genai
import slipstream.pyfunc
from slipstream.errors import InvalidParameterError, UntrustedModelError
from slipstream.flavors.onnx_genai import FLAVOR
from slipstream.flavors.onnx_genai_batch import BatchBackend
from slipstream.flavors.onnx_genai_text import OnnxGenaiTokenizer, TurnsBackend
from slipstream.llm.sampling import Sampling
from slipstream.llm.signatures import signature_of
from slipstream.models import Model, infer_signature

SPAIN = [{"role": "user", "content": "What is the capital of Spain?"}]
MADRID = (
    "The capital of Spain is Madrid. It is the largest city in Spain and serves as the political, economic, "
)
PROMPT = "<|system|>You are a stand-up comedian.<|end|><|user|>Tell me a joke about atom<|end|><|assistant|>"
JOKE = "Why don't scientists trust atoms? Because they make up everything!"
GREEDY = Sampling(temperature=0.0)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_HOME", str(tmp_path / "home"))


@pytest.fixture
def onnx(phi3_folder: Path) -> Path:
    return phi3_folder / "onnx-int4"


@pytest.fixture
def changed(onnx: Path, tmp_path: Path) -> Any:
    """Return a copy of the exported folder, with some values of its genai_config.json replaced."""

    def change(part: str, **values: Any) -> Path:
        folder = tmp_path / "changed"
        shutil.copytree(onnx, folder)
        file = folder / "genai_config.json"
        document = json.loads(file.read_text(encoding="utf-8"))
        place = document
        for name in part.split("."):
            place = place[name]
        place.update(values)
        file.write_text(json.dumps(document), encoding="utf-8")
        return folder

    return change


def save(source: Path, folder: Path, task: str | None = "llm/v1/chat", **arguments: Any) -> Any:
    slipstream.onnx_genai.save_model(source, folder, task=task, **arguments)
    return slipstream.pyfunc.load_model(folder)


def text(answers: list[dict[str, Any]]) -> str:
    return answers[0]["choices"][0]["message"]["content"]


def open_backend(kind: type, onnx: Path) -> Any:
    if kind is BatchBackend:
        config = {"model_dir": onnx.name}
        backend = FLAVOR.load(onnx.parent, config, {}).backend
        assert isinstance(backend, BatchBackend)
        return backend
    import onnxruntime_genai

    facts = {"context_length": 4096, "eos_token_ids": [0]}
    config = onnxruntime_genai.Config(str(onnx))
    return TurnsBackend(config, OnnxGenaiTokenizer(onnx, config), facts)


def test_a_conversation(onnx: Path, tmp_path: Path) -> None:
    model = save(onnx, tmp_path / "m")
    (answer,) = model.predict(SPAIN)
    assert text([answer]).startswith(MADRID)
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["model"] == "onnx-int4"
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens"] < 20 < usage["completion_tokens"]
    assert model.metadata.signature == signature_of("llm/v1/chat")


def test_the_answers_of_transformers(onnx: Path, phi3_folder: Path, tmp_path: Path) -> None:
    """As many tokens read, and the same text, for every answer that the model learnt."""
    model = save(onnx, tmp_path / "m")
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(phi3_folder / "hf")
    known = json.loads((phi3_folder / "hf" / "known_answers.json").read_text(encoding="utf-8"))
    assert len(known) >= 9
    answers = model.predict([{"messages": talk[:-1]} for talk in known])
    for talk, answer in zip(known, answers, strict=True):
        prompt = tokenizer.apply_chat_template(talk[:-1], add_generation_prompt=True, return_dict=True)
        assert answer["usage"]["prompt_tokens"] == len(prompt["input_ids"])
        assert text([answer]) == talk[-1]["content"]


def test_every_field_of_a_request(onnx: Path, tmp_path: Path) -> None:
    model = save(onnx, tmp_path / "m")

    def ask(**fields: Any) -> dict[str, Any]:
        return model.predict({"messages": SPAIN, **fields})[0]

    assert text([ask(stop="Madrid")]) == "The capital of Spain is "
    assert text([ask(stop=["rid.", "zzz"])]) == "The capital of Spain is Mad"
    short = ask(max_tokens=3)
    assert (short["usage"]["completion_tokens"], short["choices"][0]["finish_reason"]) == (3, "length")
    several = ask(n=3, temperature=1.9, seed=1, max_tokens=20)
    assert len({choice["message"]["content"] for choice in several["choices"]}) > 1
    again = ask(n=3, temperature=1.9, seed=1, max_tokens=20)
    assert several["choices"] == again["choices"]
    assert text([ask(temperature=1.9, top_k=1)]) == text([ask()]) == text([ask(temperature=1.9, top_p=0.0)])
    count = {"messages": [{"role": "user", "content": "Count to ten."}], "max_tokens": 40}
    plain = text(model.predict(count))
    assert text(model.predict({**count, "presence_penalty": 2.0, "frequency_penalty": 2.0})) != plain
    assert text(model.predict({**count, "repetition_penalty": 5.0})) != plain
    for field, value in (("tools", [1]), ("logprobs", True), ("min_tokens", 3)):
        with pytest.raises(InvalidParameterError, match=f"'{field}'"):
            ask(**{field: value})


def test_pieces_of_an_answer_make_its_text(onnx: Path, tmp_path: Path) -> None:
    model = save(onnx, tmp_path / "m")
    request = {"messages": SPAIN, "stream_options": {"include_usage": True}}
    chunks = list(model.predict_stream(request))
    pieces = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"]]
    assert len(pieces) > 10
    assert "".join(pieces) == text(model.predict(SPAIN))
    assert chunks[-1]["usage"]["completion_tokens"] > 10


def test_without_a_task_every_row_is_answered(onnx: Path, tmp_path: Path) -> None:
    model = save(onnx, tmp_path / "m", None)
    signature = model.metadata.signature
    assert [repr(column) for column in signature.inputs] == ["'prompt': string (required)"]
    assert [repr(column) for column in signature.outputs] == ["string (required)"]
    assert model.predict({"prompt": PROMPT}) == [JOKE]
    frame = pd.DataFrame({"prompt": [PROMPT, "<|user|>Hello<|end|><|assistant|>"]})
    assert model.predict(frame) == [JOKE, "Hello! How can I help you today?"]
    assert model.predict({"prompt": PROMPT}, params={"stop": ["trust"], "max_tokens": 30}) == [
        "Why don't scientists "
    ]
    assert "".join(model.predict_stream({"prompt": PROMPT})) == JOKE
    with pytest.raises(InvalidParameterError, match="'max_tokens'"):
        model.predict({"prompt": PROMPT}, params={"max_tokens": 0})


def test_completions(onnx: Path, tmp_path: Path) -> None:
    model = save(onnx, tmp_path / "m", "llm/v1/completions")
    (answer,) = model.predict({"prompt": PROMPT, "echo": True})
    assert answer["choices"][0]["text"] == PROMPT + JOKE


def test_what_is_written(onnx: Path, tmp_path: Path) -> None:
    save(onnx, tmp_path / "m", model_config={"max_tokens": 5, "provider": "cpu"})
    document = yaml.safe_load((tmp_path / "m" / "MLmodel").read_text(encoding="utf-8"))
    flavor = document["flavors"]["onnx_genai"]
    assert (flavor["model_type"], flavor["context_length"]) == ("phi3", 4096)
    assert (flavor["model_dir"], flavor["inference_task"]) == ("model", "llm/v1/chat")
    assert document["flavors"]["python_function"]["loader_module"] == "slipstream.onnx_genai"
    assert document["metadata"] == {"task": "llm/v1/chat"}
    assert (tmp_path / "m" / "model" / "genai_config.json").is_file()
    assert str(tmp_path) not in json.dumps(document)
    lines = (tmp_path / "m" / "requirements.txt").read_text().splitlines()
    names = sorted(line.partition("==")[0] for line in lines)
    assert names == ["mlflow", "numpy", "onnxruntime-genai"]
    assert slipstream.onnx_genai.load_model(tmp_path / "m").name == "onnx-int4"


def test_what_mlflow_calls_to_load_it(onnx: Path, tmp_path: Path) -> None:
    save(onnx, tmp_path / "m", model_config={"max_tokens": 3})
    model = slipstream.onnx_genai._load_pyfunc(str(tmp_path / "m"))
    assert model.predict({"messages": SPAIN})[0]["usage"]["completion_tokens"] == 3
    model = slipstream.onnx_genai._load_pyfunc(str(tmp_path / "m"), {"max_tokens": 4})
    assert model.predict({"messages": SPAIN})[0]["usage"]["completion_tokens"] == 4


def test_the_real_mlflow_reads_and_loads_it(onnx: Path, tmp_path: Path) -> None:
    save(onnx, tmp_path / "m")
    program = (
        "import sys, mlflow.models as m; model = m.Model.load(sys.argv[1]); "
        "print(sorted(model.flavors), model.signature.inputs.input_names()[:2])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, str(tmp_path / "m")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "['onnx_genai', 'python_function'] ['messages', 'temperature']", done.stderr


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"provider": "cuda"}, "'cuda' is not available here"),
        ({"provider": "DirectML"}, "'directml' is not available here"),
        ({"provider": "tpu"}, "'tpu' for 'provider'"),
        ({"provider_options": {"device_id": 1}}, "'provider'"),
        ({"provider": "cpu", "provider_options": {"device_id": 1}}, "'provider_options'"),
        ({"num_beams": 3}, "num_beams"),
    ],
)
def test_a_device_that_is_not_there(onnx: Path, tmp_path: Path, config: Any, message: str) -> None:
    slipstream.onnx_genai.save_model(onnx, tmp_path / "m", task="llm/v1/chat")
    with pytest.raises(InvalidParameterError, match=message):
        slipstream.pyfunc.load_model(tmp_path / "m", model_config=config)


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="onnxruntime_genai.models.builder"):
        save(tmp_path, tmp_path / "m")


def test_a_task_of_another_kind(onnx: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="llm/v1/embeddings"):
        save(onnx, tmp_path / "m", "llm/v1/embeddings")
    with pytest.raises(InvalidParameterError, match="signature of its own"):
        save(onnx, tmp_path / "m", signature=infer_signature(["a"]))


def test_chat_without_a_template(onnx: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(onnx, bare)
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(InvalidParameterError, match="chat_template.jinja"):
        save(bare, tmp_path / "m")
    assert save(bare, tmp_path / "m", "llm/v1/completions").predict(PROMPT)[0]["choices"][0]["text"] == JOKE


@pytest.mark.parametrize(
    ("part", "values", "error", "message"),
    [
        ("search", {"num_beams": 4}, InvalidParameterError, "num_beams"),
        ("model.decoder", {"filename": "../x.onnx"}, InvalidParameterError, "out of the folder"),
        ("model.decoder", {"filename": "gone.onnx"}, InvalidParameterError, "no file 'gone.onnx'"),
        ("model", {"context_length": "long"}, InvalidParameterError, "'context_length'"),
        ("model", {"eos_token_id": None}, InvalidParameterError, "'eos_token_id'"),
        (
            "model.decoder.session_options",
            {"custom_ops_library": "evil.so"},
            UntrustedModelError,
            "custom_ops_library",
        ),
    ],
)
def test_a_crafted_configuration(
    changed: Any, tmp_path: Path, part: str, values: Any, error: type[Exception], message: str
) -> None:
    source = changed(part, **values)
    shelf = tmp_path / "stranger"
    shelf.mkdir()
    shutil.copytree(source, shelf / "model")
    with pytest.raises(error, match=message):
        FLAVOR.load(shelf, {"model_dir": "model"}, {})


def test_the_models_own_settings(changed: Any, tmp_path: Path) -> None:
    source = changed("search", do_sample=True, temperature=0.7, top_p=0.9, top_k=5, repetition_penalty=1.1)
    save(source, tmp_path / "m")
    loaded = slipstream.onnx_genai.load_model(tmp_path / "m")
    assert loaded.defaults == Sampling(temperature=0.7, top_p=0.9, top_k=5, repetition_penalty=1.1)


# -- both ways to generate ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [BatchBackend, TurnsBackend])
def test_rows_that_join_and_leave_say_what_they_would_alone(kind: type, onnx: Path) -> None:
    backend = open_backend(kind, onnx)
    questions = ["Hello", "Count to ten.", "What is the capital of Spain?", "Tell me a joke about atom"] * 2
    prompts = [backend.encode_chat([{"role": "user", "content": question}]) for question in questions]

    def alone(prompt: list[int]) -> list[int]:
        row = backend.admit(prompt, GREEDY)
        written = [token for _ in range(24) for _, token in backend.step()]
        backend.release(row)
        return written

    expected = [alone(prompt) for prompt in prompts]
    written: dict[Any, list[int]] = {}
    rows: list[Any] = []
    for number, prompt in enumerate(prompts):
        rows.append(backend.admit(prompt, GREEDY))
        written[rows[-1]] = []
        for _ in range(3):
            for row, token in backend.step():
                written[row].append(token)
        if number in (2, 5):
            backend.release(rows[number - 2])
    for _ in range(8):
        for row, token in backend.step():
            written[row].append(token)
    for row, said in zip(rows, expected, strict=True):
        assert len(written[row]) > 5
        assert written[row][:24] == said[: len(written[row])]


@pytest.mark.parametrize("kind", [BatchBackend, TurnsBackend])
def test_neighbours_do_not_change_a_seeded_answer(kind: type, onnx: Path) -> None:
    backend = open_backend(kind, onnx)
    prompt = backend.encode(PROMPT)

    def sample(seed: int) -> list[int]:
        row = backend.admit(prompt, Sampling(temperature=1.5, seed=seed))
        written = [token for _ in range(13) for each, token in backend.step() if each is row][:12]
        backend.release(row)
        return written

    first = sample(3)
    assert sample(4) != first
    neighbour = backend.admit(prompt[:4], Sampling(temperature=1.0))
    assert sample(3) == first
    backend.release(neighbour)


def test_the_first_tokens_of_newcomers_come_alone(onnx: Path) -> None:
    backend = open_backend(BatchBackend, onnx)
    prompt = backend.encode(PROMPT)
    first = backend.admit(prompt, GREEDY)
    assert [row for row, _ in backend.step()] == [first]
    second = backend.admit(prompt, GREEDY)
    assert [row for row, _ in backend.step()] == [second]
    assert [row for row, _ in backend.step()] == [first, second]


def test_a_prompt_in_parts(onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = open_backend(BatchBackend, onnx)
    prompt = backend.encode(PROMPT) * 3

    def say() -> list[int]:
        row = backend.admit(prompt, GREEDY)
        written = [token for _ in range(10) for _, token in backend.step()]
        backend.release(row)
        return written

    whole = say()
    monkeypatch.setattr("slipstream.flavors.onnx_genai_batch._PROMPT_PART", 7)
    assert say() == whole


def test_the_cache_grows_and_is_given_back(onnx: Path) -> None:
    backend = open_backend(BatchBackend, onnx)
    prompt = backend.encode(PROMPT)
    long = backend.admit(prompt, GREEDY)
    for _ in range(300):
        backend.step()
    assert 300 < backend._cache.width <= 4097
    backend.release(long)
    assert backend._cache.width == 0
    assert backend.step() == []


def test_text_of_several_bytes_and_marks(onnx: Path) -> None:
    backend = open_backend(BatchBackend, onnx)
    assert backend.decode(backend.encode("ä€😀 b")) == "ä€😀 b"
    end = next(iter(backend.end_tokens))
    assert backend.decode([end]) == ""
    assert backend.encode("<s><s>a") == backend.encode("<s>a")


def test_mlmodel_reads_back(onnx: Path, tmp_path: Path) -> None:
    save(onnx, tmp_path / "m")
    assert Model.load(tmp_path / "m").flavors["onnx_genai"]["eos_token_ids"]
