"""Measure the web pages in a real Chromium, beside those of a real MLflow, line by line of what we want of them.

    MLFLOW_PYTHON=/path/to/python python benchmarks/ui.py [--data FOLDER] [--repeats 3] [--only loads,table,large,charts,use,reach]

Both systems get the same data (`ui_seed.py`): 2,000 runs of 15 params and 12 metrics, 10 metrics of 20,000 points, 43
models; slipstream also 10,000 and 100,000 runs, and 20 runs of 20,000 points. With `--data` it is kept, so that another
call begins at once. Each page is loaded with an empty profile and an empty cache, in turns A B, B A; figures are medians.
Without MLFLOW_PYTHON slipstream is measured alone. Needs Chromium and the pages (`make ui`); Linux only.

Times are of this machine and of this hour, so only ratios of one run mean something; bytes, requests, heap and elements
hardly depend on the machine, CPU seconds little. `calibration` is a fixed loop before each load: where it differs much
from its least, other work took the cores.
"""

import argparse
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import ui_seed
from browser import Figures, Visit, quoted, visit
from compare import OURS, THEIRS, machine, turns
from playwright.sync_api import Playwright, sync_playwright
from processes import Server, environment
from search import OPTIONS
from ui_data import OWN, Client
from ui_lines import lines, table
from ui_pages import PAGES, Address, ours, theirs
from ui_use import build_seconds, pointed, seen_of, shape_a_table, typed

PARTS = ("loads", "table", "large", "charts", "use", "reach")
ROOT = Path(__file__).parents[1]
STATIC = ROOT / "src" / "slipstream" / "server" / "static"
AXE = ROOT / "ui" / "node_modules" / "axe-core" / "axe.min.js"
ROW = 28
IDLE_MS = 10_000
SCROLLED = {OURS: ".grid[role]", THEIRS: ".ag-body-viewport"}
GRID = "document.querySelector('.grid[role]')"
THEIR_TABLE = "document.querySelector('.ag-body-viewport')"

# Elements that are whole on the screen; of rows, which may be wider, only the height counts.
_ON_SCREEN = """selector => [...document.querySelectorAll(selector)].filter(each => {
  const box = each.getBoundingClientRect();
  const isWide = box.width > innerWidth / 2;
  return box.width > 0 && box.top >= 0 && box.bottom <= innerHeight + 1 && (isWide || (box.left >= 0 && box.right <= innerWidth + 1));
})"""
_STOPS = """[...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')].filter(
  each => each.tabIndex >= 0 && !each.disabled && each.getClientRects().length > 0).length"""
_SMALL = """[...document.querySelectorAll('button, select, input, summary')].filter(each => {
  const box = (each.closest('label') ?? each).getBoundingClientRect();
  return each.checkVisibility() && box.width > 1 && (box.width < 24 || box.height < 24);
}).length"""
_LOAD_MORE = """async () => {
  const table = document.querySelector('.ag-body-viewport');
  const wait = () => new Promise(go => setTimeout(go, 30));
  const begin = performance.now();
  let clicks = 0;
  while (clicks < 19) {
    const before = table.scrollHeight;
    let button;
    while (!button) {
      table.scrollTop = table.scrollHeight;
      button = [...document.querySelectorAll('button')].find(each => /load more/i.test(each.textContent) && !each.disabled);
      await wait();
    }
    button.click();
    clicks++;
    while (table.scrollHeight < before + 1000) await wait();
    if (performance.now() - begin > 300000) break;
  }
  return {clicks, ms: performance.now() - begin};
}"""


class Bench:
    """What was measured; `figures[system][page]` has one entry a repetition."""

    def __init__(self, playwright: Playwright, options: argparse.Namespace) -> None:
        self.playwright = playwright
        self.options = options
        self.servers: dict[str, Server] = {}
        self.ids: dict[str, dict[str, Any]] = {}
        self.figures: dict[str, dict[str, list[Figures]]] = defaultdict(lambda: defaultdict(list))

    def add(self, system: str, page: str, figures: Figures) -> None:
        self.figures[system][page].append(figures)
        short = {name: round(value, 2) for name, value in figures.items()}
        print(f"  {time.strftime('%H:%M:%S')} {system:10} {page}: {short}", file=sys.stderr, flush=True)

    def addresses(self, system: str) -> dict[str, Address]:
        return (ours if system == OURS else theirs)(self.ids[system])

    def open(self, system: str, page: str | Address, **options: Any) -> Any:
        address = page if isinstance(page, Address) else self.addresses(system)[page]
        return visit(self.playwright, self.servers[system].url, address.path, address.shown, **options)


