"""Whether plugins are looked for at all."""

import importlib.machinery
import sys
import zipfile
from pathlib import Path

import pytest

from slipstream.client.context.plugins import may_have_plugins


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "missing")])
    # Libraries that other tests import add finders of their own, which would have to be asked.
    monkeypatch.setattr(sys, "meta_path", [importlib.machinery.PathFinder])
    return tmp_path


def test_a_package_with_one_is_found(place: Path) -> None:
    for name, text in {"a": "[console_scripts]\na = a:b\n", "b": None}.items():
        (place / f"{name}-1.dist-info").mkdir()
        if text is not None:
            (place / f"{name}-1.dist-info" / "entry_points.txt").write_text(text)
    assert not may_have_plugins("slipstream.run_context")

    (place / "b-1.dist-info" / "entry_points.txt").write_text("[slipstream.run_context]\nx = b:tags\n")
    assert may_have_plugins("slipstream.run_context")


def test_what_cannot_be_looked_into_is_asked(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(place / "packages.zip", "w"):
        pass
    monkeypatch.setattr(sys, "path", [str(place / "packages.zip")])
    assert may_have_plugins("slipstream.run_context")


def test_a_finder_of_somebody_elses_is_asked(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        @staticmethod
        def find_distributions(context: object) -> list[object]:
            return []

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert may_have_plugins("slipstream.run_context")
