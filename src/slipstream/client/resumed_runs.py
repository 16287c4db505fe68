"""Which runs this program made active by `resume` and has not ended: their params may change."""

import threading

_lock = threading.Lock()
_times: dict[str, int] = {}


def note_resumed(run_id: str) -> None:
    with _lock:
        _times[run_id] = _times.get(run_id, 0) + 1


def note_ended(run_id: str) -> None:
    """Take back one `note_resumed`: several threads may have resumed a run."""
    with _lock:
        left = _times.pop(run_id, 1) - 1
        if left > 0:
            _times[run_id] = left


def may_overwrite_params(run_id: str, asked: bool | None) -> bool:
    """Tell whether params of a run may replace other values: as was asked for, by default in a resumed run."""
    return run_id in _times if asked is None else asked
