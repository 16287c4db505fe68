"""What names, aliases and stages of the model registry may look like."""

import posixpath
import re

from slipstream.errors import InvalidParameterError
from slipstream.rules import limits, names

STAGES = ("None", "Staging", "Production", "Archived")
ACTIVE_STAGES = ("Staging", "Production")

MODEL_NAME = 256
ALIAS = 255

PROMPT_TAG = "mlflow.prompt.is_prompt"
PROMPT_SOURCES = frozenset({"dummy-source", "prompt-template"})
"""What MLflow's clients send as the source of a prompt version, which has none."""

_ALIAS = re.compile(r"[\w-]+")
_VERSION_ALIAS = re.compile(r"[vV][0-9]+")
_STAGE_BY_LOWER = {stage.lower(): stage for stage in STAGES}
_LOGGED_MODEL_NAME_REFUSES = frozenset("/:.%\"'")


def check_model_name(name: str, field: str = "name") -> None:
    """Accept the name of a registered model, or raise an error that names `field`."""
    names.check_text(name, field)
    if not name.strip():
        raise InvalidParameterError(
            f"Missing value for required parameter '{field}': a registered model needs a name."
        )
    if "/" in name or ":" in name:
        raise InvalidParameterError(
            f"Invalid value \"{name[:300]}\" for '{field}': a model's name cannot hold '/' or ':', "
            "which separate it from its version in URIs."
        )
    if name in (".", "..") or posixpath.normpath(name) != name:
        raise InvalidParameterError(
            f"Invalid value \"{name[:300]}\" for '{field}': a model's name cannot be a path such as '.' or '..'."
        )
    if len(name) > MODEL_NAME:
        raise InvalidParameterError(
            f"'{field}' is {len(name)} characters long; the limit for a registered model is {MODEL_NAME}."
        )


def check_logged_model_name(name: str) -> None:
    names.check_text(name, "name")
    if not name or not _LOGGED_MODEL_NAME_REFUSES.isdisjoint(name):
        raise InvalidParameterError(
            f"Invalid value \"{name[:300]}\" for 'name': a logged model's name is not empty and has none of "
            "/ : . % \" '."
        )


def check_alias(alias: str) -> None:
    names.check_text(alias, "alias")
    if not alias:
        raise InvalidParameterError("Missing value for required parameter 'alias'.")
    if len(alias) > ALIAS:
        raise InvalidParameterError(f"'alias' is {len(alias)} characters long; the limit is {ALIAS}.")
    if _ALIAS.fullmatch(alias) is None:
        raise InvalidParameterError(
            f"Invalid value \"{alias}\" for 'alias': use letters, digits, underscores (_) and dashes (-)."
        )
    if alias.lower() == "latest" or _VERSION_ALIAS.fullmatch(alias):
        raise InvalidParameterError(
            f"Invalid value \"{alias}\" for 'alias': 'latest' and 'v<number>' are reserved. Choose another one."
        )


def check_tag(key: str, value: str) -> None:
    names.check_key(key, "key")
    names.check_text(value, "value")
    limits.check_length(value, limits.REGISTRY_TAG_VALUE, "value")


def version_number(version: str) -> int:
    """Return a model version as the number it is.

    Raises:
        InvalidParameterError: it is not a whole number.
    """
    names.check_text(version, "version")
    if not (version.isascii() and version.isdigit() and len(version) <= 18):
        raise InvalidParameterError(
            f"Invalid value \"{version[:100]}\" for 'version': a model version is a whole number."
        )
    return int(version)


def canonical_stage(stage: str) -> str:
    """Return a stage in its one spelling."""
    names.check_text(stage, "stage")
    canonical = _STAGE_BY_LOWER.get(stage.lower())
    if canonical is None:
        raise InvalidParameterError(
            f"Invalid value \"{stage[:100]}\" for 'stage': use one of {', '.join(STAGES)}."
        )
    return canonical