def started(name: str, folder: Path) -> Server:
    folder.mkdir(parents=True, exist_ok=True)
    program = (
        [os.environ["MLFLOW_PYTHON"], "-m", "mlflow"]
        if name == THEIRS
        else [str(Path(sys.executable).with_name("slipstream"))]
    )
    server = Server(name, [*program, *OPTIONS], folder)
    server.start()
    return server


def seed(bench: Bench, root: Path, stack: ExitStack) -> None:
    """Start the servers, with their data; what an earlier call kept is used."""
    for name in [*([THEIRS] if os.environ.get("MLFLOW_PYTHON") else []), OURS]:
        folder = root / name
        ids = ui_seed.kept(folder)
        say = f"{name}: {'kept since ' + ids['seeded'] if ids else 'seeding'}"
        print(say, file=sys.stderr, flush=True)
        if ids is None:
            server = started(name, folder)
            try:
                ids = ui_seed.log_few(server.url, is_ours=name == OURS)
                if name == OURS:
                    ids["twenty"] = ui_seed.log_twenty_long(server.url)
            finally:
                server.stop()
            if name == THEIRS:
                ui_seed.write_theirs(folder / "tracking.db", ids["sweep"], ids["long"], ids["long_run"])
            ids = ui_seed.keep(folder, ids)
        bench.ids[name] = ids
        bench.servers[name] = started(name, folder)
        stack.callback(bench.servers[name].stop)


def seed_large(root: Path) -> dict[str, Any]:
    folder = root / "large"
    ids = ui_seed.kept(folder)
    if ids is None:
        from slipstream.client.client import SlipstreamClient

        print("large: seeding", file=sys.stderr, flush=True)
        server = started(OURS, folder)
        made = {
            str(count): SlipstreamClient(server.url).create_experiment(f"{count:,} runs")
            for count in ui_seed.LARGE
        }
        server.stop()
        for count in ui_seed.LARGE:
            ui_seed.write_ours(folder / "tracking.db", made[str(count)], count)
        ids = ui_seed.keep(folder, made)
    return ids


# -- loads: lines 1 to 4, 7 to 12, 30 -----------------------------------------------------------------------------


def measure_loads(bench: Bench) -> None:
    for name in bench.servers:  # both have just been started
        with bench.open(name, "runs") as there:
            bench.add(name, "first after the start", {"rows_ms": there.figures.get("rows_ms", 0)})
    for page in PAGES:
        for name in turns(list(bench.servers), bench.options.repeats):
            answers: list[Any] = []
            with bench.open(name, page, answers=answers) as there:
                bench.add(name, page, there.figures)
                if page == "run charts":
                    bench.add(name, "spike", {"highest": highest_of(answers)})
                if page == "compare":
                    links = f"({_ON_SCREEN})('a[href*=\"/runs/\"]').map(each => each.getAttribute('href').split('?')[0])"
                    bench.add(name, "compared", {"in_sight": there.page.evaluate(f"new Set({links}).size")})
                if not bench.figures[name][f"reach {page} light"]:
                    bench.add(name, f"reach {page} light", reach(there))
                if page == "runs":
                    bench.add(name, "fling", there.fling(SCROLLED[name]))
                    bench.add(name, "filter", filtered(there, name))


