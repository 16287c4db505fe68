"""Save, log and load for every flavor: the one place where a model folder is put together."""

import contextlib
import copy
import importlib
import platform
import shutil
import tokenize
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec

from slipstream.client.scratch import make_scratch_folder, scratch_folder, writing_to
from slipstream.errors import AlreadyExistsError, InvalidParameterError, NotFoundError, StorageError
from slipstream.models import environment_files, requirements, trust
from slipstream.models.enforcement import enforce_params, enforce_schema
from slipstream.models.example import InputExample
from slipstream.models.flavor import Flavor, Predictor, Saved
from slipstream.models.locations import files_below, inside, local_model_folder
from slipstream.models.mlmodel import PYFUNC, Model, ModelInfo, slipstream_version
from slipstream.models.schema import Schema
from slipstream.models.signature import ModelSignature, infer_param_schema, infer_schema

CODE_FOLDER = "code"
PathOrLines = str | Path | Sequence[str]


class Packaging(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may say about any model, whatever its flavor."""

    signature: ModelSignature | bool | None = None
    """`False` says: none, and do not infer one."""
    input_example: Any = None
    code_paths: Sequence[str | Path] | None = None
    conda_env: str | Path | Mapping[str, Any] | None = None
    pip_requirements: PathOrLines | None = None
    extra_pip_requirements: PathOrLines | None = None
    metadata: Mapping[str, Any] | None = None
    resources: Mapping[str, Any] | None = None
    prompts: Sequence[str] | None = None
    model_config: Mapping[str, Any] | None = None
    streamable: bool | None = None


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """Where `log` puts a model and what it writes beside it."""

    name: str | None = None
    artifact_path: str | None = None
    """MLflow 2's way to name a model; used as the name."""
    registered_model_name: str | None = None
    run_id: str | None = None
    """The producing run; the active one if unset."""
    params: Mapping[str, Any] | None = None
    tags: Mapping[str, Any] | None = None
    model_type: str | None = None
    step: int = 0
    model_id: str | None = None
    """A logged model that exists already and gets its files now."""
    await_registration_for: int | None = 300


PACKAGING_ARGUMENTS = frozenset(Packaging.__struct_fields__)
DESTINATION_ARGUMENTS = frozenset(Destination.__struct_fields__)


# -- save -------------------------------------------------------------------------------------------
def save(
    flavor: Flavor,
    model: Any,
    path: str | Path,
    packaging: Packaging,
    options: Mapping[str, Any],
    mlmodel: Model | None = None,
) -> Model:
    """Write a complete model folder and return its MLmodel file.

    The folder is readable by this user alone. If anything fails, nothing is left behind.

    Raises:
        AlreadyExistsError: the folder exists and is not empty.
        InvalidParameterError: the input example does not fit the signature, among others.
        StorageError: the disk is full, or not to be written to.
    """
    folder = Path(path)
    with writing_to(folder):
        return _save(flavor, model, folder, packaging, options, Model() if mlmodel is None else mlmodel)


def _save(
    flavor: Flavor,
    model: Any,
    folder: Path,
    packaging: Packaging,
    options: Mapping[str, Any],
    document: Model,
) -> Model:
    try:
        existed = folder.exists()
        if existed and (not folder.is_dir() or any(folder.iterdir())):
            raise AlreadyExistsError(
                f"Path '{folder}' already exists and is not empty; choose another or remove it"
            )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise StorageError(
            f"The folder '{folder}' cannot be made: {error.strerror or error}. Choose another."
        ) from error
    try:
        _fill(flavor, model, folder, packaging, options, document)
    except BaseException:
        for entry in folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        if not existed:
            folder.rmdir()
        raise
    return document


def _fill(
    flavor: Flavor,
    model: Any,
    folder: Path,
    packaging: Packaging,
    options: Mapping[str, Any],
    document: Model,
) -> None:
    code = _copy_code(packaging.code_paths or (), folder)
    config = None if packaging.model_config is None else dict(packaging.model_config)
    saved = flavor.save(model, folder, {**options, "model_config": config})
    example = None if packaging.input_example is None else InputExample(packaging.input_example)
    if example is not None:
        example.save(folder)
        document.saved_input_example_info = example.info
    document.signature = _signature(packaging.signature, example, saved)
    python_function: dict[str, Any] = {
        **(saved.python_function or {}),
        "env": {"conda": environment_files.CONDA_FILE, "virtualenv": environment_files.PYTHON_ENV_FILE},
        "python_version": platform.python_version(),
    }
    if config is not None:
        python_function["config"] = config
    if packaging.streamable is not None:
        python_function["streamable"] = packaging.streamable
    if code is not None or saved.flavor is None:
        python_function["code"] = code
    document.flavors = {} if saved.python_function is None else {PYFUNC: python_function}
    if saved.flavor is not None:
        document.flavors[flavor.name] = {**saved.flavor, "code": code}
    metadata = {**saved.metadata, **(packaging.metadata or {})}
    document.metadata = metadata if metadata or packaging.metadata is not None else None
    document.resources = None if packaging.resources is None else dict(packaging.resources)
    document.prompts = None if packaging.prompts is None else list(packaging.prompts)
    document.slipstream_version = slipstream_version()
    needed = [
        *flavor.requirements,
        *requirements.distributions(saved.modules | _modules_of_code(folder, code)),
    ]
    environment_files.write_environment_files(
        folder,
        requirements.collect(
            needed,
            pip_requirements=packaging.pip_requirements,
            extra_pip_requirements=packaging.extra_pip_requirements,
        ),
        packaging.conda_env,
    )
    document.model_size_bytes = sum(file.stat().st_size for file in files_below(folder))
    document.save(folder)
    # Installing what a file names runs code as loading a pickle does.
    trust.remember(folder, [file for file in folder.iterdir() if file.name in environment_files.FILES])
    if code is not None:
        trust.remember(folder, files_below(folder / code, compiled=False))
    if saved.flavor is None:
        files = [file for entry in saved.code_files for file in files_below(entry)]
        trust.remember(folder, files, environment_files.without_environment(python_function))
    elif saved.code_files:
        trust.remember(folder, [file for entry in saved.code_files for file in files_below(entry)])


def _copy_code(paths: Sequence[str | Path], folder: Path) -> str | None:
    if isinstance(paths, (str, Path)):
        raise InvalidParameterError(f"code_paths must be a list of paths, got {paths!r}; write [{paths!r}]")
    for path in paths:
        source = Path(path)
        target = folder / CODE_FOLDER / source.resolve().name
        if not source.exists():
            raise InvalidParameterError(f"code_paths: '{path}' does not exist")
        if folder.resolve().is_relative_to(source.resolve()):
            raise InvalidParameterError(
                f"code_paths: '{path}' contains the folder that the model is saved to"
            )
        target.parent.mkdir(mode=0o700, exist_ok=True)
        if target.exists():
            raise InvalidParameterError(f"code_paths: two entries are named '{source.name}'")
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".git"))
        else:
            shutil.copy2(source, target)
    return CODE_FOLDER if paths else None


