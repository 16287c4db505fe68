"""Branches of runs, in SQL: a run goes on from an earlier step, and the tail that it leaves behind stays.

The points of the tail stay in the run's blocks (`store/point_blocks.py`), under the id of a series of their own: that of a
row of `superseded_series` plus `OFFSET`. So whoever reads a run's metrics does not see them and pays nothing for them, and
merging, removal and checks of blocks go on as ever. Blocks of one series that go as a whole only get another id.
"""

import operator
from array import array
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from typing import TYPE_CHECKING, LiteralString

import msgspec

from slipstream.clock import now_ms
from slipstream.db.base import Row, Transaction
from slipstream.db.point_blocks import (
    Block,
    Columns,
    Place,
    Point,
    Points,
    Sight,
    each_series,
    encode,
    merged,
    place_of,
    rename_series,
)
from slipstream.entities import Metric, Page, RunBranch
from slipstream.errors import NotFoundError
from slipstream.rules import limits, names
from slipstream.store.metrics import (
    UPDATE_LATEST,
    MetricsPart,
    check_page_size,
    decode_token,
    encode_token,
    to_metrics,
)
from slipstream.store.point_blocks import DELETE_BLOCKS, INSERT_BLOCK, SELECT_CONTENTS, block_row, in_groups

OFFSET = 1 << 40
"""What is added to the id of a row of `superseded_series` to get the id under which blocks know its points."""

SELECT_KEYS: LiteralString = """
    SELECT key FROM series WHERE run = :run AND key IN :keys__in
    UNION
    SELECT s.key FROM superseded_series s JOIN run_branches b ON b.id = s.branch WHERE b.run = :run AND s.key IN :keys__in
"""
# The latest point has the largest step: a series without it in the tail has nothing there.
SELECT_LONG: LiteralString = """
    SELECT id, key, step, timestamp, value, is_nan FROM series WHERE run = :run AND step >= :from_step ORDER BY id
"""
INSERT_BRANCH: LiteralString = """
    INSERT INTO run_branches (run, number, from_step, created_time)
    SELECT :run, COALESCE(MAX(number), 0) + 1, :from_step, :now FROM run_branches WHERE run = :run
    RETURNING id, number
"""
INSERT_SUPERSEDED: LiteralString = """
    INSERT INTO superseded_series (branch, key, step, timestamp, value, is_nan)
    VALUES (:branch, :key, :step, :timestamp, :value, :is_nan)
"""
SELECT_SUPERSEDED: LiteralString = """
    SELECT id, key, step, timestamp, value, is_nan FROM superseded_series WHERE branch = :branch ORDER BY id
"""
UPDATE_CUT: LiteralString = """
    UPDATE series SET step = :step, timestamp = :timestamp, value = :value, is_nan = :is_nan WHERE id = :id
"""
DELETE_SERIES: LiteralString = "DELETE FROM series WHERE id IN :ids__in"
SELECT_BLOCKS: LiteralString = """
    SELECT id, series, first_series, points FROM point_blocks WHERE id BETWEEN :first AND :last ORDER BY id
"""
UPDATE_BLOCK: LiteralString = """
    UPDATE point_blocks SET series = :series, first_series = :first_series, last_series = :last_series,
        points = :points, content = :content
    WHERE id = :id
"""
SELECT_BRANCHES: LiteralString = """
    SELECT b.id, b.number, b.from_step, b.created_time, b.undone_time FROM run_branches b
    WHERE b.run = :run ORDER BY b.number
"""
SELECT_ALL_SUPERSEDED: LiteralString = """
    SELECT s.branch, s.key, s.step, s.timestamp, s.value, s.is_nan
    FROM superseded_series s JOIN run_branches b ON b.id = s.branch WHERE b.run = :run ORDER BY s.key
"""
SELECT_SUPERSEDED_SERIES: LiteralString = """
    SELECT s.id FROM superseded_series s JOIN run_branches b ON b.id = s.branch
    WHERE b.run = :run AND b.number = :number AND s.key = :key
"""
SELECT_SERIES_HERE: LiteralString = "SELECT key, id FROM series WHERE run = :run AND key IN :keys__in"
INSERT_SERIES: LiteralString = """
    INSERT INTO series (run, key, step, timestamp, value, is_nan)
    VALUES (:run, :key, :step, :timestamp, :value, :is_nan)
"""
DELETE_SUPERSEDED: LiteralString = "DELETE FROM superseded_series WHERE branch = :branch"
UPDATE_UNDONE: LiteralString = "UPDATE run_branches SET undone_time = :now WHERE id = :branch"

_Latest = tuple[int, int, float, int]
"""Step, timestamp, value (0 for NaN), 1 for NaN."""