def filtered(there: Visit, system: str) -> Figures:
    """Type the filter, and take the time from Enter until only what fits is shown."""
    box = "#filter" if system == OURS else "input[placeholder*='metrics.rmse']"
    table = GRID if system == OURS else THEIR_TABLE
    there.page.evaluate(f"document.querySelector({quoted(SCROLLED[system])}).scrollTop = 0")
    there.settle()
    requests, size = there.traffic.count(), there.traffic.kb()
    there.page.locator(box).first.fill(ui_seed.FILTER)
    there.page.wait_for_timeout(1000)  # for what is looked up while one types
    text = f"{table}.textContent"
    ms = after_enter(there, f"/vit-s/.test({text}) && !/convnext-t|resnet/.test({text})")
    there.settle()
    return {
        "filter_ms": ms,
        "filter_requests": there.traffic.count() - requests,
        "filter_kb": there.traffic.kb() - size,
    }


def after_enter(there: Visit, until: str) -> float:
    """Press Enter; return the ms from the key until `until`, both as the page sees them."""
    there.page.evaluate(
        """until => {
            const isDone = new Function('return Boolean(' + until + ')');
            window.__key = {};
            addEventListener('keydown', () => { window.__key.began ??= performance.now(); }, true);
            const look = () => {
                try { if (window.__key.began && isDone()) { window.__key.ended = performance.now(); return; } } catch {}
                requestAnimationFrame(look);
            };
            requestAnimationFrame(look);
        }""",
        until,
    )
    there.page.keyboard.press("Enter")
    there.page.wait_for_function("() => window.__key.ended", timeout=60_000)
    return there.page.evaluate("window.__key.ended - window.__key.began")


# -- table: lines 5, 6, 13, 16 to 18, 23, 25, 27 ------------------------------------------------------------------


def measure_table(bench: Bench) -> None:
    names = {*ui_seed.METRICS, *next(ui_seed.made_up(1)).params}
    for name in bench.servers:
        with bench.open(name, "runs") as there:
            page = there.page
            head, row = (
                ("[role=columnheader]", ".grid .line") if name == OURS else (".ag-header-cell", ".ag-center-cols-container .ag-row")
            )  # fmt: skip
            heads = page.evaluate(
                f"selector => ({_ON_SCREEN})(selector).map(each => each.textContent.trim())", head
            )
            looks: Figures = {
                "searches": there.traffic.reads(r"runs/(search|table)"),
                "api": sum(kind in {"Fetch", "XHR"} for kind in there.traffic.kinds.values()),
                "values": len(names & {each.rstrip(" ↑↓") for each in heads}),
                "rows": page.evaluate(f"selector => ({_ON_SCREEN})(selector).length", row),
                "share": page.evaluate(
                    """selector => { const box = document.querySelector(selector).getBoundingClientRect();
                    return Math.max(0, Math.min(box.right, innerWidth) - box.left) * Math.max(0, Math.min(box.bottom, innerHeight) - box.top)
                        / (innerWidth * innerHeight) }""",
                    SCROLLED[name],
                ),
                "stops": page.evaluate(_STOPS),
                "counted": counted(page.evaluate("document.body.innerText"), name),
            }
            before = there.traffic.count()
            page.wait_for_timeout(IDLE_MS)
            looks["idle_requests"] = there.traffic.count() - before
            looks["popups"] = page.evaluate("document.querySelectorAll('dialog[open], [role=dialog]').length")
            looks["tabs"] = tabs(there, name)
            looks["foreign"] = len(there.traffic.foreign)
            before, size = there.traffic.on_wire(), there.traffic.kb()
            page.goto("about:blank")
            page.goto(bench.servers[name].url + bench.addresses(name)["runs"].path)
            page.wait_for_function("() => window.__seen && window.__seen.there !== null")
            there.settle()
            looks["second_requests"], looks["second_kb"] = (
                there.traffic.on_wire() - before,
                there.traffic.kb() - size,
            )
            bench.add(name, "looks", looks)
            bench.add(name, "whole", all_runs(there, name))


def counted(text: str, system: str) -> float:
    """Return how many runs the page says that there are."""
    found = re.search(r"([\d,]+)\s+matching runs" if system == THEIRS else r"([\d,]+) runs", text)
    return float(found[1].replace(",", "")) if found else 0


