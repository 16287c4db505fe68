"""Any model as one Python function: what the scoring server and most users load.

Also the way to package custom Python models: an instance of `PythonModel`, a function, a Python file that
builds the model (the safest: nothing is pickled), or a module of the user's with `_load_pyfunc`.
"""

import importlib
import io
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

from slipstream.errors import InvalidParameterError, MissingDependencyError, NotFoundError
from slipstream.flavors import pickling, type_hints
from slipstream.flavors.pyfunc_model import FlavorModel, PyFuncModel
from slipstream.flavors.python_model import (
    FunctionModel,
    PythonModel,
    PythonModelContext,
    PythonModelRunner,
)
from slipstream.flavors.registry import find_flavor
from slipstream.models import environment_files, model_code, saving, trust
from slipstream.models.example import EXAMPLE_FILES
from slipstream.models.flavor import Predictor, Saved
from slipstream.models.locations import files_below, inside, local_model_folder
from slipstream.models.mlmodel import MLMODEL_FILE, PYFUNC, Model, ModelInfo
from slipstream.models.requirements import modules_of, modules_of_source
from slipstream.models.schema import AnyType, ColSpec, Schema
from slipstream.models.signature import ModelSignature

FLAVOR_NAME = PYFUNC
PICKLE_FILE = "python_model.pkl"
ARTIFACTS_FOLDER = "artifacts"
DATA_FOLDER = "data"
PYTHON_MODEL_LOADERS = ("mlflow.pyfunc.model", "slipstream.pyfunc.model")
CODE_MODEL_LOADERS = ("mlflow.pyfunc.loaders.code_model", "slipstream.pyfunc.loaders.code_model")


