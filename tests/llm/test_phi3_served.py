"""The user's own story over HTTP: three models of one small Phi-3, registered, served by their aliases, and asked."""

import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import slipstream as mlflow
from phi3_answers import JOKE, MADRID, PROMPT, QUESTIONS
from slipstream.models import infer_signature

PROGRAM = Path(sys.executable).with_name("slipstream")
CLASS = """
import onnxruntime_genai

import slipstream as mlflow


class Phi3Model(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.model = onnxruntime_genai.Model(context.artifacts["phi3-mini-onnx"])
        self.tokenizer = onnxruntime_genai.Tokenizer(self.model)

    def predict(self, context, model_input):
        params = onnxruntime_genai.GeneratorParams(self.model)
        params.set_search_options(max_length=200, do_sample=False)
        generator = onnxruntime_genai.Generator(self.model, params)
        prompt = self.tokenizer.encode(model_input["prompt"][0])
        generator.append_tokens(prompt)
        while not generator.is_done():
            generator.generate_next_token()
        return self.tokenizer.decode(generator.get_sequence(0)[len(prompt):])


mlflow.models.set_model(Phi3Model())
"""


def register(name: str, info: Any) -> None:
    client = mlflow.MlflowClient()
    client.create_registered_model(name)
    version = client.create_model_version(name, info.model_uri)
    client.set_registered_model_alias(name, "champion", version.version)


@pytest.fixture(scope="module")
def url(phi3_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where A, B and C are served, and the same model's embeddings."""
    import transformers

    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLIPSTREAM_HOME", str(folder / "home"))
        patch.chdir(folder)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/tracking.db")
        pipeline = transformers.pipeline(task="text-generation", model=str(phi3_folder / "hf"))
        register(
            "phi3-pipeline",
            mlflow.transformers.log_model(
                transformers_model=pipeline, name="a", task="llm/v1/chat", model_config={"temperature": 0.0}
            ),
        )
        register(
            "phi3-embeddings",
            mlflow.transformers.log_model(
                transformers_model=transformers.pipeline(
                    "feature-extraction", model=pipeline.model.model, tokenizer=pipeline.tokenizer
                ),
                name="e",
                task="llm/v1/embeddings",
            ),
        )
        (folder / "phi3_model.py").write_text(CLASS, encoding="utf-8")
        example = {"prompt": PROMPT}
        register(
            "phi3-class",
            mlflow.pyfunc.log_model(
                name="b",
                python_model=str(folder / "phi3_model.py"),
                artifacts={"phi3-mini-onnx": str(phi3_folder / "onnx-int4")},
                input_example=example,
                signature=infer_signature(example, ["Run"]),
                pip_requirements=["onnxruntime_genai", "numpy"],
            ),
        )
        register(
            "phi3-onnx",
            mlflow.onnx_genai.log_model(str(phi3_folder / "onnx-int4"), name="c", task="llm/v1/chat"),
        )
        models = [
            f"--model-uri=models:/{name}@champion"
            for name in ("phi3-pipeline", "phi3-class", "phi3-onnx", "phi3-embeddings")
        ]
        process = subprocess.Popen(
            [str(PROGRAM), "models", "serve", "-p", "0", *models],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        lines: list[str] = []
        assert process.stdout is not None
        reader = threading.Thread(target=lines.extend, args=(process.stdout,), daemon=True)
        reader.start()
        deadline = time.monotonic() + 180
        while not any(line.startswith("Serving ") for line in lines):
            assert process.poll() is None, "".join(lines)
            assert time.monotonic() < deadline, "".join(lines)
            time.sleep(0.1)
        yield re.findall(r"http://[\d.:]+", "".join(lines))[0]
        process.terminate()
        assert process.wait(60) == 0
        reader.join(10)
        process.stdout.close()
        mlflow.set_tracking_uri(None)


@pytest.fixture
def client(url: str) -> Iterator[Any]:
    import openai

    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


def ask(client: Any, model: str, question: str, **options: Any) -> Any:
    return client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": question}], **options
    )


@pytest.mark.parametrize("model", ["phi3-pipeline", "phi3-onnx"])
def test_the_openai_client_plain(client: Any, model: str) -> None:
    answer = ask(client, model, "What is the capital of Spain?")
    assert answer.choices[0].message.content == MADRID
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == model
    assert answer.usage.completion_tokens > 10
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@pytest.mark.parametrize("model", ["phi3-pipeline", "phi3-onnx"])
def test_the_openai_client_streaming(client: Any, model: str) -> None:
    stream = ask(
        client,
        model,
        "What is the capital of Spain?",
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(texts) == MADRID
    assert len([text for text in texts if text]) > 5  # not all at once
    assert chunks[-1].usage.completion_tokens > 10
    whole = ask(client, model, "What is the capital of Spain?")
    assert chunks[-1].usage == whole.usage


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["phi3-pipeline", "phi3-onnx"])
def test_the_openai_client_four_at_a_time(client: Any, model: str, stream: bool) -> None:
    def answer(question: str) -> str:
        if not stream:
            return ask(client, model, question).choices[0].message.content
        return "".join(
            chunk.choices[0].delta.content or "" for chunk in ask(client, model, question, stream=True)
        )

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(answer, QUESTIONS)) == list(QUESTIONS.values())


