"""Which model files may run code on this machine.

Loading a pickle, or a model that brings its own Python files, runs whatever their author wrote. So such
files are loaded only if this user saved them here, which is known by their SHA-256, or if the caller says so.
The memory is one empty file per digest in the user's data folder: no lock, no parser, nothing to corrupt.
"""

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from slipstream import settings
from slipstream.errors import InvalidStateError, UntrustedModelError

_DIGEST = re.compile(r"[0-9a-f]{64}")


def home() -> Path:
    """Return this user's slipstream folder, which may not exist yet."""
    configured = settings.HOME.get()
    if configured:
        return Path(configured).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "slipstream"


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remember(paths: Iterable[Path]) -> None:
    """Trust these files from now on: this user made them.

    Raises:
        InvalidStateError: the trust folder belongs to somebody else.
    """
    folder = home() / "trusted"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _require_own(folder)
    folder.chmod(0o700)
    for path in paths:
        (folder / digest(path)).touch(mode=0o600)


def is_trusted(sha256: str) -> bool:
    """Tell whether this user trusts the file with this digest."""
    folder = home() / "trusted"
    if not _DIGEST.fullmatch(sha256) or not folder.is_dir():
        return False
    _require_own(folder)
    return (folder / sha256).is_file()


def require(
    paths: Iterable[Path],
    *,
    what: str,
    trust: bool | None,
    act: str = "loading it runs code from the model's files",
) -> None:
    """Let a model run code from these files, or refuse.

    Args:
        paths: every file that can decide what runs; one unknown among them is enough to refuse.
        what: what the files are, for the message ("a pickled model").
        trust: true if the caller vouches for the model; `None` and false ask the trust folder.
        act: what would run code, for the message.

    Raises:
        UntrustedModelError: nobody vouches for one of the files; the message says how to.
    """
    if trust or settings.ALLOW_PICKLE.get():
        return
    for path in paths:
        if not is_trusted(digest(path)):
            raise UntrustedModelError(
                f"'{path.name}' belongs to {what}: {act}, and this user did not save it. If you trust where it "
                "comes from, load it with trust=True (--trust on the command line) or set "
                "SLIPSTREAM_ALLOW_PICKLE=true."
            )


def _require_own(folder: Path) -> None:
    status = folder.stat()
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        raise InvalidStateError(
            f"The trust folder '{folder}' belongs to another user or others may write to it; remove it, or set "
            "SLIPSTREAM_HOME to a folder of your own."
        )
