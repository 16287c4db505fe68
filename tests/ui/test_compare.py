"""The page that compares runs: differences first, all runs in sight, brushes, code and packages beside each other."""

import base64
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from run_sweep import Sweep, run_name
from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient
from slipstream.entities import Metric, Param

OpenPage = Callable[..., Page]
RUNS = 20
DOT = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw==")
"""The smallest picture."""


@pytest.fixture(scope="module")
def sweep(server: ServerProcess) -> Sweep:
    return Sweep(server.url, RUNS, name="compared", steps=30)


@pytest.fixture
def compared(open_page: OpenPage, sweep: Sweep) -> Callable[..., Page]:
    def open_it(query: str = "", *, count: int = RUNS, **options: object) -> Page:
        page = open_page(f"/compare?runs={','.join(sweep.run_ids[:count])}{query}", **options)
        expect(page.get_by_role("heading", name=f"Compare {count} runs")).to_be_visible()
        return page

    return open_it


def of_address(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def heads(page: Page) -> list[str]:
    return page.locator(".diff-table thead tr").last.locator("th").all_inner_texts()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing(
    compared: Callable[..., Page], violations: Callable[[Page], list[str]], scheme: str, width: int
) -> None:
    page = compared("&show=importance", color_scheme=scheme, viewport={"width": width, "height": 900})
    for summary in page.locator("details.part > summary").all():
        summary.click()
    expect(page.get_by_text("No run has logged a dataset.")).to_be_visible()
    expect(page.get_by_text("Neither run has a text file")).to_be_visible()

    assert violations(page) == []
    assert page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0


def test_twenty_runs_are_all_in_sight_with_what_differs(compared: Callable[..., Page], sweep: Sweep) -> None:
    page = compared()

    rows = page.locator(".diff-table tbody th a")
    expect(rows).to_have_count(RUNS)
    assert sorted(rows.all_inner_texts()) == sorted(run_name(number) for number in range(RUNS))
    for row in rows.all():
        expect(row).to_be_in_viewport(ratio=1)
    shown = heads(page)
    assert {"model", "optimizer", "lr", "val/acc"} <= set(shown)
    assert "epochs" not in shown  # the same in all
    assert shown.index("lr") < shown.index("val/acc")
    page.get_by_text("is the same in all runs").or_(page.get_by_text("are the same in all runs")).click()
    expect(page.get_by_role("term").filter(has_text="params.epochs")).to_be_visible()


def test_the_others_are_measured_by_a_base(compared: Callable[..., Page], sweep: Sweep) -> None:
    page = compared()

    page.get_by_role("button", name=f"Measure the others by {run_name(3)}").click()

    assert of_address(page)["base"] == sweep.run_ids[3]
    expect(page.locator("tr.base th a")).to_have_text(run_name(3))
    changes = page.locator(".diff-table td small").all_inner_texts()
    assert len(changes) > RUNS
    assert all(re.fullmatch(r"[+−][\d.e−]+%?", each.strip()) for each in changes)


def test_columns_sort_and_runs_are_taken_out(compared: Callable[..., Page]) -> None:
    page = compared()
    column = heads(page).index("val/acc")

    page.get_by_role("columnheader", name="val/acc").get_by_role("button").click()
    expect(page.get_by_role("columnheader", name="val/acc")).to_have_attribute("aria-sort", "descending")
    values = [
        float(row.locator("th, td").nth(column).inner_text())
        for row in page.locator(".diff-table tbody tr").all()
    ]
    assert values == sorted(values, reverse=True)
    page.get_by_role("button", name=f"Take {run_name(0)} out").click()
    expect(page.get_by_role("heading", name=f"Compare {RUNS - 1} runs")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name=f"Compare {RUNS} runs")).to_be_visible()


def test_a_brush_leaves_runs_out_everywhere(compared: Callable[..., Page]) -> None:
    page = compared()
    page.locator("#parallel").scroll_into_view_if_needed()
    surface = page.locator(".parallel canvas").bounding_box()
    assert surface
    x = surface["x"] + surface["width"] - 60  # the last axis, that of the target

    page.mouse.move(x, surface["y"] + 16)
    page.mouse.down()
    page.mouse.move(x, surface["y"] + 90, steps=4)
    page.mouse.up()

    page.wait_for_url(re.compile("brush="))
    left = page.locator(".diff-table tr.dimmed").count()
    assert 0 < left < RUNS
    expect(page.get_by_text(f"{RUNS - left} runs are within the brush")).to_be_visible()
    page.reload()
    expect(page.locator(".diff-table tr.dimmed")).to_have_count(left)
    page.get_by_role("button", name="Show all runs").click()
    expect(page.locator(".diff-table tr.dimmed")).to_have_count(0)


