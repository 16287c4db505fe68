"""Where a model version may come from: the source rules of the registry, as pure checks.

A source is text from a client, and the server later reads files from the place it names. So it has to be a
place that the client may read anyway: a remote one, or one inside the artifacts of the run or logged model
that the request names. Nothing in a request switches these checks off (CVE-2026-2614).
"""

import posixpath
import re
from collections.abc import Callable
from typing import NamedTuple, NoReturn
from urllib.parse import unquote, unquote_plus, urlsplit

from slipstream import settings
from slipstream.errors import InvalidParameterError
from slipstream.rules.registry import PROMPT_SOURCES

_HOST_SCHEMES = frozenset(
    {"mlflow-artifacts", "http", "https", "ftp", "sftp", "hdfs", "viewfs", "r2", "b2", "abfss"}
)
LONGEST_SOURCE = 4096
_DECODINGS = 8
_MODEL_ID = re.compile(r"m-[0-9a-zA-Z_-]+")


class ModelSource(NamedTuple):
    """A `models:/` URI: a logged model, or a version of a registered one.

    With `name` alone the newest version is meant.
    """

    model_id: str | None = None
    name: str = ""
    version: str | None = None
    alias: str | None = None
    stage: str | None = None


def check_configured_pattern(source: str) -> None:
    """Hold a source against the pattern that the server's owner set, if any."""
    pattern = settings.CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX.get()
    if pattern and re.search(pattern, source) is None:
        raise InvalidParameterError(
            f"Invalid model version source: '{source}'. This server takes only sources that match "
            f"SLIPSTREAM_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX ('{pattern}')."
        )


def check_text(source: str) -> None:
    """Refuse characters that URI parsers drop or stop at: each would read another place than the next."""
    if len(source) > LONGEST_SOURCE:
        raise InvalidParameterError(
            f"Invalid model version source: it is {len(source)} characters long; the limit is {LONGEST_SOURCE}."
        )
    if any(character < " " or character == "\x7f" for character in source) or source != source.strip():
        raise InvalidParameterError(
            f"Invalid model version source: {source!r}. It has control characters, or blanks around it."
        )


def check_prompt(source: str) -> None:
    if source not in PROMPT_SOURCES:
        raise InvalidParameterError(
            f"Invalid prompt source: '{source}'. A prompt has no files; its source is one of "
            f"{', '.join(sorted(PROMPT_SOURCES))}."
        )


def scheme_of(source: str) -> str:
    """Return the scheme, in lower case; empty for a path."""
    return urlsplit(source).scheme


def is_local(uri: str) -> bool:
    """Tell whether a URI names files of the machine that resolves it.

    A `file:` URI of another host counts, and so does a Windows path with its drive letter.
    """
    scheme = scheme_of(uri)
    return scheme in ("", "file") or len(scheme) == 1


def check_remote_path(source: str) -> None:
    """Refuse a URI whose path climbs, however it is encoded."""
    decoded = _decode(source, unquote_plus)
    path = re.sub(r"/+", "/", urlsplit(decoded).path.rstrip("/"))
    segments = re.split(r"[/\\]", decoded)
    if (
        "\x00" in decoded
        or ".." in segments
        or (path and not (path.startswith("/") and posixpath.normpath(path) == path))
    ):
        raise InvalidParameterError(
            f"Invalid model version source: '{source}'. Give an absolute URI without '.' and '..' segments."
        )


def local_path(uri: str) -> str:
    """Return the absolute path of a local source, not yet resolved."""
    if scheme_of(uri) == "file":
        parts = urlsplit(uri)
        if parts.netloc not in ("", "localhost"):
            raise InvalidParameterError(
                f"Invalid model version source: '{uri}'. A file: URI cannot name another host."
            )
        path = unquote(parts.path)
    else:
        path = uri
    if "\x00" in path:
        raise InvalidParameterError(f"Invalid model version source: {uri!r}. It holds a NUL character.")
    return path


def is_reached_by_host(source: str) -> bool:
    """Tell whether reading a source makes the server itself connect to a host that the source names.

    Like a local path, such a source counts only inside artifacts that the server keeps there anyway;
    otherwise a client could send the server to any address of its network.
    """
    return scheme_of(source) in _HOST_SCHEMES


def is_within(source: str, root: str) -> bool:
    """Tell whether one URI lies below, or is, another; by decoded segments, not by text."""
    scheme, authority, segments = _decoded_parts(source)
    root_scheme, root_authority, root_segments = _decoded_parts(root)
    return (
        bool(root_segments)
        and (scheme, authority) == (root_scheme, root_authority)
        and segments[: len(root_segments)] == root_segments
    )


def run_of(source: str) -> str:
    """Return the run that a `runs:/<run>/<path>` URI names."""
    parts = urlsplit(source)
    run_id, _, path = parts.path.lstrip("/").partition("/")
    if parts.netloc or not run_id or not path:
        raise InvalidParameterError(
            f"Invalid model version source: '{source}'. The form is runs:/<run_id>/<path in its artifacts>."
        )
    return run_id


def parse_models_uri(source: str) -> ModelSource:
    """Take a `models:/` URI apart."""
    parts = urlsplit(source, allow_fragments=False)
    segments = parts.path.lstrip("/").split("/")
    if (
        parts.netloc
        or not parts.path.startswith("/")
        or len(segments) > 2
        or not all(map(str.strip, segments))
    ):
        refuse_models_uri(source)
    if len(segments) == 2:
        name, suffix = segments
        if suffix.isascii() and suffix.isdigit():
            return ModelSource(name=name, version=suffix)
        if suffix.lower() == "latest":
            return ModelSource(name=name)
        return ModelSource(name=name, stage=suffix)
    if "@" in segments[0]:
        name, alias = segments[0].rsplit("@", 1)
        if not name.strip() or not alias.strip():
            refuse_models_uri(source)
        return ModelSource(name=name, alias=alias)
    if _MODEL_ID.fullmatch(segments[0]) is None:
        refuse_models_uri(source)
    return ModelSource(model_id=segments[0])


def refuse_models_uri(source: str) -> NoReturn:
    raise InvalidParameterError(
        f"Invalid model version source: '{source}'. Use models:/<name>/<version>, models:/<name>@<alias>, "
        "models:/<name>/latest or models:/<model_id>."
    )


def refuse(source: str, field: str) -> NoReturn:
    raise InvalidParameterError(
        f"Invalid model version source: '{source}'. '{field}' must name the run or logged model whose artifacts "
        "hold the source."
    )


def refuse_prompt_version(source: str) -> NoReturn:
    raise InvalidParameterError(
        f"Invalid model version source: '{source}'. It is a prompt, which cannot become a model's version."
    )


def _decoded_parts(uri: str) -> tuple[str, str, tuple[str, ...]]:
    parts = urlsplit(uri)
    return (
        parts.scheme.lower(),
        parts.netloc.lower(),
        tuple(_decode(part) for part in parts.path.split("/") if part),
    )


def _decode(text: str, decode: Callable[[str], str] = unquote) -> str:
    """Decode until nothing changes.

    Raises:
        InvalidParameterError: it is encoded many times over, which nobody does by accident.
    """
    for _ in range(_DECODINGS):
        again = decode(text)
        if again == text:
            return text
        text = again
    raise InvalidParameterError(
        f"Invalid model version source: '{text[:200]}'. It is percent-encoded many times over."
    )
