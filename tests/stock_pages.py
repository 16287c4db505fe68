"""MLflow's own pages in a browser, on a server of either kind: what they ask, and what they are answered.

The built files come from an installed mlflow, and the browser puts them at the server's address; all else goes to the server. The
walk reads every page and changes what pages can change, by MLflow 3.17's buttons.
"""

import json
import mimetypes
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from playwright.sync_api import BrowserContext, Page, Request, Response, Route, sync_playwright

import mlflow_server

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DIALOG = "[role=dialog]:not([data-component-type=popover]):visible"
CALM_SECONDS = 1.0
LOAD_SECONDS = 40.0
MOST_DIGITS = 20
"""Ids of experiments are shorter, all others longer."""
ASKED = re.compile(r"^/(ajax-api|graphql|get-artifact|model-versions/get-artifact)")
_CREATED = {
    "/experiments/create": ("experiment_id",),
    "/logged-models": ("model", "info", "model_id"),
    "/runs/create": ("run", "info", "run_id"),
    "/review-queues/get-or-create-user": ("review_queue", "queue_id"),
}


def built_files(python: str) -> Path:
    """Return the folder of the pages that an interpreter's mlflow has."""
    told = subprocess.run(
        [
            python,
            "-c",
            "import importlib.util as u; print(u.find_spec('mlflow').submodule_search_locations[0])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    folder = Path(told.stdout.strip()) / "server" / "js" / "build"
    assert (folder / "index.html").is_file(), f"{python} has an mlflow without pages"
    return folder


class Names:
    """Writes ids of one server as names that mean the same on another one, and back."""

    def __init__(self, ids: dict[str, str]) -> None:
        self.ids = dict(ids)

    def hide(self, value: Any, of: str = "") -> Any:
        """Write names; `of` says whose value it is: an experiment's id is a small number, which may be anything elsewhere."""
        if isinstance(value, dict):
            return {key: self.hide(each, key) for key, each in value.items()}
        if isinstance(value, list):
            return [self.hide(each, of) for each in value]
        if not isinstance(value, str):
            return value
        for name, found in self.ids.items():
            if len(found) > MOST_DIGITS:
                value = value.replace(found, f"{{{name}}}")
            elif value == found and "experiment" in of.lower():
                return f"{{{name}}}"
        return value

    def show(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self.show(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.show(each) for each in value]
        if not isinstance(value, str):
            return value
        for name, found in self.ids.items():
            value = value.replace(f"{{{name}}}", found)
        return value

    def learn(self, path: str, answer: Any) -> None:
        """Name what a request has made."""
        for end, keys in _CREATED.items():
            if path.endswith(end):
                found = answer
                for key in keys:
                    found = found.get(key, {}) if isinstance(found, dict) else {}
                if isinstance(found, str):
                    made = sum(name.startswith(f"made-{keys[-1]}") for name in self.ids)
                    self.ids[f"made-{keys[-1]}-{made}"] = found


def shape(value: Any) -> Any:
    """Return what an answer looks like: the names in it and the kinds of their values; a list is as all its members."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in sorted(value.items())}
    if isinstance(value, list):
        merged: Any = None
        for each in value:
            merged = join(merged, shape(each))
        return [] if merged is None else [merged]
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "null" if value is None else "text"


def join(one: Any, other: Any) -> Any:
    """Return a shape that has what either has."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {key: join(one.get(key), other.get(key)) for key in sorted({*one, *other})}
    if isinstance(one, list) and isinstance(other, list):
        if not one or not other:
            return one or other
        return [join(one[0], other[0])]
    return other if one in (None, "null") else one


def lacking(wanted: Any, given: Any, where: str = "") -> list[str]:
    """Return what is in one shape and not in another one, each with its place."""
    if isinstance(wanted, dict):
        if not isinstance(given, dict):
            return [f"{where or '/'} is {_kind(given)}, not an object"]
        return [
            line
            for key, each in wanted.items()
            for line in (
                lacking(each, given[key], f"{where}/{key}") if key in given else [f"{where}/{key} is missing"]
            )
        ]
    if isinstance(wanted, list):
        if not isinstance(given, list):
            return [f"{where or '/'} is {_kind(given)}, not a list"]
        if not wanted:
            return []
        return lacking(wanted[0], given[0], f"{where}/*") if given else [f"{where} is an empty list"]
    if "null" in (wanted, given) or wanted is None:
        return []
    return [] if wanted == given else [f"{where or '/'} is {_kind(given)}, not {wanted}"]


def _kind(given: Any) -> str:
    return {dict: "an object", list: "a list"}.get(type(given), str(given))


class StockPages:
    """A page of MLflow's, on one server."""

    def __init__(self, context: BrowserContext, files: Path, url: str, ids: dict[str, str]) -> None:
        self.url = url
        self.names = Names(ids)
        self.calls: list[dict[str, Any]] = []
        self._open: set[Request] = set()
        self._files = files
        self._last = time.monotonic()
        context.route("**/static-files/**", self._static)
        context.route(
            url + "/", lambda route: route.fulfill(path=files / "index.html", content_type="text/html")
        )
        self.page: Page = context.new_page()
        self.page.set_default_timeout(LOAD_SECONDS * 1000)
        self.page.on("request", self._began)
        self.page.on("response", self._answered)
        self.page.on("requestfailed", lambda request: self._open.discard(request))  # noqa: PLW0108  # it marks what it is given

    def _static(self, route: Route) -> None:
        file = self._files / urlsplit(route.request.url).path.split("/static-files/")[1]
        if not file.is_file():
            route.fulfill(status=404)
            return
        route.fulfill(
            path=file, content_type=mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        )

    def _began(self, request: Request) -> None:
        self._last = time.monotonic()
        if ASKED.match(urlsplit(request.url).path):
            self._open.add(request)

    def _answered(self, response: Response) -> None:
        request = response.request
        parts = urlsplit(response.url)
        if not ASKED.match(parts.path):
            return
        self._last = time.monotonic()
        try:
            text = response.body().decode("utf-8", "replace") if response.status < 400 else ""
        except Exception:  # noqa: BLE001  # the page was left meanwhile: the browser has forgotten the answer
            self._open.discard(request)
            return
        is_json = "json" in response.headers.get("content-type", "")
        answer = json.loads(text) if is_json and text and not parts.path.endswith("get-artifact") else None
        sent = request.post_data
        body = json.loads(sent) if sent and sent.startswith(("{", "[")) else sent
        self.calls.append(
            {
                "method": request.method,
                "path": self.names.hide(parts.path),
                "query": [
                    [name, self.names.hide(value, name)]
                    for name, value in parse_qsl(parts.query, keep_blank_values=True)
                ],
                "body": self.names.hide(body),
                "status": response.status,
                "shape": None if answer is None else shape(answer),
            }
        )
        self.names.learn(parts.path, answer)
        self._open.discard(request)

    def calm(self) -> None:
        """Wait until nothing is asked any more."""
        deadline = time.monotonic() + LOAD_SECONDS
        while time.monotonic() < deadline:
            self.page.wait_for_timeout(100)
            if not self._open and time.monotonic() - self._last > CALM_SECONDS:
                return
        raise AssertionError(f"still asking: {[request.url for request in self._open]}")

    def to(self, path: str) -> None:
        """Go to a page, and wait until all of it is there."""
        self.page.goto("about:blank")
        self._open.clear()
        seen = len(self.calls)
        self.page.goto(f"{self.url}/#{path}")
        self.page.get_by_role("button").first.wait_for()
        self.calm()
        assert len(self.calls) > seen, path

    def button(self, name: str, *, nth: int = 0) -> None:
        self.page.get_by_role("button", name=name, exact=True).nth(nth).click()

    def choose(self, name: str) -> None:
        self.page.get_by_role("menuitem", name=name, exact=True).click()

    def dialog_button(self, name: str) -> None:
        """Press a button of the dialog, and wait for what follows."""
        self.page.locator(DIALOG).get_by_role("button", name=name, exact=True).click()
        self.page.locator(DIALOG).wait_for(state="detached")
        self.calm()


def addresses(ids: dict[str, str]) -> list[str]:
    """Return all addresses of MLflow's pages."""
    experiment = f"/experiments/{ids['walked']}"
    run = f"{experiment}/runs/{ids['run-alpha']}"
    model = f"{experiment}/models/{ids['model-alpha']}"
    both = json.dumps([ids["run-alpha"], ids["run-beta"]])
    versions = json.dumps({"1": ids["run-alpha"], "2": ids["run-beta"]})
    sought = quote('metrics.loss < 0.9 and params.kind = "tree"')
    tabs = ("overview", "runs", "traces", "chat-sessions", "evaluation-runs", "datasets", "models", "judges")
    return [
        *("/", "/experiments", experiment, *(f"{experiment}/{tab}" for tab in tabs)),
        *(f"{experiment}/{tab}" for tab in ("prompts", "playground", "review-queue")),
        *(f"{experiment}/runs?compareRunsMode={mode}" for mode in ("CHART", "ARTIFACT")),
        f"{experiment}/runs?searchFilter={sought}&orderByKey=params.lr",
        *(run + tab for tab in ("", "/model-metrics", "/system-metrics", "/traces", "/artifacts")),
        *(model + tab for tab in ("", "/artifacts", "/traces")),
        f"/compare-runs?runs={quote(both)}&experiments={quote(json.dumps([ids['walked']]))}",
        f"/compare-experiments/s?experiments={quote(json.dumps([ids['walked'], ids['beside']]))}",
        *("/models", "/models/forest", "/models/forest/versions/1", "/models/empty"),
        f"/compare-model-versions?name={quote(json.dumps('forest'))}&runs={quote(versions)}",
        *("/prompts", "/gateway", "/gateway/api-keys", "/gateway/usage", "/gateway/budgets"),
        *("/settings", "/settings/webhooks"),
    ]


def walk(pages: StockPages) -> None:
    """Read every page, then change things as a user would."""
    for address in addresses(pages.names.ids):
        pages.to(address)
    for step in STEPS:
        step(pages)


def _look_at_files(pages: StockPages) -> None:
    ids = pages.names.ids
    pages.to(f"/experiments/{ids['walked']}/runs/{ids['run-alpha']}/artifacts")
    for name in ("notes.md", "rows.csv", "facts.json", "page.html", "dot.png", "deep", "log.txt"):
        pages.page.get_by_text(name, exact=True).first.click()
        pages.calm()
    pages.to(f"/experiments/{ids['walked']}/models/{ids['model-alpha']}/artifacts")
    pages.page.get_by_text("MLmodel", exact=True).first.click()
    pages.calm()


def _experiments(pages: StockPages) -> None:
    page = pages.page
    pages.to("/experiments")
    pages.button("Create")
    page.get_by_placeholder("Input an experiment name").fill("made by the page")
    pages.dialog_button("Create")
    made = pages.names.ids.get("made-experiment_id-0")
    assert made is not None
    pages.to(f"/experiments/{made}/runs")
    pages.button("Open header dropdown menu")
    pages.choose("Edit experiment")
    page.locator(DIALOG).get_by_role("textbox").first.fill("made anew")
    page.locator(DIALOG).get_by_role("button", name="Save", exact=True).click()
    pages.calm()
    pages.to("/experiments")
    page.get_by_role("row").filter(has_text="made anew").get_by_role("checkbox").first.click()
    pages.button("Delete")
    pages.dialog_button("Delete")


def _describe_a_run(pages: StockPages) -> None:
    ids = pages.names.ids
    pages.to(f"/experiments/{ids['walked']}/runs/{ids['run-beta']}")
    pages.button("Edit description")
    pages.page.locator("textarea").first.fill("Described by the page.")
    pages.button("Save")
    pages.calm()
    pages.button("Open header dropdown menu")
    pages.choose("Rename")
    pages.page.locator(DIALOG).get_by_role("textbox").first.fill("beta anew")
    pages.dialog_button("Save")


def _tag_a_run(pages: StockPages) -> None:
    page = pages.page
    ids = pages.names.ids
    pages.to(f"/experiments/{ids['walked']}/runs/{ids['run-alpha']}")
    pages.button("Edit tags")
    page.locator(DIALOG).get_by_role("combobox").first.click()
    page.keyboard.type("looked")
    page.keyboard.press("Enter")
    page.get_by_placeholder("Type a value").fill("well")
    pages.button("Add tag")
    pages.dialog_button("Save tags")


def _register(pages: StockPages) -> None:
    page = pages.page
    ids = pages.names.ids
    pages.to(f"/experiments/{ids['walked']}/models/{ids['model-gamma']}")
    pages.button("Register model")
    page.locator(DIALOG).get_by_role("combobox").click()
    page.get_by_text("forest", exact=True).last.click()
    page.locator(DIALOG).get_by_role("button", name="Register", exact=True).click()
    pages.calm()


def _registered_model(pages: StockPages) -> None:
    page = pages.page
    pages.to("/models/forest")
    pages.button("Edit")
    page.locator("textarea").first.fill("Trees, described by the page.")
    pages.button("Save")
    pages.calm()
    page.get_by_placeholder("Name").first.fill("looked")
    page.get_by_placeholder("Value").first.fill("well")
    pages.button("Add", nth=0)
    pages.calm()
    row = page.get_by_role("row").filter(has_text="Version 2")
    row.get_by_role("button", name="Add", exact=True).click()
    page.locator(DIALOG).get_by_role("combobox").click()
    page.keyboard.type("challenger")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    pages.dialog_button("Save aliases")
    pages.to("/models/forest/versions/2")
    pages.button("Edit")
    page.locator("textarea").first.fill("A version, described by the page.")
    pages.button("Save")
    pages.calm()
    pages.to("/models")
    if page.get_by_role("button", name="Try it now").is_visible():  # what is told once, over the page
        page.keyboard.press("Escape")
    pages.button("Create Model")
    page.locator(DIALOG).get_by_role("textbox").first.fill("made by the page")
    pages.dialog_button("Create")


def _delete_and_restore_a_run(pages: StockPages) -> None:
    page = pages.page
    ids = pages.names.ids
    pages.to(f"/experiments/{ids['walked']}/runs")
    page.get_by_role("row").filter(has_text="gamma").get_by_role("checkbox").first.click()
    pages.button("Delete")
    pages.dialog_button("Delete selected")
    pages.to(f"/experiments/{ids['walked']}/runs?lifecycleFilter=Deleted")
    page.get_by_role("row").filter(has_text="gamma").get_by_role("checkbox").first.click()
    pages.button("Restore")
    pages.dialog_button("Restore")


STEPS: tuple[Callable[[StockPages], None], ...] = (
    _look_at_files,
    _experiments,
    _describe_a_run,
    _tag_a_run,
    _register,
    _registered_model,
    _delete_and_restore_a_run,
)


def recorded(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each request once, in the order of the first ones, as it was answered then."""
    found: dict[str, dict[str, Any]] = {}
    for call in calls:
        found.setdefault(
            json.dumps([call[name] for name in ("method", "path", "query", "body", "status")]), call
        )
    return list(found.values())


def walked(url: str, ids: dict[str, str]) -> list[dict[str, Any]]:
    """Walk through all pages on a server, in a browser of this machine; return what they asked."""
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)))
    files = built_files(str(mlflow_server.PYTHON))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--disable-gpu", "--no-sandbox"])
        pages = StockPages(browser.new_context(viewport={"width": 1600, "height": 1000}), files, url, ids)
        walk(pages)
        browser.close()
    return pages.calls