def test_axes_are_moved_by_keys(compared: Callable[..., Page]) -> None:
    page = compared()
    names = page.locator(".axis-names button")
    before = names.all_inner_texts()

    names.first.focus()
    page.keyboard.press("ArrowRight")

    expect(names.first).to_have_text(before[1])
    assert names.all_inner_texts() == [before[1], before[0], *before[2:]]
    names.first.focus()
    page.keyboard.press("Delete")
    expect(names).to_have_count(len(before) - 1)


def test_a_run_that_is_pointed_at_is_lit(compared: Callable[..., Page]) -> None:
    page = compared()
    canvas = page.locator(".parallel canvas")
    before = canvas.evaluate("canvas => canvas.toDataURL()")

    page.locator(".diff-table tbody tr").nth(4).hover()

    expect(page.locator(".diff-table tr.lit")).to_have_count(1)
    page.wait_for_function(
        "([canvas, before]) => canvas.toDataURL() !== before", arg=[canvas.element_handle(), before]
    )


@pytest.mark.parametrize("what", ["Scatter", "Contour", "Importance", "Bars", "Histogram"])
def test_what_goes_together_is_drawn(compared: Callable[..., Page], what: str) -> None:
    page = compared()

    page.get_by_role("button", name=what, exact=True).click()

    drawing = page.locator(".drawing canvas")
    drawing.scroll_into_view_if_needed()
    inks = drawing.evaluate(
        """canvas => new Set(new Uint32Array(
            canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size"""
    )
    assert inks > 10
    if what == "Importance":
        expect(page.get_by_text("Rank correlation (Spearman)")).to_be_visible()
        assert "lr" in (page.locator(".drawing .surface").get_attribute("aria-label") or "")


def test_code_packages_data_and_files_are_beside_each_other(
    open_page: OpenPage, server: ServerProcess, tmp_path: Path
) -> None:
    client = SlipstreamClient(server.url)
    ids = []
    for number, (lock, patch, prompt) in enumerate(
        [
            ("numpy==2.1.0\ntorch==2.5.0\n", "+old\n", "a\nb\nc\n"),
            ("numpy==2.2.0\ntorch==2.5.0\n", "+new\n", "a\nX\nc\n"),
        ]
    ):
        run = client.create_run(
            "0", run_name=f"side-{number}", tags={"mlflow.source.git.commit": str(number) * 40}
        )
        ids.append(run.info.run_id)
        client.log_batch(
            ids[-1], metrics=[Metric("loss", number + 0.5, 1, 0)], params=[Param("lr", f"0.{number + 1}")]
        )
        for folder, name, text in [
            ("context", "requirements.lock", lock),
            ("context", "diff.patch", patch),
            ("", "prompt.txt", prompt),
        ]:
            (tmp_path / name).write_text(text, "utf-8")
            client.log_artifact(ids[-1], str(tmp_path / name), folder or None)
    page = open_page(f"/compare?runs={','.join(ids)}")

    page.get_by_text("Code and packages").click()

    expect(page.get_by_text("1 package differs")).to_be_visible()
    packages = page.get_by_role("region", name="Packages that differ")
    expect(packages.get_by_role("row").last).to_have_text(re.compile(r"numpy\s*2\.1\.0\s*2\.2\.0"))
    expect(page.get_by_text("000000000000")).to_be_visible()
    expect(page.get_by_role("region", name="Uncommitted changes").last.locator(".added")).to_contain_text(
        "+new"
    )
    page.get_by_text("Files", exact=True).last.click()
    changed = page.get_by_role("region", name="prompt.txt")
    expect(changed.locator(".removed code")).to_have_text("b")
    expect(changed.locator(".added code")).to_have_text("X")


def test_runs_of_two_experiments_and_missing_ones(
    open_page: OpenPage, sweep: Sweep, server: ServerProcess
) -> None:
    client = SlipstreamClient(server.url)
    other = client.create_run(client.create_experiment("elsewhere"), run_name="elsewhere").info.run_id

    page = open_page(f"/compare?runs={sweep.run_ids[0]},{other},{sweep.run_ids[1]},{'f' * 32}", faults=False)

    expect(page.get_by_role("heading", name="Compare 3 runs")).to_be_visible()
    expect(page.get_by_text("1 run is not there")).to_be_visible()
    expect(page.get_by_role("rowheader", name="elsewhere")).to_be_visible()


def test_a_hundred_runs_are_one_request(open_page: OpenPage, server: ServerProcess) -> None:
    many = Sweep(server.url, 100, name="a hundred compared", steps=2)
    page = open_page("/settings")
    asked: list[str] = []
    page.on(
        "request", lambda request: asked.append(urlsplit(request.url).path) if "api" in request.url else None
    )

    page.goto(f"{server.url}/compare?runs={','.join(many.run_ids)}")

    expect(page.get_by_role("heading", name="Compare 100 runs")).to_be_visible()
    expect(page.locator(".diff-table tbody tr")).to_have_count(100)
    assert [each for each in asked if "/runs/" in each] == ["/ajax-api/slipstream/v1/runs/compare"]


