"""What is done with cells and columns of the runs table: menus, curves, what is lit, files, the view in which an experiment opens."""

import csv
import io
from collections.abc import Callable
from urllib.parse import parse_qs, quote, urlsplit

import pyarrow.parquet
import pytest
from playwright.sync_api import Locator, Page, expect

from run_sweep import Sweep, run_name
from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient

OpenPage = Callable[..., Page]
RUNS = 300
PATIENCE_MS = 20_000
CURVES = "?columns=metrics.val%2Facc,metrics.val%2Facc:curve,params.model,params.optimizer"


DRAWN = """
canvas => {
  const bits = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  return bits.some((each, at) => at % 4 === 3 && each > 0);
}
"""
SOME_CURVE = f"[...document.querySelectorAll('.spark canvas')].some({DRAWN})"
EACH_CURVE = f"[...document.querySelectorAll('.spark canvas')].every({DRAWN})"
ONE_PICTURE = "document.querySelector('.spark canvas').toDataURL()"


def until(page: Page, script: str, value: object = True, *, differs: bool = False) -> None:
    """Wait until a script has (or has no longer) a value; the pages allow no wait_for_function, which evaluates texts."""
    for _ in range(PATIENCE_MS // 50):
        if (page.evaluate(script) == value) is not differs:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"still {page.evaluate(script)!r}: {script}")


@pytest.fixture(scope="module")
def sweep(server: ServerProcess) -> Sweep:
    return Sweep(server.url, RUNS, steps=12)


@pytest.fixture
def table(open_page: OpenPage, sweep: Sweep) -> Callable[..., Page]:
    def open_it(query: str = "", **options: object) -> Page:
        page = open_page(f"/experiments/{sweep.experiment}{query}", **options)
        expect(page.locator(".line a").first).to_be_visible()
        return page

    return open_it


def cell(page: Page, row: str, column: str) -> Locator:
    head = page.get_by_role("columnheader", name=column, exact=True)
    index = head.get_attribute("aria-colindex")
    return page.locator(".line", has_text=row).locator(f"[aria-colindex='{index}']")


def query_of(page: Page, name: str) -> list[str] | None:
    return parse_qs(urlsplit(page.url).query).get(name)


def test_a_press_on_a_cell_offers_what_can_be_done_with_it(
    table: Callable[..., Page], violations: Callable[[Page], list[str]]
) -> None:
    page = table("?columns=metrics.val%2Facc,params.model,params.optimizer")
    model = cell(page, run_name(RUNS - 1), "model")
    model.click()
    model.get_by_role("button", name="What to do with this cell of model").click()
    menu = page.get_by_role("menu", name="model")
    expect(menu).to_contain_text("model: convnext-t")
    assert violations(page) == []
    menu.get_by_role("menuitem", name="Only runs that have it").click()
    expect(page.get_by_text("60 runs")).to_be_visible()
    assert query_of(page, "filter") == ["params.model = 'convnext-t'"]

    cell(page, run_name(RUNS - 1), "optimizer").click(button="right")
    page.get_by_role("menuitem", name="Without runs that have it").click()
    expect(page.get_by_text("45 runs")).to_be_visible()
    page.go_back()
    page.go_back()
    expect(page.get_by_text("300 runs")).to_be_visible()


def test_the_menu_works_by_keys_and_gives_the_table_its_keys_back(table: Callable[..., Page]) -> None:
    page = table("?columns=metrics.val%2Facc,params.model")
    page.keyboard.press("t")
    page.keyboard.press("ArrowRight")
    page.keyboard.press(".")
    menu = page.get_by_role("menu", name="val/acc")
    expect(menu.get_by_role("menuitem").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(menu).to_have_count(0)
    expect(page.get_by_role("treegrid")).to_be_focused()

    page.keyboard.press(".")
    menu.get_by_role("menuitem", name="At least this much").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("combobox", name="Filter")).to_have_value(
        f"metrics.`val/acc` >= {(query_of(page, 'filter') or [''])[0].split()[-1]}"
    )
    expect(page.get_by_text("300 runs")).to_have_count(0)
    expect(page.get_by_role("link", name=run_name(RUNS - 1), exact=True)).to_be_visible()


