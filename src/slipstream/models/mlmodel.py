"""The MLmodel file: what a model folder says about itself."""

import datetime as dt
import json
import uuid
from collections.abc import Mapping
from importlib import metadata as importlib_metadata
from pathlib import Path
from typing import Any, cast

import msgspec

from slipstream.entities.registered_model import ModelVersion
from slipstream.errors import InvalidParameterError, NotFoundError
from slipstream.models.schema import ParamSchema, Schema
from slipstream.models.signature import ModelSignature

MLMODEL_FILE = "MLmodel"
MLFLOW_FORMAT_VERSION = "3.17.2"
"""The MLflow release whose format we write; readers of MLmodel files decide by this number."""
PYFUNC = "python_function"

_KNOWN_KEYS = (
    "artifact_path",
    "run_id",
    "utc_time_created",
    "flavors",
    "saved_input_example_info",
    "model_uuid",
    "mlflow_version",
    "metadata",
    "model_size_bytes",
    "resources",
    "env_vars",
    "auth_policy",
    "model_id",
    "prompts",
    "slipstream_version",
)
# MLflow leaves these out when they are unset, and writes null for the others.
_LEFT_OUT_WHEN_NONE = frozenset(
    {
        "artifact_path",
        "run_id",
        "saved_input_example_info",
        "mlflow_version",
        "metadata",
        "model_size_bytes",
        "resources",
        "env_vars",
        "auth_policy",
        "slipstream_version",
    }
)


def slipstream_version() -> str:
    """Return the installed version of slipstream."""
    return importlib_metadata.version("slipstream")


