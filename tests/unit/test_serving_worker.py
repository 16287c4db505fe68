"""A worker from its own side: what it keeps of requests that are over."""

import socket
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from slipstream.models.schema import Schema, TensorSpec
from slipstream.models.signature import ModelSignature
from slipstream.serving.frames import Ask, Asks, Cancel, Channel, Start
from slipstream.serving.served import ServedModel
from slipstream.serving.worker import Worker


class Model:
    metadata = SimpleNamespace(
        signature=ModelSignature(inputs=Schema([TensorSpec(np.dtype("float64"), (-1, 1))])),
        flavors={},
        model_id=None,
    )

    def __init__(self, *, joins: bool) -> None:
        self.joins_rows = joins

    def predict(self, data: Any, params: Any = None) -> Any:
        return data[:, 0]


@pytest.mark.parametrize("joins", [True, False])
def test_cancels_that_come_when_all_is_over_are_not_kept(joins: bool) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(20)
        edge = Channel(ours)
        start = Start(folder=".", name="m", threads=1)
        worker = Worker(ServedModel(Model(joins=joins), "m"), Channel(theirs), start)
        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        edge.send(Asks([Ask(1, "invocations", "invocations", "application/json", b'{"inputs": [[1.0]]}')]))
        assert edge.receive() is not None
        for ask_id in (1, 2, 3):
            edge.send(Cancel(ask_id))
        ours.shutdown(socket.SHUT_WR)
        thread.join(20)
        assert not thread.is_alive()
    assert not worker._cancelled  # pyright: ignore[reportPrivateUsage]