def test_columns_are_moved_pinned_and_hidden_where_they_are(table: Callable[..., Page]) -> None:
    page = table("?columns=metrics.val%2Facc,params.model,params.optimizer")
    heads = page.get_by_role("columnheader")
    page.keyboard.press("t")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect(heads.nth(2)).to_contain_text("val/acc")
    page.keyboard.press("Shift+ArrowRight")
    expect(heads.nth(3)).to_contain_text("val/acc")

    page.get_by_role("columnheader", name="optimizer", exact=True).click(button="right")
    page.get_by_role("menuitem", name="Keep at the left").click()
    expect(heads.nth(1)).to_contain_text("optimizer")
    assert query_of(page, "left") == ["params.optimizer"]
    page.keyboard.press("ArrowRight")
    page.get_by_role("columnheader", name="model", exact=True).hover()
    page.get_by_role("columnheader", name="model", exact=True).locator(".more").click()
    page.get_by_role("menuitem", name="Hide").click()
    expect(page.get_by_role("columnheader", name="model", exact=True)).to_have_count(0)
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    expect(heads.nth(1)).to_contain_text("optimizer")
    expect(page.get_by_role("columnheader", name="model", exact=True)).to_have_count(0)


def test_another_value_of_a_metric_and_its_curve(table: Callable[..., Page]) -> None:
    page = table("?columns=metrics.val%2Facc")
    page.get_by_role("columnheader", name="val/acc", exact=True).click(button="right")
    page.get_by_role("menuitemradio", name="largest").click()
    expect(page.get_by_role("columnheader", name="val/acc (max)")).to_be_visible()
    page.get_by_role("columnheader", name="val/acc (max)").click(button="right")
    page.get_by_role("menuitem", name="Curve beside it").click()
    expect(page.get_by_role("columnheader", name="val/acc (curve)")).to_be_visible()
    expect(page.locator(".spark canvas").first).to_be_visible()


def test_the_best_of_all_is_marked(
    table: Callable[..., Page], sweep: Sweep, client: SlipstreamClient
) -> None:
    best = client.search_runs([sweep.experiment], order_by=["metrics.`val/acc` DESC"], max_results=1)[0]
    page = table("?columns=metrics.val%2Facc,metrics.val%2Floss&order=-metrics.val%2Facc")
    expect(page.locator(".line").first).to_contain_text(best.info.run_name)
    expect(
        cell(page, best.info.run_name, "val/acc").get_by_role("img", name="the best of all")
    ).to_be_visible()
    acc = page.get_by_role("columnheader", name="val/acc").get_attribute("aria-colindex")
    expect(page.locator(f".line [aria-colindex='{acc}'] .best")).to_have_count(1)


def test_curves_of_a_screenful_are_one_request(open_page: OpenPage, sweep: Sweep) -> None:
    page = open_page("/experiments")
    asked: list[str] = []
    page.on("request", lambda request: "envelope" in request.url and asked.append(request.url))
    page.goto(f"{'/'.join(page.url.split('/')[:3])}/experiments/{sweep.experiment}{CURVES}")
    until(page, SOME_CURVE)
    assert len(asked) == 1

    page.evaluate("document.querySelector('.grid').scrollTop = 28 * 200")
    expect(page.get_by_role("link", name=run_name(RUNS - 1 - 200), exact=True)).to_be_visible()
    until(page, EACH_CURVE)
    assert len(asked) == 2
    assert page.locator("*").count() <= 2_500


def test_a_curve_goes_on_while_its_run_logs(open_page: OpenPage, client: SlipstreamClient) -> None:
    experiment = client.create_experiment("growing")
    run = client.create_run(experiment, run_name="one").info.run_id
    for step in range(5):
        client.log_metric(run, "loss", 1 / (step + 1), step=step)
    page = open_page(f"/experiments/{experiment}?columns=metrics.loss,metrics.loss:curve")
    until(page, SOME_CURVE)
    before = page.evaluate(ONE_PICTURE)

    for step in range(5, 40):
        client.log_metric(run, "loss", (step % 7) + 1, step=step)

    until(page, ONE_PICTURE, before, differs=True)


