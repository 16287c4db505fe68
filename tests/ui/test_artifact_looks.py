"""Files are shown so that everybody can read them: axe-core finds no fault, and a phone's page does not scroll sideways."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from logged_run import log_run
from preview_files import FILES, parquet
from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def run(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the files of a run."""
    files = {**FILES, "rows.parquet": parquet()}
    run_id = log_run(SlipstreamClient(server.url), tmp_path_factory.mktemp("files"), files)
    return f"/experiments/0/runs/{run_id}/artifacts"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_no_fault(
    open_page: OpenPage, violations: Callable[[Page], list[str]], run: str, scheme: str, width: int
) -> None:
    page = open_page(run, color_scheme=scheme, viewport={"width": width, "height": 900})
    names = "table.csv data.json train.py notes.md plots/red.png sound.wav nb.ipynb change.patch rows.parquet model/MLmodel weights.bin"
    found: dict[str, list[str]] = {}
    for name in names.split():
        page.goto(f"{page.url.split('?')[0]}?file={quote(name, safe='')}")
        expect(page.get_by_role("region", name="File", exact=True)).to_be_visible()
        expect(page.locator(".skeleton")).to_have_count(0)
        found[name] = violations(page)
        main = "document.querySelector('#main')"
        assert page.evaluate(f"{main}.scrollWidth - {main}.clientWidth") <= 0, name

    assert {name: faults for name, faults in found.items() if faults} == {}
