"""Which model files may run code on this machine.

Loading a pickle, or a model that brings its own Python files, runs whatever their author wrote. So such
files are loaded only if this user saved them here, or if the caller says so. What this user saved is known by
one SHA-256 for all files of a model that run together, with their places and the settings that decide what
they do: to have packed a file into one's own model vouches for it there and nowhere else.
The memory is one empty file per digest in the user's data folder: no lock, no parser, nothing to corrupt.
"""

import hashlib
import os
import stat
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from slipstream import settings
from slipstream.errors import InvalidParameterError, InvalidStateError, UntrustedModelError

_LOADING = "loading it runs code from the model's files"
_FORM = "slipstream model files, form 1"
_NAMES_SHOWN = 3


def home() -> Path:
    """Return this user's slipstream folder, which may not exist yet."""
    configured = settings.HOME.get()
    if configured:
        return Path(configured).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "slipstream"


def remember(root: Path, files: Iterable[Path], facts: Mapping[str, Any] | None = None) -> None:
    """Trust these files of a model together, from now on: this user made it.

    A home that cannot be written to is warned about and no error: the model itself is safe on disk.

    Args:
        root: the model's folder.
        files: all files that run together.
        facts: settings of the MLmodel file that decide what they do.

    Raises:
        InvalidStateError: the trust folder belongs to somebody else.
    """
    name = _digest(root, files, facts, {})
    folder = home() / "trusted"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_own(folder)
        folder.chmod(0o700)
        (folder / name).touch(mode=0o600)
    except OSError as error:
        warnings.warn(
            f"It cannot be remembered that you saved this model ({error}). If it brings code or pickles, loading it will "
            "need trust=True. Set SLIPSTREAM_HOME to a folder that you can write to.",
            UserWarning,
            stacklevel=2,
        )


def require(
    root: Path,
    files: Iterable[Path],
    facts: Mapping[str, Any] | None = None,
    *,
    what: str,
    trust: bool | None,
    act: str = _LOADING,
) -> None:
    """Let a model run code from these files, or refuse.

    Args:
        root: the model's folder.
        files: every file that can decide what runs, as it was remembered.
        facts: the settings that it was remembered with.
        what: what the files are, for the message ("a pickled model").
        trust: true if the caller vouches for the model; `None` and false ask the trust folder.
        act: what would run code, for the message.

    Raises:
        UntrustedModelError: nobody vouches for the files; the message says how to.
        InvalidParameterError: one is a pipe or a device, which need not give the same bytes twice.
    """
    listed = list(files)
    if not _vouched(trust) and not _is_trusted(_digest(root, listed, facts, {})):
        raise _refusal(listed, what, act)


def read(
    root: Path,
    wanted: Sequence[Path],
    beside: Iterable[Path] = (),
    facts: Mapping[str, Any] | None = None,
    *,
    what: str,
    trust: bool | None,
) -> list[bytes]:
    """Return the contents of files that may run: the very bytes that were checked.

    Args:
        root: the model's folder.
        wanted: the files to read.
        beside: further files that are checked with them. They are opened again by those who use them: nobody else
            may be able to write to their folder meanwhile.
        facts: as for `require`.
        what: as for `require`.
        trust: as for `require`.

    Raises:
        UntrustedModelError: nobody vouches for the files.
        InvalidParameterError: one is a pipe or a device.
    """
    contents: dict[Path, bytes] = {}
    for path in wanted:
        with _open(path) as file:
            contents[path] = file.read()
    listed = [*wanted, *beside]
    if not _vouched(trust) and not _is_trusted(_digest(root, listed, facts, contents)):
        raise _refusal(listed, what, _LOADING)
    return [contents[path] for path in wanted]


def _digest(
    root: Path, files: Iterable[Path], facts: Mapping[str, Any] | None, contents: Mapping[Path, bytes]
) -> str:
    """Return the digest of files with their places; of those in `contents` by these bytes."""
    import yaml

    lines: set[str] = set()
    for path in files:
        if path in contents:
            found = hashlib.sha256(contents[path]).hexdigest()
        else:
            file: Any  # what its annotation lacks is there
            with _open(path) as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        place = os.path.relpath(path.resolve(), root.resolve()).replace(os.sep, "/")
        lines.add(f"{found} {place}")
    # As YAML, since that is what the settings have been through when they are read back.
    settled = "" if facts is None else yaml.safe_dump(dict(facts), sort_keys=True)
    return hashlib.sha256("\n".join([_FORM, *sorted(lines), settled]).encode()).hexdigest()


def _is_trusted(digest: str) -> bool:
    folder = home() / "trusted"
    if not folder.is_dir():
        return False
    _require_own(folder)
    return (folder / digest).is_file()


def _vouched(trust: bool | None) -> bool:
    return bool(trust) or settings.ALLOW_PICKLE.get()


def _refusal(files: Sequence[Path], what: str, act: str) -> UntrustedModelError:
    names = [f"'{path.name}'" for path in files[:_NAMES_SHOWN]] or ["'MLmodel'"]
    more = f" and {len(files) - _NAMES_SHOWN} more files" if len(files) > _NAMES_SHOWN else ""
    verb = "belongs" if len(files) <= 1 else "belong"
    return UntrustedModelError(
        f"{', '.join(names)}{more} {verb} to {what}: {act}, and this user did not save it as it is. If you trust where "
        "it comes from, load it with trust=True (--trust on the command line) or set SLIPSTREAM_ALLOW_PICKLE=true."
    )


def _open(path: Path) -> IO[bytes]:
    # Opening a pipe must not wait for its other end.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise InvalidParameterError(f"'{path.name}' in the model's folder is not a plain file.")
    return os.fdopen(handle, "rb")


def _require_own(folder: Path) -> None:
    found = folder.stat()
    if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o022):
        raise InvalidStateError(
            f"The trust folder '{folder}' belongs to another user or others may write to it; remove it, or set "
            "SLIPSTREAM_HOME to a folder of your own."
        )
