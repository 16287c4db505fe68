"""Ray Serve on this machine, once for all tests; and where Ray is not installed, a skip that says how to get it."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

ABSENT = "Ray Serve is not installed (make test-ray installs it and runs these)"
X = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [1.0, 0.0, 1.0]})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            # What Ray's own code warns about in this process is not ours to mend.
            item.add_marker(pytest.mark.filterwarnings("default"))
            item.add_marker(pytest.mark.slow)
            if importlib.util.find_spec("ray") is None:
                item.add_marker(pytest.mark.skip(reason=ABSENT))


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Two versions of a model: 1 adds its columns, 2 subtracts them; `champion` is 1. Yields its name."""
    from sklearn.linear_model import LinearRegression

    import slipstream
    from slipstream.client import connect

    folder = tmp_path_factory.mktemp("ray")
    before = dict(os.environ)
    slipstream.set_tracking_uri(f"sqlite:///{folder}/tracking.db")
    here = Path.cwd()
    os.chdir(folder)
    for y in (X["a"] + X["b"], X["a"] - X["b"]):
        slipstream.sklearn.log_model(
            LinearRegression().fit(X, y), name="m", input_example=X.head(1), registered_model_name="adder"
        )
    slipstream.MlflowClient().set_registered_model_alias("adder", "champion", 1)
    yield "adder"
    os.chdir(here)
    connect.close_all()
    slipstream.set_tracking_uri("")
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def deployed(registry: str) -> Iterator[dict[str, Any]]:
    """A deployment of the champion, made by `run_local`; yields what it answered."""
    import ray
    from ray import serve

    from slipstream import deployments

    config = {"http_port": "0", "ray_actor_options": '{"num_cpus": 0.1}'}
    yield deployments.run_local("ray-serve", "adder", f"models:/{registry}@champion", config=config)
    serve.shutdown()
    ray.shutdown()
