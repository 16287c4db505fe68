"""Charts of groups of runs: bands over all runs, whatever is listed; their runs behind them; all of it in the address and the files."""

import csv
import io
import math
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient
from slipstream.entities import Metric, Param

OpenPage = Callable[..., Page]
BEGAN = 1_790_000_000_000
RUNS = 36
"""More than are drawn one by one."""
STEPS = 10


@pytest.fixture(scope="module")
def experiment(server: ServerProcess) -> str:
    """Runs of two sizes and two seeds: a metric's value is the run's number at every step."""
    client = SlipstreamClient(server.url)
    made = client.create_experiment("grouped")
    for number in range(RUNS):
        run_id = client.create_run(made, start_time=BEGAN + number, run_name=f"run-{number}").info.run_id
        client.log_batch(
            run_id,
            metrics=[Metric("m", float(number), BEGAN + number + 1000 * step, step) for step in range(STEPS)],
            params=[
                Param("size", "large" if number < RUNS * 2 // 3 else "small"),
                Param("seed", str(number % 2)),
            ],
        )
        client.set_terminated(run_id)
    return made


def drawn(page: Page) -> Locator:
    found = page.locator('.chart[data-metric="m"]')
    expect(found.locator(".plot[tabindex]")).to_be_visible()
    return found


def rows_of(page: Page, found: Locator) -> list[dict[str, str]]:
    found.locator("summary").click()
    with page.expect_download() as download:
        found.get_by_role("button", name="Save as CSV").click()
    return list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text("utf-8"))))


def of_address(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def test_a_band_is_of_all_runs(open_page: OpenPage, experiment: str) -> None:
    page = open_page(f"/experiments/{experiment}?view=charts")
    drawn(page)
    page.get_by_label("group", exact=True).select_option(label="size")
    legend = page.get_by_role("list", name="Groups")
    expect(legend.get_by_role("button", name="large 24 runs")).to_be_visible()
    found = drawn(page)
    expect(found.locator("footer")).to_have_text(
        f"mean of all {RUNS} runs by size, band: min to max · {RUNS * STEPS} points"
    )

    rows = rows_of(page, found)

    assert [(row["run"], float(row["x"])) for row in rows] == [
        (name, step) for name in ("large (24 runs)", "small (12 runs)") for step in range(STEPS)
    ]
    large, small = rows[0], rows[-1]
    assert [float(large[name]) for name in ("value", "low", "high")] == pytest.approx([11.5, 0, 23], abs=0.02)
    assert [float(small[name]) for name in ("value", "low", "high")] == pytest.approx(
        [29.5, 24, 35], abs=0.02
    )

    page.get_by_label("Band of groups").select_option("std")
    expect(found.locator("footer")).to_contain_text("band: ± std")
    std = math.sqrt(sum((number - 11.5) ** 2 for number in range(24)) / 23)
    assert float(rows_of(page, found)[0]["high"]) == pytest.approx(11.5 + std, abs=0.02)
    page.get_by_label("Band of groups").select_option("ci")
    expect(found.locator("footer")).to_contain_text("95 % of mean")
    assert float(rows_of(page, found)[0]["low"]) == pytest.approx(11.5 - 1.96 * std / math.sqrt(24), abs=0.02)


def test_groups_by_several_are_in_the_address_and_open_to_their_runs(
    open_page: OpenPage, experiment: str, violations: Callable[[Page], list[str]]
) -> None:
    page = open_page(f"/experiments/{experiment}?view=charts&by=params.size")
    drawn(page)
    page.get_by_label("group also by, 2").select_option(label="seed")
    page.get_by_label("Line of groups").select_option("median")
    page.get_by_label("x axis").select_option(label="relative time")
    page.get_by_role("button", name="small · 1 6 runs").click()
    runs = page.get_by_role("list", name="Runs of small · 1")
    expect(runs.get_by_role("link")).to_have_count(6)
    page.get_by_role("button", name="Hide large · 0").click()
    page.get_by_role("button", name="Hide run-35").click()
    assert {name: of_address(page)[name] for name in ("by", "line", "x")} == {
        "by": "params.size,params.seed",
        "line": "median",
        "x": "relative",
    }
    page.reload()

    found = drawn(page)
    expect(runs.get_by_role("link")).to_have_count(6)
    expect(found).to_have_attribute("aria-busy", "false")
    rows = rows_of(page, found)
    names = list(dict.fromkeys(row["run"] for row in rows))
    assert sorted(names[:5]) == [f"run-{number}" for number in (25, 27, 29, 31, 33)]
    assert names[5:] == ["large · 1 (12 runs)", "small · 0 (6 runs)", "small · 1 (6 runs)"]
    assert max(float(row["x"]) for row in rows) == pytest.approx(1000 * (STEPS - 1), rel=0.05)
    assert violations(page) == []
    runs.get_by_role("link", name="run-33").focus()
    expect(runs.locator("li.lit")).to_have_text(re.compile("run-33"))


def test_the_code_of_a_band_gets_its_points(open_page: OpenPage, experiment: str) -> None:
    page = open_page(f"/experiments/{experiment}?view=charts&by=params.size&filter=params.seed = '1'")
    found = drawn(page)
    found.locator("summary").click()
    found.get_by_role("button", name="Show as code").click()

    printed: list[tuple[object, ...]] = []
    code = page.get_by_role("region", name="Python").inner_text()
    exec(code, {"print": lambda *values: printed.append(values)})  # what a user would run

    assert len(printed) == RUNS // 2 * STEPS
    assert {each[0] for each in printed} == {"large", "small"}


def test_bands_grow_while_runs_log(open_page: OpenPage, server: ServerProcess) -> None:
    client = SlipstreamClient(server.url)
    made = client.create_experiment("grouped, alive")
    runs = [client.create_run(made, tags={"team": "a"}).info.run_id for _ in range(2)]
    for run_id in runs:
        client.log_batch(run_id, metrics=[Metric("m", 1.0, BEGAN + step, step) for step in range(3)])
    page = open_page("/settings")
    with page.expect_request(lambda request: "/events" in request.url):
        page.goto(f"{server.url}/experiments/{made}?view=charts&by=tags.team")
    footer = drawn(page).locator("footer")
    expect(footer).to_contain_text("6 points")

    client.log_metric(runs[0], "m", 2.0, step=3, timestamp=BEGAN + 3)

    expect(footer).to_contain_text("7 points")
