"""What all points of a series say together: how many they are, the first, the smallest, the largest."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, LiteralString

import msgspec

from slipstream.db.base import Transaction
from slipstream.search.columns import Aggregate
from slipstream.store.config import StoreConfig
from slipstream.store.point_blocks import PointBlocksPart

SELECT_SERIES_OF_RUNS: LiteralString = (
    "SELECT run, id, key FROM series WHERE run IN :runs__in AND key IN :keys__in"
)


class SeriesSummary(msgspec.Struct, frozen=True):
    count: int
    first: float
    """The point with the smallest step, then timestamp, then value."""
    min: float | None
    """Of the numbers; nothing where all are NaN."""
    max: float | None


class SeriesSummariesPart(PointBlocksPart):
    tx: Transaction
    config: StoreConfig

    def summarize_series(
        self, runs: Sequence[int], wanted: Iterable[tuple[str, Aggregate]], upto: int
    ) -> dict[tuple[int, str, Aggregate], float | int | None]:
        """Return what is wanted of metrics of some runs, by run, key and what it is.

        Args:
            runs: internal ids.
            wanted: keys, each with what is wanted of it.
            upto: the state of the database that is read, for what is kept in memory.
        """
        by_key: dict[str, set[Aggregate]] = {}
        for key, aggregate in wanted:
            by_key.setdefault(key, set()).add(aggregate)
        if not by_key or not runs:
            return {}
        index = self.config.run_index
        if index is not None:
            index.state(self.tx)  # nobody else may have asked since something was written
        found: dict[tuple[int, str, Aggregate], float | int | None] = {}
        rows = self.tx.fetch_all(SELECT_SERIES_OF_RUNS, runs__in=list(runs), keys__in=sorted(by_key))
        for run, series, key in rows:
            known: Any = None if index is None else index.summary(run, series, upto)
            if known is None:
                known = self._summarize(run, series)
                if index is not None:
                    index.keep_summary(run, series, known, upto)
            for aggregate in by_key[key]:
                found[run, key, aggregate] = getattr(known, aggregate)
        return found

    def find_at_steps(
        self, runs: Sequence[int], wanted: Iterable[tuple[str, int]]
    ) -> dict[tuple[int, str, int], tuple[float, int]]:
        """Return what metrics of some runs were at a step or, without a point there, at the nearest step before; with the step it is of.

        Args:
            runs: internal ids.
            wanted: keys, each with a step.
        """
        by_key: dict[str, set[int]] = {}
        for key, step in wanted:
            by_key.setdefault(key, set()).add(step)
        if not by_key or not runs:
            return {}
        found: dict[tuple[int, str, int], tuple[float, int]] = {}
        rows = self.tx.fetch_all(SELECT_SERIES_OF_RUNS, runs__in=list(runs), keys__in=sorted(by_key))
        for run, series, key in rows:
            for step in by_key[key]:
                point = self._at_step(run, series, step)
                if point is not None:
                    found[run, key, step] = point
        return found

    def _at_step(self, run: int, series: int, step: int) -> tuple[float, int] | None:
        """Return value and step; of several points of a step the latest one."""
        best: tuple[float, int] | None = None
        for part in self.see_in_parts(run, series):
            steps = part.steps
            at = -1
            if isinstance(steps, range) and steps.step > 0:
                if steps[0] <= step:
                    at = min(len(steps) - 1, (step - steps[0]) // steps.step)
            else:
                for place, each in enumerate(steps):
                    if each <= step and (at < 0 or each >= steps[at]):
                        at = place
            if at >= 0 and (best is None or steps[at] >= best[1]):
                best = (part.values[at], steps[at])
        return best

    def _summarize(self, run: int, series: int) -> SeriesSummary:
        count, low, high = 0, math.inf, -math.inf
        first: tuple[int, int, float] | None = None
        any_number = False
        for part in self.see_in_parts(run, series):
            values = part.values
            count += len(values)
            least_step = (
                part.steps[0] if isinstance(part.steps, range) and part.steps.step > 0 else min(part.steps)
            )
            if first is None or least_step <= first[0]:
                at = part.steps.index(least_step)  # the earliest one, since points come by time
                point = (least_step, part.timestamps[at], values[at])
                first = point if first is None or point[:2] < first[:2] else first
            total = sum(values)
            if math.isfinite(total):
                numbers: Sequence[float] = values
            else:
                numbers = [value for value in values if not math.isnan(value)]
                if not numbers:
                    continue
            any_number = True
            least, most = min(numbers), max(numbers)
            low, high = min(low, least), max(high, most)
        assert first is not None, "a series has a point"
        return SeriesSummary(count, first[2], low if any_number else None, high if any_number else None)
