"""What people meet on a bad day: a server that is away or refuses, hostile names, two who write at once, a screen in high contrast."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, Route, expect

from free_port import free_port
from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient
from slipstream.client.connect import close_all

OpenPage = Callable[..., Page]
Violations = Callable[[Page], list[str]]

GATEWAY = "<html><head><title>504 Gateway Time-out</title></head><body><h1>504</h1></body></html>"
LONG = "a-name-that-does-not-end-" * 9
NAMES = ("a/b c 50%", "q?x=1&y=2#1", "smile 😀 שלום עולם", LONG)
NO_ANSWER = {"total": 1, "offset": 0, "cursor": 0, "experiments": [None]}
ANSWERS = {
    "a gateway's page": ({"status": 504, "content_type": "text/html", "body": GATEWAY}, "answered 504"),
    "a page to sign in": ({"status": 200, "content_type": "text/html", "body": "<p>Who?"}, "sign in"),
    "a refusal": (
        {"status": 403, "json": {"error_code": "PERMISSION_DENIED", "message": "It is not for you."}},
        "It is not for you.",
    ),
}


def refuse_all(page: Page, **answer: object) -> None:
    page.route("**/ajax-api/**", lambda route: route.fulfill(**answer))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("kind", ANSWERS)
def test_every_page_says_what_went_wrong(open_page: OpenPage, violations: Violations, kind: str) -> None:
    answer, message = ANSWERS[kind]
    page = open_page("/settings", faults=False)
    refuse_all(page, **answer)
    origin = page.url.removesuffix("/settings")
    for path in (
        *("/", "/experiments", "/experiments/0", "/experiments/0/runs/abc", "/experiments/0?view=charts"),
        *("/models", "/models/m", "/models/m/versions/1", "/serving"),
    ):
        page.goto(origin + path)
        expect(page.get_by_role("alert").filter(has_text=message).first, path).to_be_visible()
        expect(page.locator(".skeleton"), path).to_have_count(0)
        assert violations(page) == [], path


def test_a_page_that_cannot_be_drawn_leaves_the_others_alone(
    open_page: OpenPage, violations: Violations
) -> None:
    page = open_page("/settings", faults=False)
    page.route("**/experiments/overview**", lambda route: route.fulfill(json=NO_ANSWER))
    page.get_by_role("link", name="Experiments").click()

    expect(page.get_by_role("alert")).to_contain_text("This page could not be drawn")
    assert violations(page) == []
    page.get_by_role("link", name="Models").click()
    expect(page.get_by_role("heading", name="Models", exact=True)).to_be_visible()
    page.unroute_all()
    page.get_by_role("link", name="Experiments").click()
    expect(page.get_by_role("link", name="Default")).to_be_visible()


def test_a_failure_is_got_over_by_trying_again(open_page: OpenPage) -> None:
    page = open_page("/settings", faults=False)
    origin = page.url.removesuffix("/settings")
    # what a server that is away answers would be asked again without anybody doing anything
    refuse_all(page, status=403, body="")
    page.goto(origin + "/experiments/0")
    expect(page.get_by_role("alert").first).to_contain_text("answered 403")
    page.unroute_all()
    page.get_by_role("button", name="Try again").first.click()
    expect(page.get_by_role("heading", name="Default")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_part_that_cannot_be_loaded_leaves_the_others(open_page: OpenPage) -> None:
    page = open_page("/experiments", faults=False)
    expect(page.get_by_role("heading", name="Experiments")).to_be_visible()
    page.route("**/assets/**", lambda route: route.abort())
    page.get_by_role("link", name="Serving").click()
    expect(page.get_by_role("alert")).to_contain_text("could not be loaded")
    page.get_by_role("link", name="Experiments", exact=True).click()
    expect(page.get_by_role("heading", name="Experiments")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_what_is_no_page_can_be_read_by_all(
    open_page: OpenPage, violations: Violations, server: ServerProcess
) -> None:
    page = open_page("/no/such/thing", faults=False)
    expect(page.get_by_role("heading", name="404 Not Found")).to_be_visible()
    assert violations(page) == []
    page.goto(server.url + "/experiments/0/no/such/thing/at/all")
    expect(page.get_by_role("heading", name="There is no such page", level=1)).to_be_visible()
    assert violations(page) == []


def test_names_of_all_kinds(open_page: OpenPage, violations: Violations, client: SlipstreamClient) -> None:
    page = open_page("/experiments")
    origin = page.url.removesuffix("/experiments")
    for name in NAMES:
        experiment = client.create_experiment(name)
        run = client.create_run(experiment, run_name=name).info.run_id
        client.log_text(run, "hello", "50% #1?.txt")
        client.set_terminated(run)
        page.goto(f"{origin}/experiments")
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
        page.get_by_role("treegrid").get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
        assert page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0
        page.goto(f"{origin}/runs/{run}")
        page.get_by_role("link", name="Artifacts").click()
        page.get_by_text("50% #1?.txt").first.click()
        expect(page.get_by_text("hello")).to_be_visible()
    assert violations(page) == []


def test_a_long_name_of_a_model_leaves_its_page_in_shape(
    open_page: OpenPage, client: SlipstreamClient, violations: Violations
) -> None:
    run = client.create_run("0").info
    client.log_text(run.run_id, "flavors: {}\n", "model/MLmodel")
    client.set_terminated(run.run_id)
    client.create_registered_model(LONG)
    client.create_model_version(LONG, source=f"{run.artifact_uri}/model", run_id=run.run_id)
    page = open_page(f"/models/{quote(LONG)}/versions/1")
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        expect(page.get_by_role("heading", name="Version 1")).to_be_visible()
        expect(page.get_by_role("region", name="About")).to_be_visible()
        assert page.evaluate("main.scrollWidth - main.clientWidth") <= 0
        about = page.get_by_role("region", name="About").bounding_box()
        assert about is not None
        assert about["x"] + about["width"] <= width
    assert violations(page) == []


def test_an_experiment_in_the_trash_says_so_and_comes_back(
    open_page: OpenPage, client: SlipstreamClient, violations: Violations
) -> None:
    experiment = client.create_experiment("thrown away")
    run = client.create_run(experiment, run_name="still there").info.run_id
    client.set_terminated(run)
    client.delete_experiment(experiment)
    page = open_page(f"/experiments/{experiment}")
    expect(page.get_by_role("heading", name="This experiment is in the trash")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_role("link", name="still there")).to_be_visible()


def test_first_steps_of_an_experiment_log_to_it(open_page: OpenPage, client: SlipstreamClient) -> None:
    name = 'all "new"'
    page = open_page(f"/experiments/{client.create_experiment(name)}")
    steps = page.get_by_role("region", name="A first run in Python")
    expect(steps).to_contain_text('set_experiment("all \\"new\\"")')


def test_text_is_copied_where_browsers_have_no_clipboard(open_page: OpenPage) -> None:
    page = open_page("/settings")
    page.add_init_script("Object.defineProperty(Navigator.prototype, 'clipboard', {get: () => undefined})")
    page.goto(page.url.removesuffix("/settings") + "/serving")
    page.get_by_role("button", name="Copy").first.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").press("Control+v")
    expect(page.get_by_role("combobox")).to_have_value(re.compile("slipstream models serve"))


def test_a_token_that_is_no_longer_good_is_asked_for_again(open_page: OpenPage) -> None:
    page = open_page("/experiments", faults=False)
    expect(page.get_by_role("heading", name="Experiments")).to_be_visible()
    refuse_all(page, status=401, json={"error_code": "UNAUTHENTICATED", "message": "Who are you?"})
    ask = page.get_by_role("dialog", name="This server asks for its token")
    for to in ("Models", "Serving"):
        # what is behind an open dialog takes no clicks, and a late answer may have opened it anew
        page.locator(f"nav a:text-is('{to}')").evaluate("link => link.click()")
        expect(ask).to_be_visible()
        page.keyboard.press("Escape")


def test_two_who_write_the_same_notes(
    open_page: OpenPage, client: SlipstreamClient, violations: Violations
) -> None:
    run = client.create_run("0", run_name="noted").info.run_id
    client.set_tag(run, "mlflow.note.content", "First.")
    page = open_page(f"/experiments/0/runs/{run}")
    expect(page.get_by_text("First.")).to_be_visible()
    page.keyboard.press("n")
    area = page.get_by_role("textbox", name="Notes in Markdown")
    expect(area).to_be_focused()
    page.keyboard.type("Mine. ")
    client.set_tag(run, "mlflow.note.content", "Theirs.")
    warning = page.get_by_role("alert")
    expect(warning).to_contain_text("changed this meanwhile")
    expect(warning).to_contain_text("Theirs.")
    assert "Mine." in area.input_value()
    assert violations(page) == []
    page.get_by_role("button", name="Save mine all the same").click()
    expect(page.get_by_text("The notes are saved.")).to_be_visible()
    assert "Mine." in client.get_run(run).data.tags["mlflow.note.content"]
    page.keyboard.press("Control+z")
    expect(page.get_by_text("Theirs.")).to_be_visible()


def test_back_and_forth_while_pages_are_on_their_way(open_page: OpenPage, client: SlipstreamClient) -> None:
    run = client.create_run("0", run_name="far away").info.run_id
    page = open_page("/experiments", faults=False)
    held: list[Route] = []
    page.route("**/runs/get*", lambda route: held.append(route))  # noqa: PLW0108  # it marks what it is given
    page.goto(page.url.removesuffix("/experiments") + "/experiments/0")
    page.get_by_role("link", name="far away").click()
    page.wait_for_url(f"**/runs/{run}*")
    page.go_back()
    expect(page.get_by_role("treegrid")).to_be_visible()
    page.go_forward()
    page.go_back()
    page.unroute_all()
    for route in held:
        route.abort()
    expect(page.get_by_role("heading", name="Default")).to_be_visible()
    page.go_forward()
    expect(page.get_by_role("heading", name="far away")).to_be_visible()


def test_a_double_click_deletes_once(open_page: OpenPage, client: SlipstreamClient) -> None:
    run = client.create_run("0", run_name="hasty").info.run_id
    page = open_page(f"/runs/{run}", faults=False)
    page.get_by_role("button", name="Delete").dblclick()
    expect(page.get_by_text("This run is in the trash.")).to_be_visible()
    expect(page.locator(".toast.failed")).to_have_count(0)


def test_a_page_lives_on_when_its_server_comes_back(open_page: OpenPage, tmp_path: Path) -> None:
    port = ("--port", str(free_port()))
    server = ServerProcess(tmp_path, "--durability", "normal", *port)
    page = open_page("/", faults=False, url=server.url)
    try:
        expect(page.get_by_role("heading", name="This server is ready")).to_be_visible()
        server.kill()
        page.keyboard.press("g")
        page.keyboard.press("e")
        expect(page.get_by_role("alert").first).to_be_visible()
        page.go_back()
        server = ServerProcess(tmp_path, "--durability", "normal", *port)
        SlipstreamClient(server.url).create_run("0", run_name="after all")
        expect(page.get_by_role("link", name="after all")).to_be_visible(timeout=60_000)
    finally:
        page.close()
        close_all()
        server.stop()


def test_signs_are_seen_in_high_contrast(open_page: OpenPage, client: SlipstreamClient) -> None:
    client.set_terminated(client.create_run("0", run_name="contrasted").info.run_id)
    page = open_page("/experiments/0", forced_colors="active")
    expect(page.get_by_role("link", name="contrasted")).to_be_visible()
    sign = "getComputedStyle(document.querySelector('.status.FINISHED'), '::before').backgroundColor"
    assert page.evaluate(sign) not in ("rgba(0, 0, 0, 0)", "rgb(255, 255, 255)", "rgb(0, 0, 0)")
    background = "getComputedStyle(document.querySelector('.grid .line')).backgroundColor"
    before = page.evaluate(background)
    page.keyboard.press("t")
    page.keyboard.press("x")
    expect(page.get_by_role("group", name="Selected runs")).to_be_visible()
    assert page.evaluate(background) != before
