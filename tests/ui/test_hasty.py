"""People in a hurry: clicks that come twice, keys that come before the page, going on before the answer is there."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from slipstream.client.client import SlipstreamClient

OpenPage = Callable[..., Page]
REFUSED = {"status": 502, "content_type": "text/html", "body": "<h1>502 Bad Gateway</h1>"}


def refuse(page: Page, pattern: str) -> None:
    page.route(pattern, lambda route: route.fulfill(**REFUSED))  # pyright: ignore[reportArgumentType]


def hold(page: Page, pattern: str) -> list[Route]:
    held: list[Route] = []
    page.route(pattern, lambda route: held.append(route))  # noqa: PLW0108  # it marks what it is given
    return held


def centre(place: Locator) -> tuple[float, float]:
    box = place.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def slow(page: Page) -> None:
    """A device that takes its time to draw."""
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 20})


@pytest.fixture
def run(client: SlipstreamClient) -> str:
    run = client.create_run("0", run_name="in a hurry").info.run_id
    client.set_terminated(run)
    return run


def test_a_double_click_deletes_one_experiment_and_opens_none(
    open_page: OpenPage, client: SlipstreamClient
) -> None:
    made = [client.create_experiment(f"twice-{number}") for number in range(3)]
    page = open_page("/experiments?search=twice-")
    rows = page.locator(".grid .line")
    expect(rows).to_have_count(3)
    page.mouse.move(*centre(rows.nth(0).get_by_role("button", name="Delete")))
    page.mouse.down(click_count=1)
    page.mouse.up(click_count=1)
    expect(rows).to_have_count(2)  # the next one is under the pointer now
    page.mouse.down(click_count=2)
    page.mouse.up(click_count=2)
    # a click by itself is one
    page.mouse.click(*centre(rows.nth(1).get_by_role("button", name="Delete")))
    expect(rows).to_have_count(1)
    stages = [client.get_experiment(each).lifecycle_stage for each in made]
    assert stages.count("active") == 1
    assert page.url.endswith("/experiments?search=twice-")


def test_a_tag_that_comes_under_the_pointer_is_not_removed(
    open_page: OpenPage, client: SlipstreamClient, run: str
) -> None:
    for key in ("a", "b", "c"):
        client.set_tag(run, key, "same")
    page = open_page(f"/runs/{run}")
    remove = page.get_by_role("button", name="Remove tag")
    expect(remove).to_have_count(3)
    page.mouse.move(*centre(remove.first))
    page.mouse.down(click_count=1)
    page.mouse.up(click_count=1)
    expect(remove).to_have_count(2)
    page.mouse.down(click_count=2)
    page.mouse.up(click_count=2)
    page.mouse.click(*centre(remove.nth(1)))
    expect(remove).to_have_count(1)
    assert set(client.get_run(run).data.tags) & {"a", "b", "c"} == {"b"}


def test_two_quick_clicks_on_a_box_open_no_run(
    open_page: OpenPage, client: SlipstreamClient, run: str
) -> None:
    client.create_run("0", run_name="beside it")
    page = open_page(f"/experiments/0?chosen={run}")  # the bar of what is selected is there already
    box = page.locator(".grid .line input[type=checkbox]:not(:checked)").first
    bar = page.get_by_role("group", name="Selected runs")
    expect(bar).to_contain_text("1 selected")
    box.dblclick()
    expect(bar).to_contain_text("1 selected")
    box.click()
    expect(bar).to_contain_text("2 selected")
    assert "/runs/" not in page.url


@pytest.mark.parametrize("what", ["tag", "name", "view", "tag of many", "experiment"])
def test_what_was_typed_stays_when_it_cannot_be_kept(open_page: OpenPage, run: str, what: str) -> None:
    page = open_page(
        {
            "tag": f"/runs/{run}",
            "name": f"/runs/{run}",
            "view": "/experiments/0?order=-attributes.start_time",
            "tag of many": f"/experiments/0?chosen={run}",
            "experiment": "/experiments",
        }[what],
        faults=False,
    )
    refuse(page, "**/ajax-api/2.0/mlflow/**")
    refuse(page, "**/runs/bulk")
    if what == "tag":
        page.get_by_role("button", name="+ tag").click()
        page.get_by_role("textbox", name="Name of the tag").fill("key")
        typed = page.get_by_role("textbox", name="Value of the tag")
    elif what == "name":
        expect(page.get_by_role("heading", name="in a hurry")).to_be_visible()
        page.keyboard.press("r")
        typed = page.get_by_role("textbox", name="Name of the run")
    elif what == "view":
        page.get_by_role("combobox", name="View").select_option("save")
        typed = page.get_by_role("dialog").get_by_role("textbox")
    elif what == "tag of many":
        page.get_by_role("button", name="Tag…").click()
        page.get_by_role("textbox", name="Name").fill("key")
        typed = page.get_by_role("textbox", name="Value")
    else:
        page.get_by_role("button", name="New experiment").click()
        typed = page.get_by_role("dialog").get_by_role("textbox")
    typed.fill("typed with care")
    typed.press("Enter")
    expect(page.get_by_text("answered 502").first).to_be_visible()
    expect(typed).to_have_value("typed with care")
    page.unroute_all()
    typed.press("Enter")
    expect(typed).to_have_count(0)


def test_enter_pressed_twice_names_and_tags_once(open_page: OpenPage, run: str) -> None:
    page = open_page(f"/runs/{run}")
    sent: list[str] = []
    held = hold(page, "**/ajax-api/2.0/mlflow/runs/*")
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    expect(page.get_by_role("heading", name="in a hurry")).to_be_visible()
    page.keyboard.press("r")
    page.keyboard.type("in no hurry")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="+ tag").click()
    page.get_by_role("textbox", name="Name of the tag").fill("key")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Value of the tag")).to_be_visible()
    for route in held:
        route.continue_()
    expect(page.get_by_role("heading", name="in no hurry")).to_be_visible()
    expect(page.get_by_role("textbox", name="Name of the tag")).to_have_count(0)
    assert [each.rsplit("/", 1)[1] for each in sent if "/runs/" in each] == ["update", "set-tag"]


def test_who_has_gone_on_is_not_taken_elsewhere(open_page: OpenPage) -> None:
    page = open_page("/experiments")
    held = hold(page, "**/experiments/create")
    page.get_by_role("button", name="New experiment").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("slowly made")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    for route in held:
        route.continue_()
    expect(page.get_by_text("The experiment slowly made is made.")).to_be_visible()
    assert page.url.endswith("/experiments")


def test_a_selection_made_meanwhile_stays(open_page: OpenPage, client: SlipstreamClient) -> None:
    first, second = (client.create_run("0", run_name=f"chosen {at}").info.run_id for at in (1, 2))
    page = open_page(f"/experiments/0?chosen={first}")
    held = hold(page, "**/runs/bulk-delete")
    page.get_by_role("group", name="Selected runs").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Working on")).to_be_visible()
    page.get_by_role("checkbox", name="chosen 2").check()
    for route in held:
        route.continue_()
    expect(page.get_by_text("1 run moved to the trash.")).to_be_visible()
    expect(page.get_by_role("checkbox", name="chosen 2")).to_be_checked()
    assert second in page.url


def test_letters_typed_at_once_go_where_they_were_meant_to(open_page: OpenPage, run: str) -> None:
    page = open_page("/experiments/0")
    expect(page.get_by_role("link", name="in a hurry").first).to_be_visible()
    slow(page)
    page.keyboard.press("Control+k")
    page.keyboard.type("settings")
    expect(page.get_by_role("combobox", name="Go to")).to_have_value("settings")
    page.keyboard.press("Escape")
    box = page.get_by_role("combobox", name="Filter")
    box.fill("attributes.status = 'FINISHED'")
    page.keyboard.press("Enter")
    page.keyboard.type(" AND")
    expect(page).to_have_url(re.compile("filter="))
    expect(box).to_have_value("attributes.status = 'FINISHED' AND")


def test_the_last_search_wins(open_page: OpenPage, client: SlipstreamClient) -> None:
    for name in ("winner one", "winner two"):
        client.create_experiment(name)
    page = open_page("/experiments")
    expect(page.get_by_role("link", name="winner one")).to_be_visible()
    held = hold(page, "**/experiments/overview?*search=winner&*")
    box = page.get_by_role("searchbox")
    box.fill("winner")
    expect(page.get_by_role("link", name="Default")).to_be_visible()  # until there is something else
    box.fill("winner two")
    expect(page.get_by_role("link", name="Default")).to_have_count(0)
    for route in held:
        route.continue_()
    expect(page.get_by_role("link", name="winner two")).to_be_visible()
    expect(page.get_by_role("link", name="winner one")).to_have_count(0)
