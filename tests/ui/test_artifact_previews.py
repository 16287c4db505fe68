"""Files are shown as what they are: every kind, large ones, broken ones, with a token, and by keys alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from logged_run import log_run, png
from preview_files import FILES, REPORT, parquet, sound
from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient
from slipstream.client.connect import close_all

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def run(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the files of a run."""
    files = {**FILES, "rows.parquet": parquet()}
    run_id = log_run(SlipstreamClient(server.url), tmp_path_factory.mktemp("files"), files)
    return f"/experiments/0/runs/{run_id}/artifacts"


Show = Callable[..., Locator]


def test_csv_is_a_table_of_any_length_that_sorts(show: Show) -> None:
    preview = show("table.csv")
    grid = preview.get_by_role("grid", name="Rows of the file")
    expect(preview).to_contain_text("5,000 rows, 3 columns")
    expect(grid).to_have_attribute("aria-rowcount", "5001")
    expect(grid.get_by_role("row").nth(1)).to_contain_text('a, "b" 0')

    grid.get_by_role("button", name="score").click()
    grid.get_by_role("button", name="score").click()

    expect(grid.get_by_role("row").nth(1)).to_contain_text("2499.5")
    assert preview.page.evaluate("document.querySelectorAll('*').length") < 1500
    preview.get_by_role("button", name="Source").click()
    expect(preview.get_by_role("group", name="Content")).to_contain_text("name,score,comment")


def test_tsv_and_tables_in_json_are_tables(show: Show) -> None:
    expect(show("table.tsv").get_by_role("columnheader", name="b")).to_be_visible()
    expect(show("log_table.json").get_by_role("gridcell", name="how")).to_be_visible()


def test_json_is_a_tree_that_opens_step_by_step(show: Show) -> None:
    preview = show("data.json")
    many = preview.get_by_role("button", name="many: [1,000]")
    expect(preview).to_contain_text('c: "text"')
    expect(many).to_have_attribute("aria-expanded", "false")

    many.press("Enter")

    expect(preview.get_by_text("99: 99")).to_be_visible()
    expect(preview.get_by_text("100: 100")).to_have_count(0)
    preview.get_by_role("button", name="Show more of 1,000").click()
    expect(preview.get_by_text("999: 999")).to_be_visible()


def test_broken_json_is_shown_as_it_is(show: Show) -> None:
    preview = show("broken.json")
    expect(preview.get_by_role("note")).to_contain_text("This is not whole JSON")
    expect(preview.get_by_role("group", name="Content")).to_contain_text('{"a":')


def test_code_has_numbers_and_colours(show: Show) -> None:
    preview = show("train.py")
    expect(preview.locator(".line-numbers")).to_have_text("1\n2\n3")
    expect(preview.locator(".token-word")).to_have_text(["def", "return"])
    expect(preview.locator(".token-comment")).to_have_text("# c")
    expect(show("config.yaml").locator(".token-key")).to_have_text(["lr", "layers"])


def test_markdown_is_drawn(show: Show) -> None:
    preview = show("notes.md")
    expect(preview.get_by_role("heading", name="Title")).to_be_visible()
    expect(preview.locator("em")).to_have_text("text")
    expect(preview).to_contain_text("<b>not bold</b>")
    expect(preview.locator("b")).to_have_count(0)


def test_images_show_their_size(show: Show) -> None:
    preview = show("plots/red.png")
    expect(preview.get_by_role("img", name="red.png")).to_be_visible()
    expect(preview).to_contain_text("4 × 3")
    assert preview.locator("img").evaluate("i => i.src").startswith("blob:")
    vector = show("plots/shape.svg")
    expect(vector).to_contain_text("90 × 60")


def test_sound_can_be_played_and_what_is_none_says_so(show: Show) -> None:
    audio = show("sound.wav").locator("audio")
    audio.evaluate("a => new Promise(r => a.readyState >= 1 ? r() : a.addEventListener('loadedmetadata', r))")
    assert audio.evaluate("a => a.duration") == pytest.approx(1.0)
    expect(show("film.mp4")).to_contain_text("The browser cannot play this file")


