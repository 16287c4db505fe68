"""The route of lines for charts: each series as the pixel columns of a chart show it. Slipstream's own, not MLflow's."""

import hashlib
from collections.abc import Sequence
from itertools import accumulate

import msgspec

from slipstream.api.routing import OWN, OWN_AJAX, Encoded, Permission, Request, Response, encode, route
from slipstream.api.run_tables import SelectsRuns, selection_of
from slipstream.entities.envelope import (
    Band,
    BandPage,
    BandRequest,
    Envelope,
    EnvelopePage,
    EnvelopeRequest,
    RunSet,
    SeriesName,
    XAxis,
)
from slipstream.errors import InvalidParameterError
from slipstream.store.base import Store
from slipstream.wire.parsing import Int64
from slipstream.wire.short_numbers import Shades, axis_text, list_text, point_texts


class FindEnvelopes(Request, kw_only=True):
    series: list[SeriesName] = []
    run_ids: list[str] = []
    keys: list[str] = []
    """Instead of `series`: each of these runs with each of these keys."""
    x: XAxis = "step"
    start: Int64 | None = None
    end: Int64 | None = None
    width: Int64 = 1000
    smoothing: float | None = None
    own_grid: bool = False


class AxisMessage(msgspec.Struct, kw_only=True):
    """Integers: `count` of them from `start` on, `step` apart; or `start` and then as many steps further as `deltas` say."""

    start: int
    step: int
    count: int | None = None
    deltas: list[int] | None = None

    def values(self) -> list[int]:
        if self.deltas is not None:
            return list(accumulate((each * self.step for each in self.deltas), initial=self.start))
        return [self.start + self.step * number for number in range(self.count or 0)]


class EnvelopeMessage(msgspec.Struct, kw_only=True):
    run_id: str
    key: str
    total: int
    count: int
    first_step: int
    last_step: int
    raw: bool
    column: int
    x: AxisMessage
    y: list[float | None] | None = None
    low: list[float | None] | None = None
    high: list[float | None] | None = None
    mean: list[float | None] | None = None
    smooth: list[float | None] | None = None
    nan: list[int] = []
    infinite: list[int] = []
    minus_infinite: list[int] = []


class FindEnvelopesResponse(Response, kw_only=True, omit_defaults=False):
    cursor: int
    series: list[EnvelopeMessage]


@route("POST", "metrics/envelope", permission=Permission.READ, also=("GET",), prefixes=(OWN, OWN_AJAX))
def find_envelopes(store: Store, req: FindEnvelopes) -> FindEnvelopesResponse | Encoded:
    """Return series as a chart of some width shows them: all points of short ones, of others each pixel column's lowest, highest and mean."""
    if bool(req.series) == bool(req.run_ids and req.keys):
        raise InvalidParameterError("Say which series: give either 'series', or 'run_ids' and 'keys'.")
    series = req.series or [SeriesName(run_id, key) for key in req.keys for run_id in req.run_ids]
    page = store.find_encoded_envelopes(
        _to_text,
        EnvelopeRequest(
            series=tuple(series),
            x=req.x,
            start=req.start,
            end=req.end,
            width=req.width,
            smoothing=req.smoothing,
            own_grid=req.own_grid,
        ),
    )
    return _tagged(page.cursor, b',"series":[%b]}' % b",".join(page.series))


class FindBands(SelectsRuns, kw_only=True):
    key: str
    groups: list[RunSet] | None = None
    by: list[str] = []
    """Instead of `groups`: the runs that a search finds, grouped by these columns."""
    limit: Int64 = 20
    x: XAxis = "step"
    start: Int64 | None = None
    end: Int64 | None = None
    width: Int64 = 1000
    smoothing: float | None = None


class BandMessage(msgspec.Struct, kw_only=True):
    name: str
    keys: list[str | None] | None
    found: int
    runs: int
    points: int
    column: int
    x: AxisMessage
    counts: list[int]
    mean: list[float]
    std: list[float | None]
    median: list[float]
    lower: list[float]
    upper: list[float]
    low: list[float]
    high: list[float]
    smooth: list[float] | None = None
    smooth_median: list[float] | None = None


class FindBandsResponse(Response, kw_only=True, omit_defaults=False):
    cursor: int
    runs: int
    total: int
    complete: bool
    groups: list[BandMessage]


@route("POST", "metrics/bands", permission=Permission.READ, heavy=True, prefixes=(OWN, OWN_AJAX))
def find_bands(store: Store, req: FindBands) -> FindBandsResponse | Encoded:
    """Return a metric of groups of runs, on common columns: mean, median and spread over runs, lowest and highest of all points."""
    page = store.find_bands(
        BandRequest(
            key=req.key,
            groups=tuple(req.groups or ()),
            selection=selection_of(req) if req.groups is None else None,
            by=tuple(req.by),
            limit=req.limit,
            x=req.x,
            start=req.start,
            end=req.end,
            width=req.width,
            smoothing=req.smoothing,
        )
    )
    head = f',"runs":{page.runs},"total":{page.total},"complete":{"true" if page.complete else "false"}'
    return _tagged(page.cursor, f'{head},"groups":[{",".join(map(_band_text, page.groups))}]}}'.encode())


