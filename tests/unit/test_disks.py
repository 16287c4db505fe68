"""What is known of the disk that a folder is on."""

from pathlib import Path

import pytest

from slipstream.artifact_store.disks import is_on_local_disk, keeps_order


def test_only_disks_of_this_machine_are_read_on_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    monkeypatch.setattr("slipstream.artifact_store.disks._MOUNTS", mounts)
    assert not is_on_local_disk(tmp_path)
    mounts.write_text(
        "1 0 0:1 / / rw - ext4 /dev/a rw\n"
        f"2 1 0:2 / {tmp_path} rw shared:1 - nfs4 host:/x rw\n"
        f"3 2 0:3 / {tmp_path}/near rw - xfs /dev/b rw\n"
    )
    assert is_on_local_disk(Path("/"))
    assert not is_on_local_disk(tmp_path / "far")
    assert is_on_local_disk(tmp_path / "near" / "folder")


@pytest.mark.parametrize(
    ("kind", "journal", "keeps"),
    [
        ("ext4", "sda1-8", True),
        ("ext4", "sda11-8", False),
        ("ext4", None, False),
        ("xfs", None, True),
        ("btrfs", "sda1-8", False),
        ("overlay", "sda1-8", False),
    ],
)
def test_order_is_kept_by_a_journal_of_the_same_disk(
    kind: str, journal: str | None, keeps: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mounts").write_text(f"1 0 8:1 / / rw - {kind} /dev/sda1 rw\n")
    (tmp_path / "devices").mkdir()
    (tmp_path / "block" / "sda1").mkdir(parents=True)
    (tmp_path / "devices" / "8:1").symlink_to(tmp_path / "block" / "sda1")
    if journal is not None:
        (tmp_path / "journals" / journal).mkdir(parents=True)
    for name, place in (("_MOUNTS", "mounts"), ("_DEVICES", "devices"), ("_EXT4_JOURNALS", "journals")):
        monkeypatch.setattr(f"slipstream.artifact_store.disks.{name}", tmp_path / place)
    assert keeps_order(tmp_path) is keeps
