"""Read a YAML file that must hold a mapping."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from slipstream.errors import InvalidParameterError


def read_mapping(file: Path) -> Mapping[str, Any]:
    """Return the file's content; an empty file is an empty mapping.

    Raises:
        InvalidParameterError: the file is no YAML, or holds something else.
    """
    import yaml

    try:
        content: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidParameterError(f"'{file}' is not valid YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise InvalidParameterError(f"'{file}' must hold a mapping of keys to values, got {content!r}.")
    return cast("Mapping[str, Any]", content)