def _band_text(band: Band) -> str:
    shades = Shades(min(band.low, default=0.0), max(band.high, default=0.0))
    lists = ",".join(
        f'"{name}":{list_text(values, shades.texts)}'
        for name, values in (
            ("mean", band.mean),
            ("std", band.std),
            ("median", band.median),
            ("lower", band.lower),
            ("upper", band.upper),
            ("low", band.low),
            ("high", band.high),
            ("smooth", band.smooth),
            ("smooth_median", band.smooth_median),
        )
        if values is not None
    )
    return (
        f'{{"name":{_quoted(band.name)},"keys":{encode(band.keys).decode()},"found":{band.found},"runs":{band.runs},"points":{band.points},'
        f'"column":{band.column},"x":{axis_text(band.x, band.column)},"counts":[{",".join(map(str, band.counts))}],'
        f"{lists}}}"
    )


def bands_from_wire(answer: FindBandsResponse) -> BandPage:
    return BandPage(
        cursor=answer.cursor,
        runs=answer.runs,
        total=answer.total,
        complete=answer.complete,
        groups=[
            Band(
                name=each.name,
                keys=None if each.keys is None else tuple(each.keys),
                found=each.found,
                runs=each.runs,
                points=each.points,
                column=each.column,
                x=each.x.values(),
                counts=each.counts,
                mean=_floats(each.mean),
                std=each.std,
                median=_floats(each.median),
                lower=_floats(each.lower),
                upper=_floats(each.upper),
                low=_floats(each.low),
                high=_floats(each.high),
                smooth=None if each.smooth is None else _floats(each.smooth),
                smooth_median=None if each.smooth_median is None else _floats(each.smooth_median),
            )
            for each in answer.groups
        ],
    )


def _floats(values: Sequence[float]) -> list[float]:
    return list(map(float, values))


def _tagged(cursor: int, content: bytes) -> Encoded:
    digest = hashlib.blake2b(content, digest_size=12).hexdigest()
    return Encoded(b'{"cursor":%d%b' % (cursor, content), f'"{digest}"')


def _to_text(line: Envelope) -> bytes:
    """Return a line as JSON, with no more digits than are of use."""
    parts = [
        f'"run_id":{_quoted(line.run_id)},"key":{_quoted(line.key)},"total":{line.total},"count":{line.count}',
        f'"first_step":{line.first_step},"last_step":{line.last_step},"raw":{"true" if line.raw else "false"}',
        f'"column":{line.column},"x":{axis_text(line.x, 1 if line.raw else line.column)}',
    ]
    if line.y is not None:
        parts.append(f'"y":{list_text(line.y, point_texts)}')
    numbers = [
        value for column in (line.y, line.low, line.high) if column for value in column if value is not None
    ]
    shades = Shades(min(numbers, default=0.0), max(numbers, default=0.0))
    for name, column in (
        ("low", line.low),
        ("high", line.high),
        ("mean", line.mean),
        ("smooth", line.smooth),
    ):
        if column is not None:
            parts.append(f'"{name}":{list_text(column, shades.texts)}')
    for name, places in (
        ("nan", line.nan),
        ("infinite", line.infinite),
        ("minus_infinite", line.minus_infinite),
    ):
        if places:
            parts.append(f'"{name}":[{",".join(map(str, places))}]')
    return f"{{{','.join(parts)}}}".encode()


def _quoted(text: str) -> str:
    return encode(text).decode()


def from_wire(answer: FindEnvelopesResponse) -> EnvelopePage:
    return EnvelopePage(cursor=answer.cursor, series=[_line_from_wire(each) for each in answer.series])


def _line_from_wire(message: EnvelopeMessage) -> Envelope:
    def numbers(values: Sequence[float | None] | None) -> list[float | None] | None:
        return None if values is None else [None if value is None else float(value) for value in values]

    return Envelope(
        run_id=message.run_id,
        key=message.key,
        total=message.total,
        count=message.count,
        first_step=message.first_step,
        last_step=message.last_step,
        raw=message.raw,
        column=message.column,
        x=message.x.values(),
        y=numbers(message.y),
        low=numbers(message.low),
        high=numbers(message.high),
        mean=numbers(message.mean),
        smooth=numbers(message.smooth),
        nan=message.nan,
        infinite=message.infinite,
        minus_infinite=message.minus_infinite,
    )