def test_a_run_that_is_looked_at_is_lit(table: Callable[..., Page], sweep: Sweep) -> None:
    page = table("?columns=metrics.val%2Facc")
    lit = page.locator(".line[data-lit]")
    expect(lit).to_have_count(0)
    page.get_by_role("link", name=run_name(RUNS - 3), exact=True).hover()
    expect(lit).to_have_attribute("data-key", sweep.run_ids[-3])
    page.keyboard.press("t")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(lit).to_have_attribute("data-key", sweep.run_ids[-2])
    page.keyboard.press("/")
    expect(lit).to_have_count(0)


def test_parquet_is_what_is_shown(table: Callable[..., Page], sweep: Sweep, client: SlipstreamClient) -> None:
    condition = "params.model = 'vit-s'"
    page = table(f"{CURVES}&filter={quote(condition)}&order=-metrics.val%2Facc")
    expect(page.get_by_text("60 runs")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Parquet").click()
    assert download.value.suggested_filename == "sweep.parquet"
    found = pyarrow.parquet.read_table(io.BytesIO(download.value.path().read_bytes()))
    runs = client.search_runs([sweep.experiment], condition, order_by=["metrics.`val/acc` DESC"])
    assert found["run_id"].to_pylist() == [run.info.run_id for run in runs]
    assert found["metrics.val/acc"].to_pylist() == [run.data.metrics["val/acc"] for run in runs]
    assert found["params.optimizer"].to_pylist() == [run.data.params["optimizer"] for run in runs]

    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8"), newline="")))
    assert [row["run_id"] for row in rows] == found["run_id"].to_pylist()
    assert list(rows[0]) == found.column_names


def test_an_experiment_opens_in_the_view_that_was_made_its_own(
    table: Callable[..., Page], open_page: OpenPage, sweep: Sweep
) -> None:
    page = table("?filter=params.model%20%3D%20%27vit-s%27&columns=metrics.val%2Facc")
    views = page.get_by_role("combobox", name="View", exact=True)
    views.select_option("Keep this view…")
    page.get_by_role("textbox", name="Name").fill("only vit")
    page.get_by_role("button", name="Keep", exact=True).click()
    expect(views).to_have_value("=only vit")
    views.select_option("Copy a link to only vit")
    expect(page.get_by_text("A link to the view only vit is in the clipboard.")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.endswith(f"/experiments/{sweep.experiment}?saved=only+vit")
    views.select_option("Open the experiment with only vit")
    expect(page.get_by_text("The experiment opens in the view only vit, for everybody.")).to_be_visible()

    page.goto(link)
    expect(page.get_by_text("60 runs")).to_be_visible()
    other = table()
    expect(other.get_by_text("60 runs")).to_be_visible()
    assert query_of(other, "filter") == ["params.model = 'vit-s'"]
    other.get_by_role("combobox", name="View", exact=True).select_option("All runs")
    expect(other.get_by_text("300 runs")).to_be_visible()
    other.go_back()
    expect(other.get_by_text("60 runs")).to_be_visible()

    other.get_by_role("combobox", name="View", exact=True).select_option("Remove only vit")
    expect(other.get_by_role("option", name="only vit")).to_have_count(0)
    again = table()
    expect(again.get_by_text("300 runs")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_in_curves_and_menus(
    table: Callable[..., Page], violations: Callable[[Page], list[str]], scheme: str, width: int
) -> None:
    page = table(CURVES, color_scheme=scheme, viewport={"width": width, "height": 900})
    until(page, SOME_CURVE)
    page.keyboard.press("t")
    page.keyboard.press("ArrowRight")
    page.keyboard.press(".")
    menu = page.get_by_role("menu")
    expect(menu).to_be_visible()
    assert violations(page) == []
    box = menu.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["y"] >= 0
    assert box["x"] + box["width"] <= width
    assert box["y"] + box["height"] <= 900


def test_a_parent_tells_the_best_of_the_runs_below_it(
    open_page: OpenPage, client: SlipstreamClient, violations: Callable[[Page], list[str]]
) -> None:
    experiment = client.create_experiment("studies")
    for study in range(2):
        parent = client.create_run(experiment, run_name=f"study {study}").info.run_id
        for trial in range(3):
            run = client.create_run(
                experiment, run_name=f"trial {study}.{trial}", tags={"mlflow.parentRunId": parent}
            )
            client.log_metric(run.info.run_id, "val/acc", study + trial / 10)
            client.log_metric(run.info.run_id, "val/loss", study + trial / 10)
            client.log_metric(run.info.run_id, "depth", trial)
    page = open_page(f"/experiments/{experiment}?columns=metrics.val%2Facc,metrics.val%2Floss,metrics.depth")
    expect(cell(page, "study 1", "val/acc")).to_have_text("▾ below it 1.2")
    expect(cell(page, "study 1", "val/loss")).to_have_text("▾ below it 1")
    expect(cell(page, "study 0", "depth")).to_have_text("▾ below it 0 … 2")
    assert violations(page) == []

    page.get_by_role("button", name="Show 3 runs below study 1").click()
    expect(cell(page, "trial 1.2", "val/acc")).to_contain_text("1.2")
    expect(cell(page, "trial 1.2", "val/acc").locator(".below")).to_have_count(0)


def test_a_value_with_all_kinds_of_quotes_becomes_a_filter(
    open_page: OpenPage, client: SlipstreamClient
) -> None:
    experiment = client.create_experiment("quotes")
    said = ['it\'s "so" `it`', 'it_s "so" `it`', "it's _so_ `it`", "plain"]
    for value in said:
        run = client.create_run(experiment, run_name=value).info.run_id
        client.set_tag(run, "said", value)
    assert len(client.search_runs([experiment], "tags.said LIKE '%'")) == len(said)  # they are at the server
    page = open_page(f"/experiments/{experiment}?columns=tags.said")
    names = page.locator(".line a")
    expect(names).to_have_count(len(said))
    cell(page, said[0], "said").click()
    page.keyboard.press("F")
    expect(page.get_by_text("cannot leave out a text with both ' and \".")).to_be_visible()
    expect(names).to_have_count(len(said))
    page.keyboard.press("f")
    expect(names).to_have_text([said[0]])
    expect(page.locator(".fault")).to_have_text("")

    page.goto(f"{'/'.join(page.url.split('/')[:3])}/experiments/{experiment}?by=tags.said")
    group = page.locator(".line", has=page.locator(".group-name", has_text=said[0]))
    group.get_by_role("button", name="Show 1 runs").click()
    expect(names).to_have_text([said[0]])


def test_a_metric_is_shown_and_sorted_at_a_step(
    open_page: OpenPage, client: SlipstreamClient, violations: Callable[[Page], list[str]]
) -> None:
    experiment = client.create_experiment("steps")
    for number, steps in enumerate(([0, 100, 200], [0, 90, 300], [0, 100])):
        run = client.create_run(experiment, run_name=f"run {number}", start_time=number + 1).info.run_id
        for step in steps:
            client.log_metric(run, "loss", number + step / 1000, step=step)
    page = open_page(f"/experiments/{experiment}?columns=metrics.loss")
    names = page.locator(".line a")
    expect(names).to_have_text(["run 2", "run 1", "run 0"])
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("combobox", name="Which value of loss").select_option("at step")
    step = page.get_by_role("spinbutton", name="Which step of loss")
    step.fill("100")
    step.press("Tab")
    assert violations(page) == []
    page.get_by_role("button", name="Done").click()
    assert query_of(page, "columns") == ["metrics.loss:step=100"]
    title = "loss (step 100)"
    expect(cell(page, "run 0", title)).to_have_text("0.1")
    expect(cell(page, "run 1", title)).to_have_text("@90 1.09")
    expect(cell(page, "run 1", title)).to_have_attribute(
        "title", "1.09, of step 90: there is none at step 100"
    )

    head = page.get_by_role("columnheader", name=title).get_by_role("button")
    head.click()
    head.click()
    expect(names).to_have_text(["run 0", "run 1", "run 2"])
    assert query_of(page, "order") == ["metrics.loss:step=100"]
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8"), newline="")))
    assert [row["metrics.loss:step=100"] for row in rows] == ["0.1", "1.09", "2.1"]
    assert [row["metrics.loss:step=100 of step"] for row in rows] == ["100", "90", "100"]
    with page.expect_download() as download:
        page.get_by_role("button", name="Parquet").click()
    found = pyarrow.parquet.read_table(io.BytesIO(download.value.path().read_bytes()))
    assert found["metrics.loss:step=100"].to_pylist() == [0.1, 1.09, 2.1]