def test_what_may_not_be_read_is_named_and_the_rest_is_shown(open_page: OpenPage, sweep: Sweep) -> None:
    page = open_page("/settings", faults=False)
    closed = sweep.run_ids[1]

    def answer(route: Route) -> None:
        if closed in route.request.url or closed in (route.request.post_data or ""):
            route.fulfill(
                status=403, json={"error_code": "PERMISSION_DENIED", "message": "You may not read this run."}
            )
        else:
            route.continue_()

    page.route(re.compile("runs/(compare|get)"), answer)
    page.goto(f"{page.url.removesuffix('/settings')}/compare?runs={','.join(sweep.run_ids[:3])},{'f' * 32}")

    expect(page.get_by_role("heading", name="Compare 2 runs")).to_be_visible()
    expect(page.get_by_text(f"1 run may not be read by you: {closed[:8]}")).to_be_visible()
    expect(page.get_by_text("1 run is not there")).to_be_visible()
    expect(page.locator(".diff-table tbody tr")).to_have_count(2)


def test_media_by_step_are_under_one_slider(
    open_page: OpenPage, server: ServerProcess, tmp_path: Path, violations: Callable[[Page], list[str]]
) -> None:
    client = SlipstreamClient(server.url)
    ids = []
    for name, steps in {"often": (0, 5, 10), "seldom": (0, 10), "late": (10,)}.items():
        ids.append(client.create_run("0", run_name=name).info.run_id)
        for step in steps:
            picture = tmp_path / f"sample%step%{step}%timestamp%1790000000000%{step:032x}.gif"
            picture.write_bytes(DOT)
            client.log_artifact(ids[-1], str(picture), "images")
    page = open_page(f"/compare?runs={','.join(ids)}")
    page.get_by_text("Images, sounds and tables by step").click()
    pictures = page.get_by_role("region", name="sample").get_by_role("img")
    expect(pictures).to_have_count(3)
    slider = page.get_by_role("slider", name="Step")

    slider.focus()
    page.keyboard.press("ArrowLeft")

    expect(page.locator("figure").filter(has_text="often").get_by_role("img")).to_have_attribute(
        "alt", "sample of often at step 5"
    )
    expect(page.locator("figure").filter(has_text="seldom")).to_contain_text("step 0")
    expect(page.locator("figure").filter(has_text="late")).to_contain_text("none up to this step")
    expect(pictures).to_have_count(2)
    assert of_address(page)["step"] == "5"
    assert violations(page) == []
    page.reload()
    page.get_by_text("Images, sounds and tables by step").click()
    expect(pictures).to_have_count(2)


def test_pictures_stay_with_their_runs_while_others_are_listed(
    open_page: OpenPage, client: SlipstreamClient, tmp_path: Path
) -> None:
    ids = []
    for number in range(3):
        ids.append(client.create_run("0", run_name=f"run {number}").info.run_id)
        picture = tmp_path / f"sample%step%{number}%timestamp%1790000000000%{number:032x}.gif"
        picture.write_bytes(DOT)
        client.log_artifact(ids[-1], str(picture), "images")
    page = open_page(f"/compare?runs={','.join(ids)}")
    page.get_by_text("Images, sounds and tables by step").click()
    figure = page.locator("figure").filter(has_text="run 2")
    expect(figure.get_by_role("img")).to_have_attribute("alt", "sample of run 2 at step 2")
    held: list[Route] = []
    page.route("**/artifacts/list*", lambda route: held.append(route))  # noqa: PLW0108  # Playwright marks what it calls
    page.get_by_role("button", name="Take run 0 out").click()
    expect(page.locator("figure")).to_have_count(2)
    expect(figure.get_by_role("img")).to_have_attribute("alt", "sample of run 2 at step 2")
    page.unroute("**/artifacts/list*")  # which lets those go on that were held
    expect(figure.get_by_role("img")).to_have_attribute("alt", "sample of run 2 at step 2")


def test_params_that_differ_in_the_last_digit_look_different(
    open_page: OpenPage, client: SlipstreamClient
) -> None:
    ids = []
    for seed in ("123456781", "123456789"):
        run_id = client.create_run("0", run_name=f"seed {seed}").info.run_id
        client.log_param(run_id, "seed", seed)
        ids.append(run_id)
    page = open_page(f"/compare?runs={','.join(ids)}")
    expect(page.locator(".diff-table tbody td.number").filter(has_text="1234567")).to_have_text(
        ["123456781", "123456789"]
    )


def test_nothing_to_compare_says_what_to_do(
    open_page: OpenPage, violations: Callable[[Page], list[str]]
) -> None:
    page = open_page("/compare")

    expect(page.get_by_role("heading", name="Compare runs")).to_be_attached()
    expect(page.get_by_role("heading", name="There is nothing to compare yet")).to_be_visible()
    assert violations(page) == []
