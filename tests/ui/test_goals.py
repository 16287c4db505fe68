"""What the pages may cost a browser: the goals that can be held in CI, where nothing else is said in the file of a page.

No clock is asked where the machine's other work would answer: CPU is what the browser's processes used, and of a few
tries the best counts.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, expect

from run_sweep import METRICS, Sweep, run_name
from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient
from slipstream.entities import Metric
from slipstream.server.web_pages import STATIC

Load = Any  # a function that has another one, `again`
RUNS = 600
LONG = 2_000
TRIES = 4
LISTS = ("experiments", "run", "models", "version")
CHARTS = ("run charts", "charts", "compare")
SCREEN = {"width": 1440, "height": 900}
IDLE_MS = 3_000

# What moved since the page began.
WATCH = """
    window.__seen = {shift: 0};
    const observe = (type, call) => new PerformanceObserver(list => list.getEntries().forEach(call)).observe({type, buffered: true});
    observe('layout-shift', entry => { if (!entry.hadRecentInput) window.__seen.shift += entry.value; });
"""

# A brisk fling of 3,000 px a second, there and back.
FLING = """async () => {
    const grid = document.querySelector('.grid');
    const most = grid.scrollHeight - grid.clientHeight;
    const box = grid.getBoundingClientRect();
    let frames = 0, blank = 0;
    const begin = await new Promise(requestAnimationFrame);
    for (let now = begin; now - begin < 1500; frames++) {
        const at = ((now - begin) * 3) % (2 * most);
        grid.scrollTop = at > most ? 2 * most - at : at;
        now = await new Promise(requestAnimationFrame);
        const seen = document.elementFromPoint(box.left + 100, box.top + box.height / 2);
        blank += !seen?.textContent.trim() || seen.textContent.trim() === '·';
    }
    return [frames, blank];
}"""


@pytest.fixture(scope="module")
def sweep(server: ServerProcess) -> Sweep:
    return Sweep(server.url, RUNS, steps=1)


@pytest.fixture(scope="module")
def addresses(server: ServerProcess, sweep: Sweep) -> dict[str, tuple[str, str]]:
    """Return address, and what is there once a page is, of each kind of page."""
    client = SlipstreamClient(server.url)
    stepped = Sweep(server.url, 20, name="stepped", steps=60)
    run_id = client.create_run("0", run_name="ten metrics").info.run_id
    for first in range(0, LONG, 100):
        client.log_batch(
            run_id,
            metrics=[
                Metric(f"m{key}", key + step % 7, 1_790_000_000_000 + step, step)
                for key in range(10)
                for step in range(first, first + 100)
            ],
        )
    client.set_terminated(run_id)
    for number in range(30):
        client.create_registered_model(f"model-{number:02}")
    source = client.get_run(run_id).info.artifact_uri
    client.create_model_version("model-00", source=f"{source}/model", run_id=run_id)
    plot, row = ".plot[tabindex] canvas", ".grid .line a"
    return {
        "runs": (f"/experiments/{sweep.experiment}", row),
        "experiments": ("/experiments", row),
        "run": (f"/experiments/{sweep.experiment}/runs/{sweep.run_ids[-1]}", "text=train/loss"),
        "models": ("/models", row),
        "version": ("/models/model-00/versions/1", "text=ten metrics"),
        "run charts": (f"/experiments/0/runs/{run_id}/charts", plot),
        "charts": (f"/experiments/{stepped.experiment}?view=charts", plot),
        "compare": (f"/compare?runs={','.join(stepped.run_ids)}", ".diff-table tbody tr"),
    }


@pytest.fixture
def load(browser: Browser, server: ServerProcess, addresses: dict[str, tuple[str, str]]) -> Iterator[Load]:
    """Open a page with an empty cache, and wait until it rests."""
    contexts: list[BrowserContext] = []

    def open_it(name: str, *, before: Callable[[Page], object] | None = None, **options: Any) -> Page:
        contexts.append(browser.new_context(**{"viewport": SCREEN, **options}))
        page = contexts[-1].new_page()
        page.add_init_script(WATCH)
        if before:
            before(page)
        return again(page, name)

    def again(page: Page, name: str) -> Page:
        path, shown = addresses[name]
        page.goto(server.url + path)
        expect(page.locator(shown).first).to_be_visible()
        _rest(page)
        return page

    open_it.again = again
    yield open_it
    for context in contexts:
        context.close()


def _rest(page: Page) -> None:
    """Wait until nothing was read for half a second, as the browser counts it."""
    page.wait_for_function(
        "() => { const all = performance.getEntriesByType('resource');"
        " return performance.now() - Math.max(0, ...all.map(each => each.responseEnd)) > 500 }"
    )


def _cpu(browser: Browser) -> float:
    session = browser.new_browser_cdp_session()
    found = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    return sum(each["cpuTime"] for each in found)


def _counters(page: Page, *, clock: str = "timeTicks") -> dict[str, float]:
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": clock})
    for _ in range(3):  # what the first frees lets go of other things
        session.send("HeapProfiler.collectGarbage")
    found = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return found


class Wire:
    """What goes over the wire, the stream of changes left out; what comes from the cache is no request."""

    def __init__(self, page: Page) -> None:
        self.urls: dict[str, str] = {}
        self.bytes = 0.0
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on(
            "Network.requestWillBeSent",
            lambda event: self.urls.update({event["requestId"]: event["request"]["url"]}),
        )
        session.on("Network.requestServedFromCache", lambda event: self.urls.pop(event["requestId"], None))
        session.on(
            "Network.responseReceived",
            lambda event: event["response"].get("fromDiskCache") and self.urls.pop(event["requestId"], None),
        )
        session.on("Network.loadingFinished", self._add)

    def _add(self, event: dict[str, Any]) -> None:
        self.bytes += event["encodedDataLength"]

    def forget(self) -> None:
        self.urls.clear()
        self.bytes = 0

    @property
    def sent(self) -> list[str]:
        return [url for url in self.urls.values() if url.startswith("http") and "/v1/events" not in url]


def test_what_is_in_the_package_is_small() -> None:
    files = [each for each in Path(STATIC).rglob("*") if each.is_file()]

    assert len(files) <= 30
    assert sum(each.stat().st_size for each in files) <= 700_000


def test_a_second_visit_reads_only_what_changed(load: Load) -> None:
    page = load("runs")
    wire = Wire(page)

    load.again(page, "runs")

    assert len(wire.sent) <= 3, wire.sent
    assert wire.bytes <= 35_000


def test_the_first_rows_are_one_call(load: Load) -> None:
    calls: list[str] = []

    load("runs", before=lambda page: page.on("request", lambda request: calls.append(request.url)))

    assert sum("runs/table" in each for each in calls) == 1
    assert not any("runs/search" in each for each in calls)


@pytest.mark.parametrize(
    ("name", "most"), [("runs", 0.7), *((name, 0.5) for name in LISTS), *((name, 0.9) for name in CHARTS)]
)
def test_a_page_takes_little_of_the_processor(load: Load, browser: Browser, name: str, most: float) -> None:
    """Of seconds of all processes of the browser; a busy machine makes them some more, so 30 % more are let through."""
    least = float("inf")
    for _ in range(TRIES):
        before = _cpu(browser)
        load(name).close()
        least = min(least, _cpu(browser) - before)
        if least <= most * 1.3:
            break

    assert least <= most * 1.3


def test_the_table_does_not_block(load: Load) -> None:
    """How long tasks last depends on other work, so what the page's thread works in all is looked at: some 0.2 s."""
    sessions: list[CDPSession] = []

    def begin(page: Page) -> None:
        sessions.append(page.context.new_cdp_session(page))
        sessions[-1].send("Performance.enable", {"timeDomain": "threadTicks"})

    least = float("inf")
    for _ in range(TRIES):
        page = load("runs", before=begin)
        found = {
            each["name"]: each["value"] for each in sessions[-1].send("Performance.getMetrics")["metrics"]
        }
        page.close()
        least = min(least, found["TaskDuration"])
        if least <= 0.35:
            break

    assert 0.01 < least <= 0.35


