"""A phone: what is pressed is as large as a finger, nothing is cut off, and Back leads to what one looked at."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from models_setup import ModelsSetup
from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient
from slipstream.client.connect import close_all

OpenPage = Callable[..., Page]
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
LEAST = 24
RUNS = 60

# What can be pressed and is smaller, lies over its neighbour, or is beyond the screen where nothing scrolls to it.
FAULTS = """least => {
    const width = innerWidth, faults = [];
    const scrolls = element => {
        for (let at = element.parentElement; at; at = at.parentElement)
            if (/auto|scroll/.test(getComputedStyle(at).overflowX) && at.scrollWidth > at.clientWidth + 1) return true;
        return false;
    };
    let before;
    for (const each of document.querySelectorAll('button, a[href], input, select, textarea, summary')) {
        const style = getComputedStyle(each);
        const box = (each.closest('label') ?? each).getBoundingClientRect();
        if (!each.checkVisibility() || box.width <= 1 || style.visibility === 'hidden' || style.clipPath !== 'none') continue;
        const name = `${each.tagName} ${each.getAttribute('aria-label') ?? each.textContent.trim().slice(0, 30)}`;
        if (box.width < least || box.height < least)
            faults.push(`small: ${name} ${Math.round(box.width)} x ${Math.round(box.height)}`);
        if ((box.right > width + 1 || box.left < -1) && !scrolls(each)) faults.push(`cut off: ${name}`);
    }
    const lines = [...document.querySelectorAll('.run-list li')];
    for (const line of lines)
        for (const button of line.querySelectorAll('button'))
            if (button.getBoundingClientRect().height > line.getBoundingClientRect().height + 1)
                faults.push(`over its neighbour: ${button.getAttribute('aria-label')}`);
    if (document.scrollingElement.scrollWidth > width) faults.push('the page scrolls sideways');
    return [...new Set(faults)];
}"""


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> object:
    setup = ModelsSetup(tmp_path_factory.mktemp("touch"))
    yield setup
    close_all()
    setup.stop()


@pytest.fixture(scope="module")
def server(setup: ModelsSetup) -> ServerProcess:
    return setup.server


@pytest.fixture(scope="module")
def experiment(server: ServerProcess) -> str:
    client = SlipstreamClient(server.url)
    experiment = client.create_experiment("pocket")
    for number in range(RUNS):
        run = client.create_run(experiment, run_name=f"run {number:02}").info.run_id
        client.log_metric(run, "loss", number)
        client.log_param(run, "lr", str(number))
        client.set_tag(run, "team", "search")
        client.set_terminated(run)
    return experiment


def test_everything_can_be_pressed_by_a_finger(
    open_page: OpenPage, client: SlipstreamClient, experiment: str
) -> None:
    runs = [run.info.run_id for run in client.search_runs([experiment], max_results=3)]
    page = open_page("/", **PHONE)
    origin = page.url.rstrip("/")
    for path, shown in (
        ("/", "a:text-is('pocket')"),
        ("/experiments", ".grid .line a"),
        (f"/experiments/{experiment}", ".grid .line a"),
        (f"/experiments/{experiment}?all=%3D", ".chosen-tools"),
        (f"/experiments/{experiment}?view=charts", ".run-list li a"),
        (f"/runs/{runs[0]}", "#metrics-title, h2:has-text('Metrics')"),
        (f"/experiments/{experiment}/runs/{runs[0]}/charts", "nav.tabs"),
        (f"/compare?runs={','.join(runs)}", ".diff-table tbody a"),
        ("/models", ".grid .line a"),
        ("/models/house-prices/versions/1", "h1"),
        ("/settings", "h1"),
    ):
        page.goto(origin + path)
        expect(page.locator(shown).first, path).to_be_visible()
        expect(page.locator(".skeleton"), path).to_have_count(0)
        page.evaluate("for (const each of document.querySelectorAll('details.menu')) each.open = true")
        assert page.evaluate(FAULTS, LEAST) == [], path


def test_a_description_is_written_on_a_phone(open_page: OpenPage) -> None:
    page = open_page("/models/house-prices", **PHONE)
    page.get_by_role("button", name="Write one").tap()
    save = page.get_by_role("button", name="Save")
    expect(save).to_be_in_viewport(ratio=1)


def test_back_leads_to_the_rows_one_looked_at(open_page: OpenPage, experiment: str) -> None:
    page = open_page(f"/experiments/{experiment}", **PHONE)
    grid = page.locator(".grid")
    expect(page.get_by_role("link", name="run 59")).to_be_visible()
    grid.evaluate("grid => grid.scrollTo({top: 44 * 30})")
    there = page.get_by_role("link", name="run 27")
    there.tap()  # at once: before it is written down where the table is
    expect(page.get_by_role("heading", name="run 27")).to_be_visible()
    page.go_back()
    expect(there).to_be_in_viewport()
    assert grid.evaluate("grid => grid.scrollTop") == 44 * 30
    page.reload()
    expect(there).to_be_in_viewport()
    # other rows begin with the first
    page.get_by_role("columnheader", name="loss").get_by_role("button").tap()
    expect(page.locator(".grid .line").first).to_be_in_viewport()
    assert grid.evaluate("grid => grid.scrollTop") == 0
    page.go_back()
    expect(there).to_be_in_viewport()
