"""Pages under conditions that are not the usual ones: odd names, no clipboard, a token, a server that refuses."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Request, Route, expect

from slipstream.client.client import SlipstreamClient

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return {}


@pytest.fixture
def experiment(client: SlipstreamClient, made: dict[str, str]) -> str:
    """An experiment of two runs; returns its id."""
    if not made:
        made["id"] = client.create_experiment('bob\'s "best" 100%')
        for value in (1.0, 2.0):
            run = client.create_run(made["id"])
            client.log_metric(run.info.run_id, "loss", value)
            client.log_param(run.info.run_id, "lr", str(value))
            made["run"] = run.info.run_id
    return made["id"]


def test_the_palette_finds_a_name_with_quotes(open_page: OpenPage, experiment: str) -> None:
    page = open_page("/settings")

    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill('bob\'s "best"')
    expect(page.get_by_role("option", name='bob\'s "best" 100%')).to_be_visible()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/experiments/{experiment}")


def test_a_table_without_columns_has_its_runs(open_page: OpenPage, experiment: str) -> None:
    page = open_page(f"/experiments/{experiment}?columns=%2C")

    expect(page.locator(".line a").first).to_be_visible()
    expect(page.locator(".fault")).to_be_empty()


def test_copying_works_where_the_page_came_without_https(open_page: OpenPage) -> None:
    page = open_page("/settings")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")

    page.get_by_role("button", name="Copy: Tracking address").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()


def test_histories_are_saved_with_the_token(
    open_page: OpenPage, experiment: str, made: dict[str, str]
) -> None:
    page = open_page(f"/experiments/{experiment}?chosen={made['run']}")
    page.evaluate("localStorage.setItem('slipstream-token', 'of a proxy')")
    sent: list[str | None] = []

    def note(request: Request) -> None:
        if "histories" in request.url:
            sent.append(request.headers.get("authorization"))

    page.on("request", note)
    with page.expect_download() as download:
        page.get_by_role("link", name="Histories").click()
    assert download.value.suggested_filename == "histories.csv"
    assert sent == ["Bearer of a proxy"]


def test_a_name_that_is_refused_is_not_told_as_given(
    open_page: OpenPage, experiment: str, made: dict[str, str]
) -> None:
    page = open_page(f"/experiments/{experiment}/runs/{made['run']}", faults=False)

    def refuse(route: Route) -> None:
        route.fulfill(status=400, json={"error_code": "INVALID_PARAMETER_VALUE", "message": "No such name."})

    page.route("**/runs/update", refuse)
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("Name of the run").fill("another")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("No such name.")).to_be_visible()
    expect(page.get_by_text("The run has a new name.")).to_have_count(0)
