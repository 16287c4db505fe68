"""A metric of groups of runs as charts show it: in each column the mean of a group's runs, and how they spread."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from slipstream.entities.envelope import (
    Band,
    BandPage,
    BandRequest,
    EnvelopeRequest,
    RunSet,
    SeriesName,
    XAxis,
)
from slipstream.entities.run_table import RunSelection
from slipstream.errors import InvalidParameterError
from slipstream.rules.bands import BandLine, BandMaker, band_line
from slipstream.rules.envelope import column_width
from slipstream.rules.windows import check_window
from slipstream.search.columns import parse_columns
from slipstream.store.envelopes import MOST_COLUMNS, EnvelopesPart, FoundLine, check_envelope_request
from slipstream.store.run_changes import newest_change
from slipstream.store.run_index.conditions import ColumnName
from slipstream.store.run_index.rows import Cells
from slipstream.store.run_tables import MOST_GROUPED_BY, require_text

MOST_BANDS = 100
MOST_RUNS = 5_000
"""Of all groups together; of more, the newest are looked at."""
_AT_ONCE = 500
_MEASURED = 100
"""So many lines tell how far all of them reach, beside their last points."""
_RUN_ID, _START_TIME = ("attribute", "run_id"), ("attribute", "start_time")


class _Group(NamedTuple):
    name: str
    keys: tuple[str | None, ...] | None
    found: int
    run_ids: Sequence[str]


class BandsPart(EnvelopesPart):
    if TYPE_CHECKING:  # in store/run_tables.py

        def find_cells(self, selection: RunSelection, wanted: Sequence[ColumnName]) -> Cells: ...

    def find_bands(self, request: BandRequest) -> BandPage:
        index = self.config.run_index
        state = None if index is None else index.state(self.tx)
        cursor = newest_change(self.tx) if state is None else state
        runs = total = 0
        if request.selection is None:
            groups = [_of_set(each) for each in request.groups]
            runs, total = sum(group.found for group in groups), len(groups)
        else:
            check_window(0, request.limit, MOST_BANDS)
            found = self._found_groups(request, request.selection)
            runs, total = sum(group.found for group in found), len(found)
            groups = _newest(found[: request.limit], MOST_RUNS)
        wanted = [run_id for group in groups for run_id in group.run_ids]
        width = request.width
        if request.selection is not None and wanted:
            width = min(width, max(1, MOST_COLUMNS // len(wanted)))
        shape = EnvelopeRequest(
            series=() if request.selection else tuple(SeriesName(each, request.key) for each in wanted),
            x=request.x,
            start=request.start,
            end=request.end,
            width=width,
            smoothing=request.smoothing,
        )
        check_envelope_request(shape)
        lines: list[FoundLine] = []
        for first in range(0, len(wanted), _AT_ONCE):
            lines += self.find_lines(
                [SeriesName(each, request.key) for each in wanted[first : first + _AT_ONCE]]
            )
        column = self._band_column(lines, shape)
        makers = [BandMaker() for _ in groups]
        of_run: dict[str, list[BandMaker]] = {}
        for group, maker in zip(groups, makers, strict=True):
            for run_id in group.run_ids:
                of_run.setdefault(run_id, []).append(maker)
        for line, shown in self._band_lines(lines, shape, column, state):
            for maker in of_run[line.run_id]:
                maker.add(shown)
        return BandPage(
            cursor=cursor,
            runs=runs,
            total=total,
            complete=all(group.found == len(group.run_ids) for group in groups),
            groups=[_band(group, maker, column) for group, maker in zip(groups, makers, strict=True)],
        )

    def _band_lines(
        self, lines: Sequence[FoundLine], shape: EnvelopeRequest, column: int, state: int | None
    ) -> Iterator[tuple[FoundLine, BandLine]]:
        """Return what of each line is drawn; servers keep it until the run changes."""
        index = self.config.run_index
        window = ("band", shape.x, shape.start, shape.end, shape.smoothing, column)
        unknown: list[FoundLine] = []
        for line in lines:
            known = None if index is None or state is None else index.kept((line[:5], window))
            if isinstance(known, BandLine):
                yield line, known
            else:
                unknown.append(line)
        for line, parts in self.read_lines(unknown):
            cut, _ = self.cut_parts(line, parts, shape, column, width=shape.width)
            shown = band_line(cut.line(), column)
            if index is not None and state is not None:
                index.keep_of_run((line[:5], window), line.run, shown, state, shown.bytes)
            yield line, shown

    def _found_groups(self, request: BandRequest, selection: RunSelection) -> list[_Group]:
        """Return all groups, those of most runs first, and the newest runs of each first."""
        by = parse_columns(request.by)
        if len(by) > MOST_GROUPED_BY:
            raise InvalidParameterError(f"'by' names {len(by)} columns; group by at most {MOST_GROUPED_BY}.")
        for column in by:
            require_text(column, "by")
        names: list[ColumnName] = [(column.group, column.key) for column in by]
        cells = self.find_cells(selection, [_RUN_ID, _START_TIME, *names])
        run_ids, started = cells.values[_RUN_ID], cells.values[_START_TIME]
        columns = [cells.values[name] for name in names]
        of_keys: dict[tuple[str | None, ...], list[str]] = {}
        for place in sorted(range(cells.runs), key=lambda place: (-_time(started[place]), run_ids[place])):
            of_keys.setdefault(tuple(column[place] for column in columns), []).append(run_ids[place])
        found = [
            _Group(", ".join(text or "" for text in keys), keys, len(runs), runs)
            for keys, runs in of_keys.items()
        ]
        found.sort(
            key=lambda group: (-group.found, [(text is None, text or "") for text in group.keys or ()])
        )
        return found

    def _band_column(self, lines: Sequence[FoundLine], shape: EnvelopeRequest) -> int:
        """Return how wide columns are; of many lines, some tell where they begin."""
        if not lines:
            return 1
        every = -(-len(lines) // _MEASURED)
        extents = [self.line_extent(line, shape.x) for line in lines[::every]]
        low = min(low for low, _ in extents) if shape.start is None else shape.start
        last = max(*(high for _, high in extents), *(_last(line, shape.x) for line in lines))
        return column_width(low, max(low, last if shape.end is None else shape.end), shape.width)


def _of_set(runs: RunSet) -> _Group:
    return _Group(runs.name, None, len(runs.run_ids), runs.run_ids)


def _newest(groups: Sequence[_Group], most: int) -> list[_Group]:
    """Return the groups with so many runs together at most; each keeps its part."""
    found = sum(group.found for group in groups)
    if found <= most:
        return list(groups)
    return [group._replace(run_ids=group.run_ids[: max(1, group.found * most // found)]) for group in groups]


def _time(value: float | None) -> float:
    return 0.0 if value is None or math.isnan(value) else value


def _last(line: FoundLine, x: XAxis) -> int:
    if x == "step":
        return line.last_step
    return line.last_time - (line.start_time if x == "relative" else 0)


def _band(group: _Group, maker: BandMaker, column: int) -> Band:
    rows = maker.rows()
    smooth = [row.smooth for row in rows if row.smooth is not None]
    medians = [row.smooth_median for row in rows if row.smooth_median is not None]
    return Band(
        name=group.name,
        keys=group.keys,
        found=group.found,
        runs=maker.lines,
        points=maker.points,
        column=column,
        x=[row.x for row in rows],
        counts=[row.runs for row in rows],
        mean=[row.mean for row in rows],
        std=[row.std for row in rows],
        median=[row.median for row in rows],
        lower=[row.lower for row in rows],
        upper=[row.upper for row in rows],
        low=[row.low for row in rows],
        high=[row.high for row in rows],
        smooth=smooth or None,
        smooth_median=medians or None,
    )
