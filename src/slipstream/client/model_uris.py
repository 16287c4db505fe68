"""Addresses of models: `models:/...`, and the version or logged model that each means."""

from dataclasses import dataclass

from slipstream.entities import ModelVersion
from slipstream.errors import InvalidParameterError, NotFoundError
from slipstream.store.base import RegistryStore

SCHEME = "models:/"
MODEL_ID_PREFIX = "m-"
LATEST = "latest"
FORMS = "models:/name/version, models:/name@alias, models:/name/latest, models:/name/stage or models:/m-id"


@dataclass(frozen=True, kw_only=True)
class ModelUri:
    """The parts of a `models:` URI; exactly one of `model_id` and `name` is given."""

    model_id: str | None = None
    name: str | None = None
    version: str | None = None
    alias: str | None = None
    stage: str | None = None
    """A stage's name or `latest`."""
    path: str = ""
    """What follows inside the model's folder."""

    def __str__(self) -> str:
        """Return the URI, without `path`."""
        if self.model_id is not None:
            return SCHEME + self.model_id
        if self.alias is not None:
            return f"{SCHEME}{self.name}@{self.alias}"
        return f"{SCHEME}{self.name}/{self.version or self.stage}"


def is_model_uri(uri: str) -> bool:
    return uri.startswith("models:")


def parse_model_uri(uri: str) -> ModelUri:
    """Take a `models:` URI apart.

    A name cannot hold `/` or `:`, and an alias no `@`, so that every URI has one reading; a first segment
    that begins with `m-` and stands alone, or is followed by neither a version nor a stage, is a model id.
    """
    rest = uri.removeprefix(SCHEME)
    if not uri.startswith(SCHEME) or not rest or rest.startswith("/"):
        raise InvalidParameterError(f"Model URI '{uri}' has not one of the forms {FORMS}.")
    first, _, path = rest.partition("/")
    name, at, alias = first.rpartition("@")
    if at:
        if not name or not alias:
            raise InvalidParameterError(f"Model URI '{uri}' has not one of the forms {FORMS}.")
        return ModelUri(name=name, alias=alias, path=path.strip("/"))
    second, _, below = path.partition("/")
    if first.startswith(MODEL_ID_PREFIX) and not _is_version_or_stage(second):
        return ModelUri(model_id=first, path=path.strip("/"))
    if not second:
        raise InvalidParameterError(f"Model URI '{uri}' has not one of the forms {FORMS}.")
    if second.isdecimal():
        return ModelUri(name=first, version=second, path=below.strip("/"))
    return ModelUri(name=first, stage=second, path=below.strip("/"))


def _is_version_or_stage(segment: str) -> bool:
    return segment.isdecimal() or segment.lower() in (LATEST, "none", "staging", "production", "archived")


def find_version(registry: RegistryStore, uri: ModelUri) -> ModelVersion:
    """Return the model version that a URI means now.

    Raises:
        NotFoundError: there is no such model or version.
        InvalidParameterError: the alias or the stage does not exist.
    """
    assert uri.name is not None, "a logged model has no version"
    if uri.alias is not None:
        return registry.get_model_version_by_alias(uri.name, uri.alias)
    if uri.version is not None:
        return registry.get_model_version(uri.name, uri.version)
    stage = uri.stage or LATEST
    wanted = () if stage.lower() == LATEST else (stage,)
    versions = registry.get_latest_versions(uri.name, wanted)
    if not versions:
        which = "no version" if not wanted else f"no version in stage '{stage}'"
        raise NotFoundError(f"Model '{uri.name}' has {which}.")
    return max(versions, key=lambda version: int(version.version))