def _modules_of_code(folder: Path, code: str | None) -> set[str]:
    if code is None:
        return set()
    files = [file for file in files_below(folder / code) if file.suffix == ".py"]
    local = {entry.stem for entry in (folder / code).iterdir()}
    used = {name for file in files for name in _modules_of_file(file)}
    return {name for name in used if name.partition(".")[0] not in local}


def _modules_of_file(file: Path) -> set[str]:
    try:
        with tokenize.open(file) as source:  # by the encoding that the file itself declares
            return set(requirements.modules_of_source(source.read()))
    except (SyntaxError, UnicodeDecodeError, InvalidParameterError) as error:
        warnings.warn(
            f"'{file.name}' in code_paths cannot be read as Python ({error}); what it imports is not among the model's "
            "requirements.",
            UserWarning,
            stacklevel=2,
        )
        return set()


def _signature(
    given: ModelSignature | bool | None, example: InputExample | None, saved: Saved
) -> ModelSignature | None:
    if given not in (None, False) and not isinstance(given, ModelSignature):
        raise InvalidParameterError(
            f"signature must be a ModelSignature, None to infer it, or False; got {given!r}"
        )
    dictated = cast("ModelSignature | None", saved.signature)
    if dictated is not None:
        if isinstance(given, ModelSignature) and given != dictated and saved.dictated_by != "type hints":
            raise InvalidParameterError(
                f"The {saved.dictated_by} has a signature of its own; leave 'signature' out."
            )
        if isinstance(given, ModelSignature) and given.inputs != dictated.inputs:
            warnings.warn(
                "The given signature differs from the one that the model's type hints say; the type hints win.",
                UserWarning,
                stacklevel=5,
            )
        if example is not None and example.params and dictated.params is None:
            dictated.params = infer_param_schema(example.params)
        return dictated
    if isinstance(given, ModelSignature):
        if example is not None:
            _require_fitting_example(example, given)
        return given
    return None if given is False or example is None else _infer(example, saved.predict)


