"""Series as charts show them, cut into pixel columns while their blocks are read."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import LiteralString, NamedTuple, TypeAlias, cast

from slipstream.db.base import Row, Transaction
from slipstream.db.point_blocks import Sight
from slipstream.entities.envelope import (
    EncodedEnvelopes,
    Envelope,
    EnvelopePage,
    EnvelopeRequest,
    SeriesName,
    XAxis,
)
from slipstream.errors import InvalidParameterError
from slipstream.rules import limits
from slipstream.rules.envelope import LineCutter, OutOfOrderError, column_width
from slipstream.store.config import StoreConfig
from slipstream.store.point_blocks import PointBlocksPart
from slipstream.store.run_changes import newest_change

SELECT_LINES: LiteralString = """
    SELECT r.run_id, r.start_time, s.run, s.id, s.key, s.step, s.timestamp FROM series s JOIN runs r ON r.id = s.run
    WHERE r.run_id IN :run_ids__in AND s.key IN :keys__in AND r.lifecycle_stage <> 'removing'
"""
SELECT_EXTENT: LiteralString = """
    SELECT MIN(first_time), MAX(last_time) FROM point_blocks
    WHERE id BETWEEN :first AND :last AND first_series <= :series AND last_series >= :series
"""

MOST_SERIES = 1_000
MOST_WIDTH = 10_000
MOST_COLUMNS = 1_000_000
"""Of all series of a request together."""
_TOGETHER = 4_096
"""Points of a series up to which it is read with others of its run."""
_EVER = (limits.INT64_MIN, limits.INT64_MAX)

Axis: TypeAlias = Callable[[Sight], Sequence[int]]


class FoundLine(NamedTuple):
    """A series of a run, and where it ends."""

    run_id: str
    start_time: int
    run: int
    series: int
    key: str
    last_step: int
    last_time: int


class EnvelopesPart(PointBlocksPart):
    tx: Transaction
    config: StoreConfig

    def find_envelopes(self, request: EnvelopeRequest) -> EnvelopePage:
        check_envelope_request(request)
        cursor = newest_change(self.tx)
        found = self.find_lines(request.series)
        columns = self._line_columns(found, request, None)
        return EnvelopePage(
            cursor=cursor,
            series=[
                self._cut_line(line, parts, request, columns[line.series])
                for line, parts in self.read_lines(found)
            ],
        )

    def find_encoded_envelopes(
        self, encode: Callable[[Envelope], bytes], request: EnvelopeRequest
    ) -> EncodedEnvelopes:
        check_envelope_request(request)
        index = self.config.run_index
        state = None if index is None else index.state(self.tx)
        cursor = newest_change(self.tx) if state is None else state
        found = self.find_lines(request.series)
        columns = self._line_columns(found, request, state)
        texts: dict[int, bytes] = {}
        keys = {
            line.series: (
                encode,
                line[:5],
                request.x,
                request.start,
                request.end,
                request.width,
                request.smoothing,
                columns[line.series],
            )
            for line in found
        }
        if index is not None and state is not None:
            for line in found:
                known = index.kept(keys[line.series])
                if isinstance(known, bytes):
                    texts[line.series] = known
        for line, parts in self.read_lines([line for line in found if line.series not in texts]):
            text = encode(self._cut_line(line, parts, request, columns[line.series]))
            texts[line.series] = text
            if index is not None and state is not None:
                index.keep_of_run(keys[line.series], line.run, text, state, len(text))
        return EncodedEnvelopes(cursor=cursor, series=[texts[line.series] for line in found])

    def _line_columns(
        self, found: Sequence[FoundLine], request: EnvelopeRequest, state: int | None
    ) -> dict[int, int]:
        """Return how wide the columns of each series are: those of one chart, which has a key, have the same."""
        extents = {line.series: self._known_extent(line, request.x, state) for line in found}
        charts: dict[object, list[int]] = {}
        for line in found:
            charts.setdefault(line.series if request.own_grid else line.key, []).append(line.series)
        columns: dict[int, int] = {}
        for chart in charts.values():
            low = request.start
            if low is None:
                low = min(extents[series][0] for series in chart)
            high = request.end
            if high is None:
                high = max(extents[series][1] for series in chart)
            columns.update(dict.fromkeys(chart, column_width(low, max(low, high), request.width)))
        return columns

    def _known_extent(self, line: FoundLine, x: XAxis, state: int | None) -> tuple[int, int]:
        index = self.config.run_index
        if index is None or state is None:
            return self.line_extent(line, x)
        key = ("extent", line[:5], x)
        known = index.kept(key)
        if known is None:
            known = self.line_extent(line, x)
            index.keep_of_run(key, line.run, known, state, 100)
        return cast("tuple[int, int]", known)

    def find_lines(self, series: Sequence[SeriesName]) -> list[FoundLine]:
        """Return the series that there are, in the order asked for."""
        named = list(dict.fromkeys((each.run_id, each.key) for each in series))
        if not named:
            return []
        rows = self.tx.fetch_all(
            SELECT_LINES,
            run_ids__in=list(dict.fromkeys(run_id for run_id, _ in named)),
            keys__in=list(dict.fromkeys(key for _, key in named)),
        )
        known = {(row[0], row[4]): FoundLine(*row) for row in rows}
        return [known[name] for name in named if name in known]

    def line_extent(self, line: FoundLine, x: XAxis) -> tuple[int, int]:
        """Return about where a series begins and ends; columns that lie outside are made all the same."""
        if x == "step":
            points = self.see_points(line.run, line.series, most=1)
            first = points.steps[0] if len(points.values) else line.last_step
            return min(first, line.last_step), line.last_step
        row = self._time_extent(line)
        origin = line.start_time if x == "relative" else 0
        return row[0] - origin, row[1] - origin

    def _time_extent(self, line: FoundLine) -> Row:
        row = self.tx.fetch_one(
            SELECT_EXTENT, first=line.run << 32, last=(line.run + 1 << 32) - 1, series=line.series
        )
        return row if row is not None and row[0] is not None else (line.last_time, line.last_time)

    def read_lines(self, found: Sequence[FoundLine]) -> Iterator[tuple[FoundLine, Iterable[Sight]]]:
        """Return the parts of each series; of short ones of one run after their blocks were read together."""
        by_run: dict[int, list[FoundLine]] = {}
        for line in found:
            by_run.setdefault(line.run, []).append(line)
        read: dict[int, Sight] = {}
        for run, lines in by_run.items():
            if len(lines) > 1:
                sizes = self.count_points(run, [line.series for line in lines])
                short = [line.series for line in lines if sizes[line.series] <= _TOGETHER]
                if short:
                    read |= {
                        series: Sight(*points) for series, points in self.read_several(run, short).items()
                    }
        for line in found:
            points = read.pop(line.series, None)
            yield line, self.see_in_parts(line.run, line.series) if points is None else (points,)

    def _cut_line(
        self, line: FoundLine, parts: Iterable[Sight], request: EnvelopeRequest, column: int
    ) -> Envelope:
        cut, steps = self.cut_parts(line, parts, request, column, width=request.width)
        shown = cut.line()
        return Envelope(
            run_id=line.run_id,
            key=line.key,
            total=shown.total,
            count=shown.count,
            first_step=steps.first,
            last_step=steps.last,
            raw=shown.raw,
            x=shown.x,
            column=cut.column,
            y=shown.y,
            low=shown.low,
            high=shown.high,
            mean=shown.mean,
            smooth=shown.smooth,
            nan=shown.nan,
            infinite=shown.infinite,
            minus_infinite=shown.minus_infinite,
        )

    def cut_parts(
        self, line: FoundLine, parts: Iterable[Sight], request: EnvelopeRequest, column: int, *, width: int
    ) -> "tuple[LineCutter, _Steps]":
        axis = _axis(request.x, line.start_time)
        start = _EVER[0] if request.start is None else request.start
        end = _EVER[1] if request.end is None else request.end
        cut, steps = LineCutter(start, end, column, width, request.smoothing), _Steps()
        try:
            for part in parts:
                steps.add(part.steps)
                cut.add(axis(part), part.values)
        except OutOfOrderError:  # its steps went back at some time: all of it has to be sorted
            steps = _Steps()
            xs, values = self._sorted_line(line, axis, steps)
            # It may begin long before its first point.
            extent = column_width(max(start, xs[0]), min(end, xs[-1]), request.width)
            # A multiple, so that its columns are some of the others' together.
            column *= -(-extent // column)
            cut = LineCutter(start, end, column, width, request.smoothing)
            cut.add(xs, values)
        return cut, steps

    def _sorted_line(
        self, line: FoundLine, axis: Axis, steps: "_Steps"
    ) -> tuple[Sequence[int], Sequence[float]]:
        points = self.see_points(line.run, line.series)
        steps.add(points.steps)
        xs = axis(points)
        order = sorted(range(len(xs)), key=xs.__getitem__)
        return array("q", map(xs.__getitem__, order)), array("d", map(points.values.__getitem__, order))


class _Steps:
    """The smallest and the largest step so far."""

    def __init__(self) -> None:
        self.first = 0
        self.last = 0
        self._any = False

    def add(self, steps: Sequence[int]) -> None:
        if not len(steps):
            return
        low, high = (steps[0], steps[-1]) if isinstance(steps, range) else (min(steps), max(steps))
        if low > high:
            low, high = high, low
        self.first = min(self.first, low) if self._any else low
        self.last = max(self.last, high) if self._any else high
        self._any = True


def _axis(x: XAxis, start_time: int) -> Axis:
    if x == "step":
        return lambda points: points.steps
    if x == "time":
        return lambda points: points.timestamps
    return lambda points: [timestamp - start_time for timestamp in points.timestamps]


def check_envelope_request(request: EnvelopeRequest) -> None:
    """Refuse what cannot be answered."""
    if len(request.series) > MOST_SERIES:
        raise InvalidParameterError(
            f"{len(request.series)} series were asked for; at most {MOST_SERIES} are possible at a time."
        )
    if not 1 <= request.width <= MOST_WIDTH:
        raise InvalidParameterError(
            f"Invalid value {request.width} for 'width': it must be at least 1 and at most {MOST_WIDTH} pixels."
        )
    if request.width * len(request.series) > MOST_COLUMNS:
        raise InvalidParameterError(
            f"{len(request.series)} series of {request.width} columns are more than {MOST_COLUMNS} together. Ask for "
            "less of them, or a smaller 'width'."
        )
    for field, value in (("start", request.start), ("end", request.end)):
        if value is not None:
            limits.check_int64(value, field)
    if request.start is not None and request.end is not None and request.start > request.end:
        raise InvalidParameterError(f"'end' ({request.end}) must not be less than 'start' ({request.start}).")
    smoothing = request.smoothing
    if smoothing is not None and not 0 <= smoothing < 1:
        raise InvalidParameterError(
            f"Invalid value {smoothing} for 'smoothing': it must be at least 0 and less than 1."
        )
