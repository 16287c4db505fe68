"""The table of an experiment's runs: true counts, any row at once, filter, order, columns, selection, all of it in the address."""

import csv
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from run_sweep import Sweep, run_name
from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient
from slipstream.clock import now_ms

OpenPage = Callable[..., Page]
RUNS = 2_000


@pytest.fixture(scope="module")
def sweep(server: ServerProcess) -> Sweep:
    return Sweep(server.url, RUNS)


@pytest.fixture
def table(open_page: OpenPage, sweep: Sweep) -> Callable[..., Page]:
    """Open the sweep's table, and wait for its rows."""

    def open_it(query: str = "", **options: object) -> Page:
        page = open_page(f"/experiments/{sweep.experiment}{query}", **options)
        expect(page.get_by_role("treegrid", name="Runs")).to_be_visible()
        expect(page.locator(".line a").first).to_be_visible()
        return page

    return open_it


def first_names(page: Page, count: int = 3) -> list[str]:
    return page.locator(".line a").all_inner_texts()[:count]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing(
    table: Callable[..., Page], violations: Callable[[Page], list[str]], scheme: str, width: int
) -> None:
    page = table(color_scheme=scheme, viewport={"width": width, "height": 900})

    assert violations(page) == []
    assert page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0
    page.evaluate("document.querySelector('.grid').scrollTop = 28 * 1000")
    expect(page.get_by_role("link", name=run_name(RUNS - 1 - 1000), exact=True)).to_be_attached()
    assert violations(page) == []


def test_the_count_is_of_all_runs_and_values_are_seen_at_once(table: Callable[..., Page]) -> None:
    page = table()

    expect(page.get_by_text("2,000 runs")).to_be_visible()
    assert page.get_by_role("treegrid").get_attribute("aria-rowcount") == str(RUNS + 1)
    heads = page.get_by_role("columnheader").all_inner_texts()
    logged = {"train/acc", "train/loss", "val/acc", "val/auc", "lr", "model", "optimizer", "batch_size"}
    assert len(logged & {head.strip() for head in heads}) >= 6
    assert "epochs" not in heads  # the same in all runs
    shown = page.evaluate(
        "[...document.querySelectorAll('.line')].filter(e => { const b = e.getBoundingClientRect();"
        " return b.top >= 0 && b.bottom <= innerHeight }).length"
    )
    assert shown >= 24
    share = page.evaluate(
        "(() => { const b = document.querySelector('.grid').getBoundingClientRect();"
        " return b.width * b.height / (innerWidth * innerHeight) })()"
    )
    assert share >= 0.8


def test_ranges_that_are_not_known_at_first_come_by_themselves(table: Callable[..., Page]) -> None:
    page = table("?columns=metrics.val%2Facc&order=-metrics.val%2Facc")
    answers: list[bool] = []

    def answer(route: Route) -> None:
        answers.append(not answers)
        if not answers[-1]:
            route.continue_()
            return
        response = route.fetch()
        part = response.json()
        part["complete"] = False
        for column in part["columns"]:
            column["range"] = None
        route.fulfill(response=response, json=part)

    page.route("**/runs/table", answer)
    page.reload()
    expect(page.locator(".line .best").first).to_be_visible()
    assert len(answers) >= 2


def test_what_is_typed_is_counted_before_it_is_applied(
    table: Callable[..., Page], violations: Callable[[Page], list[str]]
) -> None:
    page = table()
    box, would = page.locator("#filter"), page.locator(".filter .would")
    before = first_names(page)

    box.press_sequentially("params.optimizer = 'adamw'")
    adamw = page.evaluate(
        """async experiment => (await (await fetch('ajax-api/slipstream/v1/runs/table', {method: 'POST',
            headers: {'content-type': 'application/json'},
            body: JSON.stringify({experiment_ids: [experiment], filter: "params.optimizer = 'adamw'", limit: 1})})).json()).total""",
        page.url.split("/experiments/")[1].split("?")[0],
    )
    assert 0 < adamw < RUNS
    expect(would).to_have_text(f"{adamw:,} runs")
    assert first_names(page) == before, "nothing was applied yet"
    assert violations(page) == []

    box.press_sequentially(" AND params.nonsense = 'x'")
    expect(would).to_have_text("0 runs")
    box.press_sequentially(" AND (")  # wrong
    expect(would).to_have_text("")
    box.fill("params.optimizer = 'adamw'")
    box.press("Enter")
    expect(page.locator("output", has_text=f"{adamw:,} runs")).to_be_visible()
    expect(would).to_have_text("")