def _require_fitting_example(example: InputExample, signature: ModelSignature) -> None:
    try:
        if signature.inputs is not None:
            enforce_schema(example.data, signature.inputs)
        enforce_params(example.params, signature.params)
    except InvalidParameterError as error:
        raise InvalidParameterError(f"Input example does not match the model signature. {error}") from error


def _infer(example: InputExample, predict: Predictor | None) -> ModelSignature | None:
    try:
        inputs = infer_schema(example.data)
        params = infer_param_schema(example.params) if example.params else None
    except InvalidParameterError as error:
        warnings.warn(
            f"The model gets no signature: the input example cannot be described. {error} Pass a signature.",
            UserWarning,
            stacklevel=6,
        )
        return None
    outputs = None
    if predict is not None:
        checked: Any = None
        try:
            # What the model will get once it is loaded, with this signature before it.
            checked = enforce_schema(copy.deepcopy(example.data), inputs)
            outputs = _infer_outputs(predict(checked, enforce_params(example.params, params)), inputs)
        except Exception as error:  # noqa: BLE001  # the model is the user's; anything may come out of it
            if _predicts(predict, example):
                warnings.warn(
                    "The model gets no signature: it predicts for the input example as it is, and fails on the "
                    f"{type(checked).__name__} that a signature would make of it: {error!r}. Pass a signature, or give "
                    "predict a type hint such as model_input: list[str].",
                    UserWarning,
                    stacklevel=6,
                )
                return None
            warnings.warn(
                f"The model's outputs are not in its signature, because it failed on the input example: {error!r}. "
                "Inputs are; pass a signature to have both.",
                UserWarning,
                stacklevel=6,
            )
    return ModelSignature(inputs=inputs, outputs=outputs, params=params)


def _infer_outputs(prediction: Any, inputs: Schema) -> Schema:
    """Describe a prediction: one number a row of a table is a column of it, as MLflow has it, and not a tensor."""
    if not inputs.is_tensor_spec() and type(prediction).__name__ == "ndarray" and prediction.ndim == 1:
        prediction = importlib.import_module("pandas").Series(prediction)
    return infer_schema(prediction)


def _predicts(predict: Predictor, example: InputExample) -> bool:
    try:
        predict(copy.deepcopy(example.data), example.params or {})
    except Exception:  # noqa: BLE001  # the model is the user's; that it failed is the answer
        return False
    return True


