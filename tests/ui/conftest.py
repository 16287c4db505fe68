"""A server with its pages, a Chromium of this machine, and what every page must keep to."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient
from slipstream.client.connect import close_all
from slipstream.server.web_pages import STATIC

ROOT = Path(__file__).parents[2]
AXE = ROOT / "ui" / "node_modules" / "axe-core" / "axe.min.js"
ARGUMENTS = (
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
    "--no-sandbox",
)
PATIENCE_MS = 20_000
expect.set_options(timeout=PATIENCE_MS)
CALM_LOOKS = 6
"""How many times in a row nothing is under way, a tenth of a second apart, until a page counts as loaded."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is here as slow, and keep a file's tests at one server and one browser."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slow)


def find_chromium() -> str | None:
    """Return the browser's program: CHROMIUM, or what Debian, Fedora and Google call it."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def chromium() -> str:
    found = find_chromium()
    if found is None:
        pytest.skip(
            "no Chromium on this machine (Debian: apt-get install chromium); pages are not tried in a browser"
        )
    if not (STATIC / "index.html").is_file():
        pytest.skip("the web pages were not built (make ui)")
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """A browser for the tests of one file: its event loop runs in this thread, where other tests start loops of their own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[ServerProcess]:
    """A server for the tests of one file."""
    server = ServerProcess(tmp_path_factory.mktemp("server"), "--durability", "normal")
    yield server
    close_all()
    server.stop()


@pytest.fixture
def client(server: ServerProcess) -> SlipstreamClient:
    return SlipstreamClient(server.url)


class Watched:
    """A page that remembers what went wrong on it."""

    def __init__(self, page: Page, server: str) -> None:
        self.page = page
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.foreign: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("console", lambda message: message.type == "error" and self.faults.append(message.text))
        page.on("request", lambda request: self._note(request.url, server))

    def _note(self, url: str, server: str) -> None:
        if url.startswith(("data:", "blob:", "about:")):
            return
        self.requests.append(url)
        if not url.startswith(server):
            self.foreign.append(url)


@pytest.fixture
def open_page(browser: Browser, server: ServerProcess) -> Iterator[Callable[..., Page]]:
    """Open an address of the server; at the end nothing may have gone wrong on any page, nor was another host asked.

    `faults=False` is for tests of what goes wrong; `context` has Playwright's options of a new context.
    """
    contexts: list[BrowserContext] = []
    watched: list[Watched] = []

    def open_it(path: str = "/", *, faults: bool = True, url: str = "", **context: Any) -> Page:
        options = {"viewport": {"width": 1440, "height": 900}, **context}
        contexts.append(browser.new_context(**options))
        contexts[-1].grant_permissions(["clipboard-read", "clipboard-write"])
        page = contexts[-1].new_page()
        seen = Watched(page, url or server.url)
        if faults:
            watched.append(seen)
        page.goto((url or server.url) + path)
        return page

    yield open_it
    for context in contexts:
        with contextlib.suppress(Exception):  # a test may have closed it
            context.close()
    for each in watched:
        assert each.faults == []
        assert each.foreign == []


@pytest.fixture
def show(open_page: Callable[..., Page], run: str) -> Callable[..., Locator]:
    """Open a file of `run`, which a test file has as the address of a run's files; return its part of the page."""

    def open_it(name: str, **options: object) -> Locator:
        page = open_page(f"{run}?file={quote(name, safe='')}", **options)
        preview = page.get_by_role("region", name="File", exact=True)
        expect(preview.get_by_role("heading", level=2)).to_have_text(name)
        expect(page.locator(".skeleton")).to_have_count(0)
        return preview

    return open_it


@pytest.fixture(scope="session")
def axe() -> str:
    """Return axe-core's program; it comes with what the pages are built with."""
    if not AXE.is_file():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip(
                "axe-core is not installed: ui/node_modules is not there (make ui) and there is no npm"
            )
        subprocess.run(
            [npm, "ci", "--no-audit", "--no-fund"], cwd=ROOT / "ui", check=True, capture_output=True
        )
    return AXE.read_text("utf-8")


@pytest.fixture
def violations(axe: str) -> Callable[[Page], list[str]]:
    """Return what axe-core finds on a page: rule, how many elements, the first one."""

    def find(page: Page) -> list[str]:
        page.evaluate(axe)
        # What fades in has not its colours yet.
        page.wait_for_function("() => document.getAnimations().every(each => each.playState !== 'running')")
        found: list[dict[str, Any]] = page.evaluate(
            "axe.run(document, {resultTypes: ['violations']}).then(r => r.violations.map("
            "v => ({id: v.id, count: v.nodes.length, first: v.nodes[0].html.slice(0, 200)})))"
        )
        return [f"{each['id']} x{each['count']}: {each['first']}" for each in found]

    return find


@pytest.fixture
def browser_bytes() -> Callable[[Page, str], dict[str, float]]:
    """Load an address with an empty cache; return what went over the wire, as the browser counts it."""

    def load(page: Page, url: str) -> dict[str, float]:
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        sizes: dict[str, float] = {}
        hosts: list[str] = []
        under_way: set[str] = set()

        def began(event: dict[str, Any]) -> None:
            hosts.append(event["request"]["url"])
            if "/v1/events" not in hosts[-1]:  # a stream that stays open
                under_way.add(event["requestId"])

        session.on(
            "Network.loadingFinished",
            lambda event: (
                sizes.update({event["requestId"]: event["encodedDataLength"]}),
                under_way.discard(event["requestId"]),
            ),
        )
        session.on("Network.loadingFailed", lambda event: under_way.discard(event["requestId"]))
        session.on("Network.requestWillBeSent", began)
        page.goto("about:blank")
        under_way.clear()  # what the page before had
        hosts.clear()
        page.goto(url)
        calm = 0
        for _ in range(PATIENCE_MS // 100):
            page.wait_for_timeout(100)
            calm = 0 if under_way else calm + 1
            if calm == CALM_LOOKS:
                break
        assert calm == CALM_LOOKS, f"still under way: {[each for each in hosts if each]}"
        # The stream of changes stays open and sends nothing while nothing changes; it is no load.
        started = [
            each
            for each in hosts
            if not each.startswith(("data:", "blob:", "about:")) and "/events" not in each
        ]
        origin = "/".join(url.split("/")[:3])
        foreign = [each for each in started if not each.startswith(origin)]
        return {"requests": len(started), "bytes": sum(sizes.values()), "foreign": len(foreign)}

    return load
