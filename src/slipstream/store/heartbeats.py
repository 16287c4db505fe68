"""Signs of life of runs, and the latest of what they print, in SQL.

A run is here only if its client sends signs of life: those of clients that send none are never taken for dead.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, LiteralString

from slipstream.clock import now_ms
from slipstream.db.base import Transaction
from slipstream.entities import Metric, Param, RunTag
from slipstream.entities.liveness import (
    END_BY_TAG,
    END_LINES_TAG,
    END_REASON_TAG,
    END_TAGS,
    ConsoleChunk,
    ConsoleTail,
    LostRun,
)
from slipstream.errors import InvalidParameterError
from slipstream.rules import limits, names
from slipstream.store.config import StoreConfig

SELECT_BEATING: LiteralString = """
    SELECT r.id, r.run_id, r.status, h.lost, h.beat_time FROM runs r LEFT JOIN heartbeats h ON h.run = r.id
    WHERE r.run_id IN :ids__in AND r.lifecycle_stage = 'active'
"""
UPSERT_BEAT: LiteralString = """
    INSERT INTO heartbeats (run, beat_time, lost) VALUES (:run, :beat_time, 0)
    ON CONFLICT (run) DO UPDATE SET beat_time = excluded.beat_time, lost = 0
"""
UPSERT_LOST: LiteralString = """
    INSERT INTO heartbeats (run, beat_time, lost) VALUES (:run, :beat_time, 1)
    ON CONFLICT (run) DO UPDATE SET beat_time = excluded.beat_time, lost = 1
"""
REVIVE_RUN: LiteralString = "UPDATE runs SET status = 'RUNNING', end_time = NULL WHERE id = :run"
SELECT_SILENT: LiteralString = """
    SELECT r.run_id, h.beat_time FROM heartbeats h JOIN runs r ON r.id = h.run
    WHERE h.beat_time < :before AND h.lost = 0 AND r.status = 'RUNNING' AND r.lifecycle_stage = 'active'
    ORDER BY h.run LIMIT 1000
"""
END_RUN: LiteralString = """
    UPDATE runs SET status = :status, end_time = :end_time WHERE id = :run AND status = 'RUNNING'
"""
DELETE_OLD_BEATS: LiteralString = """
    DELETE FROM heartbeats WHERE beat_time < :before
        AND (lost = 0 OR beat_time < :long_before)
        AND (lost = 1 OR run IN (SELECT id FROM runs WHERE status <> 'RUNNING'))
"""
SELECT_OLD_BEAT: LiteralString = """
    SELECT 1 FROM heartbeats h JOIN runs r ON r.id = h.run
    WHERE h.beat_time < :before AND (h.lost = 0 AND r.status <> 'RUNNING' OR h.beat_time < :long_before) LIMIT 1
"""
DELETE_BEAT: LiteralString = "DELETE FROM heartbeats WHERE run = :run"
DELETE_END_TAGS: LiteralString = """
    DELETE FROM run_tags WHERE run = :run AND key IN :keys__in
        AND EXISTS (SELECT 1 FROM heartbeats h WHERE h.run = :run AND h.lost = 1)
"""
DELETE_ONE_TAG: LiteralString = "DELETE FROM run_tags WHERE run = :run AND key = :key"
SET_STATUS: LiteralString = "UPDATE runs SET status = :status WHERE id = :run"
SELECT_BEAT: LiteralString = "SELECT beat_time, lost FROM heartbeats WHERE run = :run"

INSERT_CHUNK: LiteralString = """
    INSERT INTO console_chunks (run, first, next, text) VALUES (:run, :first, :next, :text) ON CONFLICT DO NOTHING
"""
DELETE_CHUNKS: LiteralString = "DELETE FROM console_chunks WHERE run = :run AND next <= :before"
SELECT_CHUNKS: LiteralString = """
    SELECT first, next, text FROM console_chunks WHERE run = :run AND next > :after ORDER BY first LIMIT :limit_
