"""Finish for a process that is gone: end its runs, and store what it printed and what else waits."""

import contextlib
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from slipstream.artifact_store.paths import clean_path
from slipstream.client.connect import OFFLINE, Connection, connect, shown_uri
from slipstream.client.console.logs import open_log, tail_of, write_log
from slipstream.client.liveness.folder import (
    FILES,
    FileNote,
    ProcessNote,
    RunNote,
    claim,
    is_gone,
    left_folders,
    processes_folder,
    read_context,
    read_note,
    save_note,
)
from slipstream.client.liveness.reasons import judge, read_end
from slipstream.client.progress import Progress
from slipstream.client.transfer import FilePieces
from slipstream.clock import now_ms
from slipstream.entities import RunStatus, RunTag
from slipstream.entities.liveness import END_BY_TAG, END_LINES_TAG, ConsoleTail, LostRun
from slipstream.errors import EndpointNotFoundError, InvalidParameterError, NotFoundError, SlipstreamError

if TYPE_CHECKING:
    from slipstream.artifact_store.base import ArtifactStore

CONSOLE_PATH = "logs/console.log"
LATER_CONSOLES = "logs/console-"
"""How the names of what further lives of a run printed begin; they sort by time."""
_LOOK_SECONDS = 0.1
_TAIL_BYTES = 4_000
"""Of what was printed, so much is told to the server beside the file."""

_logger = logging.getLogger(__name__)


def open_quietly(address: str) -> Connection:
    """Return a connection that tries little: nobody waits for what it does, and it is done again later.

    For a database it is the one that everybody uses.
    """
    if not address.startswith(("http://", "https://")):
        return connect(address)
    from slipstream.client.rest import RestStore
    from slipstream.client.transport import Transport

    transport = Transport(address, retries=1, timeout_seconds=10.0)
    return Connection(address, RestStore(transport), transport)


def deliver_left(address: str, noticed_by: str = "next start") -> int:
    """Finish for all processes on this machine that are gone and tracked to an address; return how many were finished.

    Raises:
        SlipstreamError: the server does not take it now; what is left is left as it is.
    """
    done = 0
    send_spools(address)  # first: a run may be known only by them
    connection: Connection | None = None
    for folder in left_folders(shown_uri(address)):
        connection = connection or open_quietly(address)
        try:
            done += deliver_folder(folder, connection, noticed_by)
        except (NotFoundError, InvalidParameterError) as error:  # the others can be finished all the same
            _logger.debug("%s waits: %s", folder, error)
    return done


def send_spools(address: str) -> None:
    """Send what processes that are gone logged to a server, as far as that can be done now."""
    from slipstream.client.spool.folder import SUFFIX, folder_of
    from slipstream.client.spool.sync import sync

    folder = folder_of(shown_uri(address))
    if not address.startswith(("http://", "https://")) or not any(folder.glob(f"*{SUFFIX}")):
        return
    with contextlib.suppress(NotFoundError, InvalidParameterError):  # sent by somebody else meanwhile
        for left, message in sync(folder, address).failed:
            _logger.debug("%s waits: %s", left.path, message)


def deliver_all() -> tuple[int, list[tuple[str, str]]]:
    """Finish for all processes on this machine that are gone, whatever they tracked to.

    Return how many were finished, and of which servers some were not, with the reason.
    """
    done = 0
    failed: list[tuple[str, str]] = []
    for server in sorted(
        {note.server for path in processes_folder().glob("*/*") if (note := read_note(path))}
    ):
        if server == OFFLINE:
            continue
        try:
            done += deliver_left(server)
        except SlipstreamError as error:
            failed.append((server, str(error)))
    return done, failed


def deliver_folder(
    folder: Path, connection: Connection, noticed_by: str, context_seconds: float = 0.0
) -> bool:
    """Finish for one process, and remove its folder; tell whether that was done.

    `context_seconds` after the start of the process, what is found out beside it is not waited for any more.
    """
    with claim(folder) as is_mine:
        if not is_mine or not is_gone(folder):
            return False
        note = read_note(folder)
        if note is None:
            return False
        for run in list(note.runs):
            try:
                if run.last is None:
                    _end_run(folder, note, run, connection, noticed_by)
                if run.context:
                    _wait_for_context(folder, note.time + int(context_seconds * 1000))
                    _store_context(folder, run, connection)
                if run.console:
                    store_console(folder, note, run, connection, lambda: save_note(folder, note))
            except (NotFoundError, InvalidParameterError) as error:
                # Not there (yet): while what is logged waits on this disk, it may be of a run that is made only by it.
                if _is_young(note):
                    raise
                _logger.debug("Run %s cannot be finished and is left: %s", run.run_id, error)
            note.runs.remove(run)
            save_note(folder, note)
        for file in list(note.files):
            try:
                store_file(folder, file, connection)
            except (NotFoundError, InvalidParameterError) as error:
                if _is_young(note):
                    raise
                _logger.debug("%s of run %s cannot be stored and is left: %s", file.path, file.run_id, error)
            note.files.remove(file)
            save_note(folder, note)
        shutil.rmtree(folder, ignore_errors=True)
        return True


