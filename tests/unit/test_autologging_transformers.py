"""When transformers' own callback logs to slipstream, autologging does not log the same again."""

import types
from typing import Any

import slipstream
from slipstream.autologging.transformers import _logs_already
from slipstream.stand_in.finder import StandInModule


def trainer(module: Any) -> Any:
    callback = types.SimpleNamespace(_ml_flow=module)
    return types.SimpleNamespace(callback_handler=types.SimpleNamespace(callbacks=[object(), callback]))


def test_slipstream_in_the_place_of_mlflow_logs_already() -> None:
    assert _logs_already(trainer(StandInModule("mlflow")))
    assert _logs_already(trainer(slipstream))


def test_a_callback_that_logs_elsewhere_does_not() -> None:
    assert not _logs_already(trainer(types.ModuleType("mlflow")))
    assert not _logs_already(trainer(None))
