"""With what headers a file is sent."""

import mimetypes
import os
import unicodedata
from urllib.parse import quote

_TEXT_SUFFIXES = frozenset(
    ".txt .log .err .json .jsonl .yaml .yml .csv .tsv .md .rst .py .py3 .r .rmd .ipynb .sh .sql .js .ts .java .go .rs "
    ".c .h .cpp .hpp .scala .toml .ini .cfg .cf .cnf .conf .prop .properties .hocon .xml .env .tex .bib .css".split()
)
_TEXT_NAMES = frozenset({"MLmodel", "MLproject", "mlproject"})
_DEACTIVATED = frozenset(
    {"text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/xml"}
)


def headers_of_file(path: str) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers that a file is sent with whatever is in it."""
    kind = content_type(path)
    headers = [
        # Starlette would add a charset, which nobody knows here.
        (b"content-type", kind.encode("latin-1")),
        (b"content-disposition", disposition(path).encode("latin-1")),
        (b"x-content-type-options", b"nosniff"),
        (b"accept-ranges", b"bytes"),
    ]
    if kind in _DEACTIVATED:
        # A page that somebody logged must not act as a page of this server.
        policy = b"sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        headers.append((b"content-security-policy", policy))
    return tuple(headers)


def content_type(path: str) -> str:
    """Return the type to send a file as; everything that reads as text is plain text, as in MLflow."""
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    suffix = name[dot:].lower() if dot > 0 else ""
    if name in _TEXT_NAMES or suffix in _TEXT_SUFFIXES:
        return "text/plain"
    return mimetypes.guess_type(name.lower())[0] or "application/octet-stream"


def disposition(path: str) -> str:
    """Return what has browsers save a file under its name instead of showing it."""
    name = path.rpartition("/")[2]
    if name.isascii():
        return f"attachment; filename={_token_or_quoted(name)}"
    # For clients that do not know `filename*`: what is left without the accents.
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() or "download"
    return f"attachment; filename={_token_or_quoted(plain)}; filename*=UTF-8''{quote(name, safe='')}"


def _token_or_quoted(text: str) -> str:
    if all(c.isalnum() or c in "!#$%&'*+-.^_`|~" for c in text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def file_etag(status: os.stat_result) -> str:
    # A file is replaced by another, never changed, so the inode changes with the content.
    return f'"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"'
