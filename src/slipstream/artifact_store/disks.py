"""What a folder's file system is known to do. Only Linux tells."""

import os
from pathlib import Path
from typing import NamedTuple

_LOCAL_DISKS = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "overlay", "tmpfs"})
_MOUNTS = Path("/proc/self/mountinfo")
_EXT4_JOURNALS = Path("/proc/fs/jbd2")
_DEVICES = Path("/sys/dev/block")


class _Mount(NamedTuple):
    kind: str
    device: str
    """Its two numbers, as `254:0`."""


def is_on_local_disk(folder: Path) -> bool:
    """Tell whether a folder is surely on a disk of this machine."""
    mount = _mount_of(folder)
    return mount is not None and mount.kind in _LOCAL_DISKS


def keeps_order(folder: Path) -> bool:
    """Tell whether a new name is surely never on the disk without what its file system had written before.

    So it is where one journal has all changes one after the other: on XFS, and on ext4 unless that has no journal, or has
    it elsewhere.
    """
    mount = _mount_of(folder)
    if mount is None or mount.kind != "ext4":
        return mount is not None and mount.kind == "xfs"
    device = (_DEVICES / mount.device).resolve().name
    try:
        return any(journal.name.startswith(f"{device}-") for journal in _EXT4_JOURNALS.iterdir())
    except OSError:
        return False


def _mount_of(folder: Path) -> _Mount | None:
    try:
        lines = _MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    real = os.path.realpath(folder)
    found, longest = None, -1
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        point = fields[4].encode().decode("unicode_escape")
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= longest:  # of two on one point the later hides the earlier
            found, longest = _Mount(after.split(" ", 1)[0], fields[2]), len(point)
    return found
