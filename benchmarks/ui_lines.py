"""The lines of what we want of the pages: the goal, what was measured of both systems, and whether it is met."""

from collections.abc import Callable
from typing import NamedTuple

import ui_seed
from browser import Figures, medians
from compare import OURS, THEIRS
from ui_pages import PAGES, Address, ours

Samples = dict[str, dict[str, list[Figures]]]
"""system -> page -> figures of each repetition"""


class Line(NamedTuple):
    """One line of the table. `is_met` is `None` where nothing was measured or no goal is given."""

    number: str
    what: str
    goal: str
    theirs: float | None
    ours: float | None
    is_met: bool | None
    is_rate: bool = False
    """Whether more is better."""


def lines(figures: Samples) -> list[Line]:
    """Return what we want of the pages, what was seen of both systems, and whether it is met."""
    result: list[Line] = []

    def add(number: str, what: str, goal: str, page: str, name: str, is_met: Callable[[float], bool] | None, *,
            is_rate: bool = False, scale: float = 1) -> None:  # fmt: skip
        mine = medians(figures[OURS][page]).get(name)
        theirs = medians(figures[THEIRS][page]).get(name)
        if mine is None:
            return
        mine, theirs = mine * scale, None if theirs is None else theirs * scale
        result.append(Line(number, what, goal, theirs, mine, is_met(mine) if is_met else None, is_rate))

    def below(most: float) -> Callable[[float], bool]:
        return lambda value: value <= most

    def above(least: float) -> Callable[[float], bool]:
        return lambda value: value >= least

    add("1", "runs table: kB on the wire", "150", "runs", "kb", below(150))
    add("1", "... of it JS", "60", "runs", "kb_js", below(60))
    add("1", "... of it CSS", "12", "runs", "kb_css", below(12))
    add("1", "... of it API", "30", "runs", "kb_api", below(30))
    add("2", "run charts, 10 x 20,000: kB", "250", "run charts", "kb", below(250))
    add("3", "charts of an experiment: kB", "300", "charts", "kb", below(300))
    add("3", "... requests", "12", "charts", "requests", below(12))
    add(
        "4",
        "runs table: requests (of ours one is the open stream of changes)",
        "7",
        "runs",
        "requests",
        below(7),
    )
    add("5", "second visit: kB", "35", "looks", "second_kb", below(35))
    add("5", "... requests (of ours one is the stream)", "3", "looks", "second_requests", below(3))
    add("6", "calls that search runs", "1", "looks", "searches", below(1))
    add("6", "calls of the API in all", "", "looks", "api", None)
    for page, title in PAGES.items():
        add("7" if page == "runs" else "9", f"{title}: s until usable", f"{ours_goal(page).most}", page, "usable_ms",
            below(ours_goal(page).most), scale=0.001)  # fmt: skip
        add("8" if page == "runs" else "9", "... CPU s of the browser", f"{ours_goal(page).most_cpu}", page, "cpu_s",
            below(ours_goal(page).most_cpu))  # fmt: skip
    add("10", "runs table: total blocking ms", "100", "runs", "tbt_ms", below(100))
    add("10", "... longest task after the rows, ms", "100", "runs", "longest_after_ms", below(100))
    add("11", "heap, runs table: MB", "12", "runs", "heap_mb", below(12))
    add("11", "heap, charts of an experiment: MB", "20", "charts", "heap_mb", below(20))
    add("12", "nodes of the runs table", "2,500", "runs", "dom_nodes", below(2500))
    add("13", "to the last of 2,000 runs: clicks", "0", "whole", "clicks", below(0))
    add("13", "... ms", "1,000", "whole", "ms", below(1000))
    add("13", "... kB", "40", "whole", "kb", below(40))
    add("13", "... then nodes", "2,500", "whole", "dom_nodes", below(2500))
    add(
        "14",
        "scroll, 100 rows of 2,000 (MLflow: 100 loaded): frames/s",
        "58",
        "fling",
        "fps",
        above(58),
        is_rate=True,
    )
    add("14", "scroll, all 2,000 loaded: frames/s", "58", "whole", "fling_fps", above(58), is_rate=True)
    add("14", "... p95 ms a frame", "20", "whole", "fling_p95", below(20))
    for count in ui_seed.LARGE:
        page = f"{count:,} runs"
        add("14", f"{page} x 27 columns: rows after ms", "", page, "rows_ms", None)
        add("14", "... the first time after the server's start", "", f"{page}, first", "rows_ms", None)
        add("14", "... scroll: frames/s", "58", page, "fling_fps", above(58), is_rate=True)
        add("14", "... p95 ms a frame", "20", page, "fling_p95", below(20))
        add("14", "... main thread, ms a frame", "", page, "fling_work_ms", None)
        add("14", "... share of blank frames", "0", page, "fling_blank", below(0))
        add("14", "... heap after it, MB", "40", page, "after_heap_mb", below(40))
        add("12", "... nodes after it", "2,500", page, "after_dom_nodes", below(2500))
        add("13", "... any row: ms", "1,000", page, "to_row_ms", below(1000))
        add("13", "... any row: kB (27 columns)", "", page, "screenful_kb", None)
        add("15", "... a filter after Enter: ms", "250", page, "filter_ms", below(250))
        add("15", "... the first one after the server's start: ms", "", f"{page}, first", "filter_ms", None)
    add("15", "a filter after Enter, 2,000 runs: ms", "250", "filter", "filter_ms", below(250))
    add("15", "a filter that is typed: ms until its runs are counted", "150", "typed", "typed_ms", below(150))
    add(
        "16",
        "runs that the page says there are (2,000)",
        "2,000",
        "looks",
        "counted",
        lambda value: value == ui_seed.RUNS,
        is_rate=True,
    )
    add("17", "columns of params and metrics in sight", "8", "looks", "values", above(8), is_rate=True)
    add("17", "rows in sight", "24", "looks", "rows", above(24), is_rate=True)
    add("18", "share of the screen that is table", "0.8", "looks", "share", above(0.8), is_rate=True)
    add(
        "19",
        "a spike of 40 in 20,000 points: highest value sent",
        "40",
        "spike",
        "highest",
        above(40),
        is_rate=True,
    )
    add("20", "20 lines of 20,000 points: first draw, ms", "100", "twenty", "draw_ms", below(100))
    add("20", "... zoom: ms until redrawn", "40", "twenty", "zoom_ms", below(40))
    add("20", "... p95 ms a frame under the pointer", "20", "twenty", "hover_p95", below(20))
    add("21", "compare 20: runs in sight", "20", "compared", "in_sight", above(20), is_rate=True)
    add("21", "... p95 ms a frame under the pointer", "20", "pointed", "p95", below(20))
    for each in (OURS, THEIRS):
        rules = [seen[-1].get("rules", 0) for name, seen in figures[each].items() if name.startswith("reach")]
        if rules:
            figures[each]["axe"] = [{"rules": sum(rules), "pages": len(rules)}]
    add("22", "axe-core: rules broken, all pages (ours: also phone, dark)", "0", "axe", "rules", below(0))
    add("23", "keys to the table from the top of the page", "3", "looks", "tabs", below(3))
    add("23", "tab stops on the runs table", "", "looks", "stops", None)
    phone = [
        seen[-1]
        for name, seen in figures[OURS].items()
        if name.startswith("reach") and name.endswith("phone")
    ]
    if phone:
        figures[OURS]["phone"] = [
            {name: sum(each[name] for each in phone) for name in ("sideways_px", "small_targets")}
        ]
    add("24", "390 px, all pages: px to scroll sideways", "0", "phone", "sideways_px", below(0))
    add("24", "... targets under 24 px", "0", "phone", "small_targets", below(0))
    add("25", "a point on the screen after ms", "1,000", "live", "point_ms", below(1000))
    add("25", "requests in 10 idle s, charts of a running run", "0", "live", "idle_requests", below(0))
    add("25", "requests in 10 idle s, runs table", "0", "looks", "idle_requests", below(0))
    add(
        "26",
        "an address in another browser: lines of the page that differ",
        "0",
        "passed on",
        "differ",
        below(0),
    )
    add("27", "pop-ups at the first visit", "0", "looks", "popups", below(0))
    add("27", "requests to other hosts", "0", "looks", "foreign", below(0))
    add("28", "the pages in the package: kB", "700", "size", "kb", below(700))
    add("28", "... files", "30", "size", "files", below(30))
    add("29", "building the pages: npm ci, s", "20", "build", "install_s", below(20))
    add("29", "... and the bundle, s", "3", "build", "bundle_s", below(3))
    add("30", "layout shift of the runs table", "0.02", "runs", "shift", below(0.02))
    for each in (OURS, THEIRS):
        if figures[each]["version"]:
            figures[each]["shifts"] = [
                {"shift": max(medians(figures[each][page]).get("shift", 0) for page in PAGES)}
            ]
    add("30", "... of the page where it is largest", "0.02", "shifts", "shift", below(0.02))
    return result


def ours_goal(page: str) -> Address:
    made = {"sweep": "", "long": "", "long_run": "", "compared": [], "last": ""}
    return ours(made)[page]


def table(found: list[Line]) -> str:
    rows = ["| line | what | goal | MLflow | slipstream | ratio | |", "|---:|---|---:|---:|---:|---:|---|"]
    for each in found:
        better, worse = (each.ours, each.theirs) if each.is_rate else (each.theirs, each.ours)
        ratio = f"{better / worse:.3g}" if better and worse else ""
        mark = "" if each.is_met is None else "met" if each.is_met else "**missed**"
        rows.append(
            f"| {each.number} | {each.what} | {each.goal} | {_number(each.theirs)} | {_number(each.ours)} | {ratio} | {mark} |"
        )
    return "\n".join(rows)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