class _Change(msgspec.Struct, frozen=True):
    """What becomes of a block: the series of its rows that replace it, none of which changes nothing."""

    kind: int
    parts: list[Columns]
    content: bytes | None = None
    """Of the only part, where it is made without decoding."""


class BranchesPart(MetricsPart):
    tx: Transaction

    if TYPE_CHECKING:  # in store/runs.py

        def require_run(self, run_id: str, *, active: bool = False) -> tuple[int, int]: ...

    def branch_run(self, run_id: str, from_step: int, keys: Sequence[str] | None = None) -> RunBranch | None:
        names.check_run_id(run_id)
        limits.check_int64(from_step, "from_step")
        for key in keys or ():
            names.check_key(key, "keys")
        run, _ = self.require_run(run_id, active=True)
        if keys is not None:
            known = {row[0] for row in self.tx.fetch_all(SELECT_KEYS, run=run, keys__in=list(keys) or [""])}
            for key in keys:
                if key not in known:
                    raise NotFoundError(
                        f"Run {run_id} has no metric '{key}'. Name metrics that it has, or none for all of them."
                    )
        rows = self.tx.fetch_all(SELECT_LONG, run=run, from_step=from_step)
        if keys is not None:
            named = set(keys)
            rows = [row for row in rows if row[1] in named]
        if not rows:
            return self._same_branch(run, from_step)
        inserted = self.tx.fetch_one(INSERT_BRANCH, run=run, from_step=from_step, now=now_ms())
        assert inserted is not None, "INSERT ... RETURNING gives a row"
        branch, number = inserted
        self.leave_behind(run, branch, rows, from_step)
        return next(each for each in self._branches(run) if each.number == number)

    def leave_behind(self, run: int, branch: int, rows: Sequence[Row], from_step: int) -> None:
        """Give the tails of some series, rows of `SELECT_LONG`, to a branch by its internal id."""
        self.tx.execute_many(INSERT_SUPERSEDED, [(branch, *row[1:]) for row in rows])
        new = {row[1]: row[0] + OFFSET for row in self.tx.fetch_all(SELECT_SUPERSEDED, branch=branch)}
        moved = {row[0]: new[row[1]] for row in rows}
        self._keep_latest(rows, self._cut(run, moved, from_step))

    def move_points(self, run: int, points: Mapping[str, Sequence[Point]], new: Mapping[str, int]) -> None:
        """Give those of some points, by key, that the run's metrics have to other series, `new` by key."""
        rows = self.tx.fetch_all(SELECT_SERIES_HERE, run=run, keys__in=list(points))
        if not rows:
            return
        moved = {series: new[key] for key, series in rows}
        going = {series: {place_of(point) for point in points[key]} for key, series in rows}
        latest: dict[int, _Latest] = {}
        self._change_blocks(run, lambda kind, content: _move_some(kind, content, moved, going, latest))
        self._keep_latest([(series, key) for key, series in rows], latest)

    def _keep_latest(self, rows: Sequence[Row], latest: Mapping[int, _Latest]) -> None:
        """Note the latest of what stays in series, whose rows begin with the id; without any they are deleted."""
        kept = [(*latest[row[0]], row[0]) for row in rows if row[0] in latest]
        if kept:
            self.tx.execute_many(UPDATE_CUT, kept)
        gone = [row[0] for row in rows if row[0] not in latest]
        if gone:
            self.tx.execute(DELETE_SERIES, ids__in=gone)

    def _same_branch(self, run: int, from_step: int) -> RunBranch | None:
        """Return the newest branch if it is what was asked for: whoever asks twice gets the same answer."""
        branches = self._branches(run)
        newest = branches[-1] if branches else None
        if newest is None or newest.from_step != from_step or newest.undone_time is not None:
            return None
        return newest

    def get_run_branches(self, run_id: str) -> list[RunBranch]:
        return self._branches(self.require_run(run_id)[0])

    def _branches(self, run: int) -> list[RunBranch]:
        latest: dict[int, list[Metric]] = {}
        for branch, key, step, timestamp, value, is_nan in self.tx.fetch_all(SELECT_ALL_SUPERSEDED, run=run):
            metric = Metric(key, float("nan") if is_nan else value, timestamp, step)
            latest.setdefault(branch, []).append(metric)
        return [
            RunBranch(
                number=number,
                from_step=from_step,
                created_time=created,
                undone_time=undone,
                latest_metrics=latest.get(branch, []),
            )
            for branch, number, from_step, created, undone in self.tx.fetch_all(SELECT_BRANCHES, run=run)
        ]

    def get_superseded_history(
        self,
        run_id: str,
        branch: int,
        key: str,
        max_results: int | None = None,
        page_token: str | None = None,
    ) -> Page[Metric]:
        limits.check_int64(branch, "branch")
        check_page_size(max_results)
        run, _ = self.require_run(run_id)
        self._require_branch(run_id, run, branch)
        row = self.tx.fetch_one(SELECT_SUPERSEDED_SERIES, run=run, number=branch, key=key)
        if row is None:
            return Page([])
        place = f"{run_id}/{branch}"
        after: Place | None = decode_token(page_token, place, key) if page_token else None
        points, last = self.see_page(run, row[0] + OFFSET, after, max_results or limits.INT64_MAX)
        return Page(to_metrics(key, points), None if last is None else encode_token(last, place, key))

    def _require_branch(self, run_id: str, run: int, number: int) -> Row:
        for row in self.tx.fetch_all(SELECT_BRANCHES, run=run):
            if row[1] == number:
                return row
        raise NotFoundError(f"Run {run_id} has no branch {number}. Its branches: get_run_branches.")

    def undo_branch(self, run_id: str, branch: int) -> None:
        limits.check_int64(branch, "branch")
        run, _ = self.require_run(run_id, active=True)
        self.put_back(run_id, run, branch, now_ms())

    def put_back(self, run_id: str, run: int, branch: int, now: int) -> None:
        """Put the points of a branch back into the run's metrics; one that is undone stays so."""
        identity, *_, undone = self._require_branch(run_id, run, branch)
        if undone is not None:
            return
        rows = self.tx.fetch_all(SELECT_SUPERSEDED, branch=identity)
        keys = [row[1] for row in rows]
        here = dict(self.tx.fetch_all(SELECT_SERIES_HERE, run=run, keys__in=keys))
        self.tx.execute_many(INSERT_SERIES, [(run, *row[1:]) for row in rows if row[1] not in here])
        latest = [(*row[2:], here[row[1]]) for row in rows if row[1] in here]
        if latest:
            self.tx.execute_many(UPDATE_LATEST, latest)
        here = dict(self.tx.fetch_all(SELECT_SERIES_HERE, run=run, keys__in=keys))
        back = {row[0] + OFFSET: here[row[1]] for row in rows}
        self._change_blocks(run, lambda kind, content: _taken_back(kind, content, back))
        self.tx.execute(DELETE_SUPERSEDED, branch=identity)
        self.tx.execute(UPDATE_UNDONE, branch=identity, now=now)

    # -- blocks -------------------------------------------------------------------------------------
    def _cut(self, run: int, moved: Mapping[int, int], from_step: int) -> dict[int, _Latest]:
        """Give the points of some series from a step on to other series; return the latest of those that stay."""
        latest: dict[int, _Latest] = {}

        def change(kind: int, content: bytes) -> _Change | None:
            return _cut_block(kind, content, moved, from_step, latest)

        self._change_blocks(run, change)
        return latest

    def _change_blocks(self, run: int, change: Callable[[int, bytes], _Change | None]) -> None:
        """Replace blocks of a run by what `change` makes of their kind (see `point_blocks.series`) and content."""
        rows = self.tx.fetch_all(SELECT_BLOCKS, first=run << 32, last=(run + 1 << 32) - 1)
        for group in in_groups(rows):
            contents = dict(self.tx.fetch_all(SELECT_CONTENTS, ids__in=[row[0] for row in group]))
            updated: list[Row] = []
            new: list[Row] = []
            for identity, kind, _, points in group:
                changed = change(kind, contents.pop(identity))
                if changed is None:
                    continue
                first, *others = changed.parts
                size = len(first.points.values) or points
                content = changed.content or encode(first)
                ids = first.series
                if others:  # times differ now: it is another block
                    new += [block_row(run, part.series[0], part) for part in changed.parts]
                    self.tx.execute(DELETE_BLOCKS, ids__in=[identity])
                else:
                    updated.append((changed.kind, ids[0], ids[-1], size, content, identity))
            if updated:
                self.tx.execute_many(UPDATE_BLOCK, updated)
            if new:
                self.tx.execute_many(INSERT_BLOCK, new)
                self.runs_to_compact.setdefault(run, False)  # cut often, a run would have many small blocks


