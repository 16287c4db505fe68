"""The even sample of a metric: compared with SQL's NTILE, by which MLflow's buckets are made."""

import math
import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from slipstream.db.point_blocks import collect
from slipstream.store.samples import sample

SELECT = """
    SELECT step, timestamp, value FROM (
        SELECT *, ROW_NUMBER() OVER (PARTITION BY bucket ORDER BY position) AS place FROM (
            SELECT step, timestamp, value,
                NTILE(:buckets) OVER (ORDER BY step, timestamp, value) AS bucket,
                ROW_NUMBER() OVER (ORDER BY step, timestamp, value) AS position,
                COUNT(*) OVER () AS total
            FROM points WHERE step BETWEEN :first AND :last
        )
    ) WHERE place = 1 OR position = total ORDER BY position
"""
POINTS = st.lists(
    st.tuples(st.integers(0, 50), st.integers(-20, 20), st.floats(-1, 1)),
    min_size=1,
    max_size=80,
    unique=True,
)


@given(POINTS, st.integers(1, 90), st.integers(-25, 25), st.integers(-25, 25))
def test_the_sample_is_that_of_sql(
    points: list[tuple[int, int, float]], most: int, first: int, last: int
) -> None:
    points = [(time, step, value + 0.0) for time, step, value in points]
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE points (timestamp, step, value)")
    connection.executemany("INSERT INTO points VALUES (?, ?, ?)", points)
    expected = connection.execute(SELECT, {"buckets": most, "first": first, "last": last}).fetchall()
    connection.close()
    if len(expected) > most:  # MLflow shows the last point instead of the last sample
        expected = [*expected[: most - 1], expected[-1]]
    found = sample(collect({1: points}).points, most, first, last)
    assert list(zip(found.steps, found.timestamps, found.values, strict=True)) == expected


def test_nan_is_sampled_like_any_point() -> None:
    points = collect({1: [(5 - step, step, math.nan) for step in range(6)]}).points
    found = sample(points, 3)
    assert list(found.steps) == [0, 2, 5]
    assert all(math.isnan(value) for value in found.values)
