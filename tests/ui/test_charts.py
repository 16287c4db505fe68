"""Charts of metrics: what is drawn is what was logged, all settings are in the address, live points come by themselves."""

import csv
import io
import json
import math
import re
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from run_sweep import Sweep
from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient
from slipstream.entities import Metric

OpenPage = Callable[..., Page]
POINTS = 20_000
SPIKE = 42.0
BEGAN = 1_790_000_000_000
RUNS = 24
MANY = 60


@pytest.fixture(scope="module")
def sweep(server: ServerProcess) -> Sweep:
    return Sweep(server.url, RUNS, name="charts", steps=120)


@pytest.fixture(scope="module")
def long_run(server: ServerProcess) -> str:
    """A run of one long metric with a spike of one point, and a short one with what is no number."""
    client = SlipstreamClient(server.url)
    run_id = client.create_run("0", run_name="long").info.run_id
    for first in range(0, POINTS, 1000):
        client.log_batch(
            run_id,
            metrics=[
                Metric(
                    "train/loss",
                    SPIKE if step == 12_345 else math.exp(-step / 4000) + 0.01,
                    BEGAN + 1000 * step,
                    step,
                )
                for step in range(first, first + 1000)
            ],
        )
    odd = {3: math.nan, 5: math.inf}
    client.log_batch(
        run_id,
        metrics=[
            Metric("train/odd", odd.get(step, step + 1.0), BEGAN + 1000 * step, step) for step in range(10)
        ],
    )
    client.set_terminated(run_id)
    return run_id


@pytest.fixture(scope="module")
def many_metrics(server: ServerProcess) -> str:
    client = SlipstreamClient(server.url)
    run_id = client.create_run("0", run_name="many").info.run_id
    client.log_batch(
        run_id,
        metrics=[
            Metric(f"layer/{number:03}", float(step), BEGAN + step, step)
            for number in range(MANY)
            for step in range(3)
        ],
    )
    return run_id


def chart(page: Page, metric: str) -> Locator:
    return page.locator(f'.chart[data-metric="{metric}"]')


def drawn(page: Page, metric: str) -> Locator:
    """A chart once its lines are there."""
    found = chart(page, metric)
    expect(found.locator(".plot[tabindex]")).to_be_visible()
    return found


def charts_of(run_id: str, query: str = "") -> str:
    return f"/experiments/0/runs/{run_id}/charts{query}"