class PyFuncFlavor:
    """Custom Python models. Their part of the MLmodel file is `python_function` itself."""

    name: ClassVar[str] = PYFUNC
    requirements: ClassVar[tuple[str, ...]] = ("cloudpickle", "pandas")
    model_argument: ClassVar[str] = "python_model"
    options: ClassVar[frozenset[str]] = frozenset(
        {"artifacts", "loader_module", "data_path", "infer_code_paths"}
    )

    def handles(self, model: object) -> bool:
        return isinstance(model, (str, Path)) or callable(model) or callable(getattr(model, "predict", None))

    def save(self, model: Any, folder: Path, options: Mapping[str, Any]) -> Saved:
        loader = options.get("loader_module")
        if (loader is None) == (model is None):
            raise InvalidParameterError(
                "Give either python_model or loader_module (with data_path), not both or none"
            )
        if loader is not None:
            return _save_loader(str(loader), options.get("data_path"), folder)
        artifacts = _copy_artifacts(options.get("artifacts") or {}, folder)
        context = PythonModelContext(
            {name: str(folder / entry["path"]) for name, entry in artifacts.items()},
            options.get("model_config"),
        )
        if isinstance(model, (str, Path)):
            saved = _save_file(Path(model), folder, context)
        else:
            saved = _save_object(model, folder, context)
        if artifacts:
            cast("dict[str, Any]", saved.python_function)["artifacts"] = artifacts
            # What a model does with its artifacts is its own affair, unpickling included.
            saved.code_files.append(folder / ARTIFACTS_FOLDER)
        return saved

    def load(self, folder: Path, config: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        return _load_implementation(folder, dict(config), options.get("model_config"), options.get("trust"))

    def predictor(self, model: Any, config: Mapping[str, Any]) -> Predictor:
        return model.predict


FLAVOR = PyFuncFlavor()


# -- saving -----------------------------------------------------------------------------------------
def _save_object(model: Any, folder: Path, context: PythonModelContext) -> Saved:
    if isinstance(model, type):
        raise InvalidParameterError(
            f"python_model must be an instance; pass {model.__name__}() instead of the class"
        )
    python_model = model if hasattr(model, "predict") else FunctionModel(model)
    content = pickling.dumps(python_model)
    (folder / PICKLE_FILE).write_bytes(content)
    cloudpickle: Any = importlib.import_module("cloudpickle")
    return Saved(
        flavor=None,
        python_function={
            "loader_module": PYTHON_MODEL_LOADERS[0],
            "python_model": PICKLE_FILE,
            "cloudpickle_version": cloudpickle.__version__,
            "streamable": _streams(python_model),
        },
        code_files=[folder / PICKLE_FILE],
        modules=modules_of(model),
        signature=_signature_of(python_model),
        predict=_predict_once(python_model, context),
    )


def _save_file(source: Path, folder: Path, context: PythonModelContext) -> Saved:
    if source.suffix != ".py" or not source.is_file():
        raise InvalidParameterError(f"python_model as a path must be an existing .py file, got '{source}'")
    target = folder / source.name
    shutil.copyfile(source, target)
    built = model_code.run_model_code(target, context.model_config)
    python_model = built if hasattr(built, "predict") else FunctionModel(built)
    return Saved(
        flavor=None,
        python_function={
            "loader_module": CODE_MODEL_LOADERS[0],
            "model_code_path": source.name,
            "streamable": _streams(python_model),
        },
        code_files=[target],
        modules=modules_of_source(target.read_text(encoding="utf-8")),
        signature=_signature_of(python_model),
        predict=_predict_once(python_model, context),
    )


def _save_loader(loader: str, data_path: str | Path | None, folder: Path) -> Saved:
    python_function: dict[str, Any] = {"loader_module": loader, "streamable": False}
    if data_path is not None:
        source = Path(data_path)
        if not source.exists():
            raise InvalidParameterError(f"data_path '{data_path}' does not exist")
        if source.is_dir():
            shutil.copytree(source, folder / DATA_FOLDER)
            python_function["data"] = DATA_FOLDER
        else:
            (folder / DATA_FOLDER).mkdir(mode=0o700)
            shutil.copy2(source, folder / DATA_FOLDER / source.name)
            python_function["data"] = f"{DATA_FOLDER}/{source.name}"
    runs = [folder / python_function["data"]] if data_path is not None else []
    return Saved(flavor=None, python_function=python_function, code_files=runs, modules={loader})


def _copy_artifacts(artifacts: Mapping[str, str], folder: Path) -> dict[str, dict[str, str]]:
    """Copy or download each artifact below `artifacts/`; two of one file name get folders of their own."""
    result: dict[str, dict[str, str]] = {}
    root = folder / ARTIFACTS_FOLDER
    for name, uri in artifacts.items():
        root.mkdir(mode=0o700, exist_ok=True)
        local = _local(str(uri))
        target = root / local.resolve().name
        if target.exists():
            target = root / f"{len(result)}" / local.resolve().name
            target.parent.mkdir(mode=0o700)
        if local.is_dir():
            shutil.copytree(local, target)
        else:
            shutil.copy2(local, target)
        result[name] = {"path": target.relative_to(folder).as_posix(), "uri": str(uri)}
    return result


def _local(uri: str) -> Path:
    if Path(uri).exists():
        return Path(uri)
    from slipstream.client.artifacts import download_artifacts

    return Path(download_artifacts(artifact_uri=uri))


def _streams(python_model: Any) -> bool:
    return callable(getattr(python_model, "predict_stream", None)) and (
        not isinstance(python_model, PythonModel)
        or type(python_model).predict_stream is not PythonModel.predict_stream
    )


def _signature_of(python_model: Any) -> ModelSignature | None:
    hints = getattr(python_model, "predict_type_hints", None)
    if hints is None or not type_hints.is_supported(hints.input):
        return None
    supported = type_hints.is_supported(hints.output)
    outputs = type_hints.infer_schema(hints.output) if supported else Schema([ColSpec(AnyType())])
    signature = ModelSignature(inputs=type_hints.infer_schema(hints.input), outputs=outputs)
    signature.from_type_hint = True
    return signature


def _predict_once(python_model: Any, context: PythonModelContext) -> Predictor:
    def predict(data: Any, params: dict[str, Any]) -> Any:
        if hasattr(python_model, "load_context"):
            python_model.load_context(context)
        return PythonModelRunner(python_model, context, convert=True).predict(data, params or None)

    return predict


# -- loading ----------------------------------------------------------------------------------------
def load_model(
    model_uri: str | Path,
    suppress_warnings: bool = False,
    dst_path: str | Path | None = None,
    model_config: Mapping[str, Any] | str | Path | None = None,
    *,
    trust: bool | None = None,
    skops_trusted_types: Sequence[str] | None = None,
) -> "PyFuncModel":
    """Load any model that has the `python_function` flavor, from a path or a URI.

    Args:
        model_uri: a path, `models:/name/1`, `models:/name@alias`, `runs:/id/name`, ...
        suppress_warnings: kept for MLflow's callers; loading warns about nothing.
        dst_path: folder to download to.
        model_config: settings that replace those saved with the model, key by key.
        trust: true says that the model may run the code it brings.
        skops_trusted_types: types that a scikit-learn model may contain beside the vetted ones.

    Raises:
        NotFoundError: there is no model, or it has no such flavor.
        UntrustedModelError: it would run code that nobody vouches for.
    """
    del suppress_warnings
    folder = local_model_folder(model_uri, dst_path)
    document = Model.load(folder)
    config = document.flavors.get(PYFUNC)
    if config is None:
        raise NotFoundError(
            f"The model at '{model_uri}' cannot be loaded as a Python function: its flavors are "
            f"{sorted(document.flavors)}"
        )
    saving.add_code(folder, config.get("code"), trust_caller=trust)
    merged = _merge_config(config.get("config"), model_config)
    implementation = _load_implementation(folder, document.flavors, merged, trust, skops_trusted_types)
    return PyFuncModel(document, implementation, folder)


def _merge_config(
    saved: Mapping[str, Any] | None, given: Mapping[str, Any] | str | Path | None
) -> dict[str, Any] | None:
    if saved is not None and not isinstance(saved, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidParameterError(f"'config' in the MLmodel file must be a mapping, got {saved!r}")
    if given is None:
        return None if saved is None else dict(saved)
    override = model_code.read_config(given)
    if saved is not None and (unknown := sorted(set(override) - set(saved))):
        warnings.warn(
            f"model_config has keys {unknown} that the model was not saved with; they are passed on all the same.",
            UserWarning,
            stacklevel=3,
        )
    return {**(saved or {}), **override}


def _load_implementation(
    folder: Path,
    flavors: Mapping[str, Any],
    model_config: Mapping[str, Any] | None,
    trusted: bool | None,
    skops_trusted_types: Sequence[str] | None = None,
) -> Any:
    config: Mapping[str, Any] = flavors.get(PYFUNC, flavors)
    loader = config.get("loader_module")
    if not isinstance(loader, str):
        raise InvalidParameterError(
            f"'loader_module' in the MLmodel file must be a module's name, got {loader!r}"
        )
    if loader in PYTHON_MODEL_LOADERS:
        return _load_pickled(folder, config, model_config, trusted)
    if loader in CODE_MODEL_LOADERS:
        return _load_file(folder, config, model_config, trusted)
    package, _, name = loader.partition(".")
    if package in ("mlflow", "slipstream") and "." not in name and name in flavors:
        flavor = find_flavor(name)
        if flavor is not None:
            options = {
                "trust": trusted,
                "skops_trusted_types": skops_trusted_types,
                "model_config": model_config,
            }
            part = flavors[name]
            model = flavor.load(folder, part, options)
            return FlavorModel(model, flavor.predictor(model, {**part, **config, "config": model_config}))
    return _load_by_module(folder, loader, config, model_config, trusted)


def _context(
    folder: Path, config: Mapping[str, Any], model_config: Mapping[str, Any] | None
) -> PythonModelContext:
    entries: object = config.get("artifacts") or {}
    paths = {name: entry.get("path") for name, entry in _mappings(entries)}
    artifacts = {
        name: str(inside(folder, path, key=f"artifacts.{name}.path")) for name, path in paths.items()
    }
    return PythonModelContext(artifacts, model_config)


def _mappings(entries: object) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the entries of `artifacts`, each a mapping itself."""
    pairs: list[tuple[Any, Any]] = [("", None)]
    if isinstance(entries, Mapping):
        pairs = list(cast("Mapping[Any, Any]", entries).items())
    if not all(isinstance(entry, Mapping) for _, entry in pairs):
        raise InvalidParameterError(
            f"'artifacts' in the MLmodel file must be a mapping of names to paths, got {entries!r}"
        )
    return [(str(name), entry) for name, entry in pairs]


def _start(python_model: Any, context: PythonModelContext) -> PythonModelRunner:
    if not hasattr(python_model, "predict"):
        python_model = FunctionModel(python_model)
    if hasattr(python_model, "load_context"):
        python_model.load_context(context)
    return PythonModelRunner(python_model, context, convert=True)


def _artifact_files(folder: Path, context: PythonModelContext) -> list[Path]:
    """Return all that a model can find as artifacts, also beside those that it asks for."""
    root = folder.resolve() / ARTIFACTS_FOLDER
    found = files_below(root) if root.is_dir() else []
    for path in map(Path, context.artifacts.values()):
        if not path.is_relative_to(root):
            found += files_below(path)
    return found


def _facts(config: Mapping[str, Any]) -> dict[str, Any]:
    return environment_files.without_environment(config)


def _load_pickled(
    folder: Path, config: Mapping[str, Any], model_config: Mapping[str, Any] | None, trusted: bool | None
) -> PythonModelRunner:
    if config.get("python_model_compression"):
        raise InvalidParameterError(
            f"The model's pickle is compressed with {config['python_model_compression']}, which is not supported; log it "
            "again without MLFLOW_LOG_MODEL_COMPRESSION"
        )
    file = inside(folder, config.get("python_model"), key="python_function.python_model")
    context = _context(folder, config, model_config)
    what = "a pickled Python model"
    (content,) = trust.read(
        folder, [file], _artifact_files(folder, context), _facts(config), what=what, trust=trusted
    )
    return _start(pickling.load(io.BytesIO(content)), context)


def _load_file(
    folder: Path, config: Mapping[str, Any], model_config: Mapping[str, Any] | None, trusted: bool | None
) -> PythonModelRunner:
    # MLflow may have written the author's full path; the file lies in the model folder by its name.
    written = config.get("model_code_path")
    name = written.replace("\\", "/").rpartition("/")[2] if isinstance(written, str) else written
    file = inside(folder, name, key="python_function.model_code_path")
    context = _context(folder, config, model_config)
    what = "a model from code"
    (source,) = trust.read(
        folder, [file], _artifact_files(folder, context), _facts(config), what=what, trust=trusted
    )
    return _start(model_code.run_model_code(file, model_config, source), context)


def _load_by_module(
    folder: Path,
    loader: str,
    config: Mapping[str, Any],
    model_config: Mapping[str, Any] | None,
    trusted: bool | None,
) -> Any:
    data = (
        folder if config.get("data") is None else inside(folder, config["data"], key="python_function.data")
    )
    # The module decides what it does with the data, unpickling included. Without data of its own that is all but
    # what this library itself wrote; code is checked by itself.
    files = files_below(data)
    if data == folder:
        code = config.get("code")
        ours = environment_files.FILES | {MLMODEL_FILE, *EXAMPLE_FILES}
        files = [
            file
            for file in files
            if (file.parent != folder or file.name not in ours)
            and (not isinstance(code, str) or not file.is_relative_to(folder / code))
        ]
    trust.require(folder, files, _facts(config), what=f"a model that '{loader}' loads", trust=trusted)
    try:
        module = importlib.import_module(loader)
    except ImportError as error:
        raise MissingDependencyError(
            f"The model is loaded by the module '{loader}', which cannot be imported: {error}. Install what its "
            f"{environment_files.REQUIREMENTS_FILE} names; slipstream has no flavor of that name itself."
        ) from error
    load_pyfunc = getattr(module, "_load_pyfunc", None)
    if not callable(load_pyfunc):
        raise InvalidParameterError(f"The loader module '{loader}' has no function _load_pyfunc")
    return load_pyfunc(str(data), dict(model_config)) if model_config else load_pyfunc(str(data))


# -- public save and log ----------------------------------------------------------------------------
def save_model(
    path: str | Path,
    loader_module: str | None = None,
    data_path: str | Path | None = None,
    *,
    python_model: Any = None,
    artifacts: Mapping[str, str] | None = None,
    **arguments: Any,
) -> Model:
    """Save a custom Python model to a local folder.

    Args:
        path: an empty or new folder.
        loader_module: a module of yours with `_load_pyfunc(data_path)`, instead of `python_model`.
        data_path: what that module loads from.
        python_model: a `PythonModel`, a function, or the path of a file that calls `set_model`.
        artifacts: paths or URIs by name; copied into the model and found in `context.artifacts`.
        **arguments: the fields of `models.saving.Packaging`.
    """
    packaging, _, _ = saving.split_arguments(FLAVOR, _with_config(arguments), destination=False)
    options = {"loader_module": loader_module, "data_path": data_path, "artifacts": artifacts}
    return saving.save(FLAVOR, python_model, path, packaging, options)


def log_model(
    artifact_path: str | None = None,
    loader_module: str | None = None,
    data_path: str | Path | None = None,
    *,
    python_model: Any = None,
    artifacts: Mapping[str, str] | None = None,
    **arguments: Any,
) -> ModelInfo:
    """Log a custom Python model to the tracking server; arguments as for `save_model` and `name=`."""
    if artifact_path is not None:
        arguments["artifact_path"] = artifact_path
    packaging, destination, _ = saving.split_arguments(FLAVOR, _with_config(arguments), destination=True)
    options = {"loader_module": loader_module, "data_path": data_path, "artifacts": artifacts}
    return saving.log(FLAVOR, python_model, packaging, destination, options)


def _with_config(arguments: dict[str, Any]) -> dict[str, Any]:
    config = arguments.get("model_config")
    return arguments if config is None else {**arguments, "model_config": model_code.read_config(config)}


def get_model_dependencies(model_uri: str | Path, format: str = "pip") -> str:  # MLflow's name
    """Return the local path of the file that lists what a model needs.

    Args:
        model_uri: path or URI of the model.
        format: "pip" for requirements.txt, "conda" for conda.yaml.

    Raises:
        NotFoundError: the model has no such file.
    """
    names = {"pip": environment_files.REQUIREMENTS_FILE, "conda": environment_files.CONDA_FILE}
    if format not in names:
        raise InvalidParameterError(f"format must be 'pip' or 'conda', got '{format}'")
    return str(inside(local_model_folder(model_uri), names[format], key="requirements"))
