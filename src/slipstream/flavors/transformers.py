"""Hugging Face pipelines: weights as safetensors, no pickle, no code from the model's folder.

With `task="llm/v1/chat"` (or completions, embeddings) a text model answers in OpenAI's shape, behind that task's
fixed signature. Without, the pipeline is called as it is.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, cast

from slipstream.errors import InvalidParameterError, MissingDependencyError
from slipstream.llm import model as text_model
from slipstream.llm.messages import EmbeddingRequest
from slipstream.llm.predictor import TextPredictor
from slipstream.llm.requests import parse, parse_config
from slipstream.llm.signatures import CHAT, COMPLETIONS, EMBEDDINGS, TASKS, signature_of
from slipstream.models.flavor import Predictor, Saved
from slipstream.models.locations import inside
from slipstream.models.saving import bind

MODEL_FOLDER = "model"
COMPONENTS_FOLDER = "components"
_TASKS_OF: Mapping[str, tuple[str, ...]] = {
    "text-generation": (CHAT, COMPLETIONS),
    "feature-extraction": (EMBEDDINGS,),
}
"""Which of OpenAI's tasks a pipeline can do."""
_COMPONENTS = ("tokenizer", "feature_extractor", "image_processor", "processor")
_LOADERS: Mapping[str, str] = {
    "tokenizer": "AutoTokenizer",
    "feature_extractor": "AutoFeatureExtractor",
    "image_processor": "AutoImageProcessor",
    "processor": "AutoProcessor",
}


class TransformersFlavor:
    name: ClassVar[str] = "transformers"
    requirements: ClassVar[tuple[str, ...]] = ("transformers", "torch")
    model_argument: ClassVar[str] = "transformers_model"
    options: ClassVar[frozenset[str]] = frozenset({"task"})

    def handles(self, model: object) -> bool:
        if isinstance(model, (str, Path, dict)):
            return True
        return any(base.__module__.startswith("transformers.pipelines") for base in type(model).__mro__)

    def save(self, model: Any, folder: Path, options: Mapping[str, Any]) -> Saved:
        transformers = _import()
        task = options.get("task")
        pipeline = _to_pipeline(transformers, model, None if task in TASKS else task)
        inference_task = _inference_task(pipeline, task)
        if inference_task in (CHAT, COMPLETIONS):
            parse_config(
                options.get("model_config") or {}
            )  # a key that means nothing is refused now, not when served
        if getattr(pipeline.model.config, "auto_map", None):
            raise InvalidParameterError(
                "The model brings Python code of its own (auto_map in config.json). It cannot be logged as a "
                "transformers model; wrap it in a PythonModel with code_paths."
            )
        pipeline.model.save_pretrained(folder / MODEL_FOLDER)
        flavor: dict[str, Any] = {
            "transformers_version": transformers.__version__,
            "task": pipeline.task,
            "instance_type": type(pipeline).__name__,
            "framework": "pt",
            "pipeline_model_type": type(pipeline.model).__name__,
            "torch_dtype": str(pipeline.model.dtype),
            "source_model_name": _source_name(pipeline.model),
            "model_binary": MODEL_FOLDER,
        }
        components: list[str] = []
        for component in _COMPONENTS:
            part = getattr(pipeline, component, None)
            if part is not None:
                part.save_pretrained(folder / COMPONENTS_FOLDER / component)
                components.append(component)
                flavor[f"{component}_type"] = type(part).__name__
        flavor["components"] = components
        if inference_task is not None:
            flavor["inference_task"] = inference_task
        return Saved(
            flavor=flavor,
            # MLflow refuses to load a model that streams here, since its own transformers models do not.
            python_function={"loader_module": "mlflow.transformers", "streamable": False},
            signature=None if inference_task is None else signature_of(inference_task),
            dictated_by=f"task '{inference_task}'",
            metadata={} if inference_task is None else {"task": inference_task},
            predict=self.predictor(pipeline, flavor) if inference_task is None else None,
        )

    def load(self, folder: Path, config: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        transformers = _import()
        files = inside(folder, config.get("model_binary"), key="transformers.model_binary")
        kind = getattr(transformers, str(config.get("pipeline_model_type")), None)
        if not isinstance(kind, type) or not issubclass(kind, transformers.PreTrainedModel):
            raise InvalidParameterError(
                f"'pipeline_model_type' in the MLmodel file is {config.get('pipeline_model_type')!r}, which is no model "
                f"class of transformers {transformers.__version__}."
            )
        loader = cast("Any", kind)
        model = loader.from_pretrained(
            files, dtype=_dtype(config), use_safetensors=True, local_files_only=True, trust_remote_code=False
        )
        parts: dict[str, Any] = {}
        for component in cast("list[Any]", config.get("components") or []):
            if component not in _LOADERS:
                raise InvalidParameterError(
                    f"'components' in the MLmodel file has '{component}'; known are {', '.join(_LOADERS)}."
                )
            place = inside(folder, f"{COMPONENTS_FOLDER}/{component}", key="transformers.components")
            parts[component] = getattr(transformers, _LOADERS[component]).from_pretrained(
                place, local_files_only=True, trust_remote_code=False
            )
        return transformers.pipeline(
            config.get("task"), model=model, device=options.get("device"), trust_remote_code=False, **parts
        )

    def predictor(self, model: Any, config: Mapping[str, Any]) -> Predictor:
        task = config.get("inference_task")
        settings = cast("Mapping[str, Any]", config.get("config") or {})
        if task == EMBEDDINGS:
            return EmbeddingPredictor(model, str(config.get("source_model_name")))
        if task in (CHAT, COMPLETIONS):
            from slipstream.flavors.transformers_text import TransformersBackend, default_sampling

            defaults = parse_config(settings).over(default_sampling(model.model.generation_config))
            backend = TransformersBackend(model.model, model.tokenizer)
            text = text_model.TextModel(backend, str(config.get("source_model_name")), defaults)
            return TextPredictor(text, str(task))
        return _pipeline_predictor(model, settings)


class EmbeddingPredictor:
    """Embeddings: the mean of the last layer's vectors over a text's tokens, of length 1."""

    checks_input = True

    def __init__(self, pipeline: Any, name: str) -> None:
        self._pipeline = pipeline
        self._name = name

    def __call__(self, data: Any, params: dict[str, Any]) -> list[dict[str, Any]]:
        payloads = text_model.payloads_of(data, "input")
        return [self._embed(parse(payload, EmbeddingRequest)) for payload in payloads]

    def _embed(self, request: EmbeddingRequest) -> dict[str, Any]:
        torch: Any = importlib.import_module("torch")

        model, tokenizer = self._pipeline.model, self._pipeline.tokenizer
        texts = [request.input] if isinstance(request.input, str) else request.input
        vectors: list[list[float]] = []
        tokens = 0
        for text in texts:  # one by one: without padding a vector does not depend on its neighbours
            encoded = tokenizer(text, return_tensors="pt", truncation=True).to(model.device)
            with torch.inference_mode():
                states = model(**encoded).last_hidden_state[0].float()
            vectors.append(torch.nn.functional.normalize(states.mean(dim=0), dim=0).tolist())
            tokens += int(encoded["input_ids"].shape[1])
        return {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": vector}
                for index, vector in enumerate(vectors)
            ],
            "model": self._name,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }


