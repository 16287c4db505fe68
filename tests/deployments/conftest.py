"""Manifests in a folder of their own, and the schemas that they must fit."""

import os
from pathlib import Path

import pytest

import slipstream


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder and no settings."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("SLIPSTREAM_", "MLFLOW_")) and name != "SLIPSTREAM_HOME":
            monkeypatch.delenv(name)
    slipstream.set_tracking_uri(None)
    return tmp_path
