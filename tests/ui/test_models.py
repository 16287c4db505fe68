"""Pages of registered models: the list, a model with its versions, comparison, promotion with a preview, all by keys."""

import json
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from models_setup import ModelsSetup
from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient
from slipstream.client.connect import close_all

OpenPage = Callable[..., Page]
MODEL = "house-prices"


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[ModelsSetup]:
    setup = ModelsSetup(tmp_path_factory.mktemp("models"))
    yield setup
    close_all()
    setup.stop()


@pytest.fixture(scope="module")
def server(setup: ModelsSetup) -> ServerProcess:
    return setup.server


@pytest.fixture
def champion(client: SlipstreamClient) -> Iterator[None]:
    """Version 1 is the champion again afterwards, without a word of why."""
    yield
    client.set_registered_model_alias(MODEL, "champion", "1")
    for number in ("1", "2", "3"):
        for key in client.get_model_version(MODEL, number).tags:
            client.delete_model_version_tag(MODEL, number, key)


def open_models(open_page: OpenPage, query: str = "", **options: object) -> Page:
    page = open_page(f"/models{query}", **options)
    expect(page.locator(".line a").first).to_be_visible()
    return page


def open_model(open_page: OpenPage, query: str = "", **options: object) -> Page:
    page = open_page(f"/models/{MODEL}{query}", **options)
    expect(page.get_by_role("heading", name=MODEL)).to_be_visible()
    return page


def row_of(page: Page, name: str) -> str:
    return page.locator(".line", has=page.get_by_role("link", name=name, exact=True)).first.inner_text()


@pytest.mark.parametrize(
    "path",
    ["/models", f"/models/{MODEL}", f"/models/{MODEL}?compare=1,3", "/models/empty", "/models?search=zzz"],
)
def test_axe_finds_nothing(open_page: OpenPage, violations: Callable[[Page], list[str]], path: str) -> None:
    page = open_page(path)
    expect(page.locator(".skeleton")).to_have_count(0)
    expect(page.locator(".line, .differences table, .empty h2").first).to_be_visible()
    for scheme in ("light", "dark"):
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)

            assert violations(page) == [], (scheme, width)
            assert page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0
            assert page.evaluate("main.scrollWidth - main.clientWidth") <= 0


def test_the_list_tells_what_is_in_production_and_how_good_it_is(open_page: OpenPage) -> None:
    page = open_models(open_page)

    expect(page.locator("output")).to_have_text("4")
    text = row_of(page, MODEL)
    for part in ("v1", "@champion", "r2 0.7", "rmse 0.9", "v3", "team: pricing"):
        assert part in text, text
    assert page.title() == "Models · slipstream"


def test_metrics_and_search_are_in_the_address(open_page: OpenPage) -> None:
    page = open_models(open_page, "?metrics=rmse")
    expect(page.get_by_role("columnheader", name="rmse")).to_be_visible()

    page.keyboard.press("/")
    page.keyboard.type("tags.team = 'search'")
    page.keyboard.press("Enter")
    expect(page.locator("output")).to_have_text("1")
    assert "search=tags.team" in page.url
    page.reload()
    expect(page.get_by_role("link", name="empty", exact=True)).to_be_visible()


def test_a_wrong_filter_is_explained(open_page: OpenPage) -> None:
    page = open_page("/models", faults=False)
    expect(page.locator(".line").first).to_be_visible()
    page.get_by_role("searchbox").fill("tags.team = ")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("filter")


def test_a_model_is_made_renamed_and_deleted_and_each_can_be_undone(
    open_page: OpenPage, client: SlipstreamClient
) -> None:
    # A page may be told of the change before it has left the model that is gone: what it asks is not found then.
    page = open_models(open_page, faults=False)
    page.keyboard.press("n")
    page.get_by_role("textbox", name="Name").fill("fresh")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="fresh")).to_be_visible()
    assert client.get_registered_model("fresh").latest_versions == []

    page.keyboard.press("r")
    page.get_by_label("New name").fill("fresher")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="fresher")).to_be_visible()
    expect(page.get_by_role("button", name="Undo").last).to_be_visible()
    page.keyboard.press("Control+z")
    expect(page.get_by_role("heading", name="fresh", exact=True)).to_be_visible()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("grid", name="Models")).to_be_visible()
    expect(page.get_by_role("link", name="fresh", exact=True)).to_have_count(0)

    expect(page.get_by_role("button", name="Undo").last).to_be_visible()
    page.keyboard.press("Control+z")
    expect(page.get_by_role("heading", name="fresh", exact=True)).to_be_visible()
    client.delete_registered_model("fresh")


