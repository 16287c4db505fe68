"""Fixtures of the SDK's tests: a tracking address of one's own, and no state from the test before."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide all settings but the home that tests/conftest.py gave."""
    for name in list(os.environ):
        if name.startswith(("SLIPSTREAM_", "MLFLOW_")) and name != "SLIPSTREAM_HOME":
            monkeypatch.delenv(name)


@pytest.fixture
def tracking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_settings: None) -> Iterator[str]:
    """Track to a SQLite file in an empty working folder; yields its URI."""
    # Here, so that tests which do not track do not load the SDK.
    from slipstream.client import active_experiment, active_model, active_run, addresses, connect

    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/tracking.db"
    environment = dict(os.environ)
    monkeypatch.setattr(addresses, "_chosen", {"tracking": uri})
    monkeypatch.setattr(active_experiment, "_active", None)
    monkeypatch.setattr(active_run, "_state", active_run._State())
    for name in ("active", "last"):
        monkeypatch.setattr(active_model.state, name, None)
    yield uri
    connect.close_all()
    os.environ.clear()
    os.environ.update(environment)