def test_any_row_is_one_move_of_the_scroll_bar_away(table: Callable[..., Page]) -> None:
    page = table()
    assert page.locator(".line").count() < 80

    page.evaluate("document.querySelector('.grid').scrollTop = 1e9")
    expect(page.get_by_role("link", name=run_name(0), exact=True)).to_be_visible()
    page.evaluate("document.querySelector('.grid').scrollTop = 28 * 1000")
    expect(page.get_by_role("link", name=run_name(RUNS - 1 - 1000), exact=True)).to_be_attached()

    assert page.locator("*").count() <= 2_500


def test_a_filter_shows_what_fits_and_how_many(table: Callable[..., Page]) -> None:
    page = table()
    box = page.get_by_role("combobox", name="Filter")

    box.fill("params.model = 'vit-s' and params.optimizer = 'sgd'")
    box.press("Enter")

    expect(page.get_by_text("100 runs")).to_be_visible()
    assert all(name.startswith("vit-s-sgd") for name in page.locator(".line a").all_inner_texts())
    assert parse_qs(urlsplit(page.url).query)["filter"] == [
        "params.model = 'vit-s' and params.optimizer = 'sgd'"
    ]
    page.go_back()
    expect(page.get_by_text("2,000 runs")).to_be_visible()
    expect(box).to_have_value("")


def test_a_fault_is_marked_and_the_rows_stay(table: Callable[..., Page]) -> None:
    page = table()
    before = first_names(page)
    box = page.get_by_role("combobox", name="Filter")

    box.fill("metrics.`val/acc` = 'high' AND params.lr = '1'")
    box.press("Enter")

    expect(page.get_by_text("A number without quotes is expected.")).to_be_visible()
    expect(page.locator("mark")).to_have_text("'high'")
    assert first_names(page) == before


def test_names_and_values_are_completed_as_the_language_wants_them(table: Callable[..., Page]) -> None:
    page = table()
    box = page.get_by_role("combobox", name="Filter")

    box.press_sequentially("metrics.val/ac")
    page.get_by_role("option", name="metrics.`val/acc`").click()
    expect(box).to_have_value("metrics.`val/acc` ")
    box.press_sequentially("> 0.9 AND params.opti")
    expect(page.get_by_role("option", name="params.optimizer")).to_be_visible()
    box.press("ArrowDown")
    box.press("Enter")
    expect(box).to_have_value("metrics.`val/acc` > 0.9 AND params.optimizer ")
    box.press_sequentially("= 'li")
    expect(page.get_by_role("option", name="'lion'")).to_be_visible()
    box.press("ArrowDown")
    box.press("Tab")
    expect(box).to_have_value("metrics.`val/acc` > 0.9 AND params.optimizer = 'lion' ")


def test_a_head_sorts_down_then_up_then_not(
    table: Callable[..., Page], sweep: Sweep, client: SlipstreamClient
) -> None:
    page = table()
    best = client.search_runs([sweep.experiment], order_by=["metrics.`val/acc` DESC"], max_results=1)[0]
    worst = client.search_runs([sweep.experiment], order_by=["metrics.`val/acc` ASC"], max_results=1)[0]
    head = page.get_by_role("columnheader", name="val/acc")

    head.get_by_role("button").click()
    expect(page.locator(".line a").first).to_have_text(best.info.run_name)
    assert head.get_attribute("aria-sort") == "descending"
    head.get_by_role("button").click()
    expect(page.locator(".line a").first).to_have_text(worst.info.run_name)
    head.get_by_role("button").click()
    expect(page.locator(".line a").first).to_have_text(run_name(RUNS - 1))


def test_columns_are_chosen_and_kept_in_the_address(table: Callable[..., Page]) -> None:
    page = table()
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("searchbox", name="Find a column").fill("f1")
    page.get_by_role("checkbox", name="val/f1").check()
    page.get_by_role("combobox", name="Which value of val/f1").select_option("max")
    page.get_by_role("button", name="Hide grad_norm").click()
    page.get_by_role("button", name="Done").click()

    expect(page.get_by_role("columnheader", name="val/f1 (max)")).to_be_attached()
    expect(page.get_by_role("columnheader", name="grad_norm")).to_have_count(0)
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    expect(page.get_by_role("columnheader", name="train/acc")).to_be_visible()
    expect(page.get_by_role("columnheader", name="grad_norm")).to_have_count(0)