class Model:
    """One MLmodel file in memory; attributes are its keys.

    Keys that this version does not know are kept in `extra` and written back unchanged.
    """

    def __init__(
        self,
        /,  # a file may have a key `self`, which is kept like all that are not known
        artifact_path: str | None = None,
        run_id: str | None = None,
        utc_time_created: str | dt.datetime | None = None,
        flavors: dict[str, dict[str, Any]] | None = None,
        signature: ModelSignature | None = None,
        saved_input_example_info: dict[str, Any] | None = None,
        model_uuid: str | None = "",
        mlflow_version: str | None = MLFLOW_FORMAT_VERSION,
        metadata: dict[str, Any] | None = None,
        model_size_bytes: int | None = None,
        resources: dict[str, Any] | None = None,
        env_vars: list[str] | None = None,
        auth_policy: dict[str, Any] | None = None,
        model_id: str | None = None,
        prompts: list[str] | None = None,
        slipstream_version: str | None = None,
        **extra: Any,
    ) -> None:
        self.artifact_path = artifact_path
        self.run_id = run_id
        self.utc_time_created = str(utc_time_created or dt.datetime.now(dt.UTC).replace(tzinfo=None))
        self.flavors: dict[str, dict[str, Any]] = {} if flavors is None else flavors
        self.signature = signature
        self.saved_input_example_info = saved_input_example_info
        self.model_uuid = uuid.uuid4().hex if model_uuid == "" else model_uuid
        self.mlflow_version = mlflow_version
        self.metadata = metadata
        self.model_size_bytes = model_size_bytes
        self.resources = resources
        self.env_vars = env_vars
        self.auth_policy = auth_policy
        self.model_id = model_id
        self.prompts = prompts
        self.slipstream_version = slipstream_version
        self.extra: dict[str, Any] = extra

    def add_flavor(self, name: str, **params: Any) -> "Model":
        self.flavors[name] = params
        return self

    def get_input_schema(self) -> Schema | None:
        return self.signature.inputs if self.signature else None

    def get_output_schema(self) -> Schema | None:
        return self.signature.outputs if self.signature else None

    def get_params_schema(self) -> ParamSchema | None:
        return self.signature.params if self.signature else None

    def to_dict(self) -> dict[str, Any]:
        """Return the keys and values of the file."""
        values = {key: getattr(self, key) for key in _KNOWN_KEYS}
        result = {
            key: value for key, value in values.items() if value is not None or key not in _LEFT_OUT_WHEN_NONE
        }
        if self.signature is not None:
            result["signature"] = self.signature.to_dict()
            result["is_signature_from_type_hint"] = self.signature.from_type_hint
            result["type_hint_from_example"] = self.signature.type_hint_from_example
        return {**self.extra, **result}

    def to_yaml(self) -> str:
        import yaml

        return yaml.safe_dump(self.to_dict(), default_flow_style=False)

    def to_json(self) -> str:
        return json.dumps(self.to_dict())

    def save(self, path: str | Path) -> None:
        """Write the file; `path` names the file itself or the model folder."""
        target = Path(path)
        if target.is_dir():
            target /= MLMODEL_FILE
        target.write_text(self.to_yaml(), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "Model":
        """Read the MLmodel file of a model folder, local or behind any URI.

        Raises:
            NotFoundError: there is no such file; without it a folder is no model.
            InvalidParameterError: the file is not what an MLmodel file must be.
        """
        from slipstream.models.locations import local_model_file

        file = local_model_file(path)
        if not file.is_file():
            raise NotFoundError(f"Could not find an '{MLMODEL_FILE}' file at '{path}'; is it a model folder?")
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidParameterError(
                f"The {MLMODEL_FILE} file of '{path}' cannot be read: {error}"
            ) from error
        return cls.from_text(text, where=str(path))

    @classmethod
    def from_text(cls, text: str, *, where: str) -> "Model":
        """Read the content of a file; `where` is the folder, for messages.

        Raises:
            InvalidParameterError: the file is not what an MLmodel file must be; names the file and the key.
        """
        import yaml

        file = f"The {MLMODEL_FILE} file of '{where}'"
        try:
            content: Any = yaml.safe_load(text)
        except Exception as error:  # besides its own, what Python raises for dates, numbers and depth
            raise InvalidParameterError(f"{file} is no valid YAML: {error}") from error
        if not isinstance(content, dict):
            raise InvalidParameterError(f"{file} must be a mapping of keys")
        keys = cast("dict[Any, Any]", content)
        done: set[int] = set()
        for key, value in keys.items():
            _require_finite(value, f"{file}: '{key}'", (keys,), done)
        try:
            return cls.from_dict(keys)
        except InvalidParameterError as error:
            raise InvalidParameterError(f"{file} is damaged: {error}") from error

    @classmethod
    def from_dict(cls, model_dict: Mapping[Any, Any]) -> "Model":
        """Build from the keys and values of a file.

        Raises:
            InvalidParameterError: a key that must hold a mapping does not, or the signature is damaged.
        """
        values = {str(key): value for key, value in model_dict.items()}
        flavors = values.get("flavors")
        if flavors is not None and (
            not isinstance(flavors, dict)
            or not all(isinstance(value, dict) for value in cast("dict[str, Any]", flavors).values())
        ):
            raise InvalidParameterError(
                f"'flavors' in an {MLMODEL_FILE} file maps names to mappings, got {flavors!r}"
            )
        for key in ("saved_input_example_info", "metadata"):
            if values.get(key) is not None and not isinstance(values[key], dict):
                raise InvalidParameterError(
                    f"'{key}' in an {MLMODEL_FILE} file is a mapping, got {values[key]!r}"
                )
        from_type_hint = bool(values.pop("is_signature_from_type_hint", False))
        type_hint_from_example = bool(values.pop("type_hint_from_example", False))
        signature = values.get("signature")
        if signature is not None:
            if not isinstance(signature, dict):
                raise InvalidParameterError(
                    f"'signature' in an {MLMODEL_FILE} file is a mapping, got {signature!r}"
                )
            parts = cast("dict[str, Any]", signature)
            try:
                parsed = ModelSignature.from_dict(parts) if any(parts.values()) else None
            except InvalidParameterError as error:
                raise InvalidParameterError(f"'signature': {error}") from error
            if parsed is not None:
                parsed.from_type_hint = from_type_hint
                parsed.type_hint_from_example = type_hint_from_example
            values["signature"] = parsed
        values.setdefault("model_uuid", None)
        values.setdefault("mlflow_version", None)
        return cls(**values)

    def get_model_info(self, version: ModelVersion | None = None, *, name: str | None = None) -> "ModelInfo":
        """Summarise the model for the caller of `log_model`."""
        if self.model_id:
            uri = f"models:/{self.model_id}"
        elif self.run_id and self.artifact_path:
            uri = f"runs:/{self.run_id}/{self.artifact_path}"
        else:
            uri = self.artifact_path or ""
        return ModelInfo(
            artifact_path=self.artifact_path,
            flavors=self.flavors,
            model_uri=uri,
            model_uuid=self.model_uuid,
            run_id=self.run_id,
            saved_input_example_info=self.saved_input_example_info,
            signature=self.signature,
            utc_time_created=self.utc_time_created,
            mlflow_version=self.mlflow_version,
            metadata=self.metadata,
            model_id=self.model_id,
            name=name,
            prompts=self.prompts,
            env_vars=self.env_vars,
            registered_model_version=None if version is None else int(version.version),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and self.to_dict() == other.to_dict()

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # mutable

    def __str__(self) -> str:
        return self.to_yaml()


def _require_finite(value: Any, where: str, outer: tuple[Any, ...], done: set[int]) -> None:
    """Refuse a value that holds itself, which YAML's aliases can say: JSON could not, and a walk would not end.

    `done` keeps what was walked, since aliases can also make a small file stand for a huge tree.
    """
    if not isinstance(value, (dict, list, tuple)):
        return
    if any(value is each for each in outer):
        raise InvalidParameterError(f"{where} holds itself, by an alias (*) to what is around it.")
    if id(cast("Any", value)) in done:
        return
    items = cast("dict[Any, Any]", value).values() if isinstance(value, dict) else cast("list[Any]", value)
    inner = (*outer, cast("Any", value))
    for item in items:
        _require_finite(item, where, inner, done)
    done.add(id(cast("Any", value)))


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What `log_model` made."""

    model_uri: str
    model_id: str | None
    model_uuid: str | None
    run_id: str | None
    artifact_path: str | None
    """In 3.x the full URI of the model's files."""
    flavors: dict[str, Any]
    signature: Any
    """A `ModelSignature` or `None`."""
    utc_time_created: str
    mlflow_version: str | None
    saved_input_example_info: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    name: str | None = None
    prompts: list[str] | None = None
    env_vars: list[str] | None = None
    params: dict[str, str] | None = None
    tags: dict[str, str] | None = None
    creation_timestamp: int | None = None
    registered_model_version: int | None = None
