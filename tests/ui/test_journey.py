"""One whole journey by keys alone: find the best run, compare it, register its model, promote it, and try it where it is served."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from models_setup import ModelsSetup
from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient
from slipstream.client.connect import close_all

MOST_TABS = 40
SWAP_MS = 120_000
SEED = Path(__file__).parents[1] / "journey_seed.py"


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[ModelsSetup]:
    pytest.importorskip("sklearn")
    setup = ModelsSetup(tmp_path_factory.mktemp("journey"), SEED)
    setup.serve("models:/prices@champion")
    yield setup
    close_all()
    setup.stop()


@pytest.fixture(scope="module")
def server(setup: ModelsSetup) -> ServerProcess:
    return setup.server


class Keys:
    """A person without a pointer: presses keys and looks at what the page says."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)

    def tab_to(self, wanted: Locator, key: str = "Tab") -> None:
        """Press Tab until something has the focus, which must be seen there."""
        expect(wanted).to_be_visible()
        for _ in range(MOST_TABS):
            if wanted.evaluate("each => each === document.activeElement"):
                return
            self.press(key)
        raise AssertionError(f"{MOST_TABS} times {key} do not lead to {wanted}")


def test_from_the_best_run_to_an_answer_of_its_model(
    open_page: Callable[..., Page], client: SlipstreamClient, violations: Callable[[Page], list[str]]
) -> None:
    page = open_page()
    keys = Keys(page)
    expect(page.get_by_role("heading", name="Ended lately")).to_be_visible()

    keys.press("Control+k")
    keys.type("prices")
    expect(page.get_by_role("option", name="prices experiment")).to_be_visible()
    keys.press("Enter")
    expect(page.get_by_role("status").filter(has_text="4 runs")).to_be_visible()

    keys.press("/")
    keys.type("params.kind = 'linear'")
    keys.press("Enter")
    expect(page.get_by_role("status").filter(has_text="3 runs")).to_be_visible()
    keys.press("Escape", "t")
    grid = page.get_by_role("treegrid", name="Runs")
    expect(grid).to_be_focused()
    head = page.get_by_role("columnheader", name="rmse")
    for _ in range(int(head.get_attribute("aria-colindex") or 1) - 1):
        keys.press("ArrowRight")
    keys.press("o")
    expect(head).to_have_attribute("aria-sort", "descending")
    keys.press("o")
    expect(head).to_have_attribute("aria-sort", "ascending")
    first = grid.locator("[aria-rowindex='2'][role=row]")
    expect(first).to_contain_text("times-2.0")
    keys.press("t", "x", "j", "x")
    expect(page.get_by_role("group", name="Selected runs")).to_contain_text("2 selected")
    keys.press("c")

    expect(page.get_by_role("heading", name="Compare 2 runs")).to_be_visible()
    best = page.get_by_role("link", name="times-2.0").first
    keys.tab_to(best)
    keys.press("Enter")

    expect(page.get_by_role("heading", name="times-2.0")).to_be_visible()
    expect(page.get_by_role("button", name="Register model")).to_be_visible()
    keys.press("m")
    sheet = page.get_by_role("dialog", name="Register model")
    expect(sheet.get_by_label("Name of the registered model")).to_be_focused()
    keys.type("prices")
    expect(sheet).to_contain_text("prices gets another version.")
    assert violations(page) == []
    keys.press("Enter")

    expect(page.get_by_role("heading", name="Version 2")).to_be_visible()
    keys.press("p")
    sheet = page.get_by_role("dialog")
    expect(sheet.get_by_role("button", name="Move @champion from v1 to v2")).to_be_focused()
    keys.tab_to(sheet.get_by_label("Why"), "Shift+Tab")
    keys.type("the smallest error")
    keys.press("Enter")
    expect(sheet).to_have_count(0)
    expect(page.get_by_role("region", name="Timeline")).to_contain_text("the smallest error")
    # the scoring server looks every second whether the alias has moved, then starts a process that imports scikit-learn
    expect(page.get_by_role("region", name="Served")).to_contain_text("this version", timeout=SWAP_MS)

    keys.press("t")
    field = page.get_by_label("x double").first
    expect(field).to_be_focused()
    keys.press("Control+a")
    keys.type("21")
    keys.press("Control+Enter")
    expect(page.get_by_role("heading", name="Answer in")).to_be_visible()
    told = page.get_by_role("region", name="Answer", exact=True).inner_text()
    assert float(told.strip("[] \n")) == pytest.approx(42)

    champion = client.get_model_version_by_alias("prices", "champion")
    assert champion.version == "2"
    moves = [value for key, value in champion.tags.items() if key.startswith("slipstream.alias.champion.")]
    assert len(moves) == 1
    assert "the smallest error" in moves[0]
