"""Runs in groups in the table: what they have in common, how many, how metrics spread; opened, ordered, filtered, selected, saved."""

import csv
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from run_sweep import MODELS, OPTIMIZERS, Sweep
from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient

OpenPage = Callable[..., Page]
RUNS = 200


@pytest.fixture(scope="module")
def sweep(server: ServerProcess) -> Sweep:
    return Sweep(server.url, RUNS, name="grouped")


@pytest.fixture
def groups(open_page: OpenPage, sweep: Sweep) -> Callable[..., Page]:
    def open_it(query: str = "?by=params.model", **options: object) -> Page:
        page = open_page(f"/experiments/{sweep.experiment}{query}", **options)
        expect(page.locator(".group-name").first).to_be_visible()
        return page

    return open_it


def texts(page: Page, selector: str = ".group-name") -> list[str]:
    return page.locator(f".line {selector}").all_inner_texts()


def test_runs_are_grouped_by_what_one_chooses(open_page: OpenPage, sweep: Sweep) -> None:
    page = open_page(f"/experiments/{sweep.experiment}")
    expect(page.locator(".line a").first).to_be_visible()
    page.keyboard.press("b")
    page.get_by_role("searchbox", name="Find a param or tag").fill("opti")
    page.get_by_role("checkbox", name="optimizer").check()
    page.get_by_role("searchbox", name="Find a param or tag").fill("")
    page.get_by_role("checkbox", name="model").check()
    page.get_by_role("button", name="Done").click()

    expect(page.get_by_text(f"20 groups of {RUNS} runs")).to_be_visible()
    assert parse_qs(urlsplit(page.url).query)["by"] == ["params.optimizer,params.model"]
    expect(page.get_by_role("columnheader").first).to_have_text("optimizer · model")
    assert "model" not in page.get_by_role("columnheader").all_inner_texts()[1:]
    assert {tuple(text.split("\n")) for text in texts(page)} == {
        (optimizer, model) for optimizer in OPTIMIZERS for model in MODELS
    }
    page.go_back()
    expect(page.locator(".group-name").first).to_have_text("adafactor")
    page.go_back()
    expect(page.get_by_text(f"{RUNS} runs", exact=True)).to_be_visible()


def test_numbers_are_of_all_runs_of_a_group(
    groups: Callable[..., Page], client: SlipstreamClient, sweep: Sweep
) -> None:
    page = groups("?by=params.model&columns=metrics.val/acc")
    found = client.search_runs([sweep.experiment], "params.model = 'vit-s'", max_results=1000)
    values = [run.data.metrics["val/acc"] for run in found]
    mean = sum(values) / len(values)
    row = page.get_by_role("row", name="vit-s")

    expect(row.get_by_role("gridcell").nth(0)).to_have_text(str(len(values)))
    shown = row.locator(".spread").inner_text().split("±")
    assert float(shown[0]) == pytest.approx(mean, rel=1e-4)
    said = row.get_by_role("gridcell").nth(1).get_attribute("title") or ""
    assert f"from {min(values)} to {max(values)}" in said
    assert said.endswith(f"of {len(values)} runs")


def test_a_group_opens_to_its_runs(
    groups: Callable[..., Page], violations: Callable[[Page], list[str]]
) -> None:
    page = groups("?by=params.model&filter=params.optimizer = 'sgd'")
    before = texts(page)
    page.keyboard.press("t")
    page.keyboard.press("j")
    page.keyboard.press("Enter")

    expect(page.locator(".line a")).to_have_count(10)
    assert {text.rpartition("-")[0] for text in texts(page, "a")} == {f"{before[1]}-sgd"}
    expect(page.get_by_role("row", expanded=True)).to_have_count(1)
    assert page.get_by_role("treegrid").get_attribute("aria-rowcount") == str(1 + 5 + 10)
    assert violations(page) == []
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".line a")).to_have_count(0)


def test_groups_are_ordered_by_the_chosen_number(groups: Callable[..., Page]) -> None:
    page = groups("?by=params.lr,params.model&of=min&columns=metrics.val/loss")
    head = page.get_by_role("columnheader", name="val/loss").get_by_role("button")
    head.click()
    expect(page.get_by_role("columnheader", name="val/loss")).to_have_attribute("aria-sort", "descending")

    def numbers() -> list[float]:
        return [float(text) for text in texts(page, ".spread")]

    expect(page.locator(".line .spread").first).to_be_visible()
    page.wait_for_function(SORTED, arg=-1)
    high = numbers()[0]
    head.click()
    page.wait_for_function(SORTED, arg=1)
    assert numbers()[0] < high


SORTED = """sign => {
  const all = [...document.querySelectorAll('.line .spread')].map(each => Number(each.textContent));
  return all.length > 10 && all.every((value, at) => at === 0 || sign * (value - all[at - 1]) >= 0);
}"""


def test_a_group_is_selected_and_filtered_by(groups: Callable[..., Page], sweep: Sweep) -> None:
    page = groups()
    first = texts(page)[0]
    page.keyboard.press("t")
    page.keyboard.press("x")
    expect(page.get_by_text("40 selected")).to_be_visible()
    page.keyboard.press("x")
    expect(page.get_by_text("40 selected")).to_have_count(0)

    page.keyboard.press("f")
    expect(page.get_by_role("combobox", name="Filter")).to_have_value(f"params.model = '{first}'")
    expect(page.get_by_text("1 group of 40 runs")).to_be_visible()


def test_runs_that_have_none_are_a_group(open_page: OpenPage, client: SlipstreamClient) -> None:
    experiment = client.create_experiment("some have none")
    for name, depth in (("one", "it's"), ("two", None), ("three", "")):
        run = client.create_run(experiment, run_name=name)
        if depth is not None:
            client.set_tag(run.info.run_id, "net depth", depth)
    page = open_page(f"/experiments/{experiment}?by=tags.net depth")

    expect(page.locator(".group-name")).to_have_text(["empty", "it's", "none"])
    page.keyboard.press("t")
    page.keyboard.press("End")
    page.keyboard.press("Control+End")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.locator(".line a")).to_have_text(["two"])


def test_groups_are_saved_with_all_their_numbers(groups: Callable[..., Page]) -> None:
    page = groups("?by=params.model&columns=metrics.val/acc,params.lr")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(download.value.path().read_text("utf-8").splitlines()))

    assert {row["params.model"] for row in rows} == set(MODELS)
    assert {row["runs"] for row in rows} == {"40"}
    for row in rows:
        least, mean, largest = (float(row[f"metrics.val/acc {each}"]) for each in ("min", "mean", "max"))
        assert least < mean < largest


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing(
    groups: Callable[..., Page], violations: Callable[[Page], list[str]], scheme: str, width: int
) -> None:
    page = groups(color_scheme=scheme, viewport={"width": width, "height": 900})
    assert violations(page) == []
    assert page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0
    page.keyboard.press("b")
    expect(page.get_by_role("checkbox", name="optimizer")).to_be_visible()
    assert violations(page) == []
