"""A place to log to, and every library unwatched again after each test."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import slipstream
from slipstream.autologging import integrations
from slipstream.autologging.warnings_once import forget_told
from slipstream.client import active_experiment, addresses, connect

os.environ.setdefault("KERAS_BACKEND", "torch")
LIGHT = ("sklearn", "xgboost", "lightgbm", "statsmodels")


def require_libraries(*names: str) -> None:
    """Skip a test, and say how to have it run."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            how = "make install" if name in LIGHT else "make test-autologging"
            pytest.skip(f"{name} is not installed, so its autologging was not tried; {how} installs it")


@pytest.fixture
def experiment_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The id of the experiment that is logged to."""
    monkeypatch.chdir(tmp_path)
    environment = dict(os.environ)
    monkeypatch.setattr(addresses, "_chosen", {"tracking": f"sqlite:///{tmp_path}/tracking.db"})
    monkeypatch.setattr(active_experiment, "_active", None)
    made = slipstream.create_experiment("autolog", artifact_location=(tmp_path / "files").as_uri())
    slipstream.set_experiment(experiment_id=made)
    forget_told()
    yield made
    for flavor in integrations.FLAVORS:
        integrations.find(flavor).set({"disable": True}, chosen=False)
    left_open = slipstream.active_run()
    while slipstream.active_run() is not None:
        slipstream.end_run()
    connect.close_all()
    os.environ.clear()
    os.environ.update(environment)
    assert left_open is None


@pytest.fixture
def runs(experiment_id: str) -> Any:
    """Return the runs there are, newest first."""

    def search() -> list[Any]:
        return slipstream.search_runs([experiment_id], output_format="list")

    return search