def _cut_block(
    kind: int, content: bytes, moved: Mapping[int, int], from_step: int, latest: dict[int, _Latest]
) -> _Change | None:
    block = Block(content)
    concerned = [series for series in block.series if series in moved]
    tails = 0
    for series in concerned:
        points = block.look(series)
        assert points is not None, "the block has it"
        found = _latest_before(points, from_step)
        if found is not None:
            known = latest.get(series)
            latest[series] = found if known is None or found[:3] > known[:3] else known
        tails += _tail(points.steps, from_step)
    if tails == 0:
        return None
    if tails == block.points:  # all of it goes
        renamed, ids = rename_series(content, moved)
        return _Change(ids[0] if kind > 0 else kind, [_only_ids(ids)], renamed)
    stay: list[tuple[int, Points]] = []
    go: list[tuple[int, Points]] = []
    for series, points in each_series(block.columns()):
        if series not in moved:
            stay.append((series, points))
            continue
        kept, left = _split(points, from_step)
        if kept.values:
            stay.append((series, kept))
        if left.values:
            go.append((moved[series], left))
    if kind > 0:
        return _Change(kind, [_columns(stay), _columns(go)])
    return _Change(kind, [_columns([*stay, *sorted(go, key=operator.itemgetter(0))])])


def _move_some(
    kind: int,
    content: bytes,
    moved: Mapping[int, int],
    going: Mapping[int, set[Place]],
    latest: dict[int, _Latest],
) -> _Change | None:
    """Do as `_cut_block`, with points that are named."""
    block = Block(content)
    if not any(series in moved for series in block.series):
        return None
    stay: list[tuple[int, Points]] = []
    go: list[tuple[int, Points]] = []
    for series, points in each_series(block.columns()):
        if series not in moved:
            stay.append((series, points))
            continue
        stays = [place_of(point) not in going[series] for point in zip(*points, strict=True)]
        kept, left = _picked(points, stays), _picked(points, [not each for each in stays])
        if kept.values:
            stay.append((series, kept))
            found = max(_latest_of(kept, index) for index in range(len(kept.values)))
            latest[series] = max(latest.get(series, found), found)
        if left.values:
            go.append((moved[series], left))
    if not go:
        return None
    go.sort(key=operator.itemgetter(0))
    if not stay:
        return _Change(go[0][0] if kind > 0 else kind, [_columns(go)])
    if kind > 0:
        return _Change(kind, [_columns(stay), _columns(go)])
    return _Change(kind, [_columns([*stay, *go])])