def test_a_model_in_use_is_not_deleted(open_page: OpenPage, client: SlipstreamClient) -> None:
    page = open_model(open_page)
    page.get_by_role("button", name="Delete", exact=True).first.click()
    dialog = page.get_by_role("dialog", name=f"{MODEL} is in use")
    expect(dialog).to_contain_text("@champion points to version 1")
    expect(dialog.get_by_role("button", name="Delete")).to_have_count(0)
    page.keyboard.press("Escape")

    expect(page.locator(".line").first).to_be_visible()
    page.keyboard.press("v")
    page.keyboard.press("End")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Delete")
    expect(page.get_by_role("dialog", name="Version 1 is in use")).to_contain_text("@champion")
    assert client.get_model_version(MODEL, "1")


def test_a_description_is_edited_in_place_and_nothing_in_it_runs(
    open_page: OpenPage, client: SlipstreamClient
) -> None:
    page = open_model(open_page)
    page.keyboard.press("e")
    expect(page.get_by_role("textbox", name="Description in Markdown")).to_be_focused()
    page.keyboard.type("# Prices\n\n**daily** <script>window.ran = 1</script> [x](javascript:window.ran=1)")
    page.keyboard.press("Control+Enter")

    expect(page.get_by_role("heading", name="Prices", exact=True)).to_be_visible()
    expect(page.locator(".markdown strong")).to_have_text("daily")
    expect(page.locator(".markdown")).to_contain_text("<script>window.ran = 1</script>")
    assert page.locator(".markdown a[href^='javascript']").count() == 0
    assert page.evaluate("window.ran") is None
    assert client.get_registered_model(MODEL).description.startswith("# Prices")
    expect(page.get_by_role("button", name="Undo")).to_be_visible()  # the text may come before, by an event
    page.keyboard.press("Control+z")
    expect(page.locator(".markdown")).to_have_count(0)


def test_tags_are_changed_in_place(open_page: OpenPage, client: SlipstreamClient) -> None:
    page = open_model(open_page)
    expect(page.get_by_role("button", name="Change tag hostile: <img src=x")).to_be_visible()
    page.get_by_role("button", name="+ tag").click()
    page.keyboard.type("tier")
    page.keyboard.press("Tab")
    page.keyboard.type("gold")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Change tag tier: gold")).to_be_visible()
    assert client.get_registered_model(MODEL).tags["tier"] == "gold"
    page.get_by_role("button", name="Remove tag tier").click()
    expect(page.get_by_role("button", name="Change tag tier")).to_have_count(0)
    expect(page.get_by_role("button", name="Undo").last).to_be_visible()
    page.keyboard.press("Control+z")
    expect(page.get_by_role("button", name="Change tag tier: gold")).to_be_visible()


def test_what_hides_in_a_tag_is_shown(open_page: OpenPage, client: SlipstreamClient) -> None:
    client.set_registered_model_tag(MODEL, "owner", "a\u202etxt")
    try:
        expect(
            open_model(open_page).get_by_role("button", name="Change tag owner: a⟨202E⟩txt")
        ).to_be_visible()
    finally:
        client.delete_registered_model_tag(MODEL, "owner")
    client.delete_registered_model_tag(MODEL, "tier")


def test_of_another_pair_of_versions_nothing_old_is_shown(open_page: OpenPage) -> None:
    page = open_model(open_page, "?compare=1,3")
    expect(page.get_by_role("region", name="v1 and v3")).to_be_visible()
    waiting: list[Route] = []
    is_held = True

    def hold(route: Route) -> None:
        if is_held:
            waiting.append(route)
        else:
            route.continue_()

    page.route(re.compile("model-versions/card"), hold)

    page.get_by_role("button", name="Change sides").click()

    expect(page.get_by_role("heading", name="Version 3 and version 1")).to_be_visible()
    expect(page.locator(".skeleton")).to_be_visible()
    expect(page.locator(".differences")).to_have_count(0)
    expect(page.get_by_role("button", name="Change sides")).to_be_focused()
    is_held = False
    for route in waiting:
        route.continue_()
    expect(page.get_by_role("region", name="v3 and v1")).to_be_visible()


