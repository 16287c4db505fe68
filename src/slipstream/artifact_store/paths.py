"""The one canonicaliser: what a client may call a file, and where a client may say that files are.

About a third of MLflow's security reports are one fault met again in another spelling: `..`, `%2e%2e`, `%252e`,
backslashes, drive letters, `?`, `#`, `;`, an empty scheme. Here every path and every stored URI passes through one
of two functions, and what was checked is what is used.
"""

import re
import unicodedata
from urllib.parse import unquote, urlsplit

from slipstream import settings
from slipstream.errors import InvalidParameterError

LONGEST_PATH = 4_096
LONGEST_NAME = 255
PROXY_ROUTE = "/api/2.0/mlflow-artifacts/artifacts"
"""Below it a tracking server serves artifacts."""

_DECODINGS = 8
_PROXIED = re.compile(re.escape(PROXY_ROUTE) + r"(/|$)")
_DRIVE = re.compile(r"^[A-Za-z]:")
# `loss:train.png` is a fine name; a colon makes a scheme where a slash or nothing follows, or where all know it.
_SCHEME = re.compile(
    r"^[a-z][a-z0-9+.\-]*:([/\\]|$)|^(file|https?|ftp|runs|models|mlflow-artifacts|dbfs|data|javascript):",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_RESERVED = re.compile(r"^(con|prn|aux|nul|com[0-9]|lpt[0-9]|conin\$|conout\$)(\.|$)", re.IGNORECASE)


def clean_path(text: str, field: str = "path") -> str:
    """Return a relative artifact path in its one form: segments joined by single slashes; `""` is the root.

    `%`, `#`, `?` and `;` are characters of file names like others: the path is never decoded again and never
    becomes part of a URI unquoted. Only where somebody who did either would be led elsewhere is it refused.

    Args:
        text: the path, decoded once if it came in a URL.
        field: what to call it in errors.

    Raises:
        InvalidParameterError: the path could mean a file outside the root on any system or in any further
            decoding: `..` and `.` segments, absolute paths, drives, schemes, backslashes, control characters, names
            reserved on Windows, names ending in a dot or blank, look-alike characters, or it is too long.
    """
    if len(text) > LONGEST_PATH:
        raise InvalidParameterError(
            f"Invalid '{field}': it is {len(text)} characters long; the limit is {LONGEST_PATH}."
        )
    _check_unicode(text, field)
    for form in _forms(text):
        _check_form(form, text, field)
    for spelling in _spellings(text, field)[1:]:
        for form in _forms(spelling):
            _check_decoded(form, text, field)
    return "/".join(segment for segment in text.split("/") if segment)


def _forms(text: str) -> set[str]:
    """Return the text, and what systems that take look-alikes for the same make of it."""
    return {text, unicodedata.normalize("NFKC", text)}


def _spellings(text: str, field: str) -> list[str]:
    """Return the text and everything that decoding it again could make of it."""
    spellings = [text]
    for _ in range(_DECODINGS):
        decoded = unquote(spellings[-1])
        if decoded == spellings[-1]:
            break
        spellings.append(decoded)
    else:
        raise _invalid(text, field, "it is percent-encoded many times over")
    return spellings


def _check_form(form: str, text: str, field: str) -> None:
    """Check the path as it will be used."""
    if _CONTROL.search(form):
        raise _invalid(text, field, "it holds a control character")
    if "\\" in form:
        raise _invalid(text, field, "it holds a backslash; separate folders with '/'")
    if form.count("/") != text.count("/"):
        raise _invalid(text, field, "it holds a character that looks like a slash")
    _check_start(form, text, field)
    for segment in form.split("/"):
        _check_dots(segment, text, field)
        if segment.endswith((".", " ")):
            raise _invalid(text, field, f"the name '{segment}' ends in a dot or blank")
        if _RESERVED.match(segment):
            raise _invalid(text, field, f"the name '{segment}' is reserved on Windows")
        if len(segment.encode()) > LONGEST_NAME:
            raise _invalid(text, field, f"a name is longer than {LONGEST_NAME} bytes")


def _check_decoded(form: str, text: str, field: str) -> None:
    """Check what a further decoding makes of the path.

    Nobody here decodes it again, so it may look like anything but a way out. MLflow 2 names logged images
    `key%step%3%timestamp%1700000000000%<uuid>.png`: decoded, that holds control characters and worse.
    """
    form = form.replace("\\", "/")
    _check_start(form, text, field)
    for segment in form.split("/"):
        _check_dots(segment.rstrip(" "), text, field)


def _check_start(form: str, text: str, field: str) -> None:
    if form.startswith("/"):
        raise _invalid(text, field, "it is absolute; give a path relative to the artifact root")
    if _DRIVE.match(form) or _SCHEME.match(form):
        raise _invalid(text, field, "it begins with a drive or a scheme")


def _check_dots(segment: str, text: str, field: str) -> None:
    # What follows `;`, `?` or `#` may be split off by somebody further on.
    if any(part in ("..", ".") for part in re.split(r"[;?#]", segment)):
        raise _invalid(text, field, f"it holds the segment '{segment}'")


def _check_unicode(text: str, field: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _invalid(text, field, "it is not valid Unicode") from error


def clean_uri(uri: str, field: str) -> str:
    """Return a storage URI that a client asks the server to keep, once it has proved harmless.

    The value is returned as it came: what was checked is what is stored.

    Raises:
        InvalidParameterError: it is too long, has a fragment, parameters or a query, an unknown form, or a path
            with `..` in any decoding.
    """
    limit = settings.ARTIFACT_LOCATION_MAX_LENGTH.get()
    if not uri.strip():
        raise InvalidParameterError(
            f"Invalid '{field}': it is empty; give a storage URI such as s3://bucket/folder."
        )
    if len(uri) > limit:
        raise InvalidParameterError(
            f"Invalid '{field}': it is {len(uri)} characters long; the limit is {limit}."
        )
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise _invalid(uri, field, str(error)) from error
    if "#" in uri:
        raise _invalid(uri, field, "it has a fragment (#)")
    if "?" in uri:
        raise _invalid(uri, field, "it has a query (?)")
    if ";" in uri:
        raise _invalid(uri, field, "it has parameters (;)")
    if parts.scheme.lower() == "runs":
        raise _invalid(uri, field, "a runs: URI names files of another run, not a place for new ones")
    if parts.scheme.lower() in ("http", "https") and not _PROXIED.search(parts.path):
        raise _invalid(uri, field, f"over HTTP, artifacts are only below {PROXY_ROUTE} of a tracking server")
    if parts.scheme.lower() == "file" and parts.netloc not in ("", "localhost"):
        raise _invalid(uri, field, "a file: URI names no host")
    if parts.scheme.lower() == "file" and not parts.path:
        raise _invalid(uri, field, "it names no folder")
    if not parts.scheme and parts.netloc:
        raise _invalid(uri, field, "it names a host without a scheme")
    check_no_escape(uri, field)
    return uri


def check_no_escape(uri: str, field: str) -> None:
    """Refuse a URI whose path leaves where it seems to point, in any decoding."""
    _check_unicode(uri, field)
    for spelling in _spellings(uri, field):
        for form in _forms(spelling):
            if _CONTROL.search(form):
                raise _invalid(uri, field, "it holds a control character")
            if "\\" in form:
                raise _invalid(uri, field, "it holds a backslash")
            if any(part == ".." for part in re.split(r"[/;?#]", form)):
                raise _invalid(uri, field, "its path holds '..'")


def _invalid(text: str, field: str, reason: str) -> InvalidParameterError:
    # Quoted, so that neither a terminal nor a log obeys characters that a client chose.
    return InvalidParameterError(f"Invalid path {text[:200]!r} for '{field}': {reason}.")