@pytest.mark.parametrize(
    ("name", "most"), [("runs", 12), ("charts", 20), ("run charts", 20), ("compare", 20)]
)
def test_a_page_holds_little_memory(load: Load, name: str, most: float) -> None:
    assert _counters(load(name))["JSHeapUsedSize"] <= most * 1e6


def test_the_table_has_few_nodes_wherever_one_looks(load: Load) -> None:
    page = load("runs")
    at_first = _counters(page)["Nodes"]
    page.evaluate("document.querySelector('.grid').scrollTop = 28 * 300")
    expect(page.get_by_role("link", name=run_name(RUNS - 1 - 300), exact=True)).to_be_attached()

    assert at_first <= 2_500
    assert page.locator("*").count() <= 2_000


def test_rows_that_were_scrolled_past_are_let_go(load: Load) -> None:
    """Nodes are counted after a collection: those in the page, and those that something still holds."""
    page = load("runs")
    page.evaluate("document.querySelector('.grid').scrollTop = 28 * 300")
    expect(page.get_by_role("link", name=run_name(RUNS - 1 - 300), exact=True)).to_be_attached()
    before = _counters(page)

    page.evaluate(FLING)
    after = _counters(page)

    assert after["Nodes"] <= 2_500
    assert after["Nodes"] - before["Nodes"] <= 500
    assert after["JSHeapUsedSize"] - before["JSHeapUsedSize"] <= 1_500_000


