"""All runs that a filter finds selected at once, also those that were never loaded, and what is done with all of them."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from run_sweep import Sweep, run_name
from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient

OpenPage = Callable[..., Page]
RUNS = 500
VIT = "params.model = 'vit-s'"


@pytest.fixture(scope="module")
def sweep(server: ServerProcess) -> Sweep:
    return Sweep(server.url, RUNS)


@pytest.fixture
def table(open_page: OpenPage, sweep: Sweep) -> Callable[..., Page]:
    def open_it(query: str = "", **options: object) -> Page:
        page = open_page(f"/experiments/{sweep.experiment}{query}", **options)
        expect(page.locator(".line .run-name").first).to_be_visible()
        return page

    return open_it


def sent(page: Page) -> list[str]:
    """Note what is sent from now on, but for the reading of tables."""
    asked: list[str] = []
    page.on("request", lambda request: request.method == "POST" and asked.append(urlsplit(request.url).path))
    return asked


def count(client: SlipstreamClient, sweep: Sweep, condition: str) -> int:
    """Return how many runs are found; what the client itself has logged is at the server before."""
    return len(client.search_runs([sweep.experiment], condition, max_results=1000))


def set_tag(page: Page, key: str, value: str) -> None:
    page.get_by_role("button", name="Tag…").click()
    page.get_by_role("textbox", name="Name").fill(key)
    page.get_by_role("textbox", name="Value").fill(value)
    page.get_by_role("button", name="Set the tag").click()


def test_all_that_a_filter_finds_are_tagged_by_one_request_and_that_is_undone(
    table: Callable[..., Page], client: SlipstreamClient, sweep: Sweep
) -> None:
    had = client.search_runs([sweep.experiment], VIT, max_results=3)
    for run in had:
        client.set_tag(run.info.run_id, "checked", "before")
    assert count(client, sweep, "tags.checked = 'before'") == 3
    page = table(f"?filter={VIT}")
    expect(page.get_by_text("100 runs")).to_be_visible()
    page.keyboard.press("t")
    page.keyboard.press("x")
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.get_by_role("button", name="All 100 found").click()
    expect(page.get_by_text("100 selected")).to_be_visible()
    assert parse_qs(urlsplit(page.url).query)["all"] == [f"={VIT}"]
    expect(page.locator(".line:not(.chosen)")).to_have_count(0)

    asked = sent(page)
    set_tag(page, "checked", "yes")
    expect(page.get_by_text("100 runs tagged checked.")).to_be_visible()
    assert [each for each in asked if not each.endswith("/table")] == ["/ajax-api/slipstream/v1/runs/bulk"]
    assert count(client, sweep, "tags.checked = 'yes'") == 100

    with page.expect_response("**/runs/bulk-delete"):
        page.get_by_role("button", name="Undo").click()
    assert count(client, sweep, "tags.checked = 'before'") == 3
    assert count(client, sweep, "tags.checked = 'yes'") == 0


def test_a_tag_is_removed_from_all_and_put_back(
    table: Callable[..., Page], client: SlipstreamClient, sweep: Sweep
) -> None:
    for run in client.search_runs([sweep.experiment], VIT, max_results=2):
        client.set_tag(run.info.run_id, "draft", "1")
    assert count(client, sweep, "tags.draft = '1'") == 2
    page = table(f"?filter={VIT}&all=%3D{VIT}")
    page.get_by_role("button", name="Tag…").click()
    page.get_by_role("textbox", name="Name").fill("draft")
    page.get_by_role("button", name="Remove the tag").click()
    expect(
        page.get_by_text("2 runs without the tag draft now. The other 98 were so already.")
    ).to_be_visible()
    assert count(client, sweep, "tags.draft = '1'") == 0
    with page.expect_response("**/runs/bulk"):
        page.get_by_role("button", name="Undo").click()
    assert count(client, sweep, "tags.draft = '1'") == 2


def test_ctrl_a_selects_all_and_a_run_is_taken_out_again(
    table: Callable[..., Page],
    client: SlipstreamClient,
    sweep: Sweep,
    violations: Callable[[Page], list[str]],
) -> None:
    page = table()
    page.keyboard.press("t")
    page.keyboard.press("Control+a")
    expect(page.get_by_text(f"{RUNS} selected")).to_be_visible()
    assert page.evaluate("getSelection().toString()") == ""
    assert violations(page) == []
    page.keyboard.press("x")
    expect(page.get_by_text(f"{RUNS - 1} selected")).to_be_visible()
    page.evaluate("document.querySelector('.grid').scrollTop = 1e9")
    expect(page.get_by_role("checkbox", name=f"Select {run_name(0)}", exact=True)).to_be_checked()
    page.reload()
    expect(page.get_by_text(f"{RUNS - 1} selected")).to_be_visible()
    expect(page.locator(".line").first).not_to_contain_class("chosen")

    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text(f"{RUNS - 1} runs moved to the trash.")).to_be_visible()
    expect(page.get_by_text("1 run", exact=True)).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text(f"{RUNS} runs", exact=True)).to_be_visible()
    page.keyboard.press("t")
    page.keyboard.press("Control+a")
    page.keyboard.press("Control+a")
    expect(page.get_by_role("group", name="Selected runs")).to_have_count(0)


def test_runs_that_are_named_and_found_count_once(
    table: Callable[..., Page], client: SlipstreamClient, sweep: Sweep
) -> None:
    first = client.search_runs([sweep.experiment], f"{VIT} AND params.optimizer = 'sgd'", max_results=2)
    other = client.search_runs([sweep.experiment], f"{VIT} AND params.optimizer = 'lion'", max_results=1)
    named = ",".join(run.info.run_id for run in [*first, *other])
    sgd, lion = (f"%3D{VIT} AND params.optimizer = '{each}'" for each in ("sgd", "lion"))

    # two of them are in the group, one is not
    page = table(f"?filter={VIT}&by=params.optimizer&chosen={named}&all={sgd}")
    expect(page.get_by_text("26 selected")).to_be_visible()
    set_tag(page, "counted", "once")
    expect(page.get_by_text("26 runs tagged counted.")).to_be_visible()
    assert count(client, sweep, "tags.counted = 'once'") == 26

    # what was taken out of a group that is not selected any more is not missing from another
    page = table(f"?filter={VIT}&by=params.optimizer&all={lion}&but={named}")
    expect(page.get_by_text("24 selected")).to_be_visible()
    set_tag(page, "counted", "without")
    expect(page.get_by_text("24 runs tagged counted.")).to_be_visible()
    assert count(client, sweep, "tags.counted = 'without'") == 24


def test_nothing_is_done_when_others_are_found_than_were_seen(
    table: Callable[..., Page], client: SlipstreamClient, sweep: Sweep
) -> None:
    page = table("?filter=tags.batch IS NULL", faults=False)
    page.keyboard.press("t")
    page.keyboard.press("Control+a")
    expect(page.get_by_text(f"{RUNS} selected")).to_be_visible()
    page.route("**/runs/table", lambda route: route.abort())  # what changes is not seen
    client.set_tag(sweep.run_ids[0], "batch", "1")
    assert count(client, sweep, "tags.batch = '1'") == 1
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text(f"{RUNS - 1} runs are found now, and {RUNS} were expected")).to_be_visible()
    assert count(client, sweep, "") == RUNS
    client.delete_tag(sweep.run_ids[0], "batch")


def test_the_runs_of_groups_are_moved_together(
    table: Callable[..., Page], client: SlipstreamClient, sweep: Sweep
) -> None:
    other = client.create_experiment("of groups")
    page = table("?by=params.model")
    page.keyboard.press("t")
    page.keyboard.press("x")
    expect(page.get_by_text("100 selected")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.get_by_text("200 selected")).to_be_visible()
    expect(page.locator(".line.chosen")).to_have_count(2)
    page.keyboard.press("ArrowRight")
    expect(page.locator(".line.chosen .twist[aria-label^='Hide']")).to_have_count(1)
    expect(page.locator(".line:has(a):not(.chosen)")).to_have_count(0)

    page.get_by_role("button", name="Move…").click()
    page.get_by_role("combobox", name="To the experiment").select_option("of groups")
    page.get_by_role("button", name="Move", exact=True).click()
    expect(page.get_by_text("200 runs moved.")).to_be_visible()
    assert len(client.search_runs([other], max_results=1000)) == 200
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text(f"5 groups of {RUNS} runs")).to_be_visible()
    assert client.search_runs([other]) == []


def test_runs_are_moved_to_an_experiment_among_very_many(
    table: Callable[..., Page],
    client: SlipstreamClient,
    sweep: Sweep,
    violations: Callable[[Page], list[str]],
) -> None:
    first = client.create_experiment("many, the first")
    for number in range(101):
        client.create_experiment(f"many {number}")
    page = table(f"?chosen={sweep.run_ids[0]}")

    page.get_by_role("button", name="Move…").click()
    to = page.get_by_role("combobox", name="To the experiment")
    expect(to.get_by_role("option", name="Choose one of the 100 latest of")).to_be_attached()
    expect(to.get_by_role("option", name="many, the first")).to_have_count(0)
    page.get_by_role("searchbox", name="Experiments whose names contain").fill("the first")
    expect(to.get_by_role("option")).to_have_text(["Choose one", "many, the first"])
    to.select_option("many, the first")
    assert violations(page) == []
    # what is not shown any more is not chosen any more
    page.get_by_role("searchbox").fill("many 1")
    expect(page.get_by_role("button", name="Move", exact=True)).to_be_disabled()
    page.get_by_role("searchbox").fill("the first")
    expect(to).to_have_value(first)
    page.get_by_role("button", name="Move", exact=True).click()
    expect(page.get_by_text("1 run moved.")).to_be_visible()
    assert client.get_run(sweep.run_ids[0]).info.experiment_id == first
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text(f"{RUNS} runs", exact=True)).to_be_visible()
