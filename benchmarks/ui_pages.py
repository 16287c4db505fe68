"""The same pages of MLflow and of slipstream: their addresses, and how a program sees that they are there."""

from typing import Any, NamedTuple
from urllib.parse import quote

from browser import quoted
from ui_seed import RUNS, run_name

NEWEST = quoted(run_name(RUNS - 1))
_TEXT = "document.body.innerText"
_FACTS = f"/validation/.test({_TEXT}) && /feat_5|Inputs \\(6\\)/.test({_TEXT})"


class Address(NamedTuple):
    path: str
    shown: str
    """JavaScript that is true once the page's rows or charts are there."""
    most: float
    """The goal for our time until it can be used, in seconds; and of the browser's CPU."""
    most_cpu: float


PAGES = {
    "runs": "runs table, 100 rows",
    "experiments": "experiment list",
    "run charts": "run charts, 10 x 20,000 points",
    "compare": "compare 20 runs",
    "charts": "charts of an experiment",
    "run": "run page",
    "models": "model list",
    "version": "model version",
}


def ours(ids: dict[str, Any]) -> dict[str, Address]:
    grid = "document.querySelector('.grid[role]')"
    rows = f"{grid}?.querySelectorAll('.line a').length"
    few = "(innerWidth < 640 ? 1 : 8)"
    drawn = "document.querySelectorAll('.chart .plot canvas').length"
    return {
        "runs": Address(f"/experiments/{ids['sweep']}", f"{rows} > 10 && {grid}.textContent.includes({NEWEST})", 0.4, 0.7),
        "experiments": Address("/experiments", f"{rows} >= 6 && /cifar10/.test({_TEXT})", 0.3, 0.5),
        "run charts": Address(
            f"/experiments/{ids['long']}/runs/{ids['long_run']}/charts",
            f"{drawn} >= {few} && /min\\/max of 20,000/.test({_TEXT})", 0.6, 0.9),
        "compare": Address(
            f"/compare?runs={','.join(ids['compared'])}",
            "document.querySelectorAll('.diff-table tbody tr').length >= 20 && document.querySelectorAll('svg, canvas').length > 4",
            0.6, 0.9),
        "charts": Address(f"/experiments/{ids['sweep']}?view=charts", f"{drawn} >= {few} && /all [\\d,]+ points/.test({_TEXT})", 0.6, 0.9),
        "run": Address(
            f"/experiments/{ids['sweep']}/runs/{ids['last']}",
            f"/train\\/loss/.test({_TEXT}) && /weight_decay/.test({_TEXT})", 0.3, 0.5),
        "models": Address("/models", f"{rows} > 20", 0.3, 0.5),
        "version": Address("/models/churn-classifier/versions/5", _FACTS, 0.3, 0.5),
    }  # fmt: skip


def theirs(ids: dict[str, Any]) -> dict[str, Address]:
    rows = "document.querySelectorAll('.ag-center-cols-container .ag-row').length"
    table = "document.querySelector('.ag-body-viewport')"
    plots = "document.querySelectorAll('.js-plotly-plot .scatterlayer .trace, .js-plotly-plot .barlayer .trace').length"
    listed = "document.querySelectorAll('[role=row]').length"
    sweep = f"/#/experiments/{ids['sweep']}/runs"
    runs = quote("[" + ", ".join(quoted(each) for each in ids["compared"]) + "]")
    experiments = quote(f"[{quoted(ids['sweep'])}]")
    return {
        "runs": Address(sweep, f"{rows} > 10 && {table}.textContent.includes({NEWEST})", 0, 0),
        "experiments": Address("/#/experiments", f"{listed} >= 6 && /cifar10/.test({_TEXT})", 0, 0),
        "run charts": Address(
            f"/#/experiments/{ids['long']}/runs/{ids['long_run']}/model-metrics",
            "document.querySelectorAll('.js-plotly-plot .scatterlayer .trace path.js-line').length >= 4", 0, 0),
        "compare": Address(
            f"/#/compare-runs?runs={runs}&experiments={experiments}",
            "document.querySelectorAll('tr').length > 15 &&"
            " document.querySelectorAll('.js-plotly-plot .parcoords, .js-plotly-plot canvas').length > 0", 0, 0),
        "charts": Address(f"{sweep}?compareRunsMode=CHART", f"{plots} >= 4", 0, 0),
        "run": Address(f"/#/experiments/{ids['sweep']}/runs/{ids['last']}", f"/train\\/loss/.test({_TEXT}) && {listed} > 20", 0, 0),
        "models": Address("/#/models", f"{listed} > 20", 0, 0),
        "version": Address("/#/models/churn-classifier/versions/5", _FACTS, 0, 0),
    }  # fmt: skip