def test_another_place_of_the_table_costs_little(load: Load) -> None:
    page = load("runs")
    wire = Wire(page)

    page.evaluate("document.querySelector('.grid').scrollTop = 28 * 500")
    expect(page.get_by_role("link", name=run_name(RUNS - 1 - 500), exact=True)).to_be_attached()
    _rest(page)

    assert wire.bytes <= 40_000
    assert len(wire.sent) <= 2, wire.sent


def test_scrolling_leaves_time_in_a_frame_and_shows_no_empty_rows(load: Load) -> None:
    """Frames a second would tell how busy the machine is; what a frame costs the page's thread tells how fast it can be."""
    page = load("runs")
    for row in (RUNS // 3, RUNS - 1):  # everything is read once
        page.evaluate("row => { document.querySelector('.grid').scrollTop = 28 * row }", row)
        expect(page.get_by_role("link", name=run_name(RUNS - 1 - row), exact=True)).to_be_attached()
    least = float("inf")
    for _ in range(TRIES):
        before = _counters(page, clock="threadTicks")
        frames, blank = page.evaluate(FLING)
        after = _counters(page, clock="threadTicks")
        names = ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration")
        least = min(least, 1000 * sum(after[each] - before[each] for each in names) / frames)
        assert blank == 0
        if least <= 12:
            break

    assert least <= 12


def test_a_filter_is_one_call(load: Load) -> None:
    page = load("runs")
    box = page.get_by_role("combobox", name="Filter")
    box.fill("params.model = 'vit-s'")
    page.wait_for_timeout(500)  # for what is offered while one types
    _rest(page)
    wire = Wire(page)

    box.press("Enter")
    expect(page.get_by_text(f"{RUNS // 5} runs")).to_be_visible()
    _rest(page)

    assert len(wire.sent) <= 1, wire.sent
    assert wire.bytes <= 40_000


def test_values_are_in_sight(load: Load) -> None:
    page = load("runs")

    heads: list[str] = page.evaluate(
        "[...document.querySelectorAll('[role=columnheader]')]"
        ".filter(each => each.getBoundingClientRect().right <= innerWidth).map(each => each.textContent.trim())"
    )

    params = {"model", "optimizer", "lr", "batch_size", "dropout", "seed"}
    assert len({*METRICS, *params} & set(heads)) >= 8, heads


def test_the_table_is_three_keys_away(load: Load) -> None:
    page = load("runs")

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # on what skips to the content

    assert page.evaluate("document.activeElement.getAttribute('role')") == "treegrid"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("x")
    expect(page.get_by_text("1 selected")).to_be_visible()


@pytest.mark.parametrize("name", ["runs", *LISTS, *CHARTS])
def test_nothing_jumps_nor_pops_up(load: Load, name: str) -> None:
    page = load(name)

    assert page.evaluate("window.__seen.shift") <= 0.02
    assert page.locator("dialog[open], [role=dialog]").count() == 0


@pytest.mark.parametrize("name", ["runs", *LISTS, *CHARTS])
def test_what_is_pressed_on_a_phone_is_large_enough(load: Load, name: str) -> None:
    page = load(name, viewport={"width": 390, "height": 844}, has_touch=True)

    small = page.evaluate(
        """[...document.querySelectorAll('button, select, input, summary')].filter(each => {
            const box = (each.closest('label') ?? each).getBoundingClientRect();
            return each.checkVisibility() && box.width > 1 && (box.width < 24 || box.height < 24);
        }).map(each => each.outerHTML.slice(0, 120))"""
    )

    assert small == []
    assert page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0


@pytest.mark.parametrize("name", ["runs", "charts", "run"])
def test_nothing_is_asked_while_nothing_changes(load: Load, name: str) -> None:
    page = load(name)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.wait_for_timeout(IDLE_MS)

    assert asked == []
