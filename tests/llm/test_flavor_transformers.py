"""Hugging Face pipelines as models: the chat signature field by field, answers, what is written, what is refused."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import slipstream.pyfunc
import slipstream.transformers
from slipstream.errors import InvalidParameterError
from slipstream.models import infer_signature

HELLO = [{"role": "user", "content": "Hello"}]
MESSAGE = "{content: string (required), name: string (optional), role: string (required)}"
USAGE = "{completion_tokens: long (required), prompt_tokens: long (required), total_tokens: long (required)}"
CHAT_INPUTS = [
    f"'messages': Array({MESSAGE}) (required)",
    "'temperature': double (optional)",
    "'max_tokens': long (optional)",
    "'stop': Array(string) (optional)",
    "'n': long (optional)",
    "'stream': boolean (optional)",
]
CHAT_OUTPUTS = [
    "'id': string (required)",
    "'object': string (required)",
    "'created': long (required)",
    "'model': string (required)",
    (
        f"'choices': Array({{finish_reason: string (required), index: long (required), message: {MESSAGE} (required)}}) "
        "(required)"
    ),
    f"'usage': {USAGE} (required)",
]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_HOME", str(tmp_path / "home"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"


def save(pipeline: Any, folder: Path, task: str | None = "llm/v1/chat", **arguments: Any) -> Any:
    return slipstream.transformers.save_model(pipeline, folder, task=task, **arguments)


def test_the_chat_signature_field_by_field(tiny_pipeline: Any, folder: Path) -> None:
    signature = save(tiny_pipeline, folder).signature
    inputs = [repr(column) for column in signature.inputs]
    assert inputs[: len(CHAT_INPUTS)] == CHAT_INPUTS
    assert all(column.endswith("(optional)") for column in inputs[len(CHAT_INPUTS) :])
    assert [repr(column) for column in signature.outputs] == CHAT_OUTPUTS
    assert signature.params is None
    assert slipstream.pyfunc.load_model(folder).metadata.signature == signature


def test_a_conversation_is_answered_in_openais_shape(tiny_pipeline: Any, folder: Path) -> None:
    save(tiny_pipeline, folder, model_config={"max_new_tokens": 6})
    (answer,) = slipstream.pyfunc.load_model(folder).predict(HELLO)
    (choice,) = answer["choices"]
    assert answer["object"] == "chat.completion"
    assert choice["message"]["role"] == "assistant"
    prompt = len(tiny_pipeline.tokenizer("<|user|>Hello<|assistant|>")["input_ids"])
    assert answer["usage"]["prompt_tokens"] == prompt
    assert answer["usage"]["total_tokens"] == prompt + answer["usage"]["completion_tokens"]
    assert choice["finish_reason"] == ("length" if answer["usage"]["completion_tokens"] == 6 else "stop")


def test_requests_in_every_form_give_the_same_answer(tiny_pipeline: Any, folder: Path) -> None:
    save(tiny_pipeline, folder)
    model = slipstream.pyfunc.load_model(folder)
    request = {"messages": HELLO, "max_tokens": 5, "temperature": 0.0}

    def text(answers: list[dict[str, Any]]) -> list[str]:
        return [answer["choices"][0]["message"]["content"] for answer in answers]

    (expected,) = text(model.predict(request))
    assert text(model.predict([request, request])) == [expected] * 2
    assert text(model.predict(pd.DataFrame([request, {**request, "max_tokens": None}])))[0] == expected
    chunks = list(model.predict_stream(request))
    assert "".join(each["choices"][0]["delta"].get("content", "") for each in chunks) == expected
    assert chunks[-1]["choices"][0]["finish_reason"] in ("length", "stop")


def test_fields_are_refused_by_name(tiny_pipeline: Any, folder: Path) -> None:
    save(tiny_pipeline, folder)
    model = slipstream.pyfunc.load_model(folder)
    for fields, name in (
        ({"n": 0}, "'n'"),
        ({"tools": [1]}, "'tools'"),
        ({"temprature": 1}, "'temperature'"),
    ):
        with pytest.raises(InvalidParameterError, match=name):
            model.predict({"messages": HELLO, **fields})


def test_settings_given_when_loading_win(tiny_pipeline: Any, folder: Path) -> None:
    save(tiny_pipeline, folder, model_config={"max_new_tokens": 2})
    model = slipstream.pyfunc.load_model(folder, model_config={"max_new_tokens": 4})
    assert model.predict(HELLO)[0]["usage"]["completion_tokens"] in (3, 4)


def test_what_is_written(tiny_pipeline: Any, folder: Path) -> None:
    save(tiny_pipeline, folder, metadata={"team": "a"}, input_example={"messages": HELLO})
    document = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    flavor = document["flavors"]["transformers"]
    assert document["metadata"] == {"task": "llm/v1/chat", "team": "a"}
    assert flavor["inference_task"] == "llm/v1/chat"
    assert (flavor["task"], flavor["instance_type"]) == ("text-generation", "TextGenerationPipeline")
    assert (flavor["pipeline_model_type"], flavor["components"]) == ("Phi3ForCausalLM", ["tokenizer"])
    assert document["flavors"]["python_function"]["loader_module"] == "mlflow.transformers"
    assert (folder / "model" / "model.safetensors").is_file()
    assert (folder / "components" / "tokenizer" / "tokenizer.json").is_file()
    assert not [file for file in folder.rglob("*") if file.suffix in (".pkl", ".bin", ".pt")]
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert sorted(line.partition("==")[0] for line in lines) == ["mlflow", "torch", "transformers"]


def test_the_pipeline_comes_back(tiny_pipeline: Any, folder: Path) -> None:
    save(tiny_pipeline, folder)
    pipeline = slipstream.transformers.load_model(folder)
    assert type(pipeline).__name__ == "TextGenerationPipeline"
    assert type(pipeline.model).__name__ == "Phi3ForCausalLM"


def test_parts_instead_of_a_pipeline(tiny_pipeline: Any, folder: Path) -> None:
    save({"model": tiny_pipeline.model, "tokenizer": tiny_pipeline.tokenizer}, folder)
    assert slipstream.pyfunc.load_model(folder).predict({"messages": HELLO, "max_tokens": 1})


def test_completions(tiny_pipeline: Any, folder: Path) -> None:
    signature = save(tiny_pipeline, folder, "llm/v1/completions").signature
    assert signature.inputs.input_names()[:6] == [
        "prompt",
        "temperature",
        "max_tokens",
        "stop",
        "n",
        "stream",
    ]
    model = slipstream.pyfunc.load_model(folder)
    (answer,) = model.predict({"prompt": ["a", "b"], "max_tokens": 3, "echo": True})
    assert [choice["text"][0] for choice in answer["choices"]] == ["a", "b"]
    assert [answer["object"] for answer in model.predict(["a", "b"])] == ["text_completion"] * 2


def test_embeddings(tiny_pipeline: Any, folder: Path) -> None:
    import transformers

    tiny = tiny_pipeline.model.model
    pipeline = transformers.pipeline("feature-extraction", model=tiny, tokenizer=tiny_pipeline.tokenizer)
    signature = save(pipeline, folder, "llm/v1/embeddings").signature
    assert signature.inputs.input_names() == ["input"]
    model = slipstream.pyfunc.load_model(folder)
    (answer,) = model.predict({"input": ["abc", "abc", "x"]})
    first, same, other = (entry["embedding"] for entry in answer["data"])
    assert first == same != other
    assert sum(value * value for value in first) == pytest.approx(1.0, abs=1e-4)
    assert answer["usage"] == {"prompt_tokens": 7, "total_tokens": 7}


def test_a_pipeline_without_a_task_of_openais_is_called_as_it_is(tiny_pipeline: Any, folder: Path) -> None:
    save(tiny_pipeline, folder, None)
    answers = slipstream.pyfunc.load_model(folder).predict(["a"], params=None)
    assert answers[0][0]["generated_text"].startswith("a")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "llm/v1/embeddings"}, "text-generation pipeline cannot do task 'llm/v1/embeddings'"),
        ({"task": "llm/v2/chat"}, "Unknown task 'llm/v2/chat'"),
        ({"task": "summarization"}, "task is 'text-generation', not 'summarization'"),
        ({"model_config": {"num_beams": 3}}, "num_beams"),
        ({"signature": infer_signature(["a"])}, "signature of its own"),
    ],
)
def test_refused_when_saving(
    tiny_pipeline: Any, folder: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        save(tiny_pipeline, folder, **arguments)
    assert not folder.exists()


def test_a_name_that_is_no_folder(folder: Path) -> None:
    with pytest.raises(
        InvalidParameterError, match=r"transformers\.pipeline\('text-generation', 'org/model'\)"
    ):
        save("org/model", folder)


@pytest.mark.parametrize(
    "change", [{"pipeline_model_type": "os"}, {"components": ["evil"]}, {"torch_dtype": "nn"}]
)
def test_a_crafted_mlmodel_file(tiny_pipeline: Any, folder: Path, change: dict[str, Any]) -> None:
    save(tiny_pipeline, folder)
    file = folder / "MLmodel"
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    document["flavors"]["transformers"].update(change)
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(InvalidParameterError, match=next(iter(change))):
        slipstream.pyfunc.load_model(folder)
