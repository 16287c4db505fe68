"""Files of environment variables, as `--env-file` takes them."""

import os
import re
from pathlib import Path

from slipstream.errors import InvalidParameterError

_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)", re.DOTALL)


def load_env_file(path: Path) -> None:
    """Set the variables that a file assigns and the environment does not have.

    Raises:
        InvalidParameterError: the file cannot be read, or a line is no assignment; names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidParameterError(f"Environment file '{path}' cannot be read: {error}.") from error
    for number, raw in enumerate(text.splitlines(), 1):
        stripped = raw.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _ASSIGNMENT.fullmatch(stripped)
        if match is None:
            raise InvalidParameterError(f"{path}, line {number}: not of the form NAME=value.")
        os.environ.setdefault(match[1], _unquote(match[2]))


def _unquote(value: str) -> str:
    if value[:1] in ("'", '"'):
        end = value.find(value[0], 1)
        if end > 0:
            return value[1:end]
    return re.sub(r"\s+#.*$", "", value).strip()
