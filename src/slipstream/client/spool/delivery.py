"""Send lines of a spool file to a server: what one delivery holds, what becomes of those that are refused."""

import functools
import logging
import shutil
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

import msgspec

from slipstream.artifact_store.paths import clean_path
from slipstream.client.rest import RestStore
from slipstream.client.spool.file import SpoolLine, read_lines
from slipstream.client.spool.folder import STAGES, Sent, began_elsewhere
from slipstream.client.spool.mlflow import FINAL, send_as_mlflow
from slipstream.client.spool.renamed import Renamed
from slipstream.client.storage import open_artifacts
from slipstream.client.transfer import upload_folder
from slipstream.client.transport import RETRIED_STATUSES, Transport
from slipstream.entities.record import UNDELIVERED, DeliveryReceipt, FilesRecord, TableRecord, decode_files
from slipstream.errors import (
    ConflictError,
    ConnectionFailedError,
    EndpointNotFoundError,
    InternalError,
    MissingDependencyError,
    PermissionDeniedError,
    SlipstreamError,
    TooLargeError,
    UnauthenticatedError,
)

AT_ONCE = 5_000
"""Records of one delivery: what the server stores in some twenty milliseconds."""
AT_ONCE_BYTES = 1_000_000
"""A little less than what proxies take in one request where nobody told them more: a mebibyte."""
_MOST_FAILURES = 8
_TRIED = ".tried"
_OF_MODELS = (b'["model', b'["version"')
_QUOTED = 5
"""Pieces of a record's text at its first four quotation marks."""

_logger = logging.getLogger(__name__)


class Spooled(Protocol):
    """A file that is being sent: this process's, or one that was left."""

    @property
    def sent(self) -> Sent: ...
    @property
    def path(self) -> Path | None: ...
    def note_sent(self, sent: Sent) -> None: ...


