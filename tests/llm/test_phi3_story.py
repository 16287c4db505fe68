"""The user's own story on the small Phi-3: log, register, give an alias, load by it, ask, in each of the three ways."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import slipstream as mlflow
from phi3_answers import JOKE, MADRID, PROMPT, QUESTIONS
from slipstream.models import infer_signature

SPAIN = [{"role": "user", "content": "What is the capital of Spain?"}]


@pytest.fixture(autouse=True)
def _tracking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SLIPSTREAM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/tracking.db")
    yield
    mlflow.set_tracking_uri(None)


def load_by_alias(model_info: Any) -> Any:
    client = mlflow.MlflowClient()
    client.create_registered_model("phi3")
    version = client.create_model_version("phi3", model_info.model_uri)
    client.set_registered_model_alias("phi3", "champion", version.version)
    return mlflow.pyfunc.load_model("models:/phi3@champion")


def check_chat(model: Any) -> None:
    """Plain, in pieces, and four at a time."""
    response = model.predict(SPAIN)
    assert response[0]["choices"][0]["message"]["content"] == MADRID
    assert response[0]["usage"]["completion_tokens"] > 10
    chunks = list(model.predict_stream({"messages": SPAIN}))
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == MADRID
    requests = [{"messages": [{"role": "user", "content": question}]} for question in QUESTIONS]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda request: model.predict(request)[0], requests))
    assert [answer["choices"][0]["message"]["content"] for answer in answers] == list(QUESTIONS.values())


def test_a_transformer_pipeline(phi3_folder: Path) -> None:
    import transformers

    pipeline = transformers.pipeline(task="text-generation", model=str(phi3_folder / "hf"))
    model_config = {"max_new_tokens": 300, "temperature": 0.0}
    with mlflow.start_run(), pytest.warns(FutureWarning, match="artifact_path"):
        model_info = mlflow.transformers.log_model(
            transformers_model=pipeline,
            artifact_path="phi3-mlflow-model",
            model_config=model_config,
            task="llm/v1/chat",
        )
    assert model_info.signature.params is None
    check_chat(load_by_alias(model_info))


def test_a_python_model(phi3_folder: Path) -> None:
    class Phi3Model(mlflow.pyfunc.PythonModel):
        def load_context(self, context: Any) -> None:
            import onnxruntime_genai

            self.model = onnxruntime_genai.Model(context.artifacts["phi3-mini-onnx"])
            self.params = onnxruntime_genai.GeneratorParams(self.model)
            self.params.set_search_options(max_length=300, do_sample=False)
            self.tokenizer = onnxruntime_genai.Tokenizer(self.model)

        def predict(self, context: Any, model_input: Any) -> str:
            import onnxruntime_genai

            prompt = model_input["prompt"][0]
            generator = onnxruntime_genai.Generator(self.model, self.params)
            generator.append_tokens(self.tokenizer.encode(prompt))
            written = []
            while not generator.is_done():
                generator.generate_next_token()
                written.append(generator.get_next_tokens()[0])
            return self.tokenizer.decode(written).strip()

    input_example = {"prompt": PROMPT}
    with mlflow.start_run(), pytest.warns(FutureWarning, match="artifact_path"):
        model_info = mlflow.pyfunc.log_model(
            artifact_path="phi3-mini-onnx",
            python_model=Phi3Model(),
            artifacts={"phi3-mini-onnx": str(phi3_folder / "onnx-int4")},
            input_example=input_example,
            signature=infer_signature(input_example, ["Run"]),
            extra_pip_requirements=["torch", "onnxruntime_genai", "numpy"],
        )
    signature = model_info.signature
    assert [repr(column) for column in signature.inputs] == ["'prompt': string (required)"]
    assert [repr(column) for column in signature.outputs] == ["string (required)"]
    assert signature.params is None
    assert load_by_alias(model_info).predict({"prompt": PROMPT}) == JOKE


def test_an_exported_model_without_a_class(phi3_folder: Path) -> None:
    with mlflow.start_run():
        model_info = mlflow.onnx_genai.log_model(
            phi3_folder / "onnx-int4", name="phi3-onnx", task="llm/v1/chat"
        )
    check_chat(load_by_alias(model_info))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_pipeline_with_a_device_map_and_half_the_bits(
    phi3_folder: Path, dtype: str, tmp_path: Path
) -> None:
    import transformers

    pipeline = transformers.pipeline(
        task="text-generation", model=str(phi3_folder / "hf"), device_map="cpu", dtype=dtype
    )
    mlflow.transformers.save_model(pipeline, tmp_path / "m", task="llm/v1/chat")
    model = mlflow.pyfunc.load_model(tmp_path / "m")
    assert model.predict(SPAIN)[0]["choices"][0]["message"]["content"].startswith(
        "The capital of Spain is Madrid"
    )
    assert str(mlflow.transformers.load_model(tmp_path / "m").model.dtype) == f"torch.{dtype}"


def test_a_folder_instead_of_a_pipeline(phi3_folder: Path, tmp_path: Path) -> None:
    mlflow.transformers.save_model(str(phi3_folder / "hf"), tmp_path / "m", task="llm/v1/chat")
    assert mlflow.pyfunc.load_model(tmp_path / "m").predict(SPAIN)[0]["model"] == "hf"