def test_a_pdf_can_be_opened_in_a_tab(show: Show) -> None:
    # its viewer is an extension, which asks for its own files
    link = show("doc.pdf", faults=False).get_by_role("link", name="Open it in a tab")
    assert (link.get_attribute("href") or "").startswith("blob:")
    assert link.get_attribute("rel") == "noopener"


def test_a_page_is_drawn_and_its_scripts_run_only_if_asked(show: Show) -> None:
    preview = show("report.html")
    text = preview.frame_locator("iframe").locator("#p")
    expect(text).to_have_text("still")
    assert text.evaluate("p => [getComputedStyle(p).color, getComputedStyle(p).marginLeft]") == [
        "rgb(1, 2, 3)",
        "7px",
    ]

    preview.get_by_role("button", name="Run its scripts").click()
    expect(text).to_have_text("scripts ran")
    preview.get_by_role("button", name="Stop them").click()
    expect(text).to_have_text("still")


def test_a_notebook_is_read_like_a_paper(show: Show) -> None:
    preview = show("nb.ipynb")
    expect(preview.get_by_role("heading", name="Study")).to_be_visible()
    expect(preview.get_by_role("group", name="Cell 7")).to_contain_text("df.head()")
    expect(preview.get_by_role("group", name="Output").first).to_have_text("printed\n")
    expect(preview.get_by_role("img", name="Output")).to_be_visible()
    expect(preview.locator(".output.error")).to_have_text("ValueError: bad")
    expect(preview.frame_locator("iframe").locator("td")).to_have_text("in a table")
    assert (preview.locator("iframe").bounding_box() or {})["height"] < 200


def test_a_patch_has_signs_and_colours(show: Show) -> None:
    preview = show("change.patch")
    expect(preview.locator("tr.added")).to_contain_text("new")
    expect(preview.locator("tr.removed")).to_contain_text("old")


def test_parquet_tells_its_columns_and_how_to_read_it(show: Show) -> None:
    preview = show("rows.parquet")
    expect(preview).to_contain_text("3 rows in 1 group")
    rows = preview.get_by_role("region", name="Columns").get_by_role("row")
    expect(rows.nth(1)).to_have_text("numberint64yes")
    expect(rows.nth(2)).to_have_text("textstringyes")
    expect(rows.nth(3)).to_have_text("listlistyes")
    expect(preview).to_contain_text("slipstream artifacts download")


def test_a_model_has_a_card(show: Show) -> None:
    preview = show("model/MLmodel")
    expect(preview.get_by_text("sklearn 1.5.0")).to_be_visible()
    inputs = preview.get_by_role("table", name="inputs").get_by_role("row")
    expect(inputs.nth(1)).to_have_text("xdouble")
    expect(inputs.nth(2)).to_have_text("ystring (optional)")
    expect(preview.get_by_role("table", name="outputs")).to_contain_text("float64 [-1,3]")
    expect(preview.get_by_role("group", name="Requirements")).to_contain_text("scikit-learn==1.5.0")


def test_what_is_no_text_is_told_by_its_bytes(show: Show) -> None:
    preview = show("weights.bin")
    expect(preview.get_by_role("region", name="The first bytes")).to_contain_text("000000  00 01 02")
    expect(show("array.npy")).to_contain_text("an array of NumPy")
    expect(show("empty.txt")).to_contain_text("The file is empty.")
    expect(show("utf16.txt").get_by_role("group", name="Content")).to_have_text("1grüße")


def test_an_archive_is_listed(show: Show) -> None:
    preview = show("packed.zip")
    expect(preview).to_contain_text("An archive of 2 entries, 601 B unpacked.")
    line = preview.get_by_role("grid", name="Rows of the file").get_by_role("row").nth(1)
    expect(line.get_by_role("gridcell").nth(1)).to_have_text("folder/grüße.txt")
    expect(line.get_by_role("gridcell").nth(2)).to_have_text("600")
    expect(show("no_archive.pt")).to_contain_text("a pickle; loading it runs what is in it")