def _taken_back(kind: int, content: bytes, back: Mapping[int, int]) -> _Change | None:
    block = Block(content)
    if not any(series in back for series in block.series):
        return None
    ids = [back.get(series, series) for series in block.series]
    if len(set(ids)) == len(ids):
        renamed, ordered = rename_series(content, back)
        return _Change(ordered[0] if kind > 0 else kind, [_only_ids(ordered)], renamed)
    by_series: dict[int, list[Points]] = {}
    for series, points in each_series(block.columns()):
        by_series.setdefault(back.get(series, series), []).append(points)
    return _Change(kind, [_columns([(series, merged(by_series[series])) for series in sorted(by_series)])])


def _only_ids(ids: "array[int]") -> Columns:
    return Columns(ids, array("q"), Points.none())


def _columns(parts: Sequence[tuple[int, Points]]) -> Columns:
    together = Points.none()
    for _, points in parts:
        together.extend(points)
    counts = array("q", [len(points.values) for _, points in parts])
    return Columns(array("q", [series for series, _ in parts]), counts, together)


def _tail(steps: Sequence[int], from_step: int) -> int:
    """Return how many steps are in the tail."""
    if isinstance(steps, range):
        ascending = steps if steps.step > 0 else steps[::-1]
        return len(ascending) - bisect_left(ascending, from_step)
    return sum(step >= from_step for step in steps)


def _split(points: Points, from_step: int) -> tuple[Points, Points]:
    """Return the points before a step and the others, each in their order."""
    stays = [step < from_step for step in points.steps]
    goes = [not each for each in stays]
    return _picked(points, stays), _picked(points, goes)


def _picked(points: Points, chosen: Sequence[bool]) -> Points:
    return Points(
        array("q", compress(points.timestamps, chosen)),
        array("q", compress(points.steps, chosen)),
        array("d", compress(points.values, chosen)),
    )


def _latest_before(points: Sight, from_step: int) -> _Latest | None:
    """Return the latest point before a step, if there is any."""
    steps = points.steps
    if isinstance(steps, range) and steps.step > 0:
        index = bisect_left(steps, from_step) - 1
        return None if index < 0 else _latest_of(points, index)
    places = [index for index, step in enumerate(steps) if step < from_step]
    if not places:
        return None
    found: _Latest | None = None
    highest = max(steps[index] for index in places)
    for index in places:
        if steps[index] == highest:
            each = _latest_of(points, index)
            if found is None or each[:3] > found[:3]:
                found = each
    return found


def _latest_of(points: Sight | Points, index: int) -> _Latest:
    timestamp, step, value, is_nan = place_of(
        (points.timestamps[index], points.steps[index], points.values[index])
    )
    return step, timestamp, value, int(is_nan)
