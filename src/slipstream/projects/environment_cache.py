"""The folder of built environments: which are there, how large and how old they are, and removing old ones.

Each environment has a file `.last-used`. Its time is that of the last use; whoever uses the environment holds a
shared lock on it, and so do the processes it starts for that. Removing takes the exclusive lock, so it never takes
away what is in use; and the environment is renamed first, so it is there entirely or not at all.
"""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from slipstream import settings
from slipstream.clock import now_ms
from slipstream.errors import InvalidStateError
from slipstream.models.trust import home

BUILDING = ".building-"
_REMOVING = ".removing-"
_LAST_USED = ".last-used"
_KEY = re.compile(r"[0-9a-f]{64}")
_DAY_MS = 24 * 60 * 60 * 1000

_held: dict[Path, int] = {}
"""The environments that this process uses, with their open files: until the process ends."""


class CachedEnvironment(msgspec.Struct, frozen=True):
    """An environment as it lies there."""

    folder: Path
    size: int
    """Bytes of its files. uv may share them with its own cache, so removing may free less."""
    last_used_time: int
    in_use: bool


def environment_root() -> Path:
    """Return the folder of environments, made if it is new.

    Raises:
        InvalidStateError: it belongs to somebody else.
    """
    configured = settings.ENV_ROOT.get()
    root = Path(configured).expanduser().absolute() if configured else home().absolute() / "envs"
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    require_own(root)
    locks = root / "locks"
    locks.mkdir(mode=0o700, exist_ok=True)
    require_own(locks)
    return root


def require_own(folder: Path) -> None:
    """Refuse a folder in which somebody else may have put code.

    Raises:
        InvalidStateError: it belongs to another user, or others may write to it.
    """
    status = folder.lstat()
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        raise InvalidStateError(
            f"The environment folder '{folder}' belongs to another user or others may write to it, so what is in "
            "it cannot be trusted. Remove it, or set SLIPSTREAM_ENV_ROOT to a folder of your own."
        )


def hold(folder: Path) -> bool:
    """Note the use of an environment and keep it from being removed until this process has ended.

    Return false if it is not there, or was removed just now.
    """
    file = folder / _LAST_USED
    if os.name == "nt":  # no locks; there `prune` refuses
        file.touch()
        return True
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        return False
    _lock(descriptor, exclusive=False)
    if not _is_same(descriptor, file):
        os.close(descriptor)
        return False
    os.utime(file)
    # A program that replaces this process goes on with the lock; others get it by `held_files` only.
    os.set_inheritable(descriptor, True)
    previous = _held.get(folder)
    _held[folder] = descriptor
    if previous is not None:
        os.close(previous)
    return True


def held_files() -> tuple[int, ...]:
    """Return the open files to hand to a process that goes on using the environments of this one."""
    return tuple(_held.values())


def cached_environments() -> list[CachedEnvironment]:
    """Return all environments, the one that was unused for longest first."""
    found = [_describe(folder) for folder in _folders(environment_root())]
    return sorted((each for each in found if each is not None), key=lambda each: each.last_used_time)


def prune(older_than_days: float, *, dry_run: bool = False) -> list[CachedEnvironment]:
    """Remove the environments that are not in use and were not used for so many days; return them.

    With `dry_run` nothing is removed. What broken-off builds and removals have left is removed, too.

    Raises:
        InvalidStateError: this system has no file locks, so it cannot be known what is in use.
    """
    if os.name == "nt":
        raise InvalidStateError(
            "On Windows it cannot be known which environments are in use. End what runs in them, and remove their "
            f"folders in '{environment_root()}'."
        )
    limit = now_ms() - older_than_days * _DAY_MS
    removed = [
        each
        for each in cached_environments()
        if not each.in_use and each.last_used_time <= limit and (dry_run or _remove(each.folder, limit))
    ]
    if not dry_run:
        _remove_leftovers(environment_root())
    return removed


def _folders(root: Path) -> Iterator[Path]:
    return (each for each in root.iterdir() if _KEY.fullmatch(each.name) and each.is_dir())


def _describe(folder: Path) -> CachedEnvironment | None:
    try:
        last_used = _last_used(folder)
    except FileNotFoundError:  # removed meanwhile
        return None
    return CachedEnvironment(folder, _size(folder), last_used, _in_use(folder))


def _last_used(folder: Path) -> int:
    file = folder / _LAST_USED
    # Environments of older versions have no such file before they are used again.
    return (file if file.exists() else folder).stat().st_mtime_ns // 1_000_000


def _size(folder: Path) -> int:
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118  # tens of thousands of files
            except FileNotFoundError:  # removed meanwhile
                continue
    return size


def _in_use(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / _LAST_USED, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return os.name != "nt" and not _lock(descriptor, exclusive=True, wait=False)
    finally:
        os.close(descriptor)


def _remove(folder: Path, limit: float) -> bool:
    """Remove an environment unless somebody has begun to use it; tell whether it was removed."""
    try:
        last_used = _last_used(folder)
        descriptor = os.open(folder / _LAST_USED, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:  # removed by another
        return False
    aside = folder.with_name(f"{_REMOVING}{secrets.token_hex(8)}")
    try:
        if not _lock(descriptor, exclusive=True, wait=False) or not _is_same(descriptor, folder / _LAST_USED):
            return False
        if last_used > limit:
            return False
        folder.rename(aside)
    finally:
        os.close(descriptor)
    shutil.rmtree(aside)
    return True


def _remove_leftovers(root: Path) -> None:
    for folder in list(root.iterdir()):
        try:
            age = now_ms() - folder.stat().st_mtime_ns // 1_000_000
        except FileNotFoundError:
            continue
        # No build takes a day.
        if folder.name.startswith(_REMOVING) or (folder.name.startswith(BUILDING) and age > _DAY_MS):
            shutil.rmtree(folder, ignore_errors=True)  # another process may be at the same


def _is_same(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


def _lock(descriptor: int, *, exclusive: bool, wait: bool = True) -> bool:
    """Lock an open file until it is closed; false if another process has it and `wait` is."""
    import fcntl

    how = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    try:
        fcntl.flock(descriptor, how if wait else how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
