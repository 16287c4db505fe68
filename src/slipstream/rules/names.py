"""What a name or a key may look like."""

import posixpath
import re
from functools import lru_cache

from slipstream.errors import InvalidParameterError
from slipstream.rules import limits

# Letters and digits of any script, `_`, and a few more; the key also becomes a path in exports.
_KEY = re.compile(r"[\w/.\-: ]+")
_RUN_ID = re.compile(r"[a-zA-Z0-9][\w-]{0,255}", re.ASCII)


def check_text(value: object, field: str) -> None:
    """Accept text: whoever calls in this process may give anything, where HTTP's messages are typed."""
    if value is None:
        raise InvalidParameterError(f"Missing value for required parameter '{field}'.")
    if not isinstance(value, str):
        # Python refuses to write integers of thousands of digits.
        shown = "" if isinstance(value, int) and value.bit_length() > 64 else f" {ascii(value)[:100]}"
        raise InvalidParameterError(
            f"Invalid value{shown} of type {type(value).__name__} for '{field}': it must be a text. "
            "Write str(...) around it."
        )


def check_key(key: str, field: str) -> None:
    """Accept a metric, param or tag key, or raise an error that names `field`."""
    check_text(key, field)  # first, since a cache cannot look up what has no hash
    _check_key(key, field)


@lru_cache(maxsize=8192)
def _check_key(key: str, field: str) -> None:
    if not key:
        raise InvalidParameterError(f"Missing value for required parameter '{field}'.")
    if len(key) > limits.KEY:
        raise InvalidParameterError(
            f"'{field}' is {len(key)} characters long ('{key[:40]}...'); the limit is {limits.KEY}."
        )
    if _KEY.fullmatch(key) is None:
        raise InvalidParameterError(
            f"Invalid value \"{key}\" for '{field}': use letters, digits, underscores (_), dashes (-), "
            "periods (.), spaces, colons (:) and slashes (/)."
        )
    normal = posixpath.normpath(key)
    if normal != key or key in (".", "..") or key.startswith(("/", "../")):
        raise InvalidParameterError(
            f"Invalid value \"{key}\" for '{field}': it must be a relative path in its shortest form "
            f"(this one would become '{normal}')."
        )


def check_run_id(run_id: str) -> None:
    """Accept what can be a run id at all."""
    check_text(run_id, "run_id")
    if _RUN_ID.fullmatch(run_id) is None:
        raise InvalidParameterError(
            f"Invalid value \"{run_id[:300]}\" for 'run_id': use up to 256 letters, digits, dashes and underscores."
        )


def check_new_run_id(run_id: str) -> None:
    """Accept what a client may choose as the id of a new run."""
    check_run_id(run_id)
    if run_id.startswith("removing-"):  # as the ids of runs that are being removed (store/removals.py)
        raise InvalidParameterError(
            f"Invalid value '{run_id[:300]}' for the id of a new run: it must not begin with 'removing-'. Leave that out."
        )


def check_experiment_name(name: str) -> None:
    check_text(name, "name")
    if not name:
        raise InvalidParameterError(
            "Missing value for required parameter 'name': an experiment needs a name."
        )
    if len(name) > limits.EXPERIMENT_NAME:
        raise InvalidParameterError(
            f"'name' is {len(name)} characters long; the limit for an experiment is {limits.EXPERIMENT_NAME}."
        )


def check_run_name(name: str) -> None:
    check_text(name, "run_name")
    if len(name) > limits.RUN_NAME:
        raise InvalidParameterError(
            f"'run_name' is {len(name)} characters long; the limit is {limits.RUN_NAME}."
        )


def experiment_number(experiment_id: str, field: str = "experiment_id") -> int:
    """Return an experiment id as the number it is.

    Raises:
        InvalidParameterError: it is not made of decimal digits.
    """
    check_text(experiment_id, field)
    if not (experiment_id.isascii() and experiment_id.isdigit() and len(experiment_id) <= 18):
        raise InvalidParameterError(
            f"Invalid value \"{experiment_id[:100]}\" for '{field}': an experiment id is a whole number."
        )
    return int(experiment_id)