def test_big_files_are_cut_with_a_note(show: Show) -> None:
    preview = show("big.log")
    expect(preview.get_by_role("note")).to_have_text(
        "The first 500 kB of 1.0 MB. Download the file for all of it."
    )
    with preview.page.expect_download() as download:
        preview.get_by_role("button", name="Download").click()
    assert Path(download.value.path()).stat().st_size == 1_000_000
    assert download.value.suggested_filename == "big.log"


def test_large_folders_come_page_by_page(open_page: OpenPage, run: str) -> None:
    page = open_page(run)
    tree = page.get_by_role("tree", name="Files")
    tree.get_by_role("treeitem", name="many").click()
    expect(tree.get_by_role("treeitem", name="199.txt")).to_have_count(1)
    expect(tree.get_by_role("treeitem", name="200.txt")).to_have_count(0)
    tree.get_by_role("treeitem", name="more: 200 of 450 are shown").click()
    expect(tree.get_by_role("treeitem", name="449.txt")).to_have_count(1)


def test_the_tree_works_by_keys_and_the_file_is_in_the_address(
    open_page: OpenPage, run: str, server: ServerProcess
) -> None:
    page = open_page(run)
    tree = page.get_by_role("tree", name="Files")
    expect(tree.get_by_role("treeitem", name="plots")).to_be_visible()
    tree.focus()
    for key in ("End", "Home", "j", "j", "ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
        if key == "ArrowRight":
            expect(tree.get_by_role("treeitem", name="red.png")).to_be_visible()
    page.wait_for_url(f"{server.url}{run}?file=plots%2Fred.png")
    expect(tree.get_by_role("treeitem", name="red.png")).to_have_attribute("aria-selected", "true")
    expect(tree).to_be_focused()
    page.reload()
    expect(tree.get_by_role("treeitem", name="red.png")).to_have_attribute("aria-selected", "true")
    page.go_back()
    expect(page.get_by_text("Choose a file to look at it here.")).to_be_visible()


def test_a_run_without_files_says_how_to_log_one(open_page: OpenPage, client: SlipstreamClient) -> None:
    run_id = client.create_run("0").info.run_id
    page = open_page(f"/experiments/0/runs/{run_id}/artifacts")
    expect(page.get_by_role("heading", name="No files")).to_be_visible()


def test_a_file_that_is_gone_says_so(open_page: OpenPage, run: str) -> None:
    page = open_page(f"{run}?file=gone.txt", faults=False)
    expect(page.get_by_role("alert")).to_contain_text("gone.txt")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_files_are_fetched_with_the_token_and_under_a_prefix(
    open_page: OpenPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPSTREAM_SERVER_TOKEN", "open-sesame")
    server = ServerProcess(
        tmp_path, "--durability", "normal", "--auth", "token", "--static-prefix", "/team/ml"
    )
    try:
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "open-sesame")
        files = {"red.png": png(), "sound.wav": sound(), "page.html": REPORT, "a.txt": "text"}
        run_id = log_run(SlipstreamClient(server.url), tmp_path, files)
        page = open_page("/settings", faults=False, url=server.url)
        page.get_by_role("textbox", name="Token").fill("open-sesame")
        page.keyboard.press("Enter")
        expect(page.get_by_role("rowheader", name="features")).to_be_visible()
        for name, part in (
            ("red.png", "img"),
            ("sound.wav", "audio"),
            ("page.html", "iframe"),
            ("a.txt", "pre"),
        ):
            page.goto(f"{server.url}/experiments/0/runs/{run_id}/artifacts?file={name}")
            expect(page.get_by_role("region", name="File", exact=True).locator(part).first).to_be_visible()
            if part == "iframe":
                expect(page.frame_locator("iframe").locator("#p")).to_have_text("still")
        expect(page.get_by_role("group", name="Content")).to_contain_text("text")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        assert Path(download.value.path()).read_text() == "text"
        assert download.value.suggested_filename == "a.txt"
        page.close()  # before its server ends, of which it would complain
    finally:
        close_all()
        server.stop()
