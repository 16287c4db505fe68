"""Language models in the format of ONNX Runtime GenAI: a folder in, a chat or a completion out; no class to write.

The folder is what GenAI's model builder writes: `genai_config.json`, the graph, the tokenizer with its chat template.
Nothing is pickled, torch is not needed, and no code from the folder is run.
"""

import importlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, cast

from slipstream.errors import InvalidParameterError, MissingDependencyError, UntrustedModelError
from slipstream.flavors.onnx_genai_batch import BatchBackend, open_decoder
from slipstream.flavors.onnx_genai_text import OnnxGenaiTokenizer, TurnsBackend
from slipstream.llm.model import ChatBackend, TextModel, payloads_of, predict_completion
from slipstream.llm.predictor import TextPredictor
from slipstream.llm.requests import parse_config
from slipstream.llm.sampling import Sampling
from slipstream.llm.signatures import CHAT, COMPLETIONS, signature_of, signature_of_text
from slipstream.models.flavor import Predictor, Saved
from slipstream.models.locations import inside
from slipstream.models.mlmodel import PYFUNC, Model
from slipstream.models.saving import bind

MODEL_FOLDER = "model"
CONFIG_FILE = "genai_config.json"
_PROVIDERS: Mapping[str, str] = {
    "cpu": "",
    "cuda": "cuda",
    "directml": "DML",
    "dml": "DML",
    "webgpu": "WebGPU",
    "openvino": "OpenVINO",
    "qnn": "QNN",
}
"""Names of `provider` in model_config, and what the library calls them."""
_NEUTRAL: Mapping[str, object] = {
    "min_length": 0,
    "no_repeat_ngram_size": 0,
    "num_beams": 1,
    "num_return_sequences": 1,
    "diversity_penalty": 0.0,
}
"""Settings in the model's `search` that we do not do, and the values that ask for nothing."""
_DEVICE_SETTINGS = ("provider", "provider_options")


class LoadedModel:
    """A model in memory.

    Args:
        backend: advances answers; where possible several in one pass.
        defaults: what the model's own `genai_config.json` asks for.
    """

    def __init__(self, backend: ChatBackend, name: str, defaults: Sampling) -> None:
        self.backend = backend
        self.name = name
        self.defaults = defaults


class OnnxGenaiFlavor:
    name: ClassVar[str] = "onnx_genai"
    # Whichever build is installed.
    requirements: ClassVar[tuple[str, ...]] = (
        "onnxruntime-genai",
        "onnxruntime-genai-cuda",
        "onnxruntime-genai-directml",
        "numpy",
    )
    model_argument: ClassVar[str] = "model_dir"
    options: ClassVar[frozenset[str]] = frozenset({"task"})

    def handles(self, model: object) -> bool:
        return isinstance(model, (str, Path))

    def save(self, model: Any, folder: Path, options: Mapping[str, Any]) -> Saved:
        source = Path(model)
        task = _require_task(options.get("task"))
        _split_config(options.get("model_config") or {})  # what means nothing is refused now, not when served
        document = _read_config(source)
        _require_harmless(document, source, trusted=True)
        facts = _facts_of(document, source)
        _sampling_of(document)
        genai = _import()
        if task == CHAT:
            tokenizer = OnnxGenaiTokenizer(source, genai.Config(str(source)))
            try:
                tokenizer.encode_chat([{"role": "user", "content": "Hello"}])
            except InvalidParameterError as error:
                raise InvalidParameterError(
                    f"task 'llm/v1/chat' needs a tokenizer with a chat template, and '{source}' has none that works "
                    f"({error}). Put a chat_template.jinja beside its tokenizer.json, or use task "
                    "'llm/v1/completions'."
                ) from error
        shutil.copytree(
            source, folder / MODEL_FOLDER, ignore=shutil.ignore_patterns(".git", ".cache", "__pycache__")
        )
        flavor: dict[str, Any] = {
            "model_dir": MODEL_FOLDER,
            "model_type": facts["type"],
            "context_length": facts["context_length"],
            "eos_token_ids": facts["eos_token_ids"],
            "source_model_name": source.resolve().name,
            "onnxruntime_genai_version": genai.__version__,
        }
        if task is not None:
            flavor["inference_task"] = task
        return Saved(
            flavor=flavor,
            python_function={"loader_module": "slipstream.onnx_genai", "streamable": True},
            signature=signature_of_text() if task is None else signature_of(task),
            dictated_by="onnx_genai flavor" if task is None else f"task '{task}'",
            metadata={} if task is None else {"task": task},
        )

    def load(self, folder: Path, config: Mapping[str, Any], options: Mapping[str, Any]) -> LoadedModel:
        place = inside(folder, config.get("model_dir"), key="onnx_genai.model_dir")
        document = _read_config(place)
        _require_harmless(document, place, trusted=bool(options.get("trust")))
        facts = _facts_of(document, place)
        device, _ = _split_config(options.get("model_config") or {})
        return LoadedModel(
            _open(place, document, facts, device),
            str(config.get("source_model_name") or place.name),
            _sampling_of(document),
        )

    def predictor(self, model: LoadedModel, config: Mapping[str, Any]) -> Predictor:
        _, settings = _split_config(cast("Mapping[str, Any]", config.get("config") or {}))
        task = _require_task(config.get("inference_task"))
        text = TextModel(model.backend, model.name, settings.over(model.defaults))
        return PromptPredictor(text) if task is None else TextPredictor(text, task)


