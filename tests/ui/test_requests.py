"""What pages cost: requests and bytes of a first visit and of a second one, and none at all while nothing changes."""

import threading
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from logged_run import log_run
from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient
from slipstream.client.rest import RestStore
from slipstream.client.transport import Transport
from slipstream.entities import Metric, Param, RunTag

OpenPage = Callable[..., Page]
Bytes = Callable[[Page, str], dict[str, float]]
RUNS = 120
STEPS = 5_000
IDLE_MS = 2_500
STREAM = 1
"""The open stream, which `browser_bytes` does not count."""
READY = {
    "home": "text=Ended lately",
    "experiments": "[role=grid] [role=row] a",
    "runs": "[role=treegrid] [role=row] a",
    "run": "[role=grid] [role=row]",
    "console": ".run-header",
    "system": ".run-header",
    "charts of a run": "canvas",
    "charts": "canvas",
    "compare": "[role=grid] [role=row] a, table a",
    "models": "[role=grid] [role=row] a",
    "model": "[role=grid] [role=row]",
    "version": "h1:has-text('Version 1')",
}


@pytest.fixture(scope="module")
def addresses(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The addresses of a server where something of everything is, by page; a run of them still runs."""
    client = SlipstreamClient(server.url)
    experiment = client.create_experiment("costs")
    runs: list[str] = []
    for number in range(RUNS):
        tags = {"mlflow.parentRunId": runs[1]} if number > RUNS - 5 else {}
        run_id = client.create_run(experiment, run_name=f"run {number}", tags=tags).info.run_id
        params = [Param(f"p{each}", str((number * 7 + each) % 11)) for each in range(12)]
        metrics = [Metric(f"m{each}", (number * 13 + each) % 17 / 7, 1, 0) for each in range(10)]
        client.log_batch(run_id, metrics, params, [RunTag("team", "a" if number % 2 else "b")])
        client.set_terminated(run_id)
        runs.append(run_id)
    for key in range(10):
        for first in range(0, STEPS, 1_000):
            points = [
                Metric(f"m{key}", ((step * 7919 + key) % 1000) / 997, 1 + step, step)
                for step in range(first, first + 1_000)
            ]
            client.log_batch(runs[0], points)
    running = client.create_run(experiment, run_name="running").info.run_id
    client.log_batch(running, [Metric("loss", 1.0, 1, 1), Metric("system/cpu", 1.0, 1, 1)])
    made = log_run(client, tmp_path_factory.mktemp("files"), {"model/MLmodel": "flavors: {}\n"})
    client.log_batch(made, [Metric("rmse", 0.5, 1, 0)])
    files = client.get_run(made).info.artifact_uri
    client.create_registered_model("cost model")
    client.create_model_version("cost model", source=f"{files}/model", run_id=made)
    client.set_registered_model_alias("cost model", "champion", "1")
    where, run = f"/experiments/{experiment}", f"/experiments/{experiment}/runs/{runs[0]}"
    is_over = threading.Event()

    def live() -> None:
        """It prints and logs nothing, and gives signs of life, as clients do, only more often."""
        store = RestStore(Transport(server.url))
        while not is_over.is_set():
            store.beat([running])
            is_over.wait(1)

    beating = threading.Thread(target=live)
    beating.start()
    yield {
        "home": "/",
        "experiments": "/experiments",
        "runs": where,
        "run": run,
        "charts of a run": f"{run}/charts",
        "charts": f"{where}?view=charts",
        "compare": "/compare?" + urllib.parse.urlencode({"runs": ",".join(runs[:20])}),
        "models": "/models",
        "model": "/models/cost%20model",
        "version": "/models/cost%20model/versions/1",
        "run that runs": f"{where}/runs/{running}",
        "console of it": f"{where}/runs/{running}/console",
        "system of it": f"{where}/runs/{running}/system",
    }
    is_over.set()
    beating.join()


@pytest.mark.parametrize(
    ("page_name", "requests", "kilobytes"),
    [
        ("home", 6, 60),
        ("experiments", 6, 60),
        ("runs", 6, 150),
        ("run", 7, 150),
        ("run that runs", 7, 150),
        ("charts of a run", 12, 250),
        ("charts", 12, 300),
        ("compare", 9, 250),
        ("models", 7, 100),
        ("model", 8, 100),
        ("version", 11, 120),
    ],
)
def test_a_first_visit_costs_little(
    open_page: OpenPage,
    browser_bytes: Bytes,
    server: ServerProcess,
    addresses: dict[str, str],
    page_name: str,
    requests: int,
    kilobytes: int,
) -> None:
    page = open_page("/settings")
    loaded = browser_bytes(page, server.url + addresses[page_name])
    expect(page.locator(READY.get(page_name, ".run-header")).first).to_be_visible()
    print(f"{page_name}: {loaded['requests'] + STREAM:.0f} requests, {loaded['bytes'] / 1000:.1f} kB")  # noqa: T201  # the figures
    assert loaded["requests"] + STREAM <= requests
    assert loaded["bytes"] <= kilobytes * 1000


def on_the_wire(page: Page) -> dict[str, Any]:
    """Count what really goes to the server from now on, and its bytes; what the browser has kept is no request."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    sent: dict[str, str] = {}
    kept: set[str] = set()
    sizes: dict[str, float] = {}
    session.on("Network.requestServedFromCache", lambda event: kept.add(event["requestId"]))
    session.on(
        "Network.responseReceived",
        lambda event: event["response"].get("fromDiskCache") and kept.add(event["requestId"]),
    )
    session.on(
        "Network.requestWillBeSent",
        lambda event: sent.update({event["requestId"]: event["request"]["url"]}),
    )
    session.on(
        "Network.loadingFinished",
        lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}),
    )
    return {"sent": sent, "kept": kept, "sizes": sizes}


def test_a_second_visit_of_the_runs_table_costs_less(
    open_page: OpenPage, server: ServerProcess, addresses: dict[str, str]
) -> None:
    page = open_page(addresses["runs"])
    expect(page.locator(READY["runs"]).first).to_be_visible()
    page.goto("about:blank")
    counted = on_the_wire(page)
    page.goto(server.url + addresses["runs"])
    expect(page.locator(READY["runs"]).first).to_be_visible()
    settle(page)
    went = {
        name: url
        for name, url in counted["sent"].items()
        if name not in counted["kept"] and url.startswith("http")
    }
    size = sum(counted["sizes"].get(name, 0) for name in went)
    print(f"second visit: {len(went)} requests, {size / 1000:.1f} kB")  # noqa: T201  # the figures
    assert len(went) <= 3, went
    assert size <= 35_000


def settle(page: Page) -> list[str]:
    """Wait until a page has asked for nothing for a second; return what it asks for from then on."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for _ in range(100):
        before = len(asked)
        page.wait_for_timeout(1_000)
        if len(asked) == before:
            break
    asked.clear()
    return asked


def test_nothing_is_asked_while_nothing_changes(open_page: OpenPage, addresses: dict[str, str]) -> None:
    asked: dict[str, list[str]] = {}
    page = None
    for name, address in addresses.items():  # beside each other: one wait is for all
        page = open_page(address)
        expect(page.locator(READY.get(name, ".run-header")).first).to_be_visible()
        asked[name] = []
        page.on("request", lambda request, name=name: asked[name].append(request.url))
    assert page is not None
    settle(page)
    for each in asked.values():
        each.clear()
    page.wait_for_timeout(IDLE_MS)
    assert {name: each for name, each in asked.items() if each} == {}
