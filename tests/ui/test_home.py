"""The page at `/`: how to begin on a new server; then what runs, what ended and why, and which models there are."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient
from slipstream.client.connect import close_all

OpenPage = Callable[..., Page]


def test_a_new_server_says_how_to_begin_and_then_shows_what_runs(
    open_page: OpenPage, violations: Callable[[Page], list[str]], tmp_path: Path
) -> None:
    server = ServerProcess(tmp_path, "--durability", "normal")
    page = open_page("/", url=server.url)
    try:
        _begin(page, violations, server)
    finally:
        page.close()
        close_all()
        server.stop()


def run_as_pasted(page: Page, **environment: str) -> None:
    """Give the page's first steps to Python as they stand there."""
    shown = page.get_by_role("region", name="A first run in Python")
    expect(shown).to_be_visible()
    done = subprocess.run(
        [sys.executable, "-"],
        input=shown.inner_text(),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_first_steps_run_as_pasted_where_there_is_a_token_and_a_prefix(
    open_page: OpenPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPSTREAM_SERVER_TOKEN", "open-sesame")
    server = ServerProcess(
        tmp_path, "--durability", "normal", "--auth", "token", "--static-prefix", "/team/ml"
    )
    page = open_page("/", faults=False, url=server.url)
    try:
        page.get_by_role("textbox", name="Token").fill("open-sesame")
        page.keyboard.press("Enter")
        expect(page.get_by_role("region", name="The token, for this shell")).to_contain_text(
            "MLFLOW_TRACKING_TOKEN"
        )
        run_as_pasted(page, MLFLOW_TRACKING_TOKEN="open-sesame")
        expect(
            page.get_by_role("region", name="Ended lately").get_by_role("link", name="first")
        ).to_be_visible()
    finally:
        page.close()
        close_all()
        server.stop()


def _begin(page: Page, violations: Callable[[Page], list[str]], server: ServerProcess) -> None:
    client = SlipstreamClient(server.url)
    expect(page.get_by_role("heading", name="This server is ready")).to_be_visible()
    expect(page.get_by_role("region", name="A first run in Python")).to_contain_text(server.url)
    assert violations(page) == []

    run_as_pasted(page)
    ended = page.get_by_role("region", name="Ended lately")
    expect(ended.get_by_role("link", name="first", exact=True)).to_be_visible()  # the experiment

    run_id = client.create_run("0", run_name="first try").info.run_id

    running = page.get_by_role("region", name="Running now")
    expect(running.get_by_role("link", name="first try")).to_be_visible()  # without loading the page anew

    client.set_tag(run_id, "slipstream.end.reason", "ValueError: no such layer")
    client.set_terminated(run_id, "FAILED")
    expect(ended.get_by_role("link", name="first try")).to_be_visible()
    expect(ended.get_by_text("ValueError: no such layer")).to_be_visible()
    expect(running.get_by_text("Nothing runs now.")).to_be_visible()

    client.create_registered_model("churn")
    page.reload()
    expect(page.get_by_role("region", name="Models").get_by_role("link", name="churn")).to_be_visible()
    assert violations(page) == []
    ended.get_by_role("link", name="first try").click()
    page.wait_for_url(f"{server.url}/experiments/0/runs/{run_id}*")


def test_it_fits_a_phone_in_the_dark(
    open_page: OpenPage, violations: Callable[[Page], list[str]], client: SlipstreamClient
) -> None:
    client.create_run("0", run_name="a-run-with-a-rather-long-name-that-does-not-fit-a-phone")
    page = open_page("/", color_scheme="dark", viewport={"width": 390, "height": 800})

    expect(page.get_by_role("region", name="Running now").get_by_role("link").first).to_be_visible()
    assert page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0
    assert violations(page) == []