class PromptPredictor:
    """Without a task: a prompt in, a text out, for every row; params are those of a completion."""

    def __init__(self, model: TextModel) -> None:
        self.model = model

    def __call__(self, data: Any, params: dict[str, Any]) -> list[str]:
        answers = predict_completion(self.model, self._requests(data, params))
        return [choice["text"] for answer in answers for choice in answer["choices"]]

    def stream(self, data: Any, params: dict[str, Any]) -> Iterator[str]:
        """Yield the pieces of one answer."""
        task = TextPredictor(self.model, COMPLETIONS)
        for chunk in task.stream(self._requests(data, params), {}):
            for choice in chunk["choices"]:
                if choice["text"]:
                    yield choice["text"]

    def _requests(self, data: Any, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        given = {name: value for name, value in params.items() if value is not None}
        return [{**payload, **given} for payload in payloads_of(data, "prompt")]


def load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> Any:
    """Return the model as MLflow's pyfunc wants it: an object with `predict`."""
    from slipstream.flavors.pyfunc_model import FlavorModel

    folder = Path(path)
    flavors = Model.load(folder).flavors
    config = flavors[FLAVOR.name]
    settings = flavors[PYFUNC].get("config") if model_config is None else model_config
    loaded = FLAVOR.load(folder, config, {"model_config": settings})
    return FlavorModel(loaded, FLAVOR.predictor(loaded, {**config, "config": settings}))


def _open(
    folder: Path, document: Mapping[str, Any], facts: Mapping[str, Any], device: Mapping[str, Any]
) -> ChatBackend:
    genai = _import()
    config = genai.Config(str(folder))
    provider = device.get("provider")
    own = _own_providers(document)
    is_cpu = provider == "cpu" or (provider is None and not own)
    if provider is not None:
        config.clear_providers()
        if not is_cpu:
            name = _PROVIDERS[provider]
            config.append_provider(name)
            for key, value in cast("Mapping[str, Any]", device.get("provider_options") or {}).items():
                config.set_provider_option(name, str(key), str(value))
    try:
        tokenizer = OnnxGenaiTokenizer(folder, config)
        if is_cpu:
            decoder = open_decoder(folder, document, facts)
            if decoder is not None:
                return BatchBackend(decoder, tokenizer, facts)
        return TurnsBackend(config, tokenizer, facts)
    except RuntimeError as error:
        if is_cpu:
            raise InvalidParameterError(
                f"The model in '{folder}' cannot be opened by ONNX Runtime GenAI {genai.__version__}: {error}"
            ) from error
        wanted = provider or ", ".join(own)
        raise InvalidParameterError(
            f"The provider '{wanted}' is not available here: {error}. Install the build of onnxruntime-genai for it "
            "(onnxruntime-genai-cuda, onnxruntime-genai-directml), or load the model with "
            "model_config={'provider': 'cpu'}."
        ) from error


def _own_providers(document: Mapping[str, Any]) -> list[str]:
    """Return the devices that the model was exported for; none for the CPU."""
    options = cast("dict[str, Any]", document["model"]["decoder"].get("session_options") or {})
    entries = cast("list[dict[str, Any]]", options.get("provider_options") or [])
    names = [name for entry in entries for name in entry]
    return [name for name in names if not name.lower().startswith("cpu")]


def _split_config(config: Mapping[str, Any]) -> tuple[dict[str, Any], Sampling]:
    """Return where a model runs, and the defaults of its answers."""
    device = {name: config[name] for name in _DEVICE_SETTINGS if config.get(name) is not None}
    settings = parse_config({name: value for name, value in config.items() if name not in _DEVICE_SETTINGS})
    if not device:
        return {}, settings
    provider = str(device.get("provider", "")).lower()
    if provider not in _PROVIDERS:
        raise InvalidParameterError(
            f"Invalid value {device.get('provider')!r} for 'provider' in model_config: choose one of "
            f"{', '.join(_PROVIDERS)}."
        )
    options = device.get("provider_options", {})
    if not isinstance(options, Mapping) or (options and provider == "cpu"):
        raise InvalidParameterError(
            f"Invalid value {options!r} for 'provider_options' in model_config: it is a dict of the provider's options, "
            "and the CPU has none."
        )
    return {"provider": provider, "provider_options": options}, settings


def _require_task(task: object) -> str | None:
    if task is not None and task not in (CHAT, COMPLETIONS):
        raise InvalidParameterError(
            f"Unknown task '{task}' for an onnx_genai model; known are {CHAT}, {COMPLETIONS}, and none at all for a "
            "prompt in and a text out."
        )
    return cast("str | None", task)


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / CONFIG_FILE
    if not file.is_file():
        raise InvalidParameterError(
            f"'{folder}' is no folder with a {CONFIG_FILE}. Make one of a Hugging Face model: "
            f"python -m onnxruntime_genai.models.builder -i MODEL -o {folder} -p int4 -e cpu"
        )
    try:
        document = json.loads(file.read_bytes())
    except ValueError as error:
        raise InvalidParameterError(f"'{file}' is no JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(
        cast("dict[str, Any]", document).get("model", {}).get("decoder"), dict
    ):
        raise InvalidParameterError(f"'{file}' describes no language model: it has no model.decoder.")
    return cast("dict[str, Any]", document)


def _facts_of(document: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    model, decoder = document["model"], document["model"]["decoder"]
    ends = model.get("eos_token_id")
    facts: dict[str, Any] = {
        "type": str(model.get("type")),
        "eos_token_ids": [ends] if isinstance(ends, int) else ends,
        "context_length": model.get("context_length"),
        "vocab_size": model.get("vocab_size"),
        "layers": decoder.get("num_hidden_layers"),
        "heads": decoder.get("num_key_value_heads"),
        "head_size": decoder.get("head_size"),
    }
    for name in ("context_length", "vocab_size", "layers", "heads", "head_size"):
        if not isinstance(facts[name], int) or facts[name] < 1:
            raise InvalidParameterError(
                f"'{folder / CONFIG_FILE}': '{name}' of the model must be a number above 0, got {facts[name]!r}."
            )
    if not isinstance(facts["eos_token_ids"], list) or not facts["eos_token_ids"]:
        raise InvalidParameterError(
            f"'{folder / CONFIG_FILE}': 'eos_token_id' must say how answers end, got {ends!r}."
        )
    return facts


def _sampling_of(document: Mapping[str, Any]) -> Sampling:
    """Return what the model's own file asks for where a request says nothing."""
    search = cast("Mapping[str, Any]", document.get("search") or {})
    asked = {
        name: search[name] for name, neutral in _NEUTRAL.items() if search.get(name) not in (None, neutral)
    }
    if asked:
        raise InvalidParameterError(
            f"The 'search' settings of {CONFIG_FILE} ask for {asked}, which is not supported. Set them to "
            f"{ {name: _NEUTRAL[name] for name in asked} }."
        )
    sample = bool(search.get("do_sample"))
    return Sampling(
        temperature=float(search.get("temperature") or 1.0) if sample else 0.0,
        top_p=search.get("top_p") if sample else None,
        top_k=search.get("top_k") if sample else None,
        repetition_penalty=search.get("repetition_penalty"),
    )


def _require_harmless(document: Mapping[str, Any], folder: Path, *, trusted: bool) -> None:
    """Look for what would make the library open files elsewhere or run code."""
    for key, value in _texts(document):
        if "library" in key and not trusted:
            raise UntrustedModelError(
                f"{CONFIG_FILE} has '{key}': '{value}', a program that would be loaded with the model. If you trust its "
                "author, pass trust=True (--trust on the command line)."
            )
        path = PurePosixPath(value.replace("\\", "/"))
        if key == "filename" or key.endswith("_filename"):
            if path.is_absolute() or ".." in path.parts or ":" in value:
                raise InvalidParameterError(f"{CONFIG_FILE}: '{key}' points out of the folder: '{value}'.")
            if key == "filename" and not (folder / value).is_file():
                raise InvalidParameterError(f"'{folder}' has no file '{value}', which {CONFIG_FILE} names.")


def _texts(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, each in cast("dict[str, Any]", value).items():
            yield from _texts(each, name)
    elif isinstance(value, list):
        for each in cast("list[Any]", value):
            yield from _texts(each, key)


def _import() -> Any:
    try:
        return importlib.import_module("onnxruntime_genai")
    except ImportError as error:
        raise MissingDependencyError(
            "Models of ONNX Runtime GenAI need it: pip install 'slipstream[onnx-genai]'"
        ) from error


FLAVOR = OnnxGenaiFlavor()
save_model, log_model, load_model = bind(FLAVOR)
