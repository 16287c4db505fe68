"""Zip archives from strangers: unpacked only inside their folder, and only up to a size."""

import base64
import re
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from slipstream.client.context.git import without_credentials
from slipstream.errors import ExecutionError, InvalidParameterError
from slipstream.projects.progress import say

MAX_DOWNLOAD_BYTES = 1 << 30
MAX_UNPACKED_BYTES = 4 << 30
MAX_MEMBERS = 100_000
_MAX_RATIO = 200
_RATIO_COUNTS_FROM = 10 << 20  # small files may compress as well as they like
_CHUNK = 1 << 20
# What file systems of macOS and Windows make of a name before they compare it: some characters do not count.
_IGNORED_IN_NAMES = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
_GIT_NAMES = (".git", "git~1")
_TIMEOUT_SECONDS = 60.0
_OK = 200


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip archive into an empty folder; every member is checked before the first is written.

    What belongs to a git repository is left out: its configuration may name programs, which whatever runs git
    in the folder would start.

    Raises:
        InvalidParameterError: it is no zip archive, a member would land outside of the folder or is no plain
            file, or it unpacks to more than 4 GiB, 100,000 files or 200 times its size.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            targets = _check(members, archive)
            left = _allowance(archive)
            if any(_is_of_git(name) for name in targets.values()):
                say(f"{archive.name}: '.git' is left out; it could bring programs that git would start.")
                members = [member for member in members if not _is_of_git(targets[member.filename])]
            for member in members:
                target = folder / targets[member.filename]
                if member.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                left -= _extract(opened, member, target, left)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise InvalidParameterError(f"'{archive.name}' cannot be unpacked: {error}") from error


def _allowance(archive: Path) -> int:
    return min(MAX_UNPACKED_BYTES, max(_RATIO_COUNTS_FROM, archive.stat().st_size * _MAX_RATIO))


def _check(members: list[zipfile.ZipInfo], archive: Path) -> dict[str, str]:
    if len(members) > MAX_MEMBERS:
        raise InvalidParameterError(
            f"'{archive.name}' has {len(members)} members; {MAX_MEMBERS} are allowed."
        )
    targets = {member.filename: _safe_name(member) for member in members}
    total = sum(member.file_size for member in members)
    if total > _allowance(archive):
        raise InvalidParameterError(
            f"'{archive.name}' would unpack to {total:,} bytes, which is more than a project of its size may have."
        )
    return targets


def _safe_name(member: zipfile.ZipInfo) -> str:
    # ZipInfo cuts names at a NUL, so the name that was stored counts.
    name = member.orig_filename
    path = PurePosixPath(name)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if (
        not path.parts
        or path.is_absolute()
        or ".." in path.parts
        or "\\" in name
        or ":" in name
        or any(ord(character) < ord(" ") for character in name)
        or kind not in (0, stat.S_IFREG, stat.S_IFDIR)
    ):
        raise InvalidParameterError(
            f"The archive's member {name!r} would be written outside of the project folder or is no plain file."
        )
    return name


def _is_of_git(name: str) -> bool:
    parts = (_IGNORED_IN_NAMES.sub("", part).rstrip(" .").casefold() for part in PurePosixPath(name).parts)
    return any(part in _GIT_NAMES for part in parts)


def _extract(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Write one member and return its size, which its header may have understated."""
    written = 0
    with opened.open(member) as source, target.open("xb") as sink:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > left:
                raise InvalidParameterError(
                    f"The archive's member {member.filename!r} is larger than it says."
                )
            sink.write(chunk)
    if (member.external_attr >> 16) & stat.S_IXUSR:
        target.chmod(0o755)
    return written


def download(url: str, target: Path) -> None:
    """Fetch a file by http or https, at most 1 GiB; user and password of the URL are sent to its host only.

    Raises:
        ExecutionError: the server cannot be reached, says no, or sends too much.
    """
    import urllib3
    from urllib3.util import parse_url

    shown = without_credentials(url)
    pool = urllib3.PoolManager(
        timeout=urllib3.Timeout(_TIMEOUT_SECONDS), retries=urllib3.Retry(3, redirect=5)
    )
    try:
        auth = parse_url(url).auth
        headers: dict[str, str] = {}
        if auth is not None:
            headers["Authorization"] = f"Basic {base64.b64encode(unquote(auth).encode()).decode()}"
        with pool.request("GET", shown, headers=headers, preload_content=False) as answer:
            if answer.status != _OK:
                raise ExecutionError(f"Downloading '{shown}' failed: the server answered {answer.status}.")
            received = 0
            with target.open("xb") as sink:
                for chunk in answer.stream(_CHUNK):
                    received += len(chunk)
                    if received > MAX_DOWNLOAD_BYTES:
                        raise ExecutionError(f"'{shown}' is larger than {MAX_DOWNLOAD_BYTES:,} bytes.")
                    sink.write(chunk)
    except urllib3.exceptions.HTTPError as error:
        raise ExecutionError(f"Downloading '{shown}' failed: {without_credentials(str(error))}") from error
