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
_DECODINGS = 8
_DRIVE = re.compile(r"^[A-Za-z]:")
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]*:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9]|conin\$|conout\$)(\.|$)")


def clean_path(text: str, field: str = "path") -> str:
    """Return a relative artifact path in its one form: segments joined by single slashes; `""` is the root.

    Args:
        text: the path, decoded once if it came in a URL.
        field: what to call it in errors.

    Raises:
        InvalidParameterError: the path could mean a file outside the root on any system or in any further
            decoding: `..` and `.` segments, absolute paths, drives, schemes, backslashes, control characters, names
            reserved on Windows, names ending in a dot or blank, look-alike characters, or it is too long.
    """
    if len(text) > LONGEST_PATH:
        raise InvalidParameterError(f"Invalid '{field}': it is {len(text)} characters long; the limit is {LONGEST_PATH}.")
    for spelling in _spellings(text, field):
        _check_spelling(spelling, text, field)
    return "/".join(segment for segment in text.split("/") if segment)


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


def _check_spelling(spelling: str, text: str, field: str) -> None:
    for form in {spelling, unicodedata.normalize("NFKC", spelling)}:
        if _CONTROL.search(form):
            raise _invalid(text, field, "it holds a control character")
        if "\\" in form:
            raise _invalid(text, field, "it holds a backslash; separate folders with '/'")
        if form.startswith("/"):
            raise _invalid(text, field, "it is absolute; give a path relative to the artifact root")
        if _DRIVE.match(form) or _SCHEME.match(form):
            raise _invalid(text, field, "it begins with a drive or a scheme")
        for segment in form.split("/"):
            # What follows `;`, `?` or `#` may be split off by somebody further on.
            for part in re.split(r"[;?#]", segment):
                if part in ("..", "."):
                    raise _invalid(text, field, f"it holds the segment '{segment}'")
            if segment and segment[-1] in ". ":
                raise _invalid(text, field, f"the name '{segment}' ends in a dot or blank")
            if _RESERVED.match(segment):
                raise _invalid(text, field, f"the name '{segment}' is reserved on Windows")
            if len(segment.encode("utf-8", "surrogatepass")) > LONGEST_NAME:
                raise _invalid(text, field, f"a name is longer than {LONGEST_NAME} bytes")
    try:
        spelling.encode("utf-8")
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
    if len(uri) > limit:
        raise InvalidParameterError(f"Invalid '{field}': it is {len(uri)} characters long; the limit is {limit}.")
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
    if parts.scheme.lower() == "file" and parts.netloc not in ("", "localhost"):
        raise _invalid(uri, field, "a file: URI names no host")
    check_no_escape(uri, field)
    return uri


def check_no_escape(uri: str, field: str) -> None:
    """Refuse a URI whose path leaves where it seems to point, in any decoding."""
    for spelling in _spellings(uri, field):
        for form in {spelling, unicodedata.normalize("NFKC", spelling)}:
            if _CONTROL.search(form):
                raise _invalid(uri, field, "it holds a control character")
            if "\\" in form:
                raise _invalid(uri, field, "it holds a backslash")
            if any(part == ".." for part in re.split(r"[/;?#]", form)):
                raise _invalid(uri, field, "its path holds '..'")


def _invalid(text: str, field: str, reason: str) -> InvalidParameterError:
    return InvalidParameterError(f"Invalid path '{text[:200]}' for '{field}': {reason}.")
