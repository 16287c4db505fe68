"""`RestStore`: whole histories."""

import csv
import itertools
from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from slipstream.api.routing import OWN
from slipstream.bulk.arrow import has_pyarrow, read_series
from slipstream.bulk.formats import Format
from slipstream.client.rest_runs import RestRuns
from slipstream.entities import Metric, SeriesFilter, SeriesPoints
from slipstream.errors import NotImplementedByServerError
from slipstream.rules.limits import SERIES_POINTS
from slipstream.rules.series import check_series_request, is_wanted, sample_positions

if TYPE_CHECKING:
    from slipstream.client.transport import Body

_PAGE = 25_000


class RestHistories(RestRuns):
    def read_series(
        self, run_ids: Sequence[str], keys: Sequence[str] | None = None, wanted: SeriesFilter | None = None
    ) -> Iterator[SeriesPoints]:
        run_ids, wanted = check_series_request(run_ids, keys, wanted)
        if not run_ids:
            return iter(())
        if "histories" not in self.own_features:
            return self._series_by_pages(run_ids, wanted)
        return self._stream(run_ids, wanted)

    def _stream(self, run_ids: Sequence[str], wanted: SeriesFilter) -> Iterator[SeriesPoints]:
        if has_pyarrow():
            try:
                return _read_arrow(self._open(run_ids, wanted, Format.ARROW))
            except NotImplementedByServerError:
                pass  # it lacks pyarrow; CSV needs nothing
        return _read_csv(self._open(run_ids, wanted, Format.CSV))

    def _open(self, run_ids: Sequence[str], wanted: SeriesFilter, form: Format) -> "Body":
        request = {
            "run_ids": run_ids,
            "keys": wanted.keys,
            "start_step": wanted.start_step,
            "end_step": wanted.end_step,
            "max_points": wanted.max_points,
            "format": form,
        }
        return self._transport.download(f"{OWN}metrics/histories", body=msgspec.json.encode(request))

    def _series_by_pages(self, run_ids: Sequence[str], wanted: SeriesFilter) -> Iterator[SeriesPoints]:
        """Read by MLflow's routes, metric by metric; a series is in memory as a whole, since its order is another."""
        runs = [(run_id, sorted(self.get_run(run_id).data.metrics)) for run_id in run_ids]

        def read() -> Iterator[SeriesPoints]:
            for run_id, keys in runs:
                for key in keys:
                    if is_wanted(key, wanted.keys):
                        yield from _parts(run_id, key, self._whole_history(run_id, key), wanted)

        return read()

    def _whole_history(self, run_id: str, key: str) -> list[Metric]:
        points: list[Metric] = []
        token: str | None = None
        while True:
            page = self.get_metric_history(run_id, key, _PAGE, token)
            points += page.items
            if (token := page.token) is None:
                return points


def _read_arrow(body: "Body") -> Iterator[SeriesPoints]:
    with body:
        yield from read_series(body)


def _read_csv(body: "Body") -> Iterator[SeriesPoints]:
    with body:
        rows = csv.reader(_lines(body))
        next(rows)
        for (run_id, key), series in itertools.groupby(rows, key=lambda row: (row[0], row[1])):
            while some := list(itertools.islice(series, SERIES_POINTS)):
                _, _, steps, timestamps, values = zip(*some, strict=True)
                yield SeriesPoints(
                    run_id,
                    key,
                    array("q", map(int, steps)),
                    array("q", map(int, timestamps)),
                    array("d", map(float, values)),
                )


def _lines(body: "Body") -> Iterator[str]:
    rest = b""
    while chunk := body.read(1 << 20):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode() + "\n" for line in lines)
    if rest:
        yield rest.decode()


def _parts(run_id: str, key: str, points: list[Metric], wanted: SeriesFilter) -> Iterator[SeriesPoints]:
    first, last = wanted.start_step, wanted.end_step
    points = [
        point
        for point in points
        if (first is None or point.step >= first) and (last is None or point.step <= last)
    ]
    if wanted.max_points is not None:
        # NaN stands where 0 would, as in the stores.
        points.sort(key=lambda p: (p.step, p.timestamp, p.value if p.value == p.value else 0.0))
        points = [points[position] for position in sample_positions(len(points), wanted.max_points)]
    for start in range(0, len(points), SERIES_POINTS):
        some = points[start : start + SERIES_POINTS]
        yield SeriesPoints(
            run_id,
            key,
            array("q", [point.step for point in some]),
            array("q", [point.timestamp for point in some]),
            array("d", [point.value for point in some]),
        )
