"""Charts of what is seldom logged: values at the ends of the doubles, steps that go back, far steps beside near ones."""

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient
from slipstream.entities import Metric

OpenPage = Callable[..., Page]
BEGAN = 1_790_000_000_000


def logged(client: SlipstreamClient, run_id: str, key: str, points: list[tuple[int, float]]) -> None:
    client.log_batch(
        run_id,
        metrics=[Metric(key, value, BEGAN + 1000 * at, step) for at, (step, value) in enumerate(points)],
    )


@pytest.fixture(scope="module")
def odd(server: ServerProcess) -> str:
    client = SlipstreamClient(server.url)
    run_id = client.create_run("0", run_name="odd").info.run_id
    logged(client, run_id, "huge", [(step, (-1) ** step * 1e308) for step in range(6)])
    logged(client, run_id, "infinite", list(enumerate([1.0, math.inf, 3.0, -math.inf, math.nan, math.inf])))
    logged(client, run_id, "a/far", [(2**53, 1.0), (0, 2.0)])
    logged(client, run_id, "tokens", [(step, 123_456_789.0 + step) for step in range(5)])
    logged(client, run_id, "wave", [(step, math.sin(step)) for step in range(4_000)])
    client.set_terminated(run_id)
    return run_id


def chart(page: Page, metric: str) -> Locator:
    return page.locator(f'.chart[data-metric="{metric}"]')


def told(page: Page, metric: str) -> Locator:
    return chart(page, metric).locator(".plot > .hidden-text").first


@pytest.mark.parametrize("query", ["", "?y=log", "?y=symlog", "?logx=1&smooth=0.5"])
def test_each_says_what_was_logged(open_page: OpenPage, odd: str, query: str) -> None:
    page = open_page(f"/experiments/0/runs/{odd}/charts{query}")
    if "smooth" not in query:
        expect(chart(page, "infinite").locator("output")).to_have_text("∞")
        expect(chart(page, "huge").locator("output")).to_have_text("−1e308")
        expect(told(page, "huge")).to_contain_text("least −1e308 at 1, most 1e308 at 0")
        # not the means of columns, and not one column, whatever the steps of others are
        expect(told(page, "wave")).to_contain_text("from 0 to 3,999")
        expect(told(page, "wave")).to_contain_text("least −1 at")
    expect(told(page, "infinite")).to_contain_text("not finite at 4 places")
    expect(chart(page, "wave").locator("footer")).to_contain_text("min/max of 4,000")


def test_a_file_has_each_point_once_and_with_its_digits(open_page: OpenPage, odd: str) -> None:
    page = open_page(f"/experiments/0/runs/{odd}/charts")
    for metric, wanted in (
        ("infinite", ["1", "Infinity", "3", "-Infinity", "NaN", "Infinity"]),
        ("tokens", [str(123_456_789 + step) for step in range(5)]),
    ):
        expect(chart(page, metric).locator(".plot[tabindex]")).to_be_visible()
        chart(page, metric).locator("summary").click()
        with page.expect_download() as download:
            chart(page, metric).get_by_role("button", name="Save as CSV").click()
        rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text("utf-8"))))
        assert [row["value"] for row in rows] == wanted


