"""Whether runs live, and what they print."""

from collections.abc import Mapping

import msgspec

END_REASON_TAG = "slipstream.end.reason"
"""Why a run ended that was not ended by its program."""
END_SIGNAL_TAG = "slipstream.end.signal"
"""The signal that ended the process, such as SIGKILL."""
END_CODE_TAG = "slipstream.end.exit_code"
END_BY_TAG = "slipstream.end.noticed_by"
"""Who noticed: `server`, which heard nothing more; `watcher`, beside the process; `next start` of a program there."""
END_LINES_TAG = "slipstream.end.last_lines"
"""What the process printed last."""
END_TAGS = (END_REASON_TAG, END_SIGNAL_TAG, END_CODE_TAG, END_BY_TAG, END_LINES_TAG)


class LostRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run whose process has ended without ending it."""

    run_id: str
    status: str
    """FAILED or KILLED."""
    end_time: int
    tags: Mapping[str, str] = {}
    """Of `END_TAGS`."""


class ConsoleChunk(msgspec.Struct, frozen=True, kw_only=True):
    """A part of what a run printed."""

    first: int
    """Where it begins, in bytes of all that was printed."""
    next: int
    """Where the following one begins."""
    text: str


class ConsoleTail(msgspec.Struct, frozen=True, kw_only=True):
    """The last of what a run prints or has printed."""

    text: str
    is_all: bool
    """Whether nothing was printed before."""
    next: int = 0
    """Where a following chunk begins, in bytes of all that was printed; 0 where none is known."""
