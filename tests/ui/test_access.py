"""What axe-core does not see: magnification, spacing, no motion, forced colours, where the keys go, what is read out."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Page, expect

from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient
from slipstream.entities import Metric, Param

OpenPage = Callable[..., Page]
LONG = "very-long-name-" * 12
SPACING = "*{line-height:1.5!important;letter-spacing:.12em!important;word-spacing:.16em!important}p{margin-bottom:2em!important}"
"""What WCAG 1.4.12 asks pages to bear."""
TROUBLE = """() => {
  const found = [];
  const main = document.getElementById('main');
  if (document.scrollingElement.scrollWidth > innerWidth) found.push('the page moves sideways');
  if (main.scrollWidth > main.clientWidth) found.push('the content moves sideways');
  for (const each of document.querySelectorAll('body *')) {
    const box = each.getBoundingClientRect();
    const style = getComputedStyle(each);
    if (!box.width || !box.height || each.closest('.hidden-text, .skip, .grid [role=row]')) continue;
    const about = each.tagName + ' ' + each.className + ' ' + each.textContent.trim().slice(0, 40);
    const hasText = [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (hasText && style.overflowY === 'hidden' && each.scrollHeight > each.clientHeight + 2)
      found.push('cut below: ' + about);
    if (hasText && style.overflowX === 'hidden' && each.scrollWidth > each.clientWidth + 1 && !each.title)
      found.push('cut, and nowhere whole: ' + about);
    if (/^(BUTTON|A|INPUT|SELECT|TEXTAREA|SUMMARY)$/.test(each.tagName)) {
      let around = each.parentElement;
      while (around && !(/auto|scroll/.test(getComputedStyle(around).overflowX) && around.scrollWidth > around.clientWidth))
        around = around.parentElement;
      if (!around && (box.right > innerWidth + 1 || box.left < -1)) found.push('out of reach: ' + about);
    }
  }
  let last = 0;
  for (const each of document.querySelectorAll('h1,h2,h3,h4,h5,h6')) {
    const level = Number(each.tagName[1]);
    if (level > last + 1) found.push('a heading too deep: ' + each.textContent);
    last = level;
  }
  if (document.querySelectorAll('main h1').length !== 1) found.push('not one first heading');
  return [...new Set(found)];
}"""


class Seeded(NamedTuple):
    experiment: str
    parent: str
    child: str


@pytest.fixture(scope="module")
def seeded(server: ServerProcess) -> Seeded:
    client = SlipstreamClient(server.url)
    experiment = client.create_experiment("access")
    parent = client.create_run(experiment, run_name="parent", start_time=1_700_000_000_000).info.run_id
    child = ""
    for number, name in enumerate(("child", "مرحبا بالعالم", "🚀 rocket 👩‍👩‍👧‍👦", LONG)):
        run = client.create_run(experiment, run_name=name, tags={"mlflow.parentRunId": parent}).info.run_id
        child = child or run
        client.log_batch(
            run,
            [Metric("loss", (number + 1) / (step + 1), 1_700_000_000_000 + step, step) for step in range(50)],
            [Param("lr", str(0.1 / (number + 1))), Param("note", "x" * 400)],
        )
        client.set_terminated(run, "FAILED" if number == 1 else "FINISHED")
    client.create_registered_model("reader", description="Reads.")
    client.create_model_version("reader", "s3://bucket/model", run_id=child)
    return Seeded(experiment, parent, child)


def loaded(page: Page) -> None:
    expect(page.locator("main :is(h1, h2)").first).to_be_attached()
    expect(page.locator(".skeleton")).to_have_count(0)


@pytest.mark.parametrize(
    "path",
    ["/", "/experiments", "/experiments/{e}", "/experiments/{e}?view=charts", "/experiments/{e}/runs/{c}",
     "/experiments/{e}/runs/{c}/charts", "/models", "/models/reader", "/models/reader/versions/1",
     "/compare?runs={p},{c}", "/serving", "/settings"],
)  # fmt: skip
def test_pages_can_be_magnified_and_spaced(open_page: OpenPage, seeded: Seeded, path: str) -> None:
    """400 % of 1280 x 1024 is a window of 320 x 256; 200 % of 1440 x 900 one of 720 x 450."""
    address = path.format(e=seeded.experiment, p=seeded.parent, c=seeded.child)
    page = open_page(
        address, faults=False, bypass_csp=True, viewport={"width": 320, "height": 256}
    )  # faults: this version's files are nowhere
    loaded(page)

    assert page.evaluate(TROUBLE) == []
    grid = page.locator("#main > * > .grid")
    if grid.count():
        box = grid.bounding_box()
        assert box is not None
        assert box["height"] >= 160, "a table of two lines"
    page.add_style_tag(content=SPACING)
    assert page.evaluate(TROUBLE) == []
    page.set_viewport_size({"width": 720, "height": 450})
    assert page.evaluate(TROUBLE) == []
    expect(page.get_by_role("button", name=re.compile("^Go to"))).to_be_visible()


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))


def test_the_keys_go_back_where_they_came_from(open_page: OpenPage, seeded: Seeded) -> None:
    page = open_page(f"/experiments/{seeded.experiment}")
    loaded(page)
    grid = page.get_by_role("treegrid", name="Runs")
    # a dialog that is closed by Escape, and one that takes itself away
    page.get_by_role("button", name="Columns").press("Enter")
    expect(page.get_by_role("dialog", name="Columns")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert focused(page) == "Columns"
    grid.focus()
    page.keyboard.press("x")
    page.get_by_role("button", name="Tag…").press("Enter")
    dialog = page.get_by_role("dialog", name="Tag 1 run")
    dialog.get_by_role("button", name="Cancel").press("Enter")
    expect(dialog).to_have_count(0)
    assert focused(page) == "Tag…"
    # a menu
    grid.focus()
    page.keyboard.press(".")
    expect(page.get_by_role("menu")).to_be_visible()
    page.keyboard.press("Escape")
    expect(grid).to_be_focused()
    # what had the keys goes away with what it did
    page.get_by_role("button", name="Clear").press("Enter")
    expect(page.get_by_role("button", name="Clear")).to_have_count(0)


def test_another_page_is_told_of_and_has_the_keys(open_page: OpenPage, seeded: Seeded) -> None:
    page = open_page(f"/experiments/{seeded.experiment}")
    loaded(page)
    page.get_by_role("link", name="Models").press("Enter")
    expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()
    expect(page.locator("#main")).to_be_focused()
    expect(page.get_by_role("status").filter(has_text="Models · slipstream")).to_have_count(1)
    # the palette does not take the keys back
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Go to").fill("settings")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Settings", level=1)).to_be_visible()
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    page.go_back()
    expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()
    expect(page.locator("#main")).to_be_focused()


def tree_of(page: Page) -> list[tuple[str, str, dict[str, Any], str]]:
    """Role, name, properties and description of all that the browser tells a screen reader."""
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    return [
        (
            node["role"]["value"],
            node.get("name", {}).get("value", ""),
            {each["name"]: each["value"].get("value") for each in node.get("properties", [])},
            node.get("description", {}).get("value", ""),
        )
        for node in nodes
        if not node["ignored"]
    ]


def test_a_screen_reader_is_told_what_a_table_is(open_page: OpenPage, seeded: Seeded) -> None:
    page = open_page(f"/experiments/{seeded.experiment}?chosen={seeded.parent}")
    loaded(page)
    grid = page.get_by_role("treegrid", name="Runs")
    expect(grid.get_by_role("row")).to_have_count(2)
    grid.focus()
    page.keyboard.press("ArrowRight")
    expect(grid.get_by_role("row")).to_have_count(6)
    expect(grid).to_have_attribute("aria-rowcount", "6")
    assert int(grid.get_attribute("aria-colcount") or 0) >= 4
    tree = tree_of(page)

    heads = [name for role, name, _, _ in tree if role == "rowheader"]
    assert heads[0].startswith("parent, running")
    assert heads[0].endswith(", 4 runs below")
    assert {"child, finished", "مرحبا بالعالم, failed"} <= set(heads)
    rows = [properties for role, _, properties, _ in tree if role == "row"][1:]
    assert [(each.get("level"), each.get("expanded")) for each in rows[:2]] == [(1, True), (2, None)]
    assert all("selected" in each for each in rows)
    indices = grid.get_by_role("row").evaluate_all("rows => rows.map(each => each.ariaRowIndex)")
    assert indices == ["1", "2", "3", "4", "5", "6"]
    active = grid.get_attribute("aria-activedescendant")
    assert page.locator(f"#{active}").get_attribute("role") == "rowheader"
    unnamed = [role for role, name, _, _ in tree if role in {"button", "link", "checkbox", "textbox", "combobox"} and not name]  # fmt: skip
    assert unnamed == []
    landmarks = [role for role, *_ in tree if role in {"banner", "navigation", "main"}]
    assert sorted(landmarks) == ["banner", "main", "navigation"]
    # what a filter finds is said
    page.locator("#filter").fill("attributes.run_name = 'child'")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text=re.compile(r"^1 run"))).to_have_count(1)


def test_a_chart_has_words_and_keys(open_page: OpenPage, seeded: Seeded) -> None:
    page = open_page(f"/experiments/{seeded.experiment}/runs/{seeded.child}/charts")
    chart = page.get_by_role("group", name=re.compile("^loss"))
    chart.focus()
    told = next(description for _, name, _, description in tree_of(page) if name.startswith("loss. Arrow"))
    assert told.startswith("One line over step from 0 to 49.")
    assert "from 1 to 0.02, least 0.02 at 49, most 1 at 0." in told
    page.keyboard.press("End")
    expect(chart.locator("[aria-live=polite]")).to_have_text(re.compile("step 49: .* 0.02"))
    page.keyboard.press("v")
    table = page.get_by_role("dialog").get_by_role("table")
    expect(table.get_by_role("row").last).to_contain_text("0.02")
    page.keyboard.press("Escape")
    expect(chart).to_be_focused()


def test_parallel_axes_are_narrowed_by_keys(open_page: OpenPage, seeded: Seeded, client: SlipstreamClient) -> None:  # fmt: skip
    runs = [each.info.run_id for each in client.search_runs([seeded.experiment], "params.lr != ''")]
    page = open_page(f"/compare?runs={','.join(runs)}")
    axis = page.locator(".axis-names").get_by_role("button", name="loss", exact=True)
    axis.press("ArrowUp")
    said = page.locator(".parallel").get_by_role("status")
    expect(said).to_have_text("3 of 4 runs pass")
    assert "brush" in page.url
    axis.press("Escape")
    expect(said).to_have_text("")


def test_nothing_moves_and_states_stay_visible_in_forced_colours(open_page: OpenPage, seeded: Seeded) -> None:
    page = open_page(
        f"/experiments/{seeded.experiment}?chosen={seeded.parent}", forced_colors="active", reduced_motion="reduce"
    )  # fmt: skip
    loaded(page)
    grid = page.get_by_role("treegrid", name="Runs")
    grid.focus()
    look = "(each, name) => getComputedStyle(each)[name]"
    plain = page.locator("body").evaluate(look, "backgroundColor")
    chosen = grid.locator(".line.chosen")
    assert chosen.evaluate(look, "backgroundColor") != plain
    assert grid.locator("#active-cell").evaluate(look, "outlineStyle") == "solid"
    page.keyboard.press(".")
    assert page.locator("[role^=menuitem]:focus").evaluate(look, "outlineStyle") == "solid"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Columns").click()
    expect(page.get_by_role("dialog", name="Columns")).to_be_visible()
    assert page.evaluate("document.getAnimations().length") == 0


def test_a_message_stays_while_somebody_is_at_it(open_page: OpenPage, client: SlipstreamClient) -> None:
    experiment = client.create_experiment("to go")  # of its own: others count the runs of the seeded one
    run = client.create_run(experiment, run_name="to go").info.run_id
    page = open_page()
    page.clock.install()
    page.goto(page.url.rstrip("/") + f"/experiments/{experiment}/runs/{run}")
    page.get_by_role("button", name="Delete").click()
    undo = page.get_by_role("button", name="Undo")
    undo.focus()
    page.clock.fast_forward(20_000)
    expect(undo).to_be_focused()
    undo.press("Enter")
    expect(undo).to_have_count(0)
    page.clock.run_for(1000)
    expect(page.locator("main")).to_be_focused()
