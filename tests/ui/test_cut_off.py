"""A way to the server that is cut, hangs or comes back: what was shown stays, it is said, and all is read again by itself."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from slipstream.client.client import SlipstreamClient

OpenPage = Callable[..., Page]
GATEWAY = {"status": 502, "content_type": "text/html", "body": "<h1>502 Bad Gateway</h1>"}


def cut(page: Page, pattern: str) -> None:
    page.route(pattern, lambda route: route.fulfill(**GATEWAY))  # pyright: ignore[reportArgumentType]


def come_back(page: Page) -> None:
    """The browser says that there is a network: what waits does not wait longer."""
    page.evaluate("dispatchEvent(new Event('online'))")


@pytest.fixture
def model(client: SlipstreamClient) -> str:
    name = "cut-off"
    run = client.create_run("0", run_name="cut off").info
    client.log_metric(run.run_id, "loss", 0.5)
    client.set_terminated(run.run_id)
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
        client.create_model_version(name, source=f"{run.artifact_uri}/model", run_id=run.run_id)
    return name


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/", "text=Running now"),
        ("/experiments", "text=Default"),
        ("/experiments/0", "text=cut off"),
        ("/experiments/0?view=charts", ".plot"),
        ("/models", "text=cut-off"),
        ("/models/cut-off", "text=Version 1"),
        ("/models/cut-off/versions/1", "text=Version 1"),
    ],
)
def test_what_could_not_be_read_comes_by_itself(
    open_page: OpenPage, model: str, path: str, shown: str
) -> None:
    page = open_page("/settings", faults=False)
    cut(page, "**/ajax-api/**")
    page.goto(page.url.removesuffix("/settings") + path)
    expect(page.get_by_role("alert").first).to_be_visible()
    page.unroute_all()
    come_back(page)
    expect(page.locator("main").locator(shown).first).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator(".skeleton")).to_have_count(0)


def test_it_is_read_again_after_a_while(open_page: OpenPage, model: str) -> None:
    page = open_page("/settings", faults=False)
    page.clock.install()
    cut(page, "**/v1/activity*")
    page.get_by_role("link", name="slipstream, home").click()
    expect(page.get_by_role("alert").first).to_be_visible()
    page.unroute_all()
    page.clock.fast_forward(6_000)
    expect(page.get_by_role("heading", name="Running now")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_what_is_shown_stays_when_it_cannot_be_read_again(
    open_page: OpenPage, client: SlipstreamClient, model: str
) -> None:
    page = open_page("/experiments", faults=False)
    for path, there, pattern, change in (
        ("/experiments", "Default", "**/experiments/overview*", lambda: client.create_experiment("more")),
        (
            "/experiments/0",
            "cut off",
            "**/experiments/get*",
            lambda: client.set_experiment_tag("0", "a", "b"),
        ),
        (
            "/models",
            model,
            "**/models/overview",
            lambda: client.set_registered_model_tag(model, "a", "b"),
        ),
        (
            f"/models/{model}",
            "Version 1",
            "**/models/versions",
            lambda: client.set_registered_model_tag(model, "b", "c"),
        ),
    ):
        page.goto("/".join(page.url.split("/")[:3]) + path)
        link = page.get_by_role("link", name=there, exact=True).first
        expect(link, path).to_be_visible()
        expect(page.locator("html[data-live=live]"), path).to_be_attached()
        with page.expect_response(pattern):
            cut(page, pattern)
            change()
        if path != "/experiments/0":  # of what is only its name, nothing is said
            alert = page.get_by_role("alert").first
            expect(alert, path).to_contain_text("answered 502")
            below = page.locator(".grid").bounding_box()
            above = alert.bounding_box()
            assert below, path
            assert above, path
            assert above["y"] + above["height"] <= below["y"], path
            assert below["height"] > 200, path
        expect(link, path).to_be_visible()
        page.unroute_all()
        come_back(page)
        expect(page.get_by_role("alert"), path).to_have_count(0)


def test_a_request_that_hangs_ends(open_page: OpenPage, client: SlipstreamClient) -> None:
    run = client.create_run("0", run_name="hanging").info.run_id
    page = open_page("/settings", faults=False)
    page.clock.install()
    page.route("**/runs/overview*", lambda _: None)  # never answered
    with page.expect_request("**/runs/overview*"):
        page.evaluate(
            "run => { history.pushState(null, '', `runs/${run}`); dispatchEvent(new Event('popstate')) }", run
        )
    expect(page.locator("main .skeleton")).to_be_visible()
    page.clock.fast_forward(61_000)
    expect(page.get_by_role("alert").first).to_contain_text("took too long")
    page.unroute_all()
    come_back(page)
    expect(page.get_by_role("heading", name="hanging")).to_be_visible()


def test_a_cut_way_is_said_until_it_is_there_again(
    open_page: OpenPage, client: SlipstreamClient, violations: Callable[[Page], list[str]]
) -> None:
    client.create_run("0", run_name="before the tunnel")
    page = open_page("/experiments/0", faults=False, viewport={"width": 390, "height": 844})
    expect(page.get_by_role("link", name="before the tunnel").first).to_be_visible()
    expect(page.locator("html[data-live=live]")).to_be_attached()
    notice = page.locator(".away").get_by_text("cannot be reached")
    expect(notice).to_have_count(0)

    page.context.set_offline(True)
    expect(notice).to_be_visible()
    assert violations(page) == []
    client.create_run("0", run_name="in the tunnel")
    page.context.set_offline(False)

    expect(page.get_by_role("link", name="in the tunnel").first).to_be_visible()
    expect(notice).to_have_count(0)


def test_a_page_whose_file_did_not_come_comes_by_itself(open_page: OpenPage) -> None:
    page = open_page("/experiments", faults=False)
    expect(page.get_by_role("heading", name="Experiments")).to_be_visible()
    page.route("**/assets/**", lambda route: route.abort())
    page.get_by_role("link", name="Serving").click()
    expect(page.get_by_role("alert")).to_contain_text("could not be loaded")
    page.unroute_all()
    come_back(page)
    expect(page.get_by_role("heading", name="No scoring servers are known here")).to_be_visible()