def of_address(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def saved(page: Page, found: Locator, what: str) -> Path:
    found.locator("summary").click()
    with page.expect_download() as download:
        found.get_by_role("button", name=what).click()
    return Path(download.value.path())


def asked(page: Page) -> list[dict[str, Any]]:
    """Note what envelopes the page asks for from now on."""
    bodies: list[dict[str, Any]] = []
    page.on(
        "request",
        lambda request: (
            request.url.endswith("metrics/envelope") and bodies.append(json.loads(request.post_data or "{}"))
        ),
    )
    return bodies


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing(
    open_page: OpenPage, violations: Callable[[Page], list[str]], sweep: Sweep, scheme: str, width: int
) -> None:
    page = open_page(
        f"/experiments/{sweep.experiment}?view=charts&smooth=0.5",
        color_scheme=scheme,
        viewport={"width": width, "height": 900},
    )
    found = drawn(page, "grad_norm")

    assert violations(page) == []
    assert page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0
    found.locator("summary").click()
    expect(found.get_by_role("button", name="Save as CSV")).to_be_visible()
    assert violations(page) == []
    found.get_by_role("button", name="Values as a table").click()
    expect(page.get_by_role("dialog", name="grad_norm")).to_be_visible()
    assert violations(page) == []


def test_a_spike_of_one_point_is_never_lost(open_page: OpenPage, long_run: str) -> None:
    page = open_page(charts_of(long_run))
    found = drawn(page, "train/loss")
    expect(found.locator("footer")).to_contain_text("min/max of 20,000")

    rows = list(csv.DictReader(io.StringIO(saved(page, found, "Save as CSV").read_text("utf-8"))))

    assert len(rows) < POINTS / 10
    assert max(float(row["high"]) for row in rows) == pytest.approx(SPIKE, rel=1e-3)
    assert min(float(row["low"]) for row in rows) < 0.02


def test_zoom_reads_the_next_level_and_is_in_the_address(open_page: OpenPage, long_run: str) -> None:
    page = open_page(charts_of(long_run))
    found = drawn(page, "train/loss")
    bodies = asked(page)
    plot = found.locator(".plot canvas").last.bounding_box()
    assert plot

    page.mouse.move(plot["x"] + plot["width"] * 0.60, plot["y"] + 60)
    page.mouse.down()
    page.mouse.move(plot["x"] + plot["width"] * 0.64, plot["y"] + 64, steps=4)
    page.mouse.up()

    expect(found.locator("footer")).to_contain_text(re.compile(r"^[\d,]+ of 20,000 points$"))
    assert "zoom" in of_address(page)
    assert [10_000 < body["start"] < body["end"] < 14_000 for body in bodies] == [True], [
        (body["start"], body["end"]) for body in bodies
    ]
    rows = list(csv.DictReader(io.StringIO(saved(page, found, "Save as CSV").read_text("utf-8"))))
    assert [row["x"] for row in rows if float(row["value"]) > 40] == ["12345"]

    found.locator(".plot canvas").last.dblclick()
    expect(found.locator("footer")).to_contain_text("min/max of 20,000")
    assert "zoom" not in of_address(page)


def test_a_chart_is_used_by_keys_and_read_out(open_page: OpenPage, long_run: str) -> None:
    page = open_page(charts_of(long_run))
    found = drawn(page, "train/odd")
    found.locator(".plot[tabindex]").focus()

    page.keyboard.press("End")
    expect(found.locator(".plot [aria-live=polite]")).to_have_text("step 9: train/odd 10")
    page.keyboard.press("Home")
    expect(found.locator(".plot [aria-live=polite]")).to_have_text("step 0: train/odd 1")
    page.keyboard.press("+")
    expect(page.get_by_role("button", name="Zoom out")).to_be_visible()
    before = of_address(page)["zoom"]
    page.keyboard.press("Shift+ArrowRight")
    page.wait_for_function("before => new URL(location).searchParams.get('zoom') !== before", arg=before)
    page.keyboard.press("0")
    expect(page.get_by_role("button", name="Zoom out")).to_have_count(0)
    page.keyboard.press("v")
    table = page.get_by_role("dialog", name="odd")
    expect(table.get_by_role("row")).to_have_count(11)
    expect(table.get_by_role("row").last).to_contain_text("10")


def test_what_is_no_number_is_shown(open_page: OpenPage, long_run: str) -> None:
    page = open_page(charts_of(long_run))

    found = drawn(page, "train/odd")

    expect(found.locator("footer")).to_contain_text("2 not finite")
    svg = ET.parse(saved(page, found, "Save as SVG")).getroot()
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    assert "∞" in [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    # the line is broken at both of them
    assert any(path.get("d", "").count("M") == 3 for path in svg.iter("{http://www.w3.org/2000/svg}path"))


def test_a_picture_is_saved(open_page: OpenPage, long_run: str) -> None:
    page = open_page(charts_of(long_run))

    picture = saved(page, drawn(page, "train/loss"), "Save as PNG")

    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_code_of_a_chart_gets_its_points(open_page: OpenPage, long_run: str) -> None:
    page = open_page(charts_of(long_run))
    found = drawn(page, "train/odd")
    found.locator("summary").click()
    found.get_by_role("button", name="Show as code").click()

    code = page.get_by_role("region", name="Python").inner_text()

    printed: list[tuple[Any, ...]] = []
    exec(code, {"print": lambda *values: printed.append(values)})  # what a user would run
    assert len(printed) == 10
    assert printed[-1] == (long_run, 9, BEGAN + 9000, 10.0)


def test_all_settings_are_in_the_address_and_come_back(open_page: OpenPage, sweep: Sweep) -> None:
    page = open_page(f"/experiments/{sweep.experiment}?view=charts")
    drawn(page, "grad_norm")

    page.get_by_label("x axis").select_option(label="wall time")
    page.get_by_label("y axis").select_option("symlog")
    page.get_by_label("log x").check()
    page.get_by_label("clip outliers").check()
    page.get_by_label("Smoothing").fill("0.9")
    page.get_by_label("Size of charts").select_option("s")
    page.get_by_label("Search metrics").fill("loss")
    page.get_by_role("button", name=re.compile("^Hide ")).first.click()
    page.get_by_role("button", name=re.compile("^Pin ")).last.click()
    page.wait_for_url(re.compile("find=loss"))
    kept = of_address(page)
    page.reload()

    drawn(page, "val/loss")
    assert {name: kept[name] for name in ("x", "y", "logx", "clip", "smooth", "size", "find")} == {
        "x": "time",
        "y": "symlog",
        "logx": "1",
        "clip": "1",
        "smooth": "0.9",
        "size": "s",
        "find": "loss",
    }
    assert len(kept["hide"]) == len(kept["pin"]) == 32
    expect(page.get_by_label("x axis")).to_have_value("time")
    expect(page.get_by_label("Smoothing")).to_have_value("0.9")
    expect(chart(page, "grad_norm")).to_have_count(0)
    assert of_address(page) == kept


def test_only_charts_in_sight_are_read(open_page: OpenPage, many_metrics: str) -> None:
    page = open_page("/settings")
    bodies = asked(page)
    page.goto(page.url.removesuffix("/settings") + charts_of(many_metrics))
    drawn(page, "layer/000")
    keys = {key for body in bodies for key in body["keys"]}

    assert 3 <= len(keys) < MANY / 2
    assert len(bodies) <= 4
    page.get_by_role("button", name="more of layer").scroll_into_view_if_needed()
    page.get_by_role("button", name="more of layer").click()
    chart(page, f"layer/{MANY - 1:03}").scroll_into_view_if_needed()
    drawn(page, f"layer/{MANY - 1:03}")


def test_a_run_that_is_pointed_at_is_lit_everywhere(open_page: OpenPage, sweep: Sweep) -> None:
    page = open_page(f"/experiments/{sweep.experiment}?view=charts&most=10")
    found = drawn(page, "grad_norm")
    drawn(page, "throughput")
    plot = found.locator(".plot canvas").last.bounding_box()
    other = chart(page, "throughput").locator(".plot canvas").last
    assert plot
    expect(page.get_by_role("list", name="Runs", exact=True).locator("li")).to_have_count(10)
    before = other.evaluate("canvas => canvas.toDataURL()")

    page.mouse.move(plot["x"] + plot["width"] / 2, plot["y"] + plot["height"] * 0.55)
    for part in range(40, 90, 2):  # somewhere on the way there is a line
        page.mouse.move(plot["x"] + plot["width"] / 2, plot["y"] + plot["height"] * part / 100)
        if page.locator(".run-list li.lit").count():
            break

    expect(page.locator(".run-list li.lit")).to_have_count(1)
    expect(found.locator(".tip .lit")).to_have_text(
        re.compile(page.locator(".run-list li.lit a").inner_text())
    )
    page.wait_for_function(
        "([canvas, before]) => canvas.toDataURL() !== before", arg=[other.element_handle(), before]
    )


def test_hidden_runs_are_not_drawn(open_page: OpenPage, sweep: Sweep) -> None:
    page = open_page(f"/experiments/{sweep.experiment}?view=charts&most=10")
    found = drawn(page, "grad_norm")
    name = page.locator(".run-list li a").first.inner_text()
    page.get_by_role("button", name=f"Hide {name}", exact=True).click()
    expect(page.locator(".run-list li.away")).to_have_count(1)
    expect(found).to_have_attribute("aria-busy", "false")

    rows = list(csv.DictReader(io.StringIO(saved(page, found, "Save as CSV").read_text("utf-8"))))

    assert len({row["run"] for row in rows}) == 9
    assert name not in {row["run"] for row in rows}


def test_another_metric_lies_along_x(open_page: OpenPage, sweep: Sweep) -> None:
    page = open_page(f"/experiments/{sweep.experiment}?view=charts&most=10&x=metrics.train/loss")

    found = drawn(page, "train/acc")

    rows = list(csv.DictReader(io.StringIO(saved(page, found, "Save as CSV").read_text("utf-8"))))
    assert len({row["run"] for row in rows}) == 10
    assert all(not float(row["x"]).is_integer() for row in rows)


def test_points_appear_while_they_are_logged_and_nothing_is_asked_between(
    open_page: OpenPage, server: ServerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    client = SlipstreamClient(server.url)
    run_id = client.create_run("0", run_name="live").info.run_id
    client.log_batch(
        run_id, metrics=[Metric("loss", 1.0 / (step + 1), BEGAN + step, step) for step in range(3)]
    )
    page = open_page("/settings")
    with page.expect_request(lambda request: "/events" in request.url):
        page.goto(server.url + charts_of(run_id))
    footer = drawn(page, "loss").locator("footer")
    expect(footer).to_have_text("all 3 points")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.wait_for_timeout(2_500)  # the time in which nothing may be asked
    assert requests == []

    took: list[float] = []
    for step in range(3, 6):
        start = time.perf_counter()
        client.log_metric(run_id, "loss", 0.1, step=step, timestamp=BEGAN + step)
        page.wait_for_function(
            "text => document.querySelector('.chart footer').textContent === text",
            arg=f"all {step + 1} points",
            polling="raf",
        )
        took.append(time.perf_counter() - start)

    with capsys.disabled():
        print(f"\na point is on the chart after {', '.join(f'{1000 * each:.0f}' for each in took)} ms")
    assert min(took) < 5
    tails = [url for url in requests if "envelope" in url]
    assert 1 <= len(tails) <= 6
    client.log_metric(run_id, "accuracy", 0.5, step=1)
    drawn(page, "accuracy")


def test_points_appear_on_the_charts_of_an_experiment_by_one_stream(
    open_page: OpenPage, server: ServerProcess
) -> None:
    client = SlipstreamClient(server.url)
    experiment = client.create_experiment("followed")
    run_id = client.create_run(experiment, run_name="followed").info.run_id
    client.log_metric(run_id, "loss", 1.0, step=0)
    client.log_metric(run_id, "loss", 0.9, step=1)
    page = open_page("/settings")
    streams: list[str] = []
    page.on("request", lambda request: "/v1/events" in request.url and streams.append(request.url))
    page.goto(f"{server.url}/experiments/{experiment}?view=charts")
    expect(drawn(page, "loss").locator("footer")).to_have_text("all 2 points")

    client.log_metric(run_id, "loss", 0.8, step=2)

    expect(drawn(page, "loss").locator("footer")).to_have_text("all 3 points")
    assert len(streams) == 1


def test_a_hidden_tab_closes_the_stream_and_comes_back(open_page: OpenPage, server: ServerProcess) -> None:
    client = SlipstreamClient(server.url)
    run_id = client.create_run("0", run_name="hidden").info.run_id
    client.log_metric(run_id, "loss", 1.0, step=0)
    page = open_page("/settings")
    streams: list[str] = []
    ended: list[str] = []
    page.on("request", lambda request: "/events" in request.url and streams.append(request.url))
    page.on("requestfailed", lambda request: "/events" in request.url and ended.append(request.url))
    page.goto(server.url + charts_of(run_id))
    footer = drawn(page, "loss").locator("footer")
    hide = "is => { Object.defineProperty(document, 'hidden', {value: is, configurable: true});"
    hide += " document.dispatchEvent(new Event('visibilitychange')); }"
    client.log_metric(run_id, "loss", 0.9, step=1)
    expect(footer).to_have_text("all 2 points")  # the stream is there
    before = len(streams)

    page.evaluate(hide, True)
    client.log_metric(run_id, "loss", 0.8, step=2)
    page.wait_for_timeout(600)  # the time in which nothing may come
    assert len(ended) >= 1
    expect(footer).to_have_text("all 2 points")
    page.evaluate(hide, False)

    expect(footer).to_have_text("all 3 points")
    assert "cursor=" in streams[-1]
    assert len(streams) == before + 1


def test_images_by_step_begin_with_the_last(
    open_page: OpenPage, server: ServerProcess, tmp_path: Path, violations: Callable[[Page], list[str]]
) -> None:
    client = SlipstreamClient(server.url)
    run_id = client.create_run("0", run_name="pictures").info.run_id
    client.log_metric(run_id, "loss", 1.0, step=0)
    for step in (0, 10, 20):
        picture = tmp_path / f"val#pred%step%{step}%timestamp%{BEGAN}%{step:032x}.png"
        picture.write_bytes(png(step + 4))
        client.log_artifact(run_id, str(picture), "images")
    table = tmp_path / f"rows%step%5%timestamp%{BEGAN}%{1:032x}.json"
    table.write_text('{"columns": ["a", "b"], "data": [[1, "<i>x</i>"]]}', "utf-8")
    client.log_artifact(run_id, str(table), "tables")
    page = open_page(charts_of(run_id))
    card = page.get_by_role("article", name="val/pred")

    image = card.get_by_role("img")
    expect(image).to_have_attribute("alt", "val/pred at step 20")
    page.wait_for_function("() => document.querySelector('.medium img').naturalWidth === 24")
    card.get_by_role("slider").fill("0")
    expect(card.get_by_role("img")).to_have_attribute("alt", "val/pred at step 0")
    assert of_address(page)["at"] == "val/pred=0"
    expect(page.get_by_role("cell", name="<i>x</i>")).to_be_visible()
    assert violations(page) == []


def png(width: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes([200] * width) for _ in range(8))
    head = struct.pack(">IIBBBBB", width, 8, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_all_runs_that_are_found_are_brushed_into_the_filter(
    open_page: OpenPage, sweep: Sweep, violations: Callable[[Page], list[str]]
) -> None:
    page = open_page(f"/experiments/{sweep.experiment}?view=charts&most=10")
    page.get_by_text("All runs that are found").click()
    status = page.locator(".all-runs .tools > [role=status]")
    expect(status).to_have_text(f"All {RUNS} runs")  # not only the ten that are drawn
    canvas = page.locator(".all-runs .parallel canvas")
    canvas.scroll_into_view_if_needed()
    surface = canvas.bounding_box()
    assert surface

    x = surface["x"] + surface["width"] - 60  # the last axis, that of a metric
    page.mouse.move(x, surface["y"] + 16)
    page.mouse.down()
    page.mouse.move(x, surface["y"] + 110, steps=4)
    page.mouse.up()

    expect(status).to_have_text(re.compile(rf"All {RUNS} runs, \d+ within the brush"))
    kept = int((status.text_content() or "").split(", ")[1].split()[0])
    assert 0 < kept < RUNS
    assert violations(page) == []
    page.get_by_role("button", name="Filter to the brush").click()
    expect(status).to_have_text(f"All {kept} runs")
    assert parse_qs(urlsplit(page.url).query)["filter"][0].startswith("metrics.")
    page.go_back()
    expect(status).to_have_text(re.compile(f"All {RUNS} runs"))


def test_steps_with_more_digits_than_a_browser_has_are_marked(
    open_page: OpenPage, server: ServerProcess
) -> None:
    client = SlipstreamClient(server.url)
    run_id = client.create_run("0", run_name="far out").info.run_id
    first = 2**53 + 1
    client.log_batch(run_id, metrics=[Metric("far", step / 7, BEGAN, first + 4 * step) for step in range(3)])
    page = open_page(charts_of(run_id))

    page.get_by_label("More of far").click()
    page.get_by_role("button", name="Values as a table").click()

    steps = page.get_by_role("dialog").get_by_role("rowheader")
    expect(steps).to_have_text([re.compile("^≈ 9,007,199,254,74")] * 3)
    page.get_by_role("button", name="Close").click()
    page.get_by_label("More of far").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8"))))
    assert [row["x"][:8] for row in rows] == ["≈9007199"] * 3


def test_points_that_come_while_one_zooms_are_there_afterwards(
    open_page: OpenPage, server: ServerProcess
) -> None:
    client = SlipstreamClient(server.url)
    run_id = client.create_run("0", run_name="zoomed while it logs").info.run_id
    client.log_batch(
        run_id, metrics=[Metric("loss", 1.0 / (step + 1), BEGAN + step, step) for step in range(3)]
    )
    page = open_page(charts_of(run_id))
    footer = drawn(page, "loss").locator("footer")
    expect(footer).to_have_text("all 3 points")
    expect(page.locator("html[data-live=live]")).to_be_attached()
    held: list[Route] = []
    page.route("**/metrics/envelope", lambda route: held.append(route))  # noqa: PLW0108  # it marks what it is given
    with page.expect_request("**/metrics/envelope"):  # for the new points
        client.log_metric(run_id, "loss", 0.1, step=3, timestamp=BEGAN + 3)
    page.locator(".plot").first.focus()
    with page.expect_request("**/metrics/envelope"):  # for what is zoomed into
        page.keyboard.press("+")
    expect(page).to_have_url(re.compile("zoom"))
    tail, zoomed = held
    with page.expect_response("**/metrics/envelope"):
        zoomed.continue_()
    expect(footer).not_to_have_text("all 3 points")
    with page.expect_response("**/metrics/envelope"):
        tail.continue_()
    page.unroute_all()
    page.keyboard.press("0")
    expect(footer).to_have_text("all 4 points")