@pytest.mark.usefixtures("champion")
def test_find_compare_and_promote_by_keys_alone(open_page: OpenPage, client: SlipstreamClient) -> None:
    page = open_models(open_page)
    page.keyboard.press("/")
    page.keyboard.type("house")
    expect(page.locator("output")).to_have_text("1")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.get_by_role("grid", name="Versions")).to_be_visible()
    expect(page.locator(".line")).to_have_count(3)

    page.keyboard.press("v")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("c")
    expect(page.get_by_role("heading", name="Version 1 and version 3")).to_be_visible()
    expect(page.get_by_role("note")).to_contain_text("Breaks callers: input c.")
    metrics = page.get_by_role("region", name="Metrics of the runs")
    expect(metrics.get_by_role("row", name="rmse")).to_contain_text("better")
    expect(page.get_by_role("region", name="Requirements")).to_contain_text("==1.17")
    expect(page.get_by_role("region", name="Params of the runs")).not_to_contain_text("depth")
    page.keyboard.press("a")
    expect(page.get_by_role("region", name="Params of the runs")).to_contain_text("depth")
    page.keyboard.press("Escape")

    expect(page.get_by_role("grid", name="Versions")).to_be_visible()
    page.keyboard.press("v")
    page.keyboard.press("p")
    dialog = page.get_by_role("dialog", name=f"Give version 3 of {MODEL} an alias")
    expect(dialog.get_by_role("region", name="What would change")).to_contain_text("Breaks callers")
    expect(dialog.get_by_role("button", name="Move @champion from v1 to v3")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.type("better in all metrics")
    page.keyboard.press("Enter")

    expect(page.get_by_text("@champion is now version 3.")).to_be_visible()
    promoted = client.get_model_version_by_alias(MODEL, "champion")
    assert promoted.version == "3"
    ((key, value),) = promoted.tags.items()
    assert key.startswith("slipstream.alias.champion.")
    assert json.loads(value) == {"from": "1", "reason": "better in all metrics"}
    expect(page.get_by_role("link", name="@champion v3")).to_be_visible()

    page.keyboard.press("v")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Version 3")).to_be_visible()
    expect(page.locator(".timeline")).to_contain_text("Got @champion from version 1")
    expect(page.locator(".timeline")).to_contain_text("better in all metrics")


@pytest.mark.usefixtures("champion")
def test_an_alias_moves_in_two_keys_and_comes_back_with_one(
    open_page: OpenPage, client: SlipstreamClient
) -> None:
    page = open_model(open_page)
    expect(page.locator(".line")).to_have_count(3)
    page.keyboard.press("v")
    page.keyboard.press("p")
    page.keyboard.press("Enter")
    expect(page.get_by_text("@champion is now version 3.")).to_be_visible()
    assert client.get_model_version_by_alias(MODEL, "champion").version == "3"
    expect(page.get_by_role("link", name="@champion v3")).to_be_visible()

    expect(page.get_by_role("button", name="Undo").last).to_be_visible()
    page.keyboard.press("Control+z")
    expect(page.get_by_role("link", name="@champion v1")).to_be_visible()
    assert client.get_model_version_by_alias(MODEL, "champion").version == "1"
    assert client.get_model_version(MODEL, "3").tags == {}


@pytest.mark.usefixtures("champion")
def test_a_stage_is_moved_with_a_reason(open_page: OpenPage, client: SlipstreamClient) -> None:
    client.transition_model_version_stage(MODEL, "1", "Production")
    page = open_model(open_page)
    expect(page.locator(".line")).to_have_count(3)
    page.keyboard.press("v")
    page.keyboard.press("s")
    page.get_by_label("Archive the versions").check()
    page.get_by_label("Why").fill("the old one is done")
    page.keyboard.press("Enter")

    expect(page.get_by_text("Version 3 is in Production.")).to_be_visible()
    assert client.get_model_version(MODEL, "3").current_stage == "Production"
    assert client.get_model_version(MODEL, "1").current_stage == "Archived"
    expect(page.get_by_role("button", name="Undo").last).to_be_visible()
    page.keyboard.press("Control+z")
    expect(page.locator(".line", has_text="Version 1").locator(".stage")).to_have_text("Production")
    assert client.get_model_version(MODEL, "1").current_stage == "Production"
    assert client.get_model_version(MODEL, "3").current_stage == "None"
    client.transition_model_version_stage(MODEL, "1", "None")


def test_what_others_did_is_seen_when_one_comes_back(open_page: OpenPage, client: SlipstreamClient) -> None:
    page = open_model(open_page)
    expect(page.locator(".line")).to_have_count(3)
    client.set_registered_model_alias(MODEL, "seen-live", "2")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_role("link", name="@seen-live v2")).to_be_visible()
    page.get_by_role("button", name="Take @seen-live off version 2").click()
    expect(page.get_by_role("link", name="@seen-live v2")).to_have_count(0)
    assert "seen-live" not in client.get_registered_model(MODEL).aliases


def test_a_model_that_is_not_there(open_page: OpenPage) -> None:
    page = open_page("/models/none-such", faults=False)
    expect(page.get_by_role("heading", name="There is no model none-such")).to_be_visible()
    page.get_by_role("link", name="All models").click()
    expect(page.get_by_role("grid", name="Models")).to_be_visible()


def test_a_model_without_versions_says_how_to_make_one(open_page: OpenPage) -> None:
    page = open_page("/models/empty")
    expect(page.get_by_role("heading", name="No versions yet")).to_be_visible()
    expect(page.get_by_text('registered_model_name="empty"')).to_be_visible()


def test_any_name_has_a_page(open_page: OpenPage, client: SlipstreamClient) -> None:
    name = "a b@c?d#e%41&f+é"
    client.create_registered_model(name)
    page = open_models(open_page)
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    page.close()  # it may still read the versions
    client.delete_registered_model(name)