def tabs(there: Visit, system: str) -> float:
    """Return how many keys are pressed until the table has the focus: Tab, and Enter on a link that skips to it."""
    inside = ".grid[role]" if system == OURS else ".ag-root-wrapper, [role=treegrid], [role=grid]"
    there.page.evaluate("document.activeElement.blur?.()")
    for presses in range(1, 41):
        there.page.keyboard.press("Tab")
        if there.page.evaluate(f"Boolean(document.activeElement.closest({quoted(inside)}))"):
            return presses
        if there.page.evaluate("/^skip/i.test(document.activeElement.textContent)"):
            there.page.keyboard.press("Enter")
            if there.page.evaluate(f"Boolean(document.activeElement.closest({quoted(inside)}))"):
                return presses + 1
    return 41


def all_runs(there: Visit, system: str) -> Figures:
    """Go to the last of 2,000 runs, and scroll through all of them."""
    requests, size = there.traffic.count(), there.traffic.kb()
    if system == OURS:
        found: Figures = {"clicks": 0, "ms": to_row(there, ui_seed.RUNS, ui_seed.RUNS - 1)}
    else:
        found = there.page.evaluate(_LOAD_MORE)
    there.settle()
    found |= {"requests": there.traffic.count() - requests, "kb": there.traffic.kb() - size}
    return {
        **found,
        **there.memory(),
        **{f"fling_{name}": value for name, value in there.fling(SCROLLED[system]).items()},
    }


def to_row(there: Visit, count: int, row: int) -> float:
    name = quoted(ui_seed.run_name(count - 1 - row))
    return there.timed(f"{GRID}.scrollTop = {row * ROW}", f"{GRID}.textContent.includes({name})")


# -- large: lines 13 to 15 at 10,000 and 100,000 runs -------------------------------------------------------------