def test_the_whole_table_is_one_tab_stop_and_works_by_keys(
    table: Callable[..., Page], server: ServerProcess
) -> None:
    page = table()
    page.keyboard.press("t")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "treegrid"
    inside = page.evaluate(
        "document.activeElement.querySelectorAll('[tabindex=\"0\"], a:not([tabindex]), button:not([tabindex])').length"
    )
    assert inside == 0

    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("x")
    expect(page.get_by_text("2 selected")).to_be_visible()
    page.keyboard.press("Control+End")
    expect(page.get_by_role("link", name=run_name(0), exact=True)).to_be_visible()
    page.keyboard.press("Control+Home")
    expect(page.get_by_role("link", name=run_name(RUNS - 1), exact=True)).to_be_visible()
    page.keyboard.press("c")
    page.wait_for_url(f"{server.url}/compare?runs=*")
    assert len(parse_qs(urlsplit(page.url).query)["runs"][0].split(",")) == 2


def test_a_cell_becomes_a_filter_by_one_key(table: Callable[..., Page]) -> None:
    page = table("?columns=params.model,params.optimizer")
    page.keyboard.press("t")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("f")
    expect(page.get_by_text("400 runs")).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("F")
    expect(page.get_by_text("300 runs")).to_be_visible()


def test_deleted_runs_come_back_by_undo(
    table: Callable[..., Page], sweep: Sweep, client: SlipstreamClient
) -> None:
    page = table()
    victim = sweep.run_ids[-1]
    page.get_by_role("checkbox", name=f"Select {run_name(RUNS - 1)}").check()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("1,999 runs")).to_be_visible()
    assert client.get_run(victim).info.lifecycle_stage == "deleted"

    page.get_by_role("button", name="Undo").click()

    expect(page.get_by_text("2,000 runs")).to_be_visible()
    assert client.get_run(victim).info.lifecycle_stage == "active"


def test_runs_are_tagged_and_moved_together(
    table: Callable[..., Page], sweep: Sweep, client: SlipstreamClient
) -> None:
    other = client.create_experiment("elsewhere")
    chosen = sweep.run_ids[:2]
    page = table(f"?chosen={','.join(chosen)}")

    page.get_by_role("button", name="Tag…").click()
    page.get_by_role("textbox", name="Name").fill("reviewed")
    page.get_by_role("textbox", name="Value").fill("yes")
    page.get_by_role("button", name="Set the tag").click()
    expect(page.get_by_text("2 runs tagged reviewed.")).to_be_visible()
    assert [client.get_run(each).data.tags["reviewed"] for each in chosen] == ["yes", "yes"]

    page.get_by_role("button", name="Move…").click()
    page.get_by_role("combobox", name="To the experiment").select_option("elsewhere")
    page.get_by_role("button", name="Move", exact=True).click()
    expect(page.get_by_text("1,998 runs")).to_be_visible()
    assert client.get_run(chosen[0]).info.experiment_id == other
    page.get_by_role("button", name="Undo").last.click()
    expect(page.get_by_text("2,000 runs", exact=True)).to_be_visible()
    assert client.get_run(chosen[0]).info.experiment_id == sweep.experiment


def test_a_view_is_kept_for_everybody(table: Callable[..., Page]) -> None:
    page = table(
        "?filter=params.model%20%3D%20%27vit-s%27&order=-metrics.val%2Facc&columns=metrics.val%2Facc"
    )
    page.get_by_role("combobox", name="View", exact=True).select_option("Keep this view…")
    page.get_by_role("textbox", name="Name").fill("best of vit")
    page.get_by_role("button", name="Keep", exact=True).click()
    expect(page.get_by_role("combobox", name="View", exact=True)).to_have_value("=best of vit")

    another = table()
    another.get_by_role("combobox", name="View", exact=True).select_option("best of vit")
    expect(another.get_by_text("400 runs")).to_be_visible()
    expect(another.get_by_role("columnheader", name="val/acc")).to_have_attribute("aria-sort", "descending")

    another.get_by_role("combobox", name="View", exact=True).select_option("Remove best of vit")
    expect(another.get_by_role("option", name="best of vit", exact=True)).to_have_count(0)


def test_the_table_is_saved_as_it_is_shown(table: Callable[..., Page]) -> None:
    page = table(
        "?filter=params.model%20%3D%20%27vit-s%27&order=metrics.val%2Facc&columns=metrics.val%2Facc,params.optimizer"
    )
    expect(page.get_by_text("400 runs")).to_be_visible()

    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(download.value.path().read_text("utf-8").splitlines()))

    assert download.value.suggested_filename == "sweep.csv"
    assert len(rows) == 400
    assert {row["name"].startswith("vit-s") for row in rows} == {True}
    assert {row["params.optimizer"] for row in rows} == {"adamw", "sgd", "lion", "adafactor"}
    values = [float(row["metrics.val/acc"]) for row in rows]
    assert values == sorted(values)
    assert 0 <= values[0] < values[-1] <= 1


