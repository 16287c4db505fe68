"""Say once a kind what went wrong while logging; training goes on."""

import contextlib
import logging
import threading
from collections.abc import Generator

from slipstream.client.hurry import HURRY

_log = logging.getLogger("slipstream.autologging")
_lock = threading.Lock()
_told: set[tuple[str, str]] = set()
_silent: set[str] = set()


def set_silent(flavor: str, *, silent: bool) -> None:
    with _lock:
        (_silent.add if silent else _silent.discard)(flavor)


def forget_told() -> None:
    """Warn again of what was warned of before."""
    with _lock:
        _told.clear()


def warn_once(flavor: str, kind: str, reason: object) -> None:
    """Log a warning, unless one of this kind was logged before. Never raises."""
    with _lock:
        if flavor in _silent or (flavor, kind) in _told:
            return
        _told.add((flavor, kind))
    # The text of an error, and what logging is set up to do with it, are others' code, which may fail, too.
    with contextlib.suppress(Exception):
        _log.warning(
            "Autologging of %s: %s failed and is left out; training is not affected. %s (Said once.)",
            flavor,
            kind,
            reason if isinstance(reason, str) else f"{type(reason).__name__}: {reason}",
        )
        if isinstance(reason, BaseException):
            _log.debug("Where it failed:", exc_info=reason)


@contextlib.contextmanager
def attempt(flavor: str, kind: str) -> Generator[None]:
    """Run a block of our own; if it fails, warn once of this kind, and go on behind it."""
    try:
        with HURRY:
            yield
    except Exception as error:  # noqa: BLE001  # whatever it is, it is no reason to lose a training
        warn_once(flavor, kind, error)
