"""How fast charts are drawn and follow the pointer."""

import math
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from run_sweep import Sweep
from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient
from slipstream.entities import Metric

OpenPage = Callable[..., Page]
POINTS = 20_000
BEGAN = 1_790_000_000_000


def test_twenty_lines_of_twenty_thousand_points_follow_the_pointer(
    open_page: OpenPage, server: ServerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    """Print how long they take; the limits are generous, since machines of tests are busy."""
    client = SlipstreamClient(server.url)
    experiment = client.create_experiment("long ones")
    for number in range(20):
        run_id = client.create_run(experiment, run_name=f"long-{number}").info.run_id
        for first in range(0, POINTS, 1000):
            client.log_batch(
                run_id,
                metrics=[
                    Metric(
                        "loss",
                        math.sin(step / 500) + (step * 7919 % 100) / 200 + number / 10,
                        BEGAN + step,
                        step,
                    )
                    for step in range(first, first + 1000)
                ],
            )
    page = open_page(f"/experiments/{experiment}?view=charts&size=l")
    page.wait_for_function(
        "() => performance.getEntriesByType('resource').some(each => each.name.includes('envelope'))"
    )
    found = page.locator('.chart[data-metric="loss"]')
    expect(found.locator(".plot[tabindex]")).to_be_visible()
    plot = found.locator(".plot canvas").last.bounding_box()
    assert plot
    figures: dict[str, float] = page.evaluate(
        """async ([x, y, width]) => {
            const canvas = document.querySelectorAll('.plot canvas')[1];
            const times = [];
            let last = await new Promise(requestAnimationFrame);
            for (let at = 0; at < 90; at++) {
                canvas.dispatchEvent(new PointerEvent('pointermove', {
                    bubbles: true, clientX: x + 60 + (at * 8) % (width - 80), clientY: y + 60 + (at % 20) * 8}));
                const now = await new Promise(requestAnimationFrame);
                times.push(now - last);
                last = now;
            }
            times.sort((one, other) => one - other);
            const entry = performance.getEntriesByType('resource').find(each => each.name.includes('envelope'));
            return {median: times[45], p95: times[85], bytes: entry.encodedBodySize,
                    draw: performance.getEntriesByName('chart drawn')[0].startTime - entry.responseEnd};
        }""",
        [plot["x"], plot["y"], plot["width"]],
    )
    zoom = page.evaluate(
        """async () => {
            const plot = document.querySelector('.plot[tabindex]');
            const times = [];
            for (const key of ['+', '0', '+', '0', '+']) {
                const begin = performance.now();
                plot.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
                await new Promise(requestAnimationFrame);
                await new Promise(go => setTimeout(go));
                times.push(performance.now() - begin);
            }
            return times.sort((one, other) => one - other)[2];
        }"""
    )

    with capsys.disabled():
        print(
            f"\n20 lines of 20,000 points: {figures['bytes'] / 1000:.0f} kB, drawn {figures['draw']:.0f} ms after "
            f"they came, frames of {figures['median']:.1f} ms (p95 {figures['p95']:.1f}) while the pointer moves, "
            f"zoomed in {zoom:.0f} ms"
        )
    assert figures["bytes"] < 400_000
    assert figures["median"] < 100
    assert zoom < 250


def test_charts_take_few_bytes_and_requests(
    open_page: OpenPage,
    server: ServerProcess,
    browser_bytes: Callable[[Page, str], dict[str, float]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    client = SlipstreamClient(server.url)
    run_id = client.create_run("0", run_name="ten long ones").info.run_id
    for first in range(0, POINTS, 100):
        client.log_batch(
            run_id,
            metrics=[
                Metric(f"m{key}", math.sin(step / 900 + key) + (step * 7919 % 100) / 300, BEGAN + step, step)
                for key in range(10)
                for step in range(first, first + 100)
            ],
        )
    client.set_terminated(run_id)
    sweep = Sweep(server.url, 100, name="seen as charts", steps=100)
    most = {
        "the charts of a run": (f"/experiments/0/runs/{run_id}/charts", 250_000, 16),
        "the charts of an experiment": (f"/experiments/{sweep.experiment}?view=charts", 300_000, 12),
        "a comparison of 20 runs": (f"/compare?runs={','.join(sweep.run_ids[:20])}", 300_000, 12),
    }
    page = open_page("/settings")

    for name, (path, size, requests) in most.items():
        found = browser_bytes(page, server.url + path)
        expect(page.locator(".plot[tabindex], .diff-table tbody tr").first).to_be_attached()
        with capsys.disabled():
            print(f"\n{name}: {found['bytes'] / 1000:.0f} kB in {found['requests']:.0f} requests", end="")
        assert found["bytes"] <= size, name
        assert found["requests"] <= requests, name