@pytest.mark.parametrize("model", ["phi3-pipeline", "phi3-onnx"])
def test_the_openai_client_and_options(client: Any, model: str) -> None:
    import openai

    short = ask(client, model, "What is the capital of Spain?", max_tokens=3)
    assert (short.choices[0].finish_reason, short.usage.completion_tokens) == ("length", 3)
    stopped = ask(client, model, "What is the capital of Spain?", stop=[" Madrid"])
    assert stopped.choices[0].message.content == "The capital of Spain is"
    several = ask(client, model, "Hello", n=2)
    assert [choice.message.content for choice in several.choices] == [QUESTIONS["Hello"]] * 2
    with pytest.raises(openai.BadRequestError, match="'temperature'"):
        ask(client, model, "Hello", temperature=9.0)
    with pytest.raises(openai.BadRequestError, match="'tools'"):
        ask(client, model, "Hello", tools=[{"type": "function", "function": {"name": "f"}}])
    with pytest.raises(openai.NotFoundError, match="phi3-onnx"):
        ask(client, "gpt-5", "Hello")


def test_models_are_listed_for_the_openai_client(client: Any) -> None:
    listed = sorted(model.id for model in client.models.list())
    assert listed == ["phi3-class", "phi3-embeddings", "phi3-onnx", "phi3-pipeline"]


def post(url: str, document: Any) -> tuple[Any, dict[str, str]]:
    request = urllib.request.Request(url, json.dumps(document).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.loads(response.read()), {key.lower(): value for key, value in response.headers.items()}


def test_the_class_of_the_users_own_four_at_a_time(url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        answers = list(
            threads.map(lambda _: post(f"{url}/models/phi3-class/invocations", {"prompt": PROMPT}), range(4))
        )
    for answer, headers in answers:
        assert answer.strip() == JOKE
        assert (headers["x-slipstream-model"], headers["x-slipstream-model-version"]) == ("phi3-class", "1")


@pytest.mark.parametrize("model", ["phi3-pipeline", "phi3-onnx"])
def test_mlflows_route_has_the_same_answer_in_a_list(url: str, model: str) -> None:
    (answer,), _ = post(
        f"{url}/models/{model}/invocations",
        {"messages": [{"role": "user", "content": "What is the capital of Spain?"}]},
    )
    assert answer["choices"][0]["message"]["content"] == MADRID


def test_tokens_are_counted(url: str, client: Any) -> None:
    ask(client, "phi3-onnx", "Hello")
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as response:
        text = response.read().decode()
    counted = re.findall(
        r'^slipstream_serving_completion_tokens_total\{.*model="phi3-onnx".*\} ([\d.e+]+)$',
        text,
        re.MULTILINE,
    )
    assert counted
    assert sum(map(float, counted)) > 0


def test_the_openai_client_asks_for_embeddings(client: Any) -> None:
    texts = ["What is the capital of Spain?", "Tell me a joke about atom", "What is the capital of Spain?"]
    packed = client.embeddings.create(model="phi3-embeddings", input=texts)  # the client's default is base64
    plain = client.embeddings.create(model="phi3-embeddings", input=texts, encoding_format="float")
    assert packed.model == plain.model == "phi3-embeddings"
    vectors = [entry.embedding for entry in plain.data]
    assert vectors[0] == vectors[2] != vectors[1]
    for entry, vector in zip(packed.data, vectors, strict=True):
        assert entry.embedding == pytest.approx(vector, abs=1e-6)
        assert sum(value * value for value in vector) == pytest.approx(1.0, abs=1e-4)
    assert plain.usage.prompt_tokens == plain.usage.total_tokens > 3