def _pipeline_predictor(pipeline: Any, settings: Mapping[str, Any]) -> Predictor:
    def predict(data: Any, params: dict[str, Any]) -> Any:
        if hasattr(data, "columns"):
            if len(data.columns) != 1:
                raise InvalidParameterError(
                    f"A {pipeline.task} pipeline takes one column, got {list(data.columns)}. For others log it with a "
                    "PythonModel around it."
                )
            data = data.iloc[:, 0].tolist()
        elif hasattr(data, "tolist"):
            data = data.tolist()
        return pipeline(data, **{**settings, **params})

    return predict


def _import() -> Any:
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise MissingDependencyError(
            "Hugging Face models need transformers and torch: pip install 'slipstream[transformers]'"
        ) from error


def _to_pipeline(transformers: Any, model: Any, task: str | None) -> Any:
    if isinstance(model, (str, Path)):
        if not Path(model).is_dir():
            raise InvalidParameterError(
                f"transformers_model '{model}' is no folder of this machine. Make a pipeline of it: "
                f"transformers.pipeline('text-generation', '{model}')."
            )
        return transformers.pipeline(task or "text-generation", model=str(model))
    if isinstance(model, dict):
        parts = cast("dict[str, Any]", model)
        if "model" not in parts:
            raise InvalidParameterError(
                f"transformers_model as a dict needs the key 'model', beside 'tokenizer' and the like; got {sorted(parts)}"
            )
        return transformers.pipeline(task or "text-generation", **parts)
    return model


def _inference_task(pipeline: Any, task: str | None) -> str | None:
    if task is None or task == pipeline.task:
        return None
    if task not in TASKS:
        if task.startswith("llm/"):
            raise InvalidParameterError(f"Unknown task '{task}'; known are {', '.join(TASKS)}.")
        raise InvalidParameterError(f"The pipeline's task is '{pipeline.task}', not '{task}'.")
    possible = _TASKS_OF.get(pipeline.task, ())
    if task not in possible:
        others = f"it can do {', '.join(possible)}" if possible else "it can do none of OpenAI's tasks"
        raise InvalidParameterError(f"A {pipeline.task} pipeline cannot do task '{task}': {others}.")
    if task == CHAT and not getattr(pipeline.tokenizer, "chat_template", None):
        raise InvalidParameterError(
            "task 'llm/v1/chat' needs a tokenizer with a chat template. Set pipeline.tokenizer.chat_template, or use "
            "task 'llm/v1/completions'."
        )
    return task


def _source_name(model: Any) -> str:
    """Return a hub's name as it is, and of a folder its own name: where it lay on the author's disk is nobody's business."""
    name = str(getattr(model, "name_or_path", "") or type(model).__name__)
    return Path(name).name if Path(name).is_absolute() or Path(name).exists() else name


def _dtype(config: Mapping[str, Any]) -> Any:
    torch: Any = importlib.import_module("torch")

    name = str(config.get("torch_dtype") or "torch.float32").removeprefix("torch.")
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise InvalidParameterError(
            f"'torch_dtype' in the MLmodel file is '{name}', which is no type of torch."
        )
    return dtype


FLAVOR = TransformersFlavor()
save_model, log_model, load_model = bind(FLAVOR)
