"""What is around every page: addresses, keys, themes, the token."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from server_process import ServerProcess
from slipstream.client.connect import close_all

OpenPage = Callable[..., Page]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_settings_have_no_fault_that_axe_finds(
    open_page: OpenPage, violations: Callable[[Page], list[str]], scheme: str, width: int
) -> None:
    page = open_page("/settings", color_scheme=scheme, viewport={"width": width, "height": 800})
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()

    assert violations(page) == []
    assert page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0


def test_a_theme_is_chosen_and_kept(open_page: OpenPage) -> None:
    page = open_page("/settings", color_scheme="light")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(background)

    page.get_by_label("Dark").check()
    dark = page.evaluate(background)
    page.reload()

    assert dark != light
    assert page.evaluate(background) == dark


def test_links_of_mlflow_are_understood(open_page: OpenPage, server: ServerProcess) -> None:
    page = open_page("/#/experiments/0")

    page.wait_for_url(f"{server.url}/experiments/0")


def test_an_unknown_page_says_so_and_leads_on(open_page: OpenPage) -> None:
    page = open_page("/experiments/0/nothing/of/the/kind/at/all")

    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    page.get_by_role("link", name="Go to the home page").click()
    expect(page.get_by_role("heading", name="There is no such page")).to_have_count(0)


def test_keys_go_to_pages_and_are_listed(open_page: OpenPage, server: ServerProcess) -> None:
    page = open_page("/settings")
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()

    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_have_count(0)
    page.keyboard.press("g")
    page.keyboard.press("m")

    page.wait_for_url(f"{server.url}/models")


def test_the_palette_finds_an_experiment(open_page: OpenPage, server: ServerProcess) -> None:
    page = open_page("/settings")
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Go to").fill("Defau")
    expect(page.get_by_role("option", name="Default")).to_be_visible()

    page.keyboard.press("Enter")

    page.wait_for_url(f"{server.url}/experiments/0")


def test_a_server_with_a_token_asks_for_it_once(
    open_page: OpenPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPSTREAM_SERVER_TOKEN", "open-sesame")
    server = ServerProcess(tmp_path, "--durability", "normal", "--auth", "token")
    try:
        page = open_page("/settings", faults=False, url=server.url)
        expect(page.get_by_role("heading", name="This server asks for its token")).to_be_visible()
        page.get_by_role("textbox", name="Token").fill("open-sesame")
        page.keyboard.press("Enter")
        expect(page.get_by_role("rowheader", name="features")).to_be_visible()
        page.reload()
        expect(page.get_by_role("rowheader", name="features")).to_be_visible()
    finally:
        close_all()
        server.stop()


def test_pages_work_under_a_prefix(open_page: OpenPage, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, "--durability", "normal", "--static-prefix", "/team/ml")
    try:
        page = open_page("/settings", url=server.url)
        expect(page.get_by_role("rowheader", name="features")).to_be_visible()
        page.get_by_role("link", name="Models").click()
        assert server.url.endswith("/team/ml")
        page.wait_for_url(f"{server.url}/models")
        page.close()  # before its server ends, of which it would complain
    finally:
        close_all()
        server.stop()