def measure_large(bench: Bench, root: Path) -> None:
    ids = seed_large(root)
    server = started(OURS, root / "large")
    columns = [f"metrics.{each}" for each in ui_seed.METRICS] + [
        f"params.{each}" for each in next(ui_seed.made_up(1)).params
    ]
    try:
        for count in ui_seed.LARGE:
            newest = quoted(ui_seed.run_name(count - 1))
            shown = f"{GRID}.querySelectorAll('.line a').length > 10 && {GRID}.textContent.includes({newest})"
            path = f"/experiments/{ids[str(count)]}?columns={','.join(columns)}"
            with visit(bench.playwright, server.url, path, shown) as there:  # the server was just started
                bench.add(
                    OURS,
                    f"{count:,} runs, first",
                    {
                        "rows_ms": there.figures.get("rows_ms", 0),
                        "filter_ms": filtered(there, OURS)["filter_ms"],
                    },
                )
            read_all_columns(server, ids[str(count)], columns)
            for _ in range(bench.options.repeats):
                with visit(bench.playwright, server.url, path, shown) as there:
                    figures = {**there.figures}
                    size = there.traffic.kb()
                    figures["to_row_ms"] = to_row(there, count, count * 2 // 3)
                    there.settle()
                    figures["screenful_kb"] = there.traffic.kb() - size
                    figures |= {f"fling_{name}": value for name, value in there.fling(SCROLLED[OURS]).items()}
                    figures |= {f"after_{name}": value for name, value in there.memory().items()}
                    figures |= filtered(there, OURS)
                    bench.add(OURS, f"{count:,} runs", figures)
    finally:
        server.stop()


def read_all_columns(server: Server, experiment: str, columns: list[str]) -> None:
    """Ask until the server has all columns in memory: after a start it reads some of them with each question."""
    client = Client(server)
    asked = {"experiment_ids": [experiment], "columns": columns, "limit": 1, "with_ranges": True}
    for _ in range(20):
        if json.loads(gzip.decompress(client.ask(f"{OWN}runs/table", asked)[1]))["complete"]:
            break
    client.close()


# -- charts: lines 19 to 21, 25 -----------------------------------------------------------------------------------


def measure_charts(bench: Bench) -> None:
    for _ in range(bench.options.repeats):
        measure_twenty(bench)
    measure_live(bench)


def highest_of(answers: list[Any]) -> float:
    """Return the highest value of the long run's loss that a page was sent, after its beginning."""
    found: list[float] = []
    for answer in answers:
        if "get-history-bulk-interval" in answer.url:
            points = answer.json().get("metrics", [])
            found += [
                point["value"] for point in points if point["key"] == "train/loss" and point["step"] > 5000
            ]
        elif answer.url.endswith("metrics/envelope"):
            for series in answer.json()["series"]:
                if series["key"] == "train/loss":
                    values = series.get("high") or series.get("y") or []
                    found += [each for each in values if isinstance(each, float | int)]
    return max(found, default=0)


def measure_twenty(bench: Bench) -> None:
    """Draw, zoom and point at a chart of 20 lines of 20,000 points."""
    drawn = "document.querySelector('.plot[tabindex] canvas') && /min\\/max of/.test(document.body.innerText)"
    address = Address(f"/experiments/{bench.ids[OURS]['twenty']}?view=charts&size=l", drawn, 0, 0)
    with bench.open(OURS, address) as there:
        figures: Figures = there.page.evaluate(
            """async () => {
                const entry = performance.getEntriesByType('resource').findLast(each => each.name.includes('metrics/envelope'));
                const mark = performance.getEntriesByName('chart drawn')[0];
                const plot = document.querySelector('.plot[tabindex]');
                const canvas = [...plot.querySelectorAll('canvas')].at(-1);
                const box = canvas.getBoundingClientRect();
                const painted = async () => { await new Promise(requestAnimationFrame); await new Promise(go => setTimeout(go)); };
                const times = [];
                let last = await new Promise(requestAnimationFrame);
                for (let at = 0; at < 120; at++) {
                    canvas.dispatchEvent(new PointerEvent('pointermove', {bubbles: true, clientX: box.left + 60 + (at * 8) % (box.width - 80),
                        clientY: box.top + 60 + (at % 20) * 5}));
                    const now = await new Promise(requestAnimationFrame);
                    times.push(now - last);
                    last = now;
                }
                times.sort((one, other) => one - other);
                await painted();
                plot.focus();
                const begin = performance.now();
                plot.dispatchEvent(new KeyboardEvent('keydown', {key: '+', bubbles: true}));
                await painted();
                return {draw_ms: mark && entry ? mark.startTime - entry.responseEnd : -1, zoom_ms: performance.now() - begin,
                        hover_median: times[60], hover_p95: times[113]};
            }"""
        )
        bench.add(OURS, "twenty", {**figures, "kb": there.figures["kb"], "cpu_s": there.figures["cpu_s"]})


def measure_live(bench: Bench) -> None:
    """Log points into a run whose charts are open, and take the time until each is on the screen."""
    from slipstream.client.client import SlipstreamClient

    client = SlipstreamClient(bench.servers[OURS].url)
    run = client.create_run(bench.ids[OURS]["nested"], run_name="live").info.run_id
    for step in range(3):
        client.log_metric(run, "loss", 1 / (step + 1), step=step)
    text = "document.querySelector('.chart footer')?.textContent ?? ''"
    address = Address(
        f"/experiments/{bench.ids[OURS]['nested']}/runs/{run}/charts", f"/all 3 points/.test({text})", 0, 0
    )
    with bench.open(OURS, address) as there:
        before = there.traffic.count()
        there.page.wait_for_timeout(IDLE_MS)
        idle = there.traffic.count() - before
        for step in range(3, 8):
            there.page.evaluate(
                """([text, want]) => {
                    window.__point = null;
                    const read = new Function('return ' + text);
                    const look = () => {
                        if (read().includes(want)) window.__point = performance.timeOrigin + performance.now();
                        else requestAnimationFrame(look);
                    };
                    requestAnimationFrame(look);
                }""",
                [text, f"all {step + 1} points"],
            )
            begin = time.time() * 1000
            client.log_metric(run, "loss", 1 / (step + 1), step=step)
            there.page.wait_for_function("() => window.__point", timeout=30_000)
            bench.add(
                OURS,
                "live",
                {"point_ms": there.page.evaluate("window.__point") - begin, "idle_requests": idle},
            )
    client.set_terminated(run)


# -- use: lines 15, 21, 26, 29 -------------------------------------------------------------------------------------


def measure_use(bench: Bench) -> None:
    for _ in range(bench.options.repeats):
        with bench.open(OURS, "runs") as there:
            bench.add(OURS, "typed", typed(there))
        with bench.open(OURS, "compare") as there:
            bench.add(OURS, "pointed", pointed(there))
    with bench.open(OURS, "runs") as there:
        path, seen = shape_a_table(there), seen_of(there)
    with bench.open(OURS, Address(path, f"{GRID}?.querySelectorAll('.line a').length > 2", 0, 0)) as there:
        again = seen_of(there)
    bench.add(OURS, "passed on", {"lines": len(seen), "differ": len(set(seen) ^ set(again))})
    bench.add(OURS, "build", build_seconds())


# -- reach: lines 22, 24, 28 --------------------------------------------------------------------------------------


def measure_reach(bench: Bench) -> None:
    """Look at our pages on a phone, in the dark; and at the size of both packages."""
    for page in PAGES:
        with bench.open(OURS, page, width=390, scheme="dark", touch=True) as there:
            bench.add(OURS, f"reach {page} phone", reach(there))
    for name in bench.servers:
        folder = STATIC if name == OURS else their_pages()
        files = [each for each in folder.rglob("*") if each.is_file()]
        bench.add(
            name, "size", {"kb": sum(each.stat().st_size for each in files) / 1000, "files": len(files)}
        )


def reach(there: Visit) -> Figures:
    """Ask axe-core, and whether anything is hard to reach."""
    looks: Figures = {
        "sideways_px": max(0, there.page.evaluate("document.scrollingElement.scrollWidth - innerWidth")),
        "small_targets": there.page.evaluate(_SMALL),
    }
    if AXE.is_file():
        there.page.evaluate(AXE.read_text("utf-8"))
        run = "axe.run(document, {resultTypes: ['violations']}).then(found => found.violations.length)"
        looks["rules"] = there.page.evaluate(run)
    return looks


def their_pages() -> Path:
    code = "import importlib.util; print(importlib.util.find_spec('mlflow').submodule_search_locations[0])"
    argv = [os.environ["MLFLOW_PYTHON"], "-c", code]
    found = subprocess.run(argv, env=environment(), capture_output=True, text=True, check=True).stdout.strip()
    return Path(found) / "server" / "js" / "build"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, help="a folder that keeps the data for the next call; it may be empty"
    )
    parser.add_argument("--repeats", type=int, default=3, help="loads of each page and system (default 3)")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--out", type=Path, help="write all figures into this JSON file")
    options = parser.parse_args()
    parts = options.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}. There are {', '.join(PARTS)}.")
    if not (STATIC / "index.html").is_file():
        parser.error("the web pages were not built (make ui)")
    about, begin = machine(), time.monotonic()
    with ExitStack() as stack:
        root = (
            options.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ui-bench-")))
        ).resolve()
        bench = Bench(stack.enter_context(sync_playwright()), options)
        seed(bench, root, stack)
        about["seeded_after_s"] = round(time.monotonic() - begin)
        if "loads" in parts:
            measure_loads(bench)
        if "table" in parts:
            measure_table(bench)
        if "charts" in parts:
            measure_charts(bench)
        if "use" in parts:
            measure_use(bench)
        if "reach" in parts:
            measure_reach(bench)
        if "large" in parts:
            measure_large(bench, root)
        found = lines(bench.figures)
    every = [each for pages in bench.figures.values() for figures in pages.values() for each in figures]
    calibration = sorted(each["calibration_ms"] for each in every if "calibration_ms" in each)
    loads = sorted(each["load1"] for each in every if "load1" in each)
    about |= {
        "seconds": round(time.monotonic() - begin),
        "calibration_ms": [round(calibration[0], 1), round(calibration[len(calibration) // 2], 1), round(calibration[-1], 1)]
        if calibration else [],
        "load1": [loads[0], loads[len(loads) // 2], loads[-1]] if loads else [],
    }  # fmt: skip
    print(table(found))
    missed = [each for each in found if each.is_met is False]
    print(f"\n{len(found)} lines, {len(missed)} missed. {json.dumps(about)}")
    if options.out:
        everything = {"about": about, "lines": [each._asdict() for each in found], "figures": bench.figures}
        options.out.write_text(json.dumps(everything, indent=1), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
