"""The page of a run: what it shows, what can be changed on it, that it follows what goes on, and that keys are enough."""

import re
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from logged_run import log_run
from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient
from slipstream.entities import Dataset, DatasetInput, InputTag, Metric, Param
from slipstream.entities.liveness import ConsoleChunk, LostRun

OpenPage = Callable[..., Page]
NOTE = "mlflow.note.content"
PATCH = """diff --git a/train.py b/train.py
--- a/train.py
+++ b/train.py
@@ -1,2 +1,3 @@
 import torch
-lr = 0.01
+lr = 0.1
+epochs = 90
"""


@pytest.fixture(scope="module")
def full(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run with something of everything; its id."""
    client = SlipstreamClient(server.url)
    files = {
        "context/diff.patch": PATCH,
        "context/requirements.lock": "numpy==2.1.0\n",
        "context/host.json": '{"cpu": "a fast one"}',
        "context/left_out.txt": "data.bin: too large\n",
        "logs/console.log": "first\n\x1b[31mred\x1b[0m line\nlast\n",
        "model.txt": "weights",
    }
    tags = {
        "team": "vision",
        NOTE: "# Baseline\n\nBetter by **2 %**, see [paper](https://example.org/p).",
        "mlflow.user": "ada",
        "mlflow.source.name": "/home/ada/train.py",
        "mlflow.source.git.commit": "0123456789abcdef0123456789abcdef01234567",
        "mlflow.source.git.repoURL": "https://example.org/code.git",
        "slipstream.command": "python train.py --lr 0.1",
        "slipstream.host": "gpu-7",
    }
    run_id = log_run(
        client,
        tmp_path_factory.mktemp("files"),
        files,
        experiment=client.create_experiment("vision"),
        tags=tags,
    )
    points = [Metric("loss", value, step, step) for step, value in enumerate((3.0, 0.5, 7.25, 1.5))]
    client.log_batch(
        run_id,
        metrics=[*points, Metric("acc", 0.75, 1, 0), Metric("system/cpu_utilization_percentage", 51.0, 1, 0)],
        params=[
            Param("lr", "0.1"),
            Param("optimizer", "adamw"),
            *(Param(f"p{n}", str(n)) for n in range(10)),
        ],
    )
    dataset = Dataset(
        name="wine", digest="ab12", source_type="http", source='{"url": "https://example.org/wine.csv"}',
        schema='{"mlflow_colspec": [{"name": "x", "type": "double"}]}', profile='{"num_rows": 1599}',
    )  # fmt: skip
    client.log_inputs(
        run_id, datasets=[DatasetInput(dataset=dataset, tags=[InputTag("mlflow.data.context", "training")])]
    )
    client.create_registered_model("wine-model")
    client.create_model_version("wine-model", source=f"runs:/{run_id}/model", run_id=run_id)
    client.set_registered_model_alias("wine-model", "champion", "1")
    info = client.get_run(run_id).info
    child = client.create_run(info.experiment_id, run_name="fold 0", tags={"mlflow.parentRunId": run_id})
    client.set_terminated(child.info.run_id)
    return run_id


def address(client: SlipstreamClient, run_id: str, part: str = "") -> str:
    return f"/experiments/{client.get_run(run_id).info.experiment_id}/runs/{run_id}{part}"


def row(page: Page, grid: str, name: str) -> list[str]:
    """Return what the cells of a row say."""
    line = page.get_by_role("grid", name=grid).get_by_role("row").filter(has_text=name).first
    return line.get_by_role("gridcell").all_inner_texts()


def test_the_overview_has_what_was_logged(open_page: OpenPage, client: SlipstreamClient, full: str) -> None:
    page = open_page(address(client, full))
    expect(page.get_by_role("heading", name="a run", level=1)).to_be_visible()
    expect(page).to_have_title("a run · slipstream")
    facts = page.locator(".run-facts")
    for text in ("finished", "by ada", "from train.py", "01234567", full):
        expect(facts).to_contain_text(text)
    expect(page.get_by_role("grid", name="Metrics").get_by_role("gridcell", name="7.25")).to_be_visible()

    assert row(page, "Metrics", "loss") == ["loss", "1.5", "0.5", "7.25", "3"]
    assert row(page, "Metrics", "acc") == ["acc", "0.75", "0.75", "0.75", "0"]
    assert row(page, "Params", "optimizer") == ["optimizer", "adamw"]
    expect(page.get_by_role("grid", name="Metrics")).not_to_contain_text("system/")
    expect(page.get_by_role("heading", name="Baseline")).to_be_visible()
    expect(page.get_by_role("link", name="paper")).to_have_attribute("rel", "noopener noreferrer nofollow")
    expect(page.get_by_role("link", name="wine-model version 1")).to_have_attribute(
        "href", "/models/wine-model/versions/1"
    )
    expect(page.get_by_text("@champion")).to_be_visible()
    expect(page.get_by_text("1,599 rows")).to_be_visible()
    expect(page.get_by_role("link", name="https://example.org/wine.csv")).to_be_visible()
    expect(page.get_by_role("log", name="Console")).to_contain_text("red line")
    page.get_by_role("link", name="fold 0").click()
    expect(page.get_by_role("heading", name="fold 0", level=1)).to_be_visible()
    page.get_by_role("link", name="a run", exact=True).click()
    expect(page.get_by_role("heading", name="a run", level=1)).to_be_visible()


def test_tabs_are_in_the_address_and_have_keys(
    open_page: OpenPage, client: SlipstreamClient, full: str, server: ServerProcess
) -> None:
    page = open_page(address(client, full))
    tabs = page.get_by_role("navigation", name="Parts of the run")
    expect(tabs.get_by_role("link", name="Overview")).to_have_attribute("aria-current", "page")
    for key, name in (("2", "charts"), ("3", "system"), ("4", "console"), ("5", "artifacts"), ("6", "code")):
        page.keyboard.press(key)
        page.wait_for_url(server.url + address(client, full, f"/{name}"))
        expect(tabs.get_by_role("link", name=name.capitalize())).to_have_attribute("aria-current", "page")
        expect(page.locator(".skeleton")).to_have_count(0)
    page.go_back()
    page.wait_for_url(server.url + address(client, full, "/artifacts"))
    page.keyboard.press("1")
    page.wait_for_url(server.url + address(client, full))


def test_metrics_are_searched_and_copied(open_page: OpenPage, client: SlipstreamClient, full: str) -> None:
    page = open_page(address(client, full) + "?params=optim")
    grid = page.get_by_role("grid", name="Params")
    expect(grid.get_by_role("gridcell", name="adamw")).to_be_visible()
    expect(grid).to_have_attribute("aria-rowcount", "2")
    page.get_by_label("Search params").fill("P1")
    expect(grid.get_by_role("gridcell", name="p1")).to_be_visible()
    assert "params=P1" in page.url

    grid.focus()
    page.keyboard.press("Enter")

    expect(page.locator(".toast")).to_have_text("p1 copied.×")
    assert page.evaluate("navigator.clipboard.readText()") == "1"
    page.get_by_label("Search params").fill("nothing of the kind")
    expect(page.get_by_text("Nothing has that in its name or value.")).to_be_visible()


def test_a_run_is_renamed_in_place_and_back(
    open_page: OpenPage, client: SlipstreamClient, tmp_path: Path
) -> None:
    run_id = log_run(client, tmp_path, name="old name")
    page = open_page(address(client, run_id))
    expect(page.get_by_role("heading", name="old name")).to_be_visible()

    page.keyboard.press("r")
    page.get_by_label("Name of the run").fill("new name")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="new name")).to_be_visible()
    assert client.get_run(run_id).info.run_name == "new name"
    expect(page.get_by_role("button", name="Undo").last).to_be_visible()
    page.keyboard.press("Control+z")
    expect(page.get_by_role("heading", name="old name")).to_be_visible()
    assert client.get_run(run_id).info.run_name == "old name"


def test_tags_are_set_changed_removed_and_brought_back(
    open_page: OpenPage, client: SlipstreamClient, tmp_path: Path
) -> None:
    run_id = log_run(client, tmp_path, tags={"team": "vision"})
    page = open_page(address(client, run_id))
    tags = page.get_by_role("group", name="Tags")
    tags.get_by_role("button", name="+ tag").click()
    tags.get_by_label("Name of the tag").fill("stage")
    tags.get_by_label("Value of the tag").fill("candidate")
    page.keyboard.press("Enter")
    expect(tags.get_by_role("button", name="Change tag stage: candidate")).to_be_visible()
    tags.get_by_role("button", name="Change tag team: vision").click()
    tags.get_by_label("Value of the tag").fill("speech")
    page.keyboard.press("Enter")
    expect(tags.get_by_role("button", name="Change tag team: speech")).to_be_visible()
    tags.get_by_role("button", name="Remove tag stage").click()
    expect(tags.get_by_role("button", name="Remove tag stage")).to_have_count(0)
    assert {"team": "speech"}.items() <= client.get_run(run_id).data.tags.items()
    assert "stage" not in client.get_run(run_id).data.tags

    expect(page.get_by_role("button", name="Undo").last).to_be_visible()
    page.keyboard.press("Control+z")

    expect(tags.get_by_role("button", name="Change tag stage: candidate")).to_be_visible()


def test_notes_are_written_with_a_preview(
    open_page: OpenPage, client: SlipstreamClient, tmp_path: Path
) -> None:
    run_id = log_run(client, tmp_path)
    page = open_page(address(client, run_id))
    expect(page.get_by_text("No notes yet")).to_be_visible()

    page.keyboard.press("n")
    area = page.get_by_label("Notes in Markdown")
    expect(area).to_be_focused()
    area.fill("It is *better*.\n\n- [x] done")
    expect(page.get_by_role("region", name="Preview").locator("em")).to_have_text("better")
    page.keyboard.press("Control+Enter")

    expect(area).to_have_count(0)
    expect(page.locator(".notes em")).to_have_text("better")
    expect(page.get_by_role("img", name="done")).to_be_visible()
    assert client.get_run(run_id).data.tags[NOTE] == "It is *better*.\n\n- [x] done"
    page.keyboard.press("n")
    area.fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("No notes yet")).to_be_visible()
    assert NOTE not in client.get_run(run_id).data.tags


def test_a_run_is_deleted_and_brought_back(
    open_page: OpenPage, client: SlipstreamClient, tmp_path: Path
) -> None:
    run_id = log_run(client, tmp_path)
    client.log_metric(run_id, "loss", 0.5)
    page = open_page(address(client, run_id))
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("This run is in the trash.")).to_be_visible()
    assert client.get_run(run_id).info.lifecycle_stage == "deleted"
    page.reload()
    expect(page.get_by_role("grid", name="Metrics")).to_contain_text("0.5")
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("This run is in the trash.")).to_have_count(0)
    assert client.get_run(run_id).info.lifecycle_stage == "active"

    page.get_by_role("button", name="Delete").click()
    page.get_by_role("status").get_by_role("button", name="Undo").click()

    expect(page.get_by_role("button", name="Delete")).to_be_visible()
    assert client.get_run(run_id).info.lifecycle_stage == "active"


def test_a_running_run_is_followed(
    open_page: OpenPage, client: SlipstreamClient, server: ServerProcess
) -> None:
    run_id = client.create_run("0", run_name="going on").info.run_id
    store = client.connection.store
    store.beat([run_id])
    store.append_console(run_id, [ConsoleChunk(first=0, next=8, text="epoch 1\n")])
    page = open_page(address(client, run_id))
    expect(page.locator(".run-facts")).to_contain_text("running")
    expect(page.locator(".run-facts")).to_contain_text("last sign of life")
    log = page.get_by_role("log", name="Console")
    expect(log).to_have_text("epoch 1\n")

    client.log_metric(run_id, "loss", 0.625, step=4)
    expect(page.get_by_role("grid", name="Metrics")).to_contain_text("0.625")
    store.append_console(run_id, [ConsoleChunk(first=8, next=16, text="epoch 2\n")])
    expect(log).to_contain_text("epoch 2")

    store.report_lost(
        LostRun(
            run_id=run_id,
            status="KILLED",
            end_time=int(time.time() * 1000),
            tags={
                "slipstream.end.reason": "The process was killed (SIGKILL).",
                "slipstream.end.noticed_by": "watcher",
            },
        )
    )
    expect(page.locator(".run-facts")).to_contain_text("killed")
    expect(page.locator(".death")).to_have_text("The process was killed (SIGKILL). Noticed by the watcher.")
    expect(page.locator(".run-facts")).not_to_contain_text("sign of life")


def test_the_console_shows_what_was_printed(open_page: OpenPage, client: SlipstreamClient, full: str) -> None:
    page = open_page(address(client, full, "/console"))
    log = page.get_by_role("log", name="Console")
    expect(log).to_have_text("first\nred line\nlast\n")
    expect(log.locator(".ansi-red")).to_have_text("red")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "console.log"


def test_a_long_console_shows_its_end(open_page: OpenPage, client: SlipstreamClient, tmp_path: Path) -> None:
    lines = "".join(f"line {number}\n" for number in range(60_000))
    run_id = log_run(client, tmp_path, {"logs/console.log": lines})
    page = open_page(address(client, run_id, "/console"))
    log = page.get_by_role("log", name="Console")
    expect(log).to_contain_text("line 59999")
    expect(page.get_by_text("without the first")).to_be_visible()
    assert page.evaluate("document.querySelector('.console pre').textContent.length") <= 400_000
    assert log.evaluate("e => e.scrollHeight - e.scrollTop - e.clientHeight") < 5


def test_the_code_leads_back_to_itself(open_page: OpenPage, client: SlipstreamClient, full: str) -> None:
    page = open_page(address(client, full, "/code"))
    text = page.get_by_role("region", name="Commands", exact=True).inner_text()
    assert text.splitlines() == [
        "git clone -- https://example.org/code.git code",
        "cd code",
        "git checkout 0123456789abcdef0123456789abcdef01234567",
        f"slipstream artifacts download --run-id {full} --artifact-path context --dst-path ..",
        "git apply ../context/diff.patch",
        "uv venv && uv pip sync ../context/requirements.lock",
        "python train.py --lr 0.1",
    ]
    changes = page.get_by_role("group", name="Changes of train.py")
    expect(changes.locator("tr.added")).to_have_count(2)
    expect(changes.locator("tr.removed")).to_contain_text("lr = 0.01")
    expect(page.get_by_role("group", name="Packages")).to_contain_text("numpy==2.1.0")


def test_hostile_values_are_quoted_in_commands(
    open_page: OpenPage, client: SlipstreamClient, tmp_path: Path
) -> None:
    tags = {
        "mlflow.source.git.commit": "x; rm -rf ~ #",
        "mlflow.source.git.repoURL": "--upload-pack='evil'",
        "mlflow.source.name": "$(evil).py",
    }
    run_id = log_run(client, tmp_path, tags=tags)
    page = open_page(address(client, run_id, "/code"))

    text = page.get_by_role("region", name="Commands", exact=True).inner_text()

    assert "git checkout 'x; rm -rf ~ #'" in text
    assert """git clone -- '--upload-pack='"'"'evil'"'"'' code""" in text
    assert "python '$(evil).py'" in text


def test_show_as_code_works(open_page: OpenPage, client: SlipstreamClient, full: str) -> None:
    page = open_page(address(client, full))
    expect(page.get_by_role("heading", name="a run", level=1)).to_be_visible()
    page.keyboard.press("s")
    dialog = page.get_by_role("dialog", name="Show as code")
    expect(dialog.get_by_role("region", name="Python")).to_contain_text(f'get_run("{full}")')

    commands = dialog.get_by_role("region", name="curl").inner_text().split("\n")

    for command in commands:
        with urllib.request.urlopen(command.removeprefix("curl ").strip("'")) as answer:
            assert full in answer.read().decode()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_what_was_before_is_shown(open_page: OpenPage, client: SlipstreamClient, tmp_path: Path) -> None:
    run_id = client.create_run("0").info.run_id
    store = client.connection.store
    client.log_batch(run_id, metrics=[Metric("loss", 1.0 / (step + 1), step, step) for step in range(10)])
    client.log_param(run_id, "lr", "0.1")
    store.branch_run(run_id, 5)
    store.overwrite_params(run_id, [Param("lr", "0.01")], int(time.time() * 1000))
    page = open_page(address(client, run_id))

    changed = page.get_by_role("region", name="Params that changed")
    expect(changed.get_by_role("row").filter(has_text="0.01")).to_contain_text("now")
    expect(changed.get_by_role("row")).to_have_count(3)
    expect(page.get_by_text("Branch 1: from step 5")).to_be_visible()


def test_thousands_of_metrics_cost_no_more_elements(open_page: OpenPage, client: SlipstreamClient) -> None:
    run_id = client.create_run("0").info.run_id
    for first in range(0, 12_000, 1000):
        client.log_batch(run_id, metrics=[Metric(f"m{first + n:05}", float(n), 1, 0) for n in range(1000)])
    page = open_page(address(client, run_id))
    grid = page.get_by_role("grid", name="Metrics")
    expect(grid).to_have_attribute("aria-rowcount", "12001")

    grid.focus()
    page.keyboard.press("Control+End")
    expect(grid.get_by_role("gridcell", name="m11999")).to_be_visible()
    expect(
        grid.get_by_role("row").filter(has_text="m11999").get_by_role("gridcell", name="999", exact=True)
    ).to_have_count(3)

    assert page.evaluate("document.querySelectorAll('*').length") < 1500


def test_an_id_alone_leads_to_the_run(
    open_page: OpenPage, client: SlipstreamClient, full: str, server: ServerProcess
) -> None:
    page = open_page(f"/runs/{full}")
    page.wait_for_url(server.url + address(client, full))


def test_a_run_that_is_not_there_says_so(open_page: OpenPage) -> None:
    page = open_page(f"/experiments/0/runs/{'0' * 32}", faults=False)
    expect(page.get_by_role("heading", name="There is no such run")).to_be_visible()


def test_a_server_that_went_away_is_asked_again(
    open_page: OpenPage, client: SlipstreamClient, full: str
) -> None:
    page = open_page("/settings", faults=False)
    page.route("**/runs/overview*", lambda route: route.abort())
    page.goto(page.url.replace("/settings", address(client, full)))
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
    page.unroute("**/runs/overview*")

    expect(page.get_by_role("heading", name="a run", level=1)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_no_fault(
    open_page: OpenPage,
    violations: Callable[[Page], list[str]],
    client: SlipstreamClient,
    full: str,
    scheme: str,
    width: int,
) -> None:
    page = open_page(address(client, full), color_scheme=scheme, viewport={"width": width, "height": 900})
    found: dict[str, list[str]] = {}
    for key, name in enumerate(("overview", "charts", "system", "console", "artifacts", "code"), start=1):
        if name == "charts":  # tried by the tests of charts
            continue
        page.keyboard.press(str(key))
        expect(
            page.get_by_role("navigation", name="Parts of the run").locator("[aria-current=page]")
        ).to_have_text(name.capitalize())
        expect(page.locator(".skeleton")).to_have_count(0)
        found[name] = violations(page)
        assert (
            page.evaluate(
                "document.querySelector('#main').scrollWidth - document.querySelector('#main').clientWidth"
            )
            <= 0
        ), name
    page.keyboard.press("1")
    expect(page.get_by_role("heading", name="Notes")).to_be_visible()
    page.keyboard.press("n")
    expect(page.get_by_label("Notes in Markdown")).to_be_focused()
    found["notes"] = violations(page)

    assert {name: faults for name, faults in found.items() if faults} == {}


def test_keys_are_enough(
    open_page: OpenPage, client: SlipstreamClient, full: str, server: ServerProcess
) -> None:
    experiment = client.get_run(full).info.experiment_id
    page = open_page(f"/experiments/{experiment}?filter=attributes.run_name%20%3D%20'a%20run'")
    expect(page.get_by_role("treegrid", name="Runs")).to_contain_text("a run")
    page.keyboard.press("t")
    page.keyboard.press("Enter")
    page.wait_for_url(server.url + address(client, full))
    expect(page.get_by_role("grid", name="Metrics")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_role("grid", name="Params")).to_be_visible()

    page.keyboard.press("5")
    tree = page.get_by_role("tree", name="Files")
    expect(tree.get_by_role("treeitem", name="logs")).to_be_visible()
    for _ in range(40):
        if tree.evaluate("e => e === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(tree).to_be_focused()
    page.keyboard.press("ArrowDown")  # logs
    page.keyboard.press("ArrowRight")
    expect(tree.get_by_role("treeitem", name="console.log")).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("group", name="Content")).to_contain_text("last")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(tree.get_by_role("treeitem", name="console.log")).to_have_count(0)
    expect(tree).to_be_focused()

    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("rename the run")
    page.keyboard.press("Escape")
    page.keyboard.press("6")
    expect(page.get_by_role("heading", name="Run it again")).to_be_visible()


def test_a_run_by_its_id_alone_is_read_once_and_told_of_runs_below_it(
    open_page: Callable[..., Page], client: SlipstreamClient
) -> None:
    experiment = client.create_experiment("by id")
    run = client.create_run(experiment, run_name="above").info.run_id
    asked: list[str] = []
    page = open_page("/settings")
    page.on("request", lambda request: asked.append(request.url))
    page.goto(page.url.replace("/settings", f"/runs/{run}"))
    expect(page.get_by_role("heading", name="above")).to_be_visible()
    expect(page).to_have_url(re.compile(f"/experiments/{experiment}/runs/{run}$"))
    expect(page.locator("html")).to_have_attribute("data-live", "live")
    assert len([url for url in asked if "runs/overview" in url]) == 1

    below = client.create_run(experiment, run_name="below", tags={"mlflow.parentRunId": run}).info.run_id
    link = page.get_by_role("region", name="Related runs").get_by_role("listitem")
    expect(link).to_have_text("running below", timeout=3000)
    client.set_terminated(below)
    expect(link).to_have_text("finished below", timeout=6000)
