"""Remove from the trash what is in it long enough: in small steps, beside the requests, on one server of a database at a time."""

import logging
import threading

from slipstream.clock import now_ms
from slipstream.entities import RemovalCounts, TrashSelection
from slipstream.errors import UnavailableError
from slipstream.store.engine import Engine, QueuedStore

POLL_SECONDS = 60.0
PAUSE_SECONDS = 0.2
"""Between two steps, so that a large trash takes no more than a part of the disk's and the writer's time."""

_logger = logging.getLogger(__name__)


class TrashRetention:
    """Removes for one server process, from `start` to `stop`.

    Args:
        engine: the database; its configuration says where files may be deleted.
        retention_ms: how long what was deleted is kept.
        poll_seconds: how often to look.
    """

    def __init__(self, engine: Engine, retention_ms: int, poll_seconds: float = POLL_SECONDS) -> None:
        self._engine = engine
        self._store = QueuedStore(engine)
        self._retention_ms = retention_ms
        self._poll_seconds = poll_seconds
        self._stopping = threading.Event()
        self._failing = False
        self._told: set[str] = set()
        """What is kept in spite of its age: it is said once."""
        self._thread = threading.Thread(target=self._watch, name="slipstream-trash", daemon=True)

    def start(self) -> None:
        _logger.setLevel(logging.INFO)  # what is removed for ever is said, whatever else is not
        self._thread.start()

    def stop(self, patience_seconds: float = 3.0) -> None:
        """Begin no further step; what is marked is removed by whoever comes next."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(patience_seconds)

    def _watch(self) -> None:
        while not self._stopping.is_set():
            try:
                self._remove()
            except UnavailableError as error:  # another server is at it, or the database is away
                _logger.debug("Nothing is removed from the trash now: %s", error)
            except Exception as error:
                if not self._failing:  # said once, not every minute
                    _logger.warning("Nothing can be removed from the trash now: %s", error, exc_info=error)
                self._failing = True
            else:
                self._failing = False
            self._stopping.wait(self._poll_seconds)

    def _remove(self) -> None:
        selection = TrashSelection(older_than_ms=self._retention_ms)
        before = now_ms() - self._retention_ms
        if not self._engine.read(lambda store: store.find_whether_trash_is_due(before)):
            return  # nothing was claimed, so that servers with an empty trash write nothing
        counts = RemovalCounts()
        token: str | None = None
        while not self._stopping.is_set():
            part = self._store.remove_trash(selection, token)
            counts += part.counts
            for kept in part.kept:
                if f"{kept.kind} {kept.id}" not in self._told:
                    self._told.add(f"{kept.kind} {kept.id}")
                    _logger.warning("The %s %s stays in the trash: %s", kept.kind, kept.id, kept.reason)
            token = part.token
            if token is None:
                break
            self._stopping.wait(PAUSE_SECONDS)
        if counts != RemovalCounts():
            _logger.info(
                "Removed from the trash: %d experiments, %d runs, %d logged models; %d bytes of metrics, %d files with %d "
                "bytes",
                *(counts.experiments, counts.runs, counts.models),
                *(counts.metric_bytes, counts.files, counts.artifact_bytes),
            )