"""
SELECT_LAST_CHUNKS: LiteralString = """
    SELECT first, next, text FROM console_chunks WHERE run = :run ORDER BY first DESC LIMIT :limit_
"""
INSERT_TAIL: LiteralString = "INSERT INTO console_tails (run, text, whole) VALUES (:run, :text, :whole)"
DELETE_TAIL: LiteralString = "DELETE FROM console_tails WHERE run = :run"
SELECT_TAIL: LiteralString = "SELECT text, whole FROM console_tails WHERE run = :run"
SELECT_BEATS: LiteralString = """
    SELECT r.run_id, h.beat_time FROM heartbeats h JOIN runs r ON r.id = h.run
    WHERE r.run_id IN :ids__in AND h.lost = 0
"""

CONSOLE_KEPT_BYTES = 256 * 1024
"""Of what a run prints, so much can be read while it goes; all of it is an artifact at the end."""
CHUNK_BYTES = 64 * 1024
_CHUNKS_AT_ONCE = 64
_MOST_RUNS = 10_000
_IDS_AT_ONCE = 500
_LOST_KEPT_MS = 30 * 24 * 60 * 60 * 1000
LAST_LINES = 20
TAIL_LETTERS = 4_000
"""Of what a run printed, so much is told with its overview, and kept when it has ended."""
_CHUNKS_OF_TAIL = 16


class HeartbeatsPart:
    tx: Transaction
    config: StoreConfig
    changed_runs: set[int]
    changed_consoles: set[int]

    if TYPE_CHECKING:  # in store/runs.py, store/params_tags.py and store/point_blocks.py

        def require_run(self, run_id: str, *, active: bool = False) -> tuple[int, int]: ...
        def end_blocks(self, run: int) -> None: ...
        def log_batch(
            self,
            run_id: str,
            metrics: Sequence[Metric] = (),
            params: Sequence[Param] = (),
            tags: Sequence[RunTag] = (),
        ) -> None: ...

    # -- signs of life ------------------------------------------------------------------------------
    def beat(self, run_ids: Sequence[str]) -> None:
        """Note that runs live. A server notes it in memory and writes it down every few seconds, for all runs together."""
        if len(run_ids) > _MOST_RUNS:
            raise InvalidParameterError(
                f"'run_ids' has {len(run_ids)} runs; send signs of life of up to {_MOST_RUNS} at a time."
            )
        if self.config.beats is None:
            now = now_ms()
            self.keep_beats(dict.fromkeys(run_ids, now))
        else:
            self.config.beats.note(run_ids)

    def find_beat(self, run_id: str) -> int | None:
        """Return when a run gave its last sign of life; `None` if none is known."""
        run, _ = self.require_run(run_id)
        noted = None if self.config.beats is None else self.config.beats.find(run_id)
        if noted is not None:
            return noted
        row = self.tx.fetch_one(SELECT_BEAT, run=run)
        return None if row is None or row[1] else row[0]

    def find_beats(self, run_ids: Sequence[str]) -> dict[str, int]:
        """Return when runs gave their last signs of life; those of which none is known are left out."""
        found: dict[str, int] = {}
        for start in range(0, len(run_ids), _IDS_AT_ONCE):
            some = list(run_ids[start : start + _IDS_AT_ONCE])
            found.update(self.tx.fetch_all(SELECT_BEATS, ids__in=some))  # pyright: ignore[reportArgumentType]
        if self.config.beats is not None:
            for run_id in run_ids:
                noted = self.config.beats.find(run_id)
                if noted is not None:
                    found[run_id] = max(noted, found.get(run_id, 0))
        return found

    def keep_beats(self, beats: Mapping[str, int]) -> list[str]:
        """Write down when runs gave their last sign of life; return those that came back to life by it.

        Runs that are not there, deleted, or ended by their own program are left out.
        """
        ids = list(beats)
        rows = [
            row
            for start in range(0, len(ids), _IDS_AT_ONCE)
            for row in self.tx.fetch_all(SELECT_BEATING, ids__in=ids[start : start + _IDS_AT_ONCE])
        ]
        revived: list[str] = []
        kept: list[tuple[int, int]] = []
        for run, run_id, status, lost, at in rows:
            if lost == 1 and status in ("FAILED", "KILLED"):
                if beats[run_id] <= at:  # given before it was lost
                    continue
                self._forget_end(run)
                self.tx.execute(REVIVE_RUN, run=run)
                self.changed_runs.add(run)
                revived.append(run_id)
            elif status != "RUNNING":
                continue
            kept.append((run, beats[run_id]))
        self.tx.execute_many(UPSERT_BEAT, kept)
        return revived

    def find_silent_runs(self, before: int) -> list[tuple[str, int]]:
        """Return running runs whose last sign of life is older, and when that was."""
        return [(row[0], row[1]) for row in self.tx.fetch_all(SELECT_SILENT, before=before)]

    def end_silent_runs(self, before: int) -> list[str]:
        """End the runs from which nothing was heard since; return which."""
        silent = self.find_silent_runs(before)
        for run_id, beat_time in silent:
            seconds = max(0, now_ms() - beat_time) // 1000
            self.report_lost(
                LostRun(
                    run_id=run_id,
                    status="FAILED",
                    end_time=beat_time,
                    tags={
                        END_REASON_TAG: f"No sign of life for {seconds} s: the process, its machine or the network is gone.",
                        END_BY_TAG: "server",
                    },
                )
            )
        return [run_id for run_id, _ in silent]

    def find_whether_beats_are_old(self, before: int) -> bool:
        """Tell whether there is something that `delete_old_beats` would delete."""
        return (
            self.tx.fetch_one(SELECT_OLD_BEAT, before=before, long_before=before - _LOST_KEPT_MS) is not None
        )

    def delete_old_beats(self, before: int) -> None:
        """Forget the signs of life of runs that have ended, and of those lost a month ago."""
        self.tx.execute(DELETE_OLD_BEATS, before=before, long_before=before - _LOST_KEPT_MS)

    def report_lost(self, lost: LostRun) -> bool:
        """End a run whose process is gone, unless it has ended; tell whether that was done. Retry-safe.

        A later sign of life, of another process of the run for example, brings it back.
        """
        names.check_run_id(lost.run_id)
        limits.check_int64(lost.end_time, "end_time")
        if lost.status not in ("FAILED", "KILLED"):
            raise InvalidParameterError(f"Invalid value '{lost.status}' for 'status': use FAILED or KILLED.")
        run, _ = self.require_run(lost.run_id, active=True)
        if not self.tx.count_changed(END_RUN, status=lost.status, end_time=lost.end_time, run=run):
            row = self.tx.fetch_one(SELECT_BEAT, run=run)
            if row is None or row[1] == 0 or lost.tags.get(END_BY_TAG) == "server":
                return False  # its own program has ended it
            # The server has missed it already; who was beside it knows better why it ended.
            self.tx.execute_many(DELETE_ONE_TAG, [(run, key) for key in END_TAGS])
            self.tx.execute(SET_STATUS, status=lost.status, run=run)
        self.tx.execute(UPSERT_LOST, run=run, beat_time=now_ms())
        tags = {key: value for key, value in lost.tags.items() if key in END_TAGS}
        if END_LINES_TAG not in tags and (lines := self._last_lines(run)):
            tags[END_LINES_TAG] = lines
        self.log_batch(lost.run_id, tags=[RunTag(key, value) for key, value in tags.items()])
        self.end_blocks(run)
        return True

    def forget_beat(self, run: int) -> None:
        """Note that a run's own program has set its status: it is not lost, whatever was said before."""
        self._forget_end(run)
        self.tx.execute(DELETE_BEAT, run=run)

    def _forget_end(self, run: int) -> None:
        self.tx.execute(DELETE_END_TAGS, run=run, keys__in=list(END_TAGS))

    # -- what runs print ----------------------------------------------------------------------------
    def append_console(self, run_id: str, chunks: Sequence[ConsoleChunk]) -> None:
        """Keep what a run printed, and of what it printed before only the latest. Retry-safe."""
        run, _ = self.require_run(run_id)
        for chunk in chunks:
            if (
                not 0 <= chunk.first < chunk.next <= limits.INT64_MAX
                or chunk.next - chunk.first > CHUNK_BYTES
            ):
                raise InvalidParameterError(
                    f"Invalid chunk from {chunk.first} to {chunk.next}: send 1 to {CHUNK_BYTES} bytes, numbered from 0."
                )
        if not chunks:
            return
        self.tx.execute_many(
            INSERT_CHUNK,
            [
                (run, each.first, each.next, each.text[:CHUNK_BYTES].replace("\0", "\ufffd"))
                for each in chunks
            ],
        )
        self.tx.execute(DELETE_CHUNKS, run=run, before=max(each.next for each in chunks) - CONSOLE_KEPT_BYTES)
        self.changed_consoles.add(run)

    def end_console(self, run_id: str, tail: ConsoleTail | None = None) -> None:
        """Forget what a run printed, since all of it is among its artifacts now; keep the last of it, if given."""
        run, _ = self.require_run(run_id)
        self.tx.execute(DELETE_TAIL, run=run)
        if tail is not None:
            text = tail.text.replace("\0", "\ufffd")
            kept = text if len(text) <= TAIL_LETTERS else last_part(text)
            self.tx.execute(INSERT_TAIL, run=run, text=kept, whole=int(tail.is_all and kept == text))
        self.tx.execute(DELETE_CHUNKS, run=run, before=limits.INT64_MAX)
        self.changed_consoles.add(run)

    def find_console_tail(self, run_id: str) -> ConsoleTail | None:
        """Return the last of what a run prints, or has printed; `None` where nothing is known of it."""
        run, _ = self.require_run(run_id)
        tail = self._tail_of_chunks(run)
        if tail is not None:
            return tail
        row = self.tx.fetch_one(SELECT_TAIL, run=run)
        return None if row is None else ConsoleTail(text=row[0], is_all=row[1] == 1)

    def _tail_of_chunks(self, run: int) -> ConsoleTail | None:
        rows = self.tx.fetch_all(SELECT_LAST_CHUNKS, run=run, limit_=_CHUNKS_OF_TAIL)
        if not rows:
            return None
        text = ""
        first = rows[0][1]
        for row in rows:
            if row[1] != first or len(text) > TAIL_LETTERS:
                break
            first, text = row[0], row[2] + text
        if len(text) > TAIL_LETTERS:
            return ConsoleTail(next=rows[0][1], text=last_part(text), is_all=False)
        return ConsoleTail(next=rows[0][1], text=text, is_all=first == 0)

    def find_console(self, run_id: str, after: int = 0) -> list[ConsoleChunk]:
        """Return what a run printed behind a place, up to some megabytes; what is too long ago is not there any more."""
        run, _ = self.require_run(run_id)
        return [
            ConsoleChunk(first=row[0], next=row[1], text=row[2])
            for row in self.tx.fetch_all(SELECT_CHUNKS, run=run, after=after, limit_=_CHUNKS_AT_ONCE)
        ]

    def _last_lines(self, run: int) -> str:
        rows = self.tx.fetch_all(SELECT_LAST_CHUNKS, run=run, limit_=1)
        return last_lines(rows[0][2]) if rows else ""


def last_part(text: str) -> str:
    """Return the end of a long text, from the beginning of a line."""
    part = text[-TAIL_LETTERS:]
    return part.partition("\n")[2] or part


def last_lines(text: str) -> str:
    """Return the last lines of a text, of each what a terminal would show at its end."""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")[-LAST_LINES:]]
    return "\n".join(lines)[-4000:]