def _is_young(note: ProcessNote) -> bool:
    return now_ms() - note.time < 30 * 24 * 60 * 60 * 1000


def _end_run(folder: Path, note: ProcessNote, run: RunNote, connection: Connection, noticed_by: str) -> None:
    end = read_end(folder)
    verdict = judge(end, note)
    tags = {**verdict.tags, END_BY_TAG: noticed_by}
    if run.console and (lines := tail_of(open_log(folder, note.log), run.first)):
        tags[END_LINES_TAG] = lines
    at = end.time if end is not None else _last_sign(folder, note)
    lost = LostRun(run_id=run.run_id, status=verdict.status, end_time=at, tags=tags)
    try:
        connection.store.report_lost(lost)
    except EndpointNotFoundError:  # a server of MLflow's, or an old one
        store = connection.store
        if store.get_run(run.run_id).info.status != RunStatus.RUNNING:
            return
        store.log_batch(run.run_id, tags=[RunTag(key, value) for key, value in tags.items()])
        store.update_run(run.run_id, verdict.status, at)


def _wait_for_context(folder: Path, until: int) -> None:
    while now_ms() < until:
        context = read_context(folder)
        if context is not None and context.is_last:
            return
        time.sleep(_LOOK_SECONDS)


def _store_context(folder: Path, run: RunNote, connection: Connection) -> None:
    """Store where a run comes from, if that was found out before its process was gone, and not told."""
    context = read_context(folder)
    if context is None:
        return
    if context.tags:
        tags = [RunTag(key, value) for key, value in context.tags.items()]
        connection.store.log_batch(run.run_id, tags=tags)
    for file in context.notes(run.run_id):
        store_file(folder, file, connection)


def _last_sign(folder: Path, note: ProcessNote) -> int:
    """Return when the process wrote last."""
    times = [note.time]
    for each in (folder / "note.json", *(folder / "log").glob("*")):
        try:
            times.append(each.stat().st_mtime_ns // 1_000_000)
        except OSError:  # removed at this moment
            continue
    return max(times)


def store_console(
    folder: Path, note: ProcessNote, run: RunNote, connection: Connection, save: Callable[[], None]
) -> None:
    """Store what a run printed among its artifacts, and tell the server that it need not keep it.

    What an earlier life of the run, or another process of it, has stored is not written over. `save` keeps the note.
    """
    target = folder / FILES / f"console-{run.run_id}"
    tail = None
    if write_log(open_log(folder, note.log), run.first, run.last, target):
        tail = read_tail(target)
        if not run.console_path:
            run.console_path = _free_console_path(note, run, connection)
            save()
        store_file(folder, FileNote(run_id=run.run_id, name=target.name, path=run.console_path), connection)
    try:
        connection.store.end_console(run.run_id, tail)
    except EndpointNotFoundError:
        return


def read_tail(log: Path) -> ConsoleTail | None:
    """Return the end of a log; `None` of an empty one."""
    with log.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL_BYTES))
        text = file.read().decode(errors="replace")
    if not text:
        return None
    return ConsoleTail(text=text, is_all=size <= _TAIL_BYTES)


def _free_console_path(note: ProcessNote, run: RunNote, connection: Connection) -> str:
    store = connection.artifacts(connection.store.get_run(run.run_id).info.artifact_uri)
    if store.stat(CONSOLE_PATH) is None:
        return CONSOLE_PATH
    at = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now_ms() / 1000))
    return f"{LATER_CONSOLES}{at}-{note.host}-{note.pid}-{run.first}.log"


def store_file(folder: Path, file: FileNote, connection: Connection) -> None:
    """Store a file among a run's artifacts and remove it here once nothing else needs it."""
    source = folder / FILES / file.name
    if not source.exists():
        return

    def write(store: "ArtifactStore") -> None:
        store.write(clean_path(file.path), FilePieces(source, Progress("", 0)))

    stage: Callable[[str, Callable[[ArtifactStore], None]], None] | None
    stage = getattr(connection.store, "stage_files", None)
    if stage is not None:  # no server to send it to now; with what else is logged
        stage(file.run_id, write)
        return
    uri = connection.store.get_run(file.run_id).info.artifact_uri
    write(connection.artifacts(uri))


def try_deliver_left(address: str) -> None:
    """Finish for others, if that can be done now; for threads that nobody waits for."""
    try:
        deliver_left(address)
    except SlipstreamError as error:
        _logger.debug("What earlier programs left for %s waits: %s", shown_uri(address), error)
