"""Programs that know mlflow only, run with slipstream in its place; and a server to track to."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import slipstream
from server_process import ServerProcess

# The Makefile leaves here why it could not install them.
FAILURE = Path(sys.prefix) / "libraries-failure"
PROGRAM = Path(sys.executable).with_name("slipstream")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here not in item.path.parents:
            continue
        item.add_marker(pytest.mark.slow)
        for mark in item.iter_markers("needs"):
            absent = [name for name in mark.args if importlib.util.find_spec(name) is None]
            if absent:
                reason = f"{', '.join(absent)} not installed (tests/libraries/requirements.txt)"
                if FAILURE.is_file():
                    reason += f"; make install said: {' '.join(FAILURE.read_text('utf-8').split())[:300]}"
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    process = ServerProcess(tmp_path_factory.mktemp("server"))
    yield process.url
    process.stop()


@pytest.fixture(params=["server", "in process"])
def tracking_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "server":
        return request.getfixturevalue("server")
    return f"sqlite:///{tmp_path / 'tracking.db'}"


@pytest.fixture
def train(tracking_uri: str, tmp_path: Path) -> Callable[..., str]:
    """Run a script by `slipstream exec`, tracked to `tracking_uri`; returns what it printed."""

    def run(script: str, **variables: str) -> str:
        path = tmp_path / "train.py"
        path.write_text(script)
        done = subprocess.run(
            [str(PROGRAM), "exec", str(path)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "MLFLOW_TRACKING_URI": tracking_uri, "HF_HUB_OFFLINE": "1", **variables},
            check=False,
        )
        assert done.returncode == 0, done.stderr[-6000:]
        return done.stdout

    return run


@pytest.fixture
def client(tracking_uri: str) -> slipstream.SlipstreamClient:
    return slipstream.SlipstreamClient(tracking_uri)