class Delivery:
    """Sends to one server, one delivery at a time."""

    def __init__(self, transport: Transport, refuse: Callable[[bytes, str], None], renamed: Renamed) -> None:
        """Take the way to the server, which tries once, who is told of a record that is refused for ever, and the ids of there."""
        self._renamed = renamed
        self._acknowledged: dict[str, int] = {}
        """Up to which number the server said that it has a writer's records."""
        self._failures = 0
        """How often in a row the same files could not be stored by a server that answers."""
        self._transport = transport
        self._store = RestStore(transport)
        self._refuse = refuse
        self._is_ours = True
        self._there: set[str] = set()
        """Runs that are at the server, or begin in what was sent."""
        self.is_known: Callable[[str], bool] = lambda _: False
        """Tells of other runs that they are."""
        self.waits_for = ""
        """What has to go first, after lines that could not be sent."""
        self._most_bytes = AT_ONCE_BYTES

    def send(self, spooled: Spooled, writer: str, lines: Sequence[SpoolLine]) -> int:
        """Send the next lines of a file, or some of them, and note how far; return how many.

        None of them, if the first one's run begins in another file, which has to go first; `waits_for` says so.

        Raises:
            SlipstreamError: they could not be sent now; all of them may be sent again.
        """
        lines = self._up_to_unknown_run(spooled, self._some(lines))
        if not lines:
            return 0
        first = spooled.sent.number + 1
        files = decode_files(lines[0].text)
        if files is not None:
            self._send_or_refuse(spooled, files)
            spooled.note_sent(Sent(first, lines[0].end))
            return 1
        numbers = [line.text for line in lines]
        try:
            refused = self._deliver(writer, first, numbers)
        except ConflictError:
            self._go_back(spooled, writer)
            return len(lines)
        for number, message in refused:
            self._refuse(numbers[number - first], message)
        spooled.note_sent(Sent(first + len(lines) - 1, lines[-1].end))
        return len(lines)

    def _up_to_unknown_run(self, spooled: Spooled, lines: Sequence[SpoolLine]) -> Sequence[SpoolLine]:
        """Return the lines before the first one of a run that begins in another file: the server would refuse it for ever."""
        for index, line in enumerate(lines):
            kind, run = kind_of(line.text), run_of(line.text)
            if run in self._there or not run or self.is_known(run):
                continue
            if kind != b"run" and not self._may_log_to(run, spooled.path):
                self.waits_for = f"Run {run} begins in what another program has logged and not yet delivered, which goes first."
                return lines[:index]
            self._there.add(run)
        return lines

    def _may_log_to(self, run_id: str, own: Path | None) -> bool:
        if own is None:
            return True
        try:
            self._store.get_run(self._renamed.of(run_id))
        except FINAL:
            return not began_elsewhere(own.parent, run_id, own)  # else the server says what is wrong
        return True

    def _go_back(self, spooled: Spooled, writer: str) -> None:
        """Begin again where the server's memory ends, which had more before: it was set back to a backup, or replaced."""
        stored = self._acknowledged[writer]
        place = None if spooled.path is None else _place_of(spooled.path, stored, spooled.sent)
        if place is None:
            _logger.warning(
                "The server lost records that it had stored (after number %d); they are not here any more.",
                stored,
            )
            return
        _logger.warning(
            "The server lost records that it had stored; those after number %d are sent again.", stored
        )
        spooled.note_sent(Sent(stored, place))

    def _send_or_refuse(self, spooled: Spooled, files: FilesRecord | TableRecord) -> None:
        """Send files; after some attempts those that a server fails on, though it answers, hold up nothing more."""
        try:
            self._send_files(spooled, files)
        except (InternalError, MissingDependencyError) as error:
            self._failures += 1
            if self._failures < _MOST_FAILURES:
                raise
            self._refuse(
                msgspec.json.encode(files),
                f"{error} The files stay in the folder '{files.folder}' beside it.",
            )
        self._failures = 0

    def _send_files(self, spooled: Spooled, files: FilesRecord | TableRecord) -> None:
        assert spooled.path is not None, "a spool in memory has no files"
        folder = spooled.path.with_suffix(STAGES) / clean_path(files.folder)
        if not folder.is_dir():  # sent before, though nobody noted it
            return
        try:
            if isinstance(files, TableRecord):
                self._send_table(folder, files)
            else:
                place = self._place_of(files)
                if files.model_id:
                    self._put_right(folder / "MLmodel", files.model_id, place)
                upload_folder(open_artifacts(place, self._transport, _connect_to), folder, "")
        except FINAL as error:
            self._refuse(msgspec.json.encode(files), f"{error} The files stay in {folder}.")
        else:
            shutil.rmtree(folder, ignore_errors=True)

    def _place_of(self, files: FilesRecord) -> str:
        if files.place:
            return files.place
        if files.model_id:
            return self._store.get_logged_model(self._renamed.of(files.model_id)).artifact_location
        return self._store.get_run(self._renamed.of(files.run_id)).info.artifact_uri

    def _put_right(self, file: Path, model_id: str, place: str) -> None:
        """Write into a model's own file where it lies and what it is called there, which nobody knew when it was made."""
        try:
            text = file.read_bytes()
        except FileNotFoundError:  # these are other files of the model
            return
        right = text.replace(f"{UNDELIVERED}/{model_id}/artifacts".encode(), place.encode())
        right = self._renamed.translate(right)
        if right != text:
            file.write_bytes(right)

    def _send_table(self, folder: Path, record: TableRecord) -> None:
        from slipstream.client import tables

        tried = folder / _TRIED
        may_be_there = record.may_be_there or tried.exists()
        tried.touch()
        run = self._store.get_run(self._renamed.of(record.run_id))
        rows = tables.read_table((folder / Path(record.path).name).read_bytes(), record.path)
        store = open_artifacts(run.info.artifact_uri, self._transport, _connect_to)
        tables.append_rows(store, record.path, rows, may_be_there=may_be_there)
        listed = tables.list_with(run.data.tags.get(tables.LOGGED_ARTIFACTS_TAG), record.path)
        if listed is not None:
            self._store.set_tag(run.info.run_id, tables.LOGGED_ARTIFACTS_TAG, listed)

    def send_texts(self, writer: str, first: int, texts: Sequence[bytes]) -> None:
        """Send records that are in no file."""
        try:
            refused = self._deliver(writer, first, texts)
        except ConflictError:  # what the server lost is not here; it is known now how much it has
            refused = self._deliver(writer, first, texts)
        for number, message in refused:
            self._refuse(texts[number - first], message)

    def probe(self) -> None:
        """Ask whether the server is there.

        Raises:
            SlipstreamError: it is not.
        """
        self._transport.call("GET", "/health")

    def _deliver(self, writer: str, first: int, texts: Sequence[bytes]) -> list[tuple[int, str]]:
        """Send records, in smaller pieces if that is too much at once for the server or a proxy before it."""
        try:
            return self._deliver_whole(writer, first, texts)
        except TooLargeError as error:
            if len(texts) == 1:
                return [(first, str(error))]
            self._most_bytes = max(1, min(self._most_bytes, sum(map(len, texts))) // 2)
            middle = len(texts) // 2
            return self._deliver(writer, first, texts[:middle]) + self._deliver(
                writer, first + middle, texts[middle:]
            )

    def _some(self, lines: Sequence[SpoolLine]) -> Sequence[SpoolLine]:
        """Return the first lines: as many as one delivery holds."""
        size = 0
        for index, line in enumerate(lines):
            size += len(line.text) + 1
            if index and decode_files(line.text) is not None:  # which go alone
                return lines[:index]
            if index == AT_ONCE or (size > self._most_bytes and index):
                return lines[:index]
        return lines

    def _deliver_whole(self, writer: str, first: int, texts: Sequence[bytes]) -> list[tuple[int, str]]:
        texts = [self._renamed.translate(text) for text in texts]
        if self._is_ours and any(text.startswith(_OF_MODELS) for text in texts) and not self._takes_models:
            # A slipstream server of before: by MLflow's routes, which it has.
            return self._deliver_around_models(writer, first, texts)
        if self._is_ours:
            try:
                after = self._acknowledged.get(writer, 0)
                receipt: DeliveryReceipt = self._store.deliver(writer, first, texts, after)
            except EndpointNotFoundError:
                self._is_ours = "records" in self._store.own_features
                if self._is_ours:
                    raise
            else:
                self._acknowledged[writer] = receipt.stored
                if receipt.stored < after:
                    raise ConflictError(
                        f"The server has {receipt.stored} records of {after} that it had stored."
                    )
                return [(each.number, each.message) for each in receipt.refused]
        return [
            (first + index, message) for index, message in send_as_mlflow(self._store, texts, self._renamed)
        ]

    @functools.cached_property
    def _takes_models(self) -> bool:
        return "model-records" in self._store.own_features

    def _deliver_around_models(
        self, writer: str, first: int, texts: Sequence[bytes]
    ) -> list[tuple[int, str]]:
        place = next(place for place, text in enumerate(texts) if text.startswith(_OF_MODELS))
        refused = self._deliver_whole(writer, first, texts[:place]) if place else []
        refused += [
            (first + place, message)
            for _, message in send_as_mlflow(self._store, texts[place : place + 1], self._renamed)
        ]
        rest = texts[place + 1 :]
        return refused + (self._deliver_whole(writer, first + place + 1, rest) if rest else [])


def may_pass(error: Exception) -> bool:
    """Tell whether the same delivery may succeed later without anybody doing anything."""
    if isinstance(error, UnauthenticatedError | PermissionDeniedError | EndpointNotFoundError):
        return False
    if isinstance(error, ConnectionFailedError):
        return True
    return isinstance(error, SlipstreamError) and (
        error.status in RETRIED_STATUSES or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    )


def _place_of(path: Path, number: int, sent: Sent) -> int | None:
    """Return where the lines of a file go on after a number; `None` if not all that was sent is in it, as after a full disk."""
    place = None
    count = 0
    with path.open("rb") as file:
        offset = 0
        while offset < sent.offset and (lines := read_lines(file.fileno(), offset)):
            for line in lines:
                if line.end > sent.offset:
                    break
                count += not line.text.startswith(b"{")  # as the head does
                if count == number:
                    place = line.end
            offset = lines[-1].end
    return place if count == sent.number else None


def kind_of(text: bytes) -> bytes:
    """Return the kind of a record; nothing for what is none."""
    return _kind_and_run(text)[0]


def run_of(text: bytes) -> str:
    """Return the run of a record; nothing for one of no run."""
    return _kind_and_run(text)[1].decode("utf-8", "replace")


def _kind_and_run(text: bytes) -> tuple[bytes, bytes]:
    parts = text.split(b'"', 4)
    return (parts[1], parts[3]) if len(parts) == _QUOTED else (b"", b"")


def _connect_to(server: str) -> Transport:
    return Transport(server, identify=False)


def describe(text: bytes) -> str:
    """Return a record as it may be shown."""
    return msgspec.json.format(text, indent=0).decode("utf-8", "replace")[:300]