def test_nested_runs_stand_below_their_parents(
    open_page: OpenPage, client: SlipstreamClient, violations: Callable[[Page], list[str]]
) -> None:
    experiment = client.create_experiment("nested")
    for study in range(2):
        began = now_ms() + 10 * study
        parent = client.create_run(experiment, run_name=f"study {study}", start_time=began).info.run_id
        for trial in range(3):
            client.create_run(
                experiment,
                run_name=f"trial {study}.{trial}",
                tags={"mlflow.parentRunId": parent},
                start_time=began + trial + 1,  # each another millisecond, which is their order
            )
    page = open_page(f"/experiments/{experiment}")
    names = page.locator(".line a")
    expect(names).to_have_text(["study 1", "study 0"])
    expect(page.get_by_text("2 runs at the top")).to_be_visible()

    page.keyboard.press("t")
    page.keyboard.press("ArrowRight")
    expect(names).to_have_text(["study 1", "trial 1.2", "trial 1.1", "trial 1.0", "study 0"])
    expect(page.get_by_role("row", name="study 1")).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_role("row", name="trial 1.1")).to_have_attribute("aria-level", "2")
    assert violations(page) == []
    page.get_by_role("button", name="Show 3 runs below study 0").click()
    expect(names).to_have_count(8)
    page.keyboard.press("t")
    page.keyboard.press("ArrowLeft")
    expect(names).to_have_text(["study 1", "trial 1.2", "trial 1.1", "trial 1.0", "study 0"])

    page.get_by_role("combobox", name="Filter").fill("run_name = 'trial 1.1'")
    page.keyboard.press("Enter")
    expect(names).to_have_text(["trial 1.1"])


def test_an_empty_experiment_says_how_to_begin(
    open_page: OpenPage, client: SlipstreamClient, server: ServerProcess
) -> None:
    page = open_page(f"/experiments/{client.create_experiment('nothing yet')}")

    expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
    expect(page.get_by_role("region", name="A first run in Python")).to_contain_text(server.url)


def test_the_first_load_is_small(
    table: Callable[..., Page], browser_bytes: Callable[[Page, str], dict[str, float]]
) -> None:
    page = table()

    sent = browser_bytes(page, page.url)

    assert sent["requests"] <= 7
    assert sent["bytes"] <= 150_000
    assert sent["foreign"] == 0


def test_keys_are_for_the_row_they_were_on_when_others_come(
    open_page: OpenPage, client: SlipstreamClient
) -> None:
    experiment = client.create_experiment("rows that come")
    first, _ = [client.create_run(experiment, start_time=each, run_name=f"run {each}") for each in (1, 2)]
    page = open_page(f"/experiments/{experiment}")
    names = page.locator(".line a")
    expect(names).to_have_text(["run 2", "run 1"])
    page.keyboard.press("t")
    page.keyboard.press("j")
    client.create_run(experiment, start_time=3, run_name="run 3")
    expect(names).to_have_text(["run 3", "run 2", "run 1"])

    page.keyboard.press("x")
    expect(page.get_by_role("checkbox", name="Select run 1")).to_be_checked()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/runs/{first.info.run_id}**")


def test_children_that_could_not_be_read_are_read_again_where_they_would_stand(
    open_page: OpenPage, client: SlipstreamClient, violations: Callable[[Page], list[str]]
) -> None:
    experiment = client.create_experiment("children away")
    parent = client.create_run(experiment, run_name="study", start_time=1).info.run_id
    for trial in range(2):
        tags = {"mlflow.parentRunId": parent}
        client.create_run(experiment, run_name=f"trial {trial}", tags=tags, start_time=2 + trial)
    client.create_run(experiment, run_name="another", start_time=9)
    page = open_page(f"/experiments/{experiment}", faults=False)
    names = page.locator(".line a")
    expect(names).to_have_text(["another", "study"])
    page.route("**/runs/table", lambda route: route.abort())
    page.get_by_role("button", name="Show 2 runs below study").click()
    failed = page.locator(".unread")
    expect(failed).to_contain_text("The server does not answer.")
    assert page.get_by_role("treegrid").get_attribute("aria-rowcount") == "4"
    assert violations(page) == []
    failed.get_by_role("button", name="Try again").click()
    expect(failed).to_be_visible()

    page.unroute("**/runs/table")
    page.keyboard.press("t")
    page.keyboard.press("Control+End")
    page.keyboard.press("Enter")
    expect(names).to_have_text(["another", "study", "trial 1", "trial 0"])
    expect(failed).to_have_count(0)