# -- log --------------------------------------------------------------------------------------------
def log(
    flavor: Flavor, model: Any, packaging: Packaging, destination: Destination, options: Mapping[str, Any]
) -> ModelInfo:
    """Save a model, upload it as a logged model, and register it if asked.

    The logged model is PENDING while this runs, then READY, or FAILED if saving or uploading failed. Without
    an active run the model belongs to the current experiment and to no run.
    """
    from slipstream.client import fluent
    from slipstream.client.active_experiment import current_experiment_id
    from slipstream.client.client import SlipstreamClient
    from slipstream.client.context.registry import resolve_tags
    from slipstream.client.deferring import known_params, look_at_run
    from slipstream.client.model_functions import remember_logged_model
    from slipstream.entities import LoggedModelOutput

    if destination.artifact_path is not None:
        warnings.warn(
            "artifact_path is MLflow 2's spelling; use name= (the model no longer lies among the run's artifacts)",
            FutureWarning,
            stacklevel=4,
        )
    client = SlipstreamClient()
    run = look_at_run(client, destination.run_id) if destination.run_id else fluent.active_run()
    run_id = destination.run_id or (None if run is None else run.info.run_id)
    if destination.model_id is not None:
        logged = client.get_logged_model(destination.model_id)
    else:
        run_params: Mapping[str, str] = {} if run_id is None else known_params(client, run_id)
        logged = client.create_logged_model(
            run.info.experiment_id if run is not None else "" if run_id else current_experiment_id(),
            name=destination.name or destination.artifact_path,
            source_run_id=run_id,
            tags=resolve_tags(destination.tags),
            params={**(destination.params or {}), **run_params},
            model_type=destination.model_type,
        )
        remember_logged_model(logged.model_id)
    with (
        _pending(client, logged.model_id),
        scratch_folder("slipstream-model-") as temporary,
    ):
        folder = temporary / "model"  # mkdtemp's own mode is 0700
        document = Model(
            artifact_path=logged.artifact_location,
            run_id=run_id,
            model_uuid=logged.model_id,
            model_id=logged.model_id,
        )
        save(flavor, model, folder, packaging, options, document)
        client.log_model_artifacts(logged.model_id, str(folder))
    if run_id is not None:
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, destination.step)])
    version = None
    if destination.registered_model_name is not None:
        version = _register(client, destination, logged.model_id, run_id)
    info = document.get_model_info(version, name=logged.name)
    return msgspec.structs.replace(
        info, params=logged.params, tags=logged.tags, creation_timestamp=logged.creation_timestamp
    )


@contextlib.contextmanager
def _pending(client: Any, model_id: str) -> Generator[None]:
    from slipstream.entities import LoggedModelStatus

    try:
        yield
    except BaseException as error:
        try:
            client.finalize_logged_model(model_id, LoggedModelStatus.FAILED)
        except Exception as second:  # noqa: BLE001  # the first error is the one to report
            error.add_note(f"Logged model {model_id} also stays PENDING, because marking it failed: {second}")
        raise
    client.finalize_logged_model(model_id, LoggedModelStatus.READY)


def _register(client: Any, destination: Destination, model_id: str, run_id: str | None) -> Any:
    from slipstream.client.deferring import register

    name = cast("str", destination.registered_model_name)
    is_done, version = register(client, name, model_id, run_id, destination.tags)
    if is_done:
        return version
    with contextlib.suppress(AlreadyExistsError):
        client.create_registered_model(name)
    return client.create_model_version(
        name,
        f"models:/{model_id}",
        run_id=run_id,
        tags=destination.tags,
        await_creation_for=destination.await_registration_for,
        model_id=model_id,
    )


# -- load -------------------------------------------------------------------------------------------
def load(
    flavor: Flavor, model_uri: str | Path, *, dst_path: str | Path | None = None, options: Mapping[str, Any]
) -> Any:
    """Load a model with its own library.

    Raises:
        NotFoundError: there is no model at the URI, or it has not this flavor.
        UntrustedModelError: loading would run code that nobody vouches for.
    """
    folder = local_model_folder(model_uri, dst_path)
    document = Model.load(folder)
    config = document.flavors.get(flavor.name)
    if config is None:
        raise NotFoundError(
            f"The model at '{model_uri}' has no flavor '{flavor.name}'; it has {sorted(document.flavors)}. Load it with "
            "slipstream.pyfunc.load_model, or with the module of one of these flavors."
        )
    add_code(folder, config.get("code"), trust_caller=options.get("trust"))
    return flavor.load(folder, config, options)


