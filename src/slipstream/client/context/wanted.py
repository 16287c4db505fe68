"""What of a run's context is captured here: what the settings say, and where they say nothing what the place suggests."""

import sys
from dataclasses import dataclass

from slipstream import settings
from slipstream.client.context.source import is_notebook


@dataclass(frozen=True)
class Wanted:
    captures: frozenset[str]
    """Of `settings.CAPTURES`."""
    console: bool
    watcher: bool
    heartbeat_seconds: float
    notes: bool

    @property
    def anything(self) -> bool:
        return bool(self.captures or self.console or self.watcher or self.heartbeat_seconds or self.notes)


def wanted(tracking_uri: str) -> Wanted:
    """Return what is to be done for runs at an address.

    In a test of pytest nothing is done unless a setting says so: many short runs, of which nobody wants the context.
    """
    is_server = tracking_uri.strip().startswith(("http://", "https://"))
    is_test = "_pytest" in sys.modules
    console = settings.CONSOLE.get()
    if console is None:
        console = not is_test and not is_interactive()
    watcher = settings.WATCHER.get()
    beats = settings.HEARTBEAT_SECONDS
    return Wanted(
        captures=captures_here(),
        console=console and is_server,
        watcher=(not is_test if watcher is None else watcher) and is_server,
        heartbeat_seconds=beats.get() if is_server and (beats.is_set() or not is_test) else 0.0,
        notes=not is_test and watcher is not False,
    )


def captures_here() -> frozenset[str]:
    """Return what of `settings.CAPTURES` is captured in this process."""
    if "_pytest" in sys.modules and not settings.CAPTURE.is_set():
        return frozenset()
    return frozenset(settings.CAPTURE.get())


def is_interactive() -> bool:
    """Tell whether somebody types what runs."""
    return is_notebook() or hasattr(sys, "ps1") or bool(sys.flags.interactive) or "IPython" in sys.modules
