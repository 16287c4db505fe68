"""The attendants of this process, one an address; loaded with the fluent API, and small until one is needed."""

import contextlib
import logging
import os
import threading
import time
from typing import TYPE_CHECKING

from slipstream import settings
from slipstream.client.connect import normalise
from slipstream.client.context.wanted import wanted
from slipstream.entities import Run

if TYPE_CHECKING:
    from slipstream.client.liveness.attendant import Attendant

_attendants: "dict[str, Attendant]" = {}
_making = threading.Lock()

_logger = logging.getLogger(__name__)


def begin(run: Run, tracking_uri: str, *, outermost: bool) -> None:
    """Attend to a run that has started here.

    Raises:
        InvalidParameterError: a setting of the environment cannot be read.
    """
    asked = wanted(tracking_uri)
    if not asked.anything:
        return
    try:
        from slipstream.client.liveness.attendant import Attendant

        address = normalise(tracking_uri)
        with _making:
            attendant = _attendants.get(address)
            if attendant is None:
                taken = any(each.keeps_console for each in _attendants.values())
                attendant = Attendant(address, asked, console=asked.console and not taken)
                _attendants[address] = attendant
        attendant.begin(run, outermost=outermost)
    except Exception:  # a training must not notice
        _logger.debug("Nothing goes on beside run %s", run.info.run_id, exc_info=True)


def end(run_id: str) -> None:
    """Attend to a run no more: it is about to be ended."""
    for attendant in list(_attendants.values()):
        try:
            attendant.end(run_id)
        except Exception:
            _logger.debug("What run %s printed is not stored", run_id, exc_info=True)


def close() -> None:
    """End what goes on beside runs, at the end of the program."""
    until = time.monotonic() + settings.DELIVERY_TIMEOUT.get()
    for attendant in list(_attendants.values()):
        try:
            attendant.close(until)
        except Exception:
            _logger.debug("What goes on beside runs could not be ended", exc_info=True)
    _attendants.clear()


def _forget_after_fork() -> None:
    global _making
    _making = threading.Lock()
    for attendant in _attendants.values():
        with contextlib.suppress(OSError):
            attendant.forget()
    _attendants.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