def add_code(folder: Path, code: object, *, trust_caller: bool | None) -> None:
    """Make the Python files that a model brings importable.

    They are copied to a private folder first: what was checked is what runs, and no compiled file that lies
    beside them gets used in their place.

    Raises:
        UntrustedModelError: nobody vouches for one of the files.
    """
    if code is None:
        return
    source = inside(folder, code, key="code")
    if source.is_file():
        raise InvalidParameterError(f"'code' in the MLmodel file must name a folder, got '{code}'")
    files = files_below(source, compiled=False)
    contents = trust.read(folder, files, what="the Python code of the model", trust=trust_caller)
    import atexit
    import sys

    private = Path(make_scratch_folder("slipstream-code-"))
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    for file, content in zip(files, contents, strict=True):
        target = private / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    sys.path.insert(0, str(private))


# -- the three functions of a flavor's module -------------------------------------------------------
class Bound(NamedTuple):
    """`save_model`, `log_model` and `load_model` of one flavor."""

    save_model: Callable[..., Model]
    log_model: Callable[..., ModelInfo]
    load_model: Callable[..., Any]


def bind(flavor: Flavor) -> Bound:
    """Return the public functions of a flavor.

    The model is the first argument, or goes by MLflow's keyword for it (`sk_model=`); all others are keywords:
    the fields of `Packaging` and `Destination`, and the flavor's own options.
    """

    def save_model(model: Any = None, path: str | Path | None = None, **arguments: Any) -> Model:
        model = _take_model(flavor, model, arguments)
        if path is None:
            raise InvalidParameterError("save_model needs a path")
        packaging, _, options = split_arguments(flavor, arguments, destination=False)
        return save(flavor, model, path, packaging, options)

    def log_model(model: Any = None, artifact_path: str | None = None, **arguments: Any) -> ModelInfo:
        model = _take_model(flavor, model, arguments)
        if artifact_path is not None:
            arguments["artifact_path"] = artifact_path
        packaging, destination, options = split_arguments(flavor, arguments, destination=True)
        return log(flavor, model, packaging, destination, options)

    def load_model(model_uri: str | Path, dst_path: str | Path | None = None, **options: Any) -> Any:
        return load(flavor, model_uri, dst_path=dst_path, options=options)

    title = flavor.name
    save_model.__doc__ = f"Save a {title} model to a local folder; see `slipstream.models.saving.Packaging`."
    log_model.__doc__ = f"Log a {title} model to the tracking server and return its `ModelInfo`."
    load_model.__doc__ = f"Load a {title} model from a path or URI, as the object that was saved."
    return Bound(save_model, log_model, load_model)


def _take_model(flavor: Flavor, model: Any, arguments: dict[str, Any]) -> Any:
    if flavor.model_argument in arguments:
        if model is not None:
            raise InvalidParameterError(
                f"The model was given twice, by position and as {flavor.model_argument}="
            )
        model = arguments.pop(flavor.model_argument)
    if model is None:
        raise InvalidParameterError(f"No model given; pass it first or as {flavor.model_argument}=")
    if not flavor.handles(model):
        raise InvalidParameterError(
            f"An object of type {type(model).__module__}.{type(model).__qualname__} is no {flavor.name} model; use the "
            "module of its own library, or slipstream.pyfunc with a PythonModel around it"
        )
    return model


def split_arguments(
    flavor: Flavor, arguments: Mapping[str, Any], *, destination: bool
) -> tuple[Packaging, Destination, dict[str, Any]]:
    """Sort keyword arguments into those for any model, those for logging, and the flavor's own.

    Raises:
        InvalidParameterError: nobody knows one of them.
    """
    known = (
        PACKAGING_ARGUMENTS | flavor.options | (DESTINATION_ARGUMENTS if destination else frozenset[str]())
    )
    if unknown := sorted(set(arguments) - known):
        raise InvalidParameterError(f"Unknown arguments {unknown}; {flavor.name} models take {sorted(known)}")
    return (
        Packaging(**{name: value for name, value in arguments.items() if name in PACKAGING_ARGUMENTS}),
        Destination(**{name: value for name, value in arguments.items() if name in DESTINATION_ARGUMENTS}),
        {name: value for name, value in arguments.items() if name in flavor.options},
    )