def test_points_that_come_before_the_last_are_drawn(open_page: OpenPage, client: SlipstreamClient) -> None:
    run_id = client.create_run("0", run_name="restarted").info.run_id
    logged(client, run_id, "loss", [(step, float(step)) for step in range(100)])
    logged(client, run_id, "by time", [(0, float(at)) for at in range(10)])
    page = open_page(f"/experiments/0/runs/{run_id}/charts")
    expect(chart(page, "loss").locator("footer")).to_have_text("all 100 points")
    logged(client, run_id, "loss", [(step, 500.0) for step in range(20)])  # it began anew
    expect(chart(page, "loss").locator("footer")).to_have_text("all 120 points")
    expect(told(page, "loss")).to_contain_text("most 500 at 0")
    logged(client, run_id, "loss", [(99, -7.0)])  # a second value of the last step
    expect(told(page, "loss")).to_contain_text("least −7 at 99")
    # zoomed: what comes within is drawn, what comes beyond is there when it is left
    page.locator('.chart[data-metric="loss"] .plot').focus()
    page.keyboard.press("+")
    expect(chart(page, "loss").locator("footer")).to_contain_text("of 121 points")
    logged(client, run_id, "loss", [(50, -100.0)])
    expect(told(page, "loss")).to_contain_text("least −100 at 50")
    logged(client, run_id, "loss", [(150, 900.0)])
    expect(chart(page, "loss").locator("footer")).to_contain_text("of 123 points")
    # what lies along time, for want of steps, is not zoomed by steps
    expect(chart(page, "by time").locator("footer")).to_have_text("all 10 points")
    page.keyboard.press("0")
    expect(told(page, "loss")).to_contain_text("to 900, least −100 at 50, most 900 at 150")
    page.locator('.chart[data-metric="by time"] .plot').focus()
    page.keyboard.press("+")
    expect(chart(page, "by time").locator("footer")).to_contain_text("of 10 points")
    assert "zoom" not in page.url
    page.reload()
    expect(chart(page, "loss").locator("footer")).to_have_text("all 123 points")


def test_a_zoom_of_steps_in_the_address_is_not_one_of_time(
    open_page: OpenPage, client: SlipstreamClient
) -> None:
    run_id = client.create_run("0").info.run_id
    logged(client, run_id, "by time", [(0, float(at)) for at in range(10)])
    page = open_page(f"/experiments/0/runs/{run_id}/charts?zoom=10.5~20")
    expect(chart(page, "by time").locator("footer")).to_have_text("all 10 points")
    expect(told(page, "by time")).to_contain_text("over time from 2026-09-21")


def test_points_that_could_not_be_read_are_read_later(open_page: OpenPage, client: SlipstreamClient) -> None:
    run_id = client.create_run("0").info.run_id
    logged(client, run_id, "loss", [(step, float(step)) for step in range(3)])
    page = open_page(f"/experiments/0/runs/{run_id}/charts", faults=False)
    footer = chart(page, "loss").locator("footer")
    expect(footer).to_have_text("all 3 points")
    page.route("**/metrics/envelope", lambda route: route.abort())
    logged(client, run_id, "loss", [(3, 30.0)])
    expect(footer).to_contain_text("The server does not answer")
    page.unroute("**/metrics/envelope")
    expect(footer).to_have_text("all 4 points")  # although nothing changed since
    expect(told(page, "loss")).to_contain_text("to 30,")


def test_a_run_that_was_hidden_comes_back_with_what_it_logged_meanwhile(
    open_page: OpenPage, client: SlipstreamClient
) -> None:
    experiment = client.create_experiment("hidden")
    runs = [client.create_run(experiment, run_name=name).info.run_id for name in ("one", "two")]
    for run_id in runs:
        logged(client, run_id, "loss", [(step, float(step)) for step in range(5)])
    page = open_page(f"/experiments/{experiment}?view=charts")
    expect(told(page, "loss")).to_contain_text("2 lines over step from 0 to 4")
    page.get_by_role("button", name="Hide one").click()
    expect(told(page, "loss")).to_contain_text("One line over step from 0 to 4")
    logged(client, runs[0], "loss", [(9, 9.0)])
    logged(client, runs[1], "loss", [(5, 5.0)])
    expect(told(page, "loss")).to_contain_text("One line over step from 0 to 5")  # it was told of both
    page.get_by_role("button", name="Hide one").click()
    expect(told(page, "loss")).to_contain_text("one: from 0 to 9")


def test_groups_without_steps_are_not_zoomed_by_steps(open_page: OpenPage, client: SlipstreamClient) -> None:
    experiment = client.create_experiment("groups by time")
    for number in range(4):
        run_id = client.create_run(experiment).info.run_id
        client.log_param(run_id, "g", str(number % 2))
        logged(client, run_id, "by time", [(0, float(at)) for at in range(10)])
    page = open_page(f"/experiments/{experiment}?view=charts&by=params.g&zoom=5~10")
    expect(told(page, "by time")).to_contain_text("2 lines over time from 2026-09-21")
    expect(told(page, "by time")).to_contain_text("0 (2 runs): from 0 to 9")
